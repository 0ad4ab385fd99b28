"""The PROXY protocol (haproxy, doc/proxy-protocol.txt), versions 1 and 2: builds headers, and parses
received ones."""

import ipaddress
import struct
from dataclasses import dataclass, field

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
ALPN, AUTHORITY, CRC32C, UNIQUE_ID, SSL = 1, 2, 3, 5, 0x20
SSL_VERSION, SSL_CN, SSL_CIPHER = 0x21, 0x22, 0x23


def v1(source, destination):
    """source, destination: (host, port)."""
    family = 6 if ":" in source[0] else 4
    return (f"PROXY TCP{family} {source[0]} {destination[0]} {source[1]} "
            f"{destination[1]}\r\n").encode()


def tlv(kind, octets):
    return struct.pack("!BH", kind, len(octets)) + octets


def v2(source=None, destination=None, tlvs=b"", command=1):
    """Without addresses: LOCAL, as in a health check."""
    if source is None:
        return SIGNATURE + struct.pack("!BBH", 0x20, 0, len(tlvs)) + tlvs
    hosts = [ipaddress.ip_address(end[0]).packed for end in (source, destination)]
    family = 0x11 if len(hosts[0]) == 4 else 0x21
    body = b"".join(hosts) + struct.pack("!HH", source[1], destination[1]) + tlvs
    return SIGNATURE + struct.pack("!BBH", 0x20 | command, family, len(body)) + body


@dataclass
class Header:
    version: int
    source: tuple = None
    destination: tuple = None
    tlvs: dict = field(default_factory=dict)
    client: int = None      # of the SSL TLV
    verify: int = None
    ssl: dict = field(default_factory=dict)


def _tlvs(octets):
    found = {}
    while octets:
        kind, size = struct.unpack_from("!BH", octets)
        assert kind not in found and len(octets) >= 3 + size, "malformed TLVs"
        found[kind] = octets[3:3 + size]
        octets = octets[3 + size:]
    return found


def receive(sock):
    """Reads exactly one header from a connection."""
    def take(count):
        octets = b""
        while len(octets) < count:
            more = sock.recv(count - len(octets))
            if not more:
                raise ConnectionError("end of the connection within a PROXY header")
            octets += more
        return octets

    octets = take(8)
    if octets == SIGNATURE[:8]:
        return _receive_v2(octets + take(8), take)
    while not octets.endswith(b"\r\n"):
        octets += take(1)
        assert len(octets) <= 107
    word, family, *ends = octets[:-2].decode().split(" ")
    assert word == "PROXY" and family in ("TCP4", "TCP6") and len(ends) == 4
    hosts = [str(ipaddress.ip_address(end)) for end in ends[:2]]
    return Header(1, (hosts[0], int(ends[2])), (hosts[1], int(ends[3])))


def _receive_v2(fixed, take):
    assert fixed[:12] == SIGNATURE
    command, family, size = struct.unpack("!BBH", fixed[12:])
    body = take(size)
    assert command == 0x21 and family in (0x11, 0x21)
    n = 4 if family == 0x11 else 16
    hosts = [str(ipaddress.ip_address(body[at:at + n])) for at in (0, n)]
    ports = struct.unpack_from("!HH", body, 2 * n)
    header = Header(2, (hosts[0], ports[0]), (hosts[1], ports[1]), _tlvs(body[2 * n + 4:]))
    if SSL in header.tlvs:
        header.client, header.verify = struct.unpack_from("!BI", header.tlvs[SSL])
        header.ssl = _tlvs(header.tlvs[SSL][5:])
    return header
