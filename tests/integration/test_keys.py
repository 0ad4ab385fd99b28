"""Calls whose key comes from RADIUS: the gate is the RADIUS proxy of the VPN server behind it."""

import select
import threading

import pytest

from peers import ppp, radius, sstp, tls
from peers.client import CallFailed, last_words
from peers.nas import Nas
from peers.radius import (ACCESS_ACCEPT, CALLING, MS_CHALLENGE, MS_RESPONSE2, USER_NAME, microsoft)

SECRET = "between the three"


class Site:
    """Client, gate, VPN server, and behind the gate a RADIUS server. asks: the VPN server sends its requests to
    the gate; otherwise it knows the passwords itself, and say_keys() makes the RADIUS exchange."""

    def __init__(self, bench, method="mschapv2", asks=True, gate=None, backend=None, nps=None,
                 eap=None, **server):
        self.bench = bench
        path = bench.place.folder / "radius.secret"
        path.touch(mode=0o600)
        path.write_text(SECRET)
        self.radius = radius.Radius(SECRET, **({"eap": eap} if eap else {})).__enter__()
        bench.others.append(self.radius)
        self.server = bench.backend(auth=(method,), **server)
        self.gate = bench.start({
            "gate": {"workers": 1, **(gate or {})},
            "listener front": bench.listener_keys(),
            "backend back": bench.backend_keys(self.server, radius="nps",
                                               **{"users_file": None, **(backend or {})}),
            "radius nps": {"listen": "127.0.0.1:0", "clients": "127.0.0.0/8",
                           "secret-file": path.name, "server": "%s:%d" % self.radius.auth,
                           **(nps or {})}})
        self.nas = Nas(self.gate.address("radius:nps"), SECRET)
        if asks:
            self.server.nas = self.nas

    def client(self, **knobs):
        return self.bench.client(self.gate, auth=(self.server.auth[0],), **knobs)

    def say_keys(self, client):
        """Makes the RADIUS exchange of this client's MS-CHAPv2 login, as a VPN server does."""
        proof = client.link.auth
        answer = self.nas.ask([
            (USER_NAME, client.user.encode()), microsoft(MS_CHALLENGE, proof.challenge),
            microsoft(MS_RESPONSE2, b"\1\0" + proof.peer + bytes(8) + proof.response)])
        assert answer.code == ACCESS_ACCEPT

    def verified(self, key="radius", number=0):
        assert self.server.wait_over(number).verdict == "ok"
        call = self.gate.wait_call(number)
        assert (call["binding"], call["key"]) == ("verified", key)
        return call


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("method", ["mschapv1", "mschapv2", "eap-mschapv2"])
def test_key(bench, method, workers):
    site = Site(bench, method, gate={"workers": workers})
    for number in range(4):
        site.client().establish().ping().disconnect()
        site.verified(number=number)


def test_key_of_32_octets(bench):
    """As in PEAP and EAP-TLS: an observer of the connection cannot compute the key."""
    site = Site(bench, "eap", eap=radius.EapExperimental)
    site.client(peer=radius.ExperimentalPeer()).establish().ping().disconnect()
    assert site.verified()["method"] == "eap"


@pytest.mark.parametrize("method, knobs", [("pap", {}), ("chap-md5", {}),
                                           ("eap-mschapv2", {"zero_key": True})])
def test_zeros(bench, method, knobs):
    """The RADIUS server accepts the user; the client's MAC is made with zeros. Inside EAP a key is known, so
    that zero-key must allow them."""
    site = Site(bench, method, checks=("nonce", "hash-protocol", "certificate"), backend={"zero-key": "eap"})
    site.client(**knobs).establish().ping().disconnect()
    site.verified("zero")


def test_users_file_first(bench):
    site = Site(bench, backend={"users_file": "users"})
    site.client().establish().disconnect()
    site.verified("ms-chapv2")


def test_second_try(bench):
    """After a wrong password: a Reject has no key, and the gate finds the key of the second attempt."""
    site = Site(bench)
    failing = site.client(password="wrong").establish("start")
    with pytest.raises(CallFailed):
        failing.authenticate()
    failing.close()
    site.client().establish().disconnect()
    site.verified(number=1)


def test_many_at_once(bench):
    """Each call finds its own key among those of all others."""
    site = Site(bench, gate={"workers": 2})
    clients = [site.client().establish("authenticate") for _ in range(24)]
    for client in clients:
        client.connect().bring_up()
    for number, client in enumerate(clients):
        client.ping().disconnect()
        site.verified(number=number)


@pytest.mark.parametrize("method, user", [("mschapv2", "mallory"), ("eap-mschapv2", "mallory"),
                                          ("mschapv2", "alice")])
def test_key_of_another_login(bench, method, user):
    """A man in the middle has an account, too, and RADIUS has just provided its key. The gate must not use it
    for the call of his victim, whose server verifies no binding; nor that of another call of hers, if the two
    can be distinguished."""
    site = Site(bench, method, gate={"timeout-key": "1s"}, checks=())
    site.radius.users["mallory"] = "sesame"
    own = site.client(user=user).establish("authenticate")
    victim = site.client().establish("authenticate")
    victim.link.auth.hlak = own.link.hlak
    victim.connect()
    assert last_words(victim).raw == sstp.BINDING_ABORT
    assert "connected" not in site.server.wait_over(1).seen
    own.close()


@pytest.mark.parametrize("method, knobs", [
    ("pap", {}), ("chap-md5", {}), ("mschapv2", {}), ("eap-mschapv2", {}),
    ("mschapv2", {"user": "CORP\\alice"})], ids=str)
def test_calling_station(bench, method, knobs):
    """The RADIUS server gets the client's address, which the VPN server does not see."""
    site = Site(bench, method, nps={"calling-station-id": "client"})
    site.client(bind="127.0.0.99", **knobs).establish().disconnect()
    asked = [request.value(CALLING) for request in site.radius.requests]
    assert asked == [b"127.0.0.99"] * len(asked) and asked


def test_no_key_from_here(bench):
    """The VPN server asks another RADIUS server."""
    site = Site(bench, asks=False, gate={"timeout-key": "1s"})
    client = site.client().establish("authenticate")
    client.connect()
    abort = last_words(client)
    assert abort.raw == sstp.BINDING_ABORT
    event = site.gate.wait_event("binding-mac")
    assert "no RADIUS key for this login arrived within timeout-key" in event["msg"]
    assert (event["radius-keys"], event["action"]) == ("0", "refused")
    call = site.gate.wait_call()
    assert (call["reason"], call["binding"]) == ("binding-mac", "failed")
    assert "connected" not in site.server.wait_over().seen


def test_no_key_from_here_with_auto(bench):
    """The binding is forwarded unchanged and in order, and the call continues."""
    site = Site(bench, asks=False, gate={"timeout-key": "1s"}, backend={"crypto-binding": "auto"},
                leaf=bench.place.front.der)
    site.client().establish().ping().disconnect()
    assert site.server.wait_over().verdict == "ok"
    assert site.gate.wait_call()["binding"] == "passed"
    assert site.gate.wait_event("binding-mac")["action"] == "passed-unchanged"


def test_methods_without_keys_never_wait(bench):
    """A wrong MAC is refused at once, without waiting for timeout-key."""
    site = Site(bench, "pap", asks=False, gate={"timeout-key": "1h"})
    client = site.client(tamper="mac").establish("connected")
    assert last_words(client).raw == sstp.BINDING_ABORT


# -- Call Connected before its key --

@pytest.fixture
def waiting(bench):
    """Returns a call that certainly waits, because an LCP Echo has returned from the server; `seen`: the PPP
    protocols that the server had seen when Call Connected arrived."""
    site = Site(bench, asks=False, gate={"timeout-key": "1h"})
    site.seen = []
    site.server.hooks["connected"] = lambda call: site.seen.extend(call.link.protocols)
    site.waits = site.client().establish("authenticate").connect()
    link_alive(site.waits)
    assert "connected" not in site.server.calls[0].record.seen
    return site


def link_alive(client):
    """Sends an LCP Echo-Request and waits for the reply."""
    before = len(client.link.protocols)
    client.link.lcp.send(ppp.ECHO_REQ, 77, bytes(4))
    client.until(lambda: ppp.LCP in client.link.protocols[before:])


def test_late_key(waiting):
    """Packets that arrive while the call waits are forwarded after Call Connected, completely and in order."""
    client, server = waiting.waits, waiting.server.calls[0]
    client.link.bring_up()                             # IPCP
    client.send(sstp.control(sstp.ECHO_REQUEST))
    client.flush()
    waiting.say_keys(client)
    client.until(lambda: client.link.up)
    client.until(lambda: any(p.type == sstp.ECHO_RESPONSE for p in client.seen))
    client.stage = "up"
    client.ping().disconnect()
    waiting.verified()
    assert ppp.IPCP not in waiting.seen and ppp.IPCP in server.link.protocols
    assert server.record.seen == ["connect-request", "connected", "echo-request", "disconnect"]


def test_more_than_fits(waiting):
    """The gate stops reading from a client that sends too much, and loses nothing."""
    client, packets = waiting.waits, 10000
    client.link.bring_up()

    def pour():
        for number in range(packets):
            client.link.ipcp.send(ppp.PROT_REJ, number % 256, bytes(1200))
        client.flush()

    thread = threading.Thread(target=pour, daemon=True)
    thread.start()
    poll = select.poll()
    poll.register(client.wire.sock, select.POLLOUT)
    while poll.poll(0):
        assert thread.is_alive()  # otherwise the gate has read everything
    waiting.say_keys(client)
    client.until(lambda: client.link.up)
    thread.join(tls.DEADLINE)
    client.stage = "up"
    client.ping().disconnect()
    record = waiting.server.wait_over()
    assert record.packets_in > packets and record.verdict == "ok"


def test_wrong_keys_come(waiting):
    """Keys of other logins arrive: the call continues to wait."""
    other = waiting.client(password="sesame").establish("authenticate")
    waiting.say_keys(other)
    other.connect().bring_up().disconnect()
    link_alive(waiting.waits)
    assert "connected" not in waiting.server.calls[0].record.seen
    waiting.say_keys(waiting.waits)
    waiting.waits.bring_up().disconnect()
    assert waiting.server.wait_over().verdict == "ok"


@pytest.mark.parametrize("kind, reason", [(sstp.DISCONNECT, "client-disconnect"),
                                          (sstp.ABORT, "client-abort")])
def test_client_gives_up(waiting, kind, reason):
    client = waiting.waits
    client.send(sstp.status(kind, 0, 0))
    words = last_words(client)
    assert words is None or words.type in (sstp.ABORT, sstp.DISCONNECT_ACK)
    record = waiting.server.wait_over()
    assert "connected" not in record.seen and record.reason == reason.replace("-", " ")
    call = waiting.gate.wait_call()
    assert (call["reason"], call["binding"]) == (reason, "-")


@pytest.mark.parametrize("how", ["disconnect", "abort"])
def test_server_gives_up(bench, how):
    """The server ends the call between the Success and Call Connected."""
    site = Site(bench, asks=False, gate={"timeout-key": "1h"})
    site.server.hooks["auth"] = lambda call: (site.server.go.wait(), getattr(call, how)("enough"))
    client = site.client().establish("authenticate").connect()
    client.link.bring_up()
    client.flush()
    site.server.go.set()
    words = last_words(client)
    assert words.type == (sstp.ABORT if how == "abort" else sstp.DISCONNECT)
    assert "connected" not in site.server.wait_over().seen
    assert site.gate.wait_call()["reason"] == f"backend-{how}"


@pytest.mark.parametrize("end", ["clean", "fin", "rst"])
def test_client_vanishes(waiting, end):
    waiting.waits.close(end)
    assert "connected" not in waiting.server.wait_over().seen
    assert waiting.gate.wait_call()["reason"] in ("client-closed", "client-reset")


def test_stop_while_it_waits(waiting):
    waiting.gate.signal(15)
    assert last_words(waiting.waits).type == sstp.DISCONNECT
    assert waiting.gate.wait_call()["reason"] == "shutdown"


def test_timeout_by_reload(waiting):
    """A shorter timeout-key applies to calls that wait already."""
    text = waiting.gate.config.read_text()
    waiting.gate.config.write_text(text.replace("timeout-key = 1h", "timeout-key = 1s"))
    waiting.gate.reload()
    assert last_words(waiting.waits).raw == sstp.BINDING_ABORT
