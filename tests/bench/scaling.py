"""What the worker costs as a target becomes more processes, or more threads, that do the same work together and map the
same libraries: aimed at is no more per sample, however many there are."""

import os

import perf_tool
import processes
from statistics_table import Table, median, mib, summary

FREQUENCY = 999
COUNTS = (1, 10, 100, 1000)
CALIBRATION_ROUNDS = 20000
ROLES = ("supervisor", "unwinder", "symbolizer", "exporter")


def command(setup, kind, count, rounds):
    return [setup.program("many"), kind, str(count), str(rounds)]


def parse(run):
    if run.status != 0:
        raise SystemExit(f"bench: the workload ended with {run.status}")
    return tuple(map(int, run.output.split()))


def calibrate(setup):
    """Rounds that take about half of setup.seconds."""
    best = min(parse(processes.run(command(setup, "threads", 1, CALIBRATION_ROUNDS), setup.log))[1] for _ in range(3))
    return int(CALIBRATION_ROUNDS * setup.seconds / 2 * 1e9 / best)


def run_ours(setup, line, watch=None):
    run = processes.run(setup.launch(line, FREQUENCY), setup.log, watch)
    ledger, _ = setup.take_profiles()
    _, target_cpu_ns = parse(run)
    used = {role: sum(process.cpu_ns for process in run.processes if process.role == role) for role in ROLES}
    return {"samples": ledger["samples"], "lost": ledger["lost"], "unmapped": ledger.get("stacks.unmapped", 0),
            "target_cpu_ns": target_cpu_ns, "cpu_ns": used | {"all": sum(used.values())}}


def run_perf(setup, line):
    run, record = perf_tool.record(setup, line, FREQUENCY, script=False)
    parse(run)
    return {"samples": record.samples, "cpu_ns": {"all": sum(process.cpu_ns for process in record.processes)}}


def per_sample(runs, role="all"):
    return median([run["cpu_ns"][role] / 1e3 / max(run["samples"], 1) for run in runs])


def show(table, count, unprofiled, ours, perf, memory):
    slow_down = 100 * (median([run["target_cpu_ns"] for run in ours]) / median(unprofiled) - 1)
    unwinder = memory.get("unwinder", processes.Memory())
    table.add(count, f"{median([run['samples'] for run in ours]):.0f}", sum(run["lost"] for run in ours),
              sum(run["unmapped"] for run in ours), f"{slow_down:+.1f}",
              f"{median([run['cpu_ns']['all'] for run in ours]) / 1e6:.0f}", f"{per_sample(ours):.1f}",
              f"{per_sample(ours, 'unwinder'):.1f}", mib(unwinder.peak_rss), mib(unwinder.anonymous), unwinder.files,
              f"{per_sample(perf):.0f}" if perf else "-")
    return {"samples": summary([run["samples"] for run in ours]), "us_per_sample": per_sample(ours),
            "unwinder_us_per_sample": per_sample(ours, "unwinder"), "slow_down_percent": slow_down,
            "anonymous_kib": unwinder.anonymous, "files": unwinder.files,
            "perf_us_per_sample": per_sample(perf) if perf else None}


def measure(setup, kind, rounds):
    """Counts take turns, so that a machine that becomes busy is busy for all of them."""
    series = {count: ([], [], []) for count in COUNTS}
    for i in range(max(2, setup.repetitions // 2)):
        for count in COUNTS:
            setup.progress(f"{count} {kind}, round {i + 1}")
            line = command(setup, kind, count, rounds)
            unprofiled, ours, perf = series[count]
            unprofiled.append(parse(processes.run(line, setup.log))[1])
            ours.append(run_ours(setup, line))
            if setup.perf:
                perf.append(run_perf(setup, line))
    return series


def bench(setup):
    rounds = calibrate(setup)
    results = {}
    for kind in ("processes", "threads"):
        series = measure(setup, kind, rounds)
        table = Table(f"The same work by more {kind}, {FREQUENCY} Hz, {len(series[1][0])} rounds in turns",
                      [kind, "samples", "lost", "unmapped", "target %", "CPU ms", "us/sample", "unwinder", "RSS", "anon.",
                       "files", "perf us/sample"])
        results[kind] = {}
        for count, runs in series.items():
            watch = processes.MemoryWatch()
            run_ours(setup, command(setup, kind, count, rounds), watch)
            results[kind][count] = show(table, count, *runs, watch.memory)
        table.note("target %: more CPU time of the target than unprofiled. CPU ms, us/sample: all of our processes; then of "
                   "the unwinder its CPU time per sample, memory in MiB and open files. perf us/sample: perf record alone.")
        table.note(f"open files may be {os.sysconf('SC_OPEN_MAX')}")
        few, many = COUNTS[0], COUNTS[-1]
        more = [median([run["cpu_ns"]["all"] for run in series[count][1]]) for count in (few, many)]
        table.note(f"one more of the {kind}, from start to end: {(more[1] - more[0]) / 1e3 / (many - few):.0f} us of our CPU "
                   "time")
        setup.clear_progress()
        table.print()
    return results
