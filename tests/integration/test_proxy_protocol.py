"""The PROXY protocol: a trusted proxy sends the client's address to the gate, and the gate sends it to the
backend."""

import socket

import pytest

from peers import proxy, tls
from peers.client import CallFailed

REAL = ("198.51.100.7", 50123)
REAL6 = ("2001:db8::7", 50123)
HERE, HERE6 = ("203.0.113.1", 443), ("2001:db8::1", 443)

HEADERS = {
    "v1": proxy.v1(REAL, HERE),
    "v1 of IPv6": proxy.v1(REAL6, HERE6),
    "v2": proxy.v2(REAL, HERE),
    "v2 of IPv6": proxy.v2(REAL6, HERE6),
    "v2 with TLVs": proxy.v2(REAL, HERE, proxy.tlv(proxy.AUTHORITY, b"vpn.example.com") +
                             proxy.tlv(0xEA, bytes(300)) + proxy.tlv(0x04, bytes(5))),
}


@pytest.fixture
def gate(bench):
    """Starts a gate that trusts only 127.0.0.1."""
    bench.server = bench.backend()
    keys = bench.listener_keys(accept_proxy="yes", trusted_proxies="127.0.0.1") | {
        "deny": "198.51.100.66"}
    return bench.start({"gate": {"workers": 1, "timeout-handshake": "1s"},
                        "listener front": keys,
                        "backend back": bench.backend_keys(bench.server)})


def brought(bench, gate, header, pieces=None, **knobs):
    """Returns a client that sends a header before its TLS."""
    client = bench.client(gate, **knobs).open()
    for at in range(0, len(header), pieces or len(header)):
        client.wire.write(header[at:at + (pieces or len(header))])
    return client


def go_on(client):
    for step in (client.secure, client.ask, client.start, client.authenticate, client.connect,
                 client.bring_up):
        step()
    return client.ping()


def expected(header):
    return "[2001:db8::7]:50123" if header in (HEADERS["v1 of IPv6"], HEADERS["v2 of IPv6"]) else \
        "198.51.100.7:50123"


@pytest.mark.parametrize("pieces", [None, 1])
@pytest.mark.parametrize("name", HEADERS)
def test_in(bench, gate, name, pieces):
    """The log has the real address, also if each byte arrives in a segment of its own."""
    client = brought(bench, gate, HEADERS[name], pieces)
    go_on(client).disconnect()
    call = gate.wait_call()
    assert call["client"] == expected(HEADERS[name])
    assert call["proxy"].startswith("127.0.0.1:")
    assert bench.server.wait_over().verdict == "ok"


class Joined(tls.Tls):
    """Sends a header in one segment with the first TLS message."""
    before = b""

    def _flush(self):
        if self.before:
            before, self.before = self.before, b""
            with self.sending, self._machine:
                self.sock.sendall(before + self._out.read())
            return
        super()._flush()


@pytest.mark.parametrize("name", HEADERS)
def test_joined_with_the_client_hello(bench, gate, name):
    client = bench.client(gate).open()
    client.wire = Joined(client.wire.sock, tls.client_context())
    client.wire.before = HEADERS[name]
    client.wire.handshake()
    for step in (client.ask, client.start, client.authenticate, client.connect, client.bring_up):
        step()
    client.ping().disconnect()
    assert gate.wait_call()["client"] == expected(HEADERS[name])


OWN = {  # headers without a client
    "LOCAL": proxy.v2(),
    "LOCAL with addresses": proxy.SIGNATURE + b"\x20\x11\0\x0c" + bytes(12),
    "UNKNOWN": b"PROXY UNKNOWN\r\n",
    "UNKNOWN with addresses": b"PROXY UNKNOWN 198.51.100.7 203.0.113.1 1 2\r\n",
    "UNSPEC": proxy.SIGNATURE + b"\x21\0\0\0",
    "a Unix socket": proxy.SIGNATURE + b"\x21\x31\0\xd8" + bytes(216),
    "UDP": proxy.SIGNATURE + b"\x21\x12\0\x0c" + bytes(12),
}


@pytest.fixture(scope="module")
def strict(shared):
    """No client may connect."""
    shared.server = shared.backend()
    return shared.gate(shared.server, gate={"ban_points": 1, "max_tunnels_per_address": 1},
                       listener={"accept_proxy": "yes", "trusted_proxies": "127.0.0.1",
                                 "default": "deny", "host": "vpn.example.com"})


@pytest.mark.parametrize("name", OWN)
def test_without_a_client(shared, strict, name):
    """A connection that the proxy makes for itself: neither rules nor limits apply, and a call is refused."""
    before = len(strict.events("call"))
    clients = [brought(shared, strict, OWN[name]).secure().send_request() for _ in range(3)]
    assert [client.read_answer().status for client in clients] == [404] * 3
    for number, client in enumerate(clients):
        client.close()
        call = strict.wait_call(before + number)
        assert (call["reason"], call["client"]) == ("proxy-call", "-")
        assert call["proxy"].startswith("127.0.0.1:")
    assert not shared.server.calls
    assert not strict.events("deny") + strict.events("ban")
    assert not [event for event in strict.events("limit") if "key" in event.fields]


def test_a_limit_of_the_proxys_address(bench):
    """Clients at the address of the proxy do not use up what its own connections need."""
    place = {"accept_proxy": "yes", "trusted_proxies": "127.0.0.0/8"}
    gate = bench.gate(bench.backend(), gate={"max_tunnels_per_address": 1}, listener=place)
    go_on(brought(bench, gate, proxy.v1(("127.0.0.1", 1), HERE)))
    client = brought(bench, gate, proxy.v2()).secure().send_request()
    assert client.read_answer().status == 404


def test_rules_see_the_real_address(bench, gate):
    client = brought(bench, gate, proxy.v2(("198.51.100.66", 1234), HERE))
    with pytest.raises(CallFailed):
        client.secure()
    assert client.wait_end() in ("reset", "eof")  # eof: a write has consumed the error
    event = gate.wait_event("deny")
    assert event["client"] == "198.51.100.66:1234" and event["listener"] == "front"
    assert not bench.server.calls


def test_limits_see_the_real_address(bench):
    """Two calls from one address count together, although all calls come through the same proxy."""
    server = bench.backend()
    gate = bench.gate(server, gate={"max-tunnels-per-address": 2},
                      listener={"accept_proxy": "yes", "trusted_proxies": "127.0.0.0/8"})
    for _ in range(2):
        go_on(brought(bench, gate, proxy.v1(REAL, HERE)))
    go_on(brought(bench, gate, proxy.v1(("198.51.100.8", 1), HERE)))
    with pytest.raises(CallFailed):
        brought(bench, gate, proxy.v1(REAL, HERE)).secure()
    gate.wait_log(r" limit .*client=198\.51\.100\.7:.* key=max-tunnels-per-address")


@pytest.mark.parametrize("name", ["v1", "v2"])
def test_from_an_untrusted_peer(bench, gate, name):
    """A peer that is not trusted is a client, and its header is invalid TLS."""
    client = bench.client(gate, bind="127.0.0.2").open()
    client.wire.write(HEADERS[name])
    with pytest.raises(CallFailed):
        client.secure()
    call = gate.wait_call()
    assert call["reason"] == "tls-failed" and call["client"].startswith("127.0.0.2:")
    bench.client(gate, bind="127.0.0.2").establish().ping().disconnect()
    assert gate.wait_call(1)["client"].startswith("127.0.0.2:")


BAD = {
    "no header, TLS": None,
    "other words": b"GET / HTTP/1.1\r\n\r\n",
    "a family that does not exist": b"PROXY TCP5 198.51.100.7 203.0.113.1 1 2\r\n",
    "an address that is none": b"PROXY TCP4 198.51.100.777 203.0.113.1 1 2\r\n",
    "a port that is none": b"PROXY TCP4 198.51.100.7 203.0.113.1 65536 2\r\n",
    "two blanks": b"PROXY TCP4  198.51.100.7 203.0.113.1 1 2\r\n",
    "a bare LF": b"PROXY TCP4 198.51.100.7 203.0.113.1 1 2\n",
    "no end": b"PROXY TCP4 " + b"1" * 200,
    "version 3": proxy.SIGNATURE + b"\x31\x11\0\x0c" + bytes(12),
    "too short for its addresses": proxy.SIGNATURE + b"\x21\x11\0\x04" + bytes(4),
    "a TLV over the end": proxy.v2(REAL, HERE, b"\x02\0\xff"),
    "too long": proxy.SIGNATURE + b"\x21\x11\xff\xff",
}


@pytest.mark.parametrize("name", BAD)
def test_bad_header(bench, gate, name):
    client = bench.client(gate).open()
    if BAD[name] is None:
        with pytest.raises(CallFailed):
            client.secure()
    else:
        client.wire.write(BAD[name])
    assert client.wait_end() == "reset"
    call = gate.wait_call()
    assert call["reason"] == "bad-proxy-header"
    assert call["proxy"].startswith("127.0.0.1:") and call["client"] == "-" and call["detail"] != "-"
    assert not bench.server.calls


@pytest.mark.parametrize("octets", [b"", b"PROXY TCP4 198.51", proxy.SIGNATURE + b"\x21"],
                         ids=["nothing", "half of v1", "half of v2"])
def test_silent(bench, gate, octets):
    client = bench.client(gate).open()
    if octets:
        client.wire.write(octets)
    assert client.wait_end() in ("eof", "reset")
    assert gate.wait_call()["reason"] == "handshake-timeout"


def test_silent_behind_the_header(bench, gate):
    """A client that is silent after the header has the deadline of the handshake."""
    client = brought(bench, gate, HEADERS["v2"])
    assert client.wait_end() in ("eof", "reset")
    call = gate.wait_call()
    assert call["reason"] == "handshake-timeout" and call["client"] == "198.51.100.7:50123"


def test_no_header_wanted(bench):
    """Without accept-proxy a header is invalid TLS."""
    gate = bench.gate(bench.backend())
    with pytest.raises(CallFailed):
        brought(bench, gate, HEADERS["v1"]).secure()
    assert gate.wait_call()["reason"] == "tls-failed"


# -- out --

def listening_backend(bench, **knobs):
    """A server that reads the header before anything else; call.proxy."""
    def take(call):
        call.proxy = proxy.receive(call.sock)

    return bench.backend(hooks={"accepted": take}, **knobs)


@pytest.mark.parametrize("sni", ["vpn.example.com:8443", "VPN.example.com."])
def test_out_name_is_in_normal_form(bench, sni):
    """sstpc sends a port in SNI, which is not part of the name."""
    server = listening_backend(bench)
    bench.client(bench.gate(server, backend={"send_proxy": "v2"}), sni=sni).establish().ping()
    assert server.calls[0].proxy.tlvs[proxy.AUTHORITY] == b"vpn.example.com"


@pytest.mark.parametrize("plain", [False, True], ids=["tls", "plain"])
@pytest.mark.parametrize("version", [1, 2])
def test_out(bench, version, plain):
    knobs = {"plain": True, "leaf": bench.place.front.der} if plain else {}
    server = listening_backend(bench, **knobs)
    gate = bench.gate(server, backend={"send_proxy": f"v{version}",
                                       "crypto-binding": "passthrough" if plain else "rewrite"})
    client = bench.client(gate, sni="vpn.example.com").establish().ping()
    header = server.calls[0].proxy
    assert header.version == version
    assert header.source == client.wire.sock.getsockname()
    assert header.destination == gate.address()
    if version == 2:
        assert header.tlvs[proxy.AUTHORITY] == b"vpn.example.com"
        assert header.client == 1 and header.ssl[proxy.SSL_VERSION] == b"TLSv1.3"
        assert header.ssl[proxy.SSL_CIPHER].startswith(b"TLS_")
    client.disconnect()
    assert server.wait_over().verdict == "ok"


def test_out_without_a_name(bench):
    server = listening_backend(bench)
    gate = bench.gate(server, backend={"send_proxy": "v2"})
    bench.client(gate, tls_max="1.2").establish().disconnect()
    header = server.calls[0].proxy
    assert proxy.AUTHORITY not in header.tlvs
    assert header.ssl[proxy.SSL_VERSION] == b"TLSv1.2"


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("name", ["v1", "v2 of IPv6"])
def test_through(bench, version, name):
    """The addresses of the incoming header go to the backend, in the version that is configured there."""
    server = listening_backend(bench)
    gate = bench.gate(server, backend={"send_proxy": f"v{version}"},
                      listener={"accept_proxy": "yes", "trusted_proxies": "127.0.0.1"})
    go_on(brought(bench, gate, HEADERS[name])).disconnect()
    header = server.calls[0].proxy
    assert (header.source, header.destination) == ((REAL, HERE) if name == "v1" else
                                                   (REAL6, HERE6))


def test_out_to_each_address(bench):
    """If the first address does not answer, the next one gets a header, too."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        nobody = "127.0.0.1:%d" % sock.getsockname()[1]
    server = listening_backend(bench)
    gate = bench.gate(server, backend={"send_proxy": "v1", "server": [nobody, server.address]})
    client = bench.client(gate).establish().ping()
    assert server.calls[0].proxy.source == client.wire.sock.getsockname()
