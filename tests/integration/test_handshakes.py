"""Handshakes: the bound of those in progress, and the memory of a connection before and after its own."""

import functools
import ssl

import pytest

from peers import proxy
from test_proxy_protocol import HERE, REAL

KIB = 1024


@functools.cache
def client_hello():
    """Returns a ClientHello; the gate does the same work for each of them."""
    out = ssl.MemoryBIO()
    tls = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), out, server_hostname="vpn.example.com")
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    return out.read()


def say_hello(client):
    """Sends only the first message of a handshake."""
    client.wire.sock.sendall(client_hello())
    return client


def answered(client):
    return client.wire.sock.recv(1) == b"\x16"


def in_full(client):
    return client.secure().ask().start().authenticate().connect().bring_up()


def test_more_wait_in_order(bench):
    """A call above the bound is not reset: it waits until a handshake has ended, or has been silent for a
    second, and the log names the key."""
    gate = bench.gate(bench.backend(), gate={"workers": 1, "handshakes-at-once": 2})
    silent = [say_hello(bench.client(gate).open()) for _ in range(2)]
    assert all(answered(client) for client in silent)
    third = bench.client(gate).open()
    in_full(third).ping()
    assert "handshakes-at-once (2)" in gate.wait_event("full").line
    assert [gate.wait_call(n)["reason"] for n in (0, 1)] == ["handshake-timeout"] * 2


def test_a_handshake_that_ends_makes_room(bench):
    gate = bench.gate(bench.backend(), gate={"workers": 1, "handshakes-at-once": 1})
    silent = say_hello(bench.client(gate).open())
    assert answered(silent)
    waiting = say_hello(bench.client(gate).open())
    silent.close()
    assert answered(waiting)
    waiting.close()
    in_full(bench.client(gate).open()).ping()


def test_silence_takes_no_place(bench):
    gate = bench.gate(bench.backend(), gate={"workers": 1, "handshakes-at-once": 1})
    silent = [bench.client(gate).open() for _ in range(5)]
    in_full(bench.client(gate).open()).ping()
    for client in silent:
        client.close()


def test_a_place_that_does_not_come_in_time(bench):
    """The reason distinguishes a wait for a place from a client that is silent in its handshake."""
    gate = bench.gate(bench.backend(), gate={"workers": 1, "handshakes-at-once": 1,
                                             "timeout-handshake": "1s"})
    clients = [say_hello(bench.client(gate).open()) for _ in range(4)]
    assert answered(clients[0])
    reasons = [gate.wait_call(number)["reason"] for number in range(4)]
    assert set(reasons) == {"handshake-timeout", "handshake-queue"}


def test_behind_a_proxy(bench):
    """A ClientHello that came with the PROXY header waits like any other."""
    gate = bench.gate(bench.backend(), gate={"workers": 1, "handshakes-at-once": 1},
                      listener={"accept_proxy": "yes", "trusted_proxies": "127.0.0.0/8"})
    header = proxy.v1(REAL, HERE)
    first, second = (bench.client(gate).open() for _ in range(2))
    for client in (first, second):
        client.wire.sock.sendall(header + client_hello())
    assert answered(first)
    first.close()
    assert answered(second)


# KiB of one connection in each state, as in conf/OPERATION.md.
STATES = {"silent": 4 * KIB, "handshake": 60 * KIB, "request": 40 * KIB, "tunnel": 52 * KIB}


def test_memory_of_a_connection(bench):
    """Before its ClientHello a connection holds no TLS object. The memory of a peak returns to the system."""
    gate = bench.gate(bench.backend(), gate={"workers": 1, "timeout-handshake": "60s", "log-level": "debug"})
    in_full(bench.client(gate).open()).disconnect()
    gate.wait_call()
    before = gate.rss()
    if before == 0:
        return  # a sanitizer needs additional memory
    number = 600
    clients = [bench.client(gate).open() for _ in range(number)]
    bench.client(gate).establish("tls").close()  # the gate has accepted all earlier ones
    gate.wait_call(1)
    held = {"silent": (gate.rss() - before) / number}
    for client in clients:
        say_hello(client)
    assert all(answered(client) for client in clients)
    held["handshake"] = (gate.rss() - before) / number
    for client in clients:
        client.close()
    # What remains is mostly code that had not been used before, more of it with OpenSSL 3.5.
    gate.wait(lambda: gate.rss() - before < number * held["handshake"] / 10, "memory given back")
    tls = [bench.client(gate).establish("tls") for _ in range(number // 4)]
    held["request"] = (gate.rss() - before) / len(tls)
    for client in tls:
        client.close()
    before = gate.rss()  # malloc keeps a little, and reuses it
    tunnels = [in_full(bench.client(gate).open()).ping() for _ in range(60)]
    held["tunnel"] = (gate.rss() - before) / len(tunnels)
    assert all(held[state] < most for state, most in STATES.items()), held
