"""The root file system of a guest: busybox, the installed product under the very paths that are compiled into it, the
programs to be profiled, and a few tools, each with the shared objects that ldd names.

Written as a cpio archive ("newc", see the kernel's buffer-format document) right here: owners and modes are what we
say, whoever runs the test. File capabilities do not fit into such an archive; the guest sets them."""

import gzip
import os
import re
import stat
import subprocess

import support

HERE = os.path.dirname(os.path.abspath(__file__))
TOOLS = ("setpriv", "setcap", "apparmor_parser")
TARGETS = ("split", "short_lived", "exit_with", "report_rights", "without_arguments", "kernel_time")
UNIT_TESTS = ("base/test_landlock", "base/test_harden")  # of what depends on the kernel
CONFINED_CLIENT = "export/confined_client"
FILES = {
    "/etc/hosts": "127.0.0.1 localhost agent\n",
    "/etc/passwd": "root:x:0:0::/:/bin/sh\nsvc:x:1000:1000::/:/bin/sh\nother:x:1001:1001::/:/bin/sh\n",
    "/etc/group": "root:x:0:\nddprof:x:900:svc\nsvc:x:1000:\nother:x:1001:\n",
}


def beside_targets(name):
    """A program of another folder of tests."""
    return os.path.normpath(support.target("../" + name))


class Archive:
    """What is added becomes root's; folders on the way are made with mode 0755."""

    def __init__(self):
        self.parts = []
        self.paths = set()

    def _entry(self, path, mode, data, device=(0, 0)):
        name = path.lstrip("/").encode() + b"\0"
        fields = (len(self.paths), mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(name), 0)
        head = b"070701" + b"".join(b"%08x" % field for field in fields) + name
        for block in (head, data):
            self.parts.append(block + b"\0" * (-len(block) % 4))

    def _add(self, path, mode, data=b"", device=(0, 0)):
        if path in self.paths:
            return
        if path != "/":
            self.folder(os.path.dirname(path))
        self.paths.add(path)
        if path != "/":
            self._entry(path, mode, data, device)

    def folder(self, path, mode=0o755):
        self._add(path, stat.S_IFDIR | mode)

    def text(self, path, text, mode=0o644):
        self._add(path, stat.S_IFREG | mode, text.encode())

    def link(self, path, to):
        self._add(path, stat.S_IFLNK | 0o777, to.encode())

    def device(self, path, major, minor):
        self._add(path, stat.S_IFCHR | 0o600, device=(major, minor))

    def file(self, source, path=None):
        with open(source, "rb") as file:
            self._add(path or source, stat.S_IFREG | stat.S_IMODE(os.stat(source).st_mode), file.read())

    def program(self, source):
        """With its interpreter and shared objects, all at their own paths."""
        self.file(source)
        listed = subprocess.run(["ldd", source], capture_output=True, text=True, check=False).stdout
        for path in re.findall(r"(/\S+) \(0x", listed):
            self.file(path)

    def packed(self):
        self._entry("TRAILER!!!", 0, b"")
        return gzip.compress(b"".join(self.parts), compresslevel=1)


def build(more_programs=()):
    """The packed archive as bytes."""
    archive = Archive()
    archive.file(support.require_program("busybox"), "/bin/busybox")
    archive.file(os.path.join(HERE, "init"), "/init")
    archive.file(os.path.join(HERE, "agent"), "/agent")
    archive.device("/dev/console", 5, 1)
    for folder in ("/proc", "/sys", "/run", "/sbin", "/usr/bin", "/usr/sbin", "/var/log"):
        archive.folder(folder)
    archive.folder("/tmp", 0o1777)
    for path, text in FILES.items():
        archive.text(path, text)
    archive.file(support.PREFIX + "/share/doc/ddprof-launch/apparmor/ddprof-launch", "/etc/apparmor.d/ddprof-launch")
    archive.file("/etc/apparmor.d/abi/3.0")
    for path, _, names in os.walk(support.PREFIX):
        for name in names:
            archive.program(os.path.join(path, name))
    for name in TARGETS:
        archive.program(support.target(name))
    for name in (*UNIT_TESTS, CONFINED_CLIENT):
        archive.program(beside_targets(name))
    for name in TOOLS:
        archive.program(support.require_program(name))
    for source in more_programs:
        archive.program(source)
    return archive.packed()
