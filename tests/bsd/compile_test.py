#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compiles every source that macOS or FreeBSD would build, as far as this system's headers allow: without what
only Linux has. `compile_test.py <commands> <headers> <absent> <folder> [--jobs N] [--only <part of a path>...]`:
`commands` is the compile_commands.json of a configuration for such a system; `headers` what all sources have in
front, and `absent` what takes away behind it what those systems have not; `folder` one to write to."""
import argparse
import concurrent.futures
import json
import os
import pathlib
import shlex
import subprocess
import sys
import time

# Of Linux alone, or of its C library, beside those in linux/ and asm/.
LINUX_HEADERS = """argp.h byteswap.h endian.h error.h gnu/libc-version.h malloc.h mntent.h mqueue.h
netpacket/packet.h sys/auxv.h sys/epoll.h sys/eventfd.h sys/fanotify.h sys/inotify.h sys/personality.h sys/prctl.h
sys/sendfile.h sys/signalfd.h sys/sysinfo.h sys/sysmacros.h sys/timerfd.h sys/vfs.h threads.h uchar.h"""
# What has to be refused, or nothing is shown.
MISTAKES = ("#include <sys/epoll.h>", "#include <linux/filter.h>", "auto mistake = &accept4;", "auto mistake = &pipe2;",
            "int mistake = SOCK_CLOEXEC;", "int mistake = MSG_NOSIGNAL;", "int mistake = POLLRDHUP;")


def refuse_linux_headers(compiler, folder):
    """Writes to `folder` a header for each of Linux's, which is an error behind `absent`."""
    searched = subprocess.run([compiler, "-xc++", "-E", "-Wp,-v", os.devnull], capture_output=True, text=True,
                              check=True, env={**os.environ, "LC_ALL": "C"}).stderr
    names = set(LINUX_HEADERS.split())
    for line in searched.splitlines():
        for room in ("linux", "asm") if line.startswith(" /") else ():
            top = pathlib.Path(line.strip())
            names |= {path.relative_to(top).as_posix() for path in (top / room).glob("*.h")}
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#if defined(POLLUX_AS_ON_A_BSD)\n#error Linux alone has <{name}>.\n#endif\n"
                        f"#include_next <{name}>\n")


class Compiler:
    def __init__(self, program, headers, absent, folder):
        self.program = program
        self.headers = folder / "headers.hpp"
        self.headers.write_text(headers.read_text(encoding="utf-8"))
        self.absent = absent
        refuse_linux_headers(program, folder / "refused")
        # Asio as it is where there is no epoll.
        self.common = ["-isystem", folder / "refused", "-isystem", absent.parent, "-DASIO_DISABLE_EPOLL",
                       "-DASIO_DISABLE_EVENTFD"]

    def read_headers(self, options):
        """Once for all sources that are compiled alike."""
        subprocess.run([self.program, *self.common, *options, "-w", "-x", "c++-header", self.headers, "-o",
                        f"{self.headers}.gch"], check=True)

    def compile(self, source, options, system):
        """What the compiler says; nothing if all is well."""
        done = subprocess.run([self.program, "-include", self.headers, f"-DPOLLUX_AS_ON_{system.upper()}",
                               "-include", self.absent, *self.common, *options, "-fsyntax-only", source],
                              capture_output=True, text=True, check=False)
        return done.stderr if done.returncode != 0 else ""

    def misses(self, options):
        """Which of the mistakes it takes, or that it takes nothing at all."""
        source = self.headers.parent / "mistake.cpp"
        for text in ("int no_mistake = 0;", *MISTAKES):
            source.write_text(text + "\n")
            said = self.compile(source, options, "macOS")
            if (said == "") != (text not in MISTAKES):
                yield f"{text}  is not judged as it should be. {said}"


def options_of(command):
    """What a command compiles with; without its source and what it writes."""
    options = []
    words = iter(shlex.split(command)[1:])
    for word in words:
        if word in ("-o", "-c"):
            next(words)
        elif word != "-g" and not word.startswith("-fvisibility"):  # what was read once was read without,
            options.append("-std=c++20" if word == "-std=gnu++20" else word)  # and as this
    return tuple(options)


def wanted_compilations(commands, parts):
    """{(source, options, system): compiler}, each once."""
    wanted = {}
    for entry in json.loads(commands.read_text(encoding="utf-8")):
        source = pathlib.Path(entry["directory"], entry["file"])
        if parts and not any(part in str(source) for part in parts):
            continue
        for system in ("macOS", "FreeBSD"):
            # Twice only where it may make a difference.
            if system == "macOS" or "__FreeBSD__" in source.read_text(encoding="utf-8"):
                wanted[source, options_of(entry["command"]), system] = shlex.split(entry["command"])[0]
    return wanted


def main():
    parser = argparse.ArgumentParser()
    for name in ("commands", "headers", "absent", "folder"):
        parser.add_argument(name, type=pathlib.Path)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--only", nargs="*", default=[])
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()

    wanted = wanted_compilations(arguments.commands, arguments.only)
    if not wanted:
        sys.exit("There is nothing to compile.")
    (_, options, _), program = next(iter(wanted.items()))
    options = [option for option in options if not option.startswith(("-I", "-D"))]
    compiler = Compiler(program, arguments.headers, arguments.absent, arguments.folder)
    compiler.read_headers(options)
    missed = list(compiler.misses(options))
    if missed:
        sys.exit("\n".join(missed))

    failed = 0
    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        jobs = {pool.submit(compiler.compile, *what): what for what in wanted}
        for job in concurrent.futures.as_completed(jobs):
            if job.result():
                source, _, system = jobs[job]
                failed += 1
                print(f"== {source}, as on {system}\n{job.result()}", flush=True)
    print(f"{len(wanted)} compilations, {failed} failed, {time.monotonic() - began:.0f} s")
    sys.exit(failed != 0)


if __name__ == "__main__":
    main()
