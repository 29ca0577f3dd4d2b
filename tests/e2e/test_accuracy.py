"""The numbers: what a program is known to do against what its profile says, and against the kernel's own count."""

import collections
import resource
import unittest

import support
from support import target


def setUpModule():
    support.require_profiling()


def used_by_children_ns():
    """CPU time in all, what of it was spent in the kernel, and how often they were interrupted for others."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return round((usage.ru_utime + usage.ru_stime) * 1e9), round(usage.ru_stime * 1e9), usage.ru_nivcsw


def machine_busy_s():
    """CPU time that anybody used so far, and what the hypervisor took."""
    fields = support.read_text("/proc/stat").splitlines()[0].split()[1:]
    ticks = sum(int(fields[i]) for i in (0, 1, 2, 5, 6, 7))  # user nice system irq softirq steal (proc_stat(5))
    return ticks / support.os.sysconf("SC_CLK_TCK")


class Accuracy(unittest.TestCase):
    def measure(self, command, options=()):
        """A run that others disturbed is repeated, whatever came of it: each time the program is interrupted, the kernel
        charges it for work of its own, which no sample shows. The last of three counts in any case."""
        for _ in range(3):
            began, busy = support.time.monotonic(), machine_busy_s()
            session = self.run_once(command, options)
            capacity = (support.time.monotonic() - began) * support.os.cpu_count()
            others = machine_busy_s() - busy - self.used_ns / 1e9
            print(f"others used {100 * others / capacity:.1f} % of the machine")
            if others <= 0.03 * capacity:
                break
        return session

    def run_once(self, command, options):
        """self.used_ns is what the kernel charged to the program, read before any worker is reaped, and less what a launch
        alone costs, which no event counts; self.stolen_ns what a hypervisor took meanwhile, which events do count."""
        self.charge(["/bin/true"], options)
        launch = self.used_ns, self.in_kernel_ns
        stolen_ns = support.stolen_ns()
        log = support.os.path.join(support.temporary_folder(self), "log")
        session = self.charge(command, [*options, "-u", "600", "--log_mode", log, "--log_level", "debug"])  # one profile
        self.used_ns, self.in_kernel_ns = self.used_ns - launch[0], max(self.in_kernel_ns - launch[1], 0)
        self.stolen_ns = support.stolen_ns() - stolen_ns
        lines = [line for line in support.read_text(log).splitlines()
                 if " that ended in /" not in line and ": sampling: " not in line]
        self.assertEqual(len(lines), 2, support.read_text(log))  # the closing lines, no trouble
        self.assertRegex(lines[0], r"stacks ended: root:\d+")
        return session

    def charge(self, command, options):
        session = support.Session(self, command, options)
        before = used_by_children_ns()
        session.stdout, session.stderr = session.process.communicate(timeout=support.COMMAND_TIMEOUT_S)
        session.status = session.process.returncode
        after = used_by_children_ns()
        self.used_ns, self.in_kernel_ns, self.interruptions = (one - other for one, other in zip(after, before))
        self.assertEqual(list(support.wait_for_adopted().values()), [0])
        self.assertEqual(session.status, 0)
        return session

    def check_ledger(self, profile):
        """Every sample is accounted for, once."""
        stacks = sum(int(value) for key, value in profile.comments.items() if key.startswith("ddprof.stacks."))
        lost = profile.ledger("lost")
        self.assertEqual(stacks, profile.ledger("samples"))
        levels = sum(int(value) for key, value in profile.comments.items() if key.startswith("ddprof.level."))
        self.assertEqual(levels, profile.ledger("samples"))
        self.assertEqual(sum(s.count for s in profile.samples), profile.ledger("samples") + lost)
        self.assertEqual(sum(s.count for s in profile.samples if "[lost]" in s.stack), lost)
        self.assertEqual(support.total_ns(profile.samples), profile.ledger("cpu_time_ns") + lost * profile.message.period)
        # what has no sample makes it whole: to within a period, but for what was sampled before it was counted
        hidden = {name: sample.cpu_time_ns for name, sample in profile.without_samples.items()}
        self.assertEqual(hidden.get("[kernel]", 0), profile.ledger("in_kernel_ns"))
        self.assertEqual(hidden.get("[unsampled]", 0), profile.ledger("unsampled_ns"))
        self.assertLessEqual(abs(profile.whole_ns() - profile.ledger("kernel_count_ns")), profile.message.period)
        by_module = [value.split(" /")[0] for key, value in profile.comments.items() if key.startswith("ddprof.module.")]
        self.assertEqual(sum(int(number) for counts in by_module for number in support.re.findall(r":(\d+)", counts)), stacks)
        for key in ("malformed", "unstored"):
            self.assertEqual(profile.ledger(key), 0, key)

    def check_root(self, profile, least=99.5):
        rooted = support.share_of(profile.samples, support.is_rooted)
        counted = 100 * profile.ledger("stacks.root") / profile.ledger("samples")
        print(f"reached the root: {rooted:.2f} % by structure, {counted:.2f} % by the ledger")
        strange = collections.Counter(";".join(s.stack) for s in profile.samples if not support.is_rooted(s))
        self.assertGreaterEqual(rooted, least, strange.most_common(5))
        self.assertGreaterEqual(counted, least)
        self.assertLessEqual(abs(rooted - counted), 0.5)

    def check_near(self, value, wanted, less=0, more=0, percent=2):
        self.assertGreaterEqual(value, (1 - percent / 100) * wanted - less)
        self.assertLessEqual(value, (1 + percent / 100) * wanted + more)

    def check_cpu_time(self, profile, threads=1):
        """Samples show what was not spent in the kernel: little, until others interrupt the program. How much it was, ticks
        have sampled; what a switch itself takes, 10 us where caches are cold, neither sees."""
        in_kernel, count, used = self.in_kernel_ns, profile.ledger("kernel_count_ns"), self.used_ns
        whole = support.total_ns(profile.samples) + in_kernel
        print(f"CPU time: profile {whole / 1e6:.0f} ms, of which in the kernel {in_kernel / 1e6:.0f} ms, task-clock {count / 1e6:.0f} ms "
              f"({100 * (whole / count - 1):+.2f} %), getrusage {used / 1e6:.0f} ms ({100 * (whole / used - 1):+.2f} %), "
              f"stolen {self.stolen_ns / 1e6:.0f} ms, {self.interruptions} interruptions")
        chance = support.scatter(in_kernel / used, used * support.TICK_HZ / 1e9) * used + self.stolen_ns
        tails = threads * support.os.cpu_count() * profile.message.period  # a thread's last on each CPU is not yet a sample
        unseen = chance + tails + 10000 * self.interruptions
        self.check_near(whole, count, less=unseen, more=chance)
        self.check_near(whole, used, less=unseen, more=chance)
        self.check_near(count, used, more=self.stolen_ns)

    def test_split(self):
        profile = self.measure([target("split"), "10"]).profile()
        one = support.share_of(profile.samples, support.has_function(r"^one_third"))
        two = support.share_of(profile.samples, support.has_function(r"^two_thirds"))
        print(f"split: {one:.2f} % / {two:.2f} %")
        self.assertLessEqual(abs(one - 100 / 3), 3)
        self.assertLessEqual(abs(two - 200 / 3), 3)
        self.check_root(profile)
        self.check_cpu_time(profile)
        self.check_ledger(profile)
        # the whole way, not only its ends
        whole_way = r"^split;_start;__libc_start_main.*;main;alternate\(unsigned long\);(one_third|two_thirds)\(unsigned long\)$"
        complete = support.share_of(profile.samples, lambda s: bool(support.re.search(whole_way, ";".join(s.stack))))
        self.assertGreaterEqual(complete, 99)

    def test_split_at_a_higher_frequency(self):
        """Shallow stacks: sampling goes to a smaller copy after some hundred samples, and what is counted stays whole."""
        profile = self.measure([target("split"), "3"], ["--event", "sCPU freq=999"]).profile()
        self.assertEqual(profile.message.period, 1000000000 // 999)
        self.assertLessEqual(abs(support.share_of(profile.samples, support.has_function(r"^one_third")) - 100 / 3), 3)
        self.assertGreater(profile.ledger("level.normal"), 100)
        self.assertGreater(profile.ledger("level.small"), 1000)
        self.check_root(profile)
        self.check_cpu_time(profile)
        self.check_ledger(profile)

    def test_threads(self):
        profile = self.measure([target("demo_workload"), "6"]).profile()
        self.check_root(profile)
        self.check_cpu_time(profile, threads=3)
        self.check_ledger(profile)
        by_thread = collections.defaultdict(set)
        for sample in profile.samples:
            self.assertEqual(sample.labels["process_name"], "demo_workload")
            self.assertEqual(sample.labels["thread_name"], "demo_workload")
            by_thread[sample.tid] |= {name for name in sample.stack if name.startswith("demo::run_")}
        self.assertEqual(len(by_thread), 3)
        runs = sorted(support.re.sub(r"\(.*", "", name) for names in by_thread.values() for name in names)
        self.assertEqual(runs, ["demo::run_indexer", "demo::run_parser", "demo::run_renderer"])


if __name__ == "__main__":
    support.main()
