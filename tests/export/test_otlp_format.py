#!/usr/bin/python3
"""OTLP profiles decoded by the official Python classes, and compared with the pprof stack by stack: functions, lines,
addresses, files, build ids, labels and values. Where the classes come from: scripts/peers."""

import collections
import gzip
import os
import sys
import unittest

PEERS = os.environ["DDPROF_PEERS"]
PYTHON = os.path.join(PEERS, "otlp/bin/python3")
if os.environ.get("DDPROF_PEER_PYTHON") != PYTHON:
    if not os.access(PYTHON, os.X_OK):
        print(f"SKIP: there is no {PYTHON}; scripts/peers makes it")
        sys.exit(1 if os.environ.get("DDPROF_MUST_WORK") else 77)
    os.environ["DDPROF_PEER_PYTHON"] = PYTHON
    os.execv(PYTHON, [PYTHON, *sys.argv])

# pylint: disable=wrong-import-position,import-error
from google.protobuf.unknown_fields import UnknownFieldSet
from opentelemetry.proto.collector.profiles.v1development.profiles_service_pb2 import ExportProfilesServiceRequest

import pprofs
from formatted import FACTS, OTLP, Message

RENAMED = {"cpu-time": "cpu", "cpu-samples": "samples"}
KEYS = {"process_id": ("process.pid", int), "process_name": ("process.executable.name", str), "thread id": ("thread.id", int),
        "thread_name": ("thread.name", str), "container_id": ("container.id", str)}


def decode(pprof, **settings):
    message = Message(pprof, OTLP, **settings)
    assert not message.error, message.error
    return ExportProfilesServiceRequest.FromString(message.body)


def plain(value):
    return getattr(value, value.WhichOneof("value"))


# ---- both, with every number looked up: {(stack, labels): values}, leaf first ----


def of_pprof(profile, container="", strings=None):
    text = profile.string_table if strings is None else strings
    functions, mappings, locations = ({one.id: one for one in table} for table in (profile.function, profile.mapping, profile.location))

    def frame(location):
        mapping = mappings.get(location.mapping_id)
        place = mapping and (text[mapping.filename], mapping.memory_start, mapping.memory_limit, mapping.file_offset, text[mapping.build_id])
        lines = [(text[functions[line.function_id].name], text[functions[line.function_id].system_name],
                  text[functions[line.function_id].filename], functions[line.function_id].start_line, line.line) for line in location.line]
        return (location.address, place or None, tuple(lines))

    def attribute(label):
        key, kind = KEYS.get(text[label.key], (text[label.key], str))
        return (key, kind(text[label.str]), "") if label.str else (key, label.num, text[label.num_unit])

    found = collections.defaultdict(lambda: [0] * len(profile.sample_type))
    for sample in profile.sample:
        labels = frozenset(attribute(label) for label in sample.label if not (text[label.key] == "container_id" and text[label.str] == container))
        for number, value in enumerate(sample.value):
            found[tuple(frame(locations[one]) for one in sample.location_id), labels][number] += value
    return {key: tuple(values) for key, values in found.items()}


def of_otlp(request):
    d = request.dictionary
    text = d.string_table

    def attributes(indices):
        return frozenset((text[d.attribute_table[i].key_strindex], plain(d.attribute_table[i].value), text[d.attribute_table[i].unit_strindex]) for i in indices)

    def frame(location):
        mapping = d.mapping_table[location.mapping_index] if location.mapping_index else None
        if mapping:
            ids = dict((key, value) for key, value, _ in attributes(mapping.attribute_indices))
            assert len(ids) == len(mapping.attribute_indices) <= 1
            build_id = ids.get("process.executable.build_id.gnu") or ids.get("process.executable.build_id.go") or ""
            mapping = (text[mapping.filename_strindex], mapping.memory_start, mapping.memory_limit, mapping.file_offset, build_id)
        functions = [(d.function_table[line.function_index], line.line) for line in location.lines]
        lines = tuple((text[f.name_strindex], text[f.system_name_strindex], text[f.filename_strindex], f.start_line, line) for f, line in functions)
        return (location.address, mapping, lines)

    (resource,) = request.resource_profiles
    (scope,) = resource.scope_profiles
    found = {}
    for number, profile in enumerate(scope.profiles):
        for sample in profile.samples:
            assert sample.link_index == 0 and not sample.timestamps_unix_nano
            key = (tuple(frame(d.location_table[i]) for i in d.stack_table[sample.stack_index].location_indices), attributes(sample.attribute_indices))
            (value,) = sample.values
            values = found.setdefault(key, [None] * len(scope.profiles))
            assert values[number] is None, "two samples are the same"
            values[number] = value
    return {key: tuple(values) for key, values in found.items()}


class Samples(unittest.TestCase):
    maxDiff = None

    def compare(self, builder, **settings):
        request = decode(builder.bytes(), **settings)
        before, after = of_pprof(builder.message, settings.get("container_id", "")), of_otlp(request)
        self.assertEqual(set(before), set(after))
        self.assertEqual(before, after)
        return request

    def test_small(self):
        request = self.compare(pprofs.small())
        (frames, _), *_ = [key for key in of_otlp(request) if len(key[0]) == 3]
        self.assertEqual([line[0] for line in frames[0][2]], ["inlined", "cpu-time"])

    def test_large(self):
        self.compare(pprofs.large())

    def test_same_samples_are_added_up(self):
        b = pprofs.small()
        b.message.sample.extend([b.message.sample[0]] * 3)
        b.message.sample.add().CopyFrom(b.message.sample[0])
        b.message.sample[-1].label.reverse()  # their order is no difference
        self.compare(b)
        self.assertEqual(len(decode(b.bytes()).resource_profiles[0].scope_profiles[0].profiles[0].samples), 4)

    def test_sums_stay_at_their_limit(self):
        b = pprofs.Builder()
        for _ in range(3):
            b.sample([], [2**62, -2**63])
        profiles = decode(b.bytes()).resource_profiles[0].scope_profiles[0].profiles
        self.assertEqual([list(p.samples[0].values) for p in profiles], [[2**63 - 1], [-2**63]])

    def test_other_labels(self):
        b = pprofs.small()
        b.sample([1], [5, 1], bytes=17, span="x", process_id="not a number", zero=0)
        request = decode(b.bytes())
        found = [dict((key, (value, unit)) for key, value, unit in labels) for _, labels in of_otlp(request)]
        self.assertIn({"bytes": (17, "things"), "span": ("x", ""), "process.pid": ("not a number", ""), "zero": (0, "things")}, found)

    def test_container_of_the_resource(self):
        request = self.compare(pprofs.small(), container_id="cafe")
        self.assertNotIn("container.id", {key for _, labels in of_otlp(request) for key, _, _ in labels})
        self.assertIn("container.id", resource(request))
        request = self.compare(pprofs.small(), container_id="other")
        self.assertIn(("container.id", "cafe", ""), next(labels for stack, labels in of_otlp(request) if len(stack) == 3))

    def test_go_build_id(self):
        b = pprofs.Builder()
        b.sample([b.location(b.mapping("/go", "Zx9/abc"), 0x1234)], [1, 1])
        d = self.compare(b).dictionary
        self.assertIn("process.executable.build_id.go", d.string_table)

    def test_nothing(self):
        request = decode(pprofs.Builder().bytes())
        self.assertEqual([len(p.samples) for p in request.resource_profiles[0].scope_profiles[0].profiles], [0, 0])

    def test_text_that_is_not_utf8(self):
        b = pprofs.small()
        bad = b.bytes().replace(b"inlined", b"inl\xff\x01ed")
        d = decode(bad).dictionary
        self.assertIn("inl\\xff\\x01ed", d.string_table)

    def test_broken(self):
        b = pprofs.small()
        b.message.sample[0].location_id[0] = 99
        for bad in b"x", b"", b.bytes():
            self.assertEqual(Message(bad, OTLP).error, "Bad message")


class Dictionary(unittest.TestCase):
    """What the schema's comments demand of the tables."""

    def every(self):
        for b in pprofs.small(), pprofs.large(), pprofs.Builder():
            yield decode(b.bytes())

    def test_zero_entries(self):
        for request in self.every():
            for field, table in request.dictionary.ListFields():
                self.assertFalse(table[0] if field.name == "string_table" else table[0].ListFields(), field.name)
            self.assertEqual(len(request.dictionary.ListFields()), 7)

    def test_no_entry_twice(self):
        for request in self.every():
            for field, table in request.dictionary.ListFields():
                entries = [one if isinstance(one, str) else one.SerializeToString(deterministic=True) for one in table]
                self.assertEqual(len(set(entries)), len(entries), field.name)

    def test_no_unknown_fields(self):
        def walk(message):
            self.assertEqual(len(UnknownFieldSet(message)), 0, message.DESCRIPTOR.name)
            for field, value in message.ListFields():
                if field.message_type:
                    for one in value if field.is_repeated else [value]:
                        walk(one)
        for request in self.every():
            walk(request)

    def test_no_orphans(self):
        """A pprof with functions, mappings, locations and strings that nothing refers to."""
        b = pprofs.small()
        b.location(b.mapping("/unused", "dead"), 1, (b.function("unused", "unused.c"), 1))
        d = decode(b.bytes()).dictionary
        self.assertFalse([text for text in d.string_table if "unused" in text])
        self.assertEqual((len(d.mapping_table), len(d.function_table)), (3, 5))


def resource(request):
    return {one.key: plain(one.value) for one in request.resource_profiles[0].resource.attributes}


class Around(unittest.TestCase):
    def profiles(self, **settings):
        return decode(pprofs.small().bytes(), **settings).resource_profiles[0].scope_profiles[0].profiles

    def test_types_and_times(self):
        request = decode(pprofs.small().bytes())
        text, message = request.dictionary.string_table, pprofs.small().message
        profiles = request.resource_profiles[0].scope_profiles[0].profiles
        types = [(text[p.sample_type.type_strindex], text[p.sample_type.unit_strindex]) for p in profiles]
        self.assertEqual(types, [("cpu", "nanoseconds"), ("samples", "count")])
        for p in profiles:
            self.assertEqual((text[p.period_type.type_strindex], text[p.period_type.unit_strindex]), ("cpu", "nanoseconds"))
            self.assertEqual((p.time_unix_nano, p.duration_nano, p.period), (message.time_nanos, message.duration_nanos, message.period))
            self.assertEqual((p.original_payload, p.original_payload_format), (b"", ""))

    def test_ledger(self):
        request = decode(pprofs.small().bytes())
        d = request.dictionary
        for p in request.resource_profiles[0].scope_profiles[0].profiles:
            found = {d.string_table[d.attribute_table[i].key_strindex]: plain(d.attribute_table[i].value) for i in p.attribute_indices}
            self.assertEqual(found, {"ddprof.tags": "service:shop", "ddprof.samples": 7, "ddprof.lost": 0})

    def test_ids(self):
        def ids(**settings):
            return [p.profile_id for p in self.profiles(**settings)]
        every = [*ids(), *ids(sequence=8), *ids(runtime_id="x"), *ids(start=5)]
        self.assertEqual(len(set(every)), len(every))
        self.assertEqual({len(one) for one in every}, {16})
        self.assertEqual(ids(), ids())  # sent again, it is the same

    def test_resource(self):
        found = resource(decode(pprofs.small().bytes(), hostname="web-1", container_id="cafe", attributes="team=b%2C,k.x=y,service.name=no,host.name=h1"))
        arch = found.pop("host.arch")
        self.assertIn(arch, ("amd64", "arm64"))
        self.assertEqual(found, {
            "service.name": "shop", "service.version": "1.2", "deployment.environment.name": "prod", "team": "b,", "k.x": "y", "host.name": "h1",
            "service.instance.id": FACTS["runtime_id"], "os.type": "linux", "process.pid": 42, "container.id": "cafe", "zone": "b"})

    def test_little_resource(self):
        found = resource(decode(pprofs.small().bytes(), environment="", version="", tags="", container_id="none"))
        self.assertFalse({"service.version", "deployment.environment.name", "container.id", "host.name"} & set(found))

    def test_scope(self):
        scope = decode(pprofs.small().bytes()).resource_profiles[0].scope_profiles[0].scope
        self.assertEqual(scope.name, "ddprof-launch")
        self.assertRegex(scope.version, r"^\d+\.\d+\.\d+")

    def test_headers(self):
        message = Message(pprofs.small().bytes(), OTLP, headers="x-team: a b\n", url="http://h/v1development/profiles")
        self.assertEqual({k: v for k, v in message.headers.items() if k != "user-agent"}, {"content-type": "application/x-protobuf", "otlp-profiles-development-version": "1", "x-team": "a b"})
        self.assertEqual(message.url, "http://h/v1development/profiles")

    def test_gzip(self):
        message = Message(pprofs.small().bytes(), OTLP, gzip=1)
        self.assertEqual(message.headers["content-encoding"], "gzip")
        self.assertEqual(gzip.decompress(message.body), Message(pprofs.small().bytes(), OTLP).body)


if __name__ == "__main__":
    unittest.main(verbosity=2)
