#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The tables of speed on figures that were made up: a figure is the median of the rounds, a ratio is taken within a
round, what is added is added to the same round without a proxy, and what is not there is left empty."""
import copy
import sys

import speed_tables

STRACE = """% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 60.00    0.003000          10       300         7 recvfrom
 40.00    0.002000          10       200           sendto
  0.00    0.000000           0         0           close
------ ----------- ----------- --------- --------- ----------------
100.00    0.005000          10       500         7 total
"""


def trips(count, median, p99, cpu=None):
    return {"operations": count, "seconds": 0.5, "median_us": median, "p99_us": p99,
            **({} if cpu is None else {"cpu_s": cpu})}


def megabytes(count, cpu=None):
    return {"bytes": count * 1_000_000, "seconds": 0.5, **({} if cpu is None else {"cpu_s": cpu})}


def a_round(slow, other):
    """`slow`: how much of everything there is in this round; `other`: how the other one does in it."""
    return {
        "one-way/1": {"direct": megabytes(2000 / slow), "other": megabytes(400 * other / slow, 0.5),
                      "pollux/epoll": megabytes(500 / slow, 0.45)},
        "round-trips/1": {"direct": trips(1000, 10 * slow, 20 * slow), "other": trips(100, 25 * slow, 320 * slow, 0.25),
                          "pollux/epoll": trips(200, 20 * slow, 120 * slow, 0.1)}}


# The second round was slow for everybody, the third for the other one alone.
DATA = {
    "setup": {"cpu": "C", "cores": 2, "pinned": True, "rounds": 3, "seconds": 0.5, "quick": False, "load": 0.1,
              "idle": 1000, "command": "speed.py"},
    "proxies": {"other": "1.0", "pollux/epoll": "0.1.0"}, "rounds": [a_round(1, 1), a_round(2, 1), a_round(1, 0.1)],
    "calls": {"one-way/1": {"other": {"of": 50.0, "calls": {"read": 5000, "write": 2500}},
                            "pollux/epoll": {"of": 100.0, "calls": {"recvfrom": 1500, "sendto": 1500}}},
              "churn/1": {"other": {"of": 10, "calls": {"read": 210}}}},
    "memory": {"other": 9000, "pollux/epoll": 2000}, "left_out": {"churn/32, other": "it is gone"}}

EXPECTED = (
    "|  | direct | pollux/epoll | other |",
    "| MB a second, one way, 1 connection | 4,000 (4.00) | 1,000 | 400 (0.80) |",
    "| round trips of 64 B a second, 1 connection | 2,000 (5.00) | 400 | 200 (0.50) |",
    "| 1 connection: median, µs | 10.0 | 10.0 | 15.0 (1.50) |",
    "| 1 connection: p99, µs | 20.0 | 100 | 300 (3.00) |",
    "| µs of the processor a MB, one way, 1 connection | 900 | 2,500 (1.39) |",
    "| µs of the processor a round trip, 1 connection | 500 | 2,500 (5.00) |",
    "| system calls a MB, one way, 1 connection | 30.0 | 150 (5.00) |",
    "| system calls a connection, one at a time |  | 21.0 |",
    "| memory of an idle connection, bytes | 2,000 | 9,000 (4.50) |",
    "| MB, one way, 1 connection | 90.0 | 100 |",
    "| round trips of 64 B, 1 connection | 20.0 | 50.0 |",
    "on a processor of their own; the proxy", "3 rounds of 0.5 s", "- churn/32, other: it is gone")


def main():
    text = speed_tables.section(DATA)
    missing = [line for line in EXPECTED if line not in text]
    if "32 connections |" in text or "churn/1" in text:
        missing.append("(a row of which nothing was measured is not there)")
    if "compare nothing" in text:
        missing.append("(only a quick run says that it is one)")
    other = copy.deepcopy(DATA)
    other["setup"].update(quick=True, pinned=False)
    del other["proxies"]["pollux/epoll"]
    text_of_other = speed_tables.section(other)
    missing += [line for line in ("compare nothing", "share one", "| MB a second, one way, 1 connection | 4,000 | 400 |")
                if line not in text_of_other]
    if speed_tables.calls_of_summary(STRACE) != {"recvfrom": 300, "sendto": 200, "close": 0}:
        missing.append(f"(strace's summary: {speed_tables.calls_of_summary(STRACE)})")
    print(text if missing else "as it must be", *missing, sep="\n")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
