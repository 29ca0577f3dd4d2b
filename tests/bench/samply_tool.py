"""samply, the profiler with framehop: it unwinds while it records, as we do. It is measured when it is in the PATH; its
published program will do."""

import gzip
import json
import os
import shutil

import perf_tool
import processes


def find():
    return shutil.which("samply")


def has_hardware_events():
    return os.path.exists("/sys/bus/event_source/devices/cpu/type")


def count_samples(path):
    with gzip.open(path) as file:
        return sum(thread["samples"]["length"] for thread in json.load(file)["threads"])


def record(setup, command, frequency, watch=None):
    """Runs the command under samply. Returns its run and what samply needed."""
    path = os.path.join(setup.scratch, "samply.json.gz")
    preload = [] if has_hardware_events() else ["env", "LD_PRELOAD=" + setup.program("libsoftware_events.so")]
    run = processes.run([*preload, setup.samply, "record", "--save-only", "--rate", str(frequency), "-o", path, "--",
                         *command], setup.log, watch)
    used = [processes.Process("samply", run.own_cpu_ns, 0)]
    result = perf_tool.Record(count_samples(path), 0, os.path.getsize(path), used)
    os.unlink(path)
    return run, result
