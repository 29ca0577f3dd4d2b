"""ddprof-symbolizer, by hand: a profile made without names gets those that it would have had in the session."""

import gzip
import os
import pty
import re
import shutil
import subprocess
import unittest

import support
from support import target

SYMBOLIZER = os.path.join(support.PREFIX, "bin/ddprof-symbolizer")


def setUpModule():
    support.require_profiling()


def places(profile):
    """(file, address) -> what is shown there: (function, source file, line), innermost first."""
    found = {}
    for location in profile.locations.values():
        if location.mapping_id == 0:
            continue
        lines = [(profile.functions[line.function_id], line.line) for line in location.line]
        name = os.path.basename(profile.mapping_name(profile.mappings[location.mapping_id]))
        found[name, location.address] = [(profile.strings[f.name], profile.strings[f.filename], number) for f, number in lines]
    return found


class Symbolizer(unittest.TestCase):
    def setUp(self):
        self.folder = support.temporary_folder(self, mode=0o755)
        self.out = os.path.join(self.folder, "named.pprof")

    def unnamed(self, command):
        session = support.run(self, command, ["--disable_symbolization", "on"])
        return session.profile()

    def symbolize(self, *arguments, status=0, **named):
        """What came out; standard error is kept."""
        done = subprocess.run([SYMBOLIZER, *arguments], capture_output=True, timeout=60, check=False, **named)
        self.stderr = done.stderr.decode()
        self.assertEqual(done.returncode, status, self.stderr)
        if status:
            self.assertEqual(done.stdout, b"")
            self.assertEqual(len(self.stderr.splitlines()), 1, self.stderr)
            self.assertTrue(self.stderr.startswith("ddprof-symbolizer: "), self.stderr)
        return done.stdout

    def named(self, *arguments, **named):
        with open(self.out, "wb") as file:
            file.write(self.symbolize(*arguments, **named))
        return support.Profile(self.out)

    def compare(self, program, argument, least):
        """At every address that two runs share. Neither the samples nor what is said of them changes."""
        live = support.run(self, [target(program), argument]).profile()
        before = self.unnamed([target(program), argument])
        self.assertFalse(any(line for lines in places(before).values() for line in lines))
        after = self.named(before.path)
        self.assertEqual(self.stderr, "")
        self.assertEqual([s.value for s in after.message.sample], [s.value for s in before.message.sample])
        self.assertEqual([s.labels for s in after.samples], [s.labels for s in before.samples])
        for key, value in before.comments.items():
            self.assertEqual(after.comments[key], value)
        ours, theirs = places(after), places(live)
        common = sorted(ours.keys() & theirs.keys())
        print(f"{program}: {len(common)} common of {len(theirs)} live and {len(ours)} offline addresses")
        self.assertGreaterEqual(len(common), least)
        for place in common:
            self.assertEqual(ours[place], theirs[place])
            self.assertTrue(ours[place])
        return after

    def test_as_in_the_session(self):
        after = self.compare("demo_workload", "3", least=20)
        self.assertGreater(support.share_of(after.samples, support.has_function("^demo::run_")), 90)

    def test_inlined(self):
        after = self.compare("inlined_dwarf5", "2", least=5)
        chain = "shop::Basket::count(unsigned long) const"
        self.assertGreater(support.share_of(after.samples, lambda s: s.stack[-1] == chain), 90)
        before = self.unnamed([target("inlined_dwarf5"), "2"])
        for option in ("--inlined_functions=no", "-I0"):
            plain = self.named(option, before.path)
            self.assertFalse([lines for lines in places(plain).values() if len(lines) > 1])
            self.assertGreater(support.share_of(plain.samples, lambda s: s.stack[-1] == "shop::checkout(unsigned long)"), 90)

    def test_compression(self):
        """As it comes, so it goes."""
        before = self.unnamed([target("split"), "0.5"])
        plain = self.symbolize("-", input=before.bytes)
        self.assertIn(b"one_third(unsigned long)", plain)
        packed = self.symbolize(before.path)
        self.assertEqual(packed[:2], b"\x1f\x8b")
        self.assertEqual(gzip.decompress(packed), plain)
        zstd = support.require_program("zstd")
        squeezed = self.symbolize("-", input=subprocess.run([zstd, "-c"], input=before.bytes, capture_output=True, check=True).stdout)
        self.assertEqual(squeezed[:4], b"\x28\xb5\x2f\xfd")
        self.assertEqual(subprocess.run([zstd, "-dc"], input=squeezed, capture_output=True, check=True).stdout, plain)

    def check_nameless(self, profile, program):
        names = {name for sample in profile.samples for name in sample.stack}
        self.assertNotIn("one_third(unsigned long)", names)
        inside = support.share_of(profile.samples, lambda s: bool(re.fullmatch(re.escape(program) + r"\+0x[0-9a-f]+", s.stack[-1])))
        self.assertGreaterEqual(inside, 90)
        self.assertEqual(profile.ledger("modules_changed"), 1)

    def test_another_build(self):
        """What is there now is another program; the right one lies below another root."""
        program = os.path.join(self.folder, "program")
        shutil.copy(target("split"), program)
        before = self.unnamed([program, "0.5"])
        root = os.path.join(self.folder, "root")
        os.makedirs(root + self.folder)
        shutil.move(program, root + program)
        gone = self.named(before.path)
        self.assertNotIn("ddprof.modules_changed", gone.comments)
        self.assertNotIn("one_third(unsigned long)", {name for s in gone.samples for name in s.stack})
        shutil.copy(target("short_lived"), program)
        self.check_nameless(self.named(before.path), "program")
        there = self.named("--root", root, before.path)
        self.assertGreaterEqual(support.share_of(there.samples, support.has_function(r"^(one_third|two_thirds)\(unsigned long\)$")), 90)

    def test_no_build_id(self):
        """Known by size and time: a copy that keeps them is taken, one that does not is none."""
        program = os.path.join(self.folder, "program")
        shutil.copy(target("split"), program)
        subprocess.run([support.require_program("objcopy"), "-R", ".note.gnu.build-id", program], check=True)
        before = self.unnamed([program, "0.5"])
        inside = r"^(one_third|two_thirds)\(unsigned long\)$"
        self.assertGreaterEqual(support.share_of(self.named(before.path).samples, support.has_function(inside)), 90)
        saved = program + ".saved"
        shutil.copy2(program, saved)
        with open(program, "ab") as file:
            file.write(b"x")
        self.check_nameless(self.named(before.path), "program")
        shutil.copy(saved, program)
        self.check_nameless(self.named(before.path), "program")
        shutil.move(saved, program)
        self.assertGreaterEqual(support.share_of(self.named(before.path).samples, support.has_function(inside)), 90)

    def test_terminal(self):
        """Nobody wants a profile there."""
        master, slave = pty.openpty()
        done = subprocess.run([SYMBOLIZER, "/dev/null"], stdin=subprocess.DEVNULL, stdout=slave, stderr=subprocess.PIPE, check=False)
        os.close(slave)
        os.close(master)
        self.assertEqual((done.returncode, done.stderr), (2, b"ddprof-symbolizer: standard output: is a terminal; "
                                                            b"ddprof-symbolizer in.pprof > out.pprof\n"))

    def test_usage(self):
        self.assertIn(b"--disable_symbolization", self.symbolize("--help"))
        for arguments in ([], ["a", "b"], ["--bad", "a"], ["--root"], ["-I", "maybe", "a"]):
            self.symbolize(*arguments, status=2)
        for path in ("/nonexistent", "/etc/passwd", "/"):
            self.symbolize(path, status=1)
        self.symbolize("-", status=1, input=b"\x1f\x8b\x08\x00cut")
        before = self.unnamed([target("split"), "0.3"])
        self.symbolize("-", status=1, input=before.packed[:-20])

    def test_full_disk(self):
        before = self.unnamed([target("split"), "0.3"])
        for data in (before.bytes, before.packed):
            with open("/dev/full", "wb") as full:
                done = subprocess.run([SYMBOLIZER, "-"], input=data, stdout=full, stderr=subprocess.PIPE, check=False)
            self.assertEqual((done.returncode, done.stderr), (1, b"ddprof-symbolizer: standard output: No space left on device\n"))


if __name__ == "__main__":
    support.main()
