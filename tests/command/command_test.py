#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs the pollux command with good and bad options: 0 if all is as it must be, 2 and one line that
says why for bad usage, JSON that parses, no line of more than 100 columns."""
import json
import subprocess
import sys

GOOD = [
    [],
    ["--version"],
    ["backends"],
    ["backends", "--format", "markdown"],
    ["trace", "--scenario", "S1,s21", "--kind", "all"],
    ["trace", "--scenario", "S6", "--format", "markdown"],
    ["verify", "--depth", "1"],
    ["verify", "--depth", "0", "--seconds", "0.2", "--seed", "7", "--kind", "unix"],
    ["verify", "--depth", "1", "--against", "poll", "--kind", "tcp4"],
    ["verify", "--depth", "1", "--random", "20", "--depth-of-all", "1", "--without", "peek,swap"],
    ["verify", "--history", "tcp4_both marked: | peer_write read ask_writable | swap close"],
    ["verify", "--history", "unix each: peer_write pause peer_close resume read"],
]
JSON = [
    ["backends", "--format", "json"],
    ["trace", "--scenario", "S1", "--format", "json"],
    ["verify", "--depth", "1", "--kind", "unix", "--json"],
]
BAD = [
    ["sing"],
    ["trace", "--scenario", "S99"],
    ["trace", "--backend", "carrier_pigeon"],
    ["trace", "--kind", "avian"],
    ["trace", "--format", "xml"],
    ["trace", "--scenario"],
    ["verify", "--depth", "-1"],
    ["verify", "--depth", "many"],
    ["verify", "--kind", "avian"],
    ["verify", "--backend", "carrier_pigeon"],
    ["verify", "--history", "unix each: sing"],
    ["verify", "--history", "unix each: | read"],
    ["verify", "--without", "sing"],
    ["verify", "--against", "carrier_pigeon"],
    ["verify", "--backend", "poll", "--against", "poll"],
]


def main():
    failures = []
    for status, calls in ((0, GOOD + JSON), (2, BAD)):
        for call in calls:
            done = subprocess.run([sys.argv[1], *call], capture_output=True, text=True, check=False)
            if done.returncode != status:
                failures.append(f"{call}: {done.returncode}, not {status}\n{done.stderr}")
            if status == 2 and len(done.stderr.splitlines()) != 1:
                failures.append(f"{call}: not one line:\n{done.stderr}")
            if call in JSON:
                json.loads(done.stdout)
            elif "markdown" not in call:
                failures += [f"{call}: {line}" for line in done.stdout.splitlines() if len(line) > 100]
    print("\n".join(failures) or "as it must be")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
