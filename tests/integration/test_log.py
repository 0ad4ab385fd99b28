"""The log: the stage and the outcome of each call, the form of names, and the targets."""

import os
import re
import signal
import socket
import ssl
import subprocess

import pytest

from gate import BINARY, DEADLINE
from peers.client import CallFailed


def fails(client):
    with pytest.raises(CallFailed):
        client.establish()
    client.close()


def verdict(call):
    return call.level, call["outcome"], call["stage"]


def test_a_tunnel_that_ends(bench):
    gate = bench.gate(bench.backend())
    bench.client(gate).establish().disconnect()
    assert verdict(gate.wait_call()) == ("info", "ended", "up")


def test_a_login_that_fails(bench):
    gate = bench.gate(bench.backend())
    fails(bench.client(gate, password="wrong"))
    call = gate.wait_call()
    assert verdict(call) == ("warning", "failed", "login")
    assert (call["reason"], call["login-error"], call["login-failures"]) == ("login-refused", "691", "1")


@pytest.mark.parametrize("auth", ["pap", "chap-md5", "eap-mschapv2"])
def test_a_refusal_of_another_method(bench, auth):
    gate = bench.gate(bench.backend(auth=(auth,)))
    fails(bench.client(gate, auth=(auth,), password="wrong"))
    call = gate.wait_call()
    assert (call["reason"], call["stage"]) == ("login-refused", "login")
    assert call.fields.get("login-error") == ("691" if auth == "eap-mschapv2" else None)


def test_a_client_that_hangs_up_during_the_login(bench):
    gate = bench.gate(bench.backend())
    bench.client(gate).establish("start").close()
    assert gate.wait_call()["reason"] == "client-closed"


def test_a_tunnel_that_comes_up(bench):
    """The line `up` precedes the end, so that a crash leaves a trace."""
    gate = bench.gate(bench.backend())
    client = bench.client(gate).establish()
    up = gate.wait_event("up")
    assert not gate.events("call")
    client.disconnect()
    call = gate.wait_call()
    assert up.level == "info"
    assert {key: call[key] for key in up.fields} == up.fields
    assert {"id", "client", "user", "method", "backend", "server", "binding"} <= set(up.fields)


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_a_client_that_distrusts_the_certificate(bench, version):
    gate = bench.gate(bench.backend())
    context = ssl.create_default_context()
    context.minimum_version = context.maximum_version = getattr(ssl.TLSVersion,
                                                                "TLSv1_" + version[-1])
    with pytest.raises(ssl.SSLError), socket.create_connection(gate.address()) as sock:
        context.wrap_socket(sock, server_hostname="vpn.example.com")
    call = gate.wait_call()
    assert verdict(call) == ("warning", "failed", "tls")
    assert (call["reason"], call["sni"]) == ("client-rejected-certificate", "vpn.example.com")
    assert "unknown ca" in call["detail"]


@pytest.mark.parametrize("how", ["clean", "fin", "rst"])
@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_a_client_that_leaves_without_a_request(bench, version, how):
    """As WinHTTP: it verifies the certificate after the handshake, and sends no alert."""
    gate = bench.gate(bench.backend())
    bench.client(gate, tls_max=version, sni="vpn.example.com").open().secure().close(how)
    call = gate.wait_call()
    assert (call["reason"], call["detail"]) == ("client-rejected-certificate", "closed without a request")
    assert verdict(call) == ("warning", "failed", "request")


def test_a_client_that_leaves_in_its_request(bench):
    gate = bench.gate(bench.backend())
    client = bench.client(gate, head=b"SSTP_DUPLEX_POST /sra_").open().secure().send_request()
    client.close()
    assert gate.wait_call()["reason"] == "client-closed"


def test_a_client_that_only_connects(bench):
    gate = bench.gate(bench.backend(), gate={"log_level": "debug"})
    bench.client(gate).open().close()
    assert verdict(gate.wait_call()) == ("debug", "ended", "hello")


def test_a_version_that_is_too_old(bench):
    gate = bench.gate(bench.backend(), listener={"tls_min": "1.3"})
    with pytest.raises(CallFailed):
        bench.client(gate, tls_max="1.2").open().secure()
    call = gate.wait_call()
    assert (call["reason"], call["offered"], call["tls"]) == ("tls-failed", "TLSv1.2", "-")


def test_a_server_that_is_down(bench):
    server = bench.backend()
    gate = bench.gate(server)
    server.close()
    fails(bench.client(gate))
    assert verdict(gate.wait_call()) == ("warning", "failed", "backend")


def test_a_web_page(bench):
    gate = bench.gate(bench.backend())
    fails(bench.client(gate, head=b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"))
    assert verdict(gate.wait_call()) == ("info", "refused", "request")


@pytest.mark.parametrize("name, want", [
    ("CORP\\alice", "user=CORP\\alice"),
    ("jürgen", "user=jürgen"),
    ("-", 'user="-"'),
    ("al ice", 'user="al ice"'),
    ('x" reason=shutdown y="', 'user="x\\" reason=shutdown y=\\""'),
    ("a\u2028b", 'user="a\\u2028b"'),
    ("\u202eecila", 'user="\\u202eecila"'),
])
def test_names(bench, name, want):
    """Names are written unchanged, unless a reader could mistake them for a mark or another field; a reader of
    logfmt decodes them."""
    gate = bench.gate(bench.backend())
    fails(bench.client(gate, user=name, password="wrong"))
    call = gate.wait_call()
    assert f" {want} " in call.line
    assert call["user"] == name
    assert call["reason"] == "login-refused"


def first_line(bench, target, stream, env=None):
    """Returns the first line of a gate that logs to a standard stream, which is a pipe here."""
    read, write = os.pipe()
    config = bench.config({"gate": {"workers": 1, "max-tunnels": 100, "log": target},
                           "listener front": bench.listener_keys(),
                           "backend back": bench.backend_keys(bench.backend())})
    if env:
        stat = os.fstat(write)
        env = {**os.environ, "JOURNAL_STREAM": env(stat.st_dev, stat.st_ino)}
    gate = subprocess.Popen([BINARY, "-c", config], env=env, **{
        "stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL,
        stream: write})
    os.close(write)
    with open(read, encoding="utf-8") as lines:
        line = lines.readline()
        gate.send_signal(signal.SIGTERM)
        assert gate.wait(DEADLINE) == 0
    return line


@pytest.mark.parametrize("target", ["stdout", "stderr", "/dev/stdout"])
def test_standard_streams(bench, target):
    line = first_line(bench, target, target.removeprefix("/dev/"))
    assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z info listen listener=front ", line)


@pytest.mark.parametrize("target", ["stdout", "stderr"])
def test_journal(bench, target):
    """systemd connects a stream to the journal, which reads the priority and has the time itself."""
    line = first_line(bench, target, target, lambda device, inode: f"{device}:{inode}")
    assert line.startswith("<6>info listen listener=front ")


def test_a_stream_that_is_not_the_journal(bench):
    """The variable is inherited by programs whose output goes elsewhere."""
    line = first_line(bench, "stderr", "stderr", lambda device, inode: f"{device}:{inode + 1}")
    assert re.match(r"\d{4}-\S+Z info listen ", line)


@pytest.mark.parametrize("target", ["journal", "stdout:", "syslog:nonsense", "/dev/nonsense"])
def test_a_name_that_looks_like_a_target(bench, target):
    config = bench.config({"gate": {"log": target}, "listener front": bench.listener_keys(),
                           "backend back": bench.backend_keys(bench.backend())})
    done = subprocess.run([BINARY, "-t", "-c", config], capture_output=True, text=True,
                          timeout=DEADLINE)
    assert done.returncode == 1
    assert f"log: '{target}' " in done.stderr and "write " in done.stderr
