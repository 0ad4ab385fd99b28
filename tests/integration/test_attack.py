"""Attacks on the gate as a process: floods, ends at every moment, secrets that must not stay in memory."""

import ctypes
import hashlib
import hmac
import os
import random
import re
import signal
import socket
import struct
import subprocess
import threading

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

import gate as program
from conftest import USERS
from peers import mschap, ppp, sstp, tls
from peers.client import CallFailed, Client, last_words
from peers.server import EndCall

RESET = b"\1\0\0\0\0\0\0\0"  # SO_LINGER: close() sends RST


def descriptors(gate):
    return len(os.listdir(f"/proc/{gate.process.pid}/fd"))


# ---- TLS: messages that the gate answers by itself ----

class Raw12:
    """Writes records of any type on a client's TLS 1.2 connection with AES128-GCM: copies the keys from
    OpenSSL's memory and continues without OpenSSL."""

    def __init__(self, wire):
        lib = ctypes.CDLL("libssl.so.3")
        lib.SSL_get_session.restype = ctypes.c_void_p
        # after the header of a Python object and one pointer (_ssl.c, PySSLSocket)
        handle = ctypes.c_void_p.from_address(id(wire._ssl._sslobj) + 24)

        def ask(function, of, size):
            out = ctypes.create_string_buffer(size)
            function(of, out, ctypes.c_size_t(size))
            return out.raw
        seed = (b"key expansion" + ask(lib.SSL_get_server_random, handle, 32) +
                ask(lib.SSL_get_client_random, handle, 32))
        session = ctypes.c_void_p(lib.SSL_get_session(handle))
        master = ask(lib.SSL_SESSION_get_master_key, session, 48)
        block, a = b"", seed
        while len(block) < 40:  # RFC 5246 5
            a = hmac.new(master, a, hashlib.sha256).digest()
            block += hmac.new(master, a + seed, hashlib.sha256).digest()
        self.aead, self.salt, self.sequence = AESGCM(block[:16]), block[32:36], 1

    def record(self, kind, body):
        nonce = struct.pack(">Q", self.sequence)
        self.sequence += 1
        sealed = self.aead.encrypt(self.salt + nonce, body,
                                   nonce + struct.pack(">BHH", kind, 0x303, len(body)))
        return struct.pack(">BHH", kind, 0x303, 8 + len(sealed)) + nonce + sealed


def test_renegotiation_flood(bench):
    """Each ClientHello after the handshake is answered with an alert. If the client does not read, and has not
    even sent a request, the gate must not keep all alerts in memory."""
    gate = bench.gate(bench.backend())
    client = bench.client(gate, rcvbuf=4096, tls_max="1.2",
                          ciphers="ECDHE-ECDSA-AES128-GCM-SHA256").open().secure()
    raw, before = Raw12(client.wire), gate.rss()
    client.wire.sock.settimeout(5)
    try:
        for _ in range(30):
            client.wire.sock.sendall(b"".join(raw.record(22, b"\1\0\0\0") for _ in range(10000)))
    except OSError:
        pass  # the gate has ended the connection, or reads no more: both are right
    with bench.client(gate) as other:
        other.establish().ping()
    grown = gate.rss() - before
    assert grown < 2 << 20, f"{grown} octets more"


def test_key_update_flood(bench):
    """27 bytes cost the gate 30 microseconds and an answer. A long row of them, which no real client sends,
    ends the connection."""
    _, gate = bench.usual()
    client = bench.client(gate, tls_min="1.3").open().secure()
    lib = ctypes.CDLL("libssl.so.3")
    handle = ctypes.c_void_p.from_address(id(client.wire._ssl._sslobj) + 24)
    for _ in range(5000):
        assert lib.SSL_key_update(handle, 1) == 1
        lib.SSL_do_handshake(handle)
    client.wire._flush()
    with pytest.raises(CallFailed):
        client.ask()
    assert gate.wait_call()["reason"] == "tls-failed"


# ---- secrets ----

@pytest.mark.usefixtures("freed_overwritten")
@pytest.mark.parametrize("method", ["pap", "mschapv2"])
def test_no_secret_stays(bench, method):
    """The secrets of a negotiation are nowhere in the memory of a gate whose tunnel is up; the user's hash-hash
    is there once, in the table."""
    password = "Zq9-" + "very secret " * 3
    server = bench.backend(users={"alice": password}, auth=(method,))
    users = bench.place.folder / "attack-users"
    users.touch(mode=0o600)
    users.write_text(f"alice:{mschap.hash_hash(password).hex()}\n")
    gate = bench.gate(server, backend={"users-file": users.name})
    client = bench.client(gate, password=password, auth=(method,)).establish().ping()
    octets = gate.memory()
    assert octets.count(b"vpn.example.com") > 0  # the search works
    assert octets.count(mschap.hash_hash(password)) == 1
    secrets = {"password": password.encode(), "half of it": password.encode()[-16:]}
    if method == "mschapv2":
        prover = client.link.auth
        secrets.update({"response": prover.response, "challenge": prover.challenge,
                        "send key": prover.hlak[:16], "receive key": prover.hlak[16:]})
    assert [name for name, value in secrets.items() if value in octets] == []


# ---- user names ----

def test_name_of_another_user(bench):
    """The server asks once more after its Success (RFC 1994 2); a PAP request, which it ignores, has the name
    of another user. bob, the man in the middle, knows his own hash-hash and alice's response, and so the key
    that a gate would derive from the two."""
    def ask_again(call):
        auth = call.link.auth
        auth.ident += 1
        auth.send(1, auth.ident, bytes([16]) + os.urandom(16) + b"server")

    _, gate = bench.usual(dialect="softether", hooks={"auth": ask_again})
    client = bench.client(gate).establish("authenticate")
    seen, prover = [], client.link.auth
    prover.on = seen.append
    client.until(lambda: seen)
    client.send_frame(ppp.frame(ppp.PAP, ppp.Control(1, 9, b"\3bob\1x").build()))
    prover.hlak = mschap.hlak_v2(USERS["bob"], prover.response)
    client.connect().close()
    call = gate.wait_call()
    assert call["user"] != "bob"
    assert call["binding"] == "failed"


def connect_as(client, name):
    """Sends Call Connected directly after the Ack, with a name and without a password: a server that waits for
    the authentication keeps it until then, or for ever."""
    client.establish("start")
    client.send_frame(ppp.frame(ppp.PAP, ppp.Control(1, 9, b"\3" + name + b"\1x").build()))
    client.connect()
    return client


def test_no_lock_out_by_strangers(bench):
    server = bench.backend(users=USERS)
    gate = bench.gate(server, gate={"max-tunnels-per-user": 1})
    with connect_as(bench.client(gate, zero_key=True), b"bob"):
        server.wait_stage("ack")
        bench.client(gate, user="bob", password=USERS["bob"]).establish().ping().disconnect()


def test_deadline_without_authentication(bench):
    gate = bench.gate(bench.backend(), gate={"timeout-negotiate": "1s"})
    client = connect_as(bench.client(gate, zero_key=True), b"bob")
    client.wire.wait_end(4)


# ---- refused data is not forwarded ----

def test_nothing_behind_a_refused_binding(bench):
    """One record contains an invalid Call Connected, an echo, data and an Abort: nothing of it is forwarded."""
    server, gate = bench.usual(strict=False)
    client = bench.client(gate, tamper="cert-hash").establish("authenticate")
    call = server.wait_call()
    before = len(call.raw), list(call.link.protocols)
    ping = sstp.data(ppp.frame(ppp.IPV4, ppp.ping(bytes(4), bytes(4), 1, 1)))
    client.wire.write(client.binding() + sstp.control(sstp.ECHO_REQUEST) + ping * 3 +
                      sstp.data(ppp.frame(ppp.LCP, b"\x0a\1\0\4")) + sstp.control(sstp.ABORT))
    assert last_words(client).raw == sstp.BINDING_ABORT
    assert gate.wait_call()["reason"] == "binding-leaf"
    server.wait_over()
    assert (len(call.raw), call.link.protocols) == before


def test_data_behind_call_connected(bench):
    """Data in the record of Call Connected is neither lost nor forwarded before it."""
    server, gate = bench.usual()
    client = bench.client(gate).establish("authenticate")
    client.wire.write(client.binding() + sstp.control(sstp.ECHO_REQUEST))
    client.stage = "connected"
    client.until(lambda: any(p.type == sstp.ECHO_RESPONSE for p in client.seen))
    client.bring_up().ping().disconnect()
    assert server.wait_over().verdict == "ok"
    assert [packet[5] for packet in server.calls[0].raw[:3]] == [1, 4, 8]


# ---- ends ----

def test_gone_before_accept(bench):
    """The log knows their addresses nevertheless."""
    gate = bench.gate(bench.backend(), gate={"log_level": "debug"})
    gate.pause()
    gone = []
    for _ in range(20):
        sock = socket.create_connection(gate.address())
        gone.append("%s:%d" % sock.getsockname())
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        sock.close()
    gate.resume()
    bench.client(gate).establish().ping().disconnect()
    calls = [gate.wait_call(number) for number in range(21)]
    assert [call["reason"] for call in calls[:20]] == ["client-reset"] * 20
    assert {call["client"] for call in calls[:20]} == set(gone)
    assert {call.level for call in calls[:20]} == {"debug"} and calls[20].level == "info"


STAGES = ["open", "tls", "request", "start", "authenticate", "connected", "up"]
HOOKS = ["accepted", "tls", "request", "answered", "connect", "ack", "lcp", "auth", "connected",
         "up"]
ENDS = ["clean", "fin", "rst"]


@pytest.mark.parametrize("seed", range(3))
def test_ends_of_all_kinds(bench, seed):
    """Both sides end at any stage in any way, or send garbage inside and outside of TLS, while the
    configuration is reloaded. There is one line for each call, and no descriptor is left; the end of the test
    checks for leaks."""
    def unruly(call):
        dice = random.Random(f"{seed} {server.calls.index(call)} {call.record.stage}")
        if dice.random() < 0.12:
            raise EndCall("any", dice.choice(ENDS))
        if dice.random() < 0.04 and call.wire:
            call.wire.sock.sendall(dice.randbytes(300))
        if dice.random() < 0.04 and call.wire:
            call.wire.write(dice.randbytes(300))

    def one(number):
        dice = random.Random(seed << 16 | number)
        client = Client(gate.address(), shape=dice.choice(["packet", "octets", "joined", "odd"]))
        try:
            client.establish(dice.choice(STAGES))
            if dice.random() < 0.3:
                client.wire.sock.sendall(dice.randbytes(2000))
            if dice.random() < 0.3:
                client.wire.write(dice.randbytes(2000))
            if dice.random() < 0.3:
                client.wire.finish_writing(notify=dice.random() < 0.5)
        except Exception:
            pass  # any error: the call has ended
        client.close(dice.choice(ENDS))

    server = bench.backend(hooks=dict.fromkeys(HOOKS, unruly), strict=False,
                           load="source", load_octets=200_000)
    timeouts = dict.fromkeys(["handshake", "request", "connect", "answer", "negotiate", "drain"],
                             "2s")
    gate = bench.gate(server, gate={"workers": 2, "log-level": "debug",
                                    **{f"timeout-{name}": t for name, t in timeouts.items()}})
    before = descriptors(gate)
    for turn in range(0, 48, 12):
        threads = [threading.Thread(target=one, args=(turn + n,)) for n in range(12)]
        for thread in threads:
            thread.start()
        gate.signal(signal.SIGHUP)
        for thread in threads:
            thread.join()
    gate.wait(lambda: len(gate.events("call")) >= 48, "48 ends")
    with bench.client(gate) as last:  # accepted after the last close
        last.open().secure()
        assert len({call["id"] for call in gate.events("call")}) == 48
        assert descriptors(gate) <= before + 2


def test_stop_while_dialling(bench):
    """The backend's queue is full, so connect() waits. The client gets an answer, and the gate exits at
    once."""
    full = socket.create_server(("127.0.0.1", 0), backlog=0)
    fill = [socket.socket() for _ in range(4)]
    for sock in fill:
        sock.setblocking(False)
        sock.connect_ex(full.getsockname())
    gate = bench.start({
        "gate": {"workers": 1, "timeout-connect": "600s"},
        "listener front": bench.listener_keys(),
        "backend back": {"server": "127.0.0.1:%d" % full.getsockname()[1], "verify": "off"}})
    client = bench.client(gate).open().secure().send_request()
    with bench.client(gate) as other:  # when this one has an answer, the request of the first has been read
        other.head = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
        other.open().secure().send_request().read_answer()
    gate.signal(signal.SIGTERM)
    assert client.read_answer().status == 503
    client.wait_end()
    client.close()
    assert gate.wait_exit() == 0
    for sock in [full, *fill]:
        sock.close()


# ---- floods ----

@pytest.mark.calm
def test_half_open_flood(bench):
    """Silent connections end at their deadline, and do not exclude other clients before."""
    gate = bench.gate(bench.backend(), gate={"timeout-handshake": "1s"})
    before = descriptors(gate)
    flood = [socket.create_connection(gate.address()) for _ in range(300)]
    for sock in flood[::2]:
        sock.sendall(b"\x16\x03\x01\x02\0\1" + bytes(300))
    bench.client(gate).establish().ping().disconnect()
    for sock in flood:
        sock.settimeout(60)
        assert sock.recv(1) == b""
        sock.close()
    gate.wait_log("reason=client-disconnect")
    with bench.client(gate) as last:
        last.open().secure()
        assert descriptors(gate) <= before + 1


def test_few_descriptors(bench, monkeypatch):
    """There is room for 11 calls of 100 clients: the others wait in the queue of the kernel, and are served in
    turn."""
    few = bench.place.folder / "few"
    few.write_text(f'#!/bin/sh\nulimit -n 64\nexec {program.BINARY} "$@"\n')
    few.chmod(0o755)
    monkeypatch.setattr(program, "BINARY", few)
    gate = bench.gate(bench.backend())
    flood = [socket.create_connection(gate.address()) for _ in range(100)]
    gate.wait_log("max-tunnels .* reached")
    assert descriptors(gate) < 64
    for sock in flood:
        sock.close()
    bench.client(gate).establish().ping().disconnect()
    gate.signal(signal.SIGHUP)
    gate.wait_log("the new configuration is in force")
    assert gate.text().count("allows only") == 1  # the warning is not repeated


# ---- surroundings ----

@pytest.mark.parametrize("key", ["certificate", "key", "passphrase-file", "ocsp-file", "ca-file",
                                 "users-file", "allow-file", "country-file"])
def test_fifo_is_no_certificate(bench, key):
    """-t ends, and names the file. TLS works without a staple, so that one is only a warning."""
    fifo = bench.place.folder / f"fifo-{key}"
    os.mkfifo(fifo)
    sections = {"gate": {}, "listener front": bench.listener_keys(),
                "backend back": {"server": "127.0.0.1:1",
                                 "verify": "ca" if key == "ca-file" else "off"}}
    of = {"ca-file": "backend back", "users-file": "backend back", "country-file": "gate"}
    sections[of.get(key, "listener front")][key] = fifo.name
    result = program.run("-c", bench.config(sections), "-t")
    assert result.returncode == (0 if key == "ocsp-file" else 1)
    assert "regular file" in result.stderr


def test_fifo_is_no_configuration(bench):
    fifo = bench.place.folder / "fifo.conf"
    os.mkfifo(fifo)
    result = program.run("-c", fifo, "-t")
    assert result.returncode == 1
    assert "regular file" in result.stderr


def test_closed_standard_descriptors(bench):
    config = bench.config({"gate": {"workers": 1}, "listener front": bench.listener_keys(),
                           "backend back": {"server": "127.0.0.1:1", "verify": "off"}})
    ready = config.with_suffix(".ready")
    process = subprocess.Popen(["/bin/sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", program.BINARY,
                                "-c", config, "--ready-file", ready])
    gate = program.Gate(config)
    gate.process = process
    while not ready.exists():
        assert process.poll() is None
        os.sched_yield()
    names = [os.readlink(f"/proc/{process.pid}/fd/{n}") for n in range(3)]
    process.terminate()
    assert process.wait(60) == 0
    assert names == ["/dev/null"] * 3


def test_shorter_deadline_after_reload(bench):
    """A call that began before the reload keeps its long deadline; later calls have the short one."""
    gate = bench.gate(bench.backend(), gate={"timeout-handshake": "600s"})
    with socket.create_connection(gate.address()):
        with bench.client(gate) as other:  # after it in the queue
            other.open().secure()
        text = gate.config.read_text()
        gate.config.write_text(re.sub("600s", "1s", text))
        gate.signal(signal.SIGHUP)
        gate.wait_log("in force")
        with socket.create_connection(gate.address()) as silent:
            silent.settimeout(tls.DEADLINE)
            assert silent.recv(1) == b""
