"""What the attack tests share: privileged copies of the opener, an ordinary user to be, and filters that lie."""

import ctypes
import os
import shutil
import struct
import subprocess

import support

ATTACKS = os.environ.get("DDPROF_ATTACKS", "")
SOURCE = os.path.join(support.HERE, "../..")
OPENER = os.path.join(support.LIBEXEC, "ddprof-perf-open")
WORKER = os.path.join(support.LIBEXEC, "ddprof-worker")


def program(name):
    return os.path.join(ATTACKS, name)


def set_up():
    """For setUpModule: an ordinary user must be able to reach everything, and root to make him one."""
    support.require_profiling()
    support.require_root()
    paths = [OPENER, program("hostile_launcher"), support.target("short_lived")]
    if any(subprocess.run([*support.user_prefix(), "test", "-x", path], check=False).returncode for path in paths):
        support.skip("an ordinary user cannot reach the installed program or the attackers")


def copy_of(case, original, mode=0o755, capabilities=None):
    """A copy with this mode and these file capabilities, where every user can execute it."""
    path = os.path.join(support.temporary_folder(case, mode=0o755), os.path.basename(original))
    shutil.copy(original, path)
    os.chown(path, 0, 0)
    os.chmod(path, mode)
    if capabilities:
        subprocess.run([support.require_program("setcap"), capabilities, path], check=True)
    return path


def privileged_openers(case):
    """(name, path) of every way the opener can be installed."""
    return [("plain", OPENER),
            ("cap_perfmon=p", copy_of(case, OPENER, capabilities="cap_perfmon=p")),
            ("cap_sys_admin=p", copy_of(case, OPENER, capabilities="cap_sys_admin=p")),
            ("set-uid root", copy_of(case, OPENER, mode=0o4755))]


def launched_with(case, opener):
    """A prefix under which the installed ddprof-launch finds this opener."""
    return [support.require_program("unshare"), "-m", "/bin/sh", "-c",
            f'mount --bind "{opener}" "{OPENER}" && exec "$@"', "sh"]


def hostile_launcher(opener, mode, *arguments, prefix=(), **named):
    named.setdefault("input", b"")
    return subprocess.run([*prefix, program("hostile_launcher"), opener, mode, *arguments], capture_output=True,
                          check=False, timeout=120, **named)


SYSTEM_CALLS = {"x86_64": {"capset": 126, "prctl": 157, "setresuid": 117, "close_range": 436, "seccomp": 317, "capget": 125},
                "aarch64": {"capset": 91, "prctl": 167, "setresuid": 147, "close_range": 436, "seccomp": 277, "capget": 90}}


def install_filter(answers):
    """A seccomp filter as a container runtime may have installed it, as root and without no_new_privs: these system
    calls do nothing and return this errno (0: success)."""
    machine = os.uname().machine
    load, jump_if_equal, give, allow = 0x20, 0x15, 0x06, 0x7FFF0000
    code = [(load, 0, 0, 0)]
    for name, errno in answers.items():
        code += [(jump_if_equal, 0, 1, SYSTEM_CALLS[machine][name]), (give, 0, 0, 0x00050000 | errno)]
    code.append((give, 0, 0, allow))
    instructions = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in code))
    fprog = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(code), ctypes.addressof(instructions)))
    if support.libc.prctl(22, 2, ctypes.byref(fprog), 0, 0):
        raise OSError("seccomp")
