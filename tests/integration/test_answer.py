"""The backend's answer, and the gate's answer to the client (PROTOCOL.md 1.3, 2)."""

import socket
import threading
import time

import pytest

from peers import head, sstp, tls
from peers.client import expect_failure, last_words
from peers.server import EndCall


def refused(bench, gate, status=503):
    client = bench.client(gate)
    failure = expect_failure(client)
    assert failure.status == status
    assert head.parse(client.answer).all(b"connection") == [b"close"]
    assert failure.end == "close-notify"
    return gate.wait_call()["reason"]


@pytest.fixture
def talker():
    """A factory for servers that send these bytes to every client and wait for the end."""
    sockets = []

    def make(octets, context=None):
        listening = socket.create_server(("127.0.0.1", 0))
        sockets.append(listening)

        def serve():
            while True:
                try:
                    sock, _ = listening.accept()
                except OSError:
                    return
                try:
                    if context:
                        sock = context.wrap_socket(sock, server_side=True)
                        sock.recv(65536)
                    sock.sendall(octets)
                    while sock.recv(65536):
                        pass
                except OSError:
                    pass
                sock.close()

        threading.Thread(target=serve, daemon=True).start()
        return "127.0.0.1:%d" % listening.getsockname()[1]

    yield make
    for sock in sockets:
        sock.shutdown(socket.SHUT_RDWR)
        sock.close()


def nobody():
    """An address without a listener (the port was reserved a moment ago)."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return "127.0.0.1:%d" % sock.getsockname()[1]


def test_not_before_the_backend(bench):
    server, gate = bench.usual(hooks={"request": lambda call: server.go.wait()})
    client = bench.client(gate).open().secure().send_request()
    server.wait_stage("request")
    with pytest.raises(TimeoutError):
        client.wire.read_record(0.3)
    server.go.set()
    assert client.read_answer().status == 200


@pytest.mark.parametrize("dialect", ["strict", "rras", "accel-ppp", "softether", "sorz"])
def test_accepted(bench, dialect):
    """The client gets one record with at most four fields, which do not name the gate, whatever the backend
    sent."""
    server, gate = bench.usual(dialect=dialect, echoes_early=False)
    client = bench.client(gate).establish("request")
    answer = head.parse(client.answer)
    assert answer.line == b"HTTP/1.1 200 OK"
    assert answer.all(b"content-length") == [head.LENGTH]
    assert len(answer.fields) <= 4
    assert b"sstpgate" not in client.answer.lower()
    assert client.wire.records == 1 and client.answer_rest == b""
    client.start().authenticate().connect().bring_up().ping().disconnect()
    assert server.wait_over().verdict in ("ok", "unchecked")


@pytest.mark.parametrize("line", [b"HTTP/1.1 200", b"HTTP/1.0 200 OK", b"HTTP/1.1 200 Fine, thanks"])
def test_odd_accepts(bench, line):
    server, gate = bench.usual(status_line=line)
    bench.client(gate).establish().ping()


INTERIM = {
    "100": [b"HTTP/1.1 100 Continue\r\n\r\n"],
    "102 and 103": [b"HTTP/1.1 102 Processing\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"],
    "in pieces": [bytes([octet]) for octet in b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"],
    "eight": [b"HTTP/1.1 100 Continue\r\n\r\n" * 8],
    "links of 7 kB": [b"HTTP/1.1 103 Early Hints\r\nLink: " + b"a" * 7000 + b"\r\n\r\n"],
}


@pytest.mark.parametrize("name", INTERIM)
def test_interim_answers(bench, name):
    """Each client of HTTP must skip them (RFC 9110 15.2); a proxy in front of the server may send some."""
    server, gate = bench.usual(hooks={"request": lambda call: [call.wire.write(part) for part in INTERIM[name]]})
    bench.client(gate).establish().ping().disconnect()
    assert server.wait_over().verdict == "ok"


@pytest.mark.parametrize("octets, why", [
    (b"HTTP/1.1 100 Continue\r\n\r\n" * 9, "the head of the answer is too large"),
    (b"HTTP/1.1 103 x\r\nLink: " + b"a" * 9000 + b"\r\n\r\n", "the head of the answer is too large"),
    (b"HTTP/1.1 100 Continue\r\n\r\nhello\r\n\r\n", "not HTTP"),
    (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", "status 101 instead of 200")])
def test_interim_answers_end(bench, octets, why):
    """Their number and their size have bounds, and 101 is not an interim response."""
    _, gate = bench.usual(hooks={"request": lambda call: call.wire.write(octets)})
    refused(bench, gate)
    assert gate.wait_event("backend")["msg"] == why


@pytest.mark.parametrize("status", [301, 401, 404, 500, 503])
def test_backend_refuses(bench, status):
    _, gate = bench.usual(refuse=status)
    assert refused(bench, gate) == "backend-refused"


def test_backend_down(bench):
    gate = bench.gate(bench.backend(), backend={"server": nobody()})
    assert refused(bench, gate) == "backend-unreachable"


def test_next_server(bench):
    server = bench.backend()
    gate = bench.gate(server, backend={"server": [nobody(), nobody(), server.address]})
    bench.client(gate).establish().ping().disconnect()
    assert gate.wait_call()["server"] == server.address


def test_next_server_after_failed_tls(bench, talker):
    server = bench.backend()
    gate = bench.gate(server, backend={"server": [talker(b"SSH-2.0-x\r\n" * 20), server.address]})
    bench.client(gate).establish().ping().disconnect()
    assert gate.wait_call()["server"] == server.address


def test_backend_without_tls(bench, talker):
    gate = bench.gate(bench.backend(), backend={"server": talker(b"SSH-2.0-x\r\n" * 20)})
    assert refused(bench, gate) == "backend-tls"
    event = gate.wait_event("backend")
    assert event["failed"] == "tls" and "tls = no?" in event["msg"]


@pytest.mark.parametrize("octets", [b"hello\r\n\r\n", b"HTTP/1.1 20\r\n\r\n", b"HTTP/2 200\r\n\r\n",
                                    b"\0" * 100, b"HTTP/1.1 200 OK\r\nX: " + b"y" * 20000],
                         ids=["hello", "two-digits", "http-2", "zeros", "endless"])
def test_bad_answer(bench, talker, octets):
    context = tls.server_context(bench.place.back.cert, bench.place.back.key)
    gate = bench.gate(bench.backend(), backend={"server": talker(octets, context)})
    assert refused(bench, gate) == "backend-bad-answer"


@pytest.mark.parametrize("how", ["clean", "fin", "rst"])
def test_backend_closes_unasked(bench, how):
    def leave(call):
        raise EndCall("hook", how)

    _, gate = bench.usual(hooks={"request": leave})
    assert refused(bench, gate) in ("backend-closed", "backend-reset", "backend-bad-answer",
                                    "backend-refused")


def test_answer_and_packet_in_one_record(bench):
    """Bytes that follow the backend's 200 in its record reach the client in a record of their own."""
    def hasty(call):
        call.wire.write(b"HTTP/1.1 200 OK\r\n\r\n" + sstp.control(sstp.ABORT))
        raise EndCall("hook")

    server, gate = bench.usual(hooks={"request": hasty})
    client = bench.client(gate).establish("request")
    assert client.answer_rest == b""
    assert last_words(client).raw == sstp.control(sstp.ABORT)
    assert client.packets.misfits == 0


def test_client_leaves_before_the_answer(bench):
    server, gate = bench.usual(hooks={"request": lambda call: server.go.wait()})
    client = bench.client(gate).open().secure().send_request()
    server.wait_stage("request")
    client.close()
    assert gate.wait_call()["reason"] == "client-closed"
    server.go.set()
    assert server.wait_over().end


def test_hanging_backend(bench):
    server = bench.backend(hooks={"request": lambda call: server.go.wait()})
    gate = bench.gate(server, gate={"timeout-answer": "1s"})
    started = time.monotonic()
    assert refused(bench, gate) == "answer-timeout"
    assert time.monotonic() - started >= 0.9


def test_silent_backend_in_tls(bench):
    """The backend accepts and sends no ServerHello: timeout-connect applies."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        gate = bench.gate(bench.backend(), gate={"timeout-connect": "1s"},
                          backend={"server": "127.0.0.1:%d" % silent.getsockname()[1]})
        assert refused(bench, gate) in ("backend-unreachable", "backend-tls")
