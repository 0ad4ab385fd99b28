#!/usr/bin/python3
"""Measures the cost of the gate, compared with relays that do not inspect the traffic.

    make bench [FIGURES='up-1404 calls-ec'] [ROUNDS=3] [PEERS='gate nginx-64k gate@2'] [OUT=build/bench]

Every figure is measured for every peer in turn, A B C A B C, ROUNDS times, each time with new tunnels.
The output has medians with half of the range, and the median over the rounds of the ratio between the
gate and another peer. The proxies have one core for themselves, the generator (load.c) another one.
The result is the CPU time of the proxy as accounted by the kernel, not wall-clock time, because the
machine may have other work."""

import argparse
import contextlib
import json
import os
import platform
import re
import select
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests/bench")]

from peers import pki  # noqa: E402
from peers.store import Redis  # noqa: E402

BUILD = ROOT / "build" / os.environ.get("VARIANT", "release")
LOAD = BUILD / "bench" / "load"
GATE = Path(os.environ.get("SSTPGATE", BUILD / "sstpgate"))
SUITE = "TLS_AES_128_GCM_SHA256"
PROXY_CORES = {1: "0", 2: "0,1"}
FIRST = []  # command prefix that gives a proxy priority on its core: --first
LOAD_CORES = {1: "1", 2: "0,1"}  # with two workers, the generator uses a little of both cores if it can
USERS = 10000
HASH_HASH = bytes(range(1, 17)).hex()  # the same as in end.c


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


# ---- the peers ----

class Peer:
    """One proxy between its port and the backend's port."""

    host = back_host = "127.0.0.1"
    line = None       # a Line, with the generator at one end and the proxy at the other
    strict = False    # whether the proxy re-signs the binding, so that the backend can check it
    most_tunnels = 5000
    master = False    # whether its workers are children, which it starts when it listens already

    def __init__(self, name, folder, workers, front, back, setting=None):
        self.label, self.name, self.workers, self.setting = name, name.replace("/", "_"), workers, setting
        self.folder = Path(folder) / f"{self.name}-{workers}-{Path(front.both).stem}-{setting}"
        self.folder.mkdir(exist_ok=True)
        self.cert, self.back_cert = front, back
        self.port, self.back = free_port(), free_port()
        self.process = None

    def at_the_far_end(self, line):
        self.line, self.host, self.back_host = line, line.FAR, line.NEAR
        return self

    def place(self, near):
        """Context manager: enters the namespace of the generator or of the proxy."""
        if self.line is None:
            return contextlib.nullcontext()
        return (self.line.near if near else self.line.far).entered()

    def command(self):
        raise NotImplementedError

    def start(self):
        if self.process:
            return self
        with self.place(near=False):
            self.process = subprocess.Popen(
                [*FIRST, "taskset", "-c", PROXY_CORES[self.workers], *map(str, self.command())],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, cwd=self.folder,
                stderr=(self.folder / "log").open("wb"))
        deadline = time.monotonic() + 10
        while True:
            try:
                with self.place(near=False):
                    socket.create_connection((self.host, self.port), 1).close()
                if not self.master or len(self.pids()) > self.workers:
                    return self
            except OSError:
                pass
            # Not all of these programs report when they listen, but all of them exit if they cannot.
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(0.02)
            if time.monotonic() > deadline or self.process.returncode is not None:
                log = (self.folder / "log").read_text()
                sys.exit(f"{self.name} did not start\n{log}")

    def stop(self):
        if self.process:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process = None

    def pids(self):
        def children(pid):
            text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
            return [pid] + [p for child in text.split() for p in children(int(child))]
        return children(self.process.pid)

    def memory(self):
        """Returns the bytes of private memory of these processes, and their share of shared memory."""
        total = 0
        for pid in self.pids():
            text = Path(f"/proc/{pid}/smaps_rollup").read_text()
            total += int(re.search(r"^Pss:\s+(\d+)", text, re.M)[1]) * 1024
        return total

    def load_command(self, *options):
        command = ["taskset", "-c", LOAD_CORES[self.workers], LOAD, options[0], "--to",
                   f"{self.host}:{self.port}", "--port", self.back, "--certificate", self.back_cert.both, "--ciphersuite", SUITE]
        for pid in self.pids():
            command += ["--pid", pid]
        command += ["--strict"] if self.strict else []
        return [str(c) for c in (*command, *options[1:])]

    def load(self, *options):
        self.start()
        with self.place(near=True):
            done = subprocess.run(self.load_command(*options), capture_output=True, text=True,
                                  timeout=300)
        if done.returncode != 0:
            log = (self.folder / "log").read_text()[-2000:]
            sys.exit(f"\n{self.name}: load {' '.join(map(str, options))}: {done.stderr}{log}")
        return json.loads(done.stdout)


class Gate(Peer):
    """`gate` is the build of this tree, `gate:FILE` another one. As with all peers, `gate@2` has two workers."""

    strict = True
    settings = {None: ("", ""), "full": ("records = full", ""),
                "resume": ("", "check = tls\ncheck-interval = 1s\nrise = 1"),
                "limits": ("", ""), "shared": ("", "")}
    store = None

    def start(self):
        if self.setting == "shared" and not self.store:
            self.store = Store(self.folder)
        super().start()
        if self.store:
            self.store.await_gate(self.process)
        return self

    def stop(self):
        super().stop()
        if self.store:
            self.store.close()
            self.store = None

    def limits(self):
        """Returns the limits that several gates can share, and their store."""
        if self.setting not in ("limits", "shared"):
            return ""
        store = f"shared = redis://127.0.0.1:{self.store.port}" if self.store else ""
        return f"""max-tunnels-per-user = 3
max-tunnels-per-address = 1000
handshake-rate-per-address = 10000/s
ban-points = 1000
{store}
"""

    def command(self):
        binary = Path(self.label.partition(":")[2]).resolve() if ":" in self.label else GATE
        users = self.folder / "users"
        users.touch(mode=0o600)
        names = ["bench", *(f"bench{n:05}" for n in range(USERS if self.limits() else 0))]
        users.write_text("".join(f"{name}:{HASH_HASH}\n" for name in names))
        config = self.folder / "gate.conf"
        front, back = self.settings[self.setting]
        config.write_text(f"""[gate]
workers = {self.workers}
log-level = error
max-tunnels = 10000
{self.limits()}[listener front]
listen = {self.host}:{self.port}
certificate = {self.cert.both}
default = allow
{front}
[backend back]
server = {self.back_host}:{self.back}
verify = pin
pin-sha256 = {self.back_cert.sha256}
users-file = users
{back}
""")
        return [binary, "-c", config]


class Store(Redis):
    """A redis-server on loopback, on the generator's core."""

    def __init__(self, folder):
        self.port = free_port()
        super().__init__(folder, port=self.port, bind="127.0.0.1")
        os.sched_setaffinity(self.process.pid, {int(LOAD_CORES[1])})

    def await_gate(self, gate):
        while self("EXISTS", "sstpgate:gates") != "1":
            if gate.poll() is not None or self.process.poll() is not None:
                sys.exit("the gate or its store has ended")
            time.sleep(0.02)

    def used(self):
        """Returns the number of scripts that the store has run, and its CPU time."""
        text = self("INFO", "all")
        scripts = sum(int(n) for n in re.findall(r"^cmdstat_eval(?:sha)?:calls=(\d+)", text, re.M))
        return scripts, sum(float(x) for x in re.findall(r"^used_cpu_(?:sys|user):([\d.]+)", text, re.M))


class Haproxy(Peer):
    def command(self):
        buffer = int(self.name.rpartition("-")[2][:-1]) * 1024
        config = self.folder / "haproxy.cfg"
        config.write_text(f"""global
    nbthread {self.workers}
    maxconn 9000
    tune.bufsize {buffer}
    tune.ssl.cachesize 0
    ssl-default-bind-ciphersuites {SUITE}
    ssl-default-server-ciphersuites {SUITE}
    ssl-default-bind-options ssl-min-ver TLSv1.3 no-tls-tickets
    ssl-default-server-options ssl-min-ver TLSv1.3
defaults
    mode tcp
    timeout connect 10s
    timeout client 1h
    timeout server 1h
listen front
    bind {self.host}:{self.port} ssl crt {self.cert.both}
    server back {self.back_host}:{self.back} ssl verify none {'' if self.setting == 'resume' else 'no-ssl-reuse'}
""")
        return ["haproxy", "-db", "-q", "-f", config]


class Nginx(Peer):
    master = True

    def command(self):
        buffer = self.name.rpartition("-")[2]
        config = self.folder / "nginx.conf"
        config.write_text(f"""load_module /usr/lib/nginx/modules/ngx_stream_module.so;
daemon off;
worker_processes {self.workers};
worker_rlimit_nofile 20000;
pid {self.folder}/pid;
error_log stderr crit;
events {{ worker_connections 20000; }}
stream {{
    access_log off;
    server {{
        listen {self.host}:{self.port} ssl backlog=4096{' reuseport' if self.workers > 1 else ''};
        ssl_certificate {self.cert.cert};
        ssl_certificate_key {self.cert.key};
        ssl_protocols TLSv1.3;
        ssl_conf_command Ciphersuites {SUITE};
        ssl_session_tickets off;
        ssl_session_cache off;
        proxy_pass {self.back_host}:{self.back};
        proxy_ssl on;
        proxy_ssl_protocols TLSv1.3;
        proxy_ssl_conf_command Ciphersuites {SUITE};
        proxy_ssl_session_reuse {'on' if self.setting == 'resume' else 'off'};
        proxy_buffer_size {buffer};
        proxy_timeout 1h;
    }}
}}
""")
        return ["nginx", "-c", config]


class Stunnel(Peer):
    """A service of stunnel cannot have TLS on both sides, so two services are connected over loopback.
    The size of its buffers and one thread for each connection are compiled in."""

    most_tunnels = 1000

    def command(self):
        between = free_port()
        config = self.folder / "stunnel.conf"
        config.write_text(f"""foreground = quiet
pid =
debug = 0
syslog = no
sslVersionMin = TLSv1.3
ciphersuites = {SUITE}
socket = l:TCP_NODELAY=1
socket = r:TCP_NODELAY=1
options = NO_TICKET
[front]
accept = {self.host}:{self.port}
connect = 127.0.0.1:{between}
cert = {self.cert.cert}
key = {self.cert.key}
sessionCacheSize = 1
[back]
client = yes
accept = 127.0.0.1:{between}
connect = {self.back_host}:{self.back}
""")
        return ["stunnel4", config]


PEERS = {"gate": Gate, "haproxy-16k": Haproxy, "haproxy-64k": Haproxy, "nginx-16k": Nginx,
         "nginx-64k": Nginx, "stunnel": Stunnel}

PROGRAMS = {"haproxy": "haproxy", "nginx": "nginx", "stunnel": "stunnel4"}


# ---- the figures ----

class Floor:
    """In place of a peer: the minimum work of a relay (floor.c)."""
    name = "floor"


def per_packet(result):
    packets, octets, cpu = result["packets"], result["octets"], result["cpu"]
    values = {"ns/packet": cpu / packets * 1e9, "ns/octet": cpu / octets * 1e9,
              "Gbit/CPU-s": octets * 8 / cpu / 1e9}
    if "wall" in result:
        values["packets/s"] = packets / result["wall"]
        values["proxy busy"] = cpu / result["wall"]
        values["load busy"] = result["load_cpu"] / result["wall"]
    return values


class Flow:
    """CPU time of each packet, at full load."""
    def __init__(self, what, size, direction, tunnels=16, packets=None, more=(), gate_only=False,
                 setting=None):
        self.what, self.size, self.direction, self.tunnels = what, size, direction, tunnels
        self.gate_only, self.setting = gate_only, setting
        self.packets = packets or {"64": 160000, "512": 100000, "imix": 120000}.get(size, 60000)
        self.more = more
        self.floor = not more and size != "imix" and direction != "both"

    def run(self, peer):
        options = ["--size", self.size, "--direction", self.direction, "--packets", self.packets]
        if isinstance(peer, Floor):
            return per_packet(floor(options))
        if peer.most_tunnels < self.tunnels:
            return None
        return per_packet(peer.load("flow", "--tunnels", self.tunnels, *options, *self.more))


class Lossy:
    """Throughput over a lossy line, both between client and proxy and between proxy and backend. This
    measures wall-clock time, but the line is slow enough for any machine."""

    floor, gate_only, line = False, False, True

    def __init__(self, what, direction):
        self.what, self.direction = what, direction

    def run(self, peer):
        result = peer.load("flow", "--tunnels", 4, "--packets", 4000, "--size", 1404, "--direction",
                           self.direction)
        return {"Mbit/s": result["octets"] * 8 / result["wall"] / 1e6}


class Ping:
    floor = gate_only = False

    def __init__(self, what, bulk):
        self.what, self.bulk = what, bulk

    def run(self, peer):
        options = ["--size", 512]
        options += (["--packets", 300, "--seconds", 1, "--bulk", self.bulk, "--gap", 1000] if self.bulk
                    else ["--packets", 3000, "--seconds", 5, "--gap", 200])
        result = peer.load("ping", *options)
        return {"p50 us": result["p50"], "p99 us": result["p99"], "p999 us": result["p999"],
                **({} if self.bulk else {"cpu us": result["cpu"] / result["pings"] * 1e6})}


class Calls:
    floor = gate_only = False

    def __init__(self, what, key, calls=400, concurrent=8, setting=None):
        self.what, self.key, self.calls, self.concurrent = what, key, calls, concurrent
        self.setting = setting

    def run(self, peer):
        options = ["--tickets"] if self.setting == "resume" else []
        if self.setting == "resume" and isinstance(peer, Gate):
            options.append("--checked")
        result = peer.load("calls", "--packets", self.calls, "--concurrent", self.concurrent, *options)
        return {"us/call": result["cpu"] / result["calls"] * 1e6,
                "calls/CPU-s": result["calls"] / result["cpu"],
                "calls/s": result["calls"] / result["wall"]}


class SharedCalls:
    """Calls at a rate beside tunnels that are up, each of a user and an address of its own, through two gates with
    the same limits, of which one shares them in a redis-server. Bursts of one gate and of the other take turns."""

    floor, gate_only, key, setting = False, True, "ec", "shared"

    def __init__(self, what, held=9000, rate=500, calls=500, bursts=15):
        self.what, self.held, self.rate, self.calls, self.bursts = what, held, rate, calls, bursts

    def run(self, peer):
        alone = Gate(peer.label, peer.folder.parent, peer.workers, peer.cert, peer.back_cert, "limits")
        try:
            with self.load(alone.start()) as one, self.load(peer.start()) as other:
                return self.compare(one, other, peer)
        finally:
            alone.stop()
            peer.stop()

    def load(self, peer):
        """Starts the generator, whose first burst is not used."""
        command = peer.load_command("calls", "--held", self.held, "--users", USERS, "--rate", self.rate, "--packets",
                                    self.calls, "--concurrent", 64, "--times", self.bursts + 1)
        load = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        load.stdout.readline()
        return load

    @staticmethod
    def burst(load):
        load.stdin.write("\n")
        load.stdin.flush()
        return json.loads(load.stdout.readline())

    @staticmethod
    def used(peer):
        """Returns the scripts of the store, its CPU time, and the CPU time and wake-ups of the thread that asks it."""
        thread, = (path.parent for path in Path(f"/proc/{peer.process.pid}/task").glob("*/comm")
                   if path.read_text() == "shared\n")
        wakes, = re.findall(r"^voluntary_ctxt_switches:\s*(\d+)", (thread / "status").read_text(), re.M)
        return *peer.store.used(), int((thread / "schedstat").read_text().split()[0]) / 1e9, int(wakes)

    def compare(self, one, other, peer):
        costs, rates, asked = ([], []), [], []
        for number in range(self.bursts):
            for which in (0, 1) if number % 2 else (1, 0):
                before = self.used(peer)
                result = self.burst((one, other)[which])
                costs[which].append(result["cpu"] / result["calls"] * 1e6)
                rates.append(result["calls"] / result["wall"])
                if which:
                    asked.append([(a - b) / (self.calls + 128) for a, b in zip(self.used(peer), before)])
        ratios = sorted(b / a for a, b in zip(*costs))
        return {"alone us": median(costs[0]), "shared us": median(costs[1]), "shared / alone": median(ratios),
                "first quartile": ratios[len(ratios) // 4], "third quartile": ratios[-1 - len(ratios) // 4],
                "calls/s": median(rates), "thread us/call": median([x[2] for x in asked]) * 1e6,
                "wakes/call": median([x[3] for x in asked]), "scripts/call": median([x[0] for x in asked]), "store us/call": median([x[1] for x in asked]) * 1e6}


class Hellos:
    """Round trips of 50 tunnels with 10 packets a second each: idle, and in the first 0.8 s of a burst in
    which 3000 clients connect and then send a ClientHello at once."""

    floor = gate_only = False

    def __init__(self, what, key, bursts=3):
        self.what, self.key, self.bursts = what, key, bursts

    def run(self, peer):
        result = peer.load("hellos", "--tunnels", 50, "--rate", 10, "--size", 512, "--seconds", 3,
                           "--concurrent", 3000, "--packets", self.bursts)
        quiet, burst = result["quiet"], result["burst"]
        return {"quiet p99 us": quiet["p99"], "p50 us": burst["p50"], "p99 us": burst["p99"],
                "max us": burst["max"], "p99 / quiet": burst["p99"] / quiet["p99"],
                "hellos/s": result["answered"] / result["wall"]}


class Memory:
    floor = gate_only = False

    def __init__(self, what, tunnels=1000):
        self.what, self.tunnels = what, tunnels

    def run(self, peer):
        peer.stop()
        peer.start()
        peer.load("flow", "--tunnels", 4, "--packets", 4000)  # allocates what belongs to no tunnel
        before = peer.memory()
        command = peer.load_command("hold", "--tunnels", self.tunnels, "--direction", "both",
                                    "--packets", 40 * self.tunnels)
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as load:
            if not load.stdout.readline():
                sys.exit(f"\n{peer.name}: no tunnels")
            # A fixed wait, because the gate returns buffers after an idle second, other programs have
            # other timers, and none reports when it has done so. No tunnel may end in that time: the
            # generator exits if one does.
            if select.select([load.stdout], [], [], 3.5)[0]:
                sys.exit(f"\n{peer.name}: an idle tunnel has ended")
            after = peer.memory()
            load.stdin.close()
        return {"KiB/tunnel": (after - before) / self.tunnels / 1024}


class Syscalls:
    """All system calls of a packet, counted by the kernel: the difference between a longer and a shorter
    run, so that the start of the calls does not count."""

    floor = gate_only = False

    def __init__(self, what, shorter, longer):
        self.what, self.lengths = what, (shorter, longer)

    def run(self, peer):
        peer.start()
        made, packets = zip(*(self.count(peer, more) for more in self.lengths))
        return {"calls/packet": (made[1] - made[0]) / (packets[1] - packets[0])}

    def count(self, peer, more):
        out = peer.folder / "perf"
        load = peer.load_command("flow", "--tunnels", 16, "--size", 1404, *more)
        done = subprocess.run(["perf", "stat", "-x,", "-e", "raw_syscalls:sys_enter", "-o", out, "-p",
                               ",".join(map(str, peer.pids())), "--", *load],
                              capture_output=True, text=True, check=True)
        count = re.search(r"^(\d+),", out.read_text(), re.M)[1]
        return int(count), json.loads(done.stdout)["packets"]


def floor(options):
    done = subprocess.run(
        ["taskset", "-c", PROXY_CORES[1], LOAD, "floor", "--certificate", floor.certificate,
         *map(str, options)], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


AHEAD = ("--ahead",)  # if the generator would be slower than the proxy
FILL = ("--fill",)
PACED = ("--rate", 20000, "--seconds", 0.5)
FIGURES = {
    "up-64": Flow("64 octets, client to backend", "64", "up"),
    "up-512": Flow("512 octets, client to backend", "512", "up"),
    "up-1404": Flow("1404 octets, client to backend", "1404", "up"),
    "up-imix": Flow("IMIX, client to backend", "imix", "up"),
    "down-64": Flow("64 octets, backend to client", "64", "down"),
    "down-512": Flow("512 octets, backend to client", "512", "down"),
    "down-1404": Flow("1404 octets, backend to client", "1404", "down"),
    "down-imix": Flow("IMIX, backend to client", "imix", "down"),
    "both-1404": Flow("1404 octets, both ways at once", "1404", "both"),
    "both-64-64": Flow("64 octets, both ways at once, 64 tunnels", "64", "both", tunnels=64),
    "fill-64": Flow("64 octets both ways, ends that fill their records", "64", "both", more=FILL),
    "fill-1404": Flow("1404 octets both ways, ends that fill their records", "1404", "both", more=FILL),
    "fill-64-full": Flow("the same, the gate with records = full", "64", "both", more=FILL, setting="full"),
    "fill-1404-full": Flow("the same, the gate with records = full", "1404", "both", more=FILL, setting="full"),
    "both-imix": Flow("IMIX, both ways at once", "imix", "both"),
    "up-1404-1": Flow("1404 octets up, 1 tunnel", "1404", "up", tunnels=1),
    "up-1404-64": Flow("1404 octets up, 64 tunnels", "1404", "up", tunnels=64),
    "up-1404-5000": Flow("1404 octets up, 5000 tunnels", "1404", "up", tunnels=5000, packets=200000),
    "up-1404-16": Flow("1404 octets up, 16 tunnels, as many packets", "1404", "up", packets=200000),
    "rate-64": Flow("64 octets up, 16 tunnels, made ahead", "64", "up", packets=400000, more=AHEAD),
    "rate-64-64": Flow("64 octets up, 64 tunnels, made ahead", "64", "up", tunnels=64, packets=400000,
                       more=AHEAD),
    "paced-1404": Flow("1404 octets up, 20000 packets in a second", "1404", "up", more=PACED),
    "paced-64": Flow("64 octets down, 20000 packets in a second", "64", "down", more=PACED),
    "ping-idle": Ping("round trip of one packet, idle proxy", 0),
    "ping-bulk": Ping("round trip of one packet, beside 4 tunnels that send what they can", 4),
    "calls-ec": Calls("a complete call, P-256", "ec"),
    "resumed-ec": Calls("a complete call, P-256, sessions with the backend resumed", "ec", setting="resume"),
    "resumed-rsa": Calls("a complete call, RSA-2048, sessions with the backend resumed", "rsa",
                         setting="resume"),
    "negotiate": Flow("1404 octets down, while PPP is watched", "1404", "down", more=("--negotiate",),
                      gate_only=True),
    "lossy-up": Lossy("4 tunnels up, 1 % of the packets lost, 25 ms of delay each way", "up"),
    "lossy-down": Lossy("the same down", "down"),
    "workers-calls": Calls("a complete call, RSA-8192 in front, P-256 behind, 64 at a time", "rsa8192",
                           calls=600, concurrent=64),
    "workers-64": Flow("64 octets up, 1000 tunnels, made ahead", "64", "up", tunnels=1000,
                       packets=1000000, more=AHEAD),
    "calls-rsa": Calls("a complete call, RSA-2048", "rsa"),
    "calls-shared": SharedCalls("500 calls a second beside 9000 tunnels: with redis-server, and without"),
    "calls-shared-300": SharedCalls("the same with 300 calls a second", rate=300),
    "calls-shared-100": SharedCalls("the same with 100 calls a second", rate=100, calls=200),
    "hellos-ec": Hellos("50 tunnels beside 3000 ClientHellos at a time, P-256", "ec"),
    "hellos-rsa": Hellos("50 tunnels beside 3000 ClientHellos at a time, RSA-2048", "rsa"),
    "memory": Memory("an idle tunnel that has carried traffic"),
    "syscalls": Syscalls("system calls, 1404 up, flat out", ("--packets", 16000), ("--packets", 96000)),
    "syscalls-paced": Syscalls("system calls, 1404 up, 4000 packets a second",
                               *(("--rate", 4000, "--seconds", s) for s in (0.3, 1.3))),
}
LONG = ["calls-shared", "calls-shared-300", "calls-shared-100", "workers-calls", "workers-64", "lossy-up", "lossy-down"]  # not in `all`
SHORT = ["up-64", "up-1404", "down-1404", "ping-idle", "ping-bulk", "calls-ec", "memory"]


# ---- the run ----

class Lab:
    """All started proxies, one for each combination that a figure needs."""

    def __init__(self, folder):
        self.folder = folder
        self.certs = {}
        self.peers = {}
        self.line = None

    def cert(self, key, side):
        if (key, side) not in self.certs:
            # With 8192 bits the proxy has much work, and the generator little.
            kind = "ec" if key == "rsa8192" and side == "back" else key
            self.certs[key, side] = pki.make(self.folder, f"{side}-{key}", key=kind)
        return self.certs[key, side]

    def peer(self, who, key, bad_line=False, setting=None):
        if who == "floor":
            floor.certificate = self.cert("ec", "back").both
            return Floor()
        at = who, key, bad_line, setting
        if at not in self.peers:
            name, _, workers = who.partition("@")
            self.peers[at] = PEERS[name.partition(":")[0]](
                name, self.folder, int(workers or 1), self.cert(key, "front"), self.cert(key, "back"), setting)
        if bad_line:
            from line import Line  # needs root, and pytest
            self.line = self.line or Line(delay=0.025, loss=0.01)
            self.peers[at].at_the_far_end(self.line)
        return self.peers[at]

    def close(self):
        for peer in self.peers.values():
            peer.stop()
        if self.line:
            self.line.close()


def measure(lab, figures, peers, rounds):
    """{figure: {peer: {metric: [value of each round]}}}

    Each round begins with a different peer, because the peer that runs first after a pause of the
    machine, or always after the same other peer, is slower (2 to 9 % were seen between two copies of one
    program)."""
    results = {}
    for number in range(rounds):
        for name in figures:
            figure = FIGURES[name]
            taking_part = [who for who in peers if who.startswith("gate") or not figure.gate_only]
            taking_part += ["floor"] if figure.floor else []
            by_peer = results.setdefault(name, {who: {} for who in taking_part})
            first = number % len(taking_part)
            for who in taking_part[first:] + taking_part[:first]:
                peer = lab.peer(who, getattr(figure, "key", "ec"), getattr(figure, "line", False),
                                getattr(figure, "setting", None))
                if sys.stderr.isatty():
                    print(f"\r\33[K  round {number + 1} of {rounds}: {name} {who}", end="\r",
                          file=sys.stderr, flush=True)
                values = figure.run(peer)
                for metric, value in (values or {}).items():
                    by_peer[who].setdefault(metric, []).append(value)
    if sys.stderr.isatty():
        print("\33[K", end="", file=sys.stderr)
    return {name: {who: values for who, values in by_peer.items() if values}
            for name, by_peer in results.items()}


def median(values):
    return statistics.median(values)


def number(value):
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def ratio(by_peer, metric, who):
    """Returns the median over the rounds of the ratio between the gate's value and another peer's."""
    pairs = zip(by_peer["gate"].get(metric, ()), by_peer[who].get(metric, ()))
    ratios = [a / b for a, b in pairs if b]
    return median(ratios) if ratios else None


def more_is_better(metric):
    return metric.endswith("/s") or metric.endswith("CPU-s")


def best_ratio(by_peer, metric):
    """Returns the name of the best other program, or else of another build of the gate, and the ratio to it."""
    others = [(who, ratio(by_peer, metric, who)) for who in by_peer if not who.startswith(("gate", "floor"))]
    others = others or [(who, ratio(by_peer, metric, who)) for who in by_peer if who not in ("gate", "floor")]
    others = [(who, r) for who, r in others if r is not None]
    if not others:
        return None, None
    return (min if more_is_better(metric) else max)(others, key=lambda other: other[1])


def shown(who):
    """Returns the name of a peer as results show it: of another build, only the name of its file."""
    return re.sub(r"(?<=gate:)\S*/", "", who)


def table(name, by_peer):
    figure = FIGURES[name]
    lines = [f"{name}: {figure.what}"]
    metrics = list(next(iter(by_peer.values())))
    lines.append("  " + f"{'':14}" + "".join(f"{m:>20}" for m in metrics))
    for who, values in by_peer.items():
        row = f"  {shown(who)[-14:]:14}"
        for metric in metrics:
            if metric not in values:
                row += f"{'':>20}"
                continue
            v = values[metric]
            spread = f" ±{(max(v) - min(v)) / 2 / max(median(v), 1e-9) * 100:.0f}%" if len(v) > 1 else ""
            row += f"{number(median(v)) + spread:>20}"
        lines.append(row)
    for metric in metrics if "gate" in by_peer else ():
        who, value = best_ratio(by_peer, metric)
        if who is None or metric.endswith("busy"):
            continue
        text = f"  gate / {shown(who)} = {value:.2f}"
        if metric in by_peer.get("floor", ()):
            text += f", gate / floor = {ratio(by_peer, metric, 'floor'):.2f}"
        lines.append(f"{text}  ({metric})")
    return "\n".join(lines)


# Pictures: name, title, meaning of the bars, and (figure, metric, label) of each group of bars.
PICTURES = {
    "cpu-per-packet": ("CPU time of the proxy for each packet", "ns", [
        (f"{way}-{size}", "ns/packet", f"{size} {way}")
        for way in ("up", "down") for size in ("64", "512", "1404", "imix")]),
    "round-trip": ("Round trip of one packet, median", "us", [
        ("ping-idle", "p50 us", "idle"), ("ping-bulk", "p50 us", "beside bulk, p50"),
        ("ping-bulk", "p99 us", "beside bulk, p99")]),
    "call": ("CPU time of the proxy for a complete call", "us", [
        ("calls-ec", "us/call", "P-256"), ("calls-rsa", "us/call", "RSA-2048")]),
    "memory": ("Memory of an idle tunnel that has carried traffic", "KiB", [
        ("memory", "KiB/tunnel", "")]),
}


def draw(out, results):
    if not any(g[0] in results for _, _, groups in PICTURES.values() for g in groups):
        return
    import matplotlib
    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "bench"  # so that the same numbers give the same file
    from matplotlib import pyplot
    for name, (title, unit, groups) in PICTURES.items():
        groups = [g for g in groups if g[0] in results]
        if not groups:
            continue
        who = list(dict.fromkeys(w for g in groups for w in results[g[0]]))
        width = 0.8 / len(who)
        figure, axes = pyplot.subplots(figsize=(3.6 + 1.1 * len(groups), 3.6))
        for i, one in enumerate(who):
            bars = [median(results[g[0]].get(one, {}).get(g[1], [0])) for g in groups]
            axes.bar([n + i * width for n in range(len(groups))], bars, width, label=shown(one))
        axes.set_xticks([n + 0.4 - width / 2 for n in range(len(groups))], [g[2] for g in groups])
        axes.set_ylabel(unit)
        axes.set_title(title)
        axes.legend(fontsize="small", loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
        axes.spines[["top", "right"]].set_visible(False)
        if name == "round-trip":
            axes.set_yscale("log")
        figure.tight_layout()
        figure.savefig(out / f"{name}.svg", metadata={"Date": None})
        pyplot.close(figure)


def machine():
    cpu = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    return f"{cpu[1] if cpu else platform.processor()}, {os.cpu_count()} cores, Linux {platform.release()}"


def versions():
    def of(*command):
        if shutil.which(command[0]) is None:
            return "?"
        done = subprocess.run(command, capture_output=True, text=True)
        text = (done.stdout + done.stderr).strip()
        return text.splitlines()[0] if text else "?"
    return {"gate": of(GATE, "-V"), "haproxy": of("haproxy", "-v"), "nginx": of("nginx", "-v"),
            "stunnel": of("stunnel4", "-version"), "openssl": of("openssl", "version")}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--figures", default="short", help="names, or short, or all: "
                        + " ".join(FIGURES))
    parser.add_argument("--peers", default=" ".join(PEERS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", default=str(ROOT / "build" / "bench"))
    parser.add_argument("--first", action="store_true", help="proxies go before all other programs on "
                        "their core (SCHED_FIFO): clocks of a machine that is not quiet")
    o = parser.parse_args()
    FIRST[:] = ["chrt", "-f", "1"] if o.first else []
    figures = {"short": SHORT, "all": [f for f in FIGURES if f not in LONG]}.get(o.figures, o.figures.split())
    unknown = [f for f in figures if f not in FIGURES]
    if unknown:
        sys.exit(f"unknown figure {unknown[0]}; known figures: {' '.join(FIGURES)}")
    wanted = {"taskset"} | {PROGRAMS.get(who.partition("-")[0]) for who in o.peers.split()}
    wanted |= {"perf"} if any(isinstance(FIGURES[f], Syscalls) for f in figures) else set()
    missing = [c for c in sorted(wanted - {None}) if shutil.which(c) is None]
    if missing:
        sys.exit(f"{missing[0]} is missing: make deps-bench")

    started = time.monotonic()
    lab = Lab(tempfile.mkdtemp(prefix="sg-bench-"))
    try:
        results = measure(lab, figures, o.peers.split(), o.rounds)
    finally:
        lab.close()
        shutil.rmtree(lab.folder)
    out = Path(o.out)
    out.mkdir(parents=True, exist_ok=True)
    command = f"make bench FIGURES='{o.figures}' ROUNDS={o.rounds} PEERS='{shown(o.peers)}'"
    text = "\n\n".join(table(name, results[name]) for name in figures if name in results)
    text = (f"{command}\n{machine()}\nmedians of {o.rounds} rounds, "
            f"{time.monotonic() - started:.0f} s\n\n{text}\n")
    print(text)
    (out / "results.txt").write_text(text)
    draw(out, results)
    (out / "results.json").write_text(json.dumps(
        {"command": command, "machine": machine(), "versions": versions(), "rounds": o.rounds, "figures": results}, indent=1))
    print(f"also in {out}: results.txt, results.json and pictures")


if __name__ == "__main__":
    main()
