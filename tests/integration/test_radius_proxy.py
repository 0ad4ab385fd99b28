"""The gate between VPN servers and their RADIUS servers: packets that are forwarded, answered, or dropped."""

import os
import re
import signal
import socket

import pytest

from gate import run, with_hosts, write_config
from peers import auth, mschap, ppp, radius
from peers.nas import Nas
from peers.radius import (ACCESS_ACCEPT, ACCESS_CHALLENGE, ACCESS_REJECT, ACCESS_REQUEST,
                          ACCOUNTING_REQUEST, ACCOUNTING_RESPONSE, CALLING, CHAP_CHALLENGE,
                          CHAP_PASSWORD, EAP_MESSAGE, MESSAGE_AUTHENTICATOR, MS_CHALLENGE,
                          MS_MPPE_KEYS, MS_RECV_KEY, MS_RESPONSE, MS_RESPONSE2, MS_SEND_KEY,
                          MS_SUCCESS2, PROXY_STATE, REPLY_MESSAGE, STATE, USER_NAME, USER_PASSWORD,
                          Packet, microsoft)
from peers.tls import DEADLINE

STATUS_SERVER = 12
CLASS, ACCT_STATUS, ACCT_SESSION, TUNNEL_ENDPOINT, TUNNEL_PASSWORD = 25, 40, 44, 66, 69
START, STOP, INTERIM, ACCOUNTING_ON = (bytes([0, 0, 0, n]) for n in (1, 2, 3, 7))
SEAL = (MESSAGE_AUTHENTICATOR, bytes(16))
ALICE = (USER_NAME, b"alice")


METHODS = ("mschapv2", "mschapv1", "chap-md5", "pap", "eap")


class Site:
    """A VPN server, the gate and RADIUS servers; the two secrets differ."""

    def __init__(self, bench, servers=1, keys=None, gate=None, listen=("127.0.0.1:0",), before=(),
                 server=None, **knobs):
        self.bench = bench
        folder = bench.place.folder
        for name, secret in (("nas.secret", b"towards the VPN server\n"), ("server.secret", b"other\r\n")):
            (folder / name).touch(mode=0o600)
            (folder / name).write_bytes(secret)
        self.vpn = bench.backend(users={}, auth=METHODS)
        self.servers = [self.serve(**knobs) for _ in range(servers)]
        self.keys = {"gate": {"workers": 1, "log-level": "debug", "admin": "unix:radius.sock",
                              **(gate or {})},
                     "listener front": bench.listener_keys(),
                     "backend back": bench.backend_keys(self.vpn, radius="nps", users_file=None),
                     "radius nps": {"listen": list(listen), "accounting-listen": "127.0.0.1:0",
                                    "clients": "127.0.0.0/8", "secret-file": "nas.secret",
                                    "server-secret-file": "server.secret",
                                    "server": [self.text(s.auth) for s in self.servers],
                                    "accounting-server": [self.text(s.acct) for s in self.servers],
                                    "timeout-server": "1s", **(keys or {})}}
        if server:  # its name
            self.keys["radius nps"]["server"] = f"{server}:{self.server.auth[1]}"
        self.gate = bench.start(self.keys, before=before)
        self.nas = self.vpn.nas = self.client()

    @staticmethod
    def text(address):
        return f"{address[0]}:{address[1]}"

    @property
    def server(self):
        return self.servers[0]

    def serve(self, **knobs):
        server = radius.Radius("other", **knobs).__enter__()
        self.bench.others.append(server)
        return server

    def client(self, secret="towards the VPN server", number=0, **knobs):
        return Nas(self.gate.address("radius:nps", number), secret, **{"timeout": 5.0, **knobs})

    def socket(self, where="radius:nps", bind="127.0.0.1"):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind((bind, 0))
        sock.connect(self.gate.address(where))
        sock.settimeout(DEADLINE)
        self.bench.others.append(Closing(sock))
        return sock

    def request(self, *attributes, ident=1, code=ACCESS_REQUEST, seal=True, secret=None):
        """Returns a signed request, and its bytes."""
        packet = Packet(code, ident, attributes=([SEAL] if seal else []) + list(attributes))
        secret = secret or self.nas.secret
        if code == ACCOUNTING_REQUEST:
            return packet.sign_accounting(secret), packet
        return packet.sign_request(secret), packet

    def status(self):
        done = run("ctl", "-c", self.gate.config, "status")
        assert done.returncode == 0, done.stdout
        line = next(l for l in done.stdout.splitlines() if l.startswith("radius nps: "))
        return {name: int(value) for name, value in re.findall(r"([a-z-]+) (\d+)\b(?!\.)", line)}

    def dropped(self, why, number=0):
        """Waits for the log line that reports this drop."""
        def find():
            events = [e for e in self.gate.events("radius") if e.fields.get("dropped") == why]
            return events[number] if len(events) > number else None
        return self.gate.wait(find, f"drop of a {why} packet")

    def sure(self):
        """Makes sure that all earlier packets have been handled: sends a request, which is answered in
        order."""
        octets, packet = self.request(code=STATUS_SERVER)
        sock = self.socket()
        sock.send(octets)
        assert self.nas.check(sock.recv(8192), packet).code == ACCESS_ACCEPT

    def reload(self):
        write_config(self.gate.config, self.keys)
        said = self.gate.reload()
        assert said[-1]["msg"].endswith("is in force"), [event["msg"] for event in said]


class Closing:
    def __init__(self, sock):
        self.sock = sock

    def __exit__(self, *_):
        self.sock.close()


def chap_v2(password="sesame"):
    """Returns MS-CHAP-Challenge, MS-CHAP2-Response of alice, and the key of this login."""
    challenge, peer = os.urandom(16), os.urandom(16)
    response = mschap.nt_response(challenge, peer, b"alice", password)
    return [ALICE, microsoft(MS_CHALLENGE, challenge),
            microsoft(MS_RESPONSE2, b"\1\0" + peer + bytes(8) + response)], \
        mschap.hlak_v2(password, response)


# -- forwarded packets --

def test_verdicts_are_counted(bench):
    """Each request has one verdict, in the metrics."""
    site = Site(bench, eap=radius.EapExperimental)
    eap_login(site.nas)
    site.nas.ask([ALICE, (USER_PASSWORD, b"wrong")])
    octets, packet = site.request(ALICE, (ACCT_STATUS, b"\0\0\0\1"), code=ACCOUNTING_REQUEST, seal=False)
    sock = site.socket("accounting:nps")
    sock.send(octets)
    site.nas.check(sock.recv(8192), packet)
    site.sure()
    site.server.go.clear()
    asked = len(site.server.requests)
    site.socket().send(site.request(ALICE, (USER_PASSWORD, b"sesame"))[0])
    site.server.wait(lambda: len(site.server.requests) > asked)
    site.keys["radius nps"]["server"] = [site.text(site.serve().auth)]  # the request is given up
    site.reload()
    site.server.go.set()
    site.sure()
    sock.send(b"no packet")
    site.dropped("malformed")
    done = run("ctl", "-c", site.gate.config, "metrics")
    found = re.findall(r'sstpgate_radius_requests_total\{radius="nps",verdict="(.*)"\} (\d+)', done.stdout)
    assert {name: int(value) for name, value in found} == {
        "accept": 1, "reject": 1, "challenge": 1, "accounting": 1, "status": 2, "unanswered": 1, "dropped": 1}


@pytest.mark.parametrize("password", ["sesame", "", "wrong", "x" * 128],
                         ids=["one block", "empty", "wrong", "eight blocks"])
def test_pap(bench, password):
    """A password is hidden with the server's secret; longer passwords have several blocks."""
    site = Site(bench, users={"alice": password if password != "wrong" else "sesame"})
    answer = site.nas.ask([ALICE, (USER_PASSWORD, password.encode())])
    assert answer.code == (ACCESS_REJECT if password == "wrong" else ACCESS_ACCEPT)
    assert site.nas.bad == 0 and site.server.bad == 0
    assert site.nas.answers[0].attributes[0][0] == MESSAGE_AUTHENTICATOR
    asked = site.server.requests[0]
    assert asked.attributes[0][0] == MESSAGE_AUTHENTICATOR
    assert len(asked.values(PROXY_STATE)) == 1 and not answer.values(PROXY_STATE)


def test_nothing_else_changes(bench):
    """Unknown attributes, their order, and Proxy-States of other proxies are unchanged."""
    site = Site(bench, twist=lambda answer, request: answer.attributes.extend(extra) or answer)
    extra = [(CLASS, b"\0\1\2"), (REPLY_MESSAGE, b"hello"), (CLASS, b""), (250, b"x" * 253),
             (radius.VENDOR, b"\0\0\0\x09\1\5abc"), (radius.VENDOR, b"odd")]
    sent = [ALICE, (USER_PASSWORD, b"sesame"), (PROXY_STATE, b"first"), (PROXY_STATE, b""),
            (250, b"y" * 253), (radius.VENDOR, b"\0\0\0\x09\1\5abc"), (STATE, b"s" * 40)]
    answer = site.nas.ask(sent)
    asked = site.server.requests[0]
    ours = asked.values(PROXY_STATE)[-1]
    plain = [a for a in asked.attributes if a[0] not in (MESSAGE_AUTHENTICATOR, USER_PASSWORD)]
    assert plain[-1] == (PROXY_STATE, ours)
    assert plain[:6] == [a for a in sent if a[0] != USER_PASSWORD]
    assert answer.attributes[1:] == [(PROXY_STATE, b"first"), (PROXY_STATE, b"")] + extra
    assert asked.authenticator != answer.request


@pytest.mark.parametrize("explicit", [True, False])
def test_chap(bench, explicit):
    """Without CHAP-Challenge the authenticator is the challenge (RFC 2865 2.2), and the authenticator differs
    on the other side."""
    site = Site(bench)
    challenge = os.urandom(16)
    packet = Packet(ACCESS_REQUEST, 9, attributes=[ALICE])
    packet.authenticator = os.urandom(16) if explicit else challenge
    packet.attributes.append((CHAP_PASSWORD, b"\7" + auth.md5_answer(7, "sesame", challenge)))
    if explicit:
        packet.attributes.append((CHAP_CHALLENGE, challenge))
    answer = site.nas.exchange(packet.build(), packet)
    assert answer.code == ACCESS_ACCEPT
    assert site.server.requests[0].values(CHAP_CHALLENGE) == [challenge]


def test_mschapv2_keys(bench):
    """The VPN server can decrypt the keys, and they are those of the user."""
    site = Site(bench)
    attributes, key = chap_v2()
    answer = site.nas.ask(attributes)
    assert answer.code == ACCESS_ACCEPT and site.nas.hlak(answer) == key
    assert answer.microsoft(MS_SUCCESS2)
    sent = [value for kind in (MS_RECV_KEY, MS_SEND_KEY) for value in answer.microsoft(kind)]
    assert [len(value) for value in sent] == [34, 34] and sent[0][:2] != sent[1][:2]
    assert all(value[0] & 0x80 for value in sent)
    assert site.status()["keys"] == 1


def test_mschapv1_keys(bench):
    site = Site(bench)
    challenge = os.urandom(8)
    response = mschap.challenge_response(challenge, mschap.nt_hash("sesame"))
    answer = site.nas.ask([ALICE, microsoft(MS_CHALLENGE, challenge),
                           microsoft(MS_RESPONSE, b"\1\1" + bytes(24) + response)])
    hidden, = answer.microsoft(MS_MPPE_KEYS)
    plain = radius.reveal_password(hidden, site.nas.secret, answer.request)
    assert plain == (bytes(8) + mschap.hash_hash("sesame")).ljust(32, b"\0")
    assert site.status()["keys"] == 1


def test_keys_of_all_forms(bench):
    """32 bytes, two pairs in one Accept, several keys in one Vendor-Specific, a Tunnel-Password."""
    long, short = os.urandom(64), os.urandom(32)

    def twist(answer, request):
        key = lambda value: radius.hide_key(value, b"other", request.authenticator)
        pairs = [(MS_SEND_KEY, short[16:]), (MS_RECV_KEY, short[:16])]
        joined = b"".join(bytes([kind, 36]) + key(value) for kind, value in pairs)
        answer.attributes += [microsoft(MS_SEND_KEY, key(long[32:])),
                              microsoft(MS_RECV_KEY, key(long[:32])),
                              (radius.VENDOR, b"\0\0\1\x37" + joined),
                              (TUNNEL_PASSWORD, b"\3" + key(b"tunnel"))]
        return answer

    site = Site(bench, twist=twist)
    answer = site.nas.ask([ALICE, (USER_PASSWORD, b"sesame")])
    reveal = lambda value: radius.reveal_key(value, site.nas.secret, answer.request)
    assert [reveal(v) for v in answer.microsoft(MS_RECV_KEY)] == [long[:32], short[:16]]
    assert [reveal(v) for v in answer.microsoft(MS_SEND_KEY)] == [long[32:], short[16:]]
    tunnel = answer.value(TUNNEL_PASSWORD)
    assert tunnel[0] == 3 and reveal(tunnel[1:]) == b"tunnel"
    salts = [v[:2] for kind in (MS_RECV_KEY, MS_SEND_KEY) for v in answer.microsoft(kind)]
    assert len(set(salts + [tunnel[1:3]])) == 5
    assert site.status()["keys"] == 3  # a long key, the short pair, and the short key with the long one


def eap_login(nas):
    """Makes a complete login through nas; returns the answers."""
    peer, state = radius.ExperimentalPeer(), []
    packet = peer.answer(ppp.Control(1, 1, bytes([auth.EAP_IDENTITY])).build())
    while True:
        answer = nas.ask([ALICE, *radius.eap_message(packet), *state])
        if answer.code != ACCESS_CHALLENGE:
            return nas.answers
        state = [(STATE, value) for value in answer.values(STATE)]
        packet = peer.answer(answer.eap)


def test_eap(bench):
    """Challenges and their State; the key at the end."""
    site = Site(bench, eap=radius.EapExperimental)
    answers = eap_login(site.nas)
    assert [a.code for a in answers] == [ACCESS_CHALLENGE, ACCESS_ACCEPT]
    assert site.nas.bad == 0 and site.status()["keys"] == 1


@pytest.mark.parametrize("where, code", [("radius:nps", ACCESS_ACCEPT),
                                         ("accounting:nps", ACCOUNTING_RESPONSE)])
def test_status_server(bench, where, code):
    """The gate answers Status-Server itself (RFC 5997), and only signed requests."""
    site = Site(bench)
    sock = site.socket(where)
    octets, packet = site.request(code=STATUS_SERVER)
    sock.send(octets)
    answer = site.nas.check(sock.recv(8192), packet)
    assert answer.code == code and answer.sealed(site.nas.secret, packet.authenticator)
    sock.send(site.request(code=STATUS_SERVER, seal=False)[0])
    site.dropped("unsigned")
    assert not site.server.requests


@pytest.mark.parametrize("host", ["nps.test", "127.0.0.1"])
def test_names(bench, tmp_path, host):
    """A server is configured by name; one of its addresses does not answer. The name is in a file of the test's
    own, because a machine may have no names, not even localhost."""
    hosts = tmp_path / "hosts"
    hosts.write_text("::1 nps.test\n127.0.0.1 nps.test\n")
    site = Site(bench, before=with_hosts(hosts), server=host)
    site.nas.timeout = 1.2
    assert site.nas.ask([ALICE, (USER_PASSWORD, b"sesame")]).code == ACCESS_ACCEPT


@pytest.mark.long
def test_name_leads_elsewhere(bench, tmp_path):
    """The gate finds a server that has moved without a reload, while the client still retransmits."""
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.0.23 nps.test\n")
    site = Site(bench, before=with_hosts(hosts), server="nps.test")
    octets, packet = site.request(ALICE, (USER_PASSWORD, b"sesame"))
    sock = site.socket()
    sock.settimeout(1.1)
    answer = None
    for _ in range(12):
        sock.send(octets)
        try:
            answer = site.nas.check(sock.recv(8192), packet)
            break
        except TimeoutError:
            hosts.write_text("127.0.0.1 nps.test\n")
    assert answer and answer.code == ACCESS_ACCEPT
    assert site.gate.wait_log("answers again")


def test_answer_leaves_where_it_was_asked(bench):
    """The gate listens on every address: a client accepts an answer only from the address that it has asked."""
    site = Site(bench, listen=["*:0"])
    port = site.gate.address("radius:nps")[1]
    for address in ("127.0.0.1", "127.0.0.77"):
        nas = Nas((address, port), "towards the VPN server")
        assert nas.ask([ALICE, (USER_PASSWORD, b"sesame")]).code == ACCESS_ACCEPT


def test_ipv6(bench):
    site = Site(bench, listen=["[::1]:0"], keys={"clients": ["::1"]})
    assert site.nas.ask([ALICE, (USER_PASSWORD, b"sesame")]).code == ACCESS_ACCEPT


# -- retransmissions --

def test_duplicate_is_answered(bench):
    """The server is not asked again, and the answer has the same bytes."""
    site = Site(bench)
    octets, packet = site.request(ALICE, (USER_PASSWORD, b"sesame"))
    sock = site.socket()
    sock.send(octets)
    first = sock.recv(8192)
    sock.send(octets)
    assert sock.recv(8192) == first
    assert len(site.server.requests) == 1 and site.server.repeated == 0
    assert site.status()["repeated"] == 1


def test_duplicate_while_it_waits(bench):
    """The same server gets the same packet, so that it recognizes the retransmission."""
    site = Site(bench, silent=1)
    octets, packet = site.request(ALICE, (USER_PASSWORD, b"sesame"))
    sock = site.socket()
    sock.send(octets)
    site.server.wait(lambda: site.server.requests)
    sock.send(octets)
    assert site.nas.check(sock.recv(8192), packet).code == ACCESS_ACCEPT
    assert len(site.server.requests) == 1 and site.server.repeated == 1


def test_alone_and_silent(bench):
    """With one server, a retransmission after timeout-server is still the same packet."""
    site = Site(bench, silent=1)
    site.nas.timeout = 1.2
    assert site.nas.ask([ALICE, (USER_PASSWORD, b"sesame")]).code == ACCESS_ACCEPT
    assert len(site.server.requests) == 1 and site.server.repeated == 1


def test_identifier_is_used_again(bench):
    """A new request has the socket and identifier of an old one, which the client has given up."""
    site = Site(bench)
    site.server.go.clear()
    sock = site.socket()
    first, _ = site.request(ALICE, (USER_PASSWORD, b"wrong"))
    second, packet = site.request(ALICE, (USER_PASSWORD, b"sesame"))
    sock.send(first)
    site.server.wait(lambda: len(site.server.requests) == 1)
    sock.send(second)
    site.sure()
    site.server.go.set()
    assert site.nas.check(sock.recv(8192), packet).code == ACCESS_ACCEPT
    site.dropped("unexpected")  # the answer to the first


def test_failover(bench):
    """The client's retransmission goes to the next server, and so do new requests; the first server is asked
    again when the second is silent, too."""
    site = Site(bench, servers=2, silent=1)
    first, second = site.servers
    second.silent = 0
    site.nas.timeout = 1.2
    assert site.nas.ask([ALICE, (USER_PASSWORD, b"sesame")]).code == ACCESS_ACCEPT
    assert (len(first.requests), len(second.requests)) == (1, 1)
    site.gate.wait_log("does not answer")
    assert site.nas.ask([ALICE, (USER_PASSWORD, b"sesame")]).code == ACCESS_ACCEPT
    assert (len(first.requests), len(second.requests)) == (1, 2)
    second.silent = 1
    assert site.nas.ask([ALICE, (USER_PASSWORD, b"sesame")]).code == ACCESS_ACCEPT
    assert (len(first.requests), len(second.requests)) == (2, 3)
    site.gate.wait_log("answers again")


def test_conversation_stays(bench):
    """A State goes back to the server that sent it, even when the first server answers again."""
    site = Site(bench, servers=2, eap=radius.EapExperimental, silent=1)
    first, second = site.servers
    second.silent = 0
    site.nas.timeout = 1.2

    def wait(attributes):
        """Lets the first server answer another client between the rounds."""
        if any(kind == STATE for kind, _ in attributes):
            second.silent = 1
            other = site.client(timeout=1.2)
            assert other.ask([ALICE, (USER_PASSWORD, b"sesame")]).code == ACCESS_ACCEPT
            site.gate.wait_log("answers again")

    site.nas.wait = wait
    answers = eap_login(site.nas)
    assert answers[-1].code == ACCESS_ACCEPT
    assert [bool(r.eap) for r in second.requests] == [True, False, True]


# -- dropped requests --

def test_stranger(bench):
    site = Site(bench, keys={"clients": ["127.0.0.1"]})
    sock = site.socket(bind="127.0.0.9")
    sock.send(site.request(ALICE, (USER_PASSWORD, b"sesame"))[0])
    assert site.dropped("stranger")["from"].startswith("127.0.0.9:")
    site.sure()
    assert not site.server.requests


def test_wrong_secret(bench):
    site = Site(bench)
    sock = site.socket()
    sock.send(site.request(ALICE, (USER_PASSWORD, b"sesame"), secret=b"guess")[0])
    site.dropped("forged")
    acct = site.socket("accounting:nps")
    acct.send(site.request(ALICE, code=ACCOUNTING_REQUEST, seal=False, secret=b"guess")[0])
    site.gate.wait(lambda: site.status()["forged"] == 2, "second")
    assert not site.server.requests


@pytest.mark.parametrize("demand", [True, False])
def test_without_signature(bench, demand):
    site = Site(bench, keys={"require-message-authenticator": "yes" if demand else "no"})
    sock = site.socket()
    octets, packet = site.request(ALICE, (USER_PASSWORD, b"sesame"), seal=False)
    sock.send(octets)
    if demand:
        site.dropped("unsigned")
        site.sure()
        assert not site.server.requests
    else:
        assert site.nas.check(sock.recv(8192), packet).code == ACCESS_ACCEPT


def test_eap_without_signature(bench):
    site = Site(bench)
    site.socket().send(site.request(ALICE, (EAP_MESSAGE, b"\2\1\0\5\1"), seal=False)[0])
    site.dropped("unsigned")
    assert not site.server.requests


def test_replayed_authenticator(bench):
    """An attacker replays a recorded request, with another identifier, from another port, or with another name:
    it is not forwarded."""
    site = Site(bench)
    octets, packet = site.request(ALICE, (USER_PASSWORD, b"sesame"), seal=False)
    sock = site.socket()
    sock.send(octets)
    assert site.nas.check(sock.recv(8192), packet).code == ACCESS_ACCEPT
    site.socket().send(octets)
    site.dropped("replayed")
    sock.send(octets[:1] + b"\x77" + octets[2:])
    sock.send(octets[:1] + b"\x78" + octets[2:].replace(b"alice", b"carol"))
    site.sure()
    assert site.status()["replayed"] == 3 and len(site.server.requests) == 1


BAD = {
    "empty": b"", "short": b"\1\1\0\x14" + bytes(15), "length below a header": b"\1\1\0\x13" + bytes(16),
    "longer than it is": b"\1\1\0\x20" + bytes(16), "longer than allowed": b"\1\1\x10\1" + bytes(4093),
    "attribute of no length": b"\1\1\0\x16" + bytes(16) + b"\1\0",
    "attribute that does not end": b"\1\1\0\x18" + bytes(16) + b"\1\5ab",
    "an answer": b"\2\1\0\x14" + bytes(16), "accounting": b"\4\1\0\x14" + bytes(16),
    "unknown": b"\x63\1\0\x14" + bytes(16), "too large": b"\1\1\x10\0" + bytes(30000),
}


def test_malformed(bench):
    site = Site(bench)
    sock = site.socket()
    for octets in BAD.values():
        sock.send(octets)
    site.sure()
    assert site.status()["malformed"] == len(BAD) and not site.server.requests
    assert site.nas.ask([ALICE, (USER_PASSWORD, b"sesame")]).code == ACCESS_ACCEPT


def test_too_long_for_what_is_added(bench):
    site = Site(bench)
    filler = [(250, bytes(253))] * 15
    octets, _ = site.request(*filler, (250, bytes(225)), seal=False)
    assert len(octets) == 4072
    site.socket().send(octets)
    site.dropped("no-room")


# -- servers that do not answer --

def test_port_that_is_closed(bench):
    """ICMP reports the closed port at once; the VPN server's next try goes to the other server."""
    site = Site(bench, servers=2, keys={"timeout-server": "30s"})
    site.servers[0].__exit__()
    site.nas.timeout = 1
    assert site.nas.ask([ALICE, (USER_PASSWORD, b"sesame")]).code == ACCESS_ACCEPT
    line = site.gate.wait_log("its port is closed")
    assert " warning radius " in line and f"server={site.text(site.servers[0].auth)} " in line


def test_silence_of_the_only_server_without_a_second_try(bench):
    site = Site(bench, silent=2)
    sock = site.socket()
    octets, packet = site.request(ALICE, (USER_PASSWORD, b"sesame"))
    sock.send(octets)
    line = site.gate.wait_log("does not answer")
    assert " warning radius " in line and "differs from server-secret-file" in line
    site.server.silent = 0
    sock.send(octets)
    assert site.nas.check(sock.recv(8192), packet).code == ACCESS_ACCEPT
    assert " info radius " in site.gate.wait_log("answers again")


def test_answers_with_another_secret(bench):
    def twist(answer, request):
        site.server.secret = b"a third one"
        return answer

    site = Site(bench, twist=twist)
    sock = site.socket()
    sock.send(site.request(ALICE, (USER_PASSWORD, b"sesame"))[0])
    assert " warning radius " in site.gate.wait_log("answers are not signed with server-secret-file")


def test_silent_accounting_server(bench):
    site = Site(bench, silent=1)
    octets, _ = site.request(ALICE, (ACCT_STATUS, b"\0\0\0\1"), code=ACCOUNTING_REQUEST, seal=False)
    site.socket("accounting:nps").send(octets)
    assert f"server={site.text(site.server.acct)} " in site.gate.wait_log("does not answer")


@pytest.mark.long
def test_name_that_stops_resolving(bench, tmp_path):
    """The address that is known stays in use. A silence makes the gate look the name up again."""
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.0.1 nps.test\n")
    site = Site(bench, before=with_hosts(hosts), server="nps.test")
    for _ in range(50):  # the gate drops requests until it has resolved the name
        site.socket().send(site.request(ALICE, (USER_PASSWORD, b"sesame"))[0])
        try:
            site.server.wait(lambda: site.server.requests, timeout=0.2)
            break
        except TimeoutError:
            pass
    assert site.server.requests
    site.gate.wait_log("answer=access-accept")  # otherwise the silence could meet this request
    hosts.write_text("127.0.0.1 other.test\n")
    site.server.silent = 1
    site.socket().send(site.request(ALICE, (USER_PASSWORD, b"sesame"))[0])
    line = site.gate.wait_log("no longer resolves")
    assert " warning radius " in line and "address=127.0.0.1:" in line
    assert site.nas.ask([ALICE, (USER_PASSWORD, b"sesame")]).code == ACCESS_ACCEPT


# -- wrong answers --

@pytest.mark.parametrize("trick", ["secret", "authenticator", "seal", "code", "identifier", "octet",
                                   "cut", "unsealed-eap"])
def test_wrong_answers(bench, trick):
    """They are dropped; the right answer that arrives afterwards is accepted."""
    site = Site(bench)
    server = site.servers[0]
    eap = [(EAP_MESSAGE, b"\2\1\0\6\1a")] if trick == "unsealed-eap" else []
    server._answer = lambda request: None
    fake = socket.socket(fileno=os.dup(server._socks[0].fileno()))
    bench.others.append(Closing(fake))
    octets, packet = site.request(ALICE, (USER_PASSWORD, b"sesame"), *eap)
    sock = site.socket()
    given = server._given
    sock.send(octets)
    server.wait(lambda: server.requests)
    request, source = server.requests[0], next(iter(given))[0]

    def answer(secret=b"other", authenticator=None, code=ACCESS_ACCEPT, seal=True, more=()):
        made = radius.response_to(code, request, *more, seal=seal)
        return made.sign_response(secret, authenticator or request.authenticator)

    bad = {"secret": lambda: answer(secret=b"guess"),
           "authenticator": lambda: answer(authenticator=packet.authenticator),
           "seal": lambda: resealed(answer()),
           "code": lambda: answer(code=ACCOUNTING_RESPONSE),
           "identifier": lambda: answer()[:1] + bytes([request.ident ^ 0x55]) + answer()[2:],
           "octet": lambda: flipped(answer()),
           "cut": lambda: answer()[:-1],
           "unsealed-eap": lambda: answer(seal=False, more=[(EAP_MESSAGE, b"\3\1\0\4")])}[trick]

    def flipped(octets):
        return octets[:-1] + bytes([octets[-1] ^ 1])

    def resealed(octets):
        """Returns a packet whose authenticator is right, but not its Message-Authenticator, as CVE-2024-3596
        makes it."""
        made = radius.parse(octets)
        made.attributes[0] = (MESSAGE_AUTHENTICATOR, bytes(16))
        made.authenticator = radius.md5(made.build(request.authenticator), b"other")
        return made.build()

    fake.sendto(bad(), source)
    site.dropped({"code": "malformed", "cut": "malformed", "identifier": "unexpected",
                  "unsealed-eap": "unsigned"}.get(trick, "forged"))
    fake.sendto(answer(), source)
    assert site.nas.check(sock.recv(8192), packet).code == ACCESS_ACCEPT


def test_answer_from_elsewhere(bench):
    """Every byte is right, but the address or the port is not the server's."""
    site = Site(bench)
    server = site.server
    server.go.clear()
    octets, packet = site.request(ALICE, (USER_PASSWORD, b"sesame"))
    sock = site.socket()
    sock.send(octets)
    server.wait(lambda: server.requests)
    request, source = server.requests[0], next(iter(server._given))[0]
    right = radius.response_to(ACCESS_REJECT, request).sign_response(b"other", request.authenticator)
    for number, where in enumerate(("127.0.0.1", "127.0.0.3")):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            other.bind((where, 0))
            other.sendto(right, source)
        site.gate.wait(lambda: site.status()["unexpected"] == number + 1, "stray")
    server.go.set()
    assert site.nas.check(sock.recv(8192), packet).code == ACCESS_ACCEPT


# -- Calling-Station-Id --

@pytest.mark.parametrize("wanted", ["keep", "client"])
def test_calling_station_unknown(bench, wanted):
    """If the gate does not know the client, it sets no Calling-Station-Id."""
    site = Site(bench, keys={"calling-station-id": wanted})
    assert site.nas.ask(chap_v2()[0]).code == ACCESS_ACCEPT
    assert site.server.requests[0].values(CALLING) == [b"127.0.0.1"]


def call(site, method, bind):
    """Makes a complete call from that address; its Call Connected is made with the key from RADIUS."""
    client = site.bench.client(site.gate, auth=(method,), bind=bind).establish().ping()
    client.disconnect()
    return client


@pytest.mark.usefixtures("freed_overwritten")
@pytest.mark.parametrize("method", ["pap", "mschapv2", "eap-mschapv2"])
def test_no_secret_stays(bench, method):
    """After a login whose tunnel is up, the memory contains nothing of use to an attacker."""
    password = "Zq9-" + "very secret " * 3
    site = Site(bench, users={"alice": password})
    client = bench.client(site.gate, auth=(method,), password=password).establish().ping()
    octets = site.gate.memory()
    assert octets.count(site.nas.secret) == 1  # the search works
    secrets = {"password": password.encode(), "half of it": password.encode()[-16:]}
    if method != "pap":
        longest = max((r.eap for r in site.server.requests), key=len)
        response = longest[34:58] if longest else \
            site.server.requests[0].microsoft(MS_RESPONSE2)[0][26:]
        assert len(response) == 24
        secrets.update({"response": response, "keys": client.key[:16], "more": client.key[16:]})
    for name, secret in secrets.items():
        assert octets.count(secret) == 0, name


def test_two_callers_of_one_name(bench):
    """Each has a proof of its own: the name alone would not distinguish them."""
    site = Site(bench, keys={"calling-station-id": "client"})
    for address in ("127.0.0.7", "127.0.0.8"):
        call(site, "mschapv2", address)
    assert [r.value(CALLING) for r in site.server.requests] == [b"127.0.0.7", b"127.0.0.8"]


# -- many requests --

def test_many_at_once(bench):
    """More requests than one socket has identifiers; each gets its own answer."""
    site = Site(bench)
    site.server.go.clear()
    socks, packets = [site.socket() for _ in range(4)], {}
    for number, sock in enumerate(socks):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        for ident in range(200):
            octets, packet = site.request(ALICE, (USER_PASSWORD, b"sesame"), ident=ident, seal=False)
            packets[number, ident] = packet
            sock.send(octets)
            if ident % 100 == 99: # as many as the kernel keeps
                site.sure()
    site.gate.wait(lambda: site.status()["waiting"] == 800, "800 that wait")
    site.server.go.set()
    for number, sock in enumerate(socks):
        left = set(range(200))
        while left:
            octets = sock.recv(8192)
            site.nas.check(octets, packets[number, octets[1]])
            left.discard(octets[1])
    assert site.status()["waiting"] == 0


def test_flood_is_bounded(bench):
    """In a flood without a server that answers, the oldest requests are dropped, and memory does not grow."""
    site = Site(bench)
    site.server.go.clear()
    big = [(250, bytes(250))] * 4
    rss = []
    for turn in range(3):
        for number in range(10):
            sock = site.socket()
            for ident in range(250):
                sock.send(site.request(ALICE, (USER_PASSWORD, b"x"), *big, ident=ident, seal=False)[0])
                if ident % 50 == 49: # as many as the kernel keeps
                    site.sure()
        rss.append(site.gate.rss())
    status = site.status()
    assert status["waiting"] <= 4096 and status["full"] > 0
    assert len([e for e in site.gate.events("radius") if e.fields.get("dropped") == "full"]) < 60
    assert rss[2] - rss[1] < 4 << 20
    site.server.go.set()


# -- reload --

def test_reload_while_it_waits(bench):
    """Pending requests stay pending if their servers and secrets are unchanged."""
    site = Site(bench)
    site.server.go.clear()
    octets, packet = site.request(ALICE, (USER_PASSWORD, b"sesame"))
    sock = site.socket()
    sock.send(octets)
    site.server.wait(lambda: site.server.requests)
    site.keys["radius nps"]["require-message-authenticator"] = "yes"
    site.keys["radius nps"]["listen"] = ["127.0.0.1:0", "127.0.0.2:0"]
    site.reload()
    site.server.go.set()
    assert site.nas.check(sock.recv(8192), packet).code == ACCESS_ACCEPT
    event = [e for e in site.gate.events("listen") if e.fields.get("radius") == "nps"][1]
    host, _, port = event["address"].rpartition(":")
    other = Nas((host, int(port)), "towards the VPN server")
    assert other.ask([ALICE, (USER_PASSWORD, b"sesame")]).code == ACCESS_ACCEPT


def test_reload_to_another_server(bench):
    """The client of a request to the old server retransmits, and the new server answers."""
    site = Site(bench)
    site.server.go.clear()
    other = site.serve()
    octets, packet = site.request(ALICE, (USER_PASSWORD, b"sesame"))
    sock = site.socket()
    sock.send(octets)
    site.server.wait(lambda: site.server.requests)
    site.keys["radius nps"]["server"] = site.text(other.auth)
    site.reload()
    sock.send(octets)
    assert site.nas.check(sock.recv(8192), packet).code == ACCESS_ACCEPT
    assert len(other.requests) == 1


def test_sections_come_and_go(bench):
    """From no section to one and back; then the program still ends in order."""
    site = Site(bench)
    section = site.keys.pop("radius nps")
    site.keys["backend back"]["radius"] = None
    site.reload()
    done = run("ctl", "-c", site.gate.config, "status")
    assert "radius" not in done.stdout.replace("radius.sock", "")
    site.keys["radius other"] = {**section, "listen": "127.0.0.1:0"}
    site.reload()
    event = [e for e in site.gate.events("listen") if e.fields.get("radius") == "other"][0]
    host, _, port = event["address"].rpartition(":")
    assert Nas((host, int(port)), "towards the VPN server").ask(chap_v2()[0]).code == ACCESS_ACCEPT


def test_first_section_by_reload(bench):
    """The program has started without RADIUS."""
    site = Site(bench)
    gate = bench.gate(bench.backend())
    keys = {"gate": {"workers": 1}, "listener front": bench.listener_keys(),
            "backend back": bench.backend_keys(bench.backend()),
            "radius nps": site.keys["radius nps"]}
    write_config(gate.config, keys)
    assert gate.reload()[-1]["msg"].endswith("is in force")
    event = next(e for e in gate.events("listen") if "radius" in e.fields)
    host, _, port = event["address"].rpartition(":")
    assert Nas((host, int(port)), "towards the VPN server").ask(chap_v2()[0]).code == ACCESS_ACCEPT


def test_secret_changes(bench):
    """The gate watches the file; a request that is signed with the old secret then counts as forged."""
    site = Site(bench)
    path = bench.place.folder / "nas.secret"
    new = path.with_suffix(".new")
    new.touch(mode=0o600)
    new.write_text("a new one\n")
    new.rename(path)
    site.gate.wait_reload(cause="a file has changed")
    site.socket().send(site.request(ALICE, (USER_PASSWORD, b"sesame"))[0])
    site.dropped("forged")
    assert site.client("a new one").ask([ALICE, (USER_PASSWORD, b"sesame")]).code == ACCESS_ACCEPT


def test_drain(bench):
    """During a drain calls still authenticate and account; then the program ends."""
    site = Site(bench)
    client = bench.client(site.gate, auth=("mschapv2",)).establish().ping()
    site.gate.signal(signal.SIGQUIT)
    site.gate.wait_log("waiting for the existing calls to end")
    assert site.nas.ask([ALICE, (USER_PASSWORD, b"sesame")]).code == ACCESS_ACCEPT
    client.ping().disconnect()
    assert site.gate.wait_exit() == 0


def test_stop_while_requests_wait(bench):
    site = Site(bench)
    site.server.go.clear()
    sock = site.socket()
    for ident in range(5):
        sock.send(site.request(ALICE, (USER_PASSWORD, b"sesame"), ident=ident)[0])
    site.server.wait(lambda: site.server.requests)
    site.gate.signal(signal.SIGTERM)
    assert site.gate.wait_exit() == 0


# -- errors in a configuration --

def problems(bench, change):
    site = Site(bench)
    change(site)
    write_config(site.gate.config, site.keys)
    said = [event["msg"] for event in site.gate.reload()]
    assert said[-1].endswith("stays in force")
    assert site.nas.ask([ALICE, (USER_PASSWORD, b"sesame")]).code == ACCESS_ACCEPT
    return said, site


def secret_file(mode, text):
    def change(site):
        path = site.bench.place.folder / "bad.secret"
        path.touch(mode=0o600)
        path.write_bytes(text)
        path.chmod(mode)
        site.keys["radius nps"]["secret-file"] = "bad.secret"
    return change


@pytest.mark.parametrize("mode, text, word", [
    (0o644, b"hidden-word\n", "accessible to other users"), (0o600, b"", "empty"), (0o600, b"\nx\n", "empty"),
    (0o600, b"hidden-word" * 200, "too long")], ids=["open", "empty", "blank", "long"])
def test_bad_secret(bench, mode, text, word):
    said, site = problems(bench, secret_file(mode, text))
    assert any(word in line and "bad.secret" in line for line in said)
    assert any("secret-file of radius nps" in line for line in said)
    done = run("-t", "-c", site.gate.config)
    assert done.returncode != 0 and word in done.stderr
    assert "hidden-word" not in site.gate.text() + done.stderr + done.stdout


def test_missing_secret(bench):
    said, _ = problems(bench, lambda site: site.keys["radius nps"].update(
        {"server-secret-file": "no.secret"}))
    assert any("no.secret" in line for line in said)


def test_taken_address(bench):
    """The error names the line of the key, and no new socket stays open."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        before = []

        def change(site):
            before.append(site.gate.descriptors())
            site.keys["radius nps"]["listen"] = ["127.0.0.1:0", f"127.0.0.1:{port}", "127.0.0.3:0"]
        said, site = problems(bench, change)
        assert any(f"127.0.0.1:{port} (UDP)" in line for line in said)
        assert site.gate.descriptors() <= before[0] + 1  # the socket for the server


def test_start_fails_whole(bench, tmp_path):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        site = Site(bench)
        site.keys["radius nps"]["listen"] = f"127.0.0.1:{taken.getsockname()[1]}"
        del site.keys["gate"]["admin"]
        done = run("-c", bench.config(site.keys))
        assert done.returncode == 1 and "cannot listen" in done.stderr
