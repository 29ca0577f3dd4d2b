"""Inlined functions, source files and lines, from DWARF 4 and 5, in the profile and in what reads it."""

import os
import re
import subprocess
import unittest

import support
from support import target

CHAIN = ["shop::checkout(unsigned long)", "unsigned long shop::total<shop::Basket>(shop::Basket const&, unsigned long)",
         "shop::Basket::count(unsigned long) const"]
SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "targets", "inlined.cc")


def setUpModule():
    support.require_profiling()


def marked_lines():
    """Line numbers of the source by their marks."""
    with open(SOURCE, encoding="utf-8") as source:
        found = [(re.search(r"// mark: (\w+)$", line), number) for number, line in enumerate(source, 1)]
    return {match[1]: number for match, number in found if match}


class Inlined(unittest.TestCase):
    def profile(self, version, *options):
        session = support.run(self, [target(f"inlined_dwarf{version}"), "2"], options)
        return session.profile()

    def check_chains(self, version):
        return self.check_profile(self.profile(version), f"inlined_dwarf{version}")

    def check_profile(self, profile, program):
        """Nearly all time is in one loop, whose frames are one location with three lines."""
        inside = [sample for sample in profile.samples if sample.stack[-3:] == CHAIN]
        self.assertGreater(support.total_ns(inside), 0.9 * support.total_ns(profile.samples), support.folded(profile))
        places = set()
        for location in profile.locations.values():
            functions = [profile.functions[line.function_id] for line in location.line]
            if [profile.strings[f.name] for f in functions] != CHAIN[::-1]:
                continue
            self.assertTrue(all(os.path.samefile(profile.strings[f.filename], SOURCE) for f in functions), functions)
            places.add(tuple(line.line for line in location.line))
        marks = marked_lines()
        calls = (marks["total"], marks["checkout"])
        self.assertIn((marks["count"], *calls), places)
        self.assertEqual({place[1:] for place in places}, {calls})
        mapping = next(m for m in profile.message.mapping if profile.mapping_name(m) == program)
        self.assertTrue(mapping.has_functions and mapping.has_filenames and mapping.has_line_numbers and
                        mapping.has_inline_frames)
        self.assertFalse([key for key in profile.comments if "over_budget" in key])
        return profile

    def test_dwarf4(self):
        self.check_chains(4)

    def test_dwarf5(self):
        self.check_chains(5)

    def split(self, version):
        """The program with its functions in program.dwo."""
        folder = support.temporary_folder(self, mode=0o755)
        compiler = support.require_program("g++")
        subprocess.run([compiler, "-O2", "-fomit-frame-pointer", "-g", f"-gdwarf-{version}", "-gsplit-dwarf", "-c", SOURCE, "-o",
                        "program.o"], cwd=folder, check=True)
        subprocess.run([compiler, "program.o", "-o", "program", "-pthread"], cwd=folder, check=True)
        self.assertTrue(os.path.exists(os.path.join(folder, "program.dwo")))
        return os.path.join(folder, "program")

    def check_split(self, program):
        self.check_profile(support.run(self, [program, "2"]).profile(), "program")

    def test_split(self):
        """-gsplit-dwarf: where the compiler put the file, beside a program that moved, and in a package."""
        program = self.split(5)
        self.check_split(program)
        moved = support.temporary_folder(self, mode=0o755)
        for path in (program, program + ".dwo"):
            os.rename(path, os.path.join(moved, os.path.basename(path)))
        self.check_split(os.path.join(moved, "program"))

    def test_package(self):
        program = self.split(4)
        packer = support.require_program("llvm-dwp")
        subprocess.run([packer, "-e", program, "-o", program + ".dwp"], cwd=os.path.dirname(program), check=True, timeout=60)
        os.unlink(program + ".dwo")
        self.check_split(program)

    def test_readers(self):
        profile = self.profile(5)
        reporter = os.path.join(support.PREFIX, "bin", "ddprof-report")
        text = subprocess.run([reporter, profile.path], capture_output=True, text=True, check=True).stdout
        for name in CHAIN:
            self.assertIn(name, text)
        go = support.require_program("go")
        text = subprocess.run([go, "tool", "pprof", "-lines", "-traces", profile.path], capture_output=True, text=True,
                              env={**os.environ, "PPROF_TMPDIR": support.temporary_folder(self), "GOFLAGS": "-mod=mod"},
                              check=True).stdout
        line = marked_lines()["count"]
        self.assertRegex(text, rf"shop::Basket::count.*inlined\.cc:{line}\b")
        self.assertRegex(text, r"shop::total.*\(inline\)")

    def test_turned_off(self):
        profile = self.profile(5, "--inlined_functions", "no")
        self.assertNotIn(CHAIN[1], {name for sample in profile.samples for name in sample.stack})
        self.assertEqual({line.line for location in profile.message.location for line in location.line}, {0})
        self.assertFalse(any(m.has_line_numbers or m.has_inline_frames or m.has_filenames
                             for m in profile.message.mapping))


if __name__ == "__main__":
    support.main()
