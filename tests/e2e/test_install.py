"""`cmake --install --prefix` anywhere gives programs that find each other there and nowhere else."""

import os
import stat
import subprocess
import tempfile
import unittest

import support

SOURCE = os.environ.get("DDPROF_SOURCE", os.path.join(support.HERE, "../.."))


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise AssertionError("%s\n%s%s" % (" ".join(command), done.stdout[-3000:], done.stderr[-3000:]))


class Install(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="ddprof-install.")
        cls.build = os.path.join(cls.folder.name, "build")
        cls.configured = os.path.join(cls.folder.name, "configured prefix")
        run("cmake", "-S", SOURCE, "-B", cls.build, "-G", "Ninja", "-DBUILD_TESTING=OFF",
            "-DCMAKE_INSTALL_PREFIX=" + cls.configured)
        run("cmake", "--build", cls.build)

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def check_prefix(self, prefix):
        """A profile appears although no other prefix has a worker: the compiled-in paths are this prefix's."""
        expected = {
            "bin/ddprof-launch": 0o755, "bin/ddprof-replay": 0o755, "bin/ddprof-report": 0o755,
            "bin/ddprof-symbolizer": 0o755,
            "share/doc/ddprof-launch/policy.conf": 0o644, "share/doc/ddprof-launch/apparmor/ddprof-launch": 0o644,
            "libexec/ddprof/ddprof-perf-open": 0o755, "libexec/ddprof/ddprof-worker": 0o711,
            "libexec/ddprof/ddprof-audit": 0o755, "libexec/ddprof/ddprof-symbolizer": 0o711,
            "libexec/ddprof/ddprof-exporter": 0o711, "libexec/ddprof/ddprof-uploader": 0o711,
        }
        found = {}
        for folder, _, files in os.walk(prefix):
            for name in files:
                path = os.path.join(folder, name)
                found[os.path.relpath(path, prefix)] = stat.S_IMODE(os.stat(path).st_mode)
        self.assertEqual(found, expected)
        with tempfile.TemporaryDirectory() as profiles:
            done = subprocess.run([os.path.join(prefix, "bin/ddprof-launch"), "--wait", "--require", "--output",
                                   profiles, support.target("split"), "0.3"], capture_output=True, text=True)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(len([name for name in os.listdir(profiles) if name.endswith(".pprof")]), 1, done.stderr)

    def test_any_prefix(self):
        run("cmake", "--install", self.build)
        self.check_prefix(self.configured)
        elsewhere = os.path.join(self.folder.name, "elsewhere")
        os.rename(self.configured, self.configured + ".gone")
        run("cmake", "--install", self.build, "--prefix", elsewhere)
        self.check_prefix(elsewhere)

    def test_moved_installation_runs_the_target_and_says_why(self):
        moved = os.path.join(self.folder.name, "moved")
        run("cmake", "--install", self.build, "--prefix", moved + ".first")
        os.rename(moved + ".first", moved)
        done = subprocess.run([os.path.join(moved, "bin/ddprof-launch"), "echo", "ran"], capture_output=True, text=True,
                              cwd=self.folder.name)
        self.assertEqual((done.returncode, done.stdout), (0, "ran\n"))
        self.assertIn("not profiling: cannot start %s.first/libexec/ddprof/ddprof-perf-open" % moved, done.stderr)


if __name__ == "__main__":
    support.main() if hasattr(support, "main") else unittest.main()
