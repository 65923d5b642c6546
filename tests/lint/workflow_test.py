#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""That workflow.py finds each thing that it is there to find."""
import json
import pathlib
import tempfile
import unittest

import workflow

SOUND = """
jobs:
  linux:
    runs-on: ubuntu
    steps:
      - uses: actions/checkout@v4
      - run: |
          bash scripts/test debug
          cmake --preset release -DA=B
"""


class AWorkflow(unittest.TestCase):
    def faults(self, text, presets=("debug", "release")):
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            (root / "scripts").mkdir()
            (root / "scripts/test").touch()
            (root / ".github/workflows").mkdir(parents=True)
            (root / ".github/workflows/ci.yml").write_text(text)
            (root / "CMakePresets.json").write_text(json.dumps(
                {"configurePresets": [{"name": name} for name in presets]}))
            return list(workflow.faults(root))

    def test_is_sound(self):
        self.assertEqual(self.faults(SOUND), [])

    def test_calls_a_script_that_is_not_here(self):
        for text in (SOUND.replace("scripts/test", "scripts/gone"),
                     SOUND.replace("- run:", "- with:\n          usesh: true\n        run:")
                          .replace("bash scripts/test", "bash .ci/gone")):
            self.assertEqual(len(self.faults(text)), 1, text)

    def test_calls_a_script_inside_of_a_virtual_machine(self):
        text = SOUND.replace("      - run: |", "      - with:\n         run: |")
        self.assertEqual(self.faults(text), [])
        self.assertEqual(len(self.faults(text.replace("scripts/test", "scripts/gone"))), 1)

    def test_names_a_preset_that_is_not_here(self):
        self.assertEqual(len(self.faults(SOUND, ["debug"])), 1)
        self.assertEqual(len(self.faults(SOUND, ["release"])), 1)

    def test_calls_an_unknown_command(self):
        self.assertEqual(len(self.faults(SOUND.replace("cmake --", "cmkae --"))), 1)

    def test_has_a_job_that_runs_nothing(self):
        self.assertEqual(len(self.faults(SOUND.split("      - run")[0])), 1)
        self.assertEqual(len(self.faults(SOUND.replace("    runs-on: ubuntu\n", ""))), 1)

    def test_has_no_jobs(self):
        self.assertEqual(len(self.faults("name: ci\n")), 1)


if __name__ == "__main__":
    unittest.main()
