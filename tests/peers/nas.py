"""A VPN server's side of RADIUS: a client that accepts only answers that it can verify, and ends of PPP
authentication that ask the RADIUS server instead of knowing passwords."""

import hashlib
import socket
import threading
import time

from peers import auth, ppp, radius, sstp
from peers.radius import (ACCESS_ACCEPT, ACCESS_CHALLENGE, ACCESS_REQUEST, CALLING,
                          CHAP_CHALLENGE, CHAP_PASSWORD, EAP_MESSAGE, FRAMED_MTU,
                          MESSAGE_AUTHENTICATOR, MS_CHALLENGE, MS_CHANGE2, MS_ERROR,
                          MS_MPPE_KEYS, MS_NEW_PASSWORD, MS_RECV_KEY, MS_RESPONSE,
                          MS_RESPONSE2, MS_SEND_KEY, MS_SUCCESS2, NAS_IDENTIFIER, NAS_PORT_TYPE, STATE, USER_NAME, USER_PASSWORD,
                          BadPacket, Packet, microsoft)

VIRTUAL = (5).to_bytes(4, "big")  # NAS-Port-Type


class Nas:
    """Asks one RADIUS server, at (host, port).

    seal: send Message-Authenticator even without EAP. demand: require it in every answer.
    wait: function(attributes), called before each question; it may block. pick: which of several
    Recv-Keys and Send-Keys in an Accept to use, 0 the first, -1 the last. calling: the
    Calling-Station-Id. ends: method to the class of its end, instead of the classes below."""

    def __init__(self, server, secret, *, seal=True, demand=False, wait=None, pick=(0, 0),
                 calling="127.0.0.1", timeout=2.0, tries=4, more=(), ends=None):
        self.server, self.secret = server, secret.encode() if isinstance(secret, str) else secret
        self.seal, self.demand, self.wait, self.pick = seal, demand, wait, pick
        self.calling, self.timeout, self.tries, self.more = calling, timeout, tries, list(more)
        self.ends = ends or {}
        self.asked = 0       # questions, each counted once
        self.repeated = 0    # retransmissions of unanswered questions
        self.bad = 0         # discarded answers
        self.answers = []
        self._lock = threading.Lock()

    def verifier(self, method, send, users, expired=()):
        """Like auth.verifier, but the RADIUS server verifies the login."""
        kinds = {"pap": PapNas, "chap-md5": Md5Nas, "mschapv1": MsChapV1Nas,
                 "mschapv2": MsChapV2Nas, **self.ends}
        return kinds.get(method, EapNas)(send, self)

    def ask(self, attributes):
        """Returns the verified answer to an Access-Request; None: no answer."""
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
            # first, so that it stops the attack that it protects against at once
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
            except BadPacket:
                self.bad += 1
        return None

    def check(self, octets, request, eap=False):
        answer = radius.parse(octets)
        if not answer.answers(request, self.secret):
            raise BadPacket("authenticator")
        wanted = eap or self.demand or answer.value(MESSAGE_AUTHENTICATOR) is not None
        if wanted and not answer.sealed(self.secret, request.authenticator):
            raise BadPacket("message authenticator")
        answer.request = request.authenticator
        return answer

    def hlak(self, answer):
        """The HLAK of the keys in an Accept ([MS-SSTP] 3.2.5.2.2): the first 32 octets of MS-MPPE-Recv-Key
        and MS-MPPE-Send-Key; zeros without keys (accel-ppp: or with keys of an unexpected form)."""
        try:
            keys = [[radius.reveal_key(value, self.secret, answer.request)
                     for value in answer.microsoft(kind)] for kind in (MS_RECV_KEY, MS_SEND_KEY)]
        except BadPacket:
            return sstp.NO_KEY
        if not all(keys):
            return sstp.NO_KEY
        return b"".join(key[n] for key, n in zip(keys, self.pick))[:32]


class Asking(auth.Verifier):
    """The common part of the ends below: the RADIUS server, and no password."""

    def __init__(self, send, nas):
        super().__init__(send, {})
        self.nas = nas
        self.answer = None

    def password(self, user):
        self.user = user.decode("utf-8", "replace")
        return ""

    def ask(self, *attributes):
        """Returns whether the answer is an Accept. A silent server counts as a refusal."""
        self.answer = self.nas.ask([(USER_NAME, self.user.encode()), *attributes])
        accepted = self.answer is not None and self.answer.code == ACCESS_ACCEPT
        if accepted:
            self.hlak = self.nas.hlak(self.answer)
        return accepted

    def said(self, kind):
        """Returns the text of MS-CHAP-Error or MS-CHAP2-Success, without its identifier."""
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
    """Forwards the RADIUS server's error to the client; its C= is the challenge of the next try."""

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
        """Made from MS-CHAP-MPPE-Keys as in accel-ppp (PROTOCOL.md 4.3): LM key 8, NT key 16."""
        hidden = self.answer.microsoft(MS_MPPE_KEYS)
        if not hidden:
            return sstp.NO_KEY
        key = radius.reveal_password(hidden[0], self.nas.secret, self.answer.request)[8:24]
        return hashlib.sha1(key + key + self.challenge).digest()[:16] * 2


class MsChapV2Nas(MsChapNas, auth.MsChapV2Verifier):
    def verify(self, value, name, password):
        good = self.ask(microsoft(MS_CHALLENGE, self.challenge),
                        microsoft(MS_RESPONSE2, bytes([self.ident, 0]) + value[:48]))
        return self.said(MS_SUCCESS2) if good else None

    def change(self, packet):
        """RFC 2548 2.1.7, 2.3.4: the new password in pieces, and the response made with it."""
        block, old_hash, rest = packet.data[:516], packet.data[516:532], packet.data[532:]
        pieces = [block[at:at + 243] for at in range(0, len(block), 243)]
        good = self.ask(microsoft(MS_CHALLENGE, self.challenge),
                        *(microsoft(MS_NEW_PASSWORD, bytes([6, self.ident, 0, n]) + piece)
                          for n, piece in enumerate(pieces, 1)),
                        microsoft(MS_CHANGE2, bytes([7, self.ident]) + old_hash + rest))
        self.judge(self.said(MS_SUCCESS2) if good else None)


class EapNas(Asking):
    """Forwards EAP between the client and the RADIUS server, and interprets only the identity."""
    protocol = ppp.EAP

    def start(self):
        self.ident, self.state, self.user = 1, [], None
        self.send(1, self.ident, b"\1")

    def on(self, packet):
        if packet.code != 2 or packet.ident != self.ident or self.result is not None:
            return
        if self.user is None:
            self.password(packet.data[1:])
        good = self.ask(*radius.eap_message(packet.build()), *self.state,
                        (FRAMED_MTU, (1400).to_bytes(4, "big")))
        asked = ppp.parse_control(self.answer.eap) if self.answer else None
        if self.answer is not None and self.answer.code == ACCESS_CHALLENGE and asked:
            self.state = [(STATE, value) for value in self.answer.values(STATE)]
            self.ident = asked.ident
            self.send(asked.code, asked.ident, asked.data)
            return
        # RFC 3579 2.6.3: the code of the RADIUS packet decides
        self.send(3 if good else 4, packet.ident, b"")
        self.result = good


class RenumberingEapNas(EapNas):
    """Assigns its own identifiers to the EAP packets of PPP, and its own Identity for RADIUS, without the
    realm, like recent versions of SoftEther."""

    def on(self, packet):
        if packet.code != 2 or packet.ident != self.ident or self.result is not None:
            return
        data = packet.data
        if self.user is None:
            self.password(packet.data[1:].partition(b"@")[0])
            data, self.radius_ident = b"\1" + self.user.encode(), 77
        response = ppp.Control(2, self.radius_ident, data)
        good = self.ask(*radius.eap_message(response.build()), *self.state)
        asked = ppp.parse_control(self.answer.eap) if self.answer else None
        if self.answer is not None and self.answer.code == ACCESS_CHALLENGE and asked:
            self.state = [(STATE, value) for value in self.answer.values(STATE)]
            self.radius_ident, self.ident = asked.ident, (self.ident + 1) % 256
            self.send(asked.code, self.ident, asked.data)
            return
        self.send(3 if good else 4, packet.ident, b"")
        self.result = good


class AttributesNas(auth.EapMsChapV2Verifier):
    """EAP-MSCHAPv2 with the client, the attributes of MS-CHAPv2 with RADIUS."""

    def __init__(self, send, nas):
        super().__init__(send, {})
        self.nas = nas

    def first(self):
        self.inner = MsChapV2Nas(self.carry, self.nas)
        self.inner.ident = 6
        self.inner.start()


class EnvelopeNas(MsChapV2Nas):
    """MS-CHAPv2 with the client, EAP-MSCHAPv2 with RADIUS, like SoftEther: the first round gives the user
    name, and the challenge of the second is that of the RADIUS server."""
    state = ()

    def carry(self, ident, data):
        """Makes one round of EAP with RADIUS; returns the EAP-MSCHAPv2 packet in its Request."""
        good = self.ask(*radius.eap_message(ppp.Control(2, ident, data).build()), *self.state)
        self.state = [(STATE, value) for value in self.answer.values(STATE)]
        self.eap = ppp.parse_control(self.answer.eap)
        return good

    def verify(self, value, name, password):
        if not self.state:
            self.carry(1, b"\1" + name)
            inner = ppp.parse_control(self.eap.data[1:])
            self.radius_challenge, self.inner_ident = inner.data[1:17], inner.ident
            return None
        inner = ppp.Control(2, self.inner_ident, bytes([49]) + value + name)
        self.carry(self.eap.ident, b"\x1a" + inner.build())
        text = ppp.parse_control(self.eap.data[1:]).data
        return text if self.carry(self.eap.ident, b"\x1a\3") else None

    def refuse(self, error=691):
        if self.eap.code == 1 and self.state:  # the first round is over
            self.ident = (self.ident + 1) % 256
            self.challenge = self.radius_challenge
            self.send(1, self.ident, bytes([16]) + self.challenge + auth.NAME)
        else:
            super().refuse(error)
