#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compiles the C++ of Markdown pages. A block with a class or a function at its start is compiled as a
file, any other as the body of a function; a block under a comment <!-- path --> must stand in that
file word for word."""
import argparse
import pathlib
import re
import subprocess
import sys

BLOCK = re.compile(r"(?:<!-- (?P<file>\S+\.\w+) -->\n)?```cpp\n(?P<code>.*?)```", re.S)


def source_of(code, prelude):
    at_file_level = re.match(r"(#include|class|struct|namespace|template|int main)\b", code)
    body = code if at_file_level else "void snippet() {\n" + code + "}\n"
    return f'#include "{prelude}"\n{body}'


def problems_in(page, arguments):
    blocks = list(BLOCK.finditer(page.read_text()))
    for block in blocks:
        line = page.read_text()[: block.start()].count("\n") + 1
        code = block["code"]
        if block["file"]:
            if code not in (arguments.root / block["file"]).read_text():
                yield f"{page}:{line}: differs from {block['file']}"
            continue
        compiled = subprocess.run(
            [arguments.compiler, "-std=c++20", "-fsyntax-only", "-I", arguments.include, "-x", "c++", "-"],
            input=source_of(code, arguments.prelude), text=True, capture_output=True, check=False)
        if compiled.returncode != 0:
            yield f"{page}:{line}: does not compile\n{compiled.stderr}"
    print(f"{page.name}: {len(blocks)} blocks")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--root", type=pathlib.Path, required=True)
    for name in ("--compiler", "--prelude", "--include"):
        parser.add_argument(name, required=True)
    parser.add_argument("pages", nargs="+", type=pathlib.Path)
    arguments = parser.parse_args()
    problems = [p for page in arguments.pages if page.exists() for p in problems_in(page, arguments)]
    print("\n".join(problems))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
