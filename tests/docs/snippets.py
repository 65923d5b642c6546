#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compiles the C++ of Markdown pages as a reader would paste it: each block is a file, with the includes
that it shows and nothing else. A block under a comment <!-- path --> is a part of that file, word for
word, and the page has a link to it; if it begins with an include it is compiled as well."""
import argparse
import pathlib
import re
import subprocess
import sys

BLOCK = re.compile(r"(?:<!-- (?P<file>\S+\.\w+) -->\n)?```cpp\n(?P<code>.*?)```", re.S)


def why_not_compiled(code, arguments):
    compiled = subprocess.run(
        [*arguments.compiler.split(), "-std=c++20", "-Wall", "-Wextra", "-Werror", "-fsyntax-only",
         "-I", arguments.include, "-x", "c++", "-"],
        input=code, text=True, capture_output=True, check=False)
    return compiled.stderr if compiled.returncode else None


def problems_in(page, arguments):
    text = page.read_text()
    blocks = list(BLOCK.finditer(text))
    for block in blocks:
        where = f"{page}:{text[: block.start()].count(chr(10)) + 1}"
        code, file = block["code"], block["file"]
        if file:
            if code not in (arguments.root / file).read_text():
                yield f"{where}: differs from {file}"
            linked = {(page.parent / link).resolve() for link in re.findall(r"\]\(([^)#\s]+)", text)}
            if (arguments.root / file).resolve() not in linked:
                yield f"{where}: a part of {file}, and the page has no link to the whole"
        if not file or code.startswith("#include"):
            errors = why_not_compiled(code, arguments)
            if errors:
                yield f"{where}: does not compile as it stands\n{errors}"
    print(f"{page.name}: {len(blocks)} blocks")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--root", type=pathlib.Path, required=True)
    for name in ("--compiler", "--include"):
        parser.add_argument(name, required=True)
    parser.add_argument("pages", nargs="+", type=pathlib.Path)
    arguments = parser.parse_args()
    problems = [p for page in arguments.pages for p in problems_in(page, arguments)]
    print("\n".join(problems))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
