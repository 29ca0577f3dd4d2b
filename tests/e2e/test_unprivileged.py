"""The whole main path as an ordinary user at kernel.perf_event_paranoid=2, and in namespaces."""

import os
import re
import shutil
import subprocess
import unittest

import support
from support import LAUNCH, target


def setUpModule():
    support.require_profiling()
    support.require_root()  # to become somebody else
    probe = subprocess.run([*support.user_prefix(), "test", "-x", LAUNCH, "-a", "-x", target("split")], check=False)
    if probe.returncode != 0:
        support.skip("an ordinary user cannot reach the installed program or the test targets")
    paranoid = int(support.read_text("/proc/sys/kernel/perf_event_paranoid"))
    if paranoid > 2:
        support.skip(f"kernel.perf_event_paranoid is {paranoid}")


class OrdinaryUser(unittest.TestCase):
    def run_as_user(self, command, options=(), uid=support.NOBODY, **popen):
        session = support.run(self, command, options, prefix=support.user_prefix(uid), **popen)
        return session

    def check(self, session):
        profile = session.profile()
        self.assertGreaterEqual(support.share_of(profile.samples, support.has_function("^alternate")), 97)
        self.assertGreaterEqual(support.share_of(profile.samples, support.is_rooted), 99.5)
        self.assertEqual({s.pid for s in profile.samples}, {session.pid})
        status = os.stat(profile.path)
        self.assertEqual((status.st_uid, status.st_mode & 0o777), (support.NOBODY, 0o600))
        return profile

    def test_main_path(self):
        session = self.run_as_user([target("split"), "1"])
        self.assertEqual((session.status, session.stderr), (0, b""))
        self.assertEqual(list(session.worker_statuses.values()), [0])
        self.check(session)

    def test_wait(self):
        session = support.run(self, [target("split"), "1"], ["--wait"], prefix=support.user_prefix())
        self.assertEqual(session.status, 0)
        self.assertEqual(len(session.stderr.splitlines()), 1)
        self.assertIn(session.profile_paths()[0].encode(), session.stderr)

    def test_limit_of_locked_memory(self):
        """The rings must fit into what every user may lock, or shrink until they do. (A user without a past: Linux 6.18
        charges every further mapping of a ring and never gives that back.)"""
        prefix = ["/bin/sh", "-c", 'ulimit -l 0; exec "$@"', "sh", *support.user_prefix(next(support.ordinary_users))]
        session = support.run(self, [target("split"), "1"], prefix=prefix)
        self.assertEqual((session.status, session.stderr), (0, b""))
        self.assertGreaterEqual(support.share_of(session.profile().samples, support.is_rooted), 99.5)

    def test_two_at_once(self):
        output = support.temporary_folder(self)
        sessions = [support.Session(self, [target("split"), "1"], prefix=support.user_prefix(), output=output) for _ in range(2)]
        for session in sessions:
            session.stdout, session.stderr = session.process.communicate(timeout=60)
            self.assertEqual((session.process.returncode, session.stderr), (0, b""))
        support.wait_for_adopted()
        profiles = sessions[0].profiles()
        self.assertEqual(len(profiles), 2)
        self.assertEqual({s.pid for p in profiles for s in p.samples}, {session.pid for session in sessions})
        for profile in profiles:
            self.assertEqual(len({s.pid for s in profile.samples}), 1)
            self.assertGreaterEqual(support.share_of(profile.samples, support.is_rooted), 99.5)

    def test_ten_in_a_row(self):
        """With the locked memory Debian gives every user (8 MB), a launch takes nothing away from the next one."""
        prefix = ["/bin/sh", "-c", 'ulimit -l 8192; exec "$@"', "sh", *support.user_prefix()]
        keeper = subprocess.Popen([*support.user_prefix(), "sleep", "60"])  # as long as it lives, the kernel's count does
        support.started.add(keeper.pid)
        try:
            for _ in range(10):
                session = support.run(self, [target("short_lived")], prefix=prefix)
                self.assertEqual((session.status, session.stderr, len(session.profile_paths())), (7, b"", 1))
        finally:
            keeper.kill()
            keeper.wait()

    def test_many_at_once(self):
        """When the locked-memory budget of the user is used up, the rest runs unprofiled, with one line each."""
        output = support.temporary_folder(self)
        prefix = ["/bin/sh", "-c", 'ulimit -l 0; exec "$@"', "sh", *support.user_prefix(next(support.ordinary_users))]
        sessions = [support.Session(self, ["/bin/sh", "-c", "read go; exit 7"], prefix=prefix, output=output,
                                    stdin=subprocess.PIPE) for _ in range(12)]
        refused = 0
        for session in sessions:
            support.time.sleep(0.02)
        for session in sessions:
            session.stdout, session.stderr = session.process.communicate(b"\n", timeout=60)
            self.assertEqual(session.process.returncode, 7)
            lines = session.stderr.decode().splitlines()
            self.assertLessEqual(len(lines), 1, lines)
            refused += len(lines)
            for line in lines:
                self.assertRegex(line, "^ddprof-launch: not profiling: .*lock.*; raise ulimit -l")
        support.wait_for_adopted()
        self.assertEqual(len(os.listdir(output)) + refused, len(sessions))
        print(f"12 at once by one user with ulimit -l 0: {refused} refused")

    def test_deleted_while_running(self):
        """It removes itself at once: what is left is /proc/PID/exe, which its user may open."""
        folder = support.temporary_folder(self)
        program = os.path.join(folder, "vanisher")
        shutil.copy(target("split"), program)
        os.chown(program, support.NOBODY, support.NOBODY)
        session = self.run_as_user(["/bin/sh", "-c", f'(until [ /proc/$$/exe -ef "{program}" ]; do :; done; rm "{program}") & exec "{program}" 1'])
        self.assertEqual(session.status, 0)
        self.assertFalse(os.path.exists(program))
        self.assertGreaterEqual(support.share_of(session.profile().samples, support.has_function("^alternate")), 90)

    def test_unreadable_program(self):
        """Mode 0711: the kernel makes its process non-dumpable and ends its events. It runs all the same."""
        folder = support.temporary_folder(self)
        program = os.path.join(folder, "unreadable")
        shutil.copy(target("short_lived"), program)
        os.chmod(program, 0o711)
        session = self.run_as_user([program])
        self.assertEqual(session.status, 7)

    def test_set_uid_program(self):
        """A target that changes who it is: it runs with its privileges, whatever profiling does."""
        folder = support.temporary_folder(self)
        program = os.path.join(folder, "set-uid")
        shutil.copy("/usr/bin/id", program)
        os.chown(program, 0, 0)
        os.chmod(program, 0o4755)
        direct = subprocess.run([*support.user_prefix(), program, "-u"], capture_output=True, check=True).stdout
        session = self.run_as_user([program, "-u"])
        self.assertEqual((session.status, session.stdout), (0, direct))


class Namespaces(unittest.TestCase):
    def unshare(self, *flags):
        prefix = [support.require_program("unshare"), *flags]
        probe = subprocess.run([*prefix, "/bin/true"], capture_output=True, check=False)
        if probe.returncode != 0:
            support.skip(f"unshare {' '.join(flags)}: {probe.stderr.decode().strip()}")
        return prefix

    def test_user_namespace(self):
        for prefix in ([], support.user_prefix()):
            with self.subTest(user="ordinary" if prefix else "root"):
                session = support.run(self, ["/bin/sh", "-c", f"id -u; exec {target('short_lived')}"],
                                      prefix=[*prefix, *self.unshare("-Ur")])
                self.assertEqual((session.status, session.stdout), (7, b"0\n"))
                self.assertGreater(len(session.profile().samples), 0)

    def test_first_process_of_a_pid_namespace(self):
        """With us the container's first process, the kernel kills the worker with the target: only --wait can deliver."""
        for options in ([], ["--wait"]):
            with self.subTest(options=options):
                session = support.run(self, ["/bin/sh", "-c", f"echo $$; {target('short_lived')}; exit 9"], options,
                                      prefix=self.unshare("-p", "-f", "--mount-proc"))
                self.assertEqual(session.status, 9)
                if not options:
                    self.assertEqual(session.stdout, b"1\n")
                lines = session.stderr.decode().splitlines()
                self.assertLessEqual(len(lines), 1)
                if options:
                    names = [name for profile in session.profiles() for s in profile.samples for name in s.stack]
                    self.assertIn("burn_briefly", names, lines)

    def test_mount_namespace(self):
        """The target's files as the target sees them: another file lies at that path in our namespace."""
        folder = support.temporary_folder(self)
        inside = os.path.join(folder, "inside")
        os.mkdir(inside)
        script = f'mount -t tmpfs none {inside} && cp {target("split")} {inside}/hidden && exec {inside}/hidden 1'
        session = support.run(self, [*self.unshare("-m"), "/bin/sh", "-c", script])
        self.assertEqual(session.status, 0, session.stderr)
        self.assertEqual(os.listdir(inside), [])
        self.assertIn("hidden", {s.stack[0] for s in session.profile().samples})
        print(f"another mount namespace, as root: "
              f"{support.share_of(session.profile().samples, support.has_function('^alternate')):.1f} % resolved")


if __name__ == "__main__":
    support.main()
