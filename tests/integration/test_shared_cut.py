"""The network between one gate and the store drops all packets, and resets no connection. The other gates continue to use
the store (conf/README.md, several gates)."""

import json
import shutil
import tempfile
import time
from pathlib import Path

import pytest

from gate import eventually
from netns import Namespace
from peers.store import Redis
from test_limits import ctl, fails
from test_shared import down, up

GATE, STORE = "10.9.1.2", "10.9.2.2"


class Network:
    """Namespaces far - router - near: near has the store and most gates, and the router can drop all packets of far."""

    def __init__(self):
        self.far, self.router, self.near = spaces = [Namespace() for _ in range(3)]
        for space, name, net, host in ((self.far, "left", "10.9.1", GATE), (self.near, "right", "10.9.2", STORE)):
            self.router.cable(name, space, "eth")
            self.router.interface(name, f"{net}.1/24")
            space.interface("eth", f"{host}/24")
            space.route(f"default via {net}.1")
        with self.router.entered():
            Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
        self.spaces = spaces

    def cut(self, verb="add"):
        with self.router.entered():
            for way in ("from", "to"):
                self.router.ip(f"rule {verb} {way} {GATE} blackhole")

    def heal(self):
        self.cut("del")

    def close(self):
        for space in self.spaces:
            space.close()


@pytest.fixture
def network():
    network = Network()
    yield network
    network.close()


@pytest.fixture
def store(network, place):
    folder = tempfile.mkdtemp(prefix="redis-", dir=place.folder)
    with network.near.entered():
        server = Redis(folder, port=6379, bind=STORE, protected_mode="no")
    yield server
    server.close()
    shutil.rmtree(folder)


class Part:
    """A gate and its server in a namespace."""

    def __init__(self, bench, space, name, **keys):
        self.bench, self.space = bench, space
        with space.entered():
            self.gate = up(bench.gate(bench.backend(), gate={
                "admin": f"unix:{name}-{bench.count}.sock", "shared": f"redis://{STORE}:6379", "shared_name": name,
                "max_tunnels_per_user": 2, **keys}))

    def client(self, user="alice", password="sesame"):
        with self.space.entered():
            return self.bench.client(self.gate, user=user, password=password)

    def call(self, **user):
        with self.space.entered():
            return self.client(**user).establish().ping()

    def refuses(self, **user):
        with self.space.entered():
            fails(self.client(**user))

    def ups(self):
        return [e for e in self.gate.events("shared") if e.fields.get("state") == "up"]

    def bans(self):
        return {line.split()[0] for line in ctl(self.gate, "bans").splitlines()}

    def tunnels(self):
        """Returns the numbers of tunnels of all gates, by name, as this gate lists them."""
        return {row["name"]: row["tunnels"] for row in json.loads(ctl(self.gate, "gates", "--json"))["items"]}


def slowest(live, rounds):
    """Returns the longest round trip through the tunnels, in seconds."""
    longest = 0
    for _ in range(rounds):
        for call in live:
            began = time.monotonic()
            call.ping()                                           # waits for the packet from the server
            longest = max(longest, time.monotonic() - began)
    return longest


def test_packets_of_one_gate_are_dropped(bench, network, store):
    far, *near = parts = [Part(bench, network.far, "far"), Part(bench, network.near, "near1"),
                          Part(bench, network.near, "near2")]
    live = [part.call() for part in parts[:2]]
    far.refuses()                                                 # the third tunnel of a user
    ctl(far.gate, "ban", "198.51.100.0/24", "1h")
    for part in parts:
        eventually(lambda: part.bans() == {"198.51.100.0/24"}, "the ban")
    before = slowest(live, 50)

    network.cut()
    live.append(far.call())                                       # waits for the store at first, and then this gate has room
    during = slowest(live, 20)
    assert down(far.gate) == "the store does not answer"
    ctl(far.gate, "unban", "198.51.100.0/24")
    ctl(far.gate, "ban", "203.0.113.0/24", "1h")
    far.refuses()                                                 # the count of this gate is full
    ctl(near[0].gate, "ban", "192.0.2.0/24", "1h")
    near[1].gate.wait(lambda: [e for e in near[1].gate.events("ban") if e["network"] == "192.0.2.0/24"], "ban")
    while "far" in near[1].tunnels():                             # until its lease has ended
        during = max(during, slowest(live, 5))
    live.append(near[0].call())                                   # the store has no counts of far any more
    during = max(during, slowest(live, 20))
    assert during < 10 * before + 0.5, f"a round trip took {during} s, and {before} s before"
    assert far.bans() == {"203.0.113.0/24"} and near[0].bans() == {"192.0.2.0/24", "198.51.100.0/24"}
    assert len(far.ups()) == 1 and all(not part.gate.events("shared")[1:] for part in near)

    network.heal()
    far.gate.wait(lambda: len(far.ups()) == 2, "up again")
    for part in parts:
        eventually(lambda: part.bans() == {"192.0.2.0/24", "203.0.113.0/24"}, lambda: part.bans())
        eventually(lambda: part.tunnels() == {"far": 2, "near1": 2, "near2": 0}, lambda: part.tunnels())
        part.refuses()                                            # the user has four, two more than allowed
    slowest(live, 5)
    for call in live[:3]:
        call.disconnect()
    eventually(lambda: near[1].tunnels() == {"far": 0, "near1": 1, "near2": 0}, lambda: near[1].tunnels())
    near[1].call()
    far.refuses()


def test_a_gate_that_is_cut_off_refuses_if_the_configuration_says_so(bench, network, store):
    part = Part(bench, network.far, "far", shared_fail="refuse")
    live = part.call()
    network.cut()
    part.refuses()
    part.gate.wait(lambda: [e for e in part.gate.events("limit") if e.fields.get("by") == "shared-fail"], "a refusal")
    down(part.gate)
    part.refuses()
    live.ping()
    network.heal()
    part.gate.wait(lambda: len(part.ups()) == 2, "up again")
    part.call()
    live.ping()
