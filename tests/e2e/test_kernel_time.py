"""CPU time that the kernel counts and no sample shows: in the kernel, and of tasks that ended before their next sample."""

import math
import re
import unittest

import support
from support import target


def setUpModule():
    support.require_profiling()


class KernelTime(unittest.TestCase):
    def run_target(self, where, seconds, options=()):
        """self.user_ns and self.system_ns: what the kernel had charged the target at its end. self.stolen_ns: what it may
        have counted beyond that."""
        before = support.stolen_ns()
        session = support.run(self, [target("kernel_time"), where, str(seconds)], options)
        self.assertEqual(session.status, 0)
        self.stolen_ns = support.stolen_ns() - before
        self.user_ns, self.system_ns = (int(word) for word in session.stdout.split())
        return session

    def check_whole(self, profiles):
        """Together the profiles have what was counted, and each says in its ledger what has no sample."""
        period = profiles[0].message.period
        counted = sum(profile.ledger("kernel_count_ns") for profile in profiles)
        whole = sum(profile.whole_ns() for profile in profiles)
        print(f"counted {counted / 1e6:.0f} ms, in the profile {whole / 1e6:.0f} ms; charged: user {self.user_ns / 1e6:.0f} ms, "
              f"kernel {self.system_ns / 1e6:.0f} ms; " +
              ", ".join(f"{p.ledger('samples')} samples, [kernel] {p.ledger('in_kernel_ns') / 1e6:.0f} ms, "
                        f"[unsampled] {p.ledger('unsampled_ns') / 1e6:.0f} ms" for p in profiles))
        self.assertLessEqual(abs(whole - counted), period)
        self.check_near(counted, self.user_ns + self.system_ns, 0.05 * counted)
        for profile in profiles:
            self.assertEqual(self.hidden(profile, "[kernel]"), profile.ledger("in_kernel_ns"))
            self.assertEqual(self.hidden(profile, "[unsampled]"), profile.ledger("unsampled_ns"))
            for name, sample in profile.without_samples.items():
                self.assertEqual(sample.stack, ["kernel_time", name])
                self.assertEqual(sample.labels["process_name"], "kernel_time")
                self.assertEqual(sample.count, round(sample.cpu_time_ns / period))

    def hidden(self, profile, name):
        return profile.without_samples[name].cpu_time_ns if name in profile.without_samples else 0

    def check_near(self, counted, charged, delta):
        self.assertGreaterEqual(counted, charged - delta)
        self.assertLessEqual(counted, charged + delta + self.stolen_ns)

    def check_kernel(self, profiles):
        """Against the kernel's own account, which ticks may have sampled, as we did: where a program is in both, neither
        knows it better than so many samples can."""
        kernel = sum(self.hidden(profile, "[kernel]") for profile in profiles)
        charged = self.system_ns + self.user_ns
        chance = math.hypot(*(support.scatter(self.system_ns / charged, charged / ns)
                              for ns in (profiles[0].message.period, 1e9 / support.TICK_HZ)))
        self.check_near(kernel, self.system_ns, max(0.08, chance) * charged)
        return kernel

    def test_in_the_kernel(self):
        session = self.run_target("zero", 2)
        profile = session.profile()
        self.check_whole([profile])
        kernel = self.check_kernel([profile])
        self.assertGreaterEqual(kernel, 0.9 * profile.whole_ns())
        report = support.subprocess.run([support.PREFIX + "/bin/ddprof-report", profile.path], capture_output=True, text=True,
                                        check=True).stdout
        shown = re.search(r"(?m)^ *\S+ +(\d+(?:\.\d)?)% .*\[kernel\]$", report)
        self.assertTrue(shown, report)
        self.assertAlmostEqual(float(shown[1]), 100 * kernel / profile.whole_ns(), delta=0.06)  # one digit, or 100

    def test_through_system_calls(self):
        """User and kernel in between, thousands of times in each period. (6 s: 600 samples of a half tell it to 11 %.)"""
        profile = self.run_target("getppid", 6).profile()
        self.check_whole([profile])
        self.assertGreaterEqual(self.check_kernel([profile]), 0.3 * profile.whole_ns())
        self.assertGreater(profile.ledger("samples"), 10)

    def test_in_user_space(self):
        profile = self.run_target("user", 2).profile()
        self.check_whole([profile])
        self.assertLessEqual(self.check_kernel([profile]), 0.08 * profile.whole_ns() + self.stolen_ns)
        self.assertLessEqual(self.hidden(profile, "[unsampled]"), 0.08 * profile.whole_ns())

    def test_several_profiles(self):
        session = self.run_target("zero", 2.5, ["-u", "1"])
        profiles = session.profiles()
        self.assertGreaterEqual(len(profiles), 3)
        self.check_whole(profiles)
        self.check_kernel(profiles)
        for profile in profiles[:2]:
            self.assertGreaterEqual(self.hidden(profile, "[kernel]"), 0.8 * profile.ledger("kernel_count_ns"))

    def test_short_tasks(self):
        """Nobody can tell where they were: it is not said to be the kernel."""
        profile = self.run_target("tasks", 1).profile()
        self.check_whole([profile])
        self.assertLessEqual(self.hidden(profile, "[kernel]"), 0.1 * profile.whole_ns())
        self.assertGreaterEqual(self.hidden(profile, "[unsampled]"), 0.7 * profile.whole_ns())


if __name__ == "__main__":
    support.main()
