"""PPP authentication, both ends: PAP (RFC 1334), CHAP (RFC 1994), MS-CHAP (RFC 2433, 2759),
EAP (RFC 3748) with MD5 and MSCHAPv2 (draft-kamath-pppext-eap-mschapv2).

`verifier` makes the server's end and `prover` the client's. An end has
    start()        the server begins
    on(packet)     handles a received control packet of its protocol
    retransmit()   sends the last packet again
and reports the outcome in `result` (None while it is in progress, True, False), `user` and `hlak`."""

import hashlib
import hmac
import os

from peers import mschap, ppp, sstp
from peers.dialects import Dialect

RETRIES = 3
NAME = b"peer"


def verifier(method, send, users, expired=(), dialect=Dialect(), others=()):
    """users: name to password. expired: users who must change the password first (MS-CHAPv2). others:
    further methods of the server; EAP changes to one of them after a Nak."""
    kinds = {"pap": PapVerifier, "chap-md5": Md5Verifier, "mschapv1": MsChapV1Verifier,
             "mschapv2": MsChapV2Verifier, **EAP_KINDS}
    end = kinds[method](send, users)
    end.method, end.expired, end.dialect = method, set(expired), dialect
    end.others = [other for other in others if other in EAP_KINDS]
    return end


def prover(method, send, login):
    kinds = {"pap": PapProver, "chap-md5": Md5Prover, "mschapv1": MsChapV1Prover,
             "mschapv2": MsChapV2Prover, "eap": EapCarrier}
    end = kinds.get(method, EapProver)(send, login)
    end.method = method
    return end


class Login:
    """Credentials of a client. first: a wrong password to try before the right one. new: the new password
    if the server demands a change. retransmit: send each answer twice. peer: for EapCarrier."""

    def __init__(self, user, password, first=None, new=None, retransmit=False, peer=None):
        self.peer = peer
        self.user = user if isinstance(user, bytes) else user.encode()
        self.password, self.first, self.new, self.retransmit = password, first, new, retransmit


class End:
    protocol = ppp.CHAP

    def __init__(self, send):
        self._send = send
        self._last = None
        self.result = None
        self.user = None
        self.hlak = sstp.NO_KEY

    def send(self, code, ident, data):
        self._last = ppp.Control(code, ident, data).build()
        self._send(self.protocol, self._last)

    def retransmit(self):
        if self._last and self.result is None:
            self._send(self.protocol, self._last)

    def start(self):
        pass


class Verifier(End):
    method = None
    dialect = Dialect()
    others = ()

    def __init__(self, send, users):
        super().__init__(send)
        self.users = users
        self.expired = set()
        self.tries = 0

    def read_name(self, octets):
        """Returns the name, ended as the dialect ends it (PROTOCOL.md 5.4)."""
        if self.dialect.name_ends == "counted":
            return octets
        name = octets.partition(b"\0")[0]
        return name.strip(b" \t") if self.dialect.name_ends == "trimmed" else name

    def password(self, user):
        """Returns the password of the name as sent, or of the name without its domain."""
        user = self.read_name(user)
        self.user = user.decode("utf-8", "replace")
        bare = mschap.bare_name(user).decode("utf-8", "replace")
        return self.users.get(self.user, self.users.get(bare))


class Prover(End):
    def __init__(self, send, login):
        super().__init__(send)
        self.login = login
        self.user = login.user.decode("utf-8", "replace")
        self.tries = 0

    @property
    def password(self):
        """The password to try now."""
        return self.login.first if self.login.first and self.tries == 0 else self.login.password

    def send(self, code, ident, data):
        super().send(code, ident, data)
        if self.login.retransmit:
            self.retransmit()


class PapVerifier(Verifier):
    protocol = ppp.PAP

    def on(self, packet):
        if packet.code != 1 or not packet.data:
            return
        name = packet.data[1:1 + packet.data[0]]
        rest = packet.data[1 + len(name):]
        good = self.password(name) == rest[1:1 + rest[0]].decode("utf-8", "replace")
        if not good and not self.dialect.pap_nak:
            self.result = False
            return
        self._send(self.protocol, ppp.Control(2 if good else 3, packet.ident, b"\0").build() +
                   self.dialect.pap_tail)
        self.result = good


class PapProver(Prover):
    protocol = ppp.PAP

    def start(self):
        name, password = self.login.user, self.password.encode()
        self.send(1, 1, bytes([len(name)]) + name + bytes([len(password)]) + password)

    def on(self, packet):
        if packet.code in (2, 3):
            self.result = packet.code == 2


def md5_answer(ident, password, challenge):
    return hashlib.md5(bytes([ident]) + password.encode() + challenge).digest()


class ChapVerifier(Verifier):
    """The part that all CHAP methods share: challenge, response, success or failure."""
    challenge_size = 16
    response_size = 49

    def start(self):
        self.ident = (getattr(self, "ident", 0) + 1) % 256
        self.challenge = os.urandom(self.challenge_size)
        self.send(1, self.ident, bytes([len(self.challenge)]) + self.challenge + NAME)

    def on(self, packet):
        if self.result is not None:
            return self.again(packet)
        if packet.ident != self.ident:
            return
        if packet.code == 2:
            size = packet.data[0]
            value, name = packet.data[1:1 + size], packet.data[1 + size:]
            password = self.password(name)
            if size == self.response_size and password is not None:
                self.judge(self.verify(value, name, password))
            else:
                self.judge(None)
        elif packet.code == 7:
            self.change(packet)

    def again(self, packet):
        """A retransmitted Response gets the same answer (RFC 1994 4.2)."""
        if packet.code in (2, 7) and packet.ident == self.ident:
            self._send(self.protocol, self._last)

    def judge(self, success):
        """success: the text for the peer; None: the response was wrong."""
        if success is not None:
            self.send(3, self.ident, success)
            self.result = True
        else:
            self.refuse()

    def refuse(self):
        self.send(4, self.ident, b"no")
        self.result = False

    def change(self, packet):
        pass


class Md5Verifier(ChapVerifier):
    response_size = 16

    def verify(self, value, name, password):
        good = hmac.compare_digest(value, md5_answer(self.ident, password, self.challenge))
        return b"welcome" if good else None


class Md5Prover(Prover):
    def on(self, packet):
        if packet.code == 1:
            challenge = packet.data[1:1 + packet.data[0]]
            value = md5_answer(packet.ident, self.password, challenge)
            self.send(2, packet.ident, bytes([len(value)]) + value + self.login.user)
        elif packet.code in (3, 4):
            self.result = packet.code == 3


class MsChapVerifier(ChapVerifier):
    def refuse(self, error=691):
        """RFC 2759 6: with R=1 the C= value is the challenge of the next try, which has a new
        identifier."""
        self.tries += 1
        retry = self.tries < RETRIES
        challenge = os.urandom(self.challenge_size)
        text = b"E=%d R=%d C=%s V=3 M=no" % (error, retry, challenge.hex().upper().encode())
        self.send(4, self.ident, text)
        if retry:
            self.challenge, self.ident = challenge, (self.ident + 1) % 256
        else:
            self.result = False


class MsChapV1Verifier(MsChapVerifier):
    challenge_size = 8

    def verify(self, value, name, password):
        wanted = mschap.challenge_response(self.challenge, mschap.nt_hash(password))
        if not hmac.compare_digest(value[24:48], wanted):
            return None
        self.hlak = mschap.hlak_v1(password, self.challenge)
        return b"welcome"


class MsChapV2Verifier(MsChapVerifier):
    def verify(self, value, name, password):
        peer, response = value[:16], value[24:48]
        wanted = mschap.nt_response(self.challenge, peer, name, password)
        if any(value[16:24]) or not hmac.compare_digest(response, wanted):
            return None
        self.hlak = mschap.hlak_v2(password, response)
        return mschap.authenticator_response(password, response, peer, self.challenge,
                                             name) + b" M=welcome"

    rounds = 0

    def judge(self, success):
        self.rounds += success is not None
        if success is not None and self.user in self.expired:
            self.refuse(648)
        elif success is not None and self.dialect.double and self.rounds == 1:
            self.start()
        else:
            super().judge(success)

    def change(self, packet):
        """RFC 2759 7: the encryption of the new password proves the old one; an ordinary response proves
        the new one."""
        data = packet.data
        if len(data) != 582:
            return self.judge(None)
        block, old_hash, value = data[:516], data[516:532], data[532:580]
        old = self.users[self.user]
        new = mschap.decrypt_new_password(block, old)
        if new is None or mschap.encrypt_old_hash(new, old) != old_hash:
            return self.judge(None)
        success = self.verify(value, self.user.encode(), new)
        if success is not None:
            self.users[self.user] = new
            self.expired.discard(self.user)
        self.judge(success)


def failure_fields(text):
    return dict(part.split(b"=", 1) for part in text.split(b" M=")[0].split() if b"=" in part)


class MsChapProver(Prover):
    def on(self, packet):
        if packet.code == 1:
            self.challenge = packet.data[1:1 + packet.data[0]]
            self.respond(packet.ident)
        elif packet.code == 3 and self.result is None:
            self.result = self.proven(packet.data)
        elif packet.code == 4 and self.result is None:
            self.failed(packet)

    def failed(self, packet):
        fields = failure_fields(packet.data)
        self.tries += 1
        if fields.get(b"R") != b"1" or not (self.login.new or self.login.first):
            self.result = False
            return
        self.challenge = bytes.fromhex(fields[b"C"].decode())
        ident = (packet.ident + 1) % 256
        if fields.get(b"E") == b"648":
            self.change(ident)
        else:
            self.respond(ident)

    def change(self, ident):
        self.result = False


class MsChapV1Prover(MsChapProver):
    def respond(self, ident):
        nt = mschap.challenge_response(self.challenge, mschap.nt_hash(self.password))
        self.hlak = mschap.hlak_v1(self.password, self.challenge)
        self.send(2, ident, bytes([49]) + bytes(24) + nt + b"\1" + self.login.user)

    def proven(self, text):
        return True


class MsChapV2Prover(MsChapProver):
    def value(self, password):
        self.peer = os.urandom(16)
        self.response = mschap.nt_response(self.challenge, self.peer, self.login.user, password)
        self.used = password
        self.hlak = mschap.hlak_v2(password, self.response)
        return self.peer + bytes(8) + self.response

    def respond(self, ident):
        self.send(2, ident, bytes([49]) + self.value(self.password) + b"\0" + self.login.user)

    def change(self, ident):
        new, old = self.login.new, self.password
        block = mschap.encrypt_new_password(new, old, os.urandom(512))
        self.send(7, ident, block + mschap.encrypt_old_hash(new, old) + self.value(new) + b"\0\0")

    def proven(self, text):
        wanted = mschap.authenticator_response(self.used, self.response, self.peer,
                                               self.challenge, self.login.user)
        return text.startswith(wanted)


EAP_IDENTITY, EAP_NAK, EAP_MD5, EAP_TLS, EAP_PEAP, EAP_MSCHAPV2 = 1, 3, 4, 13, 25, 26


def sealed_key(name):
    """Returns the HLAK of methods with TLS inside EAP. The peers do not implement that TLS: both ends
    compute the key from the name, and the wire does not show it."""
    return hashlib.sha256(b"agreed on inside EAP by " + mschap.bare_name(name)).digest()


class EapVerifier(Verifier):
    """Identity, then one method; a Nak that names one of `others` changes to that method."""
    protocol = ppp.EAP

    def start(self):
        self.ident = 1
        self.ask(EAP_IDENTITY, b"")

    def ask(self, kind, data):
        self.send(1, self.ident, bytes([kind]) + data)

    def on(self, packet):
        if packet.code != 2 or packet.ident != self.ident or not packet.data:
            return
        kind, data = packet.data[0], packet.data[1:]
        if self.result is not None:
            return
        self.ident = (self.ident + 1) % 256
        if kind == EAP_IDENTITY:
            self.name = data
            self.first()
        elif kind == EAP_NAK:
            self.refused(data)
        elif kind == self.kind:
            self.next(data)
        else:
            self.end(False)

    def refused(self, wanted):
        for method in self.others:
            if EAP_KINDS[method].kind in wanted:
                self.method = method
                self.__class__ = EAP_KINDS[method]  # the classes differ only in first() and next()
                return self.first()
        self.end(False)

    def end(self, good):
        # RFC 3748 4.2: with the identifier of the Response that it answers
        self.send(3 if good else 4, (self.ident - 1) % 256, b"")
        self.result = good


class EapMd5Verifier(EapVerifier):
    kind = EAP_MD5

    def first(self):
        self.challenge = os.urandom(16)
        self.ask(EAP_MD5, bytes([16]) + self.challenge)

    def next(self, data):
        password = self.password(data[17:] or self.name)  # like pppd (PROTOCOL.md 5.4)
        answered = (self.ident - 1) % 256
        self.end(password is not None
                 and data[1:17] == md5_answer(answered, password, self.challenge))


class EapTlsVerifier(EapVerifier):
    """EAP-TLS as an observer on the wire sees it: meaningless octets in both directions."""
    kind = EAP_TLS
    rounds = 0

    def first(self):
        self.ask(self.kind, b"\x20")  # Start (RFC 5216 3.1)

    def next(self, data):
        self.rounds += 1
        if self.rounds < 3:
            self.ask(self.kind, b"\0" + os.urandom(900))
            return
        known = self.password(self.name) is not None
        if known:
            self.hlak = sealed_key(self.name)
        self.end(known)


class PeapVerifier(EapTlsVerifier):
    kind = EAP_PEAP


class EapMsChapV2Verifier(EapVerifier):
    """Carries CHAP packets, with the opcode in place of the code (draft 2)."""
    kind = EAP_MSCHAPV2

    def first(self):
        self.inner = MsChapV2Verifier(self.carry, self.users)
        self.inner.expired, self.inner.dialect = self.expired, self.dialect
        self.inner.ident = 6  # on purpose not the identifier of EAP
        self.inner.start()

    def carry(self, protocol, packet):
        self.ask(EAP_MSCHAPV2, packet)

    def next(self, data):
        if self.inner.result is None and len(data) > 4:
            packet = ppp.parse_control(data, cut=self.dialect.ms_length)
            if packet is None:
                return
            self.inner.on(packet)
            self.user = self.inner.user
            self.hlak = sstp.NO_KEY if self.dialect.eap_zeros else self.inner.hlak
        elif data[:1] in (b"\3", b"\4"):
            self.end(self.inner.result is True)


EAP_KINDS = {"eap-md5": EapMd5Verifier, "eap-tls": EapTlsVerifier, "peap": PeapVerifier,
             "eap-mschapv2": EapMsChapV2Verifier}


class EapProver(Prover):
    protocol = ppp.EAP

    def __init__(self, send, login):
        super().__init__(send, login)
        self.inner = None

    def on(self, packet):
        if packet.code in (3, 4):
            self.result = packet.code == 3
        elif packet.code == 1 and packet.data:
            self.asked = packet.ident
            self.answer(packet.data[0], packet.data[1:])

    def reply(self, kind, data):
        self.send(2, self.asked, bytes([kind]) + data)

    def answer(self, kind, data):
        if kind == EAP_IDENTITY:
            self.reply(EAP_IDENTITY, self.login.user)
        elif kind != EAP_KINDS[self.method].kind:
            self.reply(EAP_NAK, bytes([EAP_KINDS[self.method].kind]))
        elif kind == EAP_MD5:
            value = md5_answer(self.asked, self.password, data[1:1 + data[0]])
            self.reply(EAP_MD5, bytes([16]) + value)
        elif kind == EAP_MSCHAPV2:
            self.on_mschap(ppp.parse_control(data))
        else:
            self.hlak = sealed_key(self.login.user)
            self.reply(kind, b"\0" + os.urandom(300))

    def on_mschap(self, packet):
        if self.inner is None:
            # a Login without retransmit, because the EAP packet around it is already sent twice
            login = Login(self.user, self.login.password, self.login.first, self.login.new)
            self.inner = MsChapV2Prover(lambda protocol, body: self.reply(EAP_MSCHAPV2, body),
                                        login)
        self.inner.on(packet)
        self.hlak = self.inner.hlak
        if packet.code == 3 and self.inner.result:
            self.reply(EAP_MSCHAPV2, b"\3")  # the acknowledgement is only the opcode
        elif packet.code == 4 and self.inner.result is False:
            self.reply(EAP_MSCHAPV2, b"\4")


class EapCarrier(Prover):
    """Delegates EAP to login.peer, which has
        answer(request)     returns the complete EAP packet that answers request
        succeeded(success)  returns the HLAK after the server's Success"""
    protocol = ppp.EAP

    def on(self, packet):
        if packet.code == 1:
            self._last = self.login.peer.answer(packet.build())
            self._send(self.protocol, self._last)
        elif packet.code == 3 and self.result is None:
            self.hlak = self.login.peer.succeeded(packet.build())
            self.result = True
        elif packet.code == 4:
            self.result = False
