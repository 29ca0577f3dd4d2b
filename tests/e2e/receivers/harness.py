"""Starts receivers that others wrote, and asks them what they got. Where they come from: scripts/peers."""

import base64
import contextlib
import gzip
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import unittest
import urllib.parse

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))
import support  # pylint: disable=wrong-import-position
import wire  # pylint: disable=wrong-import-position

PEERS = os.environ.get("DDPROF_PEERS", os.path.join(HERE, "../../../build/peers"))
START_S = 30  # a machine that is busy with other tests


def peer(path):
    """A program below build/peers."""
    whole = os.path.abspath(os.path.join(PEERS, path))
    if not os.access(whole, os.X_OK):
        support.skip(f"there is no {whole}; scripts/peers makes it")
    return whole


def become(path):
    """Goes on as the same test in a peer's Python, for the sake of its packages."""
    if os.environ.get("DDPROF_PEER_PYTHON") != path:
        try:
            program = peer(path)
        except unittest.SkipTest as skipped:
            print("SKIP", skipped)
            sys.exit(support.EXIT_SKIPPED)
        os.environ["DDPROF_PEER_PYTHON"] = path
        os.execv(program, [program, *sys.argv])


def free_ports(count):
    """Different ones: each is held until all are known."""
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]


def free_port():
    return free_ports(1)[0]


def answers(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


class Program:
    """Something that runs until the test is over. What it prints is shown when it does not come up."""

    def __init__(self, case, line, folder, ready):
        self.log = os.path.join(folder, os.path.basename(line[0]) + ".log")
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(line, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            start_new_session=True, env={**os.environ, "HOME": folder})
        support.started.add(self.process.pid)
        case.addCleanup(self.stop)
        try:
            support.wait_until(lambda: self.process.poll() is not None or ready(), START_S, line[0])
        except AssertionError as error:
            raise AssertionError(f"{error}; it says: {support.read_text(self.log)}") from error
        if self.process.poll() is not None:
            raise AssertionError(f"{line[0]} ended: {support.read_text(self.log)}")

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()


class WithReceiver(unittest.TestCase):
    """One receiver for all tests of a class, as cls.receiver."""

    make = None  # given a test case, that it may clean up after it

    @classmethod
    def setUpClass(cls):
        cls.owner = unittest.FunctionTestCase(lambda: None)
        cls.receiver = cls.make(cls.owner)

    @classmethod
    def tearDownClass(cls):
        cls.owner.doCleanups()


# ---- requests, by hand ----


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost")
        self.socket_path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.socket_path)


def exchange(connection, method, path, body=None, headers=None):
    """(status, bytes of the answer)."""
    with contextlib.closing(connection):
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read()


# ---- receivers ----


class DatadogAgent:
    """ddapm-test-agent, on TCP and on a Unix socket at once. It keeps every request to /profiling/v1/input whole."""

    def __init__(self, case):
        program = peer("agent/bin/ddapm-test-agent")
        self.folder = support.temporary_folder(case, mode=0o755)
        self.port, otlp_http, otlp_grpc = free_ports(3)
        self.socket_path = os.path.join(self.folder, "apm.socket")
        line = [program, "--port", str(self.port), "--trace-uds-socket", self.socket_path,
                "--otlp-http-port", str(otlp_http), "--otlp-grpc-port", str(otlp_grpc),
                "--vcr-cassettes-directory", self.folder]
        self.program = Program(case, line, self.folder, lambda: answers(self.port) and os.path.exists(self.socket_path))
        os.chmod(self.socket_path, 0o777)

    def ask(self, path):
        status, text = exchange(http.client.HTTPConnection("127.0.0.1", self.port), "GET", path)
        if status != 200:
            raise AssertionError(f"{path}: {status} {text!r}")
        return text

    def forget(self):
        self.ask("/test/session/clear")

    def requests(self):
        return [wire.Request(one["method"], urllib.parse.urlsplit(one["url"]).path,
                             {name.lower(): value for name, value in one["headers"].items()},
                             base64.b64decode(one["body"]))
                for one in json.loads(self.ask("/test/session/requests"))]


def read_multipart(request):
    """[(headers, body)] as aiohttp's reader sees them: a second opinion on the body's form."""
    done = subprocess.run([peer("agent/bin/python3"), os.path.join(HERE, "read_multipart.py"),
                           request.headers["content-type"]], input=request.body, capture_output=True, check=False)
    if done.returncode != 0:
        raise wire.Wrong("body", done.stderr.decode())
    return [(part["headers"], base64.b64decode(part["body"])) for part in json.loads(done.stdout)]


class OtlpReceiver:
    """otlp_receiver.py, which decodes with the official classes."""

    def __init__(self, case, *options):
        self.port = free_port()
        line = [peer("otlp/bin/python3"), os.path.join(HERE, "otlp_receiver.py"), str(self.port), *options]
        self.program = Program(case, line, support.temporary_folder(case, mode=0o755), lambda: answers(self.port))

    def got(self, path="/got"):
        status, text = exchange(http.client.HTTPConnection("127.0.0.1", self.port), "GET", path)
        if status != 200:
            raise AssertionError(f"{status} {text!r}")
        return json.loads(text)

    def answer_next(self, status, retry_after=None):
        self.got(f"/next?status={status}" + (f"&retry_after={retry_after}" if retry_after else ""))


# ---- pprof ----


def profile(case, pprof):
    """These bytes, read as the other tests read a file."""
    path = os.path.join(support.temporary_folder(case), "received.pprof")
    with open(path, "wb") as file:
        file.write(gzip.compress(pprof))
    return support.Profile(path)


def go_pprof(case, pprof):
    """What `go tool pprof -raw` prints of these bytes."""
    folder = support.temporary_folder(case)
    path = os.path.join(folder, "profile.pprof")
    with open(path, "wb") as file:
        file.write(pprof)
    done = subprocess.run([support.require_program("go"), "tool", "pprof", "-raw", path], capture_output=True, text=True,
                          env={**os.environ, "HOME": folder, "GOFLAGS": "-mod=mod",
                               "GOCACHE": os.path.join(os.path.abspath(PEERS), "go-cache")}, check=False)
    if done.returncode != 0:
        raise AssertionError(f"go tool pprof: {done.stderr}")
    return done.stdout
