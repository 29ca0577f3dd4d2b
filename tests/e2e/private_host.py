"""A host of its own for one command: a mount namespace with another /etc (hence another policy), another /dev (hence a
system log that the test reads), and another copy of the installed programs (hence other modes and privileges)."""

import os
import shutil
import socket

import support

SHELL = """set -e
mount --make-rprivate /
mount -t tmpfs -o mode=755 none /etc
cp "$H"/etc/* /etc/ 2>/dev/null || true
mkdir /etc/ddprof; chmod 755 /etc/ddprof
mount -t tmpfs -o mode=755 none "$H/dev"
for device in null zero full random urandom; do touch "$H/dev/$device"; mount --bind "/dev/$device" "$H/dev/$device"; done
ln -s /proc/self/fd "$H/dev/fd"
touch "$H/dev/log"; mount --bind "$H/syslog" "$H/dev/log"
mount --rbind "$H/dev" /dev
mount -t tmpfs -o mode=755 none "$H/libexec"
cp -p "$L"/* "$H/libexec/"
mount --bind "$H/libexec" "$L"
LOG=/dev/log POLICY=/etc/ddprof/policy.conf OPENER="$L/ddprof-perf-open" WORKER="$L/ddprof-worker"
"""


class PrivateHost:
    """`changes` are shell lines; $POLICY, $OPENER and $WORKER name the files to change."""

    def __init__(self, case, changes="", user=None):
        support.require_root()
        self.folder = support.temporary_folder(case, mode=0o755)
        for name in ("etc", "dev", "libexec"):
            os.mkdir(os.path.join(self.folder, name))
        for name in ("passwd", "group", "ld.so.cache"):
            shutil.copy(os.path.join("/etc", name), os.path.join(self.folder, "etc"))
        self.log = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.log.bind(os.path.join(self.folder, "syslog"))
        os.chmod(os.path.join(self.folder, "syslog"), 0o666)
        case.addCleanup(self.log.close)
        script = f'H="{self.folder}" L="{support.LIBEXEC}"\n{SHELL}{changes}\nexec "$@"'
        self.prefix = [support.require_program("unshare"), "-m", "/bin/sh", "-c", script, "sh",
                       *(support.user_prefix() if user is None else user)]

    def lines(self):
        """What the opener has written to the log by now; the worker's own lines are another matter."""
        self.log.setblocking(False)
        found = []
        while True:
            try:
                line = self.log.recv(8192).decode()
                if "ddprof-perf-open" in line:
                    found.append(line)
            except BlockingIOError:
                return found
