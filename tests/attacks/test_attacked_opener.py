"""The opener in the hands of an attacker: lies, hostile surroundings, and every moment to be killed at. In each way it
can be installed, as root and as an ordinary user."""

import itertools
import os
import re
import resource
import select
import signal
import socket
import struct
import subprocess
import unittest

import attack
import support
from attack import OPENER, hostile_launcher

# What glibc removes for set-uid programs (sysdeps/generic/unsecvars.h), and what other libraries obey.
HOSTILE_NAMES = (
    "GCONV_PATH GETCONF_DIR GLIBC_TUNABLES HOSTALIASES LD_AUDIT LD_BIND_NOT LD_BIND_NOW LD_DEBUG LD_DEBUG_OUTPUT "
    "LD_DYNAMIC_WEAK LD_HWCAP_MASK LD_LIBRARY_PATH LD_ORIGIN_PATH LD_PRELOAD LD_PROFILE LD_PROFILE_OUTPUT LD_SHOW_AUXV "
    "LD_USE_LOAD_BIAS LD_VERBOSE LD_WARN LOCALDOMAIN LOCPATH MALLOC_ARENA_MAX MALLOC_CHECK_ MALLOC_PERTURB_ MALLOC_TRACE "
    "NIS_PATH NLSPATH RESOLV_HOST_CONF RES_OPTIONS TMPDIR TZ TZDIR LANG LC_ALL LANGUAGE PATH HOME DD_PROFILING_ENABLED "
    "DDPROF_OUTPUT BASH_ENV ENV IFS PYTHONPATH PERL5LIB").split()
ASLR_OFF = 0x0040000


def setUpModule():
    attack.set_up()


class Opener(unittest.TestCase):
    def for_each(self, check):
        """Each way to install it, each kind of caller."""
        for name, opener in attack.privileged_openers(self):
            for prefix in ([], support.user_prefix()):
                with self.subTest(opener=name, user="ordinary" if prefix else "root"):
                    check(opener, prefix)

    def check_honest(self, opener, prefix, flags=0, is_ready=True, **named):
        done = hostile_launcher(opener, "honest", str(flags), prefix=prefix, **named)
        self.assertEqual(done.returncode, 0, done.stderr)
        # refused or granted, but by its own decision: no crash. (LD_SHOW_AUXV makes the attacker itself print more.)
        self.assertRegex(done.stdout, b"ready\nstatus 0\n$" if is_ready else rb"(ready\nstatus 0|failure \d+\nstatus 1)\n$")
        return done

    def test_lies_about_the_request(self):
        """Dozens of them; also pipes, files and nothing at all in place of the channel."""
        done = hostile_launcher(OPENER, "requests", prefix=support.user_prefix())
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        done = hostile_launcher(attack.copy_of(self, OPENER, mode=0o4755), "requests", prefix=support.user_prefix())
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_killed_at_each_system_call(self):
        for prefix in ([], support.user_prefix()):
            done = hostile_launcher(OPENER, "kill", prefix=prefix)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            print(done.stdout.decode().strip())

    def test_no_arguments_at_all(self):
        """argc 0 (CVE-2021-4034): the kernel may or may not supply an empty name, nothing looks at it."""
        for path, status in ((support.LAUNCH, 125), (OPENER, None), (attack.WORKER, 2)):
            with self.subTest(path=path):

                def execute():
                    nothing = (support.ctypes.c_char_p * 1)(None)
                    support.libc.execve(path.encode(), nothing, nothing)

                null = os.open("/dev/null", os.O_RDWR)

                def quietly():
                    os.dup2(null, 2)
                    os.closerange(3, 64)
                    execute()

                got = support.reap(support.spawn(["/nonexistent"], quietly))
                os.close(null)
                self.assertIn(got, (1, 2) if status is None else (status,))

    # ---- surroundings ----

    def test_standard_descriptors_closed(self):
        """All eight combinations: no event, socket or file of ours gets a number below 3 in any process of ours."""
        for closed in itertools.chain.from_iterable(itertools.combinations((0, 1, 2), n) for n in range(4)):
            with self.subTest(closed=closed):
                links = self.look_at_worker(flags=sum(1 << 4 + fd for fd in closed),
                                            look=lambda pid: [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in (0, 1, 2)])
                for fd in (0, 1, 2):
                    for link in (link[fd] for link in links):
                        if fd in closed:
                            self.assertEqual(link, "/dev/null")
                        self.assertNotRegex(link, "perf_event|ddprof|signalfd")

    def look_at_worker(self, look, opener=OPENER, flags=0, **named):
        """look(pid) for supervisor and unwinder of a session that hostile_launcher holds."""
        process = subprocess.Popen([*support.user_prefix(), attack.program("hostile_launcher"), opener, "honest", str(flags)],
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, **named)
        support.started.add(process.pid)
        try:
            self.assertTrue(select.select([process.stdout], [], [], 20)[0])
            self.assertEqual(process.stdout.readline(), b"ready\n")
            # adopted when the opener has ended, which may be after the supervisor's answer
            supervisor = support.wait_until(lambda: next((pid for pid in support.children(process.pid)
                                                          if support.arguments(pid)[1:2] == ["supervisor"]), None),
                                            what="the supervisor")
            return [look(pid) for pid in (supervisor, support.children(supervisor)[0])]  # others come a second later
        finally:
            rest, _ = process.communicate(timeout=30)
            self.assertEqual(rest, b"status 0\n")

    def test_hostile_environment(self):
        environment = {name: "/tmp/evil:%n%n%n" for name in HOSTILE_NAMES}
        environment["LD_PRELOAD"] = "/tmp/evil.so"
        for value in ("x" * 1000, "=" * 1000, "\x01\xff"):
            environment["GLIBC_TUNABLES"] = value
            for prefix in ([], support.user_prefix()):
                for _, opener in attack.privileged_openers(self):
                    # setpriv itself would obey LD_PRELOAD: env sets what only the attacker passes on
                    self.check_honest(opener, [*prefix, "/usr/bin/env", *(f"{k}={v}" for k, v in environment.items())])

    def test_environment_does_not_reach_the_worker(self):
        for environ in self.look_at_worker(lambda pid: support.read_text(f"/proc/{pid}/environ"),
                                           env={**os.environ, "LD_LIBRARY_PATH": "/x", "EVIL": "y"}):
            self.assertEqual(environ, "")

    def test_environment_changes_no_system_call(self):
        """The same calls, in the same order, with nothing and with everything in the environment."""
        strace = support.require_program("strace")
        traces = []
        for environment in ({}, {name: "/tmp/evil" for name in HOSTILE_NAMES if not name.startswith("LD_")}):
            log = os.path.join(support.temporary_folder(self), "log")
            done = subprocess.run([strace, "-o", log, OPENER], env=environment, input=b"", capture_output=True, check=False)
            self.assertIn(done.returncode, (1, 2))
            calls = re.findall(r"^(\w+)\(", support.read_text(log), re.M)
            traces.append([call for call in calls if call != "brk"])
        self.assertGreater(len(traces[0]), 5)
        self.assertEqual(traces[0], traces[1])

    def test_tunables_of_every_length(self):
        """CVE-2023-4911: name=name=value made a set-uid program's loader write past its copy."""
        opener = attack.copy_of(self, OPENER, mode=0o4755)
        for length in (*range(1, 64, 7), 200, 1000, 4000, 32000):
            value = "glibc.malloc.mxfast=glibc.malloc.mxfast=" + "A" * length
            self.check_honest(opener, [*support.user_prefix(), "/usr/bin/env", "GLIBC_TUNABLES=" + value,
                                       "FILL=" + "Z" * length])

    def test_a_megabyte_of_environment(self):
        values = {f"V{i}": "x" * 100000 for i in range(10)}
        for _, opener in attack.privileged_openers(self):
            self.check_honest(opener, support.user_prefix(), env={**os.environ, **values})

    def test_signals_and_timers(self):
        """Armed timers, ignored and blocked signals of the caller end with the opener's first steps: the worker's
        signal state is the same as without them."""

        def hostile():
            numbers = signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD}  # which the attacker needs
            for number in numbers:
                signal.signal(number, signal.SIG_IGN)
            signal.pthread_sigmask(signal.SIG_SETMASK, numbers)
            for kind in (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF):
                signal.setitimer(kind, 0.003, 0.003)

        def look(pid):
            return [support.proc_status(pid)[key] for key in ("SigBlk", "SigIgn", "SigCgt")]

        self.assertEqual(self.look_at_worker(look, preexec_fn=hostile), self.look_at_worker(look))

    def start_silent(self, setup):
        """An opener whose launcher says nothing, as root. Its pid and our end of the channel."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)

        def become():
            os.dup2(theirs.fileno(), 3)
            setup()

        pid = support.spawn([OPENER], become, {})
        theirs.close()
        self.addCleanup(ours.close)
        return pid, ours

    def test_junk_descriptors(self):
        """500 descriptors without close-on-exec, of every kind: none is in a process of ours."""

        def litter():
            soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
            resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 1024), hard))
            made = [os.memfd_create("junk"), os.pidfd_open(os.getpid()), os.open("/etc/passwd", os.O_RDONLY), *os.pipe(),
                    os.eventfd(0), os.open("/dev/zero", os.O_RDWR)]
            for fd in range(20, 520):
                os.dup2(made[fd % len(made)], fd, inheritable=True)

        def look(pid):
            """What is above the standard descriptors."""
            return sorted(re.sub(r"\d+", "N", os.readlink(f"/proc/{pid}/fd/{fd}"))
                          for fd in os.listdir(f"/proc/{pid}/fd") if int(fd) > 2)

        pid, _ = self.start_silent(litter)
        support.wait_until(lambda: support.proc_status(pid)["Seccomp"] == "2", what="the opener's filter")
        self.assertLessEqual(set(look(pid)), {"socket:[N]"})
        self.assertLessEqual(len(look(pid)), 2)  # the channel, the system log
        os.kill(pid, signal.SIGKILL)
        support.reap(pid)

        littered = self.look_at_worker(look, preexec_fn=litter, close_fds=False)
        clean = self.look_at_worker(look)
        self.assertEqual(littered, clean)
        self.assertNotIn("junk", str(littered))

    def test_umask(self):
        for mask in (0, 0o777):
            self.assertEqual(set(self.look_at_worker(lambda pid: support.proc_status(pid)["Umask"], umask=mask)), {"0077"})

    def test_strange_folders_and_personalities(self):
        """A working folder that is gone, one that is not ours, no address randomisation, a folder and umask shared with
        the caller (CLONE_FS): the kernel then withholds privileges, and that is all."""
        gone = support.temporary_folder(self)

        def leave():
            os.chdir(gone)
            os.rmdir(gone)

        def personality():
            support.libc.personality(ASLR_OFF | 0x0400000 | 0x0100000)  # READ_IMPLIES_EXEC, MMAP_PAGE_ZERO

        for _, opener in attack.privileged_openers(self):
            for setup in (leave, personality):
                os.makedirs(gone, mode=0o777, exist_ok=True)
                self.check_honest(opener, support.user_prefix(), preexec_fn=setup, is_ready=setup is leave)
            self.check_honest(opener, support.user_prefix(), flags=2)

    # ---- the kernel withholds the privilege ----

    def test_no_new_privs(self):
        for _, opener in attack.privileged_openers(self):
            self.check_honest(opener, [*support.user_prefix(), "--no-new-privs"], is_ready=False)

    def test_capability_outside_the_bounding_set(self):
        """=p starts without it; =ep, which we do not ship, could not even be executed (capabilities(7))."""
        setpriv = [support.require_program("setpriv"), "--bounding-set=-perfmon,-sys_admin", *support.user_prefix()[1:]]
        for _, opener in attack.privileged_openers(self)[1:3]:
            self.check_honest(opener, setpriv)
        effective = attack.copy_of(self, OPENER, capabilities="cap_perfmon=ep")
        done = hostile_launcher(effective, "honest", prefix=setpriv)
        self.assertIn(b"status 127", done.stdout)

    def test_nosuid_mount(self):
        folder = support.temporary_folder(self, mode=0o755)
        for capability in ("cap_perfmon=p", "cap_sys_admin=p"):
            script = (f'mount -t tmpfs -o nosuid,mode=755 none "{folder}" && cp "{OPENER}" "{folder}/opener" && '
                      f'setcap {capability} "{folder}/opener" && exec "$@"')
            prefix = [support.require_program("unshare"), "-m", "/bin/sh", "-c", script, "sh", *support.user_prefix()]
            self.check_honest(os.path.join(folder, "opener"), prefix)

    def test_user_namespace(self):
        """Root of a user namespace, with a file capability of the host's: no crash, and no right outside it."""
        for _, opener in attack.privileged_openers(self):
            self.check_honest(opener, [*support.user_prefix(), support.require_program("unshare"), "-Ur"], is_ready=False)

    def test_traced(self):
        """strace as the same user: the kernel withholds the capability, the target's status stays."""
        strace = support.require_program("strace")
        for name, opener in attack.privileged_openers(self):
            with self.subTest(opener=name):
                log = os.path.join(support.temporary_folder(self), "log")
                prefix = [*attack.launched_with(self, opener), *support.user_prefix(), strace, "-f", "-o", log]
                session = support.run(self, [support.target("exit_with"), "9"], prefix=prefix)
                self.assertEqual(session.status, 9, session.stderr)
                self.assertLessEqual(len(session.stderr.splitlines()), 1, session.stderr)

    # ---- somebody else's process ----

    def test_parent_becomes_privileged(self):
        """The attacker is the parent, executes a set-uid program, and only then the request is sent."""
        sleep = attack.copy_of(self, "/bin/sleep", mode=0o4755)
        self.for_each_of_a_user(lambda opener: self.check_refused(opener, "becomes", sleep))

    def test_parent_is_gone(self):
        """The next parent is a process of root's."""
        self.for_each_of_a_user(lambda opener: self.check_refused(opener, "orphan"))

    def test_control_parent_becomes_another_own_program(self):
        done = hostile_launcher(OPENER, "becomes", "/bin/sleep", prefix=support.user_prefix())
        self.assertEqual(done.stdout, b"failure 0\n")
        support.wait_for_adopted()

    def for_each_of_a_user(self, check):
        for name, opener in attack.privileged_openers(self):
            with self.subTest(opener=name):
                check(opener)

    def check_refused(self, opener, mode, *arguments):
        done = hostile_launcher(opener, mode, *arguments, prefix=support.user_prefix())
        self.assertRegex(done.stdout, rb"^failure [1-9]\d*\n$")
        support.wait_for_adopted()

    # ---- a filter that lies (CVE-2000-0506, sendmail and the capability bug) ----

    def ask_under_a_lie(self, opener, answers, is_root):
        """The filter is root's, without no_new_privs, so that privileges can still be gained beneath it."""

        def become():
            if not is_root:
                os.setgroups([])
                os.setresgid(support.NOBODY, support.NOBODY, support.NOBODY)
            attack.install_filter(answers)
            if not is_root:
                os.setreuid(support.NOBODY, support.NOBODY)  # a call that no lie here is about

        return hostile_launcher(opener, "honest", preexec_fn=become).stdout

    def test_drops_that_fail_or_do_nothing(self):
        """Whoever has something to lose, and is told that it is lost or cannot be, goes no further. With errno 0 only
        the sets that are read back tell."""
        for call, answer in itertools.product(("capset", "setresuid", "prctl"), (0, 1)):
            for name, opener in attack.privileged_openers(self):
                for is_root in (True, False):
                    if (call == "setresuid" and (is_root or name != "set-uid root")) or (not is_root and name == "plain"):
                        continue  # has no use for that call, or nothing to lose
                    with self.subTest(call=call, errno=answer, opener=name, user="root" if is_root else "ordinary"):
                        self.assertRegex(self.ask_under_a_lie(opener, {call: answer}, is_root), rb"^failure [1-9]\d*\nstatus 1\n$")
                        self.assertEqual(support.adopted(), [])

    def test_no_word_is_read_without_no_new_privs(self):
        """Told that it has no_new_privs when it has not, the opener ends before it looks at its channel: with no capability
        in effect, the kernel gives it no filter."""
        pid, channel = self.start_silent(lambda: attack.install_filter({"prctl": 0}))
        kind, size, failure, _ = struct.unpack("=IIIi", channel.recv(4096))
        self.assertEqual((kind, size, support.reap(pid)), (2, 8, 1))
        words = re.search(r"enum failure \{(.*?)\}", support.read_text(os.path.join(attack.SOURCE, "ipc/failure.h")), re.S)[1]
        self.assertEqual(re.findall(r"FAILURE_\w+", words)[failure], "FAILURE_SANDBOX")

    def test_sandbox_calls_that_fail(self):
        for call in ("prctl", "seccomp", "close_range", "capget"):
            with self.subTest(call=call):
                self.assertRegex(self.ask_under_a_lie(OPENER, {call: 1}, is_root=True), rb"^failure [1-9]\d*\nstatus 1\n$")


if __name__ == "__main__":
    support.main()
