"""What unwinding keeps in memory: 50 processes with 300 modules between them, and one program of 300 MB."""

import json
import os
import subprocess

import processes
from statistics_table import Table, mib
from unwind_engines import record

FREQUENCY = 99  # a usual one; at more, most of the memory is the profile's
PROCESSES, EACH = 50, 12
MODULES = PROCESSES * EACH // 2
FUNCTIONS = 100  # per module: a small library's unwind tables

LARGE_FUNCTIONS, LARGE_FUNCTION_BYTES = 1000000, 300


def build_modules(setup):
    """Functions of all modules differ in their frames, so that no two modules' tables are the same."""
    for module in range(MODULES):
        lines = [f"__attribute__((noinline)) static double f{i}(double x) {{ volatile char frame[{16 + (module + i) % 200}]; "
                 f"frame[0] = x; return x * {i} + frame[0]; }}" for i in range(FUNCTIONS)]
        calls = " ".join(f"x += f{i}(x);" for i in range(FUNCTIONS))
        source = os.path.join(setup.scratch, "module.c")
        with open(source, "w", encoding="utf-8") as file:
            file.write("\n".join(lines) + f"\ndouble entry(double x) {{ {calls} return x; }}\n")
        subprocess.run(["gcc", "-O1", "-shared", "-fPIC", "-o", os.path.join(setup.scratch, f"{module}.so"), source],
                       check=True)
        setup.progress(f"module {module + 1} of {MODULES}")


def many_modules(setup):
    build_modules(setup)
    watch = processes.MemoryWatch()
    rounds = str(1000 if setup.quick else 20000)
    run = processes.run(setup.launch([setup.program("many_modules"), setup.scratch, str(PROCESSES), str(EACH), rounds],
                                     FREQUENCY), setup.log, watch)
    if run.status != 0:
        raise SystemExit(f"bench: many_modules ended with {run.status}")
    ledger, _ = setup.take_profiles()
    unwinder = watch.memory["unwinder"]
    table = Table(f"{PROCESSES} processes, {MODULES} modules of {FUNCTIONS} functions, {FREQUENCY} Hz",
                  ["samples", "root %", "unwinder: anonymous MiB", "RSS", "files"])
    table.add(ledger["samples"], f"{100 * ledger['stacks.root'] / ledger['samples']:.1f}", mib(unwinder.anonymous),
              mib(unwinder.peak_rss), unwinder.files)
    table.note("anonymous: everything the unwinder keeps, the profile in the making included (aim of unwinding alone: 8 MiB)")
    setup.clear_progress()
    table.print()
    return {"samples": ledger["samples"], "anonymous_kib": unwinder.anonymous, "rss_kib": unwinder.peak_rss,
            "files": unwinder.files}


def build_large(setup):
    """A million functions with a frame each; main is between them, and calls the last."""
    source, program = os.path.join(setup.scratch, "large.S"), os.path.join(setup.scratch, "large")
    function = (".cfi_startproc\npush %rbx\n.cfi_def_cfa_offset 16\n.cfi_offset %rbx, -16\nmov %edi, %ebx\n"
                "1: dec %ebx\njnz 1b\npop %rbx\n.cfi_def_cfa_offset 8\nret\n.cfi_endproc\n"
                f".skip {LARGE_FUNCTION_BYTES - 9}, 0xcc\n")
    half = f".rept {LARGE_FUNCTIONS // 2}\n{function}.endr\n"
    with open(source, "w", encoding="utf-8") as file:
        file.write(f".text\n{half}.globl main\nmain:\n.cfi_startproc\npush %rbx\n.cfi_def_cfa_offset 16\n"
                   ".cfi_offset %rbx, -16\nmov $2000, %ebx\n2: mov $1000000, %edi\ncall last\ndec %ebx\njnz 2b\n"
                   "xor %eax, %eax\npop %rbx\n.cfi_def_cfa_offset 8\nret\n.cfi_endproc\n"
                   f"{half}last:\n{function}\n.section .note.GNU-stack,\"\",@progbits\n")
    setup.progress("the large program")
    subprocess.run(["gcc", "-o", program, source], check=True)
    os.unlink(source)
    return program


def large_program(setup):
    if not setup.perf or not os.path.exists(setup.program("unwind_bench")):
        print("\nLarge program: left out, it needs perf and libunwind-dev")
        return {}
    program = build_large(setup)
    data = record(setup, [program])
    runs = [json.loads(subprocess.run([setup.program("unwind_bench"), data], check=True, capture_output=True,
                                      text=True).stdout)["engines"] for _ in range(1 if setup.quick else 5)]
    table = Table(f"The first sample of a program of {os.path.getsize(program) >> 20} MiB, "
                  f"{LARGE_FUNCTIONS} functions, its file in the page cache",
                  ["", "first sample us, least", "most", "before it", "anonymous KiB"])
    result = {}
    for rows in zip(*runs):
        first = sorted(row["first_sample_us"] for row in rows)
        table.add(rows[0]["name"], f"{first[0]:.0f}", f"{first[-1]:.0f}", f"{rows[0]['prepare_us']:.0f}",
                  rows[0]["anonymous_kib"])
        result[rows[0]["name"]] = first
    table.note("ours: headers read, rules found and cached (aim: 100 us); before it, what an engine prepares for a process")
    setup.clear_progress()
    table.print()
    os.unlink(data)
    return result


def bench(setup):
    return {"modules": many_modules(setup), "large": large_program(setup)}
