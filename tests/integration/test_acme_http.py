"""Plain HTTP of a listener (`listen-http`): each request is redirected to https, except those for a challenge of ACME, which
go to the ACME client (`acme-http`)."""

import contextlib
import socket

import pytest

from gate import eventually, run
from peers import acme, proxy, tls
from test_acme import calls_of, read_all, wait_reason
from test_reload import free_port, leaf

TOKEN = "DGyRejmCefe7v4NfDGDKfA_-"
CHALLENGE = f"/.well-known/acme-challenge/{TOKEN}"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\ntoken"


def web(it, sock):
    """Answers one request, which it.received gets, with all that follows it."""
    head = b""
    while b"\r\n\r\n" not in head:
        head += sock.recv(65536)
    with it.more:
        it.received.append(head)
        it.more.notify_all()
    sock.sendall(ANSWER if b" /.well-known/" in head else b"HTTP/1.1 200 OK\r\n\r\nsecret")


@pytest.fixture(scope="module")
def answering():
    with acme.Responder(web) as responder:
        yield responder


def gate_with(bench, to, gate=None, rules=(), **listener):
    address = to if to is None or isinstance(to, str) else to.address
    return bench.gate(bench.backend(), gate, {"listen_http": "127.0.0.1:0", "acme_http": address, **listener},
                      rules=rules)


@pytest.fixture(scope="module")
def gate(shared, answering):
    return gate_with(shared, answering, host="vpn.example.com")


def ask(gate, request, pieces=None):
    """Sends a request to the plain address; returns the whole answer."""
    with socket.create_connection(gate.address("front", 1), tls.DEADLINE) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(0, len(request), pieces or len(request)):
            sock.sendall(request[at:at + (pieces or len(request))])
        return read_all(sock)


def get(target, host="vpn.example.com", method="GET", more=""):
    return f"{method} {target} HTTP/1.1\r\nHost: {host}\r\n{more}\r\n".encode()


# -- everything else: https --

@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
@pytest.mark.parametrize("target, there", [
    ("/", "/"), ("/a?b=c", "/a?b=c"), ("http://other.example/a", "/"), ("*", "/"), ("/" + "x" * 4000, "/"),
    ("/.well-known/acme-challenge", "/.well-known/acme-challenge")])
def test_redirect(shared, gate, method, target, there):
    answer = ask(gate, get(target, method=method))
    head, body = answer.split(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 301 ")
    assert f"\r\nLocation: https://vpn.example.com{there}\r\n".encode() in head
    assert (b"Moved" in body) == (method != "HEAD")


def test_redirect_has_the_port(bench):
    port = free_port()
    gate = gate_with(bench, None, listen=f"127.0.0.1:{port}")
    assert f"\r\nLocation: https://a.example:{port}/x\r\n".encode() in ask(gate, get("/x", "a.example"))
    assert f"\r\nLocation: https://[2001:db8::1]:{port}/\r\n".encode() in ask(gate, get("/", "[2001:db8::1]"))
    line = wait_reason(gate, "http-redirect", 2)
    assert (line["outcome"], line["stage"]) == ("ended", "request")
    assert leaf(bench, gate.address("front", 0))


@pytest.mark.parametrize("request_, status, reason", [
    (get("/", "other.example"), 404, "not-sstp"), (b"GET / HTTP/1.0\r\n\r\n", 404, "not-sstp"),
    (b"GET /\r\n\r\n", 400, "bad-request"), (b"\x16\x03\x01\0\x05", 400, "bad-request"),
    (get("/", more="X: " + "y" * 9000 + "\r\n"), 400, "request-too-large")])
def test_no_redirect(gate, request_, status, reason):
    """A name that `host` does not list, no name at all, and what is not HTTP."""
    number = len(calls_of(gate, reason))
    assert ask(gate, request_).startswith(b"HTTP/1.1 %d " % status)
    wait_reason(gate, reason, number + 1)


def test_sstp_is_not_served(gate):
    uri = "/sra_{BA195980-CD49-458b-9E23-C84EE0ADCD75}/"
    answer = ask(gate, get(uri, method="SSTP_DUPLEX_POST", more="Content-Length: 18446744073709551615\r\n"))
    assert answer.startswith(b"HTTP/1.1 301 ")


@pytest.mark.parametrize("octets", [b"", b"GET / HTTP/1.1\r\nHo"])
def test_silent(bench, answering, octets):
    gate = gate_with(bench, answering, {"timeout-handshake": "1s"})
    with socket.create_connection(gate.address("front", 1)) as sock:
        sock.sendall(octets)
        assert read_all(sock) == b""
    wait_reason(gate, "request-timeout")


# -- challenges --

@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("pieces", [None, 1])
def test_challenge(gate, answering, method, pieces):
    number = len(calls_of(gate, "acme-passed"))
    assert ask(gate, get(CHALLENGE, method=method, more="User-Agent: ca\r\nCookie: x\r\n"), pieces) == ANSWER
    assert answering.received[-1] == get(CHALLENGE, method=method, more="Connection: close\r\n")
    line = wait_reason(gate, "acme-passed", number + 1)
    assert (line["outcome"], line["stage"], line["host"]) == ("ended", "acme", "vpn.example.com")


@pytest.mark.parametrize("target", [
    "/.well-known/acme-challenge/", "/.well-known/acme-challenge/../secret", "/.well-known/acme-challenge/a/b",
    "/.well-known/acme-challenge/a%2fb", "/.well-known/acme-challenge/a?b", "//.well-known/acme-challenge/a",
    "/.well-known/acme-challenge/" + "a" * 257, "http://vpn.example.com" + CHALLENGE, "/.WELL-known/acme-challenge/a"])
def test_only_a_token_is_a_challenge(gate, answering, target):
    before = answering.accepted
    assert ask(gate, get(target)).startswith(b"HTTP/1.1 301 ")
    assert ask(gate, get(CHALLENGE, method="POST", more="Content-Length: 0\r\n")).startswith(b"HTTP/1.1 301 ")
    assert answering.accepted == before


def test_one_request_for_each_connection(gate, answering):
    """A second request on the connection does not reach the ACME client's server."""
    number = len(answering.received)
    assert ask(gate, get(CHALLENGE) + get("/secret")) == ANSWER
    assert answering.received[number:] == [get(CHALLENGE, more="Connection: close\r\n")]


def test_rules_are_for_other_requests(bench, answering):
    gate = gate_with(bench, answering, rules=[("deny", "127.0.0.0/8")])
    assert ask(gate, get(CHALLENGE)) == ANSWER
    assert not gate.events("deny")
    assert ask(gate, get("/")) == b""
    assert gate.wait_event("deny")["action"] == "reset"


def test_behind_a_proxy(bench, answering):
    gate = gate_with(bench, answering, accept_proxy="yes", trusted_proxies="127.0.0.1")
    header = proxy.v1(("192.0.2.99", 1234), ("192.0.2.1", 80))
    assert ask(gate, header + get(CHALLENGE)) == ANSWER
    assert ask(gate, header + get("/")).startswith(b"HTTP/1.1 301 ")
    assert wait_reason(gate, "acme-passed")["client"] == "192.0.2.99:1234"


def flood(_, sock):
    sock.recv(1)
    while True:
        sock.sendall(bytes(65536))


BAD = {"silent": lambda it, sock: it.go.wait(tls.DEADLINE), "closes": lambda _, sock: sock.recv(1),
       "flood": flood}


@pytest.mark.parametrize("serve", BAD.values(), ids=BAD)
def test_bad_acme_client(bench, responder, serve):
    """The validator gets 503, or the beginning of the flood; a tunnel notices nothing."""
    gate = gate_with(bench, responder(serve), {"timeout-handshake": "1s", "timeout-drain": "1s"})
    tunnel = bench.client(gate).establish().ping()
    answer = ask(gate, get(CHALLENGE))
    assert len(answer) <= 65536 if serve is flood else answer.startswith(b"HTTP/1.1 503 ")
    wait_reason(gate, "acme-failed")
    tunnel.ping().disconnect()


def test_missing_acme_client(bench):
    gate = gate_with(bench, "127.0.0.1:%d" % free_port())
    assert ask(gate, get(CHALLENGE)).startswith(b"HTTP/1.1 503 ")
    assert wait_reason(gate, "acme-failed")["detail"] == "connection refused"


def test_without_an_acme_client(bench):
    gate = gate_with(bench, None)
    assert ask(gate, get(CHALLENGE)).startswith(b"HTTP/1.1 301 ")


# -- addresses --

def test_addresses_change_their_kind(bench, answering):
    """A reload turns a plain address into one of TLS, and back; an upgrade keeps both kinds."""
    tls_port, plain = free_port(), free_port()
    gate = gate_with(bench, answering, listen=f"127.0.0.1:{tls_port}", listen_http=f"127.0.0.1:{plain}")
    text = gate.config.read_text()

    def check(secure, open_):
        gate.addresses["front"] = [("127.0.0.1", secure), ("127.0.0.1", open_)]
        assert ask(gate, get(CHALLENGE)) == ANSWER
        bench.client(gate).establish().ping().disconnect()
    check(tls_port, plain)
    swapped = text.replace(f"listen = 127.0.0.1:{tls_port}", f"listen = 127.0.0.1:{plain}").replace(
        f"listen-http = 127.0.0.1:{plain}", f"listen-http = 127.0.0.1:{tls_port}")
    assert swapped != text
    gate.config.write_text(swapped)
    assert gate.reload()[-1].level == "info"
    check(plain, tls_port)
    gate.upgrade()
    check(plain, tls_port)


def accepts(address):
    with contextlib.suppress(ConnectionRefusedError), socket.create_connection(address):
        return True
    return False


def test_drain_and_resume(bench, answering):
    # not port 0: the kernel releases such a port when the socket rests
    gate = gate_with(bench, answering, {"admin": f"unix:http-{bench.count}.sock"}, listen=f"127.0.0.1:{free_port()}",
                     listen_http=f"127.0.0.1:{free_port()}")
    tunnel = bench.client(gate).establish().ping()  # without any call, a drain ends the gate
    plain = gate.address("front", 1)
    for word, open_ in (("drain", False), ("resume", True)):
        assert run("ctl", "-c", gate.config, word).returncode == 0
        eventually(lambda open_=open_: accepts(plain) == open_, word)
    tunnel.ping()
    assert ask(gate, get(CHALLENGE)) == ANSWER
    bench.client(gate).establish().ping().disconnect()
    tunnel.disconnect()
