#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""`workflow.py <root>` reads each workflow in .github/workflows as YAML and checks what a hosted server
would trip over only after a push: that each script called is here, and each preset. Prints what is
wrong, and exits 1 if something is."""
import json
import pathlib
import re
import sys

import yaml

SCRIPT = re.compile(r"(?<![\w./-])(?:bash\s+)?((?:\.ci|scripts)/[\w./-]+)")
PRESET = re.compile(r"--preset[ =](\S+)")
PRESETS_OF_THE_TEST_SCRIPT = re.compile(r"scripts/test((?: [\w-]+)*)\s*$")
KNOWN_COMMANDS = {"bash", "brew", "pkg", "cmake"}


def run_lines(job):
    """Each line of shell in a job, with the number of its step."""
    for number, step in enumerate(job["steps"], 1):
        texts = [step.get("run", "")]
        if isinstance(step.get("with"), dict):
            texts += [step["with"].get(key, "") for key in ("prepare", "run")]
        for text in texts:
            for line in text.splitlines():
                if line.strip():
                    yield number, line.strip()


def faults_of_line(line, root, presets):
    command = line.split()[0]
    if command not in KNOWN_COMMANDS:
        yield f"`{command}` is a command that this check does not know"
    for script in SCRIPT.findall(line):
        if not (root / script).is_file():
            yield f"there is no {script}"
    named = PRESET.findall(line)
    chosen = PRESETS_OF_THE_TEST_SCRIPT.search(line)
    if chosen:
        named += chosen[1].split()
    for preset in named:
        if preset not in presets:
            yield f"there is no preset {preset}"


def faults(root):
    presets = {preset["name"] for preset in
               json.loads((root / "CMakePresets.json").read_text())["configurePresets"]
               if not preset.get("hidden")}
    workflows = sorted((root / ".github/workflows").glob("*.yml"))
    if not workflows:
        yield "there is no workflow"
    for path in workflows:
        jobs = yaml.safe_load(path.read_text()).get("jobs")
        if not jobs:
            yield f"{path.name}: no jobs"
            continue
        for name, job in jobs.items():
            lines = list(run_lines(job))
            if not job.get("runs-on") or not lines:
                yield f"{path.name}: {name}: runs nothing, or nowhere"
            for step, line in lines:
                for fault in faults_of_line(line, root, presets):
                    yield f"{path.name}: {name}, step {step}: {fault}"


def main():
    found = list(faults(pathlib.Path(sys.argv[1])))
    print("\n".join(found) if found else "each script and preset is here")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
