"""The comments of a profile: the ledger ("ddprof.lost=0") and how the stacks of each module ended."""

import gzip
import re

STRING_TABLE, COMMENT = 6, 13  # fields of pprof's Profile message
VARINT, BYTES = 0, 2           # wire types


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, at


def fields(data):
    """(number, value) of each field of a message that has no fixed-size ones."""
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        value, at = varint(data, at)
        if key & 7 == BYTES:
            value, at = data[at:at + value], at + value
        yield key >> 3, value


def read(path):
    """All "key=value" comments of a profile, without "ddprof."."""
    with gzip.open(path) as file:
        data = file.read()
    strings, comments = [], []
    for number, value in fields(data):
        if number == STRING_TABLE:
            strings.append(value.decode(errors="replace"))
        elif number == COMMENT:
            indices = [value]
            if isinstance(value, bytes):  # packed
                indices, at = [], 0
                while at < len(value):
                    index, at = varint(value, at)
                    indices.append(index)
            comments += indices
    texts = (strings[index].removeprefix("ddprof.") for index in comments)
    return dict(text.split("=", 1) for text in texts if "=" in text)


def ledger(comments):
    return {key: int(value) for key, value in comments.items() if value.isdigit()}


def modules(comments):
    """(path, {ending: count}) as listed, the worst first."""
    for key, value in comments.items():
        if re.fullmatch(r"module\.\d+", key):
            counts, path = re.fullmatch(r"((?:\w+:\d+ )*)(.*)", value).groups()
            yield path, {name: int(count) for name, count in re.findall(r"(\w+):(\d+)", counts)}
