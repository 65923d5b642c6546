#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs one of the small examples as its reader would: `small_programs.py <name> <program>...`."""
import pathlib
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading

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

    def connect(self):
        """To where it says that it listens."""
        return socket.create_connection(("127.0.0.1", self.port()), PATIENCE)

    def port(self):
        if not hasattr(self, "listens_at"):
            self.listens_at = int(re.search(r":(\d+)$", self.line())[1])
        return self.listens_at

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


def read_all(connection):
    return b"".join(iter(lambda: connection.recv(1 << 16), b""))


def reset(connection):
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def is_reset(connection):
    """Whether that is its end. What comes before is read."""
    try:
        read_all(connection)
    except ConnectionResetError:
        return True
    return False


def is_reset_at_once(running):
    """The same of a connection that has just been made, or that fails while it is being made."""
    try:
        return is_reset(running.connect())
    except ConnectionResetError:
        return True


def stream_client(program, echo):
    with Running(echo) as server:
        port = str(server.port())
        assert output(program, "localhost", port, "who is there?") == "who is there?"
        long = 100000 * "x"  # more than one read takes
        assert output(program, "localhost", port, long) == long
    output(program, "localhost", port, "nobody?", status=1)
    # A label has up to 63 characters: no server is asked for this.
    output(program, 64 * "a", port, "nobody?", status=1)


def stream_input(program):
    size = 200000
    piped = subprocess.run([program], input=size * b"x", capture_output=True, timeout=PATIENCE, check=True)
    assert piped.stdout == b"%d bytes, read by the loop\n" % size, piped
    with tempfile.TemporaryFile() as file:
        file.write(size * b"x")
        file.seek(0)
        read = subprocess.run([program], stdin=file, capture_output=True, timeout=PATIENCE, check=True)
    assert read.stdout == b"%d bytes, read in a thread\n" % size, read


def stream_chat(program):
    with Running(program) as running:
        def enter():
            client = running.connect()
            return client, client.makefile("rb")

        first, to_first = enter()
        first.sendall(b"hel")
        first.sendall(b"lo\nand")
        assert to_first.readline() == b"1: hello\n"  # now it is in the room
        second, to_second = enter()
        second.sendall(b"I\n")
        assert to_first.readline() == to_second.readline() == b"2: I\n"
        first.shutdown(socket.SHUT_WR)
        assert to_second.readline() == b"1: and\n"  # its last words
        assert to_first.read() == b""
        second.sendall(8192 * b"x")  # no line
        is_reset(second)  # it ends, in one way or the other

        silent = socket.socket()
        silent.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        silent.settimeout(PATIENCE)
        silent.connect(("127.0.0.1", running.port()))
        speaker, to_speaker = enter()
        speaker.sendall(b"here\n")
        assert to_speaker.readline() == b"4: here\n"
        listener, to_listener = enter()
        listener.sendall(b"so am I\n")
        assert to_speaker.readline() == to_listener.readline() == b"5: so am I\n"
        reset(running.connect())
        cut_off = select.poll()
        cut_off.register(silent, 0)
        rounds = 0
        while not cut_off.poll(0):
            assert rounds < 400, "who does not read was not cut off"
            rounds += 1
            speaker.sendall(100 * (999 * b"x" + b"\n"))
            for received in to_speaker, to_listener:
                for _ in range(100):
                    assert received.readline() == b"4: " + 999 * b"x" + b"\n"
        assert rounds > 10, "it was cut off too soon"
        assert is_reset(silent)


def stream_proxy(program):
    megabytes = bytes(range(256)) * 40000  # more than any buffer holds

    with socket.create_server(("127.0.0.1", 0)) as target:
        target.settimeout(PATIENCE)
        port = str(target.getsockname()[1])
        with Running(program, "localhost", port) as running:
            def pair():
                client = running.connect()
                server = target.accept()[0]
                server.settimeout(PATIENCE)
                return client, server

            client, server = pair()
            sender = threading.Thread(
                target=lambda: (client.sendall(megabytes), client.shutdown(socket.SHUT_WR)))
            sender.start()
            assert read_all(server) == megabytes
            sender.join()
            sender = threading.Thread(target=lambda: (server.sendall(megabytes), server.close()))
            sender.start()
            assert read_all(client) == megabytes  # the answer, behind the client's end
            sender.join()

            client, server = pair()
            server.shutdown(socket.SHUT_WR)  # the target first, and without a word
            assert read_all(client) == b""
            client.sendall(b"still here")
            client.close()
            assert read_all(server) == b"still here"

            client = running.connect()
            client.shutdown(socket.SHUT_WR)  # the client, before the target is connected
            server = target.accept()[0]
            assert read_all(server) == b""
            server.sendall(b"the time")
            server.close()
            assert read_all(client) == b"the time"

            client, server = pair()
            reset(client)
            assert is_reset(server)
            client, server = pair()
            reset(server)
            assert is_reset(client)
            target.close()
            assert is_reset_at_once(running)  # nobody listens there
            assert running.process.poll() is None


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
