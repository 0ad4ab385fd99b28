"""TLS over a socket, record by record.

The tests must see what ssl.SSLSocket hides: where records begin and end, and how a connection ended.
So TLS works on memory BIOs, and this module extracts the records."""

import functools
import select
import socket
import ssl
import threading
import time
import warnings

# How long a peer waits for an event that must occur. Long, because sanitizer builds are slow;
# a passing test never waits that long.
DEADLINE = 60.0

VERSIONS = {"1.0": ssl.TLSVersion.TLSv1, "1.1": ssl.TLSVersion.TLSv1_1,
            "1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


def _limit(context, low, high):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        if low:
            context.minimum_version = VERSIONS[low]
        if high:
            context.maximum_version = VERSIONS[high]
    if "1.0" in (low, high) or "1.1" in (low, high):
        # Old versions need SHA1 signatures, which levels above 0 refuse (PROTOCOL.md 6.1).
        context.set_ciphers("ALL:@SECLEVEL=0")


def server_context(cert, key, low=None, high=None):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _limit(context, low, high)
    context.load_cert_chain(cert, key)
    return context


def client_context(low=None, high=None):
    """Accepts any certificate: the tests only record which one it was."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    _limit(context, low, high)
    return context


@functools.cache
def shared_client_context(low, high):
    """The same for many clients, because OpenSSL needs milliseconds to make one: the caller changes nothing in it."""
    return client_context(low, high)


class Wire:
    """A socket with deadlines that records how the peer ended it: `ended` is None, "eof",
    "close-notify", "reset" or "alert: REASON". Also the counterpart of Tls for plain HTTP."""

    def __init__(self, sock):
        sock.settimeout(DEADLINE)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = sock
        self.ended = None
        self.sending = threading.Lock()
        self.version = None
        self.peer_der = None
        self.records = 0

    def receive(self, deadline):
        """Returns some octets, b"" at the end. Raises TimeoutError if nothing arrives in time. Uses poll
        instead of the socket's timeout, because another thread may be sending with that."""
        poll = select.poll()
        left = max(0.0, deadline - time.monotonic())
        try:
            poll.register(self.sock, select.POLLIN)
            if not poll.poll(left * 1000):
                raise TimeoutError("the peer is silent")
            octets = self.sock.recv(65536)
        except TimeoutError:
            raise
        except (OSError, ValueError):  # reset, or closed by another thread
            self.ended = "reset"
            return b""
        if not octets:
            self.ended = self.ended or "eof"
        return octets

    def read_record(self, timeout=DEADLINE):
        octets = self.receive(time.monotonic() + timeout) if not self.ended else b""
        self.records += bool(octets)
        return octets or None

    def write(self, octets):
        with self.sending:
            self.sock.sendall(octets)

    def handshake(self, timeout=DEADLINE):
        pass

    def finish_writing(self, notify=True):
        """Half-closes: nothing more will be sent."""
        try:
            self.sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def close(self, how="clean"):
        """how: "clean": close_notify and FIN; "fin": only FIN; "rst": reset. Wakes every other thread that
        uses the socket."""
        if how == "rst":
            linger = b"\1\0\0\0\0\0\0\0"
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        else:
            self.finish_writing(notify=how == "clean")
            try:
                self.sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        self.sock.close()

    def wait_end(self, timeout=DEADLINE):
        """Reads and discards until the peer ends; returns how it ended."""
        deadline = time.monotonic() + timeout
        while not self.ended:
            self.read_record(max(0.0, deadline - time.monotonic()))
        return self.ended


class Tls(Wire):
    def __init__(self, sock, context, server_side=False, server_hostname=None):
        super().__init__(sock)
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._ssl = context.wrap_bio(self._in, self._out, server_side, server_hostname)
        self._raw = bytearray()
        self._machine = threading.Lock()

    def _flush(self):
        """Sends the pending output of TLS, under a lock, so that records leave in the order in which they
        were made."""
        with self.sending:
            with self._machine:
                octets = self._out.read()
            if octets:
                self.sock.sendall(octets)

    def _next_record(self, deadline):
        """Returns one record as it is on the wire, None at the end."""
        while True:
            if len(self._raw) >= 5:
                size = 5 + int.from_bytes(self._raw[3:5], "big")
                if len(self._raw) >= size:
                    record = bytes(self._raw[:size])
                    del self._raw[:size]
                    return record
            octets = b"" if self.ended else self.receive(deadline)
            if not octets:
                return None
            self._raw += octets

    def handshake(self, timeout=DEADLINE):
        """Raises ConnectionError if the peer ends it, ssl.SSLError if one of the two refuses."""
        deadline = time.monotonic() + timeout
        while True:
            try:
                with self._machine:
                    self._ssl.do_handshake()
                break
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLError:
                self._flush()
                raise
            self._flush()
            record = self._next_record(deadline)
            if record is None:
                raise ConnectionError(f"{self.ended} during the handshake")
            self._in.write(record)
        self._flush()
        self.version = self._ssl.version()
        self.peer_der = self._ssl.getpeercert(True)

    def read_record(self, timeout=DEADLINE):
        """Returns the plaintext of one record with application data; None at the end."""
        deadline = time.monotonic() + timeout
        while True:
            record = self._next_record(deadline)
            if record is None:
                return None
            with self._machine:
                self._in.write(record)
                octets = self._drain()
                answer = self._out.pending
            if answer:
                self._flush()
            if octets:
                self.records += 1
                return octets
            if self.ended:
                return None

    def _drain(self):
        octets = b""
        while True:
            try:
                more = self._ssl.read(65536)
            except ssl.SSLWantReadError:
                return octets
            except ssl.SSLZeroReturnError:
                more = b""
            except ssl.SSLError as error:
                self.ended = f"alert: {error.reason}"
                return octets
            if not more:
                self.ended = "close-notify"
                return octets
            octets += more

    def write(self, octets):
        """Sends one record, if the octets fit into one (16384)."""
        with self.sending:
            with self._machine:
                self._ssl.write(octets)
                records = self._out.read()
            self.sock.sendall(records)

    def finish_writing(self, notify=True):
        if notify:
            try:
                with self._machine:
                    self._ssl.unwrap()
            except ssl.SSLError:
                pass
            try:
                self._flush()
            except OSError:
                pass
        super().finish_writing()
