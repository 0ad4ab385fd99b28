"""Fixtures: a directory with certificates and a users file, factories for gates, backends and clients, and
checks of every gate at the end of its test."""

import contextlib
import os
import shutil
import socket
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from gate import Gate, Part, write_config
from peers import acme, mschap, pki
from peers.client import Client
from peers.mitm import Mitm
from peers.server import Server

USERS = {"alice": "sesame", "bob": "b\u00e4r & \u20ac", "carol": "x" * 100}


@pytest.fixture(scope="session")
def place():
    """A directory with a short path, because lines of a configuration are short, and the objects that all tests
    share."""
    folder = Path(tempfile.mkdtemp(prefix="sg-"))
    users = folder / "users"
    users.touch(mode=0o600)
    users.write_text("".join(f"{name}:{mschap.hash_hash(password).hex()}\n"
                             for name, password in USERS.items()))
    ca = pki.make(folder, "ca", ca=True)
    old_ca = pki.make(folder, "old-ca", key="rsa", signature="sha1", ca=True)
    yield SimpleNamespace(
        folder=folder, ca=ca, users=users,
        front=pki.make(folder, "front", names=["vpn.example.com"]),
        front2=pki.make(folder, "front2", key="rsa", names=["two.example.com"]),
        back=pki.make(folder, "back"),
        back_ca=pki.make(folder, "back-ca", issuer=ca, names=["backend.internal", "127.0.0.1"]),
        old=pki.make(folder, "old", key="rsa", signature="sha1", issuer=old_ca),
        evil=pki.make(folder, "evil", names=["vpn.example.com"]))
    shutil.rmtree(folder)


class Bench:
    """Starts the processes of one test (or one module); finish() stops them in the right order."""

    count = 0

    def __init__(self, place, usual_gates=None):
        self.place, self.usual_gates = place, usual_gates
        self.gates, self.parts, self.backends, self.clients, self.others = [], [], [], [], []

    def backend(self, cert=None, **knobs):
        cert = cert or self.place.back
        server = Server(cert.cert, cert.key, **knobs).__enter__()
        server.cert = cert
        self.backends.append(server)
        return server

    def listener_keys(self, cert=None, **keys):
        cert = cert or self.place.front
        return {"listen": "127.0.0.1:0", "certificate": Path(cert.both).name, "default": "allow",
                "backend": "back", **{k.replace("_", "-"): v for k, v in keys.items()}}

    def backend_keys(self, to, /, **keys):
        """Returns the keys of a backend section for the Server `to`."""
        pinned = {"verify": "pin", "pin-sha256": to.cert.sha256} if to.context else \
                 {"tls": "no"}
        return {"server": to.address, **pinned, "crypto-binding": "rewrite",
                "users-file": "users", **{k.replace("_", "-"): v for k, v in keys.items()}}

    def config(self, sections):
        Bench.count += 1
        path = self.place.folder / f"{Bench.count}.conf"
        write_config(path, sections)
        return path

    def start(self, sections, **options):
        """Starts a gate with these sections, as for write_config; options as for Gate."""
        gate = Gate(self.config(sections), **options)
        self.gates.append(gate)
        return gate.start()

    def gate(self, server, gate=None, listener=None, backend=None, rules=()):
        """Starts the usual gate: the listener `front` and one backend. The dicts override its keys; rules:
        pairs of allow or deny and a network."""
        pairs = list(self.listener_keys(**(listener or {})).items()) + list(rules)
        return self.start({
            "gate": {"workers": 1, **{k.replace("_", "-"): v for k, v in (gate or {}).items()}},
            "listener front": pairs,
            "backend back": self.backend_keys(server, **(backend or {}))})

    def usual(self, **knobs):
        """Returns a server with these options, and a gate with the usual configuration before it, which other tests
        have used, too. For a test that only makes calls and reads the log."""
        part, sock = self.usual_gates.next()
        self.parts.append(part)
        return self.backend(sock=sock, **knobs), part

    def client(self, gate, listener="front", number=0, **knobs):
        client = Client(gate.address(listener, number), **knobs)
        self.clients.append(client)
        return client

    def mitm(self, gate, trick):
        mitm = Mitm(gate.address(), self.place.evil.cert, self.place.evil.key, trick).__enter__()
        self.others.append(mitm)
        return mitm

    def finish(self):
        for server in self.backends:
            server.go.set()
        for client in self.clients:
            client.close()
        try:
            for gate in self.gates:
                gate.stop()
        finally:
            for other in self.others:
                other.__exit__()
            for server in self.backends:
                server.close()
            for part in self.parts:
                part.stop()


class UsualGates:
    """Gates with the usual configuration, each for SLOTS tests, one after the other: with a sanitizer, a start takes
    much longer than a call. Each test has a listener, a backend and a server of its own."""

    SLOTS = 20

    def __init__(self, place):
        self.place, self.bench, self.used, self.sockets = place, None, [], []

    def next(self):
        """Returns a Part, and a socket that listens at the address of its server."""
        if not self.sockets:
            self.finish()
            self.start()
        self.used.append(os.environ.get("PYTEST_CURRENT_TEST", ""))
        return Part(self.gate, f"front-{len(self.sockets)}"), self.sockets.pop()

    def start(self):
        self.bench = Bench(self.place)
        self.sockets = [socket.create_server(("127.0.0.1", 0), backlog=256) for _ in range(self.SLOTS)]
        sections = {"gate": {"workers": 1, "admin": f"unix:{Bench.count + 1}.sock"}}
        for number, sock in enumerate(self.sockets, 1):
            server = SimpleNamespace(address="%s:%d" % sock.getsockname(), cert=self.place.back, context=True)
            sections[f"listener front-{number}"] = self.bench.listener_keys(backend=f"back-{number}")
            sections[f"backend back-{number}"] = self.bench.backend_keys(server)
        self.gate = self.bench.start(sections)

    def finish(self):
        for sock in self.sockets:
            sock.close()
        used, self.sockets, self.used = self.used, [], []
        try:
            if self.bench:
                self.bench.finish()
        except AssertionError as error:
            raise AssertionError("in one of these tests:\n%s\n%s" % ("\n".join(used), error)) from None
        finally:
            self.bench = None


@pytest.fixture(scope="session")
def usual_gates(place):
    gates = UsualGates(place)
    yield gates
    gates.finish()


@pytest.fixture
def bench(place, usual_gates):
    bench = Bench(place, usual_gates)
    yield bench
    bench.finish()


@pytest.fixture(scope="module")
def shared(place):
    """A bench for all tests of a module."""
    bench = Bench(place)
    yield bench
    bench.finish()


@pytest.fixture
def responder():
    """Makes ACME clients for one test."""
    with contextlib.ExitStack() as stack:
        yield lambda serve: stack.enter_context(acme.Responder(serve))


@pytest.fixture
def freed_overwritten(monkeypatch):
    """For tests that search the memory of a gate: AddressSanitizer keeps freed memory for a while, so it overwrites it.
    Not for all tests, because it takes a twentieth of the time of a start."""
    options = os.environ.get("ASAN_OPTIONS")
    monkeypatch.setenv("ASAN_OPTIONS", ":".join(filter(None, [options, "max_free_fill_size=4194304"])))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if report.failed:
        for name in ("bench", "shared"):
            used = item.funcargs.get(name)
            for gate in [*used.gates, *used.parts] if isinstance(used, Bench) else []:
                report.sections.append((f"log of {gate.config.name}", gate.text()))
                report.sections.append((gate.config.name, gate.config.read_text()))
