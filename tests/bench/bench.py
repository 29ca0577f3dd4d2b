#!/usr/bin/env python3
"""What ddprof-launch costs: delay before main, slow-down, the worker's CPU and memory, and perf beside it.

Measures installed programs; run it on a quiet machine. Every line says what was aimed at, and how much of a
difference is noise."""

import argparse
import json
import os
import platform
import re
import shutil
import sys
import tempfile

sys.dont_write_bytecode = True

# pylint: disable=wrong-import-position
import interruptions
import launch_delay
import levels
import memory
import perf_tool
import processes
import profile_comments
import programs
import samply_tool
import scaling
import slow_down
import symbolizers
import target_filter
import unwind_engines
import ways

SECTIONS = {"launch": launch_delay.bench, "interruptions": interruptions.bench, "levels": levels.bench, "slow": slow_down.bench,
            "filter": target_filter.bench, "ways": ways.bench, "scaling": scaling.bench, "programs": programs.bench,
            "memory": memory.bench, "unwind": unwind_engines.bench, "symbolize": symbolizers.bench}


class Setup:
    """What every measurement needs: programs, a folder for what they write, how much to do."""

    def __init__(self, options):
        self.quick = options.quick
        self.seconds = options.seconds or (1 if options.quick else 10)
        self.repetitions = options.repetitions or (2 if options.quick else 7)
        self.cpus = len(os.sched_getaffinity(0))
        self.launcher = os.path.join(options.prefix, "bin/ddprof-launch")
        self.programs = options.programs
        self.perf = None if options.no_perf else perf_tool.find()
        self.samply = None if options.no_perf else samply_tool.find()
        self.frequencies = [99, 999]
        self.scratch = tempfile.mkdtemp(prefix="ddprof-bench-")
        self.profiles = os.path.join(self.scratch, "profiles")
        self.log = os.path.join(self.scratch, "log")
        os.mkdir(self.profiles)

    def program(self, name):
        return os.path.join(self.programs, name)

    def launch(self, command, frequency, options=()):
        event = [] if frequency == 99 else ["-e", f"sCPU freq={frequency}"]
        return [self.launcher, *event, *options, "--output", self.profiles, *command]

    def remove_profiles(self):
        for name in os.listdir(self.profiles):
            os.unlink(os.path.join(self.profiles, name))

    def take_profiles(self):
        """The sum of all ledgers and the files' size."""
        ledger, size = {"samples": 0, "lost": 0}, 0
        for name in os.listdir(self.profiles):
            path = os.path.join(self.profiles, name)
            size += os.path.getsize(path)
            for key, value in profile_comments.ledger(profile_comments.read(path)).items():
                ledger[key] = ledger.get(key, 0) + value
        self.remove_profiles()
        return ledger, size

    def progress(self, text):
        if sys.stderr.isatty():
            print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)

    def clear_progress(self):
        self.progress("")


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--prefix", default="/usr/local", help="where ddprof-launch is installed (%(default)s)")
    parser.add_argument("--programs", required=True, help="folder with print_clock and fixed_work")
    parser.add_argument("--built", help="the ddprof-worker of the build tree, to notice an older installation")
    parser.add_argument("--quick", action="store_true", help="a minute, to see that everything works")
    parser.add_argument("--json", metavar="FILE", help="write all results there, too")
    parser.add_argument("--only", choices=SECTIONS, help="one section")
    parser.add_argument("--seconds", type=float, help="length of an unprofiled run of the workload")
    parser.add_argument("--repetitions", type=int, help="runs of the workload of each kind")
    parser.add_argument("--no-perf", action="store_true", help="do not compare with perf and samply")
    return parser.parse_args()


def check_installation(options):
    launcher = os.path.join(options.prefix, "bin/ddprof-launch")
    worker = os.path.join(options.prefix, "libexec/ddprof/ddprof-worker")
    for path in (launcher, worker):
        if not os.path.exists(path):
            sys.exit(f"bench: {path} does not exist; install first: cmake --install BUILD_FOLDER")
    if options.built and int(os.path.getmtime(worker)) < int(os.path.getmtime(options.built)):
        sys.exit(f"bench: {worker} is older than the one just built; install again: cmake --install BUILD_FOLDER")


def check_profiling(setup):
    """A measurement of a profiler that does not profile would look very good."""
    processes.run(setup.launch([setup.program("fixed_work"), "1", "20000"], frequency=999), setup.log)
    ledger, _ = setup.take_profiles()
    if ledger["samples"] == 0:
        with open(setup.log, encoding="utf-8", errors="replace") as log:
            sys.exit("bench: nothing was profiled:\n" + log.read())


def add_what_the_policy_allows(setup):
    """Most machines allow 1000 Hz."""
    status = processes.run([setup.launcher, "--require", "--output", setup.profiles, "-e", "sCPU freq=4999", "true"],
                           setup.log).status
    setup.remove_profiles()
    if status == 0:
        setup.frequencies.append(4999)
    else:
        print("4999 Hz: left out; max_frequency = 5000 in /etc/ddprof/policy.conf would allow it")


def machine(setup):
    model = ""
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        found = re.search(r"^model name\s*:\s*(.*)$", file.read(), re.MULTILINE)
        model = found.group(1) if found else platform.machine()
    with open("/proc/sys/kernel/perf_event_paranoid", encoding="utf-8") as file:
        paranoid = file.read().strip()
    return {"cpus": setup.cpus, "model": model, "kernel": platform.release(), "machine": platform.machine(),
            "perf_event_paranoid": paranoid, "load_before": os.getloadavg()[0],
            "perf": perf_tool.version(setup.perf) if setup.perf else None}


def print_machine(facts, setup):
    print(f"{facts['cpus']} CPUs ({facts['model']}), Linux {facts['kernel']} {facts['machine']}, "
          f"perf_event_paranoid {facts['perf_event_paranoid']}, {facts['perf'] or 'no perf'}")
    print(f"load before: {facts['load_before']:.2f}" +
          (" - NOT A QUIET MACHINE: read the noise first" if facts["load_before"] > 0.3 else ""))
    if setup.quick:
        print("--quick: shows that it works, not what it costs")


def main():
    options = parse_arguments()
    for variable in [name for name in os.environ if name.startswith(("DD_", "DDPROF_"))]:
        del os.environ[variable]  # nothing exported may change what is measured
    check_installation(options)
    setup = Setup(options)
    try:
        check_profiling(setup)
        add_what_the_policy_allows(setup)
        results = {"machine": machine(setup), "quick": setup.quick}
        print_machine(results["machine"], setup)
        for name, bench in SECTIONS.items():
            if options.only in (None, name):
                results[name] = bench(setup)
                setup.clear_progress()
    finally:
        shutil.rmtree(setup.scratch)
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(results, file, indent=1)


if __name__ == "__main__":
    main()
