#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Plants a breach of each rule in a tree that has none, and wants it found: a lint that sees
nothing passes everything."""
import pathlib
import tempfile
import unittest

import lint

SPDX = "// SPDX-License-Identifier: MIT\n"
CLEAN = {
    "CMakeLists.txt": "project(pollux)\n",
    "CHANGELOG.md": "# Changes\n\n## 1.2.3 (unreleased)\n",
    "include/pollux/version.hpp": SPDX + """
#define POLLUX_VERSION_MAJOR 1
#define POLLUX_VERSION_MINOR 2
#define POLLUX_VERSION_PATCH 3
#define POLLUX_VERSION_STRING "1.2.3"
""",
    "include/pollux/backend.hpp": SPDX + "#if defined(_WIN32)\n#endif\n",
    "include/pollux/reactor.hpp": SPDX + "#include <pollux/detail/time.hpp>\n",
    "include/pollux/detail/time.hpp": SPDX,
    "src/CMakeLists.txt": "add_library(pollux core.cpp)\n",
    "src/core.cpp": SPDX + """#include <pollux/backend.hpp>
#include <pollux/detail/time.hpp>
#include <pollux/reactor.hpp>
#include <pollux/version.hpp>
// EPOLLIN and exit() may be spoken of. /* So may printf(). */
const char* word = "POLLIN \\" std::cout";
const char quote = '"';
const auto raw = R"x(abort() " kevent)x";
int count = snprintf(nullptr, 0, "");
""",
    "src/platform/platform.hpp": SPDX + "#ifdef __linux__\nint flags = EPOLLIN;\n#endif\n",
    "src/platform/linux/stream_probes.cpp": SPDX + '#include "platform/platform.hpp"\n',
    "src/platform/CMakeLists.txt": "target_sources(pollux PRIVATE linux/stream_probes.cpp)\n",
    "backends/epoll/CMakeLists.txt": "pollux_backend(epoll SOURCES epoll_backend.cpp)\n",
    "backends/epoll/README.md": "Native words stand here.\n",
    "backends/epoll/epoll_backend.cpp": SPDX + "int flags = EPOLLIN;\n",
    "examples/CMakeLists.txt": "foreach(x echo)\n  add_executable(${x} ${x}.cpp)\nendforeach()\n",
    "examples/echo.cpp": SPDX + "int main() { printf(\"\"); }\n",
    "conformance/support/emulator.hpp": SPDX + "#define NEEDS(it) GTEST_SKIP()\n",
    "tests/CMakeLists.txt": "foreach(x rule)\n  add_test(${x}_test.cpp)\nendforeach()\n",
    "tests/rule_test.cpp": SPDX + "// Not #include <pollux/detail/time.hpp>\n"
                          '#include "conformance/support/emulator.hpp"\n',
    "tests/unit/CMakeLists.txt": "add_executable(unit time_test.cpp)\n",
    "tests/unit/time_test.cpp": SPDX + "#include <pollux/detail/time.hpp>\n",
    "tests/play.py": SPDX.replace("//", "#") + "import os\nimport peers\n\nprint(os.sep, peers.send, peers.LIMIT)\n",
    "tests/peers.py": SPDX.replace("//", "#") + "def send():\n    inner = 1\n\n\nif send:\n    LIMIT = 1\n",
    "build-other/left_over.cpp": "not looked at",
    ".git/config": "not looked at",
}


def breaches(changes):
    with tempfile.TemporaryDirectory() as root:
        for path, text in {**CLEAN, **changes}.items():
            if text is not None:
                file = pathlib.Path(root, path)
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text, encoding="utf-8")
        return lint.breaches(root, "1.2.3")


class LintTest(unittest.TestCase):
    def test_a_clean_tree_has_no_breach(self):
        self.assertEqual(breaches({}), [])

    def test_each_planted_breach_is_found(self):
        core = CLEAN["src/core.cpp"]
        backend = CLEAN["include/pollux/backend.hpp"]
        longest = "x" * 100 + "\n"
        planted = [
            ("columns", "src/core.cpp", core + "y" + longest),
            ("sizes", "src/core.cpp", core + "\n" * 500),
            ("sizes", "backends/epoll/epoll_backend.cpp", SPDX + "\n" * 300),
            ("sizes", "backends/epoll/CMakeLists.txt",
             CLEAN["backends/epoll/CMakeLists.txt"] + "\n" * 10),
            ("sizes", "include/pollux/backend.hpp", backend + "\n" * 200),
            ("sizes", "CMakeLists.txt", "\n" * 151),
            ("native_words", "src/core.cpp", core + "int a = EPOLLRDHUP;\n"),
            ("native_words", "src/core.cpp", core + "int a = POLLIN;  // yes\n"),
            ("native_words", "include/pollux/backend.hpp", backend + "int a = EVFILT_READ;\n"),
            ("native_words", "include/pollux/backend.hpp", backend + "struct kevent a;\n"),
            ("gone_words", "src/core.cpp", core + "int lookout_ = 1;\n"),
            ("private_words", "include/pollux/backend.hpp", SPDX + "#if defined(_WIN32)\n#endif\n/// Hears of it.\n"),
            ("gone_words", "backends/epoll/epoll_backend.cpp", SPDX + "// The Alarm is set.\n"),
            ("gone_words", "tests/unit/a_test.cpp", SPDX + "int times_told = 1;  // told of by nobody\n"),
            ("system_conditions", "src/core.cpp", core + "#ifdef __linux__\n#endif\n"),
            ("system_conditions", "src/core.cpp", core + "# if !defined(_WIN32)\n#endif\n"),
            ("system_conditions", "include/pollux/backend.hpp",
             backend + "#ifdef __APPLE__\n#endif\n"),
            ("output", "src/core.cpp", core + "void f() { printf(word); }\n"),
            ("output", "src/core.cpp", core + "void f() { std::cerr << 1; }\n"),
            ("output", "backends/epoll/epoll_backend.cpp", SPDX + "void f() { std::abort(); }\n"),
            ("output", "include/pollux/backend.hpp", backend + "void f() { ::exit(1); }\n"),
            ("honest_tests", "tests/a.hpp", SPDX + "void f() { GTEST_SKIP(); }\n"),
            ("honest_tests", "tests/a.hpp", SPDX + "auto f = &std::this_thread::sleep_for;\n"),
            ("honest_tests", "conformance/kit/a.hpp", SPDX + "void f() { GTEST_SKIP(); }\n"),
            ("honest_tests", "conformance/support/emulator.hpp", SPDX + "auto f = &::usleep;\n"),
            ("detail_headers", "tools/a.hpp", SPDX + "#include <pollux/detail/a.hpp>\n"),
            ("detail_headers", "conformance/kit/a.hpp", SPDX + '# include "pollux/detail/a.hpp"\n'),
            ("licences", "src/core.cpp", core.removeprefix(SPDX)),
            ("licences", "scripts/x", "#!/bin/sh\n"),
            ("licences", "tests/x.py", "import sys\n"),
            ("dead_files", "src/forgotten.cpp", SPDX),
            ("dead_files", "examples/forgotten.cpp", SPDX),
            ("dead_files", "tests/forgotten_test.cpp", SPDX),
            ("dead_files", "include/pollux/forgotten.hpp", SPDX),
            ("backend_readmes", "backends/epoll/README.md", None),
            ("python_names", "tests/play.py", "import peers\npeers.receive()\n"),
            ("python_names", "tests/play.py", "import peers\n\n\ndef play():\n    return peers.inner\n"),
            ("versions", "CHANGELOG.md", "## 1.2.2\n\n## 1.2.3\n"),
            ("versions", "CHANGELOG.md", None),
            ("versions", "include/pollux/version.hpp",
             CLEAN["include/pollux/version.hpp"].replace("PATCH 3", "PATCH 4")),
            ("machine_paths", "README.md", "look at /" + "home/me/pollux"),
            ("machine_paths", "src/core.cpp", core + '// "/' + 'tmp/x"\n'),
            ("left_open", "src/core.cpp", core + "// TO" + "DO\n"),
            ("class_sizes", "src/core.cpp",
             core + "class A {\n" + "".join(f"  int m{i}_;\n" for i in range(21)) + "};\n"),
            ("class_sizes", "src/core.cpp",
             core + "class A {\n" + "".join(f"  int f{i}();\n" for i in range(41)) + "};\n"),
        ]
        for rule, path, text in planted:
            with self.subTest(rule=rule, path=path, text=text):
                found = breaches({path: text})
                self.assertIn((rule, path), [breach[:2] for breach in found])
        self.assertEqual({rule for rule, _, _ in planted},
                         ({rule.__name__ for rule in lint.RULES} | {"versions"}) - {"room_circles"})

    def test_a_circle_of_rooms_is_found(self):
        def found(second):
            return [breach[:2] for breach in breaches({
                "src/io/a.hpp": SPDX + '#include "loop/b.hpp"\n',
                "src/loop/b.hpp": SPDX + f'#include "{second}"\n'}) if breach[0] == "room_circles"]

        self.assertEqual(found("platform/platform.hpp"), [])
        self.assertEqual(found("io/a.hpp"), [("room_circles", "src/io/a.hpp"),
                                             ("room_circles", "src/loop/b.hpp")])

    def test_the_lines_are_those_of_the_file(self):
        core = CLEAN["src/core.cpp"]
        found = breaches({"src/core.cpp": core + "/* one\n two */ int a = POLLIN;\n"})
        self.assertEqual([breach[2] for breach in found], [core.count("\n") + 2])

    def test_another_version_in_cmake_is_found(self):
        version = CLEAN["include/pollux/version.hpp"].replace("3", "4")
        found = breaches({"include/pollux/version.hpp": version})
        self.assertIn(("versions", "CMakeLists.txt"), [breach[:2] for breach in found])

    def test_an_empty_tree_does_not_pass(self):
        self.assertIn("sources", [breach[0] for breach in breaches(dict.fromkeys(CLEAN))])


if __name__ == "__main__":
    unittest.main()
