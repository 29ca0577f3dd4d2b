"""What profiling costs a program that does a fixed amount of work, and what the worker uses for it: unprofiled, and at
99, 999 and 4999 Hz, in turns; and the same under perf record, by frame pointers and with copied stacks, and samply."""

import dataclasses

import perf_tool
import processes
import samply_tool
from statistics_table import Table, error_of_median, median, mib, quartiles, spread_percent, summary, verdict

AIM_PERCENT = {99: 0.2, 999: 1.5, 4999: 7.5}
CALIBRATION_ROUNDS = 20000
UNPROFILED = "unprofiled"
ROLES = {"ddprof": ["supervisor", "unwinder", "symbolizer", "exporter"], "perf fp": ["perf record", "perf script"],
         "perf dwarf": ["perf record", "perf script"], "samply": ["samply"]}
FEW_HZ, MANY_HZ = 99, 999  # what one more sample costs


@dataclasses.dataclass
class Measured:
    """One run of the workload."""

    wall_ns: int
    cpu_ns: int
    samples: int = 0
    lost: int = 0
    profile_bytes: int = 0
    profiler: list = dataclasses.field(default_factory=list)  # processes.Process


@dataclasses.dataclass(frozen=True)
class Kind:
    """A way to run the workload."""

    name: str
    frequency: int = 0

    @property
    def label(self):
        return f"{self.name} {self.frequency} Hz" if self.frequency else self.name


def kinds(setup):
    result = [Kind(UNPROFILED)]
    for name in profilers(setup):
        result += [Kind(name, frequency) for frequency in setup.frequencies]
    return result


def profilers(setup):
    return ["ddprof"] + (["perf fp", "perf dwarf"] if setup.perf else []) + (["samply"] if setup.samply else [])


def parse(run):
    if run.status != 0:
        raise SystemExit(f"bench: the workload ended with {run.status}")
    wall_ns, cpu_ns = map(int, run.output.split())
    return Measured(wall_ns, cpu_ns)


def run_peer(setup, kind, command, watch=None, script=True):
    """Under perf or samply. Returns the run and what the profiler needed."""
    tool, *how = kind.name.split()
    if tool == "perf":
        return perf_tool.record(setup, command, kind.frequency, watch, *how, script=script)
    return samply_tool.record(setup, command, kind.frequency, watch)


def run(setup, kind, command):
    """For those who only want to know what the command says."""
    if kind.frequency and kind.name != "ddprof":
        return run_peer(setup, kind, command, script=False)[0]
    result = processes.run(setup.launch(command, kind.frequency) if kind.frequency else command, setup.log)
    setup.remove_profiles()
    return result


def run_once(setup, kind, command, watch=None):
    if kind.frequency and kind.name != "ddprof":
        ended, record = run_peer(setup, kind, command, watch)
        measured = parse(ended)
        measured.samples, measured.lost, measured.profile_bytes = record.samples, record.lost, record.file_bytes
        measured.profiler = record.processes
        return measured
    if kind.frequency:
        command = setup.launch(command, kind.frequency)
    ended = processes.run(command, setup.log, watch)
    measured = parse(ended)
    if kind.frequency:
        ledger, measured.profile_bytes = setup.take_profiles()
        measured.samples, measured.lost = ledger["samples"], ledger["lost"]
        measured.profiler = ended.processes
        if measured.samples == 0:
            raise SystemExit(f"bench: {kind.label} took no sample: it would look very cheap")
    return measured


def workload(setup, threads, rounds):
    return [setup.program("fixed_work"), str(threads), str(rounds)]


def calibrate(setup):
    """Rounds that take one undisturbed thread about setup.seconds."""
    command = workload(setup, 1, CALIBRATION_ROUNDS)
    best = min(run_once(setup, Kind(UNPROFILED), command).cpu_ns for _ in range(3))
    return max(1, int(CALIBRATION_ROUNDS * setup.seconds * 1e9 / best))


def measure(setup, threads, rounds):
    """Kind -> list of Measured. Every round runs each kind once and starts with another one."""
    command = workload(setup, threads, rounds)
    plan = kinds(setup)
    series = {kind: [] for kind in plan}
    for i in range(setup.repetitions):
        turn = i % len(plan)
        for kind in plan[turn:] + plan[:turn]:
            setup.progress(f"{threads} thread(s), round {i + 1} of {setup.repetitions}, {kind.label}")
            series[kind].append(run_once(setup, kind, command))
    return series


def measure_memory(setup, threads, rounds):
    """Kind -> role -> processes.Memory, by one more run of each kind that nobody times."""
    result = {}
    for kind in (Kind(name, MANY_HZ) for name in profilers(setup)):
        setup.progress(f"{threads} thread(s), memory, {kind.label}")
        watch = processes.MemoryWatch()
        run_once(setup, kind, workload(setup, threads, rounds), watch)
        result[kind] = watch.memory
    return result


# ---- the target ----

def show_clock(table, base_runs, kind, runs, clock):
    """One line: this clock's median beside the unprofiled one."""
    values, base = ([getattr(run, clock) for run in list_] for list_ in (runs, base_runs))
    result = summary(values) | {"spread_percent": spread_percent(values)}
    cells = [kind.label, clock.removesuffix("_ns"), f"{median(values) / 1e9:.3f}", f"{spread_percent(values):.2f}"]
    if not kind.frequency:
        table.add(*cells, "", "", "", "")
        return result
    increase = 100 * (median(values) / median(base) - 1)
    rounds = [100 * (value / unprofiled - 1) for value, unprofiled in zip(values, base)]
    low, high = quartiles(rounds)
    aim = AIM_PERCENT[kind.frequency]
    # Two estimates: of the rounds, and of the two medians as if they had nothing to do with each other.
    error = max(error_of_median(rounds),
                100 * (error_of_median(values) ** 2 + error_of_median(base) ** 2) ** 0.5 / median(base))
    table.add(*cells, f"{increase:+.2f}", f"{low:+.2f} .. {high:+.2f}", f"<= {aim}",
              verdict(increase, aim, error, len(rounds)) if kind.name == "ddprof" else "")
    return result | {"increase_percent": increase, "rounds_percent": [low, high], "aim_percent": aim}


def note_samples(table, base_runs, kind, runs):
    samples = median([run.samples for run in runs])
    lost = sum(run.lost for run in runs)
    extra_ns = median([run.cpu_ns for run in runs]) - median([run.cpu_ns for run in base_runs])
    per_sample = extra_ns / 1e3 / samples if samples else None
    table.note(f"{kind.label}: {samples:.0f} samples a run, {lost} lost in all runs, " +
               (f"{per_sample:.1f} us of the target's CPU time per sample, " if samples else "") +
               f"{median([run.profile_bytes for run in runs]) / 1e6:.2f} MB written")
    return {"samples": summary([run.samples for run in runs]), "lost": lost, "target_us_per_sample": per_sample,
            "profile_bytes": summary([run.profile_bytes for run in runs])}


def show_target(setup, threads, series):
    base_runs = series[Kind(UNPROFILED)]
    table = Table(f"Slow-down of {threads} thread(s) doing fixed work, {setup.repetitions} rounds in turns",
                  ["", "clock", "median s", "IQR %", "slow-down %", "single rounds say", "aim", "verdict"])
    results = {}
    for kind, runs in series.items():
        results[kind.label] = {clock: show_clock(table, base_runs, kind, runs, clock)
                               for clock in ("wall_ns", "cpu_ns")}
    for kind, runs in series.items():
        if kind.frequency:
            results[kind.label] |= note_samples(table, base_runs, kind, runs)
    table.note("IQR: the interquartile range as a share of the median. Single rounds: the quartiles of their own "
               "slow-downs; the width is the noise.")
    if threads >= setup.cpus:
        table.note("No core is free for the profiler here: wall time includes the competition for one.")
    table.print()
    return results


# ---- the profiler ----

def cpu_of(run, role):
    """Nanoseconds of all processes in that role, of all at all for None."""
    return sum(process.cpu_ns for process in run.profiler if role in (None, process.role))


def show_role(table, kind, role, runs, memory):
    cpu_ns = [cpu_of(run, role) for run in runs]
    per_sample = [cpu / 1e3 / run.samples for cpu, run in zip(cpu_ns, runs) if run.samples]
    ended_rss = [process.peak_rss for run in runs for process in run.profiler if process.role == role]
    seen = memory.get(role, processes.Memory())
    peak_rss = max(ended_rss + [seen.peak_rss or 0]) or None
    table.add(kind.label, role or "all", f"{median(cpu_ns) / 1e6:.1f}",
              f"{median(per_sample):.2f}" if per_sample else "-", mib(peak_rss), mib(seen.anonymous),
              mib(seen.proportional), mib(seen.rings))
    return {"cpu_ns": summary(cpu_ns), "us_per_sample": summary(per_sample) if per_sample else None,
            "peak_rss_kib": peak_rss, "rss_anonymous_kib": seen.anonymous, "pss_kib": seen.proportional,
            "rings_kib": seen.rings}


def show_marginal(table, series, name):
    """One sample more, start and end of the profiler left out: the slope between the two frequencies."""
    few, many = series[Kind(name, FEW_HZ)], series[Kind(name, MANY_HZ)]
    more = median([run.samples for run in many]) - median([run.samples for run in few])
    role = ROLES[name][0] if name != "ddprof" else None
    extra_ns = median([cpu_of(run, role) for run in many]) - median([cpu_of(run, role) for run in few])
    if more <= 0:
        return None
    table.note(f"{name}: {extra_ns / 1e3 / more:.2f} us for one sample more ({MANY_HZ} Hz against {FEW_HZ} Hz"
               f"{', ' + role + ' only' if role else ''})")
    return extra_ns / 1e3 / more


def show_profiler(setup, threads, series, memory):
    table = Table(f"What the profiler itself uses, {threads} thread(s): CPU time (medians of {setup.repetitions} "
                  "runs) and memory (highest, MiB)",
                  ["", "process", "CPU ms", "us/sample", "peak RSS", "RssAnon", "Pss", "rings"])
    results = {}
    for kind, runs in series.items():
        if not kind.frequency:
            continue
        ended = {process.role for run in runs for process in run.profiler}
        roles = [role for role in ROLES[kind.name] if role in ended] + sorted(ended - set(ROLES[kind.name]))
        results[kind.label] = {role: show_role(table, kind, role, runs, memory.get(kind, {})) for role in roles}
        if kind.name == "ddprof":
            results[kind.label]["all"] = show_role(table, kind, None, runs, {})
    for name in profilers(setup):
        results[f"{name} marginal us"] = show_marginal(table, series, name)
    if not setup.perf:
        table.note("perf is not installed: nothing to compare with")
    table.note("RssAnon, Pss and the mapped rings (kernel memory, shared by the roles, outside RSS on recent kernels) "
               f"are the highest seen in one more run at {MANY_HZ} Hz that was not timed.")
    table.print()
    return results


def bench(setup):
    rounds = calibrate(setup)
    results = {"rounds": rounds}
    for threads in (1, 2):
        series = measure(setup, threads, rounds)
        memory = measure_memory(setup, threads, rounds)
        results[f"{threads} threads"] = {"target": show_target(setup, threads, series),
                                         "profiler": show_profiler(setup, threads, series, memory)}
    return results
