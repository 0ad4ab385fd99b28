"""PPP frames as SSTP carries them (no flags, no escapes, no FCS), their control packets (RFC 1661)
and the part of IPv4 that a ping needs."""

from dataclasses import dataclass

IPV4, IPV6 = 0x0021, 0x0057
IPCP, IPV6CP, CCP = 0x8021, 0x8057, 0x80FD
LCP, PAP, CHAP, EAP = 0xC021, 0xC023, 0xC223, 0xC227

CONF_REQ, CONF_ACK, CONF_NAK, CONF_REJ = 1, 2, 3, 4
TERM_REQ, TERM_ACK, CODE_REJ, PROT_REJ, ECHO_REQ, ECHO_REP, DISCARD = 5, 6, 7, 8, 9, 10, 11

OPT_MRU, OPT_ACCM, OPT_AUTH, OPT_MAGIC, OPT_PFC, OPT_ACFC = 1, 2, 3, 5, 7, 8
OPT_CALLBACK, OPT_MRRU, OPT_ENDPOINT = 13, 17, 19
OPT_ADDRESS = 3

# LCP option 3 (RFC 1334, 1994, 2433, 2759, 3748)
METHODS = {
    "pap": bytes.fromhex("c023"),
    "chap-md5": bytes.fromhex("c22305"),
    "mschapv1": bytes.fromhex("c22380"),
    "mschapv2": bytes.fromhex("c22381"),
    "eap-md5": bytes.fromhex("c227"),
    "eap-mschapv2": bytes.fromhex("c227"),
    "eap-tls": bytes.fromhex("c227"),
    "peap": bytes.fromhex("c227"),
    "eap": bytes.fromhex("c227"),           # any method of a RADIUS server and its client
}


def frame(protocol, body, acfc=False, pfc=False):
    """acfc omits FF 03, pfc the leading zero octet of a protocol number (RFC 1661 6.5, 6.6)."""
    number = protocol.to_bytes(2, "big")
    if pfc and protocol < 0x100:
        number = number[1:]
    return (b"" if acfc else b"\xff\x03") + number + body


def parse_frame(octets):
    """Returns (protocol, body); (None, b"") if the octets are not a frame."""
    if octets[:2] == b"\xff\x03":
        octets = octets[2:]
    if not octets:
        return None, b""
    if octets[0] & 1:
        return octets[0], octets[1:]
    if len(octets) < 2:
        return None, b""
    return int.from_bytes(octets[:2], "big"), octets[2:]


@dataclass
class Control:
    """A packet of LCP, IPCP, CHAP, PAP or EAP: code, identifier, length, data."""
    code: int
    ident: int
    data: bytes

    def build(self):
        return bytes([self.code, self.ident]) + (len(self.data) + 4).to_bytes(2, "big") + self.data


def parse_control(body, cut=True):
    """Returns None if body is not such a packet. Octets after the stated length are padding. cut=False:
    like SoftEther, with all octets, for any stated length of at least 4 (PROTOCOL.md 5.1)."""
    size = int.from_bytes(body[2:4], "big")
    if len(body) < 4 or size < 4 or size > len(body):
        return None
    return Control(body[0], body[1], body[4:size] if cut else body[4:])


def build_options(options):
    return b"".join(bytes([kind, len(value) + 2]) + value for kind, value in options)


def parse_options(octets):
    options = []
    while len(octets) >= 2 and 2 <= octets[1] <= len(octets):
        options.append((octets[0], octets[2:octets[1]]))
        octets = octets[octets[1]:]
    return options


def checksum(octets):
    if len(octets) % 2:
        octets += b"\0"
    total = sum(int.from_bytes(octets[i:i + 2], "big") for i in range(0, len(octets), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return (~total & 0xFFFF).to_bytes(2, "big")


def ipv4(source, target, protocol, body):
    head = bytes([0x45, 0]) + (20 + len(body)).to_bytes(2, "big") + bytes([0, 0, 0, 0, 64, protocol])
    total = checksum(head + bytes(2) + source + target)
    return head + total + source + target + body


def ping(source, target, ident, sequence, body=b"sstpgate", reply=False):
    rest = ident.to_bytes(2, "big") + sequence.to_bytes(2, "big") + body
    kind = bytes([0 if reply else 8, 0])
    return ipv4(source, target, 1, kind + checksum(kind + bytes(2) + rest) + rest)


@dataclass
class Ping:
    reply: bool
    source: bytes
    target: bytes
    ident: int
    sequence: int
    body: bytes


def parse_ping(packet):
    """Returns None unless it is an ICMP echo with right checksums."""
    if len(packet) < 28 or packet[0] >> 4 != 4 or packet[9] != 1:
        return None
    size = (packet[0] & 15) * 4
    icmp = packet[size:int.from_bytes(packet[2:4], "big")]
    if checksum(packet[:size]) != b"\0\0" or checksum(icmp) != b"\0\0" or icmp[0] not in (0, 8):
        return None
    return Ping(icmp[0] == 0, packet[12:16], packet[16:20], int.from_bytes(icmp[4:6], "big"),
                int.from_bytes(icmp[6:8], "big"), icmp[8:])
