"""The worker in the hands of an attacker, who may execute it and play its opener."""

import subprocess
import unittest

import attack
import support


def setUpModule():
    attack.set_up()


class Worker(unittest.TestCase):
    def test_lies_about_the_rings(self):
        """Pipes, memory, /dev/zero and more in place of perf descriptors; too few, too many, in the wrong order: nothing
        of it is mapped. A true set is accepted, and the kernel stops 254 descriptors in one message."""
        for prefix in ([], support.user_prefix()):
            done = subprocess.run([*prefix, attack.program("hostile_opener"), attack.WORKER], capture_output=True, text=True,
                                  check=False, timeout=100)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            print(done.stdout.strip())


if __name__ == "__main__":
    support.main()
