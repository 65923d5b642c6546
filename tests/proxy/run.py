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


def arguments(description):
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--proxy", action="append", metavar="NAME", help="only this one; may be repeated")
    parser.add_argument("--pollux", metavar="PROGRAM", help="the command pollux")
    parser.add_argument("--backend", action="append", metavar="NAME",
                        help="of pollux, only this one; may be repeated")
    parser.add_argument("--require", metavar="NAME", help="exit status 1 if a case fails on this proxy")
    parser.add_argument("--only", default="", metavar="REGEX", help="only cases whose title matches")
    parser.add_argument("--quick", action="store_true", help="less of everything: 20 MB in place of 100 MB")
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


def play_all(titles, here, play):
    results = {}
    for proxy in here:
        for title in titles:
            start = time.monotonic()
            remark, fault = play(title, proxy)
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


def write_json(path, titles, sees, here, missing, results):
    with open(path, "w", encoding="utf-8") as file:
        json.dump({
            "proxies": {proxy.name: {"version": proxy.version(), "settings": proxy.settings}
                        for proxy in here},
            "missing": missing,
            "cases": [{"title": title, "sees": sees(title),
                       "results": {proxy.name: results[title, proxy.name] for proxy in here}}
                      for title in titles]}, file, indent=1)


def required_here(options, here):
    """The names of those that have to pass; None if one of them cannot run."""
    if not options.require:
        return []
    wanted = [f"pollux/{name}" for name in options.backend or []] if options.require == "pollux" else []
    names = [proxy.name for proxy in here if is_called(proxy, options.require)]
    return names if names and set(wanted) <= set(names) else None


def run(description, choose, play, sees):
    """The command: `choose(pattern)` gives titles, and why others cannot be played; `play(title, proxy, quick)`
    gives a remark and a fault; `sees(title)` describes it. The exit status."""
    options = arguments(description)
    titles, left_out = choose(options.only)
    if options.list:
        print("\n".join(titles))
        return 0
    peers.PATIENCE_S = options.patience
    here, missing = proxies_here(options)
    missing.update(left_out)
    for name, why in missing.items():
        print(f"left out: {name}: {why}")
    required = required_here(options, here)
    if required is None:
        print(f"{options.require} is required, and is not here")
        return 1
    if not titles or not here:
        print("There is nothing to play.")
        return 1
    results = play_all(titles, here, lambda title, proxy: play(title, proxy, options.quick))
    print_table(titles, here, results)
    if options.json:
        write_json(options.json, titles, sees, here, missing, results)
    return 1 if any(results[title, name]["fault"] for title in titles for name in required) else 0


def main():
    return run(__doc__.partition("\n")[0], lambda pattern: (histories.chosen(pattern), {}), histories.play,
               lambda title: histories.CASES[title].sees)


if __name__ == "__main__":
    sys.exit(main())
