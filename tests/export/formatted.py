"""What format_message makes of a pprof, taken apart: shared by the tests of each format."""

import os
import subprocess

TOOL = os.environ["FORMAT_MESSAGE"]
FOLDER, PREFIX, DATADOG, OTLP, PYROSCOPE = range(1, 6)  # enum destination_kind

START = 1700000000000000001
END = 1700000059123456789
FACTS = dict(sequence=7, start=START, end=END, pid=42, service="shop", environment="prod", version="1.2",
             tags="team:a,zone:b", runtime_id="8a5c1d0e-7f43-4b6d-9c2a-0123456789ab", cpus_configured=8, cpus_online=4,
             url="http://h/p")


class Message:
    """A request as it would be sent, or a file (without headers)."""

    def __init__(self, pprof, kind, **settings):
        arguments = {**FACTS, **settings, "kind": kind}
        done = subprocess.run([TOOL, *(f"{name}={value}" for name, value in arguments.items())], input=pprof,
                              capture_output=True, check=False)
        self.error = done.stderr.decode().strip() if done.returncode else None
        if self.error:
            return
        head, _, self.body = done.stdout.partition(b"\n\n")
        self.url, *lines = head.decode().split("\n")
        self.headers = {}
        for line in lines:
            name, _, value = line.partition(": ")
            assert name.lower() not in self.headers, line
            self.headers[name.lower()] = value


def unpack(program, packed):
    return subprocess.run([program, "-dc"], input=packed, capture_output=True, check=True).stdout
