#!/usr/bin/python3
"""What the product needs of an arm64 Debian to be linked, as a folder: downloaded through the machine's own apt
configuration and unpacked, with nothing installed and no architecture added.

    sysroot.py FOLDER    fills FOLDER, unless that was done before"""

import os
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "vm"))
import kernels  # pylint: disable=wrong-import-position

# the libraries of scripts/setup; apt adds what they need
PACKAGES = ("libc6-dev", "libcap-dev", "libseccomp-dev", "libdw-dev", "libelf-dev", "libiberty-dev", "liblzma-dev",
            "libprotobuf-c-dev", "zlib1g-dev", "libzstd-dev", "libjansson-dev", "libcurl4-openssl-dev", "uthash-dev")
DONE = ".complete"


def complete(folder):
    """Whether `folder` holds these packages."""
    try:
        with open(os.path.join(folder, DONE), encoding="utf-8") as file:
            return file.read().split() == list(PACKAGES)
    except FileNotFoundError:
        return False


def fill(folder):
    os.makedirs(folder, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=os.path.dirname(folder)) as root:
        options = kernels.apt_options(root, kernels.release_codename(), "arm64")
        kernels.run("apt-get", *options, "-q", "update", "--error-on=any")
        kernels.run("apt-get", *options, "-qy", "--no-install-recommends", "--download-only", "install", *PACKAGES)
        archives = os.path.join(root, "cache", "archives")
        for name in sorted(os.listdir(archives)):
            if name.endswith(".deb"):
                kernels.run("dpkg", "-x", os.path.join(archives, name), folder)
    with open(os.path.join(folder, DONE), "w", encoding="utf-8") as file:
        file.write("\n".join(PACKAGES) + "\n")


if __name__ == "__main__":
    target = os.path.abspath(sys.argv[1])
    try:
        if not complete(target):
            fill(target)
    except kernels.Unavailable as unavailable:
        sys.exit(f"sysroot.py: {unavailable}")
