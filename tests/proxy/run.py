#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Plays the cases of histories.py around each proxy that is here, and prints a table.

    run.py                                          socat, haproxy and nginx, as far as they are here
    run.py --pollux build/release/tools/pollux      pollux too, on each of its backends
    run.py --proxy pollux --pollux PROGRAM --backend poll --require pollux --quick
"""
import argparse
import json
import sys
import time

import histories
import peers
import proxies


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--proxy", action="append", metavar="NAME", help="only this one; may be repeated")
    parser.add_argument("--pollux", metavar="PROGRAM", help="the command pollux")
    parser.add_argument("--backend", action="append", metavar="NAME",
                        help="of pollux, only this one; may be repeated")
    parser.add_argument("--require", metavar="NAME", help="exit status 1 if a case fails on this proxy")
    parser.add_argument("--only", default="", metavar="REGEX", help="only cases whose title matches")
    parser.add_argument("--quick", action="store_true", help="20 MB in place of 100 MB")
    parser.add_argument("--patience", type=float, default=peers.PATIENCE_S, metavar="SECONDS",
                        help="how long to wait for what a proxy has to do")
    parser.add_argument("--json", metavar="FILE", help="writes the results there")
    parser.add_argument("--list", action="store_true", help="prints the cases")
    return parser.parse_args()


def is_called(proxy, name):
    """`pollux` stands for each of its backends."""
    return name in (proxy.name, proxy.name.partition("/")[0])


def proxies_here(options):
    """Those that can run, and why the others cannot."""
    every = proxies.others()
    if options.pollux:
        backends = options.backend or proxies.pollux_backends(options.pollux)
        every += [proxies.Pollux(options.pollux, backend) for backend in backends]
    if options.proxy:
        every = [proxy for proxy in every if any(is_called(proxy, name) for name in options.proxy)]
    missing = {proxy.name: why for proxy in every if (why := proxy.missing())}
    return [proxy for proxy in every if proxy.name not in missing], missing


def play_all(titles, here, quick):
    results = {}
    for proxy in here:
        for title in titles:
            start = time.monotonic()
            remark, fault = histories.play(title, proxy, quick)
            seconds = time.monotonic() - start
            results[title, proxy.name] = {"remark": remark, "fault": fault, "seconds": round(seconds, 2)}
            print(f"{proxy.name}: {title}: {fault or 'ok'}{f' ({remark})' if remark else ''}, "
                  f"{seconds:.1f} s", flush=True)
    return results


def print_table(titles, here, results):
    widths = [max(map(len, titles)), *(max(5, len(proxy.name)) for proxy in here)]

    def line(*cells):
        print("  ".join(cell.ljust(width) for cell, width in zip(cells, widths)).rstrip())
    print()
    line("", *(proxy.name for proxy in here))
    for title in titles:
        line(title, *("FAILS" if results[title, proxy.name]["fault"] else "ok" for proxy in here))


def write_json(path, titles, here, missing, results):
    with open(path, "w", encoding="utf-8") as file:
        json.dump({
            "proxies": {proxy.name: {"version": proxy.version(), "settings": proxy.settings}
                        for proxy in here},
            "missing": missing,
            "cases": [{"title": title, "sees": histories.CASES[title].sees,
                       "results": {proxy.name: results[title, proxy.name] for proxy in here}}
                      for title in titles]}, file, indent=1)


def main():
    options = arguments()
    titles = histories.chosen(options.only)
    if not titles:
        sys.exit(f"No case matches {options.only}.")
    if options.list:
        print("\n".join(titles))
        return 0
    peers.PATIENCE_S = options.patience
    here, missing = proxies_here(options)
    for name, why in missing.items():
        print(f"{name} is left out: {why}")
    required = [proxy.name for proxy in here if options.require and is_called(proxy, options.require)]
    wanted_backends = [f"pollux/{name}" for name in options.backend or []]
    if options.require and (not required or any(
            is_called(proxies.Pollux("", name.partition("/")[2]), options.require) and name not in required
            for name in wanted_backends)):
        print(f"{options.require} is required, and is not here")
        return 1
    results = play_all(titles, here, options.quick)
    print_table(titles, here, results)
    if options.json:
        write_json(options.json, titles, here, missing, results)
    return 1 if any(results[title, name]["fault"] for title in titles for name in required) else 0


if __name__ == "__main__":
    sys.exit(main())
