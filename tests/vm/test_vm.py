"""The installed product on a Debian kernel as Debian ships it: kernel.perf_event_paranoid is 3, which upstream does not
know, and no user but root may open a perf event. One boot for all cases; DDPROF_VM_KERNEL names the kernel."""

import errno
import io
import json
import os
import re
import shlex
import tarfile
import time
import unittest

import guest as vm
import initramfs
import kernels
import support
from support import LAUNCH, LIBEXEC, target

KERNEL = os.environ.get("DDPROF_VM_KERNEL", "6.1")
ALWAYS = "6.1"  # this one is no machine's to skip
CPUS = int(os.environ.get("DDPROF_VM_CPUS", "2"))
OPENER = LIBEXEC + "/ddprof-perf-open"
POLICY = "/etc/ddprof/policy.conf"
OUT = "/tmp/out"
LOG = "/run/log"  # the guest's system log
CASE_BEGINS, CASE_LOOKS = "case-begins", "case-looks"  # tags of our own lines in it
PROFILES = "/etc/apparmor.d/ddprof-launch"
SETPRIV = support.require_program("setpriv")  # with its path: the shell prefers what busybox has
CONFINED = "^Seccomp_filters:\\s+[3-9]"  # in the status of each role but the supervisor
WORKER_ENDED = "while grep -qs ^ddprof- /proc/[0-9]*/comm; do usleep 50000; done"
SUMMARY = r"^ddprof-launch: \d+ samples, \d+ lost, \d+\.\d% of stacks reached the root; profiler used .*; profile: .*\.pprof\n$"
REFUSED = "the kernel refuses perf_event_open without a privilege"
MIN_SAMPLES = 5  # of about 40, lost ones included: a busy machine makes the emulated timer skip many
CAPABILITY_SETS = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")
NET_BIND_SERVICE = 1 << 10


def user(uid, *options):
    """What becomes a program of this user, in the groups that /etc/group says."""
    return " ".join([SETPRIV, f"--reuid={uid}", f"--regid={uid}", "--init-groups", *options, "--"])


SVC, OTHER, ROOT = user(1000), user(1001), ""  # in the group ddprof; not in it
AMBIENT = user(1000, "--inh-caps=+sys_admin", "--ambient-caps=+sys_admin")  # as AmbientCapabilities= of a unit

guest = None


def setUpModule():
    global guest  # pylint: disable=global-statement
    support.require_program("qemu-system-x86_64")
    try:
        image = kernels.fetch(KERNEL, vm.CACHE)
    except kernels.Unavailable as error:
        if KERNEL == ALWAYS:
            raise
        support.skip(f"no kernel {KERNEL}: {error}")
    guest = vm.Guest(image, initramfs.build(), CPUS)
    print(guest.run("uname -a; syslogd -O " + LOG).stdout.decode().strip())


def tearDownModule():
    if not guest:
        return
    try:
        killed = [line for line in guest.run("dmesg").stdout.decode().splitlines() if "type=1326" in line]
        if killed:
            raise AssertionError("a filter of ours has killed: " + "\n".join(killed))
    finally:
        guest.close()


class Run:
    """One run of ddprof-launch in the guest, and the profiles of it."""

    def __init__(self, done, folder):
        self.status, self.stdout, self.stderr = done.status, done.stdout.decode(), done.stderr
        self.folder = folder

    def profiles(self):
        paths = sorted(os.path.join(self.folder, name) for name in os.listdir(self.folder))
        return [support.Profile(path) for path in paths]


class Case(unittest.TestCase):
    """A host as it is right after installation: the opener has no privilege, and there is no policy."""

    PRIVILEGE = "true"  # how the opener gets one, for the cases of a class

    def setUp(self):
        self.looks = 0
        self.sh(f"umount -l {LIBEXEC}; rm -rf /etc/ddprof; setcap -r {OPENER}; chown 0:0 {OPENER}; chmod 755 {OPENER}; "
                f"logger -t {CASE_BEGINS} {self.id()}; {self.PRIVILEGE}", 0)

    def sh(self, command, status=None):
        """Runs a command line in the guest, as root; a status that is given must come true."""
        done = guest.run(command)
        if status is not None:
            self.assertEqual(done.status, status, done)
        return done

    def launch(self, command, options="", way=SVC):
        """`way` becomes ddprof-launch, which becomes `command`. Waits for the worker to end."""
        done = self.sh(f"rm -rf {OUT}; mkdir -m 777 {OUT}; {way} {LAUNCH} --output {OUT} {options} -- {command}; status=$?; "
                       f"{WORKER_ENDED}; exit $status")
        folder = support.temporary_folder(self)
        with tarfile.open(fileobj=io.BytesIO(self.sh(f"tar c -C {OUT} .", 0).stdout)) as tar:
            for member in tar.getmembers():
                if member.isfile():
                    member.name = os.path.basename(member.name)
                    tar.extract(member, folder)
        return Run(done, folder)

    def profiled_samples(self, run, function):
        """The run's one profile must show that function."""
        self.assertRegex(run.stderr, SUMMARY)
        self.assertEqual(len(run.profiles()), 1)
        samples = run.profiles()[0].samples
        self.assertGreaterEqual(sum(sample.count for sample in samples), MIN_SAMPLES, run.stderr)
        found = [sample for sample in samples if support.has_function(function)(sample)]
        self.assertNotEqual(found, [], run.stderr)
        return found

    def check_profiled(self, options="", way=SVC):
        """Profiles a program that says which rights it has; what it said. (Small samples: at the default size, a ring as
        small as Linux 5.10 lets an ordinary user lock holds three, and an emulated worker is slow to empty it.)"""
        run = self.launch(target("report_rights"), "--stack_sample_size 8192 " + options, way)
        self.assertEqual(run.status, 7, run.stderr)
        self.profiled_samples(run, "^burn_with_rights$")
        return dict(line.split(" ", 1) for line in run.stdout.splitlines())

    def check_hardened(self, options="", way=SVC, kept=0):
        """Profiled with --drop_caps: what the target has left is `kept`, and it can open no event of its own."""
        rights = self.check_profiled("--drop_caps " + options, way)
        left = {name: int(rights[name], 16) for name in CAPABILITY_SETS}
        if way != ROOT:
            del left["CapBnd"]  # only CAP_SETPCAP can empty it; no_new_privs makes it harmless
        if way == ROOT:
            left["CapInh"], left["CapAmb"] = kept, kept  # needed or not, they give nothing more
        self.assertEqual(set(left.values()), {kept}, rights)
        self.assertEqual((rights["NoNewPrivs"], rights["Seccomp"], rights["dumpable"]), ("1", "2", "1"))
        self.assertEqual((rights["perf_event_open"], rights["bpf"]), (str(errno.EPERM), str(errno.EPERM)))

    def check_refused(self, message, way=SVC, options=""):
        """The target runs all the same, with its own output and status, and one line says why it is not profiled."""
        run = self.launch("sh -c 'echo as ever; exit 7'", options, way)
        self.assertEqual((run.status, run.stdout), (7, "as ever\n"))
        self.assertRegex(run.stderr, f"^ddprof-launch: not profiling: {message}.*\n$")
        self.assertEqual(run.profiles(), [])
        return run.stderr

    def audit_lines(self):
        """What the opener told the system log since the case began, as dictionaries. Datagrams keep their order:
        what syslogd got before a line of ours it wrote before that line, however slow it is."""
        self.looks += 1
        until = f"{CASE_LOOKS}: {self.id()} {self.looks}\n"
        self.sh(f"logger -t {CASE_LOOKS} {self.id()} {self.looks}", 0)
        for _ in range(300):
            log = self.sh(f"cat {LOG}").stdout.decode()
            if until in log:
                break
            time.sleep(0.1)
        log = log.partition(f"{CASE_BEGINS}: {self.id()}\n")[2].partition(until)[0]
        lines = [line.split("ddprof-perf-open: ", 1) for line in log.splitlines()]
        return [{"log": line[0], **dict(re.findall(r'(\w+)=("[^"]*"|\S+)', line[1]))} for line in lines if len(line) == 2]

    def check_audit(self, **expected):
        lines = self.audit_lines()
        self.assertEqual(len(lines), 1, lines)
        self.assertEqual({key: lines[0].get(key) for key in expected}, expected, lines)
        return lines[0]


class Kernel(Case):
    def test_it_is_closed(self):
        """What everything else here relies on."""
        self.assertEqual(self.sh("cat /proc/sys/kernel/perf_event_paranoid").stdout, b"3\n")
        rights = self.sh(f"{SVC} {target('report_rights')}", 7).stdout.decode()
        self.assertIn(f"perf_event_open {errno.EACCES}\n", rights)


class WithoutPrivilege(Case):
    def test_target_runs(self):
        line = self.check_refused(REFUSED)
        self.assertIn(OPENER, line)
        self.assertIn("perf_event_paranoid", line)
        self.check_audit(uid="1000", result="refused", reason="events-refused", capability="none")

    def test_require(self):
        run = self.launch("sh -c 'echo never'", "--require")
        self.assertEqual((run.status, run.stdout), (125, ""))
        self.assertIn(REFUSED, run.stderr)

    def test_level_2(self):
        """Where upstream draws the line, nothing is needed."""
        self.sh("echo 2 >/proc/sys/kernel/perf_event_paranoid", 0)
        try:
            self.check_profiled()
            self.check_audit(result="ok", capability="none")
        finally:
            self.sh("echo 3 >/proc/sys/kernel/perf_event_paranoid", 0)

    def test_hardened_all_the_same(self):
        """--drop_caps is a promise of its own: it holds for a target that is not profiled."""
        run = self.launch(target("report_rights"), "--drop_caps")
        self.assertEqual(run.status, 7)
        self.assertIn(f"perf_event_open {errno.EPERM}\n", run.stdout)
        self.assertIn(REFUSED, run.stderr)


class Inherited(Case):
    """The opener has nothing of its own; the caller has."""

    def test_root(self):
        """And what the profile says is true: two functions share the time 1:2."""
        run = self.launch(target("split") + " 3", way=ROOT)
        samples = self.profiled_samples(run, "^alternate")
        within = max(10, 100 * support.scatter(1 / 3, sum(sample.count for sample in samples)))  # for fewer than 450
        self.assertAlmostEqual(support.share_of(samples, support.has_function("^one_third")), 33.3, delta=within)
        self.assertAlmostEqual(support.share_of(samples, support.has_function("^two_thirds")), 66.7, delta=within)
        self.assertGreaterEqual(support.share_of(samples, support.is_rooted), 99)

    def test_root_hardened(self):
        self.check_hardened(way=ROOT)

    def test_root_keeps_one(self):
        self.check_hardened("--keep_cap net_bind_service", way=ROOT, kept=NET_BIND_SERVICE)

    def test_ambient(self):
        rights = self.check_profiled(way=AMBIENT)
        self.assertEqual(int(rights["CapAmb"], 16), 1 << 21)  # as it was
        self.check_audit(uid="1000", result="ok", capability="cap_sys_admin")

    def test_ambient_hardened(self):
        self.check_hardened(way=AMBIENT)


class FileCapability(Case):
    PRIVILEGE = f"setcap cap_sys_admin=p {OPENER}"

    def test_profiled(self):
        rights = self.check_profiled()
        self.assertEqual(int(rights["CapPrm"], 16), 0)
        line = self.check_audit(uid="1000", exe=f'"{LAUNCH}"', event="sCPU", frequency="99", cpus=str(CPUS),
                                capability="cap_sys_admin", result="ok", reason="ok", errno="0")
        self.assertIn(" authpriv.info ", line["log"])

    def test_default_sizes(self):
        """Within the limits every user has: 64 KiB of locked memory on Linux 5.10, 8 MiB on later ones."""
        self.profiled_samples(self.launch(target("split") + " 2"), "^alternate")

    def test_hardened(self):
        self.check_hardened()

    def test_wait(self):
        self.check_profiled("--wait")

    def test_perfmon_alone(self):
        """Upstream's capability for this is not enough for Debian's patch."""
        self.sh(f"setcap cap_perfmon=p {OPENER}", 0)
        line = self.check_refused("the kernel refuses perf_event_open even with CAP_PERFMON")
        self.assertIn("CAP_SYS_ADMIN", line)
        self.check_audit(result="refused", reason="perfmon-refused")

    def test_no_new_privs(self):
        self.check_refused("the caller runs with no_new_privs", user(1000, "--no-new-privs"))

    def test_file_system_without_privileges(self):
        self.sh(f"mount --bind {LIBEXEC} {LIBEXEC} && mount -o remount,bind,nosuid {LIBEXEC}", 0)
        self.check_refused(REFUSED)

    def test_set_uid_programs_that_dump(self):
        self.sh("echo 1 >/proc/sys/fs/suid_dumpable", 0)
        try:
            self.check_refused("fs.suid_dumpable ")
            self.check_audit(result="refused", reason="suid-dumpable")
        finally:
            self.sh("echo 0 >/proc/sys/fs/suid_dumpable", 0)

    def test_readable_worker(self):
        """An installer that lost the mode: then the user's other processes could reach into the worker."""
        self.sh(f"chmod 755 {LIBEXEC}/ddprof-worker", 0)
        try:
            self.check_refused(".*ddprof-worker could be read")
        finally:
            self.sh(f"chmod 711 {LIBEXEC}/ddprof-worker", 0)

    def test_caller_of_two_users(self):
        """It could lend one user's rights to the other."""
        done = self.sh(f"{SETPRIV} --ruid=1000 --euid=1001 --clear-groups -- {LAUNCH} -- echo never", 125)
        self.assertEqual(done.stdout, b"")
        self.assertIn("refusing to run with privileges of its own", done.stderr)


class SetUidRoot(Case):
    PRIVILEGE = f"chmod 4755 {OPENER}"

    def test_profiled(self):
        rights = self.check_profiled()
        self.assertEqual(int(rights["CapPrm"], 16), 0)
        self.check_audit(uid="1000", capability="cap_sys_admin", result="ok")

    def test_hardened(self):
        self.check_hardened()

    def test_group_only(self):
        """File permissions are a policy, too."""
        self.sh(f"chown root:ddprof {OPENER} && chmod 4750 {OPENER}", 0)
        self.check_profiled()
        self.check_refused("cannot start .*ddprof-perf-open: Permission denied.* group", OTHER)

    def test_no_new_privs(self):
        self.check_refused("the caller runs with no_new_privs", user(1000, "--no-new-privs"))


class Opener(Case):
    """What a user can do with a privileged opener alone: nothing."""

    PRIVILEGE = f"chmod 4755 {OPENER}"

    def test_by_hand(self):
        for arguments in ("", "--help", "/etc/shadow"):
            done = self.sh(f"{SVC} {OPENER} {arguments}", 2)
            self.assertIn("not by hand", done.stderr)

    def test_without_an_argument_vector(self):
        self.assertIn("not by hand", self.sh(f"{SVC} {target('without_arguments')} {OPENER}", 2).stderr)


class AppArmor(Case):
    """The profiles of policy/apparmor, loaded and enforced."""

    PRIVILEGE = f"setcap cap_sys_admin=p {OPENER}"

    def setUp(self):
        super().setUp()
        self.assertIn(b"apparmor", self.sh("cat /sys/kernel/security/lsm", 0).stdout)
        self.sh("echo 0 >/proc/sys/kernel/printk_ratelimit", 0)  # else ten lines in five seconds, and these load the profiles
        self.sh(f"apparmor_parser --replace --skip-cache {PROFILES}", 0)
        self.seen = 0
        self.denials()

    def tearDown(self):
        self.sh(f"apparmor_parser --remove {PROFILES}", 0)

    def denials(self):
        """Those since the last look."""
        lines = self.sh("dmesg").stdout.decode().splitlines()
        seen, self.seen = self.seen, len(lines)
        return [line for line in lines[seen:] if 'apparmor="DENIED"' in line]

    def test_profiled(self):
        """Both ways; and nothing that we do is forbidden."""
        self.check_profiled("--drop_caps")
        self.sh(f"setcap -r {OPENER}; chmod 4755 {OPENER}", 0)
        self.check_profiled()
        self.assertEqual({line["exe"] for line in self.audit_lines()}, {f'"{LAUNCH}"'})
        self.assertEqual(self.denials(), [])

    def test_every_process_is_confined(self):
        """Each by its own profile and by those of the processes it descends from; and nothing that they do is forbidden."""
        above = {"ddprof-perf-open", "ddprof-worker"}
        for options, exporter in (("", "ddprof-exporter"), ("--url http://127.0.0.1:9 --export_grace 1", "ddprof-uploader")):
            with self.subTest(exporter=exporter):
                self.sh(f"{SVC} {LAUNCH} --output /tmp {options} {target('split')} 30 >/dev/null 2>&1 & echo $! >/run/split; "
                        f"until grep -qs {exporter}$ /proc/[0-9]*/comm; do usleep 50000; done; sleep 2", 0)
                labels = self.sh("grep -hs ddprof /proc/[0-9]*/attr/current", 0).stdout.decode().splitlines()
                self.sh(f"kill $(cat /run/split); {WORKER_ENDED}", 0)
                wanted = [{*above, role} for role in ("ddprof-worker", "ddprof-unwinder", "ddprof-symbolizer", exporter)]
                found = [set(label.removesuffix(" (enforce)").split("//&")) for label in labels]
                self.assertEqual(sorted(map(sorted, found)), sorted(map(sorted, wanted)))
                self.assertEqual(self.denials(), [])

    def test_denied(self):
        for profile, command in (("ddprof-perf-open", "cp /dev/null /tmp/x"), ("ddprof-perf-open", "sh -c /bin/ls"),
                                 ("ddprof-unwinder", "cp /dev/null /tmp/x.pprof"), ("ddprof-exporter", "cat /etc/passwd"),
                                 ("ddprof-uploader", "cat /etc/passwd")):
            with self.subTest(profile=profile, command=command):
                self.sh(f"{command} </dev/null", 0)  # it is the profile that forbids it
                done = self.sh(f"echo exec {profile} >/proc/self/attr/exec && exec busybox {command}")
                self.assertNotEqual(done.status, 0)
                self.assertIn("ermission denied", done.stderr)
                self.assertIn(f'profile="{profile}"', "\n".join(self.denials()))


class Doctor(Case):
    """--check: what it says is true, and the fix it names is one."""

    def doctor(self, works, way=SVC):
        done = self.sh(f"{way} {LAUNCH} --check --json", 0 if works else 1)
        report = json.loads(done.stdout)
        self.assertEqual(report["works"], works)
        return report

    def check_fixed(self, conclusion, fix):
        report = self.doctor(False)
        self.assertRegex(report["conclusion"], conclusion)
        self.assertEqual(report["fix"], fix)
        self.sh(report["fix"], 0)
        self.doctor(True)

    def test_no_privilege(self):
        self.check_fixed("^privilege: ", f"setcap cap_sys_admin=p {OPENER}")

    def test_the_wrong_privilege(self):
        self.sh(f"setcap cap_perfmon=p {OPENER}", 0)
        self.check_fixed("^privilege: cap_perfmon=p, which this kernel refuses", f"setcap cap_sys_admin=p {OPENER}")

    def test_set_uid_programs_that_dump(self):
        self.sh(f"setcap cap_sys_admin=p {OPENER}; echo 1 >/proc/sys/fs/suid_dumpable", 0)
        self.check_fixed("^fs.suid_dumpable: ", "sysctl fs.suid_dumpable=2")

    def test_privilege_without_effect(self):
        self.sh(f"chmod 4755 {OPENER}; mount --bind {LIBEXEC} {LIBEXEC}; mount -o remount,bind,nosuid {LIBEXEC}", 0)
        self.assertRegex(self.doctor(False)["conclusion"], "^mount: nosuid")
        self.sh(f"umount -l {LIBEXEC}", 0)
        self.assertRegex(self.doctor(False, user(1000, "--no-new-privs"))["conclusion"], "^no_new_privs: ")
        self.doctor(True)

    def test_inherited(self):
        for way in (ROOT, AMBIENT):
            self.doctor(True, way)


class Attestation(Case):
    """--attest: everything that is promised holds on this kernel, too."""

    PRIVILEGE = f"setcap cap_sys_admin=p {OPENER}"

    def attest(self, way):
        self.sh(f"{way} {LAUNCH} --output /tmp {target('split')} 100 >/dev/null 2>&1 & echo $! >/run/split; "
                f"until [ $(grep -lsE '{CONFINED}' /proc/[0-9]*/status | wc -l) = 3 ]; do usleep 50000; done", 0)
        try:
            return self.sh(f"{LAUNCH} --attest").stdout.decode()
        finally:
            self.sh(f"kill $(cat /run/split); {WORKER_ENDED}", 0)

    def test_green(self):
        for way in (SVC, AMBIENT, ROOT):
            with self.subTest(way=way):
                text = self.attest(way)
                self.assertNotIn("FAIL", text)
                self.assertTrue(text.endswith("1 session: everything holds\n"), text)

    def test_landlock(self):
        """Its absence (Linux 5.10) is told, and nothing else. The supervisor has to open files everywhere."""
        has_landlock = b"landlock" in self.sh("cat /sys/kernel/security/lsm", 0).stdout
        found = re.findall("landlock=(\\w+)", self.attest(SVC))
        self.assertEqual(found[0], "none")
        self.assertEqual([word != "none" for word in found[1:]], [has_landlock] * 3)


class Sandboxes(Case):
    def test_units(self):
        """What each version of Landlock can deny is denied, and what a role needs works."""
        for name in initramfs.UNIT_TESTS:
            done = self.sh(f"ip link set lo up; cd /tmp && {initramfs.beside_targets(name)}")
            self.assertEqual(done.status, 0, done.stdout.decode() + done.stderr)

    def test_upload(self):
        """The exporter's client finds a name and reaches a port from within."""
        self.sh("ip link set lo up; httpd -p 127.0.0.1:8126 -h /tmp", 0)
        url = "http://agent:8126/"
        words = "\\t".join(("post", "one", url, "-", "1000", "9000", "Content-Type: a"))
        done = self.sh(f"printf '{words}\\nwait\\t9000\\n' | {initramfs.beside_targets(initramfs.CONFINED_CLIENT)} {url}; "
                       "killall httpd")
        self.assertRegex(done.stdout.decode(), "^ready\none\t[1-5][0-9][0-9]\t", done)


class Levels(Case):
    """Only the opener could open their events; the largest is in its line."""

    PRIVILEGE = f"setcap cap_sys_admin=p {OPENER}"

    def test_all(self):
        run = self.launch(target("report_rights"), "--unwind auto")
        self.assertEqual((run.status, len(run.profiles())), (7, 1), run.stderr)
        self.check_audit(result="ok", stack="65528")

    def test_chain(self):
        """The kernel's walk is in the record where record.c looks for it: first the leaf."""
        run = self.launch(target("report_rights"), "--unwind fp")
        self.profiled_samples(run, "^burn_with_rights$")
        self.assertEqual(run.profiles()[0].ledger("level.chain"), run.profiles()[0].ledger("samples"))
        self.assertEqual(run.profiles()[0].ledger("malformed"), 0)
        self.check_audit(result="ok", stack="1024")


class AdministratorsPolicy(Case):
    PRIVILEGE = f"setcap cap_sys_admin=p {OPENER}"

    def write(self, text, changes="true"):
        self.sh(f"rm -rf /etc/ddprof; mkdir /etc/ddprof; printf '{text}' >{POLICY}; {changes}", 0)

    def test_groups(self):
        self.write("groups = ddprof\n")
        self.check_profiled()
        self.check_refused("the policy lets only some groups profile", OTHER)
        self.assertEqual([line["reason"] for line in self.audit_lines()], ["ok", "policy-group"])

    def test_limits(self):
        self.write("max_frequency = 50\nmax_stack = 16384\n")
        self.check_refused("the policy does not allow this frequency .at most 50 Hz.", options="--stack_sample_size 16384")
        self.check_refused("the policy does not allow this stack size .at most 16384 bytes.",
                           options="-e 'sCPU freq=50' --stack_sample_size 16392")
        self.check_profiled("-e 'sCPU freq=50' --stack_sample_size 16384")

    def test_kernel_frames(self):
        """Functions of the kernel for root, whom it shows where they are; for others that it is the kernel, and no address."""
        self.write("kernel_frames = yes\n")
        for way, said, functions in ((ROOT, "named", ("do_syscall_64", "read_zero|read_iter_zero")), (SVC, "yes", ())):
            run = self.launch(f"{target('kernel_time')} zero 2", "--stack_sample_size 8192", way)
            samples = self.profiled_samples(run, r"^\[kernel\]$")
            self.assertEqual(self.audit_lines()[-1]["kernel_frames"], said)
            for function in functions:
                self.assertGreater(support.share_of(samples, support.has_function(function)), 50, support.folded(run.profiles()[0]))
            leaves = {sample.stack[-1] for sample in samples}
            self.assertEqual(leaves == {"[kernel]"}, not functions, leaves)
            self.assertLess(max(location.address for location in run.profiles()[0].message.location), 1 << 63)

    def test_broken_line(self):
        self.write("# ours\nmax_frequency = 50\nmax_frequenzy = 50\n")
        self.check_refused("the policy /etc/ddprof/policy.conf is not understood .line 3.")

    def test_not_roots_alone(self):
        for changes in (f"chown 1000 {POLICY}", f"chmod 664 {POLICY}", "chmod 777 /etc/ddprof",
                        f"mv {POLICY} /tmp/policy && ln -s /tmp/policy {POLICY}"):
            with self.subTest(changes):
                self.write("max_frequency = 50\n", changes)
                self.check_refused("the policy /etc/ddprof/policy.conf cannot be used")


if __name__ == "__main__":
    support.main()
