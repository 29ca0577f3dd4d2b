"""The threat model keeps its word: all 48 classes are there, each has a test or a reason, and every test that any of the
three pages names exists.

usage: check_threat_model.py SOURCES"""

import os
import re
import sys

CLASSES = 48
PAGES = ("docs/threat-model.md", "docs/cves.md", "docs/SECURITY.md")
REFERENCE = re.compile(r"`(tests/[\w/]+\.(?:py|c)):(\w+)`")
REASON = re.compile(r"(?:Cannot occur|By design): \S.{20,}")

os.chdir(sys.argv[1])
problems = []


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def rows(text, heading):
    """The cells of the table rows below a heading."""
    section = text.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    lines = [line for line in section.splitlines() if re.match(r"\| (?!---|#|CVE |MUST )", line)]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def check_references(page, text):
    for path, name in REFERENCE.findall(text):
        if not os.path.exists(path):
            problems.append(f"{page}: {path} does not exist")
        elif not re.search(rf"^\s*(?:def )?{name}\(", read(path), re.M):
            problems.append(f"{page}: {path} has no {name}")
    for path in re.findall(r"`((?:tests|launcher|policy|worker|ipc)/[\w/.-]+)`|\]\((?!http|#)([^)#]+)", text):
        path = path[0] or os.path.normpath(os.path.join(os.path.dirname(page), path[1]))
        if not os.path.exists(path):
            problems.append(f"{page}: {path} does not exist")


def check_rows(page, cells, need_test=False):
    for row in cells:
        has_reason = not need_test and REASON.match(row[-1])
        if not (REFERENCE.search(row[-1]) or has_reason):
            problems.append(f"{page}: neither a test nor a reason: {' | '.join(row)}")


threat_model, cves = read(PAGES[0]), read(PAGES[1])
for page in PAGES:
    check_references(page, read(page))
classes = rows(threat_model, "Attack classes")
check_rows(PAGES[0], classes)
check_rows(PAGES[0], rows(threat_model, "What must hold"), need_test=True)
check_rows(PAGES[1], rows(cves, "Privileged launchers"))
check_rows(PAGES[1], rows(cves, "perf_event_open"))
check_rows(PAGES[1], rows(cves, "What the exporter speaks"))
if [row[0] for row in classes] != [str(number) for number in range(1, CLASSES + 1)]:
    problems.append(f"{PAGES[0]}: the classes are not 1 to {CLASSES}, each once")
print("\n".join(problems) or f"{len(classes)} classes, {len(REFERENCE.findall(threat_model + cves))} references to tests")
sys.exit(1 if problems else 0)
