"""Stores with replicas: the gate uses no replica, and asks a Sentinel for the address of the store (conf/README.md,
several gates)."""

import re
import shutil
import ssl
import tempfile
from pathlib import Path

import pytest

from gate import eventually
from netns import Namespace
from peers.store import Redis, Sentinel
from test_address import refused
from test_limits import ctl, fails
from test_reload import free_port
from test_shared import cluster, down, plausible, single, stores, up, works  # noqa: F401 (stores: a fixture)

STORE, REPLICA, SENTINEL = 6379, 6380, 26379


@pytest.fixture
def network(place):
    """Runs the test in a network of its own, whose ports are free. Yields a function that makes a server, as
    make(Redis, port=...), which ends with the test."""
    made, namespace = [], Namespace()

    def make(kind, *words, **named):
        made.append(kind(tempfile.mkdtemp(prefix="redis-", dir=place.folder), *words, **named))
        return made[-1]

    with namespace.entered():
        yield make
    for server in made:
        server.close()
    for folder in Path(place.folder).glob("redis-*"):
        shutil.rmtree(folder)
    namespace.close()


def replicated(network, **settings):
    """Returns a store and its replica, which is in sync."""
    store = network(Redis, port=STORE, bind="127.0.0.1", **settings)
    replica = network(Redis, port=REPLICA, bind="127.0.0.1", replicaof=f"127.0.0.1 {STORE}", **settings)
    return store, replica


def in_sync(replica):
    eventually(lambda: "master_link_status:up" in replica("INFO", "replication"), "the replica is in sync")


def used(gate):
    """Returns the stores that the gate has used."""
    return [e["store"] for e in gate.events("shared") if e.fields.get("state") == "up"]


def lines(*urls):
    return "\nshared = ".join(urls)


def test_a_replica_is_skipped(bench, network):
    replicated(network)
    gate = up(bench.gate(bench.backend(), gate={
        "shared": lines(f"redis://127.0.0.1:{REPLICA}", f"redis://127.0.0.1:{STORE}"), "max_tunnels_per_user": 1}))
    assert down(gate) == "the store is a replica"
    assert used(gate) == [f"127.0.0.1:{STORE}"]
    call = bench.client(gate).establish().ping()
    fails(bench.client(gate))
    call.ping()


def test_a_replica_alone_is_never_up(bench, stores):
    """Only once in the log, and with a growing pause."""
    roles = []

    def answer(words):
        if words[0] == b"ROLE":
            roles.append(words)
            return ["slave", "192.0.2.1", 6379, "connected", 5]
        return plausible(words)

    store = stores(answer)
    gate = single(bench, store)
    with store.more:
        assert store.more.wait_for(lambda: len(roles) >= 4, 20)
    assert down(gate) == "the store is a replica"
    assert not used(gate) and len(gate.events("shared")) == 1


def test_a_store_that_refuses_to_tell_its_role_is_used(bench, stores):
    """The user of the store may have no permission for ROLE."""
    store = stores(lambda words: Exception("NOPERM no permission") if words[0] == b"ROLE" else plausible(words))
    up(single(bench, store))


def test_a_store_that_permits_only_the_login_is_never_up(bench, stores):
    """READONLY of a replica without ROLE, OOM, or a key of another type: not up and down for ever."""
    beats = []

    def answer(words):
        value = plausible(words)
        if words[5:6] and words[5].startswith(b"name="):
            beats.append(words)
            return Exception("READONLY You can't write against a read only replica.")
        return value

    store = stores(answer)
    gate = single(bench, store)
    with store.more:
        assert store.more.wait_for(lambda: len(beats) >= 4, 20)
    assert "READONLY" in down(gate)
    assert not used(gate) and len(gate.events("shared")) == 1


@pytest.mark.parametrize("order", [False, True])
def test_a_failover_by_sentinel(bench, network, order):
    """The gates follow, with their counts and bans, and no tunnel notices; also if the old store lives on, as a
    replica."""
    store, replica = replicated(network)
    in_sync(replica)
    sentinel = network(Sentinel, SENTINEL, STORE)
    eventually(lambda: f"port={REPLICA}" in store("INFO", "replication"), "the replica is known")
    gates = cluster(bench, sentinel, 2, max_tunnels_per_user=1, ban_points=10, ban_time="1h")
    assert [used(gate) for gate in gates] == [[f"127.0.0.1:{STORE}"]] * 2
    call = bench.client(gates[0]).establish().ping()
    ctl(gates[0], "ban", "127.0.0.5", "1h")
    gates[1].wait_event("ban")
    eventually(lambda: f"slave0:ip=127.0.0.1,port={REPLICA}" in store("INFO", "replication"), "the replica")
    if order:
        sentinel("SENTINEL", "FAILOVER", "mymaster")
    else:
        store.kill()
    for gate in gates:
        down(gate)
        refused(bench, gate, bind="127.0.0.5")
    call.ping()
    for gate in gates:
        gate.wait(lambda: used(gate)[1:] == [f"127.0.0.1:{REPLICA}"], "the new store", 60)
        refused(bench, gate, bind="127.0.0.5")
    eventually(lambda: not works(bench.client(gates[1])), "the count of the other gate")
    call.ping()


def test_passwords_of_sentinel_and_store(bench, place, network):
    for name in ("store", "sentinel"):
        (place.folder / f"{name}.secret").write_text(f"{name}-word\n")
        (place.folder / f"{name}.secret").chmod(0o600)
    network(Redis, port=STORE, bind="127.0.0.1", requirepass="store-word")
    sentinel = network(Sentinel, SENTINEL, STORE, "requirepass sentinel-word", "sentinel auth-pass mymaster store-word")
    both = {"shared_password_file": "store.secret", "shared_sentinel_password_file": "sentinel.secret"}
    assert used(up(single(bench, sentinel, **both))) == [f"127.0.0.1:{STORE}"]
    assert down(single(bench, sentinel, shared_password_file="store.secret")).startswith(
        "the sentinel refuses the gate: NOAUTH")
    assert down(single(bench, sentinel, shared_sentinel_password_file="sentinel.secret")).startswith(
        "the store refuses the gate: NOAUTH")
    (place.folder / "sentinel.secret").write_text("wrong\n")
    assert down(single(bench, sentinel, **both)).startswith("the sentinel refuses the gate: WRONGPASS")


ANSWERS = {
    "no store of this name": (b"*-1\r\n", "the sentinel has no address of the store: mymaster"),
    "no Sentinel": (Exception("ERR unknown command 'SENTINEL'"), "the sentinel refuses the gate: ERR unknown command"),
    "no port": (["127.0.0.1"], "the sentinel has no address"),
    "port 0": (["127.0.0.1", "0"], "the sentinel has no address"),
    "no number": (["127.0.0.1", "x"], "the sentinel has no address"),
    "no host": (["", "6379"], "the sentinel has no address"),
    "no name": (["a b", "6379"], "the sentinel has no address"),
    "a NUL": ([b"127.0.0.1\0x", "6379"], "the sentinel has no address"),
    "a long name": (["a" * 300, "6379"], "the sentinel has no address"),
    "a number": (b":5\r\n", "the sentinel has no address"),
    "garbage": (b"HTTP/1.1 400 Bad Request\r\n\r\n", "not RESP"),
    "silence": (b"", "the sentinel does not answer"),
}


@pytest.mark.parametrize("kind", ANSWERS)
def test_bad_answers_of_a_sentinel(bench, stores, kind):
    answer, cause = ANSWERS[kind]
    store = stores(lambda words: answer if words[0] == b"SENTINEL" else plausible(words))
    gate = bench.gate(bench.backend(), gate={
        "shared": f"redis+sentinel://127.0.0.1:{store.port}/mymaster", "max_tunnels_per_user": 2})
    assert re.match(f".*{cause}", down(gate))
    assert gate.events("shared")[0]["store"] == f"127.0.0.1:{store.port}"
    bench.client(gate).establish().ping()


def test_the_next_sentinel_is_asked(bench, stores):
    """One does not know the store, one knows a replica, one an address where nothing listens, and the last is right."""
    store = stores(plausible)
    replica = stores(lambda words: ["slave"] if words[0] == b"ROLE" else plausible(words))
    ask = lambda port: stores(lambda words: ["127.0.0.1", str(port)] if port else b"*-1\r\n").port
    gate = up(bench.gate(bench.backend(), gate={"shared": lines(*[
        f"redis+sentinel://127.0.0.1:{port}/mymaster" for port in (ask(None), ask(replica.port), ask(free_port()), ask(store.port))])}))
    assert used(gate) == [f"127.0.0.1:{store.port}"]
    causes = [e["cause"] for e in gate.events("shared") if e.fields["state"] == "down"]
    assert causes[0].startswith("the sentinel has no address") and causes[1] == "the store is a replica"
    assert causes[2].startswith("cannot connect") and len(causes) == 3


def test_a_sentinel_with_tls(bench, place, stores):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(place.back_ca.cert, place.back_ca.key)
    store = stores(plausible, tls=context)
    sentinel = stores(lambda words: ["127.0.0.1", str(store.port)], tls=context)
    sentinel_url = f"rediss+sentinel://127.0.0.1:{sentinel.port}/mymaster"
    keys = {"shared": sentinel_url, "shared_ca_file": str(place.ca.cert)}
    assert used(up(bench.gate(bench.backend(), gate=keys))) == [f"127.0.0.1:{store.port}"]
    assert sentinel.seen == [[b"SENTINEL", b"GET-MASTER-ADDR-BY-NAME", b"mymaster"]]
    plain = stores(lambda words: ["127.0.0.1", str(store.port)])
    assert "during the TLS handshake" in down(bench.gate(bench.backend(), gate={**keys, "shared": sentinel_url.replace(
        str(sentinel.port), str(plain.port))}))


def test_the_database_of_a_store_behind_a_sentinel(bench, stores):
    store = stores(plausible)
    sentinel = stores(lambda words: ["127.0.0.1", str(store.port)])
    up(bench.gate(bench.backend(), gate={"shared": f"redis+sentinel://127.0.0.1:{sentinel.port}/mymaster/7"}))
    assert store.wait(lambda words: words[0] == b"SELECT") == [b"SELECT", b"7"]


def test_a_user_needs_no_permission_beyond_the_documented_ones(bench, place, network):
    """The line `ACL SETUSER` of conf/README.md."""
    text = (Path(__file__).resolve().parents[2] / "conf/README.md").read_text()
    rule = re.search(r"`ACL SETUSER sstpgate on >PASSWORD (.*?)`", text, re.S)[1].split()
    server = network(Redis, port=STORE, bind="127.0.0.1")
    server("ACL", "SETUSER", "sstpgate", "on", ">word", *rule)
    (place.folder / "acl.secret").write_text("word\n")
    (place.folder / "acl.secret").chmod(0o600)
    gate = up(bench.gate(bench.backend(), gate={
        "admin": "unix:acl.sock", "shared": f"redis://sstpgate@127.0.0.1:{STORE}", "shared_password_file": "acl.secret",
        "max_tunnels_per_user": 1, "handshake_rate_per_address": "100/s", "ban_points": 100}))
    call = bench.client(gate).establish().ping()
    fails(bench.client(gate))
    call.ping()
    ctl(gate, "ban", "203.0.113.0/24", "1h")
    eventually(lambda: "n:203.0.113.0/24" in server("ZRANGE", "sstpgate:b:l", 0, -1), "the ban")
    assert not [e for e in gate.events("shared") if "error" in e.fields]
    assert "deny" not in server("ACL", "LOG"), server("ACL", "LOG")
