"""Killing or stopping any process of ours at any moment leaves the target running and correct, and loses as little as
that process alone had in its hands."""

import os
import random
import signal
import time
import unittest

import support
from support import target

SEED = int(os.environ.get("DDPROF_SEED", time.time_ns() % 1000000))


def setUpModule():
    support.require_profiling()
    print(f"DDPROF_SEED={SEED}")


class Killing(unittest.TestCase):
    def start(self, seconds, options=()):
        session = support.Session(self, [target("split"), str(seconds)], options)
        session.roles = support.wait_for_roles(session.supervisor())
        return session

    def check_target(self, session):
        session.finish()
        self.assertEqual(session.status, 0, session.stderr)
        self.assertRegex(session.stdout, rb"^\d+\n$")
        return int(session.stdout)  # the CPU time that it used

    def used_ns(self, session):
        """By the target until now."""
        return int(support.read_text(f"/proc/{session.pid}/schedstat").split()[0])

    def check_complete(self, session, may_lose=False):
        """All of the program's CPU time is in the profiles, resolved or, where a ring was full, counted as lost. The
        bound is wide because other programs may disturb the clock; how exact it is, is test_accuracy's business."""
        ns = int(session.stdout)
        profiles = session.profiles()
        self.assertGreaterEqual(len(profiles), 1)
        samples = [s for profile in profiles for s in profile.samples]
        lost = support.total_ns(s for s in samples if "[lost]" in s.stack)
        resolved = support.total_ns(s for s in samples if support.has_function("^alternate")(s))
        if not may_lose:
            self.assertEqual(lost, 0)
        self.assertGreaterEqual(resolved + lost, 0.85 * ns)
        self.assertLessEqual(resolved + lost, 1.15 * ns)
        self.assertEqual({s.stack[0] for s in samples}, {"split"})
        self.assertEqual({s.labels["process_name"] for s in samples}, {"split"})

    def test_supervisor(self):
        """With it everything of ours ends; the target does not notice."""
        for options in ([], ["--wait"]):
            with self.subTest(options=options):
                session = self.start(2, options)
                os.kill(session.roles["supervisor"], signal.SIGKILL)
                support.wait_until(lambda: not any(support.is_alive(p) for p in session.roles.values()), 5, "the roles to end")
                self.assertTrue(support.is_alive(session.pid))
                self.check_target(session)

    def test_unwinder_once(self):
        """The rings are the supervisor's, and so is the journal: its successor goes on as if nothing had been."""
        session = self.start(3)
        os.kill(session.roles["unwinder"], signal.SIGKILL)
        before_ns = self.used_ns(session)
        successor = support.wait_until(
            lambda: support.worker_processes(session.roles["supervisor"]).get("unwinder") not in (None, session.roles["unwinder"]),
            what="a new unwinder")
        self.assertTrue(successor)
        whole_ns = self.check_target(session)
        profile = session.profile()
        resolved = support.total_ns(s for s in profile.samples if support.has_function("^alternate")(s))
        self.assertGreaterEqual(resolved, 0.9 * (whole_ns - before_ns))  # what came after the death
        self.assertLessEqual(resolved, 1.03 * whole_ns)  # and nothing twice
        for sample in profile.samples:
            self.assertIn(sample.stack[:2], (["split", "_start"], ["split", "[lost]"]))
            self.assertEqual(sample.labels["process_name"], "split")
            self.assertEqual(sample.labels["thread_name"], "split")
        seen = [s for s in profile.samples if "[lost]" not in s.stack]
        self.assertGreaterEqual(support.share_of(seen, support.is_rooted), 99)
        print(f"killing the unwinder once, of 3 s: {resolved / 1e9:.2f} s in the profile, "
              f"ledger: {profile.comments}")

    def test_unwinder_again_and_again(self):
        """After repeated deaths the session ends by itself, the target runs on."""
        session = self.start(4)
        supervisor, killed = session.roles["supervisor"], set()
        end = time.monotonic() + 2.5
        while time.monotonic() < end and support.is_alive(supervisor):
            pid = support.worker_processes(supervisor).get("unwinder")
            if pid and pid not in killed:
                killed.add(pid)
                os.kill(pid, signal.SIGKILL)
            time.sleep(0.01)
        self.assertGreaterEqual(len(killed), 3)
        self.assertLess(len(killed), 10, "no backoff")
        self.check_target(session)

    def test_symbolizer(self):
        """Stopped while it holds the profile, then killed: addresses and build ids are exported all the same."""
        session = self.start(2)
        os.kill(session.roles["symbolizer"], signal.SIGSTOP)
        session.process.wait(timeout=30)
        time.sleep(0.7)
        self.assertEqual(session.profile_paths(), [])
        os.kill(session.roles["symbolizer"], signal.SIGKILL)
        self.check_target(session)
        profile = session.profile()
        self.assertGreaterEqual(support.total_ns(profile.samples), 0.85 * int(session.stdout))
        self.assertTrue(all(m.build_id for m in profile.message.mapping))

    def test_symbolizer_before_it_is_needed(self):
        session = self.start(2)
        os.kill(session.roles["symbolizer"], signal.SIGKILL)
        self.check_target(session)
        self.check_complete(session)

    def test_exporter_before_it_is_needed(self):
        session = self.start(2)
        os.kill(session.roles["exporter"], signal.SIGKILL)
        self.check_target(session)
        self.check_complete(session)

    def test_exporter_in_the_middle(self):
        """Killed while it holds the profile: the supervisor still has it."""
        session = self.start(2)
        os.kill(session.roles["exporter"], signal.SIGSTOP)
        session.process.wait(timeout=30)
        time.sleep(0.7)
        os.kill(session.roles["exporter"], signal.SIGKILL)
        self.check_target(session)
        self.check_complete(session)
        self.assertEqual([n for n in os.listdir(session.output) if not n.endswith(".pprof")], [])

    def test_stopped_and_continued(self):
        """Each of them, for half a second: what does not fit in a ring meanwhile is counted as lost."""
        for name in ("supervisor", "unwinder", "symbolizer", "exporter"):
            with self.subTest(role=name):
                session = self.start(2.2)
                os.kill(session.roles[name], signal.SIGSTOP)
                time.sleep(0.5)
                self.assertTrue(support.is_alive(session.pid))
                os.kill(session.roles[name], signal.SIGCONT)
                self.check_target(session)
                # the unwinder may wait for a file from a supervisor that is stopped
                self.check_complete(session, may_lose=name in ("supervisor", "unwinder"))

    def test_stopped_for_good_while_the_target_ends(self):
        """A stopped worker holds nobody up; continued after the target's end, it finishes."""
        session = self.start(1.7)
        for pid in session.roles.values():
            os.kill(pid, signal.SIGSTOP)
        began = time.monotonic()
        session.process.wait(timeout=30)
        self.assertLess(time.monotonic() - began, 10)
        for pid in session.roles.values():
            os.kill(pid, signal.SIGCONT)
        self.check_target(session)
        self.check_complete(session, may_lose=True)

    def test_term_to_the_supervisor(self):
        """What there is is written now, and the target runs on."""
        session = self.start(3)
        before_ns = self.used_ns(session)
        os.kill(session.roles["supervisor"], signal.SIGTERM)
        support.wait_until(session.profile_paths, what="the profile")
        after_ns = self.used_ns(session)
        self.assertTrue(support.is_alive(session.pid))
        support.wait_until(lambda: not support.is_alive(session.roles["supervisor"]), 5, "the supervisor to end")
        self.check_target(session)
        resolved = support.total_ns(session.profile().samples)
        self.assertGreater(resolved, 0.85 * before_ns)
        self.assertLess(resolved, 1.03 * after_ns)

    def test_every_other_signal_to_the_supervisor(self):
        """Terminal and shell signals are not for us."""
        session = self.start(2)
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGPIPE,
                       signal.SIGALRM, signal.SIGTSTP):
            os.kill(session.roles["supervisor"], number)
        self.check_target(session)
        self.check_complete(session)

    def test_everything_at_once(self):
        session = self.start(2)
        for pid in session.roles.values():
            os.kill(pid, signal.SIGKILL)
        self.check_target(session)

    def test_random(self):
        """Any of them, at any moment, from the first millisecond on."""
        chance = random.Random(SEED)
        for turn in range(12):
            options = chance.choice(([], ["--wait"], ["-u", "1"]))
            session = support.Session(self, [target("split"), "1.3"], options)
            time.sleep(chance.uniform(0, 1.3) ** 2)
            ours = []
            for pid in support.adopted():
                ours += [pid, *support.children(pid)]
            if ours:
                victim = chance.choice(ours)
                number = chance.choice((signal.SIGKILL, signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM))
                what = f"turn {turn}: {number!r} to {support.arguments(victim)}"
                try:
                    os.kill(victim, number)
                except ProcessLookupError:
                    what += " (gone)"
            else:
                what = f"turn {turn}: nobody there yet"
            with self.subTest(what, seed=SEED):
                self.check_target(session)

    def test_launch_survives_the_opener(self):
        """Killed before it could answer: the target runs, unprofiled, after one line."""
        for delay in (0, 0.0005, 0.001, 0.002, 0.003, 0.005):
            session = support.Session(self, [target("short_lived")])
            time.sleep(delay)
            for pid in support.children(session.pid):
                if support.comm(pid).startswith("ddprof"):
                    try:
                        os.kill(pid, signal.SIGKILL)
                    except ProcessLookupError:
                        pass
            session.finish()
            self.assertEqual(session.status, 7)
            lines = session.stderr.decode().splitlines()
            self.assertLessEqual(len(lines), 1)
            self.assertTrue(all(line.startswith("ddprof-launch: not profiling: ") for line in lines), lines)
            self.assertEqual(len(lines) + len(session.profile_paths()), 1)


if __name__ == "__main__":
    support.main()
