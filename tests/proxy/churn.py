# SPDX-License-Identifier: MIT
"""Thousands of connections, both ends of each in one thread: each is opened, asks and is answered, waits for its turn,
and then ends in one of several ways. An end is a generator that yields where its socket has nothing for it."""
import errno
import random
import select
import socket
import struct
import time

import peers
from peers import FIN, RESET, Fault

HELLO, WELCOME, GO = b"hello", b"!", b"go"
GREETING = len(HELLO) + 8
MATTER = random.Random(7).randbytes(1 << 20)
MUCH = 300_000  # more than goes on its way while nobody reads
BEGINNING_AT_ONCE, ENDING_AT_ONCE = 200, 100
HOLD = object()
RESETS = (errno.ECONNRESET, errno.EPIPE, errno.ECONNABORTED)


def bytes_of(number, count):
    """No two connections have the same."""
    start = number * 7919 % (len(MATTER) - MUCH)
    return MATTER[start:start + count]


def size_of(number, most):
    """Of no two ends alike, and the same ones in each run."""
    return number * 104729 % most


class Connection:
    """One end of one."""

    def __init__(self, name, connection):
        self.name, self.socket, self.way = name, connection, "one that has not begun"
        self.is_held = False
        connection.setblocking(False)

    def wrong(self, what):
        return Fault(f"a {self.name} ({self.way}) {what}")

    def receive(self, most):
        """Bytes, FIN or RESET."""
        while True:
            try:
                return self.socket.recv(most) or FIN
            except BlockingIOError:
                yield None
            except OSError as error:
                if error.errno in RESETS:
                    return RESET
                raise self.wrong(f"saw {errno.errorcode[error.errno]}") from None

    def send(self, data):
        """Whether all could be sent: not if it was reset."""
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[self.socket.send(rest):]
            except BlockingIOError:
                yield None
            except OSError as error:
                if error.errno in RESETS:
                    return False
                raise self.wrong(f"could not send ({errno.errorcode[error.errno]})") from None
        return True

    def must_send(self, data):
        if not (yield from self.send(data)):
            raise self.wrong("was reset as it sent")

    def expect(self, data):
        got = 0
        while got < len(data):
            piece = yield from self.receive(len(data) - got)
            if isinstance(piece, str):
                raise self.wrong(f"got {got} of {len(data)} bytes and then {piece}")
            if piece != data[got:got + len(piece)]:
                raise self.wrong(f"got other bytes than were sent, after {got}")
            got += len(piece)

    def expect_end(self, wanted):
        seen = yield from self.receive(1)
        if seen != wanted:
            raise self.wrong(f"saw {seen if isinstance(seen, str) else 'a byte'} instead of {wanted}")

    def expect_reset_of(self, data):
        """It sends, or has sent: a reset comes, as it sends or behind that."""
        if (yield from self.send(data)):
            yield from self.expect_end(RESET)

    def finish(self):
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            raise self.wrong("could not half-close: its connection was gone") from None

    def reset(self):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


# ---- the ways to end: what the client does, and what the server ----

def client_asks(end, number):
    yield from end.must_send(bytes_of(number, size_of(number, 2000)))
    end.finish()
    yield from end.expect(bytes_of(number + 1, size_of(number, 20_000)))
    yield from end.expect_end(FIN)


def server_answers(end, number):
    yield from end.expect(bytes_of(number, size_of(number, 2000)))
    yield from end.expect_end(FIN)
    yield from end.must_send(bytes_of(number + 1, size_of(number, 20_000)))


def client_follows(end, number):
    yield from end.expect(bytes_of(number, size_of(number, 20_000)))
    yield from end.expect_end(FIN)
    yield from end.must_send(bytes_of(number + 1, size_of(number, 20_000)))


def server_ends_first(end, number):
    yield from end.must_send(bytes_of(number, size_of(number, 20_000)))
    end.finish()
    yield from end.expect(bytes_of(number + 1, size_of(number, 20_000)))
    yield from end.expect_end(FIN)


def resets(end, number):
    del number
    end.reset()
    yield from ()


def sees_reset(end, number):
    del number
    yield from end.expect_end(RESET)


def aborts_a_transfer(end, number):
    yield from end.expect(bytes_of(number, size_of(number, 20_000)))
    end.reset()


def sends_in_vain(end, number):
    yield from end.expect_reset_of(bytes_of(number, MUCH))


WAYS = {
    "the client half-closes, and is answered": (client_asks, server_answers),
    "the server half-closes, and the client goes on": (client_follows, server_ends_first),
    "the client resets": (resets, sees_reset),
    "the server resets": (sees_reset, resets),
    "the client resets in the middle of a transfer": (aborts_a_transfer, sends_in_vain),
    "the server resets in the middle of a transfer": (sends_in_vain, aborts_a_transfer),
    "the client resets at once": (None, None),
}
NAMES = list(WAYS)


class Churn:
    """Keeps as many connections open as it is told to."""

    def __init__(self, server, address):
        host, _, port = address.rpartition(":")
        self.place, self.listener, self.random = (host, int(port)), server.listener, random.Random(11)
        self.listener.listen(4096)
        self.listener.setblocking(False)
        self.poller = select.epoll()
        self.poller.register(self.listener, select.EPOLLIN)
        self.ends = {}        # by the number of their descriptor: the end, and its generator
        self.held = []        # generators of clients that wait for their turn
        self.clients = self.beginning = self.ending = self.begun = self.over = 0

    # ---- the ends ----

    def client(self, end, number):
        code = end.socket.connect_ex(self.place)
        if code == errno.EINPROGRESS:
            yield None
            code = end.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        end.way = NAMES[self.random.randrange(len(NAMES))]
        way = WAYS[end.way][0]
        if code:
            raise end.wrong(f"could not connect ({errno.errorcode[code]})")
        if not way:
            self.beginning -= 1
            self.ending += 1
            end.reset()
            return
        yield from end.must_send(HELLO + struct.pack(">II", number, NAMES.index(end.way)))
        yield from end.expect(WELCOME)
        yield HOLD
        yield from end.must_send(GO)
        yield from way(end, number)

    def server(self, end):
        greeting = b""
        while len(greeting) < GREETING:
            piece = yield from end.receive(GREETING - len(greeting))
            if piece == RESET and not greeting:
                return  # of a client that has reset at once
            if isinstance(piece, str):
                raise end.wrong(f"saw {piece} after {len(greeting)} bytes of a greeting")
            greeting += piece
        number, way = struct.unpack(">II", greeting[len(HELLO):])
        if greeting[:len(HELLO)] != HELLO or way >= len(NAMES):
            raise end.wrong("got other bytes than were sent")
        end.way = NAMES[way]
        yield from end.must_send(WELCOME)
        yield from end.expect(GO)
        yield from WAYS[end.way][1](end, number)

    def add(self, end, steps):
        number = end.socket.fileno()
        self.ends[number] = (end, steps)
        # Whatever happens to it: a step tries first, and yields when there is nothing.
        self.poller.register(number, select.EPOLLIN | select.EPOLLOUT | select.EPOLLRDHUP | select.EPOLLET)
        self.step(number)

    def step(self, number):
        end, steps = self.ends[number]
        if end.is_held:
            return
        try:
            if next(steps) is HOLD:
                end.is_held = True
                self.held.append(number)
                self.beginning -= 1
        except StopIteration:
            del self.ends[number]
            end.socket.close()
            if end.name == "client":
                self.clients -= 1
                self.ending -= 1
                self.over += 1

    # ---- all of them ----

    def begin(self):
        self.begun += 1
        self.clients += 1
        self.beginning += 1
        end = Connection("client", socket.socket())
        self.add(end, self.client(end, self.begun))

    def end_one(self):
        place = self.random.randrange(len(self.held))
        self.held[place], self.held[-1] = self.held[-1], self.held[place]
        number = self.held.pop()
        self.ends[number][0].is_held = False
        self.ending += 1
        self.step(number)

    def turn(self):
        """What has happened, or a fault when nothing has for too long."""
        events = self.poller.poll(peers.PATIENCE_S, 256)
        if not events:
            end = next(iter(self.ends.values()))[0]
            raise Fault(f"{len(self.ends)} ends wait for something that does not come, for instance that of a "
                        f"{end.name} ({end.way})")
        for number, _ in events:
            if number == self.listener.fileno():
                self.accept()
            elif number in self.ends:
                self.step(number)

    def accept(self):
        for _ in range(64):
            try:
                end = Connection("server", self.listener.accept()[0])
            except BlockingIOError:
                return
            self.add(end, self.server(end))

    def fill(self, count):
        """Until so many are open, and wait."""
        while len(self.held) < count:
            self.begin_some(count)
            self.turn()

    def begin_some(self, count):
        while self.beginning < BEGINNING_AT_ONCE and self.clients < count:
            self.begin()

    def empty(self):
        """Until all have ended."""
        while self.ends:
            while self.held and self.ending < ENDING_AT_ONCE:
                self.end_one()
            if self.ends:
                self.turn()

    def go_on(self, count, seconds):
        """For so long they end, in any order, and others begin."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.begin_some(count)
            while self.held and self.ending < ENDING_AT_ONCE:
                self.end_one()
            self.turn()

    def close(self):
        for end, _ in self.ends.values():
            end.socket.close()
        self.poller.close()
