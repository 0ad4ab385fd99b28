"""Two gates with redis-server between a scripted VPN server and FreeRADIUS: the RADIUS packets of a login pass through
one gate, its call through the other, which finds the keys in the store."""

import contextlib
import pathlib
import tempfile
from types import SimpleNamespace

import pytest

import freeradius
import lab
from peers import nas, radius
from peers.server import Server
from peers.store import Redis
from test_radius import METHODS, VPN_SECRET, configuration, good_call


@pytest.fixture(scope="module")
def site(workshop, front, back):
    """FreeRADIUS, a store, the VPN server, a gate for its calls and a gate for its RADIUS packets."""
    lab.require("freeradius eapol_test setpriv", lab.GATE)
    directory = pathlib.Path(tempfile.mkdtemp(prefix="shared.", dir=workshop))
    store = Redis(directory)
    with contextlib.ExitStack() as stack:
        stack.callback(store.close)
        server = stack.enter_context(freeradius.server(directory / "freeradius", require=True))
        asks = nas.Nas(None, VPN_SECRET, demand=True)
        vpn = stack.enter_context(Server(back.cert, back.key, nas=asks, users={}, auth=METHODS))
        addresses = {}
        for name in ("proxy", "gate"):
            folder = directory / name
            folder.mkdir()
            for secret, text in (("vpn", VPN_SECRET), ("server", freeradius.SECRET), ("gates", "of the gates alone" * 2)):
                path = folder / f"{secret}.secret"
                path.touch(mode=0o600)
                path.write_text(text + "\n")
            text = configuration(front, vpn, back, server, "yes").replace(
                "[gate]\n", f"[gate]\nshared = {store.url}\nshared-name = {name}\nshared-secret-file = gates.secret\n"
                            "shared-timeout = 1s\n")
            addresses[name] = stack.enter_context(lab.configured_gate(folder, text))
            lab.eventually(lambda: "state=up" in (folder / "gate.log").read_text(), server.process,
                           folder / "gate.log")
        asks.server = lab.address(addresses["proxy"]["radius:site"])
        yield SimpleNamespace(server=server, vpn=vpn, front=lab.address(addresses["gate"]["front"]),
                              log=directory / "gate" / "gate.log")


@pytest.mark.parametrize("method", freeradius.METHODS)
def test_call_with_eapol(directory, site, method):
    """The MAC is made with the MSK of eapol_test, checked by one gate with the key that the other has seen in the
    Accept of FreeRADIUS, and re-signed."""
    peer = freeradius.EapolPeer(directory, method, ca=site.server.ca, client=site.server.client)
    with contextlib.closing(peer):
        client, line = good_call(site, auth=("eap",), peer=peer)
    assert peer.login.success, peer.login.text
    assert client.key == peer.login.msk[:32]
    assert (line["binding"], line["key"]) == ("verified", "shared")


@pytest.mark.parametrize("method", ["pap", "chap-md5", "mschapv1", "mschapv2", "eap-mschapv2"])
def test_call(site, method):
    _, line = good_call(site, auth=(method,), bind="127.0.0.77")
    keyed = method not in ("pap", "chap-md5")
    assert (line["binding"], line["key"]) == ("verified", "shared" if keyed else "zero")
    assert site.vpn.nas.answers[-1].value(radius.REPLY_MESSAGE) == b"from 127.0.0.77"
