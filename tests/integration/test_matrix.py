"""Method x hash x policy x kind of server: each combination is a call through the same gate. The results are
the table in RECIPES.md, "What works with what"; `pytest -s` prints it."""

import re
from concurrent.futures import ThreadPoolExecutor
from itertools import product

import pytest

from gate import ROOT
from peers import head, radius, sstp
from peers.client import CallFailed, Client
from peers.dialects import DIALECTS
from peers.nas import Nas

POLICIES = ("rewrite", "auto", "passthrough", "off")
HASHES = {sstp.SHA1: "sha1", sstp.SHA256: "sha256"}

# Row of the table: method, key in the log, and a property of the server: it expects zeros inside EAP, or it
# asks RADIUS through the gate, whose backend then has no users file
METHODS = {
    "PAP": ("pap", "zero", None),
    "CHAP-MD5": ("chap-md5", "zero", None),
    "MS-CHAPv1": ("mschapv1", "ms-chapv1", None),
    "MS-CHAPv2": ("mschapv2", "ms-chapv2", None),
    "MS-CHAPv2, `radius`": ("mschapv2", "radius", "radius"),
    "EAP-MSCHAPv2": ("eap-mschapv2", "ms-chapv2", None),
    "EAP-MSCHAPv2 with a key of zeros, `zero-key = eap`": ("eap-mschapv2", "zero", "zeros"),
    "EAP-TLS": ("eap-tls", None, None),
    "EAP-TLS, `radius`": ("eap-tls", "radius", "radius"),
    "PEAP": ("peap", None, None),
}
KINDS = (None, "zeros", "radius")

# Column: dialect, settings of this server. No server with TLS is configured with a hash.
BACKENDS = {
    "RRAS": ("rras", {}),
    "RRAS, `UseHttps` = 0": ("rras", {"plain": True}),
    "accel-ppp": ("accel-ppp", {}),
    "SoftEther": ("softether", {}),
    "sorz": ("sorz", {"echoes_early": False}),
}

ONLY_SHA1 = "any, of a client without SHA256"


def offers(backend, row):
    return METHODS[row][0] in DIALECTS[BACKENDS[backend][0]].auth


def start(shared):
    """Starts a gate with a listener and a backend for each pair of policy and server."""
    path = shared.place.folder / "matrix.secret"
    path.touch(mode=0o600)
    path.write_text("secret")
    shared.radius = radius.Radius("secret", eap=radius.EapExperimental).__enter__()
    shared.others.append(shared.radius)
    nas = Nas(None, "secret")
    shared.servers, sections = {}, {
        "gate": {"workers": 2},
        "radius site": {"listen": "127.0.0.1:0", "clients": "127.0.0.1", "secret-file": path.name,
                        "server": "%s:%d" % shared.radius.auth}}
    for number, (backend, kind) in enumerate(product(BACKENDS, KINDS)):
        dialect, changes = BACKENDS[backend]
        configured = shared.place.front.sha256 if "plain" in changes else None
        if configured:  # configured by its administrator
            changes = {**changes, "hashes": {sstp.SHA256: bytes.fromhex(configured)}}
        if kind == "radius":
            changes = {**changes, "nas": nas, "auth": ("eap", "mschapv2")
                       if "eap-tls" in DIALECTS[dialect].auth else ("mschapv2",)}
        server = shared.backend(dialect=dialect, eap_zeros=kind == "zeros", **changes)
        shared.servers[backend, kind] = server, number
        for policy in POLICIES:
            sections[f"listener {number}-{policy}"] = shared.listener_keys(
                backend=f"{number}-{policy}")
            sections[f"backend {number}-{policy}"] = shared.backend_keys(
                server, crypto_binding=policy, radius="site" if kind == "radius" else None,
                zero_key="eap" if kind == "zeros" else None,
                users_file=None if kind == "radius" else "users",
                binding_cert_hash=configured if policy in ("rewrite", "auto") else None)
    gate = shared.start(sections)
    nas.server = gate.address("radius:site")
    return gate


def dial(gate, backend, policy, row, hash, number):
    """Returns whether the call came up. Its number is its correlation id, which identifies it in other
    records."""
    method, _, kind = METHODS[row]
    knobs = {"auth": (method,), "zero_key": kind == "zeros"}
    if kind == "radius" and method == "eap-tls":
        # for the gate every EAP method with a key of 32 bytes is the same
        knobs = {"auth": ("eap",), "peer": radius.ExperimentalPeer()}
    client = Client(gate.address(f"{backend}-{policy}"), picks=HASHES[hash] + "-only",
                    correlation=b"%d" % number, acknowledges_from=8, **knobs)
    try:
        client.establish().ping().disconnect()
        assert client.packets.misfits == 0
        return True
    except CallFailed:
        return False
    finally:
        client.close()


def record_of(server):
    """Returns a record by its correlation id, which all servers get and some log."""
    return {head.parse(call.record.head.encode()).all(b"sstpcorrelationid")[0].decode(): call.record
            for call in server.calls if call.record.head}


@pytest.fixture(scope="module")
def results(shared):
    """Returns {(backend, policy, row, hash): (up, event call, server's record)}."""
    gate = start(shared)
    wanted = list(product(BACKENDS, POLICIES, METHODS, HASHES))

    def one(number):
        backend, policy, row, hash = wanted[number]
        return dial(gate, shared.servers[backend, METHODS[row][2]][1], policy, row, hash, number)

    with ThreadPoolExecutor(8) as pool:
        up = list(pool.map(one, range(len(wanted))))
    gate.wait(lambda: sum(" call " in line for line in gate.lines) >= len(wanted), "end of all calls")
    events = {event["correlation"]: event for event in gate.events("call")}
    records = {}
    for server, _ in shared.servers.values():
        for number in range(len(server.calls)):
            server.wait_over(number)
        records |= record_of(server)
    return {what: (up[number], events[str(number)], records[str(number)])
            for number, what in enumerate(wanted)}


def outcome(up, event, record):
    """Returns the name of a policy in the table: "" if the call does not come up."""
    if not up:
        return ""
    policy = event["backend"].partition("-")[2]
    return policy + ("*" if policy == "auto" and event["binding"] == "passed" else "")


def cell(results, backend, row, hash):
    words = [outcome(*results[backend, policy, row, hash]) for policy in POLICIES]
    return "all" if words == list(POLICIES) else " ".join(filter(None, words)) or "none"


def table(results):
    lines = ["| Method | " + " | ".join(BACKENDS) + " |", "|---" * (1 + len(BACKENDS)) + "|"]
    for row in METHODS:
        cells = [cell(results, backend, row, sstp.SHA256) if offers(backend, row) else "-"
                 for backend in BACKENDS]
        lines.append("| " + " | ".join([row, *cells]) + " |")
    cells = [cell(results, backend, "MS-CHAPv2", sstp.SHA1) for backend in BACKENDS]
    lines.append("| " + " | ".join([ONLY_SHA1, *cells]) + " |")
    return "\n".join(lines)


def test_recipes(results):
    """The table of RECIPES.md has the measured results."""
    made = table(results)
    print("\n" + made)
    chapter = (ROOT / "RECIPES.md").read_text().split("\n## What works with what\n")[1]
    assert re.search(r"(^\|.*\n)+", chapter, re.M)[0].strip() == made


@pytest.mark.parametrize("row", METHODS)
def test_calls(results, row):
    """The records of the two ends of each call agree."""
    for (backend, policy, this, hash), (up, event, record) in results.items():
        if this != row:
            continue
        where = backend, policy, hash, event.line
        method, key, kind = METHODS[row]
        if not offers(backend, row):
            assert not up and event["binding"] == "-" and record.verdict is None, where
        elif up:
            assert record.verdict in ("ok", "unchecked"), where
            assert record.method == method or kind == "radius", where
            assert event["reason"] == "client-disconnect", where
            made = {"rewrite": "verified", "auto": "verified" if key else "passed",
                    "passthrough": "passed", "off": "off"}[policy]
            assert event["binding"] == made, where
            if made == "verified":
                assert (event["key"], event["hash"]) == (key, HASHES[hash]), where
                assert ("weak" in event.fields) == (kind == "zeros"), where
        elif record.verdict is None:
            # the gate has refused, or offered no hash to a client without SHA256
            refused = policy == "rewrite" and key is None
            assert event["reason"] == ("binding-mac" if refused else "client-abort"), where
            assert refused or (hash == sstp.SHA1 and record.hash is None), where
        else:
            assert (record.verdict, event["reason"]) == ("certificate", "backend-abort"), where


def test_sha1_is_the_same_for_all(results):
    """The last row of the table is true for each method."""
    for backend, row in product(BACKENDS, METHODS):
        both = cell(results, backend, row, sstp.SHA256), cell(results, backend, "MS-CHAPv2", sstp.SHA1)
        sets = [set(text.replace("*", "").replace("all", " ".join(POLICIES)).split())
                for text in (*both, cell(results, backend, row, sstp.SHA1))]
        if offers(backend, row):
            assert sets[2] - {"none"} == (sets[0] & sets[1]) - {"none"}, (backend, row)
