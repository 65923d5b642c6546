# SPDX-License-Identifier: MIT
"""The two lists beside this file: named.txt, edits that somebody has thought of, and argued.txt, mutants
that nobody can kill, each with the reason."""
import fnmatch
import pathlib
import re

from operators import Mutant

HERE = pathlib.Path(__file__).resolve().parent
ENTRY = re.compile(r"^== (?P<name>\S+) (?P<path>\S+)\n(?P<why>.*?)^<<<<\n(?P<old>.*?)^----\n(?P<new>.*?)^>>>>\n",
                   re.S | re.M)


class DoesNotApply(Exception):
    pass


def place(text, old):
    """Where `old` stands in `text`, whatever the white space between its words. It has to be there once."""
    pattern = r"\s+".join(re.escape(word) for word in old.split())
    found = list(re.finditer(pattern, text))
    if len(found) != 1:
        raise DoesNotApply("its context is not there" if not found else
                           f"its context is there {len(found)} times")
    return found[0].span()


def named(root, file=HERE / "named.txt"):
    """The mutants of named.txt, and what is wrong with those that do not apply."""
    mutants, wrong = [], []
    text = re.sub(r"(?m)^#.*\n", "", file.read_text(encoding="utf-8"))
    for entry in ENTRY.finditer(text):
        try:
            path = pathlib.Path(root, entry["path"])
            if not path.is_file():
                raise DoesNotApply(f"there is no {entry['path']}")
            source = path.read_text(encoding="utf-8")
            start, end = place(source, entry["old"])
            mutants.append(Mutant(f"named/{entry['name']}", entry["path"],
                                  source.count("\n", 0, start) + 1, "named", start, end,
                                  entry["new"].rstrip("\n"), source[start:end],
                                  " ".join(entry["why"].split())))
        except DoesNotApply as reason:
            wrong.append(f"named/{entry['name']} does not apply: {reason}")
    left = ENTRY.sub("", text).strip()
    if left:
        wrong.append(f"named.txt: cannot be read: {left.splitlines()[0]}")
    return mutants, wrong


def argued(file=HERE / "argued.txt"):
    """(pattern, reason) of each line: a shell's pattern of an id, and what follows."""
    lines = (line.split("#", 1)[0].strip() for line in file.read_text(encoding="utf-8").splitlines())
    return [tuple(line.split(None, 1)) for line in lines if line]


def reason_for(mutant, arguments):
    for pattern, reason in arguments:
        if fnmatch.fnmatchcase(mutant.id, pattern):
            return reason
    return None
