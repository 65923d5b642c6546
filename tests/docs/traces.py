#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Checks that what a page shows as a program's output is what the program prints. A block that follows a
line <!-- trace --> begins with the command, `$ VARIABLE=value path/program argument`; the program is the one
that is given here. Times are blanked, descriptors are numbered as they come, and what only some kernels
ask for is left out. With --write the page's blocks are made anew."""
import argparse
import os
import pathlib
import re
import subprocess
import sys

BLOCK = re.compile(r"(?P<head><!-- trace -->\n```console\n\$ (?P<command>[^\n]*)\n)(?P<output>.*?)(?=```)", re.S)


def comparable(text):
    text = re.sub(r"\d+\.\d{6}", "0.000000", text)
    text = re.sub(r"\d+ turns", "some turns", text)
    text = re.sub(r"(?<=for in) pri\b", "", text)
    numbers = {}
    return re.sub(r"\bfd (\d+)", lambda fd: f"fd {numbers.setdefault(fd[1], len(numbers))}", text)


def output_of(command, arguments):
    """What the command of a block prints; what it sets is set, and what a shell may have set is not."""
    *settings, program, symptom = command.split()
    if pathlib.Path(program).name != arguments.program.name:
        sys.exit(f"{command}: the program is {arguments.program.name}")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("POLLUX_")}
    environment.update(setting.split("=", 1) for setting in settings)
    environment["POLLUX_BACKEND"] = arguments.backend
    run = subprocess.run([arguments.program, symptom], env=environment, stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT, text=True, check=False, timeout=30)
    return run.stdout if run.returncode == 0 else f"{run.stdout}exit {run.returncode}\n"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", type=pathlib.Path, required=True)
    parser.add_argument("--backend", required=True)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("page", type=pathlib.Path)
    arguments = parser.parse_args()
    page = arguments.page.read_text()
    if arguments.write:
        arguments.page.write_text(BLOCK.sub(
            lambda block: block["head"] + output_of(block["command"], arguments), page))
        return 0
    blocks = list(BLOCK.finditer(page))
    wrong = 0
    for block in blocks:
        # On a busy machine any handler may take long, and say so: the best of several is judged.
        for _ in range(5):
            printed = output_of(block["command"], arguments)
            if comparable(printed) == comparable(block["output"]):
                break
        else:
            wrong += 1
            print(f"{block['command']}\n-- the page has\n{block['output']}-- it prints\n{printed}")
    usage = subprocess.run([arguments.program], stderr=subprocess.PIPE, text=True, check=False).stderr
    unshown = set(usage.split("one of")[1].split()) - {block["command"].split()[-1] for block in blocks}
    if unshown:
        print(f"not on the page: {' '.join(sorted(unshown))}")
    print(f"{len(blocks)} traces, {wrong} differ")
    return 1 if wrong or unshown or not blocks else 0


if __name__ == "__main__":
    sys.exit(main())
