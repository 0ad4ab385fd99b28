#!/usr/bin/python3
"""A scripted SSTP client ([MS-SSTP] 3.2) that computes its binding from the certificate that the
server really presented."""

import argparse
import os
import socket
import ssl
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

if __package__ in (None, ""):
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from peers import auth, dialects, head, link, load, ppp, sstp, tls
from peers.packets import Packets


class CallFailed(Exception):
    """stage: as in Client.stage. abort: the received Abort or Disconnect, if any; end: how the
    connection ended; status: that of the HTTP answer."""

    def __init__(self, stage, what, abort=None, end=None, status=None):
        super().__init__(f"{stage}: {what}")
        self.stage, self.abort, self.end, self.status = stage, abort, end, status


@dataclass
class Client:
    """The methods are the steps of a call, in this order: open, secure, ask, start, authenticate,
    connect, bring_up; establish() takes all of them. Each raises CallFailed if the call ends."""

    address: tuple
    bind: str = None
    sni: str = None
    host: str = "vpn.example.com"
    auth: tuple = ("mschapv2",)
    user: str = "alice"
    password: str = "sesame"
    first_password: str = None       # a wrong password, tried first
    new_password: str = None         # if the server demands a change
    peer: object = None              # the EAP implementation, with the method "eap" (auth.EapCarrier)
    retransmit: bool = False         # sends each answer of the authentication twice
    tls_min: str = None
    tls_max: str = None
    ciphers: str = None
    keylog: str = None               # file for the keys of the connection (SSLKEYLOGFILE)
    head: bytes = None               # instead of the right request
    head_pieces: int = 0             # octets per record of the head; 0: one record
    early: bytes = b""               # sent together with the head
    hash: int = None                 # None: SHA256 if it is offered
    zero_key: bool = False           # HLAK of zeros for any method
    tamper: str = None               # nonce, cert-hash, mac, hash-protocol
    leaf: bytes = None               # DER to hash instead of the presented leaf
    eager: bool = False              # Call Connected before the Success
    shape: str = "packet"
    acfc: bool = False
    pfc: bool = False
    fields: tuple = ("host", "correlation", "length")   # of the request, in this order
    correlation: bytes = None        # None: a new GUID
    picks: str = "sha256"            # how it chooses the hash, of dialects.PICKS
    lcp: tuple = ()                  # options besides MRU and magic number
    lcp_refuses: tuple = ()
    acknowledges_from: int = 0       # least size of an Abort or Disconnect that it answers; 0: none
    rcvbuf: int = None
    verbose: bool = False

    stage: str = "closed"
    wire: object = None
    packets: object = None
    link: object = None
    nonce: bytes = None
    mask: int = None
    key: bytes = None                # of the binding that was sent
    seen: list = field(default_factory=list)   # control packets received
    received: load.Tally = field(default_factory=load.Tally)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close("clean")

    def say(self, *words):
        if self.verbose:
            print(*words, flush=True)

    def fail(self, what, **known):
        end = self.wire.ended if self.wire else None
        self.say(f"failed in {self.stage}: {what}")
        raise CallFailed(self.stage, what, end=end, **known)

    # -- connection --

    def open(self):
        self.stage = "open"
        family = socket.AF_INET6 if ":" in self.address[0] else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM)
        if self.rcvbuf:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self.rcvbuf)
        if self.bind:
            sock.bind((self.bind, 0))
        sock.settimeout(tls.DEADLINE)
        try:
            sock.connect(self.address)
        except OSError as error:
            sock.close()
            raise CallFailed(self.stage, error) from None
        self.wire = tls.Wire(sock)
        return self

    def secure(self):
        self.stage = "tls"
        make = tls.client_context if self.ciphers or self.keylog else tls.shared_client_context
        context = make(self.tls_min, self.tls_max)
        if self.ciphers:
            context.set_ciphers(self.ciphers)
        if self.keylog:
            context.keylog_filename = self.keylog
        self.wire = tls.Tls(self.wire.sock, context, server_hostname=self.sni)
        try:
            self.wire.handshake()
        except (ssl.SSLError, OSError) as error:
            self.fail(getattr(error, "reason", None) or error)
        self.say(f"{self.wire.version}, leaf SHA256 "
                 f"{sstp.cert_hash(sstp.SHA256, self.wire.peer_der).hex()}")
        return self

    def send_request(self):
        self.stage = "request"
        octets = self.head if self.head is not None else \
            head.request(self.host.encode(), order=self.fields, correlation=self.correlation)
        if self.head_pieces:
            for at in range(0, len(octets), self.head_pieces):
                self.wire.write(octets[at:at + self.head_pieces])
            if self.early:
                self.wire.write(self.early)
        else:
            self.wire.write(octets + self.early)
        return self

    def read_answer(self):
        """Returns the head of the HTTP answer; the octets after it belong to the stream."""
        octets = b""
        while b"\r\n\r\n" not in octets:
            try:
                record = self.wire.read_record()
            except TimeoutError as error:
                self.fail(error)
            if record is None:
                self.fail(f"{self.wire.ended} instead of an answer")
            octets += record
        size = octets.index(b"\r\n\r\n") + 4
        self.answer, self.answer_rest = octets[:size], octets[size:]
        return head.parse(self.answer)

    def ask(self):
        try:
            self.send_request()
        except OSError:
            pass  # the answer, or the end of the connection, gives the reason
        answer = self.read_answer()
        self.say(answer.line.decode())
        if answer.status != 200:
            self.fail(answer.line.decode(), status=answer.status)
        self.packets = Packets(self.wire, self.shape)
        self.packets.misfits += bool(self.answer_rest)
        self.packets.feed(self.answer_rest)
        return self

    # -- the stream --

    def send(self, packet):
        try:
            self.packets.send(packet)
        except OSError as error:
            self.fail(error)

    def send_frame(self, frame):
        self.send(sstp.data(frame))

    def flush(self):
        try:
            self.packets.flush()
        except OSError as error:
            self.fail(error)

    def next(self, timeout=tls.DEADLINE):
        """Returns the next packet, already handled; raises CallFailed at the end of the stream."""
        self.flush()
        packet = self.packets.next(timeout)
        if packet is None:
            self.fail(self.wire.ended)
        if packet.control:
            self.seen.append(packet)
            if packet.type == sstp.ECHO_REQUEST and self.stage in ("connected", "up"):
                self.send(sstp.control(sstp.ECHO_RESPONSE))
            elif packet.type in (sstp.ABORT, sstp.DISCONNECT, sstp.CONNECT_NAK):
                answer = {sstp.ABORT: sstp.status(sstp.ABORT, 0, 0),
                          sstp.DISCONNECT: sstp.control(sstp.DISCONNECT_ACK)}.get(packet.type)
                if answer and 0 < self.acknowledges_from <= len(packet.raw):
                    self.send(answer)
                self.fail(packet.name, abort=packet)
        elif self.link:
            self.link.on_frame(packet.frame)
        self.flush()
        return packet

    def until(self, predicate, timeout=tls.DEADLINE):
        deadline = time.monotonic() + timeout
        while not predicate():
            try:
                self.next(max(0.0, deadline - time.monotonic()))
            except TimeoutError as error:
                self.fail(error)
        self.flush()
        return self

    def start(self, request=True):
        """Connect Request and Ack. request=False: the request was sent early."""
        self.stage = "start"
        login = auth.Login(self.user, self.password, self.first_password, self.new_password,
                           self.retransmit, self.peer)
        self.link = link.ClientLink(self.send_frame, self._on_data, self.auth, login, self.lcp,
                                    self.lcp_refuses)
        self.link.acfc, self.link.pfc = self.acfc, self.pfc
        if request:
            self.send(sstp.connect_request())
        self.until(lambda: any(p.type == sstp.CONNECT_ACK for p in self.seen))
        ack = next(p for p in self.seen if p.type == sstp.CONNECT_ACK)
        value = dict(ack.attributes)[sstp.ATTR_BINDING_REQUEST]
        self.mask, self.nonce = value[3], value[4:]
        self.say(f"connect ack, hash mask {self.mask}")
        self.hash = self.hash or dialects.PICKS[self.picks](self.mask)
        if self.hash is None:
            self.send(sstp.status(sstp.ABORT, 4, 4))
            self.fail(f"no use for the hash mask {self.mask}")
        return self

    def authenticate(self):
        self.stage = "authenticate"
        if not self.link.lcp.ident:
            self.link.start()
        if self.eager:
            return self.until(lambda: self.link.auth is not None and any(self.link.hlak))
        self.until(lambda: self.link.authenticated or self.link.refused)
        if self.link.refused:
            self.fail("authentication refused")
        self.say(f"authenticated by {self.link.method} as {self.link.auth.user}")
        return self

    def binding(self):
        """Returns the Call Connected of this call, altered as `tamper` says."""
        protocol = self.hash
        self.key = sstp.NO_KEY if self.zero_key else self.link.hlak
        nonce = os.urandom(32) if self.tamper == "nonce" else self.nonce
        leaf = sstp.cert_hash(protocol, self.leaf or self.wire.peer_der or b"")
        if self.tamper == "cert-hash":
            leaf = sstp.cert_hash(protocol, b"another certificate")
        said = 3 - protocol if self.tamper == "hash-protocol" else None
        message = sstp.call_connected(protocol, nonce, leaf, self.key, said)
        if self.tamper == "mac":
            message = message[:80] + bytes([message[80] ^ 1]) + message[81:]
        return message

    def connect(self):
        self.stage = "connect"
        self.send(self.binding())
        self.flush()
        self.stage = "connected"
        if self.eager:
            self.until(lambda: self.link.authenticated or self.link.refused)
        return self

    def bring_up(self):
        self.link.bring_up()
        self.until(lambda: self.link.up)
        self.stage = "up"
        self.say("up with address " + ".".join(map(str, self.link.address)))
        return self

    def establish(self, until="up"):
        for step, name in ((self.open, "open"), (self.secure, "tls"), (self.ask, "request"),
                           (self.start, "start"), (self.authenticate, "authenticate"),
                           (self.connect, "connected"), (self.bring_up, "up")):
            step()
            if name == until:
                break
        return self

    # -- when it is up --

    def _on_data(self, frame):
        self.received.add(frame)
        self.latest = frame

    def ping(self, count=1):
        for sequence in range(count):
            self.latest = None
            packet = ppp.ping(self.link.address, link.SERVER_ADDRESS, 0x5354, sequence)
            self.send_frame(ppp.frame(ppp.IPV4, packet))
            self.until(lambda: self.latest is not None)
            pong = ppp.parse_ping(ppp.parse_frame(self.latest)[1])
            if pong is None or not pong.reply or pong.sequence != sequence:
                self.fail(f"an odd answer to ping {sequence}")
        self.say(f"{count} pings answered")
        return self

    def echo(self):
        """Echo Request and Echo Response."""
        before = len(self.seen)
        self.send(sstp.control(sstp.ECHO_REQUEST))
        return self.until(lambda: any(p.type == sstp.ECHO_RESPONSE for p in self.seen[before:]))

    def pour(self, octets, tally=None):
        """Sends this amount of test traffic; returns its tally."""
        tally = tally or load.Tally()
        for frame in load.frames(octets):
            tally.add(frame)
            self.send_frame(frame)
        self.flush()
        return tally

    def drink(self, octets, timeout=tls.DEADLINE):
        """Receives this amount of traffic."""
        return self.until(lambda: self.received.octets >= octets, timeout)

    def bulk(self, octets):
        """Sends and receives at once, against a server that echoes."""
        sent, errors = load.Tally(), []

        def pour():
            try:
                self.pour(octets, sent)
            except CallFailed as error:
                errors.append(error)

        self.received = load.Tally()
        thread = threading.Thread(target=pour, daemon=True)
        thread.start()
        self.drink(octets)
        thread.join()
        if errors or self.received != sent:
            self.fail(f"sent {sent}, received {self.received} {errors}")
        self.say(f"{octets} octets there and back")
        return self

    def disconnect(self):
        """Sends Call Disconnect, and waits for its Ack and the end."""
        self.stage = "disconnect"
        self.send(sstp.status(sstp.DISCONNECT, 0, 0))
        self.until(lambda: any(p.type == sstp.DISCONNECT_ACK for p in self.seen))
        self.wire.finish_writing()
        self.wire.wait_end()
        self.close()
        return self

    def wait_end(self):
        """Returns how the stream ends; ignores what comes before."""
        return self.wire.wait_end()

    def close(self, how="clean"):
        if self.wire and self.wire.sock.fileno() >= 0:
            self.wire.close(how)


def expect_failure(client, until="up"):
    """Returns the CallFailed that the call must end in; closes the client afterwards."""
    try:
        client.establish(until)
        # A peer that refuses Call Connected answers only now.
        while True:
            client.next()
    except CallFailed as failure:
        if client.wire:
            failure.end = client.wait_end()
        client.close()
        return failure


def last_words(client):
    """Returns the Abort or Disconnect before the end, if any; closes the client afterwards."""
    try:
        while True:
            client.next()
    except CallFailed as failure:
        client.wait_end()
        client.close()
        return failure.abort


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--connect", required=True, metavar="HOST:PORT")
    parser.add_argument("--bind", metavar="ADDR", help="source address")
    parser.add_argument("--sni", metavar="NAME")
    parser.add_argument("--host", default="vpn.example.com", help="for the Host field")
    parser.add_argument("--auth", default="mschapv2",
                        help="comma list of " + ", ".join(ppp.METHODS))
    parser.add_argument("--user", default="alice")
    parser.add_argument("--password", default="sesame")
    parser.add_argument("--first-password", help="a wrong password to try first")
    parser.add_argument("--new-password", help="for a server that demands a change")
    parser.add_argument("--hash", type=int, choices=(1, 2))
    parser.add_argument("--zero-key", action="store_true")
    parser.add_argument("--tamper", choices=("nonce", "cert-hash", "mac", "hash-protocol"))
    parser.add_argument("--eager", action="store_true", help="Call Connected before the Success")
    parser.add_argument("--shape", choices=("packet", "octets", "joined", "odd"), default="packet")
    parser.add_argument("--head-pieces", type=int, default=0, metavar="OCTETS")
    parser.add_argument("--acfc", action="store_true")
    parser.add_argument("--pfc", action="store_true")
    parser.add_argument("--tls-min", choices=tls.VERSIONS)
    parser.add_argument("--tls-max", choices=tls.VERSIONS)
    parser.add_argument("--until", default="up",
                        choices=("open", "tls", "request", "start", "authenticate", "connected",
                                 "up"))
    parser.add_argument("--ping", type=int, default=0, metavar="N")
    parser.add_argument("--bulk", type=int, default=0, metavar="OCTETS")
    parser.add_argument("--stay", action="store_true", help="stay until the other end closes")
    options = parser.parse_args()
    host, _, port = options.connect.rpartition(":")
    client = Client((host.strip("[]"), int(port)), bind=options.bind, sni=options.sni,
                    host=options.host, auth=tuple(options.auth.split(",")), user=options.user,
                    password=options.password, first_password=options.first_password,
                    new_password=options.new_password, hash=options.hash,
                    zero_key=options.zero_key, tamper=options.tamper, eager=options.eager,
                    shape=options.shape, head_pieces=options.head_pieces, acfc=options.acfc,
                    pfc=options.pfc, tls_min=options.tls_min, tls_max=options.tls_max,
                    verbose=True)
    try:
        client.establish(options.until)
        if options.ping:
            client.ping(options.ping)
        if options.bulk:
            client.bulk(options.bulk)
        if options.stay:
            client.say("ended by", client.wait_end())
        elif client.stage == "up":
            client.disconnect()
            client.say("disconnected")
    except CallFailed:
        return 1
    except OSError as error:
        client.say(f"failed in {client.stage}: {error}")
        return 1
    finally:
        client.close()
    if client.packets and client.packets.misfits:
        client.say(f"{client.packets.misfits} records did not contain exactly one packet")
    return 0


if __name__ == "__main__":
    sys.exit(main())
