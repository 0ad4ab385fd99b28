"""Calls to a VPN server whose RADIUS server is the gate: the gate has no users file and takes the keys of a
binding from RADIUS (PROTOCOL.md 5.5). The VPN server is strict and verifies with the key that it has received,
which the gate has hidden again for it."""

import threading

import pytest

from gate import run
from peers import auth, ppp, radius, sstp, torrent
from peers.client import CallFailed, expect_failure
from peers.nas import AttributesNas, EnvelopeNas, Nas, RenumberingEapNas
from peers.radius import MS_RECV_KEY, MS_SEND_KEY, microsoft

SECRETS = {"vpn": b"between-vpn-server-and-gate", "server": b"between-gate-and-radius"}
METHODS = ("mschapv2", "mschapv1", "chap-md5", "pap", "eap-mschapv2", "eap")


class Site:
    """A RADIUS server, a gate, and a VPN server that asks the RADIUS server through the gate."""

    def __init__(self, bench, *, gate=None, listener=None, backend=None, keys=None, nas=None,
                 vpn=None, **knobs):
        self.bench = bench
        for name, secret in SECRETS.items():
            path = bench.place.folder / f"{name}.key"
            path.touch(mode=0o600)
            path.write_bytes(secret + b"\n")
        self.radius = radius.Radius(SECRETS["server"], **knobs).__enter__()
        bench.others.append(self.radius)
        self.nas = Nas(None, SECRETS["vpn"], **(nas or {}))
        self.vpn = bench.backend(nas=self.nas, users={}, auth=METHODS, **(vpn or {}))
        self.sections = {
            "gate": {"workers": 1, **(gate or {})},
            "listener front": bench.listener_keys(**(listener or {})),
            "radius site": {
                "listen": "127.0.0.1:0", "clients": "127.0.0.1", "secret-file": "vpn.key",
                "server": "%s:%d" % self.radius.auth, "server-secret-file": "server.key",
                **(keys or {})},
            "backend back": bench.backend_keys(self.vpn, **{"users-file": None, "radius": "site",
                                                            **(backend or {})})}
        self.gate = bench.start(self.sections)
        self.nas.server = self.gate.address("radius:site")

    def client(self, method="mschapv2", **knobs):
        if method == "eap":
            knobs.setdefault("peer", radius.ExperimentalPeer())
        return self.bench.client(self.gate, auth=(method,), **knobs)

    def call(self, method="mschapv2", **knobs):
        """Makes a call that succeeds, and returns its log line."""
        number = len(self.vpn.calls)
        lines = len(self.gate.events("call"))
        self.client(method, **knobs).establish().ping().disconnect()
        assert self.vpn.wait_over(number).verdict == "ok"
        return self.gate.wait_call(lines)

    def refused(self, reason, client):
        """Makes a call that the gate refuses, without a message to the VPN server."""
        number = len(self.vpn.calls)
        lines = len(self.gate.events("call"))
        failure = expect_failure(client, "connected")
        assert failure.abort.raw == sstp.BINDING_ABORT
        assert "connected" not in self.vpn.wait_over(number).seen
        line = self.gate.wait_call(lines)
        assert line["reason"] == reason
        return line


@pytest.mark.parametrize("demand", ["no", "yes"])
@pytest.mark.parametrize("method", METHODS)
def test_method(bench, method, demand):
    """Keys of 16 bytes (MS-CHAP), keys of 32 bytes (other EAP), and no key."""
    site = Site(bench, keys={"require-message-authenticator": demand},
                nas={"demand": demand == "yes"},
                **({"eap": radius.EapExperimental} if method == "eap" else {}))
    line = site.call(method)
    assert line["binding"] == "verified"
    assert line["key"] == ("zero" if method in ("pap", "chap-md5") else "radius")
    assert site.radius.bad == site.nas.bad == 0


def test_wrong_password(bench):
    site = Site(bench)
    for method in ("pap", "mschapv2", "eap-mschapv2"):
        with pytest.raises(CallFailed, match="refused"):
            site.client(method, password="wrong").establish()
    assert site.call(first_password="wrong")["key"] == "radius"
    assert site.radius.bad == 0


@pytest.mark.parametrize("knobs", [dict(retransmit=True), dict(acfc=True, pfc=True),
                                   dict(user="CORP\\alice"), dict(shape="odd")], ids=str)
@pytest.mark.parametrize("method", ["mschapv2", "eap-mschapv2"])
def test_odd_clients(bench, method, knobs):
    site = Site(bench)
    assert site.call(method, **knobs)["key"] == "radius"


def test_password_change(bench):
    """The key is that of the new password, in the answer to MS-CHAP2-CPW."""
    site = Site(bench, users={"alice": "stale"}, expired=["alice"])
    assert site.call(password="stale", new_password="sesame")["key"] == "radius"
    assert site.radius.users["alice"] == "sesame"


def test_login_starts_over(bench):
    """LCP starts over during a login: of two challenges the second one and its answer determine the key."""
    rounds = []

    def once(call):
        rounds.append(1)
        if len(rounds) == 1:
            call.link.restart()

    # joined: Challenge and Configure-Request arrive together, so no answer is under way in between
    site = Site(bench, vpn={"hooks": {"lcp": once}, "shape": "joined"})
    assert site.call()["key"] == "radius"


def test_workers(bench):
    """One thread handles RADIUS, two others the calls."""
    site = Site(bench, gate={"workers": 2})
    seen = set()
    for _ in range(40):
        line = site.call()
        assert (line["binding"], line["key"]) == ("verified", "radius")
        seen.add(line["id"].partition("-")[0])
        if len(seen) == 2:
            break
    assert len(seen) == 2


# -- Call Connected before its time --

@pytest.mark.parametrize("workers", [1, 2])
def test_call_connected_waits(bench, workers):
    """Call Connected stays at the gate until the Accept has passed; packets that may overtake it do."""
    passed = []

    def wait(attributes):
        passed.append(site.vpn.calls[-1].packets.next(10))

    site = Site(bench, gate={"workers": workers}, nas={"wait": wait})
    client = site.client(eager=True).establish("authenticate")
    client.send(client.binding())
    client.link.lcp.send(ppp.ECHO_REQ, 77, bytes(4))
    client.flush()
    client.until(lambda: client.link.authenticated)
    client.stage = "connected"
    client.bring_up().ping().disconnect()
    assert ppp.parse_frame(passed[0].frame)[0] == ppp.LCP
    assert site.vpn.wait_over().verdict == "ok"
    line = site.gate.wait_call()
    assert (line["binding"], line["key"]) == ("verified", "radius")


def test_key_that_does_not_come(bench):
    """The Accept has no key, so Call Connected waits until timeout-key."""
    site = Site(bench, gate={"timeout-key": "1s"}, twist=without_keys, vpn={"checks": ()})
    line = site.refused("binding-mac", site.client())
    assert "radius-keys=0" in site.gate.events("binding-mac")[0].line
    assert float(line["duration"]) >= 1.0


def test_key_that_does_not_come_in_auto(bench):
    site = Site(bench, gate={"timeout-key": "1s"}, backend={"crypto-binding": "auto"},
                twist=without_keys, vpn={"checks": ()})
    site.client().establish().disconnect()
    assert site.vpn.wait_over().verdict == "unchecked"
    assert site.gate.wait_call()["binding"] == "passed"


# -- the contents of an Accept --

def is_key(pair):
    """Returns whether the attribute is a Vendor-Specific of Microsoft with a key."""
    kind, value = pair
    return kind == radius.VENDOR and value[4] in (MS_RECV_KEY, MS_SEND_KEY)


def without_keys(answer, request):
    answer.attributes = [pair for pair in answer.attributes if not is_key(pair)]
    return answer


def extra(site, request, size):
    """Returns a pair of keys that belong to no login."""
    return [microsoft(kind, radius.hide_key(bytes([7] * size), site.radius.secret,
                                            request.authenticator))
            for kind in (MS_RECV_KEY, MS_SEND_KEY)]


SHAPES = {
    "as in issue 1868": lambda keys, others: others[::-1] + keys,
    "twice the same": lambda keys, others: keys + keys,
    "others first": lambda keys, others: others + keys,
    "others last": lambda keys, others: keys + others,
    "send before receive": lambda keys, others: keys[::-1],
    "others between": lambda keys, others: [keys[0], others[0], others[1], keys[1]],
    "in one attribute": lambda keys, others: [(radius.VENDOR, keys[0][1] + keys[1][1][4:])],
}


@pytest.mark.parametrize("method", ["mschapv2", "eap-mschapv2", "eap"])
@pytest.mark.parametrize("shape", SHAPES)
def test_shape_of_an_accept(bench, shape, method):
    """Issue 1868 of FreeRADIUS: 16 bytes of the inner method, then 32 of PEAP, in another order. RFC 2548
    forbids little, so the MAC decides. The VPN server uses the keys that it prefers."""
    def twist(answer, request):
        keys = [pair for pair in answer.attributes if is_key(pair)]
        if keys:
            size = 32 if method == "eap" and shape != "as in issue 1868" else 16
            answer.attributes = [pair for pair in answer.attributes if not is_key(pair)] \
                + SHAPES[shape](keys, extra(site, request, size))
        return answer

    pick = {"others first": (-1, -1), "as in issue 1868": (-1, -1),
            "others between": (0, -1)}.get(shape, (0, 0))
    site = Site(bench, twist=twist, nas={"pick": pick},
                **({"eap": radius.EapExperimental} if method == "eap" else {}))
    assert site.call(method)["key"] == "radius"


def changed_keys(change):
    """Returns a change of an Accept: each hidden key becomes change(value, request)."""
    def twist(answer, request):
        answer.attributes = [(kind, value[:6] + change(value[6:], request))
                             if is_key((kind, value)) else (kind, value)
                             for kind, value in answer.attributes]
        return answer
    return twist


def test_salt_without_its_highest_bit(bench):
    """The gate accepts a server that does not set this bit (RFC 2548 2.4.2), and sets it for the VPN server,
    which may require it."""
    def low(value, request):
        key = radius.reveal_key(value, site.radius.secret, request.authenticator)
        return radius.hide_key(key, site.radius.secret, request.authenticator, b"\x01" + value[1:2])

    site = Site(bench, twist=changed_keys(low))
    assert site.call()["key"] == "radius"


def test_key_that_is_none(bench):
    """The attribute contains other bytes: no key for the VPN server, and none for the gate."""
    site = Site(bench, gate={"timeout-key": "1s"}, vpn={"checks": ()},
                twist=changed_keys(lambda value, request: bytes([0x80]) * len(value)))
    site.refused("binding-mac", site.client())


# -- the owner of a key --

def test_key_is_of_one_call(bench):
    """A key is wiped when its call is up, so that a second call cannot use it."""
    site = Site(bench, gate={"timeout-key": "1s"}, vpn={"checks": ()})
    first = site.client().establish()
    second = site.client().establish("authenticate")
    second.link.auth.hlak = first.key
    failure = refused_when_connecting(second)
    assert failure.abort.raw == sstp.BINDING_ABORT
    assert site.gate.wait_call()["reason"] == "binding-mac"
    first.ping().disconnect()


@pytest.mark.parametrize("method", ["mschapv2", "eap-mschapv2"])
def test_key_is_not_waited_out(bench, method):
    """With `auto` the gate forwards a MAC whose key does not arrive in time. An attacker who delays the login
    gains nothing: when its key arrives, the MAC must match."""
    site = Site(bench, gate={"timeout-key": "1s"}, vpn={"checks": ()},
                backend={"crypto-binding": "auto"})
    client = site.client(method, tamper="mac").establish("start")
    say, held = client.link._send_frame, []

    def hold(frame):
        """Sends the name of EAP, and holds back every other answer."""
        protocol, body = ppp.parse_frame(frame)
        held_back = protocol == ppp.CHAP or protocol == ppp.EAP and body[4] != 1
        (held.append if held_back else say)(frame)

    client.link._send_frame = hold
    client.link.start()
    client.until(lambda: held)
    client.connect()
    assert site.gate.wait_event("binding-mac")["action"] == "passed-unchanged"
    client.link._send_frame = say
    say(held[0])
    with pytest.raises(CallFailed) as failure:
        client.until(lambda: client.link.authenticated).bring_up().ping()
    assert failure.value.abort.raw == sstp.BINDING_ABORT
    client.close()
    assert site.gate.wait_call()["reason"] == "binding-mac"


@pytest.mark.parametrize("policy", ["rewrite", "auto"])
@pytest.mark.parametrize("trick", ["early", "beside", "instead"])
def test_key_of_another_user_in_disguise(bench, policy, trick):
    """bob has logged in and binds alice's call with his key, at a VPN server that verifies nothing: before she
    has sent her name; or he sends his own answer again, in a form that the server would drop, before hers or
    instead of it, and the server asks again. The server receives his answer, as the gate does, and never hers,
    so no login of alice's exists that his key could bind."""
    # with "instead" the login never ends, so the call ends at this deadline
    site = Site(bench, gate={"timeout-key": "1s", "timeout-negotiate": "10s"},
                vpn={"checks": (), "full_frames": True},
                users={"alice": "sesame", "bob": "poppy"}, backend={"crypto-binding": policy})
    bob = site.client(user="bob", password="poppy").establish("authenticate")
    alice = site.client().establish("start")
    alice.binding = lambda: sstp.call_connected(
        alice.hash, alice.nonce, sstp.cert_hash(alice.hash, alice.wire.peer_der), bob.link.hlak)
    say, said = alice.link._send_frame, []

    def speak(frame):
        protocol, body = ppp.parse_frame(frame)
        if protocol == ppp.CHAP and not said:
            said.append(frame)
            his = ppp.Control(2, body[1], bytes([49]) + bob.link.auth.peer + bytes(8) +
                              bob.link.auth.response + b"\0bob").build()
            alice.send_frame(ppp.frame(ppp.CHAP, his, acfc=True))
            alice.connect()
            if trick == "instead":
                site.vpn.calls[-1].link.auth.start()
                site.vpn.calls[-1].packets.flush()
                return
        say(frame)

    if trick == "early":
        alice.connect()
    else:
        alice.link._send_frame = speak
    with pytest.raises(CallFailed):
        alice.authenticate().bring_up().ping()
    alice.close()
    call = site.gate.wait_call()
    # "-": a client whose login was refused has closed before the gate's verdict
    assert call["user"] != "alice" or call["binding"] == "failed" or \
        (call["binding"], call["reason"]) == ("-", "client-closed")
    assert not site.vpn.calls[-1].link.authenticated or call["reason"] == "binding-mac"


class Tunnelled(radius.EapExperimental):
    """The user is the inner one, and the Identity is not compared with it, as in EAP-TTLS, PEAP and EAP-TLS
    with FreeRADIUS. The last answer is a short one."""
    acknowledged = False

    def next(self, data):
        if self.acknowledged:
            self.end(True)
            return
        name, _, proof = data.partition(b"\0")
        self.msk = radius.experimental_key(self.users.get(name.decode(), ""), self.challenge)
        self.acknowledged = proof == radius.md5(self.msk)
        if self.acknowledged:
            self.ask(self.kind, b"")
        else:
            self.end(False)


class TunnelledPeer(radius.ExperimentalPeer):
    def __init__(self, outer, user, password):
        super().__init__(outer, password)
        self.inner = user.encode()

    def answer(self, request):
        packet = ppp.parse_control(request)
        if packet.data[0] == auth.EAP_IDENTITY:
            data = packet.data[:1] + self.user
        elif len(packet.data) > 1:
            self.msk = radius.experimental_key(self.password, packet.data[1:])
            data = packet.data[:1] + self.inner + b"\0" + radius.md5(self.msk)
        else:
            data = packet.data[:1]
        return ppp.Control(2, packet.ident, data).build()


PEOPLE = {"alice": "sesame", "bob": "poppy"}


def tunnelled(bench, **knobs):
    """A VPN server that verifies no binding, with an EAP method that has a tunnel."""
    return Site(bench, eap=Tunnelled, users=dict(PEOPLE), vpn={"checks": ()}, **knobs)


def bob_outside_as(name):
    return dict(user=name, peer=TunnelledPeer(name, "bob", "poppy"))


def bind_with(client, key):
    """Sends Call Connected with this key instead of the login's own."""
    client.binding = lambda: sstp.call_connected(
        client.hash, client.nonce, sstp.cert_hash(client.hash, client.wire.peer_der), key)


@pytest.mark.parametrize("method", ["mschapv2", "eap"])
def test_key_of_a_login_under_her_name(bench, method):
    """bob logs in with alice's name outside the tunnel of his EAP, and gets a key. It binds no call of alice's,
    neither by MS-CHAPv2 nor by the same EAP."""
    site = tunnelled(bench, gate={"timeout-key": "1s"})
    bob = site.client("eap", **bob_outside_as("alice")).establish("authenticate")
    hers = {"peer": TunnelledPeer("alice", "alice", "sesame")} if method == "eap" else {}
    alice = site.client(method, **hers).establish("authenticate")
    bind_with(alice, bob.link.hlak)
    assert refused_when_connecting(alice).abort.raw == sstp.BINDING_ABORT
    assert site.gate.wait_call()["reason"] == "binding-mac"
    bob.connect().bring_up().ping().disconnect()


def test_octets_behind_an_acknowledgement(bench):
    """RADIUS servers ignore bytes after the opcode of an acknowledgement, so two logins could end with the same
    bytes. The gate does not forward such an acknowledgement, and it costs as many points as a wrong
    password."""
    site = Site(bench, gate={"ban-points": 10}, vpn={"checks": ()}, users=dict(PEOPLE))
    client = site.client("eap-mschapv2", user="bob", password="poppy").establish("start")
    say, spoken = client.link._send_frame, []

    def speak(frame):
        protocol, body = ppp.parse_frame(frame)
        if protocol == ppp.EAP and body[4:] == b"\x1a\3":
            spoken.append(ppp.frame(ppp.EAP, ppp.Control(2, body[1], b"\x1a\3 the same octets").build()))
            frame = spoken[-1]
        say(frame)

    client.link._send_frame = speak
    client.link.start()
    client.until(lambda: spoken)
    assert site.gate.wait_event("ban")["user"] == "bob"
    client.close()
    call = site.gate.wait_call()
    assert (call["frames-dropped"], call["login-failures"]) == ("1", "1")
    assert not site.vpn.calls[-1].link.authenticated


ENVELOPES = {
    "eap-mschapv2 in attributes": ("eap-mschapv2", AttributesNas, {}),
    "mschapv2 in eap": ("mschapv2", EnvelopeNas, {}),
    "identifiers of its own": ("eap-mschapv2", RenumberingEapNas, {}),
    "identity of its own": ("eap", RenumberingEapNas, {
        "user": "alice@example.com", "peer": radius.ExperimentalPeer("alice@example.com")}),
}


@pytest.mark.parametrize("envelope", ENVELOPES)
def test_vpn_server_changes_the_envelope(bench, envelope):
    """PPP and RADIUS then have the NT-Response in common, or EAP without its identifiers."""
    method, end, knobs = ENVELOPES[envelope]
    agreed = "eap-mschapv2" if method == "eap" else method  # LCP agrees on EAP, not on a type of it
    site = Site(bench, nas={"ends": {agreed: end}},
                **({"eap": radius.EapExperimental} if method == "eap" else {}))
    assert site.call(method, **knobs)["key"] == "radius"


def test_login_whose_beginning_went_elsewhere(bench):
    """A gate that sees only the later rounds of EAP cannot identify their login: it has no key, and counts such
    requests."""
    site = Site(bench, gate={"timeout-key": "1s", "admin": "unix:calls.sock"})
    other = bench.start({**site.sections, "gate": {"workers": 1}})
    way = [other.address("radius:site"), site.nas.server]

    def alternate(attributes):
        identity = any(kind == radius.EAP_MESSAGE and value[4] == 1 for kind, value in attributes)
        site.nas.server = way[0 if identity else 1]

    site.nas.wait = alternate
    client = site.client("eap-mschapv2").establish("authenticate")
    assert refused_when_connecting(client).abort.raw == sstp.BINDING_ABORT
    assert site.gate.wait_call()["reason"] == "binding-mac"
    assert "unfollowed 2;" in run("ctl", "-c", site.gate.config, "status").stdout


# -- the name outside of a tunnel --

@pytest.mark.parametrize("rules", [{"deny": "user bob"},
                                   {"allow": "user alice", "default": "deny"}], ids=str)
def test_user_rules_and_the_outer_name(bench, rules):
    """A name that the login does not prove matches every deny and no allow."""
    site = tunnelled(bench, listener=rules)
    client = site.client("eap", **bob_outside_as("alice"))
    with pytest.raises(CallFailed, match="disconnect"):
        client.establish()
    client.close()
    line = site.gate.wait_call()
    assert (line["reason"], line["user"]) == ("user-denied", "alice")
    denied = site.gate.wait_event("deny")
    assert (denied["user"], denied["outer-name"]) == ("alice", "claim")


def test_outer_name_that_the_server_verifies(bench):
    site = tunnelled(bench, listener={"allow": "user alice", "default": "deny"},
                     backend={"outer-name": "verified"})
    site.client("eap", **bob_outside_as("alice")).establish().ping().disconnect()
    assert site.gate.wait_call()["user"] == "alice"


def test_user_rules_where_the_method_proves_the_name(bench):
    site = Site(bench, listener={"allow": "user alice", "default": "deny"})
    for method in ("mschapv2", "mschapv1", "chap-md5", "pap", "eap-mschapv2"):
        assert site.call(method)["user"] == "alice"


@pytest.mark.parametrize("outer", ["claim", "verified"])
def test_tunnels_of_an_outer_name(bench, outer):
    """A tunnel under a claimed name does not count as a tunnel of that user."""
    site = tunnelled(bench, gate={"max-tunnels-per-user": 1}, backend={"outer-name": outer})
    site.client("eap", **bob_outside_as("alice")).establish()
    alice = site.client()
    if outer == "claim":
        alice.establish().ping().disconnect()
    else:
        with pytest.raises(CallFailed, match="disconnect"):
            alice.establish()
        alice.close()
        assert site.gate.wait_call()["reason"] == "user-limit"


def refused_when_connecting(client):
    """Returns the CallFailed of a client that has authenticated and sends Call Connected now."""
    with pytest.raises(CallFailed) as caught:
        client.connect()
        while True:
            client.next()
    client.wait_end()
    client.close()
    return caught.value


@pytest.mark.parametrize("policy", ["rewrite", "auto"])
def test_another_gate_asks(bench, policy):
    """Two gates in front of one VPN server, which sends its RADIUS requests to the first: the second has no
    key, so it refuses the binding, or forwards it unchanged to a VPN server that is configured with the
    hash."""
    site = Site(bench, vpn={"leaf": bench.place.front.der}, backend={"crypto-binding": policy})
    other = bench.start({**site.sections, "gate": {"workers": 1, "timeout-key": "1s"}})
    client = bench.client(other)
    if policy == "rewrite":
        assert expect_failure(client, "connected").abort.raw == sstp.BINDING_ABORT
        assert other.wait_call()["reason"] == "binding-mac"
        assert "is the gate the RADIUS proxy" in other.text()
    else:
        client.establish().disconnect()
        assert site.vpn.wait_over().verdict == "ok"
        assert other.wait_call()["binding"] == "passed"


def test_gates_in_a_row(bench):
    """The VPN server asks the first gate, which asks the second, which asks the RADIUS server: both have the
    keys, whichever of them has the call."""
    site = Site(bench)
    keys = {**site.sections["radius site"], "server-secret-file": "vpn.key",
            "server": "%s:%d" % site.nas.server}
    first = bench.start({**site.sections, "radius site": keys})
    site.nas.server = first.address("radius:site")
    for method in ("mschapv2", "eap-mschapv2"):
        for gate in (site.gate, first):
            lines = len(gate.events("call"))
            bench.client(gate, auth=(method,)).establish().disconnect()
            assert gate.wait_call(lines)["key"] == "radius"
    site.vpn.wait(lambda: [call.record.verdict for call in site.vpn.calls] == ["ok"] * 4)
    assert site.radius.repeated == 0


# -- Calling-Station-Id --

def calling(site):
    """Returns the Calling-Station-Id of the last request at the RADIUS server."""
    return site.radius.requests[-1].value(radius.CALLING)


@pytest.mark.parametrize("method", ["pap", "chap-md5", "mschapv2", "eap-mschapv2"])
def test_calling_station_id(bench, method):
    """The VPN server sees the gate's address; the RADIUS server gets the client's."""
    site = Site(bench, keys={"calling-station-id": "client"}, nas={"calling": "10.9.9.9"})
    site.call(method, bind="127.0.0.23")
    assert calling(site) == b"127.0.0.23"


def test_calling_station_id_ipv6(bench):
    site = Site(bench, keys={"calling-station-id": "client"}, listener={"listen": "[::1]:0"})
    site.call()
    assert calling(site) == b"::1"


def test_calling_station_id_of_one_of_two(bench):
    """The same user from two addresses: an answer of MS-CHAPv2 identifies one client, a name does not."""
    site = Site(bench, keys={"calling-station-id": "client"}, nas={"calling": "10.9.9.9"})
    site.call("pap", bind="127.0.0.23")
    for method, expected in (("pap", b"10.9.9.9"), ("mschapv2", b"127.0.0.24")):
        site.call(method, bind="127.0.0.24")
        assert calling(site) == expected


def test_calling_station_id_and_a_client_with_too_many_answers(bench):
    """A client under alice's name repeats its response to a server that reads nothing, to use up the notes of
    the gate: the call ends before its address is the only one for her name."""
    def without_chap(call):
        take = call.link.on_frame
        call.link.on_frame = lambda octets: ppp.parse_frame(octets)[0] == ppp.CHAP or take(octets)

    site = Site(bench, keys={"calling-station-id": "client"}, nas={"calling": "10.9.9.9"},
                vpn={"checks": ()})
    alice = site.client(bind="127.0.0.8").establish().ping()
    site.vpn.hooks["ack"] = without_chap
    thief = site.client(bind="127.0.0.66").establish("start")
    say = thief.link._send_frame

    def repeat(frame):
        for _ in range(129 if ppp.parse_frame(frame)[0] == ppp.CHAP else 1):
            say(frame)

    thief.link._send_frame = repeat
    with pytest.raises(CallFailed, match="abort"):
        thief.authenticate()
    thief.close()
    assert site.gate.wait_call()["reason"] == "client-too-many-answers"
    assert [request.value(radius.CALLING) for request in site.radius.requests] == [b"127.0.0.8"]
    alice.disconnect()


def test_calling_station_id_is_kept(bench):
    site = Site(bench, nas={"calling": "10.9.9.9"})
    site.call(bind="127.0.0.23")
    assert calling(site) == b"10.9.9.9"


# -- logins without a verdict --

def failed_login(site, method, **knobs):
    """Returns the line of a call whose user is refused."""
    lines = len(site.gate.events("call"))
    client = site.client(method, **knobs)
    with pytest.raises(CallFailed):
        client.establish()
    client.close()
    return site.gate.wait_call(lines)


@pytest.mark.parametrize("fault", ["closed", "silent", "secret", "stranger"])
def test_a_silent_radius_server_is_not_the_users_failure(bench, fault):
    """No line counts a failed login, and no address is banned."""
    site = Site(bench, gate={"ban-points": 10}, nas={"timeout": .3, "tries": 1},
                keys={"timeout-server": "1s"}, silent=99 if fault == "silent" else 0)
    if fault == "closed":
        site.radius.close()
    if fault == "secret":
        site.radius.secret = b"another one"
    if fault == "stranger":
        site.nas.secret = b"another one"
    for method in ("mschapv2", "pap", "eap-mschapv2"):
        line = failed_login(site, method)
        assert line["reason"] == "radius-silent" and line.fields.get("login-failures") is None
    if fault != "stranger":
        assert " warning radius " in site.gate.wait_log("radius radius=site server=")
    assert site.gate.events("ban") == []


@pytest.mark.parametrize("method", ["mschapv2", "mschapv1", "chap-md5", "pap", "eap-mschapv2", "eap"])
def test_a_reject_is_the_users_failure(bench, method):
    site = Site(bench, gate={"ban-points": 10},
                **({"eap": radius.EapExperimental} if method == "eap" else {}))
    knobs = {"peer": radius.ExperimentalPeer("alice", "wrong")} if method == "eap" else {}
    line = failed_login(site, method, password="wrong", **knobs)
    assert line["login-failures"] == "1" and line["reason"] == "login-refused"
    assert line["login-error"] == ("radius-reject" if method in ("chap-md5", "pap", "eap") else "691")
    assert site.gate.wait_event("ban")


@pytest.mark.parametrize("how", ["clean", "fin", "rst"])
def test_a_client_that_does_not_wait_for_the_reject(bench, how):
    """The login costs points, because otherwise guesses would cost nothing."""
    site = Site(bench, gate={"ban-points": 10})
    site.radius.go.clear()
    client = site.client(password="wrong", eager=True).establish("authenticate")
    site.radius.wait(lambda: site.radius.requests)
    client.close(how)
    site.radius.go.set()
    assert site.gate.wait_event("ban")["user"] == "alice"
    assert site.gate.wait_call()["login-failures"] == "1"


def test_a_guess_while_the_user_logs_in(bench):
    """PAP has no marks, so only the time tells that the user's Accept is not the verdict."""
    site = Site(bench, gate={"ban-points": 10})
    site.call("pap")
    site.radius.go.clear()
    requests = len(site.radius.requests)
    client = site.client("pap", password="wrong").establish("start")
    client.link.start()
    client.until(lambda: client.link.auth is not None)
    client.flush()
    site.radius.wait(lambda: len(site.radius.requests) > requests)
    client.close("rst")
    assert site.gate.wait_call(1)["login-failures"] == "1"
    assert site.gate.wait_event("ban")["user"] == "alice"
    site.radius.go.set()


def test_a_client_that_does_not_wait_for_a_silent_server(bench):
    site = Site(bench, gate={"ban-points": 10}, keys={"timeout-server": "1s"}, silent=99)
    client = site.client(eager=True).establish("authenticate")
    site.gate.wait_log("does not answer")
    client.close()
    line = site.gate.wait_call()
    assert (line["reason"], line["detail"]) == ("radius-silent", "client-closed")
    assert "login-failures" not in line.fields and site.gate.events("ban") == []


# -- many logins --

def test_many_calls(bench):
    """Their keys are in the keyring at the same time."""
    site = Site(bench, gate={"workers": 2})
    clients = [site.client(("mschapv2", "eap-mschapv2")[n % 2]).establish("authenticate")
               for n in range(20)]
    for client in reversed(clients):
        client.connect().bring_up().disconnect()
    site.vpn.wait(lambda: [call.record.verdict for call in site.vpn.calls] == ["ok"] * 20)
    lines = [site.gate.wait_call(n) for n in range(20)]
    assert {line["key"] for line in lines} == {"radius"}


def test_torrent(bench):
    """500 logins in a second, without a retransmission and without a loss; a call finds its key although the
    keyring cannot hold all of them."""
    site = Site(bench, gate={"workers": 2})
    slow = site.gate.sanitized()
    outcomes = []
    thread = threading.Thread(target=lambda: outcomes.append(
        torrent.pour(site.nas.server, SECRETS["vpn"], *((300, 100) if slow else (1500, 500)), window=200)))
    thread.start()
    while thread.is_alive():
        assert site.call()["key"] == "radius"
    thread.join()
    assert (outcomes[0].lost, outcomes[0].bad) == (0, 0)
    assert set(outcomes[0].codes) == {radius.ACCESS_ACCEPT}
    assert site.nas.repeated == site.radius.repeated == 0


def test_burst(bench):
    """Datagrams that arrive while the gate is paused wait in its socket, whose buffer is larger than the
    kernel's default (some 250 of these)."""
    site = Site(bench)
    site.gate.pause()
    outcome = torrent.pour(site.nas.server, SECRETS["vpn"], 400, 8000, all_sent=site.gate.resume)
    assert (outcome.lost, outcome.bad) == (0, 0)
    assert site.radius.repeated == 0
