"""The certificates of a listener: the choice for a client, the formats of their files, and the verification of
the binding with the leaf that this client was shown (PROTOCOL.md 4.1). Also `sstpgate binding`, which prints
the hashes."""

import datetime
import json
import os
import re
import signal
import ssl
import subprocess
import sys
from types import SimpleNamespace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509 import ocsp

from gate import ROOT, run
from peers import pki
from peers.client import CallFailed

RSA_ONLY = "ECDHE-RSA-AES128-GCM-SHA256"
ECDSA_ONLY = "ECDHE-ECDSA-AES128-GCM-SHA256"


def openssl(*arguments):
    done = subprocess.run(["openssl", *arguments], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, timeout=60)
    return done.stdout + done.stderr


def s_client(address, *arguments):
    """Returns the output of openssl s_client, and the certificate that it was shown (None: no handshake)."""
    host, port = address
    text = openssl("s_client", "-connect", f"{host}:{port}", *arguments)
    pem = re.search(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", text, re.S)
    return text, pem and ssl.PEM_cert_to_DER_cert(pem[0])


def staple(place, name, cert, days):
    """Writes an OCSP response about cert, issued by place.ca, valid from yesterday for this number of days."""
    yesterday = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=1)
    response = (ocsp.OCSPResponseBuilder()
                .add_response(cert=cert.x509, issuer=place.ca.x509, algorithm=hashes.SHA1(),
                              cert_status=ocsp.OCSPCertStatus.GOOD, this_update=yesterday,
                              next_update=yesterday + datetime.timedelta(days=days),
                              revocation_time=None, revocation_reason=None)
                .responder_id(ocsp.OCSPResponderEncoding.HASH, place.ca.x509)
                .sign(place.ca.secret, hashes.SHA256()))
    (place.folder / name).write_bytes(response.public_bytes(serialization.Encoding.DER))
    return name


def pfx(place, name, cert, *options, passphrase="s3same"):
    """Writes a PKCS#12 file as Windows does; with -legacy in options, as Windows Server 2008 does."""
    path = place.folder / name
    text = openssl("pkcs12", "-export", "-inkey", cert.key, "-in", cert.cert, "-certfile",
                   place.ca.cert, "-passout", f"pass:{passphrase}", "-out", str(path), *options)
    assert path.exists(), text
    return name


def private(path, text):
    path.touch(mode=0o600)
    path.write_text(text)


@pytest.fixture(scope="module")
def certs(place):
    folder, ca = place.folder, place.ca
    private(folder / "passphrase", "s3same\r\n")
    return SimpleNamespace(
        ec=pki.make(folder, "c-ec", issuer=ca, names=["vpn.example.com", "www.example.com"]),
        rsa=pki.make(folder, "c-rsa", issuer=ca, key="rsa", names=["vpn.example.com"]),
        star=pki.make(folder, "c-star", issuer=ca, names=["*.example.com"]),
        old=pki.make(folder, "c-old", issuer=ca, key="rsa", names=["old.example.net"]),
        new=pki.make(folder, "c-new", issuer=ca, names=["new.example.net"]))


@pytest.fixture(scope="module")
def gate(shared, certs):
    """One gate with three listeners: `many` with all certificates, `strict` with two and strict-sni,
    `stale`."""
    place = shared.place
    keys = [("listen", "127.0.0.1:0"), ("backend", "back")]
    shared.server = shared.backend(auth=("mschapv2", "pap"))
    return shared.start({
        "gate": {"workers": 1},
        "listener many": keys + [
            ("certificate", "c-ec.pem"),
            ("ocsp-file", staple(place, "c-ec.ocsp", certs.ec, 8)),
            ("certificate", "c-rsa.crt"), ("key", "c-rsa.key"),
            ("certificate", "c-star.pem"),
            ("certificate", pfx(place, "c-old.pfx", certs.old, "-legacy")),
            ("passphrase-file", "passphrase"),
            ("ocsp-file", staple(place, "c-old.ocsp", certs.old, 8)),
            ("certificate", pfx(place, "c-new.p12", certs.new, passphrase=""))],
        "listener strict": keys + [("certificate", "c-star.pem"), ("certificate", "c-new.p12"),
                                   ("strict-sni", "yes")],
        "listener stale": keys + [("certificate", "c-ec.pem"),
                                  ("ocsp-file", staple(place, "c-stale.ocsp", certs.ec, 0.5))],
        "backend back": shared.backend_keys(shared.server)})


def verified(shared, gate, cert, listener="many", **knobs):
    """Makes a complete call; the gate must verify its binding with the leaf of cert."""
    before = len(gate.events("call"))
    client = shared.client(gate, listener, **knobs).establish()
    assert client.wire.peer_der == cert.der
    client.ping().disconnect()
    call = gate.wait_call(before)
    assert (call["binding"], call["key"]) == ("verified", "ms-chapv2")
    assert call["sni"] == (knobs.get("sni") or "-")
    assert shared.server.calls[-1].record.verdict == "ok"


@pytest.mark.parametrize("version", ["1.2", "1.3"])
@pytest.mark.parametrize("sni, name", [
    ("vpn.example.com", "ec"), ("www.example.com", "ec"), ("WWW.EXAMPLE.COM", "ec"),
    ("vpn.example.com:8443", "ec"), ("old.example.net:443", "old"), ("old.example.net.", "old"),
    ("other.example.com", "star"), ("old.example.net", "old"), ("new.example.net", "new"),
    ("a.b.example.com", "ec"), ("nowhere.example.net", "ec"), (None, "ec")])
def test_name(shared, gate, certs, sni, name, version):
    """A client gets the certificate of its name, *.DOMAIN included, otherwise the first; from PEM and both
    kinds of PKCS#12."""
    verified(shared, gate, getattr(certs, name), sni=sni, tls_min=version, tls_max=version)


@pytest.mark.parametrize("ciphers, name", [(RSA_ONLY, "rsa"), (ECDSA_ONLY, "ec"),
                                           ("AES128-GCM-SHA256", "rsa")])
@pytest.mark.parametrize("sni", ["vpn.example.com", None])
def test_kind_of_key(shared, gate, certs, sni, ciphers, name):
    verified(shared, gate, getattr(certs, name), sni=sni, ciphers=ciphers, tls_max="1.2")


@pytest.mark.parametrize("sigalgs, name", [("RSA-PSS+SHA256", "rsa"), ("ECDSA+SHA256", "ec")])
def test_kind_of_key_tls_1_3(gate, certs, tmp_path, sigalgs, name):
    """In TLS 1.3 the signature algorithms decide. Python cannot set them, but the configuration file of OpenSSL
    can."""
    settings = tmp_path / "openssl.cnf"
    settings.write_text("openssl_conf = a\n[a]\nssl_conf = b\n[b]\nsystem_default = c\n"
                        f"[c]\nSignatureAlgorithms = {sigalgs}\n")
    before = len(gate.events("call"))
    done = subprocess.run(
        [sys.executable, "-m", "peers.client", "--connect", "%s:%d" % gate.address("many"),
         "--tls-min", "1.3", "--sni", "vpn.example.com", "--ping", "1"],
        env={**os.environ, "OPENSSL_CONF": str(settings), "PYTHONPATH": str(ROOT / "tests")},
        capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"TLSv1.3, leaf SHA256 {getattr(certs, name).sha256}" in done.stdout
    assert gate.wait_call(before)["binding"] == "verified"


@pytest.mark.parametrize("version", ["1.2", "1.3"])
@pytest.mark.parametrize("sni", ["nowhere.example.net", "a.b.example.com", None])
def test_strict_sni_refuses(shared, gate, sni, version):
    before = len(gate.events("call"))
    with pytest.raises(CallFailed, match="UNRECOGNIZED_NAME"):
        shared.client(gate, "strict", sni=sni, tls_min=version, tls_max=version).open().secure()
    call = gate.wait_call(before)
    assert (call["reason"], call["sni"]) == ("tls-failed", sni or "-")
    assert call["detail"] == ("strict-sni: no certificate for this name" if sni else
                              "strict-sni: the client requested no name")


@pytest.mark.parametrize("sni, name", [("www.example.com", "star"), ("new.example.net", "new"),
                                       ("new.example.net:8443", "new"), ("WWW.example.com.", "star")])
def test_strict_sni_admits(shared, gate, certs, sni, name):
    verified(shared, gate, getattr(certs, name), listener="strict", sni=sni)


def test_chain(gate, certs):
    """The intermediates in a PKCS#12 file are sent with the leaf, but no root."""
    text, _ = s_client(gate.address("many"), "-servername", "old.example.net", "-showcerts")
    assert text.count("BEGIN CERTIFICATE") == 1


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_staple(gate, certs, version):
    def status(listener, *arguments):
        return s_client(gate.address(listener), version, "-status", *arguments)

    text, der = status("many", "-servername", "www.example.com")
    assert der == certs.ec.der and "OCSP Response Status: successful" in text
    assert f"{certs.ec.x509.serial_number:X}" in text
    text, der = status("many", "-servername", "old.example.net")
    assert der == certs.old.der and f"{certs.old.x509.serial_number:X}" in text
    text, der = status("many", "-servername", "vpn.example.com", "-sigalgs",
                       "RSA-PSS+SHA256:RSA+SHA256")
    assert der == certs.rsa.der and "OCSP response: no response sent" in text
    text, der = status("stale", "-noservername")
    assert der == certs.ec.der and "OCSP response: no response sent" in text
    text, _ = s_client(gate.address("many"), version)
    assert "OCSP Response Status" not in text


@pytest.mark.parametrize("offer, chosen", [
    ("http/1.1", "ALPN protocol: http/1.1"), ("h2,http/1.1", "ALPN protocol: http/1.1"),
    ("h2", "No ALPN negotiated")])
def test_alpn(gate, certs, offer, chosen):
    text, der = s_client(gate.address("many"), "-servername", "other.example.com", "-alpn", offer)
    assert der == certs.star.der and chosen in text


def test_reload_takes_up_files(bench, certs):
    """The same files get a new response and a new certificate; the gate uses the old ones until it reloads."""
    place = bench.place
    cert, key = (place.folder / f"changing.{kind}" for kind in ("crt", "key"))

    key.touch(mode=0o600)

    def write(made):
        cert.write_bytes(open(made.cert, "rb").read())
        key.write_bytes(open(made.key, "rb").read())

    def reload(times):
        """Reloads the gate, which may also detect the changed files by itself."""
        gate.signal(signal.SIGHUP)
        gate.wait(lambda: gate.text().count("HUP: the new configuration is in force") == times,
                  "reload")

    write(certs.ec)
    server = bench.backend()
    gate = bench.start({
        "gate": {"log-level": "debug"},
        "listener front": {"listen": "127.0.0.1:0", "certificate": cert.name, "key": key.name,
                           "ocsp-file": staple(place, "changing.ocsp", certs.ec, 0.5)},
        "backend back": bench.backend_keys(server)})
    text, der = s_client(gate.address(), "-status")
    assert der == certs.ec.der and "no response sent" in text
    staple(place, "changing.ocsp", certs.ec, 8)
    reload(1)
    text, der = s_client(gate.address(), "-status")
    assert der == certs.ec.der and "OCSP Response Status: successful" in text
    old = bench.client(gate).open().secure()
    write(certs.rsa)
    staple(place, "changing.ocsp", certs.rsa, 8)
    reload(2)
    new = bench.client(gate).establish()
    assert new.wire.peer_der == certs.rsa.der
    assert old.wire.peer_der == certs.ec.der
    old.ask().start().authenticate().connect().bring_up().ping()
    for client in (old, new):
        client.disconnect()
    assert {gate.wait_call(i)["binding"] for i in range(2, 4)} == {"verified"}


def test_passphrase_and_key_stay_out_of_sight(gate):
    assert "s3same" not in gate.text()


# -- the configuration --

def check(bench, *listener):
    """Runs -t on these lines. Returns the errors, each with the text of the line that it is about."""
    config = bench.config({
        "listener front": [("listen", "127.0.0.1:0"), *listener],
        "backend back": {"server": "127.0.0.1:1", "verify": "off", "crypto-binding": "off"}})
    done = run("-t", "-c", config)
    lines = config.read_text().splitlines()
    found = re.findall(rf"^{config}:(\d+): (.*)$", done.stderr, re.M)
    assert len(found) == len(done.stderr.splitlines()), done.stderr
    return done.returncode, [(lines[int(number) - 1], text) for number, text in found]


def about(warnings, *words):
    """Returns the lines with one of the words, because -t also has other warnings."""
    return [one for one in warnings if any(word in one[1] for word in words)]


def test_every_wrong_certificate_has_its_line(bench, certs):
    place = bench.place
    private(place.folder / "wrong-passphrase", "sesame\n")
    (place.folder / "junk").write_text("hello\n")
    code, errors = check(
        bench, ("certificate", "c-ec.pem"),
        ("certificate", pfx(place, "one.pfx", certs.old, "-legacy")),
        ("passphrase-file", "wrong-passphrase"),
        ("certificate", "missing.pem"),
        ("certificate", pfx(place, "two.pfx", certs.new)),
        ("certificate", "c-rsa.crt"), ("key", "c-ec.key"),
        ("certificate", "junk"))
    assert code == 1
    words = [("certificate = one.pfx", "the passphrase in passphrase-file is wrong"),
             ("certificate = missing.pem", "No such file"),
             ("certificate = two.pfx", "encrypted: set passphrase-file"),
             ("key = c-ec.key", "c-ec.key: the private key does not match the certificate"),
             ("certificate = junk", "neither PEM nor PKCS#12")]
    assert len(errors) == len(words)
    for (line, text), (expected, reason) in zip(errors, words):
        assert line == expected and reason in text


@pytest.mark.parametrize("key", ["ciphers", "ciphersuites"])
def test_wrong_ciphers_have_their_line(bench, certs, key):
    code, errors = check(bench, ("certificate", "c-ec.pem"), (key, "NONESUCH"), ("host", "a"))
    assert code == 1 and len(errors) == 1
    assert errors[0][0] == f"{key} = NONESUCH" and f": {key}: no cipher match" in errors[0][1]


def test_wrong_groups_have_their_line(bench, certs):
    code, errors = check(bench, ("certificate", "c-ec.pem"), ("groups", "X25519:P-255"), ("host", "a"))
    assert code == 1 and len(errors) == 1
    assert errors[0][0] == "groups = X25519:P-255"
    assert re.search(r": groups: OpenSSL \S+ does not know 'P-255'$", errors[0][1])


def test_ciphers_that_leave_nothing_have_their_line(bench, certs):
    """Anonymous suites and DHE are removed from every list; a list that has no others is an error."""
    code, errors = check(bench, ("certificate", "c-ec.pem"), ("ciphers", "aNULL:kDHE"))
    assert code == 1 and len(errors) == 1
    assert errors[0][0] == "ciphers = aNULL:kDHE" and "ciphers: the list is empty" in errors[0][1]


def test_finite_fields_are_warned_about(bench, certs):
    code, warnings = check(bench, ("certificate", "c-ec.pem"), ("groups", "P-256:ffdhe3072"))
    warnings = about(warnings, "groups")
    assert code == 0 and len(warnings) == 1
    assert warnings[0][0] == "groups = P-256:ffdhe3072"
    assert warnings[0][1].startswith("warning: listener front: groups: with a finite-field")


def test_large_rsa_keys_are_warned_about(bench, certs):
    """The key has 4104 bits, more than the limit, and four primes, so that its generation is quick."""
    folder = bench.place.folder
    openssl("req", "-x509", "-newkey", "rsa", "-pkeyopt", "rsa_keygen_bits:4104", "-pkeyopt",
            "rsa_keygen_primes:4", "-nodes", "-subj", "/CN=large.example.com", "-days", "90",
            "-keyout", str(folder / "c-large.key"), "-out", str(folder / "c-large.crt"))
    (folder / "c-large.key").chmod(0o600)
    code, warnings = check(bench, ("certificate", "c-large.crt"), ("key", "c-large.key"))
    doubts = about(warnings, "certificate of a CA")
    assert [line for line, _ in doubts] == ["certificate = c-large.crt"]
    warnings = about(warnings, "4104 bits")
    assert code == 0 and len(warnings) == 1
    assert warnings[0][0] == "certificate = c-large.crt"
    assert "its RSA key has 4104 bits, so each handshake takes about 8 times" in warnings[0][1]


def test_certificate_that_no_client_would_see(bench, certs):
    code, errors = check(bench, ("certificate", "c-ec.pem"), ("certificate", "c-ec.crt"),
                         ("key", "c-ec.key"))
    assert code == 1 and len(errors) == 1
    assert errors[0][0] == "certificate = c-ec.crt" and "this certificate is never used" in errors[0][1]


def test_warnings(bench, certs):
    """A future problem causes a warning, not an error."""
    place = bench.place
    pki.make(place.folder, "c-short", names=["short.example.com"], days=6.5)
    pki.make(place.folder, "c-over", names=["over.example.com"], days=-0.5)
    code, warnings = check(
        bench, ("certificate", "c-short.pem"), ("certificate", "c-over.pem"),
        ("certificate", "c-ec.pem"), ("ocsp-file", staple(place, "late.ocsp", certs.ec, 0.5)))
    assert code == 0
    warnings = about(warnings, "expire", "OCSP")
    assert [line for line, _ in warnings] == [
        "certificate = c-short.pem", "certificate = c-over.pem", "ocsp-file = late.ocsp"]
    assert "warning: listener front" in warnings[0][1] and "in 6 days" in warnings[0][1]
    assert "has expired" in warnings[1][1] and "late.ocsp: the OCSP response" in warnings[2][1]


def unusable_staples(place, certs):
    """name: its content (None: no file), and a word of the warning."""
    later = ocsp.OCSPResponseBuilder.build_unsuccessful(ocsp.OCSPResponseStatus.TRY_LATER)
    staple(place, "of-another.ocsp", certs.rsa, 8)
    return {"missing": (None, "No such file"), "empty": (b"", "not an OCSP response"),
            "page": (b"<html>502</html>", "not an OCSP response"),
            "later": (later.public_bytes(serialization.Encoding.DER), "trylater"),
            "another": ((place.folder / "of-another.ocsp").read_bytes(),
                        "not for this certificate")}


@pytest.mark.parametrize("name", ["missing", "empty", "page", "later", "another"])
def test_unusable_staple_is_a_warning(bench, certs, name):
    """TLS works without a staple: `-t` and a start warn, and the gate sends none."""
    content, word = unusable_staples(bench.place, certs)[name]
    path = bench.place.folder / f"u-{name}.ocsp"
    if content is not None:
        path.write_bytes(content)
    code, warnings = check(bench, ("certificate", "c-ec.pem"), ("ocsp-file", path.name))
    warnings = about(warnings, "OCSP")
    assert code == 0 and [line for line, _ in warnings] == [f"ocsp-file = {path.name}"]
    assert "warning: listener front" in warnings[0][1] and word in warnings[0][1]
    gate = bench.start({"listener front": {"listen": "127.0.0.1:0", "certificate": "c-ec.pem",
                                           "ocsp-file": path.name},
                        "backend back": {"server": "127.0.0.1:1", "verify": "off"}})
    assert word in gate.wait_event("expiry")["msg"]
    text, der = s_client(gate.address(), "-status")
    assert der == certs.ec.der and "no response sent" in text


def test_open_files(bench, certs):
    """Keys and passphrases that other users may read are errors, as users files and secrets are;
    certificates are public. What containers mount, 0440, works."""
    place = bench.place
    for name in ("o-alone", "o-apart", "o-sealed", "o-good"):
        pki.make(place.folder, name, names=[f"{name}.example.com"])
    (place.folder / "o-passphrase").write_text("s3same\n")
    listener = [("certificate", "o-alone.pem"), ("certificate", "o-apart.crt"),
                ("key", "o-apart.key"), ("certificate", "o-sealed.pem"),
                ("passphrase-file", "o-passphrase"), ("certificate", "o-good.pem")]

    def checked(*modes):
        names = ("o-alone.pem", "o-apart.crt", "o-apart.key", "o-passphrase", "o-good.pem")
        for name, mode in zip(names, modes):
            (place.folder / name).chmod(mode)
        return check(bench, *listener)
    for mode in (0o604, 0o644, 0o444):
        code, errors = checked(mode, 0o644, mode, mode, 0o640)
        assert code == 1
        assert [line for line, _ in errors] == [
            "certificate = o-alone.pem", "key = o-apart.key", "passphrase-file = o-passphrase"]
        for _, text in errors:
            assert text.startswith("listener front: ") and "accessible to other users" in text
            assert "defaultMode: 0440" in text and "mode: 0440" in text
    code, errors = checked(0o440, 0o444, 0o440, 0o440, 0o440)
    assert code == 0, errors


# -- sstpgate binding --

def fingerprint(path, kind):
    text = openssl("x509", "-in", str(path), "-noout", "-fingerprint", f"-{kind}")
    return text.strip().partition("=")[2].replace(":", "").lower()


def test_binding_of_a_file(place):
    done = run("binding", place.front.cert)
    assert (done.returncode, done.stderr) == (0, "")
    sha1, sha256 = (fingerprint(place.front.cert, kind) for kind in ("sha1", "sha256"))
    octets = ",".join(f"0x{sha256[i:i + 2]}" for i in range(0, 64, 2))
    key = r"SYSTEM\CurrentControlSet\Services\SstpSvc\Parameters"
    lines = [line.strip() for line in done.stdout.splitlines()]
    for line in (
            "subject    CN=front", "names      vpn.example.com", f"SHA1       {sha1}",
            f"SHA256     {sha256}",
            rf"reg add HKLM\{key} /v IsHashConfiguredByAdmin /t REG_DWORD /d 1 /f",
            rf"reg add HKLM\{key} /v Sha256CertificateHash /t REG_BINARY /d {sha256} /f",
            rf"reg add HKLM\{key} /v UseHttps /t REG_DWORD /d 0 /f",
            rf"$p = 'HKLM:\{key}'",
            "New-ItemProperty -Path $p -Name Sha256CertificateHash -PropertyType Binary "
            f"-Value ([byte[]]({octets})) -Force",
            "netsh http delete sslcert ipport=0.0.0.0:443",
            f"netsh http add sslcert ipport=0.0.0.0:443 certhash={sha1} "
            "appid={ba195980-cd49-458b-9e23-c84ee0adcd75} certstorename=MY",
            f"cert-hash-sha1={sha1}", f"cert-hash-sha256={sha256}", f"pin-sha256 = {sha256}"):
        assert line in lines, line
    # every text that looks like a hash is one of the two, so that a copy is right
    assert set(re.findall(r"\b(?:[0-9a-f]{40}|[0-9a-f]{64})\b", done.stdout)) == {sha1, sha256}


def test_binding_of_any_kind_of_file(bench, certs, tmp_path):
    place = bench.place
    der = tmp_path / "leaf.der"
    der.write_bytes(certs.old.der)
    locked = place.folder / pfx(place, "three.pfx", certs.old, "-legacy")
    for arguments in ((certs.old.cert,), (certs.old.both,), (der,),
                      ("-p", place.folder / "passphrase", locked)):
        done = run("binding", *arguments)
        assert done.returncode == 0 and f"SHA256     {certs.old.sha256}\n" in done.stdout
    done = run("binding", locked)
    assert done.returncode == 1 and done.stdout == "" and "encrypted: give -p FILE" in done.stderr


def test_binding_of_a_bundle(bench, certs, tmp_path):
    """The server's certificate is found anywhere in the file; a file with two of them has a note."""
    bundle = tmp_path / "bundle.pem"
    ca, leaf = bench.place.ca, certs.old
    for order in ([ca, leaf], [leaf, ca]):
        bundle.write_bytes(b"".join(open(one.cert, "rb").read() for one in order))
        done = run("binding", bundle)
        assert (done.returncode, done.stderr) == (0, "")
        assert f"SHA256     {leaf.sha256}\n" in done.stdout and "note" not in done.stdout
    done = run("binding", ca.cert)
    assert "note       the certificate of a CA (CA:TRUE)" in done.stdout
    bundle.write_bytes(b"".join(open(one.cert, "rb").read() for one in (certs.old, certs.ec)))
    done = run("binding", bundle)
    assert f"SHA256     {certs.old.sha256}\n" in done.stdout
    assert "note       the file has 1 more certificate of servers; this is the first\n" in done.stdout


def test_binding_of_a_listener(bench, certs):
    """The command needs no private keys, so that other users can run it; it uses the listener's addresses."""
    place = bench.place
    pfx(place, "c-pair.pfx", certs.old)
    config = bench.config({
        "listener front": [("listen", "203.0.113.10:443"), ("listen", "[2001:db8::10]:444"),
                           ("certificate", "c-ec.crt"), ("key", "not-there.key"),
                           ("certificate", "c-pair.pfx"), ("passphrase-file", "passphrase")],
        "listener any": [("listen", "*:443"), ("certificate", "c-ec.crt"),
                         ("certificate", "missing.pem")],
        "backend back": {"server": "127.0.0.1:1", "verify": "off"}})
    done = run("binding", "-c", config, "front")
    assert (done.returncode, done.stderr) == (0, "")
    assert "listener front has 2 certificates" in done.stdout
    for cert in (certs.ec, certs.old):
        assert f"  SHA256     {cert.sha256}\n" in done.stdout
        for ipport in ("203.0.113.10:443", "[2001:db8::10]:444"):
            assert f"sslcert ipport={ipport} certhash={cert.sha1} " in done.stdout
    assert "delete sslcert ipport=0.0.0.0:443" in done.stdout
    assert "add sslcert ipport=0.0.0.0:443" not in done.stdout
    done = run("binding", "-c", config, "any")
    assert done.returncode == 1 and certs.ec.sha256 in done.stdout
    assert re.fullmatch(rf"{config}:\d+: .*missing.pem: No such file or directory\n", done.stderr)
    done = run("binding", "-c", config, "fornt")
    assert done.returncode == 1 and "did you mean 'front'" in done.stderr


def test_binding_of_a_word(place, tmp_path):
    """A word that is not a listener is a file, even if the configuration has errors."""
    (tmp_path / "front.crt").write_bytes(open(place.front.cert, "rb").read())
    for config in ("nowhere.conf", "front.crt"):
        done = run("binding", "-c", config, "front.crt", cwd=tmp_path)
        assert (done.returncode, done.stderr) == (0, "")
        done = run("binding", "-c", config, "front", cwd=tmp_path)
        assert done.returncode == 1 and config in done.stderr


def test_binding_of_a_missing_file(tmp_path):
    """The argument is a file, so the missing file is reported first, and then the reason why no listener has
    the name."""
    done = run("binding", "-c", tmp_path / "no.conf", "rras.cer", cwd=tmp_path)
    assert done.returncode == 1
    first, second = done.stderr.splitlines()
    assert "no file 'rras.cer'" in first and "no.conf: cannot be opened" in second


@pytest.mark.parametrize("arguments", [(), ("a", "b"), ("-x", "a"), ("-c",)])
def test_binding_usage(arguments):
    done = run("binding", *arguments)
    assert done.returncode == 2 and done.stderr.startswith("usage: sstpgate binding")


def test_binding_help():
    done = run("binding", "-h")
    assert done.returncode == 0 and "LISTENER|FILE" in done.stdout


# -- sstpgate certificates --

def inspected(bench, listener=None, backend=None, arguments=(), trusted=()):
    """Returns the exit code and the JSON of a configuration with one listener. trusted: the CAs of the machine."""
    bundle = bench.place.folder / "trusted.pem"
    bundle.write_text("".join(open(ca.cert).read() for ca in trusted))
    server = bench.backend()
    config = bench.config({"listener front": {**bench.listener_keys(), **(listener or {})},
                           "backend back": {**bench.backend_keys(server), **(backend or {})}})
    done = run("certificates", "-c", config, "--json", *arguments,
               env={**os.environ, "SSL_CERT_FILE": str(bundle), "SSL_CERT_DIR": "/nonexistent"})
    assert done.stderr == ""
    return done.returncode, json.loads(done.stdout)


def findings(report):
    return [(found["level"], found["text"]) for certificate in report["listeners"][0]["certificates"]
            for found in certificate["findings"]]


def chained(place, cert):
    """Returns a file with the certificate, its CA and its key."""
    path = place.folder / f"chained-{cert.sha1[:8]}.pem"
    private(path, open(cert.cert).read() + open(place.ca.cert).read() + open(cert.key).read())
    return path


def test_certificates_that_are_good(bench):
    place = bench.place
    cert = pki.make(place.folder, "k-good", issuer=place.ca, names=["vpn.example.com", "*.example.net"])
    code, report = inspected(bench, {"certificate": cert.both, "host": ["vpn.example.com", "a.example.net"]},
                             trusted=[place.ca])
    assert (code, report["result"], findings(report)) == (0, "ok", [])
    assert report["listeners"][0]["hosts"] == [{"host": "vpn.example.com", "covered": True},
                                               {"host": "a.example.net", "covered": True}]
    [shown] = report["listeners"][0]["certificates"]
    assert (shown["subject"], shown["issuer"]) == ("CN=k-good", "CN=ca")
    assert (shown["names"], shown["key_type"]) == (["vpn.example.com", "*.example.net"], "EC prime256v1")
    assert shown["days"] in (89, 90)  # the latter within a second
    assert (shown["staple"], shown["chain"]) == ("none", [])
    assert (shown["sha256"], shown["verified"], shown["why_not"]) == (cert.sha256, True, None)
    [backend] = report["backends"]
    assert (backend["verify"], backend["pins"]) == ("pin", [bench.place.back.sha256])


def test_certificates_of_a_private_ca(bench):
    place = bench.place
    cert = pki.make(place.folder, "k-private", issuer=place.ca, names=["vpn.example.com"])
    code, report = inspected(bench, {"certificate": chained(place, cert)})
    assert (code, report["result"]) == (0, "ok")
    assert {level for level, _ in findings(report)} == {"remark"}
    [shown] = report["listeners"][0]["certificates"]
    assert (shown["verified"], shown["why_not"]) == (False, "unable to get local issuer certificate")


@pytest.mark.parametrize("age, days, arguments, code", [
    (90, 20, [], 1), (90, 20, ["--days", "10"], 0), (90, 40, [], 0), (90, 40, ["-d", "41"], 1), (1, 20, [], 0),
    (100, -1, [], 2)])
def test_certificates_that_expire(bench, age, days, arguments, code):
    """The warnings begin at a third of the validity, if that is later."""
    place = bench.place
    cert = pki.make(place.folder, f"k-{days}-{code}", names=["vpn.example.com"], days=days, age=age)
    assert inspected(bench, {"certificate": cert.both}, arguments=arguments)[0] == code


def test_certificates_of_a_name_that_no_one_covers(bench):
    place = bench.place
    cert = pki.make(place.folder, "k-name", names=["vpn.example.com"])
    code, report = inspected(bench, {"certificate": cert.both, "host": ["vpn.example.com", "other.example.com"]})
    assert (code, report["result"]) == (2, "critical")
    assert [host["covered"] for host in report["listeners"][0]["hosts"]] == [True, False]


def test_certificates_without_a_file(bench):
    code, report = inspected(bench, {"certificate": "/nonexistent.pem"})
    assert code == 2
    assert findings(report) == [("error", "/nonexistent.pem: No such file or directory")]


def test_certificates_with_old_cas_of_a_backend(bench):
    old = pki.make(bench.place.folder, "k-old-ca", ca=True, days=-0.5)
    code, report = inspected(bench, backend={"verify": "ca", "ca-file": old.cert, "pin-sha256": None})
    assert (code, report["result"]) == (1, "warning")
    assert report["backends"][0]["findings"] == [{"level": "warning", "text": "a CA has expired: /CN=k-old-ca"}]


def test_certificates_as_text(bench):
    """The first line is for a monitoring system."""
    server = bench.backend()
    config = bench.config({"listener front": bench.listener_keys(host="vpn.example.com"),
                           "listener other": bench.listener_keys(bench.place.front2),
                           "backend back": bench.backend_keys(server)})
    done = run("certificates", "-c", config)
    assert (done.returncode, done.stderr) == (0, "")
    first, *lines = done.stdout.splitlines()
    assert re.fullmatch(r"CERTIFICATES OK: 2 certificates, 0 errors, 0 warnings; (89|90) days left: .*\.pem", first)
    for line in ("listener front", "  host vpn.example.com: covered", "listener other", "backend back", "  verify = pin",
                 f"    SHA256       {bench.place.front.sha256}"):
        assert line in lines
    one = run("certificates", "-c", config, "other").stdout
    assert "CERTIFICATES OK: 1 certificate," in one
    assert "listener front" not in one and "backend back" not in one


@pytest.mark.parametrize("arguments, said", [(["fornt"], "no [listener fornt]; did you mean 'front'?"),
                                             (["--nonsense"], "usage: sstpgate certificates"),
                                             (["--days", "x"], "usage: sstpgate certificates"),
                                             (["a", "b"], "usage: sstpgate certificates")])
def test_certificates_with_wrong_words(bench, arguments, said):
    config = bench.config({"listener front": bench.listener_keys(), "backend back": bench.backend_keys(bench.backend())})
    done = run("certificates", "-c", config, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr


def test_certificates_of_an_invalid_configuration(bench):
    done = run("certificates", "-c", bench.config({"listener front": bench.listener_keys(nonsense=1)}))
    assert (done.returncode, done.stdout) == (2, "")
    assert "nonsense" in done.stderr
