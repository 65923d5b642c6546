# SPDX-License-Identifier: MIT
"""What a row of the benchmarks does, counted from outside: its system calls, by strace or perf, and its
instructions in user space, by Callgrind."""
import collections
import json
import os
import re
import subprocess
import tempfile

MARK = "getppid"  # the program makes this call where the measured part begins, and where it ends
# Memory is the allocator's business, and no loop's.
MEMORY = ("brk", "madvise", "mmap", "mremap", "munmap")
TIMEOUT = 120
# Of these rows the server is counted, which is one thread, and not the process of its clients.
WITH_CLIENTS = "W8."


class Failed(Exception):
    """A row, or what looks on, has failed; says how."""


def row(program, name, *options):
    return [program, f"--row={name}", *options]


def exactly(program, name, operations):
    return row(program, name, f"--exactly={operations}")


def answer(done):
    """The program's own line of JSON."""
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode or not lines:
        said = done.stderr.strip().splitlines()[-1:]
        raise Failed(": ".join([f"status {done.returncode}", *said]))
    return json.loads(lines[-1])


def run(command):
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT, check=False)
    except subprocess.TimeoutExpired as expired:
        raise Failed(f"took longer than {TIMEOUT} seconds") from expired


def calls_between_marks(lines):
    counting, names = False, []
    for line in lines:
        call = re.match(r"(?:\d+ +)?(\w+)\(", line)
        if call and call[1] == MARK:
            counting = not counting
        elif call and counting and call[1] not in MEMORY:
            names.append(call[1])
    return names


def strace(tracer, program, name, operations):
    """What the program said, and the names of its calls inside the marks, of all its threads."""
    with tempfile.NamedTemporaryFile("r", encoding="utf-8") as log:
        follow = [] if name.startswith(WITH_CLIENTS) else ["-f"]
        command = [tracer, *follow, "-qq", "-o", log.name, *exactly(program, name, operations)]
        said = answer(run(command))
        return said, calls_between_marks(log)


def perf(program, name, few, many):
    """System calls an operation, of all threads: the difference of two lengths. None if not allowed."""
    counted = []
    for operations in (few, many):
        with tempfile.NamedTemporaryFile("r", encoding="utf-8") as log:
            done = run(["perf", "stat", "-x,", "-e", "raw_syscalls:sys_enter", "-o", log.name,
                        *exactly(program, name, operations)])
            said = answer(done)
            found = re.search(r"^(\d+),.*raw_syscalls:sys_enter", log.read(), re.M)
        if not found:
            return None
        counted.append((int(found[1]), said["operations"]))
    return max(0, counted[1][0] - counted[0][0]) / (counted[1][1] - counted[0][1])


def may(*command):
    """Whether a tool is here and allowed to do its work."""
    try:
        return subprocess.run(command, capture_output=True, timeout=TIMEOUT,
                              check=False).returncode == 0
    except OSError:
        return False


def may_strace(tracer="strace"):
    return may(tracer, "-f", "-o", os.devnull, "true")


def may_perf():
    return may("perf", "stat", "-e", "raw_syscalls:sys_enter", "true")


def may_callgrind():
    return may("valgrind", "--tool=callgrind", f"--callgrind-out-file={os.devnull}", "true")


# Which part of pollux a function belongs to, by its name; the first that fits. Any other is the row's own.
PARTS = (
    ("backend", r"Backend::|HandleRegistry|detail::(epoll|io_uring|poll)::"),
    ("lifecycle", r"Lifecycle|::platform::(System|HandlePoller)::|"
                  r"detail::(Prober|WatchService)::"),
    ("changes", r"Reactor::watch|WatchBase|end_registration|detail::(Registrations|BackendSet|Detached)::|RetryQueue::"),
    ("timers", r"Timer(Queue|Service)?::|Reactor::(after|at|every)"),
    ("streams", r"Stream(Core|Base|Service|Input|Output|Handle|Turn)?\b|WriteQueue::|BufferPool::|platform::(read|write)"),
    ("turn", r"EventLoop::|PostQueue|Reactor::"),
)


def part_of(function):
    if function.startswith("pollux::") and not function.startswith("pollux::bench"):
        for part, names in PARTS:
            if re.search(names, function):
                return part
    return "own"


def costs(profile):
    """The instructions of each function itself, from Callgrind's file: (function, instructions) pairs."""
    names, function, of_callee = {}, None, False
    for line in profile:
        if named := re.match(r"(c?)fn=\((\d+)\)(?: (.*))?", line):
            if named[3]:
                names[named[2]] = named[3]
            if not named[1]:
                function = names[named[2]]
        elif line.startswith("calls="):
            of_callee = True
        elif cost := re.match(r"[+*\d-]\S* (\d+)$", line):
            if not of_callee:
                yield function, int(cost[1])
            of_callee = False


def instructions(program, name, operations):
    """In user space, an operation: all, and those of each part."""
    with tempfile.NamedTemporaryFile("r", encoding="utf-8") as profile:
        done = run(["valgrind", "--tool=callgrind", "--collect-atstart=no",
                    f"--callgrind-out-file={profile.name}", *exactly(program, name, operations)])
        said = answer(done)
        parts = collections.Counter()
        for function, cost in costs(profile):
            parts[part_of(function)] += cost
    if not parts:
        raise Failed("Callgrind collected nothing")
    each = {part: cost / said["operations"] for part, cost in parts.items()}
    return sum(each.values()), each
