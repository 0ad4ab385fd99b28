"""A stream of SSTP packets over TLS records: extracts packets, and sends them in records of every shape."""

import itertools
import threading

from peers import sstp, tls

# Record sizes for "odd": at and around the positions where a parser is likely to fail, especially in
# the header of a packet.
ODD_SIZES = (1, 2, 3, 4, 5, 7, 8, 9, 111, 113, 1400, 4094, 4096, 16383)
RECORD_MAX = 16384


class Packets:
    """shape: "packet" (one record for each packet), "octets" (one record for each octet), "joined" (as many
    packets as fit in one record; they wait for flush()), "odd" (records of odd sizes, independent of
    packets; they also wait for flush())."""

    def __init__(self, wire, shape="packet", masks=True):
        self.wire = wire
        self.shape = shape
        self.masks = masks  # as for sstp.measure
        self.received = self.received_octets = 0
        self.sent = self.sent_octets = 0
        self.misfits = 0  # records that were not exactly one packet
        self._in = bytearray()
        self._out = bytearray()
        self._sending = threading.RLock()
        self._sizes = itertools.cycle(ODD_SIZES)

    def feed(self, octets):
        """Takes octets that arrived before the stream began, in the record of the HTTP head."""
        self._in += octets

    def next(self, timeout=tls.DEADLINE):
        """Returns the next packet, None at the end of the stream."""
        while True:
            if len(self._in) >= 4:
                size = sstp.measure(self._in, self.masks)
                if len(self._in) >= size:
                    raw = bytes(self._in[:size])
                    del self._in[:size]
                    self.received += 1
                    self.received_octets += size
                    return sstp.parse(raw)
            record = self.wire.read_record(timeout)
            if record is None:
                return None
            fits = not self._in and len(record) >= 4 and sstp.measure(record, self.masks) == len(record)
            self.misfits += not fits
            self._in += record

    def send(self, packet):
        with self._sending:
            self.sent += 1
            self.sent_octets += len(packet)
            if self.shape == "packet":
                self.wire.write(packet)
            elif self.shape == "octets":
                for octet in packet:
                    self.wire.write(bytes([octet]))
            else:
                self._out += packet
                if len(self._out) >= 2 * RECORD_MAX:
                    self.flush(keep=RECORD_MAX)

    def flush(self, keep=0):
        if self.shape in ("packet", "octets"):
            return  # and do not wait for another thread that sends
        with self._sending:
            while len(self._out) > keep:
                size = RECORD_MAX if self.shape == "joined" else next(self._sizes)
                self.wire.write(bytes(self._out[:size]))
                del self._out[:size]
