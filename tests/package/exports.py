#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What an installed shared pollux exports: each name is one that a public header declares, and of
pollux::detail nothing but what the inline members of those headers call. And it exports all of those
names that a static pollux has: what is declared there can be linked."""
import argparse
import pathlib
import re
import subprocess
import sys

# What moves a handle, or drops one, in a program's own code; and what a Poster is made of.
OF_DETAIL = {
    "pollux::Poster::Poster(std::shared_ptr<pollux::detail::PostQueue>)",
    "pollux::detail::CorePointer::destroy(pollux::detail::CoreBase&)",
    "pollux::detail::WatchBase::change_interest(pollux::Interest)",
    "pollux::detail::WatchBase::change_interest(pollux::Interest, std::error_code&)",
    "pollux::detail::WatchBase::close_descriptor()",
    "pollux::detail::WatchBase::current_interest() const",
    *(f"{result} pollux::detail::{function}<(pollux::detail::Registered){what}>"
      f"(pollux::detail::CoreBase&{more})"
      for what in range(3)
      for result, function, more in (("void", "end_registration", ", pollux::Token, bool"),
                                     ("bool", "is_registered", ", pollux::Token"),
                                     ("pollux::Token", "called_token", ""))),
}

# Called like a function of pollux/asio.hpp, which takes an io_context as well.
OF_THE_LIBRARY = {"pollux::make_asio_backend(std::error_code&)"}


def symbols_of(nm, library, *options, kinds=None):
    """Demangled, without the addresses and the symbols' kinds."""
    out = subprocess.run([nm, "--demangle", "--defined-only", *options, library],
                         capture_output=True, text=True, check=True).stdout
    symbols = [line.split(maxsplit=2) for line in out.splitlines()]
    return {line[2] for line in symbols if len(line) == 3 and line[1] in (kinds or line[1])}


def words_of_headers(folder):
    files = [*folder.glob("*.hpp"), *(folder / "embed").glob("*.hpp")]
    code = " ".join(re.sub(r"//.*", "", file.read_text(encoding="utf-8")) for file in files)
    return set(re.findall(r"\w+", code))


def name_of(symbol):
    """pollux::Timer::cancel of `pollux::Timer::cancel() const`; "" of what is not pollux's."""
    plain = re.sub(r"^(vtable|typeinfo|typeinfo name) for ", "", symbol)
    found = re.match(r"pollux(::~?\w+)+", plain.replace("[abi:cxx11]", ""))
    return found[0] if found else ""


def is_public(name, words):
    return bool(name) and set(re.findall(r"\w+", name)) <= words


def problems(symbols, in_archive, words):
    for symbol in sorted(symbols):
        name = name_of(symbol)
        if "pollux::detail::" in symbol:
            if symbol not in OF_DETAIL:
                yield f"{symbol}: of pollux::detail, and not on the list of this test"
        elif not is_public(name, words):
            yield f"{symbol}: no public header has it"
    for symbol in sorted(OF_DETAIL - symbols):
        yield f"{symbol}: on the list of this test, and not exported"
    for symbol in sorted(in_archive - symbols - OF_THE_LIBRARY):
        if is_public(name_of(symbol), words) and not symbol.startswith("pollux::detail::"):
            yield f"{symbol}: a public header has it, and it is not exported"
    if "pollux::Reactor::run()" not in symbols:
        yield "pollux::Reactor::run(): not exported"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nm", required=True)
    parser.add_argument("--shared", type=pathlib.Path, required=True, help="a prefix")
    parser.add_argument("--static", type=pathlib.Path, required=True, help="another")
    chosen = parser.parse_args()
    library, = (file for file in chosen.shared.rglob("libpollux.so*") if not file.is_symlink())
    archive, = chosen.static.rglob("libpollux.a")
    symbols = symbols_of(chosen.nm, library, "--dynamic")
    in_archive = symbols_of(chosen.nm, archive, "--extern-only", kinds="T")
    found = list(problems(symbols, in_archive, words_of_headers(chosen.shared / "include/pollux")))
    print(*found, f"{len(symbols)} symbols, {len(found)} of them wrong", sep="\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
