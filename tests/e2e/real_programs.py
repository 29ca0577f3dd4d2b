"""Programs nobody here wrote, profiled as they come from the distribution. As a test: plausible profiles. Run with
--markdown: the measured table."""

import collections
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

import support

PYTHON = """
def fib(n): return n if n < 2 else fib(n - 1) + fib(n - 2)
import json, re
fib(29)
text = json.dumps([{'a': i, 'b': str(i) * 3} for i in range(50000)])
for _ in range(30): json.loads(text); re.findall(r'[0-9]{3,}', text)
"""
NODE = """
function fib(n) { return n < 2 ? n : fib(n - 1) + fib(n - 2) }
let text = '';
while (process.cpuUsage().user < 1500000) { fib(24); text = JSON.stringify(Array.from({length: 2000}, (_, i) => ({i}))); JSON.parse(text) }
"""
CXX = """
#include <algorithm>
#include <iostream>
#include <map>
#include <regex>
#include <string>
#include <vector>
int main() { std::map<std::string, std::vector<int>> m; std::regex r("a(b|c)*d"); std::string s;
  while (std::getline(std::cin, s)) if (std::regex_match(s, r)) m[s].push_back(1);
  for (auto &[k, v] : m) { std::sort(v.begin(), v.end()); std::cout << k << v.size(); } }
"""

GO = """
package main
func fib(n int) int { if n < 2 { return n }; return fib(n-1) + fib(n-2) }
func work(done chan int) {
	sum := 0
	for j := 0; j < 30000; j++ {
		m := map[int]string{}
		for k := 0; k < 100; k++ { m[k] = string(rune(65 + fib(8)%26)) + m[k/2] }
		sum += len(m[99])
	}
	done <- sum
}
func main() { done := make(chan int); go work(done); go work(done); println(<-done + <-done) }
"""

SECONDS = object()  # of wall time, which is all that such a program can be told

Program = collections.namedtuple("Program", "name needs command executable expected")


def build_go(folder):
    """No CFI, but frame pointers; goroutines have stacks of their own."""
    source, program = os.path.join(folder, "goroutines.go"), os.path.join(folder, "goroutines")
    with open(source, "w", encoding="utf-8") as file:
        file.write(GO)
    if shutil.which("go"):
        subprocess.run(["go", "build", "-o", program, source], check=True, timeout=200, env={"GOCACHE": os.path.join(folder, "cache"), **os.environ})
    return program


def programs(folder):
    source = os.path.join(folder, "program.cc")
    with open(source, "w", encoding="utf-8") as file:
        file.write(CXX)
    data = os.path.join(folder, "data")
    with open(data, "wb") as file:
        file.write((b"the quick brown fox jumps over the lazy dog\n" * 200000) + os.urandom(6 << 20))
    # expected: what a person would look for in the profile; a stripped program may only show its file
    return [
        Program("python3", "/usr/bin/python3", ["/usr/bin/python3", "-c", PYTHON], "python3", r"_PyEval_EvalFrameDefault|^python3"),
        Program("node", "node", ["node", "-e", NODE], "node", r"node::|v8::|^node"),
        Program("gcc (cc1plus)", "g++", ["g++", "-O2", "-c", "-o", os.path.join(folder, "program.o"), source], "cc1plus", r"cc1plus"),
        Program("xz", "xz", ["xz", "-9", "-k", "-c", data], "xz", r"lzma|liblzma"),
        Program("openssl speed", "openssl", ["openssl", "speed", "-seconds", SECONDS, "-bytes", "16384", "sha256"], "openssl", r"libcrypto|SHA256|EVP_"),
        # assembly that keeps its stack pointer in rax across calls, and in the red zone
        Program("openssl aes-128-gcm", "openssl", ["openssl", "speed", "-seconds", SECONDS, "-bytes", "16384", "-evp", "aes-128-gcm"], "openssl", r"libcrypto|EVP_"),
        Program("openssl sha512", "openssl", ["openssl", "speed", "-seconds", SECONDS, "-bytes", "16384", "-evp", "sha512"], "openssl", r"libcrypto|EVP_"),
        Program("go", "go", [build_go(folder)], "goroutines", r"^main\.work"),
    ]


class Measured:
    def __init__(self, case, program):
        for seconds in (1, 4, 16):  # where others are on the CPUs, it takes longer to get half a second of them
            command = [str(seconds) if word is SECONDS else word for word in program.command]
            session = support.run(case, command, stdout=subprocess.DEVNULL)
            if session.status != 0:
                raise AssertionError(f"{program.name} ended with {session.status}: {session.stderr[-500:]!r}")
            self.profile = session.profile()
            if SECONDS not in program.command or self.profile.ledger("kernel_count_ns") >= 5e8:
                break
        self.samples = self.profile.samples
        self.count = sum(sample.count for sample in self.samples)
        self.root = 100 * self.profile.ledger("stacks.root") / max(self.profile.ledger("samples"), 1)
        self.named = support.share_of(self.samples, lambda s: not support.is_nameless(s.frames[-1]))
        self.endings = {key[len("ddprof.stacks."):]: int(value) for key, value in self.profile.comments.items()
                        if key.startswith("ddprof.stacks.") and int(value) and not key.endswith(".root")}

    def top(self):
        leaves = collections.Counter()
        for sample in self.samples:
            leaves[sample.stack[-1]] += sample.count
        return leaves.most_common(1)[0][0] if leaves else ""


class RealPrograms(unittest.TestCase):
    def test_programs(self):
        for program in programs(support.temporary_folder(self)):
            with self.subTest(program.name):
                if not shutil.which(program.needs):
                    support.skip(program.needs + " is not installed")
                measured = Measured(self, program)
                print(f"{program.name}: {measured.count} samples, {measured.root:.1f} % reach the root, "
                      f"{measured.named:.1f} % of leaves named, {measured.endings}, most often: {measured.top()}")
                self.assertGreaterEqual(measured.count, 40)
                self.assertTrue(any(s.stack[0].startswith(program.executable) for s in measured.samples))
                self.assertGreaterEqual(support.share_of(measured.samples, support.has_function(program.expected)), 50)
                self.assertGreaterEqual(measured.root, 50)


def setUpModule():
    support.require_profiling()


def version(program):
    flag = "version" if program.needs in ("openssl", "go") else "--version"
    text = subprocess.run([program.needs, flag], capture_output=True, text=True, check=False).stdout.splitlines()
    return text[0] if text else ""


def print_markdown():
    case = unittest.TestCase()
    print("| program | version | samples | stacks that reach the root | leaves with a name | other endings |")
    print("| --- | --- | ---: | ---: | ---: | --- |")
    with tempfile.TemporaryDirectory() as folder:
        for program in programs(folder):
            if not shutil.which(program.needs):
                continue
            measured = Measured(case, program)
            endings = ", ".join(f"{key} {value}" for key, value in measured.endings.items()) or "none"
            print(f"| {program.name} | {version(program)} | {measured.count} | {measured.root:.1f} % | {measured.named:.1f} % | {endings} |")
    case.doCleanups()


if __name__ == "__main__":
    if "--markdown" in sys.argv:
        print_markdown()
    else:
        support.main()
