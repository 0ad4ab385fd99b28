"""`sstpgate probe`: the properties of a server, and a section of the configuration that connects to it."""

import contextlib
import json
import re
import select
import socket
import subprocess
import threading

import pytest

from gate import BINARY, ROOT, Gate, run
from peers.tls import DEADLINE
from test_dial import CONNECT, SSTP, TLS, dial, listener


def probe(*words, **options):
    """Runs the command; returns its exit code and its answer."""
    done = subprocess.run([BINARY, "probe", *map(str, words), "--json"], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, timeout=2 * DEADLINE, **options)
    assert done.stderr == "", done.stderr
    answer = json.loads(done.stdout)
    assert (answer["exit"], answer["sstp"]) == (done.returncode, done.returncode == 0)
    return done.returncode, answer


def failed(result, code, step, fault):
    assert (result[0], result[1]["failed_step"], result[1]["fault"]) == (code, step, fault), result[1]
    assert all(result[1][key] for key in ("message", "blame", "look_at"))
    assert result[1]["section"] is None
    return result[1]


KINDS = {
    "rras": ("RRAS", 401, "SHA256", ["eap", "ms-chapv2", "chap-md5", "pap"]),
    "accel-ppp": ("accel-ppp", 501, "SHA1 SHA256", ["ms-chapv2", "ms-chapv1", "chap-md5", "pap"]),
    "softether": ("SoftEther", 404, "SHA256", ["eap", "ms-chapv2", "pap"]),
    "sorz": ("sorz/sstp-server", None, "none", ["ms-chapv2", "eap", "ms-chapv1", "chap-md5", "pap"]),
    "mikrotik": ("RouterOS", 404, "SHA1 SHA256", ["ms-chapv2", "ms-chapv1", "chap-md5", "pap"]),
    "ogital": ("unknown", 400, "SHA1 SHA256", ["ms-chapv2"]),
}


@pytest.mark.parametrize("dialect", KINDS)
def test_each_kind_of_server_is_recognized(bench, dialect):
    server = bench.backend(dialect=dialect)
    code, answer = probe(server.address)
    assert code == 0, answer
    assert (answer["kind"], answer["head_status"], answer["hashes"], answer["methods"]) == KINDS[dialect]
    assert bool(answer["evidence"]) == (dialect != "ogital")
    assert answer["status"] == 200
    assert answer["connections"] == len(server.calls)
    assert not any(call.record.user for call in server.calls)


def test_connections_do_not_overlap():
    """When a connection is accepted, the client has closed the one before: loopback delivers a FIN at once."""
    open_ones, counts = [], []

    def serve(connection):
        poll = select.poll()
        for one in open_ones:
            poll.register(one, select.POLLRDHUP)
        counts.append(len(open_ones) - len(poll.poll(0)))
        open_ones.append(connection.dup())
        connection.recv(1 << 16)
        connection.sendall(b"\x15\x03\x03\0\2\2\x28")  # an alert
        connection.recv(1 << 16)
    with listener(serve) as address:
        failed(probe(address), TLS, "tls", "tls")
    for one in open_ones:
        one.close()
    assert len(counts) > 5 and set(counts) == {0}


@contextlib.contextmanager
def threaded_listener(serve):
    """As listener, with a thread for each connection."""
    threads = []

    def start(connection):
        copy = connection.dup()

        def run_one():
            with contextlib.suppress(OSError), copy:
                serve(copy)
        thread = threading.Thread(target=run_one)
        thread.start()
        threads.append(thread)
    with listener(start) as address:
        yield address
    for thread in threads:
        thread.join(DEADLINE)


# -- the section --


def written(bench, section):
    """Writes a configuration with the section; checks it with -t."""
    name = re.match(r"\[backend (\S+)\]\n", section)[1]
    config = bench.config({"gate": {}, "listener front": bench.listener_keys(backend=name)})
    config.write_text(config.read_text() + "\n" + section)
    done = run("-t", "--strict", "-c", config)
    assert done.returncode == 0, done.stderr
    return config


@pytest.mark.parametrize("dialect", KINDS)
def test_section_is_valid_and_carries_a_call(bench, dialect):
    server = bench.backend(dialect=dialect, auth=("pap",), echoes_early=False)
    section = probe(server.address)[1]["section"]
    config = written(bench, section)
    gate = Gate(config)
    bench.gates.append(gate)
    gate.start()
    code, answer = dial("--pin", bench.place.front.sha256, "%s:%d" % gate.address())
    assert code == 0, answer


def test_section_of_ipv6_has_brackets(bench):
    server = bench.backend(listen=("::1", 0))
    section = probe(server.address)[1]["section"]
    assert f"\nserver = {server.address}\n" in section
    written(bench, section)


def test_section_alone_is_printed(bench):
    server = bench.backend()
    done = run("probe", "--section", server.address)
    assert done.returncode == 0
    assert done.stdout.startswith("[backend ") and f"pin-sha256 = {server.cert.sha256}" in done.stdout


def test_old_server_needs_its_version(bench, place):
    server = bench.backend(place.old, tls_min="1.0", tls_max="1.0")
    code, answer = probe(server.address)
    assert code == 0, answer
    assert answer["tls_versions"] == {"1.0": True, "1.1": False, "1.2": False, "1.3": False}
    assert "tls-min = 1.0" in answer["section"]
    written(bench, answer["section"])


def test_plain_server(bench):
    server = bench.backend(plain=True, checks=())
    code, answer = probe("--plain", server.address)
    assert code == 0, answer
    assert answer["certificate"] is None and answer["tls"] is None
    assert "tls = no" in answer["section"] and "pin" not in answer["section"]


# -- certificate and SNI --


def test_certificate_is_described(bench, place):
    server = bench.backend(place.back_ca)
    certificate = probe(server.address)[1]["certificate"]
    assert certificate["names"] == ["backend.internal"]
    assert certificate["for_name"] is True
    assert certificate["sha256"] == place.back_ca.sha256
    assert certificate["verified"] is False and "certificate" in certificate["why_not"]
    assert certificate["days"] > 0 and certificate["not_after"].startswith("20")
    named = probe("--host", "other.example", server.address)[1]["certificate"]
    assert named["for_name"] is False


def test_system_that_trusts_the_ca_verifies_it(bench, place):
    server = bench.backend(place.back_ca)
    environment = {"SSL_CERT_FILE": str(place.ca.cert), "SSL_CERT_DIR": "/nonexistent"}
    code, answer = probe("--host", "backend.internal", server.address, env=environment)
    assert (code, answer["certificate"]["verified"]) == (0, True), answer
    assert "verify = ca\nca-file = system\n" in answer["section"]
    assert "sni = backend.internal" in answer["section"]


@pytest.mark.parametrize("needs", [False, True])
def test_server_that_needs_sni(bench, needs):
    server = bench.backend(host_name="vpn.example.com" if needs else None)
    code, answer = probe("--host", "vpn.example.com", server.address)
    assert (code, answer["needs_sni"]) == (0, needs), answer


def test_gate_with_two_certificates_needs_sni(bench, place):
    """Without SNI the gate shows the first one. The gate imitates the answers of RRAS."""
    gate = bench.start({"gate": {}, "listener front": [*bench.listener_keys().items(), ("certificate", "front2.pem")],
                        "backend back": bench.backend_keys(bench.backend())})
    code, answer = probe("--host", "two.example.com", "%s:%d" % gate.address())
    assert (code, answer["needs_sni"], answer["kind"]) == (0, True, "RRAS"), answer
    assert answer["certificate"]["sha256"] == place.front2.sha256


def test_address_without_a_name_does_not_test_sni(bench):
    assert probe(bench.backend().address)[1]["needs_sni"] is None


# -- failures --


def test_closed_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    failed(probe(f"127.0.0.1:{port}"), CONNECT, "connect", "refused")


def test_name_without_an_address():
    failed(probe("nobody.invalid", "--timeout", "10s"), CONNECT, "resolve", "name")


def test_silent_server():
    with threaded_listener(lambda connection: connection.recv(1 << 16) and connection.recv(1 << 16)) as address:
        failed(probe(address, "--timeout", "1s"), TLS, "tls", "timeout")


@pytest.mark.parametrize("garbage", [b"SSH-2.0-OpenSSH_9.2\r\n", b"HTTP/1.1 400 Bad Request\r\n\r\n", bytes(64)])
def test_server_that_is_not_tls(garbage):
    with listener(lambda connection: connection.recv(1 << 16) and connection.sendall(garbage)) as address:
        failed(probe(address), TLS, "tls", "not-tls")


def test_web_server(bench):
    server = bench.backend(refuse=404)
    answer = failed(probe(server.address), SSTP, "request", "status")
    assert answer["status"] == 404
    assert answer["certificate"]["sha256"] == server.cert.sha256
    assert answer["tls_versions"]["1.3"] is True


def test_server_that_sends_garbage_after_its_answer(bench):
    def garbage(call):
        call.wire.write(b"<html>" * 1000)
    failed(probe(bench.backend(hooks={"answered": garbage}).address), SSTP, "sstp", "not-sstp")


def test_text_has_the_facts_and_the_section(bench):
    server = bench.backend(dialect="rras")
    done = run("probe", server.address)
    assert done.returncode == 0
    for part in ("TLS          1.2 1.3 (not 1.0 1.1)", "likely       RRAS", "\n[backend rras]\n",
                 f"pin-sha256 = {server.cert.sha256}", "methods      eap ms-chapv2 chap-md5 pap"):
        assert part in done.stdout, done.stdout
    done = run("probe", bench.backend(refuse=404).address)
    assert done.returncode == SSTP
    assert "No SSTP server: request:" in done.stdout


@pytest.mark.parametrize("words, said", [
    ([], "usage:"), (["a", "b"], "usage:"), (["--unknown", "a"], "usage:"), (["a:0"], "not HOST[:PORT]"),
    (["--timeout", "5", "a"], "--timeout"), (["--host", "a b", "a"], "--host")])
def test_wrong_usage_says_what_to_write(words, said):
    done = run("probe", *words)
    assert done.returncode == 2
    assert said in done.stderr


def test_each_option_is_in_the_manual_page_and_in_the_completion():
    usage, completion = run("probe", "-h").stdout, run("--completion", "bash").stdout
    page = (ROOT / "conf/man/sstpgate.8").read_text().replace("\\-", "-")
    page = page[page.index(".Ss probe"):page.index(".Ss setup")]
    options = set(re.findall(r"^ +(?:-\w, )?--([a-z-]+)", usage, re.M)) - {"help"}
    assert {"host", "json", "section"} <= options
    assert options == set(re.findall(r"^\.It.*Fl -([a-z-]+)", page, re.M))
    words = re.search(r"    probe/\).*?;;", completion, re.S)[0]
    assert options | {"help"} == set(re.findall(r"--([a-z-]+)", words))
