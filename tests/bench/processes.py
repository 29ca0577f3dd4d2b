"""Starts programs, and becomes the parent of whatever they leave behind.

The profiler's worker is nobody's child once its opener has gone. This process is a child subreaper, so the worker
becomes its child, and wait4(2) tells what each of its processes has used."""

import ctypes
import dataclasses
import os
import sys
import time

PR_SET_CHILD_SUBREAPER = 36
WATCH_S, BURY_S = 0.1, 0.002

# A zombie's name, cut by the kernel after 15 characters.
ROLES = {"ddprof-symboliz": "symbolizer", "ddprof-exporter": "exporter", "ddprof-uploader": "exporter",
         "ddprof-perf-ope": "opener"}

if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
    sys.exit("bench: prctl(PR_SET_CHILD_SUBREAPER) failed")


@dataclasses.dataclass
class Process:
    """One ended process of the profiler's."""

    role: str
    cpu_ns: int
    peak_rss: int  # KiB


@dataclasses.dataclass
class Memory:
    """The highest seen, in KiB; None where the kernel did not let us see it."""

    peak_rss: int | None = None
    anonymous: int | None = None
    proportional: int | None = None
    rings: int | None = None  # mapped perf buffers
    files: int | None = None  # open descriptors


@dataclasses.dataclass
class Run:
    """One finished program with all that it left behind."""

    pid: int
    status: int
    started_ns: int  # CLOCK_MONOTONIC, just before it was
    output: str
    own_cpu_ns: int  # without its children's
    processes: list


def read_proc(pid, name):
    try:
        with open(f"/proc/{pid}/{name}", encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:  # gone, or not ours to read
        return ""


def field_kib(text, key):
    for line in text.splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1])
    return None


def rings_kib(pid):
    lines = [line.split()[0] for line in read_proc(pid, "maps").splitlines() if line.endswith("[perf_event]")]
    return sum(int(end, 16) - int(start, 16) for start, end in (line.split("-") for line in lines)) // 1024 or None


def open_files(pid):
    try:
        return len(os.listdir(f"/proc/{pid}/fd")) or None
    except OSError:
        return None


def children(pid):
    return [int(child) for child in read_proc(pid, f"task/{pid}/children").split()]


def role_of(pid):
    """The worker's programs say in their first argument which role they play; others are "perf record" or so."""
    words = read_proc(pid, "cmdline").split("\0")
    name = words[0].rpartition("/")[2]
    if len(words) < 3:
        return name
    return words[1] if name.startswith("ddprof-") else f"{name} {words[1]}"


def role_of_zombie(pid):
    """No command line is left then. Of the two roles that ddprof-worker has, the supervisor leads the session."""
    name, _, fields = read_proc(pid, "stat").partition("(")[2].rpartition(")")
    if name == "ddprof-worker":
        return "supervisor" if int(fields.split()[3]) == pid else "unwinder"
    return ROLES.get(name, name)


def highest(first, second):
    return second if first is None else first if second is None else max(first, second)


class MemoryWatch:
    """Follows how all descendants grow. What it costs is little but not nothing: not for runs that are timed."""

    def __init__(self):
        self.memory = {}  # role -> Memory

    def look(self):
        waiting = children(os.getpid())
        while waiting:
            pid = waiting.pop()
            waiting += children(pid)
            status = read_proc(pid, "status")
            if "\nVmHWM" not in status:
                continue  # a zombie: it has no memory any more
            memory = self.memory.setdefault(role_of(pid), Memory())
            memory.peak_rss = highest(memory.peak_rss, field_kib(status, "VmHWM"))
            memory.anonymous = highest(memory.anonymous, field_kib(status, "RssAnon"))
            memory.proportional = highest(memory.proportional, field_kib(read_proc(pid, "smaps_rollup"), "Pss"))
            memory.rings = highest(memory.rings, rings_kib(pid))
            memory.files = highest(memory.files, open_files(pid))

    def watch_until_end_of(self, pid):
        while not os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT | os.WNOHANG):
            self.look()
            time.sleep(WATCH_S)


def own_cpu_ns(pid):
    """A zombie's; unlike what wait4 says, without the children it has waited for. Of its first thread to the
    nanosecond, of all threads in clock ticks."""
    ticks = sum(map(int, read_proc(pid, "stat").rpartition(")")[2].split()[11:13]))
    return max(int(read_proc(pid, "schedstat").split()[0]), ticks * 10 ** 9 // os.sysconf("SC_CLK_TCK"))


def bury_worker(watch):
    """Waits until no process is left. Returns them."""
    ended = []
    while True:
        try:
            if watch:
                watch.look()
                if not os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT | os.WNOHANG):
                    time.sleep(BURY_S)
                    continue
            pid = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT).si_pid
        except ChildProcessError:
            return ended
        role = role_of_zombie(pid)
        _, _, usage = os.wait4(pid, 0)
        ended.append(Process(role, int((usage.ru_utime + usage.ru_stime) * 1e9), usage.ru_maxrss))


def run(command, log_path, watch=None):
    """Runs a command with its standard output in a pipe of ours and its standard error in a file, to the end of
    the last process it leaves. `watch`: a MemoryWatch."""
    reader, writer = os.pipe()
    actions = [(os.POSIX_SPAWN_DUP2, writer, 1),
               (os.POSIX_SPAWN_OPEN, 2, log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)]
    started_ns = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
    pid = os.posix_spawnp(command[0], command, os.environ, file_actions=actions)
    os.close(writer)
    if watch:
        watch.watch_until_end_of(pid)
    with open(reader, encoding="utf-8") as file:
        output = file.read()
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    cpu_ns = own_cpu_ns(pid)
    _, status = os.waitpid(pid, 0)
    return Run(pid, os.waitstatus_to_exitcode(status), started_ns, output, cpu_ns, bury_worker(watch))
