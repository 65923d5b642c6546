# SPDX-License-Identifier: MIT
"""C++ source as text, as far as a mutant needs it: what is code and what is a comment, which places are
inside of a function, where statements and parentheses end. It knows this project's way of writing, and no
more of the language; a mistake of it makes a mutant that does not compile."""
import collections
import re

Statement = collections.namedtuple("Statement", "start end function")

SCOPE = re.compile(r"(inline\s+)?namespace\b|(template\s*<.*>\s*)?(class|struct|union|enum)\b|extern\s*$", re.S)
LAMBDA = re.compile(r"\[[^\[\]]*\]\s*(\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\))?"
                    r"\s*(mutable|noexcept|->\s*[\w:<>&* ]+|\s)*$")
BLOCK = re.compile(r"([)}]|\b(const|noexcept|override|final|else|do|try))$|\)\s*(const|noexcept|\s)*"
                   r"->\s*[\w:<>&* ]+$")
LABEL = re.compile(r"(case\b[^?]*|default|public|private|protected)$")


def mask(text):
    """The text with comments, literals of text, and the preprocessor's lines blanked out; every place stays
    where it is."""
    comment = r"//[^\n]*|/\*(?:.|\n)*?\*/"
    raw = r'R"(?P<mark>[^(\s]*)\((?:.|\n)*?\)(?P=mark)"'
    plain = r'"(?:\\.|[^"\\\n])*"' + r"|(?<!\w)'(?:\\.|[^'\\\n])+'"
    directive = r"(?m:^)[ \t]*#(?:\\\n|[^\n])*"

    def blank(match):
        found = match[0]
        inner = re.sub(r"[^\n]", " ", found)
        return inner if found[0] in "/# \t" else '"' + inner[1:-1] + '"'
    return re.sub(f"{comment}|{raw}|{plain}|{directive}", blank, without_other_systems(text))


def without_other_systems(text):
    """What follows the #else of a condition for Linux is not compiled here."""
    lines, depth, blanked = text.splitlines(keepends=True), [], []
    for line in lines:
        word = re.match(r"\s*#\s*(if|ifdef|ifndef|else|elif|endif)\b", line)
        if word and word[1].startswith("if"):
            depth.append("here" if re.search(r"__linux__|\bSYS_", line) else "")
        elif word and word[1] in ("else", "elif") and depth and depth[-1] == "here":
            depth[-1] = "elsewhere"
        elif word and word[1] == "endif" and depth:
            depth.pop()
        elif "elsewhere" in depth:
            line = re.sub(r"[^\n]", " ", line)
        blanked.append(line)
    return "".join(blanked)


def closing(text, opening):
    """Where the parenthesis at `opening` is closed, or -1."""
    pairs = {"(": ")", "[": "]", "{": "}"}
    depth = 0
    for place in range(opening, len(text)):
        if text[place] in pairs:
            depth += 1
        elif text[place] in pairs.values():
            depth -= 1
            if depth == 0:
                return place
    return -1


class Source:
    """One file: `masked`, `code` (a byte a character: 1 inside of a function), `statements`, and
    `functions` (the header, and where the body begins)."""

    def __init__(self, text):
        self.text = text
        self.masked = mask(text)
        self.code = bytearray(len(text))
        self.statements = []
        self.functions = []
        self._parse()

    def line(self, place):
        return self.text.count("\n", 0, place) + 1

    def line_text(self, place):
        start = self.text.rfind("\n", 0, place) + 1
        end = self.text.find("\n", place)
        return self.text[start:end if end >= 0 else len(self.text)].strip()

    def _parse(self):
        masked = self.masked
        kinds, saved = ["scope"], []
        depth = start = 0
        function = ""
        for place, character in enumerate(masked):
            if next((kind for kind in reversed(kinds) if kind != "init"), "") in ("code", "lambda"):
                self.code[place] = 1
            if character in "([":
                depth += 1
            elif character in ")]":
                depth -= 1
            elif character == "{":
                header = masked[start:place].strip()
                kind = self._kind(header, kinds[-1], depth)
                saved.append((depth, start, function))
                if kind == "code" and kinds[-1] == "scope":
                    function = header
                    self.functions.append((header, place + 1))
                kinds.append(kind)
                if kind != "init":
                    depth, start = 0, place + 1
            elif character == "}" and saved:
                kind = kinds.pop()
                depth, before, function = saved.pop()
                if kind == "init" or kind == "lambda":
                    start = before
                else:
                    start = place + 1
            elif character == ";" and depth == 0 and kinds[-1] != "init":
                if kinds[-1] in ("code", "lambda"):
                    self._add_statement(start, place + 1, function)
                start = place + 1
            elif character == ":" and depth == 0 and "::" not in masked[place - 1:place + 2]:
                if LABEL.match(masked[start:place].strip()):
                    start = place + 1

    def _kind(self, header, parent, depth):
        if parent == "init":
            return "lambda" if LAMBDA.search(header) and header[-1:] in ")]" else "init"
        if SCOPE.match(header) and depth == 0:
            return "scope"
        if LAMBDA.search(header):
            return "lambda"
        if depth == 0 and (header == "" and parent != "scope" or BLOCK.search(header)):
            return "code"
        return "init"

    def _add_statement(self, start, end, function):
        """Without what stands before it: `if (...)`, `else`, `for (...)`."""
        while True:
            start += len(self.masked[start:end]) - len(self.masked[start:end].lstrip())
            word = re.match(r"(else|do)\b|(if|for|while|switch)\s*(constexpr\s*)?\(",
                            self.masked[start:end])
            if not word:
                break
            start = (closing(self.masked, start + word.end() - 1) + 1 if word[0].endswith("(")
                     else start + word.end())
        if self.masked[start:end].strip() not in ("", ";"):
            self.statements.append(Statement(start, end, function))
