"""The log: the stage and the outcome of each call, the form of names, and the targets."""

import json
import os
import random
import re
import signal
import socket
import ssl
import subprocess

import pytest

from gate import BINARY, DEADLINE
from peers import head, ppp
from peers.client import CallFailed


def fails(client):
    with pytest.raises(CallFailed):
        client.establish()
    client.close()


def verdict(call):
    return call.level, call["outcome"], call["stage"]


def test_a_tunnel_that_ends(bench):
    _, gate = bench.usual()
    bench.client(gate).establish().disconnect()
    assert verdict(gate.wait_call()) == ("info", "ended", "up")


def test_a_login_that_fails(bench):
    _, gate = bench.usual()
    fails(bench.client(gate, password="wrong"))
    call = gate.wait_call()
    assert verdict(call) == ("warning", "failed", "login")
    assert (call["reason"], call["login-error"], call["login-failures"]) == ("login-refused", "691", "1")


@pytest.mark.parametrize("auth", ["pap", "chap-md5", "eap-mschapv2"])
def test_a_refusal_of_another_method(bench, auth):
    _, gate = bench.usual(auth=(auth,))
    fails(bench.client(gate, auth=(auth,), password="wrong"))
    call = gate.wait_call()
    assert (call["reason"], call["stage"]) == ("login-refused", "login")
    assert call.fields.get("login-error") == ("691" if auth == "eap-mschapv2" else None)


def test_a_client_that_hangs_up_during_the_login(bench):
    _, gate = bench.usual()
    bench.client(gate).establish("start").close()
    assert gate.wait_call()["reason"] == "client-closed"


def test_a_tunnel_that_comes_up(bench):
    """The line `up` precedes the end, so that a crash leaves a trace."""
    _, gate = bench.usual()
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
    _, gate = bench.usual()
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
    server, gate = bench.usual()
    server.close()
    fails(bench.client(gate))
    assert verdict(gate.wait_call()) == ("warning", "failed", "backend")


def test_a_web_page(bench):
    _, gate = bench.usual()
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
    _, gate = bench.usual()
    fails(bench.client(gate, user=name, password="wrong"))
    call = gate.wait_call()
    assert f" {want} " in call.line
    assert call["user"] == name
    assert call["reason"] == "login-refused"


def first_line(bench, target, stream, env=None, form="text"):
    """Returns the first line of a gate that logs to a standard stream, which is a pipe here."""
    read, write = os.pipe()
    config = bench.config({"gate": {"workers": 1, "max-tunnels": 100, "log": target,
                                    "log-format": form},
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
    assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z info start version=\S+ ciphers=", line)


@pytest.mark.parametrize("target", ["stdout", "stderr"])
def test_journal(bench, target):
    """systemd connects a stream to the journal, which reads the priority and has the time itself."""
    line = first_line(bench, target, target, lambda device, inode: f"{device}:{inode}")
    assert line.startswith("<6>info start version=")


def test_a_stream_that_is_not_the_journal(bench):
    """The variable is inherited by programs whose output goes elsewhere."""
    line = first_line(bench, "stderr", "stderr", lambda device, inode: f"{device}:{inode + 1}")
    assert re.match(r"\d{4}-\S+Z info start ", line)


@pytest.mark.parametrize("target", ["journal", "stdout:", "syslog:nonsense", "/dev/nonsense"])
def test_a_name_that_looks_like_a_target(bench, target):
    config = bench.config({"gate": {"log": target}, "listener front": bench.listener_keys(),
                           "backend back": bench.backend_keys(bench.backend())})
    done = subprocess.run([BINARY, "-t", "-c", config], capture_output=True, text=True,
                          timeout=DEADLINE)
    assert done.returncode == 1
    assert f"log: '{target}' " in done.stderr and "write " in done.stderr


# ---- log-format = json ----

def refuse(constant):
    raise ValueError(constant)


def objects(gate, event=None):
    """Returns the lines as objects. Each line must be one, of a strict reader: no NaN, no half surrogate."""
    found = []
    for line in list(gate.lines):
        item = json.loads(line, parse_constant=refuse)
        json.dumps(item, ensure_ascii=False).encode("utf-8")
        assert list(item)[:3] == ["time", "level", "event"]
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", item["time"])
        found.append(item)
    return [item for item in found if event in (None, item["event"])]


def wait_object(gate, event, number=0):
    gate.wait_log(f'"event":"{event}"')
    return gate.wait(lambda: objects(gate, event)[number:], f"object {event} {number}")[0]


def octets_of(text):
    """Undoes the escape of bytes that are not UTF-8."""
    return b"".join(bytes([ord(c) & 0xff]) if 0xef80 <= ord(c) <= 0xefff else c.encode() for c in text)


def test_json_has_the_fields_of_text(bench):
    server = bench.backend()
    calls = {}
    for form in ("text", "json"):
        gate = bench.gate(server, gate={"log_format": form})
        bench.client(gate).establish().disconnect()
        if form == "text":
            calls[form] = [gate.wait_event("up").fields, gate.wait_call().fields]
        else:
            calls[form] = [wait_object(gate, "up"), wait_object(gate, "call")]
    numbers = {"up-octets", "up-packets", "down-octets", "down-packets", "duration"}
    for text, item in zip(calls["text"], calls["json"]):
        assert list(item)[3:] == list(text)
        assert {key for key, value in item.items() if isinstance(value, (int, float))} == numbers & set(item)
        assert all(value is None for key, value in item.items() if text.get(key) == "-")
        for key in ("listener", "outcome", "user", "method", "binding", "key", "up-packets"):
            assert str(item.get(key)) == str(text.get(key))


def test_json_of_a_failed_login(bench):
    gate = bench.gate(bench.backend(), gate={"log_format": "json"})
    fails(bench.client(gate, password="wrong"))
    call = wait_object(gate, "call")
    assert (call["level"], call["reason"], call["login-error"], call["login-failures"]) == \
        ("warning", "login-refused", 691, 1)


def test_json_of_every_byte(bench):
    """Each byte, alone and among random ones, in a name and in the head of a request."""
    gate = bench.gate(bench.backend(), gate={"log_format": "json"})
    chance = random.Random(13)
    names = [bytes(range(at, at + 16)) for at in range(0, 256, 16)]
    names += [bytes(chance.randrange(256) for _ in range(40)) for _ in range(8)]
    names += ["\U0001f600 \u202e\u2028\ufeff\uefff\uffff".encode(), b"\xf0\x9f\x98", b"a\xed\xa0\x80z"]
    for number, name in enumerate(names):
        fails(bench.client(gate, user=name, password="wrong"))
        call = wait_object(gate, "call", number)
        if call["user"] is not None:  # a NUL is shown as another control character
            assert octets_of(call["user"]) == name.replace(b"\0", b"\x1a")
    shown = [call["user"] for call in objects(gate, "call")]
    assert sum(user is not None for user in shown) == len(names)


def test_json_of_long_names(bench):
    """Each byte of these names needs an escape of six."""
    gate = bench.gate(bench.backend(), gate={"log_format": "json"})
    request = head.request(b"h" * 250, correlation=b'"' * 250)
    fails(bench.client(gate, head=request, user=b"\xfd" * 250, password="wrong"))
    call = wait_object(gate, "call")
    assert (call["reason"], octets_of(call["user"])) == ("login-refused", b"\xfd" * 250)
    assert call["correlation"] == '"' * 250 and call["host"] == "h" * 250


@pytest.mark.parametrize("target", ["stdout", "stderr"])
def test_json_in_the_journal(bench, target):
    """journald removes the priority; the object is complete."""
    line = first_line(bench, target, target, lambda device, inode: f"{device}:{inode}", "json")
    assert line.startswith("<6>{")
    item = json.loads(line[3:])
    assert list(item)[:4] == ["time", "level", "event", "version"]


# ---- log-level = debug ----

def phases(gate):
    return [(event["protocol"], event["phase"]) for event in gate.events("ppp") if "phase" in event.fields]


@pytest.mark.parametrize("auth", ["mschapv2", "pap", "eap-mschapv2"])
def test_debug_shows_states_and_phases(bench, auth):
    gate = bench.gate(bench.backend(auth=(auth,)), gate={"log_level": "debug"})
    bench.client(gate, auth=(auth,)).establish().disconnect()
    call = gate.wait_call()
    states = gate.events("state")
    assert {event["id"] for event in states + gate.events("ppp")} == {call["id"]}
    assert [event["from"] for event in states][1:] == [event["to"] for event in states][:-1]
    reached = dict.fromkeys(event["to"] for event in states)  # DIAL once for each address
    assert [state for state in reached if state != "KEY"] == \
        ["HELLO", "HANDSHAKE", "REQUEST", "DIAL", "ANSWER", "NEGOTIATE", "RELAY", "DRAIN", "CLOSED"]
    assert states[-1]["reason"] == call["reason"]
    family = {"mschapv2": "chap", "pap": "pap", "eap-mschapv2": "eap"}[auth]
    assert phases(gate) == [("lcp", "open"), (family, "authenticated"), ("ipcp", "open")]
    asked = [event["options"] for event in gate.events("ppp")
             if (event["from"], event["protocol"], event["code"]) == ("server", "lcp", "configure-request")]
    method = {"chap": "ms-chapv2", "pap": "pap", "eap": "eap"}[family]
    assert any(f"auth={method}," in options + "," for options in asked)
    assert "sesame" not in gate.text()


def test_debug_shows_a_frame_that_is_dropped(bench):
    """A response that answers no challenge."""
    gate = bench.gate(bench.backend(), gate={"log_level": "debug"})
    client = bench.client(gate).establish("start")
    client.send_frame(ppp.frame(ppp.CHAP, bytes.fromhex("02010005") + b"x"))
    dropped = gate.wait_log(r"debug ppp .* verdict=dropped$")
    assert "from=client protocol=chap code=response packet=1 " in dropped


def test_info_shows_neither(bench):
    _, gate = bench.usual()
    bench.client(gate).establish().disconnect()
    gate.wait_call()
    assert not gate.events("state") and not gate.events("ppp")
