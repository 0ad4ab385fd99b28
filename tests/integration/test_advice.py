"""The log lines about a binding that fails: the facts, the keys that were tried, and the advice for the
administrator."""

from pathlib import Path

import pytest

from conftest import USERS
from gate import write_config
from peers import mschap, pki
from peers.client import CallFailed, expect_failure


def both(prefix, cert):
    return {f"{prefix}sha1": cert.sha1, f"{prefix}sha256": cert.sha256}


def has(event, fields):
    assert {key: event[key] for key in fields} == fields


@pytest.fixture
def users(bench):
    """Writes a users file for this test; returns its name in the configuration."""
    def write(text):
        path = bench.place.folder / f"users-{bench.count}-{id(text)}"
        path.touch(mode=0o600)
        path.write_text(text)
        return path.name
    return write


def line(user, password):
    return f"{user}:{mschap.hash_hash(password).hex()}\n"


# -- the users file --

STALE = "# comment\n\n" + line("bob", "other") + line("alice", "old")


def stale(gate, file, number):
    event = gate.wait_event("users-stale")
    assert event["line"].endswith(f"{file}:{number}")
    assert "sstpgate user -f FILE NAME" in event["msg"]
    return event


@pytest.mark.parametrize("method", ["mschapv2", "eap-mschapv2"])
def test_stale_line(bench, users, method):
    server = bench.backend(auth=(method,))
    file = users(STALE)
    gate = bench.gate(server, backend={"users-file": file})
    expect_failure(bench.client(gate, auth=(method,), retransmit=True))
    has(stale(gate, file, 4), {"user": "alice"})
    mac = gate.wait_event("binding-mac")
    has(mac, {"user": "alice", "users-file-keys": "1", "radius-keys": "0", "action": "refused"})
    assert "stale" in mac["msg"]
    gate.wait_call()
    assert len(gate.events("users-stale")) == 1


def test_line_with_an_nt_hash(bench, users):
    """A dump of NT hashes has the form of a users file, so only a call shows the mistake."""
    file = users(f"alice:{mschap.nt_hash(USERS['alice']).hex()}\n")
    gate = bench.gate(bench.backend(), backend={"users-file": file})
    expect_failure(bench.client(gate))
    assert "an NT hash" in stale(gate, file, 1)["msg"]


def test_stale_line_under_passthrough(bench, users):
    """A stale line is reported even under a policy that needs no key, before it causes a failure."""
    server = bench.backend(leaf=bench.place.front.der)
    file = users(STALE)
    gate = bench.gate(server, backend={"users-file": file, "crypto-binding": "passthrough"})
    bench.client(gate).establish().disconnect()
    stale(gate, file, 4)


@pytest.mark.parametrize("knobs", [{}, dict(first_password="wrong"), dict(user="CORP\\alice"),
                                   dict(user="CORP\\alice", first_password="wrong")], ids=str)
def test_good_line(bench, knobs):
    """A wrong password does not mean that the line in the file is stale."""
    server, gate = bench.usual()
    bench.client(gate, **knobs).establish().disconnect()
    gate.wait_call()
    assert not gate.events("users-stale")


def test_wrong_password_only(bench, users):
    """Without a Success the server has not confirmed any password."""
    server = bench.backend()
    gate = bench.gate(server, backend={"users-file": users(STALE)})
    client = bench.client(gate, password="wrong")
    with pytest.raises(CallFailed):
        client.establish("authenticate")
    client.close()
    assert int(gate.wait_call()["login-failures"]) >= 1
    assert not gate.events("users-stale")


@pytest.mark.parametrize("method", ["mschapv2", "eap-mschapv2"])
def test_changed_password(bench, users, method):
    """After a change of password the line, which was right, is stale, and the key is that of the new
    password."""
    server = bench.backend(auth=(method,), expired=("alice",), users={"alice": "sesame"})
    file = users(line("alice", "sesame"))
    gate = bench.gate(server, backend={"users-file": file})
    expect_failure(bench.client(gate, auth=(method,), new_password="changed"))
    stale(gate, file, 1)
    assert gate.wait_call()["reason"] == "binding-mac"


def test_name_with_two_lines(bench, users):
    """DOMAIN\name and name may be two users: one line that matches is enough."""
    server = bench.backend()
    gate = bench.gate(server, backend={
        "users-file": users(line("CORP\\alice", "other") + line("alice", "sesame"))})
    bench.client(gate, user="CORP\\alice").establish().disconnect()
    gate.wait_call()
    assert not gate.events("users-stale")


# -- no key --

NO_KEY = {
    "no-users-file": (dict(), {"users-file": None}, "neither users-file nor radius"),
    "not-in-it": (dict(user="mallory"), {}, "not in the users file"),
    "zeros": (dict(zero_key=True), {}, "made with zeros"),
    "altered": (dict(tamper="mac"), {}, "was altered"),
    "altered-pap": (dict(tamper="mac", auth=("pap",)), {}, "has no key"),
}


@pytest.mark.parametrize("name", NO_KEY)
def test_no_key(bench, name):
    knobs, backend, words = NO_KEY[name]
    server = bench.backend(auth=knobs.get("auth", ("mschapv2",)),
                           users={**USERS, "mallory": "sesame"})
    gate = bench.gate(server, backend=backend)
    expect_failure(bench.client(gate, **knobs))
    event = gate.wait_event("binding-mac")
    assert words in event["msg"]
    has(event, {"action": "refused", **both("", bench.place.front),
                **both("backend-", bench.place.back)})
    has(event, {"radius-keys": "0", "zero-keys": "1" if name == "altered-pap" else "0",
                "users-file-keys": "1" if name in ("zeros", "altered") else "0"})


def test_passed_for_want_of_a_key(bench):
    server = bench.backend(users={"mallory": "sesame"}, leaf=bench.place.front.der)
    gate = bench.gate(server, backend={"crypto-binding": "auto"})
    for _ in range(2):
        bench.client(gate, user="mallory").establish().disconnect()
    gate.wait_call(1)
    assert [event["action"] for event in gate.events("binding-mac")] == ["passed-unchanged"] * 2


AUTO = {
    "no-source": ({"users-file": None}, dict(user="mallory"), "radius = NAME"),
    "no-line": ({}, dict(user="mallory"), "sstpgate user -f FILE NAME"),
    "keyless": ({"users-file": None}, dict(user="mallory", auth=("pap",)), None),
    "known": ({}, dict(user="alice"), None),
}


@pytest.mark.parametrize("gap", AUTO)
def test_auto_explains_the_step_to_rewrite_once(bench, gap):
    backend, knobs, step = AUTO[gap]
    server = bench.backend(users={"mallory": "sesame", **USERS}, auth=knobs.get("auth", ("mschapv2",)),
                           leaf=bench.place.front.der if step else None)
    gate = bench.gate(server, gate={"workers": 1}, backend={"crypto-binding": "auto", **backend})
    for _ in range(3):
        bench.client(gate, **knobs).establish().disconnect()
    gate.wait_call(2)
    events = gate.events("binding-auto")
    assert len(events) == (step is not None)
    for event in events:
        has(event, {"user": "mallory", "method": "ms-chapv2", "gap": gap})
        assert step in event["msg"] and "crypto-binding = rewrite" in event["msg"]


# -- whose certificate did the client see? --

@pytest.fixture(scope="module")
def crowd(shared):
    """Two listeners, the first with two certificates, in front of one backend; the second had another
    certificate before a reload."""
    place = shared.place
    server = shared.backend()
    sections = {
        "gate": {"workers": 2},
        "listener one": [*shared.listener_keys(cert=place.front).items(),
                         ("certificate", Path(place.front2.both).name)],
        "listener two": shared.listener_keys(cert=place.back_ca),
        "backend back": shared.backend_keys(server)}
    shared.one = shared.start(sections)
    shared.third = pki.make(place.folder, "third", names=["vpn.example.com"])
    sections["listener two"] = shared.listener_keys(cert=shared.third)
    write_config(shared.one.config, sections)
    shared.one.reload()
    return shared


WHOSE = {
    "front2": ("one", "this-listener", "one", "forward TCP unchanged"),
    "front": ("two", "other-listener", "one", "forward TCP unchanged"),
    "third": ("one", "other-listener", "two", "forward TCP unchanged"),
    "back_ca": ("one", "earlier", "two", "before a reload"),
    "back": ("one", "backend", "-", "backend's certificate"),
    "evil": ("two", "unknown", "-", "man in the middle"),
}


@pytest.mark.parametrize("hash", [1, 2])
@pytest.mark.parametrize("cert", WHOSE)
def test_whose_leaf(crowd, cert, hash):
    listener, whose, of, words = WHOSE[cert]
    number = len(crowd.one.events("binding-leaf"))
    cert = crowd.third if cert == "third" else getattr(crowd.place, cert)
    expect_failure(crowd.client(crowd.one, listener, leaf=cert.der, hash=hash), "connected")
    event = crowd.one.wait_event("binding-leaf", number)
    shown = crowd.place.front if listener == "one" else crowd.third
    has(event, {"whose": whose, "of": of, "user": "alice", "listener": listener,
                "received": cert.sha1 if hash == 1 else cert.sha256,
                **both("", shown), **both("backend-", crowd.place.back)})
    assert words in event["msg"]


def test_leaf_of_a_configured_hash(bench):
    """With binding-cert-hash, unknown hashes of the backend are logged as unknown."""
    server = bench.backend(leaf=bench.place.evil.der)
    gate = bench.gate(server, backend={"binding-cert-hash": bench.place.evil.sha256})
    expect_failure(bench.client(gate, leaf=bench.place.evil.der, hash=2), "connected")
    has(gate.wait_event("binding-leaf"), {"whose": "backend", "backend-sha1": "-",
                                          "backend-sha256": bench.place.evil.sha256})
