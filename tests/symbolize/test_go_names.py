#!/usr/bin/python3
"""Names of random addresses of stripped Go programs, held against `go tool addr2line` on the same program before it
was stripped.

    test_go_names.py PRINT_NAMES
"""

import os
import random
import re
import shutil
import subprocess
import sys
import tempfile

COUNT = 10000
SOURCE = """
package main

import (
	"encoding/json"
	"fmt"
	"regexp"
	"sort"
)

type list[T any] struct{ items []T }

func (l *list[T]) add(item T) func() int { l.items = append(l.items, item); return func() int { return len(l.items) } }

func main() {
	l := &list[string]{}
	size := l.add(regexp.MustCompile("a+").FindString("aaa"))
	sort.Strings(l.items)
	text, _ := json.Marshal(l.items)
	fmt.Println(string(text), size())
}
"""


def unavailable(reason):
    print("SKIP: " + reason)
    sys.exit(1 if os.environ.get("DDPROF_MUST_WORK") == "1" else 77)


def run(*command, **named):
    return subprocess.run(command, check=True, capture_output=True, text=True, **named).stdout


def random_addresses(path):
    address, size = re.search(r"\] \.text\s+PROGBITS\s+([0-9a-f]+) [0-9a-f]+ ([0-9a-f]+)", run("readelf", "-SW", path)).groups()
    chooser = random.Random(1)
    return [int(address, 16) + chooser.randrange(int(size, 16)) for _ in range(COUNT)]


def compare(go, printer, folder, flags):
    """Returns how many addresses have the same name, and the others."""
    program, stripped = os.path.join(folder, "program"), os.path.join(folder, "stripped")
    environment = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "", "GO111MODULE": "off"}
    run(go, "build", *flags, "-o", program, "main.go", cwd=folder, env=environment)
    addresses = random_addresses(program)
    asked = "".join(f"{address:#x}\n" for address in addresses)
    theirs = run(go, "tool", "addr2line", program, input=asked, env=environment).splitlines()[0::2]
    run("strip", "-o", stripped, program)
    ours = run(printer, stripped, input=asked).splitlines()
    if len(ours) != COUNT or len(theirs) != COUNT:
        sys.exit(f"{len(ours)} and {len(theirs)} answers instead of {COUNT}")
    others = [pair for pair in zip(map(hex, addresses), ours, theirs) if pair[1].replace("??", "?") != pair[2]]
    return COUNT - len(others), others


def main():
    go = shutil.which("go", path=os.environ.get("PATH", "") + ":/usr/local/go/bin")
    if not go:
        unavailable("go is not installed")
    failures = 0
    with tempfile.TemporaryDirectory(prefix="ddprof-go-") as folder:
        with open(os.path.join(folder, "main.go"), "w", encoding="utf-8") as file:
            file.write(SOURCE)
        for flags in ([], ["-buildmode=pie"]):
            same, others = compare(go, sys.argv[1], folder, flags)
            print(f"{' '.join(flags) or 'plain'}: {same} of {COUNT} the same")
            for other in others[:10]:
                print("  %s: we say %s, go tool addr2line says %s" % other)
            failures += same < COUNT
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
