"""`sstpgate dial`: a whole login as a client, directly and through the gate; each failure has its step, its
fault and its exit code."""

import contextlib
import json
import os
import pty
import re
import select
import socket
import subprocess
import threading
import time

import pytest

from conftest import USERS
from gate import BINARY, ROOT, run
from peers import mschap, ppp, sstp
from peers.dialects import DIALECTS
from peers.server import EndCall
from peers.tls import DEADLINE

METHODS = {"pap": "pap", "chap-md5": "chap-md5", "mschapv2": "ms-chapv2", "eap-mschapv2": "eap-mschapv2"}
CONNECT, TLS, SSTP, LOGIN, BINDING, NETWORK = 3, 4, 5, 6, 7, 8


def dial(*words, password="sesame", user="alice", json_form=True, **options):
    """Runs the command; returns its exit code and its answer."""
    done = subprocess.run([BINARY, "dial", "--user", user, *map(str, words), *(["--json"] if json_form else [])],
                          input=password + "\n", capture_output=True, text=True, timeout=DEADLINE, **options)
    assert done.stderr == "", done.stderr
    if not json_form:
        return done.returncode, done.stdout
    answer = json.loads(done.stdout)
    assert answer["exit"] == done.returncode
    assert answer["up"] == (done.returncode == 0)
    return done.returncode, answer


def pinned(server, *words, **options):
    return dial("--pin", server.cert.sha256, server.address, *words, **options)


def failed(result, code, step, fault):
    assert (result[0], result[1]["failed_step"], result[1]["fault"]) == (code, step, fault), result[1]
    assert all(result[1][key] for key in ("message", "blame", "look_at"))
    return result[1]


# -- calls that come up --


@pytest.mark.parametrize("method", METHODS)
def test_each_method_comes_up_at_a_strict_server(bench, method):
    server = bench.backend(auth=(method,), users=USERS)
    code, answer = pinned(server)
    assert code == 0, answer
    assert answer["method"] == METHODS[method]
    assert [step["step"] for step in answer["steps"]] == \
        ["resolve", "connect", "tls", "request", "sstp", "lcp", "login", "ipcp", "ping"]
    assert all(step["ok"] for step in answer["steps"])
    assert (answer["client_ip"], answer["peer_ip"]) == ("10.99.0.2", "10.99.0.1")
    assert answer["certificate_sha256"] == server.cert.sha256
    record = server.wait_over()
    assert (record.verdict, record.hash, record.user) == ("ok", sstp.SHA256, "alice")
    assert record.seen == [sstp.NAMES[kind] for kind in (sstp.CONNECT_REQUEST, sstp.CONNECTED, sstp.DISCONNECT)]
    assert f"SSTPCORRELATIONID: {answer['correlation']}" in record.head


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_dialect_of_servers_comes_up(bench, dialect):
    server = bench.backend(dialect=dialect, auth=("mschapv2",))
    code, answer = pinned(server)
    assert code == 0, answer
    assert server.wait_over().verdict in ("ok", "unchecked")


@pytest.mark.parametrize("shape", ["octets", "joined", "odd"])
def test_any_division_into_records(bench, shape):
    assert pinned(bench.backend(shape=shape))[0] == 0


@pytest.mark.parametrize("mask, chosen", [(1, "SHA1"), (2, "SHA256"), (3, "SHA256")])
def test_hash_protocol_is_one_that_the_server_offers(bench, mask, chosen):
    code, answer = pinned(bench.backend(mask=mask))
    assert (code, answer["hash"]) == (0, chosen)


def test_password_beyond_ascii_and_name_with_a_domain(bench):
    server = bench.backend(auth=("mschapv2",), users=USERS)
    assert pinned(server, user="CORP\\bob", password=USERS["bob"])[0] == 0


def test_method_that_the_user_has_chosen_is_suggested_to_the_server(bench):
    server = bench.backend(auth=("eap-mschapv2", "mschapv2", "pap"))
    code, answer = pinned(server, "--method", "pap,ms-chapv2")
    assert (code, answer["method"]) == (0, "pap")


def test_ipv6(bench):
    server = bench.backend(listen=("::1", 0))
    code, answer = pinned(server)
    assert code == 0, answer
    assert answer["address"] == server.address
    assert "Host: [::1]\r\n" in server.wait_over().head


def test_name_is_sent_in_its_normal_form(bench):
    server = bench.backend(host_name="vpn.example.com")
    code, answer = pinned(server, "--host", "VPN.Example.com.")
    assert code == 0, answer
    record = server.wait_over()
    assert record.sni == "vpn.example.com" and "Host: vpn.example.com\r\n" in record.head


def test_plain_server(bench):
    server = bench.backend(plain=True, checks=())
    code, answer = dial("--plain", server.address)
    assert code == 0, answer
    assert (answer["tls"], answer["certificate_sha256"]) == (None, None)


def test_ca_verifies_the_name(bench, place):
    server = bench.backend(place.back_ca)
    assert dial("--ca-file", place.ca.cert, server.address)[0] == 0
    failed(dial("--ca-file", place.ca.cert, "--host", "other.example", server.address), TLS, "tls", "untrusted")


def test_text_names_each_step(bench):
    code, text = pinned(bench.backend(auth=("mschapv2",)), json_form=False)
    assert code == 0
    lines = text.splitlines()
    assert [line.split()[0] for line in lines[:-1]] == \
        ["resolve", "connect", "tls", "request", "sstp", "lcp", "login", "ipcp", "ping"]
    assert "is up after" in lines[-1]


# -- through the gate --


def behind_gate(bench, server, **gate_keys):
    """Returns a gate and a configuration that has its address, which a gate on port 0 writes only to its ready
    file."""
    admin = f"unix:dial-{bench.count}.sock"
    gate = bench.gate(server, gate={"admin": admin, **gate_keys})
    return gate, bench.config({
        "gate": {"admin": admin}, "listener front": bench.listener_keys(listen="%s:%d" % gate.address()),
        "backend back": bench.backend_keys(server)})


@pytest.mark.parametrize("method", METHODS)
def test_listener_of_a_gate_is_known_from_its_configuration(bench, method):
    server = bench.backend(auth=(method,), users=USERS)
    gate, config = behind_gate(bench, server)
    code, answer = dial("-c", config, "front")
    assert code == 0, answer
    assert answer["certificate_sha256"] == bench.place.front.sha256
    assert (answer["gate"]["binding"], answer["gate"]["backend"]) == ("verified", "back")
    assert answer["gate"]["key"] == ("ms-chapv2" if method.endswith("mschapv2") else "zero")
    assert server.wait_over().verdict == "ok"
    call = gate.wait_call()
    assert (call["binding"], call["id"]) == ("verified", answer["gate"]["id"])


def test_gate_that_does_not_know_the_password_aborts_the_binding(bench):
    server = bench.backend(auth=("mschapv2",), users={**USERS, "dave": "secret"})
    _, config = behind_gate(bench, server)
    answer = failed(dial("-c", config, "front", user="dave", password="secret"), BINDING, "ipcp", "binding")
    assert "call-abort" in answer["detail"]
    assert answer["gate"]["reason"] == "binding-mac" and answer["gate"]["words"] and answer["gate"]["remedy"]
    code, text = dial("-c", config, "front", user="dave", password="secret", json_form=False)
    assert code == BINDING
    assert "the gate   call " in text and "binding-mac" in text


REFUSALS = {
    "address": (dict(rules=[("deny", "127.0.0.1")]), TLS, "address-denied"),
    "user": (dict(rules=[("deny", "user alice")]), LOGIN, "user-denied"),
    "name": (dict(listener={"host": "other.example"}), SSTP, "host-refused"),
    "server": (dict(backend={"pin-sha256": "00" * 32}), SSTP, "backend-unverified"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_gate_names_the_cause_of_its_refusal(bench, name):
    """The cause and the remedy are the gate's, because the client gets only a reset, a Disconnect or a status."""
    keys, code, reason = REFUSALS[name]
    server, admin = bench.backend(), f"unix:dial-{bench.count}.sock"
    gate = bench.gate(server, gate={"admin": admin}, **keys)
    config = bench.config({
        "gate": {"admin": admin}, "listener front": bench.listener_keys(listen="%s:%d" % gate.address()),
        "backend back": bench.backend_keys(server)})
    got, answer = dial("-c", config, "front")
    assert (got, answer["gate"]["reason"]) == (code, reason), answer
    assert (answer["blame"], answer["look_at"]) == (answer["gate"]["words"], answer["gate"]["remedy"])
    got, text = dial("-c", config, "front", json_form=False)
    assert f"  probably   {answer['blame']}\n  look at    {answer['look_at']}\n" in text
    assert re.search(rf"^  the gate   call \d-\d+: {reason}(: .*)?$", text, re.M), text


def test_cause_that_only_the_client_knows_is_not_the_gates(bench):
    """The gate sees that the client has gone, and the client knows why."""
    _, config = behind_gate(bench, bench.backend())
    answer = failed(dial("-c", config, "--pin", "00" * 32, "front"), TLS, "tls", "pin")
    assert answer["gate"]["reason"].startswith("client-")
    assert answer["blame"] != answer["gate"]["words"] and "certificate" in answer["blame"] + answer["look_at"]


def test_full_gate_has_no_record_of_the_call(bench):
    server = bench.backend()
    gate, config = behind_gate(bench, server, **{"max-tunnels": "1"})
    bench.client(gate).establish()
    code, text = dial("-c", config, "--timeout", "1s", "front", json_form=False)
    assert code == TLS and "has no record of this call: it has not accepted the connection (max-tunnels" in text


def test_user_whose_line_has_ended(bench):
    """The server does not see the login; the gate's verdict names the line's end."""
    users = bench.place.folder / f"users-{bench.count}-ended"
    users.touch(mode=0o600)
    users.write_text(f"alice:{mschap.hash_hash('sesame').hex()}:2020-02-29\n")
    server = bench.backend()
    admin = f"unix:dial-{bench.count}.sock"
    gate = bench.gate(server, gate={"admin": admin}, backend={"users-file": users.name})
    config = bench.config({
        "gate": {"admin": admin}, "listener front": bench.listener_keys(listen="%s:%d" % gate.address()),
        "backend back": bench.backend_keys(server, users_file=users.name)})
    answer = failed(dial("-c", config, "front"), LOGIN, "login", "login-ended")
    assert answer["gate"]["reason"] == "user-expired" and "--until" in answer["gate"]["remedy"]
    assert answer["gate"]["detail"] == "line 1 of the users file ended at 2020-03-01T00:00:00Z"
    assert server.calls[-1].record.user is None


def test_server_behind_the_gate_that_is_down(bench):
    server = bench.backend()
    _, config = behind_gate(bench, server)
    server.close()
    answer = failed(dial("-c", config, "front"), SSTP, "request", "status")
    assert answer["detail"] == "HTTP status 503"
    assert answer["gate"]["reason"] == "backend-unreachable"


def test_gate_that_does_not_run(bench):
    server = bench.backend()
    gate, config = behind_gate(bench, server)
    gate.stop()
    assert failed(dial("-c", config, "front"), CONNECT, "connect", "refused")["gate"] is None


@pytest.mark.parametrize("words", [[], ["--host", "vpn.example.com"]], ids=["alone", "host"])
def test_misspelt_listener_is_not_a_host(bench, words):
    """A word with a dot or a colon may be a host, another one is a listener if there is a configuration."""
    server = bench.backend(auth=("pap",), users=USERS)
    _, config = behind_gate(bench, server)
    done = run("dial", "--user", "alice", "-c", config, *words, "frnot")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (f"sstpgate dial: no [listener frnot] in {config}; did you mean 'front'?\n"
                           "If it is a host: write frnot:443\n")
    code, _ = dial("-c", config, "--pin", server.cert.sha256, f"localhost:{server.address.rpartition(':')[2]}")
    assert code == 0


def test_listener_behind_a_proxy_is_not_dialled(bench):
    config = bench.config({"gate": {}, "listener front": bench.listener_keys(
        accept_proxy="yes", trusted_proxies="127.0.0.1"), "backend back": bench.backend_keys(bench.backend())})
    done = subprocess.run([BINARY, "dial", "--user", "alice", "-c", config, "front"], capture_output=True, text=True,
                          timeout=DEADLINE, input="sesame\n")
    assert done.returncode == 1
    assert "accept-proxy" in done.stderr


# -- failures --


@pytest.mark.parametrize("method", METHODS)
def test_wrong_password(bench, method):
    server = bench.backend(auth=(method,), users=USERS)
    failed(pinned(server, password="wrong"), LOGIN, "login", "refused-login")


def test_server_that_ends_the_call_after_a_wrong_password(bench):
    server = bench.backend(auth=("pap",), dialect="softether")
    failed(pinned(server, password="wrong"), LOGIN, "login", "login-ended")


def test_server_that_does_not_know_the_password_is_an_impostor(bench):
    def accept(call):
        call.link.auth.on = lambda packet: call.link.auth.send(3, packet.ident, b"S=" + b"0" * 40)
    server = bench.backend(auth=("mschapv2",), hooks={"lcp": accept})
    failed(pinned(server), LOGIN, "login", "impostor")


def test_expired_password(bench):
    server = bench.backend(auth=("mschapv2",), users=USERS, expired=("alice",))
    failed(pinned(server), LOGIN, "login", "expired")


def test_no_method_in_common(bench):
    server = bench.backend(auth=("pap",))
    failed(pinned(server, "--method", "chap-md5"), LOGIN, "lcp", "no-method")


def test_password_is_not_given_in_the_clear_to_an_unverified_server(bench):
    server = bench.backend(auth=("pap",))
    failed(dial("--no-verify", server.address), LOGIN, "lcp", "no-method")
    assert dial("--no-verify", "--method", "pap", server.address)[0] == 0


def test_wrong_binding(bench):
    server = bench.backend(hashes={sstp.SHA1: bytes(20), sstp.SHA256: bytes(32)})
    failed(pinned(server), BINDING, "ipcp", "binding")


def test_certificate_is_not_the_pinned_one(bench, place):
    server = bench.backend()
    code, text = dial("--pin", place.front.sha256, server.address, json_form=False)
    assert code == TLS
    assert f"pin-sha256 = {server.cert.sha256}" in text
    failed(dial("--pin", place.front.sha256, server.address), TLS, "tls", "pin")


def test_ca_is_not_one_of_the_system(bench):
    failed(dial(bench.backend().address), TLS, "tls", "untrusted")


@pytest.mark.parametrize("status", [404, 503])
def test_request_is_refused(bench, status):
    answer = failed(pinned(bench.backend(refuse=status)), SSTP, "request", "status")
    assert answer["detail"] == f"HTTP status {status}"


@pytest.mark.parametrize("stage, code, step, fault", [
    ("tls", SSTP, "request", "closed"), ("request", SSTP, "request", "closed"),
    ("answered", SSTP, "sstp", "closed"), ("ack", SSTP, "lcp", "closed"),
    ("connected", NETWORK, "ipcp", "closed")])
@pytest.mark.parametrize("how", ["clean", "fin", "rst"])
def test_server_closes_the_connection(bench, stage, code, step, fault, how):
    def end(call):
        raise EndCall("hook", how)
    failed(pinned(bench.backend(hooks={stage: end})), code, step, fault)


def test_server_that_stops_is_left_at_the_deadline(bench):
    server = bench.backend(hooks={"ack": lambda call: call.server.go.wait()})
    failed(pinned(server, "--timeout", "1s"), SSTP, "lcp", "timeout")


def mute(call):
    call.link._on_data = lambda frame: None


def test_ping_that_gets_no_answer(bench):
    server = bench.backend(hooks={"auth": mute})
    failed(pinned(server, "--timeout", "1s"), NETWORK, "ping", "no-ping")
    assert pinned(server, "--no-ping")[0] == 0


@contextlib.contextmanager
def listener(serve):
    """A TCP server that treats each connection with serve(socket)."""
    server = socket.create_server(("127.0.0.1", 0))

    def accept():
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with contextlib.suppress(OSError), connection:
                serve(connection)
    thread = threading.Thread(target=accept)
    thread.start()
    try:
        yield "127.0.0.1:%d" % server.getsockname()[1]
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join(DEADLINE)


def test_closed_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    failed(dial(f"127.0.0.1:{port}"), CONNECT, "connect", "refused")


def test_name_without_an_address():
    failed(dial("nobody.invalid", "--timeout", "10s"), CONNECT, "resolve", "name")


def test_silent_server():
    with listener(lambda connection: connection.recv(1 << 16) and connection.recv(1 << 16)) as address:
        failed(dial(address, "--timeout", "1s"), TLS, "tls", "timeout")


@pytest.mark.parametrize("garbage", [b"SSH-2.0-OpenSSH_9.2\r\n", b"HTTP/1.1 400 Bad Request\r\n\r\n", bytes(64)])
def test_server_that_is_not_tls(garbage):
    with listener(lambda connection: connection.recv(1 << 16) and connection.sendall(garbage)) as address:
        failed(dial(address), TLS, "tls", "not-tls")


def test_plain_server_that_is_not_http():
    with listener(lambda connection: connection.recv(1 << 16) and connection.sendall(b"220 ready\r\n")) as address:
        failed(dial("--plain", address), SSTP, "request", "not-http")


def test_flood_ends_at_the_deadline(bench):
    """A server that sends Echo Requests and never reads cannot keep the program longer."""
    def flood(call):
        with contextlib.suppress(OSError):
            while not call.server.go.is_set():
                call.send(sstp.control(sstp.ECHO_REQUEST) * 100)
                call.packets.flush()
    server = bench.backend(hooks={"connected": flood})
    begin = time.monotonic()
    failed(pinned(server, "--timeout", "1s"), NETWORK, "ipcp", "timeout")
    assert time.monotonic() - begin < DEADLINE


def test_flood_of_packets_that_need_no_answer_ends_at_the_deadline():
    """There is always something to read, because the server writes faster than the client can read."""
    packets = sstp.data(ppp.frame(ppp.IPV4, bytes(20))) * 100000

    def flood(connection):
        connection.recv(1 << 16)
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            connection.sendall(packets)
    with listener(flood) as address:
        failed(dial("--plain", address, "--timeout", "1s"), SSTP, "sstp", "timeout")


@pytest.mark.parametrize("first", [b"", b"\x16\x03\x03\x40\0\2\0\x3f\xfc"])
def test_server_that_sends_a_byte_at_a_time_ends_at_the_deadline(first):
    def drip(connection):
        connection.recv(1 << 16)
        connection.sendall(first)
        while True:
            connection.sendall(b"\x16")
            time.sleep(0.01)  # the pace of the peer, which the test does not wait for
    with listener(drip) as address:
        failed(dial(address, "--timeout", "1s"), TLS, "tls", "timeout" if first else "tls")


def test_head_without_an_end(bench):
    def endless(connection):
        connection.recv(1 << 16)
        connection.sendall(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 10000)
    with listener(endless) as address:
        failed(dial("--plain", address), SSTP, "request", "not-http")


# -- documents --


def test_each_fault_is_in_the_document():
    words = set(re.findall(r'\[FAULT_\w+\] =\s*\{\s*"([a-z-]+)"', (ROOT / "proxy/client/fault.c").read_text()))
    text = (ROOT / "conf/TROUBLESHOOTING.md").read_text()
    table = text[text.index("| Fault |"):].split("\n\n")[0]
    assert len(words) > 20
    assert words - {"none"} == set(re.findall(r"^\| `([a-z-]+)`", table, re.M))


def test_each_option_is_in_the_manual_page_and_in_the_completion():
    usage, completion = run("dial", "-h").stdout, run("--completion", "bash").stdout
    page = (ROOT / "conf/man/sstpgate.8").read_text().replace("\\-", "-")
    page = page[page.index(".Ss dial"):page.index(".Ss explain")]
    options = set(re.findall(r"^ +(?:-\w, )?--([a-z-]+)", usage, re.M)) - {"help"}
    assert {"user", "json", "pin", "no-ping"} <= options
    assert options == set(re.findall(r"^\.It.*Fl -([a-z-]+)", page, re.M))
    words = re.search(r"    dial/\).*?;;", completion, re.S)[0]
    assert options | {"help"} == set(re.findall(r"--([a-z-]+)", words))


# -- as a check of a monitoring system --


RECIPES = (ROOT / "RECIPES.md").read_text()


def monitor(folder, name, *words):
    """Runs a script of RECIPES.md; returns its exit code and its output."""
    text = next(block for block in re.findall(r"^```sh\n(.*?)^```", RECIPES, re.M | re.S)
                if block.splitlines()[1].startswith(f"# {name} "))
    secret = folder / "secret"
    secret.touch(mode=0o600)
    secret.write_text("sesame\n")
    (folder / "sstpgate").unlink(missing_ok=True)
    (folder / "sstpgate").symlink_to(BINARY)
    done = subprocess.run(["sh", "-c", text.replace("/etc/monitor", str(folder)), name, *map(str, words)],
                          capture_output=True, text=True, timeout=2 * DEADLINE, stdin=subprocess.DEVNULL,
                          env={**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"})
    return done.returncode, done.stdout


def test_check_of_nagios(bench, tmp_path):
    server = bench.backend(users={"monitor": "sesame"})
    pin = ["--pin", server.cert.sha256]
    code, said = monitor(tmp_path, "check_sstp", *pin, server.address)
    assert code == 0 and re.fullmatch(r"SSTP OK: \S+, ms-chapv2, address \S+ \| time=[0-9.]+s\n", said), said
    server = bench.backend(users={"monitor": "other"})
    code, said = monitor(tmp_path, "check_sstp", *pin, server.address)
    assert code == 2 and said.startswith(f"SSTP CRITICAL: {server.address} login: "), said
    server = bench.backend(users={"monitor": "sesame"}, hooks={"auth": mute})
    code, said = monitor(tmp_path, "check_sstp", "--timeout", "1s", *pin, server.address)
    assert code == 1 and said.startswith(f"SSTP WARNING: {server.address} ping: "), said
    for words in (["--pin", "12", server.address], ["--tls-min", "9", server.address], []):
        code, said = monitor(tmp_path, "check_sstp", *words)
        assert code == 3 and said.startswith("SSTP UNKNOWN: "), said


def test_textfile_of_prometheus(bench, tmp_path):
    server = bench.backend(users={"monitor": "sesame"})
    file = tmp_path / "sstp.prom"
    for pin, up, code in ((server.cert.sha256, 1, 0), ("00" * 32, 0, TLS)):
        assert monitor(tmp_path, "sstp_textfile", file, "--pin", pin, server.address) == (0, "")
        text = file.read_text()
        label = f'target="{server.address}"'
        assert f"sstp_dial_up{{{label}}} {up}\n" in text and f"sstp_dial_exit_code{{{label}}} {code}\n" in text
        assert re.search(r'^sstp_dial_seconds\{target="[^"]+"\} [0-9.]+$', text, re.M)
        assert (f'{{{label},step="ping"}}' in text) == (up == 1)
        assert all(re.fullmatch(r'[a-z_]+\{[^}]*\} [0-9.]+', line) for line in text.splitlines())


# -- secrets and wrong usage --


def test_password_is_read_from_a_file_that_not_everybody_can_read(bench, tmp_path):
    server = bench.backend()
    secret = tmp_path / "secret"
    secret.touch(mode=0o600)
    secret.write_text("sesame\n")
    assert pinned(server, "--password-file", secret, password="unused")[0] == 0
    secret.chmod(0o644)
    done = subprocess.run([BINARY, "dial", "--user", "alice", "--password-file", secret, server.address],
                          capture_output=True, text=True, timeout=DEADLINE, stdin=subprocess.DEVNULL)
    assert done.returncode == 1
    assert str(secret) in done.stderr


def test_password_is_typed_on_a_terminal_without_an_echo(bench):
    server = bench.backend()
    master, slave = pty.openpty()
    with subprocess.Popen([BINARY, "dial", "--user", "alice", "--pin", server.cert.sha256, server.address],
                          stdin=slave, stdout=slave, stderr=slave, start_new_session=True) as process:
        os.close(slave)
        shown = read_until(master, b"Password: ")
        os.write(master, b"sesame\n")
        shown += read_until(master, b"is up after")
        assert process.wait(DEADLINE) == 0
    os.close(master)
    assert b"sesame" not in shown


def read_until(descriptor, wanted):
    shown = b""
    while wanted not in shown:
        assert select.select([descriptor], [], [], DEADLINE)[0], shown
        shown += os.read(descriptor, 4096)
    return shown


def test_output_never_contains_the_password(bench):
    server = bench.backend(auth=("pap",), users={"alice": "very-secret-word"})
    for password in ("very-secret-word", "another-secret-word"):
        for json_form in (True, False):
            _, answer = pinned(server, password=password, json_form=json_form)
            assert "secret-word" not in str(answer)


@pytest.mark.parametrize("words, said", [
    ([], "usage:"), (["--user", "a"], "usage:"), (["--user", "a", "x:0"], "not HOST[:PORT]"),
    (["--user", "a", "--pin", "12", "x"], "--pin"), (["--user", "a", "--timeout", "5", "x"], "--timeout"),
    (["--user", "a", "--method", "telnet", "x"], "--method"), (["--user", "", "x"], "--user"),
    (["--user", "a", "--host", "a b", "x"], "--host"), (["--user", "a", "m\u00fcller.example"], "xn--mller-kva.example"),
    (["--user", "a", "--tls-min", "2.0", "x"], "--tls-min"),
    (["--user", "a", "--plain", "--no-verify", "x"], "only one"),
    (["--user", "a", "-c", "/nonexistent.conf", "front"], "configuration"),
    (["--user", "a", "--ca-file", "/nonexistent.pem", "x"], "nonexistent.pem")])
def test_wrong_usage_says_what_to_write(words, said):
    done = subprocess.run([BINARY, "dial", *words], capture_output=True, text=True, timeout=DEADLINE, input="x\n")
    assert done.returncode in (1, 2)
    assert said in done.stderr


# -- failures before the call --


@pytest.mark.parametrize("words, code, text", [
    (["dial"], 2, "usage: sstpgate dial"),
    (["dial", "--nonsense", "--user", "a", "localhost"], 2, "usage: sstpgate dial"),
    (["dial", "--user", "a", "::1"], 2, "write [::1] or [::1]:PORT"),
    (["dial", "--user", "a", "localhost:https"], 2, "PORT is a number"),
    (["dial", "--user", "a", "--host", "a b", "localhost"], 2, "which --host needs"),
    (["dial", "--user", "a", "--method", "x", "localhost"], 2, "--method accepts"),
    (["dial", "--user", "a", "--password-file", "/nonexistent", "localhost"], 1, "/nonexistent: No such file"),
    (["dial", "--user", "a", "localhost"], 1, "no usable password: it is empty"),
    (["dial", "--user", "a", "-c", "/nonexistent", "public"], 1, "the configuration cannot be used"),
    (["probe"], 2, "usage: sstpgate probe"),
    (["probe", "fe80::1%eth0"], 2, "write [fe80::1%eth0] or [fe80::1%eth0]:PORT"),
    (["probe", "https://vpn.example.com/"], 2, "write the host alone"),
    (["probe", "--timeout", "0", "localhost"], 2, "--timeout needs a time"),
    (["certificates", "-c", "/nonexistent"], 2, "/nonexistent: cannot be opened"),
    (["certificates", "--days", "x"], 2, "usage: sstpgate certificates")])
def test_failure_before_the_call_is_json_too(words, code, text):
    """The messages are on standard error, with and without --json, and the form of the words does not matter."""
    plain = subprocess.run([BINARY, *words], input="", capture_output=True, text=True, timeout=DEADLINE)
    assert (plain.returncode, plain.stdout) == (code, "")
    assert text in plain.stderr
    done = subprocess.run([BINARY, *words, "--json"], input="", capture_output=True, text=True, timeout=DEADLINE)
    assert (done.returncode, done.stderr) == (code, plain.stderr)
    assert json.loads(done.stdout) == {"error": plain.stderr.removesuffix("\n"), "exit": code}
