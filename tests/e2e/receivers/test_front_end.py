#!/usr/bin/python3
"""Real runs of ddprof-launch against nginx: TLS with a private authority, and all that a front end can do to a request.
In the end the profile has arrived exactly once, or the log says why it did not. (test_nginx_itself.py shows that nginx
does what each case relies on.)"""

import os
import re
import threading
import time

import harness
import nginx
import support
import wire
from nginx import Answer
from support import target

WORK = [target("demo_workload"), "1"]
SHORT = ["--export_grace", "2"]  # for what will not arrive however long one waits


def setUpModule():
    support.require_profiling()


class FrontEnd(harness.WithReceiver):
    make = nginx.Nginx

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.upstream = cls.receiver.upstream

    def launch(self, listener, *options, authority="ca.pem", host="localhost", script=(), command=WORK, **environment):
        """The session, over; self.log is what it said. The profile is also in its folder. Options may name another place
        than the listener."""
        self.upstream.begin(*script)
        path = os.path.join(support.temporary_folder(self), "log")
        self.began = time.monotonic()
        where = ["--url", self.receiver.url(listener, host)] if listener else []
        session = support.run(self, command, ["--service", "shop", *where, "--ca_file", self.receiver.file(authority),
                                              "--log_mode", path, *options], env={**os.environ, **environment})
        self.took = time.monotonic() - self.began
        self.log = support.read_text(path)
        self.assertEqual(session.status, 0, session.stderr)
        return session

    def check_arrived_once(self, session, run=wire.Expected("shop")):
        """The very profile that is in the folder."""
        requests = self.upstream.accepted()
        self.assertEqual(len(requests), 1, (self.upstream.statuses, self.log))
        upload = wire.read(requests[0], run)
        self.assertEqual(support.folded(harness.profile(self, upload.pprof)), support.folded(session.profile()))

    def check_did_not_arrive(self, said):
        self.assertEqual(self.upstream.accepted(), [], self.log)
        self.assertRegex(self.log, said)

    def test_success(self):
        self.check_arrived_once(self.launch("tls"))
        self.assertEqual(len(self.upstream.requests), 1)

    def test_address_instead_of_a_name(self):
        self.check_arrived_once(self.launch("tls", host="127.0.0.1"))

    def test_ipv6(self):
        if not nginx.has_ipv6():
            support.skip("no ::1 here")
        self.check_arrived_once(self.launch("tls", host="[::1]"))

    def test_wrong_authority(self):
        """Not a byte of the profile leaves."""
        self.launch("tls", *SHORT, authority="other.pem")
        self.check_did_not_arrive(r"(?i)certificate")
        self.assertEqual(self.upstream.requests, [])

    def test_name_that_is_not_in_the_certificate(self):
        self.launch("misnamed", *SHORT)
        self.check_did_not_arrive(r"(?i)name.*localhost")

    def test_redirect(self):
        """Not followed: neither key nor profile goes where nobody sent it."""
        self.launch("redirects")
        self.check_did_not_arrive(r"307")
        self.assertEqual(self.upstream.requests, [])

    def test_too_large(self):
        self.launch("small")
        self.check_did_not_arrive(r"413.*Request Entity Too Large")
        self.assertEqual(len(re.findall(" refuses ", self.log)), 1, self.log)

    def test_refused(self):
        """Said once, with the server's words, however many profiles there are; and in the line at the end."""
        for status in (400, 401, 403):
            with self.subTest(status=status):
                self.launch("tls", "-u", "1", command=[target("split"), "3.5"],
                            script=[Answer(status, words=b"no such key\n")] * 50)
                self.check_did_not_arrive(rf"refuses .*{status}.*no such key")
                self.assertRegex(self.log.splitlines()[-1], rf"lost.*{status}.*no such key")
                self.assertEqual(len(re.findall(" refuses ", self.log)), 1, self.log)

    def test_next_run_sends_what_was_refused(self):
        """From the spool, oldest first, and each once."""
        spool = support.temporary_folder(self)
        first = self.launch("tls", "--spool", spool, script=[Answer(403, words=b"no such key\n")] * 50)
        self.check_did_not_arrive(r"403.*no such key")
        second = self.launch("tls", "--spool", spool)
        uploads = [wire.read(request, wire.Expected("shop")) for request in self.upstream.accepted()]
        sent = [support.folded(harness.profile(self, upload.pprof)) for upload in uploads]
        self.assertEqual(sent, [support.folded(first.profile()), support.folded(second.profile())], self.log)
        self.assertNotEqual(uploads[0].tags["runtime-id"], uploads[1].tags["runtime-id"])
        self.assertEqual([name for name in os.listdir(spool) if "pprof" in name], [])

    def test_told_to_come_back(self):
        for status in (429, 503):
            with self.subTest(status=status):
                session = self.launch("tls", script=[Answer(status, words=b"later", headers={"Retry-After": "3"})])
                self.check_arrived_once(session)
                self.assertEqual(self.upstream.statuses, [status, 200])
                self.assertGreaterEqual(self.upstream.times[1] - self.upstream.times[0], 2.9)
                self.assertLess(self.upstream.times[1] - self.upstream.times[0], 9)

    def test_told_to_come_back_at_a_date(self):
        at = time.time() + 6
        date = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(at))
        session = self.launch("tls", script=[Answer(503, headers={"Retry-After": date})])
        self.check_arrived_once(session)
        self.assertGreaterEqual(time.time() + (self.upstream.times[1] - time.monotonic()), int(at) - 0.1)

    def test_told_to_come_back_next_year(self):
        """Longer than the grace at the end: given up in time, and said."""
        self.launch("tls", *SHORT, script=[Answer(503, words=b"closed", headers={"Retry-After": "31536000"})] * 50)
        self.check_did_not_arrive(r"1 lost .*503.*closed")
        self.assertLess(self.took, 15)

    def test_bad_gateway(self):
        session = self.launch("tls", script=[Answer(502), Answer(500)])
        self.check_arrived_once(session)
        self.assertEqual(self.upstream.statuses, [502, 500, 200])

    def test_stalls(self):
        """nginx gives up on its server (504), and we come again."""
        session = self.launch("slow", script=[Answer(delay_s=2)])
        support.wait_until(lambda: len(self.upstream.requests) >= 2)
        self.assertEqual(self.receiver.statuses("slow")[-2:], [504, 200])
        requests = self.upstream.requests  # of which the first was taken, too, but nobody was told
        self.assertEqual(requests[0].body.count(wire.ZSTD_MAGIC), 1)
        self.assertEqual([wire.split_body(one)[1] for one in requests[:1]], [wire.split_body(one)[1] for one in requests[1:]])
        self.assertEqual(len(session.profile_paths()), 1)

    def test_hangs_up(self):
        session = self.launch("tls", script=[Answer(nginx.HANG_UP)])
        self.check_arrived_once(session)
        self.assertEqual(self.upstream.statuses, [nginx.HANG_UP, 200])

    def test_closes_mid_body(self):
        session = self.launch("tls", script=[Answer(cut_body_at=100)])
        self.check_arrived_once(session)

    def test_closes_before_the_body(self):
        """As soon as nginx knows the headers, until it is told otherwise."""
        self.receiver.be_rude(True)
        known = len(self.receiver.statuses("tls"))

        def relent():
            support.wait_until(lambda: 444 in self.receiver.statuses("tls")[known:], 30)
            self.receiver.be_rude(False)

        thread = threading.Thread(target=relent, daemon=True)
        thread.start()
        session = self.launch("tls")
        thread.join()
        self.check_arrived_once(session)

    def test_cuts_its_answer(self):
        """The status was 200: the profile is there, whatever became of the words behind it. Sent again, it would be
        there twice."""
        session = self.launch("tls", script=[Answer(200, words=b"x" * 100, cut_answer_at=10)])
        self.check_arrived_once(session)

    def test_client_certificate(self):
        own = ["--client_certificate", self.receiver.file("client.pem"), "--client_key", self.receiver.file("client.key")]
        self.check_arrived_once(self.launch("mutual", *own))

    def test_no_client_certificate(self):
        self.launch("mutual")
        self.check_did_not_arrive(r"400.*No required SSL certificate was sent")

    def test_client_certificate_of_a_stranger(self):
        own = ["--client_certificate", self.receiver.file("stranger.pem"), "--client_key", self.receiver.file("stranger.key")]
        self.launch("mutual", *own)
        self.check_did_not_arrive(r"400.*The SSL certificate error")

    def test_intake(self):
        """Without an agent: another path, the key, and the host."""
        key = "0123456789abcdef" * 2
        session = self.launch(None, "--agentless", "true", "--intake_url", self.receiver.url("tls") + wire.INTAKE_PATH,
                              DD_API_KEY=key, DD_HOSTNAME="me")
        self.check_arrived_once(session, wire.Expected("shop", api_key=key, hostname="me"))
        self.assertNotIn(key, self.log + session.stderr.decode())

    def test_several_periods_in_order(self):
        """One is refused for a while in the middle: all arrive once, oldest first."""
        session = self.launch("tls", "-u", "1", command=[target("split"), "4.5"], script=[Answer(), Answer(503), Answer(503)])
        uploads = [wire.read(request, wire.Expected("shop")) for request in self.upstream.accepted()]
        self.assertEqual([int(upload.tags["profile_seq"]) for upload in uploads], list(range(len(session.profile_paths()))))
        self.assertGreaterEqual(len(uploads), 4)


if __name__ == "__main__":
    support.main()
