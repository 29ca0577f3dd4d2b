"""A finished profile is delivered, kept, or counted as lost, whatever happens on the way: receivers that are down,
unwilling or slow, disks that are full, and processes of ours that are killed."""

import base64
import os
import re
import shutil
import signal
import subprocess
import time
import unittest

import receiver
import support
from support import target


def setUpModule():
    support.require_profiling()


class Delivery(unittest.TestCase):
    def session(self, receiver_, seconds, options=(), spool=None, wait=True, command=None, **named):
        """Profiles go to the receiver alone, one each second; the command needs no CPU. Worker and launcher both write
        to a file."""
        self.log = os.path.join(support.temporary_folder(self), "log")
        line = ["-u", "1", "--url", receiver_.url, "--log_mode", self.log, *(["--wait"] if wait else []),
                *(["--spool", spool] if spool else []), *options]
        return support.Session(self, command or ["/bin/sleep", str(seconds)], line, output=False, **named)

    def lines(self, session):
        worker = support.read_text(self.log) if os.path.exists(self.log) else ""
        return worker.splitlines() + session.stderr.decode().splitlines()

    def finish(self, session):
        session.finish(120)
        self.assertEqual(session.status, 0, session.stderr)
        return self.lines(session)

    def closing(self, lines):
        found = [line for line in lines if "stacks reached the root" in line or "no samples" in line]
        self.assertEqual(len(found), 1, lines)
        return found[0]

    def spooled(self, folder):
        """Whole ones, in the order in which they will be sent."""
        return sorted(name for name in os.listdir(folder) if not name.startswith(".") and name.endswith(".ddprof"))

    def number(self, pattern, text, otherwise=0):
        found = re.search(pattern, text)
        return int(found[1]) if found else otherwise

    def kill(self, session, role):
        """Kills it and waits for its successor."""
        supervisor = session.roles["supervisor"]
        pid = support.wait_until(lambda: support.worker_processes(supervisor).get(role), what=role)
        os.kill(pid, signal.SIGKILL)
        support.wait_until(lambda: support.worker_processes(supervisor).get(role) not in (None, pid), what="a new " + role)

    # ---- one receiver ----

    def test_delivered(self):
        server = receiver.Receiver(self).start()
        session = self.session(server, 0, command=[target("split"), "2.5"])
        closing = self.closing(self.finish(session))
        count = self.number(r"; (\d+) profiles delivered to .* at 127\.0\.0\.1:", closing)
        self.assertGreaterEqual(count, 3)
        self.assertEqual(server.sequences(), list(range(count)))
        self.assertEqual({r.path for r in server.requests}, {"/profiling/v1/input"})

    def test_nobody_there(self):
        """Within the grace it is tried; then it is lost, and the line says why and what would help."""
        server = receiver.Receiver(self)
        session = self.session(server, 1.5, ["--export_grace", "1"])
        began = time.monotonic()
        lines = self.finish(session)
        self.assertLess(time.monotonic() - began, 30)
        closing = self.closing(lines)
        self.assertRegex(closing, r"; \d+ lost \(.* at 127\.0\.0\.1:\d+: .*[Cc]onnect.*\), --spool DIR would keep them")
        troubles = [line for line in lines if "does not take profiles" in line]
        self.assertEqual(len(troubles), 1, lines)

    def test_up_within_the_grace(self):
        server = receiver.Receiver(self)
        session = self.session(server, 1.2, ["--export_grace", "60"])
        supervisor = session.supervisor()
        support.wait_until(lambda: not [p for p in support.children(session.pid)], 60, "the command to end")
        time.sleep(0.3)
        self.assertTrue(support.is_alive(supervisor))
        server.start()
        began = time.monotonic()
        closing = self.closing(self.finish(session))
        self.assertLess(time.monotonic() - began, 15)
        count = self.number(r"; (\d+) profiles? delivered", closing)
        self.assertEqual(server.sequences(), list(range(count)))
        self.assertNotIn("lost (", closing)

    def test_answers(self):
        """Each kind of refusal: said once with the server's words, nothing lost that is taken later."""
        cases = [
            # (answers, in the log, how many lines, requests of the first profile)
            ([(503, {}, "try later"), (503, {}, "try later"), (200, {}, "")],
             r"does not take profiles \(503 Service Unavailable: try later\)", 1),
            ([(429, {"Retry-After": "2"}, "slow down"), (200, {}, "")], None, 0),
            ([(400, {}, "bad profile"), (200, {}, "")], r"refuses a profile \(400 Bad Request: bad profile\)", 1),
            ([(413, {}, "too big"), (413, {}, "too big"), (200, {}, "")],
             r"refuses a profile \(413 Content Too Large: too big\)", 1),
            ([(401, {}, "who are you")], r"refuses profiles \(401 Unauthorized: who are you\)", 1),
            ([(403, {}, "no such key")], r"refuses profiles \(403 Forbidden: no such key\)", 1),
        ]
        for answers, pattern, count in cases:
            status = answers[0][0]
            with self.subTest(status=status):
                server = receiver.Receiver(self, answers).start()
                session = self.session(server, 4, ["--export_grace", "1"])
                lines = self.finish(session)
                closing = self.closing(lines)
                if pattern:
                    self.assertEqual(len([l for l in lines if re.search(pattern, l)]), count, lines)
                accepted = server.sequences()
                self.assertEqual(accepted, sorted(set(accepted)))
                refused = [r.sequence for r in server.requests if r.answer == status]
                if status in (503, 429):
                    self.assertEqual(accepted, list(range(len(accepted))))
                    self.assertNotIn("lost (", closing)
                elif status in (400, 413):
                    self.assertEqual(set(refused) & set(accepted), set())
                    self.assertEqual(refused, list(range(len(refused))))
                    self.assertIn(f"; {len(refused)} lost (", closing)
                else:
                    self.assertEqual(accepted, [])
                    self.assertLessEqual(len(refused), 2)  # at once, and at the end
                    self.assertIn(str(status), closing)
                if status == 429:
                    first, second = server.requests[:2]
                    self.assertEqual(first.sequence, second.sequence)
                    self.assertGreaterEqual(second.at - first.at, 2)

    def test_refusal_does_not_hold_up_the_end(self):
        """Waiting for somebody to mend a key is no use."""
        server = receiver.Receiver(self, [(403, {}, "no such key")]).start()
        session = self.session(server, 1.2, ["--export_grace", "300"])
        self.finish(session)

    def test_unix_socket(self):
        """An agent that is started again has a new socket under the old name: an exporter that may not reach it makes
        place for one that does, which is nobody's death."""
        path = os.path.join(support.temporary_folder(self), "agent.socket")
        server = receiver.Receiver(self, path=path).start()
        session = self.session(server, 9, wait=False)
        for restarts in range(2):
            support.wait_until(lambda: len(server.requests) >= 2 + 2 * restarts, 20, "profiles")
            server.stop()
            time.sleep(1.5)
            server.start()
        lines = self.finish(session)
        count = self.number(r"; (\d+) profiles delivered", self.closing(lines))
        self.assertGreaterEqual(count, 8)
        self.assertEqual(server.sequences(), list(range(count)))
        self.assertNotIn("the exporter", "\n".join(lines))

    # ---- outages ----

    def test_outage(self):
        """Down for 20 periods; the exporter killed twice, the unwinder once meanwhile: each profile arrives once, in
        order."""
        server = receiver.Receiver(self)
        session = self.session(server, 26, wait=False)
        session.roles = support.wait_for_roles(session.supervisor())
        for at, role in ((4, "exporter"), (9, "unwinder"), (14, "exporter")):
            time.sleep(max(0, session.began + at - time.monotonic()))
            self.kill(session, role)
        time.sleep(max(0, session.began + 21 - time.monotonic()))
        server.start()
        closing = self.closing(self.finish(session))
        count = self.number(r"; (\d+) profiles delivered", closing)
        self.assertGreaterEqual(count, 20)
        self.assertEqual(server.sequences(), list(range(count)))
        self.assertNotIn("lost (", closing)
        self.assertEqual(len({launch for launch, _ in server.accepted()}), 1)
        text = "\n".join(self.lines(session))
        self.assertEqual(text.count("does not take profiles"), 1, text)
        self.assertRegex(text, r"accepts profiles again; 1\d|2\d were waiting")

    def test_profile_that_ends_the_exporter(self):
        """Twice, and it is left out: the others are delivered, and the session ends."""
        support.require_root()
        copy = support.temporary_folder(self, mode=0o755)
        shutil.copytree(support.LIBEXEC, copy, dirs_exist_ok=True)
        shutil.copy2(target("dying_exporter"), os.path.join(copy, "ddprof-uploader"))
        prefix = [support.require_program("unshare"), "-m", "/bin/sh", "-c",
                  f'mount --bind "{copy}" "{support.LIBEXEC}" && exec "$@"', "sh"]
        session = self.session(receiver.Receiver(self), 4, prefix=prefix)
        lines = self.finish(session)
        self.assertEqual(len([l for l in lines if "that one is left out" in l]), 1, lines)
        self.assertEqual(len([l for l in lines if "the exporter ended (killed by signal 6" in l]), 1, lines)
        self.assertRegex(self.closing(lines), r"; [3-9] profiles delivered to nowhere; 1 lost \(nowhere: ")

    def tmpfs(self, size):
        support.require_root()
        folder = support.temporary_folder(self)
        if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=777", "tmpfs", folder], check=False).returncode:
            support.skip("cannot mount a tmpfs")
        self.addCleanup(subprocess.run, ["umount", "-l", folder], check=False)
        return folder

    def test_outage_with_a_full_disk(self):
        """The same with a spool whose disk is full for a while: what does not fit waits in memory."""
        folder = self.tmpfs("256k")
        filler = os.path.join(folder, "filler")
        server = receiver.Receiver(self)
        session = self.session(server, 16, spool=folder, wait=False)
        session.roles = support.wait_for_roles(session.supervisor())

        def spooled():
            return len(self.spooled(folder))

        support.wait_until(lambda: spooled() >= 2, 20, "profiles in the spool")
        file = os.open(filler, os.O_WRONLY | os.O_CREAT)
        with self.assertRaisesRegex(OSError, "No space left"):
            while True:
                os.write(file, b"\0" * 4096)
        os.close(file)
        before = spooled()
        time.sleep(3)
        self.assertLessEqual(spooled(), before + 1)
        self.kill(session, "exporter")
        time.sleep(2)
        os.unlink(filler)
        support.wait_until(lambda: spooled() >= before + 4, 30, "the spool to be used again")
        self.kill(session, "exporter")
        server.start()
        lines = self.finish(session)
        closing = self.closing(lines)
        count = self.number(r"; (\d+) profiles delivered", closing)
        self.assertGreaterEqual(count, 8)
        self.assertEqual(server.sequences(), list(range(count)))
        self.assertNotIn("lost (", closing)
        self.assertEqual(os.listdir(folder), [])
        text = "\n".join(lines)
        self.assertEqual(text.count("No space left on device"), 1, text)
        self.assertEqual(text.count("can be written to again"), 1, text)

    def test_the_next_run_sends_the_rest(self):
        """The whole worker is killed; the next run of the service sends what is in the spool, oldest first, before its
        own, and nothing twice."""
        spool = support.temporary_folder(self)
        server = receiver.Receiver(self)
        first = self.session(server, 8, spool=spool, wait=False)
        first.roles = support.wait_for_roles(first.supervisor())
        support.wait_until(lambda: len(self.spooled(spool)) >= 5, 30, "profiles in the spool")
        for pid in first.roles.values():
            os.kill(pid, signal.SIGKILL)
        first.process.communicate(timeout=60)
        support.wait_for_adopted()
        left = len(self.spooled(spool))
        self.assertGreaterEqual(left, 5)
        server.start()
        second = self.session(server, 2.5, spool=spool)
        closing = self.closing(self.finish(second))
        accepted = server.accepted()
        launches = list(dict.fromkeys(launch for launch, _ in accepted))
        self.assertEqual(len(launches), 2)
        earlier = [s for launch, s in accepted if launch == launches[0]]
        own = [s for launch, s in accepted if launch == launches[1]]
        self.assertEqual(earlier, list(range(left)))
        self.assertEqual(own, list(range(len(own))))
        self.assertEqual([launch for launch, _ in accepted][:left], [launches[0]] * left)
        self.assertIn(f"{len(own)} profiles delivered to", closing)
        self.assertIn(f" and {left} of earlier runs", closing)
        self.assertEqual(os.listdir(spool), [])

    def test_two_runs_share_a_spool(self):
        """At the same time: each profile of both arrives once."""
        spool = support.temporary_folder(self)
        server = receiver.Receiver(self)
        sessions = [self.session(server, 5, spool=spool, wait=False) for _ in range(2)]
        support.wait_until(lambda: len(os.listdir(spool)) >= 5, 30, "profiles in the spool")
        server.start()
        for session in sessions:
            session.process.communicate(timeout=60)
        support.wait_for_adopted()
        accepted = server.accepted()
        self.assertEqual(len(accepted), len(set(accepted)))
        for launch in {launch for launch, _ in accepted}:
            sequences = [s for l, s in accepted if l == launch]
            self.assertEqual(sequences, list(range(len(sequences))))
        self.assertEqual(len({launch for launch, _ in accepted}), 2)
        self.assertEqual(os.listdir(spool), [])

    def test_spool_is_kept_for_the_next_run(self):
        spool = support.temporary_folder(self)
        server = receiver.Receiver(self)
        session = self.session(server, 2.5, ["--export_grace", "0"], spool=spool)
        closing = self.closing(self.finish(session))
        kept = self.number(r"; (\d+) not delivered \(.*\), kept in " + re.escape(spool) + " for the next run", closing)
        self.assertGreaterEqual(kept, 3)
        self.assertEqual(len(os.listdir(spool)), kept)
        for name in os.listdir(spool):
            self.assertEqual(os.stat(os.path.join(spool, name)).st_mode & 0o777, 0o600)

    def test_several_destinations(self):
        """Files do not wait for a server that is down; the server gets all when it is up."""
        output = support.temporary_folder(self)
        server = receiver.Receiver(self)
        session = self.session(server, 5, ["--output", output], wait=False)
        support.wait_until(lambda: len(os.listdir(output)) >= 3, 20, "files")
        server.start()
        lines = self.finish(session)
        closing = self.closing(lines)
        files = sorted(int(re.search(r"-(\d+)\.pprof$", name)[1]) for name in os.listdir(output))
        self.assertEqual(files, list(range(len(files))))
        self.assertEqual(server.sequences(), files)
        self.assertIn(f"{len(files)} profiles in {output}", closing)
        self.assertIn(f"{len(files)} profiles delivered to", closing)

    # ---- what must not be seen ----

    def memory(self, pid):
        """All that the process can read, as root sees it."""
        with open(f"/proc/{pid}/maps", encoding="utf-8") as maps, open(f"/proc/{pid}/mem", "rb", 0) as memory:
            for line in maps:
                begin, end = (int(number, 16) for number in line.split()[0].split("-"))
                try:
                    memory.seek(begin)
                    yield memory.read(end - begin)
                except (OSError, OverflowError, ValueError):
                    pass  # rings of perf, vvar

    def test_secrets(self):
        """A password is in requests and in the exporter, and nowhere else: no log line, no argument, no environment or
        memory of another role, no spool."""
        support.require_root()
        secret = "0123456789abcdef0123456789abcdef"
        spool = support.temporary_folder(self)
        server = receiver.Receiver(self, [(403, {}, "no such key"), (500, {}, "oh"), (500, {}, "oh"), (500, {}, "oh")]).start()
        self.log = os.path.join(support.temporary_folder(self), "log")
        session = support.Session(
            self, ["/bin/sleep", "4"],
            ["-u", "1", "--url", server.url, "--log_mode", self.log, "--log_level", "debug", "--spool", spool,
             "--export_grace", "1"], output=False,
            env={**os.environ, "PYROSCOPE_SERVER_ADDRESS": server.url, "PYROSCOPE_BASIC_AUTH_USER": "user",
                 "PYROSCOPE_BASIC_AUTH_PASSWORD": secret})
        roles = support.wait_for_roles(session.supervisor())
        packed = base64.b64encode(f"user:{secret}".encode())
        for role, pid in roles.items():
            for name in ("cmdline", "environ"):
                with open(f"/proc/{pid}/{name}", "rb") as file:
                    self.assertNotIn(secret.encode(), file.read())
            holds = any(word in part for part in self.memory(pid) for word in (secret.encode(), packed))
            self.assertEqual(holds, role == "exporter", role)
        session.finish(60)
        self.assertTrue([r for r in server.requests if packed.decode() in str(r.headers.get("Authorization"))])
        text = support.read_text(self.log) + session.stderr.decode()
        self.assertIn("no such key", text)
        self.assertGreaterEqual(len(self.spooled(spool)), 3)
        for bytes_ in [text.encode()] + [open(os.path.join(spool, name), "rb").read() for name in os.listdir(spool)]:
            for word in (secret.encode(), packed):
                self.assertNotIn(word, bytes_)


if __name__ == "__main__":
    support.main()
