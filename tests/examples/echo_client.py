#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Starts an echo server, sends it more than any buffer holds, half-closes, and wants all of it back,
and the server's FIN after it. Then a client that resets, and one that half-closes without a word.
With --ends the server has to end well when it is asked to by SIGTERM."""
import re
import socket
import struct
import subprocess
import sys
import threading

REQUEST = bytes(range(256)) * 40000  # 10 MB


def read_all(client):
    return b"".join(iter(lambda: client.recv(1 << 16), b""))


def main():
    server = subprocess.Popen([sys.argv[1]], stdout=subprocess.PIPE, text=True)
    try:
        port = int(re.search(r":(\d+)", server.stdout.readline())[1])

        def connect():
            client = socket.create_connection(("127.0.0.1", port))
            client.settimeout(30)
            return client

        def send_request():
            client.sendall(REQUEST)
            client.shutdown(socket.SHUT_WR)

        client = connect()
        sender = threading.Thread(target=send_request)
        sender.start()
        answer = read_all(client)
        sender.join()
        assert answer == REQUEST, f"{len(answer)} of {len(REQUEST)} bytes came back"

        rude = connect()
        rude.sendall(b"never mind")
        rude.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        rude.close()

        silent = connect()
        silent.shutdown(socket.SHUT_WR)
        assert read_all(silent) == b""
        assert server.poll() is None, "the server has ended"

        if "--ends" in sys.argv:
            left_over = connect()
            server.terminate()
            assert server.wait(30) == 0, f"the server ended with {server.returncode}"
            assert read_all(left_over) == b""
    finally:
        server.kill()
        server.wait()


if __name__ == "__main__":
    main()
