"""TLS sessions of health checks that calls resume towards the backend. The backend verifies the binding: it must
be for the certificate that the backend has now."""

import socket
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from peers import tls
from peers.client import expect_failure
from peers.server import Server

CHECKS = ("tls", "http", "sstp")


class Calls:
    """Makes one call after the other, and reads their log lines."""

    def __init__(self, bench, gate):
        self.bench, self.gate, self.count = bench, gate, 0

    def line(self):
        self.count += 1
        return self.gate.wait_call(self.count - 1)

    def resumed(self):
        """Makes a call with a tunnel; returns whether it has resumed a session."""
        self.bench.client(self.gate).establish().ping().disconnect()
        line = self.line()
        assert (line["reason"], line["binding"]) == ("client-disconnect", "verified")
        up = [event for event in self.gate.events("up") if event["id"] == line["id"]][0]
        assert ("resumed" in line.fields) == ("resumed" in up.fields)
        return line.fields.get("resumed") == "yes"

    def until(self, resumed):
        """Makes calls until one has resumed a session, or has not."""
        deadline = time.monotonic() + tls.DEADLINE
        while self.resumed() != resumed:
            assert time.monotonic() < deadline


def start(bench, to, /, **keys):
    gate = bench.gate(to, backend={"check": "tls", "check-interval": "1s", **keys})
    return gate, Calls(bench, gate)


def renew(server, cert):
    """The server gets another certificate and keeps its ticket keys."""
    server.cert = cert
    server.context.load_cert_chain(cert.cert, cert.key)
    server.hashes = Server(cert.cert, cert.key).hashes


def pins(*certs):
    return {"pin-sha256": [cert.sha256 for cert in certs]}


def checked(server, count=1):
    """Waits until so many health checks more have ended."""
    def ended():
        return sum(call.over.is_set() and not call.record.seen for call in list(server.calls))
    target = ended() + count
    server.wait(lambda: ended() >= target)


@pytest.mark.parametrize("version", ["1.2", "1.3"])
@pytest.mark.parametrize("check", CHECKS)
def test_calls_resume(bench, check, version):
    """Also with several workers: one worker makes the checks, and the calls of all workers resume."""
    server = bench.backend(tls_min=version, tls_max=version, head_status=401)
    gate = bench.gate(server, gate={"workers": 3},
                      backend={"check": check, "check-interval": "1h"})
    calls = Calls(bench, gate)
    calls.until(True)
    assert all(calls.resumed() for _ in range(12))


@pytest.mark.parametrize("keys", [{"resume": "no"}, {"check": "tcp"}, {"check": "no"}], ids=str)
def test_no_session_is_kept(bench, keys):
    """Without a check that sees the certificate there is no session, and `resume = no` keeps none."""
    server = bench.backend()
    gate, calls = start(bench, server, **keys)
    for _ in range(3):
        if keys.get("check") != "no":
            checked(server)
        assert not calls.resumed()
    assert not any(call.wire._ssl.session_reused for call in server.calls if call.wire)


def test_checks_never_resume(bench):
    server = bench.backend()
    gate, calls = start(bench, server, check="sstp")
    calls.until(True)
    checked(server, 2)
    checks = [call for call in server.calls if call.over.is_set() and call.wire and not call.record.seen]
    assert len(checks) >= 2 and not any(call.wire._ssl.session_reused for call in checks)


def test_a_server_without_tickets(bench):
    """Its health checks succeed, and its calls make full handshakes."""
    server = bench.backend(tls_min="1.3")
    server.context.num_tickets = 0
    gate, calls = start(bench, server)
    for _ in range(3):
        checked(server)
        assert not calls.resumed()
    assert not [event for event in gate.events("server") if event["state"] == "down"]


# ---- attacks, and changes in between ----

@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_another_certificate_and_the_same_ticket_keys(bench, version):
    """Until the next check, a call binds to the old certificate. The server refuses it, which removes the session,
    so the next call works."""
    server = bench.backend(tls_min=version, tls_max=version)
    gate, calls = start(bench, server, **{"check-interval": "1h", **pins(bench.place.back, bench.place.evil)})
    calls.until(True)
    renew(server, bench.place.evil)
    expect_failure(bench.client(gate))
    line = calls.line()
    assert (line["reason"], line["resumed"], line["binding"]) == ("backend-abort", "yes", "verified")
    assert server.wait_over(len(server.calls) - 1).verdict == "certificate"
    assert not any(calls.resumed() for _ in range(3))
    assert server.calls[-1].record.verdict == "ok"


def test_the_next_check_sees_another_certificate(bench):
    """After the check, calls resume with the new certificate."""
    server = bench.backend()
    gate, calls = start(bench, server, **pins(bench.place.back, bench.place.evil))
    calls.until(True)
    renew(server, bench.place.evil)
    checked(server, 2)
    calls.until(True)
    assert all(calls.resumed() for _ in range(3))


def share_tickets(server, other):
    """Both servers get the ticket keys of the first; each keeps its certificate."""
    own = other.context

    def named(obj, name, context):
        if threading.current_thread().call.server is other:
            obj.context = own

    def context_for(call):
        threading.current_thread().call = call
        return server.context

    server.context.sni_callback = named
    server.context_for = other.context_for = context_for


def ticket_fits(server, other):
    """Returns whether `other` resumes a session of `server`."""
    context, session = tls.client_context(), None
    for to in (server, other):
        with socket.create_connection(("127.0.0.1", to.port)) as sock:
            with context.wrap_socket(sock, session=session) as client:
                session, reused = client.session, client.session_reused
    return reused


def test_a_ticket_of_another_server(bench):
    """Two servers with the same ticket keys and different certificates: each gets only its own session."""
    server = bench.backend(tls_min="1.2", tls_max="1.2")
    other = bench.backend(bench.place.evil, tls_min="1.2", tls_max="1.2")
    assert not ticket_fits(server, other)
    share_tickets(server, other)
    assert ticket_fits(server, other)
    gate, calls = start(bench, server, server=[server.address, other.address], balance="roundrobin",
                        **pins(bench.place.back, bench.place.evil))
    while not (calls.resumed() and calls.resumed()):
        pass
    assert all(calls.resumed() for _ in range(6))
    assert {call.record.verdict for s in (server, other) for call in s.calls if call.record.verdict} == {"ok"}


def test_a_server_that_does_not_know_the_ticket(bench):
    """A restart: other ticket keys, and even another certificate. The full handshake shows it."""
    server = bench.backend()
    gate, calls = start(bench, server, **{"check-interval": "1h", **pins(bench.place.back, bench.place.evil)})
    calls.until(True)
    renew(server, bench.place.evil)
    server.context = tls.server_context(bench.place.evil.cert, bench.place.evil.key)
    assert not any(calls.resumed() for _ in range(3))


def test_a_call_sees_another_certificate(bench):
    """Two machines behind one address, both renewed: one does not know the ticket, and its full handshake shows the
    new certificate. The other would resume the session, which has the old one."""
    server = bench.backend()
    gate, calls = start(bench, server, **{"check-interval": "1h", **pins(bench.place.back, bench.place.evil)})
    calls.until(True)
    first = server.context
    renew(server, bench.place.evil)
    server.context = tls.server_context(bench.place.evil.cert, bench.place.evil.key)
    assert not calls.resumed()
    server.context = first
    assert not any(calls.resumed() for _ in range(3))


def test_a_changed_pin(bench):
    """The session belongs to the configuration with the old pin."""
    server = bench.backend()
    gate, calls = start(bench, server, **{"check-interval": "1h"})
    calls.until(True)
    gate.config.write_text(gate.config.read_text().replace(server.cert.sha256, bench.place.evil.sha256))
    assert gate.reload()[-1]["msg"].endswith("is in force")
    assert expect_failure(bench.client(gate)).status == 503
    line = calls.line()
    assert line["reason"] == "backend-unverified" and "resumed" not in line.fields


@pytest.mark.parametrize("change", ["verify-host = other.internal", "resume = no", "sni = www.internal", "tls-max = 1.2"])
def test_changed_settings(bench, change):
    server = bench.backend(bench.place.back_ca)
    gate, calls = start(bench, server, **{"check-interval": "1h", "verify": "ca", "pin-sha256": None,
                                          "ca-file": bench.place.ca.cert, "verify-host": "backend.internal"})
    calls.until(True)
    key = change.partition(" ")[0]
    lines = [line for line in gate.config.read_text().splitlines() if not line.startswith(key + " ")]
    gate.config.write_text("\n".join([*lines, change, ""]))
    assert gate.reload()[-1]["msg"].endswith("is in force")
    if key == "verify-host":
        assert expect_failure(bench.client(gate)).status == 503
        assert calls.line()["reason"] == "backend-unverified"
    else:
        assert not calls.resumed()


def test_a_changed_ca_file(bench, tmp_path):
    """The new CA has not signed the server's certificate."""
    ca_file = tmp_path / "ca.pem"
    ca_file.write_bytes(Path(bench.place.ca.cert).read_bytes())
    server = bench.backend(bench.place.back_ca)
    gate, calls = start(bench, server, **{"check-interval": "1h", "verify": "ca", "pin-sha256": None,
                                          "ca-file": ca_file, "verify-host": "backend.internal"})
    calls.until(True)
    ca_file.write_bytes(Path(bench.place.evil.cert).read_bytes())
    gate.reload()
    assert expect_failure(bench.client(gate)).status == 503
    assert calls.line()["reason"] == "backend-unverified"


def test_a_failed_check(bench):
    """Its session is removed although the server is still up, and comes back with the next good check."""
    server = bench.backend(head_status=401)
    gate, calls = start(bench, server, check="http", fall=100)
    calls.until(True)
    good = server.dialect
    server.dialect = replace(good, head_status=503)
    calls.until(False)
    assert not any(calls.resumed() for _ in range(3))
    server.dialect = good
    calls.until(True)
