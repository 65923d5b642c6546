# SPDX-License-Identifier: MIT
"""How each proxy is started between a client and a server, observed and ended. Each has the settings
with which it keeps most of what a TCP connection is."""
import contextlib
import json
import os
import pathlib
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile

import peers

ANY_PORT = "127.0.0.1:0"
STREAM_MODULES = ("/usr/lib/nginx/modules/ngx_stream_module.so",
                  "/usr/lib64/nginx/modules/ngx_stream_module.so")
STARTS = 5  # a port that was free may be taken by somebody else before the proxy has it
TCP_LISTEN, UNIX_ACCEPTS = "0A", "00010000"  # as /proc/net shows them


def with_port(address):
    """One that is free, where the address leaves it open."""
    if not address.endswith(":0"):
        return address
    with socket.socket() as probe:
        probe.bind((address.removesuffix(":0"), 0))
        return "{}:{}".format(*probe.getsockname())


def family_of(pid):
    """The process and all its descendants."""
    children = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError):
                with open(f"/proc/{entry}/stat", encoding="utf-8") as file:
                    parent = file.read().rpartition(")")[2].split()[1]
                children.setdefault(int(parent), []).append(int(entry))
    found = [pid]
    for one in found:
        found += children.get(one, [])
    return found


def sockets_of(pids):
    inodes = set()
    for pid in pids:
        with contextlib.suppress(OSError):
            for number in os.listdir(f"/proc/{pid}/fd"):
                with contextlib.suppress(OSError):
                    inodes.update(re.findall(r"socket:\[(\d+)\]", os.readlink(f"/proc/{pid}/fd/{number}")))
    return inodes


def is_listening(pids, address):
    """Asks the kernel: a connection to find out would be one more for the server."""
    if address.startswith("unix:"):
        # haproxy binds another name and renames it: the kernel goes on showing the first one.
        if not os.path.exists(address.removeprefix("unix:")):
            return False
        rows = [line.split() for line in read_lines("/proc/net/unix")]
        inodes = {row[6] for row in rows if row[3] == UNIX_ACCEPTS}
    else:
        host, _, port = address.rpartition(":")
        place = f"{int.from_bytes(socket.inet_aton(host), sys.byteorder):08X}:{int(port):04X}"
        rows = [line.split() for line in read_lines("/proc/net/tcp")]
        inodes = {row[9] for row in rows if row[1] == place and row[3] == TCP_LISTEN}
    return bool(inodes) and bool(inodes & sockets_of(pids))


def read_lines(path):
    with open(path, encoding="utf-8") as file:
        return file.read().splitlines()[1:]


class Ended(peers.Fault):
    """The proxy is gone, although nobody has ended it."""


class Running:
    """A process of a proxy's, or of a server's, with those that it starts."""

    def __init__(self, command, limit=None, **options):
        self.errors = tempfile.TemporaryFile()
        # In a group of its own, so that what it has started ends with it.
        self.process = subprocess.Popen(
            command, stdin=options.pop("stdin", subprocess.DEVNULL), stderr=self.errors,
            start_new_session=True,
            preexec_fn=limit and (lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))),
            **options)

    def pids(self):
        return family_of(self.process.pid)

    def sum(self, of_process):
        """Of all its processes; those that end meanwhile count as nothing."""
        total = 0
        for pid in self.pids():
            with contextlib.suppress(OSError):
                total += of_process(pid)
        return total

    def errors_so_far(self):
        # The process has the same place in the file: it is not moved.
        return os.pread(self.errors.fileno(), os.fstat(self.errors.fileno()).st_size, 0).decode(errors="replace")

    def said(self):
        """The last line of its errors."""
        lines = self.errors_so_far().strip().splitlines()
        return f": {lines[-1]}" if lines else ""

    def check(self, patience=0):
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(patience)
            raise Ended(f"it ended by itself, with status {self.process.returncode}{self.said()}")

    def wait_for(self, address):
        def ready():
            self.check()
            return is_listening(self.pids(), address)
        if not peers.wait_until(ready):
            raise peers.Fault(f"it did not listen on {address}")

    def end(self):
        """Asks it to end; the status, or None if it had to be killed."""
        status = None
        self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            status = self.process.wait(peers.PATIENCE_S / 4)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()
        self.errors.close()
        return status


class Proxy:
    """A kind of proxy. `start()` gives a Running one, with its `address`."""

    name = ""
    settings = ""
    most_connections = None  # at a time, with these settings

    def missing(self):
        """What is missing to run it, or None."""
        return None if shutil.which(self.name) else f"{self.name} is not installed"

    def version(self):
        return ""

    def command(self, listen, target, folder, limit=None, idle=None):
        """`idle`: after how many seconds without a byte it is to end a connection."""
        raise NotImplementedError

    def start(self, target, folder, listen=ANY_PORT, limit=None, idle=None):
        for last in [False] * (STARTS - 1) + [True]:
            place = with_port(listen)
            running = Running(self.command(place, target, folder, limit, idle), limit, stdout=subprocess.DEVNULL)
            try:
                running.wait_for(place)
                running.address = place
                return running
            except Ended:
                running.end()
                if last:
                    raise
            except BaseException:
                running.end()
                raise

    def ends_told(self, running):
        """Of how many connections it has told the end, or None if it does not tell."""

    def judge(self, running, status):
        """What its end says."""


def first_match(pattern, *command):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = re.search(pattern, done.stdout + done.stderr)
    return found[1] if found else "unknown"


class Socat(Proxy):
    name = "socat"
    most_connections = 200  # each is a process
    settings = "`-t 3600`: a direction goes on for an hour after the other has ended (0.5 s by default)"

    def version(self):
        return first_match(r"version (\S+)", "socat", "-V")

    def command(self, listen, target, folder, limit=None, idle=None):
        def place(address, tcp, unix):
            if address.startswith("unix:"):
                return f"{unix}:{address.removeprefix('unix:')}"
            host, _, port = address.rpartition(":")
            return f"{tcp}:" + (f"{port},bind={host},reuseaddr" if tcp.endswith("LISTEN") else address)
        return ["socat", "-t", "3600", *(["-T", str(idle)] if idle else []),
                place(listen, "TCP4-LISTEN", "UNIX-LISTEN") + ",fork,backlog=1024",
                place(target, "TCP4", "UNIX-CONNECT")]


def in_terms_of(address, prefix):
    return prefix + address.removeprefix("unix:") if address.startswith("unix:") else address


def in_milliseconds(idle):
    return f"{idle * 1000:.0f}ms" if idle else "1h"


class Haproxy(Proxy):
    name = "haproxy"
    settings = ("`mode tcp`, every timeout an hour; under a limit of descriptors `maxconn`, "
                "without which it does not start")

    def version(self):
        return first_match(r"version (\S+?)[\s-]", "haproxy", "-v")

    def command(self, listen, target, folder, limit=None, idle=None):
        settings = pathlib.Path(folder, "haproxy.cfg")
        quiet = in_milliseconds(idle)
        room = f"global\n  maxconn {(limit - 21) // 2}\n" if limit else ""  # 21 are its own
        settings.write_text(
            f"{room}defaults\n  mode tcp\n  timeout connect 1h\n  timeout client {quiet}\n  timeout server {quiet}\n"
            f"listen proxy\n  backlog 1024\n  bind {in_terms_of(listen, 'unix@')}\n"
            f"  server target {in_terms_of(target, 'unix@')}\n", encoding="utf-8")
        return ["haproxy", "-db", "-f", str(settings)]


class Nginx(Proxy):
    most_connections = 2000  # worker_connections has both sides

    def __init__(self, name, half_close):
        self.name, self.half_close = name, "on" if half_close else "off"
        self.settings = (f"the stream module with `proxy_half_close {self.half_close}`"
                         f"{'' if half_close else ' (its default)'}, every timeout an hour, one worker")

    def module(self):
        """The stream module may be a file of its own, or part of the program."""
        return next((path for path in STREAM_MODULES if os.path.exists(path)), None)

    def missing(self):
        if not shutil.which("nginx"):
            return "nginx is not installed"
        built_in = self.module() or first_match(r"(--with-stream)(?!\S)", "nginx", "-V") != "unknown"
        return None if built_in else "nginx has no stream module (Debian: libnginx-mod-stream)"

    def version(self):
        return first_match(r"nginx/(\S+)", "nginx", "-v")

    def command(self, listen, target, folder, limit=None, idle=None):
        settings = pathlib.Path(folder, "nginx.conf")
        load = f"load_module {self.module()};\n" if self.module() else ""
        settings.write_text(
            # As the user who runs the tests: another may not open the server's AF_UNIX socket.
            f"{load}{'user root;' if os.geteuid() == 0 else ''}\n"
            f"daemon off;\nworker_processes 1;\npid {folder}/nginx.pid;\n"
            "error_log stderr error;\nevents { worker_connections 4096; }\n"
            "stream {\n  server {\n"
            f"    listen {listen} backlog=1024;\n    proxy_pass {target};\n    proxy_half_close {self.half_close};\n"
            f"    proxy_timeout {in_milliseconds(idle)};\n    proxy_connect_timeout 1h;\n  }}\n}}\n", encoding="utf-8")
        return ["nginx", "-e", "stderr", "-p", str(folder), "-c", str(settings)]


class Pollux(Proxy):
    """`pollux proxy` on one of its backends. It says on which port it listens."""

    settings = "as it comes"

    def __init__(self, program, backend):
        self.program, self.backend = program, backend
        self.name = f"pollux/{backend}"

    def missing(self):
        known = shutil.which(self.program) and first_match(r"\b(TARGET)\b", self.program, "proxy", "--help")
        return None if known == "TARGET" else f"{self.program} has no command `proxy`"

    def version(self):
        return first_match(r"(\d\S*)", self.program, "--version")

    def start(self, target, folder, listen=ANY_PORT, limit=None, idle=None):
        """With a deadline it also tells of each connection that is over."""
        running = Running([self.program, "proxy", listen, target, "--backend", self.backend,
                           *(["--idle", str(idle), "--trace"] if idle else [])], limit, stdout=subprocess.PIPE)
        try:
            line = running.process.stdout.readline().decode()  # ends with the process at the latest
            found = re.match(r"listening on (\S+)", line)
            if not found:
                running.process.wait(peers.PATIENCE_S)
                running.check()
            running.address = found[1] if listen.endswith(":0") else listen
            return running
        except BaseException:
            running.end()
            raise

    def ends_told(self, running):
        return len(re.findall(r"\d+ from the client, \d+ from the target", running.errors_so_far()))

    def judge(self, running, status):
        if status is None:
            raise peers.Fault("it did not end on SIGTERM, with no connection left")
        if status != 0:
            raise peers.Fault(f"it ended with status {status} on SIGTERM")


def pollux_backends(program):
    """Those that are usable here, in its own order."""
    done = subprocess.run([program, "backends", "--format", "json"], capture_output=True, text=True,
                          check=True)
    return [backend["name"] for backend in json.loads(done.stdout)["backends"] if backend["usable"]]


def others():
    return [Socat(), Haproxy(), Nginx("nginx", True), Nginx("nginx/default", False)]
