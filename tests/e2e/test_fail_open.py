"""Invariant 3 as one matrix: whichever process of ours is killed, stopped or starved, at whichever of its system calls,
the target runs as if it had been started directly.

Each cell runs report_state twice under the same limits, directly and by us, and compares exit status, standard output
(arguments, environment, descriptors, signals, timers, limits, rights, relations) and standard error: byte by byte, but
for the one line that says why there is no profile. Then everything of ours must end.

"Whichever system call" is made so by ptrace: a first run lists the system calls of each process, the following runs
strike at a chosen one. The tracer is root, so that privileged programs keep their privileges under it, and lets go of
the launcher as it becomes the target, which is never traced."""

import collections
import ctypes
import difflib
import glob
import json
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import unittest

import support
from support import LAUNCH, target

SEED = int(os.environ.get("DDPROF_SEED", time.time_ns() % 1000000))
STATUS = 7
HANG_S = 100  # more than all time limits of ours one after the other: launch 5, last profile 10, delivery 60 and its grace of 10
WIDTH = 2 * (os.cpu_count() or 1)  # cells wait for each other's processes more than for a CPU
SLEEPERS = 48  # cells that only wait for a time limit of ours

ENVIRONMENT = {b"PATH": b"/usr/bin:/bin", b"EMPTY": b"", b"BYTES": bytes(set(range(1, 256)) - {10}),
               b"LD_LIBRARY_PATH": b"/nonexistent"}


def setUpModule():
    support.require_root()
    support.require_profiling()
    print(f"DDPROF_SEED={SEED}")


# ---- striking at a system call ----

ptrace = support.libc.ptrace
ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
ptrace.restype = ctypes.c_long
PTRACE_CONT, PTRACE_DETACH, PTRACE_SYSCALL, PTRACE_GETEVENTMSG, PTRACE_SEIZE = 7, 17, 24, 0x4201, 0x4206
OPTIONS = 0x1 | 0x2 | 0x4 | 0x8 | 0x10  # TRACESYSGOOD, TRACEFORK, TRACEVFORK, TRACECLONE, TRACEEXEC
EVENTS_OF_FORK, EVENT_EXEC = (1, 2, 3), 4
WALL = 0x40000000
PAUSE_S = 0.05

OPENER_ON = ("opener", "supervisor", "unwinder", "symbolizer", "exporter")  # in the order in which they are forked
Strike = collections.namedtuple("Strike", "role step action argument", defaults=(None,))


def limit_as_its_user(pid, kind, value):
    """Root in a container may not, without CAP_SYS_RESOURCE."""
    user = int(support.proc_status(pid)["Uid"].split()[0])
    child = os.fork()
    if child == 0:
        try:
            group = int(support.proc_status(pid)["Gid"].split()[0])
            os.setresgid(group, group, group)
            os.setresuid(user, user, user)
            hard = resource.prlimit(pid, kind)[1]
            value = value if hard == resource.RLIM_INFINITY else min(value, hard)  # some of ours have nothing left
            resource.prlimit(pid, kind, (value, value))
            os._exit(0)
        finally:
            os._exit(1)
    if os.waitpid(child, 0)[1] != 0:
        raise OSError("prlimit")


def system_call(pid):
    """Its number. The kernel says "running" until a task that stopped has left its CPU; one that was killed then is in none."""
    for _ in range(1000):
        word = support.read_text(f"/proc/{pid}/syscall").split()[0]
        if word != "running":
            return int(word)
        time.sleep(0.001)
    return -1


class Tracer:
    """Follows our processes by the order in which they are forked, and strikes when `strike.role` is about to make
    its system call number `strike.step`. Without a strike it lists the calls."""

    def __init__(self, launcher, strike, wait):
        self.strike, self.wait, self.struck, self.victim, self.resume_at = strike, wait, False, None, None
        self.roles = {launcher: "test"}  # until it executes ddprof-launch
        self.unborn = list(OPENER_ON)
        self.early, self.inside = set(), set()
        self.steps, self.calls = collections.Counter(), collections.defaultdict(list)
        if ptrace(PTRACE_SEIZE, launcher, None, OPTIONS) < 0:
            raise OSError(ctypes.get_errno(), "PTRACE_SEIZE")

    def resume(self, pid, signal_number=0):
        role = self.roles[pid]
        if self.struck or role == "target":
            how = PTRACE_DETACH
        elif role in ("test", "waiting parent") or (role == "launcher" and self.strike and self.strike.role != role):
            how = PTRACE_CONT
        else:
            how = PTRACE_SYSCALL
        ptrace(how, pid, None, signal_number)

    def forked(self, pid):
        message = ctypes.c_ulong()
        ptrace(PTRACE_GETEVENTMSG, pid, None, ctypes.addressof(message))
        child = message.value
        if self.roles[pid] == "waiting parent":
            self.roles[child] = "launcher"
        else:
            self.roles[child] = self.unborn.pop(0) if self.unborn else "successor"
        if child in self.early:
            self.resume(child)

    def executed(self, pid):
        following = {"test": "waiting parent" if self.wait else "launcher", "launcher": "target"}
        self.roles[pid] = following.get(self.roles[pid], self.roles[pid])

    def called(self, pid):
        role = self.roles[pid]
        self.steps[role] += 1
        if not self.strike:
            self.calls[role].append(system_call(pid))
        elif not self.struck and self.strike[:2] == (role, self.steps[role]):
            self.act(pid)

    def act(self, pid):
        action = self.strike.action
        self.struck, self.victim = True, pid
        if action == "limit":
            limit_as_its_user(pid, *self.strike.argument)
        elif action == "pause":
            os.kill(pid, signal.SIGSTOP)
            self.resume_at = time.monotonic() + PAUSE_S
        else:
            os.kill(pid, {"kill": signal.SIGKILL, "stop": signal.SIGSTOP, "left": signal.SIGSTOP, "term": signal.SIGTERM}[action])

    def stopped(self, pid, status):
        event, number = status >> 16, status >> 8 & 0xff
        if pid not in self.roles:
            self.early.add(pid)  # a child may stop before its parent tells of it
            return
        if event in EVENTS_OF_FORK:
            self.forked(pid)
        elif event == EVENT_EXEC:
            self.executed(pid)
        elif number == signal.SIGTRAP | 0x80:
            self.inside ^= {pid}
            if pid in self.inside:
                self.called(pid)
        is_signal = not event and number != signal.SIGTRAP | 0x80
        self.resume(pid, number if is_signal else 0)

    def tick(self):
        """Continues a paused victim when its time has come."""
        if self.resume_at and time.monotonic() >= self.resume_at:
            self.resume_at = None
            self.end_stop(signal.SIGCONT)

    def end_stop(self, number=signal.SIGKILL):
        try:
            os.kill(self.victim, number)
        except ProcessLookupError:
            pass


# ---- one run ----


class Hang(Exception):
    pass


def alarm(*_):
    raise Hang()


def end_everything():
    for pid in support.children(os.getpid()):
        for other in (*support.children(pid), pid):
            try:
                os.kill(other, signal.SIGKILL)
            except ProcessLookupError:
                pass


class Pipe:
    """Both runs of a cell write to the same one: even the inode that report_state sees is the same."""

    def __init__(self):
        self.read_end, self.write_end = os.pipe()
        os.set_blocking(self.read_end, False)
        self.data, self.is_at_end = b"", False

    def read(self):
        try:
            while piece := os.read(self.read_end, 1 << 16):
                self.data += piece
            self.is_at_end = True
        except BlockingIOError:
            pass

    def take(self):
        self.read()
        data, self.data = self.data, b""
        return data

    def close(self):
        for fd in (self.read_end, self.write_end):
            if fd >= 0:
                os.close(fd)

    def is_held_by_others(self):
        os.close(self.write_end)
        self.write_end = -1
        self.read()
        return not self.is_at_end


def execute(argv, setup, strike=None, wait=False, trace=False, at_end=lambda: None):
    """Runs the command and waits for it and for all that it leaves behind. Its exit status, the supervisor's, and the
    tracer."""
    gate, gate_end = os.pipe()

    def prepare():
        os.read(gate, 1)
        setup()

    pid = support.spawn(argv, prepare, ENVIRONMENT)
    support.started.discard(pid)
    tracer = Tracer(pid, strike, wait) if strike or trace else None
    os.write(gate_end, b"x")
    os.close(gate)
    os.close(gate_end)
    status, others = None, []
    while True:
        is_pausing = tracer and tracer.resume_at
        try:
            found, code = os.waitpid(-1, WALL | (os.WNOHANG if is_pausing else 0))
        except ChildProcessError:
            return status, others, tracer
        if is_pausing:
            tracer.tick()
        if not found:
            time.sleep(0.002)
        elif os.WIFSTOPPED(code):
            tracer.stopped(found, code)
        elif found != pid:
            others.append(os.waitstatus_to_exitcode(code))
        else:
            status = os.waitstatus_to_exitcode(code)
            at_end()
        if strike and strike.action == "stop" and tracer.struck and status is not None:
            tracer.end_stop()  # enough is known: nobody but us ends a stopped process


# ---- a cell of the matrix ----

SIGNAL_STATES = ("plain", "SIGCHLD blocked", "SIGCHLD ignored", "all blocked")  # the last one must be the last


def set_signals(state):
    """What a careless wrapper changes."""
    if state == "SIGCHLD blocked":
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD, signal.SIGUSR1})
    elif state == "SIGCHLD ignored":
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    elif state == "all blocked":
        signal.pthread_sigmask(signal.SIG_SETMASK, signal.valid_signals())


REASON = re.compile(r"ddprof-launch: not profiling: [^;]+; [^;]+")
CLOSING = re.compile(r"ddprof-launch: (\d+ samples, \d+ lost, .*|\d+ profiles? could not be written .*|no sample.*|"
                     r"the worker (ended before its last profile was written|did not write its last profile in time)|"
                     r"cannot wait: .*; running the command without --wait)")


class Cell:
    """`limits`: (resource, soft, hard) of the caller; `says`: what the reason must name if there is one."""

    def __init__(self, name, chance, user=False, wait=False, static=False, limits=(), strike=None, says="",
                 seconds=0, listing=False):
        self.user = next(support.ordinary_users) if user else 0
        self.wait, self.limits, self.strike, self.says, self.seconds, self.listing = wait, limits, strike, says, seconds, listing
        self.is_mortal = (resource.RLIMIT_CPU, 0, 0) in limits  # dies at some tick of the clock, with us or without
        self.program = target("report_state_static" if static else "report_state")
        # a SIGCONT to the launcher would stay pending where it is blocked, as it would without us
        is_continued = strike and strike.role == "launcher"
        self.signals = chance.choice(SIGNAL_STATES[:-1] if is_continued else SIGNAL_STATES)
        self.name = ", ".join([name, "user" if user else "root", *(["--wait"] if wait else []), self.signals])
        self.calls = {}
        self.problems = []

    def set_up(self, out, error):
        null = os.open("/dev/null", os.O_RDWR)
        for fd, number in ((null, 0), (out, 1), (error, 2), (null, 9)):
            os.dup2(fd, number)
        os.closerange(3, 9)
        os.closerange(10, 256)
        set_signals(self.signals)
        if self.user:
            os.setgroups([])
            os.setresgid(self.user, self.user, self.user)
            os.setresuid(self.user, self.user, self.user)
        for limit in self.limits:
            resource.setrlimit(limit[0], limit[1:])

    def run(self):
        """A report as JSON takes it."""
        out, error = Pipe(), Pipe()
        self.output = tempfile.mkdtemp(prefix="ddprof-e2e-")
        os.chmod(self.output, 0o777)
        signal.setitimer(signal.ITIMER_REAL, HANG_S)
        lines = []
        try:
            lines = self.compare(out, error)
        except Hang:
            left = [(support.comm(pid), support.proc_status(pid).get("State")) for pid in support.children(os.getpid())]
            self.problems.append(f"still there after {HANG_S} s: {left}")
            end_everything()
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            out.close()
            error.close()
            shutil.rmtree(self.output, ignore_errors=True)
        return {"name": self.name, "problems": self.problems, "lines": lines, "calls": self.calls}

    def compare(self, out, error):
        launch = [LAUNCH, *(["--wait"] if self.wait else []), "--output", self.output, "--"]
        setup = lambda: self.set_up(out.write_end, error.write_end)

        def at_end():
            # a limit of no CPU time at all kills the parent of --wait at some tick, and the target may be there yet
            if out.is_held_by_others() and not (self.is_mortal and self.wait):
                self.problems.append("a reader of the target's standard output would wait for us")

        direct_status, _, _ = execute(self.command(0), setup)
        direct_out, direct_error = self.text(out), self.text(error)
        status, others, tracer = execute([*launch, *self.command(self.seconds)], setup, self.strike, self.wait, self.listing, at_end)
        self.calls = tracer.calls if tracer else {}
        launched_out, launched_error = self.text(out), self.text(error)
        self.has_run = direct_status == STATUS
        if self.has_run and status == STATUS or not self.is_mortal:
            self.compare_runs((direct_status, direct_out, direct_error), (status, launched_out, launched_error))
        self.is_profiled = bool(glob.glob(self.output + "/*.pprof"))
        own = launched_error[:len(launched_error) - len(direct_error)] if self.has_run else ""
        return self.judge(own.splitlines(), others)

    def compare_runs(self, direct, launched):
        """Exit status, standard output and standard error. Where the program cannot even start, neither may we."""
        if direct[0] in (-signal.SIGSEGV, -signal.SIGKILL, 126, 127) and launched[0] not in (0, STATUS):
            return
        if launched[0] != direct[0]:
            self.problems.append(f"exit status {launched[0]} instead of {direct[0]}")
        lines = difflib.unified_diff(direct[1].splitlines(), launched[1].splitlines(), n=0, lineterm="")
        self.problems += [line[:300] for line in lines]
        if not launched[2].endswith(direct[2]):
            self.problems.append(f"standard error {launched[2]!r} instead of {direct[2]!r}")

    def command(self, seconds):
        report = [self.program, "--exit", str(STATUS)]
        return ["/bin/sh", "-c", f'sleep {seconds}; exec "$@"', "sh", *report] if self.seconds else report

    def text(self, pipe):
        """--wait is another parent by definition."""
        lines = pipe.take().decode(errors="surrogateescape").splitlines(True)
        return "".join(line for line in lines if not self.wait or not line.startswith("parent="))

    def judge(self, lines, others):
        reasons = [line for line in lines if REASON.fullmatch(line)]
        rest = [line for line in lines if not REASON.fullmatch(line)]
        endings = [line for line in rest if "cannot wait: " not in line]
        if (any(not (self.wait and CLOSING.fullmatch(line)) for line in rest) or len(rest) - len(endings) > 1 or
                len(reasons) + min(len(endings), 1) > 1):  # one or the other; a loss is followed by the sum
            self.problems.append(f"said {lines}")
        for line in lines:
            if self.says and REASON.fullmatch(line) and not re.search(self.says, line):
                self.problems.append(f"does not say {self.says!r}: {line}")
        if self.has_run and not self.is_mortal and not lines and (self.wait or not (self.strike or self.is_profiled)):
            self.problems.append("neither a reason nor a profile")
        if not self.strike and not self.limits and not self.is_profiled:
            self.problems.append("no profile")
        if any(-code in (signal.SIGSYS, signal.SIGABRT, signal.SIGBUS) for code in others):
            self.problems.append(f"the worker died of {others}")
        return lines


# ---- hosts, and many cells at once ----

HOSTS = {"plain": None, "file capability": 'setcap cap_sys_admin=p "$L/ddprof-perf-open"',
         "set-uid": 'chown root:root "$L/ddprof-perf-open" && chmod 4755 "$L/ddprof-perf-open"'}
CLONE_NEWNS = 0x20000


def enter_host(change):
    """A mount namespace with installed programs of its own, for this process and all it starts."""
    if not change:
        return
    if support.libc.unshare(CLONE_NEWNS) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    script = f"""set -e
        L="{support.LIBEXEC}" C=$(mktemp -d)
        mount --make-rprivate /
        mount -t tmpfs -o mode=755 none "$C"
        cp -p "$L"/* "$C"
        mount --bind "$C" "$L"
        umount -l "$C"; rmdir "$C"
        {change}"""
    subprocess.run(["/bin/sh", "-c", script], check=True, env={"PATH": os.environ["PATH"] + ":/usr/sbin:/sbin"})


def run_some(cells, host, report):
    """In a process of its own, which adopts only its own workers."""
    support.libc.prctl(support.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    support.started.clear()
    signal.signal(signal.SIGALRM, alarm)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    enter_host(HOSTS[host])
    for cell in cells:
        report.write(json.dumps(cell.run()) + "\n")
    report.flush()


class Running:
    """Many cells at once, each of `width` processes taking its share."""

    def __init__(self, cells, host="plain", width=WIDTH):
        self.count, self.parts = len(cells), []
        for number in range(min(width, len(cells))):
            file = tempfile.TemporaryFile("w+")
            sys.stdout.flush()
            sys.stderr.flush()
            pid = os.fork()
            if pid == 0:
                status = 1
                try:
                    run_some(cells[number::width], host, file)
                    status = 0
                except BaseException:
                    traceback.print_exc()
                finally:
                    sys.stderr.flush()
                    os._exit(status)
            support.started.add(pid)
            self.parts.append((pid, file))

    def reports(self):
        failed, reports = 0, []
        for pid, file in self.parts:
            failed += os.waitpid(pid, 0)[1] != 0
            file.seek(0)
            reports += [json.loads(line) for line in file]
            file.close()
        if failed or len(reports) != self.count:
            raise AssertionError(f"{len(reports)} reports of {self.count} cells")
        return reports


def run_all(cells, host="plain", width=WIDTH):
    return Running(cells, host, width).reports()


RLIMIT_SIGPENDING = 11
KiB, MiB = 1 << 10, 1 << 20
# What to starve, how much is left, and what a reason must name. 0, 1 and 3 are no use at all; the others run out on the way.
STARVED = (
    ("NOFILE", (0, 1, 3, 4, 6, 8, 9, 10, 12, 14, 16, 20, 24, 32, 48, 64), "not enough file descriptors"),
    ("NOFILE soft", (0, 1, 3, 4, 6, 8, 12, 16, 32), "not enough file descriptors"),
    ("AS", (0, 1, 3, *(n * MiB for n in (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 64, 128))), "not enough memory|a limit on memory"),
    ("DATA", (0, 1, 3, 64 * KiB, 256 * KiB, MiB, 4 * MiB, 16 * MiB), "not enough memory|a limit on memory"),
    ("STACK", (0, 1, 3, 64 * KiB, 128 * KiB, 256 * KiB, MiB), "not enough memory|a limit on memory, stack"),
    ("MEMLOCK", (0, 1, 3, 4 * KiB, 64 * KiB, 256 * KiB), "lockable memory"),
    ("FSIZE", (0, 1, 3, 64, 4 * KiB, 64 * KiB), "limit of file size"),
    ("NPROC", (0, 1, 2, 3, 4, 5, 6, 8), "limit of processes"),
    ("SIGPENDING", (0, 1, 3), "signals"),
    ("CPU", (0, 1, 3), "CPU time"),
)


class Matrix(unittest.TestCase):
    def check(self, reports):
        said = collections.Counter(re.sub(r"\d+ samples.*|no samples.*", "samples ...", line) for report in reports for line in report["lines"])
        for line, count in sorted(said.items()):
            print(f"{count:5} x {line}")
        wrong = [report for report in reports if report["problems"]]
        for report in wrong:
            print(f"{report['name']}: {report['problems']}; said {report['lines']}")
        self.assertEqual(len(wrong), 0, f"DDPROF_SEED={SEED}: that many of {len(reports)} cells went wrong, see above")

    def test_starved_callers(self):
        """Limits that the target is to keep, and that all of our processes inherit."""
        for host in HOSTS:
            chance = random.Random(SEED)
            cells = []
            for kind, values, says in STARVED:
                number = RLIMIT_SIGPENDING if kind == "SIGPENDING" else getattr(resource, "RLIMIT_" + kind.split()[0])
                hard = resource.getrlimit(number)[1]
                for value in values:
                    for user in (False, True) if host == "plain" else (True,):
                        for wait in (False, True):
                            cells.append(Cell(f"{kind}={value}", chance, user, wait, chance.random() < 0.5,
                                              [(number, value, hard if "soft" in kind else value)], says=says))
            with self.subTest(host=host):
                began = time.monotonic()
                reports = run_all(cells, host)
                print(f"{host}: {len(cells)} cells in {time.monotonic() - began:.1f} s")
                self.check(reports)

    def places(self, seconds=0, host="plain", **named):
        """Every (role, step) that there is in a run of this kind. Of many calls of the same kind in a row (a loop over
        all signals, say) the first and the last."""
        reports = run_all([Cell("listing", random.Random(SEED), seconds=seconds, listing=True, **named)], host)
        self.check(reports)
        calls = reports[0]["calls"]
        self.assertEqual(set(calls), {"launcher", *OPENER_ON})
        places = []
        for role, numbers in calls.items():
            padded = [None, *numbers, None]
            steps = [i for i in range(1, len(numbers) + 1) if not padded[i - 1] == padded[i] == padded[i + 1]]
            places += [(role, step) for step in steps]
            print(f"{role}: {len(numbers)} system calls, {len(steps)} places")
        return places

    def ours(self, **named):
        """The launcher becomes the target: killing it is killing the target."""
        return [place for place in self.places(**named) if place[0] != "launcher"]

    def some(self, places, count):
        return random.Random(SEED).sample(places, min(count, len(places)))

    def cells(self, strikes, seconds=0, **named):
        chance = random.Random(SEED)
        cells = []
        for strike in strikes:
            # a parent that waits stops when its child stops, and waits to be continued
            modes = {"wait": strike.role != "launcher" and chance.random() < 0.5, "user": chance.random() < 0.5, **named}
            name = f"{strike.action} {strike.argument or ''} at system call {strike.step} of the {strike.role}"
            cells.append(Cell(name, chance, strike=strike, seconds=seconds, **modes))
        return cells

    def strike(self, strikes, host="plain", width=WIDTH, **named):
        began = time.monotonic()
        reports = run_all(self.cells(strikes, **named), host, width)
        print(f"{len(reports)} cells in {time.monotonic() - began:.1f} s")
        self.check(reports)

    def test_killed_or_stopped(self):
        """Stopped for ever, too: the target waits for the answer as long as the launcher does, not longer. What the
        supervisor waits for, it ends itself ("left"); nobody but us ends a stopped supervisor or opener ("stop")."""
        places = self.ours()
        last = [place for place in places if place[0] == "opener"][-6:]
        roles = [place for place in places if place[0] not in ("opener", "supervisor")]
        stopped = Running(self.cells([Strike(*place, "stop") for place in last + self.some(places, 34)] +
                                     [Strike(*place, "left") for place in self.some(roles, 8)]), width=SLEEPERS)
        self.strike([Strike(*place, "kill") for place in places])
        self.check(stopped.reports())

    def test_killed_while_running(self):
        """The target goes on for a while; symbolizer and exporter are there before it ends."""
        seconds = 1.2
        self.strike([Strike(*place, "kill") for place in self.some(self.ours(seconds=seconds), 100)], seconds=seconds, width=SLEEPERS)

    def test_terminated(self):
        self.strike([Strike(*place, "term") for place in self.some(self.ours(), 100)])

    def test_paused(self):
        places = self.places()
        launchers = [place for place in places if place[0] == "launcher"]
        self.strike([Strike(*place, "pause") for place in launchers + self.some(places, 100)])

    def test_starved_processes(self):
        """prlimit(2) to one of ours while it runs."""
        limits = [(getattr(resource, "RLIMIT_" + kind), value) for kind in ("NOFILE", "AS", "MEMLOCK", "FSIZE", "NPROC", "CPU")
                  for value in (0, 1, 3)]
        chance = random.Random(SEED)
        self.strike([Strike(*place, "limit", chance.choice(limits)) for place in self.some(self.ours(), 150)])

    def test_privileged_openers(self):
        for host in ("file capability", "set-uid"):
            with self.subTest(host=host):
                places = [place for place in self.ours(host=host, user=True) if place[0] == "opener"]
                self.strike([Strike(*place, "kill") for place in places], host, user=True)
                self.strike([Strike(*place, "stop") for place in places[-3:] + self.some(places, 9)], host, SLEEPERS, user=True)


if __name__ == "__main__":
    support.main()
