"""What an ExportProfilesServiceRequest must hold, by the words of opentelemetry-proto 1.10 and 1.11, told with the
official classes; and the same with all indices resolved, to be compared with a pprof. For the Python of build/peers/otlp."""

from google.protobuf.unknown_fields import UnknownFieldSet
from opentelemetry.proto.collector.profiles.v1development.profiles_service_pb2 import ExportProfilesServiceRequest

TABLES = ("mapping_table", "location_table", "function_table", "link_table", "string_table", "attribute_table",
          "stack_table")

# An index field: the message it is in, its name, the table it points into. (KeyValue and AnyValue are everywhere.)
REFERENCES = (
    ("ValueType", "type_strindex", "string_table"), ("ValueType", "unit_strindex", "string_table"),
    ("Profile", "attribute_indices", "attribute_table"),
    ("Sample", "stack_index", "stack_table"), ("Sample", "attribute_indices", "attribute_table"),
    ("Sample", "link_index", "link_table"),
    ("Mapping", "filename_strindex", "string_table"), ("Mapping", "attribute_indices", "attribute_table"),
    ("Stack", "location_indices", "location_table"),
    ("Location", "mapping_index", "mapping_table"), ("Location", "attribute_indices", "attribute_table"),
    ("Line", "function_index", "function_table"),
    ("Function", "name_strindex", "string_table"), ("Function", "system_name_strindex", "string_table"),
    ("Function", "filename_strindex", "string_table"),
    ("KeyValueAndUnit", "key_strindex", "string_table"), ("KeyValueAndUnit", "unit_strindex", "string_table"),
    ("KeyValue", "key_strindex", "string_table"), ("AnyValue", "string_value_strindex", "string_table"),
)
FIELDS_OF = {}
for message_name, field_name, table_name in REFERENCES:
    FIELDS_OF.setdefault(message_name, []).append((field_name, table_name))

BUILD_IDS = ("process.executable.build_id.gnu", "process.executable.build_id.go", "process.executable.build_id.htlhash")


def is_repeated(field):
    return field.is_repeated if hasattr(field, "is_repeated") else field.label == field.LABEL_REPEATED


def submessages(message):
    """Itself, and all messages within."""
    yield message
    for field, value in message.ListFields():
        if field.message_type is not None:
            for one in value if is_repeated(field) else [value]:
                yield from submessages(one)


def numbers(message, name):
    value = getattr(message, name)
    return [value] if isinstance(value, int) else list(value)


def parse(body):
    """The request; ValueError when it is none."""
    try:
        return ExportProfilesServiceRequest.FromString(body)
    except Exception as error:
        raise ValueError(f"not an ExportProfilesServiceRequest: {error}") from error


def problems(request):
    """Everything that is wrong, one line each."""
    return [*unknown_fields(request), *zero_entries(request), *references(request), *repetitions(request), *samples(request),
            *profiles(request), *addresses(request), *resources(request)]


def unknown_fields(request):
    for message in submessages(request):
        for field in UnknownFieldSet(message):
            yield f"{message.DESCRIPTOR.name} has a field {field.field_number} that the schema does not know"


def zero_entries(request):
    for name in TABLES:
        table = getattr(request.dictionary, name)
        if len(table) == 0:
            yield f"{name} is empty; its first entry must be the zero value"
        elif name == "string_table":
            if table[0] != "":
                yield f"string_table begins with {table[0]!r}, not the empty string"
        elif table[0].ListFields():
            yield f"{name} begins with {str(table[0])!r}, not the zero value"


def references(request):
    used = {name: {0} for name in TABLES}
    for message in submessages(request):
        for name, table in FIELDS_OF.get(message.DESCRIPTOR.name, ()):
            if name not in message.DESCRIPTOR.fields_by_name:
                continue
            for index in numbers(message, name):
                used[table].add(index)
                if not 0 <= index < len(getattr(request.dictionary, table)):
                    yield f"{message.DESCRIPTOR.name}.{name} is {index}, outside {table}"
    for name in TABLES:
        orphans = set(range(len(getattr(request.dictionary, name)))) - used[name]
        if orphans:
            yield f"{name}: nobody refers to {sorted(orphans)[:8]}"


def repetitions(request):
    for name in TABLES:
        table = getattr(request.dictionary, name)
        seen = [one if isinstance(one, str) else one.SerializeToString(deterministic=True) for one in table]
        if len(set(seen)) != len(seen):
            yield f"{name} has an entry twice"


def all_profiles(request):
    return [profile for resource in request.resource_profiles for scope in resource.scope_profiles
            for profile in scope.profiles]


def samples(request):
    for profile in all_profiles(request):
        identities = set()
        shapes = set()
        for sample in profile.samples:
            values, times = len(sample.values), len(sample.timestamps_unix_nano)
            if not values and not times:
                yield "a Sample has neither values nor timestamps_unix_nano"
            if values and times and values != times:
                yield f"a Sample has {values} values but {times} timestamps_unix_nano"
            shapes.add((values > 0, times > 0))
            identity = (sample.stack_index, frozenset(sample.attribute_indices), sample.link_index)
            if identity in identities:
                yield f"two Samples are the same: stack {sample.stack_index}"
            identities.add(identity)
            end = profile.time_unix_nano + profile.duration_nano
            if any(not profile.time_unix_nano <= time < end for time in sample.timestamps_unix_nano):
                yield "a timestamp is outside its Profile"
        if len(shapes) > 1:
            yield "Samples of one Profile have several shapes"


def profiles(request):
    text = request.dictionary.string_table
    ids = [profile.profile_id for profile in all_profiles(request)]
    if not ids:
        yield "no Profile"
    for one in ids:
        if one and (len(one) != 16 or not any(one)):
            yield f"profile_id is {one.hex()}: not 16 bytes, or all zero"
    given = [one for one in ids if one]
    if len(set(given)) != len(given):
        yield "two Profiles have the same profile_id"
    for profile in all_profiles(request):
        if not profile.time_unix_nano:
            yield "a Profile without a time"
        if bool(profile.original_payload) != bool(profile.original_payload_format):
            yield "original_payload and original_payload_format go together"
        for number in (profile.sample_type.type_strindex, profile.sample_type.unit_strindex):
            if number < len(text) and not text[number]:
                yield "a Profile does not say what its values are"


def addresses(request):
    mappings = request.dictionary.mapping_table
    for location in request.dictionary.location_table:
        if 0 < location.mapping_index < len(mappings):
            mapping = mappings[location.mapping_index]
            if not mapping.memory_start <= location.address < mapping.memory_limit:
                yield f"address {location.address:#x} is outside its Mapping"


def key_of(attribute, text):
    """Of a KeyValue: written out, or in the dictionary."""
    return attribute.key or (text[attribute.key_strindex] if attribute.key_strindex < len(text) else "")


def resources(request):
    for one in request.resource_profiles:
        keys = [key_of(attribute, request.dictionary.string_table) for attribute in one.resource.attributes]
        if any(attribute.key and attribute.key_strindex for attribute in one.resource.attributes):
            yield f"a resource attribute has key and key_strindex: {keys}"
        if len(set(keys)) != len(keys):
            yield f"a resource attribute twice: {keys}"
        if "service.name" not in keys:
            yield f"no service.name in {keys}"


# ---- with everything looked up ----


def plain(value, text):
    """An AnyValue as Python has it."""
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    if kind == "string_value_strindex":
        return text[value.string_value_strindex]
    if kind == "array_value":
        return [plain(one, text) for one in value.array_value.values]
    if kind == "bytes_value":
        return value.bytes_value.hex()
    return getattr(value, kind)


def resolve(request):
    """{resource, scope, profiles: [{type, unit, period, time, duration, attributes, samples: [{stack, values, times,
    attributes}]}], mappings}; a stack is root first, a frame [function, file, line, mapping's file, address]."""
    dictionary = request.dictionary
    text = dictionary.string_table

    def attributes(indices):
        entries = [dictionary.attribute_table[index] for index in indices]
        return {text[entry.key_strindex]: plain(entry.value, text) for entry in entries}

    def frames(location):
        mapping = text[dictionary.mapping_table[location.mapping_index].filename_strindex]
        if not location.lines:
            return [["", "", 0, mapping, location.address]]
        functions = [(dictionary.function_table[line.function_index], line.line) for line in location.lines]
        return [[text[f.name_strindex], text[f.filename_strindex], line, mapping, location.address] for f, line in functions]

    def stack(sample):
        leaf_first = [frame for index in dictionary.stack_table[sample.stack_index].location_indices
                      for frame in frames(dictionary.location_table[index])]
        return leaf_first[::-1]

    def value_type(one):
        return [text[one.type_strindex], text[one.unit_strindex]]

    found = []
    for resource in request.resource_profiles:
        for scope in resource.scope_profiles:
            for profile in scope.profiles:
                found.append({
                    "sample_type": value_type(profile.sample_type), "period_type": value_type(profile.period_type),
                    "period": profile.period, "time": profile.time_unix_nano, "duration": profile.duration_nano,
                    "profile_id": profile.profile_id.hex(), "attributes": attributes(profile.attribute_indices),
                    "samples": [{"stack": stack(sample), "values": list(sample.values),
                                 "times": list(sample.timestamps_unix_nano),
                                 "attributes": attributes(sample.attribute_indices)} for sample in profile.samples]})
    first = request.resource_profiles[0]
    return {
        "resource": {key_of(one, text): plain(one.value, text) for one in first.resource.attributes},
        "scope": {"name": first.scope_profiles[0].scope.name, "version": first.scope_profiles[0].scope.version},
        "profiles": found,
        "mappings": [{"file": text[one.filename_strindex], "start": one.memory_start, "limit": one.memory_limit,
                      "offset": one.file_offset, "attributes": attributes(one.attribute_indices)}
                     for one in dictionary.mapping_table[1:]],
    }
