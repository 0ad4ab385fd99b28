"""The connection to the backend: the certificates that the gate trusts, and the TLS versions."""

import pytest

from gate import with_hosts
from peers import sstp
from peers.client import expect_failure


def works(bench, server, **keys):
    gate = bench.gate(server, backend=keys)
    bench.client(gate).establish().ping().disconnect()
    assert server.wait_over().verdict == "ok"
    return gate


def unverified(bench, server, **keys):
    """Asserts that the client gets a 503, and the backend no request."""
    gate = bench.gate(server, backend=keys)
    failure = expect_failure(bench.client(gate))
    assert failure.status == 503
    assert gate.wait_call()["reason"] == "backend-unverified"
    assert all(call.record.head is None for call in server.calls)
    return gate


def ca(bench, **keys):
    return {"verify": "ca", "pin-sha256": None, "ca-file": bench.place.ca.cert, **keys}


def test_pin(bench):
    works(bench, bench.backend())


def test_second_pin(bench):
    server = bench.backend()
    works(bench, server, **{"pin-sha256": ["00" * 32, server.cert.sha256]})


def test_pin_with_colons(bench):
    server = bench.backend()
    text = bytes.fromhex(server.cert.sha256).hex(":").upper()
    works(bench, server, **{"pin-sha256": text})


def test_wrong_pin(bench):
    """The log has the pin that would match."""
    server = bench.backend()
    gate = unverified(bench, server, **{"pin-sha256": bench.place.evil.sha256})
    assert gate.wait_log(server.cert.sha256)


def test_wrong_pin_then_right_server(bench):
    """The first server does not listen; the second is trusted."""
    evil, server = bench.backend(bench.place.evil), bench.backend()
    gate = bench.gate(server, backend={"server": [evil.address, server.address]})
    bench.client(gate).establish().disconnect()
    assert server.wait_over().verdict == "ok"
    assert evil.wait_over().head is None


def test_ca(bench):
    works(bench, bench.backend(bench.place.back_ca), **ca(bench))


def test_ca_with_name(bench):
    works(bench, bench.backend(bench.place.back_ca), **ca(bench, **{"verify-host": "backend.internal"}))


def test_ca_wrong_name(bench):
    unverified(bench, bench.backend(bench.place.back_ca), **ca(bench, **{"verify-host": "other.internal"}))


def test_ca_unknown(bench):
    unverified(bench, bench.backend(bench.place.back), **ca(bench))


def test_verify_off(bench):
    works(bench, bench.backend(bench.place.evil), **{"verify": "off", "pin-sha256": None})


def test_sni_and_host(bench):
    server = bench.backend()
    works(bench, server, sni="vpn.internal")
    record = server.wait_over()
    assert record.sni == "vpn.internal"
    assert "\r\nHost: vpn.internal\r\n" in record.head


@pytest.mark.parametrize("server_name", ["backend.internal.", "Backend.internal"])
def test_a_dot_at_the_end(bench, tmp_path, server_name):
    """The resolver gets the name as written, TLS and HTTP its normal form."""
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.0.1 backend.internal backend.internal.\n")
    server = bench.backend(bench.place.back_ca)
    port = server.address.rpartition(":")[2]
    gate = bench.start({"gate": {"workers": 1}, "listener front": bench.listener_keys(),
                        "backend back": bench.backend_keys(server, **ca(bench, server=f"{server_name}:{port}"))},
                       before=with_hosts(hosts))
    bench.client(gate).establish().ping().disconnect()
    record = server.wait_over()
    assert record.sni == "backend.internal"
    assert "\r\nHost: backend.internal\r\n" in record.head


def test_host_of_its_own(bench):
    server = bench.backend()
    works(bench, server, **{"sni": "a.internal", "backend-host": "b.internal"})
    record = server.wait_over()
    assert record.sni == "a.internal"
    assert "\r\nHost: b.internal\r\n" in record.head


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_versions(bench, version):
    server = bench.backend(tls_min=version, tls_max=version)
    works(bench, server)
    assert server.wait_over().tls == f"TLSv{version}"


@pytest.mark.parametrize("hash", [sstp.SHA1, sstp.SHA256])
def test_old_backend(bench, hash):
    """TLS 1.0 and a leaf signed with SHA1, as in Server 2008."""
    server = bench.backend(bench.place.old, tls_min="1.0", tls_max="1.0")
    gate = bench.gate(server, backend={"tls-min": "1.0"})
    client = bench.client(gate, hash=hash).establish()
    assert client.wire.version == "TLSv1.3"  # the two connections are independent
    client.ping().disconnect()
    record = server.wait_over()
    assert (record.tls, record.verdict) == ("TLSv1", "ok")


def test_old_backend_unwanted(bench):
    server = bench.backend(bench.place.old, tls_min="1.0", tls_max="1.0")
    gate = bench.gate(server)
    assert expect_failure(bench.client(gate)).status == 503
    assert gate.wait_call()["reason"] == "backend-tls"


@pytest.mark.parametrize("policy", ["rewrite", "auto"])
@pytest.mark.parametrize("hash", [sstp.SHA1, sstp.SHA256])
def test_plain_http(bench, hash, policy):
    """A backend without TLS, whose administrator has set the hash of the certificate that it expects."""
    configured = bench.place.evil
    server = bench.backend(plain=True, leaf=configured.der)
    gate = bench.gate(server, backend={"binding-cert-hash": [configured.sha256, configured.sha1],
                                       "crypto-binding": policy})
    bench.client(gate, hash=hash).establish().ping().disconnect()
    assert server.wait_over().verdict == "ok"
    assert gate.wait_call()["binding"] == "verified"


def test_plain_http_passthrough(bench):
    """RRAS behind an offloader, as its manual describes: configured with the hash of the gate's certificate."""
    server = bench.backend(plain=True, leaf=bench.place.front.der)
    works(bench, server, **{"crypto-binding": "passthrough"})


# the log line has the step and the key to change

def failed(gate):
    event = gate.wait_event("backend")
    return event["failed"], event["msg"]


def test_log_of_old_backend(bench):
    server = bench.backend(bench.place.old, tls_min="1.0", tls_max="1.0")
    gate = bench.gate(server)
    expect_failure(bench.client(gate))
    step, text = failed(gate)
    assert step == "tls" and "set tls-min = 1.0" in text


def test_log_of_new_backend(bench):
    server = bench.backend(tls_min="1.3")
    gate = bench.gate(server, backend={"tls-max": "1.2"})
    expect_failure(bench.client(gate))
    step, text = failed(gate)
    assert step == "tls" and "no common TLS version" in text


def test_log_of_backend_silent_in_tls(bench):
    """The server accepts TCP, so neither the firewall nor the address is wrong."""
    server = bench.backend(hooks={"accepted": lambda call: call.server.go.wait()})
    gate = bench.gate(server, gate={"timeout-connect": "1s"})
    assert expect_failure(bench.client(gate)).status == 503
    step, text = failed(gate)
    assert step == "tls" and "accepts connections" in text
    assert gate.wait_call()["reason"] == "backend-tls"
    server.go.set()


def test_log_of_wrong_pin_and_wrong_ca(bench):
    """Both are failures of the verification."""
    gate = unverified(bench, bench.backend(), **{"pin-sha256": bench.place.evil.sha256})
    assert failed(gate)[0] == "verify"
    gate = unverified(bench, bench.backend(bench.place.back), **ca(bench))
    step, text = failed(gate)
    assert step == "verify" and "certificate" in text


def test_log_of_wrong_name(bench):
    """The line has the names of the certificate, and the key for one of them."""
    gate = unverified(bench, bench.backend(bench.place.back_ca), **ca(bench, **{"verify-host": "other.internal"}))
    step, text = failed(gate)
    assert step == "verify"
    assert "backend.internal" in text and "verify-host" in text and "mismatch" in text
