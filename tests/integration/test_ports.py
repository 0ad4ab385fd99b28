"""The side that closes a connection to a backend first: its port is in TIME_WAIT for a minute, and the gate,
which connects, has only some 28000 ports for each server. Anybody can cause calls that end before the tunnel is
up."""

from pathlib import Path

import pytest

from peers import sstp
from peers.client import CallFailed, expect_failure
from peers.server import EndCall

CALLS = 3
TIME_WAIT = "06"


def waiting(server):
    """Returns the gate's ports in TIME_WAIT towards this server. Compares both ends, because ports are reused."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    pairs = {tuple(end.partition(":")[2] for end in row[1:3]) for row in rows if row[3] == TIME_WAIT}
    ours = [int(call.record.peer.rpartition(":")[2]) for call in server.calls]
    return [port for port in ours if (f"{port:04X}", f"{server.port:04X}") in pairs]


def answer(octets):
    """Returns a hook that sends this instead of a 200 and leaves the end of the connection to the gate."""
    def hook(call):
        call.wire.write(octets)
        call.wire.wait_end()
        raise EndCall("hook")
    return {"request": hook}


def silent(call):
    call.wire.wait_end()
    raise EndCall("hook")


def fail(client):
    expect_failure(client)


def leave_before_the_answer(client):
    client.open().secure().send_request()
    client.server.wait_stage("request", client.number)
    client.close()


def leave_behind_the_answer(client):
    client.open().secure().ask().close()


def leave_amid_the_login(client):
    client.open().secure().ask().start().close()


def leave_refused(client):
    with pytest.raises(CallFailed):
        client.establish("authenticate")
    client.close()


def abort(client):
    client.open().secure().ask().start()
    client.send(sstp.status(sstp.ABORT, 0, 0))
    client.flush()
    client.wait_end()
    client.close()


def disconnect(client):
    client.establish().ping().disconnect()


def leave_the_tunnel(client):
    client.establish().ping().close()


CASES = {  # name: (what a client does, its knobs, those of the server, rules)
    "refused": (fail, {}, {"hooks": answer(b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n")}, ()),
    "not-http": (fail, {}, {"hooks": answer(b"220 mail.example.com ESMTP\r\n")}, ()),
    "no-answer": (leave_before_the_answer, {}, {"hooks": {"request": silent}}, ()),
    "no-login": (leave_behind_the_answer, {}, {}, ()),
    "half-a-login": (leave_amid_the_login, {}, {}, ()),
    "wrong-password": (leave_refused, {"password": "wrong"}, {}, ()),
    "wrong-binding": (fail, {"tamper": "nonce"}, {}, ()),
    "denied-user": (fail, {}, {}, [("deny", "user alice")]),
    "abort": (abort, {}, {}, ()),
    "disconnect": (disconnect, {}, {}, ()),
    "end-of-a-tunnel": (leave_the_tunnel, {}, {}, ()),
}


@pytest.mark.parametrize("name", CASES)
def test_no_port_waits(bench, name):
    act, client_knobs, server_knobs, rules = CASES[name]
    server = bench.backend(**server_knobs)
    gate = bench.gate(server, rules=rules)
    for number in range(CALLS):
        client = bench.client(gate, **client_knobs)
        client.server, client.number = server, number
        act(client)
        gate.wait_call(number)
        server.wait_over(number)
    assert waiting(server) == []


@pytest.mark.parametrize("name", ["refused", "not-http", "no-answer"])
def test_no_port_waits_without_tls(bench, name):
    act, _, server_knobs, _ = CASES[name]
    server = bench.backend(plain=True, **server_knobs)
    gate = bench.gate(server, backend={"crypto-binding": "off"})
    for number in range(CALLS):
        client = bench.client(gate)
        client.server, client.number = server, number
        act(client)
        gate.wait_call(number)
        server.wait_over(number)
    assert waiting(server) == []


def test_the_last_words_of_a_client_arrive(bench):
    """An Abort and the end of the connection arrive at the gate in one wake-up."""
    server = bench.backend()
    gate = bench.gate(server)
    client = bench.client(gate).open().secure().ask().start()
    gate.pause()
    client.send(sstp.status(sstp.ABORT, 0, 0))
    client.flush()
    client.close()
    gate.resume()
    record = server.wait_over()
    assert "abort" in [name.lower().replace(" ", "-").rpartition("-")[2] for name in record.seen]
    assert gate.wait_call()["reason"] == "client-abort"


def test_a_server_that_does_not_close_is_reset(bench):
    """The backend gets close_notify; if it sends no FIN, timeout-drain ends the connection."""
    ends = []

    def stay(call):
        ends.append(call.wire.wait_end())   # close_notify
        call.wire.ended = None
        while call.sock.recv(4096):         # nothing follows it
            pass

    server = bench.backend(hooks={"answered": stay})
    gate = bench.gate(server, gate={"timeout-drain": "1s"})
    bench.client(gate).open().secure().ask().close()
    assert gate.wait_call()["reason"] == "client-closed"
    assert "reset by peer" in server.wait_over().reason and ends == ["close-notify"]
    assert waiting(server) == []
