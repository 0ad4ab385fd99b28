"""Keys of RADIUS logins and addresses of clients through the store of several gates: the RADIUS packets of a login pass
through one gate, and its call through another (conf/README.md, several gates)."""

import json
import re
import shutil
import tempfile
import threading
import time

import pytest

import test_radius_calls as alone
from gate import eventually, run
from peers import radius, sstp
from peers.client import CallFailed
from peers.store import Redis, Store
from peers.tls import DEADLINE
from test_limits import ctl
from test_radius_calls import METHODS, Site, calling, refused_when_connecting
from test_shared import SHA, up

SECRET = b"a secret that only the gates have, of 32 bytes and more"


@pytest.fixture
def redis(place):
    folder = tempfile.mkdtemp(prefix="redis-", dir=place.folder)
    server = Redis(folder)
    yield server
    server.close()
    shutil.rmtree(folder)


@pytest.fixture
def shared_site(bench, redis):
    """Returns the class Pair with this store."""
    return type("Pair", (Pair,), {"store": redis})


class Pair(Site):
    """As Site, but `gate` has the calls, and `proxy`, another gate, has the RADIUS packets."""

    store = None
    secrets = (SECRET, SECRET)

    def __init__(self, bench, *, gate=None, **knobs):
        for n, secret in enumerate(self.secrets):
            path = bench.place.folder / f"shared-{n}.key"
            path.unlink(missing_ok=True)
            path.touch(mode=0o600)
            path.write_bytes(secret + b"\n")
        super().__init__(bench, gate={**self.keys(bench, 0), **(gate or {})}, **knobs)
        self.proxy = bench.start({**self.sections, "gate": {"workers": 1, **self.keys(bench, 1)}})
        up(self.gate), up(self.proxy)
        self.nas.server = self.proxy.address("radius:site")

    def keys(self, bench, n):
        bench.count += 1
        return {"shared": self.store.url, "shared-secret-file": f"shared-{n}.key", "shared-name": f"gate{n}",
                "shared-timeout": "1s", "admin": f"unix:pair-{bench.count}-{n}.sock"}

    def count(self, gate, word):
        return int(re.search(rf'^sstpgate_shared_logins_total{{entry="{word}"}} (\d+)$', ctl(gate, "metrics"),
                             re.M)[1])


@pytest.mark.parametrize("method", METHODS)
def test_the_key_is_found_wherever_the_accept_went_by(bench, shared_site, method):
    site = shared_site(bench, **({"eap": radius.EapExperimental} if method == "eap" else {}))
    line = site.call(method)
    assert line["binding"] == "verified"
    assert line["key"] == ("zero" if method in ("pap", "chap-md5") else "shared")
    assert site.radius.bad == site.nas.bad == 0


@pytest.mark.parametrize("name", [
    "test_wrong_password", "test_key_that_does_not_come", "test_key_that_does_not_come_in_auto",
    "test_key_that_is_none", "test_key_is_of_one_call", "test_octets_behind_an_acknowledgement",
    "test_user_rules_where_the_method_proves_the_name"])
def test_what_holds_for_one_gate_holds_for_two(bench, shared_site, monkeypatch, name):
    monkeypatch.setattr(alone, "Site", shared_site)
    as_shared(monkeypatch)
    getattr(alone, name)(bench)


def as_shared(monkeypatch):
    """Makes the tests of one gate expect the key of another one."""
    call = Site.call

    def renamed(self, *words, **knobs):
        line = call(self, *words, **knobs)
        line.fields["key"] = {"shared": "radius"}.get(line["key"], line["key"])
        return line

    monkeypatch.setattr(Site, "call", renamed)


@pytest.mark.parametrize("method", ["mschapv2", "eap-mschapv2"])
def test_key_is_not_waited_out(bench, shared_site, monkeypatch, method):
    monkeypatch.setattr(alone, "Site", shared_site)
    alone.test_key_is_not_waited_out(bench, method)


def slow_radius(site, meanwhile=lambda: None):
    """Returns a twist that delays each Accept until `auto` has forwarded Call Connected, and then calls meanwhile()."""
    def twist(answer, request):
        if answer.code == radius.ACCESS_ACCEPT:
            site[0].gate.wait_event("binding-mac")
            meanwhile()
        return answer
    return twist


@pytest.mark.parametrize("limit", [None, "1"])
@pytest.mark.parametrize("method", ["mschapv2", "eap-mschapv2"])
def test_an_early_call_connected_waits_for_the_outcome(bench, shared_site, method, limit):
    """`auto` forwards Call Connected before the end of the login, so the server's Success waits for the outcome from the
    other gate."""
    sites = []
    sites.append(shared_site(bench, gate={"timeout-key": "1s", "max-tunnels-per-user": limit}, vpn={"checks": ()},
                             backend={"crypto-binding": "auto"}, twist=slow_radius(sites)))
    sites[0].client(method, eager=True).establish().ping().disconnect()
    assert sites[0].gate.wait_call()["binding"] == "passed"
    assert sites[0].count(sites[0].gate, "found") == 1


def test_an_early_call_connected_without_an_outcome_is_refused(bench, shared_site):
    """The store is paused, so the Success waits for shared-timeout, and then the call is refused."""
    sites = []
    sites.append(shared_site(bench, gate={"timeout-key": "1s"}, vpn={"checks": ()}, backend={"crypto-binding": "auto"},
                             twist=slow_radius(sites, lambda: sites[0].store.pause())))
    with pytest.raises(CallFailed):
        sites[0].client(eager=True).establish().ping()
    sites[0].store.resume()
    assert sites[0].gate.wait_call()["reason"] == "binding-mac"


@pytest.mark.parametrize("policy", ["rewrite", "auto"])
@pytest.mark.parametrize("trick", ["early", "beside", "instead"])
def test_key_of_another_user_in_disguise(bench, shared_site, monkeypatch, policy, trick):
    monkeypatch.setattr(alone, "Site", shared_site)
    alone.test_key_of_another_user_in_disguise(bench, policy, trick)


@pytest.mark.parametrize("method", ["mschapv2", "eap"])
def test_key_of_a_login_under_her_name(bench, shared_site, monkeypatch, method):
    monkeypatch.setattr(alone, "Site", shared_site)
    alone.test_key_of_a_login_under_her_name(bench, method)


@pytest.mark.parametrize("envelope", alone.ENVELOPES)
def test_vpn_server_changes_the_envelope(bench, shared_site, monkeypatch, envelope):
    monkeypatch.setattr(alone, "Site", shared_site)
    as_shared(monkeypatch)
    alone.test_vpn_server_changes_the_envelope(bench, envelope)


# -- addresses --

@pytest.mark.parametrize("method", ["pap", "chap-md5", "mschapv2", "eap-mschapv2"])
def test_calling_station_id(bench, shared_site, monkeypatch, method):
    monkeypatch.setattr(alone, "Site", shared_site)
    alone.test_calling_station_id(bench, method)


def test_calling_station_id_of_one_of_two(bench, shared_site, monkeypatch):
    monkeypatch.setattr(alone, "Site", shared_site)
    alone.test_calling_station_id_of_one_of_two(bench)


def test_a_request_waits_for_no_address_that_does_not_come(bench, shared_site):
    """The store is paused: the Access-Request leaves without the address, and the login goes on."""
    site = shared_site(bench, keys={"calling-station-id": "client"}, nas={"calling": "10.9.9.9"}, gate={"timeout-key": "1s"})
    site.store.pause()
    client = site.client("pap").establish().ping()
    site.store.resume()
    assert calling(site) == b"10.9.9.9"
    client.disconnect()


# -- the contents of the store --

def entries(store):
    """Returns the names of the entries about logins."""
    return sorted(word for word in store("KEYS", "sstpgate:[ka]:*").split())


def after_answers(site, act):
    """Calls act() after each answer of RADIUS, before the VPN server acts on it."""
    exchange = site.nas.exchange

    def exchanged(*words):
        answer = exchange(*words)
        act()
        return answer

    site.nas.exchange = exchanged


def test_the_store_sees_sealed_entries_for_ten_seconds(bench, shared_site):
    site = shared_site(bench, keys={"calling-station-id": "client"})
    seen = {}

    def look():
        eventually(lambda: any(":k:" in name for name in entries(site.store)), "the outcome is in the store")
        for name in entries(site.store):
            kind = ("GET", name) if ":k:" in name else ("LRANGE", name, 0, -1)
            seen[name] = (site.store(*kind), int(site.store("PTTL", name)))

    after_answers(site, look)
    assert site.call(bind="127.0.0.23")["key"] == "shared"
    assert {name.split(":")[1] for name in seen} == {"k", "a"}
    for name, (text, left) in seen.items():
        assert re.fullmatch(r"sstpgate:[ka]:[0-9a-f]{32}", name)
        assert re.fullmatch(r"[0-9a-f]+", text) and 0 < left <= 10000
        assert b"alice" not in bytes.fromhex(text) and bytes([127, 0, 0, 23]) not in bytes.fromhex(text)
    assert not [name for name in entries(site.store) if ":k:" in name]       # it was taken out
    assert (site.count(site.proxy, "given"), site.count(site.gate, "found")) == (1, 1)
    assert (site.count(site.gate, "clients-given"), site.count(site.proxy, "clients-found")) == (1, 1)
    assert "shared logins: given 0, found 1, clients-given 1" in ctl(site.gate, "status")
    assert json.loads(ctl(site.gate, "status", "--json"))["shared"]["logins"]["found"] == 1


def test_a_login_at_one_gate_needs_no_store(bench, shared_site):
    site = shared_site(bench)
    site.nas.server = site.gate.address("radius:site")
    for method in ("mschapv2", "eap-mschapv2"):
        assert site.call(method)["key"] == "radius"
    assert site.count(site.gate, "given") == site.count(site.proxy, "given") == 0
    assert entries(site.store) == []


def test_keys_of_another_type(bench, shared_site):
    """Another program has written lists and strings under the names of entries: a clear line, and no key."""
    site = shared_site(bench, gate={"timeout-key": "1s"}, vpn={"checks": ()}, keys={"calling-station-id": "client"},
                       nas={"calling": "10.9.9.9"})

    def spoil(attributes=None):
        kind = "k" if attributes is None else "a"
        names = eventually(lambda: [n for n in entries(site.store) if f":{kind}:" in n], "entries")
        for name in names:
            site.store("DEL", name)
            site.store(*(("RPUSH", name, "x") if kind == "k" else ("SET", name, "x")))

    site.nas.wait = spoil
    after_answers(site, spoil)
    client = site.client().establish("authenticate")
    assert refused_when_connecting(client).abort.raw == sstp.BINDING_ABORT
    assert site.gate.wait_call()["reason"] == "binding-mac"
    assert calling(site) == b"10.9.9.9"
    for gate in (site.gate, site.proxy):
        assert "cannot be read" in gate.wait_event("shared", 1)["error"]
        assert site.count(gate, "foreign") > 0


def test_another_secret(bench, shared_site):
    shared_site.secrets = (SECRET, SECRET + b".")
    site = shared_site(bench, gate={"timeout-key": "1s"}, vpn={"checks": ()})
    client = site.client().establish("authenticate")
    assert refused_when_connecting(client).abort.raw == sstp.BINDING_ABORT
    assert site.gate.wait_call()["reason"] == "binding-mac"
    for gate, other in ((site.gate, "gate1"), (site.proxy, "gate0")):
        find = lambda: [e for e in gate.events("shared") if "another shared-secret-file" in e.fields.get("error", "")]
        lines = gate.wait(find, "the line about the secret")
        assert lines[0]["gate"].startswith(other + ".")
    eventually(lambda: site.count(site.proxy, "given") == 1, "the outcome")
    assert len(find()) == 1


# -- a store that lies --

class Liar(Store):
    """A store that keeps the entries of logins forever, and returns lie(name, texts) instead of them."""

    def __init__(self):
        self.entries, self.lock, self.lie, self.fetched = {}, threading.Lock(), lambda name, texts: texts, []
        super().__init__(self._reply)

    def _reply(self, words):
        if words[0] == b"SCRIPT":
            return SHA
        if words[0] not in (b"EVAL", b"EVALSHA"):
            return b"+OK\r\n"
        if words[5].startswith(b"name="):
            return 0, "epoch", [], [], 1
        if words[5][:2] in (b"k:", b"a:"):
            with self.lock:
                self.fetched += words[5:]
                return [self.lie(name, list(self.entries.get(name, []))) for name in words[5:]]
        if len(words) > 6 and words[6][:2] in (b"k:", b"a:"):
            with self.lock:
                for name, text in zip(words[6::2], words[7::2]):
                    self.entries.setdefault(name, []).append(text)
        return [0]

    def names(self, kind):
        with self.lock:
            return [name for name in self.entries if name.startswith(kind)]


@pytest.fixture
def liar_site(bench):
    liar = Liar()
    yield type("Pair", (Pair,), {"store": liar})
    liar.close()


def denied(site, method="mschapv2", **knobs):
    """Makes a call that the gate refuses because of its binding."""
    lines = len(site.gate.events("call"))
    client = site.client(method, **knobs).establish("authenticate")
    assert refused_when_connecting(client).abort.raw == sstp.BINDING_ABORT
    line = site.gate.wait_call(lines)
    assert line["reason"] == "binding-mac"
    return line


def altered(place):
    def lie(name, texts):
        return [text[:place] + (b"0" if text[place:place + 1] != b"0" else b"1") + text[place + 1:] for text in texts]
    return lie


@pytest.mark.parametrize("lie", [altered(0), altered(30), altered(-1 - 32), lambda name, texts: [b""],
                                 lambda name, texts: [text[:-2] for text in texts],
                                 lambda name, texts: [b"garbage" for _ in texts],
                                 lambda name, texts: [b"0" * 100000 for _ in texts]],
                         ids=["nonce", "text", "tag", "empty", "short", "garbage", "long"])
def test_an_altered_entry(bench, liar_site, lie):
    site = liar_site(bench, gate={"timeout-key": "1s"})
    site.store.lie = lie
    denied(site)
    assert "cannot be read" in site.gate.wait_event("shared", 1)["error"]
    assert site.count(site.gate, "foreign") > 0 and site.count(site.gate, "found") == 0
    site.store.lie = lambda name, texts: texts
    assert site.call()["key"] == "shared"


def test_an_entry_of_another_login(bench, liar_site):
    """The store returns the entry of an earlier login, of the same user and of an attacker, under the name of this one."""
    site = liar_site(bench, gate={"timeout-key": "1s"}, vpn={"checks": ()}, users={"alice": "sesame", "bob": "poppy"})
    bob = site.client(user="bob", password="poppy").establish("authenticate")
    eventually(lambda: site.count(site.gate, "found") == 1, "bob's key")
    texts = [site.store.entries[name][0] for name in site.store.names(b"k:")]
    alice = site.client().establish().ping()
    texts += [site.store.entries[name][0] for name in site.store.names(b"k:")]
    for text in texts:
        site.store.lie = lambda name, _: [text]
        for key in (bob.link.hlak, alice.key):
            lines = len(site.gate.events("call"))
            thief = site.client().establish("authenticate")
            thief.link.auth.hlak = key
            assert refused_when_connecting(thief).abort.raw == sstp.BINDING_ABORT
            assert site.gate.wait_call(lines)["reason"] == "binding-mac"
    assert site.count(site.gate, "found") == 2
    alice.ping().disconnect()


def test_an_entry_is_taken_once(bench, liar_site):
    """The store does not delete: a second call has another login, and the key of the first one is spent."""
    site = liar_site(bench, gate={"timeout-key": "1s"}, vpn={"checks": ()})
    first = site.client("eap-mschapv2").establish()
    assert site.count(site.gate, "found") == 1             # although it was there under two names
    second = site.client("eap-mschapv2").establish("authenticate")
    second.link.auth.hlak = first.key
    assert refused_when_connecting(second).abort.raw == sstp.BINDING_ABORT
    first.ping().disconnect()


def test_an_entry_that_comes_after_ten_seconds(bench, liar_site):
    """The store ignores the expiry: ten seconds after the login has ended nobody asks for it any more."""
    site = liar_site(bench, gate={"timeout-key": "13s", "timeout-negotiate": "60s"}, vpn={"checks": ()})
    put = []

    def lie(name, texts):
        if texts and not put:
            put.append(time.monotonic())
        return texts if put and time.monotonic() - put[0] > 10.5 else []

    site.store.lie = lie
    line = denied(site)
    assert float(line["duration"]) >= 12 and site.count(site.gate, "found") == 0


@pytest.mark.parametrize("method", ["mschapv2", "eap-mschapv2", "eap"])
def test_a_store_that_withholds_the_key_makes_zeros_no_key(bench, liar_site, method):
    """A man in the middle without a key needs a gate that knows of none."""
    site = liar_site(bench, gate={"timeout-key": "1s"}, vpn={"checks": ()},
                     **({"eap": radius.EapExperimental} if method == "eap" else {}))
    site.store.lie = lambda name, texts: []
    denied(site, method)
    denied(site, method, zero_key=True)
    site.store.lie = lambda name, texts: texts
    denied(site, method, zero_key=True)


def test_zeros_where_radius_gives_no_key(bench, shared_site):
    """The outcome says that there is no key, so zeros are one, as at a single gate."""
    site = shared_site(bench, twist=alone.without_keys, vpn={"checks": ()}, eap=radius.EapExperimental)
    site.client("eap", zero_key=True).establish().ping().disconnect()
    line = site.gate.wait_call()
    assert (line["binding"], line["key"]) == ("verified", "zero")


def test_a_slow_store(bench, liar_site):
    """Other calls go on while one waits for its key."""
    site = liar_site(bench, gate={"timeout-key": "10s"})
    site.nas.server, other = site.gate.address("radius:site"), site.nas.server
    tunnel = site.client().establish().ping()
    site.nas.server = other

    asked, go = threading.Event(), threading.Event()

    def slow(name, texts):
        asked.set()
        assert go.wait(DEADLINE)
        return texts

    site.store.lie = slow
    call = threading.Thread(target=lambda: site.client().establish().ping().disconnect())
    call.start()
    assert asked.wait(DEADLINE)
    for _ in range(20):
        tunnel.ping()
    assert call.is_alive()
    go.set()
    call.join()
    assert site.gate.wait_call()["key"] == "shared"
    tunnel.disconnect()


# -- failed logins --

@pytest.mark.parametrize("method", ["mschapv2", "mschapv1", "chap-md5", "pap", "eap-mschapv2", "eap"])
def test_a_reject_is_the_users_failure(bench, shared_site, method):
    site = shared_site(bench, gate={"ban-points": 10}, **({"eap": radius.EapExperimental} if method == "eap" else {}))
    knobs = {"peer": radius.ExperimentalPeer("alice", "wrong")} if method == "eap" else {}
    line = alone.failed_login(site, method, password="wrong", **knobs)
    assert line["login-failures"] == "1" and line["reason"] == "login-refused"
    assert site.gate.wait_event("ban")


@pytest.mark.parametrize("how", ["clean", "fin", "rst"])
def test_a_client_that_does_not_wait_for_the_reject(bench, shared_site, monkeypatch, how):
    monkeypatch.setattr(alone, "Site", shared_site)
    alone.test_a_client_that_does_not_wait_for_the_reject(bench, how)


# -- the configuration --

def test_a_short_secret(bench, redis):
    path = bench.place.folder / "short.key"
    path.touch(mode=0o600)
    path.write_bytes(b"x" * 31 + b"\n")
    server = bench.backend()
    config = bench.config({"gate": {"shared": redis.url, "shared-secret-file": "short.key"},
                           "listener front": bench.listener_keys(), "backend back": bench.backend_keys(server)})
    done = run("-t", "-c", config)
    assert done.returncode == 1
    assert "has 31 bytes in its first line; at least 32 are required" in done.stderr


def test_radius_with_a_store_and_no_secret(bench, redis):
    site = Site(bench)
    sections = {**site.sections, "gate": {"shared": redis.url}}
    assert "shared without shared-secret-file: a call whose RADIUS packets pass through another gate has no key" in \
        run("-t", "-c", bench.config(sections)).stderr
    (bench.place.folder / "long.key").touch(mode=0o600)
    (bench.place.folder / "long.key").write_bytes(SECRET)
    sections["gate"]["shared-secret-file"] = "long.key"
    assert "shared-secret-file" not in run("-t", "-c", bench.config(sections)).stderr
    del sections["gate"]["shared"]
    assert "shared-secret-file has no effect without `shared` and a [radius NAME]" in \
        run("-t", "-c", bench.config(sections)).stderr
