"""Network namespaces with a cable between them. They have no name and no connection to other networks, and end
with the last process and descriptor in them, so nothing is left on the machine."""

import contextlib
import ctypes
import os
import subprocess

import pytest

CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


def _call(name, *arguments):
    if getattr(_libc, name)(*arguments) != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{name}: {os.strerror(error)}")


def _here():
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


class Namespace:
    """with namespace.entered(): sockets, processes and threads that are created inside stay in the
    namespace."""

    def __init__(self):
        if os.geteuid() != 0:
            pytest.fail("this needs root, for namespaces", pytrace=False)
        before = _here()
        try:
            _call("unshare", CLONE_NEWNET)
            self.fd = _here()
            self.ip("link set lo up")
        finally:
            _call("setns", before, CLONE_NEWNET)
            os.close(before)

    @contextlib.contextmanager
    def entered(self):
        before = _here()
        _call("setns", self.fd, CLONE_NEWNET)
        try:
            yield self
        finally:
            _call("setns", before, CLONE_NEWNET)
            os.close(before)

    @staticmethod
    def ip(line):
        """Runs ip(8) in the namespace of the thread."""
        subprocess.run(["ip", *line.split()], check=True)

    def interface(self, name, *addresses):
        """Sets the interface up, with these addresses; IPv6 addresses can be used at once."""
        with self.entered():
            for address in addresses:
                self.ip(f"address add {address} dev {name}" + (" nodad" if ":" in address else ""))
            self.ip(f"link set {name} up")

    def route(self, line):
        with self.entered():
            self.ip("route add " + line)

    def cable(self, name, other, other_name):
        with self.entered():
            self.ip(f"link add {name} type veth peer name {other_name} "
                    f"netns /proc/{os.getpid()}/fd/{other.fd}")

    def close(self):
        os.close(self.fd)
