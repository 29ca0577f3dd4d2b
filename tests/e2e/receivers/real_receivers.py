#!/usr/bin/python3
"""Real runs of ddprof-launch against a real OpenTelemetry Collector and a real Grafana Pyroscope; scripts/receivers builds
them and runs this. Each prints what came back. What Pyroscope says is compared with the file of the same profile; what
the Collector got it prints, and sends on to otlp_receiver.py, where it is compared."""

import json
import os
import re
import time
import unittest
import urllib.error
import urllib.parse
import urllib.request

import harness
import same_profile
import support
from support import target

RECEIVERS = os.environ.get("DDPROF_RECEIVERS", "")
WORK = [target("demo_workload"), "2"]

COLLECTOR = """
receivers:
  otlp: {{protocols: {{http: {{endpoint: "127.0.0.1:{port}"}}}}}}
exporters:
  debug: {{verbosity: detailed}}
  otlp_http: {{endpoint: "http://127.0.0.1:{next_port}", compression: none}}
service:
  telemetry: {{metrics: {{level: none}}}}
  pipelines:
    profiles: {{receivers: [otlp], exporters: [debug, otlp_http]}}
"""

# One process does everything, on the loopback interface only, and reports to nobody.
PYROSCOPE = """-target=all -server.http-listen-address=127.0.0.1 -server.grpc-listen-address=127.0.0.1
-memberlist.bind-addr=127.0.0.1 -memberlist.advertise-addr=127.0.0.1
-usage-stats.enabled=false -self-profiling.disable-push=true
-storage.backend=filesystem -storage.filesystem.dir=store -pyroscopedb.data-path=data -compactor.data-dir=compactor
-compactor.ring.instance-addr=127.0.0.1 -distributor.ring.instance-addr=127.0.0.1 -ingester.lifecycler.addr=127.0.0.1
-overrides-exporter.ring.instance-addr=127.0.0.1 -query-frontend.instance-addr=127.0.0.1
-query-scheduler.ring.instance-addr=127.0.0.1 -store-gateway.sharding-ring.instance-addr=127.0.0.1
-auth.multitenancy-enabled=true -ingester.min-ready-duration=0s""".split()
TENANT = "team-a"


def setUpModule():
    support.require_profiling()


def say(text):
    print("    " + text, flush=True)


def program(name):
    path = os.path.join(RECEIVERS, name, name)
    if not os.access(path, os.X_OK):
        support.skip(f"there is no {path}; scripts/receivers makes it")
    return path


class Collector:
    """With a receiver of ours behind it."""

    def __init__(self, case):
        self.folder = support.temporary_folder(case, mode=0o755)
        self.behind = harness.OtlpReceiver(case, "--relayed")
        self.port = harness.free_port()
        with open(os.path.join(self.folder, "collector.yaml"), "w", encoding="utf-8") as file:
            file.write(COLLECTOR.format(port=self.port, next_port=self.behind.port))
        line = [program("collector"), "--config=file:collector.yaml", "--feature-gates=service.profilesSupport"]
        self.program = harness.Program(case, line, self.folder, lambda: harness.answers(self.port))

    def printed(self):
        return support.read_text(self.program.log)


class Pyroscope:
    def __init__(self, case):
        self.folder = support.temporary_folder(case, mode=0o755)
        self.port, grpc, gossip = harness.free_ports(3)
        line = [program("pyroscope"), *PYROSCOPE, f"-server.http-listen-port={self.port}", f"-server.grpc-listen-port={grpc}",
                f"-memberlist.bind-port={gossip}", f"-memberlist.advertise-port={gossip}"]
        self.program = harness.Program(case, line, self.folder, self.is_ready)

    def is_ready(self):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/ready", timeout=5) as answer:
                return answer.status == 200
        except OSError:
            return False

    def ask(self, method, tenant=TENANT, **question):
        """A method of querier.v1.QuerierService, over the last ten minutes."""
        question = {"start": int((time.time() - 600) * 1000), "end": int((time.time() + 60) * 1000), **question}
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/querier.v1.QuerierService/{method}",
                                         json.dumps(question).encode(),
                                         {"Content-Type": "application/json", "X-Scope-OrgID": tenant})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def types(self, tenant=TENANT):
        return {one["ID"] for one in self.ask("ProfileTypes", tenant).get("profileTypes", [])}

    def profile(self, kind, selector):
        """[(names, value)], root first, of all that it has of this type."""
        found = self.ask("SelectMergeProfile", profile_typeID=kind, label_selector=selector)
        text = found["stringTable"]
        functions = {one["id"]: text[int(one.get("name", 0))] for one in found.get("function", [])}
        locations = {one["id"]: [functions[line["functionId"]] for line in one.get("line", [])] or [""]
                     for one in found.get("location", [])}
        return [([name for number in sample["locationId"] for name in locations[number]][::-1], int(sample["value"][0]))
                for sample in found.get("sample", [])]


class RealReceivers(unittest.TestCase):
    def launch(self, *options, **environment):
        session = support.run(self, WORK, ["--service", "shop", "--environment", "prod", "--tags", "zone:b", *options],
                              env={**os.environ, **environment})
        self.assertEqual(session.status, 0, session.stderr)
        return session

    def test_collector(self):
        collector = Collector(self)
        session = self.launch("--otlp_url", f"http://127.0.0.1:{collector.port}/v1development/profiles", "-u", "1")
        files = [file for file in session.profiles() if file.samples]  # it passes on nothing else
        try:
            support.wait_until(lambda: len(collector.behind.got()) >= len(files), what="the Collector to send on what it got")
        except AssertionError as error:
            raise AssertionError(f"{error}: {len(collector.behind.got())} of {len(files)}; it says: "
                                 f"{collector.printed()[-2000:]}") from error
        got = collector.behind.got()
        self.assertEqual([one["problems"] for one in got], [[]] * len(files))
        printed = collector.printed()
        self.assertEqual(len(re.findall(r"^Profile #", printed, re.M)), sum(len(one["content"]["profiles"]) for one in got))
        self.assertIn("-> service.name: Str(shop)", printed)
        self.assertNotIn("\terror\t", printed)
        for one, file in zip(sorted(got, key=lambda one: one["content"]["profiles"][0]["time"]), files):
            functions = same_profile.check_otlp(self, one["content"], file)
            say(f"Collector: {len(file.samples)} samples, {support.total_ns(file.samples)} ns: all {functions} functions have "
                f"the totals of {os.path.basename(file.path)}")
        say(f"Collector: resource {json.dumps(got[0]['content']['resource'])}")

    def check_pyroscope(self, server, file, selector, kinds):
        for number, kind in enumerate(kinds):
            got = server.profile(kind, selector)
            functions = same_profile.check_values(self, got, file, number)
            say(f"Pyroscope: {kind}{selector}: {sum(value for _, value in got)}: all {functions} functions have the totals "
                f"of {os.path.basename(file.path)}")

    def test_pyroscope_ingest(self):
        server = Pyroscope(self)
        session = self.launch("--pyroscope_url", f"http://127.0.0.1:{server.port}", "--pyroscope_tenant", TENANT)
        say(f"Pyroscope: types {sorted(server.types())}; labels {server.ask('LabelNames').get('names')}")
        self.check_pyroscope(server, session.profile(), '{service_name="shop",env="prod"}',
                             ["process_cpu:cpu:nanoseconds:cpu:nanoseconds", "process_cpu:samples:count:cpu:nanoseconds"])
        self.assertEqual(server.types("another"), set())  # the tenant was ours

    def test_idle_program(self):
        """A profile without samples is taken, too: it says that there was nothing."""
        collector, server = Collector(self), Pyroscope(self)
        log = os.path.join(support.temporary_folder(self), "log")
        support.run(self, ["/bin/sleep", "1"], [
            "--service", "idle", "--otlp_url", f"http://127.0.0.1:{collector.port}/v1development/profiles", "--pyroscope_url",
            f"http://127.0.0.1:{server.port}", "--pyroscope_tenant", TENANT, "--log_mode", log])
        said = support.read_text(log).strip()
        self.assertEqual(said.count("1 profile delivered"), 2, said)
        say(said.partition("; ")[2])

    def test_pyroscope_otlp(self):
        """It makes process_cpu of the number of samples and their period, and calls what is CPU time already cpu."""
        server = Pyroscope(self)
        session = self.launch("--otlp_url", f"http://127.0.0.1:{server.port}/v1development/profiles",
                              OTEL_EXPORTER_OTLP_HEADERS=f"X-Scope-OrgID={TENANT}")
        types = server.types()
        say(f"Pyroscope, by OTLP: types {sorted(types)}; labels {server.ask('LabelNames').get('names')}")
        for kind in ("cpu:cpu:nanoseconds:cpu:nanoseconds", "process_cpu:cpu:nanoseconds:cpu:nanoseconds"):
            self.check_pyroscope(server, session.profile(), '{service_name="shop"}', [kind])


if __name__ == "__main__":
    support.main()
