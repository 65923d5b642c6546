#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Every broken backend fails a conformance test. The histories are left out: what they alone catch is
tested by tests/differential."""
import concurrent.futures
import os
import re
import subprocess
import sys

PROGRAM = sys.argv[1]
FLAGS = ["--gtest_fail_fast", "--gtest_brief=1", "--gtest_filter=-EveryHistory.*"]


def survivor(name):
    """Says by what it was caught; what is returned is what is wrong about that."""
    try:
        run = subprocess.run([PROGRAM, name, *FLAGS], capture_output=True, text=True, timeout=300,
                             check=False)
    except subprocess.TimeoutExpired:
        return f"{name}: hangs"
    failed = re.findall(r"\[  FAILED  \] ([^\s,]+)", run.stdout)
    print(f"{name}: {failed[0] if failed else '-'}", flush=True)
    return "" if run.returncode == 1 and failed else f"{name}: exit status {run.returncode}"


def main():
    names = subprocess.run([PROGRAM], capture_output=True, text=True, check=True).stdout.split()
    # They wait most of the time, and one that is caught late waits for many deadlines of the kit.
    with concurrent.futures.ThreadPoolExecutor(4 * os.cpu_count()) as pool:
        wrong = [what for what in pool.map(survivor, names) if what]
    print("\n".join([f"{len(names)} broken backends, {len(wrong)} not caught", *wrong]))
    return 1 if wrong or not names else 0


if __name__ == "__main__":
    sys.exit(main())
