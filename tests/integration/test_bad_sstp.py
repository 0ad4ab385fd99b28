"""SSTP that breaks the rules, from both ends: the gate sends Call Abort where [MS-SSTP] requires it, ends the
call in any case, and forwards nothing of it (conf/OPERATION.md, bad input)."""

import pytest

from peers import ppp, sstp
from peers.client import CallFailed, expect_failure, last_words

UNACCEPTED = 5  # status "unaccepted frame received" ([MS-SSTP] 2.2.8)


BAD_PACKETS = {
    "version-0x11": b"\x11\x00\x00\x08\xff\x03\xc0\x21",
    "version-0": b"\x00\x00\x00\x08\xff\x03\xc0\x21",
    "http-again": b"GET / HTTP/1.1\r\n\r\n",
    "length-0": b"\x10\x00\x00\x00",
    "length-3": b"\x10\x00\x00\x03",
    "control-length-4": b"\x10\x01\x00\x04",
    "control-length-7": b"\x10\x01\x00\x07\x00\x08\x00",
}


@pytest.fixture(scope="module")
def pair(shared):
    """A server and its gate. Each test makes one call."""
    server = shared.backend()
    return server, shared.gate(server)


@pytest.fixture(scope="module")
def tolerant_pair(shared):
    server = shared.backend(strict=False)
    return server, shared.gate(server)


@pytest.mark.parametrize("stage", ["request", "start", "up"])
@pytest.mark.parametrize("name", BAD_PACKETS)
def test_bad_packet_from_the_client(shared, pair, name, stage):
    """[MS-SSTP] 3.1.5.1: the connection is dropped without a message."""
    server, gate = pair
    number = len(server.calls)
    client = shared.client(gate).establish(stage)
    before = server.wait_call(number).record.seen.copy()
    client.send(BAD_PACKETS[name])
    assert last_words(client) is None
    assert gate.wait_call(number)["reason"] == "client-bad-packet"
    record = server.wait_over(number)
    assert record.seen == before
    assert not (record.reason or "").startswith("bad packet")


@pytest.mark.parametrize("stage", ["answered", "ack", "up"])
@pytest.mark.parametrize("name", BAD_PACKETS)
def test_bad_packet_from_the_backend(bench, name, stage):
    def hook(call):
        call.wire.write(BAD_PACKETS[name])
        call.wire.wait_end()

    server, gate = bench.usual(hooks={stage: hook})
    client = bench.client(gate)
    with pytest.raises(CallFailed) as failure:
        client.establish().ping()
    assert failure.value.stage != "request"
    client.wait_end()
    client.close()
    assert gate.wait_call()["reason"] == "backend-bad-packet"


PING = sstp.data(ppp.frame(ppp.IPV4, ppp.ping(bytes(4), bytes(4), 1, 1)))
OUT_OF_PLACE = {
    "echo-at-once": ("request", sstp.control(sstp.ECHO_REQUEST)),
    "echo-before-connected": ("authenticate", sstp.control(sstp.ECHO_REQUEST)),
    "echo-response-before-connected": ("authenticate", sstp.control(sstp.ECHO_RESPONSE)),
    "ppp-at-once": ("request", sstp.data(ppp.frame(ppp.LCP, b"\1\1\0\4"))),
    "connected-at-once": ("request", sstp.call_connected(2, bytes(32), bytes(32), bytes(32))),
    "second-request": ("start", sstp.connect_request()),
    "second-connected": ("up", sstp.call_connected(2, bytes(32), bytes(32), bytes(32))),
    "request-when-up": ("up", sstp.connect_request()),
    "ack-from-client": ("start", sstp.connect_ack(3, bytes(32))),
    "ack-when-up": ("up", sstp.connect_ack(3, bytes(32))),
    "unknown-type": ("start", sstp.control(0x20)),
    "unknown-type-when-up": ("up", sstp.control(0x20)),
}


@pytest.mark.parametrize("name", OUT_OF_PLACE)
def test_out_of_place_from_the_client(shared, tolerant_pair, name):
    stage, packet = OUT_OF_PLACE[name]
    server, gate = tolerant_pair
    number = len(server.calls)
    client = shared.client(gate).establish(stage)
    # no control message in transit can be one of those that are searched below
    before = 1 if packet == sstp.connect_request() else 0
    client.send(packet)
    abort = last_words(client)
    assert abort is not None and abort.type == sstp.ABORT
    assert abort.raw == sstp.status(sstp.ABORT, 0, UNACCEPTED)
    assert gate.wait_call(number)["reason"] == "client-out-of-place"
    server.wait_over(number)
    assert packet not in server.calls[number].raw[before:]


def test_early_data_stays_at_the_gate(bench):
    """Network data of a client that is not verified yet is discarded, as any network may lose IP packets, and
    the call continues. The backend is strict and would abort."""
    server, gate = bench.usual()
    client = bench.client(gate).establish("authenticate")
    client.send(PING)
    client.connect().bring_up().ping().disconnect()
    assert server.wait_over().verdict == "ok"


@pytest.mark.parametrize("stage, packet", [
    ("answered", sstp.connect_ack(3, bytes(32))), ("ack", sstp.connect_ack(3, bytes(32))),
    ("ack", sstp.control(sstp.ECHO_REQUEST)), ("up", sstp.connect_ack(3, bytes(32))),
    ("up", sstp.control(0x20)), ("answered", sstp.control(sstp.DISCONNECT_ACK + 7)),
], ids=["ack-at-once", "second-ack", "echo-before-connected", "ack-when-up", "unknown-when-up",
        "unknown-at-once"])
def test_out_of_place_from_the_backend(bench, stage, packet):
    def hook(call):
        call.wire.write(packet)
        call.wire.wait_end()

    server, gate = bench.usual(hooks={stage: hook})
    client = bench.client(gate)
    with pytest.raises(CallFailed) as failure:
        # with a Request in transit, the early ones of these packets would be valid or invalid by chance
        client.establish("request" if stage == "answered" else "up")
        client.next()
    assert failure.value.abort.raw == sstp.status(sstp.ABORT, 0, UNACCEPTED)
    client.wait_end()
    client.close()
    assert gate.wait_call()["reason"] == "backend-out-of-place"


def test_early_echo_of_sorz(bench):
    """After a minute of silence sorz sends an Echo-Request before Call Connected. A client that follows the
    specification would abort, and so does the gate."""
    _, gate = bench.usual(dialect="sorz")
    client = bench.client(gate)
    assert expect_failure(client).abort.raw == sstp.status(sstp.ABORT, 0, UNACCEPTED)
    assert gate.wait_call()["reason"] == "backend-out-of-place"


@pytest.mark.parametrize("dialect", ["strict", "accel-ppp"])
def test_nak_and_again(bench, dialect):
    """After a Nak the client sends a valid Request; accel-ppp's Nak ends with two bytes that are no
    attribute."""
    server, gate = bench.usual(dialect=dialect)
    client = bench.client(gate).establish("request")
    client.send(sstp.connect_request(protocol=7))
    with pytest.raises(CallFailed) as failure:
        client.next()
    assert failure.value.abort.type == sstp.CONNECT_NAK
    client.start().authenticate().connect().bring_up().ping().disconnect()
    assert server.wait_over().verdict == "ok"


@pytest.mark.parametrize("octets", [sstp.control(sstp.ABORT), sstp.status(sstp.ABORT, 0, 0),
                                    bytes.fromhex("10010010000500010002000800000007")],
                         ids=["softether", "regular", "sorz"])
@pytest.mark.parametrize("stage", ["start", "up"])
def test_abort_of_every_form(bench, octets, stage):
    server, gate = bench.usual(strict=False)
    client = bench.client(gate).establish(stage)
    client.send(octets)
    assert last_words(client).type == sstp.ABORT  # the backend's answer
    assert "abort" in server.wait_over().seen
    assert gate.wait_call()["reason"] == "client-abort"


def test_reserved_bits(bench):
    """Ignored when received (PROTOCOL.md 3.2)."""
    server, gate = bench.usual(strict=False)
    client = bench.client(gate).establish("request")
    request = bytearray(sstp.connect_request())
    request[1] |= 0xFE
    request[2] |= 0xF0
    client.send(bytes(request))
    client.start(request=False).authenticate().connect().bring_up().ping().disconnect()
