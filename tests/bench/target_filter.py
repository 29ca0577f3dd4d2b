"""What the filter of --drop-caps adds to each system call of the target, and how much of that is the kernel's price for
any filter at all."""

import subprocess

from statistics_table import Table, error_of_median, median, quartiles, summary, verdict

AIM_NS = 15
COLUMNS = ("none", "empty", "target")  # what call_cost prints


def measure(setup, rounds):
    """For each call, by filter: nanoseconds, turn by turn."""
    output = subprocess.run([setup.program("call_cost"), str(rounds)], check=True, capture_output=True, text=True).stdout
    series = {}
    for line in output.splitlines():
        call, *costs = line.split()
        for column, cost in zip(COLUMNS, costs):
            series.setdefault(call, {name: [] for name in COLUMNS})[column].append(float(cost))
    return series


def bench(setup):
    setup.progress("target filter")
    table = Table("A system call of the target under --drop-caps, nanoseconds (three processes on one CPU, in turns)",
                  ["", "turns", "no filter", "empty filter", "ours", "ours - none", "quartiles", "ours - empty", "aim", "verdict"])
    results = {}
    series = measure(setup, 50 if setup.quick else 1500)
    setup.clear_progress()
    for call, costs in series.items():
        added = [ours - none for ours, none in zip(costs["target"], costs["none"])]
        more_than_empty = [ours - empty for ours, empty in zip(costs["target"], costs["empty"])]
        table.add(call, len(added), *(f"{median(costs[name]):.0f}" for name in COLUMNS), f"{median(added):+.1f}",
                  " .. ".join(f"{value:.1f}" for value in quartiles(added)), f"{median(more_than_empty):+.1f}",
                  f"<= {AIM_NS}", verdict(median(added), AIM_NS, error_of_median(added), len(added)))
        results[call] = {name + "_ns": summary(values) for name, values in costs.items()}
        results[call]["added_ns"] = summary(added)
    table.note("An empty filter allows everything: what it costs is the kernel's slower way into a system call.")
    table.print()
    return results
