"""Whether a receiver has the profile that is in a file: function by function, stack by stack, mapping by mapping."""

import collections

BUILD_ID = "process.executable.build_id.gnu"


def totals(stacks):
    """Function name -> value of all stacks it is in. `stacks`: (names, value)."""
    found = collections.Counter()
    for names, value in stacks:
        for name in set(names):
            found[name] += value
    return found


def folded(stacks):
    """Stack -> value."""
    found = collections.Counter()
    for names, value in stacks:
        found[";".join(names)] += value
    return found


def check_values(case, got, file, number):
    """`got`: (names, value) of all samples; `number`: which of the file's sample types these are. Returns how many
    functions there are."""
    kept = [(sample.stack, (sample.cpu_time_ns, sample.count)[number]) for sample in file.samples]
    case.assertEqual(sum(value for _, value in got), sum(value for _, value in kept))
    case.assertEqual(totals(got), totals(kept))
    case.assertEqual(folded(got), folded(kept))
    return len(totals(kept))


def check_otlp(case, content, file):
    """`content`: what otlp_checks.resolve() gave."""
    message, strings = file.message, file.strings
    units = [strings[one.unit] for one in message.sample_type]
    by_unit = {profile["sample_type"][1]: profile for profile in content["profiles"]}
    case.assertEqual(set(by_unit), set(units))
    functions = 0
    for number, unit in enumerate(units):
        profile = by_unit[unit]
        functions = check_values(case, [([frame[0] for frame in sample["stack"]], sum(sample["values"]))
                                        for sample in profile["samples"]], file, number)
        case.assertEqual((profile["time"], profile["duration"]), (message.time_nanos, message.duration_nanos))
        case.assertEqual((profile["period"], profile["period_type"][1]), (message.period, "nanoseconds"))
    case.assertEqual({(one["file"], one["attributes"].get(BUILD_ID, "")) for one in content["mappings"]},
                     {(file.mapping_name(one), strings[one.build_id]) for one in message.mapping})
    case.assertEqual({(frame[0], frame[1], frame[2]) for frame in frames(content) if frame[2]},
                     {(strings[function.name], strings[function.filename], line.line)
                      for location in message.location for line in location.line if line.line
                      for function in [file.functions[line.function_id]]})
    return functions


def frames(content):
    for profile in content["profiles"]:
        for sample in profile["samples"]:
            yield from sample["stack"]
