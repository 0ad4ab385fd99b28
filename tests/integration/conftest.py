"""Fixtures: a directory with certificates and a users file, factories for gates, backends and clients, and
checks of every gate at the end of its test."""

import shutil
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from gate import Gate, write_config
from peers import mschap, pki
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

    def __init__(self, place):
        self.place = place
        self.gates, self.backends, self.clients, self.others = [], [], [], []

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


@pytest.fixture
def bench(place):
    bench = Bench(place)
    yield bench
    bench.finish()


@pytest.fixture(scope="module")
def shared(place):
    """A bench for all tests of a module."""
    bench = Bench(place)
    yield bench
    bench.finish()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if report.failed:
        for name in ("bench", "shared"):
            for gate in getattr(item.funcargs.get(name), "gates", []):
                report.sections.append((f"log of {gate.config.name}", gate.text()))
                report.sections.append((gate.config.name, gate.config.read_text()))
