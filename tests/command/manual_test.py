#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compares the manual page with the command: `manual_test.py <page> <command>`. Each subcommand and each
flag that --help lists stands in the page, and none that it does not list; and man(1), where it is,
formats the page without a warning."""
import pathlib
import re
import shutil
import subprocess
import sys


def flags_of_help(text):
    return set(re.findall(r"--?[a-z][a-z-]*", " ".join(re.findall(r"^  (-\S+)", text, re.M))))


def flags_of_page(text):
    """Those that are explained: the items of the lists."""
    explained = re.findall(r"^\.It (Fl .*)", text, re.M)
    return {"-" + flag for line in explained for flag in re.findall(r"Fl (\S+)", line)}


def sections(page):
    """The page by subcommand; what stands before them goes by the empty name."""
    parts = re.split(r"^\.S[sh] (?:pollux )?(\w.*)$", page.partition(".Sh DESCRIPTION")[2], flags=re.M)
    return {"": parts[0], **dict(zip(parts[1::2], parts[2::2]))}


def problems(page, command):
    def help_of(*words):
        return subprocess.run([command, *words, "--help"], capture_output=True, text=True,
                              check=True).stdout

    explained = sections(page)
    subcommands = re.findall(r"^  (\w+) ", help_of().partition("Subcommands:")[2], re.M)
    for name in ["", *subcommands]:
        if name not in explained:
            yield f"{name}: not in the page"
            continue
        listed, found = flags_of_help(help_of(*name.split())), flags_of_page(explained[name])
        if name:
            listed -= {"-h", "--help"}  # the page has them once
        for flag in listed ^ found:
            yield f"{name} {flag}: " + ("not in the page" if flag in listed else "no such flag")


def warnings(file):
    if not shutil.which("man"):
        return ""
    done = subprocess.run(["man", "--warnings", "-E", "UTF-8", "-l", file], capture_output=True,
                          text=True, check=False, env={"PATH": "/usr/bin:/bin", "MANWIDTH": "100"})
    return done.stderr if done.stdout else f"{done.stderr}nothing was formatted"


def main():
    file, command = sys.argv[1:]
    found = [*problems(pathlib.Path(file).read_text(encoding="utf-8"), command), warnings(file)]
    print("\n".join(filter(None, found)))
    return 1 if any(found) else 0


if __name__ == "__main__":
    sys.exit(main())
