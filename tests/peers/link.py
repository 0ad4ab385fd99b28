"""One end of a PPP link: LCP, authentication, IPCP, pings. Driven by the frames that it receives."""

import os

from peers import auth, ppp
from peers.dialects import Dialect

SERVER_ADDRESS = bytes([10, 99, 0, 1])
CLIENT_ADDRESS = bytes([10, 99, 0, 2])


class Negotiation:
    """The part of RFC 1661 4 that a reliable line needs: which options each end requests, and whether the
    other agreed.

    want: options that this end requests. judge(option, value) returns "ack", "reject" or the value to Nak
    with. on_nak(option, value) returns the value to request next, None to give the option up."""

    def __init__(self, protocol, send, want, judge, on_nak=lambda option, value: value):
        self.protocol, self._send, self.want = protocol, send, dict(want)
        self._judge, self._on_nak = judge, on_nak
        self.exact_ack = False
        self.ident = 0
        self.agreed_here = self.agreed_there = False  # the peer agreed to our options, we to the peer's
        self.theirs = {}
        self.terminated = False

    @property
    def opened(self):
        return self.agreed_here and self.agreed_there and not self.terminated

    def send(self, code, ident, data):
        self._send(self.protocol, ppp.Control(code, ident, data).build())

    def ask(self):
        self.ident = self.ident % 255 + 1
        self.agreed_here = False
        self.send(ppp.CONF_REQ, self.ident, ppp.build_options(self.want.items()))

    def retransmit(self):
        if not self.agreed_here:
            self.send(ppp.CONF_REQ, self.ident, ppp.build_options(self.want.items()))

    def on(self, packet):
        if packet.code == ppp.CONF_REQ:
            self._requested(packet)
        elif packet.code == ppp.CONF_ACK and packet.ident == self.ident:
            if not self.exact_ack or packet.data == ppp.build_options(self.want.items()):
                self.agreed_here = True
        elif packet.code in (ppp.CONF_NAK, ppp.CONF_REJ) and packet.ident == self.ident:
            for option, value in ppp.parse_options(packet.data):
                better = self._on_nak(option, value) if packet.code == ppp.CONF_NAK else None
                if better is None:
                    self.want.pop(option, None)
                else:
                    self.want[option] = better
            self.ask()
        elif packet.code == ppp.TERM_REQ:
            self.terminated = True
            self.send(ppp.TERM_ACK, packet.ident, b"")

    def _requested(self, packet):
        options = ppp.parse_options(packet.data)
        verdicts = [(option, value, self._judge(option, value)) for option, value in options]
        rejected = [(option, value) for option, value, verdict in verdicts if verdict == "reject"]
        naks = [(option, verdict) for option, value, verdict in verdicts
                if verdict not in ("ack", "reject")]
        if rejected:
            self.send(ppp.CONF_REJ, packet.ident, ppp.build_options(rejected))
        elif naks:
            self.send(ppp.CONF_NAK, packet.ident, ppp.build_options(naks))
        else:
            self.theirs = dict(options)
            self.agreed_there = True
            self.send(ppp.CONF_ACK, packet.ident, packet.data)


class Link:
    """send(frame) sends a PPP frame. on_data(frame) receives the network data."""

    server = False
    restarts = True

    def __init__(self, send, on_data):
        self._send_frame, self._on_data = send, on_data
        self.acfc = self.pfc = False  # for authentication frames, regardless of what was agreed
        self.auth = None
        self.method = None
        self.pongs = []
        self.protocols = []  # of the frames received, in order
        self.lcp = self.make_lcp()
        self.ipcp = self.make_ipcp()

    def send(self, protocol, body):
        small = protocol in (ppp.PAP, ppp.CHAP, ppp.EAP)
        self._send_frame(ppp.frame(protocol, body, acfc=small and self.acfc, pfc=self.pfc))

    @property
    def authenticated(self):
        return self.auth is not None and self.auth.result is True

    @property
    def refused(self):
        return self.auth is not None and self.auth.result is False

    @property
    def hlak(self):
        return self.auth.hlak if self.auth else bytes(32)

    @property
    def up(self):
        return self.ipcp.opened

    def start(self):
        self.lcp.ask()

    def retransmit(self):
        """Called after a silence: repeats the last packet that waits for an answer."""
        if not self.lcp.agreed_here:
            self.lcp.retransmit()
        elif self.auth and self.auth.result is None:
            if self.server:
                self.auth.retransmit()
        elif self.authenticated and not self.ipcp.agreed_here and self.ipcp.ident:
            self.ipcp.retransmit()

    def on_frame(self, octets):
        protocol, body = ppp.parse_frame(octets)
        self.protocols.append(protocol)
        if protocol in (ppp.IPV4, ppp.IPV6):
            self._on_data(octets)
            return
        packet = self.parse(protocol, body)
        if packet is None:
            return
        if protocol == ppp.LCP:
            self._on_lcp(packet)
        elif self.auth and protocol == self.auth.protocol:
            before = self.auth.result
            self.auth.on(packet)
            if self.auth.result is True and before is None:
                self.on_authenticated()
        elif protocol == ppp.IPCP:
            self.on_ipcp(packet)
        elif protocol not in (ppp.PAP, ppp.CHAP, ppp.EAP):
            self.lcp.ident = self.lcp.ident % 255 + 1
            self.lcp.send(ppp.PROT_REJ, self.lcp.ident, protocol.to_bytes(2, "big") + body)

    def parse(self, protocol, body):
        return ppp.parse_control(body)

    def _on_lcp(self, packet):
        if packet.code == ppp.ECHO_REQ:
            magic = self.lcp.want.get(ppp.OPT_MAGIC, bytes(4))
            self.lcp.send(ppp.ECHO_REP, packet.ident, magic + packet.data[4:])
            return
        if packet.code == ppp.CONF_REQ and self.lcp.opened and self.restarts:
            # the peer restarts (RFC 1661 4.3), so this end does, too
            self.auth = None
            self.lcp.agreed_there = False
            self.lcp.ask()
        before = self.lcp.opened
        self.lcp.on(packet)
        if self.lcp.opened and not before:
            self.on_lcp_opened()

    def restart(self):
        """Renegotiates, starting with LCP."""
        self.auth = None
        self.lcp.agreed_there = False
        self.lcp.ask()

    def on_ipcp(self, packet):
        self.ipcp.on(packet)


class ServerLink(Link):
    server = True

    def __init__(self, send, on_data, methods, users, expired=(), nas=None, dialect=Dialect()):
        """nas: decides instead of users."""
        self.methods, self.users, self.expired = list(methods), users, expired
        self.nas, self.dialect = nas, dialect
        self.strangers = 0  # how often the client requested a method that the server does not offer
        self.chosen = None   # the method of the client's option 3, if the dialect obeys it
        self.restarts = dialect.restarts
        super().__init__(send, on_data)
        self.method = self.methods[0]
        self.lcp.exact_ack = dialect.exact_ack

    def parse(self, protocol, body):
        """SoftEther truncates only lists of options."""
        options = protocol not in (ppp.PAP, ppp.CHAP, ppp.EAP)
        return ppp.parse_control(body, cut=options or self.dialect.inner_length)

    def _on_lcp(self, packet):
        """PPPProcessLCPRequestPacket: SoftEther adopts an authentication that the client requests, and
        begins it at once."""
        wanted = dict(ppp.parse_options(packet.data)).get(ppp.OPT_AUTH)
        if packet.code == ppp.CONF_REQ and wanted and self.dialect.obeys_auth and not self.auth:
            for method in self.methods:
                if ppp.METHODS[method] == wanted and not self.chosen:
                    self.chosen = self.method = method
                    self.lcp.send(ppp.CONF_ACK, packet.ident, packet.data)
                    return self.on_lcp_opened()
        super()._on_lcp(packet)

    def make_lcp(self):
        want = {ppp.OPT_MRU: (4091).to_bytes(2, "big"),
                ppp.OPT_AUTH: ppp.METHODS[self.methods[0]], ppp.OPT_MAGIC: os.urandom(4),
                **dict(self.dialect.lcp)}
        return Negotiation(ppp.LCP, self.send, want,
                           lambda option, value: "ack" if option in self.dialect.lcp_takes
                           else "reject", self.on_lcp_nak)

    def on_lcp_nak(self, option, value):
        """Returns the method to request after a Nak: the client's, if it is one of ours, else the same."""
        if option != ppp.OPT_AUTH:
            return value
        known = [method for method in self.methods if ppp.METHODS[method] == value]
        if known:
            self.method = known[0]
        else:
            self.strangers += 1
        return ppp.METHODS[self.method]

    def on_lcp_opened(self):
        if self.chosen and self.auth:
            return
        if self.nas:
            self.auth = self.nas.verifier(self.method, self.send, self.users, self.expired)
        else:
            self.auth = auth.verifier(self.method, self.send, self.users, self.expired,
                                      self.dialect, self.methods)
        self.auth.start()

    def make_ipcp(self):
        def judge(option, value):
            if option != ppp.OPT_ADDRESS:
                return "reject"
            return "ack" if value == CLIENT_ADDRESS else CLIENT_ADDRESS
        return Negotiation(ppp.IPCP, self.send, {ppp.OPT_ADDRESS: SERVER_ADDRESS}, judge)

    def on_authenticated(self):
        pass

    def on_ipcp(self, packet):
        if not self.authenticated:
            return
        if not self.ipcp.ident:
            self.ipcp.ask()
        super().on_ipcp(packet)

    def pong(self, octets):
        """Answers a ping for our address; False for everything else."""
        protocol, body = ppp.parse_frame(octets)
        ping = ppp.parse_ping(body) if protocol == ppp.IPV4 and self.up else None
        if ping is None or ping.reply or ping.target != SERVER_ADDRESS:
            return False
        self.send(ppp.IPV4, ppp.ping(ping.target, ping.source, ping.ident, ping.sequence,
                                     ping.body, reply=True))
        return True


class ClientLink(Link):
    """lcp: options to ask for besides MRU and magic number; lcp_refuses: kinds to reject."""

    def __init__(self, send, on_data, methods, login, lcp=(), lcp_refuses=()):
        self.methods, self.login = list(methods), login
        self.lcp_options, self.lcp_refuses = lcp, lcp_refuses
        super().__init__(send, on_data)

    @property
    def address(self):
        return self.ipcp.want[ppp.OPT_ADDRESS]

    def make_lcp(self):
        want = {ppp.OPT_MRU: (4091).to_bytes(2, "big"), ppp.OPT_MAGIC: os.urandom(4),
                **dict(self.lcp_options)}

        def judge(option, value):
            if option != ppp.OPT_AUTH:
                return "reject" if option in self.lcp_refuses else "ack"
            for method in self.methods:
                if ppp.METHODS[method] == value:
                    self.method = method
                    return "ack"
            return ppp.METHODS[self.methods[0]]
        return Negotiation(ppp.LCP, self.send, want, judge)

    def on_lcp_opened(self):
        if self.method is None:
            return
        self.auth = auth.prover(self.method, self.send, self.login)
        self.auth.start()

    def make_ipcp(self):
        return Negotiation(ppp.IPCP, self.send, {ppp.OPT_ADDRESS: bytes(4)},
                           lambda option, value: "ack" if option == ppp.OPT_ADDRESS else "reject")

    def on_authenticated(self):
        pass

    def bring_up(self):
        self.ipcp.ask()
