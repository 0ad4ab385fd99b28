import pathlib
import tempfile

import pytest

import lab
import softether
from peers import pki


@pytest.fixture(scope="session")
def machine():
    """Checks the requirements of a call by sstpc."""
    lab.require("unshare nsenter setpriv ip modprobe linux.uml sstpc pppd vpncmd haproxy ping",
                "/dev/net/tun", "/usr/lib/uml/modules", lab.SOFTETHER, lab.GATE)


@pytest.fixture(scope="session")
def workshop():
    """The directory with all state of a run, below TMPDIR."""
    with tempfile.TemporaryDirectory(prefix="sstpgate-interop.") as directory:
        yield pathlib.Path(directory)


@pytest.fixture
def directory(workshop, request):
    path = workshop / "".join(c if c.isalnum() else "-" for c in request.node.nodeid)
    path.mkdir()
    return path


@pytest.fixture(scope="session")
def front(workshop):
    """The certificate that the gate presents to clients."""
    return pki.make(workshop, lab.NAME, key="rsa")


@pytest.fixture(scope="session")
def back(workshop):
    """The VPN server's certificate: another key, another hash."""
    return pki.make(workshop, "server.sstpgate.test", key="rsa")


@pytest.fixture(scope="session")
def softether_server(workshop, back):
    with softether.running(workshop / "softether", back) as address:
        yield address
