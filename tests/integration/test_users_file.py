"""The users file and `sstpgate user`: a running gate loads the written lines by itself, without disturbing
calls."""

import os
import pty
import select
import signal
import subprocess
import termios
import time

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


def test_a_line_that_has_ended(bench, users):
    """From its end on, new logins of the user are refused before the server sees them, whatever the method;
    the tunnel that is up stays, as it does when the line is deleted."""
    server = bench.backend(auth=("mschapv2", "pap"))
    gate = start(bench, users, server, workers=2)
    password = USERS["alice"]
    user("-f", users, "--until", "2099-12-31", "alice", text=password + "\n")
    assert gate.reload()[-1].level == "info"
    up = bench.client(gate, password=password).establish().ping()
    user("-f", users, "--until", "2020-02-29T18:30Z", "alice", text=password + "\n")
    assert "expired" in user("-f", users, "--list")
    assert "ended at 2020-02-29T18:30:00Z" in user("-f", users, "--check", "alice", text=password + "\n", code=4)
    assert gate.reload()[-1].level == "info"
    assert "1 line expired" in gate.wait_event("expiry")["msg"]
    for number, knobs in enumerate((dict(), dict(auth=("pap",)), dict(user="CORP\\Alice"))):
        expect_failure(bench.client(gate, **knobs))
        call = gate.wait_call(number)
        assert (call["reason"], call["outcome"], call["stage"]) == ("user-expired", "refused", "login")
        assert call["detail"].endswith(" of the users file ended at 2020-02-29T18:30:00Z")
        assert server.calls[-1].record.user is None
    up.ping()
    user("-f", users, "--until", "never", "alice", text=password + "\n")
    assert gate.reload()[-1].level == "info"
    bench.client(gate, password=password).establish().ping().disconnect()
    assert gate.wait_call(3)["binding"] == "verified"
    user("-f", users, "-D", "alice")
    assert gate.reload()[-1].level == "info"
    up.ping().disconnect()


def test_taken_over_and_deleted(bench, users):
    """Users are imported from Samba, pppd and accel-ppp, and deleted."""
    server = bench.backend()
    server.users = {"sam": "samba", "pat": "pa ss\\", "CORP\\kim": "kim", "CORP\\max": "m#a'x"}
    gate = start(bench, users, server, workers=1)
    said = user("--import", "smbpasswd", "--file", users, "-",
                text=smbpasswd("sam", "samba") + smbpasswd("pc$", "x"))
    assert f"{users}: 1 added, 0 replaced, 0 unchanged, 1 skipped\n" in said
    assert gate.reload()[-1].level == "info"
    bench.client(gate, user="sam", password="samba").establish().ping().disconnect()

    secrets = users.with_name("chap-secrets")
    secrets.write_text('# client server secret\npat * "pa ss\\\\" *\nCORP\\\\kim vpn kim 10.0.0.1\n')
    said = user("-f", users, "--import", "chap-secrets", secrets, code=3)
    assert f"{secrets}:3: pppd and accel-ppp read this line differently" in said
    said = user("-f", users, "--import", "pppd", secrets)
    assert f"{users}: 1 added, 0 replaced, 1 unchanged, 0 skipped\n" in said
    secrets.write_text("CORP\\max * m#a'x *\n")
    said = user("-f", users, "--import", "accel-ppp", secrets)
    assert f"{users}: 1 added, 0 replaced, 0 unchanged, 0 skipped\n" in said
    assert gate.reload()[-1].level == "info"
    for name in ("pat", "CORP\\kim", "CORP\\max"):
        bench.client(gate, user=name, password=server.users[name]).establish().ping().disconnect()

    user("-f", users, "-D", "sam")
    assert gate.reload()[-1].level == "info"
    assert expect_failure(bench.client(gate, user="sam", password="samba")).abort
    assert [gate.wait_call(n)["binding"] for n in range(4)] == ["verified"] * 4
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
    problems = user("-f", users, "dave", text="x\n", code=1)
    assert f"{users}:{len(text.splitlines()) + 1}: " in problems
    assert users.read_text() == text + "dave:12\n"
    bench.client(gate, password=USERS["alice"]).establish().ping().disconnect()

    users.write_text(text)
    users.chmod(0o644)
    said = gate.reload()
    assert any("chmod o= on it" in event["msg"] for event in said)
    assert "chmod o= on it" in user("-f", users, "dave", text="x\n", code=1)
    bench.client(gate, password=USERS["alice"]).establish().ping().disconnect()
    assert [gate.wait_call(n)["binding"] for n in range(2)] == ["verified"] * 2


class Terminal:
    """`sstpgate user` on a terminal of its own; its output and its messages are shown there."""

    def __init__(self, *arguments):
        self.master, self.slave = pty.openpty()
        self.before = termios.tcgetattr(self.slave)
        self.process = subprocess.Popen([BINARY, "user", *map(str, arguments)], stdin=self.slave,
                                        stdout=self.slave, stderr=self.slave,
                                        start_new_session=True, preexec_fn=self._control)
        self.text = ""

    def _control(self):
        import fcntl
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        # The tests may run in the background of a shell, where a command ignores these.
        for number in signal.SIGINT, signal.SIGQUIT, signal.SIGHUP:
            signal.signal(number, signal.SIG_DFL)

    def expect(self, text):
        """Reads until text is shown; returns everything up to it."""
        while text not in self.text:
            assert select.select([self.master], [], [], 60)[0], self.text
            self.text += os.read(self.master, 4096).decode()
        before, self.text = self.text.split(text, 1)
        return before + text

    def type(self, text):
        os.write(self.master, text.encode())

    @property
    def echo(self):
        return bool(termios.tcgetattr(self.slave)[3] & termios.ECHO)

    def end(self):
        """Returns the exit code (negative: the signal), with the terminal as it was before."""
        code = self.process.wait(60)
        assert termios.tcgetattr(self.slave) == self.before
        return code

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.master)
        os.close(self.slave)


def test_the_prompt_on_a_terminal(tmp_path):
    """The password is asked for twice and not shown; without -f the line is printed."""
    line = f"alice:{mschap.hash_hash('sesame').hex()}"
    with Terminal("alice") as terminal:
        terminal.expect("Password: ")
        assert not terminal.echo
        terminal.type("sesame\n")
        shown = terminal.expect("Again: ")
        assert not terminal.echo
        terminal.type("sesame\n")
        shown += terminal.expect(line)
        assert "sesame" not in shown
        assert terminal.end() == 0
    users = tmp_path / "users"
    with Terminal("-f", users, "alice") as terminal:
        for answer in ("sesame\n", "sesam\n"):
            terminal.expect(": ")
            terminal.type(answer)
        terminal.expect("the two passwords differ")
        assert terminal.end() == 1
    assert not users.exists()
    users.write_text(line + "\n")
    users.chmod(0o600)
    for password, code, said in (("sesame", 0, f"{users}:1: this is the password of alice"),
                                 ("sesam", 3, f"{users}: this is not the password of alice")):
        with Terminal("-f", users, "--check", "alice") as terminal:
            terminal.expect("Password: ")
            assert not terminal.echo
            terminal.type(password + "\n")
            assert "Again" not in terminal.expect(said)
            assert terminal.end() == code


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
@pytest.mark.parametrize("question", ["Password: ", "Again: "])
def test_a_signal_restores_the_terminal(number, question):
    with Terminal("alice") as terminal:
        terminal.expect("Password: ")
        if question == "Again: ":
            terminal.type("sesame\n")
            terminal.expect(question)
        assert not terminal.echo
        terminal.type("half")
        terminal.process.send_signal(number)
        assert terminal.end() == -number


def test_the_interrupt_key_restores_the_terminal():
    with Terminal("alice") as terminal:
        terminal.expect("Password: ")
        terminal.type("half\x03")
        assert terminal.end() == -signal.SIGINT


def test_without_a_file_the_line_is_printed(bench, users):
    """The printed line can be appended to a users file, as README.md promises, and the gate accepts it."""
    server = bench.backend()
    line = user("dave", text="sesame\n")
    assert line == f"dave:{mschap.hash_hash('sesame').hex()}\n"
    server.users = dict(USERS, dave="sesame")
    with open(users, "a") as f:
        f.write(line)
    gate = start(bench, users, server)
    bench.client(gate, user="dave", password="sesame").establish().ping().disconnect()
    assert gate.wait_call()["binding"] == "verified"
    assert user("-f", users, "--list").splitlines()[-1] == "dave"
    assert "this is the password" in user("-f", users, "--check", "dave", text="sesame\n")
    assert "not the password" in user("-f", users, "--check", "dave", text="sesam\n", code=3)


def test_line_that_ends_while_the_gate_runs_is_logged(bench, users):
    end = time.time() + 3
    users.write_text(users.read_text() + f"guest:{mschap.hash_hash('x').hex()}:"
                     f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime(end))}\n")
    number = len(users.read_text().splitlines())
    gate = start(bench, users, bench.backend())
    assert f"1 line will expire within 14 days, line {number} at " in gate.wait_event("expiry")["msg"]
    assert f"1 line expired: these users are refused, line {number} at " in gate.wait_event("expiry", 1)["msg"]
    assert time.time() >= int(end)
