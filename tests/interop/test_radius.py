"""The gate as RADIUS proxy between a scripted VPN server and FreeRADIUS, which provides the keys of a
call for every method; the gate has no users file."""

import contextlib
import pathlib
import re
import tempfile
from types import SimpleNamespace

import pytest

import freeradius
import lab
from peers import nas, radius, torrent
from peers.client import CallFailed, Client
from peers.server import Server

VPN_SECRET = "what-the-vpn-server-shares"
METHODS = ("mschapv2", "mschapv1", "chap-md5", "pap", "eap")


def configuration(front, vpn, back, server, demand):
    return f"""\
[gate]
workers = 2

[listener front]
listen = 127.0.0.1:0
certificate = {front.both}
allow = 127.0.0.0/8
default = deny
backend = vpn

[backend vpn]
server = {vpn.address}
verify = pin
pin-sha256 = {back.sha256}
radius = site

[radius site]
listen = 127.0.0.1:0
accounting-listen = 127.0.0.1:0
clients = 127.0.0.1
secret-file = vpn.secret
server = {server.auth}
accounting-server = {server.acct}
server-secret-file = server.secret
require-message-authenticator = {demand}
calling-station-id = client
"""


@pytest.fixture(scope="module", params=["no", "yes"])
def site(request, workshop, front, back):
    """FreeRADIUS, the gate, and the VPN server; Message-Authenticator is required in every packet, or
    only in packets with EAP."""
    lab.require("freeradius radclient eapol_test setpriv", lab.GATE)
    demand = request.param == "yes"
    directory = pathlib.Path(tempfile.mkdtemp(prefix="radius.", dir=workshop))
    for name, secret in (("vpn", VPN_SECRET), ("server", freeradius.SECRET)):
        path = directory / f"{name}.secret"
        path.touch(mode=0o600)
        path.write_text(secret + "\n")
    asks = nas.Nas(None, VPN_SECRET, demand=demand)
    with freeradius.server(directory / "freeradius", require=demand) as server, \
            Server(back.cert, back.key, nas=asks, users={}, auth=METHODS) as vpn, \
            lab.configured_gate(directory, configuration(front, vpn, back, server,
                                                         request.param)) as addresses:
        asks.server = lab.address(addresses["radius:site"])
        yield SimpleNamespace(server=server, vpn=vpn, addresses=addresses, demand=demand,
                              front=lab.address(addresses["front"]), log=directory / "gate.log")


def gate_line(site, number):
    """Returns the fields of the gate's log line about that call."""
    def find():
        lines = re.findall(r"^\S+ (?:info|warning) call (.*)$", site.log.read_text(), re.MULTILINE)
        return lines[number] if len(lines) > number else None
    return dict(field.split("=", 1) for field in
                lab.eventually(find, site.server.process, site.log).split() if "=" in field)


def good_call(site, **knobs):
    number = len(site.vpn.calls)
    with Client(site.front, **knobs) as client:
        client.establish().ping().disconnect()
    assert site.vpn.wait_over(number).verdict == "ok"
    return client, gate_line(site, number)


@pytest.mark.parametrize("kind", ["User", "CHAP", "MS-CHAP"])
def test_radclient(site, kind):
    for password, answer in (("sesame", "Access-Accept"), ("wrong", "Access-Reject")):
        reply = freeradius.radclient(
            site.addresses["radius:site"], "auth",
            [("User-Name", "alice"), (f"{kind}-Password", password),
             ("Message-Authenticator", "0x00")], secret=VPN_SECRET)
        assert reply.kind == answer, reply.text


def test_accounting(site):
    session = f"four-{site.demand}"
    reply = freeradius.radclient(
        site.addresses["accounting:site"], "acct",
        [("User-Name", "alice"), ("Acct-Status-Type", "Start"), ("Acct-Session-Id", session)],
        secret=VPN_SECRET)
    assert reply.kind == "Accounting-Response", reply.text
    assert session in site.server.accounts()


@pytest.mark.parametrize("method", freeradius.METHODS)
def test_eapol(directory, site, method):
    """Only RADIUS through the gate: the keys that eapol_test receives are those that it derives."""
    login = freeradius.eapol_test(directory, site.server, method, site.addresses["radius:site"],
                                  secret=VPN_SECRET)
    assert login.success and "MPPE keys OK: 1  mismatch: 0" in login.text, login.text


@pytest.mark.parametrize("method", ["pap", "chap-md5", "mschapv1", "mschapv2", "eap-mschapv2"])
def test_call(site, method):
    client, line = good_call(site, auth=(method,))
    keyed = method not in ("pap", "chap-md5")
    assert (line["binding"], line["key"]) == ("verified", "radius" if keyed else "zero")
    assert (client.key != bytes(32)) == keyed


@pytest.mark.parametrize("method", freeradius.METHODS)
def test_call_with_eapol(directory, site, method):
    """A complete call, with the EAP of eapol_test on one side and of FreeRADIUS on the other: the MAC is
    made with the MSK of eapol_test, checked by the gate with the key of FreeRADIUS, and re-signed."""
    peer = freeradius.EapolPeer(directory, method, ca=site.server.ca, client=site.server.client)
    with contextlib.closing(peer):
        client, line = good_call(site, auth=("eap",), peer=peer)
    assert peer.login.success, peer.login.text
    assert client.key == peer.login.msk[:32]
    assert (line["binding"], line["key"]) == ("verified", "radius")


@pytest.mark.parametrize("method", ["pap", "mschapv2", "eap-mschapv2"])
def test_wrong_password(site, method):
    with Client(site.front, auth=(method,), password="wrong") as client:
        with pytest.raises(CallFailed, match="refused"):
            client.establish()


def test_second_try(site):
    _, line = good_call(site, first_password="wrong")
    assert (line["key"], line["login-failures"]) == ("radius", "1")


def test_freeradius_sees_the_client(site):
    """Its policies and logs get the client's address, which the VPN server does not see."""
    good_call(site, bind="127.0.0.77")
    assert site.vpn.nas.answers[-1].value(radius.REPLY_MESSAGE) == b"from 127.0.0.77"
    assert "cli 127.0.0.77)" in site.server.log()


@pytest.mark.parametrize("site", ["yes"], indirect=True)
def test_sstpc(directory, machine, front, site):
    """sstpc and pppd at one end, FreeRADIUS at the other, with the scripted VPN server."""
    number = len(site.vpn.calls)
    call = lab.call(directory / "call", site.addresses["front"], front, user="alice",
                    password="sesame")
    site.vpn.wait_call(number)
    last = len(site.vpn.calls) - 1  # if sstpc had to dial again, the earlier calls are incomplete
    record = site.vpn.wait_over(last)
    assert call.up and call.answered, call
    assert (record.verdict, record.method) == ("ok", "mschapv2")
    assert gate_line(site, last)["key"] == "radius"


def test_torrent(site):
    """Logins at the rate of a site in the morning; none is retransmitted, and none is lost."""
    outcome = torrent.pour(lab.address(site.addresses["radius:site"]), VPN_SECRET.encode(),
                           1000, 500, patience=60.0, window=100)
    assert outcome.codes == {radius.ACCESS_ACCEPT: 1000} and outcome.bad == 0
