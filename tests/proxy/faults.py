#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What a proxy makes of bad links, of bad peers, and of many connections. It has the options of run.py."""
import contextlib
import resource
import sys
import threading
import time

import churn
import histories
import network
import peers
import run
from histories import MB, blocked_pairs, exchange, expect_unblocked
from peers import FIN, RESET, Fault, together

CASES = {}
case = histories.cases_of(CASES)
# What cannot be had here, and why.
LACKING = {}

IDLE_S = 1.0
BYTES = 200_000
NEVER_READING, BESIDE = 60, 20
AT_ONCE, FIRST_S, CHURN_S = 10_000, 10.0, 60.0
QUICK_AT_ONCE, QUICK_FIRST_S, QUICK_CHURN_S = 300, 1.5, 3.0
SPARE_DESCRIPTORS = 200
# An allocator does not give back each page. The least that it allocates is twice the second of these.
MEMORY_MARGIN_KB, MARGIN_EACH = 1024, 16
# A heap may grow once more, for more connections at once than there were before: what leaks grows each time.
TIMES_CHURNED = 3
PROXY = f"{network.PROXY}:0"


def needs(what):
    """The case is left out where that cannot be had."""
    def add(function):
        function.needs = what
        return function
    return add


def on_links(world, links=2, settings=None, **options):
    """Starts the proxy between the last link, where the server is, and the others."""
    net = world.keep(network.Network(links, settings))
    server = net.links[-1]
    world.start(PROXY, host=server.address, space=server.space, **options)
    return net.links


def pair_over(world, link):
    client, server = world.pair(space=link.space)
    exchange(client, server)
    return client, server


class Before:
    """What a proxy has when a first connection has come and gone, which may make it need what it keeps."""

    def __init__(self, world, client, server):
        self.world = world
        for one, other in ((client, server), (server, client)):
            one.finish()
            other.expect_end(FIN)
        self.descriptors, self.told = world.descriptors_at_rest(), self.told_now()

    def told_now(self):
        return self.world.proxy.ends_told(self.world.running)

    def expect_ends(self, count):
        """Each was told of once, by a proxy that tells of them."""
        if self.told is None:
            return
        peers.wait_until(lambda: self.told_now() - self.told >= count)
        self.world.settle(self.world.running, 0.5)  # one more may come late
        told = self.told_now() - self.told
        if told != count:
            raise Fault(f"it told {told} times that a connection was over, of {count} that were")

    def expect_back(self, meanwhile=0):
        self.world.expect_descriptors(self.descriptors + meanwhile)


# ---- links that lose packets ----

def both_at_once(client, server, count):
    def sends(end, seed):
        end.send_all(seed, count)
        end.finish()
    together(lambda: sends(client, 1), lambda: sends(server, 2), lambda: client.expect_all(2, count),
             lambda: server.expect_all(1, count))


def one_after_the_other(client, server, count):
    def serves():
        server.expect_all(3, count)
        server.expect_end(FIN)
        server.send_all(4, count)
        server.finish()

    def asks():
        client.send_all(3, count)
        client.finish()
        client.expect_all(4, count)
    together(serves, asks)


def the_server_first(client, server, count):
    one_after_the_other(server, client, count)


@needs("lossy links")
@case("5 MB each way over links that lose packets",
      "On both links packets are late, lost (1 %), in another order, twice. In six connections at once, half-closed by "
      "either end or by none, each end reads every byte, and then a FIN.")
def lossy(world):
    client_link, _ = on_links(world, settings=network.LOSSY)
    count = MB if world.quick else 5 * MB
    ways = [both_at_once, one_after_the_other, the_server_first] * 2
    pairs = [pair_over(world, client_link) for _ in ways]
    start = time.monotonic()
    together(*[lambda pair=pair, way=way: way(*pair, count) for pair, way in zip(pairs, ways)])
    seconds = time.monotonic() - start
    for (client, server), way in zip(pairs, ways):
        if way is not one_after_the_other:
            server.expect_end(FIN)
        if way is not the_server_first:
            client.expect_end(FIN)
    return f"{2 * count * len(ways) / MB / seconds:.1f} MB/s"


@needs("lossy links")
@case("200 kB and then a reset, over links that lose packets",
      "The other end reads every byte, and then sees the reset. Its link is the one that loses packets: all is at the "
      "proxy when little is at that end.")
def lossy_reset(world):
    client_link, server_link = on_links(world)
    for number in range(4):
        ends, links = pair_over(world, client_link), (client_link, server_link)
        (sends, reads), (sound, lossy_link) = (pair[::1 if number % 2 else -1] for pair in (ends, links))
        sound.mend()
        lossy_link.become(network.LOSSY)

        def send_and_reset():
            sends.send_all(number, BYTES)
            if not peers.wait_until(lambda: sends.unsent() == 0):
                raise Fault(f"the proxy did not take all that the {sends.name} had sent")
            sends.reset()
        together(send_and_reset, lambda: reads.expect_all(number, BYTES))
        reads.expect_end(RESET)


@needs("lossy links")
@case("a link that is cut for a second in the middle of a transfer",
      "First the server's link, then the interface towards the client. Each end reads every byte, and then a FIN.")
def mended(world):
    client_link, server_link = on_links(world)
    client, server = pair_over(world, client_link)
    count = 8 * MB
    begun = threading.Event()

    def breaks():
        for link, stop, go_on in ((server_link, server_link.cut, server_link.mend),
                                  (client_link, client_link.down, client_link.up)):
            if not begun.wait(peers.PATIENCE_S):
                return  # nothing is sent: that is somebody else's fault
            stop()
            time.sleep(1.0)  # how long the link is cut is the case
            go_on()
            begun.clear()

    def reads(end, seed):
        pieces_read = iter(range(count))

        def before_each():
            if next(pieces_read) % 40 == 10:  # some are on the way, and most are to come
                begun.set()
        end.expect_all(seed, count, before_each=before_each)

    def sends(end, seed):
        end.send_all(seed, count)
        end.finish()
    together(breaks, lambda: sends(client, 5), lambda: sends(server, 6), lambda: reads(client, 6),
             lambda: reads(server, 5))
    client.expect_end(FIN)
    server.expect_end(FIN)


# ---- links that are cut for good ----

class Others:
    """Connections over another link: meanwhile a byte goes each way over each, again and again."""

    def __init__(self, pairs):
        self.pairs, self.over, self.fault = pairs, threading.Event(), None
        self.thread = threading.Thread(target=self.run, daemon=True)

    def __enter__(self):
        self.thread.start()

    def __exit__(self, failed, *_):
        self.over.set()
        self.thread.join()
        if self.fault and not failed:
            raise Fault(f"beside the cut link: {self.fault}")

    def run(self):
        try:
            is_last = False
            while not is_last:
                is_last = self.over.wait(IDLE_S / 20)
                for pair in self.pairs:
                    exchange(*pair)
        except Fault as fault:
            self.fault = fault


class Sending:
    """An end sends zeros until it is told of an end."""

    def __init__(self, end):
        self.end, self.error = end, None
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        try:
            while True:
                self.end.socket.send(bytes(peers.CHUNK))
        except OSError as error:
            self.error = error

    def expect_reset(self):
        self.thread.join(peers.PATIENCE_S)
        if not isinstance(self.error, (ConnectionResetError, BrokenPipeError)):
            raise Fault(f"the {self.end.name}, which went on sending, saw no reset")


def expect_cut(end):
    """Zeros that were on the way, and then the reset."""
    while not isinstance(seen := end.receive(), str):
        if seen.strip(b"\0"):
            raise Fault(f"the {end.name} got other bytes than were sent")
    if seen != RESET:
        raise Fault(f"the {end.name} saw {seen} instead of a reset")


def expect_reset_when_it_sends(end):
    """It has lost its peer while its link was cut."""
    end.send(b"x")
    expect_cut(end)


@needs("lossy links")
@case("the client's link cut for good, under a deadline for idle connections",
      "The server of each of four connections (quiet, half-closed, in the middle of a transfer each way) sees one "
      "reset. When the link is whole again, so does a client that sends. Over another link connections go on.")
def clients_link_cut(world):
    link, other, _ = on_links(world, 3, idle=IDLE_S)
    before = Before(world, *pair_over(world, link))
    others = [pair_over(world, other) for _ in range(5)]
    with Others(others):
        half_closed, up, down, quiet = [pair_over(world, link) for _ in range(4)]
        half_closed[0].finish()
        half_closed[1].expect_end(FIN)
        client_sends, server_sends = Sending(up[0]), Sending(down[1])
        up[1].expect_count(BYTES)
        down[0].expect_count(BYTES)
        link.cut()
        quiet[1].expect_end(RESET)
        half_closed[1].expect_reset_after_end()
        expect_cut(up[1])
        server_sends.expect_reset()
        before.expect_back(meanwhile=2 * len(others))
        link.mend()
        expect_reset_when_it_sends(quiet[0])
        expect_reset_when_it_sends(down[0])
        client_sends.expect_reset()
    before.expect_ends(4)


@needs("lossy links")
@case("the server's link cut for good, under a deadline for idle connections",
      "The client of each of three connections (quiet, in the middle of a transfer each way) sees one reset. When the "
      "link is whole again, so does a server that sends, and the next client is served.")
def servers_link_cut(world):
    client_link, link = on_links(world, idle=IDLE_S)
    before = Before(world, *pair_over(world, client_link))
    up, down, quiet = [pair_over(world, client_link) for _ in range(3)]
    client_sends, server_sends = Sending(up[0]), Sending(down[1])
    up[1].expect_count(BYTES)
    down[0].expect_count(BYTES)
    link.cut()
    quiet[0].expect_end(RESET)
    expect_cut(down[0])
    client_sends.expect_reset()
    before.expect_back()
    before.expect_ends(3)
    link.mend()
    expect_reset_when_it_sends(quiet[1])
    expect_reset_when_it_sends(up[1])
    server_sends.expect_reset()
    pair_over(world, client_link)


# ---- connections that the kernel ends ----

def kill(end, of_the_proxy=False):
    """The connection of that end, or of the proxy at the other side of it."""
    ours, theirs = end.socket.getsockname()[1], end.socket.getpeername()[1]
    if of_the_proxy:
        ours, theirs = theirs, ours
    network.kill(f"sport = :{ours} and dport = :{theirs}")


@needs("ss -K")
@case("a connection of the client's or the server's that `ss -K` ends",
      "The other end reads the 200 kB that came before it, and then sees one reset.")
def killed_peer(world):
    world.start(idle=peers.PATIENCE_S * 2)
    before = Before(world, *world.pair_in_use())
    for number in range(4):
        sends, reads = world.pair_in_use()[::1 if number % 2 else -1]
        sends.send_all(number, BYTES)
        if not peers.wait_until(lambda end=sends: end.unsent() == 0):
            raise Fault(f"the proxy did not take all that the {sends.name} had sent")
        kill(sends)
        reads.expect_all(number, BYTES)
        reads.expect_end(RESET)
    before.expect_back()
    before.expect_ends(4)


@needs("ss -K")
@case("a connection of the proxy's own that `ss -K` ends, towards the client or the server",
      "Both ends see a reset.")
def killed_proxy(world):
    world.start(idle=peers.PATIENCE_S * 2)
    before = Before(world, *world.pair_in_use())
    for number in range(4):
        client, server = world.pair_in_use()
        kill(client if number % 2 else server, of_the_proxy=True)
        client.expect_end(RESET)
        server.expect_end(RESET)
    before.expect_back()
    before.expect_ends(4)


# ---- bad peers ----

@case(f"{NEVER_READING} connections whose ends never read, and {BESIDE} beside them",
      "Over those beside them bytes go each way as before, and 10 MB. As the others begin to read, they get every "
      "byte.")
def never_reading(world):
    world.start(small_buffer=True)
    blocked = blocked_pairs(world, NEVER_READING)
    beside = [world.pair_in_use() for _ in range(BESIDE)]
    slowest = 0.0
    for _ in range(20):
        for pair in beside:
            start = time.monotonic()
            exchange(*pair)
            slowest = max(slowest, time.monotonic() - start)
    client, server = beside[0]
    together(lambda: client.send_all(8, 10 * MB), lambda: server.expect_all(8, 10 * MB))
    expect_unblocked(blocked)
    return f"a byte and its answer took {slowest * 1000:.0f} ms at most"


@case("a byte a second, under a deadline of three seconds for idle connections",
      "(With --quick four times as fast.) Connections over which bytes come, from one end or from both, live longer "
      "than the deadline. Both ends of one over which none comes see a reset.")
def slow_peers(world):
    pace = 0.25 if world.quick else 1.0
    world.start(idle=3 * pace)
    before = Before(world, *world.pair_in_use())
    up, down, both, quiet = [world.pair_in_use() for _ in range(4)]
    for number in range(8):
        byte = bytes([number])
        for sends, reads in (up, down[::-1], both, both[::-1]):
            sends.send(byte)
            reads.expect(byte)
        time.sleep(pace)  # of these peers
    for end in quiet:
        end.expect_end(RESET)
    for client, server in (up, down, both):
        client.finish()
        server.expect_end(FIN)
        server.finish()
        client.expect_end(FIN)
    before.expect_back()
    before.expect_ends(4)


# ---- many ----

def connections_at_a_time(world):
    """As many as are wanted, as the proxy takes, and as there may be descriptors for: two each in either process."""
    wanted = min(QUICK_AT_ONCE if world.quick else AT_ONCE, world.proxy.most_connections or AT_ONCE)
    needed = 2 * wanted + SPARE_DESCRIPTORS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= needed:
        return wanted
    for limits in ((needed, max(needed, hard)), (hard, hard)):
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
            break
    world.stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
    return min(wanted, (resource.getrlimit(resource.RLIMIT_NOFILE)[0] - SPARE_DESCRIPTORS) // 2)


@case("connections that come and go in every way",
      "10,000 at a time, or as many as there may be, for a minute: half-closed by either end, reset by either end, "
      "before anything was sent, or in the middle of a transfer. Each end sees its bytes, and the end that the other "
      "made. Then the proxy has the descriptors that it had after a shorter time of the same, and the memory "
      f"(within {MEMORY_MARGIN_KB} kB, and {MARGIN_EACH} bytes for each connection that has gone).")
def churned(world):
    count = connections_at_a_time(world)
    world.start()
    connections = world.keep(churn.Churn(world.server, world.running.address))

    def come_and_go(seconds):
        before = connections.over
        connections.fill(count)
        connections.go_on(count, seconds)
        connections.empty()
        world.settle(world.running)
        return connections.over - before
    come_and_go(QUICK_FIRST_S if world.quick else FIRST_S)
    descriptors = world.descriptors()
    for _ in range(TIMES_CHURNED):
        memory = world.running.sum(peers.memory_kb)
        over = come_and_go(QUICK_CHURN_S if world.quick else CHURN_S)
        world.expect_descriptors(descriptors)
        more = world.running.sum(peers.memory_kb) - memory
        if more <= MEMORY_MARGIN_KB + MARGIN_EACH * over / 1024:
            break
    else:
        raise Fault(f"when {over} connections had come and gone it had {more} kB more than before them")
    return f"{over} connections, {count} at a time; memory {memory} kB, and then {more:+d} kB"


def choose(pattern):
    titles = histories.chosen(pattern, CASES)
    lacking = {title: LACKING[needed] for title in titles
               if (needed := getattr(CASES[title], "needs", None)) in LACKING}
    return [title for title in titles if title not in lacking], lacking


def play(title, proxy, quick=False):
    return histories.play(title, proxy, quick, CASES)


def main():
    LACKING.update(network.enter())
    return run.run(__doc__.partition("\n")[0], choose, play, lambda title: CASES[title].sees)


if __name__ == "__main__":
    sys.exit(main())
