#!/usr/bin/python3
"""Pushes to Grafana Pyroscope, held against its rules (pyroscope_rules.py): first one made by hand, wrong in one thing at
a time; then real runs of ddprof-launch, received by nginx's upstream. scripts/receivers asks a real Pyroscope."""

import base64
import gzip
import os
import time
import unittest

import harness
import nginx
import pyroscope_rules
import same_profile
import support
import wire
from support import target

WORK = [target("demo_workload"), "1.5"]


class Good:
    """A push in its parts, to change one."""

    def __init__(self):
        self.pb2 = support.Profile.pb2 = support.Profile.pb2 or support.load_schema()
        now = int(time.time())
        self.method, self.path = "POST", "/ingest"
        self.query = {"name": "shop{env=prod}", "from": str(now - 10), "until": str(now), "format": "pprof",
                      "spyName": "ddprof"}
        self.headers = {}
        self.message = self.pb2.Profile(string_table=["", "cpu", "nanoseconds", "main", "thread_name", "svc"],
                                        time_nanos=(now - 10) * 10**9)
        self.message.sample_type.add(type=1, unit=2)
        self.message.function.add(id=1, name=3)
        self.message.location.add(id=1).line.add(function_id=1)
        self.message.sample.add(location_id=[1], value=[7]).label.add(key=4, str=5)
        self.packed = None

    def request(self):
        query = wire_query(self.query)
        body = gzip.compress(self.message.SerializeToString()) if self.packed is None else self.packed
        return wire.Request(self.method, self.path + query, self.headers, body)


def wire_query(query):
    return "?" + "&".join(f"{name}={value}" for name, value in query.items())


def query(name, value):
    return lambda good: good.query.update({name: value})


def string(number, value):
    return lambda good: good.message.string_table.__setitem__(number, value)


WRONG = (
    ("path", lambda good: setattr(good, "path", "/push")),
    ("path", lambda good: setattr(good, "method", "PUT")),
    ("query name", query("name", "")),
    ("query name", query("name", "shop{env=prod")),
    ("query name", query("name", "shop{the env=prod}")),
    ("query format", query("format", "multipart")),
    ("query from", query("from", "now-1h")),
    ("query from", query("from", "1000")),
    ("query until", query("until", "")),
    ("query from", query("until", "1000")),
    ("query spyName", query("spyName", "")),
    ("content-type", lambda good: good.headers.update({"content-type": "multipart/form-data; boundary=a"})),
    ("body", lambda good: setattr(good, "packed", b"\x1f\x8bnot gzip")),
    ("body", lambda good: setattr(good, "packed", b"\xff")),
    ("profile", lambda good: good.message.ClearField("sample_type")),
    ("profile sample_type", string(1, "cpu-time")),
    ("profile sample_type", string(1, "wall")),
    ("profile label", string(4, "thread id")),
    ("profile label", string(4, "process_id")),
    ("profile sample", lambda good: good.message.sample[0].value.append(1)),
    ("profile sample", lambda good: [good.message.sample.add(value=[1]) for _ in range(16000)]),
    ("profile time_nanos", lambda good: setattr(good.message, "time_nanos", 10**18)),
    ("profile id", lambda good: setattr(good.message.location[0], "id", 0)),
)


class Rules(unittest.TestCase):
    def test_a_good_push(self):
        good = Good()
        self.assertEqual(pyroscope_rules.read(good.request(), good.pb2)[:2], ("shop", {"env": "prod"}))

    def test_each_wrong_one(self):
        for row, change in WRONG:
            good = Good()
            change(good)
            with self.subTest(row=row), self.assertRaises(wire.Wrong) as caught:
                pyroscope_rules.read(good.request(), good.pb2)
            self.assertEqual(caught.exception.row, row, caught.exception)


class Pushes(harness.WithReceiver):
    make = nginx.Nginx

    @classmethod
    def setUpClass(cls):
        support.require_profiling()
        super().setUpClass()

    def launch(self, *options, listener="plain", **environment):
        """(request, service, labels): one push, as Pyroscope wants it, of the profile in the file."""
        self.receiver.upstream.begin()
        session = support.run(self, WORK, ["--service", "shop", "--pyroscope_url", self.receiver.url(listener), *options],
                              env={**os.environ, **environment})
        self.assertEqual(session.status, 0, session.stderr)
        request, = self.receiver.upstream.requests
        file = session.profile()
        service, labels, message = pyroscope_rules.read(request, support.Profile.pb2)
        text = message.string_table
        functions = {one.id: text[one.name] for one in message.function}
        locations = {one.id: [functions[line.function_id] for line in one.line] or [""] for one in message.location}
        for number in range(len(message.sample_type)):
            same_profile.check_values(self, [([name for one in sample.location_id for name in locations[one]][::-1],
                                              sample.value[number]) for sample in message.sample], file, number)
        return request, service, labels

    def test_push(self):
        request, service, labels = self.launch("--environment", "prod", "--service_version", "1.2", "--tags", "team:a")
        self.assertEqual((service, labels.get("env"), labels.get("version"), labels.get("team")), ("shop", "prod", "1.2", "a"))
        self.assertNotIn("authorization", request.headers)
        self.assertNotIn("x-scope-orgid", request.headers)

    def test_user_and_tenant(self):
        request, _, _ = self.launch("--pyroscope_user", "ann", "--pyroscope_tenant", "team-a", "--ca_file",
                                    self.receiver.file("ca.pem"), listener="tls", PYROSCOPE_BASIC_AUTH_PASSWORD="s3cret")
        self.assertEqual(request.headers["authorization"], "Basic " + base64.b64encode(b"ann:s3cret").decode())
        self.assertEqual(request.headers["x-scope-orgid"], "team-a")

    def test_labels_that_pyroscope_would_refuse(self):
        """A tag whose name no label may have does not cost the profile."""
        _, _, labels = self.launch("--tags", "my-team:a,zone:b")
        self.assertEqual(labels.get("zone"), "b")


if __name__ == "__main__":
    support.main()
