"""Our unwinder beside others, on the same recorded samples: time per frame, memory, and how far the stacks agree.

libdwfl and libunwind are linked into unwind_bench; perf script and samply (framehop) are programs of their own, so
that their figures hold everything they do with a sample."""

import gzip
import json
import os
import re
import shutil
import subprocess

from statistics_table import Table, median

STACK_BYTES = 32768
SOURCE = "#include <map>\n#include <regex>\n#include <string>\nint main() { std::regex r(\"a(b|c)*d\"); " \
         "std::map<std::string, int> m; return std::regex_match(\"abcd\", r) + m[\"x\"]; }\n"
SCRIPT = """
import re, time
def deep(levels, end):
    if levels:
        return deep(levels - 1, end)
    while time.process_time() < end:
        sorted(re.findall("[a-m]+", "the quick brown fox" * 50), key=lambda word: word[::-1])
deep(20, %d)
"""


def programs(setup):
    """What is recorded: name and command; those that are not installed are left out."""
    seconds = 1 if setup.quick else 3
    source = os.path.join(setup.scratch, "source.cc")
    with open(source, "w", encoding="utf-8") as file:
        file.write(SOURCE)
    wanted = {"g++ (cc1plus)": ["g++", "-O2", "-S", "-o", "/dev/null", source],
              "python3": ["/usr/bin/python3", "-c", SCRIPT % seconds],
              "openssl": ["openssl", "speed", "-seconds", str(seconds), "sha256"],
              "node": ["node", "-e", f"const end = Date.now() + {seconds}000; const deep = n => n ? deep(n - 1) + 1 : "
                       "JSON.stringify(JSON.parse('[1,2,3]')).length; while (Date.now() < end) deep(30)"]}
    return {name: command for name, command in wanted.items() if shutil.which(command[0])}


def record(setup, command):
    data = os.path.join(setup.scratch, "unwind.data")
    subprocess.run([setup.perf, "record", "-q", "-F", "999", "-e", "cpu-clock:u", "--call-graph", f"dwarf,{STACK_BYTES}",
                    "-o", data, "--", *command], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return data


def cpu_of(command, output):
    """Seconds of CPU time and peak memory in KiB of a program, or None if it failed."""
    with open(output, "wb") as file:
        pid = os.posix_spawn(shutil.which(command[0]), command, os.environ, file_actions=[
            (os.POSIX_SPAWN_DUP2, file.fileno(), 1), (os.POSIX_SPAWN_OPEN, 2, "/dev/null", os.O_WRONLY, 0)])
        _, status, usage = os.wait4(pid, 0)
    return (usage.ru_utime + usage.ru_stime, usage.ru_maxrss) if status == 0 else None


def read_perf_stacks(path, pid):
    """By time in nanoseconds: the frames' places within their pages, all that does not depend on how perf counts."""
    stacks, current = {}, None
    with open(path, encoding="utf-8", errors="replace") as file:
        for line in file:
            head = re.match(r"\s*(\d+)\s+(\d+)\.(\d{9}):", line)
            if head:
                current = stacks.setdefault(int(head[2] + head[3]), []) if int(head[1]) == pid else []
            elif line.strip() and current is not None:
                current.append(int(line.split()[0], 16) & 0xfff)
    return stacks


def compare(ours_path, theirs):
    """How theirs relate to ours: counts of exact, shorter, longer, diverging."""
    counts = {"exact": 0, "shorter": 0, "longer": 0, "diverging": 0}
    frames = samples = 0
    with open(ours_path, encoding="utf-8") as file:
        for line in file:
            time, *pcs = line.split()
            their = theirs.get(int(time))
            if their is None:
                continue
            ours = [int(pc, 16) & 0xfff for pc in pcs]
            common = min(len(ours), len(their))
            samples += 1
            frames += len(their)
            counts["diverging" if ours[:common] != their[:common] else
                   "exact" if len(ours) == len(their) else "shorter" if len(their) < len(ours) else "longer"] += 1
    return counts | {"frames": frames / samples if samples else 0, "samples": samples}


def samply_frames(path, pid):
    """Frames per sample of the process."""
    with gzip.open(path) as file:
        profile = json.load(file)
    frames = samples = 0
    for thread in profile["threads"]:
        if str(thread["pid"]).split(".", maxsplit=1)[0] != str(pid):
            continue
        depth = []
        for prefix in thread["stackTable"]["prefix"]:
            depth.append(1 + (depth[prefix] if prefix is not None else 0))
        stacks = [stack for stack in thread["samples"]["stack"] if stack is not None]
        frames += sum(depth[stack] for stack in stacks)
        samples += len(stacks)
    return {"frames": frames / samples if samples else 0, "samples": samples}


def whole_programs(setup, data, pid, all_samples, ours_path):
    """From the file to stacks or names: microseconds of CPU per sample of the recording, median of the runs."""
    output = os.path.join(setup.scratch, "unwind.out")
    script = [setup.perf, "script", "--no-inline", "--ns", "--max-stack", "512", "-i", data]
    replay = os.path.join(os.path.dirname(setup.launcher), "ddprof-replay")
    commands = {"ddprof-replay (names)": [replay, "-o", output + ".pprof", data],
                "perf script -F ip (no names)": [*script, "-F", "pid,time,ip"],
                "perf script (names)": script}
    samply = shutil.which("samply")
    if samply:
        commands["samply import (no names)"] = [samply, "import", "--save-only", "--no-open", "-o", output + ".json.gz",
                                                data]
    results = {}
    for name, command in commands.items():
        runs = [run for run in (cpu_of(command, output) for _ in range(1 if setup.quick else 3)) if run]
        if not runs:
            continue
        results[name] = {"us": 1e6 * median([cpu for cpu, _ in runs]) / all_samples, "peak_kib": runs[-1][1]}
        if "-F" in command:
            results[name] |= compare(ours_path, read_perf_stacks(output, pid))
        elif command[0] == samply:
            results[name] |= samply_frames(output + ".json.gz", pid)
    return results


def bench_program(setup, name, command):
    data = record(setup, command)
    stacks = os.path.join(setup.scratch, "stacks")
    engines = json.loads(subprocess.run([setup.program("unwind_bench"), data, stacks], check=True, capture_output=True,
                                        text=True).stdout)
    listing = subprocess.run([setup.perf, "script", "-i", data, "-F", "time", "-G"], check=False, capture_output=True,
                             text=True).stdout
    all_samples = max(1, sum(1 for line in listing.splitlines() if line.strip()))
    result = {"engines": engines, "programs": whole_programs(setup, data, engines["pid"], all_samples, stacks)}
    print_tables(name, result)
    os.unlink(data)
    return result


def share(part, whole):
    return f"{100 * part / whole:.1f} %" if whole else "-"


def agreement(row, samples):
    return [share(row[key], samples) if key in row else "-" for key in ("exact", "shorter", "longer", "diverging")]


def print_tables(name, result):
    engines = result["engines"]
    table = Table(f"Unwinding {name}: {engines['samples']} samples", [
        "", "hot ns/frame", "least", "cold", "first pass", "anonymous KiB", "frames/sample", "exact", "shorter", "longer", "diverging"])
    for row in engines["engines"]:
        table.add(row["name"], f"{row['hot_ns']:.1f}", f"{row['least_ns']:.1f}", f"{row['cold_ns']:.1f}", f"{row['first_ns']:.1f}",
                  row["anonymous_kib"], f"{row['frames']:.1f}", *agreement(row, engines["samples"]))
    table.note(f"ours, from the ring to the aggregated stack: {engines['ring_sample_ns'] / 1000:.2f} us per sample, "
               f"least {engines['ring_sample_least_ns'] / 1000:.2f} (aim: 1.5 us at 30 frames)")
    table.print()
    table = Table("Whole programs on the same recording", [
        "", "CPU us/sample", "peak MiB", "frames/sample", "exact", "shorter", "longer", "diverging"])
    for program, row in result["programs"].items():
        table.add(program, f"{row['us']:.1f}", f"{row['peak_kib'] / 1024:.0f}",
                  f"{row['frames']:.1f}" if "frames" in row else "-", *agreement(row, row.get("samples", 0)))
    table.print()


def bench(setup):
    if not setup.perf or not os.path.exists(setup.program("unwind_bench")):
        print("\nUnwinding: left out, it needs perf and libunwind-dev")
        return {}
    results = {}
    for name, command in programs(setup).items():
        setup.progress(f"unwinding {name}")
        results[name] = bench_program(setup, name, command)
    return results
