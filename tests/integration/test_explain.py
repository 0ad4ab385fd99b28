"""`sstpgate explain` and `sstpgate ctl explain`: the answer is that of a real call."""

import json
import random

import pytest

from gate import run
from peers.client import CallFailed

USERS = {"alice": "sesame", "bob": "sesame", "bob smith": "sesame", "CORP\\jürgen": "sesame"}
NONE = "127.0.0.9"


def ctl(gate, *words):
    return run("ctl", "-c", gate.config, "explain", *words)


def ask(gate, *words):
    """Returns the answer of the running gate, and its exit code."""
    result = ctl(gate, "--listener", "front", *words, "--json")
    assert result.stderr == ""
    return json.loads(result.stdout), result.returncode


def offline(config, *words):
    return run("explain", "-c", config, *words)


def line_of(path, text):
    return 1 + path.read_text().splitlines().index(text)


def start(bench, rules=(), listener=None, backend=None, gate=None):
    server = bench.backend(users=USERS, auth=("pap",))
    return bench.gate(server, rules=rules, listener=listener,
                      backend={"crypto_binding": "auto", **(backend or {})},
                      gate={"admin": f"unix:explain-{bench.count}.sock", **(gate or {})})


def dial(bench, gate, **knobs):
    return bench.client(gate, auth=("pap",), **knobs)


# -- the answer and the call --


def happened(bench, gate, address, user, host, sni):
    """Makes the call. Returns the stage of its refusal, and what the client got."""
    client = dial(bench, gate, bind=address, user=user, host=host, sni=sni)
    try:
        client.establish().ping().disconnect()
        return None, None
    except CallFailed as failure:
        if failure.status is not None:
            return "request", f"HTTP {failure.status}"
        if failure.abort is not None:
            return "login", "SSTP Call Disconnect"
        return ("request" if failure.stage == "request" else "accept"), "a reset of the connection"
    finally:
        client.close()


def random_rule(rng):
    words = [rng.choice(["any", "any", "127.0.0.2", "127.0.0.0/30", NONE])]
    for share, choices in ((0.6, [f"user {name}" for name in ("alice", "b*", "carol")]),
                           (0.25, ["host vpn.example.com", "host *.example", "host two.example"]),
                           (0.25, ["sni vpn.example.com", "sni two.example"]),
                           (0.25, ["time Mon-Sun 00:00-24:00 UTC"])):
        if rng.random() < share:
            words.append(rng.choice(choices))
    if rng.random() < 0.4:
        return "allow", " ".join(words)
    return "deny", " ".join(words + [rng.choice(["", "", "action reset", "action decoy", "dry-run"])]).strip()


def with_random_rules(text, rng):
    """Returns the configuration with other rules for the listener."""
    keys = [f"{key} = {rule}" for key, rule in (random_rule(rng) for _ in range(rng.randrange(1, 6)))]
    keys.append(f"default = {rng.choice(['allow', 'allow', 'deny'])}")
    keys.append(f"mode = {rng.choice(['enforce', 'enforce', 'enforce', 'dry-run'])}")
    if rng.random() < 0.3:
        keys += ["host = vpn.example.com", "host = x.example"]
    lines = [line for line in text.splitlines() if not line.startswith("default")]
    at = lines.index("[listener front]") + 1
    return "\n".join(lines[:at] + keys + lines[at:]) + "\n"


def test_what_happens_is_what_was_said(bench):
    """Random rules and random calls: verdict, stage and the client's answer."""
    rng = random.Random(13)
    gate = start(bench)
    plain = gate.config.read_text()
    seen = set()
    for _ in range(12):
        gate.config.write_text(with_random_rules(plain, rng))
        gate.reload()
        for _ in range(3):
            address, user = rng.choice(["127.0.0.2", "127.0.0.3", "127.0.0.7"]), rng.choice(["alice", "bob"])
            host, sni = rng.choice(["vpn.example.com", "two.example"]), rng.choice([None, "vpn.example.com"])
            said, code = ask(gate, "--address", address, "--user", user, "--host", host,
                             "--sni", sni or "", "--tenant", "")
            assert said["verdict"] == ("refused" if code else "admitted") and code < 2
            assert (said["stage"], said["client_gets"]) == happened(bench, gate, address, user, host, sni), said
            seen.add(said["stage"])
            file = offline(gate.config, "--listener", "front", "--address", address, "--user", user,
                           "--host", host, "--sni", sni or "", "--tenant", "", "--json")
            assert file.returncode == code and json.loads(file.stdout)["rules"] == said["rules"]
    assert seen == {None, "accept", "request", "login"}


# -- the words --


def test_which_line_decides_and_why_the_others_do_not(bench):
    rules = [("deny", "127.0.0.66"), ("allow", "127.0.0.0/8 host two.example"),
             ("deny", 'user "bob smith"'), ("allow", "any user CORP\\*")]
    gate = start(bench, rules=rules, listener={"default": "deny"})
    where = lambda rule: f"{gate.config}:{line_of(gate.config, '%s = %s' % rule)}: %s = %s" % rule
    asked = ["--listener", "front", "--address", "127.0.0.2", "--host", "vpn.example.com"]

    result = offline(gate.config, *asked, "--user", "bob smith")
    lines = result.stdout.splitlines()
    assert result.returncode == 1 and lines[:3] == ["verdict: refused", "stage: login", "reason: user-denied"]
    assert f"decided-by: {where(rules[2])}" in lines
    assert f"rule 1: {where(rules[0])}: 127.0.0.2 is not in 127.0.0.66" in lines
    assert f"rule 2: {where(rules[1])}: host 'vpn.example.com' does not match 'two.example'" in lines
    assert f"rule 3: {where(rules[2])}: matches" in lines
    assert ctl(gate, *asked, "--user", "bob smith").stdout.splitlines()[:3] == lines[:3]

    said, code = ask(gate, *asked[2:], "--user", "CORP\\jürgen")
    assert code == 0 and said["decided_by"] == where(rules[3])
    said, code = ask(gate, *asked[2:], "--user", "carol")
    assert code == 1 and said["decided_by"].endswith(": default = deny")
    said, code = ask(gate, *asked[2:])
    assert (code, said["verdict"], said["depends_on"]) == (3, "depends", ["user"])
    assert said["rules"][2]["result"] == "perhaps" and said["rules"][2]["words"] == "depends on user"
    said, code = ask(gate, *asked[2:], "--user", "")
    assert code == 1 and "no reliable user" in said["rules"][2]["words"]
    hostile, code = ask(gate, *asked[2:], "--user", "a\tb%\"'\\")
    assert code == 1 and "a\\u0009b%" in hostile["rules"][3]["words"]


def test_time_of_the_listener(bench):
    rule = ("allow", "any time Mon-Fri 08:00-18:00 Asia/Tokyo")
    gate = start(bench, rules=[rule], listener={"default": "deny"})
    asked = ["--listener", "front", "--address", "127.0.0.2"]
    for at, code in [("2026-11-30 08:00", 0), ("2026-11-30T07:59", 1), ("2026-11-29T23:00:00Z", 0),
                     ("2026-11-29T23:00:00+01:00", 1), ("2026-11-28 12:00:00", 1)]:
        for result in (offline(gate.config, *asked, "--at", at), ctl(gate, *asked, "--at", at)):
            assert result.returncode == code, at
    assert "Mon 07:59 in Asia/Tokyo is not within Mon-Fri 08:00-18:00" in \
        offline(gate.config, *asked, "--at", "2026-11-30 07:59").stdout


@pytest.mark.parametrize("words, code, message", [
    (["--address", "127.0.0.2"], 2, "--listener NAME is missing"),
    (["--listener", "front"], 2, "--address ADDRESS is missing"),
    (["--listener", "front", "--address", "127.0.0.2/8"], 2, "'127.0.0.2/8' is not an IP address"),
    (["--listener", "front", "--adress", "::1"], 2, "did you mean '--address'?"),
    (["--listener", "front", "--address"], 2, "--address needs ADDRESS"),
    (["--listener", "front", "--address", "::1", "--host", "a b"], 2, "--host: 'a b' is not a name"),
    (["--listener", "fornt", "--address", "::1"], 4, "no listener 'fornt'; did you mean 'front'?"),
    (["--listener", "front", "--address", "::1", "--at", "noon"], 4, "'noon' is not a time"),
    (["--new", "x.conf", "--user", "alice"], 2, "--new is used without other options"),
])
def test_bad_questions(shared, words, code, message):
    if not shared.gates:
        start(shared)
    gate = shared.gates[0]
    result = offline(gate.config, *words)
    assert result.returncode == code and message in result.stderr and result.stdout == ""
    result = ctl(gate, *words)
    assert result.returncode == 4 and message in result.stderr and result.stdout == ""


def test_configuration_that_cannot_be_used(tmp_path):
    broken = tmp_path / "broken.conf"
    broken.write_text("[listener front]\nalow = any\n")
    result = offline(broken, "--listener", "front", "--address", "::1")
    assert result.returncode == 4 and f"{broken}:2: " in result.stderr
    assert run("ctl", "-s", tmp_path / "none", "explain", "--listener", "x").returncode == 4


# -- what only a running gate knows --


def test_limits_of_the_running_gate(bench):
    gate = start(bench, gate={"max_tunnels_per_user": 1, "max_tunnels_per_address": 2, "ban_points": 50})
    asked = ["--address", "127.0.0.2", "--host", "vpn.example.com", "--sni", ""]
    said, code = ask(gate, *asked, "--user", "alice")
    assert code == 0 and (said["tunnels_of_user"], said["max_tunnels_per_user"]) == (0, 1)
    with dial(bench, gate, bind="127.0.0.2") as client:
        client.establish().ping()
        said, code = ask(gate, *asked, "--user", "CORP\\ALICE")
        assert code == 1 and (said["reason"], said["decided_by"]) == ("user-limit", "max-tunnels-per-user")
        assert (said["tunnels_of_address"], said["tunnels_of_user"]) == (1, 1)
        assert ask(gate, *asked, "--user", "bob")[1] == 0
        client.disconnect()
    assert offline(gate.config, "--listener", "front", *asked, "--user", "alice").returncode == 0


def test_bans_of_the_running_gate(bench):
    gate = start(bench)
    asked = ["--address", "127.0.0.2", "--host", "vpn.example.com", "--sni", ""]
    command = lambda *words: run("ctl", "-c", gate.config, *words)
    assert command("ban", "user", "bob smith", "1h").returncode == 0
    said, code = ask(gate, *asked, "--user", "CORP\\Bob Smith")
    assert code == 1 and (said["stage"], said["reason"]) == ("login", "user-banned")
    assert "a ban of the user" in said["decided_by"] and said["client_gets"] == "SSTP Call Disconnect"
    assert ask(gate, *asked, "--user", "bob")[1] == 0
    assert command("ban", "127.0.0.0/30", "1h").returncode == 0
    said, code = ask(gate, *asked, "--user", "bob")
    assert code == 1 and (said["stage"], said["reason"]) == ("accept", "limit")
    assert "a ban of the address" in said["decided_by"]
    assert command("unban", "all").returncode == 0
    assert ask(gate, *asked, "--user", "bob smith")[1] == 0


def test_line_that_ends(bench, tmp_path):
    """The gate and the program report the result of a login at that time."""
    users = bench.place.folder / f"users-{bench.count}-ending"
    users.touch(mode=0o600)
    users.write_text(f"alice:{'0' * 32}:2027-01-31T18:30Z\nCORP\\alice:{'1' * 32}\n")
    asked = ["--listener", "front", "--address", "127.0.0.2", "--host", "vpn.example.com", "--sni", "", "--json"]
    for binding, refused in (("rewrite", True), ("auto", True), ("passthrough", False), ("off", False)):
        gate = start(bench, backend={"users-file": users.name, "crypto_binding": binding})
        for ask_one in (offline, ctl):
            def said(at, user):
                return json.loads(ask_one(gate if ask_one is ctl else gate.config, *asked, "--at", at,
                                          "--user", user).stdout)
            before = said("2027-01-31T18:29:59Z", "alice@corp")
            assert (before["verdict"], before["keys"]) == ("admitted", "users-file"), before
            assert before["user_until"] == "2027-01-31T18:30:00Z"
            after = said("2027-01-31T18:30:00Z", "alice@corp")
            assert (after["verdict"], after["keys"]) == ("refused" if refused else "admitted", "none"), after
            if refused:
                assert (after["stage"], after["reason"]) == ("login", "user-expired")
                assert after["decided_by"] == f"{users}:1: the end of the user's line"
                assert after["client_gets"] == "SSTP Call Disconnect"
            other = said("2027-01-31T18:30:00Z", "CORP\\alice")
            assert (other["verdict"], other["user_found"]) == ("admitted", f"{users}:2"), other


def test_auto_without_keys(bench):
    """The notes have the step after which `rewrite` would work."""
    asked = ["--listener", "front", "--address", "127.0.0.2", "--host", "vpn.example.com", "--sni", "", "--json"]
    for users, user, step in ((None, "alice", "radius = NAME"), (bench.place.users.name, "alice", None),
                              (bench.place.users.name, "nobody", "sstpgate user -f FILE NAME")):
        gate = start(bench, backend={"users-file": users})
        notes = json.loads(ctl(gate, *asked, "--user", user).stdout)["notes"]
        assert sum("crypto-binding = rewrite" in note for note in notes) == (step is not None), notes
        assert step is None or any(step in note for note in notes), notes


def test_servers_and_keys(bench):
    server = bench.backend()
    gate = bench.gate(server, gate={"admin": f"unix:explain-{bench.count}.sock"})
    asked = ["--address", "127.0.0.2", "--host", "vpn.example.com", "--sni", ""]
    said, code = ask(gate, *asked, "--user", "CORP\\alice")
    assert code == 0 and said["servers"] == [server.address] and said["keys"] == "users-file"
    assert said["user_found"] == f"{bench.place.users}:1"
    said, code = ask(gate, *asked, "--user", "nobody")
    assert said["keys"] == "none" and any("binding-mac" in note for note in said["notes"])
    assert (said["user_found"], said["user_until"]) == ("no", None)
    assert run("ctl", "-c", gate.config, "drain", f"back/{server.address}").returncode == 0
    said, code = ask(gate, *asked)
    assert code == 1 and (said["stage"], said["reason"]) == ("backend", "no-server")
    assert said["client_gets"] == "HTTP 503"
    assert run("ctl", "-c", gate.config, "ready", f"back/{server.address}").returncode == 0
    assert ask(gate, *asked)[1] == 0


# -- which tunnels a new configuration would end --


def ask_new(gate, path):
    result = ctl(gate, "--new", path, "--json")
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def test_tunnels_that_a_new_configuration_ends(bench):
    gate = start(bench, listener={"recheck_tunnels": "yes"})
    new = gate.config.with_name(gate.config.stem + "-new.conf")
    alice = dial(bench, gate).establish().ping()
    bob = dial(bench, gate, user="bob").establish().ping()
    text = gate.config.read_text()
    new.write_text(text)
    assert ask_new(gate, new) == {"configuration": str(new), "tunnels": 2, "ends": 0, "stays_denied": 0,
                                  "without_listener": 0, "items": []}

    denying = text.replace("[listener front]", "[listener front]\ndeny = user bob")
    new.write_text(denying)
    said = ask_new(gate, new)
    assert (said["tunnels"], said["ends"]) == (2, 1)
    item = said["items"][0]
    assert (item["user"], item["listener"], item["outcome"]) == ("bob", "front", "ends")
    assert item["why"] == f"{new}:{line_of(new, 'deny = user bob')}: deny = user bob"
    lines = ctl(gate, "--new", new).stdout.splitlines()
    assert lines[1:4] == ["tunnels: 2", "ends: 1", "stays-denied: 0"]
    assert lines[5].split("\t")[:3] == ["id", "user", "client"] and lines[6].split("\t")[1] == "bob"

    new.write_text(denying.replace("recheck-tunnels = yes", "recheck-tunnels = no"))
    said = ask_new(gate, new)
    assert (said["ends"], said["stays_denied"]) == (0, 1)
    assert said["items"][0]["why"].endswith(" (recheck-tunnels = no)")
    new.write_text(text.replace("[listener front]", "[listener other]"))
    said = ask_new(gate, new)
    assert (said["ends"], said["without_listener"]) == (0, 2)
    new.write_text(text.replace("default = allow", "default = alow"))
    result = ctl(gate, "--new", new)
    assert result.returncode == 4 and f"{new}:" in result.stdout and "no tunnel would end" in result.stderr

    bob.ping()  # nothing was put in force
    gate.config.write_text(denying)
    gate.reload()
    with pytest.raises(CallFailed):
        bob.ping()
    bob.close()
    alice.ping().disconnect()
    ended = {gate.wait_call(number)["user"]: gate.wait_call(number)["reason"] for number in range(2)}
    assert ended == {"bob": "rules-changed", "alice": "client-disconnect"}


@pytest.mark.parametrize("acme", [True, False])
def test_denied_address_gets_a_note_that_validations_are_exempt(bench, acme):
    gate = start(bench, rules=[("deny", "127.0.0.9")], listener={"acme": "127.0.0.1:5001"} if acme else {})
    for address, denied in (("127.0.0.9", True), ("127.0.0.1", False)):
        answer, _ = ask(gate, "--address", address)
        assert ("validations of ACME (acme) are exempt from the rules" in answer["notes"]) == (acme and denied), answer
