# SPDX-License-Identifier: MIT
"""The operators: each yields edits (start, end, replacement) of one source. A mutant is one of them."""
import collections
import hashlib
import pathlib
import re

from cpp_text import Source, closing

Mutant = collections.namedtuple("Mutant", "id path line operator start end new old why")

# What no build on this system compiles.
ELSEWHERE = re.compile(r"portable|windows|kqueue")
LIBRARY = ("src", "backends", "include/pollux/asio.hpp")

RESETS = r"(?:clear|reset|erase|pop|drop|remove|release|forget|cancel|unlink|disarm|disown|close)\w*"


def conditions(source):
    """The condition of each `if`: where it begins and ends, without what is declared before it."""
    for found in re.finditer(r"\bif\s*\(", source.masked):
        opening = found.end() - 1
        end = closing(source.masked, opening)
        if end < 0 or not source.code[opening]:
            continue
        start, depth = opening + 1, 0
        for place in range(opening + 1, end):
            depth += (source.masked[place] in "([{") - (source.masked[place] in ")]}")
            if source.masked[place] == ";" and depth == 0:
                start = place + 1
        start += len(source.masked[start:end]) - len(source.masked[start:end].lstrip())
        yield start, end


def negate(source):
    for start, end in conditions(source):
        text = source.text[start:end]
        declared = re.match(r"(?:const\s+)?[\w:<>]+[*&]?\s*(?:\*\s*)?(?:const\s+)?&?(\w+)\s*=[^=]",
                            source.masked[start:end])
        yield start, end, f"{text}; !{declared[1]}" if declared else f"!({text})"


def never(source):
    """What an `if` guards is left out: an error that is not looked at, for instance."""
    for start, end in conditions(source):
        text = source.text[start:end]
        declared = re.match(r"(?:const\s+)?[\w:<>]+[*&]?\s*(?:\*\s*)?(?:const\s+)?&?\w+\s*=[^=]",
                            source.masked[start:end])
        yield start, end, f"{text}; false" if declared else f"false && ({text})"


def statements(source, pattern):
    for statement in source.statements:
        text = source.masked[statement.start:statement.end]
        if re.match(pattern, text, re.S):
            yield statement.start, statement.end


def drop_call(source):
    call = r"(?:\w|::|\.|->|\[[^\]]*\])+\s*\(.*\);$"
    for start, end in statements(source, call):
        text = source.masked[start:end]
        if not re.match(r"(return|throw|delete|new|static_assert|assert|co_\w+)\b", text) and \
                not re.match(rf"(?:[\w:]|\.|->|\[[^\]]*\])*\b{RESETS}\(", text):
            yield start, end, ";"


def drop_reset(source):
    for start, end in statements(source, rf"(?:[\w:]|\.|->|\[[^\]]*\])*\b{RESETS}\(.*\);$"):
        yield start, end, ";"
    for found in re.finditer(r"\bstd::exchange\(", source.masked):
        end = closing(source.masked, found.end() - 1)
        depth = 0
        for place in range(found.end(), end if source.code[found.start()] else 0):
            depth += (source.masked[place] in "([{") - (source.masked[place] in ")]}")
            if source.masked[place] == "," and depth == 0:
                yield found.start(), end + 1, f"({source.text[found.end():place]})"
                break


def drop_assignment(source):
    target = r"(?:\*?(?:\w|\.|->|\[[^\]]*\])+)"
    for start, end in statements(source, rf"{target}\s*(=|\+=|-=|&=|>>=|<<=)[^=].*;$|(\+\+|--)\w.*;$"):
        yield start, end, ";"


def drop_bit(source):
    for start, end in statements(source, r"(?:\w|\.|->|\[[^\]]*\])+\s*\|=.*;$"):
        yield start, end, ";"
    for found in re.finditer(r" \| (?:\w|::|\()+", source.masked):
        if source.code[found.start()] and "(" not in found[0]:
            yield found.start(), found.end(), ""


def swap(pairs):
    pattern = re.compile("|".join(rf"(?<= ){re.escape(word)}(?= )" for word in pairs))

    def operator(source):
        for found in pattern.finditer(source.masked):
            line = source.line_text(found.start())
            if source.code[found.start()] and not line.startswith("template"):
                yield found.start(), found.end(), pairs[found[0]]
    return operator


def boolean(source):
    for found in re.finditer(r"\b(true|false)\b", source.masked):
        if source.code[found.start()]:
            yield found.start(), found.end(), "false" if found[0] == "true" else "true"


def off_by_one(source):
    for found in re.finditer(r"(?<![\w.:])\d+(?![\w.]|\s*:)", source.masked):
        if source.code[found.start()] and not re.match(r"\s*(static_assert|case)\b",
                                                       source.line_text(found.start())):
            yield found.start(), found.end(), str(int(found[0]) + 1)


def return_early(source):
    for header, body in source.functions:
        if re.search(r"(^|\s)void\s+[\w:]+\s*\(", header):
            yield body, body, " return;"


OPERATORS = {
    "negate": negate,
    "never": never,
    "drop-call": drop_call,
    "drop-reset": drop_reset,
    "drop-assignment": drop_assignment,
    "drop-bit": drop_bit,
    "boundary": swap({"<": "<=", "<=": "<", ">": ">=", ">=": ">"}),
    "equality": swap({"==": "!=", "!=": "=="}),
    "logic": swap({"&&": "||", "||": "&&"}),
    "arithmetic": swap({"+": "-", "-": "+"}),
    "boolean": boolean,
    "off-by-one": off_by_one,
    "return-early": return_early,
}


def sources(root):
    root = pathlib.Path(root)
    for place in LIBRARY:
        found = [root / place] if place.endswith(".hpp") else sorted((root / place).rglob("*.[ch]pp"))
        for path in found:
            relative = path.relative_to(root).as_posix()
            if path.is_file() and not ELSEWHERE.search(relative):
                yield relative, path.read_text(encoding="utf-8")


def mutants_of(path, text):
    """All of one file. The id holds when the lines around it move: it is made of the file's name, the
    operator, the line's text, and which of several on equal lines it is."""
    source = Source(text)
    counts = collections.Counter()
    for operator, edits in OPERATORS.items():
        for start, end, new in sorted(set(edits(source))):
            line = source.line_text(start)
            counts[operator, line] += 1
            key = f"{path}|{operator}|{line}|{counts[operator, line]}"
            digest = hashlib.sha256(key.encode()).hexdigest()[:6]
            yield Mutant(f"{pathlib.PurePath(path).name}/{operator}/{digest}", path,
                         source.line(start), operator, start, end, new, text[start:end], "")


def all_mutants(root):
    return [mutant for path, text in sources(root) for mutant in mutants_of(path, text)]


def choose(mutants, seed, count):
    """So many of them, in an order that depends on the seed and their ids alone: what has not changed is
    chosen again after a change elsewhere. The operators take turns, so that none is left out."""
    def order(mutant):
        return hashlib.sha256(f"{seed}|{mutant.id}".encode()).hexdigest()
    queues = collections.defaultdict(list)
    for mutant in sorted(mutants, key=order):
        queues[mutant.operator].append(mutant)
    chosen = []
    while len(chosen) < count and any(queues.values()):
        for operator in OPERATORS:
            if queues[operator] and len(chosen) < count:
                chosen.append(queues[operator].pop(0))
    return chosen
