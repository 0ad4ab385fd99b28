"""Interfaces and addresses as a machine really has them: a gate between two networks, and callers on
both. Nothing leaves the namespaces.

              outside                          machine                       inside
    192.0.2.9, 2001:db8:2::9 ---- eth0 192.0.2.1, 192.0.2.2
                                       2001:db8:2::1, ::2
                                  eth1 10.1.0.1, fd01::1 ---- 10.1.0.9, fd01::9
"""

import re
import shutil
import socket
import subprocess
from types import SimpleNamespace

import pytest

from gate import BINARY, ROOT, write_config
from netns import Namespace
from peers.client import CallFailed, Client


class Machine(Namespace):
    def call(self, who, address, until="up", **knobs):
        """Returns a Client with this source address."""
        client = Client(address, **knobs)
        self.clients.append(client)
        with who.entered():
            return client.establish(until)


@pytest.fixture(scope="module")
def nets():
    machine, outside, inside = Machine(), Namespace(), Namespace()
    machine.cable("eth0", outside, "eth0")
    machine.cable("eth1", inside, "eth0")
    machine.interface("eth0", "192.0.2.1/24", "192.0.2.2/24", "2001:db8:2::1/64",
                      "2001:db8:2::2/64")
    machine.interface("eth1", "10.1.0.1/24", "fd01::1/64")
    outside.interface("eth0", "192.0.2.9/24", "2001:db8:2::9/64")
    inside.interface("eth0", "10.1.0.9/24", "fd01::9/64")
    # Each side can send to every address of the machine, as an attacker in the same network can.
    outside.route("10.1.0.0/24 via 192.0.2.1")
    outside.route("fd01::/64 via 2001:db8:2::1")
    inside.route("192.0.2.0/24 via 10.1.0.1")
    inside.route("2001:db8:2::/64 via fd01::1")
    yield SimpleNamespace(machine=machine, outside=outside, inside=inside)
    for one in (machine, outside, inside):
        one.close()


@pytest.fixture
def machine(nets, bench):
    """The machine with a server on its loopback; gate(sections) starts a gate on it."""
    machine = nets.machine
    machine.clients = bench.clients
    with machine.entered():
        machine.server = bench.backend()
    machine.backend = {"backend back": bench.backend_keys(machine.server)}

    def gate(listeners, **options):
        with machine.entered():
            return bench.start({"gate": {"workers": 2}, **listeners, **machine.backend}, **options)

    def fails(listeners, before=()):
        """Returns the messages of a gate that fails to start."""
        config = bench.config({**listeners, **machine.backend})
        with machine.entered():
            done = subprocess.run([*before, BINARY, "-c", config], stdin=subprocess.DEVNULL,
                                  capture_output=True, text=True, timeout=60)
        assert done.returncode == 1, done.stderr
        return done.stderr

    machine.gate, machine.fails = gate, fails
    return machine


def reachable(who, address, timeout=60):
    """Returns whether TCP connects; a missing answer is a timeout, and an error here."""
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    with who.entered(), socket.socket(family, socket.SOCK_STREAM) as sock:
        sock.settimeout(timeout)
        try:
            sock.connect(address)
        except ConnectionRefusedError:
            return False
        return True


OURS = ["192.0.2.1", "192.0.2.2", "2001:db8:2::1", "2001:db8:2::2", "10.1.0.1", "fd01::1"]


def shown(address):
    return f"[{address}]" if ":" in address else address


@pytest.mark.parametrize("address", OURS)
def test_one_address(bench, nets, machine, address):
    """KB 947028 in one line: the gate uses one of the machine's six addresses."""
    machine.gate({"listener front": bench.listener_keys(listen=f"{shown(address)}:443")})
    for other in OURS:
        who = nets.inside if other in ("10.1.0.1", "fd01::1") else nets.outside
        assert reachable(who, (other, 443)) == (other == address), other
    for lo in ("127.0.0.1", "::1"):
        assert not reachable(machine, (lo, 443))
    who = nets.inside if address in ("10.1.0.1", "fd01::1") else nets.outside
    machine.call(who, (address, 443)).ping().disconnect()
    assert machine.server.wait_over().verdict == "ok"


def test_the_log_has_the_address(bench, nets, machine):
    gate = machine.gate({"listener front": bench.listener_keys(
        listen=["192.0.2.1:443", "[2001:db8:2::1]:443"])})
    for number, (address, client) in enumerate((("192.0.2.1", "192.0.2.9:"),
                                                ("2001:db8:2::1", "[2001:db8:2::9]:"))):
        machine.call(nets.outside, (address, 443)).disconnect()
        assert gate.wait_call(number)["client"].startswith(client)


# -- the two methods of KB 947028, as conf/README.md has them --

def example(number):
    """Returns the sections of a block of that chapter."""
    chapter = (ROOT / "conf/README.md").read_text().split("## The two methods of KB 947028")[1]
    sections = {}
    for line in re.findall(r"^```\n(.*?)^```", chapter, re.M | re.S)[number].splitlines():
        if line.startswith("["):
            pairs = sections[line.strip("[]")] = []
        elif line:
            pairs.append(tuple(line.split(" = ")))
    return sections


def test_a_packet_filter_for_each_address(bench, nets, machine):
    """Method 1: packet filters that allow TCP 443 to some addresses, from some sources."""
    shutil.copy(bench.place.front.both, bench.place.folder / "vpn.pem")
    gate = machine.gate(example(0))
    machine.call(nets.outside, ("192.0.2.2", 443)).ping().disconnect()
    with pytest.raises(CallFailed) as failure:
        machine.call(nets.outside, ("192.0.2.1", 443))
    assert failure.value.stage in ("open", "tls")  # the reset may arrive during the handshake of TCP
    event = gate.wait_event("deny")
    assert event["listener"] == "partners" and event["client"].startswith("192.0.2.9:")
    assert not reachable(nets.inside, ("10.1.0.1", 443))
    assert not reachable(nets.inside, ("192.0.2.2", 443))
    assert not reachable(nets.outside, ("2001:db8:2::1", 443))


def test_a_certificate_for_each_address_and_port(bench, nets, machine):
    """Method 2: netsh http add sslcert ipport=…, and the hash in the registry. The binding of every call is
    verified with the certificate of its address, and re-signed for the server's."""
    place = bench.place
    shutil.copy(place.front.both, place.folder / "a.pem")
    shutil.copy(place.front2.both, place.folder / "b.pem")
    machine.gate(example(1))
    for number, (address, cert) in enumerate(((("192.0.2.1", 443), place.front),
                                              (("192.0.2.2", 443), place.front2),
                                              (("192.0.2.1", 8443), place.front2))):
        client = machine.call(nets.outside, address)
        assert client.wire.peer_der == cert.der
        client.ping().disconnect()
        assert machine.server.wait_over(number).verdict == "ok"
    assert not reachable(nets.outside, ("192.0.2.2", 8443))
    assert not reachable(nets.outside, ("2001:db8:2::1", 443))


# -- interfaces --

def test_what_arrives_on_another_interface(bench, nets, machine):
    """A machine accepts packets for its addresses on every interface: 192.0.2.1 answers on the inside, too.
    `interface` prevents that."""
    listen = ["192.0.2.1:443", "[2001:db8:2::1]:443"]
    targets = [("192.0.2.1", 443), ("2001:db8:2::1", 443)]
    gate = machine.gate({"listener front": bench.listener_keys(listen=listen)})
    assert all(reachable(nets.inside, target) for target in targets)
    gate.stop()
    machine.gate({"listener front": bench.listener_keys(listen=listen, interface="eth0")})
    assert not any(reachable(nets.inside, target) for target in targets)
    for number, target in enumerate(targets):
        machine.call(nets.outside, target).ping().disconnect()
        assert machine.server.wait_over(number).verdict == "ok"


def test_every_address_of_an_interface(bench, nets, machine):
    machine.gate({"listener front": bench.listener_keys(listen=["*:443", "[::]:443"],
                                                        interface="eth1")})
    for address in OURS:
        assert reachable(nets.inside, (address, 443))
        assert not reachable(nets.outside, (address, 443))
    machine.call(nets.inside, ("10.1.0.1", 443)).ping().disconnect()


def test_no_such_interface(bench, machine):
    said = machine.fails({"listener front": bench.listener_keys(listen="192.0.2.1:443",
                                                                interface="eth7")})
    assert "192.0.2.1:443" in said and "eth7" in said and "no such interface" in said


def test_interface_comes_with_a_reload(bench, nets, machine):
    """A reload changes from all interfaces to one and back, while a tunnel is up."""
    gate = machine.gate({"listener front": bench.listener_keys(listen="192.0.2.1:443")})
    client = machine.call(nets.inside, ("192.0.2.1", 443)).ping()
    for keys, reached in (({"interface": "eth0"}, False), ({}, True)):
        write_config(gate.config, {"gate": {"workers": 2}, **machine.backend, "listener front":
                                   bench.listener_keys(listen="192.0.2.1:443", **keys)})
        said = gate.reload()
        assert said[-1].level == "info", said
        assert reachable(nets.inside, ("192.0.2.1", 443)) == reached
        assert reachable(nets.outside, ("192.0.2.1", 443))
    client.ping().disconnect()


# -- an address that a VRRP partner holds --

@pytest.mark.parametrize("address, prefix", [("192.0.2.77", 24), ("2001:db8:2::77", 64)])
def test_freebind(bench, nets, machine, address, prefix):
    """The gate starts without the address, and serves it when the machine takes it over."""
    keys = bench.listener_keys(listen=f"{shown(address)}:443")
    said = machine.fails({"listener front": keys})
    assert "Cannot assign requested address (if the machine gets the address later, set freebind = yes)" in said
    gate = machine.gate({"listener front": keys | {"freebind": "yes"}})
    machine.interface("eth0", f"{address}/{prefix}")
    try:
        machine.call(nets.outside, (address, 443)).ping().disconnect()
        assert gate.wait_call()["outcome"] == "ended"
    finally:
        with machine.entered():
            machine.ip(f"address del {address}/{prefix} dev eth0")


def test_freebind_is_no_doubt(bench, nets, machine):
    """-t warns about an address that the machine does not have, unless it need not have it."""
    for freebind, warns in (("no", True), ("yes", False)):
        keys = bench.listener_keys(listen="192.0.2.78:443", freebind=freebind)
        config = bench.config({"listener front": keys, **machine.backend})
        with machine.entered():
            done = subprocess.run([BINARY, "-t", "-c", config], capture_output=True, text=True, timeout=60)
        assert ("does not have the address of 192.0.2.78:443" in done.stderr) == warns


# -- wildcards --

@pytest.mark.parametrize("v6only, takes_ipv4", [(None, False), ("yes", False), ("no", True)])
def test_v6only(bench, nets, machine, v6only, takes_ipv4):
    gate = machine.gate({"listener front": bench.listener_keys(listen="[::]:443", v6only=v6only)})
    assert reachable(nets.outside, ("2001:db8:2::2", 443))
    assert reachable(nets.inside, ("10.1.0.1", 443)) == takes_ipv4
    if takes_ipv4:
        machine.call(nets.outside, ("192.0.2.2", 443)).disconnect()
        gate.wait(lambda: any(call["client"].startswith("192.0.2.9:")
                              for call in gate.events("call")), "the address as IPv4")


def test_rules_see_ipv4(bench, nets, machine):
    """Rules for IPv4 apply to an IPv4 client of an IPv6 socket."""
    gate = machine.gate({"listener front": bench.listener_keys(listen="[::]:443", v6only="no") |
                         {"deny": "192.0.2.9"}})
    with pytest.raises(CallFailed):
        machine.call(nets.outside, ("192.0.2.1", 443))
    assert gate.wait_event("deny")["client"].startswith("192.0.2.9:")
    machine.call(nets.inside, ("10.1.0.1", 443)).disconnect()


def test_every_address_if_that_is_written(bench, nets, machine):
    machine.gate({"listener front": bench.listener_keys(listen="*:8443")})
    for address in OURS:
        who = nets.inside if address in ("10.1.0.1", "fd01::1") else nets.outside
        assert reachable(who, (address, 8443)) == (":" not in address)
    machine.call(nets.outside, ("192.0.2.2", 8443)).ping().disconnect()


def test_one_address_beside_every_address(bench, nets, machine):
    """The kernel prefers the socket with the exact address."""
    place = bench.place
    machine.gate({"listener any": bench.listener_keys(listen="*:443"),
                  "listener one": bench.listener_keys(cert=place.front2, listen="192.0.2.2:443")})
    for address, cert in (("192.0.2.1", place.front), ("192.0.2.2", place.front2)):
        assert machine.call(nets.outside, (address, 443), "tls").wire.peer_der == cert.der


# -- addresses that cannot be used --

def test_an_address_that_is_not_ours(bench, machine):
    """The gate starts completely or not at all, and reports each address that fails."""
    said = machine.fails({"listener front": bench.listener_keys(
        listen=["192.0.2.1:443", "192.0.2.77:443", "[2001:db8:2::77]:443"])})
    assert "192.0.2.77:443" in said and "[2001:db8:2::77]:443" in said
    assert "192.0.2.1:443" not in said
    assert re.search(r"\.conf:\d+: listener front: ", said)


def test_nothing_half_started(bench, nets, machine):
    """During a failing start no connection is accepted, and afterwards nothing remains."""
    with machine.entered(), socket.create_server(("192.0.2.2", 443)):
        said = machine.fails({"listener front": bench.listener_keys(
            listen=["192.0.2.1:443", "192.0.2.2:443"])})
        assert "192.0.2.2:443" in said and "192.0.2.1:443" not in said
    for address in ("192.0.2.1", "192.0.2.2"):
        assert not reachable(nets.outside, (address, 443))


LESS = ["setpriv", "--bounding-set", "-net_bind_service", "--inh-caps", "-net_bind_service"]


def test_low_port_without_the_right(bench, nets, machine):
    said = machine.fails({"listener front": bench.listener_keys(listen="192.0.2.1:443")}, LESS)
    assert "192.0.2.1:443" in said and "CAP_NET_BIND_SERVICE" in said
    gate = machine.gate({"listener front": bench.listener_keys(listen="192.0.2.1:8443")},
                        before=LESS)
    machine.call(nets.outside, ("192.0.2.1", 8443)).disconnect()
    write_config(gate.config, {"gate": {"workers": 2}, **machine.backend, "listener front":
                               bench.listener_keys(listen=["192.0.2.1:8443", "192.0.2.2:443"])})
    said = gate.reload()
    assert "CAP_NET_BIND_SERVICE" in said[0]["msg"] and said[-1].level == "error"
    assert reachable(nets.outside, ("192.0.2.1", 8443))


def test_address_goes_and_comes(bench, nets, machine):
    """The machine loses an address on which the gate listens: the other addresses continue, and this one
    answers again when it is back."""
    with machine.entered():
        machine.ip("address add 192.0.2.3/24 dev eth0")
    gate = machine.gate({"listener front": bench.listener_keys(
        listen=["192.0.2.1:443", "192.0.2.3:443"])})
    assert reachable(nets.outside, ("192.0.2.3", 443))
    with machine.entered():
        machine.ip("address del 192.0.2.3/24 dev eth0")
    assert gate.reload()[-1].level == "info"
    assert reachable(nets.outside, ("192.0.2.1", 443))
    with machine.entered():
        machine.ip("address add 192.0.2.3/24 dev eth0")
    assert reachable(nets.outside, ("192.0.2.3", 443))
    with machine.entered():
        machine.ip("address del 192.0.2.3/24 dev eth0")
