#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What an installed shared pollux exports: each name is one that a public header declares, and of
pollux::detail nothing but what the inline members of those headers call."""
import argparse
import pathlib
import re
import subprocess
import sys

# What moves a handle, or drops one, in a program's own code; and what a Poster is made of.
OF_DETAIL = {
    "pollux::Poster::Poster(std::shared_ptr<pollux::detail::PostQueue>)",
    "pollux::detail::CorePointer::destroy(pollux::detail::CoreBase&)",
    "pollux::detail::WatchBase::close()",
    "pollux::detail::WatchBase::interest() const",
    "pollux::detail::WatchBase::set_interest(pollux::Interest)",
    "pollux::detail::WatchBase::set_interest(pollux::Interest, std::error_code&)",
    *(f"void pollux::detail::end_registration<(pollux::detail::Registered){what}>"
      "(pollux::detail::CoreBase&, pollux::Token)" for what in range(3)),
}


def exported(nm, library):
    """Demangled, without the addresses and the symbols' kinds."""
    out = subprocess.run([nm, "--dynamic", "--demangle", "--defined-only", library],
                         capture_output=True, text=True, check=True).stdout
    return {line.split(maxsplit=2)[2] for line in out.splitlines()}


def words_of_headers(folder):
    files = [*folder.glob("*.hpp"), *(folder / "embed").glob("*.hpp")]
    code = " ".join(re.sub(r"//.*", "", file.read_text(encoding="utf-8")) for file in files)
    return set(re.findall(r"\w+", code))


def name_of(symbol):
    """pollux::Timer::cancel of `pollux::Timer::cancel() const`; "" of what is not pollux's."""
    plain = re.sub(r"^(vtable|typeinfo|typeinfo name) for ", "", symbol)
    found = re.match(r"pollux(::~?\w+)+", plain.replace("[abi:cxx11]", ""))
    return found[0] if found else ""


def problems(symbols, words):
    for symbol in sorted(symbols):
        name = name_of(symbol)
        if "pollux::detail::" in symbol:
            if symbol not in OF_DETAIL:
                yield f"{symbol}: of pollux::detail, and not on the list of this test"
        elif not name:
            yield f"{symbol}: not pollux's"
        elif not set(re.findall(r"\w+", name)) <= words:
            yield f"{symbol}: no public header has it"
    for symbol in sorted(OF_DETAIL - symbols):
        yield f"{symbol}: on the list of this test, and not exported"
    if "pollux::Reactor::run()" not in symbols:
        yield "pollux::Reactor::run(): not exported"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nm", required=True)
    parser.add_argument("--prefix", type=pathlib.Path, required=True)
    chosen = parser.parse_args()
    library, = (file for file in chosen.prefix.rglob("libpollux.so*") if not file.is_symlink())
    symbols = exported(chosen.nm, library)
    found = list(problems(symbols, words_of_headers(chosen.prefix / "include/pollux")))
    print(*found, f"{len(symbols)} symbols, {len(found)} of them wrong", sep="\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
