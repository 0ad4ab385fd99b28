"""Limits on the number of tunnels and on the rate of connections, and bans (conf/OPERATION.md, bad input)."""

import contextlib
import re
import ssl

import pytest

from conftest import USERS
from gate import run
from peers import head, ppp, proxy
from peers.client import CallFailed
from peers.server import EndCall
from test_address import admitted, refused

GET = b"GET / HTTP/1.1\r\nHost: vpn.example.com\r\n\r\n"
MALFORMED = b"GET / HTTP/1.1\r\nHost: vpn.example.com\r\nHost: vpn.example.com\r\n\r\n"
BROKEN = b"\x11\x00\x00\x08\xff\x03\xc0\x21"  # a packet of another version


def with_socket(bench, **gate):
    return {"admin": f"unix:limits-{bench.count}.sock", **gate}


def ctl(gate, *command):
    done = run("ctl", "-c", gate.config, *command)
    return done.stdout


def hits(gate):
    """Returns the log lines that name this key; another line `limit` is about open files."""
    return [event for event in gate.events("limit") if "key" in event.fields]


def wait_hit(gate):
    return gate.wait(lambda: hits(gate), "limit with a key")[0]


def close(gate, client):
    """Ends the call and returns the reason in its line."""
    host, port = client.wire.sock.getsockname()
    client.close()
    find = lambda: [event for event in gate.events("call") if event["client"] == f"{host}:{port}"]
    return gate.wait(find, "call")[0]["reason"]


def misbehave(bench, gate, times=1, **knobs):
    """Sends a packet that no real client sends, after a request for SSTP: 5 points."""
    for _ in range(times):
        client = bench.client(gate, **knobs).establish("request")
        client.send(BROKEN)
        client.wait_end()
        assert close(gate, client) == "client-bad-packet"


def test_tunnels_of_an_address(bench):
    gate = bench.gate(bench.backend(), gate={"max_tunnels_per_address": 2})
    calls = [bench.client(gate, bind="127.0.0.5").establish() for _ in range(2)]
    refused(bench, gate, bind="127.0.0.5")
    event = wait_hit(gate)
    assert event["key"] == "max-tunnels-per-address"
    assert event["client"].startswith("127.0.0.5:")
    admitted(bench, gate, bind="127.0.0.6")
    close(gate, calls[0])
    admitted(bench, gate, bind="127.0.0.5")
    calls[1].ping()


def test_prefix_counts_as_one(bench):
    gate = bench.gate(bench.backend(), gate={"max_tunnels_per_address": 1,
                                             "address_prefix_ipv4": 24})
    bench.client(gate, bind="127.0.7.5").establish()
    refused(bench, gate, bind="127.0.7.6")
    admitted(bench, gate, bind="127.0.8.6")


def test_tunnels_of_a_user(bench):
    server = bench.backend(users={"alice": "sesame", "bob": USERS["bob"]})
    gate = bench.gate(server, gate={"max_tunnels_per_user": 1})
    first = bench.client(gate).establish()
    second = bench.client(gate, bind="127.0.0.9")
    with pytest.raises(CallFailed):
        second.establish().ping()
    hit = wait_hit(gate)
    assert (hit["key"], hit["user"]) == ("max-tunnels-per-user", "alice")
    assert close(gate, second) == "user-limit"
    bench.client(gate, user="bob", password=USERS["bob"]).establish().close()
    first.ping()
    close(gate, first)
    bench.client(gate).establish().close()


def test_letter_case_is_the_same_user(bench):
    server = bench.backend(users={"jürgen": "sesame", "JÜRGEN": "sesame"}, auth=("pap",))
    gate = bench.gate(server, gate={"max_tunnels_per_user": 1}, backend={"crypto_binding": "auto"})
    bench.client(gate, user="jürgen", auth=("pap",)).establish().ping()
    fails(bench.client(gate, user="JÜRGEN", auth=("pap",)), "establish")
    assert gate.wait_call()["reason"] == "user-limit"


@pytest.mark.parametrize("name", ["@example.com", "CORP\\", "CORP\\@example.com"])
def test_a_name_without_a_user_is_not_counted(bench, name):
    """The usual anonymous outer name (RFC 7542 2.4): any number at a time, any number in a row."""
    server = bench.backend(dialect="softether", auth=("peap",), users={name: "x"})
    gate = bench.gate(server, gate={"max-tunnels-per-user": 1}, backend={"crypto-binding": "off"})
    calls = [bench.client(gate, auth=("peap",), user=name).establish() for _ in range(3)]
    for number, call in enumerate(calls):
        call.ping().disconnect()
        assert gate.wait_call(number)["user"] == name.replace("\\", "\\x5c").replace("\\x5c", "\\")
    bench.client(gate, auth=("peap",), user=name).establish().ping().disconnect()


def test_another_realm_is_the_same_user(bench):
    names = ["alice@a", "alice@a@b", "CORP\\alice@a@@"]
    server = bench.backend(users=dict.fromkeys(names, "sesame"))
    gate = bench.gate(server, gate={"max_tunnels_per_user": 1}, backend={"crypto_binding": "auto"})
    bench.client(gate, user=names[0]).establish().ping()
    for number, name in enumerate(names[1:]):
        fails(bench.client(gate, user=name), "establish")
        assert gate.wait_call(number)["reason"] == "user-limit"


def fails(client, *steps):
    with pytest.raises(CallFailed):
        for step in steps or ("establish", "ping"):
            getattr(client, step)()
    client.close()


def test_every_count_is_back_at_zero(bench):
    """Calls end in every way. The gate checks its counts when it stops: if a count has leaked, the exit status
    is not 0."""
    server = bench.backend(dialect="softether", auth=("mschapv2", "peap"),
                           users={"alice": "sesame", "@example.com": "x", "CORP\\": "x"})
    gate = bench.gate(server, gate=with_socket(bench, max_tunnels_per_user=1, max_tunnels_per_address=20,
                                               handshake_rate="1000/s", ban_points=1000),
                      backend={"crypto-binding": "auto"})
    ways = ["disconnect", "clean", "fin", "rst"]
    for way in ways:
        for knobs in ({}, {"auth": ("peap",), "user": "@example.com"}, {"auth": ("peap",), "user": "CORP\\"}):
            client = bench.client(gate, **knobs).establish().ping()
            count = len(gate.events("call"))
            client.disconnect() if way == "disconnect" else client.close(way)
            gate.wait_call(count)
    first = bench.client(gate).establish().ping()
    fails(bench.client(gate))                                       # max-tunnels-per-user
    fails(bench.client(gate, user="CORP\\alice"))                   # unknown to the server
    bench.client(gate, auth=("peap",), user="alice").establish().close("rst")  # an outer name is not counted
    fails(bench.client(gate, password="wrong"))
    fails(bench.client(gate, tamper="mac", user="bob"))
    for head_ in (MALFORMED, GET):
        bench.client(gate, head=head_).open().secure().send_request().read_answer()
    bench.client(gate).open().close("rst")
    bench.client(gate).establish("authenticate").close("rst")
    for client in bench.clients:
        client.close()
    gate.wait(lambda: "calls: 0" in ctl(gate, "status"), "status without calls")
    assert re.search(r"\b0$|tunnels[ =:]0", ctl(gate, "servers"), re.M), ctl(gate, "servers")
    assert first.stage
    gate.stop()


def test_rate(bench):
    gate = bench.gate(bench.backend(), gate={"handshake_rate": "2/h"})
    for _ in range(2):
        admitted(bench, gate)
    for _ in range(3):
        refused(bench, gate)
    assert wait_hit(gate)["key"] == "handshake-rate"
    assert len(hits(gate)) <= 2  # one a second


def test_rate_of_an_address(bench):
    gate = bench.gate(bench.backend(), gate={"handshake_rate_per_address": "1/h"})
    admitted(bench, gate, bind="127.0.0.5")
    refused(bench, gate, bind="127.0.0.5")
    assert wait_hit(gate)["key"] == "handshake-rate-per-address"
    admitted(bench, gate, bind="127.0.0.6")


def test_broken_packets_end_in_a_ban(bench):
    gate = bench.gate(bench.backend(), gate=with_socket(bench, ban_points=10, ban_time="1h"))
    up = bench.client(gate, bind="127.0.0.5").establish()
    misbehave(bench, gate, 2, bind="127.0.0.5")
    ban = gate.wait_event("ban")
    assert ban["client"].startswith("127.0.0.5:") and ban["seconds"] == "3600"
    refused(bench, gate, bind="127.0.0.5")
    assert wait_hit(gate)["key"] == "ban-points"
    admitted(bench, gate, bind="127.0.0.6")
    up.ping()  # tunnels that are up stay
    address, left = ctl(gate, "bans").split()
    assert address == "127.0.0.5" and 3590 <= int(left) <= 3600
    assert ctl(gate, "unban", "127.0.0.5").startswith("1 ")
    assert ctl(gate, "bans") == ""
    admitted(bench, gate, bind="127.0.0.5")


@pytest.mark.parametrize("auth", ["mschapv2", "pap", "chap-md5", "eap-mschapv2"])
def test_failed_logins_end_in_a_ban(bench, auth):
    server = bench.backend(auth=[auth])
    gate = bench.gate(server, gate={"ban_points": 20}, backend={"crypto_binding": "auto"})
    for _ in range(2):
        with pytest.raises(CallFailed):
            bench.client(gate, auth=(auth,), password="wrong", bind="127.0.0.5").establish()
    gate.wait_event("ban")
    refused(bench, gate, bind="127.0.0.5")
    bench.client(gate, auth=(auth,), bind="127.0.0.6").establish("authenticate")


def is_refusal(protocol, packet):
    """Returns whether the frame is PAP's Nak, CHAP's Failure, EAP's Failure or that of EAP-MSCHAPv2."""
    inner = protocol == ppp.EAP and packet[0] == 1 and packet[4:6] == b"\x1a\x04"
    return inner or packet[0] == {ppp.PAP: 3, ppp.CHAP: 4, ppp.EAP: 4}[protocol]


def frame_and_end(protocol, code, ident, data=b""):
    def run(call):
        call.send_frame(ppp.frame(protocol, ppp.Control(code, ident, data).build()))
        raise EndCall("no", "clean")
    return run


def end(call):
    raise EndCall("no", "clean")


def reset(call):
    raise EndCall("no", "rst")


REFUSALS = {  # actions of a server instead of a refusal by PPP
    "disconnect": lambda call: call.disconnect(),  # SoftEther, for PAP
    "abort": lambda call: call.abort("no"),
    "end of the stream": end,
    "reset": reset,
    "terminate": frame_and_end(ppp.LCP, 5, 9),
    "bare EAP Failure": frame_and_end(ppp.EAP, 4, 9),  # FreeRADIUS without send_error
    "another identifier": frame_and_end(ppp.CHAP, 4, 0xee, b"E=691 R=0"),
}


@pytest.mark.parametrize("auth, form", [
    *[(auth, form) for auth in ("mschapv2", "pap", "chap-md5", "eap-mschapv2")
      for form in ("disconnect", "abort", "end of the stream", "reset", "terminate")],
    ("eap-mschapv2", "bare EAP Failure"), ("mschapv2", "another identifier")])
def test_every_form_of_refusal_counts(bench, auth, form):
    """The end of a login counts, whatever the form of the refusal: a guess costs the same at every server."""
    def refuse(call):
        say = call.link.auth._send
        call.link.auth._send = lambda protocol, packet: (
            REFUSALS[form](call) if is_refusal(protocol, packet) else say(protocol, packet))

    server = bench.backend(auth=[auth], hooks={"lcp": refuse})
    gate = bench.gate(server, gate={"ban_points": 10}, backend={"crypto_binding": "auto"})
    fails(bench.client(gate, auth=(auth,), password="wrong", bind="127.0.0.5"), "establish")
    gate.wait_event("ban")
    assert gate.wait_call()["login-failures"] == "1"
    refused(bench, gate, bind="127.0.0.5")


def refuse_later(call):
    """Delays the answer to a wrong password, as a RADIUS server that delays its Reject. An LCP Echo-Request is
    sent instead, which tells the client that the server has read the password."""
    say = call.link.auth._send
    call.link.auth._send = lambda protocol, packet: (
        call.link.lcp.send(ppp.ECHO_REQ, 1, bytes(4)) if is_refusal(protocol, packet)
        else say(protocol, packet))


def guess(bench, gate, auth):
    """Sends a wrong password; returns when the server has read it and not answered."""
    client = bench.client(gate, auth=(auth,), password="wrong", bind="127.0.0.5").establish("start")
    received, take = [], client.link.on_frame
    client.link.on_frame = lambda frame: (received.append(ppp.parse_frame(frame)), take(frame))
    client.link.start()
    client.until(lambda: any(protocol == ppp.LCP and body[0] == ppp.ECHO_REQ
                             for protocol, body in received))
    return client


METHODS = ["mschapv2", "pap", "chap-md5", "eap-mschapv2"]


@pytest.mark.parametrize("how", ["clean", "fin", "rst"])
@pytest.mark.parametrize("auth", METHODS)
def test_a_guess_without_its_refusal_counts(bench, auth, how):
    """A right password gets its Success at once, so an attacker need not wait for the refusal."""
    gate = bench.gate(bench.backend(auth=[auth], hooks={"lcp": refuse_later}),
                      gate={"ban_points": 10}, backend={"crypto_binding": "auto"})
    guess(bench, gate, auth).close(how)
    assert gate.wait_call()["login-failures"] == "1"
    gate.wait_event("ban")


@pytest.mark.parametrize("auth", METHODS)
def test_a_guess_that_lcp_cuts_off_counts(bench, auth):
    server = bench.backend(auth=[auth], hooks={"lcp": refuse_later})
    gate = bench.gate(server, gate={"ban_points": 20}, backend={"crypto_binding": "auto"})
    client = guess(bench, gate, auth)
    client.link.restart()
    client.wait_end()
    client.close()
    call = gate.wait_call()
    assert (call["reason"], call["login-failures"]) == ("backend-out-of-place", "1")


def test_a_name_is_no_guess(bench):
    """The client sends only its name and leaves, as Windows does when its user cancels the dialog."""
    def name_only(call):
        say = call.link.auth._send
        call.link.auth._send = lambda protocol, packet: (
            say(protocol, packet) if packet[4:5] == b"\1" else call.link.lcp.send(ppp.ECHO_REQ, 1, bytes(4)))

    server = bench.backend(auth=["eap-mschapv2"], hooks={"lcp": name_only})
    gate = bench.gate(server, gate={"ban_points": 10})
    guess(bench, gate, "eap-mschapv2").close()
    assert "login-failures" not in gate.wait_call().fields
    assert not gate.events("ban")


def test_a_row_of_pap_requests(bench):
    """Each password that reaches the server counts as an attempt."""
    server = bench.backend(auth=["pap"])
    gate = bench.gate(server, gate={"ban_points": 1000}, backend={"crypto_binding": "auto"})
    client = bench.client(gate, auth=("pap",)).establish("start")
    send = client.link.send
    client.link.send = lambda protocol, body: [
        send(protocol, ppp.Control(1, number, b"\5alice\1%d" % number).build())
        for number in range(1, 9)] if protocol == ppp.PAP else send(protocol, body)
    with pytest.raises(CallFailed):
        client.authenticate()
    client.close()
    server.wait_over()
    requests = server.calls[0].link.protocols.count(ppp.PAP)
    assert gate.wait_call()["login-failures"] == str(requests)


@pytest.mark.parametrize("auth", ["mschapv2", "pap"])
def test_the_end_of_a_tunnel_is_no_failed_login(bench, auth):
    server = bench.backend(auth=[auth], hooks={"connected": lambda call: call.disconnect()})
    gate = bench.gate(server, gate={"ban_points": 10})
    client = bench.client(gate, auth=(auth,)).establish("connected")
    client.wait_end()
    client.close()
    assert "login-failures" not in gate.wait_call().fields
    assert not gate.events("ban")


def test_early_data_ends_in_a_ban(bench):
    server = bench.backend(hooks={"request": lambda call: server.go.wait()})
    gate = bench.gate(server, gate={"ban_points": 10})
    for _ in range(2):
        client = bench.client(gate, bind="127.0.0.5").open().secure().send_request()
        client.wire.write(bytes(20000))
        client.wait_end()
        assert close(gate, client) == "early-data"
    server.go.set()
    gate.wait_event("ban")
    refused(bench, gate, bind="127.0.0.5")


def test_exempt(bench):
    gate = bench.gate(bench.backend(), gate={"ban_points": 5,
                                             "ban_exempt": ["192.0.2.0/24", "127.0.0.0/30"]})
    misbehave(bench, gate, 3, bind="127.0.0.3")
    admitted(bench, gate, bind="127.0.0.3")
    misbehave(bench, gate, 1, bind="127.0.0.4")
    refused(bench, gate, bind="127.0.0.4")


def ask(client, octets):
    client.head = octets
    client.open().secure().send_request().read_answer()


def look_and_leave(client):
    """Ends the handshake with an alert, as a browser does that does not trust the certificate."""
    client.open()
    strict = ssl.create_default_context()
    with pytest.raises(ssl.SSLError):
        strict.wrap_socket(client.wire.sock.dup(), server_hostname="vpn.example.com")


def wait_end(client):
    client.wire.wait_end()


def say_plain(client, octets):
    client.open().wire.sock.sendall(octets)
    wait_end(client)


# RFC 8656: Allocate. A page names any host as a TURN server of its RTCPeerConnection.
STUN = bytes.fromhex("000300082112a442") + bytes(range(12)) + bytes.fromhex("0019000411000000")


INNOCENT = {  # reason of the call, what the client does
    "a picture of a web page": ("not-sstp", lambda c: ask(c, GET)),
    "a link with a lone percent sign": ("not-sstp", lambda c: ask(c, GET.replace(b"/ ", b"/100%-off "))),
    "a link of 9000 octets": ("request-too-large", lambda c: ask(c, GET.replace(b"/ ", b"/" + b"a" * 9000 + b" "))),
    "a health check": ("sstp-check", lambda c: ask(c, GET.replace(b"GET /", b"HEAD " + head.URI))),
    "a connection that only looks": ("client-closed", lambda c: c.open().close()),
    "TLS and nothing more": ("client-rejected-certificate", lambda c: c.open().secure().close()),
    "SSTP with an old configuration": ("host-refused", lambda c: ask(c, head.request(b"old.example.com"))),
    "no trust in the certificate": ("client-rejected-certificate", look_and_leave),
    "a picture by http:// and the port of https": ("tls-failed", lambda c: say_plain(c, GET)),
    "a TURN server of a web page": ("bad-request", lambda c: ask(c, STUN)),
    "malformed HTTP": ("bad-request", lambda c: ask(c, MALFORMED)),
    "a connection kept ready": ("request-timeout", lambda c: wait_end(c.open().secure())),
    "a connection without an octet": ("handshake-timeout", lambda c: wait_end(c.open())),
}


@pytest.mark.parametrize("name", INNOCENT)
def test_an_innocent_client_is_not_banned(bench, name):
    """Connections that any web page, link, health check or slow line can cause."""
    reason, act = INNOCENT[name]
    short = {key: "1s" for key in ("timeout_handshake", "timeout_request") if reason.endswith("-timeout")}
    gate = bench.gate(bench.backend(), gate={"ban_points": 1, "log_level": "debug", **short},
                      listener={"host": "vpn.example.com"})
    for number in range(2):
        client = bench.client(gate, bind="127.0.0.5")
        act(client)
        client.close()
        assert gate.wait_call(number)["reason"] == reason
    bench.client(gate, bind="127.0.0.5").establish().ping().disconnect()
    assert not gate.events("ban")


def test_visitors_of_the_site_are_not_banned(bench):
    """Their requests, malformed or not, cost no points, because the site judges them."""
    gate = bench.start({"gate": {"workers": 1, "ban-points": 1},
                        "listener front": bench.listener_keys(fallback="site"),
                        "backend back": bench.backend_keys(bench.backend()),
                        "backend site": {"server": "127.0.0.1:1", "tls": "no"}})
    for number, octets in enumerate((GET, MALFORMED, b"hello\r\n\r\n", GET[:-2])):
        client = bench.client(gate, head=octets, bind="127.0.0.5").open().secure().send_request()
        assert client.read_answer().status == 503
        client.close()
        assert gate.wait_call(number)["reason"] == "not-sstp"
    bench.client(gate, bind="127.0.0.5").establish().ping().disconnect()


@pytest.mark.parametrize("header", [proxy.v2(), b"PROXY UNKNOWN\r\n"], ids=["LOCAL", "UNKNOWN"])
def test_a_trusted_proxy_is_not_banned(bench, header):
    """Not even as a client of another listener; the clients behind the proxy are banned."""
    server = bench.backend()
    gate = bench.start({"gate": {"workers": 1, "ban-points": 5},
                        "listener front": bench.listener_keys(),
                        "listener behind": bench.listener_keys(**{"accept-proxy": "yes", "trusted-proxies": "127.0.0.1"}),
                        "backend back": bench.backend_keys(server)})

    def through(header):
        client = bench.client(gate)
        client.address = gate.address("behind")
        client.open()
        client.wire.write(header)
        client.secure()
        with contextlib.suppress(CallFailed):  # without a client there is no call
            client.ask().send(BROKEN)
        client.wait_end()
        client.close()

    for number in range(3):
        through(header)
        assert gate.wait_call(number)["reason"] == "proxy-call"
    assert not gate.events("ban")
    misbehave(bench, gate)
    bench.client(gate).establish().ping().disconnect()
    brought = proxy.v1(("198.51.100.7", 1), ("203.0.113.1", 443))
    through(brought)
    assert gate.wait_event("ban")["client"] == "198.51.100.7:1"
    with pytest.raises(CallFailed):
        through(brought)
    through(header)


def test_bans_outlive_the_gate(bench):
    path = bench.place.folder / f"bans-{bench.count}"
    keys = with_socket(bench, ban_points=5, ban_time="1h", ban_file=path.name)
    server = bench.backend()
    gate = bench.gate(server, gate=keys)
    misbehave(bench, gate, bind="127.0.0.5")
    gate.wait_event("ban")
    gate.stop()
    text = path.read_text()
    assert re.search(r"^127\.0\.0\.5 \d{10}$", text, re.M)
    path.write_text("nonsense\n" + text)

    gate = bench.gate(server, gate=keys)
    assert f"{path}:1: " in gate.wait_event("bans")["msg"]
    refused(bench, gate, bind="127.0.0.5")
    admitted(bench, gate, bind="127.0.0.6")
    assert ctl(gate, "unban", "127.0.0.0/8").startswith("1 ")
    admitted(bench, gate, bind="127.0.0.5")
    gate.stop()
    assert not re.search(r"^\d", path.read_text(), re.M)


def test_bans_are_written_when_they_can_be(bench):
    """A failed write is repeated until the file contains all bans."""
    path = bench.place.folder / f"later-{bench.count}" / "bans"
    gate = bench.gate(bench.backend(), gate={"ban_points": 5, "ban_time": "1h",
                                             "ban_file": f"{path.parent.name}/bans"})
    misbehave(bench, gate, bind="127.0.0.5")
    assert f"cannot write {path}" in gate.wait_event("bans")["msg"]
    path.parent.mkdir()
    gate.stop()
    assert re.search(r"^127\.0\.0\.5 \d{10}$", path.read_text(), re.M)


def test_reload(bench):
    gate = bench.gate(bench.backend(), gate=with_socket(bench, max_tunnels_per_address=1))
    bench.client(gate).establish()
    refused(bench, gate)
    text = gate.config.read_text()
    gate.config.write_text(text.replace("per-address = 1", "per-address = 2"))
    ctl(gate, "reload")
    bench.client(gate).establish()  # the earlier one counts
    refused(bench, gate)
