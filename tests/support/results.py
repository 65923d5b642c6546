#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Counts what a run of ctest has played, from the results that GoogleTest's programs have left (GTEST_OUTPUT), and
lists what was left out and why: `results.py <build folder>`. Exits 1 if nothing was played."""
import collections
import pathlib
import re
import sys
import xml.etree.ElementTree


def programs(log):
    """What ctest ran, by name, with how it ended."""
    return re.findall(r"^ *\d+/\d+ Test +#\d+: (\S+) \.+ *(.*?) +[\d.]+ sec", log, re.MULTILINE)


def reason_of(skipped):
    """The message without the place in the source."""
    lines = [line for line in (skipped.get("message") or skipped.text or "").splitlines() if line]
    return lines[-1] if lines else "no reason given"


def main():
    build = pathlib.Path(sys.argv[1])
    try:
        ran = programs((build / "ctest.log").read_text(encoding="utf-8"))
    except FileNotFoundError:
        ran = []
    names = {name for name, _ in ran}
    tests = collections.Counter()
    skipped = collections.defaultdict(list)
    for path in sorted((build / "results").glob("*.xml")):
        # Others are run by a script, which wants them to fail.
        if path.stem not in names:
            continue
        for case in xml.etree.ElementTree.parse(path).getroot().iter("testcase"):
            test = f"{case.get('classname')}.{case.get('name')}"
            row = re.match(r".*/(epoll|io_uring|poll|asio)(_|$)", test)
            left_out = case.find("skipped")
            if left_out is None and case.get("result") == "completed":
                tests[row.group(1) if row else "no backend alone"] += 1
            else:
                reason = "not run" if left_out is None else reason_of(left_out)
                skipped[reason].append(test)
    print(f"{len(ran)} tests of ctest; in them, {sum(tests.values())} of GoogleTest: "
          + ", ".join(f"{count} on {name}" for name, count in sorted(tests.items())))
    for name, end in ran:
        if "Skipped" in end or "Not Run" in end:
            skipped[end.strip("*")].append(name)
    print(f"left out: {sum(map(len, skipped.values()))}")
    for reason, which in sorted(skipped.items()):
        print(f"  {len(which)}: {reason}")
        for test in which:
            print(f"    {test}")
    return 0 if tests else 1


if __name__ == "__main__":
    sys.exit(main())
