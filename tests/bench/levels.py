"""What each level of sampling costs, for a program whose stack is shallow and one whose stack is deep; and what it costs
to have the events of all levels open: at the launch, and for each thread and process that the program starts."""

import launch_delay
import perf_event
import processes
from statistics_table import Table, error_of_median, median, milliseconds, summary

FREQUENCY = 999
FRAME_BYTES = 560  # of a call in interruptions.c
DEPTHS = {"shallow": 4, "deep": 110}
LEVELS = {"1 KB alone": ["--stack_sample_size", "1024"], "chain + 1 KB": ["--unwind", "fp"],
          "8 KB": ["--stack_sample_size", "8192"], "32 KB": ["--stack_sample_size", "32768"],
          "64 KB": ["--stack_sample_size", "65528"]}
ALL_OPEN, ONE_OPEN = [], ["--stack_sample_size", "32768"]


def watch(setup, depth, options):
    """Which share of its time the program lost, in percent; the unwinder's CPU time and samples."""
    command = [setup.program("interruptions"), str(max(1, setup.seconds / 4)), str(depth)]
    run = processes.run(setup.launch(command, FREQUENCY, options) if options else command, setup.log)
    ledger, _ = setup.take_profiles()
    watched_ns, _, sum_ns, _ = map(int, run.output.split())
    unwinder_ns = sum(process.cpu_ns for process in run.processes if process.role == "unwinder")
    return 100 * sum_ns / watched_ns, unwinder_ns / 1e3 / max(1, ledger["samples"])


def bench_samples(setup):
    kinds = [(name, level) for name in DEPTHS for level in [None, *LEVELS]]
    lost, unwinder = {kind: [] for kind in kinds}, {kind: [] for kind in kinds}
    rounds = 3 * setup.repetitions
    for i in range(rounds):
        setup.progress(f"levels, round {i + 1} of {rounds}")
        for kind in kinds[i % len(kinds):] + kinds[:i % len(kinds)]:
            percent, own_us = watch(setup, DEPTHS[kind[0]], LEVELS.get(kind[1]))
            lost[kind].append(percent)
            unwinder[kind].append(own_us)
    setup.clear_progress()
    table = Table(f"One sample of each level, {FREQUENCY} Hz (in turns; one core is free)",
                  ["stack", "level", "runs", "lost %", "us/sample in the target", "+-", "us/sample in the unwinder", "stack bytes"])
    results = {}
    for name, depth in DEPTHS.items():
        base = lost[name, None]
        for level, options in LEVELS.items():
            values = lost[name, level]
            more = 1e4 * (median(values) - median(base)) / FREQUENCY
            error = 1e4 * (error_of_median(values) ** 2 + error_of_median(base) ** 2) ** 0.5 / FREQUENCY
            most = int(options[1]) if options[1].isdigit() else 1024
            table.add(name, level, len(values), f"{median(values):.3f}", f"{more:.1f}", f"{error:.1f}",
                      f"{median(unwinder[name, level]):.1f}", min(most, depth * FRAME_BYTES))
            results[f"{name} {level}"] = {"lost_percent": summary(values), "unwinder_us": summary(unwinder[name, level])}
        results[f"{name} unprofiled"] = {"lost_percent": summary(base)}
    table.note("in the unwinder: all its CPU time, its start and the profile included")
    table.print()
    return results


def bench_open(setup):
    names = {"one level": ONE_OPEN, "all levels": ALL_OPEN}
    launch = {name: [] for name in names}
    tasks = {name: [] for name in ["unprofiled", *names]}
    rounds = 6 if setup.quick else 60
    with perf_event.KeptWarm():
        for i in range(rounds):
            setup.progress(f"levels, launch {i + 1} of {rounds}")
            for name in list(names)[::1 if i % 2 else -1]:
                launch[name].append(launch_delay.delay_ns(setup.launch([setup.program("print_clock")], 99, names[name]), setup.log))
            for name in list(tasks)[:: 1 if i % 2 else -1] if i % 4 == 0 else []:
                command = [setup.program("thread_cost")]
                run = processes.run(setup.launch(command, 99, names[name]) if name in names else command, setup.log)
                tasks[name].append(list(map(int, run.output.split())))
            setup.remove_profiles()
    setup.clear_progress()
    table = Table(f"Events of one level or of all four, {setup.cpus} CPUs (in turns; perf in use by another)",
                  ["", "to main, ms", "least", "thread us", "process us", "two switches us"])
    for name, values in tasks.items():
        times = [f"{median(run[i] for run in values) / 1e3:.1f}" for i in range(3)]
        delays = launch.get(name)
        table.add(name, milliseconds(median(delays)) if delays else "", milliseconds(min(delays)) if delays else "", *times)
    table.note("thread and process: start, end and wait")
    table.print()
    return {"launch_ns": {name: summary(values) for name, values in launch.items()}, "tasks_ns": tasks}


def bench(setup):
    return {"samples": bench_samples(setup), "open": bench_open(setup)}
