#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The rules of the house that a script can see. `lint.py <root> <version>` prints each breach as
`file:line: rule: what` and exits 1 if there is one. What only a compiler sees is left to
clang-tidy."""
import ast
import os
import pathlib
import re
import sys

SOURCE = (".hpp", ".cpp", ".cpp.in")
ROOMS = ("include/", "src/", "backends/", "conformance/", "tests/", "tools/", "bench/",
         "examples/")
LIBRARY = ("include/", "src/", "backends/")
# Who may include pollux/detail/: the library, and those of our own tests that are about it.
MACHINERY = LIBRARY + ("tests/unit/", "tests/support/")
GONE_WORD = re.compile(r"(?i)(?<!::)\b(doorbell|(?:\w+_)?bell_?|lookout_?|calm_?|muted?|alarm_?|deaf|rung|nudged|unsettles?|"
                       r"NoticeTable|Looker|graveyard_?|bury|exhume|ReactorCore|AskFirst|EndHandle|distrusted)\b")
GONE_NAME = re.compile(r"\b(\w+_)?(tells?|told|hears?|heard)(_\w*)?\b")
SIZES = ((r"backends/.*\.cpp", 300), (r"src/.*\.[ch]pp", 500),
         (r"include/pollux/backend\.hpp", 200), (r"CMakeLists\.txt", 150),
         (r"backends/[^/]*/CMakeLists\.txt", 10))

NATIVE_WORD = re.compile(
    r"\b(EPOLL\w*|epoll_\w+|POLL(IN|OUT|ERR|HUP|NVAL|PRI|RDHUP)|kevent\w*|EVFILT_\w+)\b")
SYSTEM_CONDITION = re.compile(
    r"^\s*#\s*(el)?if.*\b"
    r"(_WIN32|_WIN64|_MSC_VER|__(linux|APPLE|unix|FreeBSD|NetBSD|OpenBSD)(__)?)\b")
OUTPUT = re.compile(
    r"\bstd::(cout|cerr|clog|terminate)\b|<iostream>"
    r"|\b(printf|fprintf|puts|fputs|perror|(?<!void )(?<!Stream::)(?<!Relay::)abort|_?exit)\s*\(")
# But for the one macro for what an emulator of another processor does not have.
MAY_SKIP = "conformance/support/emulator.hpp"
NO_TEST = re.compile(r"\b(GTEST_SKIP|DISABLED_\w*|sleep_for|sleep_until|usleep|nanosleep)\b")
MACHINE_PATH = re.compile(r"(?<![\w.}*-])/(root|home|tmp)\b")
DETAIL_HEADER = re.compile(r"^\s*#\s*include\s*[<\"]pollux/detail/[^>\"]+[>\"]")
LEFT_OPEN = re.compile(r"\b(TODO|FIXME|XXX)\b")


class Tree:
    """The files of a source tree, without what is built or private."""

    def __init__(self, root):
        self.texts = {}
        root = pathlib.Path(root)
        for folder, folders, files in os.walk(root):
            at_root = pathlib.Path(folder) == root
            folders[:] = [f for f in folders if f in (".ci", ".github") or not (
                f.startswith(".") or f == "__pycache__" or at_root and re.match(r"build|out$", f))]
            for file in files:
                path = pathlib.Path(folder, file)
                try:
                    self.texts[path.relative_to(root).as_posix()] = path.read_text(encoding="utf-8")
                except UnicodeDecodeError:
                    pass  # a picture, for instance

    def sources(self, rooms=ROOMS):
        return {path: text for path, text in self.texts.items()
                if path.startswith(rooms) and path.endswith(SOURCE)}


def code_of(text):
    """C++ without comments and the insides of literals; lines stay where they are."""
    comment = r"//[^\n]*|/\*(?:.|\n)*?\*/"
    raw = r'R"(?P<mark>[^(\s]*)\((?:.|\n)*?\)(?P=mark)"'
    plain = r'"(?:\\.|[^"\\\n])*"' + r"|(?<!\w)'(?:\\.|[^'\\\n])+'"

    def blank(match):
        lines = "\n" * match[0].count("\n")
        return lines if match[0].startswith("/") else '""' + lines
    return re.sub(f"{comment}|{raw}|{plain}", blank, text)


def lines_matching(pattern, text):
    for number, line in enumerate(text.splitlines(), 1):
        found = pattern.search(line)
        if found:
            yield number, found[0].strip()


def columns(tree):
    for path, text in tree.sources().items():
        for number, line in enumerate(text.splitlines(), 1):
            if len(line) > 100:
                yield path, number, f"{len(line)} columns; 100 are the limit"


def sizes(tree):
    for path, text in tree.texts.items():
        for pattern, limit in SIZES:
            count = len(text.splitlines())
            if re.fullmatch(pattern, path) and count > limit:
                yield path, count, f"{count} lines; {limit} are the limit"


def native_words(tree):
    for path, text in tree.sources(("include/", "src/")).items():
        if not path.startswith("src/platform/"):
            for number, word in lines_matching(NATIVE_WORD, code_of(text)):
                yield path, number, f"{word} belongs in a backend or in src/platform"


def gone_words(tree):
    """Private words that the field's terms have replaced (docs/glossary.md)."""
    for path, text in tree.sources().items():
        code = code_of(text)
        for number, word in [*lines_matching(GONE_WORD, text), *lines_matching(GONE_NAME, code)]:
            yield path, number, f"`{word}` is a word of the past: see docs/glossary.md"


def system_conditions(tree):
    for path, text in tree.sources().items():
        if path.startswith(("backends/", "src/platform/")):
            continue
        found = list(lines_matching(SYSTEM_CONDITION, code_of(text)))
        if path == "include/pollux/backend.hpp":
            found = found[1:]  # the handle's type
        for number, condition in found:
            yield path, number, f"`{condition}` belongs in a backend or in src/platform"


def output(tree):
    for path, text in tree.sources(LIBRARY).items():
        for number, word in lines_matching(OUTPUT, code_of(text)):
            yield path, number, f"{word}: the library never prints and never ends the program"


def honest_tests(tree):
    for path, text in tree.sources(("conformance/", "tests/", "bench/")).items():
        for number, word in lines_matching(NO_TEST, code_of(text)):
            if path == MAY_SKIP and word == "GTEST_SKIP":
                continue
            yield path, number, f"{word}: a test neither skips nor sleeps"


def detail_headers(tree):
    for path, text in tree.sources().items():
        if not path.startswith(MACHINERY):
            for number, include in lines_matching(DETAIL_HEADER, text):
                yield path, number, f"{include}: pollux/detail/ is for the library alone"


def licences(tree):
    for path, text in tree.texts.items():
        script = path.endswith(".py") or text.startswith("#!")
        if script or path.endswith((*SOURCE, ".pml")):
            if "SPDX-License-Identifier: MIT" not in "\n".join(text.splitlines()[:2]):
                yield path, 1, "the line SPDX-License-Identifier: MIT is missing at the top"


PRIVATE_WORD = re.compile(r"(?i)\b(tells?|told|hears?|heard|looks?|looked|rings?|ado|notices\b(?!\s+in))\b"
                          r"|\brefusal\s*\(")


def private_words(tree):
    """What a user reads is in the field's words: deliver, report, probe (docs/glossary.md)."""
    for path, text in tree.sources(("include/",)).items():
        for number, word in lines_matching(PRIVATE_WORD, text):
            yield path, number, f"`{word}` is private language: see docs/glossary.md"


def room_circles(tree):
    """The rooms of src/ stand on each other, and none on itself by way of others."""
    arrows = {}
    for path, text in tree.sources(("src/",)).items():
        room = path.split("/")[1]
        for number, line in enumerate(text.splitlines(), 1):
            included = re.match(r'\s*#\s*include\s*"(\w+)/', line)
            if included and included[1] != room:
                arrows.setdefault(room, {}).setdefault(included[1], (path, number))

    def floors_below(room, seen=()):
        """All that it stands on, directly or by way of others."""
        for other in set(arrows.get(room, ())) - set(seen):
            seen = floors_below(other, (*seen, other))
        return seen

    for room, others in sorted(arrows.items()):
        for other, place in sorted(others.items()):
            if room in floors_below(other):
                yield *place, f"{room} includes {other}, and is included by way of it"


def classes_of(code):
    """Each class or struct with a body: its name, where that begins and ends."""
    for head in re.finditer(r"\b(?:class|struct)\s+(?:alignas\(\w+\)\s+)?(\w+(?:::\w+)*)[^;{}()]*\{", code):
        depth, end = 1, head.end()
        while depth and end < len(code):
            depth += {"{": 1, "}": -1}.get(code[end], 0)
            end += 1
        yield head[1], head.start(), head.end(), end - 1


def members_of(body):
    """How many data members and functions a class declares."""
    data = functions = depth = 0
    statement = ""
    for char in body:
        depth += {"{": 1, "(": 1, "}": -1, ")": -1}.get(char, 0)
        statement += char
        if depth or char not in ";}":
            continue
        flat = re.sub(r"\b(public|private|protected)\s*:", "", statement).strip()
        if char == "}" and not re.search(r"\)[^(){]*\{|\btry\b", flat):
            continue  # an initializer, or a nested type: goes on to its semicolon
        statement = ""
        if not flat or flat == ";" or re.match(r"(using|friend|typedef|enum|class|struct|static_assert"
                                               r"|template\s*<[^>]*>\s*(friend|class|struct))\b", flat):
            continue
        if re.search(r"\(", re.split(r"[={]", flat)[0]) or "operator" in flat:
            functions += 1
        elif not re.match(r"static\b", flat):
            data += 1
    return data, functions


def class_sizes(tree):
    """A class of more is several services."""
    for path, text in tree.sources(("src/",)).items():
        code = code_of(text)
        for name, start, begin, end in classes_of(code):
            data, functions = members_of(code[begin:end])
            if data > 20 or functions > 40:
                yield (path, code.count("\n", 0, start) + 1,
                       f"{name} has {data} data members and {functions} functions; "
                       "20 and 40 are the limits")


def dead_files(tree):
    """Every source is named by some CMake file; every header is, or is included somewhere."""
    includes = {pathlib.PurePosixPath(name).name for text in tree.texts.values()
                for name in re.findall(r'#\s*include\s*["<]([^">]+)[">]', text)}
    cmake = {path: re.sub(r"#.*", "", text) for path, text in tree.texts.items()
             if path.endswith(("CMakeLists.txt", ".cmake"))}
    for path in tree.sources():
        file = pathlib.PurePosixPath(path)
        names = [file.name]
        # From a list of words: ${word}_test.cpp
        own = cmake.get(f"{file.parent}/CMakeLists.txt", "")
        for ending in re.findall(r"\$\{\w+\}([\w.-]*\.cpp)", own):
            if file.name.endswith(ending):
                names.append(file.name.removesuffix(ending))
        named = any(re.search(rf"(?<![\w.-]){re.escape(name)}(?![\w.-])", text)
                    for name in names for text in cmake.values())
        if not named and not (file.suffix == ".hpp" and file.name in includes):
            yield path, 1, "is neither in a CMakeLists.txt nor included anywhere"


def backend_readmes(tree):
    backends = {path.split("/")[1] for path in tree.texts if re.match("backends/[^/]+/", path)}
    for backend in sorted(backends):
        if f"backends/{backend}/README.md" not in tree.texts:
            yield f"backends/{backend}/README.md", 1, "is missing"


def versions(tree, cmake_version):
    header = "include/pollux/version.hpp"
    macros = dict(re.findall(r"#define POLLUX_VERSION_(\w+) \"?([\d.]+)\"?",
                             tree.texts.get(header, "")))
    version = macros.get("STRING")
    if version != ".".join(macros.get(part, "?") for part in ("MAJOR", "MINOR", "PATCH")):
        yield header, 1, f"the macros contradict each other: {macros}"
    if cmake_version != version:
        yield "CMakeLists.txt", 1, f"the version is {cmake_version} here, and {version} in {header}"
    heading = re.search(r"^## (\S+)", tree.texts.get("CHANGELOG.md", ""), re.M)
    if not heading or heading[1] != version:
        yield "CHANGELOG.md", 1, f"does not begin with {version}"


def names_at_top(module):
    """What a Python module has for others: also in a branch, but not inside a function or a class."""
    names, nodes = set(), list(module.body)
    while nodes:
        node = nodes.pop()
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names.add(node.name)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            names |= {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
        else:
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                names.add(node.id)
            nodes += ast.iter_child_nodes(node)
    return names


def python_names(tree):
    """What one of our Python files takes from another beside it is there. Some are run by hand alone."""
    modules = {path: ast.parse(text) for path, text in tree.texts.items() if path.endswith(".py")}
    for path, module in modules.items():
        nodes = list(ast.walk(module))
        there = {}
        for name in (alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names):
            beside = modules.get(f"{pathlib.PurePosixPath(path).parent}/{name}.py")
            if beside:
                there[name] = names_at_top(beside)
        for node in nodes:
            if (isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in there
                    and node.attr not in there[node.value.id]):
                yield path, node.lineno, f"{node.value.id}.py has no {node.attr}"


def machine_paths(tree):
    for path, text in tree.texts.items():
        for number, found in lines_matching(MACHINE_PATH, text):
            yield path, number, f"{found} is a place on somebody's machine"


def left_open(tree):
    for path, text in tree.sources().items():
        for number, word in lines_matching(LEFT_OPEN, text):
            yield path, number, f"{word} is for an issue, not for the code"


RULES = (columns, sizes, room_circles, class_sizes, native_words, gone_words, private_words, system_conditions, output,
         honest_tests, detail_headers, licences, dead_files, backend_readmes, python_names, machine_paths,
         left_open)


def breaches(root, cmake_version):
    tree = Tree(root)
    found = [(rule.__name__, *breach) for rule in RULES for breach in rule(tree)]
    found += [("versions", *breach) for breach in versions(tree, cmake_version)]
    if len(tree.sources()) == 0:
        found.append(("sources", str(root), 0, "there are none here"))
    return found


def main():
    found = breaches(sys.argv[1], sys.argv[2])
    for rule, path, line, what in found:
        print(f"{path}:{line}: {rule}: {what}")
    print(f"{len(found)} breaches of {len(RULES) + 1} rules")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
