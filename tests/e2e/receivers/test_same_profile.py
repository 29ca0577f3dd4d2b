#!/usr/bin/python3
"""That the comparison of what was received with the file can fail: one profile, as both have it, then one thing at a time
different in what was received."""

import copy
import unittest

import harness
import same_profile
import support

START, LENGTH, PERIOD = 10**18, 10**9, 10**7


def make_pprof():
    pb2 = support.Profile.pb2 = support.Profile.pb2 or support.load_schema()
    text = ["", "cpu-time", "nanoseconds", "cpu-samples", "count", "main", "work", "svc", "svc.c", "abcd"]
    message = pb2.Profile(string_table=text, time_nanos=START, duration_nanos=LENGTH, period=PERIOD)
    message.period_type.type, message.period_type.unit = 1, 2
    message.sample_type.add(type=1, unit=2)
    message.sample_type.add(type=3, unit=4)
    message.mapping.add(id=1, memory_start=0x1000, memory_limit=0x2000, filename=7, build_id=9)
    for number, name in ((1, 5), (2, 6)):
        message.function.add(id=number, name=name, filename=8)
        message.location.add(id=number, mapping_id=1, address=0x1000 + number).line.add(function_id=number, line=number)
    message.sample.add(location_id=[2, 1], value=[3 * PERIOD, 3])
    message.sample.add(location_id=[1], value=[PERIOD, 1])
    return message.SerializeToString()


def frame(name, line):
    return [name, "svc.c", line, "svc", 0x1000 + line]


def make_content():
    """The same as otlp_checks.resolve() gives it."""
    def profile(kind, unit, scale):
        return {"sample_type": [kind, unit], "period_type": ["cpu", "nanoseconds"], "period": PERIOD, "time": START,
                "duration": LENGTH, "samples": [{"stack": [frame("main", 1), frame("work", 2)], "values": [2 * scale, scale]},
                                                {"stack": [frame("main", 1)], "values": [scale]}]}
    return {"profiles": [profile("cpu", "nanoseconds", PERIOD), profile("samples", "count", 1)],
            "mappings": [{"file": "svc", "attributes": {same_profile.BUILD_ID: "abcd"}}]}


def at(*path, value):
    def change(content):
        for step in path[:-1]:
            content = content[step]
        content[path[-1]] = value
    return change


WRONG = (
    at("profiles", 0, "samples", 0, "values", value=[2 * PERIOD]),
    at("profiles", 1, "samples", 1, "values", value=[2]),
    at("profiles", 0, "samples", 1, "stack", 0, value=frame("work", 2)),
    at("profiles", 0, "samples", 0, "stack", value=[frame("work", 2), frame("main", 1)]),  # totals are the same
    at("profiles", 0, "samples", 0, "stack", 1, value=["work", "other.c", 2, "svc", 0x1002]),
    at("profiles", 0, "samples", 0, "stack", 1, value=["work", "svc.c", 3, "svc", 0x1002]),
    at("profiles", 0, "sample_type", value=["cpu", "microseconds"]),
    at("profiles", 0, "period", value=1),
    at("profiles", 0, "period_type", value=["cpu", "count"]),
    at("profiles", 1, "time", value=START + 1),
    at("profiles", 1, "duration", value=LENGTH + 1),
    at("mappings", 0, "file", value="libc.so.6"),
    at("mappings", 0, "attributes", value={}),
    lambda content: content["profiles"].pop(),
    lambda content: content["profiles"][0]["samples"].pop(),
)


class Comparison(unittest.TestCase):
    def test_same(self):
        self.assertEqual(same_profile.check_otlp(self, make_content(), harness.profile(self, make_pprof())), 2)

    def test_each_different_one(self):
        file = harness.profile(self, make_pprof())
        for number, change in enumerate(WRONG):
            content = copy.deepcopy(make_content())
            change(content)
            with self.subTest(number=number), self.assertRaises(AssertionError):
                same_profile.check_otlp(self, content, file)


if __name__ == "__main__":
    support.main()
