"""Naming addresses by DWARF: what each tool needs for one address and for many, in time and memory.

The large file is one C++ object many times over, each with symbols of its own: some 1 GB of debug information in
units of 3 MB, as in a large C++ program."""

import os
import random
import re
import shutil
import subprocess

# Everything that makes compilers write much: templates, inlining, strings.
SOURCE = """
#include <algorithm>
#include <map>
#include <regex>
#include <string>
#include <vector>
int work(const std::vector<std::string> &lines)
{
	std::regex pattern("([a-z]+)=([0-9]+)");
	std::map<std::string, int> sums;
	std::smatch match;
	for (const auto &line : lines)
		if (std::regex_match(line, match, pattern))
			sums[match[1]] += std::stoi(match[2]);
	std::vector<std::pair<int, std::string>> order;
	for (const auto &[name, sum] : sums)
		order.emplace_back(sum, name);
	std::sort(order.begin(), order.end());
	return order.empty() ? 0 : order.back().first;
}
"""
COPIES = 340
ADDRESSES = 10000


def make_files(setup):
    """(label, path): a small and a large file; libc's own debug file if it is installed."""
    path = lambda name: os.path.join(setup.scratch, name)
    with open(path("work.cc"), "w", encoding="utf-8") as file:
        file.write(SOURCE)
    command = lambda *argv: subprocess.run(argv, check=True, cwd=setup.scratch, stderr=subprocess.DEVNULL)
    command("c++", "-std=c++17", "-O2", "-g", "-fPIC", "-c", "work.cc")
    link = lambda target, *objects: command("c++", "-shared", "-nostdlib", "-Wl,--unresolved-symbols=ignore-all",
                                            "-o", target, *objects)
    link("small.so", "work.o")
    yield "small", path("small.so")
    libc = libc_debug_file()
    if libc:
        yield "libc6-dbg", libc
    if setup.quick:
        return
    for i in range(COPIES):
        setup.progress(f"large file: {i}")
        command("objcopy", f"--prefix-symbols=p{i}_", "work.o", f"{i}.o")
    link("large.so", *[f"{i}.o" for i in range(COPIES)])
    for i in range(COPIES):
        os.unlink(path(f"{i}.o"))
    yield "large", path("large.so")


def libc_debug_file():
    text = subprocess.run(["readelf", "-n", "/lib/x86_64-linux-gnu/libc.so.6"], capture_output=True, text=True,
                          check=False).stdout
    found = re.search(r"Build ID: (..)(\w+)", text)
    path = found and f"/usr/lib/debug/.build-id/{found[1]}/{found[2]}.debug"
    return path if path and os.path.exists(path) else None


def random_addresses(path, count):
    text = subprocess.run(["readelf", "-SW", path], capture_output=True, text=True, check=True).stdout
    sections = [(int(address, 16), int(size, 16)) for address, size in
                re.findall(r"\] \.text\S*\s+\w+\s+([0-9a-f]+) [0-9a-f]+ ([0-9a-f]+)", text)]
    chooser = random.Random(1)
    return [chooser.randrange(size) + start
            for start, size in chooser.choices(sections, [size for _, size in sections], k=count)]


def tools(setup, path):
    candidates = {
        "ddprof": [os.path.join(setup.programs, "../symbolize/print_sources"), path],
        "llvm-symbolizer": ["llvm-symbolizer", "--inlines", "--no-demangle", "--obj", path],
        "eu-addr2line": ["eu-addr2line", "-i", "-f", "-e", path],
        "addr2line": ["addr2line", "-i", "-f", "-e", path],
    }
    return {name: argv for name, argv in candidates.items() if shutil.which(argv[0])}


def measure(setup, argv, addresses):
    """Seconds of CPU and MB at the peak."""
    given = os.path.join(setup.scratch, "addresses")
    with open(given, "w", encoding="ascii") as file:
        file.writelines(f"{address:#x}\n" for address in addresses)
    with open(given, encoding="ascii") as file, open(os.devnull, "w", encoding="ascii") as nowhere:
        process = subprocess.Popen(argv, stdin=file, stdout=nowhere, stderr=nowhere)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = status
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def bench(setup):
    results = []
    print("\nSymbolizers: CPU time for one address, per address of "
          f"{ADDRESSES}, and memory at the peak (aim: 256 MB; 10 us per address where the unit is known)")
    for label, path in make_files(setup):
        size = os.path.getsize(path) / 1e6
        for name, argv in tools(setup, path).items():
            setup.progress(f"{label}: {name}")
            addresses = random_addresses(path, ADDRESSES)
            runs = [measure(setup, argv, addresses[:1]) for _ in range(setup.repetitions)]
            one = min(seconds for seconds, _ in runs)
            many, peak = measure(setup, argv, addresses)
            setup.clear_progress()
            print(f"{label:10} {size:7.1f} MB  {name:16} one {one * 1e3:9.1f} ms   each of many "
                  f"{many / ADDRESSES * 1e6:8.1f} us   peak {peak:7.1f} MB")
            results.append({"file": label, "tool": name, "one_s": one, "many_s": many, "peak_mb": peak})
    return results
