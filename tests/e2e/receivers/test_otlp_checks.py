#!/usr/bin/python3
"""That the checks of what we send as OTLP can fail: a request made by hand with the official classes, right in all, then
wrong in one thing at a time; some of it through the receiver of the other tests. Nothing of ours takes part."""

import gzip
import http.client
import json
import unittest

import harness

harness.become("otlp/bin/python3")

# pylint: disable=wrong-import-position,wrong-import-order
import otlp_checks
import otlp_receiver
import support
from opentelemetry.proto.collector.profiles.v1development.profiles_service_pb2 import ExportProfilesServiceRequest


def good():
    """One function called by another, 3 samples of 10 ms."""
    request = ExportProfilesServiceRequest()
    dictionary = request.dictionary
    text = ["", "cpu", "nanoseconds", "main", "work", "svc", "svc.c", "process.executable.build_id.gnu", "thread.id"]
    dictionary.string_table.extend(text)
    for name in ("mapping_table", "location_table", "function_table", "link_table", "attribute_table", "stack_table"):
        getattr(dictionary, name).add()
    dictionary.attribute_table.add(key_strindex=7).value.string_value = "abcd"
    dictionary.attribute_table.add(key_strindex=8).value.int_value = 4711
    dictionary.mapping_table.add(memory_start=0x1000, memory_limit=0x2000, filename_strindex=5, attribute_indices=[1])
    for number, name in ((1, 3), (2, 4)):
        dictionary.function_table.add(name_strindex=name, filename_strindex=6)
        location = dictionary.location_table.add(mapping_index=1, address=0x1000 + 16 * number)
        location.lines.add(function_index=number, line=number)
    dictionary.stack_table.add(location_indices=[2, 1])
    resource = request.resource_profiles.add()
    resource.resource.attributes.add(key="service.name").value.string_value = "shop"
    profile = resource.scope_profiles.add().profiles.add(time_unix_nano=10**18, duration_nano=10**9, period=10**7,
                                                        profile_id=bytes(range(16)))
    profile.sample_type.type_strindex = profile.period_type.type_strindex = 1
    profile.sample_type.unit_strindex = profile.period_type.unit_strindex = 2
    profile.samples.add(stack_index=1, attribute_indices=[2], values=[3 * 10**7])
    return request


def profile_of(request):
    return request.resource_profiles[0].scope_profiles[0].profiles[0]


def sample_of(request):
    return profile_of(request).samples[0]


def clear(table):
    return lambda request: request.dictionary.ClearField(table)


def change(find, **fields):
    def apply(request):
        for name, value in fields.items():
            if isinstance(value, list):
                del getattr(find(request), name)[:]
                getattr(find(request), name).extend(value)
            else:
                setattr(find(request), name, value)
    return apply


def table(name, number):
    return lambda request: getattr(request.dictionary, name)[number]


# What the problem must say, and what was done.
WRONG = (
    ("a field 99 that the schema does not know", lambda request: profile_of(request).MergeFromString(b"\x98\x06\x01")),
    ("link_table is empty", clear("link_table")),
    ("string_table begins with 'x'", lambda request: request.dictionary.string_table.__setitem__(0, "x")),
    ("mapping_table begins with", change(table("mapping_table", 0), memory_start=1)),
    ("location_table begins with", change(table("location_table", 0), address=1)),
    ("function_table begins with", change(table("function_table", 0), start_line=1)),
    ("attribute_table begins with", change(table("attribute_table", 0), unit_strindex=1)),
    ("stack_table begins with", change(table("stack_table", 0), location_indices=[1])),
    ("Sample.stack_index is 2, outside stack_table", change(sample_of, stack_index=2)),
    ("Sample.stack_index is -1, outside stack_table", change(sample_of, stack_index=-1)),
    ("Sample.link_index is 1, outside link_table", change(sample_of, link_index=1)),
    ("Sample.attribute_indices is 3, outside attribute_table", change(sample_of, attribute_indices=[2, 3])),
    ("Profile.attribute_indices is 3, outside", change(profile_of, attribute_indices=[3])),
    ("Mapping.filename_strindex is 9, outside string_table", change(table("mapping_table", 1), filename_strindex=9)),
    ("Mapping.attribute_indices is 7, outside", change(table("mapping_table", 1), attribute_indices=[1, 7])),
    ("Stack.location_indices is 3, outside location_table", change(table("stack_table", 1), location_indices=[2, 1, 3])),
    ("Location.mapping_index is 2, outside", change(table("location_table", 1), mapping_index=2)),
    ("Location.attribute_indices is 5, outside", change(table("location_table", 1), attribute_indices=[5])),
    ("Line.function_index is 3, outside",
     change(lambda request: request.dictionary.location_table[1].lines[0], function_index=3)),
    ("Function.name_strindex is 9, outside", change(table("function_table", 1), name_strindex=9)),
    ("Function.system_name_strindex is 9, outside", change(table("function_table", 1), system_name_strindex=9)),
    ("Function.filename_strindex is 9, outside", change(table("function_table", 1), filename_strindex=9)),
    ("KeyValueAndUnit.key_strindex is 9, outside", change(table("attribute_table", 1), key_strindex=9)),
    ("KeyValueAndUnit.unit_strindex is 9, outside", change(table("attribute_table", 1), unit_strindex=9)),
    ("ValueType.type_strindex is 9, outside", change(lambda request: profile_of(request).sample_type, type_strindex=9)),
    ("ValueType.unit_strindex is 9, outside", change(lambda request: profile_of(request).period_type, unit_strindex=9)),
    ("AnyValue.string_value_strindex is 9, outside",
     change(lambda request: request.resource_profiles[0].resource.attributes[0].value, string_value_strindex=9)),
    ("KeyValue.key_strindex is 9, outside",
     change(lambda request: request.resource_profiles[0].resource.attributes[0], key_strindex=9)),
    ("a resource attribute has key and key_strindex",
     change(lambda request: request.resource_profiles[0].resource.attributes[0], key_strindex=3)),
    ("stack_table: nobody refers to [2]", lambda request: request.dictionary.stack_table.add(location_indices=[1])),
    ("string_table: nobody refers to [9]", lambda request: request.dictionary.string_table.append("nobody's")),
    ("string_table has an entry twice", lambda request: request.dictionary.string_table.append("main")),
    ("function_table has an entry twice",
     lambda request: request.dictionary.function_table.append(request.dictionary.function_table[1])),
    ("a Sample has neither values nor", change(sample_of, values=[])),
    ("a Sample has 1 values but 2 timestamps", change(sample_of, timestamps_unix_nano=[10**18, 10**18 + 1])),
    ("a timestamp is outside its Profile", change(sample_of, timestamps_unix_nano=[10**18 + 10**9])),
    ("two Samples are the same", lambda request: profile_of(request).samples.add().CopyFrom(sample_of(request))),
    ("several shapes", lambda request: profile_of(request).samples.add(stack_index=1, timestamps_unix_nano=[10**18])),
    ("profile_id is 00", change(profile_of, profile_id=bytes(16))),
    ("profile_id is ff: not 16 bytes", change(profile_of, profile_id=b"\xff")),
    ("two Profiles have the same profile_id",
     lambda request: request.resource_profiles[0].scope_profiles[0].profiles.add().CopyFrom(profile_of(request))),
    ("no Profile", lambda request: request.resource_profiles[0].ClearField("scope_profiles")),
    ("a Profile without a time", change(profile_of, time_unix_nano=0)),
    ("original_payload and original_payload_format", change(profile_of, original_payload=b"x")),
    ("does not say what its values are", lambda request: profile_of(request).ClearField("sample_type")),
    ("address 0x3000 is outside its Mapping", change(table("location_table", 1), address=0x3000)),
    ("a resource attribute twice", lambda request: request.resource_profiles[0].resource.attributes.add(key="service.name")),
    ("no service.name", lambda request: request.resource_profiles[0].resource.ClearField("attributes")),
)


class Checks(unittest.TestCase):
    def test_a_good_request(self):
        self.assertEqual(otlp_checks.problems(good()), [])

    def test_each_wrong_one(self):
        for said, apply in WRONG:
            with self.subTest(said=said):
                request = good()
                apply(request)
                again = otlp_checks.parse(request.SerializeToString())
                found = otlp_checks.problems(again)
                self.assertTrue(any(said in one for one in found), found)

    def test_every_index_was_tried(self):
        for message, field, _ in otlp_checks.REFERENCES:
            self.assertTrue(any(said.startswith(f"{message}.{field} is ") for said, _ in WRONG), (message, field))

    def test_every_index_of_the_schema_is_known(self):
        """A newer opentelemetry-proto with another index field: REFERENCES has to learn it."""
        import opentelemetry.proto.common.v1.common_pb2 as common  # pylint: disable=import-outside-toplevel
        import opentelemetry.proto.profiles.v1development.profiles_pb2 as schema  # pylint: disable=import-outside-toplevel
        messages = [message for file in (schema, common) for message in file.DESCRIPTOR.message_types_by_name.values()]
        found = {(message.name, field.name) for message in messages for field in message.fields if field.name.endswith(("index", "indices"))}
        self.assertEqual(found, {(message, field) for message, field, _ in otlp_checks.REFERENCES})

    def test_resolved(self):
        content = otlp_checks.resolve(good())
        self.assertEqual(content["resource"], {"service.name": "shop"})
        self.assertEqual(content["mappings"][0]["attributes"], {"process.executable.build_id.gnu": "abcd"})
        profile, = content["profiles"]
        self.assertEqual((profile["sample_type"], profile["period"]), (["cpu", "nanoseconds"], 10**7))
        self.assertEqual(profile["samples"], [{
            "stack": [["main", "svc.c", 1, "svc", 0x1010], ["work", "svc.c", 2, "svc", 0x1020]],
            "values": [3 * 10**7], "times": [], "attributes": {"thread.id": 4711}}])


class Receiver(unittest.TestCase):
    def setUp(self):
        self.receiver = harness.OtlpReceiver(self)

    def post(self, body, path=otlp_receiver.PATH, **headers):
        headers = {"Content-Type": "application/x-protobuf",
                   **{name.replace("_", "-"): value for name, value in headers.items()}}
        return harness.exchange(http.client.HTTPConnection("127.0.0.1", self.receiver.port), "POST", path, body, headers)

    def test_good(self):
        body = good().SerializeToString()
        self.assertEqual(self.post(body)[0], 200)
        self.assertEqual(self.post(gzip.compress(body), Content_Encoding="gzip")[0], 200)
        one, two = self.receiver.got()
        self.assertEqual(one["problems"] + two["problems"], [])
        self.assertEqual(one["content"], json.loads(json.dumps(otlp_checks.resolve(good()))))
        self.assertEqual(one["content"], two["content"])

    def test_bad(self):
        body = good().SerializeToString()
        for said, arguments in (("not application/x-protobuf", {"Content_Type": "application/json"}),
                                ("path /v1/profiles", {"path": "/v1/profiles"}),
                                ("content-encoding", {"Content_Encoding": "deflate"}),
                                ("not an ExportProfilesServiceRequest", {"body": body[:-1]})):
            with self.subTest(said=said):
                status, text = self.post(**{"body": body, **arguments})
                self.assertEqual(status, 400)
                self.assertIn(said, text.decode())
                self.assertIn(said, " ".join(self.receiver.got()[-1]["problems"]))

    def test_answers_as_asked_for(self):
        self.receiver.answer_next(503, retry_after=1)
        self.assertEqual(self.post(good().SerializeToString())[0], 503)
        self.assertEqual(self.receiver.got(), [])


if __name__ == "__main__":
    support.main()
