"""The profile files: names, periods, content, and that programs we did not write can read them."""

import os
import re
import struct
import subprocess
import time
import unittest

import support
from support import target

NAME = re.compile(r"^(?P<service>.+)-(?P<pid>\d+)-(?P<time>\d{8}T\d{6}Z)-(?P<sequence>\d+)\.pprof$")
ALLOWED_LABELS = {"container_id", "process_id", "thread id", "process_name", "thread_name"}


IN_MOVED_TO, IN_CREATE = 0x80, 0x100


def inotify_events(data):
    """(mask, name) of each struct inotify_event."""
    while data:
        _, mask, _, length = struct.unpack_from("iIII", data)
        yield mask, data[16:16 + length].rstrip(b"\0").decode()
        data = data[16 + length:]


def setUpModule():
    support.require_profiling()


class Files(unittest.TestCase):
    def test_name_and_packing(self):
        before = time.time()
        session = support.run(self, [target("short_lived")], ["--service", "my service"])
        name = NAME.match(os.path.basename(session.profile_paths()[0]))
        self.assertEqual((name["service"], int(name["pid"]), name["sequence"]), ("my service", session.pid, "0"))
        stamp = time.mktime(time.strptime(name["time"], "%Y%m%dT%H%M%SZ")) - time.timezone
        self.assertTrue(before - 1 <= stamp <= time.time() + 1)
        profile = session.profile()
        self.assertEqual(profile.packed[:3], b"\x1f\x8b\x08")
        mode = os.stat(profile.path).st_mode & 0o777
        self.assertEqual(mode, 0o600)
        self.assertEqual(os.listdir(session.output), [name[0]])

    def test_service_cannot_leave_the_folder(self):
        folder = support.temporary_folder(self)
        output = os.path.join(folder, "out")
        for service in ("../../evil", "/evil", ".hidden", "..", "a/b"):
            session = support.run(self, ["/bin/true"], ["--service", service], output=output)
            self.assertEqual(session.status, 0, session.stderr)
        self.assertEqual(os.listdir(folder), ["out"])
        names = os.listdir(output)
        self.assertEqual(len(names), 5, names)
        self.assertFalse([n for n in names if n.startswith(".") or not NAME.match(n)])

    def test_one_file_per_period(self):
        """3.5 s at one file a second. A profile's name only ever appears by renaming a whole file."""
        output = support.temporary_folder(self)
        watch = support.libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        self.addCleanup(os.close, watch)
        self.assertGreaterEqual(support.libc.inotify_add_watch(watch, output.encode(), IN_CREATE | IN_MOVED_TO), 0)
        session = support.run(self, [target("split"), "3.5"], ["-u", "1"], output=output)
        created, moved = set(), set()
        for mask, name in inotify_events(os.read(watch, 65536)):
            (created if mask & IN_CREATE else moved).add(name)
        self.assertEqual(moved, set(os.listdir(output)))
        self.assertFalse([name for name in created if not name.startswith(".") or name.endswith(".pprof")], created)
        profiles = session.profiles()
        whole_duration = sum(profile.message.duration_nanos for profile in profiles) / 1e9
        self.assertLessEqual(abs(len(profiles) - (int(whole_duration) + 1)), 1)
        self.assertGreaterEqual(len(profiles), 4)
        self.assertEqual([int(NAME.match(os.path.basename(p.path))["sequence"]) for p in profiles], list(range(len(profiles))))
        end = profiles[0].message.time_nanos
        for profile in profiles:
            self.assertEqual(profile.message.time_nanos, end)
            end += profile.message.duration_nanos
        for number, profile in enumerate(profiles[:-1], 1):  # one may be late, and the next is that much shorter
            end = profile.message.time_nanos + profile.message.duration_nanos
            self.assertLess(abs(end - profiles[0].message.time_nanos - number * 1e9), 0.8e9)
            self.assertLess(abs(support.total_ns(profile.samples) - profile.ledger("kernel_count_ns")), 0.15e9)
        whole = sum(support.total_ns(profile.samples) for profile in profiles)
        self.assertLess(abs(whole - 3.5e9), 0.35e9)

    def test_existing_file_is_not_overwritten(self):
        """Two launches into one folder at the same moment: two files."""
        output = support.temporary_folder(self)
        sessions = [support.Session(self, [target("short_lived")], output=output) for _ in range(4)]
        for session in sessions:
            session.process.communicate(timeout=30)
        support.wait_for_adopted()
        names = os.listdir(output)
        self.assertEqual({int(NAME.match(name)["pid"]) for name in names}, {session.pid for session in sessions})

    def test_folder_is_created(self):
        output = os.path.join(support.temporary_folder(self), "new")
        session = support.run(self, [target("short_lived")], output=output)
        self.assertEqual(len(session.profile_paths()), 1)

    def test_folder_from_the_environment(self):
        output = support.temporary_folder(self)
        subprocess.run([support.LAUNCH, "/bin/true"], env={**os.environ, "DDPROF_OUTPUT": output}, check=True)
        support.wait_for_adopted()
        self.assertEqual(len(os.listdir(output)), 1)


class Content(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.case = cls("test_sample_types")
        cls.started = time.time()
        cls.session = support.run(cls.case, [target("demo_workload"), "1.5"], ["--service", "demo"])
        cls.profile = cls.session.profile()

    @classmethod
    def tearDownClass(cls):
        cls.case.doCleanups()

    def test_sample_types(self):
        message, strings = self.profile.message, self.profile.strings
        self.assertEqual([(strings[t.type], strings[t.unit]) for t in message.sample_type],
                         [("cpu-time", "nanoseconds"), ("cpu-samples", "count")])
        self.assertEqual((strings[message.period_type.type], strings[message.period_type.unit]), ("cpu-time", "nanoseconds"))
        self.assertEqual(message.period, 10101010)
        self.assertEqual(strings[0], "")
        for sample in self.profile.samples:
            self.assertEqual(sample.cpu_time_ns, sample.count * message.period)
        self.assertLess(abs(message.duration_nanos - 1.5e9), 0.5e9)
        self.assertLess(abs(message.time_nanos / 1e9 - self.started), 60)

    def test_labels(self):
        for sample in self.profile.samples:
            self.assertLessEqual(set(sample.labels), ALLOWED_LABELS)
            self.assertEqual(sample.pid, self.session.pid)
            self.assertTrue(sample.labels["thread id"].isdigit())
            self.assertEqual(sample.labels["process_name"], "demo_workload")
            self.assertTrue(sample.labels["container_id"])

    def test_references(self):
        """Ids are unique, never 0, and nothing is stored that nobody refers to."""
        message = self.profile.message
        for table, known in ((message.mapping, self.profile.mappings), (message.function, self.profile.functions),
                             (message.location, self.profile.locations)):
            self.assertEqual(len(table), len(known))
            self.assertNotIn(0, known)
        self.assertEqual({n for s in message.sample for n in s.location_id}, set(self.profile.locations))
        self.assertEqual({line.function_id for l in message.location for line in l.line}, set(self.profile.functions))
        self.assertEqual({l.mapping_id for l in message.location} - {0}, set(self.profile.mappings))

    def test_addresses_lie_in_their_mappings(self):
        for location in self.profile.message.location:
            mapping = self.profile.mappings.get(location.mapping_id)
            if mapping:
                self.assertLessEqual(mapping.memory_start, location.address)
                self.assertLess(location.address, mapping.memory_limit)
        ranges = sorted((self.profile.mapping_name(m), m.memory_start, m.memory_limit) for m in self.profile.message.mapping)
        for one, next_one in zip(ranges, ranges[1:]):
            self.assertFalse(one[0] == next_one[0] and next_one[1] < one[2], (one, next_one))

    def file_of(self, name):
        """Path of a file the program had mapped."""
        listed = subprocess.run(["ldd", target("demo_workload")], capture_output=True, text=True, check=True).stdout
        paths = [target("demo_workload"), *re.findall(r"(/\S+)", listed)]
        return next(path for path in map(os.path.realpath, paths) if os.path.basename(path) == name)

    def test_mappings(self):
        readelf = support.require_program("readelf")
        names = set()
        for mapping in self.profile.message.mapping:
            name = self.profile.mapping_name(mapping)
            names.add(name)
            self.assertNotIn("/", name)
            path = self.file_of(name)
            notes = subprocess.run([readelf, "-n", path], capture_output=True, text=True, check=False).stdout
            self.assertEqual(self.profile.strings[mapping.build_id], re.search(r"Build ID: ([0-9a-f]+)", notes)[1])
            headers = subprocess.run([readelf, "-lW", path], capture_output=True, text=True, check=True).stdout
            segments = [[int(field, 16) for field in line.split()[1:6]] for line in headers.splitlines()
                        if line.split()[:1] == ["LOAD"] and " E " in line]
            self.assertTrue(any(address <= mapping.memory_start + 4095 and mapping.memory_start <= address
                                and offset & ~4095 == mapping.file_offset
                                for offset, address, _, _, size in segments), (name, segments))
        self.assertIn("demo_workload", names)
        self.assertIn("libc.so.6", names)

    def test_executable_is_the_root(self):
        for sample in self.profile.samples:
            root = sample.frames[0]
            self.assertEqual((root.name, root.mapping), ("demo_workload", None))
            self.assertEqual(os.path.realpath(root.filename), os.path.realpath(target("demo_workload")))
            self.assertEqual(sum(1 for frame in sample.frames if frame.mapping is None), 1, sample.stack)

    def test_symbols_agree_with_nm(self):
        """Every named frame of the program lies in the function nm(1) gives for its address."""
        nm = subprocess.run([support.require_program("nm"), "-CS", "--defined-only", target("demo_workload")],
                            capture_output=True, text=True, check=True).stdout
        symbols = [(int(a, 16), int(s, 16), n) for a, s, n in re.findall(r"^([0-9a-f]+) ([0-9a-f]+) [tTwWiuV] (.+)$", nm, re.M)]
        checked = 0
        for sample in self.profile.samples:
            for frame in sample.frames:
                if self.profile.mapping_name(frame.mapping) != "demo_workload":
                    continue
                names = {name for address, size, name in symbols if address <= frame.address < address + size}
                # very long names are cut, with an ellipsis
                self.assertTrue(not names or any(n == frame.name or frame.name[-1:] == "…" and n.startswith(frame.name[:-1])
                                                 for n in names), (frame.name, hex(frame.address), names))
                checked += bool(names)
        self.assertGreater(checked, 100)

    def test_comments(self):
        for key in ("samples", "lost", "stacks.root", "cpu_time_ns", "kernel_count_ns"):
            self.assertGreaterEqual(self.profile.ledger(key), 0)

    def test_whom_it_is_about(self):
        session = support.run(self, [target("short_lived")], ["-S", "shop", "-V", "1.2", "--tags", "team:a,zone:b"],
                              env={**os.environ, "DD_ENV": "prod"})
        self.assertEqual(session.profile().comments["ddprof.tags"], "service:shop,env:prod,version:1.2,team:a,zone:b")
        self.assertEqual(self.profile.comments["ddprof.tags"], "service:demo")

    def test_protoc(self):
        text = subprocess.run(
            [support.require_program("protoc"), "-I", os.path.dirname(os.path.abspath(support.SCHEMA)),
             "--decode=perftools.profiles.Profile", os.path.basename(support.SCHEMA)],
            input=self.profile.bytes, capture_output=True, check=True).stdout.decode()
        self.assertEqual(len(re.findall("^sample {", text, re.M)), len(self.profile.message.sample))
        self.assertNotRegex(text, r"(?m)^\s*\d+:")  # a field the schema does not know

    def test_go(self):
        go = support.require_program("go")
        result = subprocess.run([go, "tool", "pprof", "-top", "-nodecount=500", self.profile.path], capture_output=True, text=True,
                                env={**os.environ, "HOME": support.temporary_folder(self), "GOFLAGS": "-mod=mod"}, check=False)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("Type: cpu-time", result.stdout)
        total = re.search(r"of (\d+(?:\.\d+)?)(ms|s) total", result.stdout)
        seconds = float(total[1]) / (1000 if total[2] == "ms" else 1)
        self.assertLess(abs(seconds - self.profile.whole_ns() / 1e9), 0.02)
        self.assertIn("demo::rays::trace_ray", result.stdout)


if __name__ == "__main__":
    support.main()
