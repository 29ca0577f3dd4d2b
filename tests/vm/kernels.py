"""The kernels of Debian releases, as files: fetched through the machine's own apt configuration (mirror, proxy,
keys), with nothing exchanged but the name of the release, and kept for the next run.

    kernels.py NAME    prints the path of that kernel"""

import os
import re
import subprocess
import sys
import tempfile
import time

SUITES = {"5.10": "bullseye", "6.1": "bookworm", "6.12": "trixie", "newest": "sid"}
FRESH_S = 7 * 24 * 3600  # how long a kernel is used without asking whether there is a newer one

# The image hides behind names that carry its version: meta package, image, and since 7.x the unsigned binary.
META_PACKAGE = "linux-image-cloud-amd64"
NEXT_PACKAGE = re.compile(r"\b(linux-(?:image|binary)-\d[^ ,]*-cloud-amd64)\b")
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"  # of the package that every Debian has


class Unavailable(Exception):
    """This kernel cannot be had here; the text says why."""


def run(*command, **named):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, **named)
    if done.returncode != 0:
        raise Unavailable(f"{' '.join(command[:1])} failed: {(done.stderr or done.stdout).strip()[-500:]}")
    return done.stdout


def release_codename():
    with open("/etc/os-release", encoding="utf-8") as file:
        return dict(re.findall(r'^(\w+)="?(.*?)"?$', file.read(), re.M)).get("VERSION_CODENAME", "")


def mirror():
    """Where this machine gets its own release from. (Its security updates, say, come from another place.)"""
    try:
        targets = run("apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE) $(LABEL)",
                      "Created-By: Packages", "Component: main")
    except OSError as error:
        raise Unavailable(f"no apt here: {error}") from error
    releases = {release_codename(), "oldstable", "stable", "testing", "unstable", "sid"}
    for line in targets.splitlines():
        uri, release, label = line.split(" ", 2)
        if release in releases and label in ("Debian", "$(LABEL)"):  # the latter before the first apt-get update
            return uri
    raise Unavailable("no apt source of this machine names a Debian mirror")


def apt_options(root, suite, architecture="amd64"):
    """A private apt root for one suite. What apt.conf says (a proxy) stays as it is."""
    for folder in ("lists/partial", "cache/archives/partial"):
        os.makedirs(os.path.join(root, folder), exist_ok=True)
    sources = os.path.join(root, "sources.list")
    with open(sources, "w", encoding="utf-8") as file:
        file.write(f"deb [arch={architecture} signed-by={KEYRING}] {mirror()} {suite} main\n")
    options = {
        "Dir::Etc::SourceList": sources,
        "Dir::Etc::SourceParts": "/dev/null",
        "Dir::State::Lists": os.path.join(root, "lists"),
        "Dir::State::Status": "/dev/null",
        "Dir::Cache": os.path.join(root, "cache"),
        "APT::Architecture": architecture,
        "APT::Architectures": architecture,
        "APT::Sandbox::User": "root",  # no other user need be able to reach a build tree
        "Acquire::Languages": "none",
        "Acquire::Retries": "3",
    }
    return [word for key, value in options.items() for word in ("-o", f"{key}={value}")]


def image_package(options):
    """(name, version) of the package that holds the newest image of the suite."""
    name = META_PACKAGE
    while True:
        record = run("apt-cache", *options, "show", "--no-all-versions", name)
        version = re.search(r"^Version: (\S+)", record, re.M)[1]
        depends = re.search(r"^(?:Pre-)?Depends: .*", record, re.M)
        following = NEXT_PACKAGE.search(depends[0]) if depends else None
        if not following or following[1] == name:
            return name, version
        name = following[1]


def find_image(folder):
    for path, _, names in os.walk(folder):
        for name in names:
            if name.startswith("vmlinuz"):
                return os.path.join(path, name)
    raise Unavailable(f"no kernel image in what was unpacked to {folder}")


def download(suite, folder):
    """Leaves the newest image in `folder`, in a file named after its package and version."""
    with tempfile.TemporaryDirectory(dir=folder) as root:
        options = apt_options(root, suite)
        run("apt-get", *options, "-q", "update", "--error-on=any")
        name, version = image_package(options)
        image = os.path.join(folder, f"{name}_{version}")
        if not os.path.exists(image):
            run("apt-get", *options, "-q", "download", f"{name}={version}", cwd=root)
            package, = (entry for entry in os.listdir(root) if entry.endswith(".deb"))
            run("dpkg", "-x", package, "unpacked", cwd=root)
            os.rename(find_image(os.path.join(root, "unpacked")), image)
    os.utime(image)


def fetch(name, cache):
    """The path of the kernel image; Unavailable when there is none, not even an old one."""
    folder = os.path.abspath(os.path.join(cache, name))
    os.makedirs(folder, exist_ok=True)

    def newest():
        files = [entry for entry in os.scandir(folder) if entry.is_file()]
        return max(files, key=lambda entry: entry.stat().st_mtime, default=None)

    kept = newest()
    if not kept or time.time() - kept.stat().st_mtime > FRESH_S:
        try:
            download(SUITES[name], folder)
        except Unavailable:
            if not kept:
                raise
    return newest().path


if __name__ == "__main__":
    try:
        print(fetch(sys.argv[1], os.environ.get("DDPROF_VM_CACHE", "/var/tmp/ddprof-vm")))
    except Unavailable as error:
        sys.exit(f"kernels.py: {error}")
