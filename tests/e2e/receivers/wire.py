"""One upload to Datadog, field by field, as ddprof 0.25 (with libdatadog 30) sends it and the agent passes it on: the
tables below are the document, and they are what is checked. Each row says what is wrong when it does not hold.

An upload is `POST <agent>/profiling/v1/input`, or `POST https://intake.profile.<site>/api/v2/profile` with a key. Its
body has two parts: event.json, which says what the profile is of, and the profile. Nothing here uses code of ours."""

import calendar
import dataclasses
import json
import re
import subprocess
import uuid

AGENT_PATH, INTAKE_PATH = "/profiling/v1/input", "/api/v2/profile"
COMPRESSED_MAX = 16 << 20  # libdatadog refuses to send more
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"


class Wrong(AssertionError):
    """str() begins with the name of the row."""

    def __init__(self, row, said):
        super().__init__(f"{row}: {said}")
        self.row = row


@dataclasses.dataclass
class Request:
    """What a receiver got. Header names are lower-case."""
    method: str
    path: str
    headers: dict
    body: bytes


@dataclasses.dataclass
class Expected:
    """What the test knows of the run; None: not known or not given."""
    service: str
    environment: str = None
    version: str = None
    tags: tuple = ()  # the user's, as (key, value)
    sequence: int = None
    is_kernel_included: bool = None
    container_id: str = None
    external_env: str = None
    api_key: str = None  # agentless
    hostname: str = None
    not_before: float = 0  # of the profile's start, seconds since 1970
    not_after: float = float("inf")  # of its end


# ---- kinds of values ----


def exactly(wanted):
    return lambda value, _: value == wanted and isinstance(value, type(wanted))


def matching(pattern):
    return lambda value, _: isinstance(value, str) and re.fullmatch(pattern, value) is not None


def expected(name):
    return lambda value, run: value == getattr(run, name)


def is_uuid(value, _):
    return re.fullmatch(r"[0-9a-f-]{36}", value) is not None and uuid.UUID(value).version == 4


def is_sequence(value, run):
    return value.isdigit() and run.sequence in (None, int(value))


def is_kernel(value, run):
    return value in ("true", "false") and run.is_kernel_included in (None, value == "true")


def is_null_or_pairs(value, _):
    return value is None or isinstance(value, str) and all(":" in pair for pair in value.split(","))


def is_object_of_strings(value, _):
    return isinstance(value, dict) and all(isinstance(one, str) for one in value.values())


def is_object(value, _):
    return isinstance(value, dict)


TIME = matching(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z")
COUNT = matching(r"[1-9]\d*")

# ---- the tables ----

REQUIRED, OPTIONAL = True, False

# name, whether it is always there, what it holds, and in words
HEADERS = (
    ("content-type", REQUIRED, matching(r"multipart/form-data; ?boundary=[0-9A-Za-z'()+_,./:=?-]{1,70}"),
     "a multipart form; the boundary as RFC 2046 allows it"),
    ("content-length", REQUIRED, matching(r"\d+"), "the body's size; the agent does not want chunks"),
    ("dd-evp-origin", REQUIRED, matching(r"[a-z][a-z-]*"), "which program sends"),
    ("dd-evp-origin-version", REQUIRED, matching(r"\d+\.\d+\S*"), "and which of its versions"),
    ("user-agent", REQUIRED, matching(r"\S+/\d\S*.*"), "product/version"),
    ("host", REQUIRED, matching(r"\S+"), "localhost on a Unix socket"),
    ("datadog-container-id", OPTIONAL, expected("container_id"), "the target's container, when it has one"),
    ("datadog-entity-id", OPTIONAL, matching(r"ci-\S+|in-\d+"), "ci-<container id>, or in-<inode of its cgroup>"),
    ("datadog-external-env", OPTIONAL, expected("external_env"), "DD_EXTERNAL_ENV as it is"),
    ("dd-api-key", OPTIONAL, expected("api_key"), "for the site's intake only, never for an agent"),
)

# The bytes between which event.json and the profile stand. An attachment has no Content-Type: the intake looks at its
# first bytes.
FRAME = (
    b'--%(boundary)s\r\nContent-Disposition: form-data; name="event"; filename="event.json"\r\n'
    b"Content-Type: application/json\r\n\r\n",
    b'\r\n--%(boundary)s\r\nContent-Disposition: form-data; name="profile.pprof"; filename="profile.pprof"\r\n\r\n',
    b"\r\n--%(boundary)s--\r\n",
)

# key, what it holds, and in words. All are always there, and there are no others.
EVENT = (
    ("attachments", exactly(["profile.pprof"]), "the names of the parts that follow"),
    ("tags_profiler", matching(r"[^,:]+:[^,]+(,[^,:]+:[^,]+)*"), "k:v,k:v; see TAGS"),
    ("start", TIME, "of the profile; UTC with nanoseconds"),
    ("end", TIME, "the same; not before start"),
    ("family", exactly("native"), "decides which of Datadog's pages show it"),
    ("version", exactly("4"), "of this format; a string"),
    ("endpoint_counts", exactly(None), "null: tracers use it"),
    ("process_tags", is_null_or_pairs, "null, or k:v,k:v"),
    ("internal", is_object_of_strings, "versions of the sender's parts"),
    ("info", is_object, "what else the sender knows; {} in ddprof"),
)

# In this order in tags_profiler. (Empty ones are left out; of tags that Datadog would refuse, see USER_TAG.)
TAGS = (
    ("language", REQUIRED, exactly("native"), "as family"),
    ("env", OPTIONAL, expected("environment"), "--environment"),
    ("version", OPTIONAL, expected("version"), "--service_version"),
    ("service", REQUIRED, expected("service"), "--service"),
    ("profiler_version", REQUIRED, matching(r"\d+\.\d+\.\d+\S*"), "X.Y.Z+revision"),
    ("runtime-id", REQUIRED, is_uuid, "one UUID version 4 for each launch"),
    ("*", OPTIONAL, None, "the user's tags, in his order"),
    ("number_of_cpu_cores", REQUIRED, COUNT, "that the machine has"),
    ("number_hw_concurent_threads", REQUIRED, COUNT, "(sic) that are online"),
    ("profile_seq", REQUIRED, is_sequence, "0, 1, … of this launch"),
    ("include_kernel", REQUIRED, is_kernel, "whether the kernel's time is in it"),
    ("ddprof.custom_ctx", REQUIRED, exactly("container_id"), "labels by which Datadog may group"),
    ("cpu_arch", REQUIRED, matching("amd64|arm64"), "as Go calls it"),
    ("runtime_platform", REQUIRED, matching(r"[a-z0-9_]+-[a-z0-9_]+-[a-z0-9_]+(-[a-z0-9_]+)?"), "target triple"),
)
USER_TAG = re.compile(r"[A-Za-z][A-Za-z0-9_:./\\-]{0,199}(?<!:)")  # bad ones are dropped before they are sent

# What the profile's own part must be, before pprof is read.
PROFILE = (
    ("zstd", lambda packed, _: packed.startswith(ZSTD_MAGIC), "one zstd frame"),
    ("size", lambda packed, _: len(packed) <= COMPRESSED_MAX, "what libdatadog allows"),
)

# ---- the checks ----


def check(row, holds, value, run, words):
    if not holds(value, run):
        raise Wrong(row, f"{value!r} is not: {words}")


def check_rows(prefix, rows, values, run):
    for name, is_required, holds, words in rows:
        wanted = is_required or given(name, run)
        if name == "*":
            continue
        if name not in values:
            if wanted:
                raise Wrong(prefix + name, f"missing: {words}")
            continue
        check(prefix + name, holds, values[name], run, words)


def given(name, run):
    """Whether an optional field has to be there, in this run."""
    return {"env": run.environment, "version": run.version, "datadog-container-id": run.container_id,
            "datadog-external-env": run.external_env, "dd-api-key": run.api_key}.get(name) is not None


def check_request(request, run):
    path = AGENT_PATH if run.api_key is None else INTAKE_PATH
    check("path", exactly(path), request.path, run, path)
    check("method", exactly("POST"), request.method, run, "POST")
    check_rows("header ", HEADERS, request.headers, run)
    for name in ("content-encoding", "transfer-encoding", "expect"):
        if name in request.headers:
            raise Wrong("header " + name, f"{request.headers[name]!r}; there is none")
    check("header content-length", exactly(str(len(request.body))), request.headers["content-length"], run, "the body's size")


def split_body(request):
    """(event.json, the profile), by the exact bytes around them."""
    boundary = request.headers["content-type"].partition("boundary=")[2].encode()
    opening, between, closing = (frame.replace(b"%(boundary)s", boundary) for frame in FRAME)
    body = request.body
    if not body.startswith(opening):
        raise Wrong("body", f"begins with {body[:len(opening)]!r}, not {opening!r}")
    if not body.endswith(closing):
        raise Wrong("body", f"ends with {body[-len(closing):]!r}, not {closing!r}")
    inside = body[len(opening):len(body) - len(closing)]
    event, found, profile = inside.partition(between)
    if not found:
        raise Wrong("body", f"no {between!r} in it")
    if b"--" + boundary in event + profile:
        raise Wrong("body", "the boundary is in a part")
    return event, profile


def read_event(text):
    def once(pairs):
        found = dict(pairs)
        if len(found) != len(pairs):
            raise Wrong("event.json", f"a key twice: {pairs}")
        return found

    try:
        event = json.loads(text.decode("utf-8"), object_pairs_hook=once)
    except ValueError as error:
        raise Wrong("event.json", f"{error}: {text!r}") from error
    if not isinstance(event, dict):
        raise Wrong("event.json", f"not an object: {text!r}")
    return event


def check_event(event, run):
    for name, holds, words in EVENT:
        if name not in event:
            raise Wrong("event " + name, f"missing: {words}")
        check("event " + name, holds, event[name], run, words)
    for name in set(event) - {name for name, _, _ in EVENT}:
        raise Wrong("event " + name, "nobody knows this key")
    start, end = (nanoseconds(event[name]) for name in ("start", "end"))
    if not run.not_before * 1e9 <= start:
        raise Wrong("event start", f"{event['start']} is before the run began")
    if not start <= end <= run.not_after * 1e9:
        raise Wrong("event end", f"{event['end']} is before start or after the run ended")


def nanoseconds(text):
    whole, fraction = text[:-1].split(".")
    date = re.fullmatch(r"(\d+)-(\d+)-(\d+)T(\d+):(\d+):(\d+)", whole)
    return calendar.timegm(tuple(map(int, date.groups())) + (0, 0, 0)) * 1000000000 + int(fraction)


def read_tags(text):
    return [tuple(tag.split(":", 1)) for tag in text.split(",")]


def check_tags(text, run):
    tags = read_tags(text)
    known = [name for name, _, _, _ in TAGS]
    own = [tag for tag in tags if tag[0] in known]
    names = [name for name, _ in own]
    for name in set(names):
        if names.count(name) > 1:
            raise Wrong("tag " + name, f"twice in {text!r}")
    check_rows("tag ", TAGS, dict(own), run)
    if names != [name for name in known if name in names]:
        raise Wrong("tags", f"order: {names}")
    users = [tag for tag in tags if tag[0] not in known and tag[0] != "host"]
    if users != list(run.tags):
        raise Wrong("tag *", f"{users} instead of {list(run.tags)}")
    for tag in users:
        if not USER_TAG.fullmatch(":".join(tag)):
            raise Wrong("tag *", f"Datadog refuses {tag}")
    if users:
        others = [tag for tag in tags if tag[0] != "host"]
        first = others.index(users[0])
        if others[first - 1][0] != "runtime-id" or others[first:first + len(users)] != users:
            raise Wrong("tag *", f"not together and behind runtime-id: {tags}")
    hosts = [value for name, value in tags if name == "host"]
    if hosts != ([run.hostname] if run.hostname else []):
        raise Wrong("tag host", f"{hosts}: the agent adds it; only DD_HOSTNAME without an agent is ours to send")


def check_profile(packed, run):
    for name, holds, words in PROFILE:
        if not holds(packed, run):
            raise Wrong("profile " + name, f"not {words}: {packed[:16].hex()}…, {len(packed)} bytes")


def unpack(packed):
    """By zstd(1): the bytes of the pprof."""
    done = subprocess.run(["zstd", "-dc"], input=packed, capture_output=True, check=False)
    if done.returncode != 0:
        raise Wrong("profile zstd", done.stderr.decode())
    return done.stdout


@dataclasses.dataclass
class Upload:
    """A request in which everything is right."""
    request: Request
    event: dict
    tags: dict
    pprof: bytes


def read(request, run):
    """The upload; Wrong when any row does not hold."""
    check_request(request, run)
    text, packed = split_body(request)
    event = read_event(text)
    check_event(event, run)
    check_tags(event["tags_profiler"], run)
    check_profile(packed, run)
    return Upload(request, event, dict(read_tags(event["tags_profiler"])), unpack(packed))
