# SPDX-License-Identifier: MIT
"""The client and the server around a proxy: what they do, and what they see."""
import concurrent.futures
import contextlib
import errno
import fcntl
import os
import random
import select
import selectors
import socket
import struct
import termios
import time

PATIENCE_S = 20.0  # for what a proxy has to do, before it counts as not done
FIN, RESET, NOTHING = "a FIN", "a reset", "nothing"
CHUNK = 1 << 16
SMALL_BUFFER = 1 << 13
SMALL_SEGMENT = 1400
# More than all buffers of the kernel on the way hold (tcp_wmem and tcp_rmem, twice each).
UNBOUNDED = 64 << 20
# A connection that took nothing for so long is blocked.
BLOCKED_S = 0.3
HERE = contextlib.nullcontext()  # in place of another network namespace


class Fault(Exception):
    """What the proxy did instead of what it had to do: a sentence."""


def pieces(seed, count):
    """`count` bytes, in chunks of which no two are alike: none can be lost, repeated or swapped
    unseen."""
    chunk = bytearray(random.Random(seed).randbytes(CHUNK))
    for start in range(0, count, CHUNK):
        struct.pack_into(">Q", chunk, 0, start)
        yield bytes(chunk[:count - start])


def together(*calls):
    """Makes the calls at once, each in a thread. The fault that came first is passed on."""
    with concurrent.futures.ThreadPoolExecutor(len(calls)) as pool:
        for done in concurrent.futures.as_completed([pool.submit(call) for call in calls]):
            done.result()


def wait_until(condition, patience=None):
    """Whether the condition came true in time."""
    end = time.monotonic() + (PATIENCE_S if patience is None else patience)
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.005)
    return True


class End:
    """One end of a connection through a proxy. Its name stands in the sentences of faults."""

    def __init__(self, name, connection):
        self.name, self.socket, self.finished = name, connection, False
        self.was_reset = False  # the error has been taken from the socket already
        self.socket.settimeout(PATIENCE_S)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    # ---- what it does ----

    def send_until_blocked(self, data):
        """How many bytes of it were taken, before none was for a while."""
        rest = memoryview(data)
        self.socket.settimeout(BLOCKED_S)
        try:
            while rest:
                rest = rest[self.socket.send(rest):]
        except TimeoutError:
            pass
        finally:
            self.socket.settimeout(PATIENCE_S)
        return len(data) - len(rest)

    def send(self, data):
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[self.socket.send(rest):]
            except TimeoutError:
                raise Fault(f"nothing was taken from the {self.name} for {PATIENCE_S:.0f} s") from None
            except OSError as error:
                raise Fault(f"a send of the {self.name} failed ({errno.errorcode[error.errno]})") from None

    def send_all(self, seed, count):
        for piece in pieces(seed, count):
            self.send(piece)

    def finish(self):
        """Sends a FIN if it has not yet, and goes on reading."""
        if self.finished:
            return
        self.finished = True
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError as error:
            raise Fault(f"the {self.name} could not half-close ({errno.errorcode[error.errno]}): "
                        "its connection was gone") from None

    def reset(self):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def close(self):
        self.socket.close()

    def unsent(self):
        """How many bytes the other end of this TCP connection has not acknowledged."""
        return struct.unpack("i", fcntl.ioctl(self.socket, termios.TIOCOUTQ, bytes(4)))[0]

    # ---- what it sees ----

    def receive(self, most=CHUNK):
        """Bytes, or the end: FIN, RESET, NOTHING."""
        if self.was_reset:
            return RESET
        try:
            return self.socket.recv(most) or FIN
        except ConnectionResetError:
            return RESET
        except TimeoutError:
            return NOTHING
        except OSError as error:
            return errno.errorcode[error.errno]

    def receive_first(self):
        """The first byte, whichever it is."""
        first = self.receive(1)
        if isinstance(first, str):
            raise Fault(f"the {self.name} saw {first} before the first byte")
        return first

    def expect(self, data, before=0):
        """These bytes come next; `before` of them is how many had come already."""
        got = 0
        while got < len(data):
            piece = self.receive(len(data) - got)
            if isinstance(piece, str):
                raise Fault(f"the {self.name} got {before + got} bytes and then {piece}, "
                            f"with bytes on the way")
            if piece != data[got:got + len(piece)]:
                raise Fault(f"the {self.name} got other bytes than were sent, after {before + got}")
            got += len(piece)

    def expect_all(self, seed, count, piece_size=CHUNK, before_each=lambda: None):
        """What send_all() sends, read in pieces of that size."""
        got = 0
        for piece in pieces(seed, count):
            for start in range(0, len(piece), piece_size):
                before_each()
                self.expect(piece[start:start + piece_size], got)
                got += len(piece[start:start + piece_size])

    def expect_count(self, count):
        """So many bytes come next, whichever they are."""
        got = 0
        while got < count:
            got += self.expect_some(count - got, got)

    def expect_some(self, most=CHUNK, before=0):
        """A byte at least comes next. How many came."""
        piece = self.receive(min(CHUNK, most))
        if isinstance(piece, str):
            raise Fault(f"the {self.name} got {before} bytes and then {piece}, with bytes on the way")
        return len(piece)

    def expect_end(self, wanted):
        """FIN or RESET comes next, and no byte before it."""
        seen = self.receive()
        if not isinstance(seen, str):
            raise Fault(f"the {self.name} got {len(seen)} bytes that nobody has sent")
        if seen != wanted:
            raise Fault(f"the {self.name} saw {seen} instead of {wanted}")

    def expect_reset_after_end(self):
        """The FIN has been seen. A reset behind it is no answer of recv(): the socket's error says it."""
        poller = select.poll()
        poller.register(self.socket, 0)  # errors and hang-ups are reported unasked
        if not poller.poll(PATIENCE_S * 1000):
            raise Fault(f"the {self.name} saw nothing of a reset behind a FIN")
        code = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code not in (errno.EPIPE, errno.ECONNRESET):
            raise Fault(f"the {self.name} saw the end of both directions instead of a reset behind a FIN")


def fill(ends):
    """Has each end send zeros until it is blocked. How many bytes each has sent."""
    sent = dict.fromkeys(ends, 0)
    data = bytes(CHUNK)
    by_socket = {end.socket: end for end in ends}
    for end in ends:
        end.socket.setblocking(False)
    try:
        while writable := select.select([], list(by_socket), [], BLOCKED_S)[1]:
            for connection in writable:
                end = by_socket[connection]
                try:
                    sent[end] += connection.send(data)
                except BlockingIOError:
                    pass  # less room than the kernel wants for a piece
                except OSError as error:
                    raise Fault(f"a send of the {end.name} failed ({errno.errorcode[error.errno]})") from None
                if sent[end] > UNBOUNDED:
                    raise Fault(f"the proxy took {UNBOUNDED >> 20} MB from a {end.name} "
                                "whose peer reads nothing")
    finally:
        for end in ends:
            end.socket.settimeout(PATIENCE_S)
    return sent


class Server:
    """What the proxy connects to: `address` is HOST:PORT or unix:PATH. It is in a network namespace, if one is
    given."""

    def __init__(self, path=None, small_buffer=False, host="127.0.0.1", space=HERE):
        if path:
            self.listener = socket.socket(socket.AF_UNIX)
            self.listener.bind(path)
            os.chmod(path, 0o666)
            self.address = f"unix:{path}"
        else:
            with space:
                self.listener = socket.socket()
            self.listener.bind((host, 0))
            self.address = "{}:{}".format(*self.listener.getsockname())
        if small_buffer:  # inherited by what is accepted, and in time for the first window
            self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
            # The kernel makes the proxy's buffer of what it sends larger as its segments are.
            self.listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, SMALL_SEGMENT)
        self.listener.settimeout(PATIENCE_S)

    def listen(self):
        self.listener.listen(1024)
        return self

    def accept(self):
        try:
            return End("server", self.listener.accept()[0])
        except TimeoutError:
            raise Fault("no connection reached the server") from None

    def close(self):
        self.listener.close()


def connect(address, small_buffer=False, space=HERE):
    """The client's end of a connection to that address of a proxy, in a network namespace if one is given."""
    if address.startswith("unix:"):
        connection, where = socket.socket(socket.AF_UNIX), address.removeprefix("unix:")
    else:
        host, _, port = address.rpartition(":")
        with space:
            connection, where = socket.socket(), (host, int(port))
    if small_buffer:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, CHUNK)
    connection.settimeout(PATIENCE_S)
    try:
        connection.connect(where)
    except ConnectionResetError:
        # It was accepted, and reset before this end has seen either.
        end = End("client", connection)
        end.was_reset = True
        return end
    except OSError as error:
        connection.close()
        raise Fault(f"the client could not connect ({error})") from None
    return End("client", connection)


class Crowd:
    """Many clients that each send a byte, and the server that sends it back."""

    def __init__(self, server, address, count):
        self.selector = selectors.DefaultSelector()
        self.waiting, self.served, self.shed, self.accepted = set(), [], 0, set()
        server.listener.setblocking(False)
        self.selector.register(server.listener, selectors.EVENT_READ, self.accept)
        host, _, port = address.rpartition(":")
        for _ in range(count):
            client = socket.socket()
            client.setblocking(False)
            client.connect_ex((host, int(port)))  # may wait for a place in the proxy's queue
            self.waiting.add(client)
            self.selector.register(client, selectors.EVENT_WRITE, self.ask)

    def ask(self, client):
        """It is connected, or has failed; then the answer says so."""
        with contextlib.suppress(OSError):
            client.send(b"?")
        self.selector.modify(client, selectors.EVENT_READ, self.take_answer)

    def accept(self, listener):
        connection = listener.accept()[0]
        connection.setblocking(False)
        self.accepted.add(connection)
        self.selector.register(connection, selectors.EVENT_READ, self.answer)

    def answer(self, connection):
        try:
            data = connection.recv(1)
            if data:
                connection.send(data)
                return
        except OSError:
            pass  # the proxy has reset it: it is gone
        self.selector.unregister(connection)
        self.accepted.remove(connection)
        connection.close()

    def take_answer(self, client):
        try:
            answered = client.recv(1) == b"?"
        except OSError:
            answered = False
        self.selector.unregister(client)
        self.waiting.remove(client)
        if answered:
            self.served.append(client)
        else:
            self.shed += 1
            client.close()

    def run_until(self, done, quiet_s):
        """Until that is so, or nothing has happened for so long."""
        while not done():
            events = self.selector.select(quiet_s)
            if not events:
                return
            for key, _ in events:
                key.data(key.fileobj)

    def served_leave(self):
        while self.served:
            self.served.pop().close()

    def close(self):
        for connection in [*self.waiting, *self.served, *self.accepted]:
            connection.close()
        self.selector.close()


def processor_ticks(pid):
    """Of user and system time."""
    with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
        fields = file.read().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def voluntary_switches(pid):
    """How often its threads went to sleep: once a turn of a loop that waits."""
    count = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/status", encoding="utf-8") as file:
            for line in file:
                if line.startswith("voluntary_ctxt_switches"):
                    count += int(line.split()[1])
    return count


def memory_kb(pid):
    """What it has in memory; what several processes share is divided between them."""
    with open(f"/proc/{pid}/smaps_rollup", encoding="utf-8") as file:
        return sum(int(line.split()[1]) for line in file if line.startswith("Pss:"))


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))
