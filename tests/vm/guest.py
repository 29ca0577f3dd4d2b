"""A virtual machine that runs a kernel of ours to choose, and does what it is told over a serial port.

    guest.py NAME [CPUS]    boots that kernel of kernels.py and gives you root's shell on this terminal

The processor is emulated: no /dev/kvm is needed, and what a test can use is the same everywhere."""

import base64
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../e2e"))
import support  # pylint: disable=wrong-import-position
import initramfs  # pylint: disable=wrong-import-position
import kernels  # pylint: disable=wrong-import-position

BOOT_TIMEOUT_S = 300  # some 15 s on an idle machine
CACHE = os.environ.get("DDPROF_VM_CACHE", "/var/tmp/ddprof-vm")
CPU = "max,-cx16"  # QEMU 7.2 now and then gets the flags of cmpxchg16b wrong, and the guest panics
LINE_MAX_BYTES = 4000  # of a command in base64: what the guest's terminal takes at once


class Died(AssertionError):
    """The guest is gone, or does not answer; the text ends with the last words of its console."""


class Done:
    """A command that the guest has run."""

    def __init__(self, command, status, stdout, stderr):
        self.command, self.status, self.stdout, self.stderr = command, status, stdout, stderr

    def __repr__(self):
        return f"{self.command!r}: status {self.status}, stdout {self.stdout!r}, stderr {self.stderr!r}"


def command_line(image, archive, cpus, *more):
    # One host thread for all CPUs: with one each, QEMU 7.2 lets a CPU run into code that another is patching
    # (a perf event's static key), and the guest's kernel dies of its own int3.
    return [support.require_program("qemu-system-x86_64"), "-accel", "tcg,thread=single", "-cpu", CPU, "-smp", str(cpus),
            "-m", "768", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
            "-kernel", image, "-initrd", archive, *more]


def die_with_parent():
    support.libc.prctl(support.PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


class Guest:
    def __init__(self, image, packed, cpus=2):
        self.folder = tempfile.mkdtemp(prefix="ddprof-vm-")
        self.console_path = os.path.join(self.folder, "console")
        archive = os.path.join(self.folder, "initramfs")
        with open(archive, "wb") as file:
            file.write(packed)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(os.path.join(self.folder, "agent"))
        listener.listen(1)
        listener.settimeout(BOOT_TIMEOUT_S)
        self.process = subprocess.Popen(
            command_line(image, archive, cpus, "-serial", "file:" + self.console_path,
                         "-serial", "unix:" + listener.getsockname(),
                         "-append", "console=ttyS0 quiet oops=panic panic=-1"),
            stdin=subprocess.DEVNULL, preexec_fn=die_with_parent)
        support.started.add(self.process.pid)
        try:
            self.agent = listener.accept()[0]
            self.pending = b""
            if self._line(time.monotonic() + BOOT_TIMEOUT_S) != b"ready":
                raise self._died("it did not start as expected")
        except BaseException:
            self.close()
            raise
        finally:
            listener.close()

    def console(self):
        return support.read_text(self.console_path)

    def _died(self, how):
        return Died(f"{how}; the console ends with:\n{self.console()[-4000:]}")

    def _line(self, end):
        while b"\n" not in self.pending:
            self.agent.settimeout(max(end - time.monotonic(), 0.001))
            try:
                received = self.agent.recv(65536)
            except TimeoutError:
                raise self._died("the guest does not answer") from None
            if not received:
                raise self._died("the guest has ended")
            self.pending += received
        line, self.pending = self.pending.split(b"\n", 1)
        return line

    def run(self, command, timeout=300):
        """Runs a command line for sh as root."""
        line = base64.b64encode(command.encode())
        if len(line) > LINE_MAX_BYTES:
            raise ValueError("too long a command for the guest")
        end = time.monotonic() + timeout
        try:
            self.agent.sendall(line + b"\n")
        except OSError:
            raise self._died("the guest has ended") from None
        status, stdout, stderr = (self._line(end) for _ in range(3))
        return Done(command, int(status), base64.b64decode(stdout), base64.b64decode(stderr).decode(errors="replace"))

    def close(self):
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def shell(name, cpus):
    with tempfile.NamedTemporaryFile() as archive:
        archive.write(initramfs.build())
        archive.flush()
        subprocess.run(command_line(kernels.fetch(name, CACHE), archive.name, cpus, "-serial", "mon:stdio", "-append",
                                    "console=ttyS0 quiet panic=-1 ddprof.shell"), check=False)


if __name__ == "__main__":
    shell(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 2)
