"""No request distinguishes a gate that denies with a decoy, or whose `host` is not known, from a web site
without SSTP: the answers have the same bytes. (Their times are not compared.)"""

import hashlib
import socket
import threading

import pytest

from peers import head, sstp, tls
from test_request import BAD, GOOD, HOST, NOT_SSTP, fields, undated

GET = fields(HOST, first=b"GET / HTTP/1.1")
FLOOD = sstp.connect_request() + sstp.data(b"\xff\x03\xc0\x21" + bytes(1000)) * 20

REQUESTS = {
    "good-check": fields(HOST, first=b"HEAD " + head.URI + b" HTTP/1.1"),
    "good-check-with-an-escape": fields(HOST, first=b"HEAD " + head.URI.replace(b"s", b"%73") + b" HTTP/1.1"),
    "other-half-a-check": b"HEAD " + head.URI,
    **{f"good-{name}": octets for name, octets in GOOD.items()},
    **{f"bad-{name}": octets for name, octets in BAD.items()},
    **{f"other-{name}": octets for name, octets in NOT_SSTP.items()},
    "early-data": head.request(b"x") + sstp.connect_request(),
    "early-flood": head.request(b"x") + FLOOD,
    "early-data-of-another-uri": head.request(b"x", uri=b"/") + FLOOD,
    "head-malformed": fields(HOST, HOST, first=b"HEAD / HTTP/1.1"),
    "two-requests": GET + GET,
    "request-and-sstp": GET + head.request(b"x"),
    "tls-in-tls": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(600),
    "noise": bytes(range(256)) * 40,
    "letters": b"A" * 400,
    "sstp-packet": sstp.connect_request(),
    "http-2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    # requests that end in the middle
    "half-a-get": GET[:-4],
    "half-an-sstp-request": head.request(b"x")[:-4],
    "half-an-sstp-uri": head.METHOD + b" /sra_{BA195980-",
    "half-a-method": b"SSTP_DUP",
    "half-a-line-end": b"\r",
}

HIDING = {"decoy": {"deny": "any action decoy"}, "host": {"host": "secret.example"}}


class Site:
    """A site that reads to the end and answers with a digest of all received bytes."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = self.listener.getsockname()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(sock,), daemon=True).start()

    @staticmethod
    def _answer(sock):
        with sock:
            digest = hashlib.sha256()
            while octets := sock.recv(65536):
                digest.update(octets)
            sock.sendall(b"HTTP/1.1 418 Teapot\r\n\r\n" + digest.hexdigest().encode())

    def __exit__(self, *_):
        self.listener.close()


def straight(site, octets):
    with socket.create_connection(site.address) as sock:
        sock.sendall(octets)
        sock.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: sock.recv(65536), b""))


def answer_to(bench, gate, octets, notify=True):
    """Returns the answer, and how the connection ends."""
    client = bench.client(gate).open().secure()
    for at in range(0, len(octets), 16384):
        client.wire.write(octets[at:at + 16384])
    client.wire.finish_writing(notify)
    got = b""
    while (more := client.wire.read_record()) is not None:
        got += more
    client.close()
    return undated(got), client.wire.ended


@pytest.fixture(scope="module")
def behind(shared):
    """Gates before a web site; one of them is open to everybody."""
    shared.site = Site()
    shared.others.append(shared.site)
    shared.server = shared.backend()
    return {name: shared.start({
        "gate": {"workers": 1, "ban-points": 1},
        "listener front": shared.listener_keys(fallback="site", **keys),
        "backend back": shared.backend_keys(shared.server),
        "backend site": {"server": "%s:%d" % shared.site.address, "tls": "no"}})
            for name, keys in {**HIDING, "open": {}}.items()}


@pytest.fixture(scope="module")
def alone(shared):
    """Gates without a web site; one of them admits everybody."""
    server = shared.backend()
    return {name: shared.gate(server, listener=keys) for name, keys in {**HIDING, "open": {}}.items()}


@pytest.mark.parametrize("notify", [True, False], ids=["close-notify", "fin"])
@pytest.mark.parametrize("how", HIDING)
@pytest.mark.parametrize("name", REQUESTS)
def test_before_a_web_site(shared, behind, name, how, notify):
    """The site gets every byte and the client's end, and the client gets the site's answer."""
    want = straight(shared.site, REQUESTS[name])
    assert answer_to(shared, behind[how], REQUESTS[name], notify) == (want, "close-notify")
    assert not shared.server.calls


VISITS = {
    **{name: octets for name, octets in REQUESTS.items()
       if not name.startswith(("good-", "early-")) or name == "early-data-of-another-uri"},
    "a-ticket-of-kerberos": fields(HOST, b"Authorization: Negotiate " + b"Y" * 10000, first=b"GET / HTTP/1.1"),
    "two-long-fields": fields(HOST, b"Cookie: " + b"a" * 5000, b"X: " + b"b" * 5000, first=b"GET / HTTP/1.1"),
    "a-head-of-100-kb": fields(HOST, *[b"X: " + b"b" * 1000] * 100, first=b"GET / HTTP/1.1"),
    "a-path-in-utf-8": fields(HOST, first="GET /übersicht HTTP/1.1".encode()),
    "line-ends-of-unix": fields(HOST, first=b"GET / HTTP/1.1", end=b"\n"),
    "an-ip6-host": fields(b"Host: [fe80::1%25eth0]", first=b"GET / HTTP/1.1"),
    "a-post-with-a-body": fields(HOST, b"Content-Length: 300000", first=b"POST / HTTP/1.1") + bytes(300000),
}


@pytest.mark.parametrize("name", VISITS)
def test_visitors(shared, behind, name):
    """Whatever is not SSTP belongs to the site, from the first byte on, and costs nothing."""
    want = straight(shared.site, VISITS[name])
    assert answer_to(shared, behind["open"], VISITS[name]) == (want, "close-notify")
    assert not behind["open"].events("ban")


@pytest.mark.parametrize("name", REQUESTS)
def test_without_a_web_site(shared, alone, name):
    """The gate itself acts as the site. Requests that an open gate admits get the same 404 as any other URI."""
    octets = REQUESTS[name]
    decoy, host = (answer_to(shared, alone[how], octets) for how in HIDING)
    sstp_goes_in = name.startswith(("good-", "early-")) and name != "early-data-of-another-uri"
    same = octets.replace(head.URI, b"/").replace(head.URI.lower(), b"/") if sstp_goes_in else octets
    if sstp_goes_in and same == octets:
        same = GET.replace(b"GET", octets.split()[0])  # the URI is escaped
    assert decoy == host == answer_to(shared, alone["open"], same)


class QuickSite(Site):
    """A site that answers the first bytes, as web servers do that refuse a request line."""

    @staticmethod
    def _answer(sock):
        with sock:
            if sock.recv(65536):
                sock.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


@pytest.mark.parametrize("how, octets", [
    ("decoy", head.request(b"x")[:-2]), ("decoy", head.METHOD[:4]), ("decoy", b"\r"),
    ("host", head.METHOD + b" =x"), ("host", head.METHOD + b" /%zz HTTP/1.1\r\n"),
    ("host", head.METHOD + b" " + head.URI + b"x")],
    ids=["decoy-head", "decoy-method", "decoy-cr", "host-target", "host-escape", "host-uri"])
def test_an_answer_amid_the_head(bench, how, octets):
    """Only a client that may use SSTP waits for the end of its head. timeout-request is 10 s."""
    site = QuickSite()
    bench.others.append(site)
    gate = bench.start({
        "gate": {"workers": 1},
        "listener front": bench.listener_keys(fallback="site", **HIDING[how]),
        "backend back": bench.backend_keys(bench.backend()),
        "backend site": {"server": "%s:%d" % site.address, "tls": "no"}})
    client = bench.client(gate).open().secure()
    client.wire.write(octets)
    assert client.wire.read_record().startswith(b"HTTP/1.1 400 ")
    client.close()
    assert gate.wait_call()["reason"] == {"decoy": "rule-denied", "host": "not-sstp"}[how]


@pytest.mark.long
def test_a_deadline_amid_the_head(bench):
    """The site may have an answer to half a request."""
    site = Site()
    bench.others.append(site)
    gate = bench.start({
        "gate": {"workers": 1, "timeout-request": "1s"},
        "listener front": bench.listener_keys(fallback="site"),
        "backend back": bench.backend_keys(bench.backend()),
        "backend site": {"server": "%s:%d" % site.address, "tls": "no"}})
    half = head.request(b"x")[:-2]
    client = bench.client(gate).open().secure()
    client.wire.write(half)
    silent = bench.client(gate).open().secure()
    silent.wait_end()  # its deadline is later than that of the other
    client.wire.finish_writing()
    got = b""
    while (more := client.wire.read_record()) is not None:
        got += more
    assert got == straight(site, half)
    assert {call["reason"] for call in (gate.wait_call(0), gate.wait_call(1))} == {"request-timeout"}
