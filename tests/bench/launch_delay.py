"""The time a program waits for its main because of us: from just before the fork of `ddprof-launch prog` and of
`env prog`, in turns."""

import os
import time

import perf_event
import processes
from statistics_table import Table, error_of_median, median, milliseconds, quartiles, summary, verdict

AIM_MS = 3


def delay_ns(command, log_path):
    run = processes.run(command, log_path)
    return int(run.output) - run.started_ns


def measure(setup, pairs, pause_s=0, frequency=99):
    """Two lists of nanoseconds. Within a pair the two take turns in being first."""
    bare, profiled = [], []
    program = setup.program("print_clock")
    commands = [(bare, ["/usr/bin/env", program]), (profiled, setup.launch([program], frequency))]
    for i in range(pairs):
        for series, command in commands if i % 2 == 0 else reversed(commands):
            time.sleep(pause_s)
            series.append(delay_ns(command, setup.log))
        setup.remove_profiles()
    return bare, profiled


def add_row(table, results, name, bare, profiled):
    difference = median(profiled) - median(bare)
    error = (error_of_median(profiled) ** 2 + error_of_median(bare) ** 2) ** 0.5
    table.add(name, len(profiled), milliseconds(median(bare)), milliseconds(median(profiled)),
              " .. ".join(milliseconds(value) for value in quartiles(profiled)), milliseconds(difference),
              f"<= {AIM_MS}", verdict(difference / 1e6, AIM_MS, error / 1e6, len(profiled)))
    results[name] = {"env_ns": summary(bare), "launch_ns": summary(profiled), "difference_ns": difference}


def bench(setup):
    """Warm first, so that the cold cases do not profit from what came before them."""
    table = Table("Delay before the program's main, milliseconds (ddprof-launch --output DIR prog, env prog)",
                  ["perf in the kernel", "pairs", "env", "launch", "quartiles", "difference", "aim", "verdict"])
    results = {}
    pairs = 10 if setup.quick else 100
    cold_pairs = 3 if setup.quick else 40

    setup.progress("launch delay, warm")
    with perf_event.KeptWarm():
        add_row(table, results, "in use by another", *measure(setup, pairs))
        setup.progress("launch delay, large rings")
        add_row(table, results, "the same, 999 Hz", *measure(setup, pairs, frequency=999))
    setup.progress("launch delay, one after the other")
    add_row(table, results, "in use a moment ago", *measure(setup, pairs))
    setup.progress("launch delay, cold")
    add_row(table, results, "unused for 2 s", *measure(setup, cold_pairs, perf_event.COLD_AFTER_S))

    table.note("999 Hz: the rings are four times as large. They are mapped before the program starts, for every CPU: "
               "machines with many CPUs pay more.")
    setup.progress("perf_event_open alone")
    cold = perf_event.measure_cost(cold=True, repetitions=cold_pairs)
    with perf_event.KeptWarm():
        warm = perf_event.measure_cost(cold=False, repetitions=pairs)
    recent = perf_event.measure_cost(cold=False, repetitions=pairs)
    results["kernel_open_ns"] = {"in use by another": summary(warm), "in use a moment ago": summary(recent),
                                 "unused for 2 s": summary(cold)}
    table.note("Of this the kernel's own part, for opening the first two software events of anybody on this machine: "
               f"{milliseconds(median(warm), 3)} in use, {milliseconds(median(recent), 3)} a moment ago, "
               f"{milliseconds(median(cold), 3)} unused for 2 s")
    table.note(f"(quartiles of the latter {' .. '.join(milliseconds(value, 3) for value in quartiles(cold))}; "
               "any profiler pays it; another user of perf on this machine makes it vanish).")
    table.print()
    return results
