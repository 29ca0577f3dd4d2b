#!/usr/bin/python3
"""Real runs of ddprof-launch against an HTTP server that decodes OTLP with the official classes: it finds nothing wrong
(otlp_checks.py), and what it got is the pprof that was written to --output at the same time."""

import collections
import os
import time
import unittest

import harness
import support
from support import target

WORK = [target("demo_workload"), "1.5"]
BUILD_ID = "process.executable.build_id.gnu"


def setUpModule():
    support.require_profiling()


def totals(stacks):
    """Function name -> value of all stacks it is in."""
    found = collections.Counter()
    for names, value in stacks:
        for name in set(names):
            found[name] += value
    return found


class Otlp(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.case = cls("test_content")
        cls.receiver = harness.OtlpReceiver(cls.case)
        cls.url = f"http://127.0.0.1:{cls.receiver.port}/v1development/profiles"

    @classmethod
    def tearDownClass(cls):
        cls.case.doCleanups()

    def run_to_receiver(self, options=(), command=(), **named):
        """(session, what came); nothing was wrong with it, and there is one for each file."""
        before = len(self.receiver.got())
        session = support.run(self, list(command or WORK), ["--service", "shop", "--otlp_url", self.url, *options], **named)
        self.assertEqual(session.status, 0, session.stderr)
        got = self.receiver.got()[before:]
        self.assertEqual([one["problems"] for one in got], [[] for _ in session.profile_paths()], session.stderr)
        for one, file in zip(got, session.profiles()):
            self.compare(one["content"], file)
        return session, got

    def compare(self, content, file):
        message, strings = file.message, file.strings
        wanted = [(strings[t.type], strings[t.unit]) for t in message.sample_type]
        by_unit = {profile["sample_type"][1]: profile for profile in content["profiles"]}
        self.assertEqual(set(by_unit), {unit for _, unit in wanted})
        for number, (_, unit) in enumerate(wanted):
            profile = by_unit[unit]
            sent = [([frame[0] for frame in sample["stack"]], sum(sample["values"])) for sample in profile["samples"]]
            kept = [(sample.stack, (sample.cpu_time_ns, sample.count)[number]) for sample in file.samples]
            self.assertEqual(sum(value for _, value in sent), sum(value for _, value in kept))
            self.assertEqual(totals(sent), totals(kept))
            self.assertEqual(collections.Counter({";".join(names): 0 for names, _ in sent}),
                             collections.Counter({";".join(names): 0 for names, _ in kept}))
            self.assertEqual((profile["time"], profile["duration"]), (message.time_nanos, message.duration_nanos))
            self.assertEqual(profile["period"], message.period)
            self.assertEqual(profile["period_type"][1], "nanoseconds")
        self.assertEqual({(one["file"], one["attributes"].get(BUILD_ID, "")) for one in content["mappings"]},
                         {(file.mapping_name(one), strings[one.build_id]) for one in message.mapping})
        self.assertEqual({(frame[0], frame[1], frame[2]) for frame in frames(content) if frame[2]},
                         {(strings[file.functions[line.function_id].name], strings[file.functions[line.function_id].filename], line.line)
                          for location in message.location for line in location.line if line.line})

    def test_content(self):
        _, (got,) = self.run_to_receiver(["--environment", "prod", "--service_version", "1.2"])
        self.assertEqual(got["headers"].get("content-encoding", "identity"), "identity")
        resource = got["content"]["resource"]
        self.assertEqual((resource["service.name"], resource["deployment.environment.name"], resource["service.version"]),
                         ("shop", "prod", "1.2"))
        self.assertTrue(got["content"]["scope"]["name"])
        self.assertTrue(any(frame[0].startswith("demo::rays::trace_ray") for frame in frames(got["content"])))

    def test_lines_of_inlined_functions(self):
        self.run_to_receiver(command=[target("inlined"), "1.5"])

    def test_gzip(self):
        _, (got,) = self.run_to_receiver(env={**os.environ, "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip"})
        self.assertEqual(got["headers"]["content-encoding"], "gzip")

    def test_several_periods(self):
        session, got = self.run_to_receiver(["-u", "1"], [target("split"), "3.5"])
        self.assertGreaterEqual(len(got), 4, session.stderr)
        ids = [profile["profile_id"] for one in got for profile in one["content"]["profiles"]]
        self.assertEqual(len(set(ids)), len(ids))

    def test_environment(self):
        """OpenTelemetry's own variables."""
        _, (got,) = self.run_to_receiver(env={
            **os.environ, "OTEL_EXPORTER_OTLP_HEADERS": "x-team=a%20b,x-zone=c",
            "OTEL_RESOURCE_ATTRIBUTES": "team.name=a%2Cb,host.name=h1"})
        self.assertEqual((got["headers"]["x-team"], got["headers"]["x-zone"]), ("a b", "c"))
        resource = got["content"]["resource"]
        self.assertEqual((resource["service.name"], resource["team.name"], resource["host.name"]), ("shop", "a,b", "h1"))

    def test_endpoint(self):
        """The general endpoint gets the path appended, the one for profiles is taken as it is."""
        base = f"http://127.0.0.1:{self.receiver.port}"
        for options, environment in ((["--otlp", "true"], {"OTEL_EXPORTER_OTLP_ENDPOINT": base}),
                                     ([], {"OTEL_EXPORTER_OTLP_PROFILES_ENDPOINT": self.url})):
            with self.subTest(environment=environment):
                before = len(self.receiver.got())
                session = support.run(self, WORK, options, env={**os.environ, **environment})
                got, = self.receiver.got()[before:]
                self.assertEqual(got["problems"], [])
                self.compare(got["content"], session.profile())

    def test_told_to_come_back(self):
        """Exactly once, and not before the time that was asked for."""
        before = len(self.receiver.got())
        self.receiver.answer_next(503, retry_after=2)
        began = time.monotonic()
        session = support.run(self, WORK, ["--service", "shop", "--otlp_url", self.url])
        self.assertGreaterEqual(time.monotonic() - began, 1.5 + 2)
        got, = self.receiver.got()[before:]
        self.compare(got["content"], session.profile())


def frames(content):
    for profile in content["profiles"]:
        for sample in profile["samples"]:
            yield from sample["stack"]


if __name__ == "__main__":
    support.main()
