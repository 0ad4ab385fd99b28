"""The habits of known servers and clients (PROTOCOL.md 1 to 5): each deviation from the specification occurs
once, and the gate must survive it. Where the behaviour of a program is not known, every possible behaviour
occurs (`doubts` of peers/dialects.py)."""

import pytest

from peers import ppp, sstp
from peers.client import CallFailed, expect_failure
from peers.dialects import CLIENTS, DIALECTS, Timers

BACKENDS = [name for name in DIALECTS if name != "strict"]


def judged(record):
    return record.verdict in ("ok", "unchecked")


def works(bench, server, client):
    client.establish().ping().disconnect()
    assert client.packets.misfits == 0
    assert judged(server.wait_over())


# ---- every client with every server ----

@pytest.fixture(scope="module")
def bazaar(shared):
    """One gate, with a server of each dialect; each pair of server and policy has its own listener."""
    shared.servers = {}
    sections = {"gate": {"workers": 1}}
    for name in BACKENDS:
        server = shared.servers[name] = shared.backend(dialect=name, echoes_early=False)
        for policy in ("rewrite", "auto"):
            sections[f"listener {name}-{policy}"] = shared.listener_keys(backend=f"{name}-{policy}")
            sections[f"backend {name}-{policy}"] = shared.backend_keys(server,
                                                                       crypto_binding=policy)
    shared.one = shared.start(sections)
    return shared


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", CLIENTS)
def test_client_with_server(bazaar, name, backend):
    """A packet is a record for the client, and no bit above a length is set: sstpc would hang at
    either. sstoper understands one hash only, so its server has to offer one, and `auto` lets that
    offer pass."""
    server = bazaar.servers[backend]
    policy = "auto" if name == "sstoper" else "rewrite"
    number = len(server.calls)
    client = bazaar.client(bazaar.one, f"{backend}-{policy}", **CLIENTS[name])
    if name == "sstoper" and server.mask not in (sstp.SHA1, sstp.SHA256):
        with pytest.raises(CallFailed, match="no use for the hash mask"):
            client.establish()
        client.close()
        server.wait_over(number)
        return
    client.establish("request")
    client.packets.masks = False
    client.start().authenticate().connect().bring_up().ping(2).disconnect()
    assert client.packets.misfits == 0
    record = server.wait_over(number)
    assert judged(record) and record.method == "mschapv2"


# ---- RRAS ----

def rras(bench, **changes):
    return bench.backend(bench.place.old, **{"dialect": "rras", "tls_min": "1.0", "tls_max": "1.0",
                                             **changes})


def rras_keys(bench, **keys):
    return {"tls-min": "1.0", "pin-sha256": bench.place.old.sha256, **keys}


def test_rras(bench):
    """As on Server 2008: TLS 1.0, an RSA leaf signed with SHA1, EAP offered first and refused."""
    server = rras(bench)
    gate = bench.gate(server, backend=rras_keys(bench))
    works(bench, server, bench.client(gate, **CLIENTS["windows"]))
    record = server.wait_over()
    assert (record.tls, record.method, record.hash) == ("TLSv1", "mschapv2", sstp.SHA256)
    call = gate.wait_call()
    assert (call["binding"], call["key"], call["method"]) == ("verified", "ms-chapv2", "ms-chapv2")


@pytest.mark.parametrize("changes", [pytest.param(changes, id=f"{name}: {doubt} {number}")
                                     for name in BACKENDS
                                     for doubt, all in DIALECTS[name].doubts.items()
                                     for number, changes in enumerate(all)
                                     for changes in [{"dialect": name, **changes}]])
def test_doubts(bench, changes):
    changes = dict(changes)
    method = changes.get("auth", ("mschapv2",))[0]
    server, zeros = bench.backend(**changes), changes.get("eap_zeros", False)
    gate = bench.gate(server, gate={"timeout-drain": "1s"},
                      backend={"zero-key": "eap" if zeros else None})
    client = bench.client(gate, **{**CLIENTS["windows"], "auth": (method,), "zero_key": zeros})
    client.establish().ping()
    if server.dialect.acknowledges:
        client.disconnect()
    else:
        client.send(sstp.status(sstp.DISCONNECT, 0, 0))
        client.wait_end()
    assert judged(server.wait_over())
    call = gate.wait_call()
    assert call["reason"] == "client-disconnect"
    assert ("weak" in call.fields) == client.zero_key


@pytest.mark.parametrize("hash", [sstp.SHA1, sstp.SHA256])
def test_rras_without_https(bench, hash):
    """UseHttps = 0 and the hash that an administrator has configured: SHA256 alone, whatever the client
    uses."""
    front = bench.place.front
    server = bench.backend(dialect="rras", plain=True,
                           hashes={sstp.SHA256: bytes.fromhex(front.sha256)})
    gate = bench.gate(server, backend={"binding-cert-hash": front.sha256})
    works(bench, server, bench.client(gate, hash=hash))
    assert server.wait_over().hash == sstp.SHA256


def test_rras_with_another_configured_hash(bench):
    server = bench.backend(dialect="rras", plain=True,
                           hashes={sstp.SHA256: bytes.fromhex(bench.place.evil.sha256)})
    gate = bench.gate(server, backend={"crypto-binding": "passthrough"})
    assert expect_failure(bench.client(gate, **CLIENTS["windows"])).abort.raw == sstp.BINDING_ABORT
    assert server.wait_over().verdict == "certificate"
    assert gate.wait_call()["reason"] == "backend-abort"


CHECKS = {  # change of Call Connected: the check that fails, and the last bytes of the Abort
    "nonce": (dict(tamper="nonce"), 3, 4),
    "hash-protocol": (dict(hash=sstp.SHA1), 3, 4),
    "certificate": (dict(tamper="cert-hash"), 3, 4),
    "mac": (dict(tamper="mac"), 3, 4),
    "form": (lambda m: sstp.control(sstp.CONNECTED), 2, 9),
}


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("dialect", ["rras", "accel-ppp"])
def test_all_five_checks(bench, dialect, check):
    """`off` forwards every binding: the model of RRAS detects the error, and its answer reaches the client
    unchanged."""
    trick, attribute, status = CHECKS[check]
    front = bench.place.front
    server = bench.backend(dialect=dialect, plain=True, leaf=front.der, mask=2)
    gate = bench.gate(server, backend={"crypto-binding": "off"})
    client = bench.client(gate, **CLIENTS["windows"],
                          **(trick if isinstance(trick, dict) else {}))
    if callable(trick):
        regular = client.binding
        client.binding = lambda: trick(regular())
    if dialect == "accel-ppp":
        attribute, status = 2, 7
    assert expect_failure(client).abort.raw == sstp.status(sstp.ABORT, attribute, status)
    assert server.wait_over().verdict == check
    assert gate.wait_call()["reason"] == "backend-abort"


def test_rras_bad_attribute_length(bench):
    server = bench.backend(dialect="rras", plain=True, leaf=bench.place.front.der)
    gate = bench.gate(server, backend={"crypto-binding": "off"})
    client = bench.client(gate, **CLIENTS["windows"])
    regular = client.binding
    client.binding = lambda: regular()[:10] + b"\0\x90" + regular()[12:]
    assert expect_failure(client).abort.raw == sstp.status(sstp.ABORT, 2, 9)


def test_rras_gives_up_after_three_naks(bench):
    server, gate = bench.usual(dialect="rras")
    client = bench.client(gate, **CLIENTS["windows"]).establish("request")
    for attempt in range(4):
        client.send(sstp.connect_request(protocol=7))
        with pytest.raises(CallFailed) as failure:
            client.next()
        if attempt < 3:
            assert failure.value.abort.type == sstp.CONNECT_NAK
    assert failure.value.abort.raw == sstp.status(sstp.ABORT, 0, 6)
    client.wait_end()
    client.close()
    assert gate.wait_call()["reason"] == "backend-abort"


@pytest.mark.parametrize("stage", ["request", "start"])
def test_rras_negotiation_timer(bench, stage):
    """60 s in RRAS, a moment here; the gate's own deadline is longer."""
    server, gate = bench.usual(dialect="rras", timers=Timers(negotiation=0.3))
    client = bench.client(gate, **CLIENTS["windows"]).establish(stage)
    with pytest.raises(CallFailed) as failure:
        client.until(lambda: False)
    assert failure.value.abort.raw == sstp.status(sstp.ABORT, 0, 8)
    client.close()
    assert gate.wait_call()["reason"] == "backend-abort"


@pytest.mark.parametrize("policy", ["rewrite", "off"])
def test_rras_hello_timer(bench, policy):
    """RRAS sends an Echo-Request after a silence, and closes without a message if there is no answer."""
    server = bench.backend(dialect="rras", timers=Timers(hello=0.2), leaf=None if policy != "off"
                           else bench.place.front.der)
    gate = bench.gate(server, backend={"crypto-binding": policy})
    client = bench.client(gate).establish()
    echoes = lambda: [p for p in client.seen if p.type == sstp.ECHO_REQUEST]
    client.until(lambda: len(echoes()) >= 3).ping()
    assert client.wait_end() == "close-notify"  # the server answers no more
    client.close()
    assert server.wait_over().reason == "nobody there"
    assert gate.wait_call()["reason"] == "backend-closed"


def test_rras_last_words(bench):
    """Its Disconnect waits for an Ack, its Abort for an Abort: both reach the client."""
    for number, last in enumerate((lambda call: call.disconnect(), lambda call: call.abort("hook"))):
        server = bench.backend(dialect="rras", hooks={"up": last})
        gate = bench.gate(server)
        client = bench.client(gate, **CLIENTS["windows"]).establish("connected")
        with pytest.raises(CallFailed):
            client.bring_up().ping()
        client.wait_end()
        client.close()
        record = server.wait_over()
        assert record.seen[-1] == ("disconnect-ack", "abort")[number]
        assert not record.unanswered
        assert gate.wait_call()["reason"] == ("backend-disconnect", "backend-abort")[number]


# ---- accel-ppp ----

@pytest.mark.parametrize("method", DIALECTS["accel-ppp"].auth)
def test_accel_deferral(bench, method):
    """A Call Connected that arrives before the result of the login is deferred, not refused."""
    server, gate = bench.usual(dialect="accel-ppp", auth=(method,))
    # with PAP and CHAP-MD5 there is no key to wait for
    client = bench.client(gate, auth=(method,)).establish("start")
    client.link.start()
    client.until(lambda: client.link.auth is not None and
                 (method == "pap" or client.link.auth._last is not None))
    client.connect()
    client.until(lambda: client.link.authenticated).bring_up().ping().disconnect()
    assert server.wait_over().verdict == "ok"
    assert gate.wait_call()["binding"] == "verified"


def test_accel_has_no_eap(bench):
    server, gate = bench.usual(dialect="accel-ppp")
    client = bench.client(gate, auth=("eap-mschapv2",))
    failure = expect_failure(client)
    assert failure.abort.type == sstp.DISCONNECT
    assert server.wait_over().reason == "no method in common"
    assert gate.wait_call()["reason"] == "backend-disconnect"


@pytest.mark.parametrize("keys, reason", [
    ({"sni": "vpn.internal"}, None),
    ({"sni": "vpn.internal", "backend-host": "vpn.internal"}, None),
    ({}, "backend-tls"),
    ({"sni": "other.internal"}, "backend-tls"),
    ({"sni": "vpn.internal", "backend-host": "other.internal"}, "backend-refused")], ids=str)
def test_accel_host_name(bench, keys, reason):
    server = bench.backend(dialect="accel-ppp", host_name="vpn.internal")
    gate = bench.gate(server, backend=keys)
    client = bench.client(gate)
    if reason is None:
        return works(bench, server, client)
    assert expect_failure(client).status == 503
    assert gate.wait_call()["reason"] == reason


@pytest.mark.parametrize("version", [1, 2, None])
def test_accel_behind_proxy(bench, version):
    """With `accept=proxy` the server ignores a connection without a header."""
    server = bench.backend(dialect="accel-ppp", proxy_header=True)
    gate = bench.gate(server, backend={"send-proxy": f"v{version}" if version else None})
    client = bench.client(gate)
    if not version:
        assert expect_failure(client).status == 503
        assert gate.wait_call()["reason"] in ("backend-tls", "backend-reset")
        return
    client.establish()
    header = server.calls[0].proxy
    assert (header.version, header.source) == (version, client.wire.sock.getsockname())
    client.ping().disconnect()
    assert server.wait_over().verdict == "ok"


@pytest.mark.parametrize("stage", ["request", "up"])
def test_accel_wants_no_reserved_bits(bench, stage):
    """accel-ppp takes a length with reserved bits for a long packet. A client may set them ([MS-SSTP] 2.2.1),
    and if the gate forwarded them, the server would end the call."""
    server, gate = bench.usual(dialect="accel-ppp")
    client = bench.client(gate).establish(stage)
    shout = lambda packet: client.send(packet[:2] + bytes([packet[2] | 0xF0]) + packet[3:])
    if stage == "request":
        shout(sstp.connect_request())
        client.start(request=False).authenticate().connect().bring_up()
    else:
        shout(sstp.control(sstp.ECHO_REQUEST))
        client.until(lambda: any(p.type == sstp.ECHO_RESPONSE for p in client.seen))
    client.ping().disconnect()
    assert server.wait_over().verdict == "ok"


def test_no_reserved_bits_for_clients(bench):
    """sstpc hangs if a reserved bit of a length is set."""
    def shout(call):
        for packet in (sstp.control(sstp.ECHO_REQUEST), sstp.data(ppp.frame(ppp.IPV4, b"data"))):
            call.send(packet[:2] + bytes([packet[2] | 0xF0]) + packet[3:])

    server, gate = bench.usual(hooks={"up": shout}, strict=False)
    client = bench.client(gate, **CLIENTS["sstpc"]).establish("request")
    client.packets.masks = False
    client.start().authenticate().connect().bring_up()
    client.until(lambda: client.received.packets == 1)
    client.ping().disconnect()
    assert client.packets.misfits == 0


# ---- SoftEther, sorz, MikroTik ----

@pytest.mark.parametrize("method", ["mschapv2", "eap-mschapv2"])
def test_double_mschapv2(bench, method):
    """The server asks twice, and the second answer determines the key (SoftEther's UseDoubleMsChapV2), as a
    strict server confirms."""
    server, gate = bench.usual(auth=(method,), double=True)
    works(bench, server, bench.client(gate, auth=(method,)))
    assert gate.wait_call()["key"] == "ms-chapv2"


def test_softether_ignores_a_second_request(bench):
    """kittoku repeats its request while it waits for the Ack."""
    server, gate = bench.usual(dialect="softether", hooks={"connect": lambda call: server.go.wait()})
    client = bench.client(gate, **CLIENTS["kittoku"]).establish("request")
    client.wire.write(sstp.connect_request() * 3)
    server.wait_stage("connect")
    server.go.set()
    client.start(request=False).authenticate().connect().bring_up().ping().disconnect()
    assert server.wait_over().seen[:3] == ["connect-request"] * 3


@pytest.mark.parametrize("dialect, octets", [("softether", 8), ("sorz", 16)])
def test_short_disconnect(bench, dialect, octets):
    """sstpc does not acknowledge a Disconnect of less than 14 bytes: the call ends all the same."""
    server, gate = bench.usual(dialect=dialect, echoes_early=False,
                           hooks={"up": lambda call: call.disconnect()},
                           timers=Timers(None, None, None, disconnect=0.3))
    client = bench.client(gate, **CLIENTS["sstpc"]).establish("connected")
    with pytest.raises(CallFailed) as failure:
        client.bring_up().ping()
    assert len(failure.value.abort.raw) == octets
    assert client.wait_end() == "close-notify"
    client.close()
    assert server.wait_over().unanswered == (octets < 14)
    assert gate.wait_call()["reason"] == "backend-disconnect"


def test_softether_echoes(bench):
    """SoftEther sends requests every few seconds and never answers; the client answers its requests."""
    def ask(call):
        for _ in range(5):
            call.send(sstp.control(sstp.ECHO_REQUEST))

    server, gate = bench.usual(dialect="softether", hooks={"up": ask})
    client = bench.client(gate).establish()
    client.until(lambda: sum(p.type == sstp.ECHO_REQUEST for p in client.seen) == 5).ping()
    assert client.packets.misfits == 0  # although it joins them
    client.disconnect()
    assert server.wait_over().seen.count("echo-response") == 5


def test_frames_in_full(bench):
    """SoftEther drops a frame without FF 03, so the gate must not strip the client's."""
    server, gate = bench.usual(dialect="softether")
    works(bench, server, bench.client(gate, **CLIENTS["kittoku"]))


def test_sorz_sends_no_nak(bench):
    """The client waits for a Nak that never arrives; the gate's deadline ends the call."""
    server = bench.backend(dialect="sorz")
    gate = bench.gate(server, gate={"timeout-negotiate": "1s"})
    client = bench.client(gate).establish("request")
    client.send(sstp.connect_request(protocol=7))
    with pytest.raises(CallFailed) as failure:
        client.until(lambda: False)
    assert failure.value.abort.raw == sstp.status(sstp.ABORT, 0, 8)
    client.close()
    assert gate.wait_call()["reason"] == "negotiate-timeout"


@pytest.mark.parametrize("policy", ["rewrite", "auto"])
def test_mikrotik_pap(bench, policy):
    """The PAP Ack has bytes after its declared length."""
    server = bench.backend(dialect="mikrotik", auth=("pap",))
    gate = bench.gate(server, backend={"crypto-binding": policy})
    works(bench, server, bench.client(gate, auth=("pap",)))
    assert gate.wait_call()["method"] == "pap"


def test_multilink_offers(bench):
    """Both sides agree on MRRU: multilink frames are forwarded as data."""
    option = ((ppp.OPT_MRRU, (1614).to_bytes(2, "big")), (ppp.OPT_ENDPOINT, b"\1" + bytes(16)))
    server, gate = bench.usual(load="echo", lcp=option, lcp_takes=(
        ppp.OPT_MRU, ppp.OPT_MAGIC, ppp.OPT_MRRU, ppp.OPT_ENDPOINT))
    client = bench.client(gate, lcp=option).establish()
    assert client.link.lcp.want.keys() >= {ppp.OPT_MRRU, ppp.OPT_ENDPOINT}
    for link in (client.link, server.calls[0].link):
        link.on_frame = link._on_data
    frame = ppp.frame(0x003D, b"\xc0\0\0\1" + ppp.frame(ppp.IPV4, b"within"))
    client.send_frame(frame)
    client.until(lambda: client.received.octets == len(frame))
    client.disconnect()


# ---- the ways in which servers read PPP ----

@pytest.mark.parametrize("method", ["mschapv2", "chap-md5", "pap"])
def test_padding_is_not_forwarded(bench, method):
    """SoftEther would read bytes after the inner length as a part of the name (PROTOCOL.md 5.1); the gate
    removes them."""
    server, gate = bench.usual(dialect="softether", auth=(method,))
    client = bench.client(gate, auth=(method,)).establish("start")
    say = client.link._send_frame
    client.link._send_frame = lambda frame: say(frame + b"bob\0\1\2")
    client.authenticate().connect().bring_up().ping().disconnect()
    assert server.wait_over().user == "alice"


def test_softether_has_no_pap_nak(bench):
    """A wrong password ends the call without a Nak, and counts as a failed login."""
    server, gate = bench.usual(dialect="softether", auth=("pap",))
    expect_failure(bench.client(gate, auth=("pap",), password="wrong"))
    assert server.wait_over().reason == "wrong password"
    call = gate.wait_call()
    assert (call["reason"], call["login-failures"]) == ("login-refused", "1")


@pytest.mark.parametrize("dialect", ["accel-ppp", "softether"])
def test_ack_of_something_else_is_not_forwarded(bench, dialect):
    """These servers accept any Ack of their request; the gate forwards only the right one."""
    server, gate = bench.usual(dialect=dialect, auth=("mschapv2",))
    client = bench.client(gate).establish("start")
    say = client.link._send_frame

    def wrong_first(frame):
        protocol, body = ppp.parse_frame(frame)
        if protocol == ppp.LCP and body[0] == ppp.CONF_ACK:
            option = ppp.build_options([(ppp.OPT_AUTH, ppp.METHODS["pap"])])
            say(ppp.frame(ppp.LCP, ppp.Control(ppp.CONF_ACK, body[1], option).build()))
        say(frame)

    client.link._send_frame = wrong_first
    client.authenticate().connect().bring_up().ping().disconnect()
    record = server.wait_over()
    assert (record.method, judged(record)) == ("mschapv2", True)
