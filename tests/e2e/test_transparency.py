"""The target gets exactly what it would have got without us, and its parent sees exactly what it would have seen.
Everything is compared byte by byte with the same program run directly."""

import difflib
import fcntl
import hashlib
import itertools
import os
import resource
import signal
import subprocess
import tempfile
import time
import unittest

import support
from support import LAUNCH, target

REPORT = None


def setUpModule():
    global REPORT
    support.require_profiling()
    REPORT = target("report_state")


def differences(direct, launched):
    lines = difflib.unified_diff(direct.splitlines(), launched.splitlines(), "directly", "by us", n=0, lineterm="")
    return [line[:500] for line in lines]


class State(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.output = support.temporary_folder(self)
        self.text = os.path.join(support.temporary_folder(self), "state")
        self.working_folder = support.temporary_folder(self)

    def state(self, wrapper, setup, environment, arguments):
        """What report_state says. The file is the same in every run: even its inode may be compared."""

        def prepare():
            os.chdir(self.working_folder)
            null = os.open("/dev/null", os.O_RDWR)
            file = os.open(self.text, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
            os.dup2(null, 0)
            os.dup2(file, 1)
            os.dup2(null, 2)
            setup()

        pid = support.spawn([*wrapper, REPORT, *arguments], prepare, environment)
        self.assertEqual(support.reap(pid), 0)
        return support.read_text(self.text)

    def profiles(self):
        return [name for name in os.listdir(self.output) if name.endswith(".pprof")]

    def compare(self, setup=lambda: None, environment=None, arguments=(), is_profiled=True, options=(), edit=str):
        direct = self.state([], setup, environment, arguments)
        self.assertEqual(self.state([], setup, environment, arguments), direct, "the comparison itself is unstable")
        launched = self.state([LAUNCH, "--output", self.output, *options, "--"], setup, environment, arguments)
        statuses = support.wait_for_adopted()
        self.assertIn("[status]", direct)
        self.assertEqual(differences(edit(direct), edit(launched)), [])
        if is_profiled:
            self.assertEqual(len(self.profiles()), 1, "not profiled: the comparison proves nothing")
            self.assertEqual(list(statuses.values()), [0])
        return launched

    def test_plain(self):
        self.compare()

    def test_arguments(self):
        self.compare(arguments=["", " ", "--output", "-e", "\n", "é\udcff", "x" * 100000])

    def test_environment(self):
        self.compare(environment={
            b"PATH": b"/usr/bin:/bin", b"EMPTY": b"", b"BYTES": bytes(range(1, 256)), b"LD_LIBRARY_PATH": b"/nonexistent",
            b"MALLOC_CHECK_": b"3", b"TMPDIR": b"/nonexistent", b"LD_BIND_NOW": b"1", b"DD_SERVICE": b"x",
            b"GLIBC_TUNABLES": b"glibc.malloc.check=0", b"LONG": b"y" * 100000})

    def test_empty_environment(self):
        self.compare(environment={})

    def test_descriptors_above_1024(self):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if hard != resource.RLIM_INFINITY and hard < 5000:
            support.skip(f"the hard limit of open files is {hard}")

        def setup():
            resource.setrlimit(resource.RLIMIT_NOFILE, (5000, hard))
            for fd in [3, 4, 5, 7, 9, 100, 1023, 1024, 1025, 2000, 4999]:
                os.dup2(0, fd)

        self.assertIn("fd 4999:", self.compare(setup))

    def test_many_descriptors(self):
        def setup():
            for fd in range(3, 600):
                os.dup2(0, fd, inheritable=fd % 3 != 0)

        self.compare(setup)

    def test_odd_descriptors(self):
        def setup():
            read, write = os.pipe()
            os.write(write, b"unread")
            for fd, number in ((read, 20), (write, 21)):
                os.dup2(fd, number)
            folder = os.open("/", os.O_RDONLY)
            os.dup2(folder, 22)
            deleted, path = tempfile.mkstemp()
            os.unlink(path)
            os.dup2(deleted, 23)
            fcntl.fcntl(21, fcntl.F_SETFL, os.O_NONBLOCK)

        # a new pipe and a new deleted file have new inodes each time
        self.compare(setup, arguments=["--without", "identity"])

    def test_standard_descriptors_closed(self):
        """report_state needs a standard output; a shell that uses none before it has looked does not."""
        script = 'set -- /proc/$$/fd/*; for f; do echo "$f"; readlink "$f"; done >&9'
        for closed in itertools.chain.from_iterable(itertools.combinations((0, 1, 2), n) for n in range(4)):
            with self.subTest(closed=closed):
                seen = []
                for wrapper in ([], [LAUNCH, "--output", self.output]):

                    def setup():
                        null = os.open("/dev/null", os.O_RDWR)
                        for fd in (0, 1, 2):
                            os.dup2(null, fd)
                        file = os.open(self.text, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
                        os.dup2(file, 9)
                        os.closerange(10, 64)
                        for fd in closed:
                            os.close(fd)

                    pid = support.spawn([*wrapper, "/bin/sh", "-c", script], setup)
                    self.assertEqual(support.reap(pid), 0)
                    seen.append(support.read_text(self.text).replace(f"/proc/{pid}/", "/proc/PID/"))
                support.wait_for_adopted()
                self.assertIn("/proc/PID/fd/9", seen[0])
                self.assertEqual(seen[0], seen[1])
        self.assertEqual(len(self.profiles()), 8)

    def test_signals_ignored_and_blocked(self):
        def setup():
            for number in (signal.SIGHUP, signal.SIGINT, signal.SIGUSR1, signal.SIGTERM, signal.SIGRTMIN + 2):
                signal.signal(number, signal.SIG_IGN)
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2, signal.SIGTERM, signal.SIGRTMAX})

        self.compare(setup)

    def test_blocked_sigchld_is_not_left_pending(self):
        launched = self.compare(lambda: signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD}))
        self.assertIn(" pending=0000000000000000", launched)

    def test_pending_signals_stay_pending(self):
        def setup():
            numbers = {signal.SIGCHLD, signal.SIGUSR2, signal.SIGRTMIN + 1}
            signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
            for number in numbers:
                os.kill(os.getpid(), number)

        self.assertNotIn(" pending=0000000000000000", self.compare(setup))

    def test_ignored_sigchld(self):
        self.compare(lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN))

    def test_all_signals_blocked(self):
        self.compare(lambda: signal.pthread_sigmask(signal.SIG_SETMASK, range(1, 65)))

    def test_limits(self):
        def setup():
            for kind, value in ((resource.RLIMIT_NOFILE, 300), (resource.RLIMIT_CORE, 0), (resource.RLIMIT_STACK, 1 << 20),
                                (resource.RLIMIT_CPU, 1000), (resource.RLIMIT_FSIZE, 1 << 30), (resource.RLIMIT_DATA, 1 << 34)):
                hard = resource.getrlimit(kind)[1]
                resource.setrlimit(kind, (value, hard))

        self.compare(setup)

    def test_umask(self):
        for mask in (0, 0o777, 0o027):
            with self.subTest(mask=oct(mask)):
                for name in self.profiles():
                    os.unlink(os.path.join(self.output, name))
                self.compare(lambda: os.umask(mask))

    def test_deleted_working_folder(self):
        def setup():
            folder = os.path.join(self.working_folder, "gone")
            os.mkdir(folder)
            os.chdir(folder)
            os.rmdir(folder)

        self.assertIn("(deleted)", self.compare(setup))

    def test_timers_survive(self):
        self.compare(lambda: signal.setitimer(signal.ITIMER_REAL, 1000, 3))

    def test_process_attributes(self):
        def setup():
            os.setsid()
            os.nice(3)
            support.libc.prctl(support.PR_SET_PDEATHSIG, signal.SIGUSR1, 0, 0, 0)
            support.libc.prctl(support.PR_SET_TIMERSLACK, 123456, 0, 0, 0)
            support.libc.prctl(support.PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
            support.libc.personality(0x0040000)  # ADDR_NO_RANDOMIZE
            os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
            with open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
                file.write("500")

        self.compare(setup)

    def test_subreaper_gets_no_child_of_ours(self):
        """PR_SET_CHILD_SUBREAPER survives exec: a target that has it would adopt our worker when its opener ends."""
        launched = self.compare(lambda: support.libc.prctl(support.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), is_profiled=False)
        self.assertIn("children=0", launched)

    def test_profiling_disabled(self):
        self.compare(options=["--enable", "false"], is_profiled=False)
        self.assertEqual(self.profiles(), [])

    def test_wait_mode(self):
        """The parent is another one by definition; nothing else is."""

        def without_parent(text):
            return "".join(line for line in text.splitlines(True) if not line.startswith("parent="))

        def setup():
            signal.pthread_sigmask(signal.SIG_SETMASK, {signal.SIGCHLD, signal.SIGUSR1})
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
            os.dup2(0, 77)

        self.compare(setup, options=["--wait"], edit=without_parent)

    def test_wait_mode_ignored_sigchld(self):
        self.compare(lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN), options=["--wait"],
                     edit=lambda text: text[:text.index("[relations]")])


class Status(unittest.TestCase):
    def setUp(self):
        self.output = support.temporary_folder(self)

    def launch(self, command, options=()):
        pid = support.spawn([LAUNCH, "--output", self.output, "--log_mode", "disabled", *options, *command])
        status = support.reap(pid)
        support.wait_for_adopted()
        return status

    def test_every_exit_status(self):
        for status in range(256):
            self.assertEqual(self.launch([target("exit_with"), str(status)]), status)

    def test_some_exit_statuses_with_wait(self):
        for status in (0, 1, 7, 125, 126, 127, 128, 137, 255):
            self.assertEqual(self.launch([target("exit_with"), str(status)], ["--wait"]), status)

    def test_death_by_every_signal(self):
        harmless = {signal.SIGCHLD, signal.SIGCONT, signal.SIGURG, signal.SIGWINCH, signal.SIGSTOP, signal.SIGTSTP,
                    signal.SIGTTIN, signal.SIGTTOU}
        for number in sorted({*range(1, 32)} - harmless) + [int(signal.SIGRTMIN), int(signal.SIGRTMAX)]:
            for options in ([], ["--wait"]):
                with self.subTest(signal=number, options=options):
                    self.assertEqual(self.launch([target("exit_with"), f"-{number}"], options), -number)

    def test_codes_of_our_own(self):
        folder = support.temporary_folder(self)
        unexecutable = os.path.join(folder, "unexecutable")
        broken = os.path.join(folder, "broken")
        with open(unexecutable, "w", encoding="ascii") as file:
            file.write("#!/bin/sh\n")
        with open(broken, "wb") as file:
            file.write(b"\x7fELF not really")
        os.chmod(broken, 0o755)
        for options in ([], ["--wait"], ["--require"]):
            with self.subTest(options=options):
                for command, status in (("/nonexistent/program", 127), ("no-such-program-anywhere", 127),
                                        (unexecutable, 126), (folder, 126), (broken + "/x", 126)):
                    by_env = subprocess.run(["/usr/bin/env", command], stderr=subprocess.DEVNULL, check=False)
                    self.assertEqual(by_env.returncode, status)
                    self.assertEqual(self.launch([command], options), status, command)
        self.assertEqual(self.launch(["--no-such-option", "/bin/true"]), 125)
        self.assertEqual(self.launch([]), 125)
        self.assertEqual(os.listdir(self.output), [], "a profile of nothing was written")

    def test_require(self):
        self.assertEqual(self.launch(["/bin/true"], ["--require"]), 0)
        ran = os.path.join(support.temporary_folder(self), "ran")
        options = ["--require", "--output", "/nonexistent/folder/deep"]
        self.assertEqual(self.launch(["/bin/touch", ran], options), 125)
        self.assertFalse(os.path.exists(ran))
        self.assertEqual(self.launch(["/bin/touch", ran], options[1:]), 0)
        self.assertTrue(os.path.exists(ran))


class Streams(unittest.TestCase):
    def test_data_passes_unchanged(self):
        data = os.urandom(1 << 20)
        output = support.temporary_folder(self)
        for options in ([], ["--wait"]):
            result = subprocess.run([LAUNCH, "--output", output, *options, "cat"], input=data, stdout=subprocess.PIPE,
                                    stderr=subprocess.PIPE, check=True)
            support.wait_for_adopted()
            self.assertEqual(hashlib.sha256(result.stdout).digest(), hashlib.sha256(data).digest())

    def test_standard_error_stays_the_targets(self):
        session = support.run(self, ["/bin/sh", "-c", "echo error >&2; echo out"])
        self.assertEqual((session.stdout, session.stderr), (b"out\n", b"error\n"))

    def test_the_pid_is_the_targets(self):
        for prefix in ([], ["/usr/bin/timeout", "30"], ["/bin/sh", "-c", 'exec "$@"', "sh"], ["/usr/bin/nohup"]):
            with self.subTest(prefix=prefix):
                session = support.run(self, ["/bin/sh", "-c", 'echo $$; exec "$@"', "sh", target("short_lived")],
                                      prefix=prefix)
                self.assertEqual(session.status, 7)
                pid = int(session.stdout)
                if prefix[:1] != ["/usr/bin/timeout"]:  # which stays as the parent
                    self.assertEqual(pid, session.pid)
                self.assertEqual({sample.pid for sample in session.profile().samples}, {pid})
                self.assertIn(f"-{pid}-", session.profile_paths()[0])

    def measure_substitution(self, script):
        """Seconds until the shell had read everything, and whether a worker was still there."""
        output = support.temporary_folder(self)
        began = time.monotonic()
        result = subprocess.run(["/bin/sh", "-c", script], capture_output=True, check=True, timeout=30,
                                env={**os.environ, "LAUNCH": LAUNCH, "DDPROF_OUTPUT": output})
        return time.monotonic() - began, result.stdout, support.adopted()

    def test_command_substitution_returns_at_once(self):
        """Stopping the worker shows that nobody waits for it: the shell reads EOF while it cannot move."""
        output = support.temporary_folder(self)
        for redirection in ("", "2>&1"):
            with self.subTest(redirection=redirection):
                script = f'x=$("$LAUNCH" sh -c "read go; echo hi" {redirection}); echo "got $x"'
                read, write = os.pipe()
                shell = subprocess.Popen(["/bin/sh", "-c", script], stdin=read, stdout=subprocess.PIPE,
                                         stderr=subprocess.PIPE, env={**os.environ, "LAUNCH": LAUNCH, "DDPROF_OUTPUT": output})
                support.started.add(shell.pid)
                os.close(read)
                supervisor = support.wait_for_supervisor()
                roles = support.wait_for_roles(supervisor)
                for pid in roles.values():
                    os.kill(pid, signal.SIGSTOP)
                began = time.monotonic()
                os.write(write, b"\n")
                os.close(write)
                out, error = shell.communicate(timeout=20)
                elapsed = time.monotonic() - began
                alive = [pid for pid in roles.values() if support.is_alive(pid)]
                for pid in roles.values():
                    os.kill(pid, signal.SIGCONT)
                support.wait_for_adopted()
                self.assertEqual((out, error), (b"got hi\n", b""))
                self.assertEqual(len(alive), 4)
                self.assertLess(elapsed, 4)  # a launcher waits 5 s for its worker, a parent of --wait longer

    def test_pipe_to_head(self):
        seconds, out, _ = self.measure_substitution('"$LAUNCH" yes | head -n 1')
        support.wait_for_adopted()
        self.assertEqual(out, b"y\n")
        self.assertLess(seconds, 5)

    def test_reader_sees_the_end(self):
        """The worker holds no end of the target's pipes, checked where it would be visible: in its descriptors."""
        support.require_root()
        session = support.Session(self, ["/bin/sh", "-c", "read go"], stdin=subprocess.PIPE)
        roles = support.wait_for_roles(session.supervisor())
        theirs = {os.readlink(f"/proc/{session.pid}/fd/{fd}") for fd in (0, 1, 2)}
        for name, pid in roles.items():
            ours = {os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")}
            self.assertFalse(ours & theirs, name)
        session.process.stdin.write(b"\n")
        session.finish()


if __name__ == "__main__":
    support.main()
