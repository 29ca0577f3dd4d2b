"""Servers that the exporter's HTTP client meets, one thread per connection: what each does with a request is a function
of the test. Also certificates of a private authority, and the client itself as a process."""

import hashlib
import os
import select
import socket
import ssl
import subprocess
import sys
import threading

CLIENT = os.environ["DDPROF_CLIENT"]
MUST_WORK = os.environ.get("DDPROF_MUST_WORK") == "1"


def unavailable(reason):
    print("SKIP: " + reason)
    sys.exit(1 if MUST_WORK else 77)


# ---- servers ----


class Request:
    def __init__(self, head, body):
        lines = head.decode("latin-1").split("\r\n")
        self.method, self.path, self.version = lines[0].split(" ", 2)
        self.headers = {name.lower(): value.strip() for name, value in (line.split(":", 1) for line in lines[1:])}
        self.body = body


def read_head(connection):
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65536)
        if not piece:
            return None, b""
        data += piece
    head, rest = data.split(b"\r\n\r\n", 1)
    return head, rest


def read_request(connection):
    head, rest = read_head(connection)
    if head is None:
        return None
    request = Request(head, rest)
    size = int(request.headers.get("content-length", "0"))
    while len(request.body) < size:
        piece = connection.recv(65536)
        if not piece:
            return None
        request.body += piece
    return request


def answer(status="200 OK", text=b"", **headers):
    """Header names with _ for -."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(text)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + text


class Server:
    """`behave(connection, request)` is called for each request and may return the bytes to answer with; None ends
    the connection. Every request it got is in `requests`."""

    def __init__(self, behave=lambda connection, request: answer(), family=socket.AF_INET, address=None, context=None):
        self.behave, self.context = behave, context
        self.requests, self.connections = [], 0
        self.listener = socket.socket(family, socket.SOCK_STREAM)
        if family == socket.AF_UNIX:
            self.listener.bind(address)
        else:
            self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.listener.bind(address or ("::1" if family == socket.AF_INET6 else "127.0.0.1", 0))
            self.port = self.listener.getsockname()[1]
        self.listener.listen(16)
        self.open = []
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        try:
            if self.context:
                connection = self.context.wrap_socket(connection, server_side=True)
            self.open.append(connection)
            while True:
                request = read_request(connection)
                if not request:
                    break
                self.requests.append(request)
                said = self.behave(connection, request)
                if said is None:
                    break
                connection.sendall(said)
        except OSError:
            pass
        connection.close()

    def close_connections(self):
        for connection in self.open:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            connection.close()
        self.open = []

    def close(self):
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        self.close_connections()


class Proxy(Server):
    """Of HTTP, by CONNECT and by whole URLs. `asked` has what it was asked to connect to; names need no look-up but
    its own table."""

    def __init__(self, hosts=None, refuse=None, **named):
        super().__init__(self.pass_on, **named)
        self.hosts, self.refuse, self.asked = hosts or {}, refuse, []

    def pass_on(self, connection, request):
        self.asked.append((request.method, request.path, request.headers.get("proxy-authorization")))
        if self.refuse:
            return answer(self.refuse, b"not through here")
        if request.method != "CONNECT":
            return answer("202 Accepted", b"by proxy")
        host, port = request.path.rsplit(":", 1)
        other = socket.create_connection((self.hosts.get(host, host.strip("[]")), int(port)))
        connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        self.copy(connection, other)
        return None

    @staticmethod
    def copy(a, b):
        while True:
            pending = isinstance(a, ssl.SSLSocket) and a.pending()
            ready = [a] if pending else select.select([a, b], [], [])[0]
            for source in ready:
                data = source.recv(65536)
                if not data:
                    b.close()
                    return
                (b if source is a else a).sendall(data)


# ---- certificates ----


def openssl(*arguments):
    result = subprocess.run(["openssl", *arguments], capture_output=True, text=True)
    if result.returncode != 0:
        raise AssertionError(f"openssl {' '.join(arguments)}: {result.stderr}")


class Authority:
    def __init__(self, folder, name):
        self.folder, self.name = folder, name
        self.path, self.key = self.file(name, "pem"), self.file(name, "key")
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
                "-subj", f"/CN={name}", "-keyout", self.key, "-out", self.path,
                "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign")

    def file(self, name, kind):
        return os.path.join(self.folder, f"{name}.{kind}")

    def sign(self, name, hosts, start=None, end=None):
        """(certificate with the authority's behind it, key). Dates as YYYYMMDDHHMMSSZ."""
        key, request, certificate = self.file(name, "key"), self.file(name, "csr"), self.file(name, "pem")
        openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}",
                "-keyout", key, "-out", request)
        with open(self.file(name, "cnf"), "w") as file:
            names = ",".join(hosts) if hosts else "DNS:client.test"
            file.write(f"[ca]\ndefault_ca=d\n[d]\ndatabase={self.file(name, 'db')}\nserial={self.file(name, 'srl')}\n"
                       f"new_certs_dir={self.folder}\ndefault_md=sha256\npolicy=p\nunique_subject=no\n"
                       f"[p]\ncommonName=supplied\n[x]\nbasicConstraints=CA:FALSE\nsubjectAltName={names}\n")
        open(self.file(name, "db"), "w").close()
        with open(self.file(name, "srl"), "w") as file:
            file.write(hashlib.sha256(name.encode()).hexdigest()[:16] + "\n")
        dates = ["-startdate", start, "-enddate", end] if start else ["-days", "30"]
        openssl("ca", "-batch", "-notext", "-config", self.file(name, "cnf"), "-cert", self.path, "-keyfile", self.key,
                "-extensions", "x", *dates, "-in", request, "-out", certificate)
        return certificate, key


def server_context(pair, client_authority=None):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*pair)
    if client_authority:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(client_authority.path)
    return context


# ---- the client ----


class Answer:
    def __init__(self, line):
        self.name, status, retry, sent, self.words = line.split("\t", 4)
        self.status, self.retry_after_ms, self.sent = int(status), int(retry), int(sent)

    def __repr__(self):
        return f"{self.status} {self.retry_after_ms} {self.sent} {self.words!r}"


def expected_body(size):
    return bytes((i * 7 + i // 251) & 0xFF for i in range(size))


class Client:
    """tests/export/confined_client.c."""

    def __init__(self, *arguments, prefix=(), environment=None):
        self.process = subprocess.Popen([*prefix, CLIENT, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        env=environment or {}, text=True)
        self.greeting = self.process.stdout.readline().strip()

    def __enter__(self):
        if self.greeting != "ready":
            raise AssertionError(self.greeting or f"died: {self.process.wait()}")
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        status = self.process.wait()
        self.process.stdout.close()
        if status != 0 and _[0] is None:
            raise AssertionError(f"the client ended with {status}")

    def say(self, *words):
        self.process.stdin.write("\t".join(str(word) for word in words) + "\n")
        self.process.stdin.flush()

    def start(self, name, url, unix_socket="-", size=1000, timeout_ms=5000, headers=()):
        self.say("post", name, url, unix_socket, size, timeout_ms, "Content-Type: application/test", *headers)

    def wait(self, timeout_ms=10000):
        self.say("wait", timeout_ms)
        answers = {}
        while True:
            line = self.process.stdout.readline().rstrip("\n")
            if line == ".":
                return answers
            if not line:
                raise AssertionError(f"the client died: {self.process.wait()}")
            found = Answer(line)
            answers[found.name] = found

    def post(self, url, **named):
        self.start("one", url, **named)
        answers = self.wait(named.get("timeout_ms", 5000) + 30000)
        if "one" not in answers:
            raise AssertionError("no answer at all, not even that there was none")
        return answers["one"]

    def is_outdated(self):
        self.say("outdated")
        return self.process.stdout.readline().strip() == "1"

    def attempt(self, *what):
        """The error number of something forbidden, or None: it died of it."""
        self.say("try", *what)
        line = self.process.stdout.readline().strip()
        return int(line) if line else None
