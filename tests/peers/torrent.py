"""Many RADIUS logins at once: requests at a steady rate, and their answers."""

import select
import socket
import time
from dataclasses import dataclass, field

from peers import mschap, radius
from peers.radius import MESSAGE_AUTHENTICATOR, MS_CHALLENGE, MS_RESPONSE2, USER_NAME, microsoft


BURST = 16


@dataclass
class Outcome:
    sent: int = 0
    codes: dict = field(default_factory=dict)   # code of the answer to how many
    waits: list = field(default_factory=list)   # seconds, for each answered request
    bad: int = 0                                # answers with a wrong signature, or without a request

    @property
    def lost(self):
        return self.sent - sum(self.codes.values())


def login(number):
    """Returns the attributes of an MS-CHAPv2 login of alice, with a new challenge each time."""
    challenge, peer = number.to_bytes(16, "big"), bytes(16)
    response = mschap.nt_response(challenge, peer, b"alice", "sesame")
    return [(MESSAGE_AUTHENTICATOR, bytes(16)), (USER_NAME, b"alice"),
            microsoft(MS_CHALLENGE, challenge),
            microsoft(MS_RESPONSE2, bytes(2) + peer + bytes(8) + response)]


def pour(address, secret, count, rate, patience=5.0, window=None, all_sent=None):
    """Sends count logins, at most rate per second, without retransmissions, so that a lost packet stays
    lost. Gives up after patience seconds without an answer. window: the number of requests that may wait for an
    answer, which lowers the rate on a slow machine. all_sent: called after the last one."""
    def may_send():
        return outcome.sent < count and (window is None or len(waiting) < window)

    outcome = Outcome()
    socks = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(1 + rate // 64)]
    for sock in socks:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        sock.connect(address)
    waiting = {}
    packets = [radius.Packet(radius.ACCESS_REQUEST, n // len(socks) % 256, attributes=login(n))
               for n in range(count)]
    octets = [packet.sign_request(secret) for packet in packets]
    began = latest = time.monotonic()
    try:
        while outcome.sent < count or waiting:
            now = time.monotonic()
            # Time that this process waited for the processor is not made up for by a burst.
            began = max(began, now - (outcome.sent + BURST) / rate)
            while may_send() and began + outcome.sent / rate <= now:
                n = outcome.sent
                sock = socks[n % len(socks)]
                waiting[sock, packets[n].ident] = packets[n], now
                sock.send(octets[n])
                outcome.sent, latest = n + 1, now
                if outcome.sent == count and all_sent:
                    all_sent()
            if now - latest > patience:
                break
            due = began + outcome.sent / rate if may_send() else now + 0.1
            for sock in select.select(socks, [], [], max(0.0, due - now))[0]:
                answer = radius.parse(sock.recv(8192))
                latest = time.monotonic()
                request, asked = waiting.pop((sock, answer.ident), (None, None))
                if request is None or not answer.answers(request, secret):
                    outcome.bad += 1
                    continue
                outcome.codes[answer.code] = outcome.codes.get(answer.code, 0) + 1
                outcome.waits.append(latest - asked)
    finally:
        for sock in socks:
            sock.close()
    return outcome
