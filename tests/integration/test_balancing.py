"""Several servers and backends: which server gets a call, which takes over, and what the log says."""

import collections
import signal
import socket
import threading
from types import SimpleNamespace

import pytest

from gate import run, with_hosts, write_config
from peers import head, sstp, tls
from peers.client import expect_failure
from peers.server import EndCall
from test_answer import nobody


def several(bench, count, knobs=(), **common):
    """Servers that present the same certificate; knobs: for each of them."""
    return [bench.backend(**common, **knob) for knob in [*knobs, *[{}] * (count - len(knobs))]]


def gate_before(bench, servers, words=(), gate=None, listener=None, **backend):
    """Starts a gate with these servers. words: the text after each server's address."""
    lines = [f"{server.address} {word}".strip() for server, word in
             zip(servers, [*words, *[""] * (len(servers) - len(words))])]
    return bench.gate(servers[0], gate=gate, listener=listener, backend={"server": lines, **backend})


def call(bench, gate, **knobs):
    return bench.client(gate, **knobs).establish()


def counts(servers):
    return [len(server.calls) for server in servers]


def down(gate, server):
    """Waits for the line that reports the server as down, and returns it."""
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
    """The client sees one answer, and the bytes that it sent too early arrive exactly once."""
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
    """Each server is tried once, and the last one determines the reason."""
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

def test_down_is_logged_once(bench):
    """After three consecutive failures the server is not tried until down-time has passed. The log has one line
    for each change."""
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
    """One call after down-time finds that the server is up."""
    bad, good = several(bench, 2, [dict(refuse=503)])
    gate = gate_before(bench, [bad, good], **{"down-time": "1ms", "fall": "1"})
    call(bench, gate).disconnect()
    down(gate, bad)
    bad.refuse = None
    call(bench, gate).disconnect()
    assert counts([bad, good]) == [2, 1]
    event = gate.wait_event("server", 1)
    assert (event["server"], event["state"], event.level) == (bad.address, "up", "info")
    assert event["cause"] == "a call succeeded"


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
], ids=["send-proxy", "pass-tenant"])
def test_a_client_brings_no_server_down(bench, key, head_octets):
    """A server may refuse one client or one tenant and still serve others."""
    bad, good = several(bench, 2, [dict(dialect="sorz", echoes_early=False, refuse=404)],
                        strict=False)
    gate = gate_before(bench, [bad, good], fall="1",
                       **({key: "v1"} if key == "send-proxy" else {key: "yes"}))
    if key == "send-proxy":
        expect_failure(bench.client(gate))  # the servers expect no header, so TLS fails
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
    """Two workers share one sequence of turns."""
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
    """Returns the server that has this client's call."""
    for server in servers:
        if any(known.nonce == client.nonce for known in server.calls):
            return server
    raise AssertionError("at none of them")


def home(bench, gate, servers, address):
    """Returns the server that gets a call from this address."""
    before = counts(servers)
    bench.client(gate, bind=address).establish("request")
    risen = [after - was for was, after in zip(before, counts(servers))]
    return risen.index(max(risen))


def test_source(bench):
    """One address always gets the same server, in any worker; another one while that server is down, and then
    the first again."""
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
    """A full server is skipped. If all are full, the client gets a 503. A place that becomes free is used
    again."""
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
    """No place is given twice, whatever the client and the worker."""
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
    """A reload keeps the state of each server, and its number of calls."""
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
    """Three backends of one listener."""
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
    assert "tenantid" not in servers[name].wait_over().head  # no backend has pass-tenant


def test_pass_tenant(bench):
    """Only a backend with pass-tenant gets the tenant, unchanged."""
    server = bench.backend(strict=False)
    gate = bench.gate(server, backend={"pass-tenant": "yes"})
    call(bench, gate, head=asks(b"{5A6C%2d0b4e}")).disconnect()
    call(bench, gate).disconnect()
    uris = [server.wait_over(number).head.split(" ")[1] for number in range(2)]
    assert uris == [head.URI.decode() + "?tenantid={5A6C%2d0b4e}", head.URI.decode()]


# -- checks --

def states(gate):
    """Returns a dict from address to state, from `ctl servers`."""
    done = run("ctl", "-c", gate.config, "servers")
    assert done.returncode == 0, done.stderr
    return {line.split()[0].split("/")[1]: line.split()[1] for line in done.stdout.splitlines()}


def admin():
    admin.count += 1
    return {"admin": f"unix:backends-{admin.count}.sock"}


admin.count = 0

def hints(call):
    call.wire.write(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")


HEAD_STATUS = {"rras": "401", "softether": "404", "accel-ppp": "501", "ogital": "400"}
CHECKS = {
    "tcp-silent": ("tcp", {}, dict(hooks={"accepted": lambda call: call.server.go.wait()}), "up"),
    "tls": ("tls", {}, {}, "up"),
    "tls-fin": ("tls", {}, dict(hooks={"accepted": leave("fin")}), "check: tls: closed"),
    "tls-pin": ("tls", {"pin-sha256": "00" * 32}, {}, "check: verify: no pin matches"),
    **{f"http-{name}": ("http", {}, dict(dialect=name), "up") for name in HEAD_STATUS},
    "http-sorz": ("http", {}, dict(dialect="sorz"), "check: answer: closed"),
    "http-interim": ("http", {"check-statuses": "401"}, dict(dialect="rras", hooks={"request": hints}), "up"),
    "sstp-interim": ("sstp", {}, dict(hooks={"request": hints}), "up"),
    "http-503": ("http", {}, dict(dialect="rras", head_status=503), "check: answer: status 503"),
    **{f"http-only-{name}": ("http", {"check-statuses": status}, dict(dialect=name), "up")
       for name, status in HEAD_STATUS.items()},
    "http-only-401": ("http", {"check-statuses": "401"}, dict(dialect="softether"),
                      "check: answer: status 404"),
    **{f"sstp-{name}": ("sstp", {}, dict(dialect=name), "up")
       for name in ["strict", "rras", "accel-ppp", "softether", "sorz", "ogital"]},
    **{f"sstp-{status}": ("sstp", {}, dict(refuse=status), f"check: answer: status {status}")
       for status in (401, 404, 503)},
    "sstp-wanted-503": ("sstp", {"check-statuses": "500-599"}, dict(refuse=503), "up"),
    "sstp-nonsense": ("sstp", {}, FAILURES["nonsense"], "check: answer: not HTTP"),
    "sstp-silent": ("sstp", {}, dict(hooks={"request": lambda call: call.server.go.wait()}),
                    "check: answer: timed out"),
    "tls-silent": ("tls", {}, dict(hooks={"accepted": lambda call: call.server.go.wait()}),
                   "check: tls: timed out"),
}


@pytest.mark.calm
def test_probes(bench):
    """One gate checks all servers at the same time; each is a backend of its own."""
    sections, servers = {"gate": {"workers": 2, "timeout-connect": "1s", **admin()},
                         "listener front": bench.listener_keys(backend="tls")}, {}
    for name, (check, keys, knobs, _) in CHECKS.items():
        servers[name] = bench.backend(**knobs)
        sections[f"backend {name}"] = bench.backend_keys(servers[name], check=check, **keys)
    servers["nobody"] = SimpleNamespace(address=nobody(), cert=bench.place.back, context=True)
    sections["backend nobody"] = bench.backend_keys(servers["nobody"], check="tcp")
    wanted = {name: case[-1] for name, case in CHECKS.items()} | {
        "nobody": "check: connect: connection refused"}
    gate = bench.start(sections)
    bad = {name for name, state in wanted.items() if state != "up"}
    gate.wait(lambda: {e["backend"] for e in gate.events("server")} >= bad, "all that are down")
    for name in wanted.keys() - bad:  # the server was asked, and has answered
        if name != "tcp-silent":
            servers[name].wait_over()
    downs = {e["backend"]: e for e in gate.events("server")}
    assert set(downs) == bad and len(gate.events("server")) == len(bad)
    for name in bad:
        assert downs[name]["state"] == "down" and downs[name]["cause"].startswith(wanted[name]), name
    assert states(gate) == {server.address: "down" if name in bad else "up"
                            for name, server in servers.items()}


def test_check_sends_only_the_request(bench):
    """A check sends the request of a call and ends cleanly: a server has nothing to log as an error."""
    server = bench.backend()
    bench.gate(server, backend={"check": "sstp", "backend-host": "vpn.internal"})
    record = server.wait_over()
    assert head.check_request(head.parse(record.head.encode())) is None
    assert "Host: vpn.internal" in record.head and "CORRELATION" not in record.head
    assert (record.stage, record.end, record.seen) == ("answered", "close-notify", [])


def test_checks_bring_up(bench):
    """Checks, without a call, set the server to down, then no call gets it; `rise` checks set it to up."""
    server = bench.backend(refuse=503)
    gate = bench.gate(server, gate=admin(), backend={"check": "sstp", "check-interval": "1s"})
    down(gate, server)
    asked = len(server.calls)
    assert expect_failure(bench.client(gate)).status == 503
    assert (end := gate.wait_call())["reason"] == "no-server" and end["detail"] == "1 down"
    line = run("ctl", "-c", gate.config, "servers").stdout
    assert line.startswith(f"back/{server.address} down tunnels=0 weight=1 check=sstp down-since=")
    assert 'cause="check: answer: status 503"' in line
    server.refuse = None
    up = gate.wait_event("server", 1)
    assert (up["state"], up["cause"]) == ("up", "check")
    server.wait(lambda: sum(call.record.stage == "answered" for call in server.calls[asked:]) >= 2)
    call(bench, gate).ping()
    assert changes(gate) == [(server.address, "down"), (server.address, "up")]


def test_calls_count_as_checks_do(bench):
    """The server accepts connections, but refuses calls."""
    bad, good = several(bench, 2, [dict(refuse=503)])
    gate = gate_before(bench, [bad, good], check="tcp", fall="2", **{"check-interval": "1h"})
    bad.wait_over(), good.wait_over()  # the first checks
    for _ in range(4):
        call(bench, gate).disconnect()
    assert counts([bad, good]) == [3, 5]
    assert down(gate, bad)["cause"] == "answer: status 503 instead of 200"


def test_checks_speak_proxy(bench):
    """The header has addresses, because some servers take a header without addresses for an error."""
    received = []
    with socket.create_server(("127.0.0.1", 0)) as listening:
        keys = {"server": "127.0.0.1:%d" % listening.getsockname()[1], "send-proxy": "v1"}
        bench.gate(bench.backend(), backend={**keys, "check": "tls"})
        sock, peer = listening.accept()
        with sock:
            sock.settimeout(tls.DEADLINE)
            received = sock.recv(4096)
    assert received.startswith(b"PROXY TCP4 127.0.0.1 127.0.0.1 %d %d\r\n" %
                            (peer[1], listening_port(keys)))


def listening_port(keys):
    return int(keys["server"].rpartition(":")[2])


def test_checks_across_reloads(bench):
    """A reload at any moment of a check ends the check without harm, and the next check follows."""
    server = bench.backend(hooks={"request": lambda call: call.server.go.wait()})
    keys = {"gate": {"workers": 2}, "listener front": bench.listener_keys(),
            "backend back": bench.backend_keys(server, check="sstp")}
    gate = bench.start(keys)
    for number in range(3):
        server.wait_stage("request", number)
        gate.reload()
    server.go.set()
    del server.hooks["request"]
    server.wait(lambda: any(call.record.stage == "answered" for call in server.calls))
    keys["backend back"]["check"] = "no"
    write_config(gate.config, keys)
    gate.reload()
    call(bench, gate).ping()
    assert gate.events("server") == []


def test_checks_end_with_the_gate(bench):
    """A check in progress does not delay the end."""
    server = bench.backend(hooks={"request": lambda call: call.server.go.wait()})
    gate = bench.gate(server, gate={"timeout-connect": "1h"}, backend={"check": "sstp"})
    server.wait_stage("request")
    gate.signal(signal.SIGQUIT)
    assert gate.wait_exit() == 0


# -- draining --

def ctl(gate, *words):
    done = run("ctl", "-c", gate.config, *words)
    return done.returncode, (done.stdout + done.stderr).strip()


def test_drain_and_ready(bench):
    """A drained server gets no new calls, and tunnels that are up stay; a reload keeps the drain."""
    servers = several(bench, 2)
    gate = gate_before(bench, servers, gate={"workers": 2, **admin()})
    client = call(bench, gate)
    assert ctl(gate, "drain", f"back/{servers[0].address}") == (0, "")
    gate.wait_event("server")
    assert changes(gate) == [(servers[0].address, "drain")]
    assert ctl(gate, "drain", f"back/{servers[0].address}") == \
        (1, "sstpgate ctl: the server is already drained")
    assert ctl(gate, "servers")[1].splitlines() == [
        f"back/{servers[0].address} drain tunnels=1 weight=1 check=no",
        f"back/{servers[1].address} up tunnels=0 weight=1 check=no"]
    gate.reload()
    call(bench, gate)
    client.ping().disconnect()
    gate.wait_call()
    assert counts(servers) == [1, 1]
    assert ctl(gate, "drain", f"back/{servers[1].address}") == (0, "")
    assert expect_failure(bench.client(gate)).status == 503
    assert gate.wait_call(1)["detail"] == "2 drained"
    assert ctl(gate, "ready", f"back/{servers[0].address}") == (0, "")
    call(bench, gate).ping()
    assert counts(servers) == [2, 1]


def test_servers_are_listed(bench):
    """In the order of the file, with their options."""
    servers = several(bench, 2) + [bench.backend(listen=("::1", 0))]
    gate = gate_before(bench, servers, ["weight 3 max-tunnels 9", "backup", ""], gate=admin(),
                       balance="leastconn", check="tcp", **{"check-interval": "1h"})
    call(bench, gate)
    assert ctl(gate, "servers")[1].splitlines() == [
        f"back/{servers[0].address} up tunnels=1/9 weight=3 check=tcp",
        f"back/{servers[1].address} up tunnels=0 weight=1 backup check=tcp",
        f"back/[::1]:{servers[2].port} up tunnels=0 weight=1 check=tcp"]


@pytest.mark.parametrize("name, answer", [
    ("nobody/127.0.0.1:1", "no such backend"), ("back", "no such server"),
    ("back/", "no such server"), ("back/127.0.0.1", "no such server"),
    ("back/127.0.0.1:1", "no such server"), ("bac/127.0.0.1:1", "no such backend"),
])
def test_drain_of_an_unknown_server(shared_pair, name, answer):
    for word in ("drain", "ready"):
        code, text = ctl(shared_pair, word, name)
        assert code == 1 and answer in text


@pytest.fixture(scope="module")
def shared_pair(shared):
    return gate_before(shared, several(shared, 2), gate=admin())


def test_drain_by_host_alone(bench):
    server = bench.backend()
    gate = bench.gate(server, gate=admin())
    assert ctl(gate, "drain", "back/127.0.0.1") == (0, "")
    assert states(gate) == {server.address: "drain"}


# -- certificates of the servers --

def show(server, cert):
    """Lets the server present this certificate from now on, and expect it in the binding."""
    server.context = tls.server_context(cert.cert, cert.key)
    server.hashes = {protocol: sstp.cert_hash(protocol, cert.der)
                     for protocol in (sstp.SHA1, sstp.SHA256)}


def test_certificate_changes_between_calls(bench):
    """The hash is that of the leaf that was presented on the same connection."""
    place = bench.place
    server = bench.backend()
    gate = bench.gate(server, backend={"pin-sha256": [place.back.sha256, place.back_ca.sha256]})
    for number, cert in enumerate([place.back, place.back_ca, place.back]):
        show(server, cert)
        call(bench, gate).ping().disconnect()
        record = server.wait_over(number)
        assert (record.verdict, record.leaf_hash) == ("ok", cert.sha256)


def test_pin_of_the_new_one_is_in_the_log(bench):
    """The log has a line that can be pasted into the configuration; with it the next call succeeds."""
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
    """A name resolves to another address without a reload."""
    first = bench.backend(listen=("127.0.0.21", 0))
    second = bench.backend(listen=("127.0.0.22", first.port))
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.0.21 sstp.test\n")
    gate = bench.start(
        {"gate": {"workers": 1}, "listener front": bench.listener_keys(),
         "backend back": bench.backend_keys(first, server=f"sstp.test:{first.port}")},
        before=with_hosts(hosts))
    call(bench, gate).ping().disconnect()
    hosts.write_text("127.0.0.22 sstp.test\n")
    call(bench, gate).ping().disconnect()
    hosts.write_text("127.0.0.23 sstp.test\n127.0.0.21 sstp.test\n")
    call(bench, gate).ping().disconnect()
    assert counts([first, second]) == [2, 1]
    assert [gate.wait_call(n)["server"] for n in range(3)] == [first.address, second.address,
                                                             first.address]


def test_name_is_resolved_for_each_check(bench, tmp_path):
    """First the name resolves to an address without a server, then to a server."""
    server = bench.backend(listen=("127.0.0.21", 0))
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.0.23 sstp.test\n")
    gate = bench.start(
        {"gate": {"workers": 1}, "listener front": bench.listener_keys(),
         "backend back": bench.backend_keys(server, server=f"sstp.test:{server.port}", check="tls",
                                            check_interval="1s")},
        before=with_hosts(hosts))
    assert gate.wait_event("server")["cause"] == "check: connect: connection refused"
    hosts.write_text("127.0.0.21 sstp.test\n")
    event = gate.wait_event("server", 1)
    assert (event["server"], event["state"]) == (f"sstp.test:{server.port}", "up")
