#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""calls_test.py <strace> <pollux_bench> <backend>: a reactor counts its system calls. Strace must count
as many in the measured part of each row, to the last one."""
import concurrent.futures
import os
import subprocess
import sys

import counting

# Other threads' calls, and those of an object's making, are not in the measured loop's count; the rows
# with thousands of descriptors do what those with a hundred do.
NOT_HERE = ("W6.", "W7.memory", "W7.idle1", "W2.N1000", "W2.N9900", "W8.N1000")
ALSO = "W7.idle1k/"


def rows_of(program, backend):
    listed = subprocess.run([program, "--rows"], capture_output=True, text=True, check=True).stdout
    for line in listed.splitlines():
        name = line.split("\t")[0]
        if name.partition("/")[2].partition("/")[0] == backend and (
                name.startswith(ALSO) or not name.startswith(NOT_HERE)):
            yield name


def main():
    tracer, program, backend = sys.argv[1:]

    def compare(name):
        said, calls = counting.strace(tracer, program, name, 300)
        return name, said["calls"], len(calls)

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        compared = list(pool.map(compare, rows_of(program, backend)))
    for name, said, seen in compared:
        print(f"{name}: says {said}, strace {seen}{'' if said == seen else '  <-- differs'}")
    return 0 if compared and all(said == seen for _, said, seen in compared) else 1


if __name__ == "__main__":
    sys.exit(main())
