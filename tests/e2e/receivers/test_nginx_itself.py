#!/usr/bin/python3
"""That nginx and the server behind it do what test_front_end.py relies on, seen by Python's own HTTP and TLS. Nothing of
ours takes part."""

import http.client
import ssl
import time

import harness
import nginx
import support
import wire
from nginx import Answer

BODY = bytes(range(256)) * 4096  # 1 MiB: more than any socket's buffer


class Itself(harness.WithReceiver):
    make = nginx.Nginx

    def post(self, listener, authority="ca.pem", certificate=None, body=BODY, host="localhost"):
        context = ssl.create_default_context(cafile=self.receiver.file(authority))
        if certificate:
            context.load_cert_chain(self.receiver.file(certificate + ".pem"), self.receiver.file(certificate + ".key"))
        port = self.receiver.ports[listener]
        connection = http.client.HTTPConnection(host, port, timeout=20) if listener == "plain" else \
            http.client.HTTPSConnection(host, port, context=context, timeout=20)
        connection.request("POST", wire.AGENT_PATH, body)
        answer = connection.getresponse()
        answer.whole = answer.read()
        connection.close()
        return answer

    def test_plain_success(self):
        for listener in ("tls", "slow", "plain"):
            self.receiver.upstream.begin()
            self.assertEqual(self.post(listener).status, 200)
            request, = self.receiver.upstream.accepted()
            self.assertEqual((request.path, request.body), (wire.AGENT_PATH, BODY))

    def test_ipv6(self):
        if not nginx.has_ipv6():
            support.skip("no ::1 here")
        self.receiver.upstream.begin()
        self.assertEqual(self.post("tls", host="::1").status, 200)

    def test_other_authority(self):
        self.receiver.upstream.begin()
        with self.assertRaises(ssl.SSLCertVerificationError):
            self.post("tls", authority="other.pem")
        self.assertEqual(self.receiver.upstream.requests, [])

    def test_other_name(self):
        with self.assertRaisesRegex(ssl.SSLCertVerificationError, "localhost"):
            self.post("misnamed")

    def test_redirect(self):
        answer = self.post("redirects")
        self.assertEqual((answer.status, answer.headers["Location"]), (307, self.receiver.url("redirects") + "/elsewhere"))

    def test_too_large(self):
        self.assertEqual(self.post("small", body=b"x" * 513).status, 413)
        self.assertEqual(self.post("small", body=b"x" * 512).status, 200)

    def test_stalls(self):
        self.receiver.upstream.begin(Answer(delay_s=3))
        began = time.monotonic()
        self.assertEqual(self.post("slow").status, 504)
        self.assertLess(time.monotonic() - began, 2.5)

    def test_hangs_up(self):
        self.receiver.upstream.begin(Answer(nginx.HANG_UP))
        with self.assertRaises((http.client.RemoteDisconnected, ConnectionResetError, ssl.SSLEOFError)):
            self.post("tls")
        self.assertEqual(self.receiver.upstream.accepted(), [])

    def test_rude(self):
        self.receiver.upstream.begin()
        self.receiver.be_rude(True)
        try:
            with self.assertRaises((http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError, ssl.SSLError)):
                self.post("tls", body=BODY * 16)
        finally:
            self.receiver.be_rude(False)
        support.wait_until(lambda: self.receiver.statuses("tls")[-1:] == [444])
        self.assertEqual(self.receiver.upstream.requests, [])
        self.assertEqual(self.post("tls").status, 200)

    def test_closes_mid_body(self):
        """nginx cannot tell its client of it but by an answer."""
        self.receiver.upstream.begin(Answer(cut_body_at=1000))
        try:
            self.assertIn(self.post("tls").status, (502, 504))
        except (ConnectionResetError, BrokenPipeError, ssl.SSLError):
            pass
        self.assertEqual(self.receiver.upstream.requests, [])

    def test_cuts_its_answer(self):
        self.receiver.upstream.begin(Answer(202, words=b"x" * 100, cut_answer_at=10))
        with self.assertRaises(http.client.IncompleteRead):
            self.post("tls")

    def test_words_and_retry_after(self):
        for status in (429, 503):
            self.receiver.upstream.begin(Answer(status, words=b"come back later", headers={"Retry-After": "2"}))
            answer = self.post("tls")
            self.assertEqual((answer.status, answer.headers["Retry-After"], answer.whole), (status, "2", b"come back later"))

    def test_client_certificates(self):
        self.assertEqual(self.post("mutual").status, 400)
        self.assertEqual(self.post("mutual", certificate="stranger").status, 400)
        self.assertEqual(self.post("mutual", certificate="client").status, 200)


if __name__ == "__main__":
    support.main()
