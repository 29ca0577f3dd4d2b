"""What every end-to-end test shares: starting ddprof-launch, waiting until its worker has finished, and reading
profiles with classes that protoc generated, not with code of ours.

The test process is a child subreaper: a worker whose opener has gone becomes its child. So a test knows exactly
which worker belongs to it, waits for it instead of sleeping, and sees how it ended."""

import atexit
import ctypes
import functools
import glob
import gzip
import itertools
import math
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

sys.dont_write_bytecode = True

HERE = os.path.dirname(os.path.abspath(__file__))
PREFIX = os.environ.get("DDPROF_PREFIX", "/usr/local")
TARGETS = os.environ.get("DDPROF_TARGETS", "")
SCHEMA = os.environ.get("DDPROF_SCHEMA", os.path.join(HERE, "../../worker/profile/profile.proto"))
MUST_WORK = os.environ.get("DDPROF_MUST_WORK") == "1"
LAUNCH = os.path.join(PREFIX, "bin/ddprof-launch")
LIBEXEC = os.path.join(PREFIX, "libexec/ddprof")

ordinary_users = itertools.count(40000 + os.getpid() * 20 % 20000)  # for a test that needs one without a past
NOBODY = next(ordinary_users)  # our own, because locked memory is counted by user
EXIT_SKIPPED = 77
# Not how long anything takes, but after which nothing will come any more: on a machine whose CPUs are shared by ten.
COMMAND_TIMEOUT_S = 180
WORKER_TIMEOUT_S = 100  # more than all time limits of ours one after the other: last profile 10, delivery 60 and its grace of 10
CONDITION_TIMEOUT_S = 30

libc = ctypes.CDLL(None, use_errno=True)
PR_SET_PDEATHSIG, PR_SET_TIMERSLACK, PR_SET_CHILD_SUBREAPER = 1, 29, 36
if libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
    sys.exit("prctl(PR_SET_CHILD_SUBREAPER) failed")

# Nothing a developer has exported may change what is tested.
for variable in list(os.environ):
    if variable.startswith(("DD_", "DDPROF_OUTPUT")):
        del os.environ[variable]


def target(name):
    return os.path.join(TARGETS, name)


def skip(reason):
    """Where DDPROF_MUST_WORK=1 promises that everything is there, a missing thing is a failure."""
    if MUST_WORK:
        raise AssertionError("DDPROF_MUST_WORK=1, but: " + reason)
    raise unittest.SkipTest(reason)


def require_program(name):
    path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/local/go/bin:/usr/sbin:/sbin")
    if not path:
        skip(name + " is not installed")
    return path


def require_root():
    if os.getuid() != 0:
        skip("needs root")


def temporary_folder(case, mode=0o777):
    """Usable by every user, whoever runs the test."""
    folder = tempfile.mkdtemp(prefix="ddprof-e2e-")
    os.chmod(folder, mode)
    case.addCleanup(shutil.rmtree, folder, ignore_errors=True)
    return folder


# ---- processes ----


def read_text(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


def proc_status(pid):
    """/proc/PID/status as a dictionary; empty when the process is gone."""
    try:
        return dict(line.split(":\t", 1) for line in read_text(f"/proc/{pid}/status").splitlines() if ":\t" in line)
    except OSError:
        return {}


def comm(pid):
    try:
        return read_text(f"/proc/{pid}/comm").strip()
    except OSError:
        return ""


def arguments(pid):
    try:
        return read_text(f"/proc/{pid}/cmdline").split("\0")[:-1]
    except OSError:
        return []


def children(pid):
    try:
        return [int(child) for child in read_text(f"/proc/{pid}/task/{pid}/children").split()]
    except OSError:
        return []


def is_alive(pid):
    return proc_status(pid).get("State", "Z")[0] not in "ZX"


def wait_until(condition, timeout=CONDITION_TIMEOUT_S, what="a condition"):
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"waited {timeout} s in vain for {what}")
        time.sleep(0.005)


started = set()  # pids this test started itself; every other child was adopted
usage = {}  # of adopted ones that ended: pid -> resource usage, of theirs that they waited for included


def adopted():
    return [pid for pid in children(os.getpid()) if pid not in started]


def end_children(which):
    for _ in range(3):  # ending some has others adopted
        for pid in which():
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def leave(*_):
    """Interrupted from outside: nothing of ours survives, and unittest does not get to go on."""
    end_children(lambda: children(os.getpid()))
    os._exit(1)


atexit.register(lambda: end_children(lambda: children(os.getpid())))
signal.signal(signal.SIGTERM, leave)


def is_session_leader(pid):
    try:
        return os.getsid(pid) == pid
    except ProcessLookupError:
        return False


def wait_for_adopted(timeout=WORKER_TIMEOUT_S):
    """Waits until no adopted child is left. Returns the supervisors' wait statuses by pid (roles end with the
    supervisor, some of them by its death signal; they are session members, it is the leader)."""
    statuses = {}
    end = time.monotonic() + timeout
    while True:
        pids = adopted()
        if not pids:
            return statuses
        for pid in pids:
            is_supervisor = is_session_leader(pid)
            done, status, used = os.wait4(pid, os.WNOHANG)
            if done:
                usage[pid] = used
            if done and is_supervisor:
                statuses[pid] = status
        if time.monotonic() > end:
            what = ", ".join(f"{pid} {arguments(pid)}" for pid in pids)
            end_children(adopted)  # or every later test would wait for them again
            raise AssertionError(f"after {timeout} s still running: {what}")
        time.sleep(0.005)


def worker_processes(supervisor):
    """Role name -> pid of a running session, {} entries only for those that exist."""
    roles = {"supervisor": supervisor}
    for pid in children(supervisor):
        line = arguments(pid)
        if len(line) == 3:
            roles[line[1]] = pid
    return roles


def wait_for_supervisor(known=()):
    """The pid of the one adopted supervisor that is not in `known`."""

    def find():
        found = [p for p in adopted() if p not in known and arguments(p)[1:2] == ["supervisor"]]
        return found[0] if found else None

    return wait_until(find, what="a supervisor")


def wait_for_roles(supervisor):
    """All four processes, each behind its own filter (two: the fence and its own; the supervisor's are inherited)."""

    def confined():
        roles = worker_processes(supervisor)
        if len(roles) < 4:
            return None
        for name, pid in roles.items():
            if int(proc_status(pid).get("Seccomp_filters", "0")) < (2 if name == "supervisor" else 3):
                return None
        return roles

    return wait_until(confined, what="all roles to be confined")


def wait_until_open(pid, path):
    """Until that process of ours has the file open: from then on it does not matter what becomes of its name. Only root
    sees that; others wait for as long as it may take."""
    if os.getuid() != 0:
        time.sleep(1)
        return
    inode = os.stat(path)[1:3]

    def is_open():
        for fd in os.listdir(f"/proc/{pid}/fd"):
            try:
                if os.stat(f"/proc/{pid}/fd/{fd}")[1:3] == inode:
                    return True
            except OSError:
                pass  # closed meanwhile
        return False

    wait_until(is_open, what=f"{path} to be opened by {arguments(pid)}")


def user_prefix(uid=NOBODY):
    """setpriv(1) becomes the command: the PID stays."""
    if os.getuid() != 0:
        return []
    return [require_program("setpriv"), f"--reuid={uid}", f"--regid={uid}", "--clear-groups"]


class Session:
    """One run of ddprof-launch, and its worker."""

    def __init__(self, case, command, options=(), output=None, prefix=(), launch=LAUNCH, **popen):
        self.output = temporary_folder(case) if output is None else output
        self.known = set(adopted())
        popen.setdefault("stdin", subprocess.DEVNULL)
        popen.setdefault("stdout", subprocess.PIPE)
        popen.setdefault("stderr", subprocess.PIPE)
        to_folder = ["--output", self.output] if self.output else []  # False: elsewhere, say the options
        line = [*prefix, launch, *to_folder, *options, *command]
        self.began = time.monotonic()
        self.process = subprocess.Popen(line, **popen)
        self.pid = self.process.pid
        started.add(self.pid)
        self.stdout = self.stderr = b""
        self.status = None

    def finish(self, timeout=COMMAND_TIMEOUT_S):
        """Waits for the command, then for the worker. Workers must end well, whatever happened."""
        self.stdout, self.stderr = self.process.communicate(timeout=timeout)
        self.status = self.process.returncode
        self.worker_statuses = wait_for_adopted()
        return self

    def supervisor(self):
        return wait_for_supervisor(self.known)

    def profile_paths(self):
        return sorted(glob.glob(os.path.join(glob.escape(self.output), "*.pprof")),
                      key=lambda path: int(re.search(r"-(\d+)\.pprof$", path)[1]))

    def profiles(self):
        return [Profile(path) for path in self.profile_paths()]

    def profile(self):
        paths = self.profile_paths()
        if len(paths) != 1:
            raise AssertionError(f"{len(paths)} profiles instead of one; status {self.status}, "
                                 f"standard error: {self.stderr!r}")
        return Profile(paths[0])


def run(case, command, options=(), **named):
    timeout = named.pop("timeout", COMMAND_TIMEOUT_S)
    session = Session(case, command, options, **named)
    try:
        return session.finish(timeout)
    except BaseException:
        session.process.kill()
        session.process.wait()
        raise


def spawn(argv, setup=lambda: None, environment=None):
    """fork and exec without subprocess' own opinions on descriptors and signals; setup runs in between."""
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid == 0:
        try:
            signal.signal(signal.SIGPIPE, signal.SIG_DFL)
            setup()
            os.execve(argv[0], argv, os.environ if environment is None else environment)
        except BaseException as error:  # never back into the test runner
            os.write(2, f"spawn: {error}\n".encode())
        finally:
            os._exit(120)
    started.add(pid)
    return pid


def reap(pid, timeout=COMMAND_TIMEOUT_S):
    """The exit status as subprocess would give it: negative for a signal."""

    def ended():
        done, status = os.waitpid(pid, os.WNOHANG)
        return (os.waitstatus_to_exitcode(status),) if done else None

    try:
        return wait_until(ended, timeout, f"process {pid} to end")[0]
    except AssertionError:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        raise


# ---- profiles ----


def load_schema():
    folder = tempfile.mkdtemp(prefix="ddprof-e2e-schema-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    schema = os.path.abspath(SCHEMA)
    subprocess.run([require_program("protoc"), "-I", os.path.dirname(schema), "--python_out", folder, schema],
                   check=True)
    sys.path.insert(0, folder)
    import profile_pb2  # pylint: disable=import-error,import-outside-toplevel

    return profile_pb2


class Sample:
    """stack: function names, root first; frames: the same as Frame tuples."""

    def __init__(self, frames, values, labels):
        self.frames = frames
        self.stack = [frame.name for frame in frames]
        self.cpu_time_ns, self.count = values
        self.labels = labels

    @property
    def pid(self):
        return int(self.labels["process_id"])

    @property
    def tid(self):
        return int(self.labels["thread id"])


class Frame:
    def __init__(self, name, filename, mapping, address):
        self.name, self.filename, self.mapping, self.address = name, filename, mapping, address


# Where a stack begins: a program's entry point, or the kernel's entry into a new thread.
ROOT_NAMES = {"_start", "clone", "__clone", "clone3", "__clone3", "_dl_start_user"}
# Counted by the kernel, but no sample was taken: one per profile at most, see Profile.without_samples.
WITHOUT_SAMPLES = {"[kernel]": "ddprof.in_kernel_ns", "[unsampled]": "ddprof.unsampled_ns"}
PSEUDO_FRAMES = {"[incomplete]", "[truncated]", "[unknown mapping]", "[unwind failure]", "[lost]"}


@functools.lru_cache(maxsize=None)
def libc_bytes():
    for line in read_text("/proc/self/maps").splitlines():
        if line.endswith("/libc.so.6"):
            with open(line.split()[-1], "rb") as file:
                return file.read()
    return b""


@functools.lru_cache(maxsize=None)
def follows_clone3(address):
    """glibc keeps clone3 out of its dynamic symbols, so in a stripped libc the frame has no name. Its code tells:
    shortly before, there is mov $SYS_clone3,%eax and syscall. (libc's file offsets are its addresses in .text.)"""
    if platform.machine() != "x86_64":
        return True
    before = libc_bytes()[max(address - 64, 0):address]
    load = before.find(b"\xb8\xb3\x01\x00\x00")
    return load >= 0 and b"\x0f\x05" in before[load:]


def is_nameless(frame):
    return frame.name == "" or bool(re.fullmatch(r".*\+0x[0-9a-f]+", frame.name))


class Profile:
    pb2 = None

    def __init__(self, path):
        Profile.pb2 = Profile.pb2 or load_schema()
        self.path = path
        with open(path, "rb") as file:
            self.packed = file.read()
        self.bytes = gzip.decompress(self.packed)
        self.message = self.pb2.Profile.FromString(self.bytes)
        self.strings = list(self.message.string_table)
        self.mappings = {mapping.id: mapping for mapping in self.message.mapping}
        self.functions = {function.id: function for function in self.message.function}
        self.locations = {location.id: location for location in self.message.location}
        self.comments = dict(self.strings[index].split("=", 1) for index in self.message.comment
                             if "=" in self.strings[index])
        everything = [self._sample(sample) for sample in self.message.sample]
        self.samples = [sample for sample in everything if not self._has_no_samples(sample)]
        self.without_samples = {sample.stack[-1]: sample for sample in everything if self._has_no_samples(sample)}

    def _frames(self, location):
        mapping = self.mappings.get(location.mapping_id)
        if not location.line:
            return [Frame("", "", mapping, location.address)]
        functions = [self.functions[line.function_id] for line in location.line]
        return [Frame(self.strings[f.name], self.strings[f.filename], mapping, location.address) for f in functions]

    def _sample(self, sample):
        frames = [frame for number in sample.location_id for frame in self._frames(self.locations[number])]
        labels = {self.strings[l.key]: self.strings[l.str] if l.str else l.num for l in sample.label}
        return Sample(frames[::-1], list(sample.value), labels)

    def _has_no_samples(self, sample):
        key = WITHOUT_SAMPLES.get(sample.stack[-1])
        return key is not None and len(sample.stack) == 2 and int(self.comments.get(key, 0)) > 0

    def whole_ns(self):
        """All CPU time, that without samples included."""
        return total_ns([*self.samples, *self.without_samples.values()])

    def mapping_name(self, mapping):
        return self.strings[mapping.filename] if mapping else ""

    def ledger(self, key):
        return int(self.comments["ddprof." + key])


def total_ns(samples):
    return sum(sample.cpu_time_ns for sample in samples)


def share_of(samples, wanted):
    """Share of CPU time, in percent, of the samples for which wanted(sample) holds."""
    whole = total_ns(samples)
    return 100.0 * total_ns(s for s in samples if wanted(s)) / whole if whole else 0.0


SIGMAS = 4.5  # what independent samples are allowed: chance alone is further off once in 150,000 times


def scatter(share, samples):
    """How far off a share (of 1) may be that so many independent samples measure."""
    return SIGMAS * math.sqrt(share * (1 - share) / samples)


TICK_HZ = 250  # of the kernel's own account of user and kernel, where ticks sample that: Debian's CONFIG_HZ


def stolen_ns():
    """What a hypervisor took of all CPUs so far. A clock goes on meanwhile, an account of CPU time does not."""
    fields = read_text("/proc/stat").splitlines()[0].split()  # proc_stat(5); whole ticks of each CPU
    return int(int(fields[8]) * 1e9 / os.sysconf("SC_CLK_TCK"))


def has_function(pattern):
    matches = re.compile(pattern).search
    return lambda sample: any(matches(name) for name in sample.stack)


def is_rooted(sample):
    """The frame below the executable's pseudo-frame is where its thread began."""
    if len(sample.frames) < 2 or sample.frames[1].mapping is None:
        return False
    root = sample.frames[1]
    return root.name in ROOT_NAMES or (is_nameless(root) and follows_clone3(root.address))


def folded(profile):
    return sorted((";".join(sample.stack), sample.count) for sample in profile.samples)


# ---- running ----


class Result(unittest.TextTestResult):
    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.stream.writeln(f"SKIP {test}: {reason}")


def main():
    """unittest.main, except that a file of which nothing could run exits with 77."""
    program = unittest.main(module="__main__", exit=False, verbosity=2,
                            testRunner=unittest.TextTestRunner(resultclass=Result, verbosity=2))
    result = program.result
    if not result.wasSuccessful():
        sys.exit(1)
    skipped_all = result.skipped and len(result.skipped) >= result.testsRun
    sys.exit(EXIT_SKIPPED if skipped_all else 0)


def require_profiling():
    """For setUpModule: everything in the file needs a kernel that lets us profile."""
    if not os.path.exists(LAUNCH):
        raise AssertionError(f"{LAUNCH} does not exist: cmake --install first")
    folder = tempfile.mkdtemp(prefix="ddprof-e2e-")
    try:
        probe = subprocess.run([LAUNCH, "--require", "--output", folder, "/bin/true"], stdin=subprocess.DEVNULL,
                               capture_output=True, check=False)
        wait_for_adopted()
        if probe.returncode != 0:
            skip("profiling is impossible here: " + probe.stderr.decode(errors="replace").strip())
    finally:
        shutil.rmtree(folder, ignore_errors=True)
