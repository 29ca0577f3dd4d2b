"""Callers in every state that has broken a privileged launcher before: the target is what it would be without us."""

import os
import re
import shutil
import subprocess
import unittest

import attack
import support
from support import LAUNCH, target

CAPABILITY_LINES = "CapInh CapPrm CapEff CapBnd CapAmb NoNewPrivs Uid Gid Groups".split()


def setUpModule():
    attack.set_up()


class Callers(unittest.TestCase):
    def setUp(self):
        self.output = support.temporary_folder(self)

    def directly_and_launched(self, prefix, command, options=(), **named):
        results = []
        for wrapper in ([], [LAUNCH, "--output", self.output, *options, "--"]):
            results.append(subprocess.run([*prefix, *wrapper, *command], capture_output=True, text=True, check=False,
                                          stdin=subprocess.DEVNULL, **named))
        support.wait_for_adopted()
        return results

    def test_capability_states(self):
        """Sets, securebits and identity of the target are the caller's, whatever they are and however the opener is
        installed."""
        setpriv, user = support.require_program("setpriv"), support.user_prefix()[1:]
        states = {
            "root": [],
            "root without some": ["--bounding-set=-sys_admin,-net_raw"],
            "root without CAP_SETPCAP": ["--bounding-set=-setpcap"],
            "root, noroot": ["--securebits=+noroot,+noroot_locked"],
            "an ordinary user": user,
            "an ordinary user with inheritable": [*user, "--inh-caps=+net_raw"],
            "a service with ambient": [*user, "--inh-caps=+net_bind_service", "--ambient-caps=+net_bind_service"],
            "a service that may profile": [*user, "--inh-caps=+perfmon", "--ambient-caps=+perfmon"],
            "no_new_privs": [*user, "--no-new-privs"],
            "an empty bounding set": [*user, "--bounding-set=-all"],
            "supplementary groups": [f"--reuid={support.NOBODY}", f"--regid={support.NOBODY}", "--groups=4,24"],
        }
        for opener_name, opener in attack.privileged_openers(self):
            outer = attack.launched_with(self, opener)
            for name, options in states.items():
                with self.subTest(state=name, opener=opener_name):
                    direct, launched = self.directly_and_launched([*outer, setpriv, *options, *([] if options else ["--reuid=0"])],
                                                                  ["/bin/cat", "/proc/self/status"])
                    self.assertEqual(launched.returncode, 0, launched.stderr)
                    wanted = [line for line in direct.stdout.splitlines() if line.split(":")[0] in CAPABILITY_LINES]
                    self.assertEqual(len(wanted), len(CAPABILITY_LINES))
                    self.assertEqual([line for line in launched.stdout.splitlines() if line.split(":")[0] in CAPABILITY_LINES],
                                     wanted, launched.stderr)

    def test_securebits_stay(self):
        setpriv = [support.require_program("setpriv"), "--securebits=+noroot,+noroot_locked,+keep_caps_locked"]
        direct, launched = self.directly_and_launched(setpriv, [setpriv[0], "--dump"])
        self.assertIn("noroot", direct.stdout)
        self.assertEqual(launched.stdout, direct.stdout)

    def test_path_is_not_searched_for_us(self):
        """Programs with our names in PATH and in the working folder are not started."""
        folder = support.temporary_folder(self)
        marker = os.path.join(folder, "fooled")
        for name in ("ddprof-perf-open", "ddprof-worker", "ddprof-symbolizer", "ddprof-exporter", "ddprof-uploader"):
            path = os.path.join(folder, name)
            with open(path, "w", encoding="ascii") as file:
                file.write(f"#!/bin/sh\ntouch {marker}\n")
            os.chmod(path, 0o755)
        session = support.run(self, [target("short_lived")], cwd=folder, env={**os.environ, "PATH": f".:{folder}:/usr/bin:/bin"},
                              prefix=support.user_prefix())
        self.assertEqual((session.status, len(session.profile_paths())), (7, 1))
        self.assertFalse(os.path.exists(marker))

    def test_personality(self):
        direct, launched = self.directly_and_launched([support.require_program("setarch"), "-R"], ["/bin/cat", "/proc/self/personality"])
        self.assertNotEqual(int(direct.stdout, 16), 0)
        self.assertEqual((launched.stdout, launched.stderr), (direct.stdout, ""))

    def test_strange_names_in_messages(self):
        """CVE-2023-28486: what is printed about a name cannot move the cursor, colour the text or begin a new line."""
        name = "/nonexistent/\n\x1b[31mddprof-launch: \r\x07\x9b\x7f\u202e"
        session = support.run(self, [name])
        self.assertEqual(session.status, 127)
        self.assertEqual(len(session.stderr.splitlines()), 1, session.stderr)
        self.assertNotRegex(session.stderr[:-1], rb"[\x00-\x1f\x7f]|\xc2[\x80-\x9f]|\xe2\x80\xae")
        session = support.run(self, [target("short_lived")], ["--service", "x\ny"])
        self.assertNotIn(b"\ny", session.stderr)

    def test_strange_names_in_profiles(self):
        """A thread's name is the attacker's: it stays a value, and names no file."""
        folder = support.temporary_folder(self)
        program = os.path.join(folder, "a\nb\x1b;$(x)")
        shutil.copy(target("short_lived"), program)
        session = support.run(self, [program], prefix=support.user_prefix())
        self.assertEqual((session.status, session.stderr), (7, b""))
        self.assertRegex(os.path.basename(session.profile_paths()[0]), r"^[A-Za-z0-9._-]+$")

    def test_a_hundred_at_once(self):
        """By one user, without locked memory of his own, all alive together: each target runs; who found the budget used up
        says so in one line."""
        prefix = ["/bin/sh", "-c", 'ulimit -l 0; exec "$@"', "sh", *support.user_prefix(next(support.ordinary_users))]
        output = support.temporary_folder(self)
        sessions = [support.Session(self, ["/bin/sh", "-c", "read go; exit 5"], prefix=prefix, output=output,
                                    stdin=subprocess.PIPE) for _ in range(100)]
        refused = 0
        for session in sessions:
            _, error = session.process.communicate(b"\n", timeout=120)
            lines = error.decode().splitlines()
            self.assertEqual((session.process.returncode, len(lines) < 2), (5, True), lines)
            for line in lines:
                self.assertRegex(line, "^ddprof-launch: not profiling: .*lock")
            refused += len(lines)
        support.wait_for_adopted(120)
        self.assertEqual(len(os.listdir(output)) + refused, 100)
        self.assertGreater(refused, 0)
        print(f"100 at once by one user: {refused} refused")

    def test_first_records_are_there_every_time(self):
        """200 launches of a program that is gone after 50 ms: sampling never starts before its name and mappings are known."""
        output = support.temporary_folder(self)
        for _ in range(50):
            sessions = [support.Session(self, [target("short_lived")], output=output) for _ in range(4)]
            for session in sessions:
                session.process.communicate(timeout=60)
                self.assertEqual(session.process.returncode, 7)
        support.wait_for_adopted()
        profiles = sessions[0].profiles()
        self.assertEqual(len(profiles), 200)
        for profile in profiles:
            self.assertEqual({s.labels["process_name"] for s in profile.samples} - {"short_lived"}, set())
            self.assertEqual([s.stack for s in profile.samples if s.stack[0] != "short_lived" or "[unknown mapping]" in s.stack], [])
        self.assertGreater(sum(s.count for profile in profiles for s in profile.samples), 500)

    def test_process_ids_come_back(self):
        """1,500 short processes in a PID namespace with 400 PIDs (since Linux 6.14 a namespace has its own limit)."""
        unshare = [support.require_program("unshare"), "-p", "-f", "--mount-proc"]
        probe = subprocess.run([*unshare, "/bin/sh", "-c", "echo 400 > /proc/sys/kernel/pid_max && cat /proc/sys/kernel/pid_max"],
                               capture_output=True, text=True, check=False)
        outside = support.read_text("/proc/sys/kernel/pid_max")
        if probe.stdout.strip() != "400" or outside.strip() == "400":
            support.skip("this kernel has one pid_max for all namespaces")
        script = (f"echo 400 > /proc/sys/kernel/pid_max; {LAUNCH} --wait --output {self.output} /bin/sh -c "
                  f"'i=0; while [ $i -lt 1500 ]; do /bin/true & i=$((i+1)); [ $((i%50)) = 0 ] && wait; done; wait; exit 9'")
        done = subprocess.run([*unshare, "/bin/sh", "-c", script + "; exit $?"], capture_output=True, text=True, check=False, timeout=100)
        support.wait_for_adopted()
        self.assertEqual(done.returncode, 9, done.stderr)
        self.assertNotIn("not profiling", done.stderr)
        profile = support.Profile(os.path.join(self.output, os.listdir(self.output)[0]))
        names = {s.labels["process_name"] for s in profile.samples}
        self.assertLessEqual(names, {"sh", "true"})


class Rules(unittest.TestCase):
    """What can be read off the sources."""

    def test_opener_opens_no_path_of_a_caller(self):
        """CVE-2022-47952: a path that a caller names is opened by the launcher, with the caller's rights. Every path here
        is a constant; of /proc/PID only the parent's environ (one stat) and exe (one readlink) are looked at."""
        listing = support.read_text(os.path.join(attack.SOURCE, "launcher/CMakeLists.txt"))
        names = re.search(r"add_executable\(ddprof-perf-open ([^)]*)\)", listing)[1].split()
        self.assertGreater(len(names), 5)
        seen = set()
        for name in names:
            text = re.sub(r"/\*.*?\*/|//[^\n]*", "", support.read_text(os.path.join(attack.SOURCE, "launcher", name)), flags=re.S)
            for function, argument in re.findall(r"\b(open|openat2?|fopen|stat|lstat|access|faccessat|readlink|execve?|execvp?|"
                                                 r"opendir|unlink|mkdir|creat|chdir)\(([^;]*?)[,)]", text):
                seen.add((function, argument.strip()))
        allowed = {("open", '"/dev/null"'), ("open", '"/"'), ("open", '"/proc/sys/fs/suid_dumpable"'), ("stat", "path"),
                   ("stat", "path.text"), ("readlink", "path.text"), ("execve", 'DDPROF_LIBEXECDIR "/ddprof-worker"')}
        self.assertEqual(seen - allowed, set())
        self.assertIn(("open", '"/dev/null"'), seen)

    def test_nobody_listens(self):
        """Peers are socket pairs only: no process of ours can be reached by a name or an address."""
        page = support.read_text(os.path.join(attack.SOURCE, "docs/syscalls.md"))
        sections = {text.split("\n", 1)[0]: text for text in page.split("\n## ")[1:]}
        for role in ("opener", "supervisor", "unwinder", "symbolizer", "exporter", "uploader"):
            allowed = set(re.findall(r"^\| `?(\w+)`?", sections[role], re.M))
            self.assertIn("recvmsg", allowed)
            self.assertEqual(allowed & {"bind", "listen", "accept", "accept4", "io_uring_setup", "io_uring_enter", "ptrace", "bpf",
                                        "setns", "unshare", "userfaultfd", "process_vm_readv", "pidfd_getfd", "mount"}, set(), role)


if __name__ == "__main__":
    support.main()
