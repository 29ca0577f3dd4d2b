"""Functions of programs whose symbols were put elsewhere, as packages do: every name is right, or there is none."""

import os
import re
import shutil
import subprocess
import unittest

import support

SOURCE = """
#include <ctime>
#include <string>
static std::string text(4096, 'x');
namespace shop {
__attribute__((noinline)) static unsigned NAME(unsigned seed) {
	for (char c : text) seed = seed * 33 + static_cast<unsigned char>(c);
	return seed;
}
}
int main(int, char **arguments) {
	std::clock_t end = std::clock() + std::stol(arguments[1]) * (CLOCKS_PER_SEC / 1000); // of CPU time
	unsigned sum = 0;
	while (std::clock() < end) for (int i = 0; i < 100; i++) sum = shop::NAME(sum);
	return sum == 7;
}
"""
GO_SOURCE = """package main
//go:noinline
func spin(n int) (s int) { for i := 0; i < n; i++ { s ^= i * s }; return }
func main() { for i := 0; i < 20; i++ { spin(100000000) } }
"""
NAMED = r"^shop::price\(unsigned int\)$"


def setUpModule():
    support.require_profiling()


def shell(folder, script):
    return subprocess.run(["/bin/bash", "-e", "-c", script], cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


def build(folder, name, function="price", strip=True):
    """The program and, stripped off it, name.debug. Returns the program's path and its build id."""
    compiler = support.require_program("g++")
    subprocess.run([compiler, "-O1", "-g", f"-DNAME={function}", "-Wl,--build-id=sha1", "-x", "c++", "-", "-o", name],
                   cwd=folder, input=SOURCE, text=True, check=True)
    build_id = shell(folder, f"readelf -n {name} | sed -n 's/.*Build ID: //p'")
    if strip:
        shell(folder, f"objcopy --only-keep-debug {name} {name}.debug; strip {name}")
    return os.path.join(folder, name), build_id


def put_by_build_id(file, folder, build_id):
    below = os.path.join(folder, ".build-id", build_id[:2])
    os.makedirs(below)
    shutil.copy(file, os.path.join(below, build_id[2:] + ".debug"))


class Names(unittest.TestCase):
    def setUp(self):
        self.folder = support.temporary_folder(self, mode=0o755)

    def share(self, command, **named):
        profile = support.run(self, command, **named).profile()
        self.profile = profile
        return support.share_of(profile.samples, support.has_function(NAMED))

    def expect_named(self, command, **named):
        self.assertGreaterEqual(self.share(command, **named), 90, support.folded(self.profile)[:5])

    def expect_unnamed(self, command, program, **named):
        self.assertEqual(self.share(command, **named), 0)
        nameless = lambda s: any(re.fullmatch(re.escape(program) + r"\+0x[0-9a-f]+", name) for name in s.stack)
        self.assertGreaterEqual(support.share_of(self.profile.samples, nameless), 90, support.folded(self.profile)[:5])

    def test_stripped(self):
        program, _ = build(self.folder, "svc")
        self.expect_unnamed([program, "500"], "svc")

    def test_link(self):
        """.gnu_debuglink: beside the program, and in .debug below."""
        program, _ = build(self.folder, "svc")
        shell(self.folder, "objcopy --add-gnu-debuglink=svc.debug svc")
        self.expect_named([program, "500"])
        files = {frame.filename for sample in self.profile.samples for frame in sample.frames if re.match(NAMED, frame.name)}
        self.assertEqual({os.path.basename(file) for file in files}, {"<stdin>"})  # lines come from there, too
        shell(self.folder, "mkdir .debug; mv svc.debug .debug")
        self.expect_named([program, "500"])

    def test_link_to_another_build(self):
        program, _ = build(self.folder, "svc")
        shell(self.folder, "objcopy --add-gnu-debuglink=svc.debug svc")
        build(self.folder, "other", function="wrong")
        shell(self.folder, "mv other.debug svc.debug")
        self.expect_unnamed([program, "500"], "svc")
        self.assertEqual(support.share_of(self.profile.samples, support.has_function("wrong")), 0)

    def test_build_id(self):
        """In a mount namespace, launcher and all, where /usr/lib/debug is ours."""
        support.require_root()
        program, build_id = build(self.folder, "svc")
        put_by_build_id(program + ".debug", os.path.join(self.folder, "debug"), build_id)
        mount = f'mount --make-rprivate /; mount --bind {self.folder}/debug /usr/lib/debug; exec "$@"'
        os.makedirs("/usr/lib/debug", exist_ok=True)
        prefix = [support.require_program("unshare"), "-m", "/bin/sh", "-ec", mount, "sh"]
        self.expect_named([program, "500"], prefix=prefix)

    def test_dwz(self):
        """What debug files share is in a file of its own, names of inlined functions among it. Without that file, functions
        have the names of their symbols."""
        support.require_root()
        dwz = support.require_program("dwz")
        shutil.copy(os.path.join(support.TARGETS, "inlined_dwarf5"), os.path.join(self.folder, "svc"))
        build_id = shell(self.folder, "readelf -n svc | sed -n 's/.*Build ID: //p'")
        shell(self.folder, "mkdir -p debug/.dwz; objcopy --only-keep-debug svc svc.debug; cp svc.debug other.debug; strip svc;"
                           f"{dwz} -m debug/.dwz/shared.debug -M /usr/lib/debug/.dwz/shared.debug svc.debug other.debug")
        put_by_build_id(self.folder + "/svc.debug", os.path.join(self.folder, "debug"), build_id)
        mount = f'mount --make-rprivate /; mount --bind {self.folder}/debug /usr/lib/debug; exec "$@"'
        os.makedirs("/usr/lib/debug", exist_ok=True)
        prefix = [support.require_program("unshare"), "-m", "/bin/sh", "-ec", mount, "sh"]
        for there in (True, False):
            profile = support.run(self, [self.folder + "/svc", "0.5"], prefix=prefix).profile()
            for name, share in (("^shop::checkout", 90), ("^shop::Basket::count", 90 * there)):
                found = support.share_of(profile.samples, support.has_function(name))
                self.assertGreaterEqual(found, share, support.folded(profile)[:5])
            shell(self.folder, "rm debug/.dwz/shared.debug" * there)

    def test_debug_folder_of_a_container(self):
        """Only the target sees it: launched outside, it has a mount namespace of its own, which is gone when the only
        profile is made."""
        program, build_id = build(self.folder, "svc")
        put_by_build_id(program + ".debug", os.path.join(self.folder, "debug"), build_id)
        mount = f'mount --bind {self.folder}/debug /usr/lib/debug; exec "$@"'
        container = [support.require_program("unshare"), "-Urm", "/bin/sh", "-ec", mount, "sh"]
        if subprocess.run([*support.user_prefix(), *container, "/bin/true"], capture_output=True, check=False).returncode:
            support.skip("no user namespaces, or no /usr/lib/debug")
        self.expect_named([*container, program, "3000"], prefix=support.user_prefix())

    def test_mini_debug_info(self):
        program, _ = build(self.folder, "svc", strip=False)
        support.require_program("xz")
        shell(self.folder, "objcopy --only-keep-debug svc debug; strip -g debug -o mini; xz mini; strip svc;"
                           "objcopy --add-section .gnu_debugdata=mini.xz svc")
        self.expect_named([program, "500"])

    def test_stripped_go(self):
        go = support.require_program("go")
        with open(os.path.join(self.folder, "main.go"), "w", encoding="utf-8") as file:
            file.write(GO_SOURCE)
        subprocess.run([go, "build", "-ldflags=-s -w", "-o", "spin", "main.go"], cwd=self.folder, check=True,
                       env={**os.environ, "CGO_ENABLED": "0", "GO111MODULE": "off", "GOFLAGS": ""})
        profile = support.run(self, [os.path.join(self.folder, "spin")]).profile()
        way = lambda s: s.stack[-1] == "main.spin" and "runtime.main" in s.stack
        self.assertGreaterEqual(support.share_of(profile.samples, way), 90, support.folded(profile)[:5])
        functions = profile.functions
        places = {(profile.strings[functions[line.function_id].name], profile.strings[functions[line.function_id].filename], line.line)
                  for location in profile.message.location for line in location.line}
        self.assertIn(("main.spin", os.path.join(self.folder, "main.go"), 3), places)

    def test_disabled(self):
        """Addresses, paths and build ids are left; who would name them is not even started."""
        program, build_id = build(self.folder, "svc", strip=False)
        session = support.Session(self, [program, "2500"], ["--disable_symbolization", "yes"])
        roles = support.wait_until(lambda: (lambda found: "exporter" in found and found)(
            support.worker_processes(session.supervisor())), what="the exporter")
        self.assertEqual(set(roles), {"supervisor", "unwinder", "exporter"})
        profile = session.finish().profile()
        named = {frame.name for sample in profile.samples for frame in sample.frames if frame.name}
        self.assertEqual(named, {"svc"})  # the pseudo-frame at the root
        inside = [sample for sample in profile.samples if profile.mapping_name(sample.frames[-1].mapping) == program]
        self.assertGreaterEqual(support.total_ns(inside), 0.9 * support.total_ns(profile.samples))
        self.assertEqual({profile.strings[sample.frames[-1].mapping.build_id] for sample in inside}, {build_id})
        self.assertTrue(all(sample.frames[-1].address for sample in inside))
        self.assertFalse(any(mapping.has_functions for mapping in profile.mappings.values()))

    def test_deleted_and_replaced(self):
        """What ran is named, not what is at its path when the profile is made."""
        for what in ("rm svc", "mv other svc", "cp other new; mv new svc"):
            program, _ = build(self.folder, "svc", strip=False)
            build(self.folder, "other", function="wrong", strip=False)
            session = support.Session(self, [program, "2500"])
            support.wait_until_open(session.supervisor(), program)
            shell(self.folder, what)
            profile = session.finish().profile()
            self.assertGreaterEqual(support.share_of(profile.samples, support.has_function(NAMED)), 90, what)
            self.assertEqual(support.share_of(profile.samples, support.has_function("wrong")), 0, what)

    def test_never_at_a_path(self):
        """Executed out of memory, or deleted before: what the process executes is there all the same."""
        program, _ = build(support.temporary_folder(self), "svc", strip=False)
        in_memory = ('memory = os.memfd_create("svc"); os.sendfile(memory, os.open(path, os.O_RDONLY), 0, 1 << 30); '
                     'fd = os.open(f"/proc/self/fd/{memory}", os.O_RDONLY); os.close(memory)')
        for how in (in_memory, "fd = os.open(path, os.O_RDONLY); os.unlink(path)"):
            script = f'import os, sys; path = sys.argv[1]; {how}; os.execve(fd, ["svc", "1000"], os.environ)'
            session = support.run(self, ["/usr/bin/python3", "-c", script, program], prefix=support.user_prefix())
            self.assertEqual(session.status, 0, session.stderr)
            profile = session.profile()
            self.assertGreaterEqual(support.share_of(profile.samples, support.has_function(NAMED)), 80, support.folded(profile)[-5:])
            self.assertGreaterEqual(support.share_of(profile.samples, support.is_rooted), 95)

    def build_library(self, name, function, *options):
        """A library that burns, and `main`, which calls libspin.so for four seconds."""
        source = f'int x; unsigned {function}(unsigned n) {{ while (--n) __asm__ volatile(""); return n; }}'
        compiler = support.require_program("cc")
        subprocess.run([compiler, "-O1", "-shared", "-fPIC", *options, "-x", "c", "-", "-o", name], cwd=self.folder,
                       input=source, text=True, check=True)
        main = ("#include <time.h>\nunsigned spin(unsigned); int main() { struct timespec a, b; clock_gettime(CLOCK_MONOTONIC, &a);"
                "do { spin(10000000); clock_gettime(CLOCK_MONOTONIC, &b); } while (b.tv_sec - a.tv_sec < 4); }")
        if name == "libspin.so":
            subprocess.run([compiler, "-x", "c", "-", "-x", "none", name, "-Wl,-rpath," + self.folder, "-o", "main"],
                           cwd=self.folder, input=main, text=True, check=True)

    def check_changed(self, change):
        """What is changed under the running program is told by address, and counted."""
        session = support.Session(self, [os.path.join(self.folder, "main")])
        support.wait_until_open(support.wait_for_roles(session.supervisor())["supervisor"], os.path.join(self.folder, "libspin.so"))
        change()
        profile = session.finish().profile()
        self.assertEqual(support.share_of(profile.samples, support.has_function("^(spin|wrong)$")), 0)
        self.assertGreaterEqual(support.share_of(profile.samples, support.has_function(r"^libspin\.so\+0x")), 90)
        self.assertEqual(profile.ledger("modules_changed"), 1)

    def overwrite(self, offset, data):
        """In place, as the kernel lets one do with a library in use: the same inode."""
        with open(os.path.join(self.folder, "libspin.so"), "r+b") as file:
            file.seek(offset)
            file.write(data)

    def read_library(self):
        with open(os.path.join(self.folder, "libspin.so"), "rb") as file:
            return file.read()

    def test_overwritten_in_place(self):
        """Only the note of the build id is changed: the code that runs stays what it is."""
        self.build_library("other.so", "wrong", "-Wl,--build-id=sha1")
        self.build_library("libspin.so", "spin", "-Wl,--build-id=sha1")
        ids = [bytes.fromhex(shell(self.folder, f"readelf -n {name} | sed -n 's/.*Build ID: //p'")) for name in ("libspin.so", "other.so")]
        self.check_changed(lambda: self.overwrite(self.read_library().index(ids[0]), ids[1]))

    def test_overwritten_in_place_without_build_id(self):
        """The function gets another name: its length, and the file's, stay what they are."""
        self.build_library("libspin.so", "spin", "-Wl,--build-id=none")
        self.check_changed(lambda: self.overwrite(self.read_library().rindex(b"spin\0"), b"pins\0"))

    def test_replaced_without_build_id(self):
        """By another file under that name: what ran is still open. Then again: the same path, two files."""
        self.build_library("other.so", "wrong", "-Wl,--build-id=none")
        self.build_library("libspin.so", "spin", "-Wl,--build-id=none")
        session = support.Session(self, [os.path.join(self.folder, "main")])
        support.wait_until_open(support.wait_for_roles(session.supervisor())["supervisor"], os.path.join(self.folder, "libspin.so"))
        shell(self.folder, "mv other.so libspin.so")
        profile = session.finish().profile()
        self.assertGreaterEqual(support.share_of(profile.samples, support.has_function("^spin$")), 90)
        self.assertNotIn("ddprof.modules_changed", profile.comments)
        self.assertFalse([key for key in profile.comments if key.startswith("ddprof.file.")])  # were for the symbolizer only
        self.build_library("libspin.so", "spin", "-Wl,--build-id=none")
        self.build_library("other.so", "spin", "-Wl,--build-id=none", "-O3")
        profile = support.run(self, ["/bin/sh", "-c", f"{self.folder}/main; mv {self.folder}/other.so {self.folder}/libspin.so; {self.folder}/main"]).profile()
        self.assertEqual(support.share_of(profile.samples, support.has_function("^spin$")), 0)
        self.assertGreaterEqual(support.share_of(profile.samples, support.has_function(r"^libspin\.so\+0x")), 90)
        self.assertEqual(profile.ledger("modules_changed"), 1)

    def test_without_build_id(self):
        """A static program, and one of Go, whose own id no kernel and no debugger compares."""
        program = os.path.join(self.folder, "svc")
        subprocess.run([support.require_program("g++"), "-O1", "-static", "-DNAME=price", "-Wl,--build-id=none", "-x", "c++", "-", "-o", program],
                       input=SOURCE, text=True, check=True)
        self.expect_named([program, "700"])
        go = support.require_program("go")
        with open(os.path.join(self.folder, "main.go"), "w", encoding="utf-8") as file:
            file.write(GO_SOURCE)
        subprocess.run([go, "build", "-o", "spin", "main.go"], cwd=self.folder, check=True,
                       env={**os.environ, "CGO_ENABLED": "0", "GO111MODULE": "off", "GOFLAGS": ""})
        shell(self.folder, "objcopy -R .note.gnu.build-id spin")  # which Go 1.24 and later write
        self.assertEqual(shell(self.folder, "readelf -n spin | sed -n 's/.*Build ID: //p'"), "")
        profile = support.run(self, [os.path.join(self.folder, "spin")]).profile()
        self.assertGreaterEqual(support.share_of(profile.samples, support.has_function("^main.spin$")), 90, support.folded(profile)[:5])

    def test_static_functions_of_libc(self):
        """Debian's own package of libc's debug files."""
        libc = next(line.split()[-1] for line in support.read_text("/proc/self/maps").splitlines() if line.endswith("/libc.so.6"))
        build_id = shell("/", f"readelf -n {libc} | sed -n 's/.*Build ID: //p'")
        if not os.path.exists(f"/usr/lib/debug/.build-id/{build_id[:2]}/{build_id[2:]}.debug"):
            support.skip("libc6-dbg is not installed")
        source = ('#include <stdlib.h>\n#include <string.h>\nint main() { for (int i = 0; i < 6000000; i++) { char *p[8]; '
                  'for (int j = 0; j < 8; j++) { p[j] = malloc(2000 + 64 * j); __asm__ volatile("" : : "r"(p[j]) : "memory"); } '
                  'for (int j = 0; j < 8; j++) free(p[j]); } }')
        subprocess.run([support.require_program("cc"), "-O1", "-x", "c", "-", "-o", "heap"], cwd=self.folder, input=source,
                       text=True, check=True)
        profile = support.run(self, [os.path.join(self.folder, "heap")]).profile()
        names = {name for sample in profile.samples for name in sample.stack}
        self.assertLessEqual({"_int_malloc", "_int_free"}, names)
        self.assertGreaterEqual(support.share_of(profile.samples, support.has_function("^_int_(malloc|free)$")), 30)
        nameless = {frame.name for sample in profile.samples for frame in sample.frames if "libc.so.6+0x" in frame.name}
        self.assertEqual(nameless, set())


if __name__ == "__main__":
    support.main()
