"""What the log tells an administrator when a binding fails: what was seen, which keys were tried, and
what to do."""

import pytest

from conftest import USERS
from peers import mschap
from peers.client import CallFailed, expect_failure


def both(prefix, cert):
    return {f"{prefix}sha1": cert.sha1, f"{prefix}sha256": cert.sha256}


def has(event, fields):
    assert {key: event[key] for key in fields} == fields


@pytest.fixture
def users(bench):
    """Writes a users file of this test's own; returns its name in the configuration."""
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
    assert "sstpgate user NAME" in event["msg"]
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


def test_stale_line_where_nobody_looks(bench, users):
    """It is told before it hurts: with a policy that needs no key."""
    server = bench.backend(leaf=bench.place.front.der)
    file = users(STALE)
    gate = bench.gate(server, backend={"users-file": file, "crypto-binding": "passthrough"})
    bench.client(gate).establish().disconnect()
    stale(gate, file, 4)


@pytest.mark.parametrize("knobs", [{}, dict(first_password="wrong"), dict(user="CORP\\alice"),
                                   dict(user="CORP\\alice", first_password="wrong")], ids=str)
def test_good_line(bench, knobs):
    """A wrong password is the user's own affair, not the file's."""
    server = bench.backend()
    gate = bench.gate(server)
    bench.client(gate, **knobs).establish().disconnect()
    gate.wait_call()
    assert not gate.events("users-stale")


def test_wrong_password_only(bench, users):
    """The server never says who is right: there is no Success."""
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
    """After a change of password the line that was right is stale, and the key is the new one's."""
    server = bench.backend(auth=(method,), expired=("alice",), users={"alice": "sesame"})
    file = users(line("alice", "sesame"))
    gate = bench.gate(server, backend={"users-file": file})
    expect_failure(bench.client(gate, auth=(method,), new_password="changed"))
    stale(gate, file, 1)
    assert gate.wait_call()["reason"] == "binding-mac"


def test_name_with_two_lines(bench, users):
    """DOMAIN\\name and name may be two people: one line that fits is enough."""
    server = bench.backend()
    gate = bench.gate(server, backend={
        "users-file": users(line("CORP\\alice", "other") + line("alice", "sesame"))})
    bench.client(gate, user="CORP\\alice").establish().disconnect()
    gate.wait_call()
    assert not gate.events("users-stale")


# -- no key --

NO_KEY = {
    "no-users-file": (dict(), {"users-file": None}, "neither users-file nor radius"),
    "not-in-it": (dict(user="mallory"), {}, "not in the users-file"),
    "zeros": (dict(zero_key=True), {}, "made with zeros"),
    "altered": (dict(tamper="mac"), {}, "altered message"),
    "altered-pap": (dict(tamper="mac", auth=("pap",)), {}, "gives no key"),
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
    bench.client(gate, user="mallory").establish().disconnect()
    has(gate.wait_event("binding-mac"), {"action": "passed-unchanged"})
