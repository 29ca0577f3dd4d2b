"""What another process of the same user can do to a running session: everything that could read or change it is
refused by the kernel; what remains is stated in docs/threat-model.md, and tried here too."""

import ctypes
import errno
import os
import resource
import signal
import struct
import subprocess
import unittest

import attack
import support

PTRACE_SEIZE, KCMP_FILE, KCMP_VM = 0x4206, 0, 1
NUMBERS = {"x86_64": {"ptrace": 101, "kcmp": 312, "process_vm_readv": 310, "process_vm_writev": 311, "pidfd_open": 434,
                      "pidfd_getfd": 438, "perf_event_open": 298, "process_madvise": 440, "get_robust_list": 274,
                      "move_pages": 279, "migrate_pages": 256},
           "aarch64": {"ptrace": 117, "kcmp": 272, "process_vm_readv": 270, "process_vm_writev": 271, "pidfd_open": 434,
                       "pidfd_getfd": 438, "perf_event_open": 241, "process_madvise": 440, "get_robust_list": 100,
                       "move_pages": 239, "migrate_pages": 238}}[os.uname().machine]
FILES = ("auxv", "environ", "maps", "smaps", "mem", "pagemap", "io", "stack", "syscall", "fdinfo/0", "fd/0", "fd/3", "exe", "cwd",
         "root", "ns/pid", "map_files", "fd", "fdinfo", "ns", "timers", "clear_refs", "coredump_filter")
# They say nothing about memory, descriptors or files (proc(5)), and every user may read them of every process.
HARMLESS_FILES = {"coredump_filter"}


def call(name, *arguments):
    """0 or the errno."""
    numbers = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    return 0 if support.libc.syscall(ctypes.c_long(NUMBERS[name]), *numbers) >= 0 else ctypes.get_errno()


def as_user(attempt):
    """The result of attempt() in a process of the ordinary user: a set of strings, what succeeded."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.setresgid(support.NOBODY, support.NOBODY, support.NOBODY)
            os.setgroups([])
            os.setresuid(support.NOBODY, support.NOBODY, support.NOBODY)
            os.write(write, "\n".join(attempt()).encode())
        except BaseException as error:
            os.write(write, f"error {error!r}".encode())
        finally:
            os._exit(0)
    os.close(write)
    support.started.add(pid)
    text = b""
    while data := os.read(read, 4096):
        text += data
    os.close(read)
    os.waitpid(pid, 0)
    return set(text.decode().split("\n")) - {""}


def open_files(pid):
    for name in FILES:
        path = f"/proc/{pid}/{name}"
        for flags in (os.O_RDONLY, os.O_RDWR):
            try:
                os.close(os.open(path, flags | os.O_NONBLOCK))
                yield name
            except OSError:
                pass
        try:
            os.readlink(path)
            yield name
        except OSError:
            pass


def make_calls(pid):
    byte = ctypes.create_string_buffer(8)
    vector = ctypes.create_string_buffer(struct.pack("PN", ctypes.addressof(byte), 1))
    handle = os.pidfd_open(pid)
    attributes = ctypes.create_string_buffer(struct.pack("IIQQQQQ", 1, 64, 1, 0, 0, 0, 0x60), 64)  # user space only
    attempts = {
        "process_vm_readv": (pid, vector, 1, vector, 1, 0), "process_vm_writev": (pid, vector, 1, vector, 1, 0),
        "kcmp": (pid, os.getpid(), KCMP_FILE, 0, 0), "pidfd_getfd": (handle, 3, 0),
        "perf_event_open": (attributes, pid, -1, -1, 0), "process_madvise": (handle, vector, 1, 20, 0),
        "get_robust_list": (pid, byte, byte), "move_pages": (pid, 0, None, None, None, 0), "ptrace": (PTRACE_SEIZE, pid, 0, 0),
    }
    for name, arguments in attempts.items():
        error = call(name, *arguments)
        # an argument that is looked at only after the right to look
        if error in (0, errno.EFAULT, errno.EBADF, errno.EINVAL):
            yield name


def setUpModule():
    attack.set_up()


class SameUser(unittest.TestCase):
    def run_session(self, check, **named):
        named.setdefault("prefix", support.user_prefix())
        session = support.Session(self, [support.target("split"), "30"], **named)
        try:
            session.roles = support.wait_for_roles(session.supervisor())
            check(session)
        finally:
            session.process.terminate()
            session.finish()

    def test_control_an_ordinary_process_is_open(self):
        """All of it works on a process of the same user that does nothing about it: so the refusals mean something."""
        victim = subprocess.Popen([*support.user_prefix(), "/bin/sleep", "60"])
        support.started.add(victim.pid)
        try:
            support.wait_until(lambda: support.comm(victim.pid) == "sleep", what="sleep")
            files = as_user(lambda: open_files(victim.pid))
            self.assertLessEqual({"mem", "maps", "environ", "fd/0", "exe", "cwd", "root", "fd"}, files)
            calls = as_user(lambda: make_calls(victim.pid))
            self.assertLessEqual({"process_vm_readv", "process_vm_writev", "kcmp", "perf_event_open", "ptrace", "pidfd_getfd"}, calls)
        finally:
            victim.kill()
            victim.wait()

    def test_files(self):
        def check(session):
            for name, pid in session.roles.items():
                self.assertEqual(as_user(lambda pid=pid: open_files(pid)) - HARMLESS_FILES, set(), name)

        self.run_session(check)

    def test_calls(self):
        def check(session):
            for name, pid in session.roles.items():
                self.assertEqual(as_user(lambda pid=pid: make_calls(pid)), set(), name)

        self.run_session(check)

    def test_what_remains_is_availability(self):
        """Limits, priority, affinity and signals of a process are its user's, dumpable or not (credentials(7)): with them
        its own profiler is stopped, and its target is not touched."""

        def check(session):
            pid = session.roles["unwinder"]

            def attempt():
                resource.prlimit(pid, resource.RLIMIT_NOFILE, (16, 16))
                os.setpriority(os.PRIO_PROCESS, pid, 19)
                os.sched_setaffinity(pid, {0})
                os.kill(pid, signal.SIGSTOP)
                yield "all of it"

            self.assertEqual(as_user(attempt), {"all of it"})
            self.assertTrue(support.is_alive(session.pid))
            os.kill(pid, signal.SIGCONT)

        self.run_session(check)

    def test_no_core_file(self):
        """They crash in "/", as root, who could write one there."""
        folder = support.temporary_folder(self)
        control = support.spawn(["/bin/sleep", "60"], lambda: (os.chdir(folder), resource.setrlimit(
            resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))))
        support.wait_until(lambda: support.comm(control) == "sleep", what="sleep")
        os.kill(control, signal.SIGSEGV)
        self.assertTrue(os.WIFSIGNALED(os.waitpid(control, 0)[1]))
        if not os.listdir(folder):
            support.skip("an ordinary process leaves no core file in its working folder either: kernel.core_pattern")

        def check(session):
            before = set(os.listdir("/"))
            for name in ("unwinder", "symbolizer", "exporter"):
                pid = session.roles[name]
                self.lift_core_limit(pid)
                os.kill(pid, signal.SIGSEGV)
                support.wait_until(lambda pid=pid: not support.is_alive(pid), what=f"{name} to crash")
            self.assertEqual(set(os.listdir("/")) - before, set())

        self.run_session(check, prefix=[])

    def lift_core_limit(self, pid):
        """As far as may be: then only that the process is not dumpable is left to prevent it."""
        try:
            resource.prlimit(pid, resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        except PermissionError:  # a root without CAP_SYS_RESOURCE
            self.assertRegex(support.read_text(f"/proc/{pid}/limits"), r"(?m)^Max core file size +0 +0 ")

    def test_terminal(self):
        """With a controlling terminal, the worker has none: it cannot be typed into, nor hung up by it."""
        leader, follower = os.openpty()

        def take_terminal():
            os.setsid()
            import fcntl
            import termios
            fcntl.ioctl(follower, termios.TIOCSCTTY, 0)

        def check(session):
            def terminal(pid):
                return support.read_text(f"/proc/{pid}/stat").rsplit(")", 1)[1].split()[4]

            self.assertNotEqual(terminal(session.pid), "0")
            self.assertEqual({name: terminal(pid) for name, pid in session.roles.items()}, dict.fromkeys(session.roles, "0"))

        self.run_session(check, preexec_fn=take_terminal, pass_fds=[follower])
        os.close(leader)
        os.close(follower)

    def test_cgroup_is_the_targets(self):
        """What the worker uses is charged to whom it is about."""

        def check(session):
            whose = support.read_text(f"/proc/{session.pid}/cgroup")
            for name, pid in session.roles.items():
                self.assertEqual(support.read_text(f"/proc/{pid}/cgroup"), whose, name)

        self.run_session(check)


if __name__ == "__main__":
    support.main()
