#!/usr/bin/python3
"""A strict SSTP server ([MS-SSTP] 3.3) that can also imitate known servers.

It verifies everything: the request must be exactly right, the user must prove the password, and Call
Connected must carry this call's nonce, an offered hash protocol, the hash of this server's leaf
certificate and the Compound MAC under the server's own key. Every call leaves a record."""

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

from peers import head, link, load, ppp, proxy, sstp, tls
from peers.dialects import DIALECTS
from peers.packets import Packets

RETRANSMIT = 3.0  # seconds (RFC 1661 4.6)


@dataclass
class Record:
    """The facts about a call, complete when the call has ended."""
    peer: str = None
    head: str = None
    early: int = 0              # octets that arrived with the request
    sni: str = None
    tls: str = None
    method: str = None
    user: str = None
    hash: int = None
    leaf_hash: str = None       # the hash in Call Connected
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
    unanswered: bool = False    # the peer did not acknowledge the end before the timer expired
    reason: str = None          # why this server ended it


class EndCall(Exception):
    """Raised anywhere in a call, also by hooks, to close it. how: as for Wire.close."""

    def __init__(self, reason, how="clean"):
        super().__init__(reason)
        self.how = how


class Call:
    """One connection. Stages, in order: accepted, tls, request (head read), answered (200 sent),
    connect (Connect Request received), ack, lcp, auth (Success sent), connected, up."""

    def __init__(self, server, sock, peer):
        self.server = server
        self.dialect = server.dialect
        self.record = Record(peer="%s:%d" % peer[:2])
        self.sock = sock
        self.wire = None
        self.packets = None
        self.nonce = os.urandom(32)
        self.waiting = None   # a Call Connected that arrived early
        self.received = load.Tally()
        self.sourced = load.Tally()
        self.raw = []         # control packets as received
        self.naks = 0
        self.asked = False    # the hello timer's Echo Request was sent
        self.due = None       # when the running timer expires
        self.over = threading.Event()

    # -- for hooks --

    def send(self, packet):
        self.packets.send(packet)

    def send_frame(self, frame):
        self.packets.send(sstp.data(frame))

    def abort(self, reason, words=None):
        """Sends an Abort, waits for the peer's Abort if the dialect has a timer for it, and ends."""
        self.send(words or self.dialect.abort)
        self.wait_last(sstp.ABORT, self.dialect.timers.abort)
        raise EndCall(reason)

    def disconnect(self, reason="disconnect"):
        self.send(self.dialect.disconnect)
        self.wait_last(sstp.DISCONNECT_ACK, self.dialect.timers.disconnect)
        raise EndCall(reason)

    def wait_last(self, kind, seconds):
        """[MS-SSTP] 3.1.5.2: ignores the rest, but records what arrives."""
        self.packets.flush()
        if seconds is None:
            return
        until = time.monotonic() + seconds
        try:
            while (packet := self.packets.next(max(0.0, until - time.monotonic()))) is not None:
                if packet.control:
                    self.record.seen.append(packet.name)
                    if packet.type == kind:
                        return
        except TimeoutError:
            self.record.unanswered = True

    def at(self, stage):
        self.record.stage = stage
        self.server.announce()
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
                # Closing with unread octets would send a reset, and the peer could lose the last message.
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
            record.method = getattr(self.link.auth, "method", None) or self.link.method
            record.user = self.link.auth.user if self.link.auth else None

    def _run(self):
        self.at("accepted")
        if self.dialect.proxy_header:
            try:
                self.proxy = proxy.receive(self.sock)
            except AssertionError as error:
                raise EndCall("no PROXY header") from error
        self._secure()
        self.at("tls")
        self._request()
        self.at("request")
        self._answer()
        self.at("answered")
        self.link = link.ServerLink(self.send_frame, self._on_data, self.server.auth,
                                    self.server.users, self.server.expired, self.server.nas,
                                    self.dialect)
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
        if self.head.line.startswith(b"HEAD " + head.URI):
            if self.dialect.head_status is None:
                raise EndCall("HEAD")
            self.refuse(self.dialect.head_status, "HEAD")
        bad = head.check_request(self.head) if self.dialect.strict else None
        if bad:
            self.refuse(*bad)
        if self.dialect.host_name and self._host() != self.dialect.host_name:
            self.refuse(404, "host")
        self.packets = Packets(self.wire, self.server.shape or self.dialect.shape,
                               self.dialect.masks_length)
        if not self.dialect.drops_early:
            self.packets.feed(octets[size:])

    def _host(self):
        return b"".join(self.head.all(b"host")[:1]).decode().partition(":")[0].lower()

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
        self._set_timer(self.dialect.timers.negotiation)
        while True:
            try:
                packet = self.packets.next(self._patience())
            except TimeoutError:
                self._silence()
                continue
            except sstp.BadAttributes as error:
                if error.type == sstp.CONNECTED:
                    self._form()
                raise
            if packet is None:
                raise EndCall("the client has gone")
            if self.connected:
                self.asked = False
                self._set_timer(self.dialect.timers.hello)
            if packet.control:
                self.raw.append(packet.raw)
                self.record.seen.append(packet.name)
                self._on_control(packet)
            else:
                self._on_frame(packet.frame)
            self.packets.flush()
            self.server.announce()

    # -- timers ([MS-SSTP] 3.3.2) --

    def _set_timer(self, seconds):
        self.due = None if seconds is None else time.monotonic() + seconds

    def _patience(self):
        return RETRANSMIT if self.due is None else \
            min(RETRANSMIT, max(0.0, self.due - time.monotonic()))

    def _silence(self):
        if self.due is None or time.monotonic() < self.due:
            if self.record.stage not in ("answered", "up"):
                self.link.retransmit()
                self.packets.flush()
        elif not self.connected:
            self.abort("negotiation timeout", sstp.status(sstp.ABORT, 0, 8))
        elif self.asked:
            raise EndCall("nobody there", "fin")  # 3.1.6.1: without an Abort
        else:
            self.asked = True
            self.send(sstp.control(sstp.ECHO_REQUEST))
            self.packets.flush()
            self._set_timer(self.dialect.timers.hello)

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
            if self.dialect.acknowledges:
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
            if self.dialect.nak and self.naks == self.dialect.nak_retries:
                self.abort("too many requests", sstp.status(sstp.ABORT, 0, 6))
            self.naks += 1
            if self.dialect.nak:
                self.send(self.dialect.nak)
            return
        if self.dialect.strict and packet.raw != sstp.connect_request():
            self.abort("malformed connect request")
        self.at("connect")
        self.send(sstp.connect_ack(self.server.mask, self.nonce))
        self.at("ack")
        self._set_timer(self.dialect.timers.negotiation)
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
        verdict = self._judge(packet)
        if verdict == "form":
            self._form()
        self.record.verdict = verdict
        if not self.connected:
            self.abort(f"binding: {self.record.verdict}")
        self._set_timer(self.dialect.timers.hello)
        self.at("connected")
        if self.server.load == "source":
            threading.Thread(target=self._source, daemon=True).start()

    def _form(self):
        self.record.verdict = "form"
        self.abort("binding: form", self.dialect.form_abort)

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
            if binding.leaf_hash != self.server.hashes.get(binding.protocol):
                return "certificate"
        if "mac" in checks:
            if binding.mac != sstp.compound_mac(binding.protocol, self.link.hlak, packet.raw):
                return "mac"
        return "ok"

    # -- data --

    def _on_frame(self, frame):
        if self.dialect.full_frames and frame[:2] != b"\xff\x03":
            return
        protocol, _ = ppp.parse_frame(frame)
        if protocol == ppp.IPV4 and not self.connected and self.dialect.strict:
            self.abort("data before connected")
        before = (self.link.lcp.opened, self.link.authenticated, self.link.up)
        self.link.on_frame(frame)
        after = (self.link.lcp.opened, self.link.authenticated, self.link.up)
        for stage, was, now in zip(("lcp", "auth", "up"), before, after):
            if now and not was and not (stage == "up" and not self.connected):
                self.at(stage)
        if self.link.refused and not self.dialect.pap_nak and self.link.method == "pap":
            self.disconnect("wrong password")
        if self.link.strangers > 3:
            self.link.lcp.send(ppp.TERM_REQ, 99, b"")
            self.disconnect("no method in common")
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
        self.server.announce()


class Server:
    """with Server(cert, key) as server: ... server.address ...

    sock: a socket that listens already. hooks: stage to function(call), run when a call reaches the stage; it may send, raise EndCall, or wait
    for server.go. load: None (pings are answered), "echo", "source" (sends load_octets after Call
    Connected), "sink". leaf: DER that clients must have hashed; None: that of `cert`. hashes: hashes that
    an administrator has configured instead, {hash protocol: 32 octets}. nas: a Nas to ask instead of
    users. auth: methods, the first of which is requested; None: those of the dialect. Further keywords
    are fields of the dialect."""

    def __init__(self, cert=None, key=None, *, listen=("127.0.0.1", 0), sock=None, users=None, expired=(),
                 auth=None, mask=3, dialect="strict", shape=None, plain=False, leaf=None, hashes=None,
                 refuse=None, hooks=None, load=None, load_octets=0, tls_min=None, tls_max=None,
                 log=None, verbose=False, nas=None, **changes):
        self.dialect = replace(DIALECTS[dialect] if isinstance(dialect, str) else dialect, **changes)
        self.mask = mask if self.dialect.mask is None else self.dialect.mask
        self.users = dict(users or {"alice": "sesame"})
        auth = auth or self.dialect.auth
        self.auth, self.expired, self.shape = auth, expired, shape
        self.refuse, self.hooks = refuse, dict(hooks or {})
        self.load, self.load_octets = load, load_octets
        self.log, self.verbose, self.nas = log, verbose, nas
        self.context = None if plain else tls.server_context(cert, key, tls_min, tls_max)
        self.leaf = leaf
        if leaf is None and cert:
            self.leaf = first_der(cert)
        self.hashes = hashes
        if hashes is None:
            self.hashes = {protocol: sstp.cert_hash(protocol, self.leaf or b"")
                           for protocol in (sstp.SHA1, sstp.SHA256)}
        self.calls = []
        self.go = threading.Event()  # for hooks that wait for the test
        self._changed = threading.Condition()
        family = socket.AF_INET6 if ":" in listen[0] else socket.AF_INET
        self.sock = sock or socket.create_server(listen, family=family, backlog=256)
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
        """One context for all calls; the name that the client requested is stored in the call whose
        thread runs the handshake."""
        def named(obj, name, context):
            threading.current_thread().call.record.sni = name
            if self.dialect.host_name and (name or "").lower() != self.dialect.host_name:
                return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
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

    def announce(self):
        with self._changed:
            self._changed.notify_all()

    def finished(self, call):
        if self.log:
            self.log.write(json.dumps(asdict(call.record)) + "\n")
            self.log.flush()
        if self.verbose:
            print(json.dumps(asdict(call.record)), file=sys.stderr)
        self.announce()

    def wait(self, predicate, timeout=tls.DEADLINE):
        """Waits until predicate() is true; checks it again whenever a call makes progress."""
        with self._changed:
            if not self._changed.wait_for(predicate, timeout):
                raise TimeoutError(f"the backend saw {[c.record for c in self.calls]}")

    def wait_call(self, number=0, timeout=tls.DEADLINE):
        """Waits for the call and returns it."""
        self.wait(lambda: len(self.calls) > number, timeout)
        return self.calls[number]

    def wait_over(self, number=0, timeout=tls.DEADLINE):
        """Waits until the call has ended and returns its record."""
        call = self.wait_call(number, timeout)
        if not call.over.wait(timeout):
            raise TimeoutError(f"the call has not ended: {call.record}")
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
    parser.add_argument("--auth",
                        help="comma list of " + ", ".join(ppp.METHODS) + "; the first is requested")
    parser.add_argument("--hash", type=int, choices=(1, 2, 3), default=3)
    parser.add_argument("--plain", action="store_true", help="no TLS")
    parser.add_argument("--cert-hash-of", metavar="FILE", help="certificate that clients must hash")
    parser.add_argument("--dialect", choices=DIALECTS, default="strict")
    parser.add_argument("--shape", choices=("packet", "octets", "joined", "odd"))
    parser.add_argument("--refuse", type=int, metavar="STATUS")
    parser.add_argument("--load", choices=("echo", "source", "sink"))
    parser.add_argument("--load-octets", type=int, default=1 << 20)
    parser.add_argument("--ready", metavar="FILE", help="file that gets the address once the server listens")
    parser.add_argument("--log", metavar="FILE", help="file that gets one line of JSON for each call")
    options = parser.parse_args()
    if not options.plain and not (options.cert and options.key):
        parser.error("--cert and --key, or --plain")
    leaf = first_der(options.cert_hash_of) if options.cert_hash_of else None
    log = open(options.log, "a") if options.log else None
    with Server(options.cert, options.key, listen=options.listen,
                users=dict(user.split(":", 1) for user in options.user),
                auth=tuple(options.auth.split(",")) if options.auth else None, mask=options.hash, dialect=options.dialect,
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
