"""Where profiles go when nobody says so, and what is said then. In a network of its own: what answers at localhost:8126 is
this test, or nothing."""

import fcntl
import glob
import http.server
import os
import socket
import struct
import subprocess
import sys
import threading
import unittest

import support
from support import LAUNCH, target

if os.environ.get("DDPROF_OWN_NETWORK") != "yes" and os.geteuid() == 0:
    os.environ["DDPROF_OWN_NETWORK"] = "yes"
    os.execvp("unshare", ["unshare", "--net", sys.executable, *sys.argv])

NOTICE = "ddprof-launch: profiles go to "
IN_FOLDER = NOTICE + "files in the current folder (no Datadog agent answers at localhost:8126; --output or --url chooses)"
SIOCSIFFLAGS, IFF_UP = 0x8914, 1
WORK = [target("split"), "0.5"]


def setUpModule():
    support.require_root()
    support.require_profiling()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", IFF_UP))


class Agent:
    """Takes what comes."""

    def __init__(self, case, port=8126, family=socket.AF_INET):
        got = self.got = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):  # pylint: disable=invalid-name
                got.append((self.path, self.rfile.read(int(self.headers["content-length"]))))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_):  # pylint: disable=arguments-differ
                pass

        class Server(http.server.ThreadingHTTPServer):
            address_family = family

        server = Server(("127.0.0.1" if family == socket.AF_INET else "::1", port), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        case.addCleanup(server.server_close)
        case.addCleanup(server.shutdown)


class Destinations(unittest.TestCase):
    def setUp(self):
        self.folder = support.temporary_folder(self)

    def launch(self, *options, command=(), **environment):
        """(status, lines of standard error), in a folder of its own."""
        base = {name: value for name, value in os.environ.items() if not name.startswith(("DD_", "OTEL_", "PYROSCOPE_"))}
        done = subprocess.run([LAUNCH, "--wait", *options, *(command or WORK)], cwd=self.folder, env={**base, **environment},
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60, check=False)
        support.wait_for_adopted()
        return done.returncode, done.stderr.decode().splitlines()

    def files(self):
        return glob.glob(os.path.join(self.folder, "*.pprof"))

    def test_nobody_answers(self):
        status, lines = self.launch()
        self.assertEqual((status, lines[0]), (0, IN_FOLDER), lines)
        self.assertEqual(len(self.files()), 1, lines)

    def test_agent_answers(self):
        for family in socket.AF_INET, socket.AF_INET6:
            with self.subTest(family=family):
                agent = Agent(self, family=family)
                status, lines = self.launch()
                self.assertEqual((status, lines[0]), (0, NOTICE + "the Datadog agent at localhost:8126 (nothing else was chosen; "
                                                         "--output or --url chooses)"), lines)
                self.assertEqual([path for path, _ in agent.got], ["/profiling/v1/input"], lines)
                self.assertEqual(self.files(), [])
                self.doCleanups()
                self.setUp()

    def test_chosen(self):
        agent = Agent(self)
        for options in (["--output", "."], ["--output", ".", "--do_export", "false"]):
            with self.subTest(options=options):
                _, lines = self.launch(*options)
                self.assertFalse([line for line in lines if line.startswith(NOTICE)], lines)
        self.assertEqual((len(self.files()), agent.got), (2, []))

    def test_nothing_leaves(self):
        agent = Agent(self)
        _, lines = self.launch("--do_export", "false", DD_AGENT_HOST="localhost")
        self.assertEqual(lines[0], NOTICE + "files in the current folder (--do_export is false; --output chooses)")
        self.assertEqual((len(self.files()), agent.got), (1, []))

    def test_bad_certificate(self):
        """What only the TLS library sees is said, and the files are written all the same."""
        authorities = os.path.join(self.folder, "ca.pem")
        with open(authorities, "w", encoding="ascii") as file:
            file.write("-----BEGIN CERTIFICATE-----\nAAAAAAAA\n-----END CERTIFICATE-----\n")
        status, lines = self.launch("--output", ".", "--url", "https://localhost:4433", "--ca_file", authorities,
                                    "-b", "/nowhere/statsd")
        text = "\n".join(lines)
        self.assertEqual((status, len(self.files())), (0, 1), text)
        self.assertRegex(text, r"(?i)certificate|CA file|PEM")
        self.assertIn("1 lost (Datadog agent at localhost:4433: ", text)

    def test_prefix_of_two(self):
        """Two runs that end in the same second, with the same prefix: nobody's profile is lost."""
        runs = [subprocess.Popen([LAUNCH, "--wait", "--debug_pprof_prefix", "p_", *WORK], cwd=self.folder,
                                 stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for _ in range(6)]
        for run in runs:
            self.assertEqual(run.wait(60), 0)
        support.wait_for_adopted()
        self.assertEqual(len(glob.glob(os.path.join(self.folder, "p_*Z*.pprof.zst"))), 6, os.listdir(self.folder))
        self.assertFalse([name for name in os.listdir(self.folder) if name.endswith(".tmp")])

    def test_several(self):
        agent = Agent(self)
        status, lines = self.launch("--output", ".", "--debug_pprof_prefix", "p_", DD_TRACE_AGENT_URL="http://localhost:8126")
        self.assertEqual(status, 0)
        self.assertEqual((len(self.files()), len(glob.glob(os.path.join(self.folder, "p_*T*Z.pprof.zst"))), len(agent.got)), (1, 1, 1), lines)

    def test_bad_values(self):
        """Of the environment: the command runs. Of the command line: it does not."""
        says = "the value does not begin with http:// or https://; it is to look like http://host:port or https://host"
        echo = ["/bin/echo", "x"]
        status, lines = self.launch(command=echo, DD_TRACE_AGENT_URL="ftp://h")
        self.assertEqual((status, lines), (0, ["ddprof-launch: not profiling: DD_TRACE_AGENT_URL: " + says]))
        status, lines = self.launch("--require", command=echo, DD_TRACE_AGENT_URL="ftp://h")
        self.assertEqual((status, lines), (125, ["ddprof-launch: not profiling: DD_TRACE_AGENT_URL: " + says]))
        status, lines = self.launch("--url", "ftp://h", command=echo)
        self.assertEqual((status, lines), (125, ["ddprof-launch: --url: " + says]))
        status, lines = self.launch(command=echo, OTEL_EXPORTER_OTLP_PROTOCOL="grpc", OTEL_EXPORTER_OTLP_ENDPOINT="?")
        self.assertEqual((status, lines[0]), (0, IN_FOLDER), lines)


if __name__ == "__main__":
    support.main()
