#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Real clients and servers on the two sides of a proxy: none of them may report an error. A client that is not
installed is left out, and said so.

    real_clients.py                                     through socat, haproxy and nginx
    real_clients.py --pollux build/release/tools/pollux --require pollux
"""
import contextlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import peers
import proxies
import run

ANSWER_BYTES = 10_000_000
LIMIT_S = 60  # of a client that does not end
SECONDS = 2   # of load
POSTGRES = "postgres"  # its server does not run as root
CLIENTS = {}


def client(name, *programs):
    def add(function):
        function.programs = programs
        CLIENTS[name] = function
        return function
    return add


class Bench:
    """A proxy between a server of this bench and whatever client is run."""

    def __init__(self, proxy, stack):
        self.proxy, self.stack, self.server = proxy, stack, None
        self.folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
        os.chmod(self.folder, 0o755)  # servers that change their user have files here

    def serve(self, command, port, **options):
        """Starts the server, and the proxy towards it: the port of the proxy."""
        target = f"127.0.0.1:{port}"
        options.setdefault("stdout", subprocess.DEVNULL)
        self.server = proxies.Running([str(word) for word in command], **options)
        self.stack.callback(self.server.end)
        self.server.wait_for(target)
        running = self.proxy.start(target, self.folder)
        self.stack.callback(running.end)
        return running.address.rpartition(":")[2]

    def write(self, name, text):
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        return path

    def random_file(self, name):
        path = self.folder / name
        path.write_bytes(b"".join(peers.pieces(name, ANSWER_BYTES)))
        return path

    @staticmethod
    def run(*command, status=0, errors=None, **options):
        """What the client prints. Its status, and a line that has the pattern, are its errors."""
        try:
            done = subprocess.run([str(word) for word in command], timeout=LIMIT_S, check=False, **{
                "stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options})
        except subprocess.TimeoutExpired:
            raise peers.Fault(f"{command[0]} did not end within {LIMIT_S} s") from None
        said = (done.stdout or b"") + done.stderr
        if done.returncode != status:
            last = said.decode(errors="replace").strip().splitlines()[-1:]
            raise peers.Fault(f"{command[0]}: status {done.returncode}{': ' if last else ''}{''.join(last)}")
        if errors:
            found = re.search(rf"(?mi)^.*(?:{errors}).*$", said.decode(errors="replace"))
            if found:
                raise peers.Fault(f"{command[0]}: {found[0].strip()}")
        return done.stdout


def free_port():
    return proxies.with_port("127.0.0.1:0").rpartition(":")[2]


def http_server(bench):
    """nginx, with a file of 10 MB and a small one: the proxy's port."""
    bench.random_file("large")
    bench.write("small", "hello\n" * 20)
    port = free_port()
    user = "user root;" if os.geteuid() == 0 else ""
    settings = bench.write("http.conf", (
        f"{user}\ndaemon off;\npid {bench.folder}/http.pid;\nerror_log stderr error;\n"
        "events { worker_connections 1024; }\nhttp {\n  access_log off;\n"
        + "".join(f"  {kind}_temp_path {bench.folder}/{kind};\n"
                  for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        + f"  server {{ listen 127.0.0.1:{port} backlog=1024; root {bench.folder}; }}\n}}\n"))
    return bench.serve(["nginx", "-e", "stderr", "-p", bench.folder, "-c", settings], port)


@client("curl, 20 files of 10 MB", "curl", "nginx")
def curl(bench):
    port = http_server(bench)
    wanted = (bench.folder / "large").read_bytes()
    for _ in range(20):
        if bench.run("curl", "-sS", "--fail", f"http://127.0.0.1:{port}/large") != wanted:
            raise peers.Fault("curl got another file than there is")


@client("wrk, 50 connections", "wrk", "nginx")
def wrk(bench):
    port = http_server(bench)
    said = bench.run("wrk", "-t", "1", "-c", "50", "-d", f"{SECONDS}s", f"http://127.0.0.1:{port}/small",
                     errors="Socket errors|Non-2xx").decode()
    return re.search(r"Requests/sec:\s+(\d+)", said)[1] + " requests/s"


@client("redis-benchmark, pipelines of 16", "redis-benchmark", "redis-server")
def redis(bench):
    port = free_port()
    through = bench.serve(["redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "",
                           "--appendonly", "no", "--dir", bench.folder], port)
    said = bench.run("redis-benchmark", "-h", "127.0.0.1", "-p", through, "-P", "16", "-n", "100000", "-q",
                     "-t", "set,get", errors="error|could not|closed").decode()
    return re.findall(r"GET: (\d+)", said)[-1] + " GET/s"


@client("pgbench, 8 connections", "pgbench", "initdb")
def postgres(bench):
    def as_postgres(*command):
        return (["runuser", "-u", POSTGRES, "--"] if os.geteuid() == 0 else []) + list(command)
    data, port = bench.folder / "data", free_port()
    data.mkdir()
    if os.geteuid() == 0:
        shutil.chown(data, POSTGRES)
    bench.run(*as_postgres(program("initdb"), "-D", data, "-A", "trust", "-U", POSTGRES, "--no-sync"), cwd=data)
    through = bench.serve(as_postgres(program("postgres"), "-D", data, "-p", str(port), "-k", "", "-F",
                                      "-c", "listen_addresses=127.0.0.1"), port, cwd=data)
    options = ["-h", "127.0.0.1", "-p", through, "-U", POSTGRES]
    ready = peers.wait_until(lambda: subprocess.run(
        [program("pg_isready"), *options], capture_output=True, check=False).returncode == 0)
    if not ready:
        raise peers.Fault("PostgreSQL did not answer")
    bench.run(program("pgbench"), *options, "-i", "-q", POSTGRES)
    said = bench.run(program("pgbench"), *options, "-c", "8", "-T", SECONDS, POSTGRES,
                     errors="error:|aborted|failed transactions: [1-9]").decode()
    return re.search(r"tps = (\d+)", said)[1] + " transactions/s"


def iperf(*options):
    def run_it(bench):
        port = free_port()
        through = bench.serve(["iperf3", "-s", "-B", "127.0.0.1", "-p", port], port)
        said = bench.run("iperf3", "-c", "127.0.0.1", "-p", through, "-t", SECONDS, "-f", "m", *options,
                         errors="error").decode()
        return " and ".join(re.findall(r"([\d.]+) Mbits/sec\s.*receiver", said)) + " Mbit/s"
    return run_it


client("iperf3, towards the server", "iperf3")(iperf())
client("iperf3, towards the client", "iperf3")(iperf("-R"))
client("iperf3, both ways", "iperf3")(iperf("--bidir"))


@client("nc -N, 10 MB each way", "nc")
def netcat(bench):
    question, answer = bench.random_file("question"), bench.random_file("answer")
    port = free_port()
    with answer.open("rb") as out, (bench.folder / "received").open("wb") as into:
        through = bench.serve(["nc", "-N", "-l", "127.0.0.1", port], port, stdin=out, stdout=into)
        # Into a file: into a pipe nc loses bytes at the end, also without a proxy (1.219).
        with question.open("rb") as asked, (bench.folder / "got").open("wb") as got:
            bench.run("nc", "-N", "127.0.0.1", through, stdin=asked, stdout=got)
    got = (bench.folder / "got").read_bytes()
    if got != answer.read_bytes():
        raise peers.Fault(f"nc got {len(got)} bytes, which are not the answer of {ANSWER_BYTES}")
    # It may have more to read when the client has had its answer.
    if not peers.wait_until(lambda: bench.server.process.poll() is not None):
        raise peers.Fault("nc -l did not end")
    received = (bench.folder / "received").read_bytes()
    if received != question.read_bytes():
        raise peers.Fault(f"nc -l got {len(received)} bytes, which are not the question of {ANSWER_BYTES}")


@client("ssh, 10 MB each way", "ssh", "sshd", "ssh-keygen")
def ssh(bench):
    question, port = bench.random_file("question"), free_port()
    for name in ("host_key", "user_key"):
        bench.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", bench.folder / name)
    if os.geteuid() == 0:  # its folder for processes without rights, which its service makes
        os.makedirs("/run/sshd", exist_ok=True)
    settings = bench.write("sshd.conf", (
        f"HostKey {bench.folder}/host_key\nAuthorizedKeysFile {bench.folder}/user_key.pub\n"
        "PidFile none\nStrictModes no\nPermitRootLogin yes\nUsePAM no\nPasswordAuthentication no\n"))
    through = bench.serve([program("sshd"), "-D", "-e", "-f", settings, "-o", f"ListenAddress 127.0.0.1:{port}"],
                          port)
    with question.open("rb") as asked:
        got = bench.run("ssh", "-F", "none", "-i", bench.folder / "user_key", "-o", "StrictHostKeyChecking=no",
                        "-o", f"UserKnownHostsFile={bench.folder}/known", "-o", "BatchMode=yes",
                        "-o", "LogLevel=ERROR", "-p", through, "127.0.0.1", "cat", stdin=asked)
    if got != question.read_bytes():
        raise peers.Fault(f"ssh got {len(got)} bytes back, which are not the {ANSWER_BYTES} that were sent")


def program(name):
    """Where it is: servers are not on everybody's path."""
    places = ["/usr/local/sbin", "/usr/sbin", "/sbin",
              *map(str, sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"), reverse=True))]
    return shutil.which(name) or shutil.which(name, path=os.pathsep.join(places))


def play(name, proxy, _quick):
    """What it has measured, and the sentence of its fault or None."""
    with contextlib.ExitStack() as stack:
        try:
            return CLIENTS[name](Bench(proxy, stack)), None
        except peers.Fault as fault:
            return None, str(fault)


def clients_here(pattern):
    """Those that can run, and why the others cannot."""
    names = [name for name in CLIENTS if re.search(pattern, name)]
    missing = {}
    for name in names:
        absent = [one for one in CLIENTS[name].programs if not program(one)]
        if absent:
            missing[name] = f"{' and '.join(absent)} {'is' if len(absent) == 1 else 'are'} not installed"
    return [name for name in names if name not in missing], missing


def main():
    return run.run("Real clients and servers on the two sides of a proxy.", clients_here, play,
                   lambda name: "The client reports no error.")


if __name__ == "__main__":
    sys.exit(main())
