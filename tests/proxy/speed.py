#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""How fast each proxy is that is here, and what it costs, beside no proxy at all ("direct").

    speed.py --load build/proxy-report/bench/pollux_proxy_load --pollux build/proxy-report/tools/pollux
    speed.py --load PROGRAM --proxy socat --only round --quick

The proxy has one processor, the client and the server have another one; each proxy is one thread (socat: a process a
connection). All proxies run at the same time, and those that are not measured wait. In each round every work is done
on one proxy after the other, another one first in each round: what disturbs the machine for a while disturbs all of
them, and ratios are taken within a round.

The load is bench/proxy_load.cpp. It is not iperf3, which copies every byte as often as a proxy does, nor wrk, whose
server speaks HTTP: on one processor they have as much to do as the proxy, or more, and would measure themselves. Of
this load the kernel drops the bytes that come, so that it copies half of what a proxy copies. It does not sleep while
it waits for an answer, so that the time in which it would be woken up is not added to the proxy's. How busy the
proxy's processor was is part of what is written: where it was little, the load was the limit, and the time that a
proxy took of its processor says more than what got through.
"""
import argparse
import collections
import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile

import peers
import proxies
import run
import speed_tables

ROUNDS, SECONDS = 5, 0.4
QUICK_SECONDS = 0.1
COUNT_SECONDS = 1.0  # under a tracer, which makes it slow
IDLE = 1000
BACKLOG = 1024

Work = collections.namedtuple("Work", "name kind connections")
WORKS = (
    Work("one-way/1", "one-way", 1), Work("one-way/32", "one-way", 32),
    Work("both-ways/1", "both-ways", 1), Work("both-ways/32", "both-ways", 32),
    Work("round-trips/1", "round-trips", 1), Work("round-trips/100", "round-trips", 100),
    Work("churn/32", "churn", 32))
# One at a time: what is under way at the beginning and at the end counts for nothing.
COUNTED = (WORKS[0], WORKS[4], Work("churn/1", "churn", 1))
MEMORY = Work("idle", "idle", IDLE)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--load", required=True, metavar="PROGRAM", help="pollux_proxy_load, of bench/")
    parser.add_argument("--pollux", metavar="PROGRAM", help="the command pollux")
    parser.add_argument("--backend", action="append", metavar="NAME", help="of pollux, only this one; may be repeated")
    parser.add_argument("--proxy", action="append", metavar="NAME", help="only this one; may be repeated")
    parser.add_argument("--only", default="", metavar="REGEX", help="only works whose name matches")
    parser.add_argument("--rounds", type=int, metavar="N", help=f"{ROUNDS} if not said")
    parser.add_argument("--seconds", type=float, metavar="S", help=f"of each measurement, {SECONDS} if not said")
    parser.add_argument("--quick", action="store_true", help=f"one round of {QUICK_SECONDS} s each: it compares nothing")
    parser.add_argument("--patience", type=float, default=peers.PATIENCE_S, metavar="SECONDS",
                        help="how long to wait for what a proxy has to do")
    parser.add_argument("--json", metavar="FILE", help="writes the results there")
    options = parser.parse_args()
    options.rounds = options.rounds or (1 if options.quick else ROUNDS)
    options.seconds = options.seconds or (QUICK_SECONDS if options.quick else SECONDS)
    return options


class Processors:
    """One for the proxy and one for the load, if this machine has two."""

    def __init__(self):
        here = sorted(os.sched_getaffinity(0))
        self.proxy, self.load = (here[0], here[1]) if len(here) > 1 else (None, None)
        self.to_load()

    def to_load(self):
        if self.load is not None:
            os.sched_setaffinity(0, {self.load})

    @contextlib.contextmanager
    def of_proxy(self):
        """What is started meanwhile stays on the proxy's."""
        if self.proxy is not None:
            os.sched_setaffinity(0, {self.proxy})
        try:
            yield
        finally:
            self.to_load()


class Direct:
    """No proxy: the client connects to the server."""
    name = speed_tables.DIRECT

    def version(self):
        return ""


class Subject:
    """A proxy that runs, with a server's socket behind it; or no proxy."""

    def __init__(self, proxy, processors, stack):
        self.name, self.running = proxy.name, None
        self.listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=BACKLOG))
        self.port = self.listener.getsockname()[1]
        if isinstance(proxy, Direct):
            return
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        with processors.of_proxy():
            self.running = proxy.start(f"127.0.0.1:{self.port}", folder)
        stack.callback(self.running.end)
        self.port = int(self.running.address.rpartition(":")[2])
        self.sockets = self.open_sockets()

    def open_sockets(self):
        return len(proxies.sockets_of(self.running.pids()))

    def cpu_s(self):
        """What its processes have had of a processor, with their children that have ended."""
        return cpu_s(self.running.pids()) if self.running else 0.0

    def settle(self):
        """Nothing of the last measurement is left."""
        if not peers.wait_until(self.is_settled):
            raise peers.Fault(f"{self.open_sockets() - self.sockets} sockets are open, with no client and no server")

    def is_settled(self):
        """What the load had not accepted before its end is closed here."""
        self.listener.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                self.listener.accept()[0].close()
        return not self.running or self.open_sockets() <= self.sockets


def cpu_s(pids):
    total = 0.0
    for pid in pids:
        with contextlib.suppress(OSError):
            for task in os.listdir(f"/proc/{pid}/task"):
                with contextlib.suppress(OSError):
                    total += int(pathlib.Path(f"/proc/{pid}/task/{task}/schedstat").read_text(
                        encoding="ascii").split()[0]) / 1e9
            fields = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
            total += (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")
    return total


class Load:
    """The client and the server around a proxy, between their beginning and their end."""

    def __init__(self, program, subject, work, seconds):
        number = subject.listener.fileno()
        self.errors = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            [program, work.kind, "--listener", str(number), "--port", str(subject.port), "--connections",
             str(work.connections), "--seconds", str(seconds)],
            pass_fds=[number], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, text=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(peers.PATIENCE_S)
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.errors.close()

    def line(self):
        """The program waits for nothing without a deadline."""
        line = self.process.stdout.readline()
        if not line:
            self.process.wait()
            self.errors.seek(0)
            raise peers.Fault(self.errors.read().decode(errors="replace").strip() or
                              f"the load ended with status {self.process.returncode}")
        return line

    def begin(self):
        self.line()

    def work(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return json.loads(self.line())


def measure(program, subject, work, seconds):
    """What got through, how long it took, and what the proxy had of its processor meanwhile."""
    with Load(program, subject, work, seconds) as load:
        load.begin()
        before = subject.cpu_s()
        found = load.work()
        if subject.running:
            found["cpu_s"] = round(subject.cpu_s() - before, 6)
    subject.settle()
    return found


def memory(program, proxy, processors):
    """Bytes of a connection that has had a byte each way, and waits: of a new proxy."""
    with contextlib.ExitStack() as stack:
        subject = Subject(proxy, processors, stack)
        before = subject.running.sum(peers.memory_kb)
        with Load(program, subject, MEMORY, 0) as load:
            load.begin()
            return round((subject.running.sum(peers.memory_kb) - before) * 1024 / IDLE)


class Strace:
    """Counts the system calls of processes, from when it is there until it is ended."""

    def __init__(self, pids):
        self.summary = tempfile.NamedTemporaryFile("r", encoding="utf-8")
        chosen = [word for pid in pids for word in ("-p", str(pid))]
        self.process = subprocess.Popen(["strace", "-f", "-c", "-o", self.summary.name, *chosen],
                                        stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
        missing = len(pids)
        while missing:
            line = self.process.stderr.readline()
            if not line:
                raise peers.Fault("strace may not look")
            missing -= bool(re.search(r"attached", line))

    def end(self):
        self.process.send_signal(signal.SIGINT)
        self.process.communicate()
        with self.summary:
            return speed_tables.calls_of_summary(self.summary.read())


def count(program, subject, work):
    """The system calls of the proxy, by name, and what they were made for."""
    with Load(program, subject, work, COUNT_SECONDS) as load:
        load.begin()
        tracer = Strace(subject.running.pids())
        try:
            found = load.work()
        finally:
            calls = tracer.end()
    subject.settle()
    return {"of": speed_tables.amount(found), "calls": calls}


def machine(processors, options):
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        cpu = re.search(r"^model name\s*:\s*(.*)$", file.read(), re.M)
    command = ["tests/proxy/speed.py", "--load", "LOAD", *(["--pollux", "POLLUX"] if options.pollux else []),
               "--rounds", str(options.rounds), "--seconds", f"{options.seconds:g}"]
    return {"cpu": cpu[1] if cpu else "an unnamed processor", "cores": os.cpu_count(),
            "pinned": processors.proxy is not None, "rounds": options.rounds, "seconds": options.seconds,
            "quick": options.quick, "load": round(os.getloadavg()[0], 2), "idle": IDLE, "command": " ".join(command)}


def attempt(left_out, name, function, *values):
    """What the function gives; a fault is remembered, and the same is not tried again."""
    if name in left_out:
        return None
    try:
        return function(*values)
    except peers.Fault as fault:
        left_out[name] = str(fault)
        print(f"left out: {name}: {fault}", flush=True)
        return None


def rounds(options, works, subjects, left_out):
    found = []
    for number in range(options.rounds):
        found.append({})
        first = number % len(subjects)
        for work in works:
            cells = found[-1].setdefault(work.name, {})
            for subject in subjects[first:] + subjects[:first]:
                cell = attempt(left_out, f"{work.name}, {subject.name}", measure, options.load, subject, work,
                               options.seconds)
                if cell:
                    cells[subject.name] = cell
            print(f"speed: round {number + 1} of {options.rounds}: {work.name}", flush=True)
    return found


def counts(options, subjects, left_out):
    if not shutil.which("strace"):
        left_out["system calls"] = "strace is not installed"
        return {}
    found = {}
    for work in (work for work in COUNTED if re.search(options.only, work.name)):
        found[work.name] = {}
        for subject in (subject for subject in subjects if subject.running):
            counted = attempt(left_out, f"system calls, {work.name}, {subject.name}", count, options.load, subject,
                              work)
            if counted:
                found[work.name][subject.name] = counted
    return found


def chosen_proxies(options):
    here, missing = run.proxies_here(options)
    here = [proxy for proxy in here if proxy.name != "nginx/default"]  # differs in what it does with a FIN
    here.sort(key=lambda proxy: not proxy.name.startswith("pollux/"))
    return here, {name: why for name, why in missing.items() if name != "nginx/default"}


def play(options):
    processors = Processors()
    here, left_out = chosen_proxies(options)
    data = {"setup": machine(processors, options), "proxies": {proxy.name: proxy.version() for proxy in here}}
    with contextlib.ExitStack() as stack:
        subjects = [Subject(proxy, processors, stack) for proxy in [Direct(), *here]]
        works = [work for work in WORKS if re.search(options.only, work.name)]
        data["rounds"] = rounds(options, works, subjects, left_out)
        data["calls"] = counts(options, subjects, left_out)
    data["memory"] = {proxy.name: found for proxy in here if re.search(options.only, MEMORY.name) and (
        found := attempt(left_out, f"memory, {proxy.name}", memory, options.load, proxy, processors))}
    data["left_out"] = left_out
    return data


def main():
    options = arguments()
    peers.PATIENCE_S = options.patience
    data = play(options)
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(data, indent=1), encoding="utf-8")
    print("\n" + speed_tables.section(data))
    return 0


if __name__ == "__main__":
    sys.exit(main())
