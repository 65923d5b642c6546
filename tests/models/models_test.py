#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes a mistake in a copy of the sources or of their models, and wants scripts/check-models to find it.
With --spin also those that SPIN has to find."""
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


class Copy:
    """The sources in a folder of their own, to be changed."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory()
        shutil.copytree(ROOT / "src", pathlib.Path(self.folder.name, "src"))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.folder.cleanup()

    def replace(self, path, old, new):
        file = pathlib.Path(self.folder.name, path)
        text = file.read_text(encoding="utf-8")
        assert old in text, f"{path} has no {old}"
        file.write_text(text.replace(old, new), encoding="utf-8")

    def check(self, *options):
        done = subprocess.run([sys.executable, "-B", str(ROOT / "scripts/check-models"), "--root",
                               self.folder.name, "--no-install", *options],
                              capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr


class TheOrders(unittest.TestCase):
    def finds(self, path, old, new, what):
        with Copy() as copy:
            copy.replace(path, old, new)
            status, said = copy.check("--orders")
            self.assertEqual(status, 1, said)
            self.assertIn(what, said)

    def test_are_compared_and_agree(self):
        with Copy() as copy:
            self.assertEqual(copy.check("--orders")[0], 0)

    def test_that_the_source_weakens_are_found(self):
        self.finds("src/base/wakeup.hpp", "pending_.fetch_or(what, std::memory_order_seq_cst)",
                   "pending_.fetch_or(what, std::memory_order_acq_rel)",
                   "access 1 is pending_.fetch_or acq_rel; wakeup.pml has pending_.fetch_or seq_cst")

    def test_that_are_not_named_are_those_of_the_language(self):
        self.finds("src/tasks/post_queue.cpp", "waking_.load(std::memory_order_acquire)", "waking_.load()",
                   "is waking_.load seq_cst")

    def test_of_an_access_that_the_model_does_not_have_are_found(self):
        self.finds("src/loop/event_loop.cpp", "  ++loop_.turn;\n",
                   "  ++loop_.turn;\n  count_.fetch_add(1, std::memory_order_relaxed);\n",
                   "access 1 is count_.fetch_add relaxed; event_loop.pml has its end")

    def test_are_missed_with_a_lock(self):
        self.finds("src/tasks/post_queue.cpp", "  const std::lock_guard lock{mutex_};\n  if (posted_.first == n",
                   "  if (posted_.first == n", "post_queue.pml has lock")

    def test_that_the_model_does_not_use_are_found(self):
        self.finds("src/tasks/post_queue.pml", "load_until(WAKING, close_waking, 0)",
                   "load_until(WAKING, acquire, 0)", "nothing uses close_waking")

    def test_come_with_a_word_in_the_source(self):
        self.finds("src/api/poster.cpp", "post_queue.pml", "a model",
                   "no comment points to post_queue.pml")


class Spin(unittest.TestCase):
    LOOP = r"event_loop: two threads call wake\(\), the loop is run"

    def test_finds_a_model_that_fails(self):
        with Copy() as copy:
            for path, old, new in (
                    ("src/base/wakeup.pml", "sleep_asleep    seq_cst", "sleep_asleep    release"),
                    ("src/base/wakeup.hpp", "asleep_.store(true, std::memory_order_seq_cst)",
                     "asleep_.store(true, std::memory_order_release)")):
                copy.replace(path, old, new)
            status, said = copy.check("--only", self.LOOP)
            self.assertEqual(status, 1, said)
            self.assertIn("FAIL event_loop: two threads call wake(), the loop is run(): invalid end", said)

    def test_finds_a_mistake_that_is_none(self):
        with Copy() as copy:
            copy.replace("src/platform/posix/signals.pml", "  store(WATCHES, drop_watches, 0);",
                         "#ifdef MUTANT_NOTHING\n  skip;\n#endif\n  store(WATCHES, drop_watches, 0);")
            status, said = copy.check("--only", "MUTANT_NOTHING")
            self.assertEqual(status, 1, said)
            self.assertIn("FAIL signals: MUTANT_NOTHING: no scenario fails", said)

    def test_finds_a_model_that_is_too_small(self):
        with Copy() as copy:
            copy.replace("src/loop/event_loop.pml", "#define HISTORY 16", "#define HISTORY 2")
            status, said = copy.check("--only", self.LOOP)
            self.assertEqual(status, 1, said)
            self.assertIn("more values of a variable than HISTORY", said)

    def test_finds_a_loop_that_spins(self):
        with Copy() as copy:
            copy.replace("src/loop/event_loop.pml", "  consume(WAKE, is_woken)", "  skip")
            status, said = copy.check("--only", self.LOOP)
            self.assertEqual(status, 1, said)
            self.assertIn("each run comes to an end: non-progress cycle", said)

    def test_is_asked_something(self):
        with Copy() as copy:
            self.assertEqual(copy.check("--only", "no such model")[0], 1)


if __name__ == "__main__":
    if "--spin" not in sys.argv:
        del Spin
    unittest.main(argv=[word for word in sys.argv if word != "--spin"])
