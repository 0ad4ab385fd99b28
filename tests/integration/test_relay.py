"""The tunnel once it is up: bytes arrive completely and in order, each packet in a record of its own for the
client; a slow peer costs little memory; every end is forwarded and has its reason."""

import threading

import pytest

from peers import load, ppp, sstp
from peers.client import CallFailed, last_words
from peers.server import EndCall

MB = 1 << 20


@pytest.mark.parametrize("client_shape, server_shape", [
    ("packet", "packet"), ("joined", "joined"), ("odd", "odd"), ("joined", "odd"),
    ("odd", "packet")])
def test_bulk(bench, client_shape, server_shape):
    server, gate = bench.usual(load="echo", shape=server_shape)
    client = bench.client(gate, shape=client_shape).establish().bulk(4 * MB)
    client.disconnect()
    assert client.packets.misfits == 0
    record = server.wait_over()
    call = gate.wait_call()
    assert int(call["up-octets"]) == record.octets_in == client.packets.sent_octets
    assert int(call["down-octets"]) == record.octets_out == client.packets.received_octets
    assert int(call["up-packets"]) == record.packets_in
    assert int(call["down-packets"]) == record.packets_out


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_octets(bench, version):
    """Both ends send one byte in each record."""
    server, gate = bench.usual(load="echo", shape="octets")
    client = bench.client(gate, shape="octets", tls_max=version).establish().bulk(10_000)
    client.disconnect()
    assert client.packets.misfits == 0


def test_bulk_without_tls_behind(bench):
    server = bench.backend(plain=True, leaf=bench.place.front.der, load="echo", shape="odd")
    gate = bench.gate(server, backend={"crypto-binding": "passthrough"})
    bench.client(gate).establish().bulk(2 * MB).disconnect()


@pytest.mark.parametrize("records, expected", [(None, 12), ("packet", 12), ("full", 1)])
def test_records_for_the_client(bench, records, expected):
    """The server sends twelve packets in one record. The client gets each in a record of its own (PROTOCOL.md 6.3),
    unless the listener has `records = full`."""
    server = bench.backend(shape="joined")
    gate = bench.gate(server, listener={"records": records})
    client = bench.client(gate).establish().ping()
    call = server.wait_call()
    before, sent = client.wire.records, load.Tally()
    client.received = load.Tally()
    for frame in load.frames(10_000):
        sent.add(frame)
        call.send_frame(frame)
    assert sent.packets == 12
    call.packets.flush()
    client.drink(sent.octets)
    assert client.received == sent
    assert client.wire.records - before == expected
    client.disconnect()


def test_bulk_in_full_records(bench):
    """More than fits in one record: packets are split between records, and all of them arrive."""
    server = bench.backend(shape="joined", load="source", load_octets=4 * MB)
    gate = bench.gate(server, listener={"records": "full"})
    client = bench.client(gate).establish("connected").drink(4 * MB)
    assert client.received == server.wait_call().sourced
    assert client.wire.records < client.packets.received / 5
    client.disconnect()


def test_echo_goes_through(bench):
    server, gate = bench.usual()
    bench.client(gate).establish().echo().disconnect()
    assert "echo-request" in server.wait_over().seen


def test_echo_from_the_backend(bench):
    server, gate = bench.usual(hooks={"up": lambda call: call.send(sstp.control(sstp.ECHO_REQUEST))})
    client = bench.client(gate).establish()
    client.until(lambda: any(p.type == sstp.ECHO_REQUEST for p in client.seen))
    call = server.wait_call()
    server.wait(lambda: "echo-response" in call.record.seen)
    client.disconnect()


def test_idle_echo_is_not_answered_by_the_gate(bench):
    """SoftEther never answers, and the gate does not answer in its place (PROTOCOL.md 3.3)."""
    server, gate = bench.usual(dialect="softether")
    client = bench.client(gate).establish()
    client.send(sstp.control(sstp.ECHO_REQUEST))
    client.ping(3)
    assert not any(p.type == sstp.ECHO_RESPONSE for p in client.seen)


def test_packet_sizes(bench):
    """The smallest and the largest packets, reserved bits included."""
    server, gate = bench.usual(load="echo")
    client = bench.client(gate).establish()
    for size in (0, 1, 2, 1000, sstp.MAX_FRAME - 4):
        client.received = load.Tally()
        frame = ppp.frame(ppp.IPV4, bytes(size))
        client.send_frame(frame)
        client.drink(len(frame))
        assert client.latest == frame
    assert client.packets.misfits == 0


# -- back-pressure --

def test_slow_client(bench):
    """The client reads nothing: the gate holds little data, and the other direction continues."""
    total = 32 * MB
    server = bench.backend(load="source", load_octets=total)
    gate = bench.gate(server)
    # No rcvbuf: with a fixed one, and without a reader, the kernel may ignore the acknowledgements of the
    # client's data (PROTOCOL.md 7.3).
    client = bench.client(gate).establish("connected")
    base = gate.rss()
    call = server.wait_stage("connected")
    sent = client.pour(MB)
    server.wait(lambda: call.received.octets >= sent.octets)
    assert call.received == sent
    assert call.sourced.octets < total, "the test's own flood was too small"
    assert gate.rss() - base < 16 * MB
    client.drink(total)
    assert client.received == call.sourced
    assert client.packets.misfits == 0
    assert gate.rss() - base < 16 * MB
    client.disconnect()


def test_slow_backend(bench):
    total = 256 * MB  # the kernel's buffers alone may take 32
    greeting = ppp.frame(ppp.IPV4, b"still here")

    def sulk(call):
        call.send_frame(greeting)
        server.go.wait()

    def pour():
        for frame in load.frames(total):
            if server.go.is_set():
                return
            sent.add(frame)
            client.send_frame(frame)

    server = bench.backend(load="sink", hooks={"connected": sulk})
    gate = bench.gate(server)
    client = bench.client(gate).establish("connected")
    base = gate.rss()
    sent = load.Tally()
    thread = threading.Thread(target=pour, daemon=True)
    thread.start()
    client.drink(len(greeting))
    assert client.latest == greeting
    before = None
    while sent.octets != before:  # until the gate reads no more: it does not buffer everything
        before = sent.octets
        thread.join(1)
    assert thread.is_alive() and sent.octets < total
    assert gate.rss() - base < 16 * MB
    server.go.set()
    thread.join()
    call = server.wait_call()
    server.wait(lambda: call.received.octets >= sent.octets)
    assert call.received == sent
    assert gate.rss() - base < 16 * MB


def test_many_slow_clients(bench):
    """Memory is bounded for each tunnel."""
    server = bench.backend(load="source", load_octets=32 * MB)
    gate = bench.gate(server)
    first = bench.client(gate).establish("connected")
    base = gate.rss()
    rest = [bench.client(gate).establish("connected") for _ in range(9)]
    for client in (first, *rest):
        client.pour(100_000)
    for number in range(10):
        call = server.wait_call(number)
        server.wait(lambda: call.received.octets >= 100_000)
    assert gate.rss() - base < 32 * MB


# -- ends --

@pytest.mark.parametrize("how, reason", [("clean", "client-closed"), ("fin", "client-closed"),
                                         ("rst", "client-reset")])
def test_client_ends(bench, how, reason):
    server, gate = bench.usual()
    bench.client(gate).establish().ping().close(how)
    assert gate.wait_call()["reason"] == reason
    assert server.wait_over().end


@pytest.mark.parametrize("how, reason", [("clean", "backend-closed"), ("fin", "backend-closed"),
                                         ("rst", "backend-reset")])
def test_backend_ends(bench, how, reason):
    def leave(call):
        raise EndCall("hook", how)

    server, gate = bench.usual(hooks={"up": leave})
    client = bench.client(gate).establish("connected")
    with pytest.raises(CallFailed):
        client.bring_up().ping()
    end = client.wait_end()
    if how != "rst":
        assert end == "close-notify"
    client.close()
    assert gate.wait_call()["reason"] == reason


@pytest.mark.parametrize("side", ["client", "backend"])
def test_reset_behind_data(bench, side):
    """Data and a reset that arrive in one wake-up: the end is a reset. (libuv 1.44 reports the end of file if a
    short read comes with POLLHUP, whatever follows.)"""
    data = ppp.frame(ppp.IPV4, b"data")

    def leave(call):
        server.go.wait()
        call.send_frame(data)
        raise EndCall("hook", "rst")

    server = bench.backend(hooks={"up": leave} if side == "backend" else {})
    gate = bench.gate(server)
    client = bench.client(gate).establish()
    server.wait_stage("up")
    gate.pause()
    if side == "client":
        client.send_frame(data)
        client.close("rst")
    else:
        server.go.set()
        server.wait_over()
    gate.resume()
    assert gate.wait_call()["reason"] == f"{side}-reset"


@pytest.mark.parametrize("stage, reason", [("ack", "client-closed"), ("authenticate", "client-closed")])
def test_client_leaves_half_way(bench, stage, reason):
    server, gate = bench.usual()
    bench.client(gate).establish("start" if stage == "ack" else stage).close()
    assert gate.wait_call()["reason"] == reason
    assert server.wait_over().end


def test_queue_is_delivered_before_the_end(bench):
    """The backend sends much data and closes at once."""
    def flood(call):
        for frame in load.frames(3 * MB):
            call.sourced.add(frame)
            call.send_frame(frame)
        raise EndCall("said it all")

    server, gate = bench.usual(hooks={"up": flood})
    client = bench.client(gate, rcvbuf=65536).establish("connected")
    client.link.bring_up()
    client.drink(3 * MB)
    assert client.received == server.calls[0].sourced
    assert client.wait_end() == "close-notify"
    client.close()
    assert gate.wait_call()["reason"] == "backend-closed"


def test_half_closed_client_gets_the_rest(bench):
    """close_notify and FIN end one direction; data in transit in the other direction arrives."""
    last = ppp.frame(ppp.IPV4, b"last words")

    def listen(call):
        call.wire.wait_end()
        call.send_frame(last)
        raise EndCall("answered")

    server, gate = bench.usual(hooks={"up": listen})
    client = bench.client(gate).establish()
    client.wire.finish_writing()
    client.drink(len(last))
    assert client.latest == last
    assert client.wait_end() == "close-notify"
    client.close()
    assert gate.wait_call()["reason"] == "client-closed"


def test_disconnect_by_the_client(bench):
    server, gate = bench.usual()
    bench.client(gate).establish().disconnect()
    assert gate.wait_call()["reason"] == "client-disconnect"
    assert server.wait_over().reason == "client disconnect"


@pytest.mark.parametrize("dialect", ["strict", "softether", "sorz"])
def test_disconnect_by_the_backend(bench, dialect):
    server, gate = bench.usual(dialect=dialect, echoes_early=False,
                           hooks={"up": lambda call: call.send(call.dialect.disconnect)})
    client = bench.client(gate).establish("connected")
    with pytest.raises(CallFailed) as failure:
        client.bring_up().ping()
    assert failure.value.abort.raw == server.dialect.disconnect
    client.send(sstp.control(sstp.DISCONNECT_ACK))
    assert client.wait_end() == "close-notify"
    client.close()
    assert gate.wait_call()["reason"] == "backend-disconnect"
    assert server.wait_over().reason == "disconnect acknowledged"


@pytest.mark.parametrize("dialect", ["strict", "softether", "accel-ppp", "sorz"])
def test_abort_by_the_backend(bench, dialect):
    server, gate = bench.usual(dialect=dialect, echoes_early=False,
                           hooks={"up": lambda call: call.abort("hook")})
    client = bench.client(gate).establish("connected")
    with pytest.raises(CallFailed) as failure:
        client.bring_up().ping()
    assert failure.value.abort.type == sstp.ABORT
    client.wait_end()
    client.close()
    assert gate.wait_call()["reason"] == "backend-abort"


def test_abort_by_the_client(bench):
    server, gate = bench.usual()
    client = bench.client(gate).establish()
    client.send(sstp.status(sstp.ABORT, 0, 0))
    assert last_words(client).raw == sstp.BINDING_ABORT  # the backend's answer
    assert server.wait_over().reason == "client abort"
    assert gate.wait_call()["reason"] == "client-abort"
