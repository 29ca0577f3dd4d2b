"""Keys and passwords: in the exporter's memory, and in no other process, message, command line or listing."""

import os
import re
import subprocess
import unittest

import support
from support import LAUNCH, target

KEY = "5ec4e7" + "0123456789abcdef" * 2  # of an API; and what follows is in headers and URLs
PASSWORD, HEADER, PROXY = "5ec4e7-password", "5ec4e7-header", "5ec4e7-proxy"
ALL = [text.encode() for text in (KEY, PASSWORD, HEADER, PROXY, "dTo1ZWM0ZTctcGFzc3dvcmQ=")]  # the last: basic authorization


def setUpModule():
    support.require_profiling()
    support.require_root()  # to look into processes that are not dumpable


def memory(pid):
    """Everything a process can read of itself, and what the kernel keeps for it."""
    found = [support.read_text(f"/proc/{pid}/cmdline").encode(), support.read_text(f"/proc/{pid}/environ").encode()]
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as file:
        for line in support.read_text(f"/proc/{pid}/maps").splitlines():
            begin, end, rights = re.match(r"([0-9a-f]+)-([0-9a-f]+) (\S+)", line).groups()
            if not rights.startswith("r") or "[vvar" in line or "[vsyscall" in line or "perf_event" in line:
                continue
            try:
                file.seek(int(begin, 16))
                found.append(file.read(int(end, 16) - int(begin, 16)))
            except OSError:
                continue  # a mapping of the kernel's own
    return b"\n".join(found)


class Secrets(unittest.TestCase):
    def setUp(self):
        self.folder = support.temporary_folder(self)
        with open(self.path("key"), "w", encoding="ascii") as file:
            file.write(KEY)
        subprocess.run([support.require_program("openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=x",
                        "-keyout", self.path("private"), "-out", self.path("ca")], check=True, capture_output=True)
        self.private = [line.encode() for line in support.read_text(self.path("private")).splitlines() if len(line) == 64]

    def path(self, name):
        return os.path.join(self.folder, name)

    def options(self):
        """Nobody listens at port 9 of this machine."""
        return ["--agentless", "true", "--intake_url", "http://127.0.0.1:9/x", "--api_key_file", self.path("key"),
                "--client_certificate", self.path("ca"), "--client_key", self.path("private"), "--service", "controlled"]

    def test_memory(self):
        session = support.Session(self, [target("split"), "30"], self.options())
        try:
            roles = support.wait_for_roles(session.supervisor())
            self.assertIn("exporter", roles)
            for name, pid in {**roles, "target": session.pid}.items():
                if name == "exporter":
                    continue
                found = memory(pid)
                self.assertGreater(len(found), 100000, name)
                for secret in ALL + self.private:
                    self.assertNotIn(secret, found, name)
            self.assertIn(b"controlled", memory(roles["supervisor"]))  # what is there would be seen
            self.assertIn(KEY.encode(), memory(roles["exporter"]))
        finally:
            session.process.terminate()
            session.finish()
        for secret in ALL:
            self.assertNotIn(secret, session.stderr)

    def test_waiting_parent(self):
        session = support.Session(self, [target("split"), "30"], ["--wait", *self.options()])
        try:
            support.wait_for_roles(session.supervisor())
            found = memory(session.pid)
            self.assertIn(b"controlled", found)
            for secret in ALL + self.private:
                self.assertNotIn(secret, found)
        finally:
            session.process.terminate()
            session.finish()

    def test_messages(self):
        """Good values and bad ones, in every listing and every complaint."""
        environment = {
            "DD_API_KEY": KEY, "OTEL_EXPORTER_OTLP_HEADERS": f"authorization={HEADER}", "PYROSCOPE_BASIC_AUTH_PASSWORD": PASSWORD,
            "PYROSCOPE_BASIC_AUTH_USER": "u", "OTEL_EXPORTER_OTLP_PROFILES_ENDPOINT": f"http://u:{PASSWORD}@127.0.0.1:9/p?key={PASSWORD}",
            "PYROSCOPE_SERVER_ADDRESS": "http://127.0.0.1:9", "http_proxy": f"http://u:{PROXY}@127.0.0.1:9"}
        bad = [{"DD_API_KEY": KEY + "\n"}, {"OTEL_EXPORTER_OTLP_HEADERS": HEADER}, {"OTEL_EXPORTER_OTLP_PROFILES_ENDPOINT": f"http://u:{PASSWORD}@"},
               {"PYROSCOPE_SERVER_ADDRESS": f"u:{PASSWORD}@x"}, {"http_proxy": f"u:{PROXY}@ x"}, {"PYROSCOPE_BASIC_AUTH_USER": ""}]
        lines = [[LAUNCH, "--show_config"], [LAUNCH, "--output", self.folder, "--show_config", "-l", "debug", "--wait", "true"],
                 [LAUNCH, "--api_key", KEY, "true"], [LAUNCH, "--otlp_headers", HEADER, "true"], [LAUNCH, "--pyroscope_url", f"http://u:{PASSWORD}@h", "true"]]
        for change in ({}, *bad):
            for line in lines:
                done = subprocess.run(line, env={**os.environ, **environment, **change}, capture_output=True, check=False, timeout=60)
                for secret in ALL:
                    self.assertNotIn(secret, done.stdout + done.stderr, (line, change))
        support.wait_for_adopted()


if __name__ == "__main__":
    support.main()
