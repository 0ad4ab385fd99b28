"""FreeRADIUS without the gate: the facts that the tests of its keys rely on."""

import contextlib

import pytest

import freeradius
import lab
from peers import nas
from peers.client import CallFailed, Client
from peers.server import Server

HASHED = ("eap-mschapv2",)  # keys of 16 octets for each direction


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
    """HLAK is MSK[0:32]: the first 32 octets of Recv-Key followed by Send-Key (RFC 2548 2.4)."""
    login = freeradius.eapol_test(directory, server, method)
    assert login.success, login.text
    assert ("TLSv1.3" in login.text) == (method == "eap-tls-1.3")
    size = 16 if method in HASHED else 32
    assert (len(login.recv), len(login.send)) == (size, size)
    assert login.msk[:32] == (login.recv + login.send)[:32]


def test_eapol_with_a_wrong_password(directory, server):
    assert not freeradius.eapol_test(directory, server, "peap", password="wrong").success


# -- the scripted VPN server asks it, and uses its keys --

@pytest.fixture
def vpn(server, back):
    """A VPN server without users of its own."""
    asks = nas.Nas(lab.address(server.auth), server.secret)
    with Server(back.cert, back.key, nas=asks, users={},
                auth=("mschapv2", "mschapv1", "chap-md5", "pap", "eap")) as vpn:
        yield vpn


@pytest.mark.parametrize("method", ["pap", "chap-md5", "mschapv1", "mschapv2", "eap-mschapv2"])
def test_scripted_server(vpn, method):
    with Client(lab.address(vpn.address), auth=(method,)) as client:
        client.establish().ping().disconnect()
    assert vpn.wait_over().verdict == "ok"
    assert (client.key == bytes(32)) == (method in ("pap", "chap-md5"))


@pytest.mark.parametrize("method", ["pap", "mschapv2", "eap-mschapv2"])
def test_scripted_server_refuses(vpn, method):
    with Client(lab.address(vpn.address), auth=(method,), password="wrong") as client:
        with pytest.raises(CallFailed, match="refused"):
            client.establish()


def test_scripted_server_lets_try_again(vpn):
    """The challenge of the second try is the one in FreeRADIUS' MS-CHAP-Error."""
    with Client(lab.address(vpn.address), first_password="wrong") as client:
        client.establish().disconnect()
    assert vpn.wait_over().verdict == "ok"
    assert vpn.nas.asked == 2


@pytest.mark.parametrize("method", freeradius.METHODS)
def test_scripted_server_with_eapol(directory, server, vpn, method):
    peer = freeradius.EapolPeer(directory, method, ca=server.ca, client=server.client)
    with contextlib.closing(peer), Client(lab.address(vpn.address), auth=("eap",),
                                          peer=peer) as client:
        client.establish().ping().disconnect()
    assert peer.login.success, peer.login.text
    assert vpn.wait_over().verdict == "ok"
