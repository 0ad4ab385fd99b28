"""RADIUS packets (RFC 2865, 2866, 2548, 3579), and a scripted RADIUS server."""

import hashlib
import hmac
import os
import socket
import threading
from dataclasses import dataclass, field

from peers import auth, mschap, ppp

ACCESS_REQUEST, ACCESS_ACCEPT, ACCESS_REJECT, ACCESS_CHALLENGE = 1, 2, 3, 11
ACCOUNTING_REQUEST, ACCOUNTING_RESPONSE = 4, 5

USER_NAME, USER_PASSWORD, CHAP_PASSWORD, FRAMED_MTU, REPLY_MESSAGE, STATE = 1, 2, 3, 12, 18, 24
VENDOR, CALLED, CALLING, NAS_IDENTIFIER, PROXY_STATE = 26, 30, 31, 32, 33
CHAP_CHALLENGE, NAS_PORT_TYPE, EAP_MESSAGE, MESSAGE_AUTHENTICATOR = 60, 61, 79, 80

MICROSOFT = 311  # RFC 2548
MS_RESPONSE, MS_ERROR, MS_CHALLENGE, MS_MPPE_KEYS = 1, 2, 11, 12
MS_SEND_KEY, MS_RECV_KEY, MS_RESPONSE2, MS_SUCCESS2 = 16, 17, 25, 26
MS_NEW_PASSWORD, MS_CHANGE2 = 6, 27


class BadPacket(Exception):
    """The octets are not a packet, or its signature is wrong."""


def md5(*parts):
    return hashlib.md5(b"".join(parts)).digest()


def xor(a, b):
    return bytes(x ^ y for x, y in zip(a, b))


def microsoft(kind, value):
    return VENDOR, MICROSOFT.to_bytes(4, "big") + bytes([kind, len(value) + 2]) + value


def eap_message(packet):
    """Splits an EAP packet into as many attributes as it needs (RFC 3579 3.1)."""
    return [(EAP_MESSAGE, packet[at:at + 253]) for at in range(0, len(packet), 253)]


@dataclass
class Packet:
    code: int
    ident: int
    authenticator: bytes = bytes(16)
    attributes: list = field(default_factory=list)  # pairs of type and value, in order
    refused_for_age: bool = False   # the server's result: right, but the password has expired

    def values(self, kind):
        return [value for this, value in self.attributes if this == kind]

    def value(self, kind):
        return next(iter(self.values(kind)), None)

    def microsoft(self, kind):
        """Returns all values of that attribute of RFC 2548."""
        found = []
        for value in self.values(VENDOR):
            if int.from_bytes(value[:4], "big") != MICROSOFT:
                continue
            at = 4
            while at + 2 <= len(value) and 2 <= value[at + 1] <= len(value) - at:
                if value[at] == kind:
                    found.append(value[at + 2:at + value[at + 1]])
                at += value[at + 1]
        return found

    @property
    def eap(self):
        return b"".join(self.values(EAP_MESSAGE))

    def build(self, authenticator=None):
        body = b"".join(bytes([kind, len(value) + 2]) + value for kind, value in self.attributes)
        return (bytes([self.code, self.ident]) + (20 + len(body)).to_bytes(2, "big")
                + (authenticator or self.authenticator) + body)

    def sign_request(self, secret):
        """Returns the octets of an Access-Request with a new authenticator, which hides a User-Password
        (RFC 2865 5.2), and fills in a Message-Authenticator (RFC 3579 3.2)."""
        self.authenticator = os.urandom(16)
        self.attributes = [
            (kind, hide_password(value, secret, self.authenticator) if kind == USER_PASSWORD
             else value) for kind, value in self.attributes]
        self._seal(secret, self.authenticator)
        return self.build()

    def sign_accounting(self, secret):
        """RFC 2866 3."""
        self.authenticator = md5(self.build(bytes(16)), secret)
        return self.build()

    def sign_response(self, secret, request):
        """RFC 2865 3: signs the answer to request."""
        self._seal(secret, request)
        self.authenticator = md5(self.build(request), secret)
        return self.build()

    def answers(self, request, secret):
        """Returns whether the authenticator is right for the request with the same identifier."""
        return (self.ident == request.ident and
                self.authenticator == md5(self.build(request.authenticator), secret))

    def _seal(self, secret, authenticator):
        self._put_seal(bytes(16))
        self._put_seal(hmac.new(secret, self.build(authenticator), hashlib.md5).digest())

    def _put_seal(self, seal):
        self.attributes = [(kind, seal if kind == MESSAGE_AUTHENTICATOR else value)
                           for kind, value in self.attributes]

    def sealed(self, secret, authenticator):
        """Returns whether the packet has exactly one Message-Authenticator, and it is right."""
        seals = self.values(MESSAGE_AUTHENTICATOR)
        if len(seals) != 1:
            return False
        bare = Packet(self.code, self.ident, authenticator, list(self.attributes))
        bare._seal(secret, authenticator)
        return hmac.compare_digest(bare.value(MESSAGE_AUTHENTICATOR), seals[0])


def parse(octets):
    if len(octets) < 20 or int.from_bytes(octets[2:4], "big") != len(octets):
        raise BadPacket("length")
    packet, at = Packet(octets[0], octets[1], octets[4:20]), 20
    while at < len(octets):
        size = octets[at + 1] if at + 1 < len(octets) else 0
        if size < 2 or at + size > len(octets):
            raise BadPacket("attribute")
        packet.attributes.append((octets[at], octets[at + 2:at + size]))
        at += size
    return packet


def hide_password(password, secret, authenticator):
    """RFC 2865 5.2."""
    password = password.ljust(max(16, -(-len(password) // 16) * 16), b"\0")
    out, last = b"", authenticator
    for at in range(0, len(password), 16):
        last = xor(password[at:at + 16], md5(secret, last))
        out += last
    return out


def reveal_password(hidden, secret, authenticator):
    """Reverses hide; the result includes the padding."""
    return b"".join(xor(hidden[at:at + 16],
                        md5(secret, hidden[at - 16:at] if at else authenticator))
                    for at in range(0, len(hidden), 16))


def hide_key(key, secret, authenticator, salt=None):
    """The value of MS-MPPE-Send-Key or -Recv-Key (RFC 2548 2.4.2)."""
    salt = salt or bytes([os.urandom(1)[0] | 0x80]) + os.urandom(1)
    plain = bytes([len(key)]) + key
    plain = plain.ljust(-(-len(plain) // 16) * 16, b"\0")
    return salt + hide_password(plain, secret, authenticator + salt)


def reveal_key(value, secret, authenticator):
    if len(value) < 18 or len(value) % 16 != 2 or not value[0] & 0x80:
        raise BadPacket("form of a key")
    plain = reveal_password(value[2:], secret, authenticator + value[:2])
    if plain[0] > len(plain) - 1:
        raise BadPacket("length of a key")
    return plain[1:1 + plain[0]]


def response_to(code, request, *attributes, seal=True):
    """Makes an unsigned answer."""
    attributes = list(attributes)
    if seal:
        attributes.insert(0, (MESSAGE_AUTHENTICATOR, bytes(16)))
    return Packet(code, request.ident, attributes=attributes)


# -- the server --

EAP_EXPERIMENTAL = 255  # RFC 3748 5.8


def experimental_key(password, challenge):
    """Returns the MSK of a method that exists only for the tests: 64 octets that cannot be computed
    without the password."""
    return hashlib.sha512(password.encode() + challenge).digest()


class EapExperimental(auth.EapVerifier):
    kind = EAP_EXPERIMENTAL

    def first(self):
        self.challenge = os.urandom(16)
        self.ask(self.kind, self.challenge)

    def next(self, data):
        password = self.password(self.name)
        self.end(password is not None
                 and data == md5(experimental_key(password, self.challenge)))
        if self.result:
            self.msk = experimental_key(password, self.challenge)


class ExperimentalPeer:
    """The client's end of the test method, for auth.EapCarrier."""

    def __init__(self, user="alice", password="sesame"):
        self.user, self.password = user.encode(), password

    def answer(self, request):
        packet = ppp.parse_control(request)
        if packet.data[0] == auth.EAP_IDENTITY:
            data = packet.data[:1] + self.user
        else:
            self.msk = experimental_key(self.password, packet.data[1:])
            data = packet.data[:1] + md5(self.msk)
        return ppp.Control(2, packet.ident, data).build()

    def succeeded(self, success):
        return self.msk[:32]


class Radius:
    """with Radius("secret") as server: ... server.auth, server.acct: (host, port) ...

    Accepts a login with the password in users, by PAP, CHAP, MS-CHAP and EAP (eap: the class of its
    only method), and returns the same keys as FreeRADIUS. seal: Message-Authenticator in every answer,
    not only with EAP. expired: users who must change the password first (MS-CHAPv2). silent: number of
    packets that are not answered, counted down. twist(answer, request): may change an answer before it
    is signed; if it returns None, no answer is sent. go: an event; while cleared, no packet is answered."""

    def __init__(self, secret, *, users=None, eap=auth.EapMsChapV2Verifier, seal=True, silent=0,
                 twist=None, expired=()):
        self.secret = secret.encode() if isinstance(secret, str) else secret
        self.users = dict(users or {"alice": "sesame"})
        self.eap, self.seal, self.silent, self.twist = eap, seal, silent, twist
        self.expired = set(expired)
        self.requests = []      # Packets, without retransmissions
        self.repeated = 0       # retransmissions
        self.bad = 0            # malformed packets, and wrong signatures
        self.go = threading.Event()
        self.go.set()
        self._closing = False
        self._changed = threading.Condition()
        self._given = {}        # (source, identifier, authenticator) to the answer
        self._sessions = {}     # State to the EAP in progress
        self._socks = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
        for sock in self._socks:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
            sock.bind(("127.0.0.1", 0))
        self.auth, self.acct = (sock.getsockname() for sock in self._socks)

    def __enter__(self):
        for sock in self._socks:
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self._closing = True
        self.go.set()
        for sock in self._socks:
            try:
                sock.shutdown(socket.SHUT_RDWR)  # wakes recvfrom()
            except OSError:
                pass
            sock.close()

    def wait(self, predicate, timeout=10):
        """Waits until predicate() is true; checks it again after every packet."""
        with self._changed:
            if not self._changed.wait_for(predicate, timeout):
                raise TimeoutError(f"the RADIUS server saw {self.requests}")

    def _serve(self, sock):
        while True:
            try:
                octets, source = sock.recvfrom(8192)
            except OSError:
                return
            if self._closing:
                return
            self._on(sock, octets, source)

    def _on(self, sock, octets, source):
        try:
            request = parse(octets)
            self._check(request)
        except BadPacket:
            self.bad += 1
            return
        key = (source, request.ident, request.authenticator)
        with self._changed:
            known = key in self._given
            if known:
                self.repeated += 1
            else:
                self._given[key] = None
                self.requests.append(request)
            self._changed.notify_all()
        if self.silent > 0:
            self.silent -= 1
            return
        self.go.wait()
        if self._given[key] is None:
            self._given[key] = self._answer(request)
        try:
            if self._given[key]:
                sock.sendto(self._given[key], source)
        except OSError:
            pass

    def _check(self, request):
        if request.code == ACCOUNTING_REQUEST:
            if request.authenticator != md5(request.build(bytes(16)), self.secret):
                raise BadPacket("authenticator")
        elif request.values(MESSAGE_AUTHENTICATOR) or request.eap:
            if not request.sealed(self.secret, request.authenticator):
                raise BadPacket("message authenticator")

    def _answer(self, request):
        if request.code == ACCOUNTING_REQUEST:
            answer = response_to(ACCOUNTING_RESPONSE, request, seal=False)
        elif request.eap:
            answer = self._eap(request)
        else:
            answer = self._access(request)
        # RFC 2865 5.33: unchanged and in the same order
        answer.attributes += [(PROXY_STATE, value) for value in request.values(PROXY_STATE)]
        if self.twist and self.twist(answer, request) is None:
            return None
        return answer.sign_response(self.secret, request.authenticator)

    def keys(self, request, msk):
        """Returns the attributes of RFC 2548 for an MSK: its halves, of 16 or of 32 octets each."""
        half = len(msk) // 2
        return [microsoft(MS_RECV_KEY, hide_key(msk[:half], self.secret, request.authenticator)),
                microsoft(MS_SEND_KEY, hide_key(msk[half:], self.secret, request.authenticator))]

    def _eap(self, request):
        state = request.value(STATE)
        session = self._sessions.pop(state, None)
        packet = ppp.parse_control(request.eap)
        if session is None:
            session = self.eap(lambda protocol, octets: session.said.append(octets), self.users)
            session.said, session.ident = [], packet.ident
        session.on(packet)
        code = {None: ACCESS_CHALLENGE, True: ACCESS_ACCEPT, False: ACCESS_REJECT}[session.result]
        attributes = eap_message(session.said[-1])
        if session.result is None:
            state = os.urandom(16)
            self._sessions[state] = session
            attributes.append((STATE, state))
        elif session.result:
            attributes += self.keys(request, getattr(session, "msk", session.hlak))
        return response_to(code, request, *attributes)

    def _access(self, request):
        """Verifies PAP, CHAP and MS-CHAP."""
        user = request.value(USER_NAME) or b""
        password = self.users.get(mschap.bare_name(user).decode("utf-8", "replace"))
        more = None if password is None else self._judge(request, user, password)
        if more is not None:
            return response_to(ACCESS_ACCEPT, request, *more, seal=self.seal)
        return response_to(ACCESS_REJECT, request, *self._error(request), seal=self.seal)

    def _error(self, request):
        """A client with MS-CHAPv2 may try again (RFC 2759 6), or change an expired password."""
        error = 648 if request.refused_for_age else 691
        return [microsoft(MS_ERROR, value[:1] + b"E=%d R=1 C=%s V=3 M=no"
                          % (error, os.urandom(16).hex().upper().encode()))
                for value in request.microsoft(MS_RESPONSE2)]

    def _judge(self, request, user, password):
        """Returns the attributes of an Accept, None for a Reject."""
        if request.value(USER_PASSWORD) is not None:
            said = reveal_password(request.value(USER_PASSWORD), self.secret,
                                   request.authenticator)
            return [] if said.rstrip(b"\0") == password.encode() else None
        if request.value(CHAP_PASSWORD) is not None:
            ident, value = request.value(CHAP_PASSWORD)[0], request.value(CHAP_PASSWORD)[1:]
            challenge = request.value(CHAP_CHALLENGE) or request.authenticator
            return [] if value == auth.md5_answer(ident, password, challenge) else None
        challenge = next(iter(request.microsoft(MS_CHALLENGE)), b"")
        for value in request.microsoft(MS_RESPONSE2):
            accept = self._judge_v2(request, user, password, value[:1], value[2:50], challenge)
            request.refused_for_age = accept is not None and user.decode() in self.expired
            return None if request.refused_for_age else accept
        for value in request.microsoft(MS_CHANGE2):
            return self._change(request, user, password, value, challenge)
        for value in request.microsoft(MS_RESPONSE):
            if value[26:50] != mschap.challenge_response(challenge, mschap.nt_hash(password)):
                return None
            keys = bytes(8) + mschap.hash_hash(password)
            return [microsoft(MS_MPPE_KEYS, hide_password(keys.ljust(32, b"\0"), self.secret,
                                                          request.authenticator))]
        return None

    def _judge_v2(self, request, user, password, ident, value, challenge):
        peer, response = value[:16], value[24:48]
        if response != mschap.nt_response(challenge, peer, user, password):
            return None
        text = mschap.authenticator_response(password, response, peer, challenge, user)
        return [microsoft(MS_SUCCESS2, ident + text),
                *self.keys(request, mschap.hlak_v2(password, response))]

    def _change(self, request, user, old, value, challenge):
        """RFC 2548 2.1.7 and 2.3.4: code 7 of MS-CHAPv2, in attributes."""
        block = b"".join(part[4:] for part in sorted(request.microsoft(MS_NEW_PASSWORD),
                                                     key=lambda part: part[2:4]))
        new = mschap.decrypt_new_password(block, old)
        if new is None or mschap.encrypt_old_hash(new, old) != value[2:18]:
            return None
        accept = self._judge_v2(request, user, new, value[1:2], value[18:66], challenge)
        if accept:
            self.users[user.decode()] = new
            self.expired.discard(user.decode())
        return accept
