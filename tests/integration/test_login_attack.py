"""Attacks on logins and on the crypto-binding: zeros, keys and methods of another login, logins inside a tunnel,
and PPP that a server may read in another way than the gate."""

import os

import pytest

from conftest import USERS
from peers import auth, mschap, ppp, sstp
from peers.client import CallFailed, last_words


# ---- zeros although a key is known: the server verifies no binding, so only the gate can refuse ----

def unbound(gate, *steps):
    """Runs these steps of a client, of which the last must not succeed. Returns the line of its call."""
    client = steps[-1].__self__
    with pytest.raises(CallFailed) as failure:
        for step in steps:
            step()
    assert failure.value.abort.raw == sstp.BINDING_ABORT
    client.close()
    call = gate.wait_call()
    assert (call["reason"], call["binding"]) == ("binding-mac", "failed")
    return call


def unheard(protocol, code, ident, data):
    """Returns a frame that SoftEther drops, because FF 03 is missing, and that the gate can read."""
    return ppp.frame(protocol, ppp.Control(code, ident, data).build(), acfc=True)


EAP_NAK = unheard(ppp.EAP, 2, 0, b"\3\x0d")   # to a question that was never asked


@pytest.mark.parametrize("policy", ["rewrite", "auto"])
@pytest.mark.parametrize("method", ["mschapv1", "mschapv2"])
def test_zeros_before_the_method_is_known(bench, method, policy):
    """A man in the middle binds with zeros before a user has logged in, and then forwards the login of his
    victim."""
    server = bench.backend(dialect="softether", auth=(method,))
    gate = bench.gate(server, backend={"crypto-binding": policy})
    client = bench.client(gate, auth=(method,), zero_key=True).establish("start").connect()
    unbound(gate, client.authenticate, client.bring_up, client.ping)


@pytest.mark.parametrize("policy", ["rewrite", "auto"])
def test_another_method_behind_the_login(bench, policy):
    """The login by MS-CHAPv2 has ended: an EAP packet after it does not change the method to EAP, for which
    zeros might be allowed."""
    server = bench.backend(dialect="softether")
    gate = bench.gate(server, backend={"crypto-binding": policy})
    client = bench.client(gate, zero_key=True).establish("authenticate")
    client.send_frame(EAP_NAK)
    assert unbound(gate, client.connect, client.bring_up, client.ping)["method"] == "ms-chapv2"


@pytest.mark.parametrize("policy", ["rewrite", "auto"])
@pytest.mark.parametrize("name", ["md5", "eap", "pap"])
def test_another_method_beside_the_login(bench, name, policy):
    """The same between the answer and its Success: a response of CHAP-MD5 with the same identifier, a packet of
    EAP, a PAP request."""
    server = bench.backend(dialect="softether")
    gate = bench.gate(server, backend={"crypto-binding": policy})
    client = bench.client(gate, zero_key=True).establish("start")

    def say_more(frame):
        protocol, body = ppp.parse_frame(frame)
        more = {"md5": unheard(ppp.CHAP, 2, body[1], b"\x10" + bytes(16) + b"alice"),
                "eap": EAP_NAK, "pap": unheard(ppp.PAP, 1, 9, b"\5alice\1x")}[name]
        client.wire.write(sstp.data(frame) + (sstp.data(more) if protocol == ppp.CHAP else b""))

    client.link._send_frame = say_more
    client.authenticate()
    assert unbound(gate, client.connect, client.bring_up, client.ping)["method"] == "ms-chapv2"


def test_zeros_before_eap_are_weak(bench):
    """With `zero-key = eap` zeros are allowed inside EAP, and the log reports them, however early they
    arrive."""
    server = bench.backend(dialect="softether", auth=("eap-mschapv2",))
    gate = bench.gate(server, backend={"zero-key": "eap"})
    client = bench.client(gate, auth=("eap-mschapv2",), zero_key=True).establish("start").connect()
    client.authenticate().bring_up().ping().disconnect()
    assert gate.wait_call()["weak"] == "yes"


@pytest.mark.parametrize("policy", ["rewrite", "auto"])
@pytest.mark.parametrize("early", [True, False], ids=["early", "in time"])
def test_zeros_inside_eap_without_the_key(bench, early, policy):
    """EAP-MSCHAPv2 carries the bytes of MS-CHAPv2, so a man in the middle can convert one into the other. The
    gate knows alice's key, so a MAC made with zeros is not hers."""
    server = bench.backend(dialect="softether", auth=("eap-mschapv2",))
    gate = bench.gate(server, backend={"crypto-binding": policy})
    client = bench.client(gate, auth=("eap-mschapv2",), zero_key=True).establish("start")
    steps = [client.connect, client.authenticate] if early else [client.authenticate, client.connect]
    assert unbound(gate, *steps, client.bring_up, client.ping)["method"] == "eap-mschapv2"


def test_anything_before_the_method_is_known(bench):
    """`auto` accepts any MAC if no key is known. Whether a key is known is certain only after the login."""
    server = bench.backend(dialect="softether")
    gate = bench.gate(server, backend={"crypto-binding": "auto"})
    client = bench.client(gate, tamper="mac").establish("start").connect()
    unbound(gate, client.authenticate, client.bring_up, client.ping)


def first_answer(client, user, password):
    """Sends another user's answer, in a form that SoftEther drops, before the client's own answer, which is
    held back. Returns the key of that answer and a function that sends the client's own."""
    client.establish("start")
    client.link.start()
    client.until(lambda: client.link.auth is not None)
    prover, say = client.link.auth, client.link._send_frame
    held = []
    client.link._send_frame = held.append
    client.until(lambda: held)
    _, body = ppp.parse_frame(held[0])
    response = mschap.nt_response(prover.challenge, bytes(16), user.encode(), password)
    client.send_frame(unheard(ppp.CHAP, 2, body[1], bytes([49]) + bytes(24) + response + b"\0" +
                              user.encode()))
    client.link._send_frame = say
    return mschap.hlak_v2(password, response), lambda: say(held[0])


@pytest.mark.parametrize("policy", ["rewrite", "auto"])
def test_key_of_another_account(bench, policy):
    """A man in the middle has an account of his own. The server gets the answer that the gate has read; the
    gate drops alice's, because it is the second one: he has logged in as himself."""
    server = bench.backend(dialect="softether", users=USERS)
    gate = bench.gate(server, backend={"crypto-binding": policy})
    client = bench.client(gate)
    key, go_on = first_answer(client, "bob", USERS["bob"])
    go_on()
    server.wait_stage("auth")
    assert server.calls[0].link.auth.user == "bob"
    client.link.auth.hlak = key
    client.connect().close()
    call = gate.wait_call()
    assert (call["user"], call["binding"], call["frames-dropped"]) == ("bob", "verified", "1")


@pytest.mark.parametrize("policy", ["rewrite", "auto"])
def test_answer_of_an_unknown_user(bench, policy):
    """The same with a name whose key the gate does not know: `auto` would accept its MAC because no key is
    known, but the server gets the same name."""
    server = bench.backend(dialect="softether", users=USERS)
    gate = bench.gate(server, backend={"crypto-binding": policy})
    client = bench.client(gate)
    _, go_on = first_answer(client, "nobody", USERS["bob"])
    go_on()
    client.until(lambda: client.link.refused)
    client.close()
    call = gate.wait_call()
    assert int(call["login-failures"]) >= 1
    assert not server.calls[0].link.authenticated


@pytest.mark.parametrize("policy", ["rewrite", "auto"])
def test_restart_amid_the_login(bench, policy):
    """SoftEther answers a Nak of MRU, under any identifier that it uses, with a Configure-Request, and
    continues its login (PROTOCOL.md 5.2). It reads one frame in 300 ms, so a man in the middle who sends a
    dozen before alice's answer sees that request and the Challenge once more before her answer is judged. If
    the gate took his own answer to this Challenge, it would bind alice's session with his key."""
    def slow(call):
        take, held = call.link.on_frame, []

        def on_frame(frame):
            protocol, _ = ppp.parse_frame(frame)
            if protocol == ppp.CHAP and not held:
                held.append(frame)
                call.link.lcp.send(ppp.CONF_REQ, 77, ppp.build_options([(ppp.OPT_AUTH, b"\x78\x05")]))
                call.link.auth.retransmit()
            else:
                take(held[0] if protocol == ppp.CHAP else frame)
        call.link.on_frame = on_frame

    server = bench.backend(dialect="softether", users=USERS, hooks={"ack": slow})
    gate = bench.gate(server, backend={"crypto-binding": policy})
    client = bench.client(gate).establish("start")
    say, keys = client.link._send_frame, []

    def answer(frame):
        protocol, body = ppp.parse_frame(frame)
        if protocol == ppp.CHAP and client.link.auth.user == "alice" and keys:
            prover = client.link.auth
            response = mschap.nt_response(prover.challenge, bytes(16), b"bob", USERS["bob"])
            keys.append(mschap.hlak_v2(USERS["bob"], response))
            frame = ppp.frame(ppp.CHAP, ppp.Control(2, body[1], bytes([49]) + bytes(24) + response +
                                                    b"\0bob").build())
        elif protocol == ppp.CHAP:
            keys.append(None)
        if protocol != ppp.LCP or body[1] != 77:  # the request has no answer
            say(frame)

    def bind():
        client.until(lambda: len(keys) > 1 and client.link.auth.result is not None)
        client.link.auth.hlak = keys[1]
        client.connect().bring_up().ping()

    client.link._send_frame, client.link.restarts = answer, False
    client.link.start()
    with pytest.raises(CallFailed):
        bind()
    client.close()
    call = gate.wait_call()
    assert (call["user"], call["reason"]) == ("alice", "backend-out-of-place")
    assert "connected" not in server.calls[0].record.seen


@pytest.mark.parametrize("method", ["mschapv1", "mschapv2", "eap-mschapv2"])
@pytest.mark.parametrize("early", [True, False], ids=["early", "in time"])
def test_key_of_another_line(bench, early, method):
    """Two accounts differ in their realm, and the users file has a line for each. The name of the one also
    matches the line of the other, whose owner is the man in the middle: he knows the key that the gate would
    derive from his own line and the other's response. The server's answer shows the right line; with MS-CHAPv1
    there is no such answer, and only the line of the whole name counts."""
    users = {"alice@corp": "sesame", "alice": "mallory"}
    server = bench.backend(users=users, auth=(method,), checks=())
    lines = bench.place.folder / "two-alices"
    lines.touch(mode=0o600)
    lines.write_text("".join(f"{name}:{mschap.hash_hash(word).hex()}\n" for name, word in users.items()))
    gate = bench.gate(server, backend={"users-file": lines.name})
    client = bench.client(gate, user="alice@corp", auth=(method,), eager=early).establish("authenticate")
    prover = client.link.auth.inner if method == "eap-mschapv2" else client.link.auth
    client.link.auth.hlak = (mschap.hlak_v1("mallory", prover.challenge) if method == "mschapv1"
                             else mschap.hlak_v2("mallory", prover.response))
    unbound(gate, client.connect, client.bring_up, client.ping)
    with bench.client(gate, user="alice@corp", auth=(method,), eager=early) as honest:
        honest.establish().ping()


# ---- each attack on the binding is refused, logged and counted ----

def other_call(bench, gate):
    """Returns the Call Connected of another call, and its key; that call was allowed to use it."""
    with bench.client(gate, bind="127.0.0.7") as client:
        client.establish()
        return client.binding(), client.key


def replayed(bench, gate, client):
    octets, _ = other_call(bench, gate)
    client.binding = lambda: octets
    return client.establish("authenticate")


def fresh_nonce(bench, gate, client):
    client.tamper = "nonce"
    return client.establish("authenticate")


def zeros(bench, gate, client):
    client.zero_key = True
    return client.establish("authenticate")


def not_logged_in(bench, gate, client):
    """Uses a key that was valid once."""
    _, client.key = other_call(bench, gate)
    client.establish("start")
    client.binding = lambda: sstp.call_connected(
        client.hash, client.nonce, sstp.cert_hash(client.hash, client.wire.peer_der), client.key)
    return client


def another_certificate(bench, gate, client):
    client.leaf = bench.place.evil.der
    return client.establish("authenticate")


ATTACKS = {  # attack: reason, event with the details
    replayed: ("binding-nonce", None), fresh_nonce: ("binding-nonce", None),
    zeros: ("binding-mac", "binding-mac"), not_logged_in: ("binding-mac", "binding-mac"),
    another_certificate: ("binding-leaf", "binding-leaf")}


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
def test_refused_logged_counted(bench, attack):
    reason, event = ATTACKS[attack]
    server = bench.backend()
    gate = bench.gate(server, gate={"ban_points": 5})
    client = attack(bench, gate, bench.client(gate, bind="127.0.0.5")).connect()
    assert last_words(client).raw == sstp.BINDING_ABORT
    call = gate.wait(lambda: [e for e in gate.events("call") if e["client"].startswith("127.0.0.5:")],
                     "end of the call")[0]
    assert (call["reason"], call["binding"]) == (reason, "failed")
    assert "connected" not in server.calls[-1].record.seen
    assert event is None or gate.wait_event(event)["client"].startswith("127.0.0.5:")
    assert gate.wait_event("ban")["client"].startswith("127.0.0.5:")


@pytest.mark.parametrize("knobs, keys", [
    (dict(auth=("eap-tls",)), {}), (dict(user="nobody"), {}), ({}, {"users-file": None}),
    (dict(password="changed"), {})], ids=["no key known", "no such user", "no users file", "stale"])
def test_honest_ones_are_not_counted(bench, knobs, keys):
    """The cause is the configuration, so these clients get no points."""
    users = {"alice": knobs.get("password", "sesame"), "nobody": "sesame"}
    server = bench.backend(auth=("mschapv2", "eap-tls"), users=users)
    gate = bench.gate(server, gate={"ban_points": 5}, backend=keys)
    assert last_words(bench.client(gate, **knobs).establish("connected")).raw == sstp.BINDING_ABORT
    assert gate.wait_call()["reason"] == "binding-mac"
    with bench.client(gate) as other:
        other.open().secure()
    assert not gate.events("ban")


@pytest.mark.parametrize("protocols", [(ppp.CHAP,), (ppp.LCP, ppp.CHAP)], ids=["answer", "all"])
def test_what_only_the_server_would_understand(bench, protocols):
    """A server that accepts wrong lengths would read an agreement and a login that the gate cannot read: the
    gate drops these frames."""
    def lenient(call):
        take = call.link.on_frame

        def on_frame(frame):
            call.link.on_frame = take
            protocol, body = ppp.parse_frame(frame)
            call.link.on_frame(ppp.frame(protocol, body[:2] + len(body).to_bytes(2, "big") + body[4:]))
            call.link.on_frame = on_frame
        call.link.on_frame = on_frame

    server = bench.backend(dialect="softether", hooks={"ack": lenient})
    gate = bench.gate(server, gate={"timeout-negotiate": "1s"})
    client = bench.client(gate, zero_key=True).establish("start")
    say = client.link._send_frame

    def mumble(frame):
        protocol, body = ppp.parse_frame(frame)
        if protocol in protocols and body[0] == 2:  # an Ack, a Response
            frame = ppp.frame(protocol, body[:2] + b"\x0f\xff" + body[4:])
        say(frame)

    client.link._send_frame = mumble
    with pytest.raises(CallFailed):
        client.authenticate()
    client.close()
    call = gate.wait_call()
    assert call["reason"] == "negotiate-timeout"
    assert int(call["frames-dropped"]) >= 1
    assert not server.calls[0].link.authenticated


# ---- logins inside a tunnel ----

def test_a_late_retransmission_is_no_second_login(bench):
    """A Configure-Request of LCP is retransmitted when the tunnel is up: a server that would start over must
    not get it, and the client has done nothing wrong."""
    server, gate = bench.usual()
    client = bench.client(gate)
    client.establish("start")
    say, requests = client.link._send_frame, []

    def record(frame):
        protocol, body = ppp.parse_frame(frame)
        if protocol == ppp.LCP and body[0] == ppp.CONF_REQ:
            requests.append(frame)
        say(frame)

    client.link._send_frame = record
    client.authenticate().connect().bring_up().ping()
    call = server.calls[0]
    seen = len(call.link.protocols)
    client.send_frame(requests[-1])
    client.ping().disconnect()
    assert gate.wait_call()["reason"] == "client-disconnect"
    assert ppp.LCP not in call.link.protocols[seen:]


@pytest.mark.parametrize("frame", [
    ppp.frame(ppp.LCP, ppp.Control(ppp.CONF_REQ, 77, b"").build()),
    ppp.frame(ppp.LCP, ppp.Control(ppp.CONF_REQ, 77, b"").build(), acfc=True),
    ppp.frame(ppp.LCP, bytes([ppp.CONF_REQ])),
    ppp.frame(ppp.PAP, ppp.Control(1, 1, b"\3bob\1x").build()),
    ppp.frame(ppp.CHAP, ppp.Control(2, 1, b"").build()),
    ppp.frame(ppp.EAP, ppp.Control(2, 1, b"\1bob").build(), acfc=True)], ids=lambda f: f.hex())
def test_another_login_inside_a_tunnel(bench, frame):
    """The server never gets it. It costs no points, because an honest client answers a server that asks."""
    server = bench.backend()
    gate = bench.gate(server, gate={"ban_points": 1})
    client = bench.client(gate, bind="127.0.0.5").establish().ping()
    seen = len(server.calls[0].link.protocols)
    client.send_frame(frame)
    assert last_words(client).type == sstp.DISCONNECT
    assert gate.wait_call()["reason"] == "second-login"
    server.wait_over()
    assert ppp.parse_frame(frame)[0] not in server.calls[0].link.protocols[seen:]
    bench.client(gate, bind="127.0.0.5").establish().ping().disconnect()
    assert not gate.events("ban")


def test_control_inside_a_tunnel(bench):
    """LCP that begins no login, and network control, are forwarded unchanged."""
    server, gate = bench.usual()
    with bench.client(gate) as client:
        client.establish().ping()
        seen = len(server.calls[0].link.protocols)
        client.send_frame(ppp.frame(ppp.LCP, ppp.Control(ppp.ECHO_REQ, 1, bytes(4)).build()))
        client.send_frame(ppp.frame(0x80fd, ppp.Control(ppp.CONF_REQ, 1, b"").build()))
        client.ping()
        assert server.calls[0].link.protocols[seen:][:2] == [ppp.LCP, 0x80fd]


# ---- forms of PPP that SoftEther reads in another way than the gate (PROTOCOL.md 5.1) ----

def shorten(frame):
    """Returns the same frame with 4 as its inner length: SoftEther reads all of it, other programs an empty
    packet."""
    return frame[:6] + b"\0\4" + frame[8:]


def speak_for(client, protocol, instead):
    """Calls instead(frame, say), which sends other frames, for each frame of `protocol`."""
    say = client.link._send_frame

    def speak(frame):
        if ppp.parse_frame(frame)[0] == protocol:
            instead(frame, say)
        else:
            say(frame)
    client.link._send_frame = speak
    return client


def never_up(gate, server, client, *steps):
    """Asserts that the call ends before the last step, and that no login was bound at the server. Returns its
    log line."""
    with pytest.raises(CallFailed):
        for one in steps:
            one()
    client.close()
    assert server.wait_over().verdict is None
    return gate.wait_call()


def test_a_client_that_goes_on_with_such_frames(bench):
    """32 dropped frames may be early or retransmitted; the 33rd ends the call and costs points."""
    server = bench.backend()
    gate = bench.gate(server, gate={"ban_points": 5})
    client = bench.client(gate, bind="127.0.0.5").establish("start")
    seen = len(server.calls[0].link.protocols)
    for ident in range(33):
        client.send_frame(ppp.frame(ppp.EAP, ppp.Control(2, ident, b"\1alice").build()))
    assert last_words(client).type == sstp.ABORT
    call = gate.wait_call()
    assert (call["reason"], call["frames-dropped"]) == ("client-bad-frames", "33")
    assert gate.wait_event("ban")["client"].startswith("127.0.0.5:")
    server.wait_over()
    assert ppp.EAP not in server.calls[0].link.protocols[seen:]


def test_frames_that_decide_nothing(bench):
    """LCP Echo, Discard, Identification and Time-Remaining, which Windows sends before it authenticates, and
    network control reach the server in canonical form."""
    seen = []

    def record(call):
        take = call.link.on_frame

        def on_frame(octets):
            seen.append(octets)
            take(octets)
        call.link.on_frame = on_frame

    server, gate = bench.usual(hooks={"ack": record})
    client = bench.client(gate).establish("start")
    lcp = [ppp.Control(code, 1, bytes(4) + text).build()
           for code, text in [(9, b""), (11, b"x"), (12, b"MSRASV5.20"), (13, bytes(4))]]
    for packet in lcp:
        client.send_frame(ppp.frame(ppp.LCP, packet, acfc=True) + b"\xff")  # padding after the packet
    ccp = ppp.frame(0x80fd, ppp.Control(ppp.CONF_REQ, 1, b"").build())
    client.send_frame(ccp)
    client.authenticate().connect().bring_up().ping().disconnect()
    call = gate.wait_call()
    assert (call["reason"], call["binding"]) == ("client-disconnect", "verified")
    assert "frames-dropped" not in call.fields
    assert seen[:5] == [*(ppp.frame(ppp.LCP, packet) for packet in lcp), ccp]


@pytest.mark.parametrize("policy, other", [("rewrite", "bob"), ("auto", "nobody")])
def test_response_without_a_length(bench, policy, other):
    """alice's Response has an inner length of 4, and in that of the man in the middle FF 03 is missing: the
    gate must not bind a call with his key if the server reads her login."""
    server = bench.backend(dialect="softether", users={"alice": "sesame"})
    gate = bench.gate(server, backend={"crypto-binding": policy})
    client = bench.client(gate).establish("start")
    forged = []

    def both(frame, say):
        _, body = ppp.parse_frame(frame)
        challenge = client.link.auth.challenge
        response = mschap.nt_response(challenge, bytes(16), other.encode(), USERS["bob"])
        client.send_frame(unheard(ppp.CHAP, 2, body[1], bytes([49]) + bytes(24) + response + b"\0" +
                                  other.encode()))
        say(shorten(frame))
        forged.append(mschap.hlak_v2(USERS["bob"], response))

    speak_for(client, ppp.CHAP, both)

    def bind():
        client.link.auth.hlak = forged[0]
        client.connect().bring_up().ping()

    never_up(gate, server, client, client.authenticate, bind)


@pytest.mark.parametrize("policy", ["rewrite", "auto"])
def test_method_of_the_client(bench, policy):
    """For SoftEther option 3 of the client's own Configure-Request decides, while its request for EAP has no
    answer: the gate would accept zeros, as in EAP, and alice's MS-CHAPv2 would succeed."""
    server = bench.backend(dialect="softether", users={"alice": "sesame"})
    gate = bench.gate(server, backend={"crypto-binding": policy})
    client = bench.client(gate, zero_key=True).establish("start")
    link = client.link
    link.method, link.auth = "mschapv2", auth.prover("mschapv2", link.send, auth.Login("alice", "sesame"))
    link._on_lcp = lambda packet: None  # the server's request gets no answer
    option = ppp.build_options([(ppp.OPT_AUTH, ppp.METHODS["mschapv2"])])
    link.send(ppp.LCP, ppp.Control(ppp.CONF_REQ, 7, option).build())
    client.stage = "authenticate"
    call = never_up(gate, server, client, lambda: client.until(lambda: link.authenticated),
                    client.connect, client.bring_up, client.ping)
    assert (call["reason"], call["binding"]) == ("client-asks-auth", "-")


def test_method_beside_the_request(bench):
    """The same before the server has asked for a login, with an EAP Nak without FF 03 for the gate."""
    server, gate = bench.usual(dialect="softether", users={"alice": "sesame"})
    server.hooks["ack"] = lambda call: setattr(call.link, "start", lambda: None)
    client = bench.client(gate, zero_key=True).establish("start")
    link = client.link
    link.method, link.auth = "mschapv2", auth.prover("mschapv2", link.send, auth.Login("alice", "sesame"))

    def and_nak(frame, say):
        say(frame)
        client.send_frame(EAP_NAK)

    speak_for(client, ppp.CHAP, and_nak)
    option = ppp.build_options([(ppp.OPT_AUTH, ppp.METHODS["mschapv2"])])
    link.send(ppp.LCP, ppp.Control(ppp.CONF_REQ, 7, option).build())
    client.stage = "authenticate"
    call = never_up(gate, server, client, lambda: client.until(lambda: link.authenticated),
                    client.connect, client.bring_up, client.ping)
    assert call["reason"] == "client-asks-auth"


NAMES = [("softether", " alice"), ("softether", "alice "), ("softether", "\talice"),
         ("softether", "alice\0x"), ("accel-ppp", "alice\0x"), ("sorz", "alice\0x")]


@pytest.mark.parametrize("method", ["pap", "mschapv2"])
@pytest.mark.parametrize("dialect, name", NAMES)
def test_names_that_servers_change(bench, dialect, name, method):
    """The server reads each of these names as alice, and a rule denies alice."""
    if method == "mschapv2" and dialect != "softether":
        method = "chap-md5"  # in MS-CHAPv2 the hash depends on the name
    server = bench.backend(dialect=dialect, auth=(method,), echoes_early=False)
    gate = bench.gate(server, listener={"deny": "user alice"})
    with bench.client(gate, auth=(method,), user="alice") as client:
        with pytest.raises(CallFailed):
            client.establish()
    assert gate.wait_call()["reason"] == "user-denied"
    client = bench.client(gate, auth=(method,), user=name)
    with pytest.raises(CallFailed):
        client.establish()
    client.close()
    call = gate.wait_call(1)
    assert (call["reason"], call["user"]) == ("bad-user-name", name.replace("\0", "\x1a"))
    assert not server.calls[1].link.authenticated


def test_two_pap_requests(bench):
    """bob is allowed, and in his request FF 03 is missing; alice's has an inner length of 4."""
    server = bench.backend(dialect="softether", auth=("pap",), users={"alice": "sesame"})
    gate = bench.gate(server, listener={"allow": "user bob", "default": "deny"})
    client = bench.client(gate, auth=("pap",)).establish("start")

    def both(frame, say):
        client.send_frame(unheard(ppp.PAP, 1, frame[5], b"\3bob\1x"))
        say(shorten(frame))

    speak_for(client, ppp.PAP, both)
    never_up(gate, server, client, client.authenticate, client.connect, client.bring_up, client.ping)
    assert not server.calls[0].link.authenticated


@pytest.mark.parametrize("dialect", ["sorz", "strict"])
def test_second_login_in_a_tunnel(bench, dialect):
    """LCP starts over, and bob logs in after a rule has admitted alice."""
    server = bench.backend(dialect=dialect, users=USERS, echoes_early=False)
    gate = bench.gate(server, listener={"deny": "user bob"})
    client = bench.client(gate).establish().ping()
    client.link.login = auth.Login("bob", USERS["bob"])
    client.link.restart()
    with pytest.raises(CallFailed):
        client.until(lambda: client.link.authenticated)
    client.close()
    assert server.wait_over().user == "alice"
    call = gate.wait_call()
    assert (call["reason"], call["user"]) == ("second-login", "alice")


@pytest.mark.parametrize("asks_twice", ["before", "behind"])
def test_another_name_for_the_second_question(bench, asks_twice):
    """A server may ask twice (SoftEther's UseDoubleMsChapV2, pppd's chap-interval). After alice's answer the
    man in the middle must not answer the second question under his own name."""
    def ask_again(call):
        verifier = call.link.auth
        verifier.ident += 1
        verifier.challenge = os.urandom(16)
        verifier.send(1, verifier.ident, bytes([16]) + verifier.challenge + b"server")

    changes = dict(double=True) if asks_twice == "before" else dict(hooks={"auth": ask_again})
    server, gate = bench.usual(dialect="sorz", users=USERS, echoes_early=False, **changes)
    client = bench.client(gate).establish("start")
    asked = []

    def as_bob(frame, say):
        asked.append(frame)
        if len(asked) == 1:
            return say(frame)
        prover = client.link.auth
        response = mschap.nt_response(prover.challenge, bytes(16), b"bob", USERS["bob"])
        say(ppp.frame(ppp.CHAP, ppp.Control(2, frame[5], bytes([49]) + bytes(24) + response + b"\0bob").build()))
        prover.hlak = mschap.hlak_v2(USERS["bob"], response)

    speak_for(client, ppp.CHAP, as_bob)
    client.link.start()
    client.until(lambda: len(asked) == 2)
    client.stage = "authenticate"
    client.connect()
    client.close()
    call = gate.wait_call()
    assert call["user"] == "alice"
    assert call["binding"] != "verified"
