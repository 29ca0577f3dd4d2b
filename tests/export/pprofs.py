"""Profiles as our worker writes them, made by protobuf's own Python classes from our schema."""

import os
import random
import subprocess
import sys
import tempfile

SCHEMA = os.environ["DDPROF_SCHEMA"]


def load_schema():
    with tempfile.TemporaryDirectory(prefix="ddprof-schema-") as folder:
        subprocess.run(["protoc", "-I", os.path.dirname(SCHEMA), "--python_out", folder, SCHEMA], check=True)
        sys.path.insert(0, folder)
        import profile_pb2  # pylint: disable=import-error,import-outside-toplevel
        sys.path.pop(0)
        return profile_pb2


pb2 = load_schema()


class Builder:
    """A profile, with its strings put where they belong."""

    def __init__(self):
        self.message = pb2.Profile(string_table=[""])
        self.message.time_nanos, self.message.duration_nanos = 1700000000000000001, 59123456788
        self.message.period = 10101010
        for kind, unit in (("cpu-time", "nanoseconds"), ("cpu-samples", "count")):
            self.message.sample_type.add(type=self.text(kind), unit=self.text(unit))
        self.message.period_type.type, self.message.period_type.unit = self.text("cpu-time"), self.text("nanoseconds")

    def text(self, text):
        table = self.message.string_table
        if text not in table:
            table.append(text)
        return list(table).index(text)

    def mapping(self, name, build_id, start=0x1000, limit=0x9000, offset=0):
        number = len(self.message.mapping) + 1
        self.message.mapping.add(id=number, memory_start=start, memory_limit=limit, file_offset=offset,
                                 filename=self.text(name), build_id=self.text(build_id))
        return number

    def function(self, name, filename="", system_name="", start_line=0):
        number = len(self.message.function) + 1
        self.message.function.add(id=number, name=self.text(name), filename=self.text(filename),
                                  system_name=self.text(system_name), start_line=start_line)
        return number

    def location(self, mapping, address, *lines):
        """lines: (function, line), innermost first."""
        number = len(self.message.location) + 1
        made = self.message.location.add(id=number, mapping_id=mapping, address=address)
        for function, line in lines:
            made.line.add(function_id=function, line=line)
        return number

    def sample(self, locations, values, **labels):
        made = self.message.sample.add(location_id=locations, value=values)
        for key, value in labels.items():
            key = self.text(key.replace("__", " "))
            if isinstance(value, int):
                made.label.add(key=key, num=value, num_unit=self.text("things"))
            else:
                made.label.add(key=key, str=self.text(value))

    def comment(self, text):
        self.message.comment.append(self.text(text))

    def bytes(self):
        return self.message.SerializeToString()


def small():
    """Everything a profile of ours has, and a function that is called as a sample type is."""
    b = Builder()
    program, library = b.mapping("/usr/bin/shop", "c0ffee"), b.mapping("/lib/libc.so.6", "", 0x2000, 0x8000, 0x1000)
    main, run, inlined = b.function("main", "main.c"), b.function("cpu-time", "run.c", "_Zrun", 12), b.function("inlined", "run.h")
    root, unknown = b.function("shop", "/usr/bin/shop"), b.location(library, 0x2345)
    outer = [b.location(program, 0x1500, (main, 7)), b.location(0, 0, (root, 0))]
    both = b.location(program, 0x1600, (inlined, 3), (run, 20))
    thread = dict(container_id="cafe", process_id="42", thread__id="43", process_name="shop", thread_name="café-1")
    b.sample([both, *outer], [30303030, 3], **thread)
    b.sample([unknown, both, *outer], [10101010, 1], **thread)
    b.sample([both, *outer], [20202020, 2], **{**thread, "thread__id": "44"})
    b.sample([outer[1]], [10101010, 1])
    b.comment("ddprof.tags=service:shop")
    b.comment("ddprof.samples=7")
    b.comment("ddprof.lost=0")
    return b


def large(seed=1, samples=3000):
    """Many stacks over many functions."""
    chance = random.Random(seed)
    b = Builder()
    strings = {text: i for i, text in enumerate(b.message.string_table)}

    def text(value):
        if value not in strings:
            strings[value] = len(b.message.string_table)
            b.message.string_table.append(value)
        return strings[value]

    b.text = text
    mappings = [b.mapping(f"/lib/lib{i}.so", f"{i:040x}", 0x1000, 0x1000000) for i in range(1, 30)]
    functions = [b.function(f"function_{i}", f"file_{i % 40}.c") for i in range(800)]
    locations = [b.location(chance.choice(mappings), 0x1000 + 16 * i,
                            *((chance.choice(functions), chance.randrange(1000)) for _ in range(chance.choice([0, 1, 1, 1, 2, 3]))))
                 for i in range(4000)]
    for number in range(samples):
        count = chance.randrange(1, 5)
        b.sample([chance.choice(locations) for _ in range(chance.randrange(1, 60))], [count * 10101010, count],
                 process_id="42", thread__id=str(chance.randrange(100, 120)), thread_name=f"worker-{number % 7}")
    return b
