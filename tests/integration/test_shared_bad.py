"""A store that is another program, or hostile: a clear line, the configured behaviour, and bounds (conf/README.md, several
gates)."""

import datetime
import re
import ssl
from pathlib import Path

import pytest

from peers.store import Door, encode, forward
from test_limits import fails
from test_shared import down, plausible, redis, single, stores, up  # noqa: F401

CLOSED = "closed the connection without an answer: it may need TLS|it is TLS"


def tls(place):
    """A store that needs TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(place.back_ca.cert, place.back_ca.key)
    return lambda sock: context.wrap_socket(sock, server_side=True).close()


def memcached(sock):
    """Answers as memcached does, which knows none of the words."""
    with sock.makefile("rb") as stream:
        for _ in stream:
            sock.sendall(b"ERROR\r\n")


def http(sock):
    """Answers as nginx does."""
    sock.recv(65536)
    sock.sendall(b"HTTP/1.1 400 Bad Request\r\nServer: nginx\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")


def pour(first, more):
    """Sends data without an end."""
    def serve(sock):
        sock.sendall(first)
        while True:
            sock.sendall(more)
    return serve


STRANGERS = {
    "tls": (tls, CLOSED),
    "memcached": (lambda place: memcached, "not RESP: .*'ERROR'"),
    "http": (lambda place: http, "not RESP: .*'HTTP/1.1 400 Bad Request'"),
    "a line without an end": (lambda place: pour(b"+", b"x" * 65536), "too large"),
    "garbage without an end": (lambda place: pour(b"", b"x" * 65536), "not RESP: .*'x{40}'"),
    "zeros without an end": (lambda place: pour(b"", bytes(65536)), r"not RESP: .*'\?{40}'"),
}


@pytest.fixture
def door():
    doors = []

    def open_door(serve):
        doors.append(Door(serve))
        return doors[-1]

    yield open_door
    for each in doors:
        each.close()


def downs(gate):
    return [e["cause"] for e in gate.events("shared") if e.fields.get("state") == "down"]


def cpu(gate):
    """Returns the CPU time of the process in seconds."""
    words = Path(f"/proc/{gate.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / 100


def check(bench, redis, stranger, cause):
    """Starts gates whose store is another program; at the end the store is in its place."""
    gates = [single(bench, stranger, max_tunnels_per_user=1, shared_fail=fail) for fail in ("local", "refuse")]
    for gate in gates:
        assert re.search(cause, down(gate)), gate.text()
    memory = [gate.rss() for gate in gates]
    stranger.wait(8)                                               # four of each gate, with pauses between them
    call = bench.client(gates[0]).establish().ping()
    fails(bench.client(gates[1]))
    assert gates[1].wait_call()["reason"] == "user-limit"
    for gate, before in zip(gates, memory):
        assert gate.rss() <= before + (8 << 20) and (gate.sanitized() or cpu(gate) < 2)
        assert len(downs(gate)) == 1, downs(gate)
    stranger.serve = forward(redis.path)
    for gate in gates:
        up(gate)
    call.ping()
    fails(bench.client(gates[1]))                                  # the store has the count of the other gate
    call.disconnect()


@pytest.mark.parametrize("kind", STRANGERS)
def test_another_program_in_the_place_of_the_store(bench, place, redis, door, kind):
    serve, cause = STRANGERS[kind]
    check(bench, redis, door(serve(place)), cause)


def test_a_gate_in_the_place_of_the_store(bench, redis, door):
    other = bench.gate(bench.backend())
    check(bench, redis, door(forward(other.address())), CLOSED)


def when(event):
    """Returns the time of a line of the log in seconds."""
    return datetime.datetime.fromisoformat(event.line.split()[0].replace("Z", "+00:00")).timestamp()


def test_a_store_that_fails_after_each_login_gets_few_lines(bench, stores):
    """Each of its first answers is right, and garbage follows."""
    def answer(words):
        value = plausible(words)
        return encode(value) + b"garbage" if words[5:6] and words[5].startswith(b"name=") else value

    gate = single(bench, stores(answer))
    gate.wait(lambda: [e for e in gate.events("shared") if "lines-left-out" in e.fields], "a line about others")
    bench.client(gate).establish().ping().disconnect()
    lines = [e for e in gate.events("shared") if e.fields["state"] == "down"]
    assert all(when(later) - when(line) > 0.99 for line, later in zip(lines, lines[6:])), gate.text()
    states = [e["state"] for e in gate.events("shared")]
    assert all(state != following for state, following in zip(states, states[1:])), gate.text()
