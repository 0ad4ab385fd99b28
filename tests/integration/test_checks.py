"""Health checks of the gate: no line `call` and no points, but a line `checks` with their number."""

import socket

import pytest

from peers import head, proxy
from test_fallback import Site
from test_request import HOST, fields, undated

KINDS = ("silent", "tls-only", "head", "path", "proxy")
HEAD = fields(HOST, first=b"HEAD " + head.URI + b" HTTP/1.1")
HEALTH = fields(b"Host: 192.0.2.1", first=b"GET /healthz HTTP/1.1")
PLACE = {"accept_proxy": "yes", "trusted_proxies": "127.0.0.9"}


def ask(bench, gate, octets, before=b"", **knobs):
    """Returns the answer with its body, without its date."""
    client = bench.client(gate, head=octets, **knobs).open()
    if before:
        client.wire.write(before)
    client.secure().send_request()
    client.read_answer()
    body = client.answer_rest
    while (more := client.wire.read_record()) is not None:
        body += more
    client.close()
    return undated(client.answer) + body


def only_look(bench, gate):
    socket.create_connection(gate.address()).close()


CHECKS = {  # the kind in the log, and what a load balancer or a monitor does
    "connects": ("silent", only_look),
    "connects and resets": ("silent", lambda b, g: b.client(g).open().close("rst")),
    "only a PROXY header": ("silent", lambda b, g: (
        (c := b.client(g, bind="127.0.0.9").open()).wire.write(proxy.v1(("198.51.100.7", 1), ("203.0.113.1", 443))),
        c.close())),
    "TLS": ("tls-only", lambda b, g: b.client(g).establish("tls").close()),
    "TLS and a reset": ("tls-only", lambda b, g: b.client(g).establish("tls").close("rst")),
    "TLS 1.2": ("tls-only", lambda b, g: b.client(g, tls_max="1.2").establish("tls").close()),
    "HEAD": ("head", lambda b, g: ask(b, g, HEAD)),
    "HEAD for a host that is not served": ("head", lambda b, g: ask(b, g, HEAD.replace(b"vpn", b"www"))),
    "the health path": ("path", lambda b, g: ask(b, g, HEALTH)),
    "HEAD of the health path": ("path", lambda b, g: ask(b, g, HEALTH.replace(b"GET", b"HEAD"))),
    "LOCAL": ("proxy", lambda b, g: (
        (c := b.client(g, bind="127.0.0.9").open()).wire.write(proxy.v2()), c.close())),
    "LOCAL and HEAD": ("proxy", lambda b, g: ask(b, g, HEAD, proxy.v2(), bind="127.0.0.9")),
    "LOCAL and OPTIONS": ("proxy", lambda b, g: ask(b, g, b"OPTIONS / HTTP/1.0\r\n\r\n", proxy.v2(), bind="127.0.0.9")),
    "UNKNOWN and no TLS": ("proxy", lambda b, g: (
        (c := b.client(g, bind="127.0.0.9").open()).wire.write(b"PROXY UNKNOWN\r\nGET / HTTP/1.0\r\n\r\n"),
        c.wait_end(), c.close())),
}


@pytest.mark.parametrize("name", CHECKS)
def test_one_line_for_all(bench, name):
    kind, check = CHECKS[name]
    gate = bench.gate(bench.backend(), gate={"ban_points": 1},
                      listener={**PLACE, "health_path": "/healthz", "host": "vpn.example.com"})
    for _ in range(3):
        check(bench, gate)
    bench.client(gate).establish().disconnect()
    line = gate.wait_event("checks")
    assert {key: line[key] != "0" for key in KINDS} == {key: key == kind for key in KINDS}
    assert gate.wait_call()["reason"] == "client-disconnect" and len(gate.events("call")) == 1
    assert not gate.events("ban")


def test_a_client_that_may_reject_the_certificate(bench):
    """A health check may end in the same way, so each address has one line a minute."""
    _, gate = bench.usual()
    for _ in range(3):
        bench.client(gate, sni="vpn.example.com").establish("tls").close()
    bench.client(gate, sni="vpn.example.com", bind="127.0.0.2").establish("tls").close()
    assert [gate.wait_call(number)["client"].rpartition(":")[0] for number in range(2)] == ["127.0.0.1", "127.0.0.2"]
    assert {call["reason"] for call in gate.events("call")} == {"client-rejected-certificate"}
    assert gate.wait_event("checks")["tls-only"] != "0" and len(gate.events("call")) == 2


def test_a_proxy_without_a_header(bench):
    gate = bench.gate(bench.backend(), listener=PLACE)
    bench.client(gate, bind="127.0.0.9").open().close()
    assert gate.wait_event("checks")["silent"] == "1"


STATUS = {  # the status of the gate's answer
    "HEAD": (HEAD, 401),
    "HEAD in HTTP/1.0": (HEAD.replace(b"1.1", b"1.0"), 401),
    "HEAD with an empty Host": (HEAD.replace(b" vpn.example.com", b""), 401),
    "HEAD with a tenant": (HEAD.replace(b"/ ", b"/?tenantid=t1 "), 401),
    "HEAD with an escape": (HEAD.replace(b"s", b"%73", 1), 401),
    "head in lower case": (HEAD.replace(b"HEAD", b"head"), 404),
    "GET for the URI of SSTP": (HEAD.replace(b"HEAD", b"GET"), 404),
    "health": (HEALTH, 200),
    "health with a query": (HEALTH.replace(b"z ", b"z?x=1 "), 200),
    "health by HEAD": (HEALTH.replace(b"GET", b"HEAD"), 200),
    "health by POST": (HEALTH.replace(b"GET", b"POST"), 404),
    "a longer path": (HEALTH.replace(b"z ", b"z/ "), 404),
    "another case": (HEALTH.replace(b"/h", b"/H"), 404),
}


@pytest.fixture(scope="module")
def gates(shared):
    server = shared.backend()
    return (shared.gate(server, listener={"health_path": "/healthz"}),
            shared.gate(server, listener={"health_path": "/healthz", "deny": "any action decoy"}))


@pytest.mark.parametrize("name", STATUS)
def test_answers(shared, gates, name):
    """A denied client gets the same answer as for any other URI."""
    octets, status = STATUS[name]
    answer = ask(shared, gates[0], octets)
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert answer.endswith(b"\r\n\r\n") == octets.startswith(b"HEAD")
    other = octets.replace(octets.split()[1], b"/x")
    assert ask(shared, gates[1], octets) == ask(shared, gates[1], other)


RULES = {  # the rules of a listener, whether HEAD gets 401
    "host": ({"host": "vpn.example.com"}, True),
    "another host": ({"host": "www.example.com"}, False),
    "a rule about the host": ({"deny": "host vpn.example.com"}, False),
    "a rule that resets": ({"deny": "host vpn.example.com action reset"}, False),
    "a rule about the tenant": ({"deny": "tenant t1"}, True),
    "a rule about a user": ({"deny": "user alice"}, True),
    "a dry run": ({"deny": "any", "mode": "dry-run"}, True),
}


@pytest.mark.parametrize("name", RULES)
def test_head_by_the_rules(bench, name):
    """401 only for a client whose call would be admitted; a refused check has no line of its own."""
    keys, admitted = RULES[name]
    gate = bench.gate(bench.backend(), listener=keys)
    for _ in range(2):
        assert ask(bench, gate, HEAD).startswith(b"HTTP/1.1 401 " if admitted else b"HTTP/1.1 404 ")
    assert gate.wait_event("checks")["head"] != "0"
    assert not gate.events("call")
    assert not gate.events("deny") or "mode" in keys


@pytest.mark.parametrize("pieces", [0, 1])
def test_before_a_web_site(bench, pieces):
    """The gate answers health checks, and the site all other requests, wherever the bytes are cut."""
    site = Site()
    bench.others.append(site)
    gate = bench.start({
        "gate": {"workers": 1},
        "listener front": bench.listener_keys(fallback="site", health_path="/healthz",
                                              deny="host other.example.com"),
        "backend back": bench.backend_keys(bench.backend()),
        "backend site": {"server": site.address, "tls": "no"}})
    close = [b"Connection: close"]
    mine = {HEAD: 401, HEALTH: 200}
    theirs = [HEAD.replace(b"vpn", b"other"), HEAD.replace(b"/ ", b"/x "), HEALTH.replace(b"z ", b"zz ")]
    for octets, status in mine.items():
        assert ask(bench, gate, octets, head_pieces=pieces).startswith(b"HTTP/1.1 %d " % status)
    for octets in theirs:
        octets = fields(*octets.split(b"\r\n")[1:-2], *close, first=octets.split(b"\r\n")[0])
        assert b"Bakery" in ask(bench, gate, octets, head_pieces=pieces)
    for n in range(len(theirs)):  # a visit, and any request may follow on its connection
        assert gate.wait_call(n)["stage"] == "web"
