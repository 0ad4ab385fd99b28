"""A VPN server's side of RADIUS: the packets (RFC 2865, 2548, 3579), a client that believes no answer
it cannot check, and ends of PPP authentication that ask it instead of knowing passwords."""

import hashlib
import hmac
import os
import socket
import threading
import time
from dataclasses import dataclass, field

from peers import auth, ppp, sstp

ACCESS_REQUEST, ACCESS_ACCEPT, ACCESS_REJECT, ACCESS_CHALLENGE = 1, 2, 3, 11
ACCOUNTING_REQUEST, ACCOUNTING_RESPONSE = 4, 5

USER_NAME, USER_PASSWORD, CHAP_PASSWORD, FRAMED_MTU, REPLY_MESSAGE, STATE = 1, 2, 3, 12, 18, 24
VENDOR, CALLED, CALLING, NAS_IDENTIFIER = 26, 30, 31, 32
CHAP_CHALLENGE, NAS_PORT_TYPE, EAP_MESSAGE, MESSAGE_AUTHENTICATOR = 60, 61, 79, 80

MICROSOFT = 311  # RFC 2548
MS_RESPONSE, MS_ERROR, MS_CHALLENGE, MS_MPPE_KEYS = 1, 2, 11, 12
MS_SEND_KEY, MS_RECV_KEY, MS_RESPONSE2, MS_SUCCESS2 = 16, 17, 25, 26

VIRTUAL = (5).to_bytes(4, "big")  # NAS-Port-Type


class BadAnswer(Exception):
    """Octets that are no packet, or whose signature is wrong."""


def md5(*parts):
    return hashlib.md5(b"".join(parts)).digest()


def xor(a, b):
    return bytes(x ^ y for x, y in zip(a, b))


def microsoft(kind, value):
    return VENDOR, MICROSOFT.to_bytes(4, "big") + bytes([kind, len(value) + 2]) + value


def eap_message(packet):
    """An EAP packet in as many attributes as it needs (RFC 3579 3.1)."""
    return [(EAP_MESSAGE, packet[at:at + 253]) for at in range(0, len(packet), 253)]


@dataclass
class Packet:
    code: int
    ident: int
    authenticator: bytes = bytes(16)
    attributes: list = field(default_factory=list)  # pairs of type and value, in order

    def values(self, kind):
        return [value for this, value in self.attributes if this == kind]

    def value(self, kind):
        return next(iter(self.values(kind)), None)

    def microsoft(self, kind):
        """All values of that attribute of RFC 2548."""
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
        """The octets of an Access-Request: a new authenticator; a User-Password is hidden with it
        (RFC 2865 5.2), and a Message-Authenticator filled in (RFC 3579 3.2)."""
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
        """RFC 2865 3: the authenticator of the answer to request."""
        self._seal(secret, request)
        self.authenticator = md5(self.build(request), secret)
        return self.build()

    def _seal(self, secret, authenticator):
        self._put_seal(bytes(16))
        self._put_seal(hmac.new(secret, self.build(authenticator), hashlib.md5).digest())

    def _put_seal(self, seal):
        self.attributes = [(kind, seal if kind == MESSAGE_AUTHENTICATOR else value)
                           for kind, value in self.attributes]

    def sealed(self, secret, authenticator):
        """Whether there is one Message-Authenticator, and it is right."""
        seals = self.values(MESSAGE_AUTHENTICATOR)
        if len(seals) != 1:
            return False
        bare = Packet(self.code, self.ident, authenticator, list(self.attributes))
        bare._seal(secret, authenticator)
        return hmac.compare_digest(bare.value(MESSAGE_AUTHENTICATOR), seals[0])


def parse(octets):
    if len(octets) < 20 or int.from_bytes(octets[2:4], "big") != len(octets):
        raise BadAnswer("length")
    packet, at = Packet(octets[0], octets[1], octets[4:20]), 20
    while at < len(octets):
        size = octets[at + 1] if at + 1 < len(octets) else 0
        if size < 2 or at + size > len(octets):
            raise BadAnswer("attribute")
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
    """The other way, with its padding."""
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
        raise BadAnswer("form of a key")
    plain = reveal_password(value[2:], secret, authenticator + value[:2])
    if plain[0] > len(plain) - 1:
        raise BadAnswer("length of a key")
    return plain[1:1 + plain[0]]


class Nas:
    """Asks one RADIUS server, at (host, port).

    seal: sends Message-Authenticator where no EAP asks for it. demand: wants one in every answer.
    wait: function(attributes) called before each question; it may block. pick: which of several
    keys in an Accept it takes, 0 the first, -1 the last. calling: its Calling-Station-Id."""

    def __init__(self, server, secret, *, seal=True, demand=False, wait=None, pick=0,
                 calling="127.0.0.1", timeout=2.0, tries=4, more=()):
        self.server, self.secret = server, secret.encode() if isinstance(secret, str) else secret
        self.seal, self.demand, self.wait, self.pick = seal, demand, wait, pick
        self.calling, self.timeout, self.tries, self.more = calling, timeout, tries, list(more)
        self.asked = 0       # questions, each counted once
        self.repeated = 0    # said again for want of an answer
        self.bad = 0         # answers thrown away
        self.answers = []
        self._lock = threading.Lock()

    def verifier(self, method, send, users, expired=()):
        """As auth.verifier, but who is right is the RADIUS server's affair."""
        kinds = {"pap": PapNas, "chap-md5": Md5Nas, "mschapv1": MsChapV1Nas,
                 "mschapv2": MsChapV2Nas}
        return kinds.get(method, EapNas)(send, self)

    def ask(self, attributes):
        """The answer to an Access-Request, its signatures checked; None: there was none."""
        if self.wait:
            self.wait(attributes)
        eap = any(kind == EAP_MESSAGE for kind, _ in attributes)
        with self._lock:
            self.asked += 1
            ident = self.asked % 256
        attributes = list(attributes) + self.more + [
            (NAS_IDENTIFIER, b"scripted"), (NAS_PORT_TYPE, VIRTUAL),
            (CALLING, self.calling.encode())]
        if eap or self.seal:
            # in front, where what it protects against is stopped at once
            attributes.insert(0, (MESSAGE_AUTHENTICATOR, bytes(16)))
        request = Packet(ACCESS_REQUEST, ident, attributes=attributes)
        answer = self.exchange(request.sign_request(self.secret), request, eap)
        self.answers.append(answer)
        return answer

    def exchange(self, octets, request, eap=False):
        family = socket.AF_INET6 if ":" in self.server[0] else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            sock.connect(self.server)
            for attempt in range(self.tries):
                self.repeated += attempt > 0
                try:
                    sock.send(octets)
                    answer = self._await(sock, request, eap)
                except ConnectionRefusedError:
                    return None
                if answer:
                    return answer
        return None

    def _await(self, sock, request, eap):
        deadline = time.monotonic() + self.timeout
        while (left := deadline - time.monotonic()) > 0:
            sock.settimeout(left)
            try:
                octets = sock.recv(8192)
            except TimeoutError:
                return None
            try:
                return self.check(octets, request, eap)
            except BadAnswer:
                self.bad += 1
        return None

    def check(self, octets, request, eap=False):
        answer = parse(octets)
        if answer.ident != request.ident:
            raise BadAnswer("identifier")
        if answer.authenticator != md5(answer.build(request.authenticator), self.secret):
            raise BadAnswer("authenticator")
        wanted = eap or self.demand or answer.value(MESSAGE_AUTHENTICATOR) is not None
        if wanted and not answer.sealed(self.secret, request.authenticator):
            raise BadAnswer("message authenticator")
        answer.request = request.authenticator
        return answer

    def hlak(self, answer):
        """What [MS-SSTP] 3.2.5.2.2 makes of the keys in an Accept: the first 32 octets of
        MS-MPPE-Recv-Key and MS-MPPE-Send-Key; zeros, if there are none."""
        keys = [[reveal_key(value, self.secret, answer.request)
                 for value in answer.microsoft(kind)] for kind in (MS_RECV_KEY, MS_SEND_KEY)]
        if not all(keys):
            return sstp.NO_KEY
        return b"".join(key[self.pick] for key in keys)[:32]


class Asking(auth.Verifier):
    """What the ends below have in common: the RADIUS server, and no password."""

    def __init__(self, send, nas):
        super().__init__(send, {})
        self.nas = nas
        self.answer = None

    def password(self, user):
        self.user = user.decode("utf-8", "replace")
        return ""

    def ask(self, *attributes):
        """True for an Accept. A server that is silent is one that refuses."""
        self.answer = self.nas.ask([(USER_NAME, self.user.encode()), *attributes])
        accepted = self.answer is not None and self.answer.code == ACCESS_ACCEPT
        if accepted:
            self.hlak = self.nas.hlak(self.answer)
        return accepted

    def said(self, kind):
        """The text of MS-CHAP-Error or MS-CHAP2-Success, without its identifier."""
        found = self.answer.microsoft(kind) if self.answer else []
        return found[0][1:] if found else None


class PapNas(Asking):
    protocol = ppp.PAP

    def on(self, packet):
        if packet.code != 1 or self.result is not None:
            return
        name = packet.data[1:1 + packet.data[0]]
        rest = packet.data[1 + len(name):]
        self.password(name)
        good = self.ask((USER_PASSWORD, rest[1:1 + rest[0]]))
        self.send(2 if good else 3, packet.ident, b"\0")
        self.result = good


class Md5Nas(Asking, auth.Md5Verifier):
    def verify(self, value, name, password):
        good = self.ask((CHAP_PASSWORD, bytes([self.ident]) + value),
                        (CHAP_CHALLENGE, self.challenge))
        return b"welcome" if good else None


class MsChapNas(Asking):
    """The RADIUS server's error goes to the client; its C= is the challenge of the next try. No
    change of password."""

    def change(self, packet):
        self.refuse()

    def refuse(self, error=691):
        text = self.said(MS_ERROR) or b"E=691 R=0"
        fields = auth.failure_fields(text)
        self.send(4, self.ident, text)
        if fields.get(b"R") == b"1" and b"C" in fields:
            self.challenge = bytes.fromhex(fields[b"C"].decode())
            self.ident = (self.ident + 1) % 256
        else:
            self.result = False


class MsChapV1Nas(MsChapNas, auth.MsChapV1Verifier):
    def verify(self, value, name, password):
        good = self.ask(microsoft(MS_CHALLENGE, self.challenge),
                        microsoft(MS_RESPONSE, bytes([self.ident, value[48]]) + value[:48]))
        if not good:
            return None
        self.hlak = self.key_of_v1()
        return b"welcome"

    def key_of_v1(self):
        """As accel-ppp makes it of MS-CHAP-MPPE-Keys (PROTOCOL.md 4.3): LM key 8, NT key 16."""
        hidden = self.answer.microsoft(MS_MPPE_KEYS)
        if not hidden:
            return sstp.NO_KEY
        key = reveal_password(hidden[0], self.nas.secret, self.answer.request)[8:24]
        return hashlib.sha1(key + key + self.challenge).digest()[:16] * 2


class MsChapV2Nas(MsChapNas, auth.MsChapV2Verifier):
    def verify(self, value, name, password):
        good = self.ask(microsoft(MS_CHALLENGE, self.challenge),
                        microsoft(MS_RESPONSE2, bytes([self.ident, 0]) + value[:48]))
        return self.said(MS_SUCCESS2) if good else None


class EapNas(Asking):
    """Carries EAP between the client and the RADIUS server, and understands the identity only."""
    protocol = ppp.EAP

    def start(self):
        self.ident, self.state, self.user = 1, [], None
        self.send(1, self.ident, b"\1")

    def on(self, packet):
        if packet.code != 2 or packet.ident != self.ident or self.result is not None:
            return
        if self.user is None:
            self.password(packet.data[1:])
        good = self.ask(*eap_message(packet.build()), *self.state,
                        (FRAMED_MTU, (1400).to_bytes(4, "big")))
        told = ppp.parse_control(self.answer.eap) if self.answer else None
        if self.answer is not None and self.answer.code == ACCESS_CHALLENGE and told:
            self.state = [(STATE, value) for value in self.answer.values(STATE)]
            self.ident = told.ident
            self.send(told.code, told.ident, told.data)
            return
        # RFC 3579 2.6.3: who is let in is said by the code of RADIUS
        self.send(3 if good else 4, packet.ident, b"")
        self.result = good
