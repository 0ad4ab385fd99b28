"""Each state has a deadline. The gate checks the deadlines once a second."""

import time

import pytest

from peers import sstp
from peers.client import CallFailed

SECOND = {"timeout-handshake": "1s", "timeout-request": "1s", "timeout-connect": "1s",
          "timeout-negotiate": "1s", "timeout-drain": "1s"}


def test_silent_from_the_start(bench):
    gate = bench.gate(bench.backend(), gate=SECOND)
    client = bench.client(gate).open()
    client.wire.wait_end()
    assert gate.wait_call()["reason"] == "handshake-timeout"


def test_silent_after_the_handshake(bench):
    gate = bench.gate(bench.backend(), gate=SECOND)
    client = bench.client(gate).establish("tls")
    client.wire.wait_end()
    client.close()
    assert gate.wait_call()["reason"] == "request-timeout"


def test_dripping_head(bench):
    """Further bytes do not extend the deadline."""
    gate = bench.gate(bench.backend(), gate=SECOND)
    client = bench.client(gate).establish("tls")
    started = time.monotonic()
    while not client.wire.ended and time.monotonic() - started < 30:
        try:
            client.wire.write(b"S")
            client.wire.read_record(0.2)
        except TimeoutError:
            pass
        except OSError:
            break
    assert time.monotonic() - started < 30
    assert gate.wait_call()["reason"] == "request-timeout"


@pytest.mark.parametrize("stage", ["request", "start", "authenticate"])
def test_silent_in_the_negotiation(bench, stage):
    server = bench.backend()
    gate = bench.gate(server, gate=SECOND)
    client = bench.client(gate).establish(stage)
    with pytest.raises(CallFailed) as failure:
        while True:
            client.next()
    assert failure.value.abort.raw == sstp.status(sstp.ABORT, 0, 8)
    client.wait_end()
    client.close()
    assert gate.wait_call()["reason"] == "negotiate-timeout"
    assert server.wait_over().end


def test_chatty_in_the_negotiation(bench):
    """LCP echoes do not extend the deadline either."""
    from peers import ppp
    gate = bench.gate(bench.backend(), gate=SECOND)
    client = bench.client(gate).establish("authenticate")
    echo = ppp.frame(ppp.LCP, ppp.Control(ppp.ECHO_REQ, 1, bytes(4)).build())
    started = time.monotonic()
    with pytest.raises(CallFailed):
        while time.monotonic() - started < 30:
            client.send_frame(echo)
            try:
                client.until(lambda: False, 0.2)
            except CallFailed:
                if client.wire.ended or client.seen[-1].type == sstp.ABORT:
                    raise
    client.wait_end()
    client.close()
    assert gate.wait_call()["reason"] == "negotiate-timeout"


def test_up_in_time_stays_up(bench):
    """The deadline of the negotiation ends with it. Without timeout-idle a silent tunnel stays up."""
    gate = bench.gate(bench.backend(), gate=SECOND)
    client = bench.client(gate).establish()
    late = bench.client(gate).open()
    late.wire.wait_end()  # passes two sweeps
    client.ping().disconnect()
    assert "client-disconnect" in [e["reason"] for e in (gate.wait_call(0), gate.wait_call(1))]


def test_idle(bench):
    server = bench.backend()
    gate = bench.gate(server, gate={"timeout-idle": "1s"})
    client = bench.client(gate).establish()
    with pytest.raises(CallFailed) as failure:
        while True:
            client.next()
    assert failure.value.abort.raw == sstp.status(sstp.DISCONNECT, 0, 0)
    client.send(sstp.control(sstp.DISCONNECT_ACK))
    client.wait_end()
    client.close()
    assert gate.wait_call()["reason"] == "idle-timeout"
    assert server.wait_over().end


def test_not_idle(bench):
    """Traffic in one direction is enough to keep a tunnel."""
    server = bench.backend(load="sink")
    gate = bench.gate(server, gate={"timeout-idle": "2s", "timeout-handshake": "4s"})
    client = bench.client(gate).establish()
    marker = bench.client(gate).open()  # its end, after 4 s, measures the time
    while not marker.wire.ended:
        client.send_frame(b"\xff\x03\x00\x21x")
        try:
            marker.wire.read_record(0.2)
        except TimeoutError:
            pass
    client.disconnect()
    assert gate.wait_event("call", 1)["reason"] == "client-disconnect"


def test_peer_that_never_closes(bench):
    """The drain has a deadline, too: a backend that ignores the client's end is disconnected."""
    server = bench.backend(hooks={"connected": lambda call: server.go.wait()})
    gate = bench.gate(server, gate=SECOND)
    client = bench.client(gate).establish("connected")
    server.wait_stage("connected")
    client.close()
    assert gate.wait_call()["reason"] == "client-closed"


def test_client_that_takes_nothing(bench):
    """The backend has ended, and the client does not read the queued data."""
    server = bench.backend(load="source", load_octets=16 << 20)
    gate = bench.gate(server, gate=SECOND)
    client = bench.client(gate, rcvbuf=65536).establish("connected")
    call = server.wait_stage("connected")
    sent = client.pour(100_000)
    server.wait(lambda: call.received.octets >= sent.octets)
    call.wire.close("rst")
    assert gate.wait_call()["reason"] == "backend-reset"
    client.close("rst")
