#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What `pollux proxy` does when it is told to: options_test.py PROGRAM [BACKEND]."""

import contextlib
import json
import os
import resource
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import unittest

PATIENCE_S = 20
PROGRAM, BACKEND = "pollux", ""


def listener():
    made = socket.create_server(("127.0.0.1", 0))
    made.settimeout(PATIENCE_S)
    return made


def name_of(bound):
    return "127.0.0.1:%d" % bound.getsockname()[1]


def address_of(line):
    """The last word of it."""
    host, port = line.split()[-1].rsplit(":", 1)
    return host, int(port)


def read_all(connection):
    text = b""
    while piece := connection.recv(65536):
        text += piece
    return text


class Proxy:
    def __init__(self, *arguments):
        backend = ["--backend", BACKEND] if BACKEND else []
        self.process = subprocess.Popen([PROGRAM, "proxy", *arguments, *backend], stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True)
        first = self.process.stdout.readline()
        assert first.startswith("listening on "), first + self.process.stderr.read()
        self.address = address_of(first)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    def connect(self):
        return socket.create_connection(self.address, PATIENCE_S)

    def signal(self, number):
        self.process.send_signal(number)

    def ends(self):
        return self.process.wait(PATIENCE_S)


class Options(unittest.TestCase):
    def setUp(self):
        self.stack = contextlib.ExitStack()
        self.addCleanup(self.stack.close)
        self.server = self.keep(listener())

    def keep(self, what):
        return self.stack.enter_context(what)

    def proxy(self, *arguments):
        return self.keep(Proxy("127.0.0.1:0", *arguments))

    def accept(self, server=None):
        connection = self.keep((server or self.server).accept()[0])
        connection.settimeout(PATIENCE_S)
        return connection

    def is_cut_off(self, connection):
        try:
            return connection.recv(1) == b""
        except ConnectionResetError:
            return True

    def test_the_header_says_who_the_client_is(self):
        for version in ("v1", "v2"):
            with self.subTest(version):
                proxy = self.proxy(name_of(self.server), "--send-header", version)
                client = self.keep(proxy.connect())
                client.sendall(b"bytes")
                client.shutdown(socket.SHUT_WR)
                (ip, port), got = client.getsockname(), read_all(self.accept())
                if version == "v1":
                    expected = b"PROXY TCP4 %s 127.0.0.1 %d %d\r\n" % (ip.encode(), port, proxy.address[1])
                else:
                    expected = (b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + socket.inet_aton(ip) +
                                socket.inet_aton("127.0.0.1") + struct.pack(">HH", port, proxy.address[1]))
                self.assertEqual(got, expected + b"bytes")

    def test_a_header_is_taken_and_passed_on_in_the_other_version(self):
        v1 = b"PROXY TCP6 2001:db8::1 2001:db8::2 1000 2000\r\n"
        v2 = (b"\r\n\r\n\0\r\nQUIT\n\x21\x21\0\x24" + socket.inet_pton(socket.AF_INET6, "2001:db8::1") +
              socket.inet_pton(socket.AF_INET6, "2001:db8::2") + struct.pack(">HH", 1000, 2000))
        unknown = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0"
        for header, source in ((v1, "2001:db8::1"), (v2, "2001:db8::1"), (b"PROXY UNKNOWN\r\n", "127.0.0.1"),
                               (unknown, "127.0.0.1")):
            for at_once in (True, False):
                with self.subTest(header=header, at_once=at_once):
                    proxy = self.proxy(name_of(self.server), "--accept-header", "--trace")
                    client = self.keep(proxy.connect())
                    parts = [header + b"bytes"] if at_once else [header[:9], header[9:], b"bytes"]
                    for part in parts:
                        client.sendall(part)
                    client.shutdown(socket.SHUT_WR)
                    server = self.accept()
                    self.assertEqual(read_all(server), b"bytes")
                    server.close()
                    read_all(client)
                    proxy.signal(signal.SIGTERM)
                    self.assertEqual(proxy.ends(), 0)
                    self.assertIn(source, proxy.process.stderr.read())

    def test_a_header_says_who_the_first_client_was_and_what_it_asked_for(self):
        proxy = self.proxy(name_of(self.server), "--accept-header", "--send-header", "v1")
        for header in (b"PROXY TCP6 2001:db8::1 2001:db8::2 1000 2000\r\n",
                       b"PROXY TCP4 192.0.2.1 192.0.2.2 1000 2000\r\n"):
            client = self.keep(proxy.connect())
            client.sendall(header)
            client.shutdown(socket.SHUT_WR)
            self.assertEqual(read_all(self.accept()), header)

    def test_who_waits_for_a_descriptor_and_goes_holds_up_nobody(self):
        proxy = self.proxy(name_of(self.server))
        in_use = len(os.listdir("/proc/%d/fd" % proxy.process.pid))
        resource.prlimit(proxy.process.pid, resource.RLIMIT_NOFILE, (in_use + 5, in_use + 5))
        served = [self.keep(proxy.connect()) for _ in range(2)]
        servers = [self.accept() for _ in served]
        waits = proxy.connect()
        waits.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        waits.close()
        for end in served + servers:
            end.close()
        self.keep(proxy.connect()).sendall(b"x")
        for _ in range(2):  # the one that has gone may be passed on first
            with contextlib.suppress(ConnectionResetError):
                if self.accept().recv(1) == b"x":
                    break
        else:
            self.fail("nobody is served")

    def test_who_sends_no_header_is_cut_off(self):
        proxy = self.proxy(name_of(self.server), "--accept-header")
        for wrong in (b"GET / HTTP/1.0\r\n\r\n", b"PROXY TCP4 a b 1 2\r\n", b"PROXY " + b"x" * 120,
                      b"\r\n\r\n\0\r\nQUIT\n\x31\x11\0\x0c"):
            with self.subTest(wrong):
                client = self.keep(proxy.connect())
                client.sendall(wrong)
                self.assertTrue(self.is_cut_off(client))

    def test_who_is_above_the_limit_waits(self):
        proxy = self.proxy(name_of(self.server), "--limit", "1")
        first, second = self.keep(proxy.connect()), self.keep(proxy.connect())
        server = self.accept()
        second.sendall(b"second")
        self.server.settimeout(0.2)  # nobody comes
        with self.assertRaises(TimeoutError):
            self.server.accept()
        self.server.settimeout(PATIENCE_S)
        first.close()
        server.close()
        self.assertEqual(self.accept().recv(6), b"second")

    def test_idle_and_half_closed_connections_are_cut_off(self):
        for option in ("--idle", "--half-closed"):
            with self.subTest(option):
                proxy = self.proxy(name_of(self.server), option, "0.05")
                client = self.keep(proxy.connect())
                server = self.accept()
                if option == "--half-closed":
                    client.shutdown(socket.SHUT_WR)
                    self.assertEqual(server.recv(1), b"")
                self.assertTrue(self.is_cut_off(client))

    def test_the_targets_take_turns_and_the_next_is_tried(self):
        nobody = self.keep(socket.socket())
        nobody.bind(("127.0.0.1", 0))
        other = self.keep(listener())
        proxy = self.proxy(name_of(nobody), name_of(self.server), name_of(other))
        for server in (self.server, other, self.server, other):
            self.keep(proxy.connect())
            self.accept(server)

    def test_a_name_is_resolved(self):
        proxy = self.proxy("localhost:%d" % self.server.getsockname()[1])
        self.keep(proxy.connect()).sendall(b"x")
        self.assertEqual(self.accept().recv(1), b"x")

    def test_sighup_reads_the_targets_again(self):
        other = self.keep(listener())
        file = os.path.join(self.keep(tempfile.TemporaryDirectory()), "targets")

        def write(text):
            with open(file, "w", encoding="utf-8") as to:
                to.write(text)
        write("# the first\n%s  # of them\n\n" % name_of(self.server))
        proxy = self.proxy("--targets", file)
        self.keep(proxy.connect())
        self.accept()
        write("nonsense\n")
        proxy.signal(signal.SIGHUP)
        self.assertIn("nonsense", proxy.process.stderr.readline())
        self.keep(proxy.connect())
        self.accept()
        write(name_of(other) + "\n")
        proxy.signal(signal.SIGHUP)
        self.server.setblocking(False)
        other.settimeout(0.1)
        for _ in range(100):  # until it has read them
            self.keep(proxy.connect())
            try:
                self.accept(other)
                break
            except TimeoutError:
                self.accept()
        else:
            self.fail("it goes on with the first target")

    def test_the_first_signal_drains_and_the_second_ends(self):
        proxy = self.proxy(name_of(self.server))
        client = self.keep(proxy.connect())
        server = self.accept()
        proxy.signal(signal.SIGTERM)
        for _ in range(1000):  # until it listens no more
            try:
                self.keep(proxy.connect())
            except ConnectionRefusedError:
                break
            except ConnectionResetError:  # it was in the queue of the socket that is closed
                pass
        client.sendall(b"x")
        self.assertEqual(server.recv(1), b"x")
        proxy.signal(signal.SIGTERM)
        self.assertTrue(self.is_cut_off(client))
        self.assertEqual(proxy.ends(), 0)

    def test_it_ends_when_it_has_drained(self):
        proxy = self.proxy(name_of(self.server), "--threads", "3")
        client, server = self.keep(proxy.connect()), self.accept()
        proxy.signal(signal.SIGTERM)
        client.close()
        server.close()
        self.assertEqual(proxy.ends(), 0)

    def test_its_counts_are_true(self):
        proxy = self.proxy(name_of(self.server), "--stats", "--metrics", "127.0.0.1:0")
        metrics = proxy.process.stdout.readline()
        self.assertTrue(metrics.startswith("metrics on "), metrics)
        client, server = self.keep(proxy.connect()), self.accept()
        client.sendall(b"12345")
        server.recv(5)
        server.sendall(b"123")
        client.recv(3)
        line = {}
        while line.get("bytes_from_clients") != 5:
            line = json.loads(proxy.process.stdout.readline())
        self.assertEqual(line, {"accepted": 1, "open": 1, "not_connected": 0, "cut_off": 0,
                                "bytes_from_clients": 5, "bytes_from_targets": 3})
        asked = self.keep(socket.create_connection(address_of(metrics), PATIENCE_S))
        asked.sendall(b"GET /metrics HTTP/1.1\r\n")
        asked.sendall(b"Host: here\r\n\r\n")
        answer = read_all(asked).decode()
        self.assertTrue(answer.startswith("HTTP/1.0 200 OK\r\n"), answer)
        self.assertIn("# TYPE pollux_proxy_open gauge\npollux_proxy_open 1\n", answer)
        self.assertIn("pollux_proxy_bytes_from_targets 3\n", answer)

    def test_what_makes_no_sense_is_refused(self):
        for arguments in (["127.0.0.1:0"], ["nowhere", "127.0.0.1:1"], ["127.0.0.1:0", "127.0.0.1:x"],
                          ["127.0.0.1:0", "127.0.0.1:1", "--send-header", "v3"],
                          ["unix:@pollux-test", "127.0.0.1:1", "--threads", "2"],
                          ["127.0.0.1:0", "--targets", "/no/such/file"],
                          ["127.0.0.1:0", "127.0.0.1:1", "--threads", "4", "--limit", "3"]):
            with self.subTest(arguments):
                done = subprocess.run([PROGRAM, "proxy", *arguments], capture_output=True, text=True,
                                      timeout=PATIENCE_S, check=False)
                self.assertEqual(done.returncode, 2, done.stderr)
                self.assertTrue(done.stderr.startswith("pollux: "), done.stderr)


if __name__ == "__main__":
    PROGRAM = sys.argv[1]
    BACKEND = sys.argv[2] if len(sys.argv) > 2 else ""
    unittest.main(argv=sys.argv[:1])
