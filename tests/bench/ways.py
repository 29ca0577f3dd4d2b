"""The time before a program's main by each way of starting it: ours, with each way to hold the privilege and with
--drop-caps, beside exec itself and the usual ways to take rights from a program. All in turns."""

import contextlib
import os
import shutil
import subprocess

import launch_delay
import perf_event
from statistics_table import Table, median, milliseconds, quartiles, summary

USER = 40123
AMBIENT = ["setpriv", "--inh-caps=+perfmon", "--ambient-caps=+perfmon"]


class Way:
    """A command, what the opener carries while it runs, and whether it is root's or an ordinary user's."""

    def __init__(self, command, privilege=None, user=True):
        self.command, self.privilege, self.user = command, privilege, user and os.getuid() == 0


def ways(setup, program):
    launch = setup.launch([program], 99)
    found = {
        "exec": Way([program]),
        "setpriv --no-new-privs": Way(["setpriv", "--no-new-privs", program]),
        "bwrap --dev-bind / /": Way(["bwrap", "--dev-bind", "/", "/", program], user=False),
        "ddprof-launch --enable false": Way(setup.launch(["--enable", "false", program], 99)),
        "the same, --drop-caps alone": Way(setup.launch(["--enable", "false", "--drop-caps", program], 99)),
        "ddprof-launch, nothing needed": Way(launch),
        "the same, --drop-caps": Way(setup.launch(["--drop-caps", program], 99)),
    }
    if os.getuid() == 0:
        found |= {
            "file capability on the opener": Way(launch, "setcap cap_sys_admin=p"),
            "set-uid root opener": Way(launch, "chmod 4755"),
            "root": Way(launch, user=False),
            "root, --drop-caps": Way(setup.launch(["--drop-caps", program], 99), user=False),
            "setpriv with ambient capability": Way([*AMBIENT, program], user=False),
            "the same, then ddprof-launch": Way([*AMBIENT, *launch], user=False),
        }
    for way in found.values():
        way.command = [shutil.which(way.command[0]) or "", *way.command[1:]]
    return {name: way for name, way in found.items() if way.command[0]}


@contextlib.contextmanager
def as_user(way):
    """Children are the user's; we come back by the saved user id."""
    if not way.user:
        yield
        return
    os.setresgid(USER, USER, 0)
    os.setresuid(USER, USER, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)
        os.setresgid(0, 0, 0)


@contextlib.contextmanager
def opener_with(setup, privilege):
    opener = os.path.join(os.path.dirname(setup.launcher), "../libexec/ddprof/ddprof-perf-open")
    if not privilege:
        yield
        return
    subprocess.run([*privilege.split(), opener], check=True)
    try:
        yield
    finally:
        subprocess.run(["chmod", "755", opener], check=True)
        subprocess.run(["setcap", "-r", opener], check=False, stderr=subprocess.DEVNULL)


def measure(setup, way):
    with opener_with(setup, way.privilege), as_user(way):
        return launch_delay.delay_ns(way.command, os.devnull)


def bench(setup):
    table = Table("Time from fork to the program's main, milliseconds, by each way (in turns; perf in use by another)",
                  ["", "runs", "least", "median", "quartiles", "more than exec"])
    commands = ways(setup, setup.program("print_clock"))
    series = {name: [] for name in commands}
    rounds = 5 if setup.quick else 100
    os.chmod(setup.scratch, 0o755)
    os.chmod(setup.profiles, 0o777)

    with perf_event.KeptWarm():
        for i in range(rounds):
            setup.progress(f"ways, round {i + 1} of {rounds}")
            names = list(commands)
            for name in names[i % len(names):] + names[:i % len(names)]:
                series[name].append(measure(setup, commands[name]))
            setup.remove_profiles()
    setup.clear_progress()
    base = median(series["exec"])
    for name, values in series.items():
        table.add(name, len(values), milliseconds(min(values)), milliseconds(median(values)),
                  " .. ".join(milliseconds(value) for value in quartiles(values)),
                  "" if name == "exec" else f"{(median(values) - base) / 1e6:+.2f}")
    if "bwrap --dev-bind / /" not in series:
        table.note("bwrap is not installed")
    if os.getuid() != 0:
        table.note("not root: the ways that need a privilege were left out")
    table.note("With --enable false no worker is started: those two differ by what --drop-caps itself takes.")
    table.note("On a kernel that needs no privilege none is raised: what is measured is carrying it, not using it.")
    table.print()
    return {name: summary(values) for name, values in series.items()}
