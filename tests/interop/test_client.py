"""`sstpgate dial` and `sstpgate probe` with servers that are independent of this project: SoftEther, directly and
through the gate, and haproxy as a web server with TLS."""

import json
import socket
import subprocess

import pytest

import lab

HAPROXY = """\
defaults
    mode http
    timeout connect 5s
    timeout client 5s
    timeout server 5s
frontend web
    bind fd@{descriptor} ssl crt {certificate}
    http-request return status 404
"""


@pytest.fixture(scope="module", autouse=True)
def programs():
    lab.require("unshare nsenter setpriv ip vpncmd haproxy", "/dev/net/tun", lab.SOFTETHER, lab.GATE)


def ask(command, *words, password=None):
    done = subprocess.run([lab.GATE, command, *map(str, words), "--json"], capture_output=True, text=True,
                          input=password, timeout=lab.DEADLINE)
    assert done.stderr == ""
    return done.returncode, json.loads(done.stdout)


def dial(address, pin, *words, password=lab.PASSWORD):
    return ask("dial", "--user", lab.USER, "--pin", pin, *words, address, password=password + "\n")


@pytest.mark.parametrize("method, words", [("ms-chapv2", []), ("pap", ["--method", "pap"])])
def test_softether_gives_an_address(softether_server, back, method, words):
    code, answer = dial(softether_server, back.sha256, *words)
    assert (code, answer["method"]) == (0, method), answer
    assert answer["client_ip"].startswith("192.168.30.")


def test_softether_insists_on_another_type_of_eap(softether_server, back):
    """Its EAP is EAP-TLS; after a Nak inside EAP it returns to LCP."""
    code, answer = dial(softether_server, back.sha256, "--method", "eap-mschapv2")
    assert (code, answer["fault"]) == (6, "no-method"), answer


def test_softether_through_the_gate(directory, softether_server, front, back):
    with lab.gate(directory / "gate", front, softether_server, back) as address:
        code, answer = dial(address, front.sha256, "--host", lab.NAME)
    assert code == 0, answer


def test_softether_refuses_a_wrong_password(softether_server, back):
    code, answer = dial(softether_server, back.sha256, password="not " + lab.PASSWORD)
    assert (code, answer["failed_step"]) == (6, "login"), answer


def test_softether_is_recognized(softether_server, back):
    code, answer = ask("probe", softether_server)
    assert (code, answer["kind"]) == (0, "SoftEther"), answer
    assert (answer["head_status"], answer["hashes"]) == (404, "SHA256")
    assert {"ms-chapv2", "pap"} <= set(answer["methods"])
    assert answer["certificate"]["sha256"] == back.sha256
    assert back.sha256 in answer["section"]


def test_haproxy_is_no_sstp_server(directory, front):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        config = directory / "haproxy.cfg"
        config.write_text(HAPROXY.format(descriptor=listening.fileno(), certificate=front.both))
        with lab.running(["haproxy", "-db", "-f", config], directory / "haproxy.log", pass_fds=[listening.fileno()]):
            code, answer = ask("probe", "127.0.0.1:%d" % listening.getsockname()[1])
    assert (code, answer["fault"]) == (5, "status"), answer
    assert answer["certificate"]["sha256"] == front.sha256
    assert answer["tls_versions"]["1.3"] is True
