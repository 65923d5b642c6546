#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What scripts/proxy-report writes: docs/proxy.md, from a run of every case on every proxy, and how fast they are."""
import argparse
import datetime
import json
import os
import pathlib
import platform
import subprocess
import sys
import tempfile

import speed_tables

ROOT = pathlib.Path(__file__).resolve().parents[2]
PATIENCE_S = "10"

HEAD = """# Proxies, side by side

What a client and a server see of each other through a proxy: `pollux proxy` on each of its backends, and others.
Measured on **{date}**, {system} ({machine}, {cores} processors), on the loopback, by

```sh
scripts/proxy-report              # this page
scripts/proxy-report --clients    # with real clients too, which it installs
scripts/proxy-report --no-speed   # only what each end sees
tests/proxy/run.py --proxy socat --only reset    # some cases on one proxy
```

Each case begins with a new proxy. "A reset" is what `recv()` reports as `ECONNRESET`, "a FIN" an end of the stream. A
proxy that does not do what it has to do within {patience} s has not done it.

| proxy | version | settings |
|---|---|---|
{proxies}
"""

CASES = """
## What each end sees

| case | each end has to see |
|---|---|
{sees}

## What they do

{table}
"""

FAULTS = """
## Bad links, bad peers, and many connections

The links are in a network of the test's own: a process carries their packets, and has them lost, late, in another order
and twice. Where there is a deadline, it is the proxy's own timeout for idle connections.

| case | each end has to see |
|---|---|
{sees}

{table}
"""

CLIENTS = """
## Real clients

Each client runs against its server through the proxy. What is shown in brackets is one short run on a machine that has
other things to do: it says that the client got something done, and compares nothing.

{table}
"""


def arguments():
    parser = argparse.ArgumentParser(prog="scripts/proxy-report", description=__doc__)
    parser.add_argument("--pollux", metavar="PROGRAM", help="the command pollux; built if there is none")
    parser.add_argument("--clients", action="store_true", help="installs real clients, and runs them")
    parser.add_argument("--load", metavar="PROGRAM", help="pollux_proxy_load, of bench/; built if there is none")
    parser.add_argument("--no-speed", action="store_true", help="measures nothing")
    parser.add_argument("--quick", action="store_true",
                        help="20 MB in place of 100 MB, seconds of many connections in place of a minute, and one "
                             "short round, whose figures compare nothing")
    parser.add_argument("--only", default="", metavar="REGEX", help="only cases whose title matches")
    parser.add_argument("--output", metavar="FILE", help="in place of docs/proxy.md, which needs `pollux proxy`")
    return parser.parse_args()


def play(script, options, extra=()):
    """What the script has found."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "results.json")
        command = [sys.executable, str(ROOT / "tests/proxy" / script), "--json", str(path), "--patience", PATIENCE_S]
        command += list(extra)
        chosen = subprocess.run([*command, "--list"], check=True, capture_output=True) if "--only" in extra else None
        if chosen and not chosen.stdout.strip():
            return {"proxies": {}, "missing": {}, "cases": []}
        if options.pollux:
            command += ["--pollux", options.pollux]
        status = subprocess.run(command, check=False).returncode
        if status or not path.exists():
            sys.exit(f"{script}: status {status}")
        return json.loads(path.read_text(encoding="utf-8"))


def rows(lines):
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def cell(result, notes):
    """A fault is a number, whose sentence stands below the table."""
    if not result["fault"]:
        return f"yes ({result['remark']})" if result["remark"] else "yes"
    if result["fault"] not in notes:
        notes.append(result["fault"])
    return f"**no** [{notes.index(result['fault']) + 1}]"


def table(found):
    names, notes = list(found["proxies"]), []
    lines = [["case", *names], ["---"] * (len(names) + 1)]
    lines += [[one["title"], *(cell(one["results"][name], notes) for name in names)] for one in found["cases"]]
    text = rows(lines)
    if notes:
        text += "\n\n" + "\n".join(f"{number}. {note}" for number, note in enumerate(notes, 1))
    if found["missing"]:
        text += "\n\nLeft out:\n\n" + "\n".join(f"- {name}: {why}" for name, why in found["missing"].items())
    return text


def page(found, faults, speed, clients):
    text = HEAD.format(
        date=datetime.datetime.now(datetime.timezone.utc).date().isoformat(), patience=PATIENCE_S,
        system=f"{platform.system()} {platform.release()}", machine=platform.machine(), cores=os.cpu_count(),
        proxies=rows([f"`{name}`", proxy["version"], proxy["settings"]]
                     for name, proxy in (found["proxies"] | faults["proxies"]).items()))
    for section, of in ((CASES, found), (FAULTS, faults)):
        if of["cases"]:
            text += section.format(sees=rows([one["title"], one["sees"]] for one in of["cases"]), table=table(of))
    if speed:
        text += "\n" + speed_tables.section(speed)
    return text + (CLIENTS.format(table=table(clients)) if clients else "")


def main():
    options = arguments()
    if not options.load and not options.no_speed:
        sys.exit("Speed is measured by a load: --load PROGRAM, or --no-speed.")
    extra = ["--only", options.only] + (["--quick"] if options.quick else [])
    found, faults = play("run.py", options, extra), play("faults.py", options, extra)
    if not options.output and not any(name.startswith("pollux/") for name in found["proxies"] | faults["proxies"]):
        sys.exit("docs/proxy.md is not written without `pollux proxy`: name another file with --output.")
    speed = None
    if not options.no_speed:
        speed = play("speed.py", options, ["--load", options.load, *(["--quick"] if options.quick else [])])
    clients = play("real_clients.py", options) if options.clients else None
    output = pathlib.Path(options.output or ROOT / "docs/proxy.md")
    output.write_text(page(found, faults, speed, clients), encoding="utf-8")
    cases, proxies = found["cases"] + faults["cases"], found["proxies"] | faults["proxies"]
    print(f"{output}: {len(cases)} cases on {len(proxies)} proxies")
    return 0


if __name__ == "__main__":
    sys.exit(main())
