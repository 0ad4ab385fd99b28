"""The admin socket, and `sstpgate ctl`."""

import os
import re
import signal
import socket
import stat
import time

import pytest

from gate import run
from peers.client import expect_failure
from peers.tls import DEADLINE
from test_limits import misbehave

COMMANDS = ["status", "health", "tunnels", "failures", "listeners", "certificates", "servers", "limits", "bans", "gates",
            "end", "ban", "unban", "reload", "drain", "resume", "ready", "explain", "log-level",
            "stop", "metrics", "help"]


def with_socket(bench):
    """Starts a gate with an admin socket; `path` is the path of the socket."""
    gate = bench.gate(bench.backend(), gate={"admin": f"unix:admin-{bench.count}.sock"})
    gate.path = bench.place.folder / re.search(r"unix:(\S+)", gate.config.read_text())[1]
    return gate


@pytest.fixture
def gate(bench):
    return with_socket(bench)


@pytest.fixture(scope="module")
def same_gate(shared):
    """For tests that do not change its state."""
    return with_socket(shared)


def dial(gate):
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(DEADLINE)
    sock.connect(str(gate.path))
    return sock


def take(sock):
    """Returns all bytes up to the end."""
    text = b""
    with sock:
        try:
            while part := sock.recv(65536):
                text += part
        except ConnectionResetError:  # the gate did not read the rest of the command
            pass
    return text.decode()


def ask(gate, octets):
    sock = dial(gate)
    try:
        sock.sendall(octets)
    except BrokenPipeError:
        pass
    return take(sock)


def ctl(gate, *command):
    return run("ctl", "-c", gate.config, *command)


def status(gate):
    done = ctl(gate, "status")
    assert (done.returncode, done.stderr) == (0, "")
    return dict(line.split(": ", 1) for line in done.stdout.splitlines())


def test_socket_is_for_its_owner_only(gate):
    mode = os.lstat(gate.path).st_mode
    assert stat.S_ISSOCK(mode) and stat.S_IMODE(mode) == 0o600


def test_socket_goes_with_the_gate(gate):
    gate.signal(signal.SIGTERM)
    assert gate.wait_exit() == 0
    assert not gate.path.exists()


def test_log_level(gate, bench):
    """The level changes at once, for every worker, until the next reload."""
    assert ctl(gate, "log-level").stdout == "log-level: info\n"
    bench.client(gate).open().close()  # its line `call` has the level debug
    done = ctl(gate, "log-level", "debug")
    assert (done.returncode, done.stdout) == (0, "log-level: debug\n")
    assert gate.wait_event("log").fields == {"log-level": "debug", "was": "info", "by": "admin-socket"}
    bench.client(gate).open().close()
    assert gate.wait_call().level == "debug"
    assert len(gate.events("call")) == 1
    gate.reload()
    assert ctl(gate, "log-level").stdout == "log-level: info\n"
    assert gate.wait_event("log", 1).fields == {"log-level": "info", "was": "debug", "by": "reload"}


def test_log_level_unknown(gate):
    done = ctl(gate, "log-level", "verbose")
    assert done.returncode == 1 and "the levels are error, warning, info and debug" in done.stderr
    assert ctl(gate, "log-level").stdout == "log-level: info\n"


def test_log_level_of_the_file(gate):
    """A reload sets the level of the file."""
    gate.config.write_text(gate.config.read_text().replace("[gate]\n", "[gate]\nlog-level = warning\n"))
    assert gate.reload()[-1]["msg"].endswith("is in force")
    assert ctl(gate, "log-level").stdout == "log-level: warning\n"


def test_no_key_no_socket(bench):
    gate = bench.gate(bench.backend())
    done = ctl(gate, "status")
    assert done.returncode == 1 and "`admin` is not set in [gate]" in done.stderr


def test_status(bench, gate):
    before = status(gate)
    assert before["state"] == "serving"
    assert before["pid"] == str(gate.process.pid)
    assert (before["workers"], before["calls"], before["bans"]) == ("1", "0", "0")
    assert 0 < int(before["calls-max"]) <= 10000
    assert before["configuration"] == str(gate.config)
    assert before["reload"] == "none"
    assert int(before["uptime"]) < DEADLINE
    assert before["version"] in run("-v").stdout
    bench.client(gate).establish().ping()
    assert status(gate)["calls"] == "1"


def test_help_lists_all(gate):
    assert ctl(gate, "help").stdout in run("ctl", "-h").stdout  # available without a gate, too
    done = ctl(gate, "help")
    assert done.returncode == 0
    commands, _, filters = done.stdout.partition("\n\n")
    assert [line.split()[0] for line in commands.splitlines()] == COMMANDS
    assert filters.startswith("FILTER: user NAME")


def test_no_bans(gate):
    done = ctl(gate, "bans")
    assert (done.returncode, done.stdout) == (0, "")
    assert ctl(gate, "unban", "all").returncode == 0
    done = ctl(gate, "unban", "192.0.2.1")
    assert done.returncode == 1 and "no such ban" in done.stderr


def test_a_ban_is_listed_and_lifted(bench):
    gate = bench.gate(bench.backend(), gate={"admin": "unix:bans.sock", "ban-points": 5,
                                             "ban-time": "90s"})
    gate.path = bench.place.folder / "bans.sock"
    misbehave(bench, gate)
    gate.wait_log("ban-points reached")
    assert status(gate)["bans"] == "1"
    assert re.fullmatch(r"127\.0\.0\.1(/32)? ([89]\d)\n", ctl(gate, "bans").stdout)
    expect_failure(bench.client(gate))
    assert ctl(gate, "unban", "192.0.2.0/24").returncode == 1
    done = ctl(gate, "unban", "127.0.0.0/8")
    assert (done.returncode, done.stdout) == (0, "1 lifted\n")
    assert (status(gate)["bans"], ctl(gate, "bans").stdout) == ("0", "")
    bench.client(gate).establish().ping()


def test_many_bans(bench):
    """An answer of a megabyte, more than a socket takes at once, arrives completely, although another client
    reads nothing."""
    end = int(time.time()) + 3000
    bans = [f"10.{n >> 14}.{n >> 6 & 255}.{n & 63}" for n in range(50000)]
    (bench.place.folder / "many-bans").write_text("".join(f"{ban}/32 {end}\n" for ban in bans))
    gate = bench.gate(bench.backend(), gate={"admin": "unix:many.sock", "ban-points": 5,
                                             "ban-time": "1h", "ban-file": "many-bans"})
    gate.path = bench.place.folder / "many.sock"
    lazy = dial(gate)
    lazy.sendall(b"bans\n")
    lines = ctl(gate, "bans").stdout.splitlines()
    assert [line.split()[0].removesuffix("/32") for line in lines] == bans
    assert {int(line.split()[1]) for line in lines} <= set(range(2900, 3001))
    done = ctl(gate, "unban", "all")
    assert (done.returncode, done.stdout) == (0, "50000 lifted\n")
    lazy.close()


def test_reload(gate):
    done = ctl(gate, "reload")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "the new configuration is in force\n"
    assert re.fullmatch(r"ok \S+Z admin-socket", status(gate)["reload"])
    gate.wait_event("reload")


def test_reload_shows_what_is_wrong(bench, gate):
    """The answer has the problems, with file and line. ctl still finds the gate, and the old configuration
    stays in force."""
    good = gate.config.read_text()
    bad = good.replace("default = allow", "default = alow\nlissen = 127.0.0.1:0")
    gate.config.write_text(bad)
    done = ctl(gate, "reload")
    assert done.returncode == 1
    lines = bad.splitlines()
    for wrong in ("default = alow", "lissen = 127.0.0.1:0"):
        assert f"{gate.config}:{1 + lines.index(wrong)}: " in done.stdout
    assert "did you mean 'listen'" in done.stdout
    assert done.stderr == "sstpgate ctl: nothing was changed; the old configuration stays in force\n"
    assert status(gate)["reload"].startswith("failed ")
    bench.client(gate).establish().ping()
    gate.config.write_text(good)
    assert ctl(gate, "reload").returncode == 0


def test_reload_cannot_move_the_socket(gate):
    gate.config.write_text(re.sub("admin = .*", "admin = unix:elsewhere.sock",
                                  gate.config.read_text()))
    done = run("ctl", "-s", gate.path, "reload")
    assert done.returncode == 0 and "a change of admin requires a restart\n" in done.stdout
    gate.wait_log("a change of admin requires a restart")
    assert run("ctl", "-s", f"unix:{gate.path}", "status").returncode == 0
    assert not gate.path.with_name("elsewhere.sock").exists()


def test_stop(bench, gate):
    client = bench.client(gate).establish()
    assert ctl(gate, "stop").returncode == 0
    client.wait_end()
    client.close()
    assert gate.wait_exit() == 0
    assert gate.wait_call()["reason"] == "shutdown"


def test_drain(bench, gate):
    """Calls may continue, and commands are still accepted, except reload."""
    client = bench.client(gate).establish()
    assert ctl(gate, "drain").returncode == 0
    assert status(gate)["state"] == "draining"
    done = ctl(gate, "reload")
    assert done.returncode == 1 and "shutting down" in done.stderr
    client.ping().disconnect()
    assert gate.wait_exit() == 0


@pytest.mark.parametrize("line, answer", [
    (b"help me\n", "error: usage: help\n"),
    (b"stauts\n", "error: unknown command 'stauts'; did you mean 'status'?\n"),
    (b"Status\n", "error: unknown command 'Status'; did you mean 'status'?\n"),
    (b"gibberish\n", "error: unknown command 'gibberish'; `help` lists the commands\n"),
    (b"\n", "error: no command; `help` lists the commands\n"),
    (b"  \t \r\n", "error: no command; `help` lists the commands\n"),
    (b"unban\n", "error: usage: unban PREFIX|ADDRESS|all|user NAME\n"),
    (b"unban user a 10.0.0.1\n", "error: usage: unban PREFIX|ADDRESS|all|user NAME\n"),
    (b"unban 10.0.0\n", "error: not an address or a network such as 198.51.100.0/24\n"),
    (b"unban 10.0.0.1/8\n",
     "error: not a network: bits after the prefix are set; the network is 10.0.0.0/8\n"),
    (b"status\x1b[2J\n", "error: a command may contain only printable ASCII\n"),
    (b"st\xc3\xa4tus\n", "error: a command may contain only printable ASCII\n"),
    (b"stat\0us\n", "error: a command may contain only printable ASCII\n"),
    ("status\u00a0\n".encode(), "error: the command contains U+00A0 NO-BREAK SPACE, which cannot be "
     "seen: type it again\n"),
    ("stauts\r\n".encode("utf-8-sig"), "error: unknown command 'stauts'; did you mean 'status'?\n"),
    (b"\xef\xbb\xbf" + b"a" * 1024 + b"\r\n", f"error: unknown command '{'a' * 1024}'; `help` lists the commands\n"),
    ("status\n".encode("utf-16"),
     "error: UTF-16, as PowerShell and some editors of Windows write it: save it as UTF-8\n"),
    (b"a" * 1024 + b"\n", f"error: unknown command '{'a' * 1024}'; `help` lists the commands\n"),
    (b"a" * 1024 + b"\r\n", f"error: unknown command '{'a' * 1024}'; `help` lists the commands\n"),
    (b"a" * 1025 + b"\n", "error: a command may have at most 1024 bytes\n"),
    (b"a" * 1000000, "error: a command may have at most 1024 bytes\n"),
    (bytes(range(256)) * 8, "error: a command may contain only printable ASCII\n"),
], ids=lambda value: repr(value)[:30])
def test_garbage(same_gate, line, answer):
    assert ask(same_gate, line) == answer
    assert "\nstate: serving\n" in ask(same_gate, b"status\n")


@pytest.mark.parametrize("line", [b"help\n", b"help\r\n", b" help \t\n", b"help\nstop\n"])
def test_one_line_is_taken(same_gate, line):
    assert ask(same_gate, line).endswith("\nok\n")
    assert "\nstate: serving\n" in ask(same_gate, b"status\n")


def test_a_line_may_end_with_the_connection(gate):
    sock = dial(gate)
    sock.sendall(b"help")
    sock.shutdown(socket.SHUT_WR)
    assert take(sock).endswith("\nok\n")


def test_silent_client_gets_nothing(gate):
    sock = dial(gate)
    sock.shutdown(socket.SHUT_WR)
    assert take(sock) == ""


def test_octet_by_octet_beside_another(gate):
    """Of two clients at a time neither waits for the other."""
    slow, quick = dial(gate), dial(gate)
    for octet in b"help":
        slow.sendall(bytes([octet]))
    quick.sendall(b"status\n")
    assert take(quick).endswith("\nok\n")
    slow.sendall(b"\n")
    assert take(slow).endswith("\nok\n")


def test_silent_clients_leave_room(gate):
    """Eight clients are served at a time. The ninth is served when one of them has ended, at the latest after
    the deadline of five seconds."""
    silent = [dial(gate) for _ in range(8)]
    silent[0].sendall(b"stat")
    begin = time.monotonic()
    assert ask(gate, b"help\n").endswith("\nok\n")
    assert time.monotonic() - begin < 30
    assert all(take(sock) == "" for sock in silent)


@pytest.mark.calm
def test_room_is_made_at_once(gate):
    others = [dial(gate) for _ in range(8)]
    ninth = dial(gate)
    ninth.sendall(b"help\n")
    begin = time.monotonic()
    others.pop().close()
    assert take(ninth).endswith("\nok\n")
    assert time.monotonic() - begin < 4
    for sock in others:
        sock.close()


def test_stop_ends_connected_clients(gate):
    silent = [dial(gate) for _ in range(10)]
    gate.signal(signal.SIGTERM)
    assert gate.wait_exit() == 0
    assert all(take(sock) == "" for sock in silent)


def test_stale_socket_is_replaced(bench):
    """A killed gate leaves such a socket."""
    path = bench.place.folder / "stale.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    gate = bench.gate(bench.backend(), gate={"admin": "unix:stale.sock"})
    assert ctl(gate, "status").returncode == 0


def test_socket_in_use_is_not_taken(bench):
    """The second gate does not start, and the first one keeps its socket."""
    first = bench.gate(bench.backend(), gate={"admin": "unix:used.sock"})
    done = run("-c", bench.config({
        "gate": {"admin": "unix:used.sock"}, "listener front": bench.listener_keys(),
        "backend back": bench.backend_keys(bench.backends[0])}))
    assert done.returncode == 1
    assert re.search(r"conf:2: admin: cannot listen on \S+/used.sock: Address already in use",
                     done.stderr)
    assert status(first)["pid"] == str(first.process.pid)


def test_file_in_the_way_is_kept(bench):
    path = bench.place.folder / "precious"
    path.write_text("precious")
    done = run("-c", bench.config({
        "gate": {"admin": "unix:precious"}, "listener front": bench.listener_keys(),
        "backend back": bench.backend_keys(bench.backend())}))
    assert done.returncode == 1 and "File exists" in done.stderr
    assert path.read_text() == "precious"


def test_missing_folder(bench):
    done = run("-c", bench.config({
        "gate": {"admin": "unix:/nonexistent/a.sock"}, "listener front": bench.listener_keys(),
        "backend back": bench.backend_keys(bench.backend())}))
    assert done.returncode == 1 and "No such file" in done.stderr


def test_another_socket_at_the_path_is_left_alone(bench, gate):
    """At its end the gate removes its own socket, but not another socket at the same path."""
    gate.path.unlink()
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(gate.path))
    gate.signal(signal.SIGTERM)
    assert gate.wait_exit() == 0
    assert gate.path.exists()


# -- the command --

@pytest.mark.parametrize("arguments, code, text", [
    ([], 2, "usage:"),
    (["-h"], 0, "usage:"),
    (["-x", "status"], 2, "usage:"),
    (["-c", "a", "-s", "b", "status"], 2, "usage:"),
    (["-s", "/tmp/x", "unban", "a\nstop"], 2, "one line"),
    (["-s", "/tmp/x", "drain", ""], 2, "without empty words"),
    (["-s", "/nonexistent/socket", "status"], 1, "no gate at /nonexistent/socket: No such file"),
    (["-s", "/" + 107 * "x", "status"], 1, "File name too long"),
    (["-c", "/nonexistent/conf", "status"], 1, "/nonexistent/conf: cannot be opened"),
])
def test_ctl_arguments(arguments, code, text):
    done = run("ctl", *arguments)
    assert done.returncode == code
    assert text in (done.stderr if code else done.stdout)


def test_ctl_help_needs_neither_gate_nor_configuration():
    for arguments in (["help"], ["-c", "/nonexistent/conf", "help"], ["-s", "/nonexistent/s", "help"]):
        done = run("ctl", *arguments)
        assert (done.returncode, done.stderr) == (0, "")
        commands, _, filters = done.stdout.partition("\n\n")
    assert [line.split()[0] for line in commands.splitlines()] == COMMANDS
    assert filters.startswith("FILTER: user NAME")


def test_ctl_without_a_gate(gate):
    gate.signal(signal.SIGTERM)
    gate.wait_exit()
    done = ctl(gate, "status")
    assert done.returncode == 1 and "no gate at" in done.stderr


@pytest.mark.parametrize("answer, text", [
    (b"", "incomplete"), (b"a\nb", "incomplete"), (b"hello\n", "its answer: hello"),
    (b"a\nerror: b\n", "sstpgate ctl: b"), (b"ok\nnot\n", "its answer: not")])
def test_ctl_judges_the_answer(tmp_path, answer, text):
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen()
        pid = os.fork()
        if pid == 0:
            peer, _ = server.accept()
            peer.recv(100)
            peer.sendall(answer)
            os._exit(0)
        done = run("ctl", "-s", path, "status")
        os.waitpid(pid, 0)
    assert done.returncode == 1 and text in done.stderr
