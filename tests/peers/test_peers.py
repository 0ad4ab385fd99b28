"""The peers against published values, and against each other without a gate."""

import threading
from dataclasses import replace

import pytest

from peers import head, link, mschap, pki, ppp, radius, sstp
from peers.client import Client, CallFailed, expect_failure
from peers.mitm import Mitm
from peers.dialects import DIALECTS
from peers.nas import Nas
from peers.server import Server

# [MS-SSTP] 4.7: hash protocol, HLAK, Call Connected
PUBLISHED = [
    (sstp.SHA256, "2a1bb40d55ab0f5ef32f06f2b3cc73c48fd3fac41d7a1315a19228d9024ca164",
     "10010070000400010003006800000002412b489aebd7ecc7d08966f26be7cd72b231a0e9210d7c91b308862b0344"
     "c4357993ef314c493dace9f02d60e7e61c84b6690aafe9d7aeea92cbbe8ad599422d52a68efd8cffbf52770b8f0f"
     "e8ec73716583af6d611eb6d179b3b20840985449"),
    (sstp.SHA1, "4b3128f43925d9006eefb1c4e86515a1d88e56bab3ca2bdf0373b7f5a8a13b19",
     "100100700004000100030068000000010f1a2d58d4a3e3000fad3ce4906e07b707aa9e441cceac5cbd7b2cc1c9d8"
     "6cdf5826b629bda59b8e6fd8dcd2622fd34c534805a500000000000000000000000069915dd583d8062fef16f61d"
     "b2f03290ec27cb6c000000000000000000000000"),
]


@pytest.mark.parametrize("protocol, hlak, message", PUBLISHED)
def test_binding_published(protocol, hlak, message):
    message, hlak = bytes.fromhex(message), bytes.fromhex(hlak)
    binding = sstp.parse_connected(sstp.parse(message))
    assert binding.protocol == protocol
    assert sstp.compound_mac(protocol, hlak, message) == binding.mac
    assert sstp.call_connected(protocol, binding.nonce, binding.leaf_hash, hlak) == message


def test_one_md4_at_a_time(monkeypatch):
    """Two threads in the library's MD4 at once corrupt each other's result, about once in 300,000
    times: a wrong key, in one call of a test with many logins."""
    together = threading.Barrier(2)

    class Meeting:
        def new(octets):
            try:
                together.wait(0.2)
                met.append(octets)
            except threading.BrokenBarrierError:
                pass
            return md4.new(octets)

    md4, met = mschap.MD4, []
    monkeypatch.setattr(mschap, "MD4", Meeting)
    other = threading.Thread(target=mschap.nt_hash, args=("sesame",))
    other.start()
    mschap.nt_hash("open")
    other.join()
    assert not met


def test_mschapv2_published():
    """RFC 2759 9.2 and RFC 3079 3.5.3, which prints only one half of the key."""
    challenge = bytes.fromhex("5b5d7c7d7b3f2f3e3c2c602132262628")
    peer = bytes.fromhex("21402324255e262a28295f2b3a337c7e")
    for user in (b"User", b"CORP\\User"):
        response = mschap.nt_response(challenge, peer, user, "clientPass")
        assert response.hex() == "82309ecd8d708b5ea08faa3981cd83544233114a3d85d6df"
    assert mschap.hash_hash("clientPass").hex() == "41c00c584bd2d91c4017a2a12fa59f3f"
    assert mschap.authenticator_response("clientPass", response, peer, challenge, b"User") \
        == b"S=407A5589115FD0D6209F510FE9C04566932CDA56"
    assert mschap.hlak_v2("clientPass", response)[16:].hex() == "8b7cdc149b993a1ba118cb153f56dccb"


def test_password_change_crypto():
    block = mschap.encrypt_new_password("fresh", "stale", bytes(512))
    assert len(block) == 516
    assert mschap.decrypt_new_password(block, "stale") == "fresh"


def test_messages():
    assert sstp.connect_request().hex() == "1001000e00010001000100060001"
    assert sstp.status(sstp.ABORT, 3, 4) == sstp.BINDING_ABORT
    assert sstp.control(sstp.ECHO_REQUEST).hex() == "1001000800080000"
    assert sstp.connect_ack(2, bytes(32))[:16].hex() == "10010030000200010004002800000002"


def test_ping_checksums():
    ping = ppp.ping(bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2]), 7, 9)
    assert ppp.parse_ping(ping).sequence == 9
    assert ppp.parse_ping(ping[:-1] + b"x") is None


@pytest.fixture(scope="module")
def cert(tmp_path_factory):
    return pki.make(tmp_path_factory.mktemp("pki"), "server", key="ec")


def to(server, **knobs):
    return Client(("127.0.0.1", server.port), **knobs)


@pytest.mark.parametrize("hash", [1, 2])
@pytest.mark.parametrize("method", [m for m in ppp.METHODS if m != "eap"])
def test_direct(cert, method, hash):
    with Server(cert.cert, cert.key, auth=(method,)) as server:
        with to(server, auth=(method,), hash=hash) as client:
            client.establish().ping(3).echo().disconnect()
            assert client.packets.misfits == 0
        record = server.wait_over()
        assert (record.verdict, record.method, record.user) == ("ok", method, "alice")
        assert (record.hash, record.reason, record.misfits) == (hash, "client disconnect", 0)
        zero = method in ("pap", "chap-md5", "eap-md5")
        assert (client.key == sstp.NO_KEY) == zero


@pytest.mark.parametrize("tamper, verdict", [("nonce", "nonce"), ("cert-hash", "certificate"),
                                             ("mac", "mac"), ("hash-protocol", "hash-protocol")])
def test_tampered(cert, tamper, verdict):
    mask = 2 if tamper == "hash-protocol" else 3
    with Server(cert.cert, cert.key, mask=mask) as server:
        with to(server, tamper=tamper) as client:
            failure = expect_failure(client, "connected")
            assert failure.abort.raw == sstp.BINDING_ABORT
        assert server.wait_over().verdict == verdict


def test_zero_key_is_not_enough(cert):
    with Server(cert.cert, cert.key) as server, to(server, zero_key=True) as client:
        assert expect_failure(client, "connected").abort.raw == sstp.BINDING_ABORT
        assert server.wait_over().verdict == "mac"


@pytest.mark.parametrize("knobs", [dict(first_password="wrong"), dict(retransmit=True),
                                   dict(acfc=True, pfc=True), dict(eager=True),
                                   dict(user="CORP\\alice")], ids=str)
@pytest.mark.parametrize("method", ["mschapv1", "mschapv2", "eap-mschapv2"])
def test_odd_clients(cert, knobs, method):
    with Server(cert.cert, cert.key, auth=(method,)) as server:
        with to(server, auth=(method,), **knobs) as client:
            client.establish().ping().disconnect()
        assert server.wait_over().verdict == "ok"


def test_password_change(cert):
    with Server(cert.cert, cert.key, expired=("alice",)) as server:
        with to(server, new_password="poppy") as client:
            client.establish().ping().disconnect()
        assert server.users == {"alice": "poppy"}
        assert server.wait_over().verdict == "ok"


@pytest.mark.parametrize("dialect", DIALECTS)
def test_dialects(cert, dialect):
    with Server(cert.cert, cert.key, dialect=dialect) as server:
        with to(server) as client:
            client.establish().ping(2).disconnect()
        assert server.wait_over().verdict in ("ok", "unchecked")


@pytest.mark.parametrize("method", ["pap", "chap-md5", "mschapv1", "mschapv2", "eap-mschapv2",
                                    "eap-tls", "peap"])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_methods_of_dialects(cert, dialect, method):
    """The server prefers one method, the client this one. The type of EAP is negotiated inside EAP."""
    with Server(cert.cert, cert.key, dialect=dialect) as server, \
            to(server, auth=(method,), acknowledges_from=8) as client:
        if method in DIALECTS[dialect].auth:
            client.establish().ping().disconnect()
            assert server.wait_over().method == method
        else:
            with pytest.raises(CallFailed):
                client.establish()
            client.close()
            assert server.wait_over().verdict is None


@pytest.mark.parametrize("tamper, words", [("mac", sstp.BINDING_ABORT),
                                           (None, sstp.status(sstp.ABORT, 2, 9))])
def test_rras_reports_which(cert, tamper, words):
    """A wrong binding, and a malformed one."""
    with Server(cert.cert, cert.key, dialect="rras") as server, \
            to(server, tamper=tamper, acknowledges_from=8) as client:
        if tamper is None:
            client.binding = lambda: sstp.control(sstp.CONNECTED)
        assert expect_failure(client).abort.raw == words
        assert server.wait_over().verdict == (tamper or "form")


@pytest.mark.parametrize("shape", ["packet", "octets", "joined", "odd"])
def test_bulk(cert, shape):
    octets = 20_000 if shape == "octets" else 1_000_000
    with Server(cert.cert, cert.key, load="echo", shape=shape) as server:
        with to(server, shape=shape) as client:
            client.establish().bulk(octets).disconnect()
            assert (client.packets.misfits == 0) == (shape == "packet")


@pytest.mark.parametrize("trick, verdict", [("none", "certificate"), ("hash", "mac"),
                                            ("nonce", "nonce")])
def test_mitm(cert, trick, verdict, tmp_path):
    evil = pki.make(tmp_path, "evil")
    with Server(cert.cert, cert.key) as server, \
            Mitm(("127.0.0.1", server.port), evil.cert, evil.key, trick) as mitm, \
            Client(mitm.address) as client:
        assert expect_failure(client, "connected").abort.raw == sstp.BINDING_ABORT
        assert server.wait_over().verdict == verdict


def test_refusals(cert):
    with Server(cert.cert, cert.key, refuse=503) as server, to(server) as client:
        assert expect_failure(client).status == 503
    for uri, status in ((head.URI.lower(), 404), (head.URI + b"?tenantid=x", 404)):
        with Server(cert.cert, cert.key) as server:
            with to(server, head=head.request(b"x", uri=uri)) as client:
                assert expect_failure(client).status == status


def test_plain(cert):
    with Server(plain=True, leaf=cert.der) as server, to(server, leaf=cert.der) as client:
        client.open().ask().start().authenticate().connect().bring_up().ping().disconnect()
        assert server.wait_over().verdict == "ok"


def test_wrong_password(cert):
    with Server(cert.cert, cert.key) as server, to(server, password="nope") as client:
        with pytest.raises(CallFailed, match="authentication refused"):
            client.establish()


# -- the VPN server asks RADIUS --

def asking(cert, server, **knobs):
    return Server(cert.cert, cert.key, nas=Nas(server.auth, server.secret, **knobs),
                  auth=("mschapv2", "mschapv1", "chap-md5", "pap", "eap"))


def test_hidden_key():
    """RFC 2548 2.4.2. tests/interop shows that FreeRADIUS hides it in the same way."""
    for size in (16, 32):
        key, authenticator = bytes(range(size)), bytes(range(16))
        value = radius.hide_key(key, b"secret", authenticator)
        assert len(value) == size + 18
        assert radius.reveal_key(value, b"secret", authenticator) == key


@pytest.mark.parametrize("method", [m for m in ppp.METHODS if m not in
                                    ("eap", "eap-md5", "eap-tls", "peap")])
def test_radius(cert, method):
    with radius.Radius("secret") as server, asking(cert, server, demand=True) as vpn:
        with to(vpn, auth=(method,)) as client:
            client.establish().ping().disconnect()
        assert vpn.wait_over().verdict == "ok"
        with to(vpn, auth=(method,), password="wrong") as client, pytest.raises(CallFailed):
            client.establish()


def test_radius_32_octets(cert):
    with radius.Radius("secret", eap=radius.EapExperimental) as server, \
            asking(cert, server) as vpn:
        with to(vpn, auth=("eap",), peer=radius.ExperimentalPeer()) as client:
            client.establish().ping().disconnect()
        assert vpn.wait_over().verdict == "ok"
        with to(vpn, auth=("eap",), peer=radius.ExperimentalPeer(password="wrong")) as client:
            with pytest.raises(CallFailed):
                client.establish()


def test_radius_is_asked_again(cert):
    with radius.Radius("secret", silent=1) as server, asking(cert, server, timeout=0.1) as vpn:
        with to(vpn) as client:
            client.establish()
        assert (vpn.nas.repeated, server.repeated) == (1, 1)


def test_radius_with_another_secret(cert):
    with radius.Radius("secret") as server, asking(cert, server, timeout=0.1, tries=1) as vpn:
        vpn.nas.secret = b"another"
        with to(vpn) as client, pytest.raises(CallFailed):
            client.establish()
        assert server.bad == 1


def test_radius_password_change(cert):
    with radius.Radius("secret", users={"alice": "stale"}, expired=["alice"]) as server, \
            asking(cert, server) as vpn:
        with to(vpn, password="stale", new_password="sesame") as client:
            client.establish().disconnect()
        assert vpn.wait_over().verdict == "ok"
        assert server.users == {"alice": "sesame"}


# -- how servers read PPP (PROTOCOL.md 5.1, 5.2, 5.4) --

def pap_request(name, password=b"sesame"):
    return bytes([len(name)]) + name + bytes([len(password)]) + password


class Sent(list):
    """Collects the frames of a ServerLink as (protocol, packet)."""

    def __call__(self, frame):
        protocol, body = ppp.parse_frame(frame)
        self.append((protocol, ppp.parse_control(body)))

    def last(self, protocol):
        return [packet for p, packet in self if p == protocol][-1]


def answering(dialect, method="pap", **changes):
    """Returns a ServerLink that has agreed on `method`, and what it has sent."""
    sent = Sent()
    server = link.ServerLink(sent, None, (method,), {"alice": "sesame"},
                             dialect=replace(DIALECTS[dialect], **changes))
    server.start()
    asked = sent.last(ppp.LCP)
    server.on_frame(ppp.frame(ppp.LCP, ppp.Control(ppp.CONF_ACK, asked.ident, asked.data).build()))
    server.on_frame(ppp.frame(ppp.LCP, ppp.Control(ppp.CONF_REQ, 1, b"").build()))
    assert server.lcp.opened
    return server, sent


@pytest.mark.parametrize("dialect, name, user", [
    ("softether", b" alice\t", "alice"), ("softether", b"alice\0x", "alice"), ("accel-ppp", b"alice\0x", "alice"),
    ("accel-ppp", b" alice", " alice"), ("sorz", b"alice\0x", "alice"), ("rras", b"alice\0x", "alice\0x")])
def test_ends_of_names(dialect, name, user):
    server, _ = answering(dialect)
    server.on_frame(ppp.frame(ppp.PAP, ppp.Control(1, 1, pap_request(name)).build()))
    assert (server.auth.user, server.authenticated) == (user, user == "alice")


@pytest.mark.parametrize("dialect, answered", [("softether", True), ("accel-ppp", False), ("sorz", False)])
def test_inner_length(dialect, answered):
    """SoftEther accepts the octets after a length of 4; it also refuses a length of 3 as too short."""
    body = ppp.Control(1, 1, pap_request(b"alice")).build()
    for length, result in ((3, None), (4, True if answered else None)):
        server, _ = answering(dialect)
        server.on_frame(ppp.frame(ppp.PAP, body[:2] + length.to_bytes(2, "big") + body[4:]))
        assert server.auth.result is result


@pytest.mark.parametrize("dialect, obeyed", [("softether", True), ("accel-ppp", False), ("sorz", False)])
def test_method_that_the_client_asks_for(dialect, obeyed):
    sent = Sent()
    server = link.ServerLink(sent, None, ("eap-mschapv2", "mschapv2"), {}, dialect=DIALECTS[dialect])
    server.start()
    option = ppp.build_options([(ppp.OPT_AUTH, ppp.METHODS["mschapv2"])])
    server.on_frame(ppp.frame(ppp.LCP, ppp.Control(ppp.CONF_REQ, 7, option).build()))
    assert sent.last(ppp.LCP).code == (ppp.CONF_ACK if obeyed else ppp.CONF_REJ)
    assert [protocol for protocol, _ in sent].count(ppp.CHAP) == obeyed


@pytest.mark.parametrize("dialect, exact", [("softether", False), ("accel-ppp", False), ("sorz", True)])
def test_ack_of_something_else(dialect, exact):
    sent = Sent()
    server = link.ServerLink(sent, None, ("mschapv2",), {}, dialect=DIALECTS[dialect])
    server.start()
    option = ppp.build_options([(ppp.OPT_AUTH, ppp.METHODS["pap"])])
    server.on_frame(ppp.frame(ppp.LCP, ppp.Control(ppp.CONF_ACK, sent.last(ppp.LCP).ident, option).build()))
    assert server.lcp.agreed_here != exact


@pytest.mark.parametrize("dialect, restarts", [("softether", False), ("accel-ppp", False), ("sorz", True)])
def test_lcp_in_a_tunnel(dialect, restarts):
    server, sent = answering(dialect)
    server.on_frame(ppp.frame(ppp.PAP, ppp.Control(1, 1, pap_request(b"alice")).build()))
    assert server.authenticated
    server.on_frame(ppp.frame(ppp.LCP, ppp.Control(ppp.CONF_REQ, 9, b"").build()))
    assert server.authenticated != restarts
    assert sent.last(ppp.LCP).code == ppp.CONF_ACK


@pytest.mark.parametrize("dialect, nak", [("softether", False), ("accel-ppp", True)])
def test_wrong_pap_password(dialect, nak):
    server, sent = answering(dialect)
    server.on_frame(ppp.frame(ppp.PAP, ppp.Control(1, 1, pap_request(b"alice", b"wrong")).build()))
    assert server.refused
    assert [packet.code for protocol, packet in sent if protocol == ppp.PAP] == [3] * nak
