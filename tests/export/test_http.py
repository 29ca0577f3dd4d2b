#!/usr/bin/python3
"""The exporter's HTTP client, confined as the exporter is, against servers that are kind, strange and hostile."""

import email.utils
import errno
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import time
import unittest

import servers
from servers import Authority, Client, Proxy, Server, answer, expected_body, server_context

HERE = os.path.dirname(os.path.abspath(__file__))


class Case(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="ddprof-http-")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def server(self, *arguments, **named):
        server = Server(*arguments, **named)
        self.addCleanup(server.close)
        return server

    def proxy(self, *arguments, **named):
        proxy = Proxy(*arguments, **named)
        self.addCleanup(proxy.close)
        return proxy


class Requests(Case):
    def test_what_arrives(self):
        server = self.server(lambda *_: answer("202 Accepted", b"taken"))
        url = f"http://127.0.0.1:{server.port}/profiling/v1/input?a=b"
        with Client(url) as client:
            found = client.post(url, size=3 << 20, headers=["X-One: 1", "X-Two: two words"])
        self.assertEqual((found.status, found.words, found.sent), (202, "taken", 3 << 20))
        request = server.requests[0]
        self.assertEqual((request.method, request.path, request.version), ("POST", "/profiling/v1/input?a=b", "HTTP/1.1"))
        self.assertEqual(request.body, expected_body(3 << 20))
        self.assertEqual(request.headers["x-two"], "two words")
        self.assertEqual(set(request.headers),
                         {"host", "accept", "content-length", "content-type", "x-one", "x-two"})

    def test_empty_body(self):
        server = self.server()
        url = f"http://127.0.0.1:{server.port}/"
        with Client(url) as client:
            self.assertEqual(client.post(url, size=0).status, 200)
        self.assertEqual(server.requests[0].headers["content-length"], "0")

    def test_addresses(self):
        for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "[::1]"), (socket.AF_INET, "localhost"),
                             (socket.AF_INET6, "localhost"), (socket.AF_INET, "svc.localhost")):
            server = self.server(family=family)
            url = f"http://{host}:{server.port}/"
            with Client(url) as client:
                self.assertEqual(client.post(url).status, 200, (family, host))

    def test_unix_socket(self):
        path = os.path.join(self.folder, "apm.socket")
        server = self.server(lambda *_: answer("200 OK", b"by socket"), family=socket.AF_UNIX, address=path)
        with Client("--socket", path) as client:
            self.assertEqual(client.post("http://localhost/x", unix_socket=path).words, "by socket")
            self.assertFalse(client.is_outdated())
            server.close()
            os.unlink(path)
            gone = client.post("http://localhost/x", unix_socket=path)
            self.assertEqual(gone.status, 0)
            self.assertIn("connect", gone.words)
            self.server(family=socket.AF_UNIX, address=path)  # the agent was started again
            found = client.post("http://localhost/x", unix_socket=path)
            # kernels that confine Unix sockets want a sandbox made anew, others need none
            self.assertTrue(found.status == 200 or client.is_outdated(), found)

    def test_many_at_once(self):
        server = self.server(lambda *_: (time.sleep(0.5), answer("200 OK", b"late"))[1])
        url = f"http://127.0.0.1:{server.port}/"
        with Client(url) as client:
            start = time.monotonic()
            for i in range(8):
                client.start(str(i), url, size=50000)
            answers = client.wait()
            self.assertLess(time.monotonic() - start, 2)
        self.assertEqual([answers[str(i)].status for i in range(8)], [200] * 8)

    def test_connections_are_used_again(self):
        server = self.server()
        url = f"http://127.0.0.1:{server.port}/"
        with Client(url) as client:
            for _ in range(3):
                self.assertEqual(client.post(url).status, 200)
            self.assertEqual(server.connections, 1)
            server.close_connections()  # idle ones, as agents do
            self.assertEqual(client.post(url, size=300000).status, 200)
            self.assertEqual(server.requests[-1].body, expected_body(300000))
            self.assertEqual(server.connections, 2)


class Answers(Case):
    def one(self, behave, **named):
        server = self.server(behave)
        url = f"http://127.0.0.1:{server.port}/"
        with Client(url) as client:
            return client.post(url, **named)

    def test_refusals(self):
        for status, text in ((400, "Bad Request"), (401, "Unauthorized"), (403, "Forbidden"),
                             (413, "Payload Too Large"), (429, "Too Many Requests"), (503, "Service Unavailable")):
            found = self.one(lambda *_: answer(f"{status} {text}", b'{"errors":["no"]}\n'))
            self.assertEqual((found.status, found.words, found.retry_after_ms), (status, '{"errors":["no"]}', -1))

    def test_refused_before_the_body_is_read(self):
        """As agents do with what is too large: they answer and hang up, the rest unread."""

        listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listener.close)

        def refuse():
            connection, _ = listener.accept()
            servers.read_head(connection)
            connection.sendall(answer("413 Payload Too Large", b"too large", Connection="close"))
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65536):  # what is on its way already, or it would be a reset
                pass
            connection.close()

        threading.Thread(target=refuse, daemon=True).start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        with Client(url) as client:
            found = client.post(url, size=20 << 20)
        self.assertEqual((found.status, found.words), (413, "too large"))
        self.assertLess(found.sent, 20 << 20)

    def test_retry_after(self):
        self.assertEqual(self.one(lambda *_: answer("429 x", Retry_After="17")).retry_after_ms, 17000)
        self.assertEqual(self.one(lambda *_: answer("503 x", Retry_After="soon")).retry_after_ms, -1)
        at = int(time.time()) + 120
        date = email.utils.formatdate(at, usegmt=True)
        waits_ms = self.one(lambda *_: answer("503 x", Retry_After=date)).retry_after_ms
        self.assertTrue((at - time.time() - 1) * 1000 <= waits_ms <= 120000, waits_ms)
        past = email.utils.formatdate(time.time() - 120, usegmt=True)
        self.assertEqual(self.one(lambda *_: answer("503 x", Retry_After=past)).retry_after_ms, -1)

    def test_redirects_are_not_followed(self):
        other = self.server()
        found = self.one(lambda *_: answer("307 Temporary Redirect", b"go there",
                                           Location=f"http://127.0.0.1:{other.port}/"), headers=["DD-API-KEY: 0123456789"])
        self.assertEqual((found.status, found.words), (307, "go there"))
        self.assertEqual(other.connections, 0)

    def test_words_are_one_printable_line(self):
        found = self.one(lambda *_: answer("500 x", b"\x1b[31mred\r\n\t two\x00 \xff \xe2\x80\xae end \n"))
        self.assertEqual(found.words, "\\x1b[31mred two\\x00 \\xff \\u202e end")

    def test_words_without_our_key(self):
        key = "0123456789abcdef0123456789abcdef"
        headers = [f"DD-API-KEY: {key}", "Authorization: Bearer tokentoken"]
        found = self.one(lambda *_: answer("403 x", f"key {key}, tokentoken! {key}".encode()), headers=headers)
        self.assertEqual(found.words, f"key {'*' * 32}, {'*' * 10}! {'*' * 32}")
        found = self.one(lambda *_: answer("403 x", b"x" * 1010 + key.encode()), headers=headers)
        self.assertNotIn("0123", found.words)  # where the text is cut, too
        found = self.one(lambda *_: answer("415 x", b"not application/test"), headers=headers)
        self.assertEqual(found.words, "not application/test")

    def test_long_answer(self):
        """Its status counts; its text is read up to a limit."""
        found = self.one(lambda *_: answer("200 OK", b"y" * (10 << 20)))
        self.assertEqual(found.status, 200)
        self.assertTrue(found.words.startswith("yyyy") and len(found.words) < 256)

        def without_end(connection, _):
            connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            while True:
                connection.sendall(b"z" * 65536)

        start = time.monotonic()
        self.assertEqual(self.one(without_end, timeout_ms=20000).status, 200)
        self.assertLess(time.monotonic() - start, 10)

    def test_answer_cut_off(self):
        """The server has taken it, whatever becomes of its text."""
        found = self.one(lambda c, _: c.sendall(b"HTTP/1.1 202 Accepted\r\nContent-Length: 100\r\n\r\nhalf"))
        self.assertEqual((found.status, found.words), (202, "half"))
        found = self.one(lambda c, _: (c.sendall(b"HTTP/1.1 202 Accepted\r\nContent-Length: 9\r\n\r\nha"), time.sleep(3))[1],
                         timeout_ms=700)
        self.assertEqual((found.status, found.words), (202, "ha"))

    def test_no_answer(self):
        found = self.one(lambda *_: None)
        self.assertEqual(found.status, 0)
        self.assertRegex(found.words, "(?i)empty reply|reset")
        start = time.monotonic()
        found = self.one(lambda *_: time.sleep(4), timeout_ms=700)
        self.assertLess(time.monotonic() - start, 3)
        self.assertEqual(found.status, 0)
        self.assertIn("timed out", found.words)

    def test_headers_that_never_end(self):
        def drip(connection, _):
            connection.sendall(b"HTTP/1.1 200 OK\r\n")
            while True:
                connection.sendall(b"X-A: " + b"b" * 1000 + b"\r\n")

        found = self.one(drip)
        self.assertEqual(found.status, 0)
        self.assertNotIn("timed out", found.words)
        found = self.one(lambda c, _: c.sendall(b"HTTP/1.1 200 OK\r\nX-A: b\r\n"))
        self.assertEqual(found.status, 0)

    def test_not_http(self):
        for text in (b"SSH-2.0-OpenSSH_9\r\n", b"\0" * 1000, b"HTTP/9.9 200 OK\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n"):
            found = self.one(lambda *_: text, timeout_ms=1000)
            self.assertEqual(found.status, 0, text)
            self.assertNotEqual(found.words, "")

    def test_one_that_is_not_there(self):
        listener = socket.create_server(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        listener.close()
        with Client(url) as client:
            found = client.post(url)
        self.assertEqual(found.status, 0)
        self.assertIn("connect", found.words)

    def test_stalled_while_we_send(self):
        listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listener.close)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        with Client(url) as client:
            start = time.monotonic()
            found = client.post(url, size=50 << 20, timeout_ms=1000)
            self.assertLess(time.monotonic() - start, 3)
        self.assertEqual(found.status, 0)
        self.assertIn("timed out", found.words)


class Tls(Case):
    @classmethod
    def setUpClass(cls):
        cls.keys = tempfile.mkdtemp(prefix="ddprof-keys-")
        cls.addClassCleanup(shutil.rmtree, cls.keys, ignore_errors=True)
        cls.authority, cls.other = Authority(cls.keys, "ours"), Authority(cls.keys, "other")
        hosts = ["DNS:localhost", "DNS:intake.test", "IP:127.0.0.1", "IP:::1"]
        cls.good = cls.authority.sign("good", hosts)
        cls.expired = cls.authority.sign("expired", hosts, "20200101000000Z", "20200201000000Z")
        cls.not_yet = cls.authority.sign("notyet", hosts, "20400101000000Z", "20400201000000Z")
        cls.elsewhere = cls.authority.sign("elsewhere", ["DNS:elsewhere.test"])
        cls.client = cls.authority.sign("client", [])

    def tls_server(self, pair, behave=lambda *_: answer("202 Accepted", b"in private"), **named):
        family = named.pop("family", socket.AF_INET)
        return self.server(behave, family=family, context=server_context(pair, **named))

    def test_private_authority(self):
        for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "[::1]"), (socket.AF_INET, "localhost")):
            server = self.tls_server(self.good, family=family)
            url = f"https://{host}:{server.port}/x"
            with Client("--ca", self.authority.path, url) as client:
                found = client.post(url, size=1 << 20)
                self.assertEqual((found.status, found.words), (202, "in private"))
                self.assertEqual(client.post(url).status, 202)
                self.assertEqual(server.connections, 1)
            self.assertEqual(server.requests[0].body, expected_body(1 << 20))

    def refused(self, pair, words, ca=None, host="localhost"):
        server = self.tls_server(pair)
        url = f"https://{host}:{server.port}/x"
        with Client(*(["--ca", ca] if ca else []), url) as client:
            found = client.post(url, headers=["DD-API-KEY: 0123456789"])
        self.assertEqual(found.status, 0, found)
        self.assertRegex(found.words, words)
        self.assertEqual(server.requests, [])

    def test_refused(self):
        ours = self.authority.path
        self.refused(self.good, "self.signed|unable to get local issuer")  # the system's authorities do not know it
        self.refused(self.good, "self.signed|unable to get local issuer", self.other.path)
        self.refused((self.other.path, self.other.key), "self.signed", ours)
        self.refused(self.expired, "expired", ours)
        self.refused(self.not_yet, "not yet valid", ours)
        self.refused(self.elsewhere, "no alternative certificate subject name", ours)
        self.refused(self.elsewhere, "no alternative certificate subject name", ours, host="127.0.0.1")

    def test_old_versions_are_refused(self):
        context = server_context(self.good)
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
        server = self.server(context=context)
        url = f"https://localhost:{server.port}/"
        settings = os.path.join(self.folder, "openssl.cnf")  # of a host that would allow it
        with open(settings, "w") as file:
            file.write("openssl_conf=a\n[a]\nssl_conf=b\n[b]\nsystem_default=c\n"
                       "[c]\nMinProtocol=TLSv1\nCipherString=ALL:@SECLEVEL=0\n")
        with Client("--ca", self.authority.path, url, environment={"OPENSSL_CONF": settings}) as client:
            found = client.post(url)
        self.assertEqual(found.status, 0)
        self.assertRegex(found.words, "(?i)protocol|version|alert|SSL")

    def test_client_certificate(self):
        server = self.tls_server(self.good, client_authority=self.authority)
        url = f"https://localhost:{server.port}/"
        arguments = ["--ca", self.authority.path, url]
        with Client(*arguments) as client:
            self.assertEqual(client.post(url).status, 0)
        with Client("--certificate", self.client[0], "--key", self.client[1], *arguments) as client:
            self.assertEqual(client.post(url).status, 202)

    def test_broken_pem(self):
        garbage = os.path.join(self.folder, "garbage")
        with open(garbage, "w") as file:
            file.write("-----BEGIN CERTIFICATE-----\nnot base64\n-----END CERTIFICATE-----\n")
        encrypted = os.path.join(self.folder, "encrypted")
        servers.openssl("ec", "-aes128", "-passout", "pass:secret", "-in", self.client[1], "-out", encrypted)
        for arguments in (["--ca", garbage], ["--certificate", garbage, "--key", self.client[1]],
                          ["--certificate", self.client[0], "--key", garbage],
                          ["--certificate", self.client[0], "--key", self.good[1]],
                          ["--certificate", self.client[0], "--key", encrypted]):
            client = Client(*arguments, "https://localhost/")
            self.assertRegex(client.greeting, "^error [ -~]{10,}", arguments)
            client.process.communicate()

    def test_server_that_breaks_off_the_handshake(self):
        listener = self.server(lambda *_: None)  # no TLS at all
        url = f"https://localhost:{listener.port}/"
        with Client("--ca", self.authority.path, url) as client:
            self.assertEqual(client.post(url, timeout_ms=1000).status, 0)

    def test_http2(self):
        node = shutil.which("node")
        if not node:
            servers.unavailable("node is not installed")
        server = subprocess.Popen([node, os.path.join(HERE, "http2_server.js"), *self.good], stdout=subprocess.PIPE,
                                  text=True)
        self.addCleanup(server.stdout.close)
        self.addCleanup(server.wait)
        self.addCleanup(server.kill)
        url = f"https://localhost:{int(server.stdout.readline())}/"
        with Client("--ca", self.authority.path, url) as client:
            for i in range(4):
                client.start(str(i), url + "count", size=300000)
            answers = client.wait()
            self.assertEqual([answers[str(i)].words for i in range(4)], ["2.0 300000"] * 4)
            found = client.post(url + "busy")
            self.assertEqual((found.status, found.retry_after_ms), (503, 5000))
            found = client.post(url + "reset")
            self.assertEqual(found.status, 0)
            found = client.post(url + "stall", timeout_ms=700)
            self.assertIn("timed out", found.words)
            found = client.post(url + "goaway")
            self.assertEqual(client.post(url + "count").words, "2.0 1000")

    # ---- proxies ----

    def test_proxies(self):
        server = self.tls_server(self.good)
        proxy = self.proxy(hosts={"intake.test": "127.0.0.1"})
        url = f"https://intake.test:{server.port}/x"  # a name that only the proxy knows
        address = f"http://user:secretsecret@127.0.0.1:{proxy.port}"
        with Client("--ca", self.authority.path, "--proxy-https", address, url) as client:
            found = client.post(url)
            self.assertEqual((found.status, found.words), (202, "in private"))
            self.assertEqual(client.attempt("connect", server.port), errno.EACCES)  # only by the proxy
        self.assertEqual(proxy.asked[0][:2], ("CONNECT", f"intake.test:{server.port}"))
        self.assertTrue(proxy.asked[0][2].startswith("Basic "))

        plain = "http://intake.test:8126/y"
        with Client("--proxy-http", f"127.0.0.1:{proxy.port}", plain) as client:
            self.assertEqual(client.post(plain).words, "by proxy")
        self.assertEqual(proxy.asked[-1], ("POST", plain, None))

    def test_proxy_with_tls(self):
        server = self.tls_server(self.good)
        proxy = self.proxy(context=server_context(self.good))
        url = f"https://127.0.0.1:{server.port}/x"
        with Client("--ca", self.authority.path, "--proxy-https", f"https://localhost:{proxy.port}", url) as client:
            self.assertEqual(client.post(url).status, 202)
        bad = self.proxy(context=server_context(self.elsewhere))
        with Client("--ca", self.authority.path, "--proxy-https", f"https://localhost:{bad.port}", url) as client:
            self.assertEqual(client.post(url).status, 0)
        self.assertEqual(bad.asked, [])

    def test_no_proxy(self):
        server = self.tls_server(self.good)
        proxy = self.proxy()
        url = f"https://localhost:{server.port}/x"
        with Client("--ca", self.authority.path, "--proxy-https", f"http://127.0.0.1:{proxy.port}",
                    "--no-proxy", "example.com,localhost", url) as client:
            self.assertEqual(client.post(url).status, 202)
        self.assertEqual(proxy.asked, [])

    def test_proxy_that_refuses(self):
        proxy = self.proxy(refuse="407 Proxy Authentication Required")
        url = "https://localhost:1/x"
        with Client("--ca", self.authority.path, "--proxy-https", f"http://127.0.0.1:{proxy.port}", url) as client:
            found = client.post(url)
        self.assertEqual(found.status, 0)
        self.assertIn("407", found.words)

    def test_environment_names_no_proxy(self):
        server, proxy = self.tls_server(self.good), self.proxy()
        url = f"https://localhost:{server.port}/x"
        environment = {name: f"http://127.0.0.1:{proxy.port}" for name in ("https_proxy", "HTTPS_PROXY", "all_proxy")}
        environment["SSL_CERT_FILE"] = self.other.path
        with Client("--ca", self.authority.path, url, environment=environment) as client:
            self.assertEqual(client.post(url).status, 202)
        self.assertEqual(proxy.asked, [])

    def test_wrong_settings(self):
        for arguments in (["ftp://localhost/"], ["file:///etc/passwd"], ["https://"], ["https://b\u00fccher.example/"],
                          ["http://[fe80::1%25eth0]/"], ["--proxy-http", "socks5://localhost", "http://localhost/"]):
            client = Client(*arguments)
            self.assertRegex(client.greeting, "^error [ -~]{5,}", arguments)
            client.process.communicate()


class Sandbox(Case):
    def test_forbidden(self):
        for what in (["packet-socket"], ["raw-socket"], ["sctp-socket"], ["execve"], ["fork"], ["bind"], ["listen"],
                     ["write", "/dev/null"]):
            client = Client("http://localhost:8126/").__enter__()
            self.assertIsNone(client.attempt(*what), what)
            self.assertEqual(client.process.wait(), -signal.SIGSYS, what)
            client.process.communicate()

    def test_refused(self):
        server = self.server()
        with Client("http://intake.test:8126/") as client:
            for what in (["connect", server.port], ["connect", 22], ["read", "/etc/shadow"], ["read", "/etc/passwd"],
                         ["read", "/etc"], ["read", "/proc/self/environ"], ["netlink-socket"], ["code"]):
                self.assertEqual(client.attempt(*what), errno.EACCES, what)
            self.assertEqual(client.attempt("read", "/etc/hosts"), 0)
            self.assertEqual(client.attempt("connect", 8126), errno.ECONNREFUSED)
        with Client("http://127.0.0.1:8126/") as client:  # no name, no file
            self.assertEqual(client.attempt("read", "/etc/hosts"), errno.EACCES)
            self.assertEqual(client.attempt("connect", 53), errno.EACCES)

    def test_signals(self):
        """A server, or a name server, that hangs up while we write: an error, not the end."""
        with Client("http://localhost/") as client, open(f"/proc/{client.process.pid}/status") as file:
            ignored = int(re.search(r"^SigIgn:\s*(\w+)", file.read(), re.M)[1], 16)
        self.assertTrue(ignored & 1 << (signal.SIGPIPE - 1))

    def test_that_it_could_work(self):
        """Without the sandbox: or the tests above would show nothing."""
        server = self.server()
        with Client("--sandbox", "none", "http://localhost:8126/") as client:
            for what in (["connect", server.port], ["read", "/etc/passwd"], ["read", "/etc"], ["netlink-socket"],
                         ["write", "/dev/null"]):
                self.assertEqual(client.attempt(*what), 0, what)


if __name__ == "__main__":
    unittest.main()
