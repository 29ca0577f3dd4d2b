"""Code that a program makes while it runs is called what the program says, and by nobody else."""

import glob
import os
import re
import shutil
import signal
import subprocess
import tempfile
import unittest

import support

NAMES = {"jit_one": 1 / 6, "LazyCompile:~jit two /srv/two words.js:12": 1 / 3, "jit::three()": 1 / 2}
SCRIPT = """
function hotspot(n) { let sum = 0; for (let i = 0; i < n; i++) sum = (sum * 31 + i) % 1000003; return sum; }
function outer(n) { return hotspot(n) + 1; }
let sum = 0;
while (process.cpuUsage().user < 2500000) sum += outer(100000);
console.log(sum);
"""


def setUpModule():
    support.require_profiling()


def wait_for_code(pid):
    """Where a process has its executable memory without a file."""
    def find():
        found = re.search(r"^([0-9a-f]+)-[0-9a-f]+ r-xp 00000000 00:00 0 *$", support.read_text(f"/proc/{pid}/maps"), re.M)
        return found and found[1]
    return support.wait_until(find, what="code without a file")


class Jit(unittest.TestCase):
    def setUp(self):
        self.folder = support.temporary_folder(self)
        self.jit = support.target("jit")

    def run_profile(self, command, **named):
        self.profile = support.run(self, command, **named).profile()
        return self.profile

    def share(self, name, profile=None):
        profile = profile or self.profile
        return support.share_of(profile.samples, lambda s: name in s.stack)

    def expect_names(self, profile):
        """None is missing, and each has its share, as well as so many samples know it."""
        self.assertEqual(self.share("[anonymous]", profile), 0)
        samples = sum(sample.count for sample in profile.samples)
        for name, share in NAMES.items():
            self.assertAlmostEqual(self.share(name, profile), 100 * share, delta=100 * support.scatter(share, samples),
                                   msg=support.folded(profile)[:5])

    def frames(self):
        return [frame for sample in self.profile.samples for frame in sample.frames]

    def expect_nothing_private(self):
        """No reader is told where the code was; its time is below main like that of any function."""
        self.assertFalse([text for text in self.profile.strings if "[jit:" in text])
        for frame in self.frames():
            if frame.name in NAMES or frame.name == "[anonymous]":
                self.assertEqual((frame.address, frame.mapping), (0, None))
        named = [s for s in self.profile.samples if s.stack[-1] in (*NAMES, "[anonymous]")]
        self.assertGreaterEqual(support.share_of(named, lambda s: "_start" in s.stack), 99)

    def test_map(self):
        """It is deleted at the program's end; the only profile is made after that."""
        self.run_profile([self.jit, "map", "2"])
        self.expect_names(self.profile)
        self.expect_nothing_private()
        self.assertEqual({frame.filename for frame in self.frames() if frame.name in NAMES}, {"jit"})
        functions = {f.id: self.profile.strings[f.name] for f in self.profile.message.function}
        shown = [functions[line.function_id] for location in self.profile.message.location for line in location.line]
        for name in NAMES:  # other functions have a location for each address in them
            self.assertEqual(shown.count(name), 1, name)  # wherever in it samples were

    def test_map_that_comes_late(self):
        self.run_profile([self.jit, "late", "2"])
        self.expect_names(self.profile)

    def test_map_with_periods(self):
        """Every profile has the names, not just the last."""
        session = support.run(self, [self.jit, "map", "3"], options=["--upload_period", "1"])
        for profile in session.profiles():
            if profile.samples:  # the last may have none
                self.expect_names(profile)
        self.assertGreaterEqual(len(session.profiles()), 3)

    def test_without_a_map(self):
        self.run_profile([self.jit, "none", "1"])
        self.assertGreaterEqual(self.share("[anonymous]"), 95)
        self.expect_nothing_private()

    def test_dump(self):
        """With source lines, and code that was moved."""
        self.run_profile([self.jit, "dump", "2", self.folder])
        self.expect_names(self.profile)
        self.expect_nothing_private()
        self.assertEqual({frame.filename for frame in self.frames() if frame.name in NAMES}, {"/srv/source.jit"})
        functions = {self.profile.strings[f.name]: f.id for f in self.profile.message.function}
        lines = {name: {line.line for location in self.profile.message.location for line in location.line
                        if line.function_id == functions[name]} for name in NAMES}
        for name, first in zip(NAMES, (100, 200, 300)):
            self.assertIn(first + 1, lines[name])
            self.assertLessEqual(lines[name], {first, first + 1})

    def test_dump_that_is_deleted(self):
        session = support.Session(self, [self.jit, "dump", "2", self.folder])
        supervisor = session.supervisor()
        dump = support.wait_until(lambda: glob.glob(self.folder + "/jit-*.dump"), what="a jitdump")[0]
        support.wait_until_open(supervisor, dump)
        os.unlink(dump)
        self.expect_names(session.finish().profile())

    def test_without_names(self):
        """Nobody will name it: then nobody is told where it was either."""
        self.run_profile([self.jit, "map", "1"], options=["--disable_symbolization=true"])
        self.assertFalse([text for text in self.profile.strings if "[jit:" in text])
        self.assertGreaterEqual(self.share("[anonymous]"), 80, support.folded(self.profile)[:5])

    def test_own_pid_namespace(self):
        """There it is PID 1, has a /tmp of its own, and both are gone when the only profile is made."""
        self.jit = os.path.join(tempfile.mkdtemp(dir="/var/tmp", prefix="ddprof-e2e-"), "jit")
        self.addCleanup(shutil.rmtree, os.path.dirname(self.jit))
        os.chmod(os.path.dirname(self.jit), 0o755)
        shutil.copy(support.target("jit"), self.jit)
        script = 'mount -t tmpfs none /tmp; exec "$@"'
        container = [support.require_program("unshare"), "-Ur", "--pid", "--mount", "--fork", "/bin/sh", "-ec", script, "sh"]
        if subprocess.run([*support.user_prefix(), *container, "/bin/true"], capture_output=True, check=False).returncode:
            support.skip("no user namespaces")
        self.run_profile([*container, self.jit, "map", "2"], prefix=support.user_prefix())
        self.expect_names(self.profile)
        self.assertFalse(os.path.exists("/tmp/perf-1.map"))

    def test_same_address_in_two_processes(self):
        both = f"setarch -R {self.jit} map 1 jit_left & setarch -R {self.jit} map 1 jit_right & wait"
        self.run_profile(["/bin/sh", "-c", both])
        by_pid = {}
        for sample in self.profile.samples:
            for name in ("jit_left", "jit_right"):
                if name in sample.stack:
                    by_pid.setdefault(sample.pid, set()).add(name)
        self.assertEqual(sorted(map(sorted, by_pid.values())), [["jit_left"], ["jit_right"]])

    def test_somebody_elses_map(self):
        """Whoever may write to /tmp could choose the names of a stranger's functions."""
        support.require_root()
        for owner, mode, is_believed in ((support.NOBODY, 0o644, True), (0, 0o644, True),
                                         (support.NOBODY + 1, 0o644, False), (support.NOBODY, 0o666, False)):
            session = support.Session(self, [self.jit, "none", "1.5"], prefix=support.user_prefix())
            path = f"/tmp/perf-{session.pid}.map"
            start = wait_for_code(session.pid)
            try:
                with open(path, "w", encoding="utf-8") as file:
                    file.write(f"{start} 1000 planted\n")
                    os.fchown(file.fileno(), owner, owner)
                    os.fchmod(file.fileno(), mode)
                profile = session.finish().profile()
            finally:
                os.unlink(path)
            named = self.share("planted", profile)
            self.assertTrue(named >= 95 if is_believed else named == 0, (owner, oct(mode), named))

    def test_unwinder_is_killed(self):
        session = support.Session(self, [self.jit, "map", "3"])
        roles = support.wait_for_roles(session.supervisor())  # a second after its start
        os.kill(roles["unwinder"], signal.SIGKILL)
        profile = session.finish().profile()
        self.expect_names(profile)

    def run_node(self, *options):
        with open(os.path.join(self.folder, "work.js"), "w", encoding="utf-8") as file:
            file.write(SCRIPT)
        return self.run_profile([support.require_program("node"), *options, os.path.join(self.folder, "work.js")],
                                cwd=self.folder)

    def expect_javascript(self):
        """However often node compiled the function."""
        way = lambda s: "_start" in s.stack and any(re.search(r":[~^*+]?hotspot .*work\.js:\d+", name) for name in s.stack)
        self.assertGreaterEqual(support.share_of(self.profile.samples, way), 70, support.folded(self.profile)[-3:])

    def test_node_with_a_map(self):
        self.run_node("--perf-basic-prof", "--interpreted-frames-native-stack")
        self.expect_javascript()
        # the script itself, interpreted until node finds it worth compiling; and what node starts it with, once
        for pattern in (r":[~^*+]? .*/work\.js:1:1$", r":~.* node:internal/"):
            callers = support.share_of(self.profile.samples, support.has_function(pattern))
            self.assertGreaterEqual(callers, 70, support.folded(self.profile)[-3:])
        for path in glob.glob("/tmp/perf-*.map"):  # node leaves it
            if os.path.basename(path) in {f"perf-{sample.pid}.map" for sample in self.profile.samples}:
                os.unlink(path)

    def test_node_with_a_dump(self):
        self.run_node("--perf-prof")
        self.expect_javascript()


if __name__ == "__main__":
    support.main()
