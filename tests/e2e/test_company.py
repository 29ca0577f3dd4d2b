"""In company: debuggers, itself, and itself a hundred times in a row."""

import contextlib
import os
import subprocess
import unittest

import support
from support import LAUNCH, target


def setUpModule():
    support.require_profiling()


class Company(unittest.TestCase):
    def gdb(self, *commands, program):
        output = support.temporary_folder(self)
        line = [support.require_program("gdb"), "-nx", "-batch", *[x for c in commands for x in ("-ex", c)], "--args",
                LAUNCH, "--output", output, *program]
        result = subprocess.run(line, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False,
                                env={**os.environ, "DEBUGINFOD_URLS": ""})
        support.wait_for_adopted()
        return result, output

    def test_gdb_runs_to_the_end(self):
        result, output = self.gdb("run", program=[target("short_lived")])
        self.assertRegex(result.stdout, r"exited with code 07")
        self.assertEqual(len(os.listdir(output)), 1)

    def test_gdb_stops_in_the_target(self):
        result, _ = self.gdb("set breakpoint pending on", "break burn_briefly", "run", "backtrace", "kill",
                             program=[target("short_lived")])
        self.assertRegex(result.stdout, r"Breakpoint 1, .*burn_briefly")
        self.assertRegex(result.stdout, r"(?m)^#1 .* main ")

    def test_strace_of_the_target(self):
        """Traced from the start: nothing of ours appears after the target's exec."""
        strace = support.require_program("strace")
        log = os.path.join(support.temporary_folder(self), "log")
        session = support.run(self, [target("exit_with"), "9"], prefix=[strace, "-o", log])
        self.assertEqual(session.status, 9, session.stderr)
        calls = support.read_text(log).splitlines()
        execs = [number for number, line in enumerate(calls) if line.startswith("execve(")]
        direct = subprocess.run([strace, "-o", log, target("exit_with"), "9"], check=False)
        self.assertEqual(direct.returncode, 9)
        self.assertEqual(len(calls) - execs[-1], len(support.read_text(log).splitlines()))

    def test_nested(self):
        """Both profile; the inner one's target appears in both."""
        inner = support.temporary_folder(self)
        session = support.run(self, [LAUNCH, "--output", inner, "--service", "inner", target("split"), "0.6"])
        self.assertEqual((session.status, session.stderr), (0, b""))
        profiles = [session.profile(), support.Profile(os.path.join(inner, os.listdir(inner)[0]))]
        self.assertEqual(len(os.listdir(inner)), 1)
        for profile in profiles:
            self.assertGreaterEqual(support.share_of(profile.samples, support.has_function("^alternate")), 90)
            self.assertEqual({s.pid for s in profile.samples if support.has_function("^alternate")(s)}, {session.pid})

    def test_nested_with_wait(self):
        inner = support.temporary_folder(self)
        session = support.run(self, [LAUNCH, "--wait", "--output", inner, target("short_lived")], ["--wait"])
        self.assertEqual(session.status, 7)
        self.assertEqual(len(session.stderr.splitlines()), 2, session.stderr)
        self.assertEqual(len(os.listdir(inner)), 1)
        # the inner worker belongs to the outer target's tree: when it outlives its launcher, a second profile covers that
        self.assertIn(len(session.profile_paths()), (1, 2))

    def test_two_children_profile_themselves(self):
        inner = support.temporary_folder(self)
        one = f'"{LAUNCH}" --output "{inner}" "{target("short_lived")}"'
        session = support.run(self, ["/bin/sh", "-c", f"{one} & {one} & wait; exit 0"])
        self.assertEqual(session.status, 0)
        self.assertEqual(len(os.listdir(inner)), 2)

    def test_a_hundred_launches(self):
        """They leave a hundred profiles and nothing else: no process, no temporary file, no descriptor of the caller's. By a
        user of their own, so that other tests' files are told apart."""
        output = support.temporary_folder(self)
        prefix, user = support.user_prefix(), support.NOBODY if os.getuid() == 0 else os.getuid()
        temporary = self.temporary_files(user)
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(100):
            result = subprocess.run([*prefix, LAUNCH, "--output", output, "/bin/true"], stdin=subprocess.DEVNULL,
                                    capture_output=True, check=False)
            self.assertEqual((result.returncode, result.stderr), (0, b""))
        statuses = support.wait_for_adopted()
        self.assertEqual(set(statuses.values()), {0})
        names = os.listdir(output)
        self.assertEqual((len(names), {name.rsplit(".", 1)[1] for name in names}), (100, {"pprof"}))
        self.assertEqual(len(os.listdir("/proc/self/fd")), before)
        self.assertEqual(self.temporary_files(user) - temporary, set())

    @staticmethod
    def temporary_files(user):
        found = set()
        for folder in ("/tmp", "/dev/shm"):
            with os.scandir(folder) as entries:
                for entry in entries:
                    with contextlib.suppress(FileNotFoundError):  # of somebody else
                        if entry.stat(follow_symlinks=False).st_uid == user:
                            found.add(entry.path)
        return found

    def test_twenty_at_once(self):
        output = support.temporary_folder(self)
        sessions = [support.Session(self, [target("short_lived")], output=output) for _ in range(20)]
        for session in sessions:
            _, error = session.process.communicate(timeout=120)
            self.assertEqual((session.process.returncode, error), (7, b""))
        support.wait_for_adopted()
        self.assertEqual(len(os.listdir(output)), 20)


if __name__ == "__main__":
    support.main()
