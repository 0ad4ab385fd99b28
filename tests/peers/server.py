#!/usr/bin/python3
"""A strict SSTP server ([MS-SSTP] 3.3), with the habits of known servers to choose from.

It believes nothing: the request must be exactly right, the user must prove the password, and Call
Connected must carry this call's nonce, an offered hash protocol, the hash of this server's own
leaf and the Compound MAC under this server's own key. Every call leaves a record."""

import argparse
import json
import os
import socket
import ssl
import sys
import threading
import time
import traceback
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

if __package__ in (None, ""):
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from peers import head, link, load, ppp, sstp, tls
from peers.packets import Packets

RETRANSMIT = 3.0  # seconds, as RFC 1661 4.6 has it


@dataclass
class Dialect:
    """How a known server differs from the specification (PROTOCOL.md 1.3, 2.1, 3.3, 4.5)."""
    status_line: bytes = b"HTTP/1.1 200 OK"
    fields: tuple = (b"Content-Length: " + head.LENGTH, b"Server: Microsoft-HTTPAPI/2.0")
    mask: int = None                # None: what the server was told to offer
    shape: str = "packet"
    strict: bool = True             # request, order of messages, canonical forms
    checks: tuple = ("nonce", "hash-protocol", "certificate", "mac")
    abort: bytes = sstp.BINDING_ABORT
    disconnect: bytes = sstp.status(sstp.DISCONNECT, 0, 0)
    nak: bytes = sstp.control(sstp.CONNECT_NAK,
                              sstp.attribute(sstp.ATTR_STATUS, bytes([0, 0, 0, 1, 0, 0, 0, 4, 0, 1])))
    answers_echo: bool = True
    drops_early: bool = False       # octets that come with the request
    echoes_early: bool = False      # Echo Request before Call Connected


DIALECTS = {
    "strict": Dialect(),
    # An empty reason (packet capture), offers SHA256 alone.
    "rras": Dialect(status_line=b"HTTP/1.1 200 ",
                    fields=(b"Content-Length: " + head.LENGTH,
                            b"Server: Microsoft-HTTPAPI/2.0",
                            b"Date: Thu, 09 Nov 2006 00:51:09 GMT"), mask=2),
    # The Nak's attribute says 12 while 14 octets stand there.
    "accel-ppp": Dialect(fields=(b"Date: Thu, 09 Nov 2006 00:51:09 GMT",
                                 b"Content-Length: " + head.LENGTH,
                                 b"Connection: keep-alive"),
                         strict=False, abort=sstp.status(sstp.ABORT, 2, 7),
                         nak=bytes.fromhex("10010016000300010002000c00000001000000040001")),
    "softether": Dialect(shape="joined", strict=False, checks=(), mask=2,
                         abort=sstp.control(sstp.ABORT), disconnect=sstp.control(sstp.DISCONNECT),
                         answers_echo=False),
    "sorz": Dialect(fields=(b"Content-Length: " + head.LENGTH, b"Server: SSTP-Server/0.6.0"),
                    mask=0, strict=False, checks=("nonce",),
                    abort=bytes.fromhex("10010010000500010002000800000007"),
                    disconnect=bytes.fromhex("10010010000600010000000800000000"),
                    drops_early=True, echoes_early=True),
}


@dataclass
class Record:
    """What is known of a call when it is over."""
    peer: str = None
    head: str = None
    early: int = 0              # octets that came with the request
    sni: str = None
    tls: str = None
    method: str = None
    user: str = None
    hash: int = None
    leaf_hash: str = None       # what Call Connected said
    deferred: bool = False      # Call Connected overtook the authentication
    verdict: str = None         # "ok", "unchecked", or the check that failed
    seen: list = field(default_factory=list)  # names of the control messages received, in order
    packets_in: int = 0
    packets_out: int = 0
    octets_in: int = 0
    octets_out: int = 0
    misfits: int = 0            # records that were not exactly one packet
    stage: str = "accepted"
    end: str = None             # how the peer ended the connection
    reason: str = None          # why this server ended it


class EndCall(Exception):
    """Raised anywhere in a call, hooks included: close it. how: as for Wire.close."""

    def __init__(self, reason, how="clean"):
        super().__init__(reason)
        self.how = how


class Call:
    """One connection. Stages, in order: accepted, tls, request (head read), answered (200 sent),
    connect (Connect Request came), ack, lcp, auth (success told), connected, up."""

    def __init__(self, server, sock, peer):
        self.server = server
        self.dialect = server.dialect
        self.record = Record(peer="%s:%d" % peer[:2])
        self.sock = sock
        self.wire = None
        self.packets = None
        self.nonce = os.urandom(32)
        self.waiting = None   # a Call Connected before its time
        self.received = load.Tally()
        self.sourced = load.Tally()
        self.raw = []         # control packets as received
        self.over = threading.Event()

    # -- what hooks may use --

    def send(self, packet):
        self.packets.send(packet)

    def send_frame(self, frame):
        self.packets.send(sstp.data(frame))

    def abort(self, reason):
        self.send(self.dialect.abort)
        self.packets.flush()
        raise EndCall(reason)

    def at(self, stage):
        self.record.stage = stage
        self.server.tell()
        hook = self.server.hooks.get(stage)
        if hook:
            hook(self)

    # -- the course of a call --

    def run(self):
        try:
            self._run()
        except EndCall as end:
            self.record.reason = str(end)
            self._close(end.how)
        except (OSError, ssl.SSLError) as error:
            self.record.reason = self.record.reason or f"{type(error).__name__}: {error}"
            self._close("clean")
        except sstp.BadPacket as error:
            self.record.reason = f"bad packet: {error}"
            self._close("fin")
        finally:
            self._account()
            self.over.set()
            self.server.finished(self)

    def _close(self, how):
        try:
            if self.packets and how != "rst" and not self.wire.ended:
                # Closing with octets unread would be a reset: the peer could lose what was sent last.
                self.packets.flush()
                self.wire.finish_writing(notify=how == "clean")
                self.wire.wait_end(10)
        except (OSError, TimeoutError):
            pass
        finally:
            try:
                (self.wire or tls.Wire(self.sock)).close(how)
            except OSError:
                pass

    def _account(self):
        record, packets = self.record, self.packets
        if packets:
            record.packets_in, record.octets_in = packets.received, packets.received_octets
            record.packets_out, record.octets_out = packets.sent, packets.sent_octets
            record.misfits = packets.misfits
        if self.wire:
            record.end = self.wire.ended
        if getattr(self, "link", None):
            record.method = self.link.method
            record.user = self.link.auth.user if self.link.auth else None

    def _run(self):
        self.at("accepted")
        self._secure()
        self.at("tls")
        self._request()
        self.at("request")
        self._answer()
        self.at("answered")
        self.link = link.ServerLink(self.send_frame, self._on_data, self.server.auth,
                                    self.server.users, self.server.expired, self.server.nas)
        self._talk()

    def _secure(self):
        if self.server.context is None:
            self.wire = tls.Wire(self.sock)
            return
        self.wire = tls.Tls(self.sock, self.server.context_for(self), server_side=True)
        self.wire.handshake()
        self.record.tls = self.wire.version

    def _request(self):
        octets = b""
        while b"\r\n\r\n" not in octets:
            more = self.wire.read_record()
            if more is None:
                raise EndCall("no request")
            octets += more
            if len(octets) > head.MAX:
                raise EndCall("head too long")
        size = octets.index(b"\r\n\r\n") + 4
        self.record.head = octets[:size].decode("latin-1")
        self.record.early = len(octets) - size
        self.head = head.parse(octets[:size])
        bad = head.check_request(self.head) if self.dialect.strict else None
        if bad:
            self.refuse(*bad)
        self.packets = Packets(self.wire, self.server.shape or self.dialect.shape)
        if not self.dialect.drops_early:
            self.packets.feed(octets[size:])

    def refuse(self, status, reason=""):
        line = f"HTTP/1.1 {status} No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        self.wire.write(line.encode())
        raise EndCall(f"refused: {reason or status}")

    def _answer(self):
        if self.server.refuse:
            self.refuse(self.server.refuse)
        lines = [self.dialect.status_line, *self.dialect.fields, b"", b""]
        self.wire.write(b"\r\n".join(lines))

    def _talk(self):
        while True:
            try:
                packet = self.packets.next(RETRANSMIT)
            except TimeoutError:
                if self.record.stage not in ("answered", "up"):
                    self.link.retransmit()
                    self.packets.flush()
                continue
            if packet is None:
                raise EndCall("the client has gone")
            if packet.control:
                self.raw.append(packet.raw)
                self.record.seen.append(packet.name)
                self._on_control(packet)
            else:
                self._on_frame(packet.frame)
            self.packets.flush()
            self.server.tell()

    # -- control messages --

    @property
    def connected(self):
        return self.record.verdict in ("ok", "unchecked")

    def _on_control(self, packet):
        kind = packet.type
        if kind == sstp.CONNECT_REQUEST:
            self._connect_request(packet)
        elif kind == sstp.CONNECTED:
            self._call_connected(packet)
        elif kind == sstp.ECHO_REQUEST:
            if not self.connected and self.dialect.strict:
                self.abort("echo before connected")
            if self.dialect.answers_echo:
                self.send(sstp.control(sstp.ECHO_RESPONSE))
        elif kind == sstp.ECHO_RESPONSE:
            if not self.connected and self.dialect.strict:
                self.abort("echo before connected")
        elif kind == sstp.DISCONNECT:
            self.send(sstp.control(sstp.DISCONNECT_ACK))
            raise EndCall("client disconnect")
        elif kind == sstp.ABORT:
            self.send(self.dialect.abort)
            raise EndCall("client abort")
        elif kind == sstp.DISCONNECT_ACK:
            raise EndCall("disconnect acknowledged")
        elif self.dialect.strict:
            self.abort(f"out of place: {packet.name}")

    def _connect_request(self, packet):
        if self.record.stage != "answered":
            if self.dialect.strict:
                self.abort("second connect request")
            return
        if packet.attributes != [(sstp.ATTR_PROTOCOL, b"\0\1")]:
            self.send(self.dialect.nak)
            return
        if self.dialect.strict and packet.raw != sstp.connect_request():
            self.abort("connect request of an odd form")
        self.at("connect")
        self.send(sstp.connect_ack(self.server.mask, self.nonce))
        self.at("ack")
        if self.dialect.echoes_early:
            self.send(sstp.control(sstp.ECHO_REQUEST))
        self.link.start()

    def _call_connected(self, packet):
        if self.record.verdict or self.waiting or "ack" not in self.stages:
            if self.dialect.strict:
                self.abort("call connected out of place")
            return
        if not self.link.authenticated and self.dialect.checks:
            self.waiting, self.record.deferred = packet, True
            return
        self.record.verdict = self._judge(packet)
        if not self.connected:
            self.abort(f"binding: {self.record.verdict}")
        self.at("connected")
        if self.server.load == "source":
            threading.Thread(target=self._source, daemon=True).start()

    @property
    def stages(self):
        return ("ack",) if self.record.stage not in ("accepted", "tls", "request", "answered",
                                                     "connect") else ()

    def _judge(self, packet):
        binding = sstp.parse_connected(packet)
        if binding is None:
            return "form"
        self.record.hash = binding.protocol
        self.record.leaf_hash = binding.leaf_hash.hex()
        checks = self.dialect.checks
        if not checks:
            return "unchecked"
        if "nonce" in checks and binding.nonce != self.nonce:
            return "nonce"
        if "hash-protocol" in checks and (binding.protocol not in (sstp.SHA1, sstp.SHA256)
                                          or not binding.protocol & self.server.mask):
            return "hash-protocol"
        if "certificate" in checks:
            if binding.leaf_hash != sstp.cert_hash(binding.protocol, self.server.leaf):
                return "certificate"
        if "mac" in checks:
            if binding.mac != sstp.compound_mac(binding.protocol, self.link.hlak, packet.raw):
                return "mac"
        return "ok"

    # -- data --

    def _on_frame(self, frame):
        protocol, _ = ppp.parse_frame(frame)
        if protocol == ppp.IPV4 and not self.connected and self.dialect.strict:
            self.abort("data before connected")
        before = (self.link.lcp.opened, self.link.authenticated, self.link.up)
        self.link.on_frame(frame)
        after = (self.link.lcp.opened, self.link.authenticated, self.link.up)
        for stage, was, now in zip(("lcp", "auth", "up"), before, after):
            if now and not was and not (stage == "up" and not self.connected):
                self.at(stage)
        if self.waiting and self.link.authenticated:
            packet, self.waiting = self.waiting, None
            self._call_connected(packet)

    def _on_data(self, frame):
        if self.server.load == "echo":
            self.received.add(frame)
            self.send_frame(frame)
        elif not self.link.pong(frame):
            self.received.add(frame)

    def _source(self):
        try:
            for frame in load.frames(self.server.load_octets):
                self.sourced.add(frame)
                self.send_frame(frame)
            self.packets.flush()
        except OSError:
            pass
        self.server.tell()


class Server:
    """with Server(cert, key) as server: ... server.address ...

    hooks: stage to function(call), run when a call gets there; it may send, raise EndCall, or wait
    for server.go. load: None (pings are answered), "echo", "source" (load_octets of them after
    Call Connected), "sink". leaf: DER that clients must have hashed; None: of `cert`. nas: a Nas, which
    is asked instead of users."""

    def __init__(self, cert=None, key=None, *, listen=("127.0.0.1", 0), users=None, expired=(),
                 auth=("mschapv2",), mask=3, dialect="strict", shape=None, plain=False, leaf=None,
                 refuse=None, hooks=None, load=None, load_octets=0, tls_min=None, tls_max=None,
                 log=None, verbose=False, nas=None, **changes):
        self.dialect = replace(DIALECTS[dialect] if isinstance(dialect, str) else dialect, **changes)
        self.mask = mask if self.dialect.mask is None else self.dialect.mask
        self.users = dict(users or {"alice": "sesame"})
        self.auth, self.expired, self.shape = auth, expired, shape
        self.refuse, self.hooks = refuse, dict(hooks or {})
        self.load, self.load_octets = load, load_octets
        self.log, self.verbose, self.nas = log, verbose, nas
        self.context = None if plain else tls.server_context(cert, key, tls_min, tls_max)
        self.leaf = leaf
        if leaf is None and cert:
            self.leaf = first_der(cert)
        self.calls = []
        self.go = threading.Event()  # for hooks that wait for the test
        self._changed = threading.Condition()
        family = socket.AF_INET6 if ":" in listen[0] else socket.AF_INET
        self.sock = socket.create_server(listen, family=family, backlog=256)
        self.address = "[%s]:%d" % self.sock.getsockname()[:2] if family == socket.AF_INET6 \
            else "%s:%d" % self.sock.getsockname()
        self.port = self.sock.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.go.set()
        try:
            self.sock.shutdown(socket.SHUT_RDWR)  # wakes accept()
        except OSError:
            pass
        self.sock.close()
        for call in self.calls:
            if not call.over.is_set():
                try:
                    call.sock.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def context_for(self, call):
        """One context for all calls; the name the client asked for goes to the call in whose
        thread the handshake runs."""
        def named(obj, name, context):
            threading.current_thread().call.record.sni = name
        self.context.sni_callback = named
        threading.current_thread().call = call
        return self.context

    def _accept(self):
        while True:
            try:
                sock, peer = self.sock.accept()
            except OSError:
                return
            call = Call(self, sock, peer)
            with self._changed:
                self.calls.append(call)
                self._changed.notify_all()
            threading.Thread(target=call.run, daemon=True).start()

    def tell(self):
        with self._changed:
            self._changed.notify_all()

    def finished(self, call):
        if self.log:
            self.log.write(json.dumps(asdict(call.record)) + "\n")
            self.log.flush()
        if self.verbose:
            print(json.dumps(asdict(call.record)), file=sys.stderr)
        self.tell()

    def wait(self, predicate, timeout=tls.DEADLINE):
        """Until predicate() is true; it is asked again whenever a call got on."""
        with self._changed:
            if not self._changed.wait_for(predicate, timeout):
                raise TimeoutError(f"the backend saw {[c.record for c in self.calls]}")

    def wait_call(self, number=0, timeout=tls.DEADLINE):
        """The call, once it is there."""
        self.wait(lambda: len(self.calls) > number, timeout)
        return self.calls[number]

    def wait_over(self, number=0, timeout=tls.DEADLINE):
        """The record of a call that has ended."""
        call = self.wait_call(number, timeout)
        if not call.over.wait(timeout):
            raise TimeoutError(f"the call goes on: {call.record}")
        return call.record

    def wait_stage(self, stage, number=0, timeout=tls.DEADLINE):
        call = self.wait_call(number, timeout)
        self.wait(lambda: call.record.stage == stage, timeout)
        return call


def first_der(path):
    text = Path(path).read_text()
    end = "-----END CERTIFICATE-----"
    return ssl.PEM_cert_to_DER_cert(text[text.index("-----BEGIN CERT"):text.index(end) + len(end)])


def parse_address(text):
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cert", help="PEM, leaf first")
    parser.add_argument("--key")
    parser.add_argument("--listen", default="127.0.0.1:0", type=parse_address)
    parser.add_argument("--user", action="append", default=[], metavar="NAME:PASSWORD")
    parser.add_argument("--auth", default="mschapv2",
                        help="comma list of " + ", ".join(ppp.METHODS) + "; the first is asked for")
    parser.add_argument("--hash", type=int, choices=(1, 2, 3), default=3)
    parser.add_argument("--plain", action="store_true", help="no TLS")
    parser.add_argument("--cert-hash-of", metavar="FILE", help="certificate clients must hash")
    parser.add_argument("--dialect", choices=DIALECTS, default="strict")
    parser.add_argument("--shape", choices=("packet", "octets", "joined", "odd"))
    parser.add_argument("--refuse", type=int, metavar="STATUS")
    parser.add_argument("--load", choices=("echo", "source", "sink"))
    parser.add_argument("--load-octets", type=int, default=1 << 20)
    parser.add_argument("--ready", metavar="FILE", help="gets the address once it listens")
    parser.add_argument("--log", metavar="FILE", help="gets one line of JSON for each call")
    options = parser.parse_args()
    if not options.plain and not (options.cert and options.key):
        parser.error("--cert and --key, or --plain")
    leaf = first_der(options.cert_hash_of) if options.cert_hash_of else None
    log = open(options.log, "a") if options.log else None
    with Server(options.cert, options.key, listen=options.listen,
                users=dict(user.split(":", 1) for user in options.user),
                auth=tuple(options.auth.split(",")), mask=options.hash, dialect=options.dialect,
                shape=options.shape, plain=options.plain, leaf=leaf, refuse=options.refuse,
                load=options.load, load_octets=options.load_octets, log=log,
                verbose=not log) as server:
        print(server.address, flush=True)
        if options.ready:
            part = Path(options.ready + ".part")
            part.write_text(server.address + "\n")
            part.rename(options.ready)
        try:
            server._thread.join()
        except KeyboardInterrupt:
            pass


if __name__ == "__main__":
    main()
