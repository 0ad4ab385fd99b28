"""A lossy line: two network namespaces with TUN devices, and a process between them that delays each
packet and drops some, like tc's netem, for kernels without it."""

import fcntl
import heapq
import os
import random
import select
import signal
import struct
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "integration"))

from netns import Namespace  # noqa: E402

TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000


def _tun(namespace, own, other):
    with namespace.entered():
        fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH", b"line", IFF_TUN | IFF_NO_PI))
        # A namespace inherits the congestion control of the machine, which may be one that tolerates loss.
        Path("/proc/sys/net/ipv4/tcp_congestion_control").write_text("reno")
        namespace.ip(f"address add {own} peer {other} dev line")
        namespace.ip("link set line up")
    return fd


def _carry(one, other, delay, loss):
    to = {one: other, other: one}
    late = []  # (when, number, where, packet)
    poll = select.poll()
    for fd in to:
        poll.register(fd, select.POLLIN)
    number = 0
    while True:
        wait = max(0.0, late[0][0] - time.monotonic()) * 1000 if late else None
        for fd, _ in poll.poll(wait):
            try:
                while packet := os.read(fd, 65536):
                    number += 1
                    if random.random() >= loss:
                        heapq.heappush(late, (time.monotonic() + delay, number, to[fd], packet))
            except BlockingIOError:
                pass
        now = time.monotonic()
        while late and late[0][0] <= now:
            _, _, where, packet = heapq.heappop(late)
            try:
                os.write(where, packet)
            except BlockingIOError:
                pass


class Line:
    """delay: seconds, in each direction. loss: a fraction of 1, in each direction."""

    NEAR, FAR = "10.77.0.1", "10.77.0.2"

    def __init__(self, delay, loss):
        self.near, self.far = Namespace(), Namespace()
        ends = _tun(self.near, self.NEAR, self.FAR), _tun(self.far, self.FAR, self.NEAR)
        self.pid = os.fork()
        if self.pid == 0:
            try:
                _carry(*ends, delay, loss)
            finally:
                os._exit(1)
        for fd in ends:
            os.close(fd)

    def close(self):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        self.near.close()
        self.far.close()
