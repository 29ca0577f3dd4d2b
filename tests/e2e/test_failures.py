"""Whatever keeps us from profiling: the target runs, and exactly one line says why and what the smallest fix is."""

import ctypes
import os
import resource
import shutil
import struct
import subprocess
import unittest

import support
from support import LAUNCH, target


def setUpModule():
    support.require_profiling()


def install_filter(errno, number):
    """A seccomp filter that answers one system call with an error, as a container runtime does: root needs no
    no_new_privs for it."""
    architecture = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}[os.uname().machine]
    load, jump_if_equal, give = 0x20, 0x15, 0x06
    code = [(load, 0, 0, 4), (jump_if_equal, 1, 0, architecture), (give, 0, 0, 0x7FFF0000), (load, 0, 0, 0),
            (jump_if_equal, 0, 1, number), (give, 0, 0, 0x00050000 | errno), (give, 0, 0, 0x7FFF0000)]
    instructions = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in code))
    program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(code), ctypes.addressof(instructions)))
    if (os.getuid() != 0 and support.libc.prctl(38, 1, 0, 0, 0)) or support.libc.prctl(22, 2, ctypes.byref(program), 0, 0):
        raise OSError("seccomp")


def system_call(name):
    numbers = {"x86_64": {"perf_event_open": 298, "seccomp": 317, "memfd_create": 319, "socketpair": 53},
               "aarch64": {"perf_event_open": 241, "seccomp": 277, "memfd_create": 279, "socketpair": 199}}
    return numbers[os.uname().machine][name]


class Failures(unittest.TestCase):
    def check(self, pattern, options=(), command=None, status=7, is_profiled=False, **popen):
        """Runs with and without --wait: the target's status, one line; with --require: 125 and no target."""
        results = []
        for mode in ([], ["--wait"]):
            session = support.run(self, command or [target("short_lived")], [*options, *mode], **popen)
            lines = session.stderr.decode().splitlines()
            if is_profiled and mode:
                lines = [line for line in lines if " stacks reached " not in line]
            self.assertEqual(session.status, status, lines)
            self.assertEqual(len(lines), 1, lines)
            self.assertRegex(lines[0], "^ddprof-launch: " + pattern)
            results.append(lines[0])
        marker = os.path.join(support.temporary_folder(self), "ran")
        session = support.run(self, ["/usr/bin/touch", marker], [*options, "--require"], **popen)
        self.assertEqual((session.status, os.path.exists(marker)), (125, False))
        self.assertEqual(len(session.stderr.splitlines()), 1)
        return results[0]

    # ---- where the profiles go ----

    def test_parent_folder_missing(self):
        self.check(r"not profiling: '/nonexistent/deep': cannot write to the output folder: No such file or directory; "
                   r"name a writable folder with --output$", output="/nonexistent/deep")

    def test_output_is_a_file(self):
        path = os.path.join(support.temporary_folder(self), "file")
        open(path, "wb").close()
        self.check("not profiling: .*Not a directory; ", output=path)

    def test_output_is_not_writable(self):
        support.require_root()
        folder = support.temporary_folder(self, mode=0o755)
        self.check("not profiling: .*Permission denied; ", output=folder, prefix=support.user_prefix())

    def test_output_removed_while_running(self):
        """Too late for the target to care: the loss is logged, the target is not touched."""
        output = os.path.join(support.temporary_folder(self), "out")
        session = support.Session(self, [target("split"), "2"], ["--wait"], output=output)
        session.supervisor()
        support.wait_until(lambda: os.path.isdir(output))
        os.rmdir(output)
        session.finish()
        self.assertEqual(session.status, 0)
        self.assertRegex(session.stderr.decode(), r"(?m)^ddprof-launch: 1 profiles? could not be written to \S+: No such file")

    def test_disk_full(self):
        support.require_root()
        output = support.temporary_folder(self)
        script = f'mount -t tmpfs -o size=4k none "{output}" && dd if=/dev/zero of="{output}/full" bs=4k count=1 2>/dev/null; exec "$@"'
        session = support.run(self, [target("split"), "0.3"], ["--wait"], output=output,
                              prefix=[support.require_program("unshare"), "-m", "/bin/sh", "-c", script, "sh"])
        self.assertEqual(session.status, 0)
        self.assertIn("No space left on device", session.stderr.decode())

    # ---- parts missing: a prefix of its own, bind-mounted over the real one ----

    def without(self, *missing, modes=()):
        """A mount namespace in which the installed folder lacks these programs, or others have these modes."""
        support.require_root()
        copy = support.temporary_folder(self, mode=0o755)
        for name in os.listdir(support.LIBEXEC):
            if name not in missing:
                shutil.copy2(os.path.join(support.LIBEXEC, name), copy)
        for name, mode in modes:
            os.chmod(os.path.join(copy, name), mode)
        return [support.require_program("unshare"), "-m", "/bin/sh", "-c", f'mount --bind "{copy}" "{support.LIBEXEC}" && exec "$@"', "sh"]

    def test_opener_missing(self):
        self.check("not profiling: cannot start .*/ddprof-perf-open: No such file or directory; install ",
                   prefix=self.without("ddprof-perf-open"))

    def test_worker_missing(self):
        self.check("not profiling: cannot start .*/ddprof-worker: No such file or directory; install ",
                   prefix=self.without("ddprof-worker"))

    def test_symbolizer_missing(self):
        """Profiles without names are better than none."""
        session = support.run(self, [target("short_lived")], prefix=self.without("ddprof-symbolizer"))
        self.assertEqual(session.status, 7)
        self.assertGreater(len(session.profile().samples), 0)

    def test_exporter_missing(self):
        session = support.run(self, [target("short_lived")], ["--wait"], prefix=self.without("ddprof-exporter"))
        self.assertEqual(session.status, 7)
        self.assertRegex(session.stderr.decode(), r"(?m)^ddprof-launch: .*; 1 profile lost: the exporter could not be started$")

    def test_lost_file_mode(self):
        """Image builders lose modes. A readable program starts dumpable: one line says so, and what to do."""
        for number, name in enumerate(("ddprof-worker", "ddprof-symbolizer", "ddprof-exporter", "ddprof-uploader", None)):
            with self.subTest(program=name):
                log = os.path.join(support.temporary_folder(self), f"log{number}")
                session = support.run(self, [target("short_lived")], ["--log_mode", log], prefix=[
                    *self.without(modes=[(name, 0o755)] if name else ()), *support.user_prefix()])
                self.assertEqual(session.status, 7)
                self.assertEqual(len(session.profiles()), 1)
                path = os.path.join(support.LIBEXEC, name or "")
                lines = [line for line in support.read_text(log).splitlines() if "chmod" in line]
                self.assertEqual(len(lines), 1 if name else 0, lines)
                if name:
                    self.assertRegex(lines[0], f"{path} can be read by this user, .* chmod 0711 {path}$")

    # ---- a kernel that refuses ----

    def test_perf_event_open_refused(self):
        """EPERM comes from a seccomp profile. EACCES comes from perf_event_paranoid or a security module: which of
        them is told apart by what privilege there was to try."""
        blocked = "a seccomp filter, security module or user namespace blocks perf_event_open: .*; allow the system call"
        for errno, user, said in ((1, [], blocked), (13, [], blocked), (1, support.user_prefix(), blocked),
                                  (13, support.user_prefix(), "the kernel refuses perf_event_open .*; give .* the file "
                                   "capability .*--check.*, or lower kernel.perf_event_paranoid to 2")):
            self.check("not profiling: " + said, prefix=user,
                       preexec_fn=lambda: install_filter(errno, system_call("perf_event_open")))

    def test_perf_event_open_unknown(self):
        self.check("not profiling: .*Function not implemented; ",
                   preexec_fn=lambda: install_filter(38, system_call("perf_event_open")))

    def test_seccomp_refused(self):
        """No sandbox, no profiling."""
        self.check("not profiling: the kernel refuses our sandbox", preexec_fn=lambda: install_filter(38, system_call("seccomp")))

    def test_memfd_refused(self):
        self.check("not profiling: ", preexec_fn=lambda: install_filter(38, system_call("memfd_create")))

    def test_socketpair_refused(self):
        session = support.run(self, [target("short_lived")], preexec_fn=lambda: install_filter(1, system_call("socketpair")))
        self.assertEqual((session.status, len(session.stderr.splitlines())), (7, 1))

    # ---- limits ----

    def limit(self, kind, value, soft_only=False):
        return lambda: resource.setrlimit(kind, (value, resource.getrlimit(kind)[1] if soft_only else value))

    def test_few_open_files(self):
        self.check("not profiling: .*; raise ", preexec_fn=self.limit(resource.RLIMIT_NOFILE, 8))

    def test_every_small_number_of_open_files(self):
        """Wherever it runs out: the target runs, with one line or with a profile."""
        for number in range(4, 40):
            session = support.run(self, [target("short_lived")], ["--wait"], preexec_fn=self.limit(resource.RLIMIT_NOFILE, number))
            lines = [line for line in session.stderr.decode().splitlines() if "cannot wait: Too many open files" not in line]
            self.assertEqual(session.status, 7, (number, lines))
            self.assertEqual(len(lines), 1, (number, lines))
            self.assertTrue("Too many open files" in lines[0] or session.profile_paths(), (number, lines))

    def test_no_new_process(self):
        support.require_root()
        prefix = ["/bin/sh", "-c", 'ulimit -p 1 2>/dev/null || ulimit -u 1; exec "$@"', "sh",
                  *support.user_prefix(next(support.ordinary_users))]
        session = support.run(self, [target("short_lived")], prefix=prefix)
        lines = session.stderr.decode().splitlines()
        self.assertEqual((session.status, len(lines)), (7, 1), lines)
        self.assertRegex(lines[0], "^ddprof-launch: not profiling: .*Resource temporarily unavailable; ")

    def test_no_file_may_grow(self):
        """RLIMIT_FSIZE 0 kills who writes (SIGXFSZ): never the target for our sake."""
        session = support.run(self, [target("short_lived")], preexec_fn=self.limit(resource.RLIMIT_FSIZE, 0))
        self.assertEqual((session.status, len(session.stderr.splitlines())), (7, 1), session.stderr)
        self.assertRegex(session.stderr.decode(), "^ddprof-launch: not profiling: .*File too large")

    def test_little_address_space(self):
        for kind, value in ((resource.RLIMIT_AS, 64 << 20), (resource.RLIMIT_DATA, 1 << 20), (resource.RLIMIT_STACK, 256 << 10)):
            session = support.run(self, [target("short_lived")], preexec_fn=self.limit(kind, value))
            self.assertEqual(session.status, 7)
            self.assertLessEqual(len(session.stderr.splitlines()), 1, session.stderr)

    def test_installed_with_privileges(self):
        """A launcher that carries privileges itself refuses, because they would reach the target."""
        support.require_root()
        folder = support.temporary_folder(self, mode=0o755)
        setcap = support.require_program("setcap")
        for number, privilege in enumerate((["chmod", "4755"], ["chmod", "2755"], [setcap, "cap_net_raw=ep"],
                                            [setcap, "cap_sys_admin=p"])):
            with self.subTest(privilege):
                copy = shutil.copy(LAUNCH, os.path.join(folder, str(number)))
                subprocess.run([*privilege, copy], check=True)
                marker = os.path.join(support.temporary_folder(self), "ran")
                session = support.run(self, ["/usr/bin/touch", marker], launch=copy, prefix=support.user_prefix())
                self.assertEqual((session.status, os.path.exists(marker), len(session.stderr.splitlines())), (125, False, 1))
                self.assertIn(b"refusing to run with privileges", session.stderr)


class Options(unittest.TestCase):
    """The message names the option, the value and what would be accepted."""

    BAD = (
        (["--upload_period", "0"], ("--upload_period", "'0'", "from 1 to")),
        (["--upload-period=x"], ("--upload_period", "'x'", "from 1 to")),
        (["-u", "99999999999999999999"], ("--upload_period", "'99999999999999999999'", "from 1 to")),
        (["--stack_sample_size", "1000"], ("--stack_sample_size", "'1000'", "from 1024 to 65528")),
        (["--stack_sample_size", "1028"], ("--stack_sample_size", "'1028'", "multiple of 8")),
        (["--enable", "maybe"], ("--enable", "'maybe'", "true, yes, on, 1, false, no, off or 0")),
        (["--log_level", "loud"], ("--log_level", "'loud'", "debug, informational, notice, warn or error")),
        (["--event", "hCPU"], ("--event", "'hCPU'", "sCPU")),
        (["--event", "sCPU freq=0"], ("--event", "'0'", "from 1 to")),
        (["--event", "sCPU color=red"], ("--event", "'color'", "frequency")),
        (["--service", "a\nb"], ("--service", "'a?b'", "without control characters")),
        (["--service", ""], ("--service", "''", "1 to")),
        (["--tags", "1bad"], ("--tags", "'1bad'", "KEY:VALUE")),
        (["--output", ""], ("--output", "''", "path")),
        (["--no-such-option"], ("--no-such-option", "unknown option", "--help")),
        (["--serivce", "x"], ("--serivce", "did you mean --service?")),
        (["-Z"], ("-Z", "unknown option")),
        (["--require=yes"], ("--require", "'yes'", "none")),
    )

    def test_command_line(self):
        marker = os.path.join(support.temporary_folder(self), "ran")
        for options, parts in self.BAD:
            with self.subTest(options=options):
                result = subprocess.run([LAUNCH, *options, "/usr/bin/touch", marker], capture_output=True, text=True, check=False)
                self.assertEqual((result.returncode, result.stdout), (125, ""))
                self.assertFalse(os.path.exists(marker))
                self.assertEqual(len(result.stderr.splitlines()), 1, result.stderr)
                for part in parts:
                    self.assertIn(part, result.stderr)
        self.assertEqual(support.adopted(), [])

    def test_environment(self):
        for variable, value, part in (("DD_PROFILING_UPLOAD_PERIOD", "soon", "from 1 to"), ("DD_PROFILING_ENABLED", "maybe", "true"),
                                      ("DD_PROFILING_NATIVE_EVENTS", "xCPU", "sCPU"),
                                      ("DD_SERVICE", "a\x1bb", "control"), ("DD_PROFILING_NATIVE_LOG_LEVEL", "x", "debug"),
                                      ("DD_PROFILING_SAMPLE_STACK_USER", "5", "multiple of 8")):
            with self.subTest(variable=variable):
                session = support.run(self, [target("short_lived")], env={**os.environ, variable: value})
                self.assertEqual(session.status, 7)
                lines = session.stderr.decode().splitlines()
                self.assertEqual(len(lines), 1, lines)
                for wanted in ("ddprof-launch: not profiling: ", variable, part):
                    self.assertIn(wanted, lines[0])
                self.assertEqual(session.profile_paths(), [])

    def test_bad_tag_of_the_environment(self):
        """One bad tag of a whole fleet's is no reason not to profile."""
        session = support.run(self, [target("short_lived")], env={**os.environ, "DD_TAGS": "team:a,%%,zone:b"})
        self.assertEqual(session.status, 7)
        lines = session.stderr.decode().splitlines()
        self.assertRegex(lines[0], r"^ddprof-launch: DD_TAGS: tag '%%' .*; it is left out$")
        self.assertIn("team:a,zone:b", session.profile().comments["ddprof.tags"])

    def test_command_line_beats_environment(self):
        session = support.run(self, [target("short_lived")], ["--service", "right"],
                              env={**os.environ, "DD_SERVICE": "wrong", "DD_PROFILING_UPLOAD_PERIOD": "30"})
        self.assertIn("/right-", session.profile_paths()[0])

    def test_disabled(self):
        for variable, value, options in (("DD_PROFILING_ENABLED", "false", []), ("A", "b", ["--enable=no"])):
            session = support.run(self, [target("short_lived")], options, env={**os.environ, variable: value})
            self.assertEqual((session.status, session.stderr, session.profile_paths()), (7, b"", []))

    def test_log_file(self):
        log = os.path.join(support.temporary_folder(self), "log")
        session = support.run(self, [target("short_lived")], ["--log_mode", log])
        self.assertEqual((session.status, session.stderr), (7, b""))
        self.assertRegex(support.read_text(log), r"^ddprof-launch: \d+ samples, 0 lost, .*\n$")

    def test_bad_log_file(self):
        session = support.run(self, [target("short_lived")], ["--log_mode", "/nonexistent/log"])
        self.assertEqual((session.status, len(session.stderr.splitlines())), (7, 1))
        self.assertEqual(len(session.profile_paths()), 1)


if __name__ == "__main__":
    support.main()
