#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Starts an echo server that may open few files, and comes with more clients than fit. Those that fit
are answered; for the others the server waits, and does not turn its loop meanwhile; when room is
made they are answered too, each of them."""
import os
import re
import resource
import select
import socket
import subprocess
import sys
import time

LIMIT = 48  # the loops themselves have a good many
CLIENTS = 80
PATIENCE = 30


def open_files(process):
    return len(os.listdir(f"/proc/{process.pid}/fd"))


def seconds_of_processor(process):
    with open(f"/proc/{process.pid}/stat", encoding="utf-8") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Crowd:
    def __init__(self, port):
        self.waiting = {}
        self.answered = []
        for number in range(CLIENTS):
            client = socket.create_connection(("127.0.0.1", port), PATIENCE)
            client.sendall(bytes([number]))
            self.waiting[client] = number

    def run_until(self, done):
        """Takes answers until that is so; whether it came to be."""
        end = time.monotonic() + PATIENCE
        while not done() and time.monotonic() < end:
            for client in select.select(list(self.waiting), [], [], 0.05)[0]:
                assert client.recv(2) == bytes([self.waiting.pop(client)])
                self.answered.append(client)
        return done()

    def leave(self):
        """Those that were answered go."""
        while self.answered:
            self.answered.pop().close()


def main():
    server = subprocess.Popen(
        [sys.argv[1]], stdout=subprocess.PIPE, text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (LIMIT, LIMIT)))
    try:
        port = int(re.search(r":(\d+)", server.stdout.readline())[1])
        crowd = Crowd(port)
        assert crowd.run_until(lambda: open_files(server) == LIMIT), "the server was to be full"
        assert len(crowd.answered) < CLIENTS

        before = seconds_of_processor(server)
        assert not select.select([server.stdout], [], [], 1)[0]  # nothing but the time goes by
        used = seconds_of_processor(server) - before
        assert used < 0.1, f"full, the server used {used} s of processor time in one second"

        while crowd.waiting:
            crowd.leave()
            assert crowd.run_until(lambda: crowd.answered), f"{len(crowd.waiting)} were never answered"
        assert server.poll() is None, "the server has ended"
    finally:
        server.kill()
        server.wait()


if __name__ == "__main__":
    main()
