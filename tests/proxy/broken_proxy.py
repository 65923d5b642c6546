#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A proxy that keeps what the cases ask for, or is broken in one way: `broken_proxy.py proxy LISTEN
TARGET --backend MISTAKE [--idle SECONDS]`. It has the command line of `pollux proxy`, so that the cases can be played
around it: each of them has to find its mistakes."""
import errno
import fcntl
import json
import select
import signal
import socket
import struct
import sys
import termios
import time

HELD = 1 << 14  # bytes that wait for a side, before it reads no more
PIECE = 1 << 14
ASK_AGAIN_S = 0.005

MISTAKES = {
    "none": "there is none",
    "closes_on_fin": "one FIN ends both directions",
    "keeps_fin": "no FIN is passed on",
    "drops_early_fin": "a FIN without a byte before it is forgotten",
    "fin_for_reset": "a reset is passed on as a FIN",
    "late_reset": "a reset behind a FIN is not passed on",
    "hasty_reset": "a reset overtakes bytes",
    "sleeps_when_full": "a side that is not read from is not watched either",
    "loses_a_byte": "a byte in a million is lost",
    "waits_for_more": "a single byte waits for a second one",
    "takes_all": "what cannot be sent is kept, however much it is",
    "spins": "the loop never waits",
    "wakes": "the loop wakes four times a second while anybody is connected",
    "spins_when_over": "bytes of which nobody takes the rest, in front of both FINs, turn the loop",
    "leaks": "the client's descriptor is not closed",
    "gives_up": "it ends when there are no more descriptors",
    "stays_paused": "once without descriptors, it accepts nobody any more",
    "never_idle": "no deadline for idle connections",
    "hasty_idle": "the deadline for idle connections is counted from their beginning",
    "idle_with_others": "one idle connection takes all of its client's neighbours with it",
    "ends_one_side": "of an idle connection only the client's side is ended",
    "tells_twice": "each end is told twice",
    "impatient": "whoever takes nothing for half a second is reset",
    "knows_one_error": "whatever failure is no reset by the peer is passed on as a FIN",
    "blocks": "a send to one side waits until it has room",
    "remembers": "of each connection some memory is kept",
    "forgets_early_reset": "a reset before the server is connected is passed on as a FIN",
}


class Side:
    """One side of a connection: the socket, and what waits to be sent to it."""

    def __init__(self, connection):
        self.socket, self.queue, self.other = connection, bytearray(), None
        self.connecting = False
        self.ended = False      # its FIN has been read
        self.finished = False   # a FIN has been sent to it
        self.failed = False     # it has been reset
        self.hung_up = False    # both are over, though bytes may be unread
        self.registered = None
        self.active = self.moved = time.monotonic()
        self.brought = 0        # bytes

    def unsent(self):
        return struct.unpack("i", fcntl.ioctl(self.socket, termios.TIOCOUTQ, bytes(4)))[0]


class Proxy:
    def __init__(self, listen, target, mistake, idle):
        self.target, self.mistake, self.idle = target, mistake, idle
        self.poller = select.epoll()
        self.sides = {}
        self.draining = set()   # sides whose other one has failed, and that still have bytes to take
        self.passed = 0
        self.listener = socket_for(listen)
        if not listen.startswith("unix:"):
            self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(place_of(listen))
        self.listener.listen(1024)
        self.listener.setblocking(False)
        self.accepting = False
        self.accept_again()
        place = self.listener.getsockname()
        print("listening on", "{}:{}".format(*place) if isinstance(place, tuple) else f"unix:{place}", flush=True)

    def accept_again(self):
        if not self.accepting:
            self.poller.register(self.listener, select.EPOLLIN)
            self.accepting = True

    def run(self):
        while True:
            # What the kernel has left to send it does not report; what waits here, it has no room for.
            timeout = ASK_AGAIN_S if any(not side.queue for side in self.draining) else None
            if self.mistake == "spins":
                timeout = 0
            elif self.mistake == "wakes" and self.sides:
                timeout = 0.25
            elif (self.idle or self.mistake == "impatient") and self.sides:
                timeout = ASK_AGAIN_S
            # A number that is given out again meanwhile stands for another side: these are what was polled.
            for side, number, events in [(self.sides.get(number), number, events)
                                         for number, events in self.poller.poll(timeout)]:
                if number == self.listener.fileno():
                    self.accept()
                elif side and self.sides.get(number) is side:
                    self.serve(side, events)
            for side in list(self.draining):
                self.finish_reset(side)
            for client in [side for side in self.sides.values() if side.is_client]:
                self.look_at_the_clock(client)

    def look_at_the_clock(self, client):
        if client.socket.fileno() not in self.sides:
            return
        now, both = time.monotonic(), (client, client.other)
        if self.mistake == "impatient" and any(side.queue and now - side.moved > 0.5 for side in both):
            self.end_idle(client)
        elif self.idle and self.mistake != "never_idle" and now - max(side.active for side in both) > self.idle:
            every = [client]
            if self.mistake == "idle_with_others":
                every = [side for side in self.sides.values() if side.is_client]
            for one in every:
                self.end_idle(one)

    def end_idle(self, client):
        if self.mistake == "ends_one_side":
            self.poller.unregister(client.socket)
            client.socket.close()
            client.other.other = client
            return
        if self.mistake != "fin_for_reset":
            for side in (client, client.other):
                reset_on_close(side.socket)
        self.close_both(client)

    # ---- descriptors ----

    def accept(self):
        upstream = None
        try:
            upstream = socket_for(self.target)  # first: then a client that is accepted has its server
            client = self.listener.accept()[0]
        except OSError as error:
            if upstream:
                upstream.close()
            if error.errno == errno.EMFILE:
                if self.mistake == "gives_up":
                    raise
                self.poller.unregister(self.listener)
                self.accepting = False
            return
        client.setblocking(False)
        upstream.setblocking(False)
        client, server = Side(client), Side(upstream)
        client.other, server.other = server, client
        client.is_client, server.is_client = True, False
        self.sides[client.socket.fileno()], self.sides[server.socket.fileno()] = client, server
        code = upstream.connect_ex(place_of(self.target))
        server.connecting = code == errno.EINPROGRESS
        if code not in (0, errno.EINPROGRESS):
            server.failed = True
            self.pass_on_reset(server)
            return
        self.rearm(client)
        self.rearm(server)

    def close_both(self, side):
        if self.idle:
            client = side if side.is_client else side.other
            for _ in range(2 if self.mistake == "tells_twice" else 1):
                print(f"{client.brought} from the client, {client.other.brought} from the target", file=sys.stderr,
                      flush=True)
        for one in (side, side.other):
            self.draining.discard(one)
            if self.sides.pop(one.socket.fileno(), None) is None:
                continue
            if one.registered is not None:
                self.poller.unregister(one.socket)
            if self.mistake == "remembers":
                LEAKED.append(bytearray(65536))
            if self.mistake == "leaks" and not one.connecting:
                LEAKED.append(one.socket.dup())
            one.socket.close()
        if self.mistake != "stays_paused":
            self.accept_again()

    # ---- events ----

    def rearm(self, side):
        wanted = 0
        room = len(side.other.queue) < HELD or self.mistake == "takes_all"
        if not side.ended and not side.failed and room:
            wanted |= select.EPOLLIN
        if side.queue or side.connecting:
            wanted |= select.EPOLLOUT
        # Both directions over: the kernel goes on reporting it, whatever is asked for.
        over = (side.ended and side.finished and not side.queue
                or side.hung_up and not wanted and self.mistake != "spins_when_over")
        ignored = self.mistake == "sleeps_when_full" and not wanted
        if over or side.failed or ignored:
            if side.registered is not None:
                self.poller.unregister(side.socket)
                side.registered = None
        elif side.registered is None:
            self.poller.register(side.socket, wanted)
            side.registered = wanted
        elif side.registered != wanted:
            self.poller.modify(side.socket, wanted)
            side.registered = wanted

    def serve(self, side, events):
        if side.connecting:
            side.connecting = False
            if side.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                side.failed = True
        elif events & select.EPOLLERR:
            side.failed = True
            if self.mistake == "late_reset" and side.ended:
                self.rearm(side)
                return
        elif events & select.EPOLLHUP:
            side.hung_up = True
        self.read(side)
        self.flush(side)
        if side.failed:
            self.pass_on_reset(side)
            return
        self.flush(side.other)
        if side.other.failed:
            self.pass_on_reset(side.other)
            return
        self.go_on(side)

    def go_on(self, side):
        both = (side, side.other)
        if all(one.ended and one.finished and not one.queue for one in both):
            self.close_both(side)
        elif self.mistake == "closes_on_fin" and any(one.ended for one in both):
            self.close_both(side)
        else:
            self.rearm(side)
            self.rearm(side.other)

    def read(self, side):
        """As much as there is room for; a side that has failed may still have bytes."""
        while not side.ended and (len(side.other.queue) < HELD or self.mistake == "takes_all"):
            try:
                data = side.socket.recv(PIECE)
            except BlockingIOError:
                return
            except OSError as error:
                side.ended = True
                side.failed = self.mistake != "knows_one_error" or error.errno == errno.ECONNRESET
                return
            side.active = time.monotonic() if self.mistake != "hasty_idle" else side.active
            side.brought += len(data)
            if not data:
                side.ended = True
                side.other.finished |= self.mistake == "drops_early_fin" and not side.brought
            if self.mistake == "loses_a_byte" and (self.passed + len(data)) // 1_000_000 > self.passed // 1_000_000:
                self.passed += 1
                data = data[:-1]
            self.passed += len(data)
            side.other.queue += data

    def flush(self, side):
        enough = 2 if self.mistake == "waits_for_more" and not side.other.ended else 1
        while len(side.queue) >= enough and not side.connecting and not side.failed:
            try:
                side.socket.setblocking(self.mistake == "blocks")
                del side.queue[:side.socket.send(side.queue)]
                side.socket.setblocking(False)
                side.moved = time.monotonic()
                side.active = side.moved if self.mistake != "hasty_idle" else side.active
            except BlockingIOError:
                return
            except OSError:
                side.failed = True
        if (side.other.ended and not side.queue and not side.finished and not side.connecting
                and not side.failed and not side.other.failed and self.mistake != "keeps_fin"):
            side.finished = True
            try:
                side.socket.shutdown(socket.SHUT_WR)
            except OSError:
                side.failed = True

    # ---- resets ----

    def pass_on_reset(self, side):
        """The other side gets the bytes that came before the reset, and then the reset."""
        side.queue.clear()
        self.rearm(side)
        self.draining.add(side.other)
        self.finish_reset(side.other)

    def finish_reset(self, side):
        if self.mistake != "hasty_reset":
            self.read(side.other)
            self.flush(side)
            bytes_left = side.queue or not side.other.ended or not side.connecting and side.unsent()
            if bytes_left and not side.failed:
                return
        early = side.connecting and self.mistake == "forgets_early_reset"
        if self.mistake != "fin_for_reset" and not early:
            reset_on_close(side.socket)
        self.close_both(side)


LEAKED = []


def reset_on_close(connection):
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def socket_for(address):
    return socket.socket(socket.AF_UNIX if address.startswith("unix:") else socket.AF_INET)


def place_of(address):
    if address.startswith("unix:"):
        return address.removeprefix("unix:")
    host, _, port = address.rpartition(":")
    return host, int(port)


def main():
    arguments = sys.argv[1:]
    if arguments[:1] == ["backends"]:
        print(json.dumps({"backends": [{"name": name, "usable": True} for name in MISTAKES]}))
    elif arguments == ["--version"]:
        print("1")
    elif arguments[-1:] == ["--help"]:
        print(__doc__)
    elif arguments[:1] == ["proxy"]:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        listen, target, _, mistake, *options = arguments[1:]
        idle = float(options[1]) if options else None  # the other one is --trace
        Proxy(listen, target, mistake, idle).run()


if __name__ == "__main__":
    main()
