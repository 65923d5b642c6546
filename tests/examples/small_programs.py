#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs one of the small examples as its reader would: `small_programs.py <name> <program>...`."""
import pathlib
import re
import signal
import socket
import subprocess
import sys
import tempfile

PATIENCE = 30


def output(*command, status=0, given=None):
    done = subprocess.run(command, input=given, stdout=subprocess.PIPE, text=True, timeout=PATIENCE,
                          check=False)
    assert done.returncode == status, f"{command} ended with {done.returncode}:\n{done.stdout}"
    return done.stdout


class Running:
    """A program that goes on until it is told to end."""

    def __init__(self, *command):
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def line(self):
        return self.process.stdout.readline().strip()

    def expect(self, line):
        seen = self.line()
        assert seen == line, f"it said {seen!r}, not {line!r}"

    def end(self):
        self.process.terminate()
        assert self.process.wait(PATIENCE) == 0, self.process.returncode


def first(program):
    assert output(program, given="hello\n") == "6 bytes\nthe end, and every byte before it was read\n"


def connect_with_deadline(program):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
        assert output(program, "127.0.0.1", port) == "connected\n"
    refused = output(program, "127.0.0.1", port, status=1)
    assert refused in ("Connection refused\n", "too late\n"), refused
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        address = full.getsockname()
        waiting = []
        for _ in range(4):  # its queue is full then, and the next SYN is left unanswered
            waiting.append(socket.socket())
            waiting[-1].setblocking(False)
            waiting[-1].connect_ex(address)
        assert output(program, "127.0.0.1", str(address[1]), "50", status=1) == "too late\n"
        for client in waiting:
            client.close()


def timers(program):
    lines = output(program).splitlines()
    assert lines[-1] == "idle" and 1 <= lines.count("tick") == len(lines) - 1, lines


def signals(program):
    with Running(program) as running:
        running.expect("ready")
        running.process.send_signal(signal.SIGHUP)
        running.expect("reloading")
        running.end()
        running.expect(f"ending, because of signal {int(signal.SIGTERM)}")


def child_output(program):
    said = output(program, "sh", "-c", "echo one; echo two >&2; exit 3")
    assert said == "exit code 3\n4 bytes: one\n", said
    assert output(program, "sh", "-c", "kill -9 $$").startswith("signal 9\n0 bytes")
    megabyte = output(program, "sh", "-c", "head -c 1000000 /dev/zero | tr '\\0' x")
    assert megabyte == f"exit code 0\n1000000 bytes: {1000000 * 'x'}", megabyte[:100]


def posts(program):
    assert output(program) == "4 results, 15005000 together\n"


def cancel_on_peer_closed(program):
    def client_of(running):
        port = int(re.search(r":(\d+)", running.line())[1])
        return socket.create_connection(("127.0.0.1", port), PATIENCE)

    with Running(program, "60000") as patient:
        with client_of(patient) as client:
            client.sendall(b"please")
            client.sendall(b"and this, which stays unread")
        patient.expect("cancelled")
    with Running(program, "10") as quick, client_of(quick) as client:
        client.sendall(b"please")
        assert client.recv(100) == b"done\n"
        quick.expect("done")


def unix_server(server, client):
    with tempfile.TemporaryDirectory() as folder:
        path = folder + "/socket"
        with Running(server, path) as running:
            running.expect("ready")
            assert output(client, path, "who is there?") == "WHO IS THERE?"
            long = 100000 * "x"  # more than one read takes
            assert output(client, path, long) == long.upper()
            running.end()
        assert not pathlib.Path(path).exists()


def datagrams(program):
    assert output(program) == "answer 1\nanswer 2\nanswer 3\n"


def inside_poll(program):
    assert output(program) in ("from the reactor\nfrom the host\n",
                               "this backend cannot be waited for\n")


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
