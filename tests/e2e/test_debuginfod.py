"""Debug files that are not on this host, from a server: elfutils' own debuginfod, and strange ones."""

import http.server
import os
import shutil
import socket
import subprocess
import threading
import time
import unittest
import urllib.request

import support
from test_names import NAMED, build


def setUpModule():
    support.require_profiling()


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


class Scripted(http.server.ThreadingHTTPServer):
    """Answers each GET as `answer(handler, number)` says, and remembers the paths."""

    def __init__(self, case, answer):
        self.asked = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(handler):
                self.asked.append(handler.path)
                answer(handler, len(self.asked))

            def log_message(handler, *_):
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()
        case.addCleanup(self.server_close)
        case.addCleanup(self.shutdown)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}"


def send(handler, status, body, delay=0):
    time.sleep(delay)
    handler.send_response(status)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    try:
        handler.wfile.write(body)
    except OSError:
        pass  # it had enough


class Debuginfod(unittest.TestCase):
    def setUp(self):
        self.folder = support.temporary_folder(self, mode=0o755)
        self.program, self.build_id = build(self.folder, "svc")
        os.mkdir(os.path.join(self.folder, "served"))
        self.debug = os.path.join(self.folder, "served", "svc.debug")
        shutil.move(os.path.join(self.folder, "svc.debug"), self.debug)

    def profiles(self, urls, *options, seconds=0.5):
        return support.run(self, [self.program, str(int(seconds * 1000))], options,
                           env={**os.environ, "DEBUGINFOD_URLS": urls})

    def share(self, profile):
        return support.share_of(profile.samples, support.has_function(NAMED))

    def serve(self):
        server = support.require_program("debuginfod")
        port = free_port()
        process = subprocess.Popen(
            [server, "-F", "-p", str(port), "-d", ":memory:", os.path.join(self.folder, "served")],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        support.started.add(process.pid)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        url = f"http://127.0.0.1:{port}"

        def serves():
            try:
                urllib.request.urlopen(f"{url}/buildid/{self.build_id}/debuginfo").close()
                return True
            except OSError:  # not listening, or not scanned yet
                return False

        support.wait_until(serves, 60, "debuginfod to serve the file")
        return url

    def test_real_server(self):
        url = self.serve()
        profile = self.profiles(url, "--debuginfod=true").profile()
        self.assertGreaterEqual(self.share(profile), 90, support.folded(profile)[:5])

    def test_off_unless_asked_for(self):
        server = Scripted(self, lambda handler, number: send(handler, 404, b""))
        self.assertEqual(self.share(self.profiles(server.url).profile()), 0)
        self.assertEqual(server.asked, [])

    def test_second_server_has_it(self):
        with open(self.debug, "rb") as file:
            body = file.read()
        first = Scripted(self, lambda handler, number: send(handler, 404, b"no such file"))
        second = Scripted(self, lambda handler, number: send(handler, 200 if self.build_id in handler.path else 404, body))
        profile = self.profiles(f"ima:enforcing {first.url} {second.url}/", "--debuginfod=true").profile()
        self.assertGreaterEqual(self.share(profile), 90, support.folded(profile)[:5])
        self.assertIn(f"/buildid/{self.build_id}/debuginfo", first.asked)
        self.assertIn(f"/buildid/{self.build_id}/debuginfo", second.asked)

    def test_wrong_file(self):
        """What a server sends is used only if it is of the build that ran."""
        build(self.folder, "other", function="lie")
        with open(os.path.join(self.folder, "other.debug"), "rb") as file:
            body = file.read()
        server = Scripted(self, lambda handler, number: send(handler, 200, body))
        profile = self.profiles(server.url, "--debuginfod=true").profile()
        self.assertTrue(server.asked)
        self.assertEqual(support.share_of(profile.samples, support.has_function("lie")), 0)
        self.assertEqual(self.share(profile), 0)

    def test_garbage_and_silence(self):
        for answer in (lambda handler, number: send(handler, 200, b"\x7fELF" + bytes(5000)),
                       lambda handler, number: send(handler, 500, b"broken"),
                       lambda handler, number: handler.connection.close()):
            server = Scripted(self, answer)
            profile = self.profiles(server.url, "--debuginfod=true").profile()
            self.assertTrue(server.asked)
            self.assertEqual(self.share(profile), 0)
            self.assertGreater(len(profile.samples), 0)

    def test_nobody_listens(self):
        start = time.monotonic()
        profile = self.profiles(f"http://127.0.0.1:{free_port()}", "--debuginfod=true").profile()
        self.assertGreater(len(profile.samples), 0)
        self.assertLess(time.monotonic() - start, 10)

    def test_late_file_serves_the_next_profile(self):
        """The first profile does not wait for ever, and what it lacks is not remembered."""
        with open(self.debug, "rb") as file:
            body = file.read()

        def answer(handler, number):
            late = self.build_id in handler.path
            send(handler, 200 if late else 404, body if late else b"", delay=7 if late else 0)

        server = Scripted(self, answer)
        profiles = self.profiles(server.url, "--debuginfod=true", "-u", "2", seconds=12).profiles()
        profiles = [profile for profile in profiles if len(profile.samples) > 0]  # the last may have none
        self.assertGreaterEqual(len(profiles), 4)
        self.assertEqual(self.share(profiles[0]), 0)
        self.assertGreaterEqual(self.share(profiles[-1]), 90, support.folded(profiles[-1])[:5])
        self.assertEqual(len([path for path in server.asked if self.build_id in path]), 1)

    def test_missing_is_asked_for_once(self):
        server = Scripted(self, lambda handler, number: send(handler, 404, b""))
        profiles = self.profiles(server.url, "--debuginfod=true", "-u", "1", seconds=4).profiles()
        self.assertGreaterEqual(len(profiles), 3)
        self.assertEqual(len(set(server.asked)), len(server.asked))

    def test_needs_a_server(self):
        result = subprocess.run([support.LAUNCH, "--debuginfod=true", "true"], capture_output=True, text=True,
                                env={k: v for k, v in os.environ.items() if k != "DEBUGINFOD_URLS"})
        self.assertEqual(result.returncode, 125)
        self.assertRegex(result.stderr, r"^ddprof-launch: --debuginfod: needs a server; set DEBUGINFOD_URLS.*\n$")


if __name__ == "__main__":
    support.main()
