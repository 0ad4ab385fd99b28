"""Two gates behind haproxy and nginx, with the configurations of RECIPES.md: the client's address, source affinity, a
gate that drains."""

import collections
import contextlib
import re
import socket
import subprocess
from types import SimpleNamespace

import pytest

from gate import ROOT, eventually
from peers.client import Client
from test_limits import ctl

CHAPTER = (ROOT / "RECIPES.md").read_text().split("\n## Several gates behind a load balancer\n")[1]
CLIENTS = [f"127.0.0.{n}" for n in range(20, 36)]


def recipe(language):
    return re.search(rf"^```{language}\n(.*?)^```", CHAPTER, re.M | re.S)[1]


@pytest.fixture
def gates(bench):
    """Two gates; the number of the gate that had a call is known by its log."""
    server = bench.backend()
    return [bench.gate(server, gate={"admin": f"unix:balanced-{n}.sock", "status": "127.0.0.1:0"},
                       listener={"accept_proxy": "yes", "trusted_proxies": "127.0.0.1"}) for n in range(2)]


def places(text, gates):
    """Returns the recipe with the addresses of these gates in place of those of RECIPES.md."""
    for n, gate in enumerate(gates):
        text = text.replace(f"10.20.0.{5 + n}:443", "%s:%d" % gate.address())
    return text


@contextlib.contextmanager
def running(command, folder, address, **options):
    log = folder / "balancer.log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=folder, **options)
    try:
        yield SimpleNamespace(address=address, log=log)
    finally:
        process.terminate()
        assert process.wait(60) is not None


@contextlib.contextmanager
def haproxy(folder, gates, affinity):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        text = places(recipe("haproxy"), gates).replace("bind 203.0.113.10:443", f"bind fd@{listener.fileno()}")
        for n, gate in enumerate(gates):
            text = re.sub(rf"(server gate{n + 1} \S+) port 9143", rf"\1 port {gate.address('status')[1]}", text)
        if not affinity:
            text = text.replace("    balance source\n    hash-type consistent\n", "")
        (folder / "haproxy.cfg").write_text(text.replace("inter 2s", "inter 100ms"))
        with running(["haproxy", "-db", "-f", "haproxy.cfg"], folder, listener.getsockname(),
                     pass_fds=[listener.fileno()]) as balancer:
            yield balancer


@contextlib.contextmanager
def nginx(folder, gates, affinity):
    """A socket that does not listen keeps the port for nginx."""
    with socket.socket() as keeper:
        keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        keeper.bind(("127.0.0.1", 0))
        address, pid = keeper.getsockname(), folder / "nginx.pid"
        text = places(recipe("nginx"), gates).replace("203.0.113.10:443", "%s:%d reuseport" % address)
        if not affinity:
            text = text.replace("        hash $remote_addr consistent;\n", "")
        (folder / "nginx.conf").write_text(f"load_module /usr/lib/nginx/modules/ngx_stream_module.so;\ndaemon off;\n"
                                           f"worker_processes 1;\npid {pid};\nerror_log stderr;\nevents {{}}\n{text}")
        with running(["nginx", "-e", "stderr", "-c", folder / "nginx.conf"], folder, address) as balancer:
            eventually(lambda: pid.exists() and pid.read_text(), lambda: f"nginx runs\n{balancer.log.read_text()}")
            yield balancer


def where(balancer, gates, client):
    """Makes a call from this address. Returns the number of its gate, whose log has the address."""
    before = [len(gate.events("call")) for gate in gates]
    dialled = Client(balancer.address, bind=client).establish().ping()
    dialled.disconnect()
    more = lambda: [n for n, gate in enumerate(gates) if len(gate.events("call")) > before[n]]
    number = eventually(more, "the call is in a log")[0]
    assert gates[number].events("call")[-1]["client"].startswith(f"{client}:")
    return number


BALANCERS = pytest.mark.parametrize("balanced", [haproxy, nginx], ids=lambda which: which.__name__)


@BALANCERS
def test_an_address_has_one_gate(tmp_path, gates, balanced):
    with balanced(tmp_path, gates, affinity=True) as balancer:
        first = {client: where(balancer, gates, client) for client in CLIENTS}
        assert set(first.values()) == {0, 1}
        assert {client: where(balancer, gates, client) for client in CLIENTS} == first
        assert {gate.events("call")[-1]["proxy"].rpartition(":")[0] for gate in gates} == {"127.0.0.1"}


@BALANCERS
def test_without_affinity_calls_are_spread(tmp_path, gates, balanced):
    with balanced(tmp_path, gates, affinity=False) as balancer:
        found = collections.Counter(where(balancer, gates, CLIENTS[0]) for _ in range(4))
    assert found == {0: 2, 1: 2}


@BALANCERS
def test_a_gate_that_drains_gets_no_calls_and_keeps_its_tunnel(tmp_path, gates, balanced):
    with balanced(tmp_path, gates, affinity=True) as balancer:
        tunnel = Client(balancer.address, bind=CLIENTS[0]).establish().ping()
        number = eventually(lambda: [n for n, gate in enumerate(gates) if gate.events("up")], "a tunnel is up")[0]
        ctl(gates[number], "drain")
        assert all(where(balancer, gates, client) == 1 - number for client in CLIENTS)
        tunnel.ping().disconnect()
        gates[number].wait_call()
