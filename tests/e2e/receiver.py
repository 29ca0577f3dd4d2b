"""A server that takes profiles, and can be down, slow or unwilling: scripted, on a port that stays its own."""

import http.server
import os
import re
import socket
import socketserver
import threading
import time

PATTERNS = {"sequence": re.compile(rb"profile_seq:(\d+)"), "launch": re.compile(rb"runtime-id:([0-9a-f-]{36})")}


class Request:
    """What was sent, and what it was told."""

    def __init__(self, path, headers, body, answer):
        self.path, self.headers, self.body, self.answer = path, headers, body, answer
        self.at = time.monotonic()
        launch, sequence = PATTERNS["launch"].search(body), PATTERNS["sequence"].search(body)
        self.sequence = int(sequence[1]) if sequence else None  # only Datadog's form says
        self.profile = (launch[1].decode() if launch else None, self.sequence)


class Receiver:
    """Down at first. Answers are given in order, the last one for ever: (status, headers, text)."""

    def __init__(self, case, answers=((200, {}, ""),), path=None):
        self.path = path  # of a Unix socket instead
        if not path:
            place = socket.socket()  # keeps the port ours while we are down: nobody listens, and nobody else is given it
            place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            place.bind(("127.0.0.1", 0))
            case.addCleanup(place.close)
            self.port = place.getsockname()[1]
        self.url = "unix://" + path if path else f"http://127.0.0.1:{self.port}"
        self.requests = []
        self.answers = list(answers)
        self.server = None
        self.lock = threading.Lock()
        case.addCleanup(self.stop)

    def next_answer(self):
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    def start(self):
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with receiver.lock:
                    answer = receiver.next_answer()
                    receiver.requests.append(Request(self.path, self.headers, body, answer[0]))
                status, headers, text = answer
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *_):
                pass

        class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer if self.path else http.server.HTTPServer):
            daemon_threads = True
            allow_reuse_address = True

        self.server = Server(self.path or ("127.0.0.1", self.port), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def stop(self):
        if self.server:
            self.server.shutdown()
            self.server.server_close()
            self.server = None
            if self.path:
                os.unlink(self.path)

    def accepted(self):
        """(launch, sequence) of what was taken, in order."""
        with self.lock:
            return [request.profile for request in self.requests if 200 <= request.answer < 300]

    def sequences(self):
        return [sequence for _, sequence in self.accepted()]
