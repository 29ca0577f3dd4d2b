"""The trusted base stays small and boring: which objects of ours the linker put into the opener, how long their sources
are, and that they need no symbol which is not on the list.

usage: check_opener.py MAP SOURCES LIST"""

import os
import re
import subprocess
import sys

MAX_CODE_LINES = 1593  # growth is a decision; the last: 9 lines for who may see addresses of the kernel's

link_map, sources, allowed_list = map(os.path.abspath, sys.argv[1:])
os.chdir(os.path.dirname(link_map))  # the linker ran there, and its map has relative names


def objects_of_ours():
    """Files and archive members that the linker loaded, as the map names them."""
    with open(link_map, encoding="utf-8") as file:
        text = file.read()
    found = set(re.findall(r"^LOAD (\S+\.c\.o)$", text, re.M))
    members = re.findall(r"^(\S*libddprof_\w+\.a)\((\S+\.c\.o)\)", text, re.M)
    return sorted(found), sorted(set(members))


def undefined_symbols(path, member):
    output = subprocess.run(["nm", "-u", path], check=True, capture_output=True, text=True).stdout
    symbols, current = set(), None
    for line in output.splitlines():
        if line.endswith(":"):  # nm prints the members of an archive one after the other
            current = line[:-1]
        elif line.strip().startswith("U ") and current == member:
            symbols.add(line.split()[-1])
    return symbols


def defined_symbols(path):
    output = subprocess.run(["nm", "--defined-only", path], check=True, capture_output=True, text=True).stdout
    return {line.split()[-1] for line in output.splitlines() if len(line.split()) == 3}


def source_of(name):
    for where, _, files in os.walk(sources):
        if name in files and os.path.relpath(where, sources).split("/")[0] in ("launcher", "ipc", "policy"):
            return os.path.join(where, name)
    return None  # generated


def code_lines(path):
    with open(path, encoding="utf-8") as file:
        text = re.sub(r"/\*.*?\*/", "", file.read(), flags=re.S)
    return sum(1 for line in text.splitlines() if line.strip())


loaded, archived = objects_of_ours()
with open(allowed_list, encoding="utf-8") as file:
    allowed = {line.split("#")[0].strip() for line in file} - {""}

needed, ours, total = {}, set(), 0
for path, member in [(path, None) for path in loaded] + archived:
    ours |= defined_symbols(path)
    for symbol in undefined_symbols(path, member):
        needed.setdefault(symbol, member or os.path.basename(path))
    source = source_of((member or os.path.basename(path)).removesuffix(".o"))
    if source:
        lines = code_lines(source)
        total += lines
        print(f"{lines:5} {os.path.relpath(source, sources)}")
print(f"{total:5} lines of code of ours in the opener (at most {MAX_CODE_LINES})")

failed = not loaded
for symbol, where in sorted(needed.items()):
    if symbol not in ours and symbol not in allowed:
        print(f"{where} needs {symbol}, which is not in {os.path.basename(allowed_list)}")
        failed = True
sys.exit(1 if failed or total > MAX_CODE_LINES else 0)
