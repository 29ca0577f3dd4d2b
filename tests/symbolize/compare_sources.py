#!/usr/bin/python3
"""What we say about random addresses of a program, held against llvm-symbolizer and addr2line.

    compare_sources.py PRINT_SOURCES COUNT FILE...

Per file and peer: the share of addresses with the same chain of names, and with the same chain of names, files and
lines; then examples of each difference. Exits with 1 when the best peer agrees with fewer than 99 % of the chains.
"""

import collections
import itertools
import os
import random
import re
import shutil
import subprocess
import sys


def code_of(path):
    """Address ranges of executable sections that hold compiled code."""
    text = subprocess.run(["readelf", "-SW", path], capture_output=True, text=True, check=True).stdout
    for name, address, size in re.findall(r"\] (\.text\S*)\s+PROGBITS\s+([0-9a-f]+) [0-9a-f]+ ([0-9a-f]+)", text):
        yield int(address, 16), int(size, 16)


def random_addresses(path, count):
    ranges = list(code_of(path))
    chooser = random.Random(1)
    return [chooser.randrange(size) + start
            for start, size in chooser.choices(ranges, [size for _, size in ranges], k=count)]


def parse(text):
    """Blocks of name and place lines: one list of (name, file, line) per address."""
    for block in text.strip("\n").split("\n\n"):
        lines = block.split("\n")
        yield [(lines[i], *place(lines[i + 1])) for i in range(0, len(lines) - 1, 2)]


def place(text):
    path, _, line = re.sub(r" \(discriminator \d+\)$", "", text).rpartition(":")
    line = re.sub(r"\D.*", "", line) or "0"
    path = os.path.normpath(path) if path not in ("", "??") else "??"
    return path, int(line)


def ours(printer, path, addresses):
    return run([printer, path], addresses)


def llvm(path, addresses):
    result = run(["llvm-symbolizer", "--inlines", "--functions=linkage", "--no-demangle", "--output-style=GNU",
                  "--print-address", "--obj", path], addresses)
    return result


def addr2line(path, addresses):
    return run(["addr2line", "-a", "-i", "-f", "-e", path], addresses)


def run(command, addresses):
    text = subprocess.run(command, input="".join(f"{a:#x}\n" for a in addresses), capture_output=True, text=True,
                          check=True).stdout
    # peers print each address in front of its lines; make that our empty line
    if re.match(r"0x[0-9a-f]+\n", text):
        text = re.sub(r"^0x[0-9a-f]+$", "", text, flags=re.M).lstrip("\n").replace("\n\n\n", "\n\n")
    return list(parse(text))


def plain(name):
    """Peers name the function itself by its symbol: a clone, or one of a constructor's two names."""
    name = re.sub(r"(\.(cold|part|isra|constprop|lto_priv|llvm)\b[.\d]*|@.*)+$", "", name)
    return re.sub(r"([CD])[0-4](?=E)", r"\g<1>", name)


def chain(frames):
    return [plain(name) for name, _, _ in frames]


def full(frames):
    return [(plain(name), path, line) for name, path, line in frames]


def kind_of(mine, theirs):
    if theirs[0][0] == "??" and mine[0][0] != "??":
        return "only we have a name"
    if mine[0][0] == "??" and theirs[0][0] != "??":
        return "only they have a name"
    if len(mine) != len(theirs):
        return "length"
    if chain(mine)[:-1] == chain(theirs)[:-1] and chain(mine) != chain(theirs):
        return "name of the function itself"
    if chain(mine) != chain(theirs):
        return "name of an inlined function"
    if full(mine)[1:] == full(theirs)[1:]:
        return "place of the innermost"
    return "place of a call"


def shorten(frame):
    return f"{frame[0][:60]} {frame[1][-40:]}:{frame[2]}" if frame else "-"


def compare(mine, theirs, addresses, label):
    kinds = collections.defaultdict(list)
    for one, other, address in zip(mine, theirs, addresses):
        if full(one) != full(other):
            kinds[kind_of(one, other)].append((address, one, other))
    count = len(addresses)
    places = sum(len(kinds[kind]) for kind in ("place of the innermost", "place of a call"))
    different = sum(len(found) for found in kinds.values())
    print(f"{label}: chains {100 * (count - different + places) / count:.2f} %, "
          f"with places {100 * (count - different) / count:.2f} % of {count}")
    for kind, found in sorted(kinds.items()):
        if not found:
            continue
        print(f"  {len(found)} {kind}")
        for address, one, other in found[: int(os.environ.get("EXAMPLES", "0"))]:
            print(f"    {address:#x}")
            for mine, other in itertools.zip_longest(one, other):
                if mine != other:
                    print(f"      we {shorten(mine)}   they {shorten(other)}")
    return (count - different + places) / count


def main():
    missing = [tool for tool in ("llvm-symbolizer", "addr2line", "readelf") if not shutil.which(tool)]
    if missing:
        print("SKIP: no", *missing)
        return 1 if os.environ.get("DDPROF_MUST_WORK") == "1" else 77
    printer, count, paths = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
    good = True
    for path in paths:
        addresses = random_addresses(path, count)
        mine = ours(printer, path, addresses)
        shares = [compare(mine, peer(path, addresses), addresses, f"{os.path.basename(path)} {peer.__name__}")
                  for peer in (llvm, addr2line)]
        good = good and max(shares) >= 0.99
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
