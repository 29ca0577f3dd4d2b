"""What profiling cost, as the profiles, the closing line and statsd say it, beside what the kernel says to us: the
processes' own accounts in /proc, perf stat, and the target's own clock."""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import unittest

import receiver
import support
from support import target

ROLES = ("supervisor", "unwinder", "symbolizer", "exporter")
COST = re.compile(r"profiler used (\d+(?:\.\d)?) (ms|s) of CPU \((\d+\.\d\d)%\) and (\d+\.\d) MB"
                  r"(?:, target slowed by about (\d+\.\d\d)%)?")
MS = 1e6


def setUpModule():
    support.require_profiling()


def read_ns(pid):
    """CPU time of a process with one thread: /proc/PID/schedstat counts nanoseconds."""
    return int(support.read_text(f"/proc/{pid}/schedstat").split()[0])


class Watch(threading.Thread):
    """Looks at the roles of a session until they end: pid -> CPU time and memory when last seen."""

    def __init__(self, supervisor):
        super().__init__(daemon=True)
        self.supervisor = supervisor
        self.role_of, self.cpu_ns, self.peak, self.rss = {}, {}, {}, {}
        self.start()

    def look(self, name, pid):
        try:
            cpu_ns, status = read_ns(pid), support.proc_status(pid)
        except (OSError, IndexError):
            return
        self.role_of[pid] = name
        self.cpu_ns[pid] = cpu_ns
        if "VmHWM" in status:
            self.peak[pid] = int(status["VmHWM"].split()[0]) * 1024
            self.rss.setdefault(pid, set()).add(int(status["VmRSS"].split()[0]) * 1024)

    def run(self):
        while support.is_alive(self.supervisor):
            for name, pid in support.worker_processes(self.supervisor).items():
                if name in ROLES:
                    self.look(name, pid)
            time.sleep(0.004)

    def of_role(self, name, values):
        return [values[pid] for pid, role in self.role_of.items() if role == name and pid in values]


def comment_sum(profiles, key):
    return sum(profile.ledger(key) for profile in profiles)


class SelfReport(unittest.TestCase):
    def start(self, seconds, options=(), **named):
        log = os.path.join(support.temporary_folder(self), "log")
        session = support.Session(self, [target("split"), str(seconds)], ["--log_mode", log, *options], **named)
        session.log = log
        session.watch = Watch(session.supervisor())
        return session

    def finish(self, session):
        session.finish()
        session.watch.join()
        session.cpu_ns = dict(session.watch.cpu_ns)
        for pid in session.watch.role_of:
            if pid in support.usage:  # to the end, which the watch misses
                session.cpu_ns[pid] = 1e9 * (support.usage[pid].ru_utime + support.usage[pid].ru_stime)
        session.closing = support.read_text(session.log).splitlines()[-1]
        self.assertRegex(session.closing, COST)
        return session.profiles()

    def check_cpu(self, session, profiles):
        """Every role in every profile; what came after the last one (the exporter's own work) is in the closing line."""
        for name in ROLES:
            said = comment_sum(profiles, f"role.{name}.cpu_ns")
            seen = sum(session.watch.of_role(name, session.cpu_ns))
            print(f"{name}: {said / MS:.2f} ms in {len(profiles)} profiles, {seen / MS:.2f} ms used")
            self.assertGreater(said, 0, name)
            self.assertLessEqual(said, 1.02 * seen + 0.5 * MS, name)
            self.assertGreaterEqual(said, 0.9 * seen - (4 * MS if name in ("exporter", "supervisor") else 1 * MS), name)
        for profile in profiles:
            self.assertEqual(sum(profile.ledger(f"role.{name}.cpu_ns") for name in ROLES), profile.ledger("profiler.cpu_ns"))
            self.assertEqual(profile.ledger("profiler.cpu_usage.millicores"),
                             profile.ledger("profiler.cpu_ns") * 1000 // profile.ledger("profiler.period_ns"))

    def check_closing_line(self, session, profiles):
        number, unit, percent, memory, slowed = COST.search(session.closing).groups()
        cpu_ns = float(number) * (MS if unit == "ms" else 1e9)
        self.assertLessEqual(abs(cpu_ns - sum(session.cpu_ns.values())), 0.02 * cpu_ns + 1.5 * MS)
        periods = comment_sum(profiles, "profiler.period_ns")
        self.assertLess(abs(float(percent) - 100 * cpu_ns / periods), 0.25 * float(percent) + 0.2)
        self.assertGreaterEqual(float(memory) * 1e6 + 1e5, profiles[-1].ledger("profiler.peak_memory"))
        ppm = (sum(p.ledger("overhead.target_estimate_ppm") * p.ledger("kernel_count_ns") for p in profiles) /
               comment_sum(profiles, "kernel_count_ns"))
        self.assertLess(abs(float(slowed) - ppm / 1e4), 0.02)

    def test_periods(self):
        """Several profiles: each tells of its own period, and together they are the session."""
        session = self.start(5, ["-u", "1", "-e", "sCPU freq=999"])
        profiles = self.finish(session)
        self.assertGreaterEqual(len(profiles), 4)
        self.check_cpu(session, profiles)
        self.check_closing_line(session, profiles)
        for count in range(2, len(profiles)):  # one may be late, and the next is that much shorter
            self.assertLess(abs(comment_sum(profiles[:count], "profiler.period_ns") -
                                sum(profile.message.duration_nanos for profile in profiles[:count])), 0.8e9)
        for profile in profiles[:-1]:
            self.assertLess(abs(profile.ledger("target_process.cpu_usage.millicores") -
                                1000 * profile.whole_ns() / profile.message.duration_nanos), 30)

    def test_memory(self):
        session = self.start(3, ["-u", "1"])
        profiles = self.finish(session)
        for name in ROLES:
            last = profiles[-1]
            peak, rss = last.ledger(f"role.{name}.peak_rss"), last.ledger(f"role.{name}.rss")
            seen = max(session.watch.of_role(name, session.watch.peak))
            print(f"{name}: {rss / MS:.2f} MB, at most {peak / MS:.2f}, seen {seen / MS:.2f}")
            self.assertLess(abs(peak - seen), 0.15 * seen + 300000, name)
            self.assertLessEqual(rss, peak + 300000, name)
            self.assertLess(min(abs(rss - value) for values in session.watch.of_role(name, session.watch.rss)
                                for value in values), 300000, name)
            self.assertLessEqual(last.ledger(f"role.{name}.anonymous"), rss)
        self.assertEqual(sum(last.ledger(f"role.{name}.rss") for name in ROLES), last.ledger("profiler.rss"))
        self.assertGreater(last.ledger("profiler.rings"), 100000)

    def test_deaths(self):
        """Roles that die take nothing with them: neither their CPU time, nor the count."""
        session = self.start(4, ["-u", "1", "-e", "sCPU freq=999"])
        roles, used = support.wait_for_roles(session.supervisor()), {}
        for name in ("unwinder", "symbolizer", "exporter"):
            time.sleep(0.6)
            os.kill(roles[name], signal.SIGSTOP)
            support.wait_until(lambda pid=roles[name]: support.proc_status(pid)["State"][0] == "T", what=f"the {name} to stop")
            used[roles[name]] = read_ns(roles[name])
            os.kill(roles[name], signal.SIGKILL)
        profiles = self.finish(session)
        session.cpu_ns.update(used)
        # wait4 adds those it waited for to a parent's account
        session.cpu_ns[roles["supervisor"]] -= sum(used.values())
        self.check_cpu(session, profiles)
        for name in ("unwinder", "symbolizer", "exporter"):
            self.assertEqual(profiles[-1].ledger(f"role.{name}.restarts"), 1, name)
            self.assertEqual(len(session.watch.of_role(name, session.cpu_ns)), 2, name)
        self.assertEqual(profiles[-1].ledger("role.supervisor.restarts"), 0)

    @staticmethod
    def has_event(pid):
        folder = f"/proc/{pid}/fd"
        try:
            return any("perf_event" in os.readlink(os.path.join(folder, fd)) for fd in os.listdir(folder))
        except OSError:  # a descriptor that was closed meanwhile
            return False

    def test_perf_stat(self):
        """Another's account of the unwinder, from its start to its end."""
        perf = support.require_program("perf")
        support.require_root()
        session = self.start(4, ["-e", "sCPU freq=999"])
        unwinder = support.wait_for_roles(session.supervisor())["unwinder"]
        with subprocess.Popen([perf, "stat", "-x,", "-e", "task-clock,context-switches", "-p", str(unwinder)], stderr=subprocess.PIPE,
                              stdout=subprocess.DEVNULL, text=True) as stat:
            support.started.add(stat.pid)
            support.wait_until(lambda: self.has_event(stat.pid), what="perf's event")
            before = read_ns(unwinder)  # perf counts from here on, give or take a millisecond
            profile, = self.finish(session)
            _, output = stat.communicate(timeout=20)
        found = {name: float(value) for value, name in
                 re.findall(r"^(\d+(?:\.\d+)?),.*,(task-clock|context-switches)", output, re.M)}
        self.assertEqual(len(found), 2, output)
        said, seen = profile.ledger("role.unwinder.cpu_ns"), before + found["task-clock"] * MS
        print(f"unwinder: {said / MS:.2f} ms, perf stat {seen / MS:.2f} ms, {found['context-switches']:.0f} switches")
        # a switch is charged to the process, but its event begins behind and ends before it: 10 us where caches are cold
        self.assertLess(abs(said - seen), 0.1 * seen + 1.5 * MS + 0.01 * MS * found["context-switches"])
        self.assertLess(profile.ledger("unwind_ns"), said)
        self.assertGreater(profile.ledger("unwind_ns"), 0.2 * said)
        self.assertEqual(profile.ledger("unwind.avg_time_ns"), profile.ledger("unwind_ns") // profile.ledger("samples"))

    def test_target_cpu(self):
        """The target's own clock; start and end of its interpreter are sampled too."""
        script = "import time\nwhile time.process_time() < 2: pass\ntime.sleep(1)\nprint(time.process_time())"
        profile = support.run(self, [sys.executable, "-c", script]).profile()
        millicores = profile.ledger("target_process.cpu_usage.millicores")
        wanted = 1000 * 2.0e9 / profile.message.duration_nanos
        print(f"target: {millicores} millicores, {wanted:.0f} by its own clock")
        self.assertLess(abs(millicores - wanted), 0.05 * wanted + 10)

    def test_readers(self):
        """The comments are comments to Go's pprof too, and ddprof-report makes a line of them."""
        session = self.start(1)
        profile, = self.finish(session)
        self.assertEqual(len(profile.message.comment), len(profile.comments))
        report = subprocess.run([os.path.join(support.PREFIX, "bin/ddprof-report"), profile.path], capture_output=True, text=True,
                                check=True).stdout
        line = re.search(r"^Profiler  (\S+) of CPU \((\S+)%\), (\S+)MiB; target slowed by about (\S+)%$", report, re.M)
        self.assertTrue(line, report)
        self.assertLess(abs(float(line[4]) - profile.ledger("overhead.target_estimate_ppm") / 1e4), 0.006)
        go = support.require_program("go")
        comments = subprocess.run([go, "tool", "pprof", "-comments", profile.path], capture_output=True, text=True, check=True,
                                  env={**os.environ, "HOME": support.temporary_folder(self)}).stdout.splitlines()
        self.assertEqual(comments, [profile.strings[number] for number in profile.message.comment])


class StatsdServer(threading.Thread):
    """A Unix datagram socket; everything that comes, in order."""

    PREFIX = "datadog.profiling.native."

    def __init__(self, path):
        super().__init__(daemon=True)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(path)
        os.chmod(path, 0o777)
        self.socket.settimeout(0.1)
        self.lines, self.is_over = [], False
        self.start()

    def run(self):
        while True:
            try:
                self.lines.append(self.socket.recv(4096).decode())
            except TimeoutError:
                if self.is_over:
                    break
        self.socket.close()

    def stop(self):
        """Once all that was sent is read."""
        self.is_over = True
        self.join()

    def reports(self):
        """One dictionary for each profile: they begin with the same name."""
        found = []
        for line in self.lines:
            name, value = re.fullmatch(re.escape(self.PREFIX) + r"([a-z_.]+):(-?\d+)\|g", line).groups()
            if name == "event.count":
                found.append({})
            if found:  # else it came in the middle of one
                found[-1][name] = int(value)
        return found


class Statsd(unittest.TestCase):
    # what ddprof's dashboards ask for and we have
    NAMES = ("event.count", "event.lost", "sample.count", "target_process.cpu_usage.millicores", "unwind.avg_time_ns", "unwind.frames",
             "unwind.errors", "unwind.stack.truncated_input", "unwind.stack.truncated_output", "unwind.stack.incomplete",
             "unwind.stack.avg_size", "unwind.stack.avg_depth", "profiler.rss", "profiler.cpu_usage.millicores", "pprof.size",
             "profile.duration_ms")
    AS_COMMENTS = {"event.count": "records", "event.lost": "lost", "sample.count": "samples", "unwind.frames": "frames",
                   "unwind.stack.truncated_input": "stacks.copy_short", "unwind.stack.truncated_output": "stacks.depth"}

    def setUp(self):
        self.path = os.path.join(support.temporary_folder(self), "statsd")

    def check(self, report, profile):
        """The same numbers as the profile's."""
        for name in self.NAMES:
            self.assertIn(name, report)
        for key, value in profile.comments.items():
            if key.removeprefix("ddprof.") in report:
                self.assertEqual(report[key.removeprefix("ddprof.")], int(value), key)
        for name, key in self.AS_COMMENTS.items():
            self.assertEqual(report[name], profile.ledger(key), name)
        self.assertEqual(report["sample.count"], sum(sample.count for sample in profile.samples if "[lost]" not in sample.stack))
        self.assertEqual(report["profile.duration_ms"], profile.message.duration_nanos // 1000000)
        self.assertGreater(report["pprof.size"], 100)
        self.assertLess(report["pprof.size"], len(profile.bytes))  # the report comes to it

    def test_gauges(self):
        for prefix in ("", "unix://"):
            with self.subTest(prefix=prefix):
                server = StatsdServer(self.path)
                session = support.run(self, [target("split"), "2.5"], ["-u", "1", "-b", prefix + self.path])
                server.stop()
                os.unlink(self.path)
                reports, profiles = server.reports(), session.profiles()
                self.assertGreaterEqual(len(profiles), 3)
                self.assertEqual(len(reports), len(profiles))
                for report, profile in zip(reports, profiles):
                    self.check(report, profile)
                self.assertEqual(reports[-1]["statsd.failures"], 0)
                for number, report in enumerate(reports):  # files are accepted too; this one not yet, some others may wait
                    self.assertEqual(report["upload.count"] + report["queue.depth"], number)
                self.assertGreater(reports[-1]["upload.count"], 0)

    def test_server_comes_and_goes(self):
        """It costs the gauges of that time, which are counted, and nothing else."""
        session = support.Session(self, [target("split"), "10"], ["-u", "1", "-b", self.path])
        support.wait_until(lambda: len(session.profile_paths()) >= 1, 30, "a profile")
        server = StatsdServer(self.path)
        support.wait_until(lambda: len(server.reports()) >= 2, 30, "gauges")
        server.stop()
        session.finish()
        profiles = session.profiles()
        reports = [report for report in server.reports() if "statsd.failures" in report]  # it may have left in the middle of one
        self.assertGreater(len(profiles), len(reports))
        last = profiles[-1].ledger("statsd.failures")
        self.assertGreaterEqual(reports[0]["statsd.failures"], len(reports[0]))  # nobody was there for the first
        self.assertGreater(last, reports[-1]["statsd.failures"])
        for report in reports:
            profile = next(p for p in profiles if p.ledger("profiler.cpu_ns") == report["profiler.cpu_ns"])
            self.check(report, profile)

    def test_queue(self):
        """A receiver that is down: what waits grows, gets older and is tried again; then it is gone."""
        server, statsd = receiver.Receiver(self), StatsdServer(self.path)
        session = support.Session(self, ["/bin/sleep", "100"], ["-u", "1", "--url", server.url, "-b", self.path])
        support.wait_until(lambda: len(statsd.reports()) >= 5, 60, "gauges")
        server.start()
        support.wait_until(lambda: statsd.reports()[-1].get("queue.depth") == 0, 90, "the queue to be empty")  # it backed off
        os.kill(session.pid, signal.SIGTERM)
        session.finish()
        statsd.stop()
        reports = statsd.reports()
        depths, ages = [r["queue.depth"] for r in reports], [r["queue.oldest_age_s"] for r in reports]
        print("depth", depths, "age", ages, "retries", [r["upload.retries"] for r in reports])
        self.assertEqual(depths[:4], [0, 1, 2, 3])
        ends = [profile.message.time_nanos + profile.message.duration_nanos for profile in session.profiles()]
        self.assertLess(abs(ages[3] - (ends[3] - ends[0]) / 1e9), 1.6)  # whole seconds, and it is made after the period
        self.assertGreater(reports[4]["queue.bytes"], 3 * reports[4]["pprof.size"])
        self.assertGreaterEqual(reports[4]["upload.retries"], 2)
        self.assertEqual(reports[4]["upload.count"], 4)  # the folder has them
        self.assertGreaterEqual(reports[-1]["upload.count"], 2 * (len(reports) - 2))
        sizes = sum(len(r.body) for r in server.requests if r.answer == 200)
        self.assertGreater(reports[-1]["upload.bytes"], 0)
        self.assertLess(reports[-1]["upload.bytes"], sizes + sum(map(os.path.getsize, session.profile_paths())) + 4096 * len(reports))
        for report, profile in zip(reports, session.profiles()):
            self.check(report, profile)


if __name__ == "__main__":
    support.main()
