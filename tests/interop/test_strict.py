"""sstpc through the gate to a server that checks the complete crypto-binding; and the same call
through haproxy, which that server refuses."""

import pytest

import lab
from peers.server import Server

pytestmark = pytest.mark.usefixtures("machine")


@pytest.fixture
def server(back):
    with Server(back.cert, back.key, users={lab.USER: lab.PASSWORD},
                auth=("mschapv2", "pap")) as server:
        yield server


def last_record(server):
    """Returns the record of the last call: if sstpc had to dial again, the earlier calls are incomplete."""
    server.wait_call()
    return server.wait_over(len(server.calls) - 1)


@pytest.mark.parametrize("method", lab.REFUSE)
def test_gate_makes_the_binding_again(directory, front, back, server, method):
    with lab.gate(directory / "gate", front, server.address, back) as address:
        call = lab.call(directory / "call", address, front, method=method)
        record = last_record(server)
    assert call.up and call.answered, call
    assert record.method == method and record.user == lab.USER
    # "ok": this call's nonce, the MAC under the server's key, and the hash of the server's leaf
    # certificate, which sstpc has never seen.
    assert record.verdict == "ok"
    assert record.leaf_hash == back.sha256


def test_haproxy_breaks_the_binding(directory, front, back, server):
    """The control experiment: without the gate's re-signing, the calls above fail."""
    with lab.haproxy(directory / "haproxy", front, server.address, back) as address:
        call = lab.call(directory / "call", address, front)
        record = last_record(server)
    assert not call.up, call
    assert record.verdict == "certificate"
    assert record.leaf_hash == front.sha256


def test_wrong_password_is_refused(directory, front, back, server):
    with lab.gate(directory / "gate", front, server.address, back) as address:
        call = lab.call(directory / "call", address, front, password="not " + lab.PASSWORD)
        record = last_record(server)
    assert not call.up, call
    assert record.verdict is None, "Call Connected without the password"
