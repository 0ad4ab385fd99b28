"""FreeRADIUS by itself: what the tests of its keys rely on. Without the gate."""

import pytest

import freeradius
import lab

HASHED = ("eap-mschapv2",)  # keys of 16 octets each way


@pytest.fixture(scope="module")
def server(workshop):
    lab.require("freeradius radclient eapol_test setpriv")
    with freeradius.server(workshop / "freeradius-alone") as server:
        yield server


@pytest.mark.parametrize("kind", ["User", "CHAP", "MS-CHAP"])
def test_radclient(server, kind):
    for password, answer in (("sesame", "Access-Accept"), ("wrong", "Access-Reject")):
        reply = freeradius.radclient(server.auth, "auth", [("User-Name", "alice"),
                                                           (f"{kind}-Password", password)])
        assert reply.kind == answer, reply.text


def test_accounting(server):
    reply = freeradius.radclient(server.acct, "acct", [
        ("User-Name", "alice"), ("Acct-Status-Type", "Start"), ("Acct-Session-Id", "four-711")])
    assert reply.kind == "Accounting-Response", reply.text
    assert "four-711" in server.accounts()


@pytest.mark.parametrize("method", freeradius.METHODS)
def test_eapol(directory, server, method):
    """HLAK is MSK[0:32]: that is Recv-Key then Send-Key, as far as 32 octets go (RFC 2548 2.4)."""
    login = freeradius.eapol_test(directory, server, method)
    assert login.success, login.text
    assert ("TLSv1.3" in login.text) == (method == "eap-tls-1.3")
    size = 16 if method in HASHED else 32
    assert (len(login.recv), len(login.send)) == (size, size)
    assert login.msk[:32] == (login.recv + login.send)[:32]


def test_eapol_with_a_wrong_password(directory, server):
    assert not freeradius.eapol_test(directory, server, "peap", password="wrong").success
