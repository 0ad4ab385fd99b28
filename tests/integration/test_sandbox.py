"""What the gate gives up after its start: root, capabilities, system calls, writing to files."""

import ctypes
import os
import pwd
import re
import shutil
import signal
import socket
import struct
import subprocess
from pathlib import Path

import pytest

from gate import BINARY, eventually, run
from netns import Namespace
from peers.tls import DEADLINE

NOBODY = pwd.getpwnam("nobody")
WHOLE = re.compile(r"user (\w+), (no capabilities|capability net_bind_service), no new privileges, "
                   r"files by Landlock \d+, system calls by seccomp")
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
LANDLOCK_CREATE_RULESET = 444


@pytest.fixture
def home(bench):
    """A directory that the user nobody may search and write to, and its files may be those of the group."""
    bench.place.folder.chmod(0o711)
    path = bench.place.folder / f"home-{bench.count}"
    path.mkdir()
    os.chown(path, NOBODY.pw_uid, NOBODY.pw_gid)
    return path


def give(path, mode=0o640):
    """Lets the group of nobody read a file of root."""
    os.chown(path, 0, NOBODY.pw_gid)
    path.chmod(mode)


def copy(home, source, name):
    path = home / name
    path.write_bytes(Path(source).read_bytes())
    path.chmod(0o600)
    return path


def start(bench, home, listener=None, program=BINARY, **gate):
    """Starts a gate that becomes nobody, with an admin socket and bans in `home`."""
    server = bench.backend()
    certificate = copy(home, bench.place.front.both, "front.pem")
    users = copy(home, bench.place.users, "users")
    started = bench.start({
        "gate": {"workers": 2, "user": "nobody", "admin": f"unix:{home}/admin.sock",
                 "ban-file": home / "bans", **{k.replace("_", "-"): v for k, v in gate.items()}},
        "listener front": {**bench.listener_keys(), "certificate": certificate, **(listener or {})},
        "backend back": {**bench.backend_keys(server), "users-file": users}},
        before=("sh", "-c", f'shift; exec {program} "$@" --ready-file {home}/ready', "sh"))
    return started


@pytest.fixture
def ready_in_home(monkeypatch):
    """The ready file of such a gate is in its directory: the last --ready-file counts."""
    from gate import Gate
    original = Gate.start

    def start(self):
        match = re.search(r"--ready-file (\S+)", " ".join(map(str, self.before)))
        if match:
            self.ready = Path(match[1])
        return original(self)
    monkeypatch.setattr(Gate, "start", start)


def status_of(process, thread=None):
    path = Path(f"/proc/{process}") if thread is None else Path(f"/proc/{process}/task/{thread}")
    return dict(line.split(":\t", 1) for line in (path / "status").read_text().splitlines())


def threads(gate):
    return [int(name) for name in os.listdir(f"/proc/{gate.process.pid}/task")]


def ctl(gate, *command):
    return run("ctl", "-c", gate.config, *command)


def sandbox(gate):
    return dict(line.split(": ", 1) for line in ctl(gate, "status").stdout.splitlines())["sandbox"]


# ---- the user ----

def test_root_is_given_up(bench, home, ready_in_home):
    """Every thread is the user, with its groups, without a capability, and with the filter."""
    gate = start(bench, home, sandbox="require")
    sanitized = gate.sanitized()
    bench.client(gate).establish().ping().disconnect()
    for thread in threads(gate):
        status = status_of(gate.process.pid, thread)
        assert status["Uid"].split() == [str(NOBODY.pw_uid)] * 4
        assert status["Gid"].split() == [str(NOBODY.pw_gid)] * 4
        assert status["Groups"].split() == [str(NOBODY.pw_gid)]
        if sanitized and thread != gate.process.pid and int(status["CapEff"], 16):
            continue  # the sanitizer's own thread, older than main()
        for kind in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            assert int(status[kind], 16) == 0, (kind, status)
        assert status["NoNewPrivs"] == "1" and status["Seccomp"] == "2"
    assert WHOLE.fullmatch(sandbox(gate))[1] == "nobody"
    assert gate.wait_event("sandbox")["msg"].startswith("in force: user nobody, ")


def test_files_of_the_start_belong_to_the_user(bench, home, ready_in_home):
    """Root creates the log and the admin socket before the gate gives up root; USR1 creates a new log."""
    gate = start(bench, home, log=home / "log")
    log, sock = home / "log", home / "admin.sock"
    assert log.stat().st_uid == sock.stat().st_uid == NOBODY.pw_uid
    log.rename(home / "log.1")
    gate.signal(signal.SIGUSR1)
    assert ctl(gate, "status").returncode == 0  # the signal was delivered before
    assert log.exists()
    assert ctl(gate, "stop").returncode == 0
    assert gate.wait_exit() == 0
    assert not sock.exists(), "the user may delete the socket"
    assert "event=" not in log.read_text() and "all calls have ended" in log.read_text()


@pytest.mark.long
def test_reload_as_the_user(bench, home, ready_in_home):
    """The start names what the user may not read; a reload says it again, and changes nothing."""
    gate = start(bench, home)
    key = home / "front.pem"
    denied = "Permission denied: the user nobody may not read it: run chgrp nogroup and chmod g+r on it"
    gate.wait_log(re.escape(f"{key}: warning: a reload cannot read it: {denied}"))
    said = gate.reload()
    assert any(str(key) in event["msg"] and denied in event["msg"] for event in said)
    assert said[-1]["msg"] == "HUP: nothing was changed; the old configuration stays in force"
    give(home / "users")
    key.write_bytes(Path(bench.place.front2.both).read_bytes())
    said = gate.wait(lambda: [e for e in gate.events("reload") if e.fields.get("file") == str(key)],
                     "reload of the key")
    assert said[0]["msg"].endswith("its old content stays in force") and denied in said[0]["msg"]
    give(key)
    gate.wait(lambda: [e for e in gate.events("reload") if e.fields.get("file") == str(key) and
                       e["msg"].endswith("new content is in force")], "the new key")
    assert gate.reload()[-1]["msg"] == "HUP: the new configuration is in force"
    give(gate.config, 0o600)
    said = gate.reload()
    assert denied in said[0]["msg"] and str(gate.config) in said[0]["msg"]


def test_check_as_the_user(bench, home):
    """-t, run by root, becomes the user before it looks for what the user may do."""
    server = bench.backend()
    key = copy(home, bench.place.front.both, "front.pem")
    give(bench.place.users)
    closed = home / "closed"
    closed.mkdir(0o700)
    config = bench.config({"gate": {"user": "nobody", "ban-file": closed / "bans", "ban-points": 10},
                           "listener front": {**bench.listener_keys(), "certificate": key},
                           "backend back": bench.backend_keys(server)})
    done = run("-t", "-c", config)
    assert done.returncode == 0
    assert f"{key}: warning: a reload cannot read it: Permission denied: the user nobody" in done.stderr
    assert (f"{config}:3: warning: ban-file: the user nobody may not write to {closed}: run chown nobody "
            "on it") in done.stderr
    assert "users" not in done.stderr
    give(key)
    os.chown(closed, NOBODY.pw_uid, NOBODY.pw_gid)
    assert run("-t", "-c", config, "--strict").returncode == 0


@pytest.mark.parametrize("keys, said", [
    ({"user": "no-such"}, "2: user: there is no user 'no-such' (adduser "),
    ({"user": "nobody", "group": "no-such"}, "3: group: there is no group 'no-such'"),
    ({"user": "root"}, "2: user: root would drop no privileges; write another user"),
    ({"group": "daemon"}, "2: group: it is used only with user"),
    ({"user": "70001"}, ": group: must be set for a user without an entry in the user database")])
def test_wrong_user(bench, keys, said):
    server = bench.backend()
    config = bench.config({"gate": keys, "listener front": bench.listener_keys(),
                           "backend back": bench.backend_keys(server)})
    for command in (["-t"], []):
        done = run(*command, "-c", config)
        assert done.returncode == 1 and f"{config}:" in done.stderr and said in done.stderr


def test_not_root(bench, home):
    """Only root becomes another user; a unit with User= may name the same user."""
    server = bench.backend()
    key = copy(home, bench.place.front.both, "front.pem")
    users = copy(home, bench.place.users, "users")
    give(key), give(users)
    sections = {"gate": {"user": "nobody", "sandbox": "require"},
                "listener front": {**bench.listener_keys(), "certificate": key},
                "backend back": {**bench.backend_keys(server), "users-file": users}}
    config = bench.config(sections)
    config.chmod(0o644)

    def become(uid, gid):
        return ("setpriv", f"--reuid={uid}", f"--regid={gid}", "--clear-groups")
    for user, said, code in (((NOBODY.pw_uid, NOBODY.pw_gid), "", 0),
                             ((1, NOBODY.pw_gid), "user: only root can become 'nobody'", 1)):
        done = subprocess.run([*become(*user), BINARY, "-t", "-c", config], capture_output=True, text=True,
                              timeout=DEADLINE)
        assert (done.returncode, said in done.stderr) == (code, True), done.stderr


# ---- capabilities ----

def test_low_ports(bench, home, ready_in_home):
    """With a port below 1024 the right to bind such ports stays, so that a reload can add one; without
    one, it does not."""
    with Namespace().entered():
        gate = start(bench, home, {"listen": "127.0.0.1:443"}, sandbox="require")
        give(gate.config, 0o644), give(home / "front.pem"), give(home / "users")
        assert WHOLE.fullmatch(sandbox(gate))[2] == "capability net_bind_service"
        text = gate.config.read_text()
        gate.config.write_text(text.replace("listen = 127.0.0.1:443",
                                            "listen = 127.0.0.1:443\nlisten = 127.0.0.1:444"))
        assert gate.reload()[-1]["msg"] == "HUP: the new configuration is in force"
        socket.create_connection(("127.0.0.1", 444), DEADLINE).close()


def test_no_low_port(bench, home, ready_in_home):
    gate = start(bench, home, sandbox="require")
    give(gate.config, 0o644), give(home / "front.pem"), give(home / "users")
    assert WHOLE.fullmatch(sandbox(gate))[2] == "no capabilities"
    gate.config.write_text(gate.config.read_text().replace("listen = 127.0.0.1:0",
                                                           "listen = 127.0.0.1:0\nlisten = 127.7.7.7:1"))
    said = gate.reload()
    if said[-1].level == "error":  # the machine does not let every user bind such ports
        assert "a port below 1024 needs CAP_NET_BIND_SERVICE" in said[0]["msg"]


# ---- files ----

def test_reload_cannot_move_the_bans(bench, place):
    """The gate writes only to the directories that its configuration named at the start."""
    server = bench.backend()
    first, second = place.folder / "bans-1", place.folder / "bans-2"
    first.mkdir(exist_ok=True), second.mkdir(exist_ok=True)
    gate = bench.gate(server, gate={"ban_file": first / "bans", "ban_points": 10})
    text = gate.config.read_text()
    gate.config.write_text(text.replace(str(first / "bans"), str(second / "bans")))
    said = gate.reload()
    assert "ban-file: the running gate may not write to the directory of" in said[0]["msg"]
    assert said[-1].level == "error"
    gate.config.write_text(text.replace(str(first / "bans"), str(first / "others")))
    assert gate.reload()[-1]["msg"] == "HUP: the new configuration is in force"


def test_upgrade_cannot_move_the_bans(bench, place, tmp_path):
    """The sandbox of the old process applies to the new one, which logs this before the first ban."""
    first, second = place.folder, tmp_path
    gate = bench.start({"gate": {"ban-file": first / "bans", "ban-points": 10}, "listener front": bench.listener_keys(),
                        "backend back": bench.backend_keys(bench.backend())})
    assert gate.events("bans") == []
    gate.config.write_text(gate.config.read_text().replace(f"{first}/bans", f"{second}/bans"))
    gate.upgrade()
    said = gate.wait_event("bans")
    assert said.level == "warning"
    assert said["msg"] == f"cannot write {second}/bans, so bans are lost when this process ends: Permission denied"


def test_ban_file_without_a_directory(bench, place):
    """A start and a reload report it, not only the first ban."""
    lost = place.folder / "lost" / "bans"
    gate = bench.gate(bench.backend(), gate={"ban_file": lost, "ban_points": 10, "sandbox": "no"})
    said = f"cannot write {lost}, so bans are lost when this process ends: No such file or directory"
    assert [event["msg"] for event in gate.events("bans")] == [said]
    gate.config.write_text(gate.config.read_text().replace(str(lost), f"{lost}-2"))
    gate.reload()
    assert [event["msg"] for event in gate.events("bans")][1:] == [said.replace("/bans,", "/bans-2,")]


def test_upgrade_to_another_file(bench, home, ready_in_home):
    """A new version is another file at the same path: the sandbox executes it."""
    directory = bench.place.folder / f"bin-{bench.count}"
    directory.mkdir(0o755)
    program = directory / "gate"
    shutil.copy(BINARY, program)
    gate = start(bench, home, program=program, sandbox="require")
    give(gate.config), give(home / "front.pem"), give(home / "users")
    program.rename(directory / "old")
    shutil.copy(BINARY, program)
    gate.upgrade()
    assert os.readlink(f"/proc/{gate.pid}/exe") == str(program)
    status = status_of(gate.pid)
    assert status["Uid"].split() == [str(NOBODY.pw_uid)] * 4 and int(status["Seccomp_filters"]) >= 2
    assert WHOLE.fullmatch(sandbox(gate))[1] == "nobody"
    bench.client(gate).establish().ping().disconnect()


# ---- layers ----

def without(number):
    """Returns what to call in a child before it executes the gate: the kernel then has no such system call."""
    def code(op, k, jt=0, jf=0):
        return struct.pack("HBBI", op, jt, jf, k)
    program = b"".join([code(0x20, 0),                      # load the number
                        code(0x15, number, 0, 1),           # is it this one?
                        code(0x06, 0x00050000 | 38),        # ENOSYS
                        code(0x06, 0x7FFF0000)])            # allow
    text = ctypes.create_string_buffer(program)
    fprog = ctypes.create_string_buffer(struct.pack("HxxxxxxQ", 4, ctypes.addressof(text)))
    libc = ctypes.CDLL(None)

    def apply():
        libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        if libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, fprog, 0, 0) != 0:
            os._exit(99)
    apply.keep = text  # fprog has only its address
    return apply


def test_kernel_without_landlock(bench):
    """auto: what the kernel offers, and a line about what it lacks; require: no start."""
    server = bench.backend()
    path = bench.place.folder / "no-landlock.sock"
    keys = {"gate": {"workers": 1, "admin": f"unix:{path}"}, "listener front": bench.listener_keys(),
            "backend back": bench.backend_keys(server)}
    gate = bench.start(keys, preexec_fn=without(LANDLOCK_CREATE_RULESET))
    gate.wait_log('warning sandbox msg="not in force: Landlock: this kernel has none"')
    assert sandbox(gate).endswith("system calls by seccomp; missing: Landlock: this kernel has none")
    bench.client(gate).establish().disconnect()
    keys["gate"]["sandbox"] = "require"
    keys["gate"]["admin"] = f"unix:{path}-2"
    config = bench.config(keys)
    done = run("-c", config, preexec_fn=without(LANDLOCK_CREATE_RULESET))
    assert done.returncode == 1
    assert f"{config}:4: sandbox: missing: Landlock: this kernel has none; sandbox = auto starts without it" \
        in done.stderr
    assert not Path(f"{path}-2").exists()


def test_no_sandbox(bench):
    path = bench.place.folder / "no.sock"
    gate = bench.gate(bench.backend(), gate={"sandbox": "no", "admin": f"unix:{path}"})
    status = status_of(gate.process.pid)
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("0", "0") or BINARY.parent.name != "release"
    assert sandbox(gate).endswith("nothing else (sandbox = no)")


def test_keys_require_a_restart(bench):
    gate = bench.gate(bench.backend(), gate={"sandbox": "no"})
    gate.config.write_text(gate.config.read_text().replace("sandbox = no", "sandbox = auto\nuser = nobody"))
    said = gate.reload()
    assert "a change of user, group or sandbox requires a restart" in [event["msg"] for event in said]


def test_each_gate_of_the_tests_is_confined(bench):
    """Without a key, all layers are in force: every test of this directory runs in the sandbox."""
    path = bench.place.folder / "each.sock"
    gate = bench.gate(bench.backend(), gate={"admin": f"unix:{path}"})
    assert WHOLE.fullmatch(sandbox(gate))[1] == "root"
    gate.wait_log("the gate runs as root and can read every file of root")


def test_key_log_of_the_user(bench, home, ready_in_home):
    """The file is opened by root and belongs to the user, who opens it again; the next start finds it."""
    keys = home / "keys"
    gate = start(bench, home, key_log=keys)
    bench.client(gate).establish().disconnect()
    size, facts = keys.stat().st_size, keys.stat()
    assert size > 0 and (facts.st_uid, facts.st_mode & 0o7777) == (NOBODY.pw_uid, 0o600)
    keys.rename(home / "keys.1")
    gate.signal(signal.SIGUSR1)
    eventually(keys.exists, "no new file")
    assert (keys.stat().st_uid, keys.stat().st_mode & 0o7777) == (NOBODY.pw_uid, 0o600)
    bench.client(gate).establish().disconnect()
    size = keys.stat().st_size
    assert size > 0
    gate.stop()
    (home / "ready").unlink()
    gate = start(bench, home, key_log=keys)
    bench.client(gate).establish().disconnect()
    assert keys.stat().st_size > size
