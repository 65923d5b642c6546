#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The report on figures that were made up: ratios are taken within a round, goals are judged by the better
of the two figures, and prose is left alone. And on the last ones: the pages have what they say."""
import copy
import pathlib
import sys

import report


def row(whose, *rounds, **more):
    return {"clock": "cpu", "whose": whose, "rounds": [list(chunks) for chunks in rounds], **more}


SETUP = {"date": "2000-01-01", "quick": False, "rounds": 3, "minutes": 1, "kernel": "K", "machine": "M",
         "cpu": "C", "cores": 2, "compiler": "c++", "load": 0.1}
DATA = {"setup": SETUP, "left_out": {"W7.idle19k/here": "too many"}, "rows": {
    # The second round was slow for everybody, the third for raw_epoll alone.
    "W1.unix/here": row("pollux", (102, 102, 102), (202, 204, 206), (102, 103, 110), calls=6.005,
                        instructions=331.0),
    "W1.unix/here/readiness": row("pollux", (100,), (200,), (100,)),
    "W1.unix/raw_epoll": row("raw", (100, 100, 100), (200, 200, 200), (99, 204, 210), calls=6.0,
                             epoll_ctl=1.0),
    "W1.unix/other": row("peer", (80, 80, 80), (160, 160, 160), (80, 80, 80)),
    "W5.fire/here": row("pollux", (10,), (10,), (10,), calls=0.00001, instructions=59.0,
                        parts={"own": 9.3, "timers": 49.7, "turn": 0.2}),
    "W5.fire/raw_epoll": row("raw", (10,), (10,), (10,)),
    "W8.N1.64B/here": {**row("pollux", (2100,), (4200,), (2100,), calls=2, instructions=900.0),
                       "cpu": [[1000], [1000], [1000]]},
    "W8.N1.64B/raw_epoll": {**row("raw", (2000,), (4000,), (2000,)), "cpu": [[800], [800], [800]]},
    "W8.N1.64B/slow": {**row("peer", (4200,), (8400,), (4200,)), "cpu": [[800], [800], [800]]},
    "W8.N1.64B/fast": {**row("peer", (1750,), (3500,), (1750,)), "cpu": [[800], [800], [800]]},
    "W5.make-drop/here": row("pollux", (30,), (30,), (30,), calls=0, instructions=219.0,
                             parts={"own": 9.0, "timers": 210.0}),
}}


def main():
    results = report.Results(copy.deepcopy(DATA))
    page = report.fill("before\n<!-- measured: times -->\nold\n<!-- end -->\nbetween\n"
                       "<!-- measured: goals -->\n<!-- end -->\n<!-- measured: left-out -->\n<!-- end -->\n"
                       "<!-- measured: ahead -->\n<!-- end -->\n<!-- measured: calls -->\n<!-- end -->\n"
                       "<!-- measured: parts -->\n<!-- end -->\n<!-- measured: variants -->\n<!-- end -->\n"
                       "<!-- measured: messages -->\n<!-- end -->\n<!-- measured: streams -->\n<!-- end -->\n"
                       "<!-- measured: server-time -->\n<!-- end -->\n<!-- measured: streams-goals -->\n<!-- end -->\n"
                       "<!-- measured: streams-calls -->\n<!-- end -->\nafter\n", results)
    expected = (
        "before\n<!-- measured: times -->\n| workload | raw_epoll | here | other |\n",
        "| W1.unix | 200 / 99.0 ns | 1.02 / 1.03 | 0.80 / 0.81 |",
        "| W1.unix | 6 (≤ 6.01) | 331 (≤ 330) | 1.02 / 1.03 (≤ 1.03) | **not met** |",
        "| W5.fire | 0 (≤ 0) | 59 (≤ 60) | 1.00 / 1.00 (≤ 1.05) | met |",
        "| W5.make-drop | 0 (≤ 0) | 219 (≤ 220) |  | met |",
        "| W5.fire | 59 (≤ 60) | 9 |  |  |  |  | 50 |", "| W1.unix | **1.27 / 1.27** |", "- `W7.idle19k/here`: too many",
        "| W1.unix | 6 (1) | 6 |  |", "| W1.unix | 1.00 / 1.01 |", "between\n", "after\n",
        "| workload | raw_epoll | here | slow | fast | here to the best library, time |",
        "| W8.N1.64B | 500 | 476 | 238 | 571 | 1.20 / 1.20 |",
        "| W8.N1.64B | 2000 / 2000 ns | 1.05 / 1.05 | 2.10 / 2.10 | 0.88 / 0.88 |",
        "| W8.N1.64B | 800 / 800 ns | 1.25 / 1.25 | 1.00 / 1.00 | 1.00 / 1.00 |",
        "| W8.N1.64B | 2 | 900 | 1.05 / 1.05 (≤ 1.05) | met |")
    missing = [line for line in expected if line not in page]
    if "old" in page or report.fill(page, results) != page:
        missing.append("(what was measured before is replaced)")
    docs = pathlib.Path(__file__).resolve().parent.parent / "docs"
    measured = report.Results(report.read(docs))
    for name in report.PAGES:
        text = (docs / name).read_text(encoding="utf-8")
        if report.fill(text, measured) != text:
            missing.append(f"({name} is not what {report.RAW} makes of it: scripts/bench --redraw)")
    print(page if missing else "", *missing, sep="\n")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
