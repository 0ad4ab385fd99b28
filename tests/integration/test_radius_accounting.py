"""Accounting: requests that the gate forwards between VPN servers and RADIUS servers, and the address of the client
that it puts into them."""

import pytest

from peers.radius import (ACCESS_ACCEPT, ACCOUNTING_REQUEST, ACCOUNTING_RESPONSE, CALLING,
                          MESSAGE_AUTHENTICATOR, PROXY_STATE, USER_NAME, Packet)
from test_radius_proxy import (ACCOUNTING_ON, ACCT_SESSION, ACCT_STATUS, ALICE, CLASS, INTERIM, SEAL,
                               START, STOP, TUNNEL_ENDPOINT, Site, call)


def test_accounting(bench):
    """Unchanged, except for the authenticator."""
    site = Site(bench)
    sent = [(ACCT_STATUS, b"\0\0\0\1"), (ACCT_SESSION, b"00000001"), ALICE, (PROXY_STATE, b"x")]
    octets, packet = site.request(*sent, code=ACCOUNTING_REQUEST, seal=False)
    sock = site.socket("accounting:nps")
    sock.send(octets)
    answer = site.nas.check(sock.recv(8192), packet)
    assert answer.code == ACCOUNTING_RESPONSE and answer.attributes == [(PROXY_STATE, b"x")]
    assert site.server.requests[0].attributes == sent


def test_accounting_signed(bench):
    """Some clients also add a Message-Authenticator, computed with zeros instead of the authenticator (RFC 3579
    3.2 as RFC 5080 2.2.2 reads it)."""
    site = Site(bench)
    packet = Packet(ACCOUNTING_REQUEST, 3, attributes=[ALICE, SEAL, (ACCT_STATUS, b"\0\0\0\2")])
    packet._seal(site.nas.secret, bytes(16))
    octets = packet.sign_accounting(site.nas.secret)
    sock = site.socket("accounting:nps")
    sock.send(octets)
    assert site.nas.check(sock.recv(8192), packet).code == ACCOUNTING_RESPONSE
    asked = site.server.requests[0]
    assert [kind for kind, _ in asked.attributes] == [USER_NAME, MESSAGE_AUTHENTICATOR, ACCT_STATUS]
    assert asked.sealed(b"other", bytes(16))


# -- the client's address in accounting --

class Accounting:
    """The VPN server's end of accounting; every packet is a new request."""

    def __init__(self, site):
        self.site, self.sent = site, 0
        self.sock = site.socket("accounting:nps")

    def report_usage(self, status, session, *more, user=ALICE):
        """Sends an Accounting-Request about a session; returns it as the RADIUS server gets it."""
        self.sent += 1
        octets, packet = self.site.request(
            (ACCT_STATUS, status), (ACCT_SESSION, session), user, (CALLING, b"10.9.9.9"),
            (TUNNEL_ENDPOINT, b"\1" + b"10.9.9.9"), *more, ident=self.sent,
            code=ACCOUNTING_REQUEST, seal=False)
        self.sock.send(octets)
        assert self.site.nas.check(self.sock.recv(8192), packet).code == ACCOUNTING_RESPONSE
        assert self.site.server.bad == 0
        return self.site.server.requests[-1]

    def clients(self, session, **knobs):
        """Returns the Calling-Station-Id and the Tunnel-Client-Endpoint of Start, Interim and Stop, each once."""
        delivered = [self.report_usage(status, session, **knobs) for status in (START, INTERIM, STOP)]
        return {value for packet in delivered
                for value in packet.values(CALLING) + packet.values(TUNNEL_ENDPOINT)}


UNCHANGED = {b"10.9.9.9", b"\x0110.9.9.9"}


def both(address):
    return {address, b"\1" + address}


@pytest.mark.parametrize("method", ["pap", "mschapv2", "eap-mschapv2"])
def test_accounting_of_a_client(bench, method):
    """Start, Interim and Stop have the address that the Access-Request had."""
    site = Site(bench, keys={"calling-station-id": "client"})
    books = Accounting(site)
    call(site, method, "127.0.0.23")
    assert books.clients(b"s1") == both(b"127.0.0.23")
    call(site, method, "127.0.0.24")
    if method == "pap":  # the name is all that it has, and it came from two addresses
        assert books.clients(b"s2") == UNCHANGED
    else:
        assert books.clients(b"s2") == both(b"127.0.0.24")


def test_accounting_changes_nothing_else(bench):
    """The order, the content and the number of all other attributes stay; Message-Authenticator is of this
    packet."""
    site = Site(bench, keys={"calling-station-id": "client"})
    call(site, "mschapv2", "127.0.0.23")
    packet = Packet(ACCOUNTING_REQUEST, 3, attributes=[
        (PROXY_STATE, b"a"), SEAL, (ACCT_STATUS, START), ALICE, (CALLING, b"10.9.9.9"),
        (TUNNEL_ENDPOINT, b"10.9.9.9"), (ACCT_SESSION, b"s1"), (CLASS, b"c"), (PROXY_STATE, b"b")])
    packet._seal(site.nas.secret, bytes(16))
    sock = site.socket("accounting:nps")
    sock.send(packet.sign_accounting(site.nas.secret))
    answer = site.nas.check(sock.recv(8192), packet)
    assert answer.values(PROXY_STATE) == [b"a", b"b"]
    asked = site.server.requests[-1]
    assert asked.sealed(b"other", bytes(16)) and site.server.bad == 0
    assert [a for a in asked.attributes if a[0] != MESSAGE_AUTHENTICATOR] == [
        (PROXY_STATE, b"a"), (ACCT_STATUS, START), ALICE, (TUNNEL_ENDPOINT, b"127.0.0.23"),
        (ACCT_SESSION, b"s1"), (CLASS, b"c"), (PROXY_STATE, b"b"), (CALLING, b"127.0.0.23")]


def test_accounting_of_sessions_named_in_access(bench):
    """With an Acct-Session-Id in the Access-Request, the order of the Starts does not count."""
    site = Site(bench, keys={"calling-station-id": "client"})
    books = Accounting(site)
    for number in (23, 24):
        site.nas.more = [(ACCT_SESSION, b"s%d" % number)]
        call(site, "mschapv2", f"127.0.0.{number}")
    assert books.clients(b"s24") == both(b"127.0.0.24")
    assert books.clients(b"s23") == both(b"127.0.0.23")


def test_accounting_of_two_addresses(bench):
    """Two logins of one user wait for their Start: which Start belongs to which is unknown."""
    site = Site(bench, keys={"calling-station-id": "client"})
    books = Accounting(site)
    for number in (23, 24):
        call(site, "mschapv2", f"127.0.0.{number}")
    assert books.clients(b"s1") == books.clients(b"s2") == UNCHANGED
    call(site, "mschapv2", "127.0.0.25")
    assert books.clients(b"s3") == both(b"127.0.0.25")


def test_accounting_of_two_classes(bench):
    """The VPN server repeats the Class of the Access-Accept in accounting."""
    def classify(answer, request):
        if answer.code == ACCESS_ACCEPT:
            answer.attributes.append((CLASS, b"c" + request.value(CALLING)))
        return answer

    site = Site(bench, keys={"calling-station-id": "client"}, twist=classify)
    books = Accounting(site)
    for number in (23, 24):
        call(site, "mschapv2", f"127.0.0.{number}")
    start = books.report_usage(START, b"s24", (CLASS, b"c127.0.0.24"))
    assert start.values(CALLING) == [b"127.0.0.24"] and start.value(CLASS) == b"c127.0.0.24"
    assert books.report_usage(START, b"s23", (CLASS, b"c127.0.0.23")).values(CALLING) == [b"127.0.0.23"]
    assert books.report_usage(STOP, b"s24").values(CALLING) == [b"127.0.0.24"]


def test_accounting_of_sessions_that_are_unknown(bench):
    """A session from before the gate's start, another user's, or one of before the VPN server's restart."""
    site = Site(bench, keys={"calling-station-id": "client"})
    books = Accounting(site)
    assert books.clients(b"s1") == UNCHANGED
    call(site, "mschapv2", "127.0.0.23")
    assert books.report_usage(INTERIM, b"s0").values(CALLING) == [b"10.9.9.9"]
    assert books.clients(b"s2", user=(USER_NAME, b"bob")) == UNCHANGED
    assert books.report_usage(START, b"s3").values(CALLING) == [b"127.0.0.23"]
    books.report_usage(ACCOUNTING_ON, b"boot")
    assert books.report_usage(STOP, b"s3").values(CALLING) == [b"10.9.9.9"]


def test_accounting_after_a_reload(bench):
    """Other RADIUS servers get the address of sessions that began before."""
    site = Site(bench, servers=2, keys={"calling-station-id": "client"})
    books = Accounting(site)
    call(site, "mschapv2", "127.0.0.23")
    assert books.report_usage(START, b"s1").values(CALLING) == [b"127.0.0.23"]
    site.servers.reverse()
    site.keys["radius nps"]["accounting-server"] = site.text(site.server.acct)
    site.reload()
    assert books.report_usage(STOP, b"s1").values(CALLING) == [b"127.0.0.23"]


def test_accounting_keeps_the_address(bench):
    site = Site(bench)
    call(site, "mschapv2", "127.0.0.23")
    assert Accounting(site).clients(b"s1") == UNCHANGED


def test_tunnel_endpoint_of_an_access_request(bench):
    site = Site(bench, keys={"calling-station-id": "client"})
    site.nas.more = [(TUNNEL_ENDPOINT, b"10.9.9.9")]
    call(site, "mschapv2", "127.0.0.23")
    asked = site.server.requests[-1]
    assert asked.values(TUNNEL_ENDPOINT) == asked.values(CALLING) == [b"127.0.0.23"]
