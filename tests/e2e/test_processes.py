"""Processes and threads, libraries loaded late, programs too short to be looked at twice: all attributed."""

import os
import subprocess
import textwrap
import unittest

import support
from support import target


def setUpModule():
    support.require_profiling()


class Processes(unittest.TestCase):
    def test_forks_and_threads(self):
        session = support.run(self, [target("forks"), "2", "2", "0.5"])
        said = {tuple(map(int, line.split())) for line in session.stdout.splitlines()}
        self.assertEqual(len(said), 4)
        profile = session.profile()
        self.assertEqual({(s.pid, s.tid) for s in profile.samples}, said)
        self.assertEqual(len({s.pid for s in profile.samples}), 2)
        for pid, tid in said:
            share = support.share_of(profile.samples, lambda s: (s.pid, s.tid) == (pid, tid))
            self.assertLess(abs(share - 25), 8)  # some 50 samples each
        self.assertGreaterEqual(support.share_of(profile.samples, support.has_function("^burn_in_thread$")), 98)

    def test_many_processes(self):
        session = support.run(self, [target("forks"), "12", "3", "0.1"])
        said = {tuple(map(int, line.split())) for line in session.stdout.splitlines()}
        self.assertEqual(len(said), 36)
        self.assertEqual({(s.pid, s.tid) for s in session.profile().samples}, said)

    def test_tree_of_a_shell(self):
        script = f'"{target("split")}" 0.7 & a=$!; "{target("split")}" 0.7 & b=$!; wait; echo $a $b'
        session = support.run(self, ["/bin/sh", "-c", script])
        pids = {int(pid) for pid in session.stdout.split()[-2:]}
        profile = session.profile()
        burning = [s for s in profile.samples if support.has_function("^alternate")(s)]
        self.assertEqual({s.pid for s in burning}, pids)
        self.assertEqual({s.stack[0] for s in burning}, {"split"})
        self.assertEqual({s.labels["process_name"] for s in burning}, {"split"})
        self.assertGreaterEqual(support.share_of(profile.samples, lambda s: s in burning), 95)

    def test_daemon_outlives_the_command(self):
        """The target's parent is gone at once; its grandchild is profiled to its end."""
        session = support.Session(self, ["/bin/sh", "-c", f'"{target("split")}" 3 >/dev/null & echo $!'])
        supervisor = session.supervisor()
        session.stdout = session.process.stdout.read()
        session.process.stdout.close()
        session.process.stderr.close()
        self.assertEqual(session.process.wait(timeout=10), 0)
        child = int(session.stdout)
        self.assertTrue(support.is_alive(child))
        self.assertTrue(support.is_alive(supervisor))
        support.wait_for_adopted()
        self.assertEqual({s.pid for s in session.profile().samples if support.has_function("^alternate")(s)}, {child})

    def test_library_loaded_late(self):
        profile = support.run(self, [target("dlopener"), "0.5"]).profile()
        self.assertGreaterEqual(support.share_of(profile.samples, support.has_function("^plugin_burn$")), 95)
        self.assertIn("libtarget_plugin.so", {profile.mapping_name(m) for m in profile.message.mapping})

    def test_short_life(self):
        """Five periods of it, of which the kernel may have one (4.0 samples, standard deviation 0.35, on busy CPUs)."""
        for options in ([], ["--wait"]):
            samples = []
            for _ in range(4):
                session = support.run(self, [target("short_lived")], options)
                self.assertEqual(session.status, 7)
                samples += session.profile().samples
            self.assertGreaterEqual(sum(s.count for s in samples), 4 * 3)
            leaves = support.share_of(samples, lambda s: s.stack[-1] == "burn_briefly" and "main" in s.stack)
            self.assertGreaterEqual(leaves, 60)
            self.assertEqual(support.share_of(samples, support.is_rooted), 100)

    def test_script(self):
        folder = support.temporary_folder(self)
        script = os.path.join(folder, "script")
        with open(script, "w", encoding="utf-8") as file:
            file.write(f"#!/bin/sh\nx=0\nwhile [ $x -lt 300000 ]; do x=$((x+1)); done\nexec '{target('short_lived')}'\n")
        os.chmod(script, 0o755)
        session = support.run(self, [script])
        self.assertEqual(session.status, 7)
        profile = session.profile()
        self.assertIn("/script-", session.profile_paths()[0])
        self.assertTrue(any("burn_briefly" in s.stack and s.stack[0] == "short_lived" for s in profile.samples))
        shell = os.path.basename(os.path.realpath("/bin/sh"))
        self.assertTrue(any(s.stack[0] == shell for s in profile.samples), {s.stack[0] for s in profile.samples})

    def build(self, name, text, *flags):
        """A C program; None where there is no compiler for these flags."""
        folder = support.temporary_folder(self)
        source, program = os.path.join(folder, name + ".c"), os.path.join(folder, name)
        with open(source, "w", encoding="utf-8") as file:
            file.write(textwrap.dedent(text))
        result = subprocess.run([support.require_program("cc"), "-O2", "-fomit-frame-pointer", *flags, "-o", program, source],
                                capture_output=True, check=False)
        if result.returncode != 0:
            support.skip(f"cannot build with {flags}: {result.stderr.decode()[:200]}")
        return program

    BURNER = """
        #include <pthread.h>
        #include <stdint.h>
        #include <stdlib.h>
        #include <time.h>
        #include <unistd.h>
        static double until;
        static double used(void) { struct timespec t; clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t); return t.tv_sec + t.tv_nsec / 1e9; }
        __attribute__((noipa)) uint64_t burn_here(uint64_t v)
        {
            for (int i = 0; i < 100000; i++) { v ^= v << 13; v ^= v >> 7; v ^= v << 17; }
            return v;
        }
        __attribute__((noipa)) void *in_thread(void *unused)
        {
            volatile uint64_t v = 1;
            (void)unused;
            while (used() < until) v = burn_here(v);
            return NULL;
        }
        int main(int argc, char **argv)
        {
            pthread_t thread;
            until = argc > 1 ? atof(argv[1]) : 0.4;
            pthread_create(&thread, NULL, in_thread, NULL);
            in_thread(NULL);
            pthread_join(thread, NULL);
            return 3;
        }
    """

    def check_burner(self, session, name):
        self.assertEqual(session.status, 3)
        profile = session.profile()
        self.assertGreaterEqual(support.share_of(profile.samples, support.has_function("^burn_here$")), 95,
                                support.folded(profile)[:5])
        self.assertEqual({s.stack[0] for s in profile.samples}, {name})
        self.assertGreaterEqual(support.share_of(profile.samples, support.is_rooted), 99)

    def test_static_binary(self):
        for flags in (["-static"], ["-static-pie"], ["-no-pie"]):
            with self.subTest(flags=flags):
                self.check_burner(support.run(self, [self.build("statically", self.BURNER, *flags, "-pthread")]), "statically")

    def test_deleted_later(self):
        program = self.build("vanisher", self.BURNER, "-pthread")
        session = support.Session(self, [program, "1.5"])
        support.wait_until_open(session.supervisor(), program)
        os.unlink(program)
        self.check_burner(session.finish(), "vanisher")

    def test_replaced_while_running(self):
        """The new file at the same path has another build id: its names must not be used for the old code."""
        program = self.build("changer", self.BURNER, "-pthread")
        other = self.build("other", self.BURNER.replace("burn_here", "wrong_name").replace("<< 13", "<< 12"), "-pthread")
        session = support.Session(self, [program, "1.5"])
        support.wait_until_open(session.supervisor(), program)
        os.replace(other, program)
        self.check_burner(session.finish(), "changer")

    def test_vfork_and_spawn(self):
        """subprocess uses vfork: the child shares its parent's memory until exec."""
        program = f"import subprocess; p = subprocess.Popen([{target('short_lived')!r}]); print(p.pid); exit(p.wait())"
        session = support.run(self, ["/usr/bin/python3", "-c", program])
        self.assertEqual(session.status, 7)
        child = int(session.stdout)
        samples = [s for s in session.profile().samples if s.pid == child]
        self.assertTrue(any("burn_briefly" in s.stack and s.stack[0] == "short_lived" for s in samples), samples)

    def test_exec_chain(self):
        """One PID, three programs after another: each sample belongs to the one that was running."""
        session = support.run(self, ["/bin/sh", "-c", f'exec /usr/bin/env sh -c \'exec "{target("short_lived")}"\''])
        self.assertEqual(session.status, 7)
        self.assertTrue(all(s.stack[0] == "short_lived" for s in session.profile().samples if "burn_briefly" in s.stack))
        self.assertEqual({s.pid for s in session.profile().samples}, {session.pid})


if __name__ == "__main__":
    support.main()
