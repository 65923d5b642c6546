#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Installs the command from a build folder: `install_test.py <cmake> <folder>`."""
import pathlib
import subprocess
import sys
import tempfile

WANTED = {"pollux", "pollux.1"}


def main():
    cmake, build = sys.argv[1:]
    with tempfile.TemporaryDirectory() as prefix:
        subprocess.run([cmake, "--install", build, "--component", "pollux_command",
                        "--prefix", prefix], check=True, stdout=subprocess.DEVNULL)
        installed = {path.name: path for path in pathlib.Path(prefix).rglob("*") if path.is_file()}
        assert installed.keys() == WANTED, sorted(installed)
        assert installed["pollux.1"].parent.name == "man1", installed["pollux.1"]
    return 0


if __name__ == "__main__":
    sys.exit(main())
