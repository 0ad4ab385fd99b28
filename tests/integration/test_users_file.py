"""The users file and `sstpgate user`: a running gate loads the written lines by itself, without disturbing
calls."""

import subprocess

import pytest

from conftest import USERS
from gate import BINARY
from peers import mschap
from peers.client import expect_failure

LM = "X" * 32


def user(*arguments, text="", code=0):
    """Runs `sstpgate user` with text on its standard input; returns its messages."""
    done = subprocess.run([BINARY, "user", *map(str, arguments)], input=text, text=True,
                          capture_output=True, timeout=300)
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr


@pytest.fixture
def users(place, tmp_path_factory):
    """A users file in its own directory, which the gate reaches through a symbolic link."""
    folder = tmp_path_factory.mktemp("u")
    path = folder / "users"
    path.touch(mode=0o640)
    path.chmod(0o640)
    path.write_text("# staff\n" + place.users.read_text())
    link = place.folder / f"link-{folder.name}"
    link.symlink_to(path)
    yield link
    link.unlink()


def start(bench, users, server, **gate):
    return bench.gate(server, gate=gate, backend={"users-file": users.name})


def smbpasswd(name, password):
    """Returns a line as pdbedit prints it."""
    return f"{name}:1000:{LM}:{mschap.nt_hash(password).hex().upper()}:[U          ]:LCT-5D8B1C2A:\n"


def test_change_of_password(bench, users):
    """No signal is sent. The tunnel that is up is not disturbed; the next call is verified."""
    server = bench.backend()
    server.users = dict(USERS)
    gate = start(bench, users, server, workers=2)
    up = bench.client(gate, password=USERS["alice"]).establish().ping()
    server.users["alice"] = "changed"
    assert expect_failure(bench.client(gate, password="changed")).abort
    assert gate.wait_call()["reason"] == "binding-mac"
    before = users.read_text()

    said = user("-f", users, "ALICE", text="changed\n")
    assert said == f"sstpgate user: {users}: ALICE replaced\n"
    assert users.is_symlink() and users.stat().st_mode & 0o777 == 0o640
    assert users.read_text() == before.replace(mschap.hash_hash(USERS["alice"]).hex(),
                                               mschap.hash_hash("changed").hex())
    assert "has changed" in gate.wait_reload()[-1]["msg"]
    bench.client(gate, password="changed").establish().ping().disconnect()
    call = gate.wait_call(1)
    assert (call["binding"], call["key"]) == ("verified", "ms-chapv2")
    up.ping().disconnect()
    assert gate.wait_call(2)["binding"] == "verified"


def test_taken_over_and_deleted(bench, users):
    """Users are imported from Samba and from pppd, and deleted."""
    server = bench.backend()
    server.users = {"sam": "samba", "pat": "pa ss\\", "CORP\\kim": "kim"}
    gate = start(bench, users, server, workers=1)
    said = user("--import", "smbpasswd", "--file", users, "-",
                text=smbpasswd("sam", "samba") + smbpasswd("pc$", "x"))
    assert f"{users}: 1 added, 0 replaced, 0 unchanged, 1 skipped\n" in said
    assert gate.reload()[-1].level == "info"
    bench.client(gate, user="sam", password="samba").establish().ping().disconnect()

    secrets = users.with_name("chap-secrets")
    secrets.write_text('# client server secret\npat * "pa ss\\\\" *\nCORP\\\\kim vpn kim 10.0.0.1\n')
    said = user("-f", users, "--import", "chap-secrets", secrets)
    assert f"{users}: 2 added, 0 replaced, 0 unchanged, 0 skipped\n" in said
    assert gate.reload()[-1].level == "info"
    for name in ("pat", "CORP\\kim"):
        bench.client(gate, user=name, password=server.users[name]).establish().ping().disconnect()

    user("-f", users, "-D", "sam")
    assert gate.reload()[-1].level == "info"
    assert expect_failure(bench.client(gate, user="sam", password="samba")).abort
    assert [gate.wait_call(n)["binding"] for n in range(3)] == ["verified"] * 3
    secrets.unlink()


def test_a_hundred_thousand(bench, users):
    """The users are written at once and loaded at once, while the tunnels of the gate continue; the memory for
    them is bounded and released."""
    server = bench.backend()
    server.users = dict(USERS)
    gate = start(bench, users, server, workers=2)
    up = bench.client(gate, password=USERS["alice"]).establish().ping()
    few = users.read_text()
    lean = gate.rss()
    assert "unknown kind 'shadow'" in user("-f", users, "--import", "shadow", "-", code=2)
    said = user("-f", users, "--import", "smbpasswd", "-", text="".join(
        f"user{n}:{n}:{LM}:{n:032X}:[U          ]:LCT-5D8B1C2A:\n" for n in range(100_000)))
    assert f"{users}: 100000 added, 0 replaced, 0 unchanged, 0 skipped\n" in said
    assert gate.reload()[-1].level == "info"
    up.ping()
    bench.client(gate, password=USERS["alice"]).establish().ping().disconnect()
    assert gate.wait_call()["binding"] == "verified"
    print(f"100,000 users: {(gate.rss() - lean) >> 20} MiB")
    # two copies for a moment, while the file is read: some 250 bytes for a user, and the file itself
    assert gate.rss() - lean < 64 << 20
    users.write_text(few)
    assert gate.reload()[-1].level == "info"
    assert gate.rss() - lean < 32 << 20
    up.ping().disconnect()


def test_letter_case(bench, users):
    """The key of a line is found under each spelling that the server takes for the same account."""
    users.write_text(f"Jürgen:{mschap.hash_hash('sesame').hex()}\n")
    gate = bench.gate(bench.backend(users={"JÜRGEN": "sesame"}), backend={"users-file": users.name})
    bench.client(gate, user="JÜRGEN").establish().ping().disconnect()
    assert gate.wait_call()["key"] == "ms-chapv2"


def test_a_bad_change_changes_nothing(bench, users):
    """If other users may read the file, or a line is invalid, the old users stay in force, and `sstpgate user`
    does not change the file."""
    gate = start(bench, users, bench.backend(users=USERS), workers=1)
    text = users.read_text()
    users.write_text(text + "dave:12\n")
    said = gate.reload()
    assert any(f"{users.name}:{len(text.splitlines()) + 1}: " in event["msg"] for event in said)
    assert said[-1]["msg"].endswith("stays in force")
    told = user("-f", users, "dave", text="x\n", code=1)
    assert f"{users}:{len(text.splitlines()) + 1}: " in told
    assert users.read_text() == text + "dave:12\n"
    bench.client(gate, password=USERS["alice"]).establish().ping().disconnect()

    users.write_text(text)
    users.chmod(0o644)
    said = gate.reload()
    assert any("chmod o= on it" in event["msg"] for event in said)
    assert "chmod o= on it" in user("-f", users, "dave", text="x\n", code=1)
    bench.client(gate, password=USERS["alice"]).establish().ping().disconnect()
    assert [gate.wait_call(n)["binding"] for n in range(2)] == ["verified"] * 2
