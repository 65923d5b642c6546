# SPDX-License-Identifier: MIT
"""A network of the test's own: namespaces for the clients, the proxy and the server, and links between them that are
slow, lose packets and can be cut. What arrives at one end of a link is passed on by a process of ours, since a kernel
may be without netem."""
import contextlib
import ctypes
import fcntl
import heapq
import itertools
import json
import os
import pathlib
import random
import select
import shutil
import signal
import socket
import struct
import subprocess
import time

NEW_USERS, NEW_NETWORK = 0x10000000, 0x40000000  # as <sched.h> has them
TUN_DEVICE = "/dev/net/tun"
SET_INTERFACE, TUN_WITHOUT_HEADER = 0x400454CA, 0x0001 | 0x1000  # as <linux/if_tun.h> has them
PACKET = 1 << 16
AT_A_TIME = 64  # packets of one interface, before the next one has its turn
TCP, RST = 6, 0x04

PROXY = "10.0.0.1"  # on each link

LOSSY = {"delay": 0.005, "spread": 0.002, "loss": 0.01, "repeat": 0.005}
GOOD = {"delay": 0.0, "spread": 0.0, "loss": 0.0, "repeat": 0.0}
CUT = {**GOOD, "loss": 2.0}

libc = ctypes.CDLL(None, use_errno=True)


def call(function, *values):
    if function(*values) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


class Space:
    """A network namespace. Inside `with`, the thread makes its sockets and processes there."""

    def __init__(self, home=None):
        self.home = home
        self.file = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)

    def __enter__(self):
        call(libc.setns, self.file, NEW_NETWORK)
        return self

    def __exit__(self, *_):
        call(libc.setns, self.home.file, NEW_NETWORK)

    def close(self):
        os.close(self.file)


def new_space(home):
    call(libc.unshare, NEW_NETWORK)
    with contextlib.ExitStack() as stack:
        space = Space(home)
        stack.push(space.__exit__)
        configure("link set lo up")
    return space


def configure(*lines):
    """What `ip` is to do, where the thread is."""
    done = subprocess.run(["ip", "-batch", "-"], input="\n".join(lines) + "\n", text=True, capture_output=True,
                          check=False)
    if done.returncode:
        raise OSError(f"ip: {done.stderr.strip()}")


def may_map_users():
    """Root in a namespace of users is who has made it."""
    user, group = os.geteuid(), os.getegid()
    call(libc.unshare, NEW_USERS | NEW_NETWORK)
    for name, text in (("setgroups", "deny"), ("uid_map", f"0 {user} 1"), ("gid_map", f"0 {group} 1")):
        pathlib.Path("/proc/self", name).write_text(text, encoding="utf-8")


def set_up(name, value):
    """For many connections. Where a system does not let us, fewer do."""
    with contextlib.suppress(OSError):
        pathlib.Path("/proc/sys/net", name).write_text(value, encoding="utf-8")


@contextlib.contextmanager
def trying(what, missing):
    """An error in it is why something cannot be had."""
    try:
        yield
    except OSError as error:
        missing.append(f"{what}: {error}")


def enter():
    """Takes the process, which has no other threads yet, into a network of its own for the rest of its life. What
    cannot be had there, and why: "lossy links", "ss -K"."""
    missing = []
    with trying("no network of its own", missing):
        if not shutil.which("ip"):
            raise OSError("ip (iproute2) is not installed")
        try:
            call(libc.unshare, NEW_NETWORK)
        except PermissionError:
            may_map_users()
        configure("link set lo up")
    if missing:
        return dict.fromkeys(("lossy links", "ss -K"), missing[0])
    set_up("ipv4/ip_local_port_range", "1024 65000")
    set_up("ipv4/tcp_tw_reuse", "1")
    set_up("core/somaxconn", "16384")
    with trying(TUN_DEVICE, missing):
        Network(1).close()
    lacking = {"lossy links": missing[0]} if missing else {}
    if why := cannot_kill():
        lacking["ss -K"] = why
    return lacking


# ---- the links ----

class Link:
    """Between a namespace of its own, where `address` is, and that of the process."""

    def __init__(self, network, number):
        self.network, self.number, self.interface = network, number, f"wire{number}"
        self.address = f"10.0.{number + 1}.2"
        self.space = new_space(network.home)
        self.route = f"route add {self.address} dev {self.interface} src {PROXY}"
        self.files = [interface(self.interface)]
        configure(f"link set {self.interface} up", self.route)
        with self.space:
            self.files.append(interface("wire"))
            configure(f"addr add {self.address}/32 dev wire", "link set wire up",
                      f"route add default dev wire src {self.address}")

    def become(self, settings):
        self.network.tell(self.number, settings)

    def cut(self):
        self.become(CUT)

    def mend(self):
        self.become(GOOD)

    def down(self):
        """The interface of the proxy."""
        configure(f"link set {self.interface} down")

    def up(self):
        configure(f"link set {self.interface} up", self.route)


def interface(name):
    file = os.open(TUN_DEVICE, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        fcntl.ioctl(file, SET_INTERFACE, struct.pack("16sH22x", name.encode(), TUN_WITHOUT_HEADER))
    except BaseException:
        os.close(file)
        raise
    return file


class Network:
    """The process that passes on what the links carry is a fork of this one: there are no other threads, and no
    connections yet."""

    def __init__(self, links, settings=None):
        self.home = Space()
        with contextlib.suppress(OSError):  # of an earlier network
            configure(f"addr add {PROXY}/32 dev lo")
        self.links = [Link(self, number) for number in range(links)]
        ours, theirs = socket.socketpair()
        self.control = ours
        self.process = os.fork()
        if self.process == 0:
            try:
                ours.close()
                signal.signal(signal.SIGINT, signal.SIG_IGN)
                Carrier([link.files for link in self.links], theirs, settings or GOOD).run()
            finally:
                os._exit(0)
        theirs.close()
        for link in self.links:
            for file in link.files:
                os.close(file)

    def tell(self, number, settings):
        """It is so when this returns."""
        self.control.sendall(json.dumps([number, settings]).encode())
        self.control.recv(1)

    def close(self):
        self.control.close()
        os.waitpid(self.process, 0)
        for link in self.links:
            link.space.close()
        self.home.close()


class Carrier:
    """What it does with each packet is drawn from numbers that are always the same ones."""

    def __init__(self, links, control, settings):
        self.control, self.settings = control, [settings] * len(links)
        self.ways = {}  # where what is read from a file goes, and over which link
        for number, (one, other) in enumerate(links):
            self.ways[one], self.ways[other] = (other, number), (one, number)
        self.late, self.count, self.random = [], itertools.count(), random.Random(1)
        self.poller = select.epoll()
        for file in (control.fileno(), *self.ways):
            self.poller.register(file, select.EPOLLIN)

    def run(self):
        while True:
            timeout = max(0.0, self.late[0][0] - time.monotonic()) if self.late else None
            for file, _ in self.poller.poll(timeout):
                if file != self.control.fileno():
                    self.take_some(file)
                elif not self.obey():
                    return
            now = time.monotonic()
            while self.late and self.late[0][0] <= now:
                _, _, file, packet = heapq.heappop(self.late)
                put(file, packet)

    def obey(self):
        told = self.control.recv(PACKET)
        if told:
            number, self.settings[number] = json.loads(told)
            self.control.sendall(b".")
        return bool(told)

    def take_some(self, file):
        other, number = self.ways[file]
        settings = self.settings[number]
        for _ in range(AT_A_TIME):
            try:
                packet = os.read(file, PACKET)
            except OSError:
                return  # nothing more, or the interface is down
            self.take(packet, other, settings)

    def take(self, packet, file, settings):
        # A reset that is lost is not sent again: the end that it was for learns of it when it sends something.
        limit = 1.0 if is_reset(packet) else 0.0
        if self.random.random() + limit < settings["loss"]:
            return
        copies = 2 if self.random.random() < settings["repeat"] else 1
        for _ in range(copies):
            if not settings["delay"]:
                put(file, packet)
                continue
            due = time.monotonic() + settings["delay"] + self.random.random() * settings["spread"]
            heapq.heappush(self.late, (due, next(self.count), file, packet))


def put(file, packet):
    with contextlib.suppress(OSError):  # the interface is down, or full
        os.write(file, packet)


def is_reset(packet):
    header = (packet[0] & 0x0F) * 4
    return packet[0] >> 4 == 4 and packet[9] == TCP and packet[header + 13] & RST != 0


# ---- connections that somebody else ends ----

def kill(condition):
    """Has the kernel end the connections that `ss` shows for it. How many there were."""
    done = subprocess.run(["ss", "-K", "-H", "-t", "-n", condition], capture_output=True, text=True, check=False)
    return len(done.stdout.splitlines())


def cannot_kill():
    """Why the kernel does not let us, or None."""
    try:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            with socket.create_connection(listener.getsockname(), 1) as client:
                found = kill(f"sport = :{client.getsockname()[1]}")
                if client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                    return None
        return f"it has ended {found} connections, and the connection goes on (CONFIG_INET_DIAG_DESTROY)"
    except OSError as error:
        return str(error)
