#!/usr/bin/python3
"""Real runs of ddprof-launch against an HTTP server that decodes OTLP with the official classes: it finds nothing wrong
(otlp_checks.py), and what it got is the pprof that was written to --output at the same time."""

import os
import time

import harness
import same_profile
import support
from support import target

WORK = [target("demo_workload"), "1.5"]


def setUpModule():
    support.require_profiling()


class Otlp(harness.WithReceiver):
    make = harness.OtlpReceiver

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.url = f"http://127.0.0.1:{cls.receiver.port}/v1development/profiles"

    def run_to_receiver(self, options=(), command=(), **named):
        """(session, what came); nothing was wrong with it, and there is one for each file."""
        before = len(self.receiver.got())
        session = support.run(self, list(command or WORK), ["--service", "shop", "--otlp_url", self.url, *options], **named)
        self.assertEqual(session.status, 0, session.stderr)
        got = self.receiver.got()[before:]
        self.assertEqual([one["problems"] for one in got], [[] for _ in session.profile_paths()], session.stderr)
        self.assertTrue(got, "no profile at all")
        for one, file in zip(got, session.profiles()):
            same_profile.check_otlp(self, one["content"], file)
        return session, got

    def test_content(self):
        _, (got,) = self.run_to_receiver(["--environment", "prod", "--service_version", "1.2"])
        self.assertEqual(got["headers"].get("content-encoding", "identity"), "identity")
        resource = got["content"]["resource"]
        self.assertEqual((resource["service.name"], resource["deployment.environment.name"], resource["service.version"]),
                         ("shop", "prod", "1.2"))
        self.assertTrue(got["content"]["scope"]["name"])
        self.assertTrue(any(frame[0].startswith("demo::rays::trace_ray") for frame in same_profile.frames(got["content"])))

    def test_lines_of_inlined_functions(self):
        self.run_to_receiver(command=[target("inlined_dwarf5"), "1.5"])

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
                same_profile.check_otlp(self, got["content"], session.profile())

    def test_told_to_come_back(self):
        """Exactly once, and not before the time that was asked for."""
        before = len(self.receiver.got())
        self.receiver.answer_next(503, retry_after=2)
        began = time.monotonic()
        session = support.run(self, WORK, ["--service", "shop", "--otlp_url", self.url])
        self.assertGreaterEqual(time.monotonic() - began, 1.5 + 2)
        got, = self.receiver.got()[before:]
        same_profile.check_otlp(self, got["content"], session.profile())


if __name__ == "__main__":
    support.main()
