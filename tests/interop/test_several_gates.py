"""Three gates that act as one, as processes behind haproxy (PROXY protocol version 2), with redis-server, FreeRADIUS and
a scripted VPN server, whose RADIUS packets all pass through the first gate. haproxy gives each gate every third call."""

import contextlib
import json
import pathlib
import re
import socket
import subprocess
import tempfile
import time
from types import SimpleNamespace

import pytest

import freeradius
import lab
from peers import nas
from peers.client import CallFailed, Client
from peers.server import Server
from peers.store import Redis
from test_radius import METHODS, VPN_SECRET, configuration

COUNT = 3
HAPROXY = """\
defaults
    mode tcp
    timeout connect 1m
    timeout client 5m
    timeout server 5m

listen front
    bind fd@{fd}
    balance roundrobin
    {servers}
"""


@contextlib.contextmanager
def haproxy(directory, gates):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        servers = "\n    ".join(f"server {gate.name} {gate.front} send-proxy-v2" for gate in gates)
        (directory / "haproxy.cfg").write_text(HAPROXY.format(fd=listener.fileno(), servers=servers))
        with lab.running(["haproxy", "-db", "-f", directory / "haproxy.cfg"], directory / "haproxy.log",
                         pass_fds=[listener.fileno()]):
            yield listener.getsockname()


class Gate:
    def __init__(self, folder, addresses):
        self.folder, self.name = folder, folder.name
        self.front, self.radius = addresses["front"], addresses["radius:site"]

    def log(self):
        return (self.folder / "gate.log").read_text()

    def lines(self, event):
        """Returns the fields of its log lines of this event."""
        lines = re.findall(rf"^\S+ \S+ {event} (.*)$", self.log(), re.M)
        return [dict(field.split("=", 1) for field in line.split() if "=" in field) for line in lines]

    def ctl(self, *words):
        done = subprocess.run([lab.GATE, "ctl", "-c", self.folder / "sstpgate.conf", *words], capture_output=True, text=True,
                              timeout=lab.DEADLINE)
        assert done.returncode == 0, done.stderr
        return done.stdout


def settings(name, store):
    return (f"[gate]\nshared = {store.url}\nshared-name = {name}\nshared-secret-file = gates.secret\n"
            f"shared-timeout = 1s\nadmin = unix:admin.sock\nmax-tunnels-per-user = 3\nban-points = 25\nban-time = 1h\n")


@pytest.fixture
def site(workshop, front, back):
    lab.require("freeradius haproxy setpriv", lab.GATE)
    directory = pathlib.Path(tempfile.mkdtemp(prefix="several.", dir=workshop))
    store = Redis(directory)
    with contextlib.ExitStack() as stack:
        stack.callback(store.close)
        server = stack.enter_context(freeradius.server(directory / "freeradius", require=True))
        asks = nas.Nas(None, VPN_SECRET, demand=True)
        vpn = stack.enter_context(Server(back.cert, back.key, nas=asks, users={}, auth=METHODS))
        gates = []
        for number in range(COUNT):
            folder = directory / f"gate{number}"
            folder.mkdir()
            for secret, text in (("vpn", VPN_SECRET), ("server", freeradius.SECRET), ("gates", "of the gates alone" * 2)):
                path = folder / f"{secret}.secret"
                path.touch(mode=0o600)
                path.write_text(text + "\n")
            text = configuration(front, vpn, back, server, "yes").replace("[gate]\n", settings(folder.name, store))
            text = text.replace("[listener front]\n",
                                "[listener front]\naccept-proxy = yes\ntrusted-proxies = 127.0.0.1\n")
            gates.append(Gate(folder, stack.enter_context(lab.configured_gate(folder, text))))
        asks.server = lab.address(gates[0].radius)
        address = stack.enter_context(haproxy(directory, gates))
        until = lambda found: lab.eventually(found, server.process, gates[0].folder / "gate.log")
        for gate in gates:
            until(lambda: "state=up" in gate.log())
        until(lambda: len(json.loads(gates[0].ctl("gates", "--json"))["items"]) == COUNT)
        yield SimpleNamespace(gates=gates, vpn=vpn, front=address, until=until, store=store)


def dial(site, **knobs):
    return Client(site.front, auth=("mschapv2",), **knobs)


def test_calls_are_verified_at_each_gate(site):
    """The keys of the logins passed through the first gate."""
    for _ in range(COUNT):
        with dial(site, bind="127.0.0.77") as client:
            client.establish().ping().disconnect()
    for gate in site.gates:
        [line] = site.until(lambda: gate.lines("call"))
        assert line["client"].startswith("127.0.0.77:")
        assert (line["binding"], line["key"]) == ("verified", "radius" if gate is site.gates[0] else "shared")


def test_guesses_at_several_gates_end_in_one_ban(site):
    for _ in range(COUNT):
        with dial(site, password="wrong", bind="127.0.0.78") as client, pytest.raises(CallFailed, match="refused"):
            client.establish()
    for gate in site.gates:
        [ban] = site.until(lambda: gate.lines("ban"))
        assert ban["network"] == "127.0.0.78"
    for _ in range(COUNT):
        with dial(site, bind="127.0.0.78") as client, pytest.raises(CallFailed):
            client.establish()
        with dial(site, bind="127.0.0.79") as client:
            client.establish().ping().disconnect()


def test_the_fourth_tunnel_of_a_user_is_refused_wherever_it_comes(site):
    with contextlib.ExitStack() as stack:
        live = [stack.enter_context(dial(site)).establish().ping() for _ in range(3)]
        for _ in range(COUNT):
            with dial(site) as client, pytest.raises(CallFailed):
                client.establish().ping()
        reasons = lambda: [line["reason"] for gate in site.gates for line in gate.lines("call")]
        site.until(lambda: reasons() == ["user-limit"] * COUNT)
        for client in live:
            client.ping()
        live[0].disconnect()
        site.until(lambda: len(reasons()) == COUNT + 1)
        site.until(lambda: sum(gate["tunnels"] for gate in json.loads(site.gates[0].ctl("gates", "--json"))["items"]) == 2)
        stack.enter_context(dial(site)).establish().ping()


def test_an_order_at_one_gate_ends_a_tunnel_at_another(site):
    with contextlib.ExitStack() as stack:
        live = [stack.enter_context(dial(site, user=user, password=freeradius.USERS[user])).establish().ping()
                for user in ("alice", "bob", "bob")]
        rows = json.loads(site.gates[0].ctl("tunnels", "--all", "--json"))["items"]
        assert sorted((row["gate"].partition(".")[0], row["user"]) for row in rows) == \
            [("gate0", "alice"), ("gate1", "bob"), ("gate2", "bob")]
        site.gates[0].ctl("end", "user", "bob")
        for gate in site.gates[1:]:
            [line] = site.until(lambda: gate.lines("call"))
            assert (line["user"], line["reason"]) == ("bob", "ended-by-admin")
        live[0].ping()


def forget(store):
    """Another store takes the place of this one: it is empty."""
    store.kill()
    store.start()


# A fault, how long it lasts in seconds, and what ends it.
FAULTS = {
    "paused": (lambda store: store.pause(), 30, lambda store: store.resume()),
    "killed": (lambda store: store.kill(), 5, lambda store: store.start()),
    "replaced": (forget, 1, lambda store: None),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_of_the_store(site, fault):
    """Live tunnels notice nothing, calls are admitted without the store, and no gate forgets a ban."""
    begin, seconds, end = FAULTS[fault]
    with contextlib.ExitStack() as stack:
        live = [stack.enter_context(dial(site, user="bob", password=freeradius.USERS["bob"])).establish().ping()
                for _ in site.gates]
        site.gates[1].ctl("ban", "198.51.100.0/24", "1h")
        site.until(lambda: all("198.51.100.0" in gate.ctl("bans") for gate in site.gates))
        before = slowest(live, 20)
        ups = [gate.log().count("state=up") for gate in site.gates]
        begin(site.store)
        until, during = time.monotonic() + seconds, 0
        while time.monotonic() < until:
            during = max(during, slowest(live, 5))
            with dial(site) as client:  # the keys of a call at another gate than that of RADIUS are in the store
                with contextlib.suppress(CallFailed):
                    client.establish().ping().disconnect()
        admitted = [line for line in site.gates[0].lines("call") if line["user"] == "alice" and line["outcome"] == "ended"]
        assert admitted, "calls at the gate with the keys"
        assert during < 10 * before + 0.5, f"a round trip took {during} s, and {before} s before"
        end(site.store)
        for gate, number in zip(site.gates, ups):
            site.until(lambda: gate.log().count("state=up") > number)
        site.until(lambda: len(json.loads(site.gates[2].ctl("gates", "--json"))["items"]) == COUNT)
        for gate in site.gates:
            assert "198.51.100.0" in gate.ctl("bans")
        with pytest.raises(CallFailed), dial(site, user="bob", password=freeradius.USERS["bob"]) as client:
            client.establish().ping()  # the counts are back: bob has three
        for client in live:
            client.ping()


def slowest(live, rounds):
    """Returns the longest round trip, in seconds."""
    longest = 0
    for _ in range(rounds):
        for client in live:
            began = time.monotonic()
            client.ping()
            longest = max(longest, time.monotonic() - began)
    return longest
