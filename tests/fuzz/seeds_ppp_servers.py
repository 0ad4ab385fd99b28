#!/usr/bin/python3
"""seeds_ppp_servers.py DIRECTORY: writes the named inputs of fuzz_ppp_servers, one conversation each:
every method of every server, and attacks on the login that a server reads. fuzz_ppp_servers.c
documents the format."""

import sys
from pathlib import Path

SOFTETHER, ACCEL, PPPD, RRAS = range(4)
EVENT, ACK, ACK_CHANGED, NAK, REQUEST, PAP, MSCHAP, MD5, CHANGE, IDENTITY, EAP_NAK, EAP_MD5, \
    EAP_MSCHAPV2, EAP_OCTETS, AGAIN, PACKET = range(16)
BURST, ACCEPTS = 0x10, 0x20
SHORT_HEAD, LENGTH, PADDED = 0x40, 0x80, 0xC0
TICK, RETRANSMIT, ASK_AGAIN, JUDGE, LATE = range(5)
WAITS, DOUBLE, EXPIRED = 0x08, 0x10, 0x20
ALICE, BOB, UPPER, DOMAIN, REALM, HUB, BLANK_BEFORE, BLANK_BEHIND = range(8)
MSCHAPV2 = b"\x03\x05\xc2\x23\x81"


def step(kind, *octets, flags=0, form=b""):
    return bytes([kind | flags, *octets]) + form


def event(which, flags=0):
    return step(EVENT, which, flags=flags)


def name(octets):
    return [0x80 | len(octets), *octets]


def mschap(who=ALICE, seed=0x40, flags=ACCEPTS, off=0, form=b""):
    return step(MSCHAP, off, seed, *(who if isinstance(who, list) else [who]), flags=flags, form=form)


def pap(who=ALICE, flags=ACCEPTS, form=b""):
    return step(PAP, 9, *(who if isinstance(who, list) else [who]), flags=flags, form=form)


def identity(who=ALICE, flags=0):
    return step(IDENTITY, 0, who, flags=flags)


def eap_mschapv2(who=ALICE, change=0, flags=ACCEPTS):
    return step(EAP_MSCHAPV2, 0, 0, change, 0x40, *(who if isinstance(who, list) else [who]), flags=flags)


def eap_says(kind, octets=b"", flags=0):
    return step(EAP_OCTETS, 0, kind, len(octets), *octets, flags=flags)


def acknowledged():
    return eap_says(26, b"\3")


def request(options=b""):
    return step(REQUEST, 1, len(options), *options)


def nak(*options):
    return step(PACKET, 0x30, 0, len(options), *options)


ack, md5 = step(ACK, 0), step(MD5, 0, 0x40, ALICE, flags=ACCEPTS)
eap_md5 = step(EAP_MD5, 0, 0x40, ALICE, flags=ACCEPTS)
tls = eap_says(13, b"\0abc") * 2 + eap_says(13, b"\0", flags=ACCEPTS)
lcp = request() + ack
softether = event(TICK)
softether_mschapv2 = softether + step(NAK, 0, 0) + ack


def begin(kind, settings=0):
    return bytes([kind, settings])


SEEDS = {
    "softether-eap-mschapv2": begin(SOFTETHER) + softether + ack + identity() + eap_mschapv2() + acknowledged(),
    "softether-eap-tls": begin(SOFTETHER, 1) + softether + ack + identity() + eap_says(13, b"\0abc") +
    eap_says(13, b"\0", flags=ACCEPTS),
    "softether-eap-nak": begin(SOFTETHER, 1) + softether + ack + identity() + step(EAP_NAK, 0, 1, 26) +
    eap_mschapv2() + acknowledged(),
    "softether-mschapv2": begin(SOFTETHER) + softether_mschapv2 + mschap(),
    "softether-double": begin(SOFTETHER, DOUBLE) + softether_mschapv2 + mschap() + mschap(seed=0x50),
    "softether-pap": begin(SOFTETHER) + softether + step(NAK, 0, 0) + step(NAK, 0, 2) + ack + pap(),
    "softether-refused": begin(SOFTETHER) + softether_mschapv2 + mschap(flags=0),
    "softether-eap-refused": begin(SOFTETHER) + softether + ack + identity() + eap_mschapv2(flags=0) +
    eap_says(26, b"\4"),
    "accel-mschapv2": begin(ACCEL) + lcp + mschap() + event(ASK_AGAIN) + mschap(UPPER, 0x50),
    "accel-mschapv2-radius": begin(ACCEL, WAITS) + lcp + mschap() + event(JUDGE, ACCEPTS),
    "accel-mschapv1": begin(ACCEL, 1) + lcp + mschap(),
    "accel-chap-md5": begin(ACCEL, 2) + lcp + md5,
    "accel-pap": begin(ACCEL, 3) + lcp + pap() + pap(BOB),
    "accel-pap-radius": begin(ACCEL, 3 | WAITS) + lcp + pap() + pap(BOB) + event(JUDGE, ACCEPTS),
    "accel-fallback": begin(ACCEL) + request() + step(NAK, 0, 2) * 3 + ack + pap(),
    "pppd-eap-mschapv2": begin(PPPD) + lcp + identity(DOMAIN) + eap_mschapv2() + acknowledged(),
    "pppd-mschapv2": begin(PPPD, 1) + lcp + mschap() + mschap(BOB, 0x50),
    "pppd-mschapv1": begin(PPPD, 2) + lcp + mschap(),
    "pppd-chap-md5": begin(PPPD, 3) + lcp + event(RETRANSMIT) + md5,
    "pppd-pap": begin(PPPD, 4) + lcp + pap(),
    "pppd-eap-md5": begin(PPPD, 5) + lcp + identity() + eap_md5,
    "pppd-eap-tls": begin(PPPD, 6) + lcp + identity() + tls,
    "pppd-eap-nak": begin(PPPD, 6) + lcp + identity() + step(EAP_NAK, 0, 1, 26) + eap_mschapv2() + acknowledged(),
    "pppd-restart": begin(PPPD, 1) + lcp + mschap() + request() + ack + mschap(BOB, 0x50),
    "rras-eap-mschapv2": begin(RRAS) + lcp + identity() + eap_mschapv2() + acknowledged(),
    "rras-mschapv2-retry": begin(RRAS, 1) + lcp + mschap(flags=0) + mschap(BOB, 0x50, off=1),
    "rras-mschapv2-expired": begin(RRAS, 1 | EXPIRED) + lcp + mschap() + step(CHANGE, 1, 0x50, flags=ACCEPTS),
    "rras-chap-md5": begin(RRAS, 2) + lcp + md5,
    "rras-pap": begin(RRAS, 3) + lcp + pap(),
    "rras-eap-tls": begin(RRAS, 4) + lcp + identity() + tls,
    # frames that the gate accepted and SoftEther did not, or the reverse
    "attack-length": begin(SOFTETHER) + softether_mschapv2 + mschap(BOB, 0x50, SHORT_HEAD | ACCEPTS | BURST) +
    mschap(flags=LENGTH | ACCEPTS, form=b"\0\4"),
    "attack-length-swapped": begin(SOFTETHER) + softether_mschapv2 +
    mschap(flags=LENGTH | ACCEPTS, form=b"\4\0"),
    "attack-option": begin(SOFTETHER) + softether + request(MSCHAPV2) + mschap(),
    "attack-beside": begin(SOFTETHER) + step(REQUEST, 1, 5, *MSCHAPV2) +
    mschap(flags=ACCEPTS | BURST) + step(EAP_NAK, 0, 1, 13, flags=SHORT_HEAD),
    "attack-ack-changed": begin(SOFTETHER) + softether_mschapv2[:-2] + step(ACK_CHANGED, 0, 1) + mschap(),
    "attack-ms-length": begin(SOFTETHER) + softether + ack + identity() + eap_mschapv2(name(b"alicebob"), 0xFD) +
    acknowledged(),
    "attack-ms-length-pppd": begin(PPPD) + lcp + identity() + eap_mschapv2(name(b"alicebob"), 0xFD) + acknowledged(),
    "attack-two-names": begin(ACCEL, WAITS) + lcp + mschap() + mschap(BOB, 0x50) + event(JUDGE, ACCEPTS),
    "attack-two-pap": begin(ACCEL, 3 | WAITS) + lcp + pap(BOB, 0) + pap(ALICE, PADDED, b"\6") +
    event(JUDGE, ACCEPTS),
    "attack-blank": begin(SOFTETHER) + softether_mschapv2 + mschap(BLANK_BEFORE),
    "attack-nul": begin(ACCEL, 3) + lcp + pap(name(b"alice\0x")),
    "attack-nul-softether": begin(SOFTETHER) + softether_mschapv2 + mschap(name(b"bob\0")),
    "attack-padding": begin(SOFTETHER) + softether_mschapv2 + mschap(BOB, 0x40, PADDED | ACCEPTS, form=b"\3"),
    "attack-eap-md5-name": begin(PPPD, 5) + lcp + identity(BOB) + eap_md5,
    "attack-inner-name": begin(PPPD) + lcp + identity(BOB) + eap_mschapv2() + acknowledged(),
    "attack-second-question": begin(PPPD, 1) + lcp + mschap() + event(ASK_AGAIN) + mschap(BOB, 0x50),
    "attack-double-name": begin(SOFTETHER, DOUBLE) + softether_mschapv2 + mschap() + mschap(BOB, 0x50),
    "attack-other-method": begin(ACCEL, 2) + lcp + mschap() + md5,
    # the server sends more while the answer that it judges is in flight
    "attack-restart": begin(SOFTETHER) + softether + nak(1, 4, 5, 0x78, *MSCHAPV2) + ack + event(LATE) +
    mschap() + event(RETRANSMIT) + mschap(BOB, 0x50) + event(LATE, ACCEPTS),
    "attack-crossing": begin(ACCEL, WAITS) + lcp + event(LATE) + mschap() + event(RETRANSMIT) +
    mschap(BOB, 0x50) + event(LATE) + event(JUDGE, ACCEPTS),
    # found by the fuzzer: SoftEther repeats a request for an unknown protocol, and the client agrees to
    # it after its answer
    "found-unknown-protocol": bytes.fromhex(
        "000000000f3000090104057803050000000f3000090104057803"
        "05c223810100263e3e3e3e3e0100263e3e0100010026400025010001000100010020 14"),
    "found-unanswered-request": bytes.fromhex("000000000f300009010405780305c22381010040000001260050012014"),
    "attack-late": begin(RRAS, 1) + lcp + mschap() + mschap(BOB, 0x50) + pap(BOB) + identity(BOB),
}


def main():
    folder = Path(sys.argv[1])
    folder.mkdir(exist_ok=True)
    for title, octets in SEEDS.items():
        (folder / title).write_bytes(octets)


if __name__ == "__main__":
    main()
