"""Private keys in hardware: a TPM (swtpm with tpm2-openssl) and a token (SoftHSM with pkcs11-provider)."""

import json
import os
import re
import shutil
import tempfile
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from gate import run
from peers import devices, pki
from peers.client import expect_failure

WRONG_PIN = {"tpm": "does not sign with the key", "token": "(?i)pin"}
KINDS = {"tpm": devices.Tpm, "token": devices.Token}


@pytest.fixture(scope="module", params=KINDS)
def device(request, place):
    """A device with a key, and the certificate of this key."""
    kind = KINDS[request.param]
    if not (devices.modules() / f"{kind.provider}.so").exists():
        pytest.skip(f"NOT TESTED: keys in a {request.param}, because this Debian has no package with the provider "
                    f"{kind.provider} of OpenSSL")
    folder = tempfile.mkdtemp(prefix="sg-")
    made = kind(folder)
    made.cert = pki.make(place.folder, request.param, issuer=place.ca, names=["vpn.example.com"],
                         public=made.public())
    with open(made.cert.cert, "a") as chain:
        chain.write(Path(place.ca.cert).read_text())
    made.word = request.param
    yield made
    made.close()
    shutil.rmtree(folder)


def sections(bench, device, server, gate=None, **listener):
    keys = {**bench.listener_keys(), "certificate": device.cert.cert, "key": device.uri,
            "passphrase-file": device.pin, **listener}
    return {"gate": {"workers": 2, **(gate or {})},
            "listener front": {key: value for key, value in keys.items() if value is not None},
            "backend back": bench.backend_keys(server)}


@pytest.fixture
def it(bench, device):
    """A gate with a key in the device."""
    server = bench.backend()
    return SimpleNamespace(server=server, device=device,
                           gate=bench.start(sections(bench, device, server, {"sandbox": "require"}), env=device_env(device)))


def device_env(device):
    return {**os.environ, **device.env}


def check(bench, device, env=None, **listener):
    done = run("-t", "-c", bench.config(sections(bench, device, bench.backend(), **listener)),
               env={**device_env(device), **(env or {})})
    return done.returncode, done.stderr


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_calls(bench, it, version):
    client = bench.client(it.gate, tls_min=version, tls_max=version).establish().ping()
    assert client.wire.peer_der == it.device.cert.der
    client.disconnect()
    assert it.server.wait_over().verdict == "ok"


def test_handshakes_of_several_workers(bench, it):
    """All workers use the device at once."""
    clients = [bench.client(it.gate) for _ in range(12)]
    threads = [threading.Thread(target=client.establish, args=("tls",)) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [client.wire.peer_der for client in clients] == [it.device.cert.der] * len(clients)


def test_reload(bench, it):
    """A reload opens the key again, and tunnels stay."""
    client = bench.client(it.gate).establish().ping()
    it.gate.reload()
    bench.client(it.gate).establish().ping().disconnect()
    client.ping().disconnect()


def test_a_device_that_is_pulled_out(bench, it):
    """Tunnels continue; new handshakes fail, with a line that names the cause. The connection to the device is
    part of the provider, which a new process loads again."""
    client = bench.client(it.gate).establish().ping()
    it.device.pull()
    try:
        expect_failure(bench.client(it.gate), "tls")
        call = it.gate.wait_call()
        assert call["reason"] == "key-failed"
        assert call["detail"].startswith("the device does not sign with the private key: ")
        lines = it.gate.reload()
        assert lines[-1]["msg"].endswith("the old configuration stays in force")
        assert it.device.uri in lines[0].line
        client.ping()
    finally:
        it.device.plug()
    it.gate.upgrade()
    bench.client(it.gate).establish().ping().disconnect()
    client.ping().disconnect()


def test_check_opens_the_device(bench, device):
    assert check(bench, device) == (0, "")


def test_check_with_a_wrong_pin(bench, device, tmp_path):
    wrong = tmp_path / "pin"
    wrong.touch(mode=0o600)
    wrong.write_text("654321")
    code, said = check(bench, device, **{"passphrase-file": wrong})
    assert code == 1
    assert f"listener front: {device.uri}: " in said
    assert re.search(WRONG_PIN[device.word], said)
    assert "654321" not in said


def test_check_without_a_pin(bench, device):
    code, said = check(bench, device, **{"passphrase-file": None})
    assert code == 1
    assert f"{device.uri}: the device asks for a PIN: set passphrase-file" in said


def test_check_without_the_device(bench, device):
    # LeakSanitizer reports 26 bytes of libtss2-tcti-swtpm, which leaks its text of the address if nothing answers there
    leaks = {"ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"}
    device.pull()
    try:
        code, said = check(bench, device, env=leaks)
    finally:
        device.plug()
    assert code == 1, said
    assert f"{device.uri}: " in said


def test_check_without_a_provider(bench, device):
    done = run("-t", "-c", bench.config(sections(bench, device, bench.backend())))
    assert done.returncode == 1
    assert f"no provider that openssl.cnf loads opens '{device.uri.partition(':')[0]}:'" in done.stderr


def test_check_of_another_certificate(bench, device):
    code, said = check(bench, device, certificate=bench.place.front.cert)
    assert code == 1
    assert "the private key does not match the certificate" in said


def test_no_key_exchange_with_rsa(bench, device):
    """A device signs only."""
    code, said = check(bench, device, ciphers="AES128-GCM-SHA256")
    assert code == 1
    assert "ciphers: the list is empty after the suites with RSA key exchange were removed" in said


def test_another_key_of_the_same_name(bench, device):
    """OpenSSL needs different settings for signatures of a TPM and of its own, in the same context."""
    other = pki.make(bench.place.folder, f"{device.word}-other", key="rsa", names=["vpn.example.com"])
    both = sections(bench, device, bench.backend())
    both["listener front"] = [*both["listener front"].items(), ("certificate", other.both)]
    config = bench.config(both)
    done = run("-t", "-c", config, env=device_env(device))
    if device.word == "tpm":
        assert done.returncode == 1
        assert f"{other.both}: a certificate with the same name has its key elsewhere" in done.stderr
    else:
        assert (done.returncode, done.stderr) == (0, "")


def test_a_pin_of_the_uri(bench, device, tmp_path):
    """pin-source of RFC 7512 names a file; pin-value would be the PIN itself."""
    if device.word == "tpm":
        code, said = check(bench, device, key="pkcs11:token=gate?pin-value=123456")
        assert code == 1 and "set passphrase-file, and remove pin-value" in said and "123456" not in said
    else:
        source = tmp_path / "pin"
        source.write_text(devices.PIN)
        uri = f"{device.uri}?pin-source=file:{source}"
        assert check(bench, device, **{"key": uri, "passphrase-file": None}) == (0, "")


def test_certificates_does_not_open_the_device(bench, device):
    """A monitoring system has neither the PIN nor the rights."""
    config = bench.config(sections(bench, device, bench.backend(), **{"passphrase-file": "/nonexistent"}))
    done = run("certificates", "-c", config, "--json")
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    [certificate] = json.loads(done.stdout)["listeners"][0]["certificates"]
    assert certificate["key"] == device.uri
    assert certificate["sha256"] == device.cert.sha256
