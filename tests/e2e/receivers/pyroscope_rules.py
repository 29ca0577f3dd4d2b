"""What Grafana Pyroscope 1.21 asks of a push to /ingest, as rules: refusals that a real one has answered with, or that
its pkg/validation/validate.go has. Each costs the whole profile (422). scripts/receivers asks a real one."""

import gzip
import re
import time
import urllib.parse

import wire

LABEL_NAME = re.compile(r"[a-zA-Z_.][a-zA-Z0-9_.]*")
SERVICE = re.compile(r"([^{}]+)(?:\{(.*)\})?")
TOO_OLD_S = 3600        # -validation.reject-older-than
LABELS_MAX = 30         # -validation.max-label-names-per-series; eight are its own
SAMPLES_MAX = 16000     # -validation.max-profile-stacktrace-samples
PATHS = ("/ingest", "/pyroscope/ingest")


def read(request, pb2):
    """(service, labels, profile.proto); wire.Wrong when a rule is broken."""
    address = urllib.parse.urlsplit(request.path)
    query = urllib.parse.parse_qs(address.query, keep_blank_values=True)
    if request.method != "POST" or address.path not in PATHS:
        raise wire.Wrong("path", f"{request.method} {address.path}")
    for name, values in query.items():
        if len(values) != 1:
            raise wire.Wrong("query " + name, f"{values}")
    query = {name: values[0] for name, values in query.items()}
    service, labels = read_name(query.get("name", ""))
    check_query(query)
    if "multipart" in request.headers.get("content-type", ""):
        raise wire.Wrong("content-type", "with format=pprof the body is the pprof, not a form")
    message = read_pprof(request.body, pb2)
    check_profile(message, len(labels))
    return service, labels, message


def read_name(text):
    found = SERVICE.fullmatch(text)
    if not found:
        raise wire.Wrong("query name", f"{text!r} is not service{{label=value,…}}")
    labels = dict(pair.split("=", 1) for pair in found[2].split(",")) if found[2] else {}
    for label in labels:
        if not LABEL_NAME.fullmatch(label):
            raise wire.Wrong("query name", f"label {label!r}")
    return found[1], labels


def check_query(query):
    if query.get("format") != "pprof":
        raise wire.Wrong("query format", f"{query.get('format')!r} is not 'pprof'")
    for name in ("from", "until"):
        if not query.get(name, "").isdigit():
            raise wire.Wrong("query " + name, f"{query.get(name)!r} is not a number of seconds")
    if not int(query["from"]) <= int(query["until"]) or not time.time() - TOO_OLD_S < int(query["from"]) <= time.time() + 60:
        raise wire.Wrong("query from", f"{query['from']} to {query['until']}, and it is {time.time()}")
    if not re.fullmatch(r"[a-z0-9_-]+", query.get("spyName", "")):
        raise wire.Wrong("query spyName", f"{query.get('spyName')!r}: who sends")


def read_pprof(body, pb2):
    try:
        return pb2.Profile.FromString(gzip.decompress(body) if body.startswith(b"\x1f\x8b") else body)
    except Exception as error:
        raise wire.Wrong("body", f"not a pprof: {error}") from error


def check_profile(message, labels):
    text = message.string_table
    if not message.sample_type:
        raise wire.Wrong("profile", "empty")
    for one in message.sample_type:
        if "-" in text[one.type]:
            raise wire.Wrong("profile sample_type", f"{text[one.type]!r} has a '-'")
    if "cpu" not in [text[one.type] for one in message.sample_type]:
        raise wire.Wrong("profile sample_type", "no 'cpu': Pyroscope would not call it process_cpu")
    keys = {text[label.key] for sample in message.sample for label in sample.label}
    for key in keys:
        if not LABEL_NAME.fullmatch(key):
            raise wire.Wrong("profile label", f"{key!r} cannot be a label of a series")
        if "id" in re.split("[_.]", key):
            raise wire.Wrong("profile label", f"{key!r}: a series for each of them")
    if len(keys) + labels + 8 > LABELS_MAX:
        raise wire.Wrong("profile label", f"too many: {keys}")
    if len(message.sample) > SAMPLES_MAX:
        raise wire.Wrong("profile sample", f"{len(message.sample)}, more than {SAMPLES_MAX}")
    for sample in message.sample:
        if len(sample.value) != len(message.sample_type):
            raise wire.Wrong("profile sample", "not as many values as sample types")
    if not time.time() - TOO_OLD_S < message.time_nanos / 1e9 < time.time() + 60:
        raise wire.Wrong("profile time_nanos", f"{message.time_nanos}")
    for table in (message.location, message.function, message.mapping):
        if any(one.id == 0 for one in table):
            raise wire.Wrong("profile id", "an id is 0")
