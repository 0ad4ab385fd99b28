"""The line `call` says how far a call came and whether it failed, and its level follows from that."""

import pytest

from peers.client import CallFailed


def fails(client):
    with pytest.raises(CallFailed):
        client.establish()
    client.close()


def verdict(call):
    return call.level, call["outcome"], call["stage"]


def test_a_tunnel_that_ends(bench):
    gate = bench.gate(bench.backend())
    bench.client(gate).establish().disconnect()
    assert verdict(gate.wait_call()) == ("info", "ended", "up")


def test_a_login_that_fails(bench):
    gate = bench.gate(bench.backend())
    fails(bench.client(gate, password="wrong"))
    assert verdict(gate.wait_call()) == ("warning", "failed", "login")


def test_a_server_that_is_away(bench):
    server = bench.backend()
    gate = bench.gate(server)
    server.close()
    fails(bench.client(gate))
    assert verdict(gate.wait_call()) == ("warning", "failed", "backend")


def test_a_web_page(bench):
    gate = bench.gate(bench.backend())
    fails(bench.client(gate, head=b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"))
    assert verdict(gate.wait_call()) == ("info", "refused", "request")
