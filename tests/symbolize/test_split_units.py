#!/usr/bin/python3
"""Chains, files and lines of programs whose debug information was split (-gsplit-dwarf): the same as without, for gcc and
clang, DWARF 4 and 5, from .dwo files and from a package, plain and compressed, where the compiler put them or beside the
program; and from no file of another build.

    test_split_units.py PRINT_SOURCES SOURCE.cc...
"""

import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile

import compare_sources
import test_go_names

COUNT = 10000
# Without its debug information, a program's code is the same.
COMPILERS = ("c++", "clang++")


def run(*command, **named):
    subprocess.run(command, check=True, capture_output=True, **named)


def compile_program(folder, compiler, sources, *flags):
    """In `folder`, as the compiler's working folder; the objects are in one below."""
    os.makedirs(os.path.join(folder, "objects"))
    objects = []
    for source in sources:
        objects.append("./objects/" + os.path.basename(source) + ".o")
        run(compiler, "-std=c++17", "-O2", "-g", *flags, "-c", source, "-o", objects[-1], cwd=folder)
    run(compiler, "-o", "program", *objects, cwd=folder)
    return os.path.join(folder, "program")


def same_folder(frames, old, new):
    return [(name, path.replace(old, new), line) for name, path, line in frames]


def make_package(program):
    tool = shutil.which("llvm-dwp")
    if not tool:
        test_go_names.unavailable("llvm-dwp is not installed")
    run(tool, "-e", program, "-o", program + ".dwp", cwd=os.path.dirname(program))


class Case:
    """One compiler's program, split and not."""

    def __init__(self, printer, folder, compiler, sources, flags):
        self.printer, self.folder, self.failures = printer, folder, 0
        self.skeleton = None  # answers without the other halves
        self.name = f"{compiler} {' '.join(flags)}"
        self.whole_folder, self.split_folder = os.path.join(folder, "whole"), os.path.join(folder, "split")
        self.whole = compile_program(self.whole_folder, compiler, sources, *flags)
        self.split = compile_program(self.split_folder, compiler, sources, *flags, "-gsplit-dwarf")
        self.addresses = compare_sources.random_addresses(self.split, COUNT)
        self.expected = self.ask(self.whole)

    def ask(self, program):
        return compare_sources.ours(self.printer, program, self.addresses)

    def report(self, label, answers, is_good):
        here = (same_folder(frames, self.split_folder, self.whole_folder) for frames in answers)
        share = sum(one == other for one, other in zip(here, self.expected)) / COUNT
        print(f"{self.name}, {label}: {100 * share:.2f} % as without -gsplit-dwarf{'' if is_good(share) else ' WRONG'}")
        self.failures += not is_good(share)

    def expect(self, label, program):
        self.report(label, self.ask(program), lambda share: share == 1)

    def expect_skeleton_only(self, label):
        answers = self.ask(self.split)
        if self.skeleton is None:
            self.skeleton = answers
        self.report(label, answers, lambda share: share < 0.9 and answers == self.skeleton)

    def files(self):
        return glob.glob(os.path.join(self.split_folder, "objects", "*.dwo"))


def check_places(case):
    case.expect("where the compiler put them", case.split)
    moved = os.path.join(case.folder, "moved")
    os.makedirs(moved)
    for path in case.files():
        os.rename(path, os.path.join(moved, os.path.basename(path)))
    case.expect_skeleton_only("moved away")
    shutil.copy(case.split, moved)
    case.expect("beside the program", os.path.join(moved, "program"))
    for path in glob.glob(os.path.join(moved, "*.dwo")):
        os.rename(path, os.path.join(case.split_folder, "objects", os.path.basename(path)))


def check_package(case):
    make_package(case.split)
    for path in case.files():
        os.rename(path, path + ".away")
    case.expect("a package", case.split)
    run("objcopy", "--compress-debug-sections=zlib", case.split + ".dwp")
    case.expect("a compressed package", case.split)
    os.unlink(case.split + ".dwp")
    for path in glob.glob(os.path.join(case.split_folder, "objects", "*.away")):
        os.rename(path, path[:-len(".away")])


def check_other_build(case):
    """All files are there and fine, but each has another unit's id."""
    files = sorted(case.files())
    os.rename(files[0], files[0] + ".first")
    for one, other in zip(files, files[1:]):
        os.rename(other, one)
    os.rename(files[0] + ".first", files[-1])
    case.expect_skeleton_only("of other units")


def check_missing_files(printer, folder):
    """Of a program whose files are all elsewhere, no more than 16 are asked for, and its package."""
    sources = []
    for number in range(20):
        sources.append(os.path.join(folder, f"part{number}.cc"))
        with open(sources[-1], "w", encoding="ascii") as file:
            file.write(f"int part{number}(int x) {{ return x * {number + 3}; }}\n" + "int main() { return 0; }\n" * (number == 0))
    program = compile_program(os.path.join(folder, "parts"), "c++", sources, "-gsplit-dwarf")
    symbols = subprocess.run(["nm", program], check=True, capture_output=True, text=True).stdout
    addresses = "".join(f"0x{line.split()[0]}\n" for line in symbols.splitlines() if "part" in line)
    asked = []
    for away in (False, True):
        for path in glob.glob(os.path.join(folder, "parts", "objects", "*.dwo")) * away:
            os.unlink(path)
        cost = subprocess.run([printer, program], input=addresses, check=True, capture_output=True, text=True).stderr
        asked.append(int(re.search(r"files (\d+)", cost)[1]))
    print(f"20 units: asked for {asked[0]} files, and {asked[1]} when they are all missing")
    return asked != [21, 17]


def main():
    printer, *sources = sys.argv[1:]
    with tempfile.TemporaryDirectory(prefix="ddprof-split-") as folder:
        failures = check_missing_files(printer, folder)
    for compiler in COMPILERS:
        if not shutil.which(compiler):
            test_go_names.unavailable(compiler + " is not installed")
        for version in ("4", "5"):
            with tempfile.TemporaryDirectory(prefix="ddprof-split-") as folder:
                case = Case(printer, os.path.join(folder, "1"), compiler, sources, (f"-gdwarf-{version}",))
                check_places(case)
                check_package(case)
                check_other_build(case)
                types = Case(printer, os.path.join(folder, "2"), compiler, sources,
                             (f"-gdwarf-{version}", "-fdebug-types-section", "-gz"))
                types.expect("where the compiler put them", types.split)
                failures += case.failures + types.failures
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
