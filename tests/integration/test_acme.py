"""Validations of ACME over the SSTP port (`acme` of a listener): a ClientHello that offers acme-tls/1 alone goes to the
ACME client unchanged; every other connection is served as without `acme`."""

import contextlib
import random
import socket
from pathlib import Path

import pytest

from gate import eventually, run
from peers import acme, proxy, tls
from peers.client import expect_failure
from test_files import put
from test_reload import free_port, leaf

NAME = "vpn.example.com"


@pytest.fixture(scope="module")
def challenge(place):
    return acme.challenge_certificate(place.folder, NAME)


@pytest.fixture(scope="module")
def answering(challenge):
    with acme.Responder(acme.answers(*challenge[:2])) as responder:
        yield responder


def gate_with(bench, to, gate=None, rules=(), **listener):
    address = to if isinstance(to, str) else to.address
    return bench.gate(bench.backend(), gate, {"acme": address, **listener}, rules=rules)


@pytest.fixture(scope="module")
def gate(shared, answering):
    return gate_with(shared, answering)


def calls_of(gate, reason):
    return [event for event in gate.events("call") if event["reason"] == reason]


def wait_reason(gate, reason, count=1):
    return gate.wait(lambda: calls_of(gate, reason)[count - 1:], f"{count} calls with {reason}")[0]


def connect(gate, octets=b""):
    sock = socket.create_connection(gate.address(), tls.DEADLINE)
    sock.sendall(octets)
    return sock


def read_all(sock):
    """Returns all bytes up to the end, whatever the end is."""
    octets = b""
    with contextlib.suppress(ConnectionResetError):
        while more := sock.recv(65536):
            octets += more
    return octets


# -- what a validation gets --

@pytest.mark.parametrize("low, high", [(None, None), (None, "1.2")])
def test_validation(shared, gate, challenge, low, high):
    """A tunnel continues meanwhile."""
    number = len(calls_of(gate, "acme-passed"))
    tunnel = shared.client(gate).establish().ping()
    context = tls.client_context(low, high)
    context.set_alpn_protocols([acme.PROTOCOL])
    with socket.create_connection(gate.address()) as sock, \
            context.wrap_socket(sock, server_hostname=NAME) as secured:
        assert secured.getpeercert(True) == challenge[2]
        assert secured.selected_alpn_protocol() == acme.PROTOCOL
        port = sock.getsockname()[1] if sock.fileno() >= 0 else secured.getsockname()[1]
    line = wait_reason(gate, "acme-passed", number + 1)
    assert (line["outcome"], line["stage"], line["sni"]) == ("ended", "acme", NAME)
    assert line["client"] == f"127.0.0.1:{port}"
    assert int(line["up-octets"]) > 200 and int(line["down-octets"]) > 200
    assert float(line["duration"]) >= 0
    tunnel.ping().disconnect()


def fragments(octets):
    dice = random.Random(20)
    while octets:
        size = dice.randint(1, 60)
        yield octets[:size]
        octets = octets[size:]


@pytest.mark.parametrize("most", [16384, 1, 37])
def test_hello_is_passed_unchanged(bench, responder, most):
    """In any number of records and segments. What follows is passed, too, in both directions."""
    flight = acme.in_records(acme.hello(acme.PROTOCOL), most)
    raw = responder(lambda it, sock: (it.take(sock, len(flight) + 4), sock.sendall(b"answer"), sock.recv(1)))
    gate = gate_with(bench, raw)
    with connect(gate) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in fragments(flight):
            sock.sendall(piece)
        sock.sendall(b"more")
        assert sock.recv(6, socket.MSG_WAITALL) == b"answer"
    assert raw.received == [flight + b"more"]
    wait_reason(gate, "acme-passed")


OTHERS = {"none": (), "http": ("http/1.1",), "both": (acme.PROTOCOL, "http/1.1"), "h2 first": ("h2", acme.PROTOCOL)}


@pytest.mark.parametrize("protocols", OTHERS.values(), ids=OTHERS)
def test_other_clients_are_served_as_before(gate, answering, place, protocols):
    before = answering.accepted
    with socket.create_connection(gate.address()) as sock, \
            acme.context(*protocols).wrap_socket(sock, server_hostname=NAME) as secured:
        assert secured.getpeercert(True) == place.front.der
        secured.sendall(b"GET / HTTP/1.1\r\nHost: vpn.example.com\r\n\r\n")
        assert read_all(secured).startswith(b"HTTP/1.1 404 ")
    assert answering.accepted == before


def test_sstp_in_pieces(shared, gate):
    """A client whose ClientHello comes in many segments and records."""
    class Slow(tls.Tls):
        def _flush(self):
            octets = self._out.read()
            if octets[:1] == b"\x16" and self.version is None:
                octets = acme.in_records(octets, 50) if len(octets) > 200 else octets
                for piece in fragments(octets):
                    self.sock.sendall(piece)
            elif octets:
                self.sock.sendall(octets)
    client = shared.client(gate)
    client.open()
    client.wire = Slow(client.wire.sock, tls.client_context(), server_hostname=NAME)
    client.wire.handshake()
    client.ask().start().authenticate().connect().bring_up()
    client.ping().disconnect()


@pytest.mark.parametrize("octets", [b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x00\x04\x0e\0\0\0"])
def test_not_a_hello(gate, answering, octets):
    """Bytes that are no ClientHello get the answer of TLS at once, as without `acme`."""
    before, number = answering.accepted, len(calls_of(gate, "tls-failed"))
    with connect(gate, octets) as sock:
        read_all(sock)
    assert wait_reason(gate, "tls-failed", number + 1)["stage"] == "tls"
    assert answering.accepted == before


def huge_hello():
    """A ClientHello of 9 KB: an unknown extension in front of acme-tls/1."""
    protocols = b"\x00\x10\x00\x0d\x00\x0b\x0aacme-tls/1"
    filler = b"\xfa\xfa" + (9000).to_bytes(2, "big") + bytes(9000)
    body = b"\x03\x03" + bytes(32) + b"\0" + b"\0\x02\x13\x01" + b"\x01\0" + \
        (len(filler + protocols)).to_bytes(2, "big") + filler + protocols
    message = b"\x01" + len(body).to_bytes(3, "big") + body
    return b"\x16\x03\x01" + len(message).to_bytes(2, "big") + message


def test_huge_hello(gate, answering):
    """The bound of a handshake is that of TLS without `acme`."""
    before, number = answering.accepted, len(calls_of(gate, "tls-failed"))
    with connect(gate, huge_hello()) as sock:
        read_all(sock)
    assert wait_reason(gate, "tls-failed", number + 1)["stage"] == "tls"
    assert answering.accepted == before


# -- rules, limits, proxies --

@pytest.mark.parametrize("action", ["reset", "decoy"])
def test_rules_are_for_sstp_only(bench, answering, challenge, action):
    """A validator has any address. Every other client of a denied one gets what the rule says."""
    gate = gate_with(bench, answering, rules=[("deny", f"127.0.0.0/8 action {action}")])
    assert acme.validate(gate.address(), name=NAME) == (challenge[2], acme.PROTOCOL)
    wait_reason(gate, "acme-passed")
    denied = len(gate.events("deny"))
    assert denied == (action == "decoy")  # which takes effect at a request
    failure = expect_failure(bench.client(gate))
    assert gate.wait_event("deny", denied)["action"] == action
    assert failure.status == (404 if action == "decoy" else None)


def test_a_denied_client_that_is_silent(bench, answering):
    gate = gate_with(bench, answering, {"timeout-handshake": "1s"}, rules=[("deny", "127.0.0.0/8")])
    with connect(gate, acme.hello(acme.PROTOCOL)[:20]) as sock:
        assert read_all(sock) == b""
    assert gate.wait_event("deny")["action"] == "reset"


def test_limits_count_a_validation(bench, responder):
    silent = responder(lambda it, sock: it.go.wait(tls.DEADLINE))
    gate = gate_with(bench, silent, {"max-tunnels-per-address": 1})
    with connect(gate, acme.hello(acme.PROTOCOL)):
        silent.wait(lambda: silent.accepted == 1)
        with connect(gate) as second:
            assert read_all(second) == b""
        gate.wait_log(r" limit .*key=max-tunnels-per-address")


def test_behind_a_proxy(bench, answering, challenge):
    gate = gate_with(bench, answering, accept_proxy="yes", trusted_proxies="127.0.0.1")
    header = proxy.v2(("192.0.2.99", 1234), ("192.0.2.1", 443))
    with connect(gate, header) as sock, \
            acme.context(acme.PROTOCOL).wrap_socket(sock, server_hostname=NAME) as secured:
        assert secured.getpeercert(True) == challenge[2]
    line = wait_reason(gate, "acme-passed")
    assert line["client"] == "192.0.2.99:1234"


# -- ACME clients that do not answer --

def test_missing_acme_client(bench):
    """As between two renewals: the end comes at once."""
    gate = gate_with(bench, "127.0.0.1:%d" % free_port())
    with connect(gate, acme.hello(acme.PROTOCOL)) as sock:
        assert read_all(sock) == b""
    line = wait_reason(gate, "acme-failed")
    assert (line["outcome"], line["detail"]) == ("failed", "connection refused")
    bench.client(gate).establish().ping().disconnect()


def flood(_, sock):
    while True:
        sock.sendall(bytes(65536))


def garbage(_, sock):
    sock.recv(1)
    sock.sendall(b"\x15garbage" * 100)


def reset(_, sock):
    sock.recv(1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


BAD = {"silent": (lambda it, sock: it.go.wait(tls.DEADLINE), "acme-failed"), "flood": (flood, "acme-failed"),
       "garbage": (garbage, "acme-passed"), "reset": (reset, "acme-failed"), "closes": (lambda _, sock: None, "acme-failed")}


@pytest.mark.parametrize("serve, reason", BAD.values(), ids=BAD)
def test_bad_acme_client(bench, responder, serve, reason):
    """It harms neither the gate nor a tunnel, and what the validator gets is bounded."""
    gate = gate_with(bench, responder(serve), {"timeout-handshake": "1s", "timeout-drain": "1s"})
    tunnel = bench.client(gate).establish().ping()
    with connect(gate, acme.hello(acme.PROTOCOL)) as sock:
        assert len(read_all(sock)) <= 65536
    line = wait_reason(gate, reason)
    assert line["stage"] == "acme" and line.fields.get("detail") != ""
    tunnel.ping().disconnect()


def test_flooding_validator(bench, responder):
    it = responder(lambda it, sock: it.take(sock))
    gate = gate_with(bench, it)
    with connect(gate, acme.hello(acme.PROTOCOL)) as sock, contextlib.suppress(OSError):
        for _ in range(64):
            sock.sendall(bytes(65536))
    assert wait_reason(gate, "acme-failed")["detail"] == "more bytes than a validation needs"
    it.wait(lambda: it.received)
    assert len(it.received[0]) <= 65536


def test_stalling_validators(bench, challenge, responder):
    """Many silent connections do not block a validation, because the oldest is closed."""
    server = acme.answers(*challenge[:2])
    it = responder(server)
    gate = gate_with(bench, it)
    tunnel = bench.client(gate).establish().ping()
    with contextlib.ExitStack() as stack:
        silent = []
        for n in range(80):
            silent.append(stack.enter_context(connect(gate, acme.hello(acme.PROTOCOL))))
            it.wait(lambda n=n: it.accepted > n)
        assert acme.validate(gate.address(), name=NAME)[0] == challenge[2]
        assert wait_reason(gate, "acme-failed")["detail"] == "closed for a newer connection"
        read_all(silent[0])  # has ended
        tunnel.ping()
        bench.client(gate).establish().ping().disconnect()
    tunnel.disconnect()


@pytest.mark.parametrize("octets", [b"", b"\x16", acme.hello(acme.PROTOCOL)], ids=["silent", "byte", "hello"])
def test_flood_of_one_network_ends_no_validation_of_another(bench, responder, octets):
    """The network with the most connections makes room, although its connections are newer."""
    flight = acme.hello(acme.PROTOCOL)
    it = responder(lambda it, sock: (it.take(sock, len(flight)), it.go.wait(tls.DEADLINE), sock.sendall(b"answer")))
    gate = gate_with(bench, it, rules=[("deny", "127.0.0.0/8")])
    with connect(gate, flight) as sock, contextlib.ExitStack() as stack:
        it.wait(lambda: it.received)
        flood = []
        for _ in range(80):
            flood.append(stack.enter_context(socket.create_connection(gate.address(), tls.DEADLINE, ("127.0.0.2", 0))))
            flood[-1].sendall(octets)
        for first in flood[:80 - 64 + 1]:
            read_all(first)  # has ended
        it.go.set()
        assert sock.recv(6, socket.MSG_WAITALL) == b"answer"


def test_partial_hello_ends_in_time(bench, answering):
    gate = gate_with(bench, answering, {"timeout-handshake": "1s"})
    with connect(gate, acme.hello(acme.PROTOCOL)[:-1]) as sock:
        assert read_all(sock) == b""
    assert wait_reason(gate, "handshake-timeout")["outcome"] == "ended"


def test_metric(bench, answering):
    gate = gate_with(bench, answering, {"admin": f"unix:acme-{bench.count}.sock"})
    acme.validate(gate.address(), name=NAME)
    wait_reason(gate, "acme-passed")
    def counted():
        text = run("ctl", "-c", gate.config, "metrics").stdout
        return [line for line in text.splitlines() if 'reason="acme-passed"' in line and line.endswith(" 1")]
    eventually(counted, "the metric")


# -- a reload, and the new certificate --

def test_address_of_the_acme_client_changes(bench, answering, challenge, responder):
    it = responder(lambda it, sock: it.take(sock))
    gate = gate_with(bench, it)
    gate.config.write_text(gate.config.read_text().replace(it.address, answering.address))
    assert gate.reload()[-1].level == "info"
    assert acme.validate(gate.address(), name=NAME)[0] == challenge[2]
    gate.config.write_text(gate.config.read_text().replace(f"acme = {answering.address}\n", ""))
    assert gate.reload()[-1].level == "info"
    before = answering.accepted
    with contextlib.suppress(OSError):
        acme.validate(gate.address(), name=NAME)
    assert answering.accepted == before


def test_renewal_under_a_tunnel(bench, answering, place, challenge):
    """The course of a renewal: validation, new key and certificate by rename, `ctl reload`. A pair that does not match
    yet changes nothing."""
    cert, key = (put(place.folder / f"renew.{kind}", Path(of).read_bytes())
                 for kind, of in (("crt", place.front.cert), ("key", place.front.key)))
    gate = gate_with(bench, answering, {"admin": f"unix:renew-{bench.count}.sock"},
                     certificate=cert.name, key=key.name)
    tunnel = bench.client(gate).establish().ping()
    assert acme.validate(gate.address(), name=NAME)[0] == challenge[2]
    put(key, Path(place.evil.key).read_bytes())
    assert run("ctl", "-c", gate.config, "reload").returncode != 0
    assert leaf(bench, gate.address()) == place.front.der
    put(cert, Path(place.evil.cert).read_bytes())
    assert run("ctl", "-c", gate.config, "reload").returncode == 0
    assert leaf(bench, gate.address()) == place.evil.der
    tunnel.ping().disconnect()
    bench.client(gate).establish().ping().disconnect()
