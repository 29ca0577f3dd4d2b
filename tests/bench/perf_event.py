"""perf_event_open(2) without a profiler: what the kernel itself takes for it, and one event kept open so that
it does not have to take it again.

The first event of a machine is dear: the kernel patches its scheduler and page-fault paths (static keys), and
waits for every CPU to have noticed (synchronize_rcu). It undoes this about a second after the last event is gone."""

import ctypes
import os
import platform
import struct
import time

SYSCALL = {"x86_64": 298, "aarch64": 241}
PERF_TYPE_SOFTWARE = 1
PERF_COUNT_SW_TASK_CLOCK, PERF_COUNT_SW_DUMMY = 1, 9
PERF_FLAG_FD_CLOEXEC = 8
DISABLED, EXCLUDE_KERNEL, EXCLUDE_HV = 1 << 0, 1 << 5, 1 << 6
ATTRIBUTE_BYTES = 64  # PERF_ATTR_SIZE_VER0: every kernel knows it

# The last event's static keys are gone after this time (the kernel waits one second, then a work item runs).
COLD_AFTER_S = 2.2

libc = ctypes.CDLL(None, use_errno=True)


def open_event(config):
    """A disabled software event on this very process; it counts nothing."""
    attributes = struct.pack("=IIQ", PERF_TYPE_SOFTWARE, ATTRIBUTE_BYTES, config).ljust(40, b"\0")
    attributes += struct.pack("=Q", DISABLED | EXCLUDE_KERNEL | EXCLUDE_HV)
    attributes = ctypes.create_string_buffer(attributes, ATTRIBUTE_BYTES)
    fd = libc.syscall(SYSCALL[platform.machine()], attributes, 0, -1, -1, PERF_FLAG_FD_CLOEXEC)
    if fd < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return fd


def open_both():
    """One event of each kind the profiler uses. Returns descriptors and the nanoseconds that took."""
    start = time.perf_counter_ns()
    fds = [open_event(PERF_COUNT_SW_DUMMY), open_event(PERF_COUNT_SW_TASK_CLOCK)]
    return fds, time.perf_counter_ns() - start


def close_all(fds):
    for fd in fds:
        os.close(fd)


class KeptWarm:
    """A context in which another perf event exists all the time."""

    def __enter__(self):
        self.fds, _ = open_both()

    def __exit__(self, *_):
        close_all(self.fds)


def measure_cost(cold, repetitions):
    """Nanoseconds for opening both events, `repetitions` times."""
    costs = []
    for _ in range(repetitions):
        if cold:
            time.sleep(COLD_AFTER_S)
        fds, cost = open_both()
        close_all(fds)
        costs.append(cost)
    return costs
