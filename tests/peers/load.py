"""Test traffic: data frames in many sizes, told apart by a counter, checked by a digest."""

import hashlib
import os

from peers import ppp, sstp

SIZES = (64, 1400, 4, sstp.MAX_FRAME - 4, 576, 8, 1500, 1, 2048, 0)
_NOISE = os.urandom(3 * sstp.MAX_FRAME)


def frames(total):
    """Yields numbered IPv4 frames with `total` octets in all; the last one is truncated to fit."""
    count = 0
    while total > 0:
        size = SIZES[count % len(SIZES)]
        at = count * 13 % (len(_NOISE) - size)
        frame = ppp.frame(ppp.IPV4, (count.to_bytes(8, "big") + _NOISE[at:at + size])[:size])
        frame = frame[:max(4, total)]
        yield frame
        total -= len(frame)
        count += 1


class Tally:
    """The traffic of one direction."""

    def __init__(self):
        self.packets = self.octets = 0
        self._digest = hashlib.sha256()

    def add(self, frame):
        self._digest.update(frame)
        self.packets += 1
        self.octets += len(frame)  # last, because other threads wait for it

    @property
    def digest(self):
        return self._digest.hexdigest()

    def __eq__(self, other):
        return (self.octets, self.packets, self.digest) == (other.octets, other.packets,
                                                            other.digest)

    def __repr__(self):
        return f"Tally({self.packets} packets, {self.octets} octets, {self.digest[:12]})"
