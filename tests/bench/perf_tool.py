"""The tool everybody has: perf record with copied stacks, sampling what we sample, and the perf script that is
needed to get names out of its file."""

import dataclasses
import os
import re
import shutil

import processes

CALL_GRAPHS = {"fp": "fp", "dwarf": "dwarf,32768"}
SCRIPT_SAMPLES_MAX = 4000  # perf script takes its time


@dataclasses.dataclass
class Record:
    samples: int
    lost: int
    file_bytes: int
    processes: list


def find():
    return shutil.which("perf")


def version(perf):
    with os.popen(f"'{perf}' --version") as output:
        return output.read().strip()


def count_after(text, pattern):
    found = re.search(pattern, text)
    return int(found.group(1)) if found else 0


def run_script(setup, data_path, watch):
    """perf script's process. The shell only sends its output away and becomes it."""
    run = processes.run(["/bin/sh", "-c", 'exec "$@" >/dev/null', "sh", setup.perf, "script", "--no-inline", "-i",
                         data_path], setup.log, watch)
    return processes.Process("perf script", run.own_cpu_ns, 0)


def record(setup, command, frequency, watch=None, call_graph="dwarf", script=True):
    """Runs the command under perf. Returns its run and what perf needed, with `script` to see names, too."""
    data_path = os.path.join(setup.scratch, "perf.data")
    log_path = os.path.join(setup.scratch, "perf.log")
    run = processes.run([setup.perf, "record", "-e", "task-clock:u", "-F", str(frequency), "--call-graph",
                         CALL_GRAPHS[call_graph], "-o", data_path, "--"] + command, log_path, watch)
    with open(log_path, encoding="utf-8", errors="replace") as log:
        said = log.read()
    os.unlink(log_path)
    samples = count_after(said, r"\((\d+) samples\)")
    # perf is one thread; what wait4 says of it would include the program that it has waited for
    used = [processes.Process("perf record", run.own_cpu_ns, 0)]
    if script and 0 < samples <= SCRIPT_SAMPLES_MAX:
        used.append(run_script(setup, data_path, watch))
    result = Record(samples, count_after(said, r"lost (\d+) (?:chunks|samples)"), os.path.getsize(data_path), used)
    os.unlink(data_path)
    return run, result
