"""--drop-caps: whoever the caller is, the target has lost what it shall not have, is profiled all the same, and is
not run when that promise cannot be kept. Without it the target has what the caller had."""

import errno
import os
import shutil
import signal
import subprocess
import unittest

import support
from support import LAUNCH, target
from test_failures import install_filter

CHOWN, KILL, SETUID, SETPCAP, NET_BIND_SERVICE = 0, 5, 7, 8, 10
SETS = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")
BOUNDING = int(support.proc_status("self")["CapBnd"], 16)


def setUpModule():
    support.require_profiling()
    support.require_root()


def bits(*capabilities):
    return sum(1 << capability for capability in capabilities)


def setpriv(*options):
    return [support.require_program("setpriv"), *options]


def with_ambient(names, *options):
    """setpriv(1) with these capabilities in the inheritable and ambient sets, as systemd's AmbientCapabilities= has it."""
    text = ",".join("+" + name for name in names)
    return setpriv(*options, f"--inh-caps={text}", f"--ambient-caps={text}")


def as_user():
    return (f"--reuid={support.NOBODY}", f"--regid={support.NOBODY}", "--clear-groups")


def callers():
    """What starts the command, by the name of its situation."""
    return {
        "root": [],
        "root without CAP_SETPCAP": setpriv("--bounding-set=-setpcap"),
        "root by name only": setpriv("--securebits=+noroot"),
        "root by name only, ambient": with_ambient(["net_bind_service", "chown"], "--securebits=+noroot"),
        "user": setpriv(*as_user()),
        "user with no_new_privs": setpriv(*as_user(), "--no-new-privs"),
        "user, ambient": with_ambient(["net_bind_service", "chown"], *as_user()),
        "user, ambient with CAP_SETPCAP": with_ambient(["net_bind_service", "chown", "setpcap"], *as_user()),
    }


def parse(output):
    return dict(line.split(" ", 1) for line in output.decode().splitlines())


def sets(report):
    return {name: int(report[name], 16) for name in SETS}


def expected(kept=0, bounding=0, ambient=0):
    return {"CapInh": kept, "CapPrm": kept, "CapEff": kept, "CapBnd": bounding, "CapAmb": ambient}


class DropCaps(unittest.TestCase):
    def check_loss(self, session):
        report = parse(session.stdout)
        self.assertEqual(session.status, 7, session.stderr)
        self.assertEqual((report["NoNewPrivs"], report["Seccomp"]), ("1", "2"))
        self.assertEqual((report["dumpable"], report["secure"]), ("1", "0"))
        self.assertEqual((report["perf_event_open"], report["bpf"]), (str(errno.EPERM), str(errno.EPERM)))
        return sets(report)

    def check_profile(self, session):
        profile = session.profile()
        self.assertEqual({s.pid for s in profile.samples}, {session.pid})
        burning = [s for s in profile.samples if support.has_function("^burn_with_rights$")(s)]
        # 0.4 s of CPU time at 99 Hz. Half will do: none is what a mistake leaves, and a busy machine takes some
        self.assertGreaterEqual(sum(s.count for s in burning), 20)
        self.assertGreaterEqual(support.share_of(burning, support.is_rooted), 99)

    def check(self, caller, options, wanted):
        with self.subTest(caller=caller, options=options):
            session = support.run(self, [target("report_rights")], ["--drop-caps", *options], prefix=callers()[caller])
            self.assertEqual(session.stderr, b"")
            self.assertEqual(self.check_loss(session), wanted)
            self.check_profile(session)

    def test_everything_is_lost(self):
        for caller, bounding in {
            "root": 0,
            "root without CAP_SETPCAP": BOUNDING & ~bits(SETPCAP),
            "root by name only": BOUNDING,
            "root by name only, ambient": BOUNDING,
            "user": BOUNDING,
            "user with no_new_privs": BOUNDING,
            "user, ambient": BOUNDING,
            "user, ambient with CAP_SETPCAP": 0,
        }.items():
            self.check(caller, [], expected(bounding=bounding))

    def test_one_is_kept(self):
        kept = bits(NET_BIND_SERVICE)
        for caller, bounding, ambient in (
            ("root", kept, 0),
            ("root without CAP_SETPCAP", BOUNDING & ~bits(SETPCAP), 0),
            ("root by name only, ambient", BOUNDING, kept),
            ("user, ambient", BOUNDING, kept),
            ("user, ambient with CAP_SETPCAP", kept, kept),
        ):
            self.check(caller, ["--keep-cap", "net_bind_service"], expected(kept, bounding, ambient))

    def test_two_are_kept(self):
        kept = bits(NET_BIND_SERVICE, CHOWN)
        options = ["--keep-cap", "CAP_CHOWN", "--keep-cap", "cap_net_bind_service"]
        self.check("root", options, expected(kept, kept))
        self.check("user, ambient", options, expected(kept, BOUNDING, kept))

    def test_without_the_option(self):
        """The target has what it would have had, to the letter."""
        for caller, prefix in callers().items():
            with self.subTest(caller=caller):
                direct = subprocess.run([*prefix, target("report_rights")], stdout=subprocess.PIPE, check=False).stdout
                session = support.run(self, [target("report_rights")], prefix=prefix)
                self.assertEqual((session.status, session.stdout, session.stderr), (7, direct, b""))
                self.check_profile(session)

    def test_children_have_no_more(self):
        """Another program, started twice over: exec gives nothing back, and it is profiled, too."""
        for caller in ("root", "root without CAP_SETPCAP", "user, ambient"):
            with self.subTest(caller=caller):
                session = support.run(self, ["/bin/sh", "-c", f'sh -c "{target("report_rights")}; exit \\$?"; exit $?'],
                                      ["--drop-caps"], prefix=callers()[caller])
                found = self.check_loss(session)
                self.assertEqual({name: found[name] for name in SETS if name != "CapBnd"},
                                 {name: 0 for name in SETS if name != "CapBnd"})
                names = [name for s in session.profile().samples for name in s.stack]
                self.assertIn("burn_with_rights", names)

    def test_not_profiled(self):
        """The promise does not depend on profiling."""
        for options, line in (
            (["--enable", "false"], None),
            (["--output", "/nonexistent/deep"], b"not profiling: '/nonexistent/deep'"),
            (["--log_level", "error"], b"not profiling: DD_PROFILING_UPLOAD_PERIOD"),
        ):
            with self.subTest(options=options):
                environment = dict(os.environ)
                if b"PERIOD" in (line or b""):
                    environment["DD_PROFILING_UPLOAD_PERIOD"] = "abc"
                session = support.run(self, [target("report_rights")], ["--drop-caps", *options], env=environment)
                self.assertEqual(self.check_loss(session), expected())
                self.assertEqual(session.profile_paths(), [])
                if line:
                    self.assertIn(line, session.stderr)
                    self.assertEqual(len(session.stderr.splitlines()), 1)
                else:
                    self.assertEqual(session.stderr, b"")

    def copy(self, name, folder_mode=0o755):
        folder = support.temporary_folder(self, folder_mode)
        return shutil.copy(target("short_lived"), os.path.join(folder, name))

    def test_started_without_the_rights(self):
        """They are gone before the command is opened: one that only CAP_DAC_OVERRIDE reaches is out of reach."""
        program = self.copy("private", 0o700)
        os.chown(os.path.dirname(program), support.NOBODY, support.NOBODY)
        self.assertEqual(support.run(self, [program]).status, 7)
        session = support.run(self, [program], ["--drop-caps"])
        self.assertEqual((session.status, session.profile_paths()), (126, []), session.stderr)

    def test_file_capabilities_add_nothing(self):
        program = self.copy("capable")
        subprocess.run([support.require_program("setcap"), "cap_net_raw=ep", program], check=True)
        session = support.run(self, [program], ["--drop-caps"], prefix=callers()["user"])
        self.assertEqual((session.status, session.stderr), (7, b""))
        self.assertIn("burn_briefly", [name for s in session.profile().samples for name in s.stack])
        session = support.run(self, [program], ["--drop-caps"])  # capabilities(7): not without what it was given
        self.assertEqual(session.status, 126)
        self.assertIn(b"Operation not permitted", session.stderr)

    def test_set_uid_adds_nothing(self):
        program = shutil.copy("/usr/bin/id", os.path.join(support.temporary_folder(self, 0o755), "id"))
        os.chmod(program, 0o4755)
        session = support.run(self, [program, "-u"], ["--drop-caps"], prefix=callers()["user"])
        self.assertEqual((session.status, session.stdout), (0, f"{support.NOBODY}\n".encode()))

    def test_command_not_found(self):
        session = support.run(self, ["/nonexistent/program"], ["--drop-caps"])
        self.assertEqual((session.status, session.profile_paths()), (127, []))
        self.assertEqual(len(session.stderr.splitlines()), 1, session.stderr)


class Refused(unittest.TestCase):
    """Not in full: not run, 125, and one line that names the step and the fix."""

    def check(self, options, pattern, lines=1, **popen):
        for mode in ([], ["--wait"]):
            with self.subTest(options=options, mode=mode):
                marker = os.path.join(support.temporary_folder(self), "ran")
                session = support.run(self, ["/usr/bin/touch", marker], [*options, *mode], **popen)
                self.assertEqual((session.status, os.path.exists(marker)), (125, False), session.stderr)
                said = session.stderr.decode().splitlines()
                self.assertRegex(said[-1], "^ddprof-launch: " + pattern)
                self.assertEqual(len(said), lines, said)
                self.assertEqual(session.profile_paths(), [])

    def test_not_the_callers_to_keep(self):
        for caller, name in (("user", "net_bind_service"), ("user, ambient", "kill"), ("root by name only", "chown"),
                             ("root without CAP_SETPCAP", "setpcap")):
            self.check(["--drop-caps", "--keep-cap", name],
                       f"cannot keep cap_{name}: the caller does not have it; leave out --keep_cap cap_{name}, or start ",
                       prefix=callers()[caller])

    def test_command_line(self):
        self.check(["--keep-cap", "chown"], "--keep_cap: only together with --drop_caps")
        self.check(["--drop-caps", "--keep-cap", "cap_chwon"], "--keep_cap: 'cap_chwon' is not the name of a capability")

    def test_system_calls_refused(self):
        """As by a container's profile. Without profiling, which would have a line of its own."""
        numbers = {"x86_64": {"capset": 126, "seccomp": 317}, "aarch64": {"capset": 91, "seccomp": 277}}[os.uname().machine]
        options = ["--drop-caps", "--enable", "false"]
        self.check(options, "not running the command: cannot empty the bounding set: Operation not permitted; let .*, or leave "
                   "out --drop_caps$", preexec_fn=lambda: install_filter(errno.EPERM, numbers["capset"]))
        self.check(options, "not running the command: cannot install the system call filter: Function not implemented; ",
                   preexec_fn=lambda: install_filter(errno.ENOSYS, numbers["seccomp"]))

    def test_while_being_profiled(self):
        """Everything was ready, then the kernel refuses: nothing runs and no profile of nothing is left behind."""
        no_root_and_no_ambient_raise = [support.require_program("capsh"), "--secbits=0x41", "--", "-c", 'exec "$@"', "sh"]
        self.check(["--drop-caps", "--keep-cap", "chown"],
                   "not running the command: cannot empty the capability sets: Operation not permitted; let .*securebits.*, "
                   "or leave out --drop_caps$", prefix=[*with_ambient(["chown"]), *no_root_and_no_ambient_raise])


class Wait(unittest.TestCase):
    """The parent that stays has lost what the target lost."""

    SLEEPER = "import signal; signal.signal(signal.SIGTERM, lambda *_: exit(5)); print('ready', flush=True); signal.pause()"

    def start(self, program, options):
        session = support.Session(self, ["/usr/bin/python3", "-c", program], ["--wait", "--drop-caps", *options])
        self.addCleanup(lambda: session.process.poll() is None and session.process.kill())
        self.assertEqual(session.process.stdout.readline(), b"ready\n")
        status = support.proc_status(session.pid)
        self.assertEqual((status["NoNewPrivs"], status["Seccomp"]), ("1", "2"))
        return session, sets(status)

    def end(self, session):
        os.kill(session.pid, signal.SIGTERM)
        session.finish()
        self.assertEqual(session.status, 5, session.stderr)
        self.assertEqual(len(session.profile_paths()), 1)

    def test_parent(self):
        session, found = self.start(self.SLEEPER, [])
        self.assertEqual(found, expected())
        self.end(session)

    def test_target_becomes_somebody_else(self):
        """Only then does forwarding a signal need a right."""
        program = f"import os; os.setresuid({support.NOBODY}, {support.NOBODY}, {support.NOBODY}); " + self.SLEEPER
        session, found = self.start(program, ["--keep-cap", "setuid"])
        self.assertEqual((found["CapPrm"], found["CapEff"], found["CapBnd"]), (bits(KILL),) * 3)
        self.end(session)


if __name__ == "__main__":
    support.main()
