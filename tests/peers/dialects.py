"""How known servers and clients differ from the specification. PROTOCOL.md has the source and the
evidence of each line; unobserved behaviour is a doubt, with alternatives that tests play."""

from dataclasses import dataclass, field

from peers import head, ppp, sstp

CONTENT_LENGTH = b"Content-Length: " + head.LENGTH
MICROSOFT = b"Server: Microsoft-HTTPAPI/2.0"
DATE = b"Date: Thu, 09 Nov 2006 00:51:09 GMT"


@dataclass
class Timers:
    """[MS-SSTP] 3.1.2, 3.3.2.1, in seconds. None: the server has no such timer."""
    negotiation: float = 60     # until the Connect Request, and again from the Ack to Call Connected
    hello: float = 60           # without a packet: Echo Request; after the same time again: drops the call
    abort: float = 3            # after an Abort, for the peer's Abort
    disconnect: float = 5       # after a Disconnect, for its Ack


NO_TIMERS = Timers(None, None, None, None)


@dataclass
class Dialect:
    """A server (PROTOCOL.md 1.3, 2.1, 3.3, 4.5, 5.1)."""
    head_status: int = 404          # of HEAD for the URI of SSTP; None: it closes (PROTOCOL.md 1.4)
    status_line: bytes = b"HTTP/1.1 200 OK"
    fields: tuple = (CONTENT_LENGTH, MICROSOFT)
    auth: tuple = ("mschapv2",)     # the methods that it offers, in order of preference
    lcp: tuple = ()                 # its LCP options besides MRU, method and magic number
    lcp_takes: tuple = (ppp.OPT_MRU, ppp.OPT_ACCM, ppp.OPT_MAGIC, ppp.OPT_PFC, ppp.OPT_ACFC)
    mask: int = None                # None: as the server is configured
    shape: str = "packet"
    strict: bool = True             # checks request, order of messages, canonical forms
    checks: tuple = ("nonce", "hash-protocol", "certificate", "mac")
    abort: bytes = sstp.BINDING_ABORT
    form_abort: bytes = sstp.status(sstp.ABORT, 2, 9)   # for a Call Connected that cannot be parsed
    disconnect: bytes = sstp.status(sstp.DISCONNECT, 0, 0)
    nak: bytes = sstp.control(sstp.CONNECT_NAK,
                              sstp.attribute(sstp.ATTR_STATUS, bytes([0, 0, 0, 1, 0, 0, 0, 4, 0, 1])))
    nak_retries: int = 3            # then Abort, status 6
    timers: Timers = field(default_factory=lambda: NO_TIMERS)
    masks_length: bool = True       # ignores the four bits above the length of a packet
    full_frames: bool = False       # drops PPP frames without FF 03
    host_name: str = None           # required SNI and Host
    proxy_header: bool = False      # requires a PROXY header
    answers_echo: bool = True
    acknowledges: bool = True       # a Disconnect
    drops_early: bool = False       # octets that arrive with the request
    echoes_early: bool = False      # Echo Request before Call Connected
    eap_zeros: bool = False         # HLAK of zeros for EAP-MSCHAPv2
    double: bool = False            # MS-CHAPv2 twice; the second login counts
    inner_length: bool = True       # the length inside a PPP packet truncates it; False: is ignored
    ms_length: bool = True          # the same for MS-Length inside EAP-MSCHAPv2
    pap_nak: bool = True            # False: after a wrong password the server ends the call without a Nak
    obeys_auth: bool = False        # the client's option 3 decides on the method
    name_ends: str = "counted"      # "nul": names are C strings; "trimmed": and without blanks around them
    exact_ack: bool = True          # an Ack must repeat the Configure-Request
    restarts: bool = True           # LCP restarts if the client sends a Configure-Request in a tunnel
    pap_tail: bytes = b""           # sent after the declared length of a PAP Ack
    doubts: dict = field(default_factory=dict)  # unobserved behaviour: other values of the fields above


DIALECTS = {
    "strict": Dialect(),
    # [MS-SSTP] 3.3; the other facts come from a packet capture and an issue. LCP: multilink
    # (MRRU 1614), callback, an endpoint discriminator. No MS-CHAPv1 since Vista (PROTOCOL.md 5.2).
    "rras": Dialect(
        head_status=401, status_line=b"HTTP/1.1 200 ", fields=(CONTENT_LENGTH, MICROSOFT, DATE), mask=2,
        auth=("eap-mschapv2", "eap-tls", "peap", "mschapv2", "chap-md5", "pap"),
        lcp=((ppp.OPT_CALLBACK, b"\6"), (ppp.OPT_MRRU, (1614).to_bytes(2, "big")),
             (ppp.OPT_ENDPOINT, b"\3\2\0\0\0\0\1")),
        timers=Timers(),
        doubts={
            "one hash offered or both": [dict(mask=1), dict(mask=3)],
            "a blank after the status": [dict(status_line=b"HTTP/1.1 200"),
                                          dict(status_line=b"HTTP/1.1 200 OK")],
            "the order of its fields": [dict(fields=(DATE, MICROSOFT, CONTENT_LENGTH))],
            "octets sent with the request": [dict(drops_early=True)],
            "packets in a record": [dict(shape="joined"), dict(shape="odd")],
            "the key of EAP-MSCHAPv2": [dict(eap_zeros=True, auth=("eap-mschapv2",))],
            "compressed fields": [dict(lcp_takes=(ppp.OPT_MRU, ppp.OPT_MAGIC))],
            "an Ack for a Disconnect": [dict(acknowledges=False)],
        }),
    # The attribute of the Nak has length 12 but 14 octets. RADIUS keys: it accepts only MS-MPPE keys of
    # 16 octets and calculates with zeros instead of others (PROTOCOL.md 4.5). No EAP.
    "accel-ppp": Dialect(
        head_status=501, fields=(DATE, CONTENT_LENGTH, b"Connection: keep-alive"),
        auth=("mschapv2", "mschapv1", "chap-md5", "pap"),
        strict=False, masks_length=False, name_ends="nul", exact_ack=False, restarts=False,
        abort=sstp.status(sstp.ABORT, 2, 7), form_abort=sstp.status(sstp.ABORT, 2, 7),
        nak=bytes.fromhex("10010016000300010002000c00000001000000040001"),
        doubts={"the field of keep-alive": [dict(fields=(DATE, CONTENT_LENGTH))]}),
    "softether": Dialect(
        fields=(CONTENT_LENGTH, MICROSOFT, DATE),
        auth=("eap-mschapv2", "eap-tls", "mschapv2", "pap"),
        lcp_takes=(ppp.OPT_MRU, ppp.OPT_ACCM),
        shape="joined", strict=False, checks=(), mask=2, full_frames=True,
        inner_length=False, ms_length=False, pap_nak=False, obeys_auth=True, name_ends="trimmed", exact_ack=False, restarts=False,
        abort=sstp.control(sstp.ABORT), disconnect=sstp.control(sstp.DISCONNECT),
        answers_echo=False),
    # It runs pppd, whose methods depend on its build and configuration. It has neither a Nak nor a timer
    # for the negotiation.
    "sorz": Dialect(
        head_status=None, fields=(CONTENT_LENGTH, b"Server: SSTP-Server/0.6.0"),
        auth=("mschapv2", "mschapv1", "chap-md5", "pap", "eap-mschapv2", "eap-tls", "peap"),
        mask=0, strict=False, checks=("nonce",), name_ends="nul", ms_length=False,
        abort=bytes.fromhex("10010010000500010002000800000007"),
        form_abort=bytes.fromhex("10010010000500010002000800000007"),
        disconnect=bytes.fromhex("10010010000600010000000800000000"), nak=b"",
        drops_early=True, echoes_early=True),
    "ogital": Dialect(head_status=400, fields=(CONTENT_LENGTH, MICROSOFT, DATE)),
    # Its checks are not documented (PROTOCOL.md 8.2).
    "mikrotik": Dialect(status_line=b"HTTP/1.1 200 ", fields=(CONTENT_LENGTH, b"Server: MikroTik-SSTP", DATE),
                        auth=("mschapv2", "mschapv1", "chap-md5", "pap"), strict=False, pap_tail=b"\0\0\0\0",
                        doubts={"what it checks": [dict(checks=())]}),
}


# ---- clients: keywords for Client ----

def correlation_of_sstpc():
    """Groups without their leading zeros, and one too few."""
    return b"{3f2a19-1c5-9e07-8d41f}"


CLIENTS = {
    # Requests compressed fields, callback, multilink; TLS 1.0 in Windows 7. Call Connected 50 ms
    # after the Success, before IPCP.
    "windows": dict(sni="vpn.example.com", picks="spec", acknowledges_from=8,
                    lcp=((ppp.OPT_PFC, b""), (ppp.OPT_ACFC, b""), (ppp.OPT_CALLBACK, b"\6"),
                         (ppp.OPT_MRRU, (1614).to_bytes(2, "big")),
                         (ppp.OPT_ENDPOINT, b"\1" + bytes(16))),
                    lcp_refuses=()),
    "sstpc": dict(sni="vpn.example.com", fields=("host", "length", "correlation"),
                  correlation=correlation_of_sstpc(), picks="sha256-or-sha1",
                  lcp_refuses=(ppp.OPT_CALLBACK, ppp.OPT_MRRU), acknowledges_from=14),
    "kittoku": dict(sni="vpn.example.com", fields=("length", "host", "correlation"), shape="joined",
                    picks="spec", acknowledges_from=8,
                    lcp_refuses=(ppp.OPT_CALLBACK, ppp.OPT_MRRU, ppp.OPT_ENDPOINT)),
    "sstoper": dict(fields=("host", "correlation", "length"), picks="exactly-one",
                    lcp_refuses=(ppp.OPT_CALLBACK, ppp.OPT_MRRU, ppp.OPT_ENDPOINT)),
    # No SNI unless configured.
    "mikrotik": dict(picks="spec", lcp_refuses=(ppp.OPT_CALLBACK, ppp.OPT_MRRU)),
}

# Hash that a client chooses by the mask of the Ack (PROTOCOL.md 4.1); None: it gives up.
PICKS = {
    "sha256": lambda mask: sstp.SHA1 if mask == sstp.SHA1 else sstp.SHA256,
    "spec": lambda mask: sstp.SHA256 if mask & 2 else sstp.SHA1 if mask & 1 else None,
    "sha256-or-sha1": lambda mask: sstp.SHA256 if mask & 2 else sstp.SHA1,
    "sha1-only": lambda mask: sstp.SHA1 if mask & 1 or mask == 0 else None,
    "sha256-only": lambda mask: sstp.SHA256 if mask & 2 or mask == 0 else None,
    "exactly-one": lambda mask: mask if mask in (sstp.SHA1, sstp.SHA256) else None,
}
