#!/usr/bin/python3
"""That the checks of the other tests can fail: an upload made by hand, right in all, then wrong in one thing at a time,
as Datadog's test agent got it by TCP and by Unix socket. Nothing of ours takes part."""

import http.client
import json
import subprocess
import unittest

import harness
import support
import wire

RUN = wire.Expected(service="shop", environment="prod", version="1.2", tags=(("team", "a"), ("zone", "b")), sequence=3,
                    is_kernel_included=False, container_id="c" * 64, not_before=1794985601, not_after=1794985701)
BOUNDARY = "00112233445566aa-8899aabbccddeeff-0123456789abcdef-fedcba9876543210"
TAGS = [["language", "native"], ["env", "prod"], ["version", "1.2"], ["service", "shop"], ["profiler_version", "0.1.0+abc"],
        ["runtime-id", "7c0ad6a6-8f2c-4f7a-9d6e-0f3a3d2b1c00"], ["team", "a"], ["zone", "b"], ["number_of_cpu_cores", "2"],
        ["number_hw_concurent_threads", "2"], ["profile_seq", "3"], ["include_kernel", "false"],
        ["ddprof.custom_ctx", "container_id"], ["cpu_arch", "amd64"], ["runtime_platform", "x86_64-unknown-linux-gnu"]]
PPROF = b"\x0a\x04\x08\x01\x10\x02\x32\x00"  # one sample type and the empty string


class Good:
    """An upload in its parts, to change one."""

    def __init__(self):
        self.path, self.method = wire.AGENT_PATH, "POST"
        self.headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}", "DD-EVP-ORIGIN": "ddprof-launch",
                        "DD-EVP-ORIGIN-VERSION": "0.1.0", "User-Agent": "ddprof-launch/0.1.0", "Host": "localhost",
                        "datadog-container-id": RUN.container_id, "datadog-entity-id": "ci-" + RUN.container_id}
        self.event = {"attachments": ["profile.pprof"], "start": "2026-11-18T07:06:41.000000001Z",
                      "end": "2026-11-18T07:07:40.123456789Z", "family": "native", "version": "4", "endpoint_counts": None,
                      "process_tags": None, "internal": {}, "info": {}}
        self.tags = [list(tag) for tag in TAGS]
        self.pprof = PPROF
        self.packed = None
        self.text = None
        self.frame = [part.replace(b"%(boundary)s", BOUNDARY.encode()) for part in wire.FRAME]

    def tag(self, name, value):
        self.tags = [[one, value if one == name else old] for one, old in self.tags]

    def without_tag(self, name):
        self.tags = [tag for tag in self.tags if tag[0] != name]

    def body(self):
        event = {**self.event, "tags_profiler": ",".join(map(":".join, self.tags))}
        event = {name: value for name, value in event.items() if value != "remove"}
        text = json.dumps(event).encode() if self.text is None else self.text
        packed = self.packed or subprocess.run(["zstd", "-1c"], input=self.pprof, capture_output=True, check=True).stdout
        return self.frame[0] + text + self.frame[1] + packed + self.frame[2]

    def request(self):
        body = self.body()
        headers = {"content-length": str(len(body)), **{name.lower(): value for name, value in self.headers.items()}}
        return wire.Request(self.method, self.path, headers, body)


def header(name, value):
    return lambda good: good.headers.update({name: value})


def no_header(name):
    return lambda good: good.headers.pop(name)


def event(name, value):
    return lambda good: good.event.update({name: value})


def tag(name, value):
    return lambda good: good.tag(name, value)


def no_tag(name):
    return lambda good: good.without_tag(name)


def attribute(name, value):
    return lambda good: setattr(good, name, value)


def swap(one, two):
    def change(good):
        names = [name for name, _ in good.tags]
        i, j = names.index(one), names.index(two)
        good.tags[i], good.tags[j] = good.tags[j], good.tags[i]
    return change


def frame(number, old, new):
    def change(good):
        assert old in good.frame[number]
        good.frame[number] = good.frame[number].replace(old, new)
    return change


# The row that must say so, and what was done. Every row of wire.py's tables is here at least once.
WRONG = (
    ("path", attribute("path", "/profiling/v1/inputs")),
    ("method", attribute("method", "PUT")),
    ("header content-type", header("Content-Type", "application/octet-stream")),
    ("header content-length", header("Content-Length", "12")),
    ("header content-encoding", header("Content-Encoding", "gzip")),
    ("header transfer-encoding", header("Transfer-Encoding", "chunked")),
    ("header expect", header("Expect", "100-continue")),
    ("header dd-evp-origin", no_header("DD-EVP-ORIGIN")),
    ("header dd-evp-origin-version", no_header("DD-EVP-ORIGIN-VERSION")),
    ("header user-agent", header("User-Agent", "curl")),
    ("header host", no_header("Host")),
    ("header datadog-container-id", no_header("datadog-container-id")),
    ("header datadog-container-id", header("datadog-container-id", "none")),
    ("header datadog-entity-id", header("datadog-entity-id", "c" * 64)),
    ("header datadog-external-env", header("datadog-external-env", "it-false,cn-nginx")),
    ("header dd-api-key", header("dd-api-key", "0" * 32)),
    ("body", frame(0, b'filename="event.json"', b'filename="event"')),
    ("body", frame(0, b"application/json", b"text/plain")),
    ("body", frame(0, b"\r\n", b"\n")),
    ("body", frame(1, b'name="profile.pprof"', b'name="auto.pprof"')),
    ("body", frame(1, b"\r\n\r\n", b"\r\nContent-Type: application/octet-stream\r\n\r\n")),
    ("body", frame(2, b"--\r\n", b"\r\n")),
    ("body", attribute("packed", wire.ZSTD_MAGIC + b"\r\n--" + BOUNDARY.encode())),
    ("event.json", attribute("text", b"{")),
    ("event.json", attribute("text", b'["native"]')),
    ("event.json", attribute("text", b'{"family":"native","family":"native"}')),
    ("event attachments", event("attachments", ["cpu.pprof"])),
    ("event tags_profiler", lambda good: good.tags.append([""])),  # a trailing comma
    ("event start", event("start", "2026-11-18T07:06:41Z")),
    ("event start", event("start", "2026-11-17T07:06:41.000000001Z")),  # before the run
    ("event end", event("end", "2026-11-18 07:07:40.123456789Z")),
    ("event end", event("end", "2026-11-18T07:06:41.000000000Z")),  # before the start
    ("event end", event("end", "2026-11-19T07:07:40.123456789Z")),  # after the run
    ("event family", event("family", "linux")),
    ("event version", event("version", 4)),
    ("event endpoint_counts", event("endpoint_counts", {})),
    ("event endpoint_counts", event("endpoint_counts", "remove")),
    ("event process_tags", event("process_tags", ["a:b"])),
    ("event internal", event("internal", None)),
    ("event info", event("info", "remove")),
    ("event surprise", event("surprise", 1)),
    ("tags", swap("language", "service")),
    ("tags", swap("profile_seq", "include_kernel")),
    ("tag language", tag("language", "c")),
    ("tag env", no_tag("env")),
    ("tag version", tag("version", "4")),
    ("tag service", tag("service", "myservice")),
    ("tag service", lambda good: good.tags.append(["service", "shop"])),
    ("tag profiler_version", tag("profiler_version", "dev")),
    ("tag runtime-id", tag("runtime-id", "7c0ad6a6-8f2c-1f7a-9d6e-0f3a3d2b1c00")),  # version 1
    ("tag number_of_cpu_cores", tag("number_of_cpu_cores", "0")),
    ("tag number_hw_concurent_threads", no_tag("number_hw_concurent_threads")),
    ("tag profile_seq", tag("profile_seq", "4")),
    ("tag include_kernel", tag("include_kernel", "no")),
    ("tag ddprof.custom_ctx", no_tag("ddprof.custom_ctx")),
    ("tag cpu_arch", tag("cpu_arch", "x86_64")),
    ("tag runtime_platform", tag("runtime_platform", "linux")),
    ("tag *", no_tag("zone")),
    ("tag *", swap("team", "zone")),
    ("tag *", swap("team", "number_of_cpu_cores")),
    ("tag host", lambda good: good.tags.append(["host", "me"])),
    ("profile zstd", attribute("packed", b"\x1f\x8b\x08\x00not zstd")),
    ("profile zstd", attribute("packed", wire.ZSTD_MAGIC + b"cut")),
    ("profile size", attribute("packed", wire.ZSTD_MAGIC + bytes(wire.COMPRESSED_MAX))),
)


class Checks(unittest.TestCase):
    def test_a_good_upload(self):
        upload = wire.read(Good().request(), RUN)
        self.assertEqual(upload.pprof, PPROF)
        self.assertEqual(upload.tags["zone"], "b")

    def test_each_wrong_one(self):
        for row, change in WRONG:
            with self.subTest(row=row):
                good = Good()
                change(good)
                with self.assertRaises(wire.Wrong) as caught:
                    wire.read(good.request(), RUN)
                self.assertEqual(caught.exception.row, row, caught.exception)

    def test_every_row_was_tried(self):
        tried = {row for row, _ in WRONG}
        for prefix, table in (("header ", wire.HEADERS), ("event ", wire.EVENT), ("tag ", wire.TAGS),
                              ("profile ", wire.PROFILE)):
            for name, *_ in table:
                self.assertIn(prefix + name, tried)

    def test_user_tags_that_datadog_refuses(self):
        for value in ("b c", "b$", "b" * 200, ""):
            good = Good()
            good.tag("zone", value)
            run = wire.dataclasses.replace(RUN, tags=(("team", "a"), ("zone", value)))
            with self.assertRaises(wire.Wrong):
                wire.read(good.request(), run)

    def test_agentless(self):
        good = Good()
        good.path = wire.INTAKE_PATH
        good.headers["dd-api-key"] = "0" * 32
        good.tags.insert(6, ["host", "me"])
        run = wire.dataclasses.replace(RUN, api_key="0" * 32, hostname="me")
        wire.read(good.request(), run)
        for change in (header("dd-api-key", "1" * 32), no_header("dd-api-key"), attribute("path", wire.AGENT_PATH),
                       lambda good: good.tags.pop(6)):
            other = Good()
            other.__dict__.update(good.__dict__, headers=dict(good.headers), tags=list(good.tags))
            change(other)
            with self.assertRaises(wire.Wrong):
                wire.read(other.request(), run)


class ThroughTheAgent(harness.WithReceiver):
    """That nothing on the way hides a difference: what the agent says it got is byte for byte what was sent."""

    make = harness.DatadogAgent

    def roundtrip(self, connection, good):
        self.receiver.forget()
        sent = good.request()
        status, _ = harness.exchange(connection, sent.method, sent.path, sent.body, good.headers)
        self.assertEqual(status, 200)
        got, = self.receiver.requests()
        self.assertEqual(got.body, sent.body)
        return got

    def both_ways(self, connect):
        got = self.roundtrip(connect(), Good())
        self.assertEqual(wire.read(got, RUN).pprof, PPROF)
        parts = harness.read_multipart(got)
        self.assertEqual([p[0]["Content-Disposition"] for p in parts],
                         ['form-data; name="event"; filename="event.json"',
                          'form-data; name="profile.pprof"; filename="profile.pprof"'])
        self.assertEqual([p[1] for p in parts], list(wire.split_body(got)))
        for row, change in (("event family", event("family", "linux")), ("tag service", tag("service", "myservice")),
                            ("header dd-evp-origin", no_header("DD-EVP-ORIGIN"))):
            good = Good()
            change(good)
            with self.assertRaises(wire.Wrong) as caught:
                wire.read(self.roundtrip(connect(), good), RUN)
            self.assertEqual(caught.exception.row, row)

    def test_tcp(self):
        self.both_ways(lambda: http.client.HTTPConnection("127.0.0.1", self.receiver.port))

    def test_unix_socket(self):
        self.both_ways(lambda: harness.UnixConnection(self.receiver.socket_path))


if __name__ == "__main__":
    support.main()
