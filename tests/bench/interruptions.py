"""The same slow-down seen from inside: which share of its time a spinning thread loses to interruptions. The clock
notices a microsecond, where run times on a shared machine scatter by percents."""

import processes
from statistics_table import Table, error_of_median, median, quartiles, summary, verdict

AIM_PERCENT = {99: 0.2, 999: 1.5}


def lost_percent(setup, frequency):
    command = [setup.program("interruptions"), str(max(1, setup.seconds / 4))]
    run = processes.run(setup.launch(command, frequency) if frequency else command, setup.log)
    setup.remove_profiles()
    watched_ns, _, sum_ns, _ = map(int, run.output.split())
    return 100 * sum_ns / watched_ns


def bench(setup):
    series = {0: [], 99: [], 999: []}
    for i in range(3 * setup.repetitions):
        setup.progress(f"interruptions, round {i + 1} of {3 * setup.repetitions}")
        for frequency in list(series)[i % 3:] + list(series)[:i % 3]:
            series[frequency].append(lost_percent(setup, frequency))
    setup.clear_progress()
    table = Table("Time a spinning thread loses to interruptions of 1 to 100 us (in turns; one core is free)",
                  ["", "runs", "median %", "quartiles", "more than unprofiled", "us/sample", "aim", "verdict"])
    base, results = series[0], {}
    for frequency, values in series.items():
        more = median(values) - median(base)
        error = (error_of_median(values) ** 2 + error_of_median(base) ** 2) ** 0.5
        table.add(f"ddprof {frequency} Hz" if frequency else "unprofiled", len(values), f"{median(values):.3f}",
                  " .. ".join(f"{value:.3f}" for value in quartiles(values)), f"{more:+.3f}" if frequency else "",
                  f"{1e4 * more / frequency:.1f}" if frequency else "",
                  f"<= {AIM_PERCENT[frequency]}" if frequency else "",
                  verdict(more, AIM_PERCENT[frequency], error, len(values)) if frequency else "")
        results[str(frequency)] = summary(values)
    table.print()
    return results
