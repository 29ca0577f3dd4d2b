"""The same slow-down seen from inside: which share of its time a spinning thread loses to interruptions. The clock
notices a microsecond, where run times on a shared machine scatter by percents."""

import processes
import slow_down
from statistics_table import Table, error_of_median, median, quartiles, summary, verdict


def lost_percent(setup, kind):
    """And what the profile says of it; None where there is none of ours. Both of the time by the clock, during which a
    busy machine lets the thread run, and be sampled, less."""
    command, estimate_ns = [setup.program("interruptions"), str(max(1, setup.seconds / 4))], None
    if kind.name == "ddprof":
        ended = processes.run(setup.launch(command, kind.frequency), setup.log)
        ledger, _ = setup.take_profiles()
        estimate_ns = ledger["overhead.target_estimate_ppm"] / 1e6 * ledger["kernel_count_ns"]
    else:
        ended = slow_down.run(setup, kind, command)
    watched_ns, _, sum_ns, _ = map(int, ended.output.split())
    return 100 * sum_ns / watched_ns, estimate_ns and 100 * estimate_ns / watched_ns


def bench(setup):
    plan = slow_down.kinds(setup)
    series, estimates = {kind: [] for kind in plan}, {kind: [] for kind in plan}
    repetitions = 3 * setup.repetitions
    for i in range(repetitions):
        setup.progress(f"interruptions, round {i + 1} of {repetitions}")
        for kind in plan[i % len(plan):] + plan[:i % len(plan)]:
            percent, estimate = lost_percent(setup, kind)
            series[kind].append(percent)
            estimates[kind] += [] if estimate is None else [estimate]
    setup.clear_progress()
    table = Table("Time a spinning thread loses to interruptions of 1 to 100 us (in turns; one core is free)",
                  ["", "runs", "median %", "quartiles", "more than unprofiled", "estimated by us", "us/sample", "aim", "verdict"])
    base, results = series[plan[0]], {}
    for kind, values in series.items():
        more = median(values) - median(base)
        error = (error_of_median(values) ** 2 + error_of_median(base) ** 2) ** 0.5
        aim = slow_down.AIM_PERCENT.get(kind.frequency)
        table.add(kind.label, len(values), f"{median(values):.3f}",
                  " .. ".join(f"{value:.3f}" for value in quartiles(values)),
                  f"{more:+.3f}" if kind.frequency else "",
                  f"{median(estimates[kind]):.3f}" if estimates[kind] else "", f"{1e4 * more / kind.frequency:.1f}" if kind.frequency else "",
                  f"<= {aim}" if kind.frequency else "",
                  verdict(more, aim, error, len(values)) if kind.name == "ddprof" else "")
        results[kind.label] = summary(values) | {"estimated_percent": median(estimates[kind]) if estimates[kind] else None}
    table.print()
    return results
