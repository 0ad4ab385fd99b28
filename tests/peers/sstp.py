"""SSTP packets and the crypto-binding ([MS-SSTP] 2.2 and 3.2.5.2)."""

import hashlib
import hmac
from dataclasses import dataclass, field

VERSION = 0x10
MAX_PACKET = 4095
MAX_FRAME = MAX_PACKET - 4

CONNECT_REQUEST, CONNECT_ACK, CONNECT_NAK, CONNECTED = 1, 2, 3, 4
ABORT, DISCONNECT, DISCONNECT_ACK, ECHO_REQUEST, ECHO_RESPONSE = 5, 6, 7, 8, 9
NAMES = {
    CONNECT_REQUEST: "connect-request", CONNECT_ACK: "connect-ack", CONNECT_NAK: "connect-nak",
    CONNECTED: "connected", ABORT: "abort", DISCONNECT: "disconnect",
    DISCONNECT_ACK: "disconnect-ack", ECHO_REQUEST: "echo-request", ECHO_RESPONSE: "echo-response",
}

ATTR_PROTOCOL, ATTR_STATUS, ATTR_BINDING, ATTR_BINDING_REQUEST = 1, 2, 3, 4
SHA1, SHA256 = 1, 2
NO_KEY = bytes(32)

# A server's answer to a wrong binding ([MS-SSTP] 3.3.5.2.3).
BINDING_ABORT = bytes.fromhex("10010014000500010002000c0000000300000004")


class BadPacket(Exception):
    """The stream cannot be parsed any further."""


class BadAttributes(BadPacket):
    """A control message of this type whose attributes do not fill it."""

    def __init__(self, kind, what):
        super().__init__(what)
        self.type = kind


@dataclass
class Packet:
    raw: bytes
    control: bool
    type: int = 0
    attributes: list = field(default_factory=list)
    frame: bytes = b""

    @property
    def name(self):
        return NAMES.get(self.type, f"type-{self.type}") if self.control else "data"


def measure(head, masks=True):
    """Returns the length of the packet that starts with these 4 octets. Not every program masks the bits
    above it as [MS-SSTP] 2.2.1 demands."""
    if head[0] != VERSION:
        raise BadPacket(f"version {head[0]:#04x}")
    length = head[2] << 8 | head[3]
    if length > MAX_PACKET and not masks:
        raise BadPacket(f"length {length}")
    length &= 0x0FFF
    if length < (8 if head[1] & 1 else 4):
        raise BadPacket(f"length {length}")
    return length


def parse(raw):
    """Parses one complete packet. Attributes that do not fill the packet are an error of the sender."""
    if not raw[1] & 1:
        return Packet(raw, False, frame=raw[4:])
    packet = Packet(raw, True, type=int.from_bytes(raw[4:6], "big"))
    count, at = int.from_bytes(raw[6:8], "big"), 8
    for _ in range(count):
        if at + 4 > len(raw):
            raise BadAttributes(packet.type, "attribute outside the packet")
        size = int.from_bytes(raw[at + 2:at + 4], "big") & 0x0FFF
        if size < 4 or at + size > len(raw):
            raise BadAttributes(packet.type, f"attribute length {size}")
        packet.attributes.append((raw[at + 1], raw[at + 4:at + size]))
        at += size
    return packet


def data(frame):
    return bytes([VERSION, 0]) + (len(frame) + 4).to_bytes(2, "big") + frame


def attribute(ident, value):
    return bytes([0, ident]) + (len(value) + 4).to_bytes(2, "big") + value


def control(kind, *attributes):
    body = kind.to_bytes(2, "big") + len(attributes).to_bytes(2, "big") + b"".join(attributes)
    return bytes([VERSION, 1]) + (len(body) + 4).to_bytes(2, "big") + body


def connect_request(protocol=1):
    return control(CONNECT_REQUEST, attribute(ATTR_PROTOCOL, protocol.to_bytes(2, "big")))


def connect_ack(mask, nonce):
    return control(CONNECT_ACK, attribute(ATTR_BINDING_REQUEST, bytes([0, 0, 0, mask]) + nonce))


def status(kind, ident, value):
    """Builds an Abort or a Disconnect with a Status Info ([MS-SSTP] 2.2.8)."""
    return control(kind, attribute(ATTR_STATUS, bytes([0, 0, 0, ident]) + value.to_bytes(4, "big")))


def digest(protocol):
    return {SHA1: hashlib.sha1, SHA256: hashlib.sha256}[protocol]


def prf_plus(protocol, key, seed, length):
    """[MS-SSTP] 3.2.5.2.3. LEN is little endian, as only the vectors of 4.7 show."""
    tail = seed + length.to_bytes(2, "little")
    out = block = b""
    count = 0
    while len(out) < length:
        count += 1
        block = hmac.new(key, block + tail + bytes([count]), digest(protocol)).digest()
        out += block
    return out[:length]


def compound_mac(protocol, hlak, message):
    """Returns the Compound MAC of a Call Connected: over the complete message, with the octets of the MAC
    zero ([MS-SSTP] 3.2.5.2.4), keyed with the CMK (3.2.5.2.2)."""
    size = digest(protocol)().digest_size
    cmk = prf_plus(protocol, hlak, b"SSTP inner method derived CMK", size)
    return hmac.new(cmk, message[:80] + bytes(32), digest(protocol)).digest().ljust(32, b"\0")


def cert_hash(protocol, der):
    return digest(protocol)(der).digest().ljust(32, b"\0")


def call_connected(protocol, nonce, leaf_hash, hlak, said_protocol=None):
    """leaf_hash: 32 octets. said_protocol: the protocol that the message claims, if not the real one."""
    said = protocol if said_protocol is None else said_protocol
    body = bytes([0, 0, 0, said]) + nonce + leaf_hash + bytes(32)
    message = control(CONNECTED, attribute(ATTR_BINDING, body))
    return message[:80] + compound_mac(protocol, hlak, message)


@dataclass
class Binding:
    protocol: int
    nonce: bytes
    leaf_hash: bytes
    mac: bytes


def parse_connected(packet):
    """Returns the binding in a Call Connected, or None if the message does not have the only legal form
    ([MS-SSTP] 2.2.11)."""
    raw = packet.raw
    if len(raw) != 112 or len(packet.attributes) != 1:
        return None
    ident, value = packet.attributes[0]
    if ident != ATTR_BINDING or len(value) != 100 or any(value[:3]):
        return None
    return Binding(value[3], value[4:36], value[36:68], value[68:100])
