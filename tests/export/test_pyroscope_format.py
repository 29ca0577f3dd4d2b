#!/usr/bin/python3
"""What Pyroscope's /ingest gets: a query that its parser of labels accepts, and the same profile under other names."""

import gzip
import unittest
import urllib.parse

import pprofs
from formatted import PYROSCOPE, Message


def query(**settings):
    url = Message(pprofs.small().bytes(), PYROSCOPE, **settings).url
    return urllib.parse.urlsplit(url), urllib.parse.parse_qs(urllib.parse.urlsplit(url).query, strict_parsing=True)


def name(**settings):
    """(service, {label: value}) as Pyroscope's labelset.Parse reads it."""
    (text,) = query(**settings)[1]["name"]
    service, brace, rest = text.partition("{")
    assert bool(brace) == rest.endswith("}"), text
    labels = [pair.split("=") for pair in rest[:-1].split(",")] if brace else []
    assert all(len(pair) == 2 for pair in labels), text
    return service, dict(labels)


def message(**settings):
    return Message(pprofs.small().bytes(), PYROSCOPE, **settings)


class Query(unittest.TestCase):
    def test_all(self):
        url, found = query(url="http://h:1/x/ingest")
        self.assertEqual((url.netloc, url.path), ("h:1", "/x/ingest"))
        self.assertEqual(found, {"name": ["shop{env=prod,version=1.2,team=a,zone=b}"], "from": ["1700000000"],
                                 "until": ["1700000059"], "sampleRate": ["99"], "format": ["pprof"], "spyName": ["ddprof-launch"]})

    def test_own_query(self):
        _, found = query(url="http://h/ingest?a=b")
        self.assertEqual((found["a"], found["format"]), (["b"], ["pprof"]))

    def test_names(self):
        self.assertEqual(name(environment="", version="", tags=""), ("shop", {}))
        self.assertEqual(name(service="a b{c}=,é/x-y.z", tags="")[0], "a_b_c_____/x-y.z")
        self.assertEqual(name(tags=r"a-b.c:d:e,9x:y,k:/x\y")[1],
                         {"env": "prod", "version": "1.2", "a_b_c": "d:e", "k": r"/x\y", "_9x": "y"})
        self.assertEqual(name(environment="x,y{=}", tags="")[1]["env"], "x_y___")
        self.assertEqual(len(name(tags=",".join(f"k{i}:v" for i in range(50)))[1]), 20)
        self.assertEqual(name(environment="é")[1]["env"], "é")


class Profile(unittest.TestCase):
    def test_headers(self):
        got = message(headers="Authorization: Basic eA==\nX-Scope-OrgID: t\n").headers
        self.assertEqual((got["authorization"], got["x-scope-orgid"]), ("Basic eA==", "t"))
        self.assertEqual(got["content-type"], "application/octet-stream")

    def test_content(self):
        before, after = pprofs.small().message, pprofs.pb2.Profile.FromString(gzip.decompress(message().body))

        def types(profile):
            return [(profile.string_table[t.type], profile.string_table[t.unit]) for t in [*profile.sample_type, profile.period_type]]

        self.assertEqual(types(after), [("cpu", "nanoseconds"), ("samples", "count"), ("cpu", "nanoseconds")])
        self.assertFalse([sample.label for sample in after.sample if sample.label])
        # The samples of two threads with one stack are one.
        self.assertEqual([list(sample.value) for sample in after.sample], [[50505050, 5], [10101010, 1], [10101010, 1]])
        stacks = {tuple(sample.location_id): sample.value for sample in before.sample}
        self.assertEqual({tuple(sample.location_id) for sample in after.sample}, set(stacks))
        # Everything else is as it was, the function named cpu-time too.
        self.assertEqual(list(after.string_table)[:len(before.string_table)], list(before.string_table))
        for one in before, after:
            del one.sample_type[:], one.string_table[:], one.sample[:]
            one.ClearField("period_type")
        self.assertEqual(after, before)

    def test_totals(self):
        b = pprofs.large()
        after = pprofs.pb2.Profile.FromString(gzip.decompress(Message(b.bytes(), PYROSCOPE).body))
        for number in range(2):
            self.assertEqual(sum(sample.value[number] for sample in after.sample), sum(sample.value[number] for sample in b.message.sample))
        stacks = [tuple(sample.location_id) for sample in after.sample]
        self.assertEqual(len(set(stacks)), len(stacks))
        self.assertEqual(set(stacks), {tuple(sample.location_id) for sample in b.message.sample})

    def test_not_a_profile(self):
        self.assertEqual(Message(b"x", PYROSCOPE).error, "Bad message")


if __name__ == "__main__":
    unittest.main(verbosity=2)
