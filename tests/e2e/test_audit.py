"""The auditor's commands: what they print is what is installed, what holds is green, what does not is red, and a machine
that cannot profile is told why and what the smallest fix is."""

import ctypes
import json
import os
import re
import resource
import struct
import subprocess
import sys
import unittest

import support
from private_host import PrivateHost
from support import LAUNCH, LIBEXEC, target

ROLES = ("opener", "supervisor", "unwinder", "symbolizer", "exporter", "uploader", "target")


def setUpModule():
    support.require_profiling()


def audit(*options, prefix=(), **popen):
    popen.setdefault("cwd", "/tmp")
    done = subprocess.run([*prefix, LAUNCH, *options], capture_output=True, text=True, check=False, timeout=120, **popen)
    support.wait_for_adopted()
    return done


class PrintPolicy(unittest.TestCase):
    def documented(self, role):
        """(call, reason) of each row of the page."""
        page = support.read_text(os.path.join(support.HERE, "../../docs/syscalls.md"))
        section = re.search(rf"(?ms)^## {role}$(.*?)(?=^## |\Z)", page)[1]
        rows = re.findall(r"(?m)^\| (\w+)(?: \(refused\))? \| .*? \| (.*) \|$", section)
        return [row for row in rows if row[0] != "call"]

    def test_each_role(self):
        for role in ROLES:
            done = audit("--print-policy", role)
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            table, code = done.stdout.split("\nfilter (")
            rows = self.documented(role)
            self.assertGreater(len(rows), 10)
            default = "allowed" if role == "target" else "kills the process"
            self.assertIn(f"\nany other call: {default}\n", table)
            for call, reason in rows:
                row = re.search(rf"(?m)^  (allow|EACCES|EPERM) +{call} +{re.escape(reason)}", table)
                self.assertTrue(row, (role, call))
                is_default = (row[1] == "allow") == (default == "allowed")
                if os.uname().machine == "x86_64" and not is_default:
                    self.assertRegex(code, rf"; {call}\n", role)
            lines = code.splitlines()
            self.assertEqual(int(lines[0].split()[0]), len(lines) - 1)
            self.assertRegex(lines[-1], r"^ *\d+  ret (ALLOW|KILL_PROCESS)$")

    def test_unknown_role(self):
        done = audit("--print-policy", "root\x1b[2J")
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertEqual(len(done.stderr.splitlines()), 1)
        for role in ROLES:
            self.assertIn(role, done.stderr)
        self.assertNotIn("\x1b", done.stderr)

    def test_common(self):
        done = audit("--print_policy")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        for part in ("event sideband:", "event sCPU:", "exclude_kernel ", "policy: /etc/ddprof/policy.conf", "max_frequency",
                     "65528 bytes", *(f"\n  {role} " for role in ROLES)):
            self.assertIn(part, done.stdout)

    def test_policy_in_force(self):
        host = PrivateHost(self, 'printf "max_frequency = 50\\ngroups = 12345\\n" > "$POLICY"')
        done = audit("--print-policy", prefix=host.prefix)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertRegex(done.stdout, r"(?m)^  max_frequency +50 Hz$")
        self.assertRegex(done.stdout, r"(?m)^  who may profile +root, group 12345$")

    def test_policy_that_is_wrong(self):
        for changes, pattern in (('printf "\\n\\nmax_frequency = 5001\\n" > "$POLICY"', "line 3: a number out of its limits"),
                                 ('echo bogus > "$POLICY"', "line 1: not understood"),
                                 ('ln -s /dev/null "$POLICY"', "symbolic link"),
                                 ('touch "$POLICY"; chmod 666 "$POLICY"', "others can write it")):
            done = audit("--print-policy", prefix=PrivateHost(self, changes).prefix)
            self.assertEqual(done.returncode, 1)
            self.assertRegex(done.stdout, f"^policy: /etc/ddprof/policy.conf cannot be used, .*: .*{pattern}")

    def test_usage(self):
        for options in (["--print-policy", "opener", "x"], ["--attest", "1", "2"], ["--check", "--yaml"], ["--attest", "x"]):
            done = audit(*options)
            self.assertEqual((done.returncode, done.stdout, len(done.stderr.splitlines())), (2, "", 1), options)

    def test_not_installed(self):
        host = PrivateHost(self, 'rm "$L/ddprof-audit"')
        for option in ("--check", "--attest", "--print-policy"):
            done = audit(option, prefix=host.prefix)
            self.assertEqual((done.returncode, done.stdout), (125, ""))
            self.assertRegex(done.stderr, r"^ddprof-launch: cannot start \S+/ddprof-audit: No such file or directory; install .*\n$")


class Attest(unittest.TestCase):
    def attest(self, pid, prefix=()):
        done = audit_only("--attest", str(pid), prefix=prefix)
        return done.returncode, done.stdout, done.stderr

    def with_session(self, check, prefix=(), options=()):
        session = support.Session(self, [target("split"), "30"], options, prefix=prefix)
        try:
            session.roles = support.wait_for_roles(session.supervisor())
            check(session)
        finally:
            session.process.terminate()
            session.finish()

    def test_green(self):
        support.require_root()

        def check(session):
            for pid in (session.pid, *session.roles.values()):
                status, text, _ = self.attest(pid)
                self.assertEqual(status, 0, text)
                self.assertNotIn("FAIL", text)
                for name, role in session.roles.items():
                    self.assertIn(f"\n  {name} {role}\n", text)
                self.assertIn(f"\n  target {session.pid} (split)", text)
                self.assertEqual(len(re.findall(r"(?m)^    ok    effective set +empty$", text)), 4, text)
                self.assertEqual(len(re.findall(r"(?m)^    ok    descriptors ", text)), 4, text)
                self.assertTrue(text.endswith("1 session: everything holds\n"))

        for prefix in ([], support.user_prefix()):
            with self.subTest(user="ordinary" if prefix else "root"):
                self.with_session(check, prefix)

    def test_green_with_a_network(self):
        """The exporter is judged by its other policy, and is the program that belongs to that."""
        support.require_root()

        def check(session):
            status, text, _ = self.attest(session.pid)
            self.assertEqual(status, 0, text)
            self.assertRegex(text, rf"\n  uploader {session.roles['exporter']}\n    ok    executable +\S+/ddprof-uploader\n")
            self.assertNotIn("not running now", text)
            self.assertTrue(text.endswith("1 session: everything holds\n"))

        self.with_session(check, options=("--url", "http://127.0.0.1:9", "--export_grace", "1"))

    def test_ordinary_user_looks(self):
        def check(session):
            status, text, _ = self.attest(session.roles["unwinder"], support.user_prefix())
            self.assertEqual(status, 0, text)
            self.assertEqual(len(re.findall(r"(?m)^    info  descriptors +not visible: run as root$", text)), 4)
            self.assertEqual(len(re.findall(r"(?m)^    ok    dumpable +no$", text)), 4)

        self.with_session(check, support.user_prefix())

    def imitate(self, role, setup="", **popen):
        """A process that looks like one of ours and has none of its sandbox."""
        folder = support.temporary_folder(self)
        with open(os.path.join(folder, role), "w", encoding="ascii") as file:
            file.write(f"import subprocess, time\n{setup}\nprint(flush=True)\ntime.sleep(60)\n")
        process = subprocess.Popen(["ddprof-worker", role], executable=sys.executable, cwd=folder, stdout=subprocess.PIPE,
                                   **popen)
        support.started.add(process.pid)

        def end():
            process.kill()
            process.communicate()

        self.addCleanup(end)
        process.stdout.readline()
        return process.pid

    def test_red(self):
        """No sandbox at all, and a child nobody knows."""
        pid = self.imitate("supervisor", "subprocess.Popen(['sleep', '1'])")
        status, text, _ = self.attest(pid)
        self.assertEqual(status, 1, text)
        for line in ("no_new_privs +not set", "seccomp +no filter", "core limit +not 0"):
            self.assertRegex(text, f"(?m)^    FAIL  {line}$")
        if os.getuid() == 0:
            self.assertRegex(text, "(?m)^    FAIL  executable .* is not of this installation$")
            self.assertRegex(text, "(?m)^    FAIL  permitted set ")
        self.assertIn("not one of ours, yet a child of the supervisor", text)
        self.assertIn("NOT everything holds", text)

    def test_red_for_an_ordinary_users_process(self):
        support.require_root()
        _, text, _ = self.attest(self.imitate("supervisor", user=support.NOBODY))
        self.assertRegex(text, "(?m)^    FAIL  dumpable +yes")
        self.assertRegex(text, "(?m)^    FAIL  bounding set ")

    def test_role_outside_of_a_session_is_none(self):
        status, text, error = self.attest(self.imitate("unwinder"))
        self.assertEqual((status, text), (2, ""), error)

    def test_no_session(self):
        support.require_root()
        prefix = [support.require_program("unshare"), "--pid", "--fork", "--mount-proc"]
        done = audit_only("--attest", prefix=prefix)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (2, "", "ddprof-launch: --attest: no session is running\n"))
        status, text, error = self.attest(1)
        self.assertEqual((status, text, len(error.splitlines())), (2, "", 1))


def audit_only(*options, prefix=()):
    """Beside running sessions, whose workers we must not wait for."""
    return subprocess.run([*prefix, LAUNCH, *options], capture_output=True, text=True, check=False, timeout=60)


def give(errno, flags=None):
    """Answers perf_event_open with an error, for these flags or for all; the caller is root and keeps its rights."""
    architecture, number = {"x86_64": (0xC000003E, 298), "aarch64": (0xC00000B7, 241)}[os.uname().machine]
    load, jump_if_equal, end = 0x20, 0x15, 0x06
    code = [(load, 0, 0, 4), (jump_if_equal, 0, 5, architecture), (load, 0, 0, 0), (jump_if_equal, 0, 3, number),
            (load, 0, 0, 48), (jump_if_equal, 0, 0 if flags is None else 1, flags or 0),
            (end, 0, 0, 0x00050000 | errno), (end, 0, 0, 0x7FFF0000)]
    instructions = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in code))
    program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(code), ctypes.addressof(instructions)))

    program.instructions = instructions  # which it points to

    def install():
        if support.libc.prctl(22, 2, ctypes.byref(program), 0, 0):
            raise OSError("seccomp")

    return install


def closed_kernel():
    """As a distribution's patch answers at level 3: a request that is understood gets EACCES."""
    return give(13, flags=8)


PARANOID_3 = 'echo 3 > "$H/paranoid"; mount --bind "$H/paranoid" /proc/sys/kernel/perf_event_paranoid\n'


class Check(unittest.TestCase):
    def check(self, works, prefix=(), **popen):
        """The findings by name, and the last line; the two forms must agree."""
        text = audit("--check", prefix=prefix, **popen)
        machine = audit("--check", "--json", prefix=prefix, **popen)
        self.assertEqual((text.returncode, machine.returncode), (0 if works else 1,) * 2, text.stdout + text.stderr)
        report = json.loads(machine.stdout)
        self.assertEqual(report["works"], works)
        shown = [(name.strip(), verdict.lower()) for verdict, name in
                 re.findall(r"(?m)^(ok|warn|FAIL) +(.+?)  ", text.stdout)]
        self.assertEqual(shown, [(f["name"], f["verdict"]) for f in report["findings"]])
        last = text.stdout.splitlines()[-1]
        self.assertTrue(last.startswith("profiling works: " if works else "profiling does not work: "), last)
        if not works:
            self.assertTrue(last.endswith("; smallest fix: " + report["fix"]) and report["fix"], last)
        return {f["name"]: f for f in report["findings"]}, last

    def expect(self, finding, verdict, pattern, fix=""):
        self.assertEqual(finding["verdict"], verdict, finding)
        self.assertRegex(finding["finding"], pattern)
        if fix:
            self.assertRegex(finding["fix"], fix)

    def test_works(self):
        for prefix in ([], support.user_prefix(next(support.ordinary_users))):
            findings, last = self.check(True, prefix)
            self.assertEqual({f["verdict"] for f in findings.values()} - {"ok", "warn"}, set())
            self.assertRegex(last, r"^profiling works: \d+ samples, \d+ lost, ")

    def test_leaves_nothing_behind(self):
        folder = support.temporary_folder(self)
        self.check(True, env={**os.environ, "TMPDIR": folder})
        self.assertEqual(os.listdir(folder), [])

    def test_no_temporary_folder(self):
        findings, _ = self.check(False, env={**os.environ, "TMPDIR": os.path.join(support.temporary_folder(self), "absent")})
        self.expect(findings["trial"], "fail", "no temporary folder", "TMPDIR")

    def test_filters_are_told_apart(self):
        support.require_root()
        for errno, name in ((1, "EPERM"), (13, "EACCES"), (38, "ENOSYS")):
            findings, last = self.check(False, preexec_fn=give(errno))
            self.expect(findings["seccomp"], "fail", rf"before the kernel does: {name}$", "seccomp profile")
            self.assertIn("profiling does not work: seccomp: ", last)

    def test_security_module(self):
        """The kernel is reached and refuses although the level allows it."""
        support.require_root()
        findings, last = self.check(False, preexec_fn=closed_kernel())
        self.expect(findings["perf_event_open"], "fail", "^EACCES although level", "SELinux")
        self.assertEqual(findings["seccomp"]["verdict"], "ok")
        self.assertIn(": perf_event_open: ", last)

    def closed(self, changes="", user=None):
        """A closed kernel. It refuses the trial whatever the opener has: what is tested is the diagnosis."""
        host = PrivateHost(self, PARANOID_3 + changes, user)
        return self.check(False, host.prefix, preexec_fn=closed_kernel())

    def test_closed_without_privilege(self):
        findings, last = self.closed()
        self.expect(findings["perf_event_paranoid"], "ok", "^3$")
        self.expect(findings["perf_event_open"], "warn", "as Debian and Ubuntu patch it")
        self.expect(findings["privilege"], "fail", "wants one", f"^setcap cap_sys_admin=p {LIBEXEC}/ddprof-perf-open$")
        self.assertIn(": privilege: ", last)

    def test_closed_with_file_capability(self):
        findings, _ = self.closed('setcap cap_sys_admin=p "$OPENER"')
        self.expect(findings["privilege"], "ok", "^file capability cap_sys_admin=p$")
        self.assertEqual(findings["perf_event_open"]["verdict"], "ok")

    def test_closed_with_perfmon_only(self):
        findings, last = self.closed('setcap cap_perfmon=p "$OPENER"')
        self.expect(findings["privilege"], "fail", "^cap_perfmon=p, which this kernel refuses$", "^setcap cap_sys_admin=p ")
        self.assertIn("smallest fix: setcap cap_sys_admin=p ", last)

    def test_closed_set_uid(self):
        findings, _ = self.closed('chmod 4755 "$OPENER"')
        self.expect(findings["privilege"], "ok", "^set-uid root$")

    def test_closed_nosuid(self):
        for grant in ('setcap cap_sys_admin=p "$OPENER"', 'chmod 4755 "$OPENER"'):
            findings, last = self.closed(f'{grant}; mount -o remount,bind,nosuid "$L"')
            self.expect(findings["mount"], "fail", "^nosuid", "without nosuid")
            self.assertIn(": mount: ", last)

    def test_closed_no_new_privs(self):
        user = ["setpriv", "--no-new-privs", *support.user_prefix()]
        findings, last = self.closed('setcap cap_sys_admin=p "$OPENER"', user)
        self.expect(findings["no_new_privs"], "fail", "no effect", "^AmbientCapabilities=CAP_SYS_ADMIN")
        self.assertIn(": no_new_privs: ", last)

    def test_closed_bounding_set(self):
        user = ["setpriv", "--bounding-set=-sys_admin", *support.user_prefix()]
        findings, last = self.closed('setcap cap_sys_admin=p "$OPENER"', user)
        self.expect(findings["bounding set"], "fail", "lacks cap_sys_admin", "CapabilityBoundingSet")
        self.assertIn(": bounding set: ", last)

    def test_closed_in_effect_outside_of_the_bounding_set(self):
        user = ["setpriv", "--bounding-set=-sys_admin", *support.user_prefix()]
        findings, last = self.closed('setcap cap_sys_admin=ep "$OPENER"', user)
        self.expect(findings["privilege"], "fail", "keeps the opener from starting", "^setcap cap_sys_admin=p ")
        self.assertRegex(findings["trial"]["finding"], "cannot start .*Operation not permitted")
        self.assertIn(": privilege: ", last)

    def test_closed_root_tries_perfmon(self):
        """Root can find out that CAP_PERFMON would not do."""
        findings, _ = self.closed(user=[])
        self.expect(findings["perf_event_open"], "ok", "CAP_PERFMON alone is refused too$")

    def test_too_much_privilege(self):
        host = PrivateHost(self, 'setcap cap_sys_admin=eip "$OPENER"')
        findings, _ = self.check(True, host.prefix)
        self.expect(findings["privilege"], "warn", "'p' is enough.*'e'.*'i'", "^setcap cap_sys_admin=p ")

    def test_opener_missing(self):
        findings, last = self.check(False, PrivateHost(self, 'rm "$OPENER"').prefix)
        self.expect(findings["opener"], "fail", "No such file", "install")
        self.assertIn(": opener: ", last)

    def test_opener_for_a_group(self):
        findings, last = self.check(False, PrivateHost(self, 'chown 0:12345 "$OPENER"; chmod 0750 "$OPENER"').prefix)
        self.expect(findings["opener"], "fail", "mode 0750, group 12345", "^join group 12345$")
        self.assertIn(": opener: ", last)

    def test_worker_file_readable(self):
        """A warning, until the opener adds a privilege: it then refuses."""
        findings, _ = self.check(True, PrivateHost(self, 'chmod 0755 "$WORKER"').prefix)
        self.expect(findings["worker files"], "warn", "ddprof-worker: mode 0755", "chmod 0711")
        host = PrivateHost(self, 'setcap cap_sys_admin=p "$OPENER"; chmod 0755 "$WORKER"')
        findings, last = self.check(False, host.prefix)
        self.assertEqual(findings["worker files"]["verdict"], "fail")
        self.assertIn(": worker files: ", last)

    def test_suid_dumpable(self):
        host = PrivateHost(self, 'echo 1 > "$H/dumpable"; mount --bind "$H/dumpable" /proc/sys/fs/suid_dumpable')
        findings, last = self.check(False, host.prefix)
        self.expect(findings["fs.suid_dumpable"], "fail", "^1: ", "^sysctl fs.suid_dumpable=2$")
        self.assertTrue(last.endswith("; smallest fix: sysctl fs.suid_dumpable=2"), last)

    def test_policy(self):
        for changes, pattern, fix in (('echo bogus > "$POLICY"', "line 1: not understood", "must correct"),
                                      ('echo "groups = 12345" > "$POLICY"', "does not let your groups", "add you to a group"),
                                      ('echo "worker_user = 65534" > "$POLICY"', "worker_user", "^chmod 4755 ")):
            findings, last = self.check(False, PrivateHost(self, changes).prefix)
            self.expect(findings["policy"], "fail", pattern, fix)
            self.assertIn(": policy: ", last)
        findings, last = self.check(False, PrivateHost(self, 'echo "max_frequency = 50" > "$POLICY"').prefix)
        self.expect(findings["trial"], "fail", "at most 50 Hz", "no more than that")

    def test_few_open_files(self):
        findings, last = self.check(False, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (8, 8)))
        self.expect(findings["open files"], "fail", "hard limit 8, about", "^ulimit -Hn ")
        self.assertIn(": open files: ", last)

    def test_little_locked_memory(self):
        """One run a user: Linux 6.18 never gives back what a second mapping of a ring was charged."""
        user = support.user_prefix(next(support.ordinary_users))
        for changes, verdict, pattern in (("", "warn", "smallest rings"),
                                          ('echo 4 > "$H/kb"; mount --bind "$H/kb" /proc/sys/kernel/perf_event_mlock_kb',
                                           "fail", "^the rings need")):
            host = PrivateHost(self, changes + "\nulimit -l 64", user)
            report = json.loads(audit("--check", "--json", prefix=host.prefix).stdout)
            findings = {f["name"]: f for f in report["findings"]}
            self.expect(findings["locked memory"], verdict, pattern, "^ulimit -l ")

    def test_output_folder_and_switch(self):
        support.require_root()
        environment = {**os.environ, "DDPROF_OUTPUT": "/proc/self", "DD_PROFILING_ENABLED": "off"}
        findings, _ = self.check(True, support.user_prefix(), env=environment)
        self.expect(findings["output folder"], "warn", "'/proc/self'", "--output")
        self.expect(findings["environment"], "warn", "switches profiling off", "unset")

    def test_user_namespace(self):
        support.require_root()
        findings, _ = self.check(True, [support.require_program("unshare"), "--user", "--map-root-user"])
        self.expect(findings["user namespace"], "ok", "container's")


if __name__ == "__main__":
    support.main()
