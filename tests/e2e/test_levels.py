"""How much a sample copies follows what stacks need: one level at a time, whoever dies meanwhile, with nothing but what
the opener left."""

import os
import signal
import unittest

import support
from private_host import PrivateHost
from support import target

EVENT = "anon_inode:[perf_event]"
FRAME_POINTERS = os.path.join(os.path.dirname(support.TARGETS), "collect", "deep_frame_pointers_gcc")
FAST = ["--event", "sCPU freq=999"]


def setUpModule():
    support.require_profiling()


def events_of(pid):
    return sum(os.readlink(f"/proc/{pid}/fd/{fd}") == EVENT for fd in os.listdir(f"/proc/{pid}/fd"))


class Levels(unittest.TestCase):
    def start(self, seconds, options=(), prefix=(), program=()):
        self.log = os.path.join(support.temporary_folder(self), "log")
        options = [*FAST, *options, "--log_mode", self.log, "--log_level", "informational"]
        session = support.Session(self, list(program) or [target("split"), str(seconds)], options, prefix=list(prefix))
        session.roles = support.wait_for_roles(session.supervisor())
        return session

    def lines(self):
        return [line for line in support.read_text(self.log).splitlines() if "sampling: " in line]

    def wait_for_switch(self):
        support.wait_until(self.lines, 10, "another level of sampling")

    def profile(self, session):
        session.finish()
        self.assertEqual(session.status, 0, session.stderr)
        return session.profile()

    def check_whole(self, profile):
        """All samples were taken at some level, and most of what the kernel counted is in them."""
        levels = {key: int(value) for key, value in profile.comments.items() if key.startswith("ddprof.level.")}
        self.assertEqual(sum(levels.values()), profile.ledger("samples"))
        whole = support.total_ns(profile.samples)
        self.assertLessEqual(abs(whole - profile.ledger("kernel_count_ns")), 0.1 * whole)
        return levels

    def test_follows_need(self):
        """By an ordinary user: what the opener opened is enough."""
        host = PrivateHost(self, "setcap cap_sys_admin=p $OPENER")
        session = self.start(3, prefix=host.prefix)
        for name, pid in session.roles.items():
            self.assertEqual(int(support.proc_status(pid)["CapPrm"], 16), 0, name)
        levels = self.check_whole(self.profile(session))
        self.assertEqual(len(self.lines()), 1, self.lines())
        self.assertRegex(self.lines()[0], "sampling: 8 KB of stack .was 32 KB.$")
        self.assertEqual(set(levels), {"ddprof.level.normal", "ddprof.level.small"})
        self.assertGreater(levels["ddprof.level.small"], 1000)

    def test_unwinder_dies_after_a_switch(self):
        """Its successor goes on at the same level, and says nothing: nothing has changed."""
        session = self.start(4)
        self.wait_for_switch()
        support.time.sleep(0.6)  # what was copied before is read
        os.kill(session.roles["unwinder"], signal.SIGKILL)
        levels = self.check_killed(self.profile(session))
        self.assertEqual(set(levels), {"ddprof.level.small"})
        self.assertEqual(len(self.lines()), 1, self.lines())

    def test_successor_knows_the_level(self):
        """Only who knows that 8 KB are copied can find that they are too few."""
        session = self.start(0, program=["/bin/sh", "-c", f"{target('split')} 3; {FRAME_POINTERS} 4 large"])
        self.wait_for_switch()
        os.kill(session.roles["unwinder"], signal.SIGKILL)
        session.finish()
        self.assertGreaterEqual(len(self.lines()), 2)
        self.assertRegex(self.lines()[0], "sampling: 8 KB of stack .was 32 KB.$")
        self.assertRegex(self.lines()[1], "sampling: 32 KB of stack .was 8 KB.$")

    def test_unwinder_dies_before_a_switch(self):
        session = self.start(4)
        os.kill(session.roles["unwinder"], signal.SIGKILL)
        levels = self.check_killed(self.profile(session))
        self.assertGreater(levels["ddprof.level.small"], 1000)
        self.assertEqual(len(self.lines()), 1, self.lines())

    def check_killed(self, profile):
        self.assertEqual(profile.ledger("restarts"), 1)
        self.assertGreater(profile.ledger("samples"), 1000)
        levels = {key: int(value) for key, value in profile.comments.items() if key.startswith("ddprof.level.")}
        self.assertEqual(sum(levels.values()), profile.ledger("samples"))
        return levels

    def test_events_of_each_method(self):
        """An event per level, and no more than asked for; a size of the caller's choice is the only one."""
        for options, events, level in (([], 5, "normal"), (["--unwind", "dwarf"], 4, "normal"), (["--unwind", "fp"], 2, "chain"),
                                       (["--stack_sample_size", "8192"], 2, "small"),
                                       (["--stack_sample_size", "40000"], 2, "large"),
                                       (["--stack_sample_size", "4096", "--unwind", "fp"], 2, "chain")):
            with self.subTest(options=options):
                session = self.start(2, options)  # it runs on when all roles are there, a second after its start
                for role in ("supervisor", "unwinder"):
                    self.assertEqual(events_of(session.roles[role]), events * os.cpu_count(), role)
                levels = self.check_whole(self.profile(session))
                self.assertIn("ddprof.level." + level, levels)
                if events == 2:
                    self.assertEqual(len(levels), 1)
                    self.assertEqual(self.lines(), [])

    def test_frame_pointers(self):
        """Stacks too large for the small copy, in a program whose frame pointers are as good as its tables; and in the
        same one that leaves them to a C library, which need not have any."""
        for word, methods, expected in (("large", [], "chain"), ("large", ["--unwind", "dwarf"], "normal"), ("libc", [], "small")):
            with self.subTest(word=word, methods=methods):
                session = self.start(2, methods, program=[FRAME_POINTERS, "2", word])
                profile = self.profile(session)
                levels = self.check_whole(profile)
                self.assertGreater(levels["ddprof.level." + expected], 1000, levels)
                self.assertGreaterEqual(profile.ledger("stacks.root"), 0.99 * profile.ledger("samples"))

    def test_few_descriptors(self):
        """Files of the target come first: then there is the one level that sampling begins with."""
        limit = 2 * os.cpu_count() + 200
        session = self.start(2, prefix=[support.require_program("prlimit"), f"--nofile={limit}:{limit}"])
        self.assertEqual(events_of(session.roles["unwinder"]), 2 * os.cpu_count())
        self.assertEqual(set(self.check_whole(self.profile(session))), {"ddprof.level.normal"})
        self.assertEqual(self.lines(), [])


if __name__ == "__main__":
    support.main()
