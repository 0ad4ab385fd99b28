"""Reload: the new configuration is put in force completely or not at all; tunnels, waiting connections and
handshakes in progress are not disturbed."""

import os
import socket
import threading
from pathlib import Path

import pytest

from conftest import USERS
from gate import run, write_config
from peers import load, mschap, pki, tls
from peers.client import CallFailed, Client, expect_failure


class Setting:
    """A gate whose configuration can be changed; `keys` are the sections."""

    def __init__(self, bench, server, gate=None, **listener):
        self.keys = {"gate": {"workers": 2, **(gate or {})},
                     "listener front": bench.listener_keys(**listener),
                     "backend back": bench.backend_keys(server)}
        self.gate = bench.start(self.keys)

    def write(self):
        write_config(self.gate.config, self.keys)

    def reload(self):
        """Returns whether the new configuration is in force; self.said: the log lines of the reload."""
        self.write()
        self.said = [event["msg"] for event in self.gate.reload()]
        return self.said[-1].endswith("is in force")


def free_port(host="127.0.0.1"):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family) as sock:
        return sock.getsockname()[1]


def refused(address):
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address)
    return True


def copy_of(cert, folder, name):
    """Copies a certificate into files that can be replaced; the PEM file has certificate and key."""
    path = Path(folder) / f"{name}.pem"
    path.touch(mode=0o600)
    path.write_bytes(Path(cert.both).read_bytes())
    return path


def replace(path, cert):
    """Replaces a file as certbot does: writes it under another name and renames it."""
    new = path.with_suffix(".new")
    new.touch(mode=0o600)
    new.write_bytes(Path(cert.both).read_bytes())
    new.rename(path)


def leaf(bench, address):
    client = Client(address)
    bench.clients.append(client)
    der = client.establish("tls").wire.peer_der
    client.close()
    return der


def test_all_of_it(bench):
    """A new certificate, names, rules, a backend and one more address apply to new calls. The old tunnel
    stays."""
    old, new = bench.backend(), bench.backend(bench.place.back_ca)
    it = Setting(bench, old)
    client = bench.client(it.gate).establish().ping()
    port = free_port("127.0.0.2")
    it.keys["listener front"] = bench.listener_keys(
        cert=bench.place.front2, host="two.example.com",
        listen=["127.0.0.1:0", f"127.0.0.2:{port}"]) | {"deny": "127.0.0.3"}
    it.keys["backend back"] = bench.backend_keys(new)
    assert it.reload(), it.said
    client.ping()
    other = bench.client(it.gate, host="two.example.com").establish()
    assert other.wire.peer_der == bench.place.front2.der
    other.ping().disconnect()
    assert new.wait_over().verdict == "ok"
    assert leaf(bench, ("127.0.0.2", port)) == bench.place.front2.der
    assert expect_failure(bench.client(it.gate)).status == 404  # the old name
    expect_failure(bench.client(it.gate, bind="127.0.0.3", host="two.example.com"))
    it.gate.wait_event("deny")
    client.ping().disconnect()
    assert old.wait_over().verdict == "ok" and len(old.calls) == 1


def test_listen_lines(bench):
    """A new address is logged as at the start; an unchanged one is not logged again."""
    it = Setting(bench, bench.backend())
    it.gate.wait_event("listen")
    it.keys["listener front"]["listen"] = ["127.0.0.1:0", "127.0.0.2:0"]
    assert it.reload()
    event = it.gate.wait_event("listen", 1)
    host, port = event["address"].rsplit(":", 1)
    assert (host, event["listener"], event["workers"]) == ("127.0.0.2", "front", "2")
    assert leaf(bench, (host, int(port))) == bench.place.front.der
    assert len(it.gate.events("listen")) == 2


def spoil_key(bench, keys):
    keys["listener front"]["nonsense"] = "1"
    return ["nonsense"]


def spoil_certificate(bench, keys):
    keys["listener front"]["certificate"] = "missing.pem"
    return ["missing.pem"]


def spoil_pair(bench, keys):
    keys["listener front"].update(certificate="front.crt", key="back.key")
    return ["front"]


def spoil_users(bench, keys):
    bad = bench.place.folder / "bad-users"
    bad.touch(mode=0o600)
    bad.write_text("alice:00\nbob\n")
    keys["backend back"]["users-file"] = "bad-users"
    return ["bad-users:1", "bad-users:2"]


def spoil_ca(bench, keys):
    keys["backend back"].update({"ca-file": "front.key", "verify": "ca", "pin-sha256": None})
    return ["front.key"]


def spoil_address(bench, keys):
    taken = socket.create_server(("127.0.0.1", 0))
    bench.taken = taken  # until the test is over
    port = taken.getsockname()[1]
    keys["listener front"]["listen"] = ["127.0.0.1:0", f"127.0.0.1:{port}"]
    return [f"127.0.0.1:{port}"]


def spoil_two_addresses(bench, keys):
    """198.51.100.0/24 belongs to no machine."""
    keys["listener front"]["listen"] = ["198.51.100.1:443", "127.0.0.1:0", "198.51.100.2:443"]
    return [": listener front: cannot listen on 198.51.100.1:443",
            ": listener front: cannot listen on 198.51.100.2:443"]


def spoil_all(bench, keys):
    """Errors of several kinds are reported together."""
    keys["listener front"]["nonsense"] = "1"
    keys["backend back"]["crypto-binding"] = "perhaps"
    keys["gate"]["max-tunnels"] = "many"
    return ["nonsense", "perhaps", "many"]


@pytest.mark.parametrize("spoil", [spoil_key, spoil_certificate, spoil_pair, spoil_users, spoil_ca,
                                   spoil_address, spoil_two_addresses, spoil_all])
def test_errors_change_nothing(bench, spoil):
    """The valid parts of an invalid configuration are not used either."""
    server = bench.backend()
    it = Setting(bench, server)
    client = bench.client(it.gate).establish().ping()
    before = it.gate.descriptors()
    port = free_port("127.0.0.5")
    good = {name: dict(keys) for name, keys in it.keys.items()}
    it.keys["listener other"] = bench.listener_keys(cert=bench.place.front2,
                                                    listen=f"127.0.0.5:{port}")
    it.keys["listener front"]["host"] = "two.example.com"
    words = spoil(bench, it.keys)
    assert not it.reload()
    for word in words:
        assert any(word in line for line in it.said[:-1]), (word, it.said)
    assert all(event.level == "error" for event in it.gate.events("reload"))
    assert it.gate.descriptors() == before
    assert refused(("127.0.0.5", port))
    client.ping()
    again = bench.client(it.gate).establish().ping()
    assert again.wire.peer_der == bench.place.front.der
    it.keys = good
    assert it.reload(), it.said
    for one in (client, again):
        one.ping().disconnect()


def test_no_file(bench):
    it = Setting(bench, bench.backend())
    it.gate.config.rename(it.gate.config.with_suffix(".away"))
    said = it.gate.reload()
    assert str(it.gate.config) in said[0]["msg"] and said[-1].level == "error"
    it.gate.config.with_suffix(".away").rename(it.gate.config)
    assert it.reload()
    bench.client(it.gate).establish("request")


class Halting(tls.Tls):
    """Runs a function when the server's first flight has arrived."""
    halt = None

    def _next_record(self, deadline):
        record = super()._next_record(deadline)
        halt, self.halt = self.halt, None
        if halt:
            halt()
        return record


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_handshake_keeps_its_leaf(bench, version):
    """Between the certificate message and Finished a reload changes the certificate. The binding is made, and
    verified, with the first one."""
    server = bench.backend()
    it = Setting(bench, server)
    client = bench.client(it.gate).open()
    client.wire = Halting(client.wire.sock, tls.client_context(version, version))

    def halt():
        it.keys["listener front"]["certificate"] = "front2.pem"
        assert it.reload(), it.said

    client.wire.halt = halt
    client.wire.handshake()
    assert client.wire.peer_der == bench.place.front.der
    for step in (client.ask, client.start, client.authenticate, client.connect, client.bring_up):
        step()
    client.ping().disconnect()
    assert server.wait_over().verdict == "ok"
    assert it.gate.wait_call()["binding"] == "verified"
    assert leaf(bench, it.gate.address()) == bench.place.front2.der


def test_half_way_calls_go_on(bench):
    """A reload replaces everything while there is a call in each of the states."""
    old, new = bench.backend(), bench.backend(bench.place.back_ca)
    it = Setting(bench, old)
    stages = ["tls", "request", "start", "authenticate", "connected", "up"]
    clients = [bench.client(it.gate).establish(stage) for stage in stages]
    old.wait(lambda: len(old.calls) == len(stages) - 1)
    it.keys["listener front"]["certificate"] = "front2.pem"
    it.keys["backend back"] = bench.backend_keys(new, crypto_binding="passthrough")
    assert it.reload(), it.said
    for client in clients:
        steps = [client.ask, client.start, client.authenticate, client.connect, client.bring_up]
        for step in steps[stages.index(client.stage if client.stage != "connected" else
                                       "connected"):]:
            step()
        client.ping().disconnect()
    for number in range(len(stages)):
        assert old.wait_over(number).verdict == "ok"
    assert not new.calls


def test_listener_and_backend_go(bench):
    """A reload removes the listener, the certificate and the backend of a tunnel that carries data in both
    directions."""
    server = bench.backend(load="echo")
    it = Setting(bench, server, gate={"admin": "unix:reload.sock"})
    client = bench.client(it.gate).establish()
    thread = threading.Thread(target=client.bulk, args=(8 << 20,), daemon=True)
    thread.start()
    other = bench.backend(bench.place.back_ca)
    del it.keys["listener front"], it.keys["backend back"]
    it.keys["listener next"] = bench.listener_keys(cert=bench.place.front2, backend="other",
                                                   listen="127.0.0.2:0")
    it.keys["backend other"] = bench.backend_keys(other)
    it.write()
    done = run("ctl", "-c", it.gate.config, "reload")
    assert done.returncode == 0, done.stdout
    assert refused(it.gate.address())
    thread.join()
    assert client.packets.misfits == 0 and client.received.octets == 8 << 20
    client.disconnect()
    assert it.gate.wait_call()["listener"] == "front"
    address = it.gate.wait_event("listen", 1)["address"]
    assert leaf(bench, ("127.0.0.2", int(address.rpartition(":")[2]))) == bench.place.front2.der


# -- sockets --

def test_waiting_connections_survive(bench):
    """The gate is full, and connections wait in the kernel's queue: a closed socket would reset them."""
    server = bench.backend()
    it = Setting(bench, server, gate={"workers": 1, "max-tunnels": 1})
    first = bench.client(it.gate).establish().ping()
    waiting = [bench.client(it.gate).open() for _ in range(5)]
    it.gate.wait_event("full")
    it.keys["gate"]["max-tunnels"] = 10
    it.keys["listener front"]["certificate"] = "front2.pem"
    it.keys["listener second"] = bench.listener_keys(listen="127.0.0.2:0")
    assert it.reload(), it.said
    for client in waiting:
        client.secure().ask()
        assert client.wire.peer_der == bench.place.front2.der
    first.ping().disconnect()


def test_connections_of_a_paused_gate(bench):
    """Connections and a reload arrive in one wake-up."""
    it = Setting(bench, bench.backend())
    it.gate.pause()
    waiting = [bench.client(it.gate).open() for _ in range(20)]
    it.gate.signal(1)
    it.gate.resume()
    it.gate.wait_reload()
    for client in waiting:
        client.secure().ask()


def test_addresses_come_and_go(bench):
    it = Setting(bench, bench.backend(), gate={"log-level": "debug"})
    port = free_port("127.0.0.2")
    before = it.gate.descriptors()
    address = it.gate.address()
    for _ in range(3):
        it.keys["listener front"]["listen"] = f"127.0.0.2:{port}"
        assert it.reload(), it.said
        assert refused(address)
        assert leaf(bench, ("127.0.0.2", port)) == bench.place.front.der
        it.keys["listener front"]["listen"] = "127.0.0.1:0"
        assert it.reload(), it.said
        assert refused(("127.0.0.2", port))
        event = it.gate.events("listen")[-1]
        address = ("127.0.0.1", int(event["address"].rpartition(":")[2]))
        assert leaf(bench, address) == bench.place.front.der
    it.gate.wait(lambda: len(it.gate.events("call")) == 6, "end of all connections")
    assert it.gate.descriptors() == before


@pytest.mark.parametrize("was, becomes, goes", [
    ("*:{}", "127.0.0.1:{}", "127.0.0.2"),
    ("127.0.0.1:{}", "*:{}", None),
    ("[::]:{}", "[::1]:{}", "127.0.0.1"),
    ("[::1]:{}", "[::]:{}", "127.0.0.1")])
def test_from_and_to_every_address(bench, was, becomes, goes):
    """An administrator who follows the article does this first, without a restart: the gate's own socket must
    not make the address count as taken."""
    port = free_port()
    it = Setting(bench, bench.backend(), listen=was.format(port))
    home = "::1" if ":" in was.replace(":{}", "") else "127.0.0.1"
    client = Client((home, port))
    bench.clients.append(client)
    client.establish()
    it.keys["listener front"]["listen"] = becomes.format(port)
    assert it.reload(), it.said
    client.ping()
    assert leaf(bench, (home, port)) == bench.place.front.der
    if goes:
        assert refused((goes, port))


def test_v6only_changes(bench):
    """This is a property of the socket, so the socket is created again."""
    port = free_port()
    it = Setting(bench, bench.backend(), listen=f"[::]:{port}", v6only="yes")
    assert refused(("127.0.0.1", port))
    for value in ("no", "yes"):
        it.keys["listener front"]["v6only"] = value
        assert it.reload(), it.said
        assert leaf(bench, ("::1", port)) == bench.place.front.der
        if value == "no":
            assert leaf(bench, ("127.0.0.1", port)) == bench.place.front.der
        else:
            assert refused(("127.0.0.1", port))


def test_addresses_change_their_listener(bench):
    """The socket stays, but another listener answers."""
    port = free_port()
    it = Setting(bench, bench.backend(), listen=f"127.0.0.1:{port}")
    it.keys["listener second"] = bench.listener_keys(cert=bench.place.front2, listen="127.0.0.2:0")
    assert it.reload()
    it.keys["listener front"]["listen"], it.keys["listener second"]["listen"] = \
        it.keys["listener second"]["listen"], it.keys["listener front"]["listen"]
    assert it.reload()
    assert len(it.gate.events("listen")) == 2
    assert leaf(bench, ("127.0.0.1", port)) == bench.place.front2.der


def test_what_needs_a_restart(bench):
    it = Setting(bench, bench.backend())
    it.keys["gate"].update({"workers": 3, "log": "stdout", "admin": "unix:late.sock",
                            "address-prefix-ipv6": 56})
    assert it.reload()
    assert len(it.said) == 5
    assert all("requires a restart" in line for line in it.said[:-1])
    bench.client(it.gate).establish("request")


def test_shorter_deadlines(bench):
    """They apply to existing calls, and later calls do not wait behind earlier ones."""
    it = Setting(bench, bench.backend(), gate={"workers": 1, "timeout-handshake": "1h"})
    silent = bench.client(it.gate).open()
    bench.client(it.gate).establish("tls")  # then the earlier one has been accepted
    it.keys["gate"]["timeout-handshake"] = "1s"
    assert it.reload()
    for client in (silent, bench.client(it.gate).open()):
        client.wire.wait_end()
    for number in range(2):
        assert it.gate.wait_call(number)["reason"] == "handshake-timeout"


# -- files --

@pytest.mark.long
def test_files_are_watched(bench):
    """A certificate behind a symbolic link, one with its key in another file, and a users file: each is
    changed, without a signal. A certificate that does not match its key, because the new key is not written
    yet, changes nothing."""
    place = bench.place
    here = place.folder / "watched"
    here.mkdir()
    link = here / "live.pem"
    link.symlink_to(place.front.both)
    cert, key = here / "two.crt", here / "two.key"
    users = here / "users"
    for path, octets in ((cert, Path(place.front.cert).read_bytes()),
                         (key, Path(place.front.key).read_bytes()),
                         (users, place.users.read_bytes())):
        path.touch(mode=0o600)
        path.write_bytes(octets)
    server = bench.backend(users={**USERS, "dave": "new here"})
    gate = bench.start({
        "gate": {"workers": 2},
        "listener front": bench.listener_keys() | {"certificate": link},
        "listener two": bench.listener_keys() | {"certificate": cert, "key": key},
        "backend back": bench.backend_keys(server) | {"users-file": users}})
    client = bench.client(gate).establish().ping()
    assert expect_failure(bench.client(gate, user="dave", password="new here")).abort
    cert.write_bytes(Path(place.front2.cert).read_bytes())
    said = gate.wait_reload()
    assert "has changed" in said[-1]["msg"] and said[-1].level == "error"
    assert said[-1]["file"] == str(cert) and "two.key" in said[-1]["msg"]
    assert leaf(bench, gate.address("two")) == place.front.der
    new = here / "next.pem"
    new.symlink_to(place.front2.both)
    new.rename(link)
    key.write_bytes(Path(place.front2.key).read_bytes())
    with users.open("a") as out:
        out.write(f"dave:{mschap.hash_hash('new here').hex()}\n")
    said = gate.wait_reload(len(said))
    assert "has changed" in said[-1]["msg"] and said[-1].level == "info"
    for listener in ("front", "two"):
        dave = bench.client(gate, listener, user="dave", password="new here").establish()
        assert dave.wire.peer_der == place.front2.der
        dave.ping().disconnect()
    client.ping().disconnect()


def test_users_come_and_go(bench):
    """alice's tunnel stays when her line is deleted; her next call has no key for the verification."""
    place = bench.place
    users = place.folder / "changing-users"
    users.touch(mode=0o600)
    users.write_text(place.users.read_text())
    server = bench.backend(users={**USERS, "dave": "new here"})
    it = Setting(bench, server)
    it.keys["backend back"]["users-file"] = users.name
    assert it.reload()
    alice = bench.client(it.gate).establish().ping()
    dave = {"user": "dave", "password": "new here"}
    assert expect_failure(bench.client(it.gate, **dave)).abort
    assert it.gate.wait_call()["reason"] == "binding-mac"
    users.write_text(f"dave:{mschap.hash_hash('new here').hex()}\n")
    assert it.reload()
    bench.client(it.gate, **dave).establish().ping().disconnect()
    assert expect_failure(bench.client(it.gate)).abort
    alice.ping().disconnect()


def test_fifty_certificates(bench):
    """A renewal for each of fifty calls; each is verified with the leaf that it was shown, and all stay up."""
    place = bench.place
    here = place.folder / "fifty"
    here.mkdir()
    certs = [pki.make(here, f"c{n}", names=["vpn.example.com"]) for n in range(50)]
    live = copy_of(place.front, here, "live")
    server = bench.backend()
    it = Setting(bench, server)
    it.keys["listener front"]["certificate"] = live
    clients = []
    for cert in certs:
        replace(live, cert)
        assert it.reload()
        client = bench.client(it.gate).establish()
        assert client.wire.peer_der == cert.der
        clients.append(client)
    for number, client in enumerate(clients):
        client.ping().disconnect()
        assert server.wait_over(number).verdict == "ok"
    calls = [it.gate.wait_call(number) for number in range(len(certs))]
    assert {(call["binding"], call["key"]) for call in calls} == {("verified", "ms-chapv2")}


# -- the storm --

class Traffic(threading.Thread):
    """A tunnel; each turn() sends some data there and back."""

    def __init__(self, gate, start):
        super().__init__(daemon=True)
        self.client = Client(gate.address(), shape="joined")
        self.start_line, self.turns, self.over = start, threading.Semaphore(0), False
        self.sent, self.error = load.Tally(), None

    def turn(self, last=False):
        self.over = last
        self.turns.release()

    def run(self):
        try:
            self.client.establish()
            self.start_line.wait()
            while self.turns.acquire() and not self.over:
                self.client.pour(16000, self.sent)
                self.client.drink(self.sent.octets)
        except (CallFailed, OSError, threading.BrokenBarrierError) as error:
            self.error = error
            self.start_line.abort()


@pytest.mark.long
def test_storm(bench):
    """1000 reloads under 200 tunnels with data both ways. (A sanitizer build, which is some ten times
    slower, gets a tenth of both.)"""
    server = bench.backend(load="echo")
    it = Setting(bench, server)
    gate = it.gate
    scale = 10 if gate.sanitized() else 1
    tunnels, reloads = 200 // scale, 1000 // scale
    start = threading.Barrier(tunnels + 1, timeout=tls.DEADLINE)
    threads = [Traffic(gate, start) for _ in range(tunnels)]
    for thread in threads:
        thread.start()
    start.wait()
    rounds = [0]

    def verdicts():
        """Reads each line of the log only once, because there are thousands."""
        while len(gate.lines) > rounds[0]:
            line = gate.lines[rounds[0]]
            rounds[0] += 1
            if "HUP: " in line:
                assert line.endswith('is in force"'), line
                return True
        return False

    def storm(count):
        for number in range(count):
            it.keys["listener front"]["certificate"] = ("front.pem", "front2.pem")[number % 2]
            it.write()
            for one in range(6):  # in transit while the gate reloads
                threads[(6 * number + one) % tunnels].turn()
            gate.signal(1)
            gate.wait(verdicts, "verdict of a reload")

    storm(reloads // 5)  # until the use of memory is stable
    descriptors, rss = gate.descriptors(), gate.rss()
    octets = [thread.sent.octets for thread in threads]
    storm(reloads - reloads // 5)
    assert gate.descriptors() == descriptors
    assert gate.rss() - rss < 4 << 20, "memory grows"
    for thread in threads:
        thread.turn(last=True)
    for thread in threads:
        thread.join(tls.DEADLINE)
        assert not thread.is_alive() and thread.error is None
        assert thread.client.received == thread.sent
    assert all(thread.sent.octets > before for thread, before in zip(threads, octets)), \
        "a tunnel stood still"
    assert not gate.events("call")
    last = bench.client(gate).establish()
    last.disconnect()
    for thread in threads:
        thread.client.disconnect()
    gate.wait_call(tunnels)
    assert {call["reason"] for call in gate.events("call")} == {"client-disconnect"}
    assert {server.wait_over(number).verdict for number in range(tunnels + 1)} == {"ok"}


# -- a file that is written in place --

def _text(value):
    return bytes([2 << 5 | len(value)]) + value.encode()


def _table(*pairs):
    return bytes([7 << 5 | len(pairs)]) + b"".join(_text(key) + value for key, value in pairs)


def country_database(code):
    """Returns a MaxMind database of one node, with this country for every IPv4 address."""
    def u16(n):
        return b"\xa2" + n.to_bytes(2, "big")
    about = _table(("node_count", b"\xc1\x01"), ("record_size", u16(24)), ("ip_version", u16(4)),
                   ("database_type", _text("Country")), ("languages", b"\x00\x04"),
                   ("binary_format_major_version", u16(2)), ("binary_format_minor_version", u16(0)),
                   ("build_epoch", b"\x04\x02" + (1700000000).to_bytes(4, "big")),
                   ("description", _table()))
    return ((17).to_bytes(3, "big") * 2 + bytes(16) +
            _table(("country", _table(("iso_code", _text(code))))) + b"\xab\xcd\xefMaxMind.com" + about)


def test_country_file_written_in_place(bench, place):
    """The file is first empty, then incomplete, then complete, as with cp: until then the old database
    decides."""
    path = place.folder / "country.mmdb"
    path.write_bytes(country_database("DE"))
    it = Setting(bench, bench.backend(), gate={"country-file": path.name}, deny="country FR")
    up = bench.client(it.gate).establish().ping()
    new = country_database("FR")
    for size in (0, len(new) // 2):
        path.write_bytes(new[:size])
        bench.client(it.gate).establish().ping().disconnect()
        assert not it.reload()
        assert any("country.mmdb" in line for line in it.said)
        bench.client(it.gate).establish().ping().disconnect()
    path.write_bytes(new)
    assert it.reload()
    with pytest.raises(CallFailed):
        bench.client(it.gate).establish()
    up.ping().disconnect()
