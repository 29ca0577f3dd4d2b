#!/usr/bin/python3
"""Real runs of ddprof-launch against Datadog's own test agent, by TCP and by Unix socket: what it got is read by wire.py's
tables, by aiohttp's multipart reader, zstd(1) and Go's pprof, and compared with the file of the same profile."""

import os
import platform
import time

import harness
import support
import wire
from support import target

WORK = [target("demo_workload"), "1.5"]
WHO = ["--service", "shop", "--environment", "prod", "--service_version", "1.2", "--tags", "team:a,zone:b"]


def setUpModule():
    support.require_profiling()


class Uploads(harness.WithReceiver):
    make = harness.DatadogAgent

    def setUp(self):
        self.receiver.forget()
        self.url = f"http://127.0.0.1:{self.receiver.port}"

    def run_to_agent(self, options, command=(), external_env=None, **named):
        """(session, uploads); every upload is what wire.py wants, and there is one for each file."""
        began = time.time()
        session = support.run(self, list(command or WORK), [*WHO, *options], **named)
        self.assertEqual(session.status, 0, session.stderr)
        wanted = wire.Expected("shop", "prod", "1.2", (("team", "a"), ("zone", "b")), not_before=began - 1,
                               not_after=time.time() + 1, external_env=external_env)
        requests = self.receiver.requests()
        uploads = [wire.read(request, wire.dataclasses.replace(wanted, sequence=number))
                   for number, request in enumerate(requests)]
        self.assertEqual(len(uploads), len(session.profile_paths()), session.stderr)
        self.assertTrue(uploads, "no profile at all")
        for upload, file in zip(uploads, session.profiles()):
            self.compare(upload, file)
        return session, uploads

    def compare(self, upload, file):
        """The profile that was sent is the one in the file."""
        sent = harness.profile(self, upload.pprof)
        self.assertEqual(support.folded(sent), support.folded(file))
        self.assertEqual([sorted(s.labels.items()) for s in sent.samples], [sorted(s.labels.items()) for s in file.samples])
        self.assertEqual({(sent.mapping_name(m), sent.strings[m.build_id]) for m in sent.message.mapping},
                         {(file.mapping_name(m), file.strings[m.build_id]) for m in file.message.mapping})
        start, end = (wire.nanoseconds(upload.event[name]) for name in ("start", "end"))
        self.assertEqual((start, end), (file.message.time_nanos, file.message.time_nanos + file.message.duration_nanos))

    def one_upload(self, *options, **named):
        _, (upload,) = self.run_to_agent(options, **named)
        return upload

    def test_tcp(self):
        upload = self.one_upload("--url", self.url)
        self.assertEqual(upload.request.headers["host"], f"127.0.0.1:{self.receiver.port}")
        self.assertEqual((upload.tags["number_of_cpu_cores"], upload.tags["number_hw_concurent_threads"]),
                         (str(os.sysconf("SC_NPROCESSORS_CONF")), str(os.sysconf("SC_NPROCESSORS_ONLN"))))
        self.assertEqual(upload.tags["cpu_arch"], {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()])
        self.assertTrue(upload.tags["runtime_platform"].startswith(platform.machine() + "-"), upload.tags)

    def test_unix_socket(self):
        for url in ("unix://" + self.receiver.socket_path, self.receiver.socket_path):
            with self.subTest(url=url):
                self.receiver.forget()
                upload = self.one_upload("--url", url)
                self.assertEqual(upload.request.headers["host"], "localhost")

    def test_ordinary_user(self):
        for url in (self.url, "unix://" + self.receiver.socket_path):
            with self.subTest(url=url):
                self.receiver.forget()
                self.one_upload("--url", url, prefix=support.user_prefix())

    def test_other_ways_to_name_the_agent(self):
        port = str(self.receiver.port)
        for options, environment in ((["--url", "127.0.0.1:" + port], {}), (["-H", "127.0.0.1", "-P", port], {}),
                                     ([], {"DD_TRACE_AGENT_URL": self.url}),
                                     ([], {"DD_AGENT_HOST": "localhost", "DD_TRACE_AGENT_PORT": port})):
            with self.subTest(options=options, environment=environment):
                self.receiver.forget()
                self.one_upload(*options, env={**os.environ, **environment})

    def test_other_readers(self):
        """Multipart by aiohttp, pprof by Go."""
        upload = self.one_upload("--url", self.url)
        parts = harness.read_multipart(upload.request)
        self.assertEqual([(part["Content-Disposition"], part.get("Content-Type")) for part, _ in parts],
                         [('form-data; name="event"; filename="event.json"', "application/json"),
                          ('form-data; name="profile.pprof"; filename="profile.pprof"', None)])
        self.assertEqual([body for _, body in parts], list(wire.split_body(upload.request)))
        raw = harness.go_pprof(self, upload.pprof)
        self.assertIn("PeriodType: cpu-time nanoseconds", raw)
        self.assertRegex(raw, r"(?m)^cpu-time/nanoseconds(\[dflt\])? cpu-samples/count$")
        self.assertIn("demo::rays::trace_ray", raw)

    def test_several_periods(self):
        session, uploads = self.run_to_agent(["--url", self.url, "-u", "1"], [target("split"), "3.5"])
        self.assertGreaterEqual(len(uploads), 4, session.stderr)
        self.assertEqual(len({upload.tags["runtime-id"] for upload in uploads}), 1)
        for one, following in zip(uploads, uploads[1:]):
            self.assertEqual(one.event["end"], following.event["start"])

    def test_two_launches(self):
        """Each has a runtime-id of its own, unless it is given one."""
        ids = [self.one_upload("--url", self.url).tags["runtime-id"]]
        self.receiver.forget()
        ids.append(self.one_upload("--url", self.url).tags["runtime-id"])
        self.assertNotEqual(*ids)
        self.receiver.forget()
        again = self.one_upload("--url", self.url, env={**os.environ, "DD_PROFILING_RUNTIME_ID": ids[0]})
        self.assertEqual(again.tags["runtime-id"], ids[0])

    def test_external_env(self):
        said = "it-false,cn-shop,pu-0"
        self.one_upload("--url", self.url, env={**os.environ, "DD_EXTERNAL_ENV": said}, external_env=said)

    def test_key_is_not_for_agents(self):
        """wire.py refuses the header; nor is the key anywhere else in the request."""
        key = "0123456789abcdef" * 2
        upload = self.one_upload("--url", self.url, env={**os.environ, "DD_API_KEY": key})
        self.assertNotIn(key, str(upload.request.headers))
        self.assertNotIn(key.encode(), upload.request.body)
        self.assertNotIn(key.encode(), upload.pprof)


if __name__ == "__main__":
    support.main()
