"""Sockets that a service manager has opened (sd_listen_fds(3)): LISTEN_FDS descriptors from 3 on, for
the process LISTEN_PID."""

import os
import socket
import subprocess
import sys

import pytest

from gate import BINARY
from peers.client import Client

# Moves its descriptors to 3, 4, … and executes the gate, as a service manager does.
LAUNCHER = """
import fcntl, os, sys
count, whose = int(sys.argv[1]), sys.argv[2]
high = [fcntl.fcntl(int(fd), fcntl.F_DUPFD, 100) for fd in sys.argv[3:3 + count]]
for fd in sys.argv[3:3 + count]:
    os.close(int(fd))
for number, fd in enumerate(high):
    os.dup2(fd, 3 + number)
    os.close(fd)
os.environ.update(LISTEN_FDS=str(count), LISTEN_FDNAMES=":".join(["sstpgate"] * count),
                  LISTEN_PID=str(os.getpid()) if whose == "ours" else "1")
os.execv(sys.argv[3 + count], sys.argv[3 + count:])
"""


def launcher(sockets, whose="ours"):
    numbers = [str(sock.fileno()) for sock in sockets]
    return {"before": [sys.executable, "-c", LAUNCHER, str(len(numbers)), whose, *numbers],
            "pass_fds": [sock.fileno() for sock in sockets]}


def listening(host="127.0.0.1", **options):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, 0), family=family, **options)


def name_of(sock):
    host, port = sock.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def start(bench, sockets, listen, whose="ours", workers=2, **listener):
    server = bench.backend()
    return bench.start({"gate": {"workers": workers},
                        "listener front": bench.listener_keys(listen=listen, **listener),
                        "backend back": bench.backend_keys(server)}, **launcher(sockets, whose))


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
@pytest.mark.parametrize("workers", [1, 3])
def test_used(bench, host, workers):
    """All workers share one queue; connections that waited in it before the gate started are answered."""
    with listening(host) as sock:
        early = [Client(sock.getsockname()[:2]).open() for _ in range(4)]
        bench.clients += early
        gate = start(bench, [sock], name_of(sock), workers=workers)
        for client in early:
            client.secure().ask().start().authenticate().connect().bring_up().ping().disconnect()
        for _ in range(5):
            bench.client(gate).establish().ping().disconnect()
    assert not gate.events("inherited")
    gate.wait_call(8)


def test_files_of_unix_sockets_stay(bench, tmp_path):
    """They are the service manager's, also after an upgrade: it starts the gate again at the next connection."""
    paths = [tmp_path / "admin", tmp_path / "status"]
    sockets = [socket.socket(socket.AF_UNIX) for _ in paths]
    for sock, path in zip(sockets, paths):
        sock.bind(str(path))
        sock.listen()
    keys = {"gate": {"admin": f"unix:{paths[0]}", "status": f"unix:{paths[1]}"},
            "listener front": bench.listener_keys(), "backend back": bench.backend_keys(bench.backend())}
    for upgrades in range(2):
        gate = bench.start(keys, **launcher(sockets))
        for _ in range(upgrades):
            gate.upgrade()
        assert not gate.events("inherited")
        gate.stop()
        gate.pids.clear()
        assert all(path.is_socket() for path in paths)
    for sock in sockets:
        sock.close()


def test_closed_when_no_listener_names_it(bench):
    """A warning names the socket. It is closed before the first call, so that no client waits in vain."""
    with listening() as used, listening("127.0.0.2") as stray:
        address = stray.getsockname()
        gate = start(bench, [stray, used], name_of(used))
        gate.wait_event("inherited")
        events = gate.events("inherited")
        assert len(events) == 1 and events[0].level == "warning"
        assert f"descriptor 3 listens on {name_of(stray)}" in events[0]["msg"]
        bench.client(gate).establish("request")
    with pytest.raises(ConnectionRefusedError):  # closed above here, so the gate had the last one
        socket.create_connection(address)


def test_what_is_no_listening_socket(bench):
    left, right = socket.socketpair()
    bound = socket.socket()
    bound.bind(("127.0.0.1", 0))
    reader, writer = os.pipe()
    pipe = os.fdopen(reader)
    with left, right, bound, pipe, listening() as sock:
        gate = start(bench, [left, bound, pipe, sock], name_of(sock))
        gate.wait_event("inherited", 2)
        said = [event["msg"] for event in gate.events("inherited")]
        assert len(said) == 3
        for number, line in zip((3, 4, 5), said):
            assert f"descriptor {number} " in line and "is not a listening TCP socket" in line
        bench.client(gate).establish("request")
    os.close(writer)


def test_some_inherited_some_not(bench):
    """Addresses without an inherited socket are opened as usual."""
    with listening() as sock:
        gate = start(bench, [sock], [name_of(sock), "127.0.0.2:0"])
        for number in range(2):
            bench.client(gate, number=number).establish("request")


def test_for_another_process(bench):
    """LISTEN_PID is that of a parent that has passed on its environment, so the gate ignores it."""
    with listening() as sock:
        address = name_of(sock)
        config = bench.config({
            "listener front": bench.listener_keys(listen=address),
            "backend back": bench.backend_keys(bench.backend())})
        options = launcher([sock], "another")
        done = subprocess.run([*options.pop("before"), BINARY, "-c", config], timeout=60,
                              capture_output=True, text=True, stdin=subprocess.DEVNULL, **options)
    assert done.returncode == 1
    assert address in done.stderr and "in use" in done.stderr


def test_takes_more_than_configured(bench):
    """systemd opens a bare port as [::] with IPv4, which contradicts `v6only = yes`, the default."""
    with listening("::", dualstack_ipv6=True) as sock:
        port = sock.getsockname()[1]
        config = bench.config({
            "listener front": bench.listener_keys(listen=f"[::]:{port}"),
            "backend back": bench.backend_keys(bench.backend())})
        options = launcher([sock])
        done = subprocess.run([*options.pop("before"), BINARY, "-c", config], timeout=60,
                              capture_output=True, text=True, stdin=subprocess.DEVNULL, **options)
        assert done.returncode == 1
        assert "v6only" in done.stderr and f"[::]:{port}" in done.stderr
        gate = start(bench, [sock], f"[::]:{port}", v6only="no")
    for host in ("127.0.0.1", "::1"):
        client = Client((host, port))
        bench.clients.append(client)
        client.establish("request")
    assert not gate.events("inherited")


def test_reload_keeps_it(bench):
    """An inherited socket stays open through reloads, as any other, and is closed when its address is
    removed."""
    with listening() as sock:
        address = sock.getsockname()
        gate = start(bench, [sock], [name_of(sock), "127.0.0.2:0"])
    client = bench.client(gate).establish().ping()
    assert gate.reload()[-1].level == "info"
    bench.client(gate).establish("request")
    text = gate.config.read_text()
    gate.config.write_text(text.replace(f"listen = {address[0]}:{address[1]}\n", ""))
    assert gate.reload()[-1].level == "info"
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address)
    client.ping().disconnect()

