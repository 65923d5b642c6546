#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A backend that cannot be used here has no rows, and one line says so: no more and no less. It is a
failure where it is required, where nothing else is left, and where the process is at fault."""
import os
import subprocess
import sys

PROGRAM = sys.argv[1]
SENTENCE = "absent cannot be used here"


def run(how, *flags, required=""):
    done = subprocess.run([PROGRAM, how, *flags], capture_output=True, text=True, timeout=60,
                          check=False, env=os.environ | {"POLLUX_REQUIRE_BACKENDS": required})
    done.said = done.stderr.count(SENTENCE)
    done.rows = done.stdout.count("/absent")
    return done


def main():
    wrong = []

    def expect(what, holds, done):
        if not holds:
            wrong.append(f"{what}:\n{done.stdout}{done.stderr}")

    some = run("some")
    expect("the sound one passes", some.returncode == 0 and "[  PASSED  ]" in some.stdout, some)
    expect("one line for the other, and no row", some.said == 1 and some.rows == 0, some)
    listed = run("some", "--gtest_list_tests")
    expect("none is listed", listed.returncode == 0 and listed.rows == 0, listed)
    required = run("some", "--gtest_filter=Backends.*", required="other;absent")
    expect("required", required.returncode == 1 and SENTENCE in required.stdout, required)
    others = run("some", "--gtest_filter=Backends.*", required="absentee,present")
    expect("others are required", others.returncode == 0, others)
    none = run("none")
    expect("nothing is left", none.returncode == 1 and none.said == 1 and none.rows == 0, none)
    short = run("short", "--gtest_brief=1")
    expect("out of descriptors", short.returncode == 1 and short.said == 0 and short.rows > 0, short)

    print("\n".join(wrong) or "as it must be")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
