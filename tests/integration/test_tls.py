"""The client's TLS."""

import os

import pytest

from peers.client import CallFailed


def test_versions(bench):
    _, gate = bench.usual()
    for count, version in enumerate(("1.2", "1.3")):
        client = bench.client(gate, tls_min=version, tls_max=version).establish()
        assert client.wire.version == f"TLSv{version}"
        assert client.wire.peer_der == bench.place.front.der
        client.disconnect()
        assert gate.wait_call(count)["tls"].startswith(f"TLSv{version}")


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_too_old(bench, version):
    server, gate = bench.usual()
    with pytest.raises(CallFailed, match="ALERT_PROTOCOL_VERSION"):
        bench.client(gate, tls_min=version, tls_max=version).open().secure()
    assert gate.wait_call()["reason"] == "tls-failed"
    assert not server.calls


def test_old_client_where_wanted(bench):
    """Windows 7 uses TLS 1.0; SHA1 in its handshake needs security level 0 (PROTOCOL.md 6.1)."""
    gate = bench.gate(bench.backend(), listener={"cert": bench.place.front2, "tls-min": "1.0",
                                                 "ciphers": "DEFAULT:@SECLEVEL=0"})
    client = bench.client(gate, tls_min="1.0", tls_max="1.0").establish()
    assert client.wire.version == "TLSv1"
    client.ping().disconnect()


def key_share_hello(group, size):
    """Returns a ClientHello of TLS 1.3 with a key share of random bytes, which costs its sender no
    computation."""
    def u16(n):
        return n.to_bytes(2, "big")

    def extension(kind, body):
        return u16(kind) + u16(len(body)) + body

    share = b"\x7f" + os.urandom(size - 1)
    extensions = (extension(43, b"\2\3\4") + extension(10, u16(2) + u16(group)) +
                  extension(13, u16(6) + bytes.fromhex("040308040401")) +
                  extension(51, u16(4 + size) + u16(group) + u16(size) + share))
    body = (b"\3\3" + os.urandom(32) + b"\x20" + os.urandom(32) + u16(2) + b"\x13\1" + b"\1\0" +
            u16(len(extensions)) + extensions)
    message = b"\1" + len(body).to_bytes(3, "big") + body
    return b"\x16\3\1" + u16(len(message)) + message


@pytest.mark.parametrize("group, size", [(0x0100, 256), (0x0104, 1024)], ids=["ffdhe2048", "ffdhe8192"])
def test_finite_fields_get_an_alert(bench, group, size):
    """RFC 7919. OpenSSL would check the share with an exponent of full length (CVE-2022-40735)."""
    _, gate = bench.usual()
    client = bench.client(gate).open()
    client.wire.write(key_share_hello(group, size))
    assert client.wire.read_record() == b"\x15\3\3\0\2\2\x28"  # fatal, handshake_failure
    assert gate.wait_call()["reason"] == "tls-failed"


def test_no_common_cipher(bench):
    gate = bench.gate(bench.backend(), listener={"ciphers": "ECDHE-ECDSA-AES256-GCM-SHA384"})
    with pytest.raises(CallFailed, match="HANDSHAKE_FAILURE"):
        bench.client(gate, tls_max="1.2", ciphers="ECDHE-ECDSA-AES128-GCM-SHA256").open().secure()
    assert gate.wait_call()["reason"] == "tls-failed"


@pytest.mark.parametrize("octets", [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\0" * 100,
                                    b"\x16\x03\x01\xff\xff" + b"\xff" * 70000,
                                    b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00"],
                         ids=["http", "zeros", "oversized", "broken-hello"])
def test_garbage(bench, octets):
    server, gate = bench.usual()
    client = bench.client(gate).open()
    try:
        client.wire.write(octets)
    except OSError:
        pass  # the gate has ended the connection before the end
    client.wire.wait_end()
    assert gate.wait_call()["reason"] == "tls-failed"
    assert not server.calls


@pytest.mark.parametrize("how", ["fin", "rst"])
def test_gone_during_the_handshake(bench, how):
    _, gate = bench.usual()
    client = bench.client(gate).open()
    client.wire.write(b"\x16\x03\x01")
    client.close(how)
    assert gate.wait_call()["reason"] in ("client-closed", "client-reset", "tls-failed")


def test_sni(bench):
    _, gate = bench.usual()
    bench.client(gate, sni="vpn.example.com").establish("request").close()
    assert gate.wait_call()["sni"] == "vpn.example.com"
    bench.client(gate).establish("request").close()
    assert gate.wait_call(1)["sni"] == "-"


def test_never_resumed(bench):
    """A resumed handshake shows no certificate (PROTOCOL.md 6.2), so the gate sends no tickets."""
    import ssl
    import socket
    from peers import tls
    _, gate = bench.usual()
    context = tls.client_context(high="1.2")
    with context.wrap_socket(socket.create_connection(gate.address())) as first:
        session = first.session
    with context.wrap_socket(socket.create_connection(gate.address()), session=session) as second:
        assert isinstance(second, ssl.SSLSocket) and not second.session_reused
