#!/usr/bin/python3
"""Debian's nginx as a folder: downloaded through the machine's own apt configuration and unpacked. Installing the
package would start a server on port 80 of the machine, and at each boot.

    unpack_nginx.py FOLDER"""

import os
import shutil
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../vm"))
import kernels  # pylint: disable=wrong-import-position


def main(folder):
    with tempfile.TemporaryDirectory(dir=os.path.dirname(folder)) as root:
        architecture = kernels.run("dpkg", "--print-architecture").strip()
        options = kernels.apt_options(root, kernels.release_codename(), architecture)
        kernels.run("apt-get", *options, "-q", "update", "--error-on=any")
        kernels.run("apt-get", *options, "-q", "download", "nginx", cwd=root)
        package, = (entry for entry in os.listdir(root) if entry.endswith(".deb"))
        kernels.run("dpkg", "-x", package, "unpacked", cwd=root)
        unpacked = os.path.join(root, "unpacked")
        kernels.run(os.path.join(unpacked, "usr/sbin/nginx"), "-v")  # has all its libraries
        shutil.rmtree(folder, ignore_errors=True)
        os.rename(unpacked, folder)


if __name__ == "__main__":
    try:
        main(os.path.abspath(sys.argv[1]))
    except kernels.Unavailable as unavailable:
        sys.exit(f"unpack_nginx.py: {unavailable}")
