"""The crypto-binding through the gate: verified, re-signed, or refused (PROTOCOL.md 4). The backend is strict:
"ok" from it means that it compared the nonce, the hash of its own leaf and the Compound MAC under its own
key."""

import functools

import pytest

from conftest import USERS
from peers import ppp, sstp
from peers.client import Client, expect_failure

METHODS = ("pap", "chap-md5", "mschapv1", "mschapv2", "eap-mschapv2")
KEYS = {"pap": "zero", "chap-md5": "zero", "eap-md5": "zero", "mschapv1": "ms-chapv1",
        "mschapv2": "ms-chapv2", "eap-mschapv2": "ms-chapv2"}
HASHES = {sstp.SHA1: "sha1", sstp.SHA256: "sha256"}
RESULTS = {"rewrite": "verified", "auto": "verified", "passthrough": "passed", "off": "off"}


def plain(name):
    return name.replace("-", "")


@pytest.fixture(scope="module")
def matrix(shared):
    """One gate with a listener for each policy. Where the message is forwarded unchanged, the backend is
    configured with the hash of the gate's certificate, as an administrator configures RRAS."""
    place = shared.place
    shared.strict = shared.backend(auth=METHODS, users=USERS)
    shared.configured = shared.backend(auth=METHODS, users=USERS, leaf=place.front.der)
    sections = {"gate": {"workers": 1}}
    for policy in RESULTS:
        server = shared.strict if policy in ("rewrite", "auto") else shared.configured
        sections[f"listener {policy}"] = shared.listener_keys(backend=f"to-{policy}")
        sections[f"backend to-{policy}"] = shared.backend_keys(server, crypto_binding=policy)
    shared.one = shared.start(sections)
    return shared


@pytest.mark.parametrize("hash", HASHES)
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("policy", RESULTS)
def test_matrix(matrix, policy, method, hash):
    server = matrix.strict if policy in ("rewrite", "auto") else matrix.configured
    number, lines = len(server.calls), len(matrix.one.events("call"))
    client = matrix.client(matrix.one, policy, auth=(method,), hash=hash)
    client.establish().ping().disconnect()
    assert client.packets.misfits == 0
    record = server.wait_over(number)
    assert (record.verdict, record.method, record.user, record.hash) == ("ok", method, "alice", hash)
    call = matrix.one.wait_call(lines)
    assert call["binding"] == RESULTS[policy]
    assert plain(call["method"]) in (plain(method), plain("ms-" + method))
    assert (call["user"], call["reason"]) == ("alice", "client-disconnect")
    if policy in ("rewrite", "auto"):
        assert (call["key"], call["hash"]) == (KEYS[method], HASHES[hash])


def test_eap_md5(bench):
    server, gate = bench.usual(auth=("eap-md5",))
    bench.client(gate, auth=("eap-md5",)).establish().ping().disconnect()
    assert server.wait_over().verdict == "ok"
    assert gate.wait_call()["key"] == "zero"


@pytest.mark.parametrize("user", USERS)
def test_passwords(bench, user):
    server, gate = bench.usual(users=USERS)
    bench.client(gate, user=user, password=USERS[user]).establish().disconnect()
    assert server.wait_over().verdict == "ok"


@pytest.fixture(scope="module")
def pair_of(shared):
    """Returns a function: the server for one method, and its gate. Each test makes one call."""
    @functools.cache
    def pair(method):
        server = shared.backend(auth=(method,))
        return server, shared.gate(server)
    return pair


@pytest.mark.parametrize("knobs", [dict(first_password="wrong"), dict(retransmit=True),
                                   dict(acfc=True, pfc=True), dict(eager=True),
                                   dict(user="CORP\\alice"), dict(shape="octets"),
                                   dict(shape="odd"), dict(shape="joined")], ids=str)
@pytest.mark.parametrize("method", ["mschapv1", "mschapv2", "eap-mschapv2"])
def test_odd_clients(shared, pair_of, knobs, method):
    server, gate = pair_of(method)
    number = len(server.calls)
    shared.client(gate, auth=(method,), **knobs).establish().ping().disconnect()
    assert server.wait_over(number).verdict == "ok"
    call = gate.wait_call(number)
    assert (call["binding"], call["key"]) == ("verified", KEYS[method])


@pytest.mark.parametrize("shape", ["octets", "odd", "joined"])
def test_odd_servers(bench, shape):
    server, gate = bench.usual(shape=shape)
    client = bench.client(gate).establish().ping()
    client.disconnect()
    assert client.packets.misfits == 0
    assert server.wait_over().verdict == "ok"


def test_upper_case_user(bench):
    """The gate compares names without case. The hash of MS-CHAPv2 depends on case, but the gate does not
    compute it."""
    server, gate = bench.usual(users={"ALICE": "sesame"})
    bench.client(gate, user="ALICE").establish().disconnect()
    assert server.wait_over().verdict == "ok"


@pytest.mark.parametrize("method", ["mschapv2", "eap-mschapv2"])
def test_password_change(bench, method):
    """The key is that of the new password, which the users file already contains."""
    server, gate = bench.usual(auth=(method,), users={"alice": "stale"}, expired=("alice",))
    client = bench.client(gate, auth=(method,), password="stale", new_password="sesame")
    client.establish().ping().disconnect()
    assert server.wait_over().verdict == "ok"
    assert server.users["alice"] == "sesame"


def test_lcp_starts_over(bench):
    """LCP starts over during the authentication: the second challenge determines the key."""
    rounds = []

    def once(call):
        rounds.append(1)
        if len(rounds) == 1:
            call.link.restart()

    # joined: Challenge and Configure-Request arrive together, so no answer is under way in between
    server, gate = bench.usual(hooks={"lcp": once}, shape="joined")
    bench.client(gate).establish().ping().disconnect()
    assert len(rounds) == 2
    assert server.wait_over().verdict == "ok"
    assert gate.wait_call()["binding"] == "verified"


# -- EAP refused --

@pytest.mark.parametrize("takes", ["mschapv2", "pap"])
def test_no_eap_in_lcp(bench, takes):
    """The server asks for EAP first, as RRAS and SoftEther do; the client Naks it in LCP."""
    server, gate = bench.usual(auth=("eap-mschapv2", "mschapv2", "pap"))
    bench.client(gate, auth=(takes,)).establish().ping().disconnect()
    assert server.wait_over().verdict == "ok"
    call = gate.wait_call()
    assert (plain(call["method"]), call["key"]) in (("mschapv2", "ms-chapv2"), ("pap", "zero"))
    assert plain(call["method"]) == takes


@pytest.mark.parametrize("first", ["eap-tls", "peap", "eap-md5"])
def test_another_type_of_eap(bench, first):
    """Inside EAP the client refuses the type that the server offers (RFC 3748 5.3)."""
    server, gate = bench.usual(auth=(first, "eap-mschapv2"))
    bench.client(gate, auth=("eap-mschapv2",)).establish().ping().disconnect()
    assert server.wait_over().verdict == "ok"
    call = gate.wait_call()
    assert (call["method"], call["key"]) == ("eap-mschapv2", "ms-chapv2")
    assert "weak" not in call.fields


def test_eap_is_given_up(bench):
    """If the client accepts no type of EAP, SoftEther starts LCP over without EAP: the earlier agreement and
    messages have no effect."""
    rounds = []

    def give_up(call):
        rounds.append(call.link.method)
        if len(rounds) > 1:
            return
        call.link.methods = ["mschapv2"]
        call.link.method = "mschapv2"
        call.link.lcp.want[ppp.OPT_AUTH] = ppp.METHODS["mschapv2"]
        call.link.restart()

    server, gate = bench.usual(auth=("eap-mschapv2",), hooks={"lcp": give_up}, shape="joined")
    bench.client(gate, auth=("eap-mschapv2", "mschapv2")).establish().ping().disconnect()
    assert rounds == ["eap-mschapv2", "mschapv2"]
    assert server.wait_over().verdict == "ok"
    call = gate.wait_call()
    assert (call["method"], call["key"]) == ("ms-chapv2", "ms-chapv2")


# -- re-signing --

@pytest.mark.parametrize("method", ["mschapv2", "pap"])
@pytest.mark.parametrize("client_hash, mask", [(sstp.SHA1, 2), (sstp.SHA256, 1)])
def test_translation(bench, method, client_hash, mask):
    server, gate = bench.usual(auth=(method,), mask=mask)
    client = bench.client(gate, auth=(method,), hash=client_hash).establish()
    assert client.mask == 3
    client.ping().disconnect()
    record = server.wait_over()
    assert (record.verdict, record.hash) == ("ok", mask)
    assert gate.wait_call()["hash"] == HASHES[client_hash]


@pytest.mark.parametrize("policy", ["auto", "passthrough", "off"])
def test_mask_is_kept_where_the_message_may_be(bench, policy):
    for mask in (1, 2, 3):
        server = bench.backend(mask=mask, leaf=bench.place.front.der if policy != "auto" else None)
        gate = bench.gate(server, backend={"crypto-binding": policy})
        client = bench.client(gate).establish()
        assert client.mask == mask
        client.disconnect()
        assert server.wait_over().verdict == "ok"


def test_mask_of_nothing(bench):
    """sorz without a certificate offers no hash; sstpc then uses SHA1 (PROTOCOL.md 4.1)."""
    for hash in HASHES:
        server = bench.backend(dialect="sorz", echoes_early=False)
        gate = bench.gate(server)
        bench.client(gate, hash=hash).establish().disconnect()
        assert server.wait_over().verdict == "ok"


# -- refusals --

def refused(bench, gate, server, client, reason, abort=sstp.BINDING_ABORT):
    """Asserts that the client gets an Abort and the end, and the backend nothing of its Call Connected."""
    failure = expect_failure(client, "connected")
    assert failure.abort and failure.abort.raw == abort
    assert failure.end == "close-notify"
    record = server.wait_over()
    assert "connected" not in record.seen and record.verdict is None
    call = gate.wait_call()
    assert (call["reason"], call["binding"]) == (reason, "failed")


@pytest.mark.parametrize("tamper, reason", [("nonce", "binding-nonce"), ("mac", "binding-mac"),
                                            ("cert-hash", "binding-leaf")])
@pytest.mark.parametrize("hash", HASHES)
@pytest.mark.parametrize("method", ["pap", "mschapv2"])
def test_tampered(bench, tamper, reason, hash, method):
    server, gate = bench.usual(auth=(method,))
    client = bench.client(gate, auth=(method,), tamper=tamper, hash=hash)
    refused(bench, gate, server, client, reason)


@pytest.mark.parametrize("policy", ["auto", "passthrough"])
@pytest.mark.parametrize("tamper, reason", [("nonce", "binding-nonce"),
                                            ("cert-hash", "binding-leaf")])
def test_tampered_under_other_policies(bench, policy, tamper, reason):
    server = bench.backend()
    gate = bench.gate(server, backend={"crypto-binding": policy})
    refused(bench, gate, server, bench.client(gate, tamper=tamper), reason)


FORMS = {
    "protocol-0": (lambda m: m[:15] + b"\0" + m[16:], "binding-hash"),
    "protocol-both": (lambda m: m[:15] + b"\3" + m[16:], "binding-hash"),
    "protocol-4": (lambda m: m[:15] + b"\4" + m[16:], "binding-hash"),
    "protocol-not-used": (lambda m: m[:15] + b"\1" + m[16:], "binding-leaf"),
    "no-attribute": (lambda m: sstp.control(sstp.CONNECTED), "binding-form"),
    "other-attribute": (lambda m: m[:9] + b"\4" + m[10:], "binding-form"),
    "count-2": (lambda m: m[:7] + b"\2" + m[8:], "binding-form"),
    "short": (lambda m: sstp.control(sstp.CONNECTED, sstp.attribute(3, m[12:108])), "binding-form"),
    "long": (lambda m: sstp.control(sstp.CONNECTED, sstp.attribute(3, m[12:] + b"\0" * 4)),
             "binding-form"),
    "attribute-length": (lambda m: m[:10] + b"\0\x67" + m[12:], "binding-form"),
    "mac-shortened": (lambda m: m[:110] + b"\0\0", "binding-mac"),
    "zero-mac": (lambda m: m[:80] + bytes(32), "binding-mac"),
    "zero-all": (lambda m: m[:48] + bytes(64), "binding-leaf"),
}


@pytest.mark.parametrize("name", FORMS)
def test_odd_call_connected(bench, name):
    change, reason = FORMS[name]
    server, gate = bench.usual()
    client = bench.client(gate, hash=sstp.SHA256)
    regular = client.binding
    client.binding = lambda: change(regular())
    # PROTOCOL.md 4.5: a message of a wrong form gets AttribID 2, status 9
    form = sstp.status(sstp.ABORT, 2, 9)
    refused(bench, gate, server, client, reason,
            form if reason == "binding-form" else sstp.BINDING_ABORT)


def test_hash_that_was_not_offered(bench):
    server = bench.backend(mask=2)
    gate = bench.gate(server, backend={"crypto-binding": "passthrough"})
    refused(bench, gate, server, bench.client(gate, hash=sstp.SHA1), "binding-hash")


def test_unknown_user(bench):
    server, gate = bench.usual(users={"mallory": "sesame"})
    refused(bench, gate, server, bench.client(gate, user="mallory"), "binding-mac")
    assert gate.wait_log("mallory")


def test_no_users_file(bench):
    server = bench.backend()
    gate = bench.gate(server, backend={"users-file": None})
    refused(bench, gate, server, bench.client(gate), "binding-mac")


def test_stale_hash(bench):
    """The user's password differs from that of the users file."""
    server, gate = bench.usual(users={"alice": "changed"})
    refused(bench, gate, server, bench.client(gate, password="changed"), "binding-mac")


@pytest.mark.parametrize("user, result", [("alice", "verified"), ("mallory", "passed")])
def test_auto(bench, user, result):
    """The binding is verified and re-signed if the key is known, otherwise forwarded to a backend that is
    configured with the gate's hash."""
    leaf = bench.place.front.der if result == "passed" else None
    server = bench.backend(users={user: "sesame"}, leaf=leaf)
    gate = bench.gate(server, backend={"crypto-binding": "auto"})
    bench.client(gate, user=user).establish().ping().disconnect()
    assert server.wait_over().verdict == "ok"
    assert gate.wait_call()["binding"] == result


def test_zeros_inside_eap(bench):
    """Some clients are said to send zeros with EAP-MSCHAPv2 (PROTOCOL.md 4.4). With `zero-key = eap` the
    binding is verified, re-signed with zeros, and called weak."""
    server = bench.backend(auth=("eap-mschapv2",), checks=("nonce", "hash-protocol", "certificate"))
    gate = bench.gate(server, backend={"zero-key": "eap"})
    bench.client(gate, auth=("eap-mschapv2",), zero_key=True).establish().disconnect()
    assert server.wait_over().verdict == "ok"
    call = gate.wait_call()
    assert (call["binding"], call["key"], call["weak"]) == ("verified", "zero", "yes")


@pytest.mark.parametrize("policy", ["rewrite", "auto"])
@pytest.mark.parametrize("method", ["mschapv1", "mschapv2"])
def test_zeros_in_spite_of_keys(bench, method, policy):
    """A man in the middle can make a MAC under zeros; a client that has logged in with MS-CHAP has no reason
    to."""
    server = bench.backend(auth=(method,), checks=())
    gate = bench.gate(server, backend={"crypto-binding": policy})
    expect_failure(bench.client(gate, auth=(method,), zero_key=True))
    assert gate.wait_call()["reason"] == "binding-mac"
    assert "connected" not in server.wait_over().seen


def test_off_does_not_look(bench):
    server = bench.backend(dialect="softether")
    gate = bench.gate(server, backend={"crypto-binding": "off"})
    bench.client(gate, tamper="cert-hash").establish().ping().disconnect()
    assert gate.wait_call()["binding"] == "off"


def test_backend_refuses_what_was_made(bench):
    """A backend expects the hash of a certificate that it does not present: its Abort reaches the client."""
    server, gate = bench.usual(leaf=bench.place.evil.der)
    failure = expect_failure(bench.client(gate), "connected")
    assert failure.abort.raw == sstp.BINDING_ABORT
    assert server.wait_over().verdict == "certificate"
    assert gate.wait_call()["reason"] == "backend-abort"


def test_configured_hash(bench):
    """The same backend, with binding-cert-hash."""
    evil = bench.place.evil
    server = bench.backend(leaf=evil.der)
    gate = bench.gate(server, backend={"binding-cert-hash": [evil.sha1, evil.sha256]})
    for number, hash in enumerate(HASHES):
        bench.client(gate, hash=hash).establish().disconnect()
        assert server.wait_over(number).verdict == "ok"


@pytest.mark.parametrize("hash", HASHES)
@pytest.mark.parametrize("known", HASHES)
def test_one_configured_hash(bench, hash, known):
    """binding-cert-hash has one hash, so the gate knows only this one."""
    evil = bench.place.evil
    server = bench.backend(leaf=evil.der)
    configured = evil.sha1 if known == sstp.SHA1 else evil.sha256
    gate = bench.gate(server, backend={"binding-cert-hash": configured})
    bench.client(gate, hash=hash).establish().disconnect()
    record = server.wait_over()
    assert (record.verdict, record.hash) == ("ok", known)


# -- a man in the middle --

@pytest.mark.parametrize("policy, trick, reason", [
    ("rewrite", "none", "binding-leaf"), ("rewrite", "hash", "binding-mac"),
    ("rewrite", "nonce", "binding-nonce"), ("auto", "none", "binding-leaf"),
    ("auto", "nonce", "binding-nonce"), ("passthrough", "none", "binding-leaf"),
    ("passthrough", "nonce", "binding-nonce")])
def test_mitm(bench, policy, trick, reason):
    server = bench.backend()
    gate = bench.gate(server, backend={"crypto-binding": policy})
    mitm = bench.mitm(gate, trick)
    client = Client(mitm.address)
    bench.clients.append(client)
    refused(bench, gate, server, client, reason)
    if trick == "none":
        # the administrator needs this line, with both hashes
        line = gate.wait_log(bench.place.evil.sha256)
        assert bench.place.front.sha256 in line
    else:
        assert mitm.tricked == 1


def test_mitm_is_seen_by_a_backend_with_a_configured_hash(bench):
    """With passthrough the backend verifies the MAC and detects the attack."""
    server = bench.backend(leaf=bench.place.front.der)
    gate = bench.gate(server, backend={"crypto-binding": "passthrough"})
    client = Client(bench.mitm(gate, "hash").address)
    bench.clients.append(client)
    failure = expect_failure(client, "connected")
    assert failure.abort.raw == sstp.BINDING_ABORT
    assert server.wait_over().verdict == "mac"
