"""Between exec and the program's own first step, no process of the same user gets in: 0 times in 10,000 launches."""

import os
import re
import subprocess
import unittest

import attack
import support

LAUNCHES = 10000


def setUpModule():
    attack.set_up()


class ExecWindow(unittest.TestCase):
    def wins(self, program, argument, launches):
        """Technique -> how often it succeeded."""
        done = subprocess.run([*support.user_prefix(), attack.program("exec_window"), program, argument, str(launches)],
                              capture_output=True, text=True, check=False, timeout=2500)
        self.assertEqual(done.returncode, 0, done.stderr)
        attempts = int(re.search(rf"^launches {launches} attempts (\d+)$", done.stdout, re.M)[1])
        wins = {name: int(count) for name, count in re.findall(r"^(\S+) wins (\d+)$", done.stdout, re.M)}
        self.assertEqual(len(wins), 7)
        print(f"{os.path.basename(program)} {argument}: {launches} launches, {attempts} attempts, wins: {wins}")
        self.assertGreater(attempts, 5 * launches, "the attackers hardly ran")
        return wins

    def test_control_a_readable_worker_is_entered(self):
        """The same program, mode 0755: each technique wins before it has made itself non-dumpable. This is what shows
        that the test below would see a win."""
        wins = self.wins(attack.copy_of(self, attack.WORKER), "unwinder", 400)
        self.assertEqual([name for name, count in wins.items() if count == 0], [])

    def test_worker(self):
        self.assertEqual(sum(self.wins(attack.WORKER, "unwinder", LAUNCHES).values()), 0)

    def test_every_other_unreadable_program(self):
        for name, argument in (("ddprof-symbolizer", "symbolizer"), ("ddprof-exporter", "exporter"),
                               ("ddprof-uploader", "exporter"), ("ddprof-worker", "supervisor")):
            with self.subTest(program=name):
                self.assertEqual(sum(self.wins(os.path.join(support.LIBEXEC, name), argument, 300).values()), 0)

    def test_opener_with_a_file_capability(self):
        """Readable, but the kernel closes a process that gains a capability by exec."""
        opener = attack.copy_of(self, attack.OPENER, capabilities="cap_perfmon=p")
        self.assertEqual(sum(self.wins(opener, "by hand", 500).values()), 0)


if __name__ == "__main__":
    support.main()
