#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""faults_test.py <strace> <subject> <backend> <fault>: the subject's stories, undisturbed and then with
the library's system calls failing, which strace sees to. What is heard must be the same each time,
and an error be told only where one is due. Goal: every call that the library makes has failed."""
import collections
import concurrent.futures
import dataclasses
import errno
import os
import re
import subprocess
import sys
import tempfile

MARK = "getppid"  # the subject makes this call before its first story and after its last
WAITS = ("epoll_wait", "epoll_pwait", "epoll_pwait2", "io_uring_enter")
# What a signal may cut short; not ioctl, which Asio gives up on and no kernel interrupts.
INTERRUPTIBLE = (*WAITS, "poll", "ppoll", "recvfrom", "sendto", "read", "write", "getsockopt")
DESCRIPTORS = ("epoll_create1", "io_uring_setup", "eventfd2", "timerfd_create")
# With strides for phases(): to make a watch takes up to five questions, none of which may fail.
PROBES = {"recvfrom": (2, 5), "sendto": (2, 5), "getsockopt": (7, 11), "ioctl": (2, 5)}
OPENS_BY_IOCTL = ("asio",)  # makes a descriptor non-blocking by it
# Asio does not look at the answer to a change or a removal, which no Linux refuses for want of memory.
ONLY_ADDITIONS = ("asio",)


@dataclasses.dataclass
class Run:
    """What one run of the subject told, and the calls of its first thread between the marks."""
    ending: str  # "" if it ended well
    told: list
    errors: list
    before: collections.Counter
    calls: list

    def count(self, name):
        return sum(name_of(call) == name for call in self.calls)

    def injected(self):
        return sum("(INJECTED)" in call or call.startswith("--- SIGURG") for call in self.calls)


class Subject:
    def __init__(self, strace, program, backend):
        self.command = [strace, "-o"], [program, backend]

    def run(self, *faults):
        with tempfile.NamedTemporaryFile("r", encoding="utf-8") as log:
            tracer, subject = self.command
            inject = [word for fault in faults for word in ("-e", f"inject={fault}")]
            try:
                done = subprocess.run([*tracer, log.name, *inject, *subject], capture_output=True,
                                      text=True, timeout=60, check=False)
                told = done.stdout.splitlines()
                ending = f"status {done.returncode}: {done.stderr}" if done.returncode else ""
            except subprocess.TimeoutExpired:
                told, ending = [], "a timeout"
            lines = log.read().splitlines()
        marks = [i for i, line in enumerate(lines) if line.startswith(MARK + "(")] or [0]
        return Run(ending, [line for line in told if not line.startswith("!")],
                   [line[2:] for line in told if line.startswith("!")],
                   collections.Counter(map(name_of, lines[:marks[0]])), lines[marks[0] + 1:marks[-1]])


def name_of(call):
    return call.partition("(")[0]


def phases(name, undisturbed, *strides):
    """strace's `when`: every so-many-th call, from each possible one on."""
    first = undisturbed.before[name] + 1
    for stride in strides:
        for phase in range(min(stride, undisturbed.count(name))):
            yield f"{first + phase}+{stride}"


def at_first(name, undisturbed, count):
    """strace's `when`: that many calls in a row."""
    first = undisturbed.before[name] + 1
    return f"{first}..{first + count - 1}"


def interrupted(undisturbed, _):
    """Cut short by EINTR, by a true signal, or back with nothing: nobody is to notice."""
    for name in INTERRUPTIBLE:
        if undisturbed.count(name):
            for when in (*phases(name, undisturbed, 2, 5), at_first(name, undisturbed, 20)):
                yield f"{name}:error=EINTR:when={when}", None
            for when in phases(name, undisturbed, 3):
                yield f"{name}:signal=URG:when={when}", None
        if undisturbed.count(name) and name in WAITS:
            for when in phases(name, undisturbed, 3):
                yield f"{name}:retval=0:when={when}", None
    if undisturbed.count("io_uring_enter"):  # its way to say: not now; and that completions are lost
        for error in ("EAGAIN", "EBUSY", "EBADR"):
            for when in phases("io_uring_enter", undisturbed, 3):
                yield f"io_uring_enter:error={error}:when={when}", None


def refused(undisturbed, backend):
    """No memory, no room: told where a watch or a reactor was to be made, and made good elsewhere."""
    number = undisturbed.before["epoll_ctl"]
    for call in undisturbed.calls:
        if name_of(call) != "epoll_ctl":
            continue
        number += 1
        if backend not in ONLY_ADDITIONS or "EPOLL_CTL_ADD" in call:
            error = (errno.ENOMEM, errno.ENOSPC)[number % 2]
            yield f"epoll_ctl:error={errno.errorcode[error]}:when={number}", error
    for name in (*WAITS, "poll", "ppoll"):
        if undisturbed.count(name):
            for when in phases(name, undisturbed, 17):
                yield f"{name}:error=ENOMEM:when={when}", errno.ENOMEM


def no_descriptors(undisturbed, _):
    """Too many open files, when a reactor is made, and when its set is made anew."""
    for name in DESCRIPTORS:
        for number, when in enumerate(phases(name, undisturbed, 5)):
            error = (errno.EMFILE, errno.ENFILE)[number % 2]
            yield f"{name}:error={errno.errorcode[error]}:when={when}", error


def blind(undisturbed, backend):
    """A probe that cannot be made says nothing: nothing is told by it, and what it was to see is, later."""
    for name, strides in PROBES.items():
        if undisturbed.count(name) and not (name == "ioctl" and backend in OPENS_BY_IOCTL):
            for number, when in enumerate(phases(name, undisturbed, *strides)):
                error = (errno.ENOMEM, errno.ENOBUFS)[number % 2]
                yield f"{name}:error={errno.errorcode[error]}:when={when}", error


FAULTS = {test.__name__: test for test in (interrupted, refused, no_descriptors, blind)}


def complaint(run, undisturbed, error):
    if run.ending:
        return f"ends with {run.ending}"
    if run.told != undisturbed.told:
        return "is reported otherwise:\n" + "\n".join(run.told)
    if not run.injected():
        return "has met no fault"
    message = os.strerror(error) if error else None
    others = [line for line in run.errors if not line.endswith(f": {message}")]
    if others:
        return f"reports {others}"
    if len(run.errors) > run.injected():
        return f"reports more errors than there were: {run.errors}"
    return None


def main():
    strace, program, backend, fault = sys.argv[1:]
    subject = Subject(strace, program, backend)
    undisturbed = subject.run()
    if undisturbed.ending or undisturbed.errors or not undisturbed.calls:
        print(f"undisturbed: {undisturbed}")
        return 1
    cases = list(FAULTS[fault](undisturbed, backend))
    failures, reporting = [], set()
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for (case, error), run in zip(cases, pool.map(lambda case: subject.run(case[0]), cases)):
            why = complaint(run, undisturbed, error)
            if why:
                failures.append(f"{case} {why}")
            reporting |= {re.sub(":.*", "", line) for line in run.errors}
            if len(failures) == 5:
                pool.shutdown(cancel_futures=True)
                break
    if not failures and not reporting and any(error for _, error in cases):
        failures.append("no error was ever told")
    print(*failures, f"{fault} on {backend}: {len(cases)} cases, {len(failures)} failures", sep="\n")
    return 1 if failures or not cases else 0


if __name__ == "__main__":
    sys.exit(main())
