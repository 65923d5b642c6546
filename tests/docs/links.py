#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Checks that the relative links of Markdown pages lead to files that exist."""
import pathlib
import re
import sys

broken = []
for page in map(pathlib.Path, sys.argv[1:]):
    prose = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    for target in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", prose):
        if not (page.parent / target).exists():
            broken.append(f"{page}: {target}")
print("\n".join(broken) or "all links lead somewhere")
sys.exit(1 if broken else 0)
