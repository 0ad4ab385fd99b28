"""Several servers, several backends: who gets a call, who takes over, who is told."""

import collections
import threading

import pytest

from gate import write_config
from peers import head, sstp, tls
from peers.client import Client, expect_failure
from peers.server import EndCall
from test_answer import nobody, talker  # noqa: F401 (a fixture)


def several(bench, count, knobs=(), **common):
    """Servers that show the same certificate; knobs: for each of them."""
    return [bench.backend(**common, **knob) for knob in [*knobs, *[{}] * (count - len(knobs))]]


def gate_before(bench, servers, words=(), gate=None, listener=None, **backend):
    """words: behind each server's address."""
    lines = [f"{server.address} {word}".strip() for server, word in
             zip(servers, [*words, *[""] * (len(servers) - len(words))])]
    return bench.gate(servers[0], gate=gate, listener=listener, backend={"server": lines, **backend})


def call(bench, gate, **knobs):
    return bench.client(gate, **knobs).establish()


def counts(servers):
    return [len(server.calls) for server in servers]


def down(gate, server):
    """The line that says so, when it is there."""
    return gate.wait(lambda: next((e for e in gate.events("server") if e["state"] == "down" and
                                   e["server"] == server.address), None), f"{server.address} down")


def changes(gate):
    return [(event["server"], event["state"]) for event in gate.events("server")]


# -- a server that fails before its 200 --

def leave(how):
    def hook(call):
        raise EndCall("hook", how)
    return hook


def say(octets):
    def hook(call):
        call.wire.write(octets)
        raise EndCall("hook")
    return hook


FAILURES = {
    **{f"{stage}-{how}": dict(hooks={stage: leave(how)})
       for stage in ("accepted", "tls", "request") for how in ("fin", "rst")},
    "request-clean": dict(hooks={"request": leave("clean")}),
    "401": dict(refuse=401), "404": dict(refuse=404), "503": dict(refuse=503),
    "nonsense": dict(hooks={"request": say(b"\0\1\2\3nonsense\r\n\r\n")}),
    "half": dict(hooks={"request": say(b"HTTP/1.1 20")}),
}


@pytest.mark.parametrize("name", FAILURES)
def test_the_next_takes_over(bench, name):
    """The client sees one answer, and what it sent too early arrives, once."""
    bad, good = several(bench, 2, [FAILURES[name]])
    gate = gate_before(bench, [bad, good])
    client = bench.client(gate, early=sstp.connect_request())
    client.open().secure().ask().start(request=False).authenticate().connect().bring_up().ping()
    client.disconnect()
    record = good.wait_over()
    assert record.verdict == "ok" and record.early == 0
    assert record.seen.count("connect-request") == 1
    bad.wait_over()
    assert len(bad.calls) == 1
    assert (end := gate.wait_call())["server"] == good.address and end["reason"] == "client-disconnect"
    assert gate.wait_event("backend")["server"] == bad.address


@pytest.mark.parametrize("stage", ["accepted", "request"])
def test_the_next_takes_over_from_a_silent_one(bench, stage):
    bad, good = several(bench, 2, [dict(hooks={stage: lambda call: call.server.go.wait()})])
    gate = gate_before(bench, [bad, good], gate={"timeout-connect": "1s", "timeout-answer": "1s"})
    call(bench, gate).ping().disconnect()
    assert good.wait_over().verdict == "ok"


def test_all_fail(bench):
    """Each is tried once, and the latest says why."""
    servers = several(bench, 3, [dict(refuse=404), dict(hooks={"tls": leave("rst")}),
                                 dict(refuse=500)])
    gate = gate_before(bench, servers)
    assert expect_failure(bench.client(gate)).status == 503
    assert gate.wait_call()["reason"] == "backend-refused"
    assert counts(servers) == [1, 1, 1]


def test_one_that_dies_later_ends_its_calls(bench):
    servers = several(bench, 2, [dict(hooks={"up": lambda call: call.server.go.wait()})])
    gate = gate_before(bench, servers)
    client = bench.client(gate).establish("connected")
    servers[0].calls[0].sock.shutdown(2)
    failure = expect_failure(client, "connected")
    assert failure.end
    assert gate.wait_call()["reason"] in ("backend-closed", "backend-tls", "backend-reset")
    assert len(servers[1].calls) == 0


# -- down, without checks --

def test_down_is_told_once(bench):
    """Three failures in a row: it is left alone until it is tried again. One line for each change."""
    bad, good = several(bench, 2, [dict(refuse=503)])
    gate = gate_before(bench, [bad, good], **{"down-time": "1h"})
    for _ in range(5):
        call(bench, gate).disconnect()
    assert counts([bad, good]) == [3, 5]
    event = down(gate, bad)
    assert event.level == "warning" and event["backend"] == "back"
    assert event["cause"] == "answer: status 503 instead of 200"
    assert changes(gate) == [(bad.address, "down")]


def test_up_again(bench):
    """One call after down-time finds it."""
    bad, good = several(bench, 2, [dict(refuse=503)])
    gate = gate_before(bench, [bad, good], **{"down-time": "1ms", "fall": "1"})
    call(bench, gate).disconnect()
    down(gate, bad)
    bad.refuse = None
    call(bench, gate).disconnect()
    assert counts([bad, good]) == [2, 1]
    event = gate.wait_event("server", 1)
    assert (event["server"], event["state"], event.level) == (bad.address, "up", "info")
    assert event["cause"] == "a call was answered"


def test_the_only_one_is_tried_always(bench):
    server = bench.backend(refuse=503)
    gate = bench.gate(server, backend={"fall": "1", "down-time": "1h"})
    for _ in range(3):
        assert expect_failure(bench.client(gate)).status == 503
    server.refuse = None
    call(bench, gate).ping().disconnect()
    gate.wait_event("server", 1)
    assert changes(gate) == [(server.address, "down"), (server.address, "up")]


@pytest.mark.parametrize("key, head_octets", [
    ("send-proxy", None),
    ("pass-tenant", head.request(b"vpn.example.com", uri=head.URI + b"?tenantid=nobody")),
])
def test_a_stranger_brings_nobody_down(bench, key, head_octets):
    """A server may refuse this client or this tenant, and serve others."""
    bad, good = several(bench, 2, [dict(dialect="sorz", echoes_early=False, refuse=404)],
                        strict=False)
    gate = gate_before(bench, [bad, good], fall="1",
                       **({key: "v1"} if key == "send-proxy" else {key: "yes"}))
    if key == "send-proxy":
        expect_failure(bench.client(gate))  # they speak no PROXY: TLS fails
    else:
        bench.client(gate, head=head_octets).establish("request")
    gate.wait_event("backend")
    assert gate.events("server") == []


# -- balance --

@pytest.mark.parametrize("words, calls, expected", [
    ((), 12, [4, 4, 4]),
    (("weight 4", "weight 2", ""), 14, [8, 4, 2]),
])
def test_roundrobin(bench, words, calls, expected):
    """Over two workers it is the same turn."""
    servers = several(bench, 3)
    gate = gate_before(bench, servers, words, gate={"workers": 2}, balance="roundrobin")
    for _ in range(calls):
        call(bench, gate).disconnect()
    assert counts(servers) == expected
    assert len({end["id"].split("-")[0] for end in
                (gate.wait_call(number) for number in range(calls))}) == 2


def test_leastconn(bench):
    servers = several(bench, 3)
    gate = gate_before(bench, servers, gate={"workers": 2}, balance="leastconn")
    clients = [call(bench, gate) for _ in range(6)]
    assert counts(servers) == [2, 2, 2]
    freed = gate_server(clients[1], servers)
    clients[1].disconnect()
    gate.wait_call()
    before = counts(servers)
    call(bench, gate)
    after = counts(servers)
    assert [b - a for a, b in zip(before, after)] == [int(s is freed) for s in servers]


def gate_server(client, servers):
    """Which of them this client's call is at."""
    for server in servers:
        if any(known.nonce == client.nonce for known in server.calls):
            return server
    raise AssertionError("at none of them")


def home(bench, gate, servers, address):
    """The server that gets a call from there."""
    before = counts(servers)
    bench.client(gate, bind=address).establish("request")
    risen = [after - was for was, after in zip(before, counts(servers))]
    return risen.index(max(risen))


def test_source(bench):
    """One address, one server, whatever the worker; when that goes, another one, and back."""
    servers = several(bench, 3)
    gate = gate_before(bench, servers, gate={"workers": 2}, balance="source",
                       **{"fall": "1", "down-time": "1ms"})
    homes = {address: home(bench, gate, servers, address)
             for address in [f"127.0.1.{n}" for n in range(1, 41)]}
    assert set(homes.values()) == {0, 1, 2}
    for address in [*homes][:8]:
        assert home(bench, gate, servers, address) == homes[address]
    moved = [address for address, found in homes.items() if found == 0][0]
    stays = [address for address, found in homes.items() if found == 1][0]
    servers[0].refuse = 503
    client = call(bench, gate, bind=moved)
    assert gate_server(client, servers) is not servers[0]
    assert gate_server(call(bench, gate, bind=stays), servers) is servers[1]
    servers[0].refuse = None
    assert gate_server(call(bench, gate, bind=moved), servers) is servers[0]


def test_backup(bench):
    main, spare = several(bench, 2)
    gate = gate_before(bench, [spare, main], ["backup"], **{"fall": "1", "down-time": "1ms"})
    call(bench, gate).disconnect()
    assert counts([main, spare]) == [1, 0]
    main.refuse = 503
    call(bench, gate).disconnect()
    assert counts([main, spare]) == [2, 1]
    main.refuse = None
    call(bench, gate).disconnect()
    assert counts([main, spare]) == [3, 1]


def test_max_tunnels(bench):
    """The full one is passed over; when all are full it is 503, and a place that is left is given."""
    servers = several(bench, 2)
    gate = gate_before(bench, servers, ["max-tunnels 1", "max-tunnels 2"], gate={"workers": 2})
    clients = [call(bench, gate) for _ in range(3)]
    assert counts(servers) == [1, 2]
    assert expect_failure(bench.client(gate)).status == 503
    end = gate.wait_call()
    assert (end["reason"], end["detail"], end["server"]) == ("no-server", "2 full", "-")
    assert gate.wait_event("backend")["msg"] == "2 full"
    clients[0].disconnect()
    gate.wait_call(1)
    call(bench, gate)
    assert counts(servers) == [2, 2]


def test_a_failed_try_gives_its_place_back(bench):
    bad, good = several(bench, 2, [dict(refuse=503)])
    gate = gate_before(bench, [bad, good], ["max-tunnels 1"])
    client = call(bench, gate)
    bad.refuse = None
    call(bench, gate).ping()
    assert counts([bad, good]) == [2, 1]
    client.ping()


def test_many_at_once(bench):
    """Places are not given twice, whoever comes on whatever worker."""
    servers = several(bench, 3)
    gate = gate_before(bench, servers, ["max-tunnels 5"] * 3, gate={"workers": 2},
                       balance="leastconn")
    clients = [bench.client(gate) for _ in range(20)]
    results = collections.Counter()

    def run(client):
        try:
            client.establish()
            results["up"] += 1
        except Exception as failure:  # noqa: BLE001 (its status is the result)
            results[getattr(failure, "status", failure)] += 1

    threads = [threading.Thread(target=run, args=(client,)) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {"up": 15, 503: 5}
    assert counts(servers) == [5, 5, 5]


# -- reload --

def test_reload_keeps_what_is_known(bench):
    """Who is down, and how many calls each has, is not forgotten."""
    bad, full, good = several(bench, 3, [dict(refuse=503)])
    keys = {"gate": {"workers": 2}, "listener front": bench.listener_keys(),
            "backend back": bench.backend_keys(bad, server=[
                bad.address, f"{full.address} max-tunnels 1", good.address],
                fall="1", down_time="1h")}
    gate = bench.start(keys)
    client = call(bench, gate)
    assert counts([bad, full, good]) == [1, 1, 0]
    keys["backend back"]["balance"] = "leastconn"
    write_config(gate.config, keys)
    assert gate.reload()[-1]["msg"].endswith("is in force")
    for _ in range(2):
        call(bench, gate).disconnect()
    assert counts([bad, full, good]) == [1, 1, 2]
    client.ping().disconnect()
    gate.wait_call(2)
    call(bench, gate)
    assert counts([bad, full, good])[0] == 1
    assert len(gate.events("server")) == 1


# -- routes --

def asks(tenant=None, host=b"vpn.example.com"):
    return head.request(host, uri=head.URI + (b"?tenantid=" + tenant if tenant else b""))


@pytest.fixture
def routed(bench):
    """Three backends behind one listener."""
    servers = {name: bench.backend() for name in ("one", "two", "rest")}
    gate = bench.start({
        "gate": {"workers": 2},
        "listener front": bench.listener_keys(backend="rest", use_backend=[
            "one host one.example.com", "two tenant Blue sni *.two.example",
            "one tenant blue address 127.0.0.2"]),
        **{f"backend {name}": bench.backend_keys(server) for name, server in servers.items()}})
    return gate, servers


@pytest.mark.parametrize("knobs, name", [
    (dict(), "rest"),
    (dict(host="one.example.com"), "one"),
    (dict(host="ONE.example.com."), "one"),
    (dict(sni="one.example.com"), "rest"),
    (dict(head=asks(b"Blue"), sni="a.two.example"), "two"),
    (dict(head=asks(b"bLUE"), sni="a.two.example"), "two"),
    (dict(head=asks(b"Blue"), sni="two.example"), "rest"),
    (dict(head=asks(b"Blue")), "rest"),
    (dict(head=asks(b"Green"), sni="a.two.example"), "rest"),
    (dict(head=asks(b"Blue"), bind="127.0.0.2"), "one"),
    (dict(head=asks(b"Blue", b"one.example.com"), sni="a.two.example"), "one"),
], ids=range(11))
def test_route(bench, routed, knobs, name):
    gate, servers = routed
    call(bench, gate, **knobs).ping().disconnect()
    assert gate.wait_call()["backend"] == name
    assert {other: len(server.calls) for other, server in servers.items()} == \
        {other: int(other == name) for other in servers}
    assert "tenantid" not in servers[name].wait_over().head  # nobody wants it


def test_pass_tenant(bench):
    """To who wants it, as it was sent."""
    server = bench.backend(strict=False)
    gate = bench.gate(server, backend={"pass-tenant": "yes"})
    call(bench, gate, head=asks(b"{5A6C%2d0b4e}")).disconnect()
    call(bench, gate).disconnect()
    uris = [server.wait_over(number).head.split(" ")[1] for number in range(2)]
    assert uris == [head.URI.decode() + "?tenantid={5A6C%2d0b4e}", head.URI.decode()]


# -- certificates of the servers --

def show(server, cert):
    """From now on the server shows, and expects in the binding, this one."""
    server.context = tls.server_context(cert.cert, cert.key)
    server.hashes = {protocol: sstp.cert_hash(protocol, cert.der)
                     for protocol in (sstp.SHA1, sstp.SHA256)}


def test_certificate_changes_between_calls(bench):
    """The hash is that of the leaf which this very connection was shown."""
    place = bench.place
    server = bench.backend()
    gate = bench.gate(server, backend={"pin-sha256": [place.back.sha256, place.back_ca.sha256]})
    for number, cert in enumerate([place.back, place.back_ca, place.back]):
        show(server, cert)
        call(bench, gate).ping().disconnect()
        record = server.wait_over(number)
        assert (record.verdict, record.leaf_hash) == ("ok", cert.sha256)


def test_pin_of_the_new_one_is_in_the_log(bench):
    """Ready to paste: with that line the next call gets on."""
    place = bench.place
    server = bench.backend()
    keys = {"gate": {"workers": 1}, "listener front": bench.listener_keys(),
            "backend back": bench.backend_keys(server)}
    gate = bench.start(keys)
    show(server, place.evil)
    assert expect_failure(bench.client(gate)).status == 503
    pin = gate.wait_event("backend")["msg"].split("pin-sha256 = ")[1]
    assert pin == place.evil.sha256
    keys["backend back"]["pin-sha256"] = [keys["backend back"]["pin-sha256"], pin]
    write_config(gate.config, keys)
    gate.reload()
    call(bench, gate).ping().disconnect()
    assert server.wait_over(1).verdict == "ok"


# -- names --

def test_name_is_resolved_for_each_call(bench, tmp_path):
    """A name that leads somewhere else from now on, without a reload."""
    first = bench.backend(listen=("127.0.0.21", 0))
    second = bench.backend(listen=("127.0.0.22", first.port))
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.0.21 sstp.test\n")
    keys = {"gate": {"workers": 1}, "listener front": bench.listener_keys(),
            "backend back": bench.backend_keys(first, server=f"sstp.test:{first.port}")}
    gate = bench.start(keys, before=("unshare", "--mount", "sh", "-c",
                                     f'mount --bind {hosts} /etc/hosts && exec "$@"', "sh"))
    call(bench, gate).ping().disconnect()
    hosts.write_text("127.0.0.22 sstp.test\n")
    call(bench, gate).ping().disconnect()
    hosts.write_text("127.0.0.23 sstp.test\n127.0.0.21 sstp.test\n")
    call(bench, gate).ping().disconnect()
    assert counts([first, second]) == [2, 1]
    assert [gate.wait_call(n)["server"] for n in range(3)] == [first.address, second.address,
                                                             first.address]
