"""The opener's rules: the audit line, the administrator's policy, the ways to hold the privilege, whom it refuses."""

import os
import re
import shutil
import socket
import struct
import subprocess
import unittest

import support
from private_host import PrivateHost
from support import target

USER = support.NOBODY
OPENER = os.path.join(support.LIBEXEC, "ddprof-perf-open")
LINE = re.compile(r'<(?P<priority>\d+)>ddprof-perf-open: uid=(?P<uid>\d+) pid=(?P<pid>\d+) exe=(?P<exe>"[^"]*"|\?) '
                  r'event=(?P<event>\S+) frequency=(?P<frequency>\d+) stack=(?P<stack>\d+)(?: kernel_frames=(?P<kernel>yes|named))? cpus=(?P<cpus>\d+) '
                  r'capability=(?P<capability>\w+) result=(?P<result>\w+) reason=(?P<reason>[a-z-]+) errno=(?P<errno>\d+)')
OPENED, REFUSED = "86", "84"  # AUTHPRIV: informational, warning


def setUpModule():
    support.require_profiling()
    support.require_root()


def with_capability(name):
    """A user process that holds a capability in its ambient set, as a unit with AmbientCapabilities= starts it."""
    return [*support.user_prefix(), f"--inh-caps=+{name}", f"--ambient-caps=+{name}"]


class OpenerTest(unittest.TestCase):
    def launch(self, host, options=(), prefix=None):
        session = support.run(self, [target("exit_with"), "7"], options, prefix=prefix or host.prefix)
        self.assertEqual(session.status, 7, session.stderr)
        return session

    def one_line(self, host):
        lines = host.lines()
        self.assertEqual(len(lines), 1, lines)
        found = LINE.fullmatch(lines[0])
        self.assertTrue(found, lines[0])
        return found.groupdict()

    def check_opened(self, host, options=(), **expected):
        session = self.launch(host, options)
        line = self.one_line(host)
        self.assertEqual((line["result"], line["reason"], line["priority"]), ("ok", "ok", OPENED), line)
        self.assertEqual({key: line[key] for key in expected}, expected)
        self.assertEqual(len(session.profile_paths()), 1)
        return session, line

    def check_refused(self, host, reason, sentence, options=()):
        """The target runs, one line says why; with --require it does not run; the log has a line for each."""
        session = self.launch(host, options)
        self.assertEqual(session.profile_paths(), [])
        self.assertRegex(session.stderr.decode(), f"^ddprof-launch: not profiling: {sentence}.*\n$")
        line = self.one_line(host)
        self.assertEqual((line["result"], line["reason"], line["priority"]), ("refused", reason, REFUSED), line)
        required = support.run(self, [target("exit_with"), "7"], ["--require", *options], prefix=host.prefix)
        self.assertEqual(required.status, 125)
        self.assertEqual(len(host.lines()), 1)
        return line


class Audit(OpenerTest):
    def test_line_of_an_opening(self):
        for prefix, uid in (([], "0"), (support.user_prefix(), str(USER))):
            host = PrivateHost(self, user=prefix)
            session, line = self.check_opened(host, ["-e", "sCPU freq=199", "--stack_sample_size", "4096"], uid=uid,
                                              exe=f'"{support.LAUNCH}"', event="sCPU", frequency="199", stack="4096",
                                              cpus=str(os.cpu_count()), errno="0")
            self.assertEqual(line["pid"], str(session.pid))

    def test_nothing_in_a_name_ends_a_field(self):
        folder = os.path.join(support.temporary_folder(self, mode=0o755), 'a" uid=0\n<86>b\\\x1b\u202e')
        os.mkdir(folder)
        copy = shutil.copy(support.LAUNCH, folder)
        host = PrivateHost(self)
        session = support.run(self, [target("exit_with"), "7"], prefix=host.prefix, launch=copy)
        self.assertEqual(session.status, 7)
        line = self.one_line(host)
        self.assertIn(r'/a\x22 uid=0\x0a<86>b\x5c\x1b\xe2\x80\xae/', line["exe"])
        self.assertEqual(line["uid"], str(USER))

    def test_no_log_no_harm(self):
        """A container has no /dev/log."""
        session = self.launch(PrivateHost(self, changes="umount /dev/log; umount $H/dev/log; rm /dev/log"))
        self.assertEqual(len(session.profile_paths()), 1)

    def test_full_log_no_harm(self):
        """A log that nobody reads must not hold anybody up."""
        host = PrivateHost(self)
        for _ in range(40):  # more than net.unix.max_dgram_qlen
            self.assertEqual(len(self.launch(host).profile_paths()), 1)
        self.assertGreater(len(host.lines()), 5)

    def test_refusals_are_slow(self):
        """A loop of refusals cannot flood the log: each costs its caller 20 ms, and only then writes its line."""
        host = PrivateHost(self, changes="echo 'max_frequency = 50' > $POLICY")
        trace = os.path.join(support.temporary_folder(self), "trace")
        self.launch(host, prefix=[*host.prefix, support.require_program("strace"), "-f", "-T", "-o", trace, "-e",
                                  "trace=clock_nanosleep,sendto"])
        found = re.search(r"clock_nanosleep\(CLOCK_MONOTONIC, .* <([0-9.]+)>\n\d+ +sendto\(", support.read_text(trace))
        self.assertTrue(found, support.read_text(trace))
        self.assertGreaterEqual(float(found[1]), 0.02)

    def test_one_line_whatever_happens_next(self):
        """The line is written before the descriptors leave; that nobody takes them is no second opening."""
        host = PrivateHost(self, changes="rm $WORKER")
        session = self.launch(host)
        self.assertIn(b"cannot start", session.stderr)
        self.assertLessEqual(len(host.lines()), 1)  # none when the launcher was quick to end the opener


class Policy(OpenerTest):
    def host(self, policy, changes="", user=None):
        return PrivateHost(self, f"printf '{policy}' > $POLICY; chmod 644 $POLICY; {changes}", user)

    def test_limits(self):
        too_fast = "the policy does not allow this frequency .at most 50 Hz.; ask for no more"
        self.check_refused(self.host("max_frequency = 50\\n"), "policy-frequency", too_fast)
        self.check_opened(self.host("max_frequency = 50\\n"), ["-e", "sCPU freq=50"])
        self.check_refused(PrivateHost(self), "policy-frequency", too_fast.replace("50", "1000"), ["-e", "sCPU freq=5000"])
        self.check_opened(self.host("max_frequency = 5000\\n"), ["-e", "sCPU freq=5000"])
        too_deep = "the policy does not allow this stack size .at most 16384 bytes.; ask for no more"
        line = self.check_refused(self.host("max_stack = 16384\\n"), "policy-stack", too_deep,
                                  ["--stack_sample_size", "16392"])
        self.assertEqual(line["errno"], "16384")
        self.check_opened(self.host("max_stack = 16384\\n"), ["--stack_sample_size", "16384"])

    def test_levels(self):
        """Those that copy more than the policy allows are left out, as long as one is left; the line names the largest."""
        for policy, options, stack in (("", [], "65528"), ("", ["--unwind", "fp"], "1024"), ("max_stack = 65520\\n", [], "32768"),
                                       ("max_stack = 32760\\n", ["--unwind", "dwarf"], "8192"),
                                       ("max_stack = 8184\\n", [], "1024")):
            with self.subTest(policy=policy, options=options):
                _, line = self.check_opened(self.host(policy), options)
                self.assertEqual(line["stack"], stack)
        line = self.check_refused(self.host("max_stack = 8184\\n"), "policy-stack", "the policy does not allow this stack size",
                                  ["--unwind", "dwarf"])
        self.assertEqual((line["stack"], line["errno"]), ("65528", "8184"))

    def test_applies_to_root(self):
        self.check_refused(self.host("max_frequency = 50\\n", user=[]), "policy-frequency", "the policy ")

    def test_ring_size(self):
        """At 999 Hz rings would be 2 MB; the policy says 128 KB."""
        host = self.host("max_ring = 131072\\n", user=[])
        session = support.Session(self, [target("split"), "30"], ["-e", "sCPU freq=999"], prefix=host.prefix)
        try:
            maps = support.read_text(f"/proc/{session.supervisor()}/maps")
        finally:
            session.process.terminate()
            session.finish()
        sizes = {int(end, 16) - int(begin, 16)
                 for begin, end in re.findall(r"(?m)^(\w+)-(\w+) rw-s .*perf_event", maps)}
        self.assertEqual(sizes, {4096 + 65536, 4096 + 131072})

    def kernel_frames(self, policy, changes, options=(), user=None):
        """A program that is nearly always in the kernel. The share that is shown there below the function that asked for
        it, that of the whole session's [kernel], and what the audit line says."""
        host = self.host(policy, changes, user)
        session = support.run(self, [target("kernel_time"), "zero", "1"], options, prefix=host.prefix)
        self.assertEqual(session.status, 0, session.stderr)
        profile = session.profile()
        self.assertLessEqual(abs(profile.whole_ns() - profile.ledger("kernel_count_ns")), profile.message.period)
        inside = sum(s.cpu_time_ns for s in profile.samples if "[kernel]" in s.stack and "main" in s.stack)
        apart = profile.ledger("in_kernel_ns")
        self.assertEqual(apart, profile.without_samples["[kernel]"].cpu_time_ns if apart else 0)
        return inside / profile.whole_ns(), apart / profile.whole_ns(), self.one_line(host)["kernel"]

    def test_kernel_frames(self):
        """Samples in the kernel: where the policy allows them, the caller wants them, and the kernel grants them. Whatever
        is missing, its time is one frame as before, and nothing is refused."""
        allowed, may = "kernel_frames = yes\\n", "setcap cap_sys_admin=p $OPENER"
        for policy, changes, options, user in ((allowed, may, [], None), (allowed, "", [], []),
                                               (allowed, may, ["--unwind", "fp"], None)):
            inside, apart, said = self.kernel_frames(policy, changes, options, user)
            self.assertGreater(inside, 0.85)
            self.assertEqual(apart, 0)
            self.assertIn(said, ("yes", "named"))  # test_kernel_names.py
        for policy, changes, options, user in (("kernel_frames = no\\n", may, [], None), ("", may, [], None), ("", "", [], []),
                                               (allowed, may, ["--kernel_frames", "no"], None)):
            inside, apart, said = self.kernel_frames(policy, changes, options, user)
            self.assertGreater(apart, 0.85)
            self.assertEqual((inside, said), (0, None))
        if int(support.read_text("/proc/sys/kernel/perf_event_paranoid")) >= 2:  # else nobody needs a privilege for that
            inside, apart, said = self.kernel_frames(allowed, "", [], None)
            self.assertGreater(apart, 0.85)
            self.assertEqual((inside, said), (0, None))

    def test_groups(self):
        host = self.host("groups = games, 40999\\n")
        self.check_refused(host, "policy-group", "the policy lets only some groups profile; ask the administrator")
        member = [part for part in support.user_prefix() if part != "--clear-groups"]
        for groups in ("60", "1,2,40999"):  # 60 is Debian's number of `games`
            self.check_opened(self.host("groups = games, 40999\\n", user=[*member, f"--groups={groups}"]))
        first = [part.replace(f"--regid={USER}", "--regid=60") for part in support.user_prefix()]
        self.check_opened(self.host("groups = games\\n", user=first))
        self.check_opened(self.host("groups = games\\n", user=[]))  # root always may

    def test_broken_line(self):
        for policy, number in (("# fine\\nmax_frequenzy = 1\\n", 2), ("events = sCPU\\n\\nmax_stack = 7\\n", 3),
                               ("groups = no-such-group\\n", 1)):
            line = self.check_refused(self.host(policy), "policy-line",
                                      rf"the policy /etc/ddprof/policy.conf is not understood .line {number}.; an admin")
            self.assertEqual(line["errno"], str(number))

    def test_file_that_is_not_roots_alone(self):
        """Whoever may write the file or a folder on its way decides what the policy is."""
        for changes in (f"chown {USER} $POLICY", f"chown {USER} /etc/ddprof", "chmod 664 $POLICY", "chmod 777 /etc/ddprof",
                        "chmod 1777 /etc", "mv $POLICY /etc/real; ln -s /etc/real $POLICY",
                        "mv /etc/ddprof /etc/real; ln -s real /etc/ddprof", "rm $POLICY; mkfifo $POLICY",
                        "rm $POLICY; mkdir $POLICY", "chmod 600 $POLICY", "truncate -s 20000 $POLICY"):
            with self.subTest(changes):
                self.check_refused(self.host("max_frequency = 1000\\n", changes), "policy-file",
                                   "the policy /etc/ddprof/policy.conf cannot be used: ")

    def test_worker_user(self):
        worker = 41999
        account = f"echo 'ddworker:x:{worker}:{worker}::/:/bin/false' >> /etc/passwd"
        host = self.host("worker_user = ddworker\\n", user=[], changes=account)
        # names are looked up in the private /etc/passwd, so the policy is valid only with the account in it
        session = support.Session(self, [target("split"), "1"], prefix=host.prefix)
        status = support.proc_status(session.supervisor())
        session.finish()
        self.assertEqual(status["Uid"].split(), [str(worker)] * 4)
        self.assertEqual(status["Gid"].split(), [str(worker)] * 4)
        self.assertEqual(status["Groups"].strip(), "")
        self.assertEqual(int(status["CapPrm"], 16), 0)
        profile = session.profile()
        self.assertGreater(sum(1 for s in profile.samples if support.has_function("^alternate")(s)), 0)
        refused = self.host("worker_user = ddworker\\n", changes=account)
        session = self.launch(refused)
        self.assertRegex(session.stderr.decode(), "not profiling: the policy's worker_user cannot be taken on: .*set-uid root")
        set_uid = self.host("worker_user = ddworker\\n", changes=account + "; chmod 4755 $OPENER")
        self.check_opened(set_uid, uid=str(USER))


class Privilege(OpenerTest):
    """This kernel needs no privilege for a plain user, so "none" is what is used even where more is there; a caller with
    a capability of its own is closed to an opener without, which then raises what it has (ptrace(2), access checks)."""

    AMBIENT = "net_bind_service"

    def test_nothing_is_raised_in_vain(self):
        for changes in ("chmod 4755 $OPENER", "setcap cap_perfmon=p $OPENER", "setcap cap_sys_admin=p $OPENER"):
            with self.subTest(changes):
                self.check_opened(PrivateHost(self, changes), capability="none", uid=str(USER))

    def test_each_way(self):
        for changes, capability in (("setcap cap_perfmon=p $OPENER", "cap_perfmon"),
                                    ("setcap cap_sys_admin=p $OPENER", "cap_sys_admin"),
                                    ("setcap cap_sys_admin,cap_perfmon=p $OPENER", "cap_perfmon"),
                                    ("chmod 4755 $OPENER", "cap_perfmon"),
                                    ("chown root:40999 $OPENER; chmod 4755 $OPENER", "cap_perfmon")):
            with self.subTest(changes):
                host = PrivateHost(self, changes, user=with_capability(self.AMBIENT))
                self.check_opened(host, capability=capability, uid=str(USER))

    def test_inherited(self):
        self.check_opened(PrivateHost(self, user=with_capability("perfmon")), uid=str(USER))

    def test_order(self):
        """Root's opener gives up everything before the descriptors leave, its supervisor before it becomes the worker."""
        trace = os.path.join(support.temporary_folder(self), "trace")
        strace = [support.require_program("strace"), "-f", "-o", trace, "-e", "trace=execve,clone,capset,sendmsg"]
        self.launch(PrivateHost(self, user=[]), prefix=strace)
        calls = [line.split(None, 1) for line in support.read_text(trace).splitlines()]
        opener = next(pid for pid, call in calls if call.startswith("execve(") and "ddprof-perf-open" in call)
        supervisor = next(pid for pid, call in calls if call.startswith("execve(") and '"supervisor"' in call)
        for pid, before in ((opener, r"sendmsg\(.*SCM_RIGHTS"), (supervisor, r'execve\(.*"supervisor"')):
            own = [call for who, call in calls if who == pid]
            at = next(i for i, call in enumerate(own) if re.match(before, call))
            last = [call for call in own[:at] if call.startswith("capset(")][-1]
            self.assertRegex(last, r"effective=0, permitted=0, inheritable=0")

    def test_raised_around_the_opens_only(self):
        trace = os.path.join(support.temporary_folder(self), "trace")
        strace = [support.require_program("strace"), "-f", "-o", trace, "-e", "trace=capset,perf_event_open"]
        self.launch(PrivateHost(self, "setcap cap_perfmon=p $OPENER", user=[*strace, *with_capability(self.AMBIENT)]))
        text = support.read_text(trace)
        opener = re.search(r"(?m)^(\d+) +perf_event_open", text)[1]  # its child, the supervisor, empties its sets meanwhile
        calls = re.findall(rf"(?m)^{opener} +(?:capset\(.*effective=(\S+), permitted=(\S+),|(perf_event_open)\(.*= \d)", text)
        opens = [i for i, call in enumerate(calls) if call[2]]
        begins = [i for i in opens if i - 1 not in opens]
        ends = [i for i in opens if i + 1 not in opens]
        self.assertEqual(len(begins), 2)  # the events with rings; those of other levels once the rings are mapped
        for begin, end in zip(begins, ends):
            self.assertEqual(calls[begin - 1], ("1<<CAP_PERFMON", "1<<CAP_PERFMON", ""))
            self.assertEqual(calls[end + 1], ("0", "1<<CAP_PERFMON", ""))

    def test_no_process_keeps_any(self):
        host = PrivateHost(self, "chmod 4755 $OPENER", user=with_capability(self.AMBIENT))
        session = support.Session(self, [target("split"), "30"], prefix=host.prefix)
        try:
            roles = support.wait_for_roles(session.supervisor())
            for name, pid in roles.items():
                status = support.proc_status(pid)
                self.assertEqual([int(status[key], 16) for key in ("CapInh", "CapPrm", "CapEff", "CapAmb")], [0] * 4, name)
                self.assertEqual(status["Uid"].split(), [str(USER)] * 4, name)
            own = support.proc_status(session.pid)  # what it had before, nothing more and nothing less
            self.assertEqual({own[key].strip() for key in ("CapInh", "CapPrm", "CapEff", "CapAmb")}, {f"{1 << 10:016x}"})
        finally:
            session.process.terminate()
            session.finish()

    def test_worker_that_users_can_read_or_change(self):
        for changes in ("chmod 755 $WORKER", "chmod 731 $WORKER", f"chown {USER} $WORKER", f"chown {USER} {support.LIBEXEC}",
                        f"chmod 777 {support.LIBEXEC}"):
            for privilege in ("setcap cap_sys_admin=p $OPENER", "chmod 4755 $OPENER"):
                with self.subTest(changes=changes, privilege=privilege):
                    self.check_refused(PrivateHost(self, f"{changes}; {privilege}"), "worker-mode",
                                       ".*/ddprof-worker could be read or changed by its users")

    def test_no_new_privs(self):
        """The file's capability is not given then; without it this kernel needs none."""
        host = PrivateHost(self, "setcap cap_sys_admin=p $OPENER", user=[*support.user_prefix(), "--no-new-privs"])
        self.check_opened(host, capability="none")


class Identity(OpenerTest):
    """Spoken to directly, as an attacker would: everything the launcher does right may be wrong here."""

    def ask(self, host, become, parent):
        """Runs the opener as a child of a process after parent(), with a valid request on descriptor 3."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        request = struct.pack("=IIIIIIII", 1, 24, 0, 1, 99, 15, 0, 0)  # LAUNCH: no descriptors, sCPU, all levels
        ours.send(request)
        script = f"""
import os, sys
{parent}
pid = os.fork()
if pid == 0:
    {become}
    os.execve({OPENER!r}, ["ddprof-perf-open"], {{}})
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""
        def channel():
            os.dup2(theirs.fileno(), 3)

        done = subprocess.run([*host.prefix, "/usr/bin/python3", "-c", script], preexec_fn=channel, pass_fds=(3,), check=False,
                              capture_output=True, timeout=60)
        ours.close()
        theirs.close()
        support.wait_for_adopted()
        return done

    def check(self, reason, become="pass", parent="pass"):
        host = PrivateHost(self, "setcap cap_sys_admin=p $OPENER", user=[])
        done = self.ask(host, become, parent)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertEqual(self.one_line(host)["reason"], reason)

    def test_two_users_at_once(self):
        self.check("identity", f"os.setresuid({USER}, {USER + 1}, {USER})")
        self.check("identity", f"os.setresgid({USER}, {USER + 1}, {USER})")

    def test_somebody_elses_process(self):
        self.check("parent", f"os.setresgid({USER},{USER},{USER}); os.setresuid({USER},{USER},{USER})")

    def test_parent_of_two_users(self):
        parent = (f"os.setgroups([]); os.setresgid({USER},{USER},{USER}); os.setresuid({USER}, {USER + 1}, 0); "
                  "import ctypes; ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)")
        self.check("parent", f"os.setresuid({USER},{USER},{USER})", parent)

    def test_parent_of_two_groups(self):
        """Dumpable again after its change of groups, so that only the group tells."""
        parent = (f"os.setgroups([]); os.setresgid({USER}, {USER + 1}, {USER + 1}); os.setresuid({USER}, {USER}, {USER}); "
                  "import ctypes; ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)")
        self.check("parent", f"os.setresgid({USER}, {USER}, {USER})", parent)

    def test_by_hand(self):
        for argv, descriptors in (([OPENER], ()), ([OPENER, "--help"], ()), ([OPENER, "x"], ())):
            done = subprocess.run(argv, capture_output=True, check=False, stdin=subprocess.DEVNULL, pass_fds=descriptors)
            self.assertEqual(done.returncode, 2)
            self.assertIn(b"started by ddprof-launch, not by hand", done.stderr)


if __name__ == "__main__":
    support.main()
