"""The kernel's functions by name, where the administrator allows samples in the kernel and the caller may see its addresses;
and not one of these addresses in what leaves the host."""

import os
import re
import unittest

import support
from private_host import PrivateHost
from support import target

ALLOWED = "echo 'kernel_frames = yes' > $POLICY; chmod 644 $POLICY;"
KERNEL_BEGIN = 0xFFFF << 48


def setUpModule():
    support.require_profiling()
    support.require_root()


def code_symbols():
    """Name to first address, and (address, name) of all, as root sees them."""
    found = re.findall(r"(?m)^([0-9a-f]+) [tTwW] (\S+)", support.read_text("/proc/kallsyms"))
    return [(int(address, 16), name) for address, name in found]


def in_kernel(sample):
    """What is above [kernel]: entered first, leaf last."""
    return sample.frames[sample.stack.index("[kernel]") + 1:] if "[kernel]" in sample.stack else None


class KernelNames(unittest.TestCase):
    def run_zero(self, options=(), changes="", user=(), way="zero"):
        """A program that is nearly always in the kernel."""
        host = PrivateHost(self, ALLOWED + changes, list(user))
        session = support.run(self, [target("kernel_time"), way, "1"], options, prefix=host.prefix)
        self.assertEqual(session.status, 0, session.stderr)
        self.session, self.profile = session, session.profile()
        self.audit = re.search(r" kernel_frames=(\w+) ", host.lines()[0])[1]
        self.inside = [sample for sample in self.profile.samples if "[kernel]" in sample.stack]
        return self.profile

    def share(self, wanted):
        """Of what was sampled: about a hundred samples, of which all but a few are in the kernel."""
        return support.total_ns(s for s in self.inside if wanted(s)) / support.total_ns(self.profile.samples)

    def check_nothing_private(self):
        self.assertFalse([text for text in self.profile.strings if "[jit:" in text])
        self.assertLess(max(location.address for location in self.profile.message.location), KERNEL_BEGIN)
        for sample in self.inside:
            for frame in in_kernel(sample):
                self.assertEqual((frame.address, frame.mapping), (0, None), frame.name)

    def check_names(self):
        """Each is one that the kernel has; the way in is the system call's; what fills the buffer is on the stack."""
        self.assertEqual(self.audit, "named")
        known = {name.split("@")[0] for _, name in code_symbols()}
        names = {frame.name for sample in self.inside for frame in in_kernel(sample)}
        self.assertEqual(names - known, set())
        self.assertGreater(self.share(lambda s: "main" in s.stack and any("read_zero" in f.name or "read_iter_zero" in f.name
                                                                          for f in in_kernel(s))), 0.7, support.folded(self.profile)[:9])
        self.assertGreater(self.share(lambda s: re.search("entry_SYSCALL_64", in_kernel(s)[0].name)), 0.8)
        self.assertEqual({frame.filename for sample in self.inside for frame in in_kernel(sample)}, {"[kernel]"})
        self.assertLessEqual(abs(self.profile.whole_ns() - self.profile.ledger("kernel_count_ns")), self.profile.message.period)
        self.check_nothing_private()

    def test_root(self):
        for options in ([], ["--unwind", "fp"], ["--unwind", "dwarf"]):
            with self.subTest(options):
                self.run_zero(options)
                self.check_names()

    def test_several_profiles(self):
        """The second has the names of the first from memory."""
        host = PrivateHost(self, ALLOWED, [])
        session = support.run(self, [target("kernel_time"), "zero", "2.5"], ["-u", "1"], prefix=host.prefix)
        profiles = session.profiles()
        self.assertGreaterEqual(len(profiles), 3)
        for profile in profiles[:2]:
            self.profile, self.audit = profile, "named"
            self.inside = [sample for sample in profile.samples if "[kernel]" in sample.stack]
            self.check_names()

    def test_caller_who_may_not_see_addresses(self):
        """A user's samples in the kernel take a privilege of ours here: they bring no address, whatever it is."""
        if int(support.read_text("/proc/sys/kernel/perf_event_paranoid")) < 2:
            support.skip("here everybody may see the kernel's addresses")
        for changes in ("setcap cap_sys_admin=p $OPENER", "setcap cap_perfmon=p $OPENER", "chmod 4755 $OPENER"):
            with self.subTest(changes):
                self.run_zero(changes=changes, user=support.user_prefix())
                self.assertEqual(self.audit, "yes")
                self.assertGreater(self.share(lambda s: s.stack[-1] == "[kernel]" and "main" in s.stack), 0.85)
                self.check_nothing_private()

    def test_caller_with_a_capability(self):
        """Who asks for addresses, because he can see them, gets none through a privilege of ours, but by his own."""
        if int(support.read_text("/proc/sys/kernel/perf_event_paranoid")) < 2:
            support.skip("here everybody may see the kernel's addresses")
        for changes, names, said in (("setcap cap_perfmon=p $OPENER", ["syslog"], "yes"), ("", ["syslog", "perfmon"], "named")):
            mine = [f"--{way}-caps=" + ",".join("+" + name for name in names) for way in ("inh", "ambient")]
            self.run_zero(changes=changes, user=[*support.user_prefix(), *mine])
            self.assertEqual(self.audit, said)
            self.assertGreater(self.share(lambda s: "main" in s.stack), 0.85)
            self.check_nothing_private()

    def test_nobody_to_name_them(self):
        """Asked for no names, or without a file that has them: then there is no address to begin with."""
        zeros = "sed 's/^[0-9a-f]*/0000000000000000/' /proc/kallsyms > $H/zeros; mount --bind $H/zeros /proc/kallsyms"
        for options, changes in ((["--disable_symbolization=true"], ""), ([], "mount --bind /dev/null /proc/kallsyms"), ([], zeros)):
            with self.subTest(options):
                self.run_zero(options, changes)
                self.assertEqual(self.audit, "yes")
                self.assertGreater(self.share(lambda s: s.stack[-1] == "[kernel]"), 0.85)
                self.check_nothing_private()

    def test_who_holds_the_file(self):
        """The supervisor, where it is of use; nobody where the administrator says no, and no role until it asks."""
        for policy, holders in ((ALLOWED, ["supervisor"]), ("", [])):
            host = PrivateHost(self, policy, [])
            session = support.Session(self, [target("kernel_time"), "user", "30"], prefix=host.prefix)
            supervisor = session.supervisor()
            roles = {"supervisor": supervisor, **support.wait_for_roles(supervisor)}
            held = [name for name, pid in roles.items() for fd in os.listdir(f"/proc/{pid}/fd")
                    if os.readlink(f"/proc/{pid}/fd/{fd}") == "/proc/kallsyms"]
            session.process.terminate()
            session.finish()
            self.assertEqual(held, holders)

    def test_symbolizer_that_does_not_start(self):
        """What goes out without names tells where nothing of the kernel is, not even by comparing two profiles."""
        symbols = {address for address, _ in code_symbols()}
        seen = []
        for _ in range(2):
            self.run_zero(changes='cp /bin/false "$L/ddprof-symbolizer"')
            self.assertEqual(self.audit, "named")
            hidden = {m.id for m in self.profile.message.mapping if self.profile.mapping_name(m) == "[jit:0]"}
            self.assertEqual(len(hidden), 1)
            addresses = {location.address for location in self.profile.message.location if location.mapping_id in hidden}
            self.assertGreater(len(addresses), 1)
            self.assertLess(max(addresses), KERNEL_BEGIN)
            self.assertFalse(addresses & symbols)
            self.assertLess(max(location.address for location in self.profile.message.location), KERNEL_BEGIN)
            seen.append(addresses)
        self.assertFalse(seen[0] & seen[1])


if __name__ == "__main__":
    support.main()
