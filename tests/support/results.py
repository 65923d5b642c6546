#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Counts what a run of ctest has played, from the results that GoogleTest's programs have left (GTEST_OUTPUT), and
lists what was left out and why: `results.py <build folder>`. Without ctest.log in that folder, what was run without
ctest. Exits 1 if nothing was played."""
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


def show(what, lists):
    print(f"{what}: {sum(map(len, lists.values()))}")
    for reason, tests in sorted(lists.items()):
        print(f"  {len(tests)}: {reason}")
        # A test counts once for each backend and kind of stream.
        names = collections.Counter(re.sub(r"/(epoll|io_uring|poll|asio|afd)[^/]*$", "", test) for test in tests)
        for name, count in names.items():
            print(f"    {name}" + (f" ({count})" if count > 1 else ""))


def main():
    build = pathlib.Path(sys.argv[1])
    try:
        ran = programs((build / "ctest.log").read_text(encoding="utf-8"))
    except FileNotFoundError:
        ran = None
    names = {name for name, _ in ran or ()}
    tests = collections.Counter()
    skipped = collections.defaultdict(list)
    parts = collections.defaultdict(list)  # of tests that were played
    for path in sorted((build / "results").glob("*.xml")):
        # Others are run by a script, which wants them to fail.
        if ran is not None and path.stem not in names:
            continue
        for case in xml.etree.ElementTree.parse(path).getroot().iter("testcase"):
            test = f"{case.get('classname')}.{case.get('name')}"
            row = re.match(r".*/(epoll|io_uring|poll|asio|afd)(_|$)", test)
            left_out = case.find("skipped")
            for part in case.iter("property"):
                if part.get("name") == "not_played":
                    parts[part.get("value")].append(test)
            if left_out is None and case.get("result") == "completed":
                tests[row.group(1) if row else "no backend alone"] += 1
            else:
                reason = "not run" if left_out is None else reason_of(left_out)
                skipped[reason].append(test)
    of_ctest = "" if ran is None else f"{len(ran)} tests of ctest; in them, "
    print(f"{of_ctest}{sum(tests.values())} tests of GoogleTest: "
          + ", ".join(f"{count} on {name}" for name, count in sorted(tests.items())))
    for name, end in ran or ():
        if "Skipped" in end or "Not Run" in end:
            skipped[end.strip("*")].append(name)
    show("left out", skipped)
    show("played in part, or not", parts)
    return 0 if tests else 1


if __name__ == "__main__":
    sys.exit(main())
