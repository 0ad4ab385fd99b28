"""The request: only an exactly valid one reaches a backend (conf/OPERATION.md, bad input)."""

import re

import pytest

from peers import head, sstp

URI = head.URI


def fields(*lines, first=head.METHOD + b" " + URI + b" HTTP/1.1", end=b"\r\n"):
    return end.join([first, *lines, b"", b""])


HOST = b"Host: vpn.example.com"
LENGTH = b"Content-Length: " + head.LENGTH

BAD = {
    "http-2.0": head.request(b"x", version=b"HTTP/2.0"),
    "no-version": fields(HOST, LENGTH, first=head.METHOD + b" " + URI),
    "odd-version": head.request(b"x", version=b"HTTP/1.1x"),
    "lower-case-version": head.request(b"x", version=b"http/1.1"),
    "two-blanks": fields(HOST, LENGTH, first=head.METHOD + b"  " + URI + b" HTTP/1.1"),
    "length-more": head.request(b"x", length=b"18446744073709551616"),
    "length-huge": head.request(b"x", length=b"9" * 200),
    "length-signed": head.request(b"x", length=b"+18446744073709551615"),
    "length-negative": head.request(b"x", length=b"-1"),
    "length-list": head.request(b"x", length=head.LENGTH + b", " + head.LENGTH),
    "length-hex": head.request(b"x", length=b"0xffffffffffffffff"),
    "length-empty": head.request(b"x", length=b""),
    "length-twice": head.request(b"x", extra=[LENGTH]),
    "chunked": head.request(b"x", extra=[b"Transfer-Encoding: chunked"]),
    "no-host": fields(LENGTH),
    "host-twice": fields(HOST, HOST, LENGTH),
    "host-with-blank": fields(b"Host: a b", LENGTH),
    "host-with-path": fields(b"Host: a/b", LENGTH),
    "bare-lf": fields(HOST, LENGTH, end=b"\n") + b"\r\n\r\n",
    "one-bare-lf": fields(HOST + b"\nX: y", LENGTH),
    "bare-cr": fields(HOST, b"X: a\rb", LENGTH),
    "nul": fields(HOST, b"X: a\0b", LENGTH),
    "obs-fold": fields(HOST, b"X: a", b" b", LENGTH),
    "blank-before-colon": fields(HOST, b"X : a", LENGTH),
    "no-colon": fields(HOST, b"hello", LENGTH),
    "no-name": fields(HOST, b": a", LENGTH),
    "odd-name": fields(HOST, b"a(b): c", LENGTH),
    "leading-field-blank": fields(b" X: a", HOST, LENGTH),
    "control-in-line": fields(HOST, LENGTH, first=b"GET /\x01 HTTP/1.1"),
    "no-method": fields(HOST, LENGTH, first=b" / HTTP/1.1"),
    "long-method": fields(HOST, first=b"A" * 100 + b" / HTTP/1.1"),
    "nonsense": b"hello\r\n\r\n",
    "too-long": fields(HOST, b"X: " + b"a" * 9000, LENGTH),
    "too-many": fields(HOST, *[b"X-%d: y" % i for i in range(1000)], LENGTH),
    "endless-line": b"A" * 9000,
}

NOT_SSTP = {
    "get": fields(HOST, first=b"GET / HTTP/1.1"),
    # almost valid SSTP
    "http-1.0": head.request(b"x", version=b"HTTP/1.0"),
    "no-length": head.request(b"x", length=None),
    "length-0": head.request(b"x", length=b"0"),
    "length-less": head.request(b"x", length=b"18446744073709551614"),
    "broken-escape": head.request(b"x", uri=URI.replace(b"{", b"%zz")),
    "empty-host": fields(b"Host: ", LENGTH),
    "nul-escape": head.request(b"x", uri=URI + b"%00"),
    "no-length-in-chunks": head.request(b"x", length=None, extra=[b"Transfer-Encoding: chunked"]),
    "lone-percent": fields(HOST, first=b"GET /100%-off HTTP/1.1"),
    "get-1.0": b"GET / HTTP/1.0\r\n\r\n",
    "head": fields(HOST, first=b"HEAD / HTTP/1.1"),
    "get-sstp-uri": fields(HOST, first=b"GET " + URI + b" HTTP/1.1"),
    "get-without-a-name": fields(b"Host:", first=b"GET / HTTP/1.1"),
    "head-sstp-uri-and-more": fields(HOST, first=b"HEAD " + URI + b"x HTTP/1.1"),
    "head-with-a-bad-tenant": fields(HOST, first=b"HEAD " + URI + b"?tenantid=%zz HTTP/1.1"),
    "post": fields(HOST, b"Content-Length: 0", first=b"POST / HTTP/1.1"),
    "other-uri": head.request(b"x", uri=b"/"),
    "uri-without-slash": head.request(b"x", uri=URI[:-1]),
    "uri-and-more": head.request(b"x", uri=URI + b"x"),
    "other-guid": head.request(b"x", uri=URI.replace(b"BA", b"BB")),
    "lower-case-method": head.request(b"x", method=b"sstp_duplex_post"),
    "connect": fields(HOST, first=b"CONNECT vpn.example.com:443 HTTP/1.1"),
    "options": fields(HOST, first=b"OPTIONS * HTTP/1.1"),
}


@pytest.fixture(scope="module")
def site(shared):
    """A backend that must see nothing, and a gate that admits one name."""
    shared.server = shared.backend()
    shared.one = shared.gate(shared.server)
    return shared


def answer_to(bench, octets, **knobs):
    """Returns (status, bytes of the whole answer); the connection must then be closed cleanly."""
    client = bench.client(bench.one, head=octets, **knobs).open().secure()
    try:
        client.send_request()
    except OSError:
        pass
    got = client.read_answer()
    body = client.answer_rest
    while (more := client.wire.read_record()) is not None:
        body += more
    assert client.wire.ended == "close-notify"
    client.close()
    return got, body


def undated(answer):
    return re.sub(rb"(?i)\r\ndate:[^\r]*", b"", answer)


@pytest.mark.parametrize("name", BAD)
def test_bad(site, name):
    before = len(site.one.events("call"))
    got, body = answer_to(site, BAD[name])
    assert got.status == 400
    assert got.all(b"connection") == [b"close"]
    large = name in ("too-long", "too-many")
    assert site.one.wait_call(before)["reason"] == ("request-too-large" if large else "bad-request")
    assert not site.server.calls


@pytest.mark.parametrize("name", NOT_SSTP)
def test_not_sstp(site, name):
    before = len(site.one.events("call"))
    got, body = answer_to(site, NOT_SSTP[name])
    assert got.status == 404
    assert bool(body) == (not name.startswith("head"))
    assert int(got.all(b"content-length")[0]) == len(body) or name.startswith("head")
    assert site.one.wait_call(before)["reason"] == "not-sstp"
    assert not site.server.calls


@pytest.mark.parametrize("name, detail", [("http-1.0", "wrong version"), ("no-length", "wrong length"),
                                          ("empty-host", "required part missing")])
def test_the_log_knows_what_was_wrong(site, name, detail):
    """The log has the flaw, the answer to the client has not."""
    before = len(site.one.events("call"))
    answer_to(site, NOT_SSTP[name])
    assert site.one.wait_call(before)["detail"] == detail


def test_host_refused_is_the_same_404(bench):
    server = bench.backend()
    gate = bench.one = bench.gate(server, listener={"host": ["vpn.example.com", "two.example.com"]})
    _, plain_body = answer_to(bench, NOT_SSTP["get"])
    plain = undated(bench.clients[-1].answer) + plain_body
    cases = [dict(octets=head.request(b"other.example.com"), sni="vpn.example.com"),
             dict(octets=head.request(b"vpn.example.com"), sni="other.example.com"),
             dict(octets=head.request(b"vpn.example.com.evil")),
             dict(octets=head.request(b"192.0.2.1"))]
    for count, case in enumerate(cases):
        _, body = answer_to(bench, case.pop("octets"), **case)
        assert undated(bench.clients[-1].answer) + body == plain
        assert gate.wait_call(count + 1)["reason"] == "host-refused"
    assert not server.calls


@pytest.mark.parametrize("host, sni", [("vpn.example.com", "vpn.example.com"),
                                       ("VPN.Example.COM", None), ("vpn.example.com:8443", None),
                                       ("two.example.com", "two.example.com"),
                                       ("vpn.example.com.", "vpn.example.com:8443"),
                                       ("vpn.example.com.:443", "Vpn.example.com."),
                                       ("2001:db8::1", None), ("[2001:DB8:0::1]:443", None),
                                       ("fe80::1%eth0", None), ("[fe80::1%25eth0]", None),
                                       ("[::ffff:192.0.2.7]", None)])
def test_host_admitted(bench, host, sni):
    """Each name of `host`, in any form in which clients send it."""
    gate = bench.gate(bench.backend(), listener={"host": ["vpn.example.com.", "TWO.example.com", "[2001:db8::1]",
                                                          "fe80::1", "192.0.2.7"]})
    bench.client(gate, host=host, sni=sni).establish("request")


GUID = b"{12345678-9ABC-DEF0-1234-56789ABCDEF0}"
GOOD = {
    "plain": head.request(b"x", correlation=GUID),
    "lower-case-guid": head.request(b"x", uri=URI.lower()),
    "escaped-braces": head.request(b"x", uri=URI.replace(b"{", b"%7B").replace(b"}", b"%7d")),
    "tenant": head.request(b"x", uri=URI + b"?tenantid=T-1"),
    "windows-order": fields(b"SSTPCORRELATIONID: " + GUID, LENGTH, HOST),
    "length-first": fields(LENGTH, HOST),
    "lower-case-names": fields(HOST.lower(), LENGTH.lower()),
    "no-blank-after-colon": fields(HOST.replace(b" ", b""), LENGTH.replace(b" ", b"")),
    "odd-correlation": head.request(b"x", correlation=b'"><b>\xff'),
    "long-correlation": head.request(b"x", correlation=b"a" * 4000),
    "unknown-fields": head.request(b"x", extra=[b"User-Agent: y", b"Cookie: z", b"X-A:", b"X-B: \t"]),
    "leading-zeros": head.request(b"x", correlation=b"{1-2-3-4}"),
}


@pytest.mark.parametrize("name", GOOD)
def test_good(bench, name):
    """Whatever the form of the request, the (strict) backend gets the one canonical form."""
    server, gate = bench.usual()
    bench.client(gate, head=GOOD[name]).establish("request")
    got = head.parse(server.wait_stage("answered").record.head.encode("latin-1"))
    assert got.line == head.METHOD + b" " + URI + b" HTTP/1.1"
    assert len(got.fields) <= 4
    assert {key.lower() for key, _ in got.fields} <= {b"host", b"content-length",
                                                      b"sstpcorrelationid"}
    if name == "plain":
        assert got.all(b"sstpcorrelationid") == [GUID]
    if "correlation" in name:
        assert got.all(b"sstpcorrelationid") == []


def test_forged_log_line(bench):
    """Text of a client stays inside its value."""
    _, gate = bench.usual()
    evil = b'a" reason=shutdown user="x'
    bench.client(gate, head=head.request(b"x", correlation=evil)).establish("request").close()
    call = gate.wait_call()
    assert call["correlation"] == evil.decode()
    assert call["reason"] == "client-closed"


def test_head_octet_by_octet(bench):
    _, gate = bench.usual()
    bench.client(gate, head_pieces=1).establish().ping().disconnect()


def test_head_in_two_records(bench):
    _, gate = bench.usual()
    octets = head.request(b"vpn.example.com")
    for at in [*range(1, len(octets) - 4, 17), *range(len(octets) - 4, len(octets))]:
        client = bench.client(gate, head=octets).open().secure()
        client.wire.write(octets[:at])
        client.wire.write(octets[at:])
        assert client.read_answer().status == 200
        client.close()


@pytest.mark.parametrize("dialect", ["strict", "sorz"])
@pytest.mark.parametrize("pieces", [0, 1])
def test_pipelined(bench, dialect, pieces):
    """Bytes after the head wait for the backend's 200, because sorz would discard them."""
    early = sstp.connect_request()
    server, gate = bench.usual(dialect=dialect, echoes_early=False)
    client = bench.client(gate, early=early, head_pieces=pieces).open().secure().ask()
    client.start(request=False).authenticate().connect().bring_up().ping().disconnect()
    record = server.wait_over()
    assert record.early == 0
    assert record.verdict == "ok"


@pytest.mark.long
def test_too_much_early(bench):
    """A client cannot fill the gate's memory before it is admitted."""
    server = bench.backend(hooks={"request": lambda call: server.go.wait()})
    gate = bench.gate(server)
    flood = sstp.connect_request() + sstp.data(b"\xff\x03\xc0\x21" + bytes(1000)) * 32000
    client = bench.client(gate).open().secure()
    base = gate.rss()
    client.send_request()
    server.wait_stage("request")
    client.wire.sock.settimeout(2)
    with pytest.raises(OSError):  # the gate stops reading, or ends the call
        client.wire.write(flood)
    assert gate.rss() - base < 16 << 20
