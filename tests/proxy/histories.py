# SPDX-License-Identifier: MIT
"""The cases: what a client and a server do to each other through a proxy, and what each has to see.

A case is a function of a World. It raises a Fault with a sentence that says what the proxy did
instead, and may return a remark (what it has measured)."""
import contextlib
import itertools
import os
import re
import tempfile
import threading
import time

import peers
import proxies
from peers import FIN, RESET, Fault, together

MB = 1_000_000
ANSWER = 10 * MB
IDLE_S = 2.0  # idleness is what is measured: nothing but the time goes by
HALF_CLOSED, BLOCKED = 400, 60
DESCRIPTORS, CLIENTS = 41, 60  # a connection through a proxy takes two descriptors
QUIET_S = 0.5  # clients of which none is served for so long wait for a place
PER_CONNECTION_KB = 128  # twice a pipe's buffer for each direction, at the most
SHORT_CONNECTIONS, AT_ONCE = 2000, 20
RESETS = 200

CASES = {}


# When it is first kept busy, a loop may make itself a timer of the kernel's, a set to ask about what ends, and two pipes
# for what is spliced, of two descriptors each, which it keeps.
MADE_UNDER_LOAD = 6


# What wakes by itself does so once more or less in a time.
ONE_MORE = 1
# A kernel may find room for a few bytes more a second later: what never rests fails each time.
TIMES_IDLE = 3


class World:
    """A proxy that is between a server and the clients of one case."""

    def __init__(self, proxy, quick=False):
        self.proxy, self.quick = proxy, quick
        self.stack = contextlib.ExitStack()
        self.folder = self.stack.enter_context(tempfile.TemporaryDirectory())
        self.server = self.running = None

    def start(self, listen=proxies.ANY_PORT, limit=None, serving=True, idle=None, **server):
        self.server = peers.Server(**server)
        self.stack.callback(self.server.close)
        if serving:
            self.server.listen()
        self.running = self.proxy.start(self.server.address, self.folder, listen, limit, idle)

    def path(self, name):
        return os.path.join(self.folder, name)

    def keep(self, end):
        """Closed when the case is over."""
        self.stack.callback(end.close)
        return end

    def client(self, **options):
        return self.keep(peers.connect(self.running.address, **options))

    def pair(self, **options):
        """A connection through the proxy: the client's end and the server's. The options are the client's."""
        client = self.client(**options)
        return client, self.keep(self.server.accept())

    def pair_in_use(self, **options):
        """One over which a byte has gone each way."""
        client, server = self.pair(**options)
        exchange(client, server)
        return client, server

    def usage(self, running):
        """Ticks of processor time, and how often a thread went to sleep."""
        return running.sum(peers.processor_ticks), running.sum(peers.voluntary_switches)

    def settle(self, running, patience=None):
        """Until the proxy has done what there is to do. For one that never rests, not for ever."""
        seen = [None]

        def rests():
            seen.append(self.usage(running))
            time.sleep(0.05)
            return seen[-1] == seen[-2] == self.usage(running)
        peers.wait_until(rests, patience or peers.PATIENCE_S / 4)

    def idle(self, running):
        """What it has used in a time in which nothing happens: seconds of processor, and sleeps."""
        before = self.usage(running)
        time.sleep(IDLE_S)
        after = self.usage(running)
        return (after[0] - before[0]) / os.sysconf("SC_CLK_TCK"), after[1] - before[1]

    def expect_idle(self):
        without = None
        for _ in range(TIMES_IDLE):
            self.settle(self.running)
            seconds, turns = self.idle(self.running)
            if not seconds and not turns:
                return None
            if without is None:
                without = self.turns_of_another()
            if not seconds and turns <= without + ONE_MORE:
                return f"wakes {turns} times in {IDLE_S:.0f} s, as without any connection"
        raise Fault(f"idle, it woke {turns} times and used {seconds:.2f} s of processor in {IDLE_S:.0f} s "
                    f"({without} times without any connection)")

    def turns_of_another(self):
        """How often the same proxy wakes that nobody has connected to."""
        other = self.proxy.start(self.server.address, self.folder)
        self.stack.callback(other.end)
        self.settle(other)
        return self.idle(other)[1]

    def descriptors(self):
        return self.running.sum(peers.descriptors)

    def descriptors_at_rest(self):
        """How many it has when it has closed what there was to close."""
        self.settle(self.running)
        return self.descriptors()

    def expect_descriptors(self, before, meanwhile=lambda: None):
        def are_back():
            meanwhile()
            return self.descriptors() <= before + MADE_UNDER_LOAD
        if not peers.wait_until(are_back):
            raise Fault(f"it was left with {self.descriptors()} descriptors; before, it had {before}")

    def close(self, failed):
        """Ends the case, which has failed or not. Says what is wrong with the proxy after it."""
        running, self.running = self.running, None
        try:
            if running:
                running.check(0.5 if failed else 0)
        finally:
            self.stack.close()
            status = running.end() if running else None
        if running:
            self.proxy.judge(running, status)


def cases_of(cases):
    """The decorator that adds a function to these. `sees` is what each end has to see, for the page."""
    def case(title, sees):
        def add(function):
            cases[title] = function
            function.sees = sees
            return function
        return add
    return case


case = cases_of(CASES)


def exchange(client, server):
    client.send(b"?")
    server.expect(b"?")
    server.send(b"!")
    client.expect(b"!")


# ---- half-close ----

@case("answer of 10 MB after the client's FIN",
      "The server reads the question, and then a FIN. The client reads the whole answer, and then a FIN.")
def answer_after_fin(world):
    world.start()
    half_close(*world.pair())


def half_close(client, server):
    client.send(b"question")
    client.finish()
    server.expect(b"question")
    server.expect_end(FIN)
    together(lambda: server.send_all(1, ANSWER), lambda: client.expect_all(1, ANSWER))
    server.finish()
    client.expect_end(FIN)


@case("the server's FIN first, and the client goes on sending",
      "The client sees a FIN. The server reads all that the client sends after it, and then a FIN.")
def servers_fin_first(world):
    world.start()
    client, server = world.pair_in_use()
    server.finish()
    client.expect_end(FIN)
    together(lambda: client.send_all(2, ANSWER), lambda: server.expect_all(2, ANSWER))
    client.finish()
    server.expect_end(FIN)


@case("a client that half-closes at once, having sent nothing",
      "The server reads the end. The client reads what the server sends then, and a FIN.")
def fin_at_once(world):
    world.start()
    client = world.client()
    client.finish()
    server = world.keep(world.server.accept())
    server.expect_end(FIN)
    server.send(b"the time")
    server.close()
    client.expect(b"the time")
    client.expect_end(FIN)


@case("100 MB each way at once, and a FIN each way",
      "Each end reads every byte that the other has sent, and then a FIN.")
def both_ways(world):
    world.start()
    count = (20 if world.quick else 100) * MB
    client, server = world.pair()
    start = time.monotonic()

    def sends(end, seed):
        end.send_all(seed, count)
        end.finish()  # at once: bytes are on the way in both directions
    together(lambda: sends(client, 3), lambda: client.expect_all(4, count),
             lambda: sends(server, 4), lambda: server.expect_all(3, count))
    seconds = time.monotonic() - start
    server.expect_end(FIN)
    client.expect_end(FIN)
    return f"{2 * count / MB / seconds:.0f} MB/s"


@case("10 MB and a FIN each way, and the client reads when it has sent",
      "Each end reads every byte, and then a FIN, although the client reads in small pieces, behind both FINs.")
def late_readers(world):
    world.start()
    client, server = world.pair(small_buffer=True)
    client_has_sent = threading.Event()

    def serves():
        server.expect_all(6, ANSWER)
        server.expect_end(FIN)

    def answers():
        server.send_all(7, ANSWER)
        server.finish()

    def asks():
        client.send_all(6, ANSWER)
        client.finish()
        client_has_sent.set()

    def reads_late():
        client_has_sent.wait(peers.PATIENCE_S)
        client.expect_all(7, ANSWER, 1000)
        client.expect_end(FIN)
    together(serves, answers, asks, reads_late)


@case("100 bytes, one each 20 ms", "The server reads each byte before the next one is sent.")
def slow_sender(world):
    world.start()
    client, server = world.pair()
    for number in range(100):
        client.send(bytes([number]))
        server.expect(bytes([number]), number)
        time.sleep(0.02)  # the pace of this client
    client.finish()
    server.expect_end(FIN)


# ---- resets ----

@case("reset by the client", "The server sees a reset, not a FIN.")
def reset_by_client(world):
    world.start()
    client, server = world.pair_in_use()
    client.reset()
    server.expect_end(RESET)


@case("reset by the server", "The client sees a reset, not a FIN.")
def reset_by_server(world):
    world.start()
    client, server = world.pair_in_use()
    server.reset()
    client.expect_end(RESET)


@case("reset by a client that reads nothing, while the server is blocked",
      "The server sees a reset at once, although bytes for the client wait in the proxy.")
def reset_by_blocked_client(world):
    world.start(small_buffer=True)
    client, server = world.pair_in_use(small_buffer=True)
    peers.fill([server])
    client.reset()
    server.expect_end(RESET)


@case("reset by a server that reads nothing, while the client is blocked",
      "The client sees a reset at once, although bytes for the server wait in the proxy.")
def reset_by_blocked_server(world):
    world.start(small_buffer=True)
    client, server = world.pair_in_use(small_buffer=True)
    peers.fill([client])
    server.reset()
    client.expect_end(RESET)


@case("the client's FIN, and then its reset",
      "The server reads the end. Then its socket has an error: EPIPE, as without a proxy.")
def fin_then_reset(world):
    world.start()
    client, server = world.pair_in_use()
    client.finish()
    server.expect_end(FIN)
    client.reset()
    server.expect_reset_after_end()


@case("the client's FIN, and then a reset by the server", "The client sees a reset, not a FIN.")
def reset_of_half_closed(world):
    world.start()
    client, server = world.pair_in_use()
    client.finish()
    server.expect_end(FIN)
    server.reset()
    client.expect_end(RESET)


@case("200 kB and then a reset, towards a slow client",
      "The client reads every byte, at its own pace, and then sees the reset.")
def bytes_then_reset(world):
    world.start()
    count, step = 200_000, 1000
    client, server = world.pair(small_buffer=True)
    has_reset = threading.Event()

    def send_and_reset():
        server.send_all(5, count)
        # A reset throws away what its sender's kernel still has.
        if not peers.wait_until(lambda: server.unsent() == 0):
            raise Fault("the proxy did not take all that the server had sent")
        server.reset()
        world.settle(world.running, 0.5)  # it knows of the reset before the client reads on
        has_reset.set()

    def read_late():
        # If the proxy does not take all before the client reads, half of it is left at the reset nevertheless.
        waits = {0: 1.0, count // step // 2: peers.PATIENCE_S / 4}
        steps = itertools.count()
        client.expect_all(5, count, step, lambda: has_reset.wait(waits.get(next(steps), 0)))
    together(send_and_reset, read_late)
    client.expect_end(RESET)


@case("reset by a client that is blocked, behind its bytes",
      "As the server begins to read, it gets all that the proxy has taken from the client, and then the reset.")
def blocked_then_reset(world):
    world.start(small_buffer=True)
    client, server = world.pair_in_use(small_buffer=True)
    sent = peers.fill([client])[client]
    taken = sent - client.unsent()
    client.reset()
    server.expect_count(taken)
    server.expect_end(RESET)


@case("upstream refused", "The client sees a reset, not a FIN.")
def upstream_refused(world):
    world.start(serving=False)
    world.client().expect_end(RESET)


# ---- memory, idleness, descriptors ----

def blocked_pairs(world, count):
    """Connections whose client sends, and whose server never reads, until nothing goes on."""
    pairs = [world.pair(small_buffer=True) for _ in range(count)]
    sent = peers.fill([client for client, _ in pairs])
    return [(client, server, sent[client]) for client, server in pairs]


def expect_unblocked(blocked):
    """As each server begins to read, it gets what its client has sent, and then the FIN."""
    for client, server, sent in blocked:
        client.finish()
        server.expect_count(sent)
        server.expect_end(FIN)


@case(f"memory of {BLOCKED} blocked connections",
      "The client of a server that does not read can send no more, soon. Shown: what the proxy has in its "
      f"own memory for each (at most {PER_CONNECTION_KB} kB).")
def blocked_memory(world):
    world.start(small_buffer=True)
    world.pair_in_use()  # what the first one brings is no connection's
    before = world.running.sum(peers.memory_kb)
    blocked = blocked_pairs(world, BLOCKED)
    each = (world.running.sum(peers.memory_kb) - before) / BLOCKED
    if each > PER_CONNECTION_KB:
        raise Fault(f"a blocked connection takes {each:.0f} kB of its memory")
    expect_unblocked(blocked)
    return f"{each:.1f} kB each"


@case(f"{HALF_CLOSED} half-closed and {BLOCKED} blocked connections, idle",
      "Of the blocked ones some have a FIN or a reset waiting behind their bytes. "
      f"In {IDLE_S:.0f} s the proxy uses no processor time, and no thread of it wakes.")
def idle(world):
    world.start(small_buffer=True)
    half_closed = [world.pair_in_use()[::1 if number % 2 else -1] for number in range(HALF_CLOSED)]
    for closes, sees in half_closed:
        closes.finish()
        sees.expect_end(FIN)
    quarter = BLOCKED // 4
    blocked = blocked_pairs(world, BLOCKED - quarter)
    ended, cut, open_ones = blocked[::3], blocked[1::3], blocked[2::3]
    over = both_over(world, quarter, min(sent - client.unsent() for client, _, sent in blocked))
    for client, _, _ in ended:
        client.finish()
    for client, _, _ in cut:
        client.reset()
    world.expect_idle()
    for closes, sees in half_closed:
        sees.send(b"and now")
        closes.expect(b"and now")
    expect_unblocked(over + ended + open_ones)


def both_over(world, count, taken):
    """Connections that are over in both directions, with bytes and a FIN behind them in the kernel that the proxy
    cannot read, for want of room towards the server. Of a blocked connection the kernels took `taken`."""
    pairs = [world.pair(small_buffer=True) for _ in range(count)]
    size = taken - peers.CHUNK // 2  # less, and they would fit into the buffer towards the server
    over = []
    for client, server in pairs:
        # The kernel may give one connection less room than another.
        over.append((client, server, client.send_until_blocked(bytes(size))))
        client.finish()
        server.finish()
        client.expect_end(FIN)
    return over


@case(f"{CLIENTS} clients, under a limit of {DESCRIPTORS} descriptors",
      "The clients that fit are served. The others wait, or see their connection close, and meanwhile the "
      "proxy does not turn its loop. As the first ones leave, those that wait are served.")
def used_up(world):
    world.start(limit=DESCRIPTORS)
    crowd = world.keep(peers.Crowd(world.server, world.running.address, CLIENTS))
    crowd.run_until(lambda: crowd.served or not crowd.waiting, peers.PATIENCE_S)
    crowd.run_until(lambda: not crowd.waiting, QUIET_S)
    first = len(crowd.served)
    if not first:
        raise Fault(f"of {CLIENTS} clients it served none, and shed {crowd.shed}")
    seconds, _ = world.idle(world.running)
    if seconds > IDLE_S / 20:
        raise Fault(f"with {len(crowd.waiting)} clients that wait it used {seconds:.2f} s of processor "
                    f"in {IDLE_S:.0f} s")
    served = first
    while crowd.waiting:
        crowd.served_leave()
        crowd.run_until(lambda: crowd.served or not crowd.waiting, peers.PATIENCE_S)
        if crowd.waiting and not crowd.served:
            raise Fault(f"{len(crowd.waiting)} of {CLIENTS} clients were never served, nor shed")
        served += len(crowd.served)
    crowd.served_leave()
    # The server's ends of the last ones are still open. If as many are served at last as fit, there is no room before
    # they are closed.
    crowd.run_until(lambda: not crowd.accepted, peers.PATIENCE_S)
    late = world.keep(peers.Crowd(world.server, world.running.address, 1))
    late.run_until(lambda: not late.waiting, peers.PATIENCE_S)
    if not late.served:
        raise Fault("when all had left, it served nobody who came")
    return f"{first} at once, {served - first} later, {crowd.shed} shed"


@case(f"{RESETS} clients that connect and reset at once",
      "The server sees connections that fail, or none. The next client is served.")
def connect_and_reset(world):
    world.start()
    world.pair_in_use()
    before = world.descriptors()
    for _ in range(RESETS):
        peers.connect(world.running.address).reset()
    client = world.client()
    client.send(b"hello")
    server = server_of(b"hello", world)
    server.send(b"!")
    client.expect(b"!")
    client.close()
    server.expect_end(FIN)
    server.close()
    # A connection that was reset before it was passed on may reach the server late.
    world.server.listener.settimeout(0)
    world.expect_descriptors(before, lambda: server_drops_all(world))


def server_of(greeting, world):
    """The server's end of the connection whose client sends that, behind those that were reset."""
    for _ in range(RESETS + 1):
        server = world.keep(world.server.accept())
        seen = server.receive(len(greeting))
        if seen == greeting:
            return server
        if seen == peers.NOTHING:
            raise Fault("a connection whose client has reset stayed open towards the server")
        server.close()
    raise Fault("the client that came last did not get through")


def server_drops_all(world):
    with contextlib.suppress(BlockingIOError):
        while True:
            world.server.listener.accept()[0].close()


@case(f"{SHORT_CONNECTIONS} short connections", "Each client is answered after its FIN. Then the proxy has as many "
      "descriptors as before.")
def churn(world):
    world.start()
    rounds = SHORT_CONNECTIONS // AT_ONCE
    for number in range(rounds + 1):
        if number == 1:  # a proxy may keep what the first round has made it need
            before = world.descriptors_at_rest()
        round_of_short_connections(world)
    world.expect_descriptors(before)


def round_of_short_connections(world):
    with contextlib.ExitStack() as open_ends:
        clients = []
        for number in range(AT_ONCE):
            client = open_ends.enter_context(peers.connect(world.running.address))
            client.send(bytes([number]) * 100)
            client.finish()
            clients.append(client)
        for _ in clients:
            server = open_ends.enter_context(world.server.accept())
            question = server.receive_first()
            server.expect(question * 99, 1)
            server.expect_end(FIN)
            server.send(question * 200)
            server.close()
        for number, client in enumerate(clients):
            client.expect(bytes([number]) * 200)
            client.expect_end(FIN)


# ---- AF_UNIX ----

def through_unix(world, listen, **server):
    world.start(listen, **server)
    client, server = world.pair()
    half_close(client, server)


@case("AF_UNIX towards the client, TCP towards the server", "As with TCP: an answer of 10 MB after the client's FIN.")
def unix_listener(world):
    through_unix(world, f"unix:{world.path('proxy')}")


@case("TCP towards the client, AF_UNIX towards the server", "As with TCP: an answer of 10 MB after the client's FIN.")
def unix_target(world):
    through_unix(world, proxies.ANY_PORT, path=world.path("server"))


@case("AF_UNIX on both sides", "As with TCP: an answer of 10 MB after the client's FIN.")
def unix_both(world):
    through_unix(world, f"unix:{world.path('proxy')}", path=world.path("server"))


def play(title, proxy, quick=False, cases=CASES):
    """Plays the case; the remark, and the sentence of its fault or None."""
    world = World(proxy, quick)
    remark = fault = None
    try:
        remark = cases[title](world)
    except Fault as failed:
        fault = str(failed)
    try:
        world.close(fault is not None)
    except Fault as failed:
        # Of a proxy that is gone, that is what is to be known.
        fault = str(failed) if isinstance(failed, proxies.Ended) else fault or str(failed)
    return remark, fault


def chosen(pattern, cases=CASES):
    return [title for title in cases if re.search(pattern, title)]
