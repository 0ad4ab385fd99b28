"""Files that the configuration names: a file that changes is read again alone, for the configuration in force.
If its new content cannot be used, the old content stays in force, and other files are not delayed."""

import datetime
import socket
import subprocess
import threading
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from conftest import USERS
from gate import run, write_config
from peers import mschap, pki
from peers.client import CallFailed, Client, expect_failure
from test_certificates import pfx, staple
from test_reload import country_database, leaf

IN_FORCE, KEPT = "its new content is in force", "its old content stays in force"


def line_of(user, password):
    return f"{user}:{mschap.hash_hash(password).hex()}\n"


def put(path, content):
    """Replaces a file as programs do: writes it under another name and renames it."""
    new = path.with_name(path.name + ".next")
    new.touch(mode=0o600)
    new.write_bytes(content if isinstance(content, bytes) else content.encode())
    new.rename(path)
    return path


class Files:
    """A gate with a users file of its own, and keys that a test adds; dave is not in the file. certificates:
    pairs of key and value; cert: of the server; before: other sections."""

    def __init__(self, bench, gate=None, backend=None, certificates=(), cert=None, before=None,
                 **listener):
        self.bench, self.place = bench, bench.place
        self.folder = self.place.folder
        self.users = put(self.folder / f"users-{bench.count}", bench.place.users.read_text())
        self.server = bench.backend(cert, users={**USERS, "dave": "new here"})
        front = bench.listener_keys(**listener)
        if certificates:
            del front["certificate"]
            front = [*certificates, *front.items()]
        self.keys = {"gate": {"workers": 2, "admin": f"unix:files-{bench.count}.sock",
                              **(gate or {})},
                     **(before or {}), "listener front": front,
                     "backend back": bench.backend_keys(self.server) | {
                         "users-file": self.users.name, **(backend or {})}}
        self.gate = bench.start(self.keys)

    def wait_file(self, path, end, count=1):
        """The latest line about a file, when there are `count` with this end."""
        def find():
            found = [event for event in self.gate.events("reload")
                     if event.fields.get("file") == str(path) and event["msg"].endswith(end)]
            return found[count - 1] if len(found) >= count else None
        return self.gate.wait(find, f"line about {path}")

    def add_dave(self):
        put(self.users, self.users.read_text() + line_of("dave", "new here"))

    def dave(self):
        return self.bench.client(self.gate, user="dave", password="new here")

    def status(self):
        done = run("ctl", "-c", self.gate.config, "status")
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    def stale(self):
        return [line for line in self.status() if line.startswith("stale: ")]


def test_draft_is_not_loaded(bench):
    """A change of another file does not load a draft of the configuration, and an invalid draft does not delay
    the file."""
    it = Files(bench)
    loaded = f"configuration: {it.gate.config}"
    outdated = loaded + " (changed on disk, not loaded)"
    assert loaded in it.status()
    it.keys["listener front"]["deny"] = "user alice"
    write_config(it.gate.config, it.keys)
    assert outdated in it.status()
    it.add_dave()
    it.wait_file(it.users, IN_FORCE)
    it.dave().establish().ping().disconnect()
    bench.client(it.gate).establish().ping().disconnect()
    draft = it.gate.config.read_text()
    it.gate.config.write_text(draft.replace("deny =", "dney ="))
    put(it.users, it.users.read_text() + line_of("erin", "e"))
    it.wait_file(it.users, IN_FORCE, 2)
    it.gate.config.write_text(draft)
    assert it.gate.reload()[-1].level == "info"
    assert loaded in it.status()
    expect_failure(bench.client(it.gate))


def networks(bench):
    return {"deny-file": put(bench.place.folder / "nets", "192.0.2.0/24\n").name}


# key of the file: section, how it is set up, what is wrong with it later, a word of the reason
BAD = {
    "deny-file": ("listener", lambda b: {"deny-file": put(b.place.folder / "nets",
                                                          "127.0.0.66\n").name},
                  "<html>502</html>\n", "nets:1: not an address"),
    "allow-file": ("listener", lambda b: {"allow-file": put(b.place.folder / "nets",
                                                            "127.0.0.1\n").name},
                   None, "No such file"),
    "country-file": ("gate", lambda b: {"country-file": put(
        b.place.folder / "nets", country_database("DE")).name}, b"", "nets: "),
    "ca-file": ("backend", lambda b: {"ca-file": put(
        b.place.folder / "nets", Path(b.place.ca.cert).read_bytes()).name,
        "verify": "ca", "pin-sha256": None}, "hello\n", "nets: "),
    "certificate": ("listener", lambda b: {"certificate": put(
        b.place.folder / "nets", Path(b.place.front.both).read_bytes()).name},
        "hello\n", "neither PEM nor PKCS#12"),
}


@pytest.mark.parametrize("key", BAD)
def test_bad_file_delays_no_other(bench, key):
    """Its old content stays in force, and the log and the status have its name and the reason. Repaired, it
    comes into force without a signal."""
    section, make, bad, word = BAD[key]
    made = make(bench)
    it = Files(bench, gate=made if section == "gate" else None,
               backend=made if section == "backend" else None, cert=bench.place.back_ca,
               **(made if section == "listener" else {}))
    path = bench.place.folder / "nets"
    good = path.read_bytes()
    up = bench.client(it.gate).establish().ping()
    if bad is None:
        path.unlink()
    else:
        put(path, bad)
    it.add_dave()
    it.wait_file(it.users, IN_FORCE)
    event = it.wait_file(path, KEPT)
    assert event.level == "error" and word in event["msg"]
    assert len(it.stale()) == 1 and f"stale: {path}: " in it.stale()[0] and word in it.stale()[0]
    it.dave().establish().ping().disconnect()
    if key == "deny-file":
        expect_failure(bench.client(it.gate, bind="127.0.0.66"))
    put(it.users, line_of("alice", USERS["alice"]))  # the bad file is neither read nor reported again
    it.wait_file(it.users, IN_FORCE, 2)
    assert len([e for e in it.gate.events("reload") if e.fields.get("file") == str(path)]) == 1
    put(path, good)
    it.wait_file(path, IN_FORCE)
    assert it.stale() == []
    up.ping().disconnect()


def test_users_file_is_repaired_by_its_mode(bench):
    """A file that every user may read is refused; `chmod` alone changes neither content nor mtime."""
    it = Files(bench)
    new = it.users.with_suffix(".next")
    new.write_text(line_of("dave", "new here"))
    new.chmod(0o644)
    new.rename(it.users)
    assert "accessible to other users" in it.wait_file(it.users, KEPT)["msg"]
    it.users.chmod(0o600)
    it.wait_file(it.users, IN_FORCE)
    it.dave().establish().ping().disconnect()


def test_file_that_changes_all_the_time(bench):
    """It delays the other files by some ten seconds at most."""
    it = Files(bench, **networks(bench))
    over = threading.Event()

    def rewrite():
        turn = 0
        while not over.wait(0.5):
            turn += 1
            put(bench.place.folder / "nets", f"192.0.2.{turn % 250}\n")

    thread = threading.Thread(target=rewrite, daemon=True)
    thread.start()
    it.add_dave()
    it.wait_file(it.users, IN_FORCE)
    over.set()
    thread.join()


def test_new_ca(bench):
    """ca-file is watched: a server with a certificate of a new CA is trusted without a signal."""
    place = bench.place
    other = pki.make(place.folder, "ca-next", ca=True)
    server_cert = pki.make(place.folder, "of-ca-next", issuer=other, names=["127.0.0.1"])
    path = put(place.folder / "roots.pem", Path(place.ca.cert).read_bytes())
    it = Files(bench, backend={"verify": "ca", "pin-sha256": None, "ca-file": path.name},
               cert=server_cert)
    assert expect_failure(bench.client(it.gate)).status == 503
    put(path, Path(other.cert).read_bytes())
    it.wait_file(path, IN_FORCE)
    bench.client(it.gate).establish().ping().disconnect()


def test_pkcs12_and_passphrase_in_two_steps(bench):
    """Until both files are complete, clients get the old pair."""
    place = bench.place
    first = pki.make(place.folder, "p-first", issuer=place.ca, names=["vpn.example.com"])
    second = pki.make(place.folder, "p-second", issuer=place.ca, names=["vpn.example.com"])
    container = place.folder / pfx(place, "p-live.pfx", first)
    passphrase = put(place.folder / "p-live.txt", "s3same\n")
    it = Files(bench, certificates=[("certificate", container.name),
                                    ("passphrase-file", passphrase.name)])
    put(container, (place.folder / pfx(place, "p-next.pfx", second,
                                       passphrase="0ther")).read_bytes())
    assert "passphrase-file is wrong" in it.wait_file(container, KEPT)["msg"]
    assert leaf(bench, it.gate.address()) == first.der
    put(passphrase, "0ther\n")
    it.wait_file(passphrase, IN_FORCE)
    assert leaf(bench, it.gate.address()) == second.der


def test_renewal_that_shadows_another(bench):
    """A renewed certificate of another key type would never be presented, or would hide the other one: the old
    one stays in force, and the other one is renewed."""
    place = bench.place
    rsa = pki.make(place.folder, "s-rsa", issuer=place.ca, key="rsa", names=["vpn.example.com"])
    ec, again = (pki.make(place.folder, f"s-ec{n}", issuer=place.ca, names=["vpn.example.com"])
                 for n in range(2))
    one, two = place.folder / "s-one.pem", place.folder / "s-two.pem"
    put(one, Path(rsa.both).read_bytes())
    put(two, Path(ec.both).read_bytes())
    it = Files(bench, certificates=[("certificate", one.name), ("certificate", two.name)],
               before={"listener alone": bench.listener_keys(certificate=one.name)})
    put(one, Path(again.both).read_bytes())  # two kinds become one
    assert it.wait_file(one, KEPT).level == "error"
    for _ in range(10):  # a certificate that does not fit one listener comes into force for none, in any worker
        assert leaf(bench, it.gate.address("alone")) == rsa.der

    def shown(cipher):
        client = Client(it.gate.address(), tls_max="1.2", ciphers=cipher)
        bench.clients.append(client)
        return client.establish("tls").wire.peer_der
    assert shown("ECDHE-RSA-AES128-GCM-SHA256") == rsa.der
    put(two, Path(again.both).read_bytes())
    it.wait_file(two, IN_FORCE)
    assert shown("ECDHE-ECDSA-AES128-GCM-SHA256") == again.der
    assert shown("ECDHE-RSA-AES128-GCM-SHA256") == rsa.der


def test_two_certificates_change_places(bench):
    """Each new certificate fits only together with the other new one."""
    place = bench.place
    rsa, ec, new_rsa, new_ec = (
        pki.make(place.folder, f"p-{n}-{key}", issuer=place.ca, key=key, names=["vpn.example.com"])
        for n in range(2) for key in ("rsa", "ec"))
    one, two = place.folder / "p-one.pem", place.folder / "p-two.pem"
    put(one, Path(rsa.both).read_bytes())
    put(two, Path(ec.both).read_bytes())
    it = Files(bench, certificates=[("certificate", one.name), ("certificate", two.name)])
    put(one, Path(new_ec.both).read_bytes())
    it.wait_file(one, KEPT)
    put(two, Path(new_rsa.both).read_bytes())
    it.wait_file(two, IN_FORCE)
    it.wait_file(one, IN_FORCE)
    assert it.stale() == []
    for cipher, der in ("RSA", new_rsa.der), ("ECDSA", new_ec.der):
        client = Client(it.gate.address(), tls_max="1.2", ciphers=f"ECDHE-{cipher}-AES128-GCM-SHA256")
        bench.clients.append(client)
        assert client.establish("tls").wire.peer_der == der


def test_staple_comes_and_goes(bench):
    """A staple that appears later is sent; a staple that cannot be used is not sent, and causes a warning."""
    place = bench.place
    cert = pki.make(place.folder, "st", issuer=place.ca, names=["vpn.example.com"])
    path = place.folder / "st.ocsp"
    it = Files(bench, certificates=[("certificate", Path(cert.both).name),
                                    ("ocsp-file", path.name)])

    def sent():
        host, port = it.gate.address()
        done = subprocess.run(["openssl", "s_client", "-connect", f"{host}:{port}", "-status"],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
        return "OCSP Response Status: successful" in done.stdout
    assert "No such file" in it.gate.wait_event("expiry")["msg"] and not sent()
    staple(place, path.name, cert, 8)
    it.wait_file(path, IN_FORCE)
    assert sent()
    put(path, "<html>502</html>")
    it.wait_file(path, IN_FORCE, 2)
    assert "not an OCSP response" in it.gate.wait_event("expiry", 1)["msg"] and not sent()


def test_warnings_about_new_content(bench):
    """A renewed certificate without the name in `host`, and an emptied list, are in force; the log warns about
    them, and does not repeat earlier warnings."""
    place = bench.place
    wrong = pki.make(place.folder, "d-wrong", issuer=place.ca, names=["other.example.com"])
    live = put(place.folder / "d-live.pem", Path(place.front.both).read_bytes())
    nets = put(place.folder / "d-nets", "192.0.2.0/24\n")
    it = Files(bench, certificate=live.name, host="vpn.example.com", deny_file=nets.name)
    before = [event["msg"] for event in it.gate.events("config")]
    assert not any("vpn.example.com" in line for line in before)
    put(live, Path(wrong.both).read_bytes())
    put(nets, "# moved\n")
    it.wait_file(live, IN_FORCE)
    it.gate.wait_log("vpn.example.com")
    it.add_dave()
    it.wait_file(it.users, IN_FORCE)
    later = [event["msg"] for event in it.gate.events("config")][len(before):]
    assert sum("host = " in line or "vpn.example.com" in line for line in later) == 1, later
    assert sum("d-nets" in line for line in later) == 1, later
    assert not set(later) & set(before)


def test_recheck_follows_the_rules(bench):
    """recheck-tunnels: a list of networks is a part of the rules, a users file is not."""
    path = put(bench.place.folder / "blocked", "192.0.2.1\n")
    it = Files(bench, deny_file=path.name, recheck_tunnels="yes")
    there = bench.client(it.gate, bind="127.0.0.66").establish().ping()
    up = bench.client(it.gate).establish().ping()
    it.keys["listener front"]["deny"] = "127.0.0.1"  # a draft
    write_config(it.gate.config, it.keys)
    it.add_dave()
    it.wait_file(it.users, IN_FORCE)
    there.ping()
    put(path, "127.0.0.66\n")
    it.wait_file(path, IN_FORCE)
    assert it.gate.wait_call()["reason"] == "rules-changed"
    there.close()
    up.ping().disconnect()
    assert it.gate.wait_call(1)["reason"] == "client-disconnect"


def test_limits_and_bans_stay(bench):
    """A file that is read again lifts no ban and forgets no tunnel of a user."""
    it = Files(bench, gate={"ban-points": 10, "ban-time": "1h", "max-tunnels-per-user": 1})
    up = bench.client(it.gate).establish().ping()
    guess = bench.client(it.gate, bind="127.0.0.66", password="wrong")
    with pytest.raises(CallFailed):
        guess.establish()
    guess.close()
    it.gate.wait_event("ban")
    it.add_dave()
    it.wait_file(it.users, IN_FORCE)
    expect_failure(bench.client(it.gate, bind="127.0.0.66"))
    expect_failure(bench.client(it.gate))
    assert it.gate.wait_call(1)["reason"] == "user-limit"
    up.ping().disconnect()


def expiring(place, name, until):
    """Returns a certificate that is valid until this time."""
    cert = pki.make(place.folder, name, issuer=place.ca, names=["vpn.example.com"])
    old = x509.load_pem_x509_certificate(Path(cert.cert).read_bytes())
    new = (x509.CertificateBuilder().subject_name(old.subject).issuer_name(old.issuer)
           .public_key(old.public_key()).serial_number(old.serial_number)
           .not_valid_before(old.not_valid_before).not_valid_after(until)
           .add_extension(old.extensions.get_extension_for_class(
               x509.SubjectAlternativeName).value, critical=False)
           .sign(place.ca.secret, hashes.SHA256()))
    return put(place.folder / f"{name}.live", new.public_bytes(serialization.Encoding.PEM) +
               Path(cert.key).read_bytes())


def test_expiry_is_noticed_while_the_gate_runs(bench):
    """Nothing changes but the time: a certificate comes within a day of its end."""
    now = datetime.datetime.utcnow()
    path = expiring(bench.place, "soon", now + datetime.timedelta(days=1, seconds=8))
    it = Files(bench, certificate=path.name)
    assert "soon.live: the certificate expires in 1 day" in it.gate.wait_event("expiry")["msg"]
    assert "expires in less than 1 day" in it.gate.wait_event("expiry", 1)["msg"]
    it.add_dave()  # a known warning is not repeated
    it.wait_file(it.users, IN_FORCE)
    assert len(it.gate.events("expiry")) == 2


def test_lists_of_old_tunnels_are_freed(bench):
    """A tunnel that is up keeps no list that was in force when it began."""
    path = bench.place.folder / "large"

    def write(turn):
        put(path, "".join(f"{11 + (n >> 16)}.{n >> 8 & 255}.{n & 255}.{turn}\n"
                          for n in range(200_000)))
    write(0)
    it = Files(bench, deny_file=path.name)
    sizes = []
    for turn in range(1, 7):
        bench.client(it.gate).establish().ping()
        write(turn)
        assert it.gate.reload()[-1].level == "info"
        sizes.append(it.gate.rss())
    if not it.gate.sanitized():  # 200 000 networks: 5 MB
        assert sizes[-1] - sizes[1] < 10 << 20, sizes
    for client in bench.clients:
        client.ping()


# ---- include and variables ----

def test_include(bench, monkeypatch):
    """The files that a pattern matches are watched like the configuration file, and loaded with it."""
    folder = bench.place.folder / "conf.d"
    folder.mkdir(exist_ok=True)
    monkeypatch.setenv("SG_DENIED", "127.0.0.9")
    server = bench.backend()
    keys = bench.backend_keys(server)
    keys["users-file"] = "../users"
    write_config(folder / "back.conf", {"backend back": keys})
    try:
        gate = bench.start({
            "gate": {"workers": 1, "admin": "unix:include.sock", "include": "conf.d/*.conf"},
            "listener front": {**bench.listener_keys(), "deny": "${SG_DENIED}"}})
        bench.client(gate).establish().ping().disconnect()
        loaded = f"configuration: {gate.config}"
        outdated = loaded + " (changed on disk, not loaded)"

        def state():
            return run("ctl", "-c", gate.config, "status").stdout.splitlines()
        assert loaded in state()
        write_config(folder / "more.conf", {"listener more": {
            **bench.listener_keys(listen="127.0.0.3:0"), "certificate": "../front.pem",
            "deny": "127.0.0.1"}})
        assert outdated in state()
        printed = run("-T", "-c", gate.config)
        assert printed.returncode == 0
        assert f"\n; from {folder}/more.conf\n[listener more]\n" in printed.stdout
        assert f"\n; from {folder}/back.conf\n[backend back]\n" in printed.stdout
        assert "deny = 127.0.0.9\n" in printed.stdout
        assert gate.reload()[-1].level == "info"
        assert loaded in state()
        more = gate.wait_event("listen", 1)
        assert more["listener"] == "more"
        host, _, port = more["address"].rpartition(":")
        with socket.create_connection((host, int(port)), source_address=("127.0.0.1", 0)):
            denied = gate.wait_event("deny")
        assert (denied["line"], denied["config"]) == ("6", str(folder / "more.conf"))
        (folder / "more.conf").write_text("[listener more]\nbanana = 1\n")
        said = gate.reload()
        assert said[-1].level == "error"
        assert any(f"{folder}/more.conf:2: unknown key 'banana'" in event["msg"] for event in said)
    finally:
        for name in ("more.conf", "back.conf"):
            (folder / name).unlink(missing_ok=True)
