"""--wait: a parent in between that behaves as if it were not there: signals, stops, terminals, its own death."""

import fcntl
import json
import os
import pty
import select
import signal
import subprocess
import sys
import termios
import time
import unittest

import support
from support import LAUNCH, target

# Prints a line for every signal it gets, ends with 5 on SIGTERM.
LISTENER = """
import signal, sys, time
def tell(number, frame):
    print(signal.Signals(number).name, flush=True)
    if number == signal.SIGTERM: sys.exit(5)
for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGCONT,
               signal.SIGWINCH, signal.SIGALRM):
    signal.signal(number, tell)
print('ready', flush=True)
while True: time.sleep(1)
"""


def setUpModule():
    support.require_profiling()


class Signals(unittest.TestCase):
    def listen(self, options=("--wait",)):
        session = support.Session(self, ["/usr/bin/python3", "-c", LISTENER], options, process_group=0)
        self.addCleanup(lambda: session.process.poll() is None and session.process.kill())
        self.assertEqual(session.process.stdout.readline(), b"ready\n")
        return session

    def test_signals_reach_the_target(self):
        session = self.listen()
        for name in ("SIGHUP", "SIGINT", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGWINCH", "SIGALRM"):
            os.kill(session.pid, getattr(signal, name))
            self.assertEqual(session.process.stdout.readline().decode().strip(), name)
        os.kill(session.pid, signal.SIGTERM)
        session.finish()
        self.assertEqual((session.status, session.stdout), (5, b"SIGTERM\n"))
        self.assertEqual(len(session.profile_paths()), 1)
        self.assertEqual(len(session.stderr.splitlines()), 1, session.stderr)

    def test_deadly_signal(self):
        session = support.Session(self, [target("split"), "30"], ["--wait"])
        child = support.wait_until(lambda: support.children(session.pid), what="the target")[0]
        support.wait_until(lambda: support.comm(child) == "split", what="the target's exec")
        os.kill(session.pid, signal.SIGTERM)
        session.finish()
        self.assertEqual(session.status, -signal.SIGTERM)
        self.assertEqual(len(session.profile_paths()), 1)

    def test_stop_and_continue(self):
        """SIGTSTP sent to us stops the target, and then us: that is what a shell waits for."""
        session = self.listen()
        child = support.children(session.pid)[0]
        os.kill(session.pid, signal.SIGTSTP)
        pid, status = os.waitpid(session.pid, os.WUNTRACED)
        self.assertTrue(pid == session.pid and os.WIFSTOPPED(status))
        support.wait_until(lambda: support.proc_status(child)["State"].startswith("T"), what="the target to be stopped")
        os.kill(session.pid, signal.SIGCONT)
        self.assertEqual(session.process.stdout.readline(), b"SIGCONT\n")
        os.kill(session.pid, signal.SIGTERM)
        self.assertEqual(session.process.wait(timeout=10), 5)
        session.finish()

    def test_signals_to_the_group_arrive_once(self):
        """As from a terminal or kill -PGID: the target gets it directly, and must not get it from us again."""
        session = self.listen()
        os.killpg(session.pid, signal.SIGUSR1)
        time.sleep(0.3)
        os.kill(session.pid, signal.SIGTERM)
        session.finish()
        print("kill(-pgid, SIGUSR1) arrived", session.stdout.count(b"SIGUSR1"), "times")
        self.assertGreaterEqual(session.stdout.count(b"SIGUSR1"), 1)

    def test_parent_killed(self):
        """SIGKILL to the waiting parent: the target goes on and is profiled to its end."""
        session = support.Session(self, [target("split"), "1"], ["--wait"])
        supervisor = session.supervisor()
        child = support.wait_until(lambda: support.children(session.pid), what="the target")[0]
        support.wait_until(lambda: support.comm(child) == "split", what="the target's exec")
        session.process.kill()
        self.assertEqual(session.process.wait(), -9)
        self.assertTrue(support.is_alive(child) and support.is_alive(supervisor))
        session.process.stdout.read()
        session.finish()
        self.assertEqual({s.pid for s in session.profile().samples}, {child})

    def test_child_left_behind(self):
        """The target ended, its daemon did not: we return at once with what there is, the rest is profiled on."""
        script = f"{target('short_lived')}; {target('split')} 3 >/dev/null 2>&1 & echo $!; sleep 0.5; exit 4"
        session = support.Session(self, ["/bin/sh", "-c", script], ["--wait"])
        session.stdout, session.stderr = session.process.communicate(timeout=30)
        self.assertTrue(support.is_alive(int(session.stdout)))
        self.assertEqual(session.process.returncode, 4)
        self.assertGreaterEqual(len(session.profile_paths()), 1)
        support.wait_for_adopted()
        whole = sum(support.total_ns(p.samples) for p in session.profiles())
        self.assertGreater(whole, 2.5e9)

    def test_closing_line(self):
        session = support.run(self, [target("split"), "0.5"], ["--wait"])
        self.assertRegex(session.stderr.decode(),
                         r"^ddprof-launch: \d+ samples, \d+ lost, \d+\.\d% of stacks reached the root; profiler used "
                         r"\d+(\.\d)? ms of CPU \(\d+\.\d\d%\) and \d+\.\d MB, target slowed by about 0\.\d\d%; "
                         r"profile: \S+\.pprof\n$")
        self.assertIn(session.profile_paths()[0], session.stderr.decode())

    def test_signal_storm(self):
        """Signals from the first moment on never lose the target's end."""
        for _ in range(15):
            session = support.Session(self, ["/bin/sh", "-c", "trap : USR1; sleep 0.05; exit 6"], ["--wait"])
            end = time.monotonic() + 5
            while session.process.poll() is None and time.monotonic() < end:
                try:
                    os.kill(session.pid, signal.SIGCONT)
                except ProcessLookupError:
                    break
            session.finish()
            self.assertEqual(session.status, 6)


def run_in_terminal(command, keys, timeout=support.CONDITION_TIMEOUT_S):
    """A session leader with a terminal runs the command as its foreground job, like an interactive shell, and types keys:
    (text it waits for in the output, what to type then). Returns its report and the output."""
    report, report_end = os.pipe()
    pid, master = pty.fork()
    if pid == 0:
        try:
            os.close(report)
            events = []
            signal.signal(signal.SIGTTOU, signal.SIG_IGN)
            job = os.fork()
            if job == 0:
                os.setpgid(0, 0)
                os.tcsetpgrp(0, os.getpid())
                signal.signal(signal.SIGTTOU, signal.SIG_DFL)
                os.close(report_end)
                os.execv(command[0], command)
            while True:
                _, status = os.waitpid(job, os.WUNTRACED)
                if not os.WIFSTOPPED(status):
                    events.append(["ended", os.waitstatus_to_exitcode(status)])
                    break
                states = {}
                for _ in range(100):  # all of a job stop, but not in the same moment
                    for other in support.children(job) + [job]:
                        states[support.comm(other)] = support.proc_status(other)["State"][0]
                    if set(states.values()) == {"T"}:
                        break
                    time.sleep(0.1)
                events.append(["stopped", states])
                os.tcsetpgrp(0, os.getpgrp())
                os.tcsetpgrp(0, job)
                os.killpg(job, signal.SIGCONT)
            os.write(report_end, json.dumps(events).encode())
        finally:
            os._exit(0)
    os.close(report_end)
    support.started.add(pid)
    output, keys, end = b"", list(keys), time.monotonic() + timeout
    while time.monotonic() < end:
        if select.select([master], [], [], 0.05)[0]:
            try:
                data = os.read(master, 4096)
            except OSError:  # the other side is closed
                break
            output += data
        if keys and keys[0][0] in output:
            time.sleep(0.2)
            os.write(master, keys.pop(0)[1])
        if support.proc_status(pid).get("State", "Z")[0] == "Z":
            break
    os.set_blocking(report, False)
    try:
        events = json.loads(os.read(report, 65536) or b"[]")
    except BlockingIOError:
        events = []
    if not events:
        os.killpg(pid, signal.SIGKILL)
    os.close(report)
    os.waitpid(pid, 0)
    os.close(master)
    return events, output


class Terminal(unittest.TestCase):
    def setUp(self):
        self.output = support.temporary_folder(self)

    def test_interrupt_key(self):
        command = [target("split"), "30"]
        for launcher in ([LAUNCH, "--output", self.output], [LAUNCH, "--wait", "--output", self.output]):
            with self.subTest(launcher=launcher[1]):
                script = ["/bin/sh", "-c", 'echo ready; exec "$@"', "sh", *command]
                events, output = run_in_terminal([*launcher, *script], [(b"ready", b"\x03")])
                support.wait_for_adopted()
                self.assertEqual(events, [["ended", -signal.SIGINT]], output)

    STOPPABLE = """
import signal, time
for number in (signal.SIGCONT, signal.SIGINT):
    signal.signal(number, lambda number, frame: print('<' + signal.Signals(number).name + '>', flush=True))
print('<ready>', flush=True)
while True: time.sleep(1)
"""

    def test_stop_key(self):
        """Ctrl-Z, fg, Ctrl-C, Ctrl-\\, as a job of a shell: every signal arrives exactly once, and all of the job stops."""
        resource_limit = ["/bin/sh", "-c", 'ulimit -c 0; exec "$@"', "sh"]
        for launcher in ([], [LAUNCH, "--output", self.output], [LAUNCH, "--wait", "--output", self.output]):
            with self.subTest(launcher=launcher[1:2]):
                events, output = run_in_terminal(
                    [*resource_limit, *launcher, "/usr/bin/python3", "-c", self.STOPPABLE],
                    [(b"<ready>", b"\x1a"), (b"<SIGCONT>", b"\x03"), (b"<SIGINT>", b"\x1c")])
                support.wait_for_adopted()
                self.assertEqual(len(events), 2, (events, output))
                self.assertEqual(events[0][0], "stopped")
                self.assertEqual(set(events[0][1].values()), {"T"}, events)
                self.assertEqual(events[1], ["ended", -signal.SIGQUIT])
                for name in (b"<SIGINT>", b"<SIGCONT>"):
                    self.assertEqual(output.count(name), 1, output)

    def test_summary_goes_to_the_terminal(self):
        for options in ([], ["--wait"]):
            script = f'"{LAUNCH}" {" ".join(options)} --output "{self.output}" "{target("short_lived")}"; read go'
            _, output = run_in_terminal(["/bin/sh", "-c", script], [(b"samples, 0 lost", b"\n")])
            support.wait_for_adopted()
            self.assertIn(b"samples, 0 lost", output, options)


if __name__ == "__main__":
    support.main()
