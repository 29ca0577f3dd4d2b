#!/usr/bin/python3
"""event.json and the form around it, read by Python's own parsers of JSON and MIME and by zstd(1), field by field."""

import email
import email.policy
import json
import re
import unittest

from formatted import DATADOG, END, FOLDER, PREFIX, START, Message, unpack

PPROF = bytes(range(256)) * 40

TAGS = ["language:native", "env:prod", "version:1.2", "service:shop", "profiler_version:", "runtime-id:8a5c1d0e-7f43-4b6d-9c2a-0123456789ab",
        "team:a", "zone:b", "number_of_cpu_cores:8", "number_hw_concurent_threads:4", "profile_seq:7", "include_kernel:false",
        "ddprof.custom_ctx:container_id", "cpu_arch:", "runtime_platform:"]


def parts(message):
    """The form's parts, by a parser of mail."""
    whole = b"Content-Type: " + message.headers["content-type"].encode() + b"\r\n\r\n" + message.body
    parsed = email.message_from_bytes(whole, policy=email.policy.HTTP)
    assert parsed.is_multipart() and not parsed.defects, parsed.defects
    return parsed.get_payload()


def event(**settings):
    return json.loads(parts(Message(PPROF, DATADOG, **settings))[0].get_payload(decode=True))


def tags(**settings):
    return event(**settings)["tags_profiler"].split(",")


class Form(unittest.TestCase):
    def test_parts(self):
        message = Message(PPROF, DATADOG)
        first, second = parts(message)
        self.assertEqual(first["Content-Disposition"], 'form-data; name="event"; filename="event.json"')
        self.assertEqual(first["Content-Type"], "application/json")
        self.assertEqual(second["Content-Disposition"], 'form-data; name="profile.pprof"; filename="profile.pprof"')
        self.assertIsNone(second["Content-Type"])

    def test_bytes(self):
        """Mail parsers forgive; the intake may not. Between the fixed bytes there are JSON and one zstd frame."""
        message = Message(PPROF, DATADOG)
        boundary = message.headers["content-type"].partition("boundary=")[2]
        self.assertRegex(boundary, "^([0-9a-f]{16}-){3}[0-9a-f]{16}$")
        found = re.fullmatch(
            b'--%(b)s\r\nContent-Disposition: form-data; name="event"; filename="event.json"\r\n'
            b"Content-Type: application/json\r\n\r\n(?P<event>\\{.*\\})\r\n"
            b'--%(b)s\r\nContent-Disposition: form-data; name="profile.pprof"; filename="profile.pprof"\r\n\r\n'
            b"(?P<profile>.*)\r\n--%(b)s--\r\n" % {b"b": boundary.encode()}, message.body, re.DOTALL)
        self.assertTrue(found, message.body[:400])
        self.assertEqual(unpack("zstd", found["profile"]), PPROF)
        self.assertNotIn(boundary.encode(), found["event"] + found["profile"])
        keys = list(json.loads(found["event"]))
        self.assertEqual(keys, sorted(keys))

    def test_boundaries_differ(self):
        content = {Message(PPROF, DATADOG, sequence=n).headers["content-type"] for n in range(20)}
        self.assertEqual(len(content), 20)

    def test_too_large(self):
        import random
        noise = random.Random(1).randbytes((10 << 20) + 5000)
        self.assertEqual(Message(noise, DATADOG).error, "Numerical result out of range")
        self.assertIsNone(Message(noise[:(10 << 20) - 5000], DATADOG).error)


class Event(unittest.TestCase):
    def test_all(self):
        got = event()
        self.assertEqual({key: value for key, value in got.items() if key != "tags_profiler"}, {
            "attachments": ["profile.pprof"], "family": "native", "version": "4", "endpoint_counts": None,
            "process_tags": None, "internal": {}, "info": {},
            "start": "2023-11-14T22:13:20.000000001Z", "end": "2023-11-14T22:14:19.123456789Z"})

    def test_tags(self):
        got = tags()
        self.assertEqual(len(got), len(TAGS), got)
        for one, wanted in zip(got, TAGS):
            self.assertTrue(one.startswith(wanted) if wanted.endswith(":") else one == wanted, (one, wanted))
        found = dict(tag.split(":", 1) for tag in got)
        self.assertRegex(found["profiler_version"], r"^\d+\.\d+\.\d+")
        self.assertIn((found["cpu_arch"], found["runtime_platform"]),
                      [("amd64", "x86_64-unknown-linux-gnu"), ("arm64", "aarch64-unknown-linux-gnu")])

    def test_optional_tags(self):
        self.assertIn("include_kernel:true", tags(kernel=1))
        for name in "environment", "version", "tags":
            self.assertNotIn("", tags(**{name: ""}))
        self.assertEqual(len(tags(environment="", version="", tags="")), len(TAGS) - 4)
        self.assertIn("service:a_b", tags(service="a,b"))
        self.assertIn("service:café", tags(service="café"))
        self.assertIn("runtime-id:other", tags(runtime_id="", config_runtime_id="other"))

    def test_host(self):
        """The agent adds it itself."""
        self.assertFalse([tag for tag in tags(hostname="web-1") if tag.startswith("host:")])
        self.assertIn("host:web-1", tags(hostname="web-1", agentless=1))


class Headers(unittest.TestCase):
    def test_all(self):
        headers = Message(PPROF, DATADOG, headers="DD-API-KEY: 0123\nX-A: b\n").headers
        self.assertEqual(set(headers), {"content-type", "dd-evp-origin", "dd-evp-origin-version", "user-agent", "dd-api-key", "x-a"})
        self.assertEqual((headers["dd-api-key"], headers["x-a"], headers["dd-evp-origin"]), ("0123", "b", "ddprof"))
        self.assertRegex(headers["user-agent"], r"^ddprof-launch/\d+\.\d+")

    def test_container(self):
        headers = Message(PPROF, DATADOG, container_id="cafe", entity_id="in-1", external_env="it-false").headers
        self.assertEqual(headers["datadog-container-id"], "cafe")
        self.assertEqual(headers["datadog-entity-id"], "ci-cafe")
        self.assertEqual(headers["datadog-external-env"], "it-false")
        for nothing in "", "none", "unknown":
            headers = Message(PPROF, DATADOG, container_id=nothing, entity_id="in-1").headers
            self.assertNotIn("datadog-container-id", headers)
            self.assertEqual(headers["datadog-entity-id"], "in-1")

    def test_url(self):
        self.assertEqual(Message(PPROF, DATADOG, url="http://a:1/b").url, "http://a:1/b")


class Files(unittest.TestCase):
    def test_folder(self):
        message = Message(PPROF, FOLDER)
        self.assertEqual((message.url, message.headers), ("shop-42-20231114T221419Z-7.pprof", {}))
        self.assertEqual(unpack("gzip", message.body), PPROF)

    def test_prefix(self):
        for prefix in "profiles_", "":
            message = Message(PPROF, PREFIX, prefix=prefix)
            self.assertEqual((message.url, message.headers), (prefix + "20231114T221419Z.pprof.zst", {}))
            self.assertEqual(unpack("zstd", message.body), PPROF)

    def test_nothing(self):
        self.assertEqual(unpack("zstd", Message(b"", PREFIX).body), b"")

    def test_unknown_kind(self):
        self.assertEqual(Message(PPROF, 99).error, "Invalid argument")


if __name__ == "__main__":
    unittest.main(verbosity=2)
