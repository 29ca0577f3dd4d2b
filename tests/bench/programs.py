"""How the stacks of programs end that nobody here wrote: at their root, where the copy of the stack ends, or earlier,
and then in which file. What is not installed is left out."""

import contextlib
import os
import pwd
import shutil
import subprocess
import sys
import time

import processes
import profile_comments
from statistics_table import Table

HERE = os.path.dirname(os.path.abspath(__file__))
WORKLOADS = os.path.join(HERE, "workloads")
FREQUENCY = 999
AIM_PERCENT = 99.9
COMPLETE = ("stacks.root", "stacks.depth")
SHORT = "stacks.copy_short"


def cipher(name, seconds):
    return ["openssl", "speed", "-seconds", str(seconds), "-bytes", "16384", "-evp", name]


def commands(setup):
    """Name -> command. None stands for a server that is driven from outside."""
    seconds = 1 if setup.quick else 5
    work = lambda name: os.path.join(WORKLOADS, name)
    scratch = lambda name: os.path.join(setup.scratch, name)
    page = "file://" + work("page.html") + f"#{seconds}"
    if shutil.which("g++"):
        subprocess.run(["g++", "-O2", "-fomit-frame-pointer", "-o", scratch("deep"), work("deep.cc")], check=True)
    return {
        "deep C++": [scratch("deep"), str(seconds)],
        "cc1plus": ["g++", "-O2", "-c", "-o", scratch("templates.o"), work("templates.cc")],
        "python3": ["/usr/bin/python3", work("mixed.py"), str(seconds)],
        "node": ["node", work("mixed.js"), str(seconds)],
        "node --perf-basic-prof": ["node", "--perf-basic-prof", work("mixed.js"), str(seconds)],
        "postgres, pgbench": None,
        "rustc": ["rustc", "-O", "-o", scratch("shapes"), work("shapes.rs")],
        "chromium": ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom", page],
        "openssl sha512": cipher("sha512", seconds),
        "openssl aes-128-gcm": cipher("aes-128-gcm", seconds),
        "openssl rsa, ecdsa": ["openssl", "speed", "-seconds", str(max(1, seconds // 3)), "rsa2048", "ecdsap256"],
    }


# ---- postgres: not as root, and with clients ----

def find_postgres():
    """The newest version's folder, or None."""
    root = "/usr/lib/postgresql"
    versions = sorted((name for name in os.listdir(root) if name.isdigit()), key=int) if os.path.isdir(root) else []
    return os.path.join(root, versions[-1], "bin") if versions else None


class Server:
    """A fresh database below the scratch folder, owned by whom the server runs as."""

    def __init__(self, setup):
        self.bin = find_postgres()
        self.folder = os.path.join(setup.scratch, "postgres")
        self.prefix = []
        os.mkdir(self.folder)
        if os.getuid() == 0:
            user = pwd.getpwnam("postgres")
            os.chmod(setup.scratch, 0o755)
            os.chmod(setup.profiles, 0o777)
            os.chown(self.folder, user.pw_uid, user.pw_gid)
            self.prefix = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
        self.data = os.path.join(self.folder, "data")

    def command(self):
        return [os.path.join(self.bin, "postgres"), "-D", self.data, "-k", self.folder, "-c", "listen_addresses="]

    def call(self, program, *arguments, check=True):
        return subprocess.run([*self.prefix, os.path.join(self.bin, program), *arguments], check=check, cwd=self.folder,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode

    def drive(self, seconds):
        """Reads and writes by eight clients, then queries that sort, join and hash; then the end."""
        address = ["-h", self.folder]
        while self.call("pg_isready", *address, check=False):
            time.sleep(0.1)
        self.call("pgbench", *address, "-q", "-i", "-s", "5", "postgres")
        for arguments in (["-S", "-C"], []):
            self.call("pgbench", *address, "-c", "8", "-T", str(seconds), *arguments, "postgres")
        self.call("psql", *address, "-q", "-f", os.path.join(WORKLOADS, "queries.sql"), "postgres")
        self.call("pg_ctl", "-D", self.data, "-m", "fast", "stop")


def run_postgres(setup):
    server = Server(setup)
    server.call("initdb", "-D", server.data, "-A", "trust")
    pid = os.fork()
    if pid == 0:
        os.setsid()  # processes.run() waits for every child: the clients belong to this one
        server.drive(1 if setup.quick else 4)
        os._exit(0)
    processes.run([*server.prefix, *setup.launch(server.command(), FREQUENCY)], setup.log)


# ---- all of them ----

def is_installed(name, command):
    return find_postgres() is not None if command is None else shutil.which(command[0]) is not None


def run(setup, command):
    """All comments of all profiles."""
    if command is None:
        run_postgres(setup)
    else:
        # node leaves files where it is and in /tmp
        ended = processes.run(["env", "-C", setup.scratch, *setup.launch(command, FREQUENCY)], setup.log)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(f"/tmp/perf-{ended.pid}.map")
    names = sorted(os.listdir(setup.profiles))
    result = [profile_comments.read(os.path.join(setup.profiles, name)) for name in names]
    setup.remove_profiles()
    return result


def judge(profiles):
    """Samples, lost ones, shares in percent, and which files the rest ended in, the worst first."""
    total, elsewhere = {}, {}
    for comments in profiles:
        for key, value in profile_comments.ledger(comments).items():
            total[key] = total.get(key, 0) + value
        for path, endings in profile_comments.modules(comments):
            for ending, count in endings.items():
                if f"stacks.{ending}" not in (*COMPLETE, SHORT):
                    key = f"{ending} {os.path.basename(path)}"
                    elsewhere[key] = elsewhere.get(key, 0) + count
    samples = total.get("samples", 0)
    share = lambda *keys: 100 * sum(total.get(key, 0) for key in keys) / max(samples, 1)
    return {"samples": samples, "lost": total.get("lost", 0), "root_percent": share(*COMPLETE),
            "copy_short_percent": share(SHORT), "explained_percent": share(*COMPLETE, SHORT),
            "elsewhere": dict(sorted(elsewhere.items(), key=lambda item: -item[1]))}


def bench(setup):
    table = Table(f"How stacks of real programs end, {FREQUENCY} Hz",
                  ["", "samples", "lost", "root %", "copy exhausted %", "together", "aim", "the rest"])
    results = {}
    for name, command in commands(setup).items():
        if not is_installed(name, command):
            table.note(f"{name}: not installed")
            continue
        setup.progress(name)
        result = results[name] = judge(run(setup, command))
        rest = ", ".join(f"{key} {count}" for key, count in result["elsewhere"].items()) or "none"
        table.add(name, result["samples"], result["lost"], f"{result['root_percent']:.2f}",
                  f"{result['copy_short_percent']:.2f}", f"{result['explained_percent']:.2f}", f">= {AIM_PERCENT}", rest)
    setup.clear_progress()
    table.print()
    sys.stdout.flush()
    return results
