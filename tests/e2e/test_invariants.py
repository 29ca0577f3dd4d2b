"""What every process of ours looks like while a session runs: no right, a filter, no descriptor it does not need."""

import os
import re
import unittest

import support
from support import target

# What may be open, by role: kind (as /proc/PID/fd shows it) -> at most how many. `events` stands for two per CPU.
NULL, SOCKET, EVENT, MEMFD, PROC = "/dev/null", "socket", "anon_inode:[perf_event]", "memfd", "/proc"
SIGNALS, FOLDER, FILE = "anon_inode:[signalfd]", "output", "file"
ALLOWED = {
    "supervisor": {NULL: 3, SOCKET: 6, EVENT: "events", MEMFD: 4, PROC: 1, SIGNALS: 1, FOLDER: 1, FILE: 64},
    "unwinder": {NULL: 3, SOCKET: 2, EVENT: "events", MEMFD: 2, FILE: 64},
    "symbolizer": {NULL: 3, SOCKET: 2},
    "exporter": {NULL: 5, SOCKET: 1, FOLDER: 1, MEMFD: 1},  # two in place of a spool and a prefix folder
}


def setUpModule():
    support.require_profiling()
    support.require_root()  # to look into processes that are not dumpable


class Invariants(unittest.TestCase):
    def run_session(self, check, prefix=(), options=()):
        session = support.Session(self, [target("split"), "30"], options, prefix=prefix)
        try:
            session.roles = support.wait_for_roles(session.supervisor())
            session.target = session.pid if "--wait" not in options else support.children(session.pid)[0]
            check(session)
        finally:
            session.process.terminate()
            session.finish()
        self.assertEqual(session.status, -15)

    def for_each_user(self, check):
        for prefix in ([], support.user_prefix()):
            for options in ([], ["--wait"]):
                with self.subTest(user="ordinary" if prefix else "root", options=options):
                    self.run_session(check, prefix, options)

    def test_status(self):
        def check(session):
            for name, pid in session.roles.items():
                status = support.proc_status(pid)
                for key in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
                    self.assertEqual(int(status[key], 16), 0, (name, key))
                # only who has CAP_SETPCAP may shrink the bounding set (capabilities(7)): not an ordinary user
                if status["Uid"].split()[0] == "0":
                    self.assertEqual(int(status["CapBnd"], 16), 0, name)
                self.assertEqual(status["NoNewPrivs"], "1", name)
                self.assertEqual(status["Seccomp"], "2", name)
                self.assertEqual(status["Threads"], "1", name)
                self.assertEqual(status["Uid"], support.proc_status(session.target)["Uid"], name)
                self.assertEqual(status["Gid"], support.proc_status(session.target)["Gid"], name)
                limits = support.read_text(f"/proc/{pid}/limits")
                self.assertRegex(limits, r"(?m)^Max core file size +0 +0 ")

        self.for_each_user(check)

    def test_not_dumpable(self):
        """The files of a process that is not dumpable belong to root, whoever runs it (proc(5))."""

        def check(session):
            self.assertEqual(os.stat(f"/proc/{session.target}/environ").st_uid, support.NOBODY)
            for name, pid in session.roles.items():
                self.assertEqual(os.stat(f"/proc/{pid}/environ").st_uid, 0, name)
                self.assertEqual(os.stat(f"/proc/{pid}/mem").st_uid, 0, name)

        self.run_session(check, support.user_prefix())

    def test_same_user_can_neither_trace_nor_read(self):
        """Tried, not only looked at: gdb's first step and a plain read, as the user who owns the processes."""

        def check(session):
            for name, pid in session.roles.items():
                script = (f"import ctypes,sys\nlibc=ctypes.CDLL(None,use_errno=True)\n"
                          f"if libc.ptrace(16,{pid},0,0)==0: sys.exit(1)\n"
                          f"for what in 'mem','environ','maps','fd/0':\n"
                          f"  try: open(f'/proc/{pid}/{{what}}').read(1); sys.exit(2)\n"
                          f"  except OSError: pass\n")
                result = support.subprocess.run([*support.user_prefix(), "/usr/bin/python3", "-c", script], check=False)
                self.assertEqual(result.returncode, 0, name)

        self.run_session(check, support.user_prefix())

    def test_environment_session_and_folder(self):
        def check(session):
            for name, pid in session.roles.items():
                with open(f"/proc/{pid}/environ", "rb") as file:
                    self.assertEqual(file.read(), b"", name)
                self.assertEqual(os.getsid(pid), session.roles["supervisor"], name)
                self.assertNotEqual(os.getsid(pid), os.getsid(session.target), name)
                self.assertEqual(os.readlink(f"/proc/{pid}/cwd"), "/", name)
                self.assertEqual(support.proc_status(pid)["Umask"], "0077", name)

        self.for_each_user(check)

    def descriptors(self, session, pid):
        kinds = {}
        for fd in os.listdir(f"/proc/{pid}/fd"):
            link = os.readlink(f"/proc/{pid}/fd/{fd}")
            kind = (SOCKET if link.startswith("socket:") else MEMFD if link.startswith("/memfd:") else
                    FOLDER if link == os.path.realpath(session.output) else link)
            if kind.startswith("/") and kind not in (NULL, PROC):
                flags = int(re.search(r"flags:\s*([0-7]+)", support.read_text(f"/proc/{pid}/fdinfo/{fd}"))[1], 8)
                self.assertEqual(flags & os.O_ACCMODE, os.O_RDONLY, link)
                kind = FILE
            kinds.setdefault(kind, []).append(link)
        return kinds

    def test_descriptors(self):
        def check(session):
            for name, pid in session.roles.items():
                kinds = self.descriptors(session, pid)
                for kind, links in kinds.items():
                    most = ALLOWED[name].get(kind, 0)
                    if most == "events":
                        most = 5 * os.cpu_count()  # sideband, and samples of each of four levels
                    self.assertLessEqual(len(links), most, (name, kind, links))
            self.assertEqual(len(self.descriptors(session, session.roles["unwinder"])[EVENT]), 5 * os.cpu_count())

        self.for_each_user(check)

    def test_target_holds_no_event(self):
        def check(session):
            for pid in [session.pid, *support.children(session.target)]:
                for fd in os.listdir(f"/proc/{pid}/fd"):
                    self.assertNotIn("perf_event", os.readlink(f"/proc/{pid}/fd/{fd}"))

        self.for_each_user(check)

    def test_sandbox_report(self):
        """argv[2] of each process is what `--attest` reads; here the kernel is asked what it can give."""
        landlock = support.libc.syscall(444, None, 0, 1)  # landlock_create_ruleset: its version
        expected = {"mdwe": "on" if support.libc.prctl(66, 0, 0, 0, 0) >= 0 else "none", "keyring": "own"}

        def check(session):
            for name, pid in session.roles.items():
                line = support.arguments(pid)
                self.assertEqual((len(line), line[1], len(line[2])), (3, name, 40))
                found = dict(word.split("=") for word in line[2].split())
                none = name == "supervisor" or landlock < 1
                self.assertEqual(found, {"landlock": "none" if none else str(min(landlock, 10)), **expected}, name)

        self.for_each_user(check)

    def test_rings_are_not_in_core_files(self):
        """The only memory that holds stack bytes; the kernel excludes it ("dd"), and no copy is made of it."""

        def check(session):
            for name in ("supervisor", "unwinder"):
                maps = support.read_text(f"/proc/{session.roles[name]}/smaps")
                rings = re.findall(r"(?ms)^\S+ \S+ \S+ \S+ \S+ +anon_inode:\[perf_event\]$.*?^VmFlags: (.*?)$", maps)
                self.assertEqual(len(rings), 2 * os.cpu_count(), name)
                for flags in rings:
                    self.assertIn("dd", flags.split(), name)

        self.run_session(check)

    def test_roles_start_nothing(self):
        def check(session):
            for name, pid in session.roles.items():
                if name != "supervisor":
                    self.assertRegex(support.read_text(f"/proc/{pid}/limits"), r"(?m)^Max processes +0 +0 ", name)

        self.run_session(check)

    def test_opener_is_gone(self):
        def check(session):
            left = [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if support.comm(pid) == "ddprof-perf-ope"
                    and support.proc_status(pid).get("PPid") in (str(session.pid), str(session.target))]
            self.assertEqual(left, [])
            self.assertEqual([pid for pid in support.children(session.target) if support.comm(pid).startswith("ddprof")], [])

        self.run_session(check)

    def test_installed_files(self):
        for name in os.listdir(support.LIBEXEC):
            mode = os.stat(os.path.join(support.LIBEXEC, name)).st_mode & 0o7777
            self.assertEqual(mode & 0o6022, 0, name)
            # not the opener, which the kernel makes non-dumpable as soon as it carries a privilege, nor the auditor's
            # commands, which know nothing that their user does not
            if name not in ("ddprof-perf-open", "ddprof-audit"):
                self.assertEqual(mode, 0o711, f"{name}: users must not read it, or its process starts dumpable")

    def test_memory_maps(self):
        """Nothing is writable and executable; only the two that need them have shared objects."""

        def check(session):
            for name, pid in session.roles.items():
                maps = support.read_text(f"/proc/{pid}/maps")
                self.assertNotRegex(maps, r"(?m)^\S+ .wx", name)
                if name in ("supervisor", "unwinder"):
                    self.assertNotIn(".so", maps, name)

        self.run_session(check)

    def test_who_sends_nothing_has_no_code_for_it(self):
        """Not even mapped. With anything at all on the network the exporter is another program, which has it."""
        files = {"libc", "libz", "libzstd", "ld-linux-x86-64", "ld-linux-aarch64"}
        nobody = "http://127.0.0.1:9"

        def check(session):
            pid = session.roles["exporter"]
            libraries = {os.path.basename(path).split(".so")[0]
                         for path in re.findall(r"(?m) (/\S+\.so[.0-9]*)$", support.read_text(f"/proc/{pid}/maps"))}
            program = os.path.basename(os.readlink(f"/proc/{pid}/exe"))
            found.append((program, "libcurl" in libraries, libraries <= files))

        for options, wanted in (((), ("ddprof-exporter", False, True)),
                                (("--spool", support.temporary_folder(self)), ("ddprof-exporter", False, True)),
                                (("--url", nobody), ("ddprof-uploader", True, False)),
                                (("--internal_stats", "/nowhere"), ("ddprof-uploader", True, False)),
                                (("--debuginfod", "yes", "--debuginfod_urls", nobody), ("ddprof-uploader", True, False))):
            with self.subTest(options=options):
                found = []
                self.run_session(check, options=("--export_grace", "1", *options))
                self.assertEqual(found, [wanted])


if __name__ == "__main__":
    support.main()
