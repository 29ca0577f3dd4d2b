#!/usr/bin/python3
"""Names of hosts, looked up from within the exporter's sandbox: name servers that answer, fail, are silent or change,
and files that change. On a host of its own: a network with nothing but loopback, and an /etc that can be written."""

import fcntl
import os
import random
import re
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time
import unittest

import servers
from name_server import REFUSED, SERVER_FAILURE, NameServer
from servers import Authority, Client, Server, answer, server_context

HOSTS = "127.0.0.1 localhost\n::1 localhost\n"


def enter_own_host():
    """Begins again with namespaces of its own."""
    if os.environ.get("DDPROF_OWN_HOST") != "1":
        program = shutil.which("unshare")
        if not program:
            servers.unavailable("unshare is not installed")
        ways = ["-nm"] if os.getuid() == 0 else ["-Urnm"]
        if subprocess.run([program, *ways, "true"], stderr=subprocess.DEVNULL).returncode != 0:
            servers.unavailable("no namespaces here")
        os.environ["DDPROF_OWN_HOST"] = "1"
        os.execv(program, [program, *ways, sys.executable, *sys.argv])
    folder = tempfile.mkdtemp(prefix="ddprof-etc-")
    script = (f"mount --make-rprivate / && mount -t tmpfs none {folder} && (cp -a /etc/. {folder} 2>/dev/null; "
              f"rm -f {folder}/resolv.conf {folder}/hosts; mount --bind {folder} /etc && umount {folder})")
    subprocess.run(["/bin/sh", "-c", script], check=True)
    os.rmdir(folder)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        flags, up = 0x8914, 1  # SIOCSIFFLAGS, IFF_UP
        fcntl.ioctl(any_socket, flags, struct.pack("16sH14x", b"lo", up))


def read(path):
    with open(path) as file:
        return file.read()


def write(path, text):
    """In place."""
    with open(path, "w") as file:
        file.write(text)


def replace(path, text):
    """As a file of its own that takes the name."""
    write(path + ".new", text)
    os.rename(path + ".new", path)


class Case(unittest.TestCase):
    def setUp(self):
        for name, text in (("resolv.conf", "nameserver 127.0.0.1\n"), ("hosts", HOSTS), ("nsswitch.conf", "hosts: files dns\n")):
            if os.path.islink("/etc/" + name):
                os.unlink("/etc/" + name)
            write("/etc/" + name, text)

    def keep(self, thing):
        self.addCleanup(thing.close)
        return thing

    def server(self, address="127.0.0.1", port=0, text=b"here", **named):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        return self.keep(Server(lambda *_: answer("200 OK", text), family=family, address=(address, port), **named))


class Names(Case):
    def one(self, name, port, **named):
        url = f"http://{name}:{port}/"
        with Client(url) as client:
            return client.post(url, **named)

    def test_one_address(self):
        for address in ("127.0.0.1", "127.1.2.3", "::1"):
            names = self.keep(NameServer({"svc.test": [address]}))
            self.assertEqual(self.one("svc.test", self.server(address).port).words, "here")
            names.close()

    def test_several_addresses_of_which_one_answers(self):
        self.keep(NameServer({"svc.test": ["127.0.0.9", "::1", "127.0.0.8"]}))
        port = self.server("127.0.0.8").port
        self.assertEqual(self.one("svc.test", port).words, "here")

    def test_more_addresses_than_anybody_needs(self):
        """Which also means by TCP; and glibc sorts them."""
        many = [f"127.0.{i // 250}.{i % 250 + 1}" for i in range(1000)]
        names = self.keep(NameServer({"svc.test": many + [f"fd00::{i:x}" for i in range(1, 500)]}))
        for i in range(1, 21):
            self.server(f"127.0.0.{i}", port=18126)
        self.assertEqual(self.one("svc.test", 18126, timeout_ms=10000).words, "here")
        self.assertGreater(names.asked_by_tcp, 0)

    def test_name_server_by_ipv6(self):
        write("/etc/resolv.conf", "nameserver ::1\n")
        self.keep(NameServer({"svc.test": ["127.0.0.1"]}, address="::1"))
        self.assertEqual(self.one("svc.test", self.server().port).words, "here")

    def test_search_domains(self):
        write("/etc/resolv.conf", "search one.test two.test\nnameserver 127.0.0.1\n")
        self.keep(NameServer({"svc.two.test": ["127.0.0.1"]}))
        self.assertEqual(self.one("svc", self.server().port).words, "here")

    def test_names_of_the_hosts_file(self):
        write("/etc/hosts", HOSTS + "127.0.0.1 agent\n")
        self.assertEqual(self.one("agent", self.server().port).words, "here")

    def test_other_name_services_are_not_asked(self):
        """They would be loaded, and do what no table lists."""
        write("/etc/nsswitch.conf", "hosts: myhostname nosuch [NOTFOUND=return]\n")
        self.keep(NameServer({"svc.test": ["127.0.0.1"]}))
        self.assertEqual(self.one("svc.test", self.server().port).words, "here")

    def test_names_nobody_has(self):
        names = self.keep(NameServer({}))
        for code, words in ((None, "not known"), (SERVER_FAILURE, "failure"), (REFUSED, "failure|not known")):
            names.code = code
            found = self.one("svc.test", 8126)
            self.assertEqual(found.status, 0)
            self.assertRegex(found.words, f"^no address of svc.test: .*({words})")

    def test_no_name_server_at_all(self):
        for text in ("", "nameserver 127.0.0.1\n", "nameserver 192.0.2.1\n"):
            write("/etc/resolv.conf", text)
            start = time.monotonic()
            self.assertEqual(self.one("svc.test", 8126).status, 0)
            self.assertLess(time.monotonic() - start, 2, text)
            port = self.server().port
            self.assertEqual(self.one("localhost", port).words, "here")
            self.assertEqual(self.one("127.0.0.1", port).words, "here")

    def test_silent_name_server(self):
        self.keep(NameServer({}, behave=lambda message: None))
        port = self.server().port
        url, local = f"http://svc.test:{port}/", f"http://localhost:{port}/"
        with Client(url, local) as client:
            start = time.monotonic()
            self.assertEqual(client.post(url).status, 0)
            self.assertLess(time.monotonic() - start, 6)
            start = time.monotonic()
            self.assertEqual(client.post(url).status, 0)
            self.assertEqual(client.post(local).words, "here")
            self.assertLess(time.monotonic() - start, 1)  # not asked again at once

    def test_garbage(self):
        choose = random.Random(1)
        said = [lambda m: m, lambda m: m[:2], lambda m: m[:2] + b"\xff" * 600, lambda m: m[:2] + b"\x81\x80" + m[4:],
                lambda m: m[:4] + b"\0\1\0\1\0\0\0\0" + m[12:] + b"\xc0\x0c" * 50,
                lambda m: m[:2] + b"\x81\x80\0\1\xff\xff\0\0\0\0" + m[12:] + b"\xc0\x0c\0\1\0\1\0\0\0\0\xff\xff",
                lambda m: m[:2] + bytes(choose.randrange(256) for _ in range(300))]
        for behave in said:
            names = self.keep(NameServer({}, behave=behave))
            self.assertEqual(self.one("svc.test", 8126).status, 0)
            names.close()


class Changes(Case):
    """What is known is kept for a minute, or until nobody answers there."""

    def test_moved(self):
        names = self.keep(NameServer({"svc.test": ["127.0.0.1"]}))
        server = self.server()
        url = f"http://svc.test:{server.port}/"
        with Client(url) as client:
            self.assertEqual(client.post(url).words, "here")
            asked = len(names.asked)
            self.assertEqual(client.post(url).words, "here")
            self.assertEqual(len(names.asked), asked)
            server.close()
            names.names["svc.test"] = ["127.0.0.2"]
            self.server("127.0.0.2", port=server.port, text=b"there")
            self.assertEqual(client.post(url).status, 0)
            self.assertEqual(client.post(url).words, "there")

    def test_old_address_while_no_name_server_answers(self):
        names = self.keep(NameServer({"svc.test": ["127.0.0.1"]}))
        server = self.server()
        url = f"http://svc.test:{server.port}/"
        with Client(url) as client:
            self.assertEqual(client.post(url).words, "here")
            server.close()
            names.close()
            self.assertEqual(client.post(url).status, 0)
            self.server(port=server.port, text=b"again")
            self.assertEqual(client.post(url).words, "again")

    def test_files_changed_in_place(self):
        """Seen from within."""
        self.keep(NameServer({"svc.test": ["127.0.0.1"]}))
        self.keep(NameServer({"svc.test": ["127.0.0.2"]}, address="127.0.0.3"))
        server = self.server()
        url, agent = f"http://svc.test:{server.port}/", f"http://agent:{server.port}/"
        with Client(url, agent) as client:
            self.assertEqual(client.post(url).words, "here")
            self.server("127.0.0.2", port=server.port, text=b"there")
            server.close()
            write("/etc/resolv.conf", "nameserver 127.0.0.3\noptions ndots:2\n")
            write("/etc/hosts", HOSTS + "127.0.0.2 agent\n")
            self.assertFalse(client.is_outdated())
            self.assertEqual(client.post(url).status, 0)
            self.assertEqual(client.post(url).words, "there")
            self.assertEqual(client.post(agent).words, "there")

    def test_files_replaced(self):
        """Closed to those within; who is started after that sees them."""
        for name in ("resolv.conf", "hosts"):
            self.keep(NameServer({}))
            with Client("http://svc.test/") as client:
                self.assertFalse(client.is_outdated())
                replace("/etc/" + name, read("/etc/" + name))
                self.assertTrue(client.is_outdated(), name)
                self.assertEqual(client.post("http://svc.test/").status, 0)
            with Client("http://svc.test/") as client:
                self.assertFalse(client.is_outdated())
            self.doCleanups()

    def test_link_as_systemd_makes_it(self):
        folder = tempfile.mkdtemp(prefix="ddprof-resolve-")
        self.addCleanup(shutil.rmtree, folder)
        path = os.path.join(folder, "stub-resolv.conf")
        write(path, "nameserver 127.0.0.1\n")
        os.unlink("/etc/resolv.conf")
        os.symlink(path, "/etc/resolv.conf")
        self.keep(NameServer({"svc.test": ["127.0.0.1"]}))
        url = f"http://svc.test:{self.server().port}/"
        with Client(url) as client:
            self.assertEqual(client.post(url).words, "here")
            self.assertFalse(client.is_outdated())
            replace(path, "nameserver 127.0.0.1\n")
            self.assertTrue(client.is_outdated())

    def test_file_that_appears(self):
        os.unlink("/etc/resolv.conf")
        with Client("http://svc.test/") as client:
            self.assertFalse(client.is_outdated())
            write("/etc/resolv.conf", "nameserver 127.0.0.1\n")
            self.assertTrue(client.is_outdated())

    def test_certificate_authorities_changed(self):
        path = "/etc/ssl/certs/ca-certificates.crt"
        with Client("https://127.0.0.1/") as client:
            self.assertFalse(client.is_outdated())
            write(path, read(path) + "\n")  # read once: what is changed in place is not seen either
            self.assertTrue(client.is_outdated())

    def test_without_names_no_file_matters(self):
        with Client("http://127.0.0.1/") as client:
            replace("/etc/hosts", HOSTS)
            self.assertFalse(client.is_outdated())


class SystemCalls(Case):
    def test_opens_nothing_else(self):
        """An upload as a whole: a name, IPv6, TLS, a system-wide authority."""
        strace = shutil.which("strace")
        if not strace:
            servers.unavailable("strace is not installed")
        folder = tempfile.mkdtemp(prefix="ddprof-strace-")
        self.addCleanup(shutil.rmtree, folder)
        authority, other = Authority(folder, "ours"), Authority(folder, "other")
        pair = authority.sign("svc", ["DNS:svc.test"])
        with open("/etc/ssl/certs/ca-certificates.crt", "a") as bundle:
            bundle.write(read(authority.path))
        self.keep(NameServer({"svc.test": ["::1", "127.0.0.1"]}))
        server = self.server("::1", context=server_context(pair))
        stranger = self.server("::1", context=server_context(other.sign("stranger", ["DNS:svc.test"])))
        url = f"https://svc.test:{server.port}/"
        log = os.path.join(folder, "log")
        with Client(url, f"https://svc.test:{stranger.port}/", prefix=[strace, "-f", "-qq", "-o", log]) as client:
            self.assertEqual(client.post(url, size=1 << 20).words, "here")
            self.assertEqual(client.post(f"https://svc.test:{stranger.port}/").status, 0)
            write("/etc/resolv.conf", "nameserver 127.0.0.1\n#\n")
            server.close()
            client.post(url)
            client.post(url)
            client.is_outdated()
        lines = read(log).splitlines()
        confined = [i for i, line in enumerate(lines) if "seccomp(SECCOMP_SET_MODE_FILTER" in line][-1]
        before, after = lines[:confined], lines[confined + 1:]
        self.assertTrue(any("ca-certificates.crt" in line and "openat" in line for line in before))
        opened = {path for line in after for path in re.findall(r'open(?:at)?\((?:AT_FDCWD, )?"([^"]*)"', line)}
        self.assertEqual(opened, {"/etc/resolv.conf", "/etc/hosts", "/etc/gai.conf"})
        named = {path for line in after for path in re.findall(r'stat\(AT_FDCWD, "([^"]*)"', line)}
        self.assertLessEqual(named, {"/etc/resolv.conf", "/etc/hosts", "/etc/host.conf", "/etc/gai.conf",
                                     "/etc/ssl/certs/ca-certificates.crt", "/etc/localtime"})
        for line in after:
            self.assertNotRegex(line, r"PROT_EXEC|clone|fork|execve|SIGSYS|bind\(")
        sockets = {found for line in after for found in re.findall(r"socket\((AF_\w+, \w+)", line)}
        self.assertLessEqual(sockets, {"AF_INET, SOCK_STREAM", "AF_INET6, SOCK_STREAM", "AF_INET, SOCK_DGRAM",
                                       "AF_INET6, SOCK_DGRAM", "AF_NETLINK, SOCK_RAW", "AF_UNIX, SOCK_STREAM"})


if __name__ == "__main__":
    enter_own_host()
    unittest.main()
