"""ddprof-replay: what perf recorded comes out as a profile with our names, and as true as one of our own."""

import os
import shutil
import subprocess
import unittest

import support
from support import target

REPLAY = os.path.join(support.PREFIX, "bin/ddprof-replay")
REPORT = os.path.join(support.PREFIX, "bin/ddprof-report")
DWARF = ["--call-graph", "dwarf,16384"]
SECONDS = "1"


def setUpModule():
    support.require_program("perf")


class Replay(unittest.TestCase):
    def setUp(self):
        self.folder = support.temporary_folder(self)
        self.data = os.path.join(self.folder, "perf.data")
        self.output = self.data + ".pprof"

    def record(self, options, command=None, **named):
        command = command or [target("split"), SECONDS]
        data = [] if "-o" in options else ["-o", self.data]
        # 16 MB for each CPU, two seconds of copied stacks: perf may have to wait for its turn to write them
        rings = ["-m", "16M"] if os.getuid() == 0 else []
        run = subprocess.run(["perf", "record", "-q", "-F", "499", *rings, *data, *options, "--", *command], check=False,
                             stderr=subprocess.PIPE, stdout=named.pop("stdout", subprocess.DEVNULL), timeout=120, **named)
        self.assertEqual(run.returncode, 0, run.stderr)

    def replay(self, *options, status=0, **named):
        run = subprocess.run([REPLAY, *options], capture_output=True, check=False, timeout=120, **named)
        self.assertEqual(run.returncode, status, run.stderr)
        self.stderr = run.stderr.decode()
        return support.Profile(self.output) if status == 0 else None

    def check_shares(self, profile):
        """Turns are 20 and 40 ms long, so that a second holds a few tens of each."""
        samples = [s for s in profile.samples if "alternate(unsigned long)" in s.stack]
        self.assertGreater(sum(s.count for s in samples), 300)
        share = support.share_of(samples, lambda s: "one_third(unsigned long)" in s.stack)
        self.assertTrue(25 < share < 42, share)
        for sample in samples:
            self.assertEqual(sample.stack[0], "split")
            self.assertTrue({"one_third(unsigned long)", "two_thirds(unsigned long)"} & set(sample.stack) or
                            sample.stack[-1] != "", sample.stack)
        return samples

    def test_copied_stacks(self):
        self.record(["-e", "cpu-clock:u", *DWARF])
        profile = self.replay(self.data)
        samples = self.check_shares(profile)
        self.assertTrue(all("main" in s.stack and "_start" in s.stack for s in samples))
        self.assertEqual(profile.ledger("malformed"), 0)
        self.assertGreaterEqual(profile.ledger("stacks.root"), 0.99 * profile.ledger("samples"))
        self.assertIn("reached the root; profile: " + self.output, self.stderr)
        self.assertEqual(os.stat(self.output).st_mode & 0o777, 0o600)
        seconds = support.total_ns(profile.samples) / 1e9
        self.assertTrue(0.8 < seconds < 1.2, seconds)
        report = subprocess.run([REPORT, self.output], capture_output=True, check=True).stdout.decode()
        self.assertIn("two_thirds(unsigned long)", report)

    def test_same_samples_as_perf_script(self):
        self.record(["-e", "cpu-clock:u", *DWARF])
        profile = self.replay(self.data)
        script = subprocess.run(["perf", "script", "-i", self.data, "-F", "pid,tid"], capture_output=True, check=True)
        self.assertEqual(sum(s.count for s in profile.samples), len(script.stdout.split(b"\n\n")[0].splitlines()))

    def test_pipe(self):
        read_end, write_end = os.pipe()
        with subprocess.Popen([REPLAY, "-", "-o", self.output], stdin=read_end, stderr=subprocess.PIPE) as replay:
            os.close(read_end)
            self.record(["-e", "cpu-clock:u", *DWARF, "-o", "-"], [target("split"), SECONDS], stdout=write_end)
            os.close(write_end)
            stderr = replay.communicate(timeout=60)[1]
        self.assertEqual(replay.returncode, 0, stderr)
        self.check_shares(support.Profile(self.output))

    def test_kernel_chains(self):
        self.record(["-e", "cpu-clock:u", "-g"])
        profile = self.replay(self.data)
        self.assertIn("one_third(unsigned long)", {name for s in profile.samples for name in s.stack})

    def test_two_events(self):
        self.record(["-e", "cpu-clock:u,page-faults:u", *DWARF])
        self.check_shares(self.replay(self.data))
        self.assertIn("samples of other events were left out", self.stderr)

    def test_compressed_is_refused(self):
        self.record(["-e", "cpu-clock:u", "-g", "-z"])
        self.replay(self.data, status=1)
        self.assertEqual(self.stderr, f"ddprof-replay: {self.data}: is compressed; record without -z\n")
        self.assertFalse(os.path.exists(self.output))

    def test_replaced_program(self):
        """What is there now is another program: no stack through it, and no name out of it."""
        program = os.path.join(self.folder, "program")
        shutil.copy(target("split"), program)
        self.record(["-e", "cpu-clock:u", *DWARF], [program, SECONDS])
        os.unlink(program)
        shutil.copy(target("short_lived"), program)
        profile = self.replay(self.data)
        self.assertIn("not as they were recorded", self.stderr)
        names = {name for s in profile.samples for name in s.stack}
        self.assertNotIn("one_third(unsigned long)", names)
        root = os.path.join(self.folder, "root")
        there = root + program
        os.makedirs(os.path.dirname(there))
        shutil.copy(target("split"), there)
        profile = self.replay("--root", root, self.data)
        names = {name for s in profile.samples for name in s.stack}
        self.assertIn("one_third(unsigned long)", names)

    def test_usage(self):
        for arguments in ([], ["a", "b"], ["--bad"], ["-o"]):
            self.replay(*arguments, status=2)
            self.assertIn("ddprof-replay --help", self.stderr)
        for path in ("/nonexistent", "/etc/passwd", "/"):
            self.replay(path, status=1)
            self.assertEqual(len(self.stderr.splitlines()), 1)


if __name__ == "__main__":
    support.main()
