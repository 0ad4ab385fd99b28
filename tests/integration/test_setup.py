"""`sstpgate setup`: from questions, or options, to a configuration that starts and carries a login. Every failure
leaves nothing behind."""

import hashlib
import os
import pty
import re
import select
import shutil
import signal
import socket
import ssl
import stat
import subprocess
import tempfile
from pathlib import Path

import pytest

from conftest import USERS
from gate import BINARY, ROOT, Gate, run
from peers import pki
from peers.tls import DEADLINE
from test_dial import CONNECT, SSTP, TLS, dial, listener, read_until

NAME = "vpn.example.com"
FILES = ["sstpgate.conf", "users", "vpn.key", "vpn.pem"]


def setup(*words, text="", **options):
    """Runs the command with text as its standard input."""
    return subprocess.run([BINARY, "setup", *map(str, words)], capture_output=True, text=True, input=text,
                          timeout=2 * DEADLINE, **options)


def unattended(out, server, *words, text="sesame\n", **options):
    return setup("--yes", "--out", out, "--host", NAME, "--server", server, *words, text=text, **options)


@pytest.fixture
def out():
    """The directory that setup creates, below one that every user may enter."""
    folder = Path(tempfile.mkdtemp(prefix="sg-"))
    folder.chmod(0o755)
    yield folder / "etc"
    shutil.rmtree(folder)


def nothing(out, done, code, said):
    """Setup has failed with a sentence, and has left nothing."""
    assert done.returncode == code, done
    assert said in done.stderr, done.stderr
    assert not out.exists()


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


# -- what it writes --


def started(bench, out):
    """Starts a gate with the configuration."""
    out.chmod(0o777)  # for the file that says that it is ready
    gate = Gate(out / "sstpgate.conf")
    bench.gates.append(gate)
    return gate.start()


@pytest.mark.parametrize("dialect", [None, "rras", "accel-ppp", "softether"])
def test_written_gate_carries_a_login(bench, out, dialect):
    server = bench.backend(**({"dialect": dialect} if dialect else {}), auth=("mschapv2",), users=USERS)
    done = unattended(out, server.address, "--listen", "127.0.0.1:0", "--user", "alice")
    assert done.returncode == 0, done
    assert sorted(path.name for path in out.iterdir()) == FILES
    gate = started(bench, out)
    code, answer = dial("%s:%d" % gate.address("public"), "--pin", pin_of(out), "--host", NAME)
    assert (code, answer["method"]) == (0, "ms-chapv2"), answer
    assert {call.record.verdict for call in server.calls} & {"ok", "unchecked"}


def pin_of(out):
    """Returns the hash of the certificate that was written."""
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert((out / "vpn.pem").read_text())).hexdigest()


def test_permissions_are_those_of_the_service(bench, out):
    done = unattended(out, bench.backend().address, "--run-as", "nobody", "--user", "alice")
    assert done.returncode == 0, done
    group = out.stat().st_gid
    assert group != 0
    assert mode(out) == 0o750
    for name in FILES:
        status = (out / name).stat()
        assert (status.st_uid, status.st_gid) == (os.geteuid(), group)
        assert mode(out / name) == (0o644 if name == "vpn.pem" else 0o640)
    assert "\nuser = nobody\n" in (out / "sstpgate.conf").read_text()
    assert "warning" not in done.stderr


def test_user_without_rights_writes_for_itself(bench, out):
    home = out.parent / "home"
    home.mkdir(mode=0o700)
    os.chown(home, 65534, 65534)
    words = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--", BINARY, "setup", "--yes", "--out",
             "gate", "--host", NAME, "--server", bench.backend().address]
    done = subprocess.run(words, capture_output=True, text=True, input="", timeout=DEADLINE, cwd=home)
    assert done.returncode == 0, done
    assert "\nuser = " not in (home / "gate/sstpgate.conf").read_text()
    assert {(path.stat().st_uid, mode(path) & 0o007) for path in (home / "gate").iterdir()
            if path.name != "vpn.pem"} == {(65534, 0)}


def test_configuration_has_the_section_of_probe(bench, out, place):
    server = bench.backend(place.old, tls_min="1.0", tls_max="1.0")
    assert unattended(out, server.address).returncode == 0
    text = (out / "sstpgate.conf").read_text()
    assert f"pin-sha256 = {server.cert.sha256}" in text and "\ntls-min = 1.0\n" in text
    assert "\ncrypto-binding = rewrite\n" in text
    done = run("-t", "-c", out / "sstpgate.conf")
    assert done.returncode == 0, done.stderr


def test_ca_and_name_of_the_server(bench, out, place):
    server = bench.backend(place.back_ca)
    environment = {"SSL_CERT_FILE": str(place.ca.cert), "SSL_CERT_DIR": "/nonexistent"}
    done = unattended(out, server.address, "--server-name", "backend.internal", env=environment)
    assert done.returncode == 0, done
    text = (out / "sstpgate.conf").read_text()
    assert "\nverify = ca\nca-file = system\nsni = backend.internal\n" in text


def test_existing_certificate_and_users(bench, out, place):
    users = shutil.copy(place.users, out.parent / "old-users")
    done = unattended(out, bench.backend().address, "--certificate", place.front.cert, "--key", place.front.key,
                      "--users-file", users)
    assert done.returncode == 0, done
    assert [path.name for path in out.iterdir()] == ["sstpgate.conf"]
    text = (out / "sstpgate.conf").read_text()
    for line in (f"certificate = {place.front.cert}", f"key = {place.front.key}", f"users-file = {users}"):
        assert f"\n{line}\n" in text


def test_radius_with_a_new_secret(bench, out):
    done = unattended(out, bench.backend().address, "--radius", "127.0.0.1:18120", "--radius-listen",
                      "127.0.0.1:18121", "--radius-client", "127.0.0.2")
    assert done.returncode == 0, done
    secret = (out / "radius.secret").read_text()
    assert re.fullmatch(r"[0-9a-f]{32}\n", secret)
    assert secret.strip() not in done.stdout + done.stderr + (out / "sstpgate.conf").read_text()
    assert mode(out / "radius.secret") & 0o007 == 0


@pytest.mark.parametrize("host", [NAME, "192.0.2.1", "2001:db8::1", "[2001:db8::1]"])
def test_certificate_is_for_the_public_name(bench, out, host):
    done = setup("--yes", "--out", out, "--host", host, "--server", bench.backend().address,
                 "--user", "alice", text="sesame\n")
    assert done.returncode == 0, done
    assert "warning" not in done.stderr, done.stderr
    done = run("-t", "--strict", "-c", out / "sstpgate.conf")
    assert done.returncode == 0, done.stderr


def test_acme_begins_with_a_self_signed_certificate(bench, out):
    done = unattended(out, bench.backend().address, "--acme", "127.0.0.1:5001")
    assert done.returncode == 0, done
    assert "\nacme = 127.0.0.1:5001\n" in (out / "sstpgate.conf").read_text()
    assert f"DEPLOY_CERTIFICATE={out}/vpn.pem DEPLOY_KEY={out}/vpn.key DEPLOY_GROUP=" in done.stdout
    assert f"--tls.port 127.0.0.1:5001 \\\n                   run --run-hook '/bin/sh {out}/deploy'" in done.stdout
    assert "sstpgate-renew.timer" in done.stdout
    assert sorted(path.name for path in out.iterdir()) == FILES
    assert f"--domains {NAME} --tls " in done.stdout


def test_site_without_keys_gets_the_step_to_rewrite(bench, out):
    done = unattended(out, bench.backend(dialect="rras").address, "--logins", "none")
    assert done.returncode == 0, done
    text = (out / "sstpgate.conf").read_text()
    assert "\ncrypto-binding = auto\n" in text and "One step allows rewrite" in text
    assert not (out / "users").exists()


def test_next_steps_are_printed(bench, out):
    done = unattended(out, bench.backend().address, "--user", "alice")
    for part in ("systemctl enable --now sstpgate", "firewall", "DNS", "self-signed", "TROUBLESHOOTING.md",
                 f"sstpgate dial -c {out}/sstpgate.conf --user alice public", f"sstpgate user -f {out}/users NAME"):
        assert part in done.stdout, done.stdout


def test_out_may_be_a_file(bench, tmp_path):
    done = unattended(tmp_path / "gate.conf", bench.backend().address)
    assert done.returncode == 0, done
    assert sorted(path.name for path in tmp_path.iterdir()) == ["gate.conf", "users", "vpn.key", "vpn.pem"]


def test_password_is_never_shown(bench, out):
    done = unattended(out, bench.backend().address, "--user", "alice", text="very-secret-word\n")
    assert done.returncode == 0, done
    shown = done.stdout + done.stderr + "".join((out / name).read_text() for name in FILES)
    assert "secret-word" not in shown


# -- a server that is none, or hostile --


def closed_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return "127.0.0.1:%d" % server.getsockname()[1]


def test_closed_port(out):
    nothing(out, unattended(out, closed_port()), CONNECT, "--placeholders continues")


def test_server_that_is_not_tls(out):
    with listener(lambda connection: connection.recv(1 << 16) and connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")) as to:
        nothing(out, unattended(out, to), TLS, "Nothing was written")


def test_web_server(bench, out):
    nothing(out, unattended(out, bench.backend(refuse=404).address), SSTP, "Nothing was written")


def test_placeholders_refuse_every_server(bench, out):
    server = closed_port()
    done = unattended(out, server, "--placeholders", "--listen", "127.0.0.1:0", "--user", "alice")
    assert done.returncode == 0, done
    text = (out / "sstpgate.conf").read_text()
    assert "PLACEHOLDER" in text and f"\npin-sha256 = {'0' * 64}\n" in text
    assert f"sstpgate probe --section {server}" in done.stdout
    assert run("-t", "-c", out / "sstpgate.conf").returncode == 0


def test_hostile_server_writes_no_line(bench, out):
    """Its certificate has names with line ends and sections."""
    cert = pki.make(out.parent, "x\n[backend evil]", names=["a\n[listener evil]\nlisten = *:99", NAME])
    done = unattended(out, bench.backend(cert).address)
    assert done.returncode == 0, done
    text = (out / "sstpgate.conf").read_text()
    assert "evil" not in text
    assert len(re.findall(r"^\[.*", text, re.M)) == 3
    assert not [line for line in done.stdout.splitlines() if line.startswith("[") and "evil" in line]


# -- files that exist, and places that are not safe --


@pytest.mark.parametrize("name", ["sstpgate.conf", "vpn.pem", "vpn.key"])
def test_existing_file_is_never_overwritten(bench, out, name):
    out.mkdir(mode=0o755)
    (out / name).write_text("mine")
    done = unattended(out, bench.backend().address)
    assert done.returncode == 1
    assert f"{out}/{name}: exists, and setup overwrites nothing" in done.stderr
    assert [path.name for path in out.iterdir()] == [name]
    assert (out / name).read_text() == "mine"


def test_second_run_changes_nothing(bench, out):
    server = bench.backend().address
    assert unattended(out, server).returncode == 0
    before = {path: path.read_bytes() for path in out.iterdir()}
    done = unattended(out, server)
    assert done.returncode == 1 and "sstpgate.conf: exists" in done.stderr
    assert {path: path.read_bytes() for path in out.iterdir()} == before


def test_links_are_not_followed(bench, out):
    real = out.parent / "real"
    real.mkdir()
    out.symlink_to(real)
    done = unattended(out, bench.backend().address)
    assert done.returncode == 1 and f"{out}: is a symbolic link" in done.stderr
    assert not list(real.iterdir())
    out.unlink()
    out.mkdir()
    (out / "vpn.key").symlink_to(real / "elsewhere")
    done = unattended(out, bench.backend().address)
    assert done.returncode == 1 and "vpn.key: exists" in done.stderr
    assert not (real / "elsewhere").exists() and [path.name for path in out.iterdir()] == ["vpn.key"]


def test_directory_that_others_may_write(bench, out):
    out.mkdir()
    out.chmod(0o1777)
    done = unattended(out, bench.backend().address)
    assert done.returncode == 1 and "other users may write to this directory" in done.stderr
    assert not list(out.iterdir())


def test_error_of_the_check_removes_everything(bench, out):
    """A key that OpenSSL refuses to use passes each question, and not the check."""
    weak = pki.make(out.parent, "weak", key="rsa1024", names=[NAME])
    nothing(out, unattended(out, bench.backend().address, "--certificate", weak.both), 1,
            "because of the problems above, nothing was written")


def test_line_ends_in_the_path_are_refused(bench, tmp_path):
    done = unattended(f"{tmp_path}/a\n[backend evil]/", bench.backend().address)
    assert done.returncode == 1 and "--out" in done.stderr
    assert not list(tmp_path.iterdir())


# -- options --


@pytest.mark.parametrize("words, said", [
    (["--listen", "10.0.0.256:443"], "listen: "), (["--host", "a b"], "host: "), (["--host", "a\nallow = any"], "--host"),
    (["--logins", "ldap"], "not one of: file radius none"), (["--users-file", "u", "--logins", "none"], "--users-file"),
    (["--user", "a:b"], "--user"), (["--certificate", "/nonexistent.pem"], "/nonexistent.pem"),
    (["--radius", "127.0.0.1"], "--radius-listen is needed"), (["--server", "a b"], "--server"),
    (["--acme", "8443"], "acme: "),
    (["--server-name", "${HOME}"], "${NAME}"), (["extra"], "usage:"), (["--unknown"], "usage:")])
def test_wrong_option_says_what_to_write(bench, out, words, said):
    nothing(out, unattended(out, bench.backend().address, *words), 2, said)


def test_needed_options_are_named(out):
    nothing(out, setup("--yes", "--out", out), 2, "--host is needed")
    nothing(out, setup("--yes", "--out", out, "--host", NAME), 2, "--server is needed")


def test_no_user_of_this_name(bench, out):
    nothing(out, unattended(out, bench.backend().address, "--run-as", "nobody-at-all"), 1, "there is no such user")
    nothing(out, unattended(out, bench.backend().address, "--run-as", "root"), 1, "write another user")


def test_password_that_is_none(bench, out):
    nothing(out, unattended(out, bench.backend().address, "--user", "alice", text=""), 1, "no usable password")


def test_each_option_is_in_the_manual_page_and_in_the_completion():
    usage, completion = run("setup", "-h").stdout, run("--completion", "bash").stdout
    page = (ROOT / "conf/man/sstpgate.8").read_text().replace("\\-", "-")
    page = page[page.index(".Ss setup"):page.index(".Ss user")]
    options = set(re.findall(r"^ +(?:-\w, )?--([a-z-]+)", usage, re.M)) - {"help"}
    assert {"out", "yes", "listen", "self-signed", "placeholders"} <= options
    assert options == set(re.findall(r"^\.It.*Fl -([a-z-]+)", page, re.M))
    words = re.search(r"    setup/\).*?;;", completion, re.S)[0]
    assert options | {"help"} == set(re.findall(r"--([a-z-]+)", words))


# -- the dialogue --


class Dialogue:
    """The command on a terminal."""

    def __init__(self, *words):
        self.master, slave = pty.openpty()
        self.process = subprocess.Popen([BINARY, "setup", *map(str, words)], stdin=slave, stdout=slave, stderr=slave,
                                        start_new_session=True,
                                        preexec_fn=lambda: __import__("fcntl").ioctl(0, 0x540e, 0))  # TIOCSCTTY
        os.close(slave)
        self.shown = ""

    def answer(self, question, text, end="\n"):
        """Waits for a question, and types the answer."""
        self.shown += read_until(self.master, question.encode()).decode()
        os.write(self.master, (text + end).encode())

    def finish(self):
        """Returns the exit code and all that was shown."""
        while select.select([self.master], [], [], DEADLINE)[0]:
            try:
                octets = os.read(self.master, 4096)
            except OSError:  # the terminal has no other side any more
                break
            self.shown += octets.decode()
        os.close(self.master)
        return self.process.wait(DEADLINE), self.shown


def test_dialogue_from_the_first_question_to_a_login(bench, out):
    server = bench.backend(dialect="rras", auth=("mschapv2",), users=USERS)
    talk = Dialogue("--out", out)
    talk.answer("connect to [*:443]: ", "127.0.0.1:x")
    talk.answer("connect to [*:443]: ", "127.0.0.1:0")
    talk.answer("the certificate has: ", "not a name")
    talk.answer("the certificate has: ", NAME)
    talk.answer("behind the gate: ", "?")
    talk.answer("behind the gate: ", server.address)
    talk.answer("radius, none) [file]: ", "")
    talk.answer(f"[{out}/users]: ", "")
    talk.answer("(empty: none): ", "alice")
    talk.answer("Password: ", "sesame")
    talk.answer("Again: ", "different")
    talk.answer("Password: ", "sesame")
    talk.answer("Again: ", "sesame")
    talk.answer("acme) [self-signed]: ", "")
    talk.answer("Write them? (yes, no) [yes]: ", "")
    talk.answer("The gate must be running (yes, no) [no]: ", "no")
    code, shown = talk.finish()
    assert code == 0, shown
    assert "likely       RRAS" in shown and "the two passwords differ" in shown
    assert "host: 'not a name'" in shown
    assert "sesame" not in shown
    gate = started(bench, out)
    code, answer = dial("%s:%d" % gate.address("public"), "--pin", pin_of(out), "--host", NAME)
    assert code == 0, answer


def test_dialogue_offers_a_login(bench, out):
    """The gate runs before the question is answered, as after `systemctl start`."""
    server = bench.backend(auth=("mschapv2",), users=USERS)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    talk = Dialogue("--out", out, "--host", NAME, "--server", server.address, "--listen", f"127.0.0.1:{port}",
                    "--user", "alice", "--users-file", out / "users", "--self-signed")
    talk.answer("Password: ", "sesame")
    talk.answer("Again: ", "sesame")
    talk.answer("Write them? (yes, no) [yes]: ", "yes")
    talk.shown += read_until(talk.master, b"The gate must be running (yes, no) [no]: ").decode()
    started(bench, out)
    os.write(talk.master, b"yes\n")
    talk.answer("Password: ", "sesame")
    code, shown = talk.finish()
    assert code == 0 and "is up after" in shown, shown


@pytest.mark.parametrize("end", ["\x04", "\x03"])
def test_end_of_the_dialogue_writes_nothing(out, end):
    talk = Dialogue("--out", out)
    talk.answer("connect to [*:443]: ", "")
    talk.answer("the certificate has: ", end, end="")
    code, shown = talk.finish()
    assert code == (1 if end == "\x04" else -signal.SIGINT), shown
    assert end == "\x03" or "The input has ended. Nothing was written." in shown
    assert not out.exists()


def test_dialogue_stops_at_a_server_that_does_not_answer(out):
    talk = Dialogue("--out", out, "--listen", "127.0.0.1:0", "--host", NAME, "--server", closed_port())
    talk.answer("refuse every server? (yes, no) [no]: ", "")
    code, shown = talk.finish()
    assert code == CONNECT and "Nothing was written" in shown
    assert not out.exists()


def test_dialogue_asks_before_it_writes(bench, out):
    done = setup("--out", out, "--host", NAME, "--server", bench.backend().address, "--self-signed",
                 text="\n\n\n\nno\n")
    assert done.returncode == 1 and f"  {out}/sstpgate.conf\n" in done.stderr, done
    assert "Nothing was written" in done.stderr
    assert not out.exists()


def test_answers_may_come_from_a_pipe(bench, out):
    done = setup("--out", out, text=f"127.0.0.1:0\n{NAME}\n{bench.backend().address}\nfile\n\nalice\nsesame\n"
                                    "self-signed\nyes\nno\n")
    assert done.returncode == 0, done
    assert (out / "users").read_text().splitlines()[-1].startswith("alice:")
