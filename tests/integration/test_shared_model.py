"""Random steps of several gates with a common store, compared with a plain reference: counts, bans, lifts, points and
orders, with faults of the store, of the connections and of the gates.

Each round has a calm part, in which each answer must be the one of the reference, then a storm: faults, and steps
during them. Then all faults end, and all gates and the store must agree with each other and with the reference. Steps
of different gates during a storm are concurrent: where they contradict each other, either may have won, but the same
one at all gates.

SHARED_MODEL_SEED and SHARED_MODEL_SECONDS set the seed and the time; the seed is printed."""

import contextlib
import os
import random
import selectors
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections import Counter
from ipaddress import ip_network
from pathlib import Path

import pytest

from gate import BINARY, ROOT, SANITIZER, eventually
from peers.store import Redis
from peers.tls import DEADLINE

SECONDS = float(os.environ.get("SHARED_MODEL_SECONDS", 15))
SEED = os.environ.get("SHARED_MODEL_SEED")

PROGRAM = BINARY.parent / "peers/sharer"
LEASE = 10                # SHARED_LEASE_MS
BAN_POINTS = 30           # of sharer.c
COUNTED = ["u:alice", "u:bob", "a:192.0.2.1"]
BANNED = ["u:eve", "u:mallory", "n:10.2.0.0/24", "n:10.3.0.5", "n:2001:db8::/64"]
NESTED = ["n:10.1.0.0/16", "n:10.1.2.0/24", "n:10.1.2.3", "u:Eve"]


class Wire:
    """Commands to the store, one at a time."""

    def __init__(self, path):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(DEADLINE)
        self.sock.connect(str(path))
        self.file = self.sock.makefile("rb")

    def __call__(self, *words):
        self.sock.sendall(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(word.encode()), word.encode())
                                                              for word in words))
        return self.answer()

    def answer(self):
        line = self.file.readline()
        kind, rest = line[:1], line[1:-2]
        assert kind in b"+:$*" and kind, line
        if kind in b"+:":
            return rest.decode()
        if kind == b"$":
            return self.file.read(int(rest) + 2)[:-2].decode() if int(rest) >= 0 else None
        return [self.answer() for _ in range(int(rest))]

    def close(self):
        self.file.close()
        self.sock.close()


class Line:
    """The connection of one gate to the store: forwards, stops to forward, or ends all connections."""

    def __init__(self, path, store):
        self.path, self.store = path, store
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen()
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.listener, selectors.EVENT_READ)
        self.lock, self.pairs, self.mode, self.open = threading.Lock(), {}, "pass", True
        self.wake, self.woken = socket.socketpair()
        self.selector.register(self.woken, selectors.EVENT_READ)
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def set(self, mode):
        with self.lock:
            self.mode = mode
            for sock in list(self.pairs):
                if mode == "cut":
                    self.drop(sock)
                elif sock in self.pairs:
                    known = sock in self.selector.get_map()
                    if mode == "hold" and known:
                        self.selector.unregister(sock)
                    elif mode == "pass" and not known:
                        self.selector.register(sock, selectors.EVENT_READ)
        self.wake.send(b"x")

    def drop(self, sock):
        for end in (sock, self.pairs.get(sock)):
            if end in self.pairs:
                del self.pairs[end]
                if end in self.selector.get_map():
                    self.selector.unregister(end)
                end.close()

    def accept(self):
        ours = self.listener.accept()[0]
        theirs = socket.socket(socket.AF_UNIX)
        try:
            if self.mode == "cut":
                raise OSError("cut")
            theirs.connect(str(self.store))
        except OSError:
            ours.close()
            theirs.close()
            return
        self.pairs.update({ours: theirs, theirs: ours})
        if self.mode == "pass":
            for sock in (ours, theirs):
                self.selector.register(sock, selectors.EVENT_READ)

    def forward(self, sock):
        try:
            data = sock.recv(1 << 20)
            if not data:
                raise OSError("end")
            self.pairs[sock].sendall(data)
        except OSError:
            self.drop(sock)

    def run(self):
        while self.open:
            ready = [key.fileobj for key, _ in self.selector.select()]
            with self.lock:
                for sock in ready:
                    if sock is self.listener:
                        self.accept()
                    elif sock is self.woken:
                        sock.recv(1000)
                    elif sock in self.pairs and self.mode == "pass":
                        self.forward(sock)

    def close(self):
        self.open = False
        self.wake.send(b"x")
        self.thread.join()
        for sock in (*self.pairs, self.listener, self.wake, self.woken):
            sock.close()


class Gate:
    """A process of tests/peers/sharer.c, with the counts that it must have."""

    count = 0

    def __init__(self, folder, store):
        Gate.count += 1
        self.name = f"g{Gate.count}"
        self.line = Line(folder / f"{self.name}.sock", store)
        self.errors = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen([PROGRAM, self.name, self.line.path], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=self.errors, text=True, bufsize=1)
        self.counts, self.orders, self.ordered = Counter(), [], []
        assert self.process.stdout.readline() == "ready\n"

    def __call__(self, *words):
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        answer = self.process.stdout.readline()
        assert answer.endswith("\n"), (self.name, words, self.log())
        return answer.strip()

    def bans(self):
        return {ban.lstrip("!").lower() for ban in self("bans").split()}

    def is_up(self, gates):
        state, seen, _ = self("state").split()
        return state == "up" and int(seen) >= gates

    def take_orders(self):
        self.orders += self("orders").split()
        assert len(set(self.orders)) == len(self.orders), f"{self.name}: an order came twice: {self.orders}"
        assert not set(self.orders) & set(self.ordered), f"{self.name}: an order came back"

    def log(self):
        self.errors.seek(0)
        return self.errors.read()[-8000:]

    def end(self, kill):
        if kill:
            self.process.kill()
        else:
            self.process.stdin.close()
        status = self.process.wait(DEADLINE)
        self.line.close()
        for stream in (self.process.stdin, self.process.stdout):
            with contextlib.suppress(OSError):
                stream.close()
        assert status == (-9 if kill else 0), f"{self.name}: {status} {self.log()[-1000:]}"
        assert not SANITIZER.search(self.log()), self.log()
        self.errors.close()


def lifts(subject, ban):
    """Returns whether the end of the ban of `subject` ends this ban."""
    if subject == "*" or subject == ban:
        return True
    if subject[0] != "n" or ban[0] != "n":
        return False
    a, b = ip_network(subject[2:]), ip_network(ban[2:])
    return a.version == b.version and a.overlaps(b)


class Model:
    """The gates, the store and the reference."""

    GATES = 3

    def __init__(self, folder, rng):
        self.folder, self.rng, self.history = folder, rng, []
        self.redis = Redis(folder)
        self.wire = Wire(self.redis.path)
        self.gates = [Gate(folder, self.redis.path) for _ in range(self.GATES)]
        self.steps, self.rounds, self.unavailable = 0, 0, 0
        self.dead = {}                    # names of dead gates, and the end of their leases
        self.banned = {}                  # subject: the states that it may have, True or False
        self.calm = True
        self.nets = 0
        self.new_round()
        self.quiet()

    def new_round(self):
        self.base = {subject: set(states) for subject, states in self.banned.items()}
        self.did = {}                     # during the storm: subject: gate: its last state there
        self.recent = {}                  # subject: the gates that have changed it since the last round
        self.points = {}                  # net: [at least, at most] points since the last round
        self.waiting = set()              # releases that the store may not have yet
        self.new_orders = []
        self.unsure = set()

    def note(self, *what):
        self.steps += 1
        self.history.append(what)

    # -- steps --

    def total(self, subject):
        return sum(gate.counts[subject] for gate in self.gates)

    def hold(self, gate):
        subject, most = self.rng.choice(COUNTED), self.rng.choice([0, 1, 3, 5, 8])
        answer = gate("hold", subject, most)
        self.note("hold", gate.name, subject, most, answer, [g.counts[subject] for g in self.gates])
        before = self.total(subject)
        if answer in ("granted", "unavailable"):
            gate.counts[subject] += 1
        self.unavailable += answer == "unavailable"
        if not self.calm or answer == "unavailable":
            return
        if answer == "granted":
            assert not most or before < most, self.told(f"{subject}: {before + 1} of {most}")
        else:
            assert answer == "full" and most, self.told(f"{subject}: {answer}")
            assert subject in self.waiting or before >= most, self.told(f"{subject}: {before} of {most} are full")

    def release(self, gate):
        held = sorted(gate.counts.elements())
        if held:
            subject = self.rng.choice(held)
            gate.counts[subject] -= 1
            self.waiting.add(subject)
            self.note("release", gate.name, subject)
            gate("release", subject)

    def change(self, gate, subject, state):
        """Records that a gate has banned or lifted a subject."""
        self.recent.setdefault(subject, set()).add(gate.name)
        if self.calm:
            self.banned[subject] = {state}
        else:
            self.did.setdefault(subject, {})[gate.name] = state

    def stored(self, action):
        """Makes a change. While all is well, waits until the store has it, so that changes have an order."""
        before = self.wire("HGET", "m:b:m", "n") if self.calm else None
        action()
        if self.calm:
            eventually(lambda: self.wire("HGET", "m:b:m", "n") != before, lambda: self.told("no change in the store"))

    def subject(self, gate, *more):
        """Chooses what is banned or lifted. A lift ends the bans of narrower and wider networks that the gate knows."""
        subject = self.rng.choice(BANNED + NESTED + list(more))
        if subject in NESTED and self.calm:
            eventually(lambda: gate.bans() >= {s for s, states in self.banned.items() if states == {True}},
                       lambda: self.told(f"{gate.name} does not know all bans"))
        return subject

    def ban(self, gate):
        subject, ms = self.subject(gate), self.rng.choice([1800, 3600, 7200]) * 1000
        self.note("ban", gate.name, subject, ms)
        self.stored(lambda: gate("ban", subject, ms))
        self.change(gate, subject.lower(), True)

    def unban(self, gate):
        subject = self.subject(gate, "*")
        self.note("unban", gate.name, subject)
        self.stored(lambda: gate("unban", subject))
        for ban in {*self.banned, *self.did, *BANNED, *NESTED, *(f"n:{net}" for net in self.points)}:
            if lifts(subject.lower(), ban):
                self.change(gate, ban, False)
                if not self.calm and ban != subject.lower() and subject != "*":
                    self.unsure.add(ban)  # perhaps the gate did not know it

    def guess(self, gate):
        if not self.points or self.rng.random() < 0.1:
            self.nets += 1
            self.points[f"172.16.{self.nets // 250}.{self.nets % 250 + 1}"] = [0, 0]
        net, points = self.rng.choice(list(self.points)), self.rng.choice([1, 5, 10])
        at = self.points[net]
        self.note("points", gate.name, net, points)
        before = self.stored_points(net) if self.calm and f"n:{net}" not in gate.bans() else None
        gate("points", net, points)
        if before is not None:
            eventually(lambda: self.stored_points(net) != before, lambda: self.told("no points in the store"))
        at[0] += points * self.calm
        at[1] += points

    def order(self, gate):
        user = f"user{self.steps}"
        self.note("end", gate.name, user)
        gate.ordered.append(user)
        gate("end", user)
        if self.calm:
            self.new_orders.append((user, [g for g in self.gates if g is not gate]))

    def look(self, gate):
        """No gate forgets a ban, at any time."""
        self.note("look", gate.name)
        gate.take_orders()
        bans = gate.bans()
        for subject, states in self.base.items():
            if states == {True} and subject not in self.recent and gate.known:
                assert subject in bans, self.told(f"{gate.name} has forgotten {subject}")

    def step(self):
        kinds = [(self.hold, 30), (self.release, 20), (self.ban, 8), (self.unban, 6), (self.guess, 12), (self.order, 3),
                 (self.look, 3)]
        action, = self.rng.choices([kind for kind, _ in kinds], [weight for _, weight in kinds])
        action(self.rng.choice(self.gates))

    # -- faults --

    def storm(self):
        """Yields the ends of some faults."""
        self.calm, before = False, time.monotonic()
        self.new_orders = []
        faults = self.rng.sample([self.store_killed, self.store_emptied, self.scripts_lost, self.store_paused, self.line_held,
                                  self.line_cut, self.gate_killed, self.gate_stopped, self.gate_held_long],
                                 self.rng.choice([1, 1, 2, 3]))
        ends = []
        for fault in faults:
            self.note(fault.__name__)
            ends.append(fault())
            for _ in range(self.rng.randrange(10)):
                self.step()
        length = self.rng.choice([0, 0.2, 0.6, 1.2])
        while time.monotonic() < before + length:
            self.step()
        self.rng.shuffle(ends)
        for end in ends:
            if end:
                end()
                self.note("end of a fault", end)
            for _ in range(self.rng.randrange(10)):
                self.step()

    def lost(self):
        """The store has lost its content."""
        for at in self.points.values():
            at[0] = 0

    def store_killed(self):
        self.redis.resume()
        self.wire.close()
        self.redis.kill()
        self.lost()

        def end():
            self.redis.start()
            self.wire = Wire(self.redis.path)
        return end

    def store_emptied(self):
        if self.redis.process.poll() is None and not self.paused():
            self.wire("FLUSHALL")
            self.lost()

    def scripts_lost(self):
        if self.redis.process.poll() is None and not self.paused():
            self.wire("SCRIPT", "FLUSH")

    def paused(self):
        return Path(f"/proc/{self.redis.process.pid}/stat").read_text().split(")")[1].split()[0] == "T"

    def store_paused(self):
        if self.redis.process.poll() is None:
            self.redis.pause()
        return lambda: self.redis.process.poll() is None and self.redis.resume()

    def line_fault(self, mode):
        line = self.rng.choice(self.gates).line
        line.set(mode)
        return lambda: line.open and line.set("pass")

    def line_held(self):
        return self.line_fault("hold")

    def line_cut(self):
        return self.line_fault("cut")

    def gate_held_long(self):
        """Until the gate has given its connection up."""
        gate = self.rng.choice(self.gates)
        gate.line.set("hold")
        if gate("state").startswith("up"):
            eventually(lambda: gate("state").startswith("down"), lambda: self.told(f"{gate.name} waits for ever"))
        return lambda: gate.line.open and gate.line.set("pass")

    def replace(self, kill):
        """One gate ends, and another one starts. Nobody promises that its last changes have reached the others."""
        gate = self.gates.pop(self.rng.randrange(len(self.gates)))
        gate.end(kill)
        self.dead[gate.name] = time.monotonic() + LEASE + 3
        for subject, gates in self.recent.items():
            if gate.name in gates:
                before = self.banned.get(subject, {False}) | self.base.get(subject, {False})
                self.did.setdefault(subject, {}).setdefault(gate.name, False)
                self.banned[subject] = {True, False} if before != {True} or not all(
                    self.did.get(subject, {}).values()) else {True}
        self.gates.append(Gate(self.folder, self.redis.path))
        self.gates[-1].known = False

    def gate_killed(self):
        self.replace(True)

    def gate_stopped(self):
        self.replace(False)

    # -- the end of a round --

    def quiet(self):
        """Waits until all gates are up, and compares them with the store and the reference."""
        told = lambda text: lambda: self.told(text() if callable(text) else text)
        eventually(lambda: all(gate.is_up(len(self.gates)) for gate in self.gates), told("not all gates are up"))
        for subject, gates in self.did.items():
            states = set(gates.values())
            if subject in self.unsure or subject in self.recent and len(self.banned.get(subject, ())) == 2:
                states = {True, False}
            self.banned[subject] = states
        for net, (least, most) in self.points.items():
            if f"n:{net}" in self.recent:
                self.banned[f"n:{net}"] = {True, False}
            else:
                self.banned[f"n:{net}"] = {True} if least >= BAN_POINTS else {False} if most < BAN_POINTS else {True, False}
        may = {subject for subject, states in self.banned.items() if True in states}
        must = {subject for subject, states in self.banned.items() if states == {True}}

        def agree():
            bans = [gate.bans() for gate in self.gates] + [self.stored_bans()]
            return all(b == bans[0] for b in bans) and must <= bans[0] <= may

        def difference():
            bans = {"store": self.stored_bans(), **{gate.name: gate.bans() for gate in self.gates}}
            every, some = set.intersection(*bans.values()), set.union(*bans.values())
            at = {subject: [name for name, known in bans.items() if subject in known] for subject in some - every}
            return f"bans: {sorted(must - every)} are missing, {sorted(every - may)} should have ended, of some only: {at}"

        eventually(agree, told(difference))
        self.banned = {subject: {True} for subject in self.stored_bans()}
        counts = lambda: [self.stored_counts(gate.name) for gate in self.gates]
        eventually(lambda: counts() == [+gate.counts for gate in self.gates],
                   told(lambda: f"counts: store {counts()}, gates {[+gate.counts for gate in self.gates]}"))
        for user, gates in self.new_orders:
            for gate in gates:
                eventually(lambda: gate.take_orders() or user in gate.orders, told(f"{gate.name}: no order {user}"))
        for name, end in list(self.dead.items()):
            if time.monotonic() > end:
                assert not self.stored_counts(name), self.told(f"the store has counts of the dead gate {name}")
                del self.dead[name]
        for gate in self.gates:
            gate.known = True
        self.rounds += 1

    def stored_bans(self):
        bans = self.wire("HGETALL", "m:b:v")
        ends = dict(zip(*[iter(self.wire("ZRANGE", "m:b:u", "0", "-1", "WITHSCORES"))] * 2))
        return {subject for subject, kind in zip(bans[::2], bans[1::2])
                if kind.split()[0] in ("manual", "points") and float(ends.get(subject, "inf")) > time.time() * 1000
                and subject != "*"}

    def stored_points(self, net):
        """Returns the points of a network. None: it is banned, so points change nothing."""
        if f"n:{net}" in self.stored_bans():
            return None
        return self.wire("HGETALL", f"m:p:{net}")

    def stored_counts(self, name):
        fields = self.wire("HGETALL", f"m:g:{name}")
        return Counter({subject: int(n) for subject, n in zip(fields[::2], fields[1::2]) if subject and int(n)})

    def expired(self):
        """Returns whether the store has no counts of dead gates, so that each answer is known exactly."""
        return not any(self.stored_counts(name) for name in self.dead)

    def round(self):
        self.history.clear()
        self.new_round()
        self.calm = self.expired()
        for _ in range(self.rng.randrange(40, 200)):
            self.step()
        if self.rng.random() < 0.8:
            self.storm()
        self.quiet()
        self.waiting.clear()

    def told(self, text):
        return "\n".join([text, *map(str, self.history[-300:]), text, *(f"{g.name}:\n{g.log()}" for g in self.gates)])

    def close(self):
        for gate in self.gates:
            gate.end(False)
        self.wire.close()
        self.redis.close()


@pytest.fixture
def model():
    subprocess.run(["make", "--no-print-directory", "-s", f"VARIANT={BINARY.parent.name}", PROGRAM.relative_to(ROOT)],
                   cwd=ROOT, check=True)
    seed = int(SEED) if SEED else random.randrange(1 << 32)
    print(f"SHARED_MODEL_SEED={seed}")
    folder = Path(tempfile.mkdtemp(prefix="sg-"))
    made = Model(folder, random.Random(seed))
    yield made
    made.close()
    shutil.rmtree(folder)


def test_random_steps(model):
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        model.round()
    print(f"{model.steps} steps in {model.rounds} rounds, {model.unavailable} questions without an answer")
    assert model.steps > 100 and model.rounds > 1
