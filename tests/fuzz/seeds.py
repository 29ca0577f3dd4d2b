#!/usr/bin/python3
"""Writes inputs to start fuzzing from: small ones by hand, and pieces of this machine's own programs.

usage: seeds.py FOLDER [ELF...]    one folder per target; tables of call frame information come from the ELF files"""

import hashlib
import os
import struct
import sys

OUT = sys.argv[1]
FRAME_HDR, FRAME_EH, FRAME_CODE = 0x200, 0x1000, 0x4000  # tests/unwind/frame_builder.h


def seed(target, *parts):
    data = b"".join(parts)
    folder = os.path.join(OUT, target)
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, hashlib.sha1(data).hexdigest()), "wb") as file:
        file.write(data)


def u8(*values):
    return bytes(value & 0xFF for value in values)


def u16(*values):
    return b"".join(struct.pack("<H", value & 0xFFFF) for value in values)


def u32(*values):
    return b"".join(struct.pack("<I", value & 0xFFFFFFFF) for value in values)


def u64(*values):
    return b"".join(struct.pack("<Q", value & (1 << 64) - 1) for value in values)


def padded(text):
    text = text.encode() + b"\0"
    return text + b"\0" * (-len(text) % 8)


def record(kind, misc, *body):
    body = b"".join(body)
    return struct.pack("<IHH", kind, misc, len(body) + 8) + body


# Words as table_image.c reads them.
def code(offset):
    return 0x4000 | offset


def stack(word):
    return 0x8000 | word


# ---- records and recordings ----

MMAP, LOST, COMM, EXIT, FORK, SAMPLE, MMAP2 = 1, 2, 3, 4, 7, 9, 10
TRAILER = u32(7, 7) + u64(1000)


def stack_sample(size, copied, abi=2, chain=()):
    registers = u64(*range(0x1000, 0x1000 + 17)) if abi else b""
    tail = u64(size) + (bytes(range(size % 256)) + bytes(size - size % 256) + u64(copied) if size else b"")
    return record(SAMPLE, 2, u32(7, 8), u64(1000, 10101010, len(chain), *chain, abi), registers, tail)


def mapping(path, build_id=b""):
    identity = u8(len(build_id), 0, 0, 0) + build_id.ljust(20, b"\0") if build_id else u32(8, 1) + u64(4711, 0)
    return record(MMAP2, 1 << 14 if build_id else 0, u32(7, 7), u64(0x401000, 0x2000, 0x1000), identity, u32(5, 2),
                  padded(path), TRAILER)


SIDEBAND = (mapping("/bin/true"), mapping("/lib/x", bytes(range(20))), mapping("//anon" * 30),
            record(COMM, 1 << 13, u32(7, 7), padded("burn"), TRAILER),
            record(FORK, 0, u32(8, 7, 8, 7), u64(5), TRAILER), record(EXIT, 0, u32(8, 7, 8, 7), u64(6), TRAILER),
            record(LOST, 0, u64(1, 99), TRAILER))
SAMPLES = (stack_sample(128, 128), stack_sample(128, 64), stack_sample(0, 0), stack_sample(0, 0, abi=0),
           stack_sample(256, 250, abi=1), stack_sample(128, 64, chain=(-512, 0x401000, 0x401234, -128, 3)),
           stack_sample(0, 0, chain=(-512, *range(0x1000, 0x1100))), stack_sample(0, 0, abi=0, chain=(-512,)),
           stack_sample(128, 129), stack_sample(128, 4096), record(SAMPLE, 2, u32(7, 8), u64(1000, 5, 1 << 61)))
for one in SIDEBAND + SAMPLES:
    for position in (0, 500, 511):
        seed("record", u16(position), one)
seed("record", u16(480), *SAMPLES, *SIDEBAND)

COUNTED = 1 << 0 | 1 << 1 | 1 << 2 | 1 << 6 | 1 << 8  # IP TID TIME ID PERIOD


def attributes(sample_type=COUNTED, config=0, kind=1, sample_regs=0, stack_bytes=0, read_format=0, branch=0):
    flags = 1 << 10 | 1 << 18  # freq, sample_id_all
    return struct.pack("<IIQQQQQIIQQQQIiQIHHIIQ", kind, 136, config, 99, sample_type, read_format, flags, 0, 0, 0, 0, branch,
                       sample_regs, stack_bytes, 0, 0, 0, 0, 0, 0, 0, 0)


def plain_sample(identity, time):
    return record(SAMPLE, 2, u64(0x401000), u32(7, 7), u64(time, identity, 10101010))


def sideband_at(identity, time):
    end = u32(7, 7) + u64(time, identity)
    return (record(COMM, 0, u32(7, 7), padded("burn"), end) + record(FORK, 0, u32(8, 7, 8, 7), u64(5), end) +
            record(MMAP2, 0, u32(7, 7), u64(0x401000, 0x2000, 0, ), u32(8, 1), u64(4, 0), u32(5, 2), padded("/bin/x"), end) +
            record(MMAP, 0, u32(7, 7), u64(0x501000, 0x2000, 0), padded("/bin/old"), end) +
            record(13, 0, u64(5), end) + record(MMAP2, 1, u32(7, 7), u64(1, 2, 3), bytes(24), u32(5, 2), padded("[k]"), end))


def build_id_record(path):
    return record(67, 1 << 15, u32(7), bytes(range(20)), u8(20, 0, 0, 0), padded(path))


def file_recording(events, data, features=()):
    at = 104
    ids = b"".join(u64(10 + i) for i in range(len(events)))
    ids_at, at = at, at + len(ids)
    table = b"".join(event + u64(ids_at + 8 * i, 8) for i, event in enumerate(events))
    table_at, at = at, at + len(table)
    data_at, at = at, at + len(data)
    bits, sections, bodies = 0, b"", b""
    at += 16 * len(features)
    for number, body in features:
        bits |= 1 << number
        sections += u64(at + len(bodies), len(body))
        bodies += body
    head = b"PERFILE2" + u64(104, len(events[0]) + 16, table_at, len(table), data_at, len(data), 0, 0, bits, 0, 0, 0)
    return head + ids + table + data + sections + bodies


def pipe_recording(events, data):
    head = b"PERFILE2" + u64(16)
    return head + b"".join(record(64, 0, event, u64(10 + i)) for i, event in enumerate(events)) + data


plain = plain_sample(10, 2000) + sideband_at(10, 1000) + plain_sample(10, 1500)
several = plain + plain_sample(11, 1700) + sideband_at(11, 1800)
arch = (6, u32(16) + b"x86_64".ljust(16, b"\0"))
seed("recording", file_recording([attributes()], plain, [(2, build_id_record("/bin/x")), arch]))
seed("recording", file_recording([attributes(), attributes(config=9)], several, [arch]))
seed("recording", file_recording([attributes(), attributes(kind=0, config=1)], several))
seed("recording", pipe_recording([attributes()], plain + build_id_record("/bin/x") + record(80, 0, u64(6), arch[1])))
seed("recording", pipe_recording([attributes(), attributes()], several + record(66, 0, u32(5)) + bytes(8) + plain))
seed("recording", pipe_recording([attributes()], plain + record(71, 0, u64(16), bytes(32)) + bytes(16) + plain))
seed("recording", file_recording([attributes()], plain, [(27, u32(1, 2))]), b"rest")
EVERYTHING = COUNTED | 1 << 3 | 1 << 4 | 1 << 5 | 1 << 7 | 1 << 9 | 1 << 10 | 1 << 11 | 1 << 12 | 1 << 13 | 1 << 16
full = attributes(EVERYTHING, sample_regs=0xFF0FFF, stack_bytes=64, read_format=15, branch=1 << 17)
chain = u64(5, -512, 0x401000, -128, 0xFFFFFFFF81000000, 0x401234)
values = u64(1, 0, 0, 5, 10)
body = (u64(10, 0x401000) + u32(7, 7) + u64(2500, 0xDEAD, 10, 0, 0) + u64(1) + values + chain + u32(4) + bytes(4) +
        u64(1, 0, 1, 2, 3) + u64(2, *range(20)) + u64(64) + bytes(64) + u64(48))
seed("recording", file_recording([full], record(SAMPLE, 2, body)))
user = attributes(COUNTED | 1 << 5 | 1 << 12 | 1 << 13, sample_regs=0xFF0FFF, stack_bytes=64)
body = u64(0x401000) + u32(7, 7) + u64(2500, 10, 10101010) + u64(3, -512, 1, 2) + u64(2, *range(20)) + u64(64) + bytes(64) + u64(64)
seed("recording", file_recording([user], record(SAMPLE, 2, body) * 2))

# ---- expressions ----

WORDS = [stack(3), code(16), 1, stack(9), code(32), stack(1), 7, 0xFFF8] * 2
for operations in (bytes((0x77, 0x08)),  # rsp + 8
                   bytes((0x77, 0x08, 0x80, 0x00, 0x3F, 0x1A, 0x3B, 0x2A, 0x33, 0x24, 0x22)),  # a PLT's
                   bytes((0x76, 0x78, 0x06)), bytes((0x77, 0x00, 0x06, 0x23, 0x90, 0x01)),
                   bytes((0x08, 5, 0x0A, 1, 2, 0x0C, 1, 2, 3, 4, 0x0E, 1, 2, 3, 4, 5, 6, 7, 8, 0x1E, 0x1C, 0x27, 0x21)),
                   bytes((0x11, 0x80, 0x7F, 0x10, 0x81, 0x01, 0x12, 0x14, 0x15, 1, 0x16, 0x13, 0x19, 0x1F, 0x20)),
                   bytes((0x09, 0x80, 0x25, 0x26, 0x29, 0x2B, 0x2C, 0x2D, 0x2E, 0x96, 0x92, 7, 0)),
                   bytes((0x12,)), bytes((0x31, 0x14)), bytes((0x31, 0x15, 1)),
                   bytes((0x31,)) * 16, bytes((0x31,)) * 17, bytes((0x31, 0x13)) * 32, bytes((0x96,)) * 65):
    for flags in (0, 1, 0x10):
        seed("expression", u8(flags), u16(*WORDS[:8]), u16(*WORDS), u16(stack(2)), operations)

# ---- tables ----


def entry(*body):
    body = b"".join(body)
    body += b"\0" * (-len(body) % 4)
    return u32(len(body)) + body


def cie(letters=b"zR", extra=b"\x1b", rules=b"\x0c\x07\x08\x90\x01", column=16, version=1, identity=0):
    size = u8(len(extra)) if letters.startswith(b"z") else b""
    return entry(u32(identity), u8(version), letters, b"\0", u8(1, 0x78, column), size, extra, rules)


class Tables:
    """.eh_frame with pairs for .eh_frame_hdr beside it."""

    def __init__(self, *ciebytes):
        self.bytes, self.pairs = b"", []
        for one in ciebytes:
            self.cie = len(self.bytes)
            self.bytes += one

    def fde(self, begin, size, rules=b"", augmentation=b"\0"):
        at = FRAME_EH + len(self.bytes)
        self.pairs.append((FRAME_CODE + begin, at))
        self.bytes += entry(u32(at + 4 - FRAME_EH - self.cie), u32(FRAME_CODE + begin - at - 8), u32(size), augmentation, rules)
        return at - FRAME_EH

    def header(self, count=None, encoding=0x3B):
        head = u8(1, 0x1B, 0x03, encoding) + u32(FRAME_EH - FRAME_HDR - 4) + u32(len(self.pairs) if count is None else count)
        return head + b"".join(u32(begin - FRAME_HDR, at - FRAME_HDR) for begin, at in sorted(self.pairs))


RULES = {
    "push rbp": b"\x41\x0e\x10\x86\x02\x43\x0d\x06",
    "locals": b"\x44\x0e\x80\x01\x50\x0e\x08",
    "states": b"\x41\x0e\x10\x0a\x41\x0e\x08\x41\x0b\x42\x0e\x20",
    "root": b"\x07\x10",
    "expression": b"\x0f\x03\x77\x08\x06\x10\x06\x02\x76\x00",
    "plt": b"\x0f\x0b\x77\x08\x80\x00\x3f\x1a\x3b\x2a\x33\x24\x22",
    "register": b"\x0c\x03\x10\x09\x10\x00",
    "value": b"\x14\x07\x01\x15\x06\x7f\x16\x03\x02\x77\x00",
    "factored": b"\x11\x06\x02\x12\x07\x7e\x13\x7d\x2f\x06\x02\x05\x0c\x02",
    "restore": b"\x86\x02\x41\xc6\x06\x03\x02\x04\x00\x03\x04\x00\x04\x08\x00\x00\x00\x08\x03\x2e\x10",
    "set location": b"\x01\x00\x10\x00\x00\x0e\x10",
    "apart": b"\x0e\x40\x9d\x04\x9e\x07",
    "below": b"\x0e\x08\x86\x04",
    "signed": b"\x2d\x41\x2d\x2c\x0e\x20\x9d\x04\x9e\x03",
}
REGISTERS = [5, 6, 7, code(0x90), 8, 9, stack(6), stack(0)] + [code(0x30), 1, 2, 3, stack(4), 0, 0, 0, code(0x10)]
REGISTERS_ARM = [stack(i) for i in range(29)] + [stack(6), code(0x90), stack(0), code(0x10)]
PATTERN = [code(0x30), stack(12), code(0x50), 0, code(0x111), stack(20), code(0x30), 7]
for machine, column, file_registers in (("", 16, REGISTERS), ("_aarch64", 30, REGISTERS_ARM)):
    initial = b"\x0c\x07\x08\x90\x01" if not machine else b"\x0c\x1f\x00"
    signal = cie(b"zRS", rules=initial + b"\x0f\x02\x77\x00\x16\x10\x03\x77\x08\x06", column=column)
    for first in (cie(rules=initial, column=column), cie(b"zPLR", u8(0x9B) + u32(5) + u8(0x1B, 0x1B), initial, column), signal,
                  cie(b"", b"", initial, column, 3), cie(b"zRB", b"\x1b", initial, column)):
        for rules in RULES.values():
            tables = Tables(first)
            at = tables.fde(0, 0x100, rules)
            seed("cfi" + machine, u16(at), u16(0x10), u16(*file_registers), u16(*(PATTERN * 4)), tables.bytes)
            seed("cfi" + machine, u16(at | 0x8000), u16(0x12), u16(*file_registers), u16(*(PATTERN * 4)), tables.bytes)
    for kind in range(3):
        tables = Tables(cie(rules=initial, column=column), signal, cie(rules=initial, column=column))
        for i, rules in enumerate(RULES.values()):
            tables.fde(0x20 * i, 0x20, rules)
        text = bytes((0x55, 0x48, 0x89, 0xE5)) * 16 + bytes((0x48, 0xC7, 0xC0, 0x0F, 0, 0, 0, 0x0F, 0x05)) * 30
        header = tables.header() if kind == 0 else b""
        for words in (PATTERN, [code(0x30)], [code(0x11), stack(8)], [code(0x2100), stack(30)], [code(0x1001), stack(3)]):
            seed("walk" + machine, u8(kind, len(words)), u16(8 * 200), u16(len(text), len(header)), u16(*file_registers),
                 u16(*words), text, header, tables.bytes + bytes(4))
            seed("walk" + machine, u8(kind | 0x80, len(words)), u16(8 * 2000), u16(0, len(header)), u16(*file_registers),
                 u16(*words), header, tables.bytes + bytes(4))

    at_fault = list(file_registers)  # frame pointers that lead down the stack, in code without tables
    at_fault[6 if not machine else 29], at_fault[-1] = stack(6), code(0x2100)
    seed("walk" + machine, u8(0, 2), u16(800), u16(0, 0), u16(*at_fault), u16(stack(2), code(0x2101)))

for count in (0, 1, 5, 64, 130):
    tables = Tables(cie(), cie(b"zR", rules=b"\x0c\x07\x10\x90\x01"))
    for i in range(count):
        tables.fde(256 * (i * 7 % max(count, 1)), 0x80, b"\x0e\x10")
    for header in (tables.header(), tables.header(count + 100), tables.header(encoding=0xFF)):
        seed("fde_table", u8(0), u16(len(header)), header, tables.bytes + bytes(4))
    seed("fde_table", u8(1), u16(0), tables.bytes + bytes(4))


def sections(path):
    with open(path, "rb") as file:
        data = file.read()
    offset, = struct.unpack_from("<Q", data, 40)
    size, count, names = struct.unpack_from("<HHH", data, 58)
    headers = [struct.unpack_from("<IIQQQQ", data, offset + size * i) for i in range(count)]
    start = headers[names][4]
    for name, kind, _, _, at, length in headers:
        end = data.index(b"\0", start + name)
        if kind != 8:
            yield data[start + name:end].decode(), data[at:at + length]


for path in sys.argv[2:]:  # real rules; their code addresses mean nothing here, so entries get our own
    frames = dict(sections(path)).get(".eh_frame", b"")
    at, kept = 0, set()
    while at + 8 < len(frames) and len(kept) < 60:
        length, identity = struct.unpack_from("<II", frames, at)
        if length == 0:
            break
        rules = frames[at + 17:at + 4 + length].rstrip(b"\0")
        if identity != 0 and rules and rules not in kept:
            kept.add(rules)
            tables = Tables(cie())
            place = tables.fde(0, 0x200, rules)
            seed("cfi", u16(place), u16(0x40), u16(*REGISTERS), u16(*(PATTERN * 4)), tables.bytes)
        at += 4 + length

# ---- ELF files ----


def elf(segments=(), named=(), machine=62, shift=0):
    head_size, at = 64 + 56 * len(segments), 64 + 56 * len(segments)
    names, bodies, headers = b"\0", b"", bytes(64)
    for name, kind, flags, address, link, extra, body in named + ((".shstrtab", 3, 0, 0, 0, 0, None),):
        place = len(names)
        names += name.encode() + b"\0"
        body = names if body is None else body
        headers += struct.pack("<IIQQQQIIQQ", place, kind, flags, address, at + len(bodies), len(body), link, 0, 8, extra)
        bodies += body + b"\0" * (-len(body) % 8)
    total = head_size + len(bodies)
    file = b"\x7fELF\2\1\1" + bytes(9) + struct.pack("<HHIQQQIHHHHHH", 3, machine, 1, 0, 64, total, 0, 64, 56, len(segments),
                                                     64, len(named) + 2, len(named) + 1)
    for kind, flags, offset, address, size, memory in segments:
        file += struct.pack("<IIQQQQQQ", kind, flags, offset, address, address, size, memory, 4)
    return file + bodies + headers


NOTE = u32(4, 20, 3) + b"GNU\0" + bytes(range(0x41, 0x41 + 20))
OTHER_NOTE = u32(4, 4, 1) + b"GNU\0" + u32(0)
EXECUTABLE, READABLE = (1, 5, 0x1000, 0x401000, 0x800, 0x900), (1, 4, 0, 0x400000, 0x1000, 0x1000)
frame = (".eh_frame", 1, 2, 0x400200, 0, 0, bytes(64))
debug = (".debug_frame", 1, 0, 0, 0, 0, bytes(range(100)))
head = 64 + 56 * 5
for notes in (NOTE, OTHER_NOTE + NOTE, OTHER_NOTE * 3, NOTE[:-4]):
    file = elf((READABLE, EXECUTABLE, (4, 4, head, 0x400200, len(notes), len(notes)), (0x6474E550, 4, 0x300, 0x400300, 40, 40),
                (1, 6, 0x1000, 0x403000, 0x20, 0x2000)), ((".note", 7, 2, 0x400200, 0, 0, notes), frame, debug))
    seed("elf_image", u16(7, 33), file)
    seed("elf_image", u16(0x1001, 500), file.ljust(0x2100, b"x"))
seed("elf_image", u16(1, 1), elf())


def symbol(name, address, size, info=0x12, section=1):
    return struct.pack("<IBBHQQ", name, info, 0, section, address, size)


STRINGS = b"\0main\0_ZN3foo3barEv\0inner\0label@@V_1\0"
SYMBOLS = (bytes(24) + symbol(1, 0x401000, 0x40) + symbol(6, 0x401010, 0x10, 0x22) + symbol(19, 0x401040, 0, 0x02) +
           symbol(25, 0x401050, 0, 0x10) + symbol(6, 0x401000, 0x40, 0x12) + symbol(1, 0x401100, 1 << 40) +
           symbol(1, 0x401020, 8, 0x1A, 0xFFF1))
for kind in (2, 11):
    note = (4, 4, head, 0x400200, len(NOTE), len(NOTE))
    file = elf((READABLE, EXECUTABLE, note), ((".text", 1, 6, 0x401000, 0, 0, bytes(0x200)),
                                             (".symtab", kind, 0, 0, 3, 24, SYMBOLS), (".strtab", 3, 0, 0, 0, 0, STRINGS)))
    seed("symbols", u64(0x401000), file)
    seed("symbols", u64(0x401000), file.replace(SYMBOLS, SYMBOLS[:24] + u32(0x7FFFFFFF) + SYMBOLS[28:]))
    seed("symbols", u64(0x401000), file.replace(SYMBOLS, SYMBOLS[:24] + u32(len(STRINGS) + 2) + SYMBOLS[28:]))
    seed("symbols", u64(0x401004), file.replace(SYMBOLS, SYMBOLS[:48].ljust(len(SYMBOLS), b"\xff")))

STUB, WORD = 0x401010, 0x403000
for relocation, info in ((WORD, 1 << 32 | 7), (WORD, 37), (WORD, 0xFFFFFFFF << 32 | 7), (0, 1 << 32 | 7)):
    code = bytes(16) + b"\xff\x25" + u32(WORD - STUB - 6) + bytes(10)
    file = elf((READABLE, EXECUTABLE), ((".plt", 1, 6, 0x401000, 0, 0, code), (".dynsym", 11, 2, 0x400200, 3, 24, SYMBOLS),
                                        (".dynstr", 3, 2, 0x400300, 0, 0, STRINGS),
                                        (".rela.plt", 4, 2, 0x400400, 2, 24, struct.pack("<QQQ", relocation, info, 0x401000))))
    seed("symbols", u64(STUB), file)

# ---- Go's function table, as tests/symbolize/test_go_pclntab.c has it ----

GO_TEXT, GO_TABLE, GO_MODULE = 0x401000, 0x523000, 0x600000
NAMES_AT, FUNCTAB_AT, DESCRIBED_AT, UNITS_AT, FILES_AT, VALUES_AT, TREE_AT = 128, 192, 320, 640, 656, 704, 768


def go_table(magic, calls=((25, 0x0F),), far=0):
    is_relative, is_new = magic != 0xFFFFFFFA, magic == 0xFFFFFFF1
    word = u32 if is_relative else u64
    base = 0 if is_relative else GO_TEXT
    parts = (NAMES_AT, UNITS_AT, FILES_AT, VALUES_AT, FUNCTAB_AT)
    table = bytearray(1024)

    def put(at, data):
        table[at:at + len(data)] = data

    put(0, u32(magic) + u8(0, 0, 1, 8) + u64(2, 2, *((GO_TEXT,) if is_relative else ()), *parts))
    if far:  # a name across the end of what is read at once
        table += bytes(far)
        put(8 + 8 * (3 if is_relative else 2), u64(1024))
        put(1024 + far - 1024, b"runtime.goexit\0")
        put(1024, b"main.main\0".ljust(25, b"x") + b"sort.swap\0")
    put(NAMES_AT, b"main.main\0runtime.goexit\0sort.swap\0")
    put(FUNCTAB_AT, word(base, DESCRIBED_AT - FUNCTAB_AT, base + 0x40, DESCRIBED_AT + 128 - FUNCTAB_AT, base + 0x60))
    put(DESCRIBED_AT, word(base) + u32(0, 0, 0, 0, 1, 8, 3, 0, *((7,) if is_new else ())) + u8(0, 0, 0, 4) +
        u32(0, 0, 17, -1, -1, -1, 0))
    put(DESCRIBED_AT + 128, word(base + 0x40) + u32(far - 1024 if far else 10))
    put(UNITS_AT, u32(0, 13))
    put(FILES_AT, b"/src/main.go\0/src/sort.go\0")
    put(VALUES_AT, u8(0, 2, 16, 2, 16, 1, 32, 0, 44, 16, 0x8A, 1, 16, 0x85, 1, 32, 0, 0, 16, 2, 16, 1, 32, 0))
    put(TREE_AT, b"".join(u32(0, name, place, 60) if is_new else u32(0xFFFF, 1, 21, name, place) for name, place in calls))
    return bytes(table)


def go_program(magic, module=".go.module", text_in_table=True, table_in_module=GO_TABLE, **named):
    words = [table_in_module] + [0] * 47
    words[22], words[40 if magic == 0xFFFFFFF1 else 38] = GO_TEXT, GO_TABLE + TREE_AT
    table = go_table(magic, **named)
    if not text_in_table:
        table = table[:24] + bytes(8) + table[32:]
    relocations = struct.pack("<QQQQQQ", GO_MODULE, 8, GO_TABLE, GO_TABLE + 24, 8, GO_TEXT)
    return elf((), ((".gopclntab", 1, 2, GO_TABLE, 0, 0, table), (module, 1, 3, GO_MODULE, 0, 0, u64(*words)),
                    (".rela", 4, 2, 0x700000, 0, 24, relocations)))


for magic in (0xFFFFFFFA, 0xFFFFFFF0, 0xFFFFFFF1):
    seed("go_pclntab", u64(GO_TEXT), go_program(magic))
    seed("go_pclntab", u64(GO_TEXT), go_program(magic, text_in_table=False))
    seed("go_pclntab", u64(GO_TEXT), go_program(magic, module=".noptrdata"))
    seed("go_pclntab", u64(GO_TEXT), go_program(magic, module=".noptrdata", table_in_module=0, text_in_table=False))
    seed("go_pclntab", u64(GO_TEXT), go_program(magic, calls=((25, 0x10),)))
    seed("go_pclntab", u64(GO_TEXT), go_program(magic, calls=((-1, -1),)))
    seed("go_pclntab", u64(GO_TEXT), go_program(magic, far=1024 + 4090))
    program = go_program(magic)
    seed("go_pclntab", u64(GO_TEXT), program.replace(u64(1024, 0, 8), u64(1 << 20, 0, 8)))  # more than the file has

# ---- names and texts ----

for name in ("main", "_ZN3foo3barEv", "_ZNSt6vectorIiSaIiEE9push_backEOi", "_ZSt4endlIcSt11char_traitsIcEERSt13basic_ostreamIT_T0_ES6_",
             "_ZN4core3fmt9Formatter3pad17h0123456789abcdefE", "_RNvCs1234_7mycrate3foo", "_RINvNtC3std3mem8align_ofdE",
             "_D3std5stdio7writelnFZv", "memcpy@@GLIBC_2.14", "_ZNK3fooIXadL_Z3barEEE1xEv", "_ZZN1a1bEvENKUlvE_clEv",
             "_RNvXs0_C1aNtB4_1bNtB4_1c3foo", "_ZN1aC1ERKS_", "caf\u00e9", "a\tb", "_Z1fIJiDpT_EEvDpT_", "_ZTV3foo", "_ZGVZ1fvE1x"):
    seed("demangle", name.encode())
for text in ("sCPU", "sCPU freq=99", "sCPU frequency=1000,", "sCPU f=10; sCPU", "sCPU p=50", "sCPU period=1 f=2", "x", ";", "",
             "sCPU f", "sCPU f=", "sCPU f=999999999999", "sCPU\tf=\x01\xff;", "sCPU f=1 f=2", "sCPU " + "a" * 300 + "=1"):
    seed("event_grammar", text.encode("latin-1"))
with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../policy/policy.conf"), "rb") as file:
    POLICY = file.read()
seed("admin_policy", POLICY)
seed("admin_policy", b"\n".join(line.lstrip(b"# ") for line in POLICY.split(b"\n") if b"=" in line))
for line in POLICY.split(b"\n"):
    if b"=" in line:
        seed("admin_policy", line.lstrip(b"# "))
for line in ("groups = profilers, ops", "groups = 1001", "worker_user = ddprof", "worker_user = root", "worker_user = operator",
             "worker_user = short", "max_frequency = 0", "max_frequency = 4294967296", "groups = " + ", ".join("1" * 16),
             "groups = " + ", ".join("1" * 17), "x = 1", "=", "a\0b"):
    seed("admin_policy", line.encode())

# ---- code that processes make ----

at_1000 = u64(0x1000) + u8(0x10)
MAP = (b"1000 40 first\n0x1010 0x10 a name /x.js:1\n# none\n1030 ffffffffffffffff wide\r\n10f0 20 last\n1000 100 unfinished")
seed("perf_map", at_1000, u16(0), MAP)
seed("perf_map", at_1000, u16(0xFFF0), MAP)
seed("perf_map", u64(-0x100), u8(0x10), u16(0), b"ffffffffffffff00 ff up to the end\n\tffffffffffffff00 ff x\n0x 1 x\n")
seed("perf_map", at_1000, u16(0), b"1000 40 narrow\n10000000000001000 40 wide\n")
seed("perf_map", u64(0), u8(0x10), u16(0xFFFF), b"1000 40 the end of a long line\n")
for padding in range(65536 - len(MAP), 65536, 16):
    seed("perf_map", at_1000, u16(padding), MAP)
KALLSYMS = (b"0000000000000000 A percpu\n1000 T _stext\n1000 T _text\n1020 t __a\n1020 T a\n1020 W bb\n1030 d data\n1040 t m\t[ext4]\n"
            b"1010 t late\n1060 \0 x\n1050 t nul\0rest\n10000000000001000 t x\n1070 T " + b"n" * 300 + b"\t[" + b"m" * 80 + b"]\n1080 t open")
seed("kallsyms", at_1000, KALLSYMS)
seed("kallsyms", u64(-0x100), u8(0x10), b"ffffffffffffff00 t up\nffffffffffffff20 T to_the_end\n")


def dump_record(kind, *body):
    body = b"".join(body)
    return u32(kind, 16 + len(body)) + u64(12345) + body


def dump_load(start, size, index, name):
    return dump_record(0, u32(7, 7), u64(start, start, size, index), name, b"\0\x90\x90")


def dump_lines(start, *entries):
    return dump_record(2, u64(start, len(entries)), *(u64(at) + u32(line, 0) + file + b"\0" for at, line, file in entries))


HEADER = u32(0x4A695444, 1, 40, 62, 0, 7) + u64(0, 0)
LINES = dump_lines(0x1000, (0x1000, 1, b"/a.js"), (0x1020, 2, b"\xff"), (0x1010, 3, b"\xff"), (0x1030, 4, b""))
DUMP = (HEADER + dump_load(0x1000, 0x100, 0, b"old") + LINES + dump_load(0x1000, 0x40, 1, b"first") +
        dump_load(0x9000, 0x40, 2, b"elsewhere") + dump_record(4, u64(1, 2)) +
        dump_record(1, u32(7, 7), u64(0x1080, 0x9000, 0x1080, 0x40, 2)) + dump_record(3) + dump_load(0x1000, 0x100, 3, b"no"))
seed("jitdump", at_1000, DUMP)
seed("jitdump", at_1000, DUMP[:-20])
seed("jitdump", at_1000, DUMP.replace(u32(62, 0), u32(62, 0xDEADBEEF)))
seed("jitdump", at_1000, DUMP.replace(b"first\0\x90\x90", b"firstxxx"))
seed("jitdump", at_1000, DUMP.replace(b"/a.js\0", b"/a.jsx"))
seed("jitdump", at_1000, HEADER, LINES, LINES, dump_load(0x1000, -1, 1, b"wide"), dump_load(0x1000, 0x40, 1, b""))

# ---- profiles ----


def varint(value):
    value &= (1 << 64) - 1
    out = b""
    while value > 127:
        out += u8(value & 127 | 128)
        value >>= 7
    return out + u8(value)


def number(field, value):
    return varint(field << 3) + varint(value)


def part(field, *body):
    body = b"".join(body)
    return varint(field << 3 | 2) + varint(len(body)) + body


TEXTS = ("", "cpu", "nanoseconds", "/usr/bin/true", "00112233445566778899aabbccddeeff00112233", "main", "thread id", "[root]")
profile = (part(1, number(1, 1), number(2, 2)) +
           part(2, part(1, varint(1) + varint(2)), part(2, varint(10)), part(3, number(1, 6), number(3, 42))) +
           part(2, number(1, 2), number(2, 5)) +
           part(3, number(1, 1), number(2, 0x1000), number(3, 0x3000), number(4, 0x1000), number(5, 3), number(6, 4)) +
           part(4, number(1, 1), number(2, 1), number(3, 0x1234)) +
           part(4, number(1, 2), number(3, 0), part(4, number(1, 1), number(2, 7))) +
           part(5, number(1, 1), number(2, 7), number(3, 7), number(4, 3)) +
           b"".join(part(6, text.encode()) for text in TEXTS) + number(9, 1) + number(10, 2) + part(11, number(1, 1)) + number(12, 3))
seed("pprof", profile)
seed("pprof", profile[:40])
seed("pprof", profile.replace(b"/usr/bin/true", b"[jit:4194303]"), part(4, number(1, 9), number(2, 1), number(3, 0x1235)),
     part(2, part(1, varint(9)), part(2, varint(10))))
seed("pprof", part(1, number(1, 1)) + part(6))
seed("pprof", profile, part(4, number(1, 3), number(2, 99), number(3, 5)), part(2, number(1, 77), number(2, -1)))
seed("pprof", profile, part(3, number(1, 2), number(2, 0), number(3, -1), number(5, 1000)), part(13, varint(5)))
seed("pprof", profile, part(3, number(1, 2), number(2, 0x1000), number(3, 0x3000), number(5, 3)), part(13, varint(8) + varint(9) + varint(5)),
     part(6, b"ddprof.file.1=size:4096 modified:1700000000123456789 /usr/bin/true"), part(6, b"ddprof.file.2=size:-1 modified:x"))

# The same, on its way to receivers; and what callers say of those.
seed("otlp", profile)
seed("otlp", profile, part(2, part(1, varint(1) + varint(2)), part(2, varint(2**63 - 1)), part(3, number(1, 6), number(2, 7))),
     part(2, part(1, varint(2)), part(2, varint(5)), part(3, number(1, 3), number(2, 5)), part(3, number(1, 6), number(3, 1), number(4, 2))))
seed("otlp", profile, part(4, number(1, 3), number(2, 1), part(4, number(1, 1), number(2, 3)), part(4, number(1, 9))), part(2, part(1, varint(3)), part(2, varint(1))))
for text in ("http://user:pa%20ss@host:8126/base/?a=b", "https://[::1]:4318/v1development/profiles", "http://u@v@h//", "a=b%20c, d = %c3%a9 ,e=", "k=%zz,l=1"):
    seed("url", text.encode())

# A header's value, and what a server says to it.
for text in ("0123456789abcdef\nForbidden: 0123456789abcdef!", "Bearer secretsecret\n\r\n{\"errors\": [\"secretsecret\"]}\n",
             "0123456789abcdef\ncut 0123456789", "a, b; 01234567\n01234567", "\n\x1b[31m \0\xff \u202e", "aaaaaaaa\naaaaaaaaaaa aaaa"):
    seed("http_words", text.encode())
