#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What scripts/mutants rests on: that its edits are those that were meant, the same each time, and that the
list of named ones is about the sources as they are."""
import pathlib
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
import lists  # noqa: E402
import operators  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent

SAMPLE = """
// if (a < b) in a comment
namespace here {
constexpr int size = 3;
struct Thing {
  Thing(int a) : member_{a}, other_{0} { start(a); }
  void stop() noexcept;
  int member_ = 1;
};
void Thing::stop() noexcept {
  if (const auto error = end(); error && ready) return;
  member_ = 5;
  bits |= one | two;
  auto later = [this](int b) { list_.clear(); };
  const char* text = "a < b && true";
  if (std::exchange(flag_, false)) call(member_ + 1, {true, 2});
}
}  // namespace here
"""


def edits(operator, text=SAMPLE):
    """The lines of the text that one operator makes of others, or adds."""
    before = text.splitlines()
    found = []
    for mutant in operators.mutants_of("sample.cpp", text):
        if mutant.operator == operator:
            after = (text[:mutant.start] + mutant.new + text[mutant.end:]).splitlines()
            found.append([line.strip() for line in after if line not in before])
    return found


class Operators(unittest.TestCase):
    def test_an_operator_changes_code_in_functions_and_nothing_else(self):
        self.assertEqual(edits("negate"),
                         [["if (const auto error = end(); !(error && ready)) return;"],
                          ["if (!(std::exchange(flag_, false))) call(member_ + 1, {true, 2});"]])
        self.assertEqual(edits("never")[0],
                         ["if (const auto error = end(); false && (error && ready)) return;"])
        self.assertEqual(edits("drop-assignment"), [[";"]])
        self.assertEqual(edits("drop-call"),
                         [["Thing(int a) : member_{a}, other_{0} { ; }"],
                          ["if (std::exchange(flag_, false)) ;"]])
        self.assertEqual(edits("drop-reset"),
                         [["auto later = [this](int b) { ; };"],
                          ["if ((flag_)) call(member_ + 1, {true, 2});"]])
        self.assertEqual(edits("drop-bit"), [[";"], ["bits |= one;"]])
        self.assertEqual(edits("logic"),
                         [["if (const auto error = end(); error || ready) return;"]])
        self.assertEqual(edits("boundary"), [])
        self.assertEqual(edits("arithmetic"),
                         [["if (std::exchange(flag_, false)) call(member_ - 1, {true, 2});"]])
        self.assertEqual(len(edits("boolean")), 2)
        self.assertEqual(edits("off-by-one")[0], ["member_ = 6;"])
        self.assertEqual(edits("return-early"), [["void Thing::stop() noexcept { return;"]])

    def test_what_other_systems_compile_is_left_alone(self):
        text = "#if defined(__linux__)\nvoid f() { g(); }\n#else\nvoid f() { h(); }\n#endif\n"
        self.assertEqual(edits("drop-call", text), [["void f() { ; }"]])
        self.assertEqual(edits("return-early", text), [["void f() { return; g(); }"]])

    def test_each_operator_finds_something_in_the_sources(self):
        found = {mutant.operator for mutant in operators.all_mutants(ROOT)}
        self.assertEqual(found, set(operators.OPERATORS))


class Mutants(unittest.TestCase):
    def test_have_ids_of_their_own(self):
        ids = [mutant.id for mutant in operators.all_mutants(ROOT) + lists.named(ROOT)[0]]
        self.assertEqual(len(ids), len(set(ids)))
        self.assertGreaterEqual(len(ids), 1000)

    def test_are_chosen_alike_each_time(self):
        def chosen(seed):
            return [mutant.id for mutant in operators.choose(operators.all_mutants(ROOT), seed, 150)]
        self.assertEqual(chosen(1), chosen(1))
        self.assertNotEqual(chosen(1), chosen(2))
        self.assertEqual(len(set(chosen(1))), 150)

    def test_keep_their_ids_when_other_lines_change(self):
        def ids(text):
            return {mutant.id for mutant in operators.mutants_of("sample.cpp", text)}
        self.assertEqual(ids(SAMPLE), ids("\n// new\n" + SAMPLE))

    def test_change_something(self):
        for mutant in operators.all_mutants(ROOT) + lists.named(ROOT)[0]:
            self.assertNotEqual(mutant.old.split(), mutant.new.split(), mutant.id)


class NamedEdits(unittest.TestCase):
    def test_all_apply_to_the_sources_as_they_are(self):
        mutants, wrong = lists.named(ROOT)
        self.assertEqual(wrong, [])
        self.assertGreaterEqual(len(mutants), 10)

    def test_are_reported_if_they_do_not(self):
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            (root / "a.cpp").write_text("f();\ng();\ng();\n", encoding="utf-8")
            entries = [("fits", "a.cpp", "f( );"), ("here", "a.cpp", "f();\n  g();"),
                       ("gone", "a.cpp", "h();"), ("twice", "a.cpp", "g();"), ("nowhere", "b.cpp", "f();")]
            (root / "named.txt").write_text("# a remark\n" + "".join(
                f"== {name} {path}\nwhy\n<<<<\n{old}\n----\n>>>>\n" for name, path, old in entries),
                encoding="utf-8")
            mutants, wrong = lists.named(root, root / "named.txt")
        self.assertEqual([(mutant.id, mutant.old) for mutant in mutants],
                         [("named/here", "f();\ng();")])
        self.assertEqual([line.split(" ")[0] for line in wrong],
                         ["named/fits", "named/gone", "named/twice", "named/nowhere"])

    def test_are_not_passed_over_if_they_cannot_be_read(self):
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder, "named.txt")
            file.write_text("== name a.cpp\n<<<<\nf();\n>>>>\n", encoding="utf-8")
            self.assertEqual(len(lists.named(folder, file)[1]), 1)


class Arguments(unittest.TestCase):
    def test_each_has_a_reason(self):
        for argument in lists.argued():
            self.assertEqual(len(argument), 2, argument)
            self.assertGreater(len(argument[1]), 20, argument)


if __name__ == "__main__":
    unittest.main()
