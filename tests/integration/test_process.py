"""The program: start and stop, checks, several listeners, several workers, many calls."""

import contextlib
import os
import pwd
import re
import resource
import signal
import socket
import subprocess
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from gate import BINARY, ROOT, Gate, run, sanitizers
from netns import Namespace
from peers.client import Client, CallFailed, expect_failure
from peers import head, pki, sstp
from peers.tls import DEADLINE


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stop(bench, number):
    """A tunnel that is up is ended and has its line `call`; the exit code is 0."""
    server = bench.backend()
    gate = bench.gate(server)
    client = bench.client(gate).establish()
    half_way = bench.client(gate).establish("tls")
    gate.signal(number)
    with pytest.raises(CallFailed) as failure:
        while True:
            client.next()
    assert failure.value.abort is None or failure.value.abort.type == sstp.DISCONNECT
    if failure.value.abort:
        client.send(sstp.control(sstp.DISCONNECT_ACK))
        client.wait_end()
    client.close()
    half_way.wire.wait_end()
    half_way.close()
    assert gate.wait_exit() == 0
    assert {event["reason"] for event in gate.events("call")} == {"shutdown"}
    assert len(gate.events("call")) == 2
    assert server.wait_over().end


def test_stop_with_a_client_that_takes_nothing(bench):
    server = bench.backend(load="source", load_octets=16 << 20)
    gate = bench.gate(server, gate={"timeout-drain": "1s"})
    bench.client(gate, rcvbuf=65536).establish("connected").pour(10_000)
    gate.signal(signal.SIGTERM)
    assert gate.wait_exit() == 0
    assert gate.wait_call()["reason"] == "shutdown"


def test_stop_at_once(bench):
    gate = bench.gate(bench.backend())
    gate.signal(signal.SIGTERM)
    assert gate.wait_exit() == 0


def test_stop_does_not_wait_for_a_resolver(bench, tmp_path):
    """The C library asks a silent resolver for a minute, and cannot be interrupted."""
    resolv = tmp_path / "resolv.conf"
    resolv.write_text("nameserver 127.0.0.1\noptions timeout:30 attempts:2\n")
    keys = {"gate": {"workers": 1}, "listener front": bench.listener_keys(),
            "backend back": {"server": "sstp.test:443", "tls": "no", "crypto-binding": "off"}}
    with Namespace().entered(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 53))
        silent.settimeout(DEADLINE)
        gate = bench.start(keys, before=("unshare", "--mount", "sh", "-c",
                                         f'mount --bind {resolv} /etc/resolv.conf && exec "$@"', "sh"))
        client = bench.client(gate).open().secure().send_request()
        silent.recv(512)
        client.close()
        gate.wait_call()
        gate.signal(signal.SIGTERM)
        assert gate.wait_exit(20) == 0


def test_resolver_that_never_answers(bench, tmp_path):
    """Calls for a name do not need one thread each, the tunnels of the same worker continue, and a reload and
    the stop succeed. Names of RADIUS servers and of checks are looked up in the same way."""
    resolv, workers, calls = tmp_path / "resolv.conf", 2, 30
    resolv.write_text("nameserver 127.0.0.1\noptions timeout:30 attempts:2\n")
    for name in ("nas.secret", "server.secret"):
        (bench.place.folder / name).touch(mode=0o600)
        (bench.place.folder / name).write_text("secret\n")
    with Namespace().entered(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 53))
        silent.settimeout(DEADLINE)
        server = bench.backend()
        keys = {"gate": {"workers": workers, "timeout-drain": "1s", "timeout-connect": "1h"},
                "listener front": bench.listener_keys(),
                "listener stuck": bench.listener_keys(backend="named"),
                "backend back": bench.backend_keys(server),
                "backend named": {"server": ["sstp.test:443"], "tls": "no", "crypto-binding": "off",
                                  "check": "tcp"},
                "radius nps": {"listen": "127.0.0.1:0", "clients": "127.0.0.0/8",
                               "secret-file": "nas.secret", "server-secret-file": "server.secret",
                               "server": "radius.test"}}
        gate = bench.start(keys, before=("unshare", "--mount", "sh", "-c",
                                         f'mount --bind {resolv} /etc/resolv.conf && exec "$@"', "sh"))
        up = [bench.client(gate).establish().ping() for _ in range(2 * workers)]
        waiting = [bench.client(gate, "stuck").open().secure().send_request() for _ in range(calls)]
        asked = b""
        while b"sstp" not in asked or b"radius" not in asked:
            asked += silent.recv(512)
        assert gate.reload()[-1]["msg"].endswith("is in force")
        for client in up:
            client.ping()
        # main, workers, RADIUS; one look-up in each worker for the calls, one for the radius server
        threads = len(list(Path(f"/proc/{gate.process.pid}/task").iterdir()))
        assert threads <= 1 + workers + 1 + workers + 1 + gate.sanitized()  # a sanitizer may have one, too
        for client in waiting:
            client.close()
        for client in up:
            client.ping().disconnect()
        gate.signal(signal.SIGTERM)
        assert gate.wait_exit(20) == 0


# -- core dumps --

def aborted(process):
    """Returns how the kernel ended the process: CLD_DUMPED would be a core file."""
    process.send_signal(signal.SIGABRT)
    return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT).si_code


def test_gate_dumps_no_core(bench, tmp_path):
    """Even if it was started by hand, without a limit."""
    gate = bench.start({"listener front": bench.listener_keys(),
                        "backend back": bench.backend_keys(bench.backend())},
                       before=("prlimit", "--core=unlimited"), cwd=tmp_path)
    gate.expected_exit = -signal.SIGABRT
    assert aborted(gate.process) == os.CLD_KILLED
    assert not list(tmp_path.iterdir())


def test_command_dumps_no_core(tmp_path):
    """Commands hold secrets, too. Other processes of the same user cannot read a command's memory, because
    its files in /proc are root's. (Not with AddressSanitizer, which finds leaks by ptrace.)"""
    nobody, binary = pwd.getpwnam("nobody").pw_uid, os.open(BINARY, os.O_PATH)
    with subprocess.Popen(["prlimit", "--core=unlimited", f"/proc/self/fd/{binary}", "user", "--import",
                           "smbpasswd", "-"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL, cwd=tmp_path, user=nobody, pass_fds=[binary]) as process:
        os.close(binary)
        process.stdin.write(b"# a comment of 24 octets\n" * 10_000)  # more than a pipe holds, so the command reads
        process.stdin.flush()
        proc = Path(f"/proc/{process.pid}")
        owner = (proc / "environ").stat().st_uid
        traced = "asan" in sanitizers()
        assert aborted(process) == os.CLD_KILLED
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
    assert owner == (nobody if traced else 0)


# -- the syslog daemon --

@pytest.fixture
def syslog(tmp_path):
    """The socket of a daemon, and a wrapper that starts a gate whose own /dev has this socket as `log`."""
    dev = tmp_path / "dev"
    dev.mkdir()
    subprocess.run(["cp", "-a", "/dev/null", "/dev/random", "/dev/urandom", dev], check=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as daemon:
        daemon.bind(str(dev / "log"))
        daemon.settimeout(DEADLINE)
        yield SimpleNamespace(
            daemon=daemon, path=dev / "log",
            before=("unshare", "--mount", "sh", "-c", f'mount --bind {dev} /dev && exec "$@"', "sh"))


def fill(syslog):
    """Fills the socket until the gate cannot write; returns how many messages that took."""
    count = 0
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as other:
        with contextlib.suppress(BlockingIOError):
            while True:
                other.sendto(b"filler", str(syslog.path))
                count += 1
    return count


def syslog_keys(bench, server):
    return {"gate": {"workers": 1, "max-tunnels": 100, "log": "syslog"},
            "listener front": bench.listener_keys(), "backend back": bench.backend_keys(server)}


def test_syslog_without_a_reader(bench, syslog):
    """Anybody can cause log lines; no worker waits for the daemon to read them, and lost lines are counted."""
    gate = bench.start(syslog_keys(bench, bench.backend()), before=syslog.before)
    first = syslog.daemon.recv(4096).decode()
    assert re.fullmatch(r"<30>[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d sstpgate\[\d+\]: info start "
                        r"version=\S+ ciphers=\".+\"", first), first
    up = bench.client(gate).establish().ping()
    while re.search(" (listen|sandbox) ", line := syslog.daemon.recv(4096).decode()):
        pass
    assert "]: info up " in line
    fillers = fill(syslog)
    for _ in range(3):
        assert expect_failure(bench.client(gate, head=head.request(b"x", uri=b"/"))).status == 404
    up.ping(2)
    for _ in range(fillers):
        assert syslog.daemon.recv(4096) == b"filler"
    up.disconnect()
    calls = dropped = 0  # a line may be in transit when the client has seen its end
    while calls + dropped < 4:
        line = syslog.daemon.recv(4096).decode()
        calls += "]: info call " in line
        dropped += int(match[1]) if (match := re.search(r"\]: warning log dropped=(\d)$", line)) else 0
    assert calls + dropped == 4 and dropped >= 2 and "reason=client-disconnect" in line


def test_syslog_facility_and_tag(bench, syslog):
    keys = syslog_keys(bench, bench.backend())
    keys["gate"]["log"] = "syslog:local0:gate-2"
    bench.start(keys, before=syslog.before)
    assert re.match(r"<134>[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d gate-2\[\d+\]: info start ",
                    syslog.daemon.recv(4096).decode())


def check_warns(syslog, config, warning):
    """`-t` reports what would end the start."""
    done = subprocess.run([*syslog.before, BINARY, "-t", "-c", config], capture_output=True, text=True,
                          timeout=DEADLINE)
    assert (done.returncode, done.stderr) == (0, warning)


def test_syslog_without_a_daemon(bench, syslog):
    """The start reports it, so that no line is lost later."""
    syslog.daemon.close()
    syslog.path.unlink()
    config = bench.config(syslog_keys(bench, bench.backend()))
    done = subprocess.run([*syslog.before, BINARY, "-c", config], capture_output=True, text=True,
                          timeout=DEADLINE)
    line = config.read_text().splitlines().index("log = syslog") + 1
    assert (done.returncode, done.stderr) == (
        1, f"{config}:{line}: cannot open the log syslog (/dev/log): No such file or directory\n")
    check_warns(syslog, config, f"{config}:{line}: warning: log: no syslog daemon can be reached here: "
                                "/dev/log: No such file or directory\n")


def test_syslog_daemon_starts_again(bench, syslog):
    """What was lost in between (here the line `up`) is counted."""
    gate = bench.start(syslog_keys(bench, bench.backend()), before=syslog.before)
    syslog.daemon.close()
    syslog.path.unlink()
    bench.client(gate).establish()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as daemon:
        daemon.bind(str(syslog.path))
        daemon.settimeout(DEADLINE)
        gate.signal(signal.SIGTERM)
        assert re.search(r"\]: warning log dropped=\d$", daemon.recv(4096).decode())
        while "]: info stop " not in daemon.recv(4096).decode():
            pass
        assert gate.wait_exit() == 0


def test_syslog_by_stream(bench, syslog):
    """The start reports it, so that no line is lost later."""
    syslog.daemon.close()
    syslog.path.unlink()
    config = bench.config(syslog_keys(bench, bench.backend()))
    line = config.read_text().splitlines().index("log = syslog") + 1
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as daemon:
        daemon.bind(str(syslog.path))
        daemon.listen()
        done = subprocess.run([*syslog.before, BINARY, "-c", config], capture_output=True, text=True,
                              timeout=DEADLINE)
        check_warns(syslog, config, f"{config}:{line}: warning: log: no syslog daemon can be reached here: "
                                    "/dev/log: Protocol wrong type for socket\n")
    assert (done.returncode, done.stderr) == (
        1, f"{config}:{line}: cannot open the log syslog (/dev/log): Protocol wrong type for socket\n")


def test_log_reaches_its_largest_size(bench, tmp_path):
    """The gate ignores SIGXFSZ: the file gets no more lines, and the tunnels continue."""
    log = tmp_path / "log"
    gate = bench.start({"gate": {"workers": 1, "log": log}, "listener front": bench.listener_keys(),
                        "backend back": bench.backend_keys(bench.backend())})
    # Set after the start, because ThreadSanitizer needs a file of its own to start.
    largest = log.stat().st_size + 300
    resource.prlimit(gate.process.pid, resource.RLIMIT_FSIZE, (largest, largest))
    up = bench.client(gate).establish()
    for _ in range(10):
        assert expect_failure(bench.client(gate, head=head.request(b"x", uri=b"/"))).status == 404
    up.ping().disconnect()
    assert log.stat().st_size == largest


# -- signals --

def test_hangup_of_readers_does_not_kill(bench):
    """The gate ignores SIGPIPE."""
    gate = bench.gate(bench.backend())
    gate.signal(signal.SIGPIPE)
    bench.client(gate).establish("request")


def test_ready_file(bench):
    server = bench.backend()
    gate = bench.gate(server, listener={"listen": ["127.0.0.1:0", "127.0.0.2:0"]})
    assert [host for host, _ in gate.addresses["front"]] == ["127.0.0.1", "127.0.0.2"]
    for number in range(2):
        bench.client(gate, number=number).establish("request")


def test_ready_file_where_others_may_write(bench, tmp_path):
    """A link with the name of the temporary file is replaced, not followed."""
    victim = tmp_path / "victim"
    victim.write_text("precious")
    common = tmp_path / "common"
    common.mkdir()
    common.chmod(0o1777)
    config = bench.config({"listener front": bench.listener_keys(),
                           "backend back": bench.backend_keys(bench.backend())})
    gate = Gate(config)
    gate.ready = common / "ready"
    (common / "ready.new").symlink_to(victim)
    bench.gates.append(gate)
    bench.client(gate.start()).establish("request")
    assert victim.read_text() == "precious"
    assert gate.ready.is_file() and not gate.ready.is_symlink()
    assert [entry.name for entry in common.iterdir()] == ["ready"]


def test_only_at_the_configured_address(bench):
    """The gate listens on the configured address and on no other."""
    gate = bench.gate(bench.backend(), listener={"listen": "127.0.0.2:0"})
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.77", gate.address()[1]))  # where no other test listens
    bench.client(gate).establish("request")


def test_two_listeners(bench):
    """Each has its own certificate, rules and backend."""
    first, second = bench.backend(), bench.backend(bench.place.back_ca)
    gate = bench.start({
        "gate": {"workers": 1},
        "listener one": bench.listener_keys(backend="a"),
        "listener two": bench.listener_keys(cert=bench.place.front2, backend="b",
                                            host="two.example.com"),
        "backend a": bench.backend_keys(first),
        "backend b": bench.backend_keys(second)})
    for name, cert, server in (("one", bench.place.front, first),
                               ("two", bench.place.front2, second)):
        client = bench.client(gate, name, host="two.example.com").establish()
        assert client.wire.peer_der == cert.der
        client.ping().disconnect()
        assert server.wait_over().verdict == "ok"
    assert [gate.wait_call(n)["listener"] for n in (0, 1)] == ["one", "two"]
    assert [gate.wait_call(n)["backend"] for n in (0, 1)] == ["a", "b"]
    assert expect_failure(bench.client(gate, "two")).status == 404


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_many_calls(bench, workers):
    """50 calls at a time; all are verified, and each has its line."""
    count = 50
    server = bench.backend(auth=("mschapv2", "pap"))
    gate = bench.gate(server, gate={"workers": workers})
    failures = []
    everybody_is_up = threading.Barrier(count, timeout=120)

    def call(number):
        try:
            method = ("mschapv2", "pap")[number % 2]
            with Client(gate.address(), auth=(method,), hash=1 + number % 2) as client:
                client.establish().ping()
                everybody_is_up.wait()
                client.ping(2).disconnect()
        except Exception as failure:
            everybody_is_up.abort()
            failures.append(repr(failure))

    threads = [threading.Thread(target=call, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    gate.wait_call(count - 1)
    calls = gate.events("call")
    assert len({event["id"] for event in calls}) == count
    assert {event["binding"] for event in calls} == {"verified"}
    assert [server.wait_over(n).verdict for n in range(count)] == ["ok"] * count


def test_max_tunnels(bench):
    """Calls above the limit wait until another call ends; the log names the key."""
    server = bench.backend()
    gate = bench.gate(server, gate={"max-tunnels": 2})
    first, second = (bench.client(gate).establish() for _ in range(2))
    third = bench.client(gate).open()
    assert "max-tunnels" in gate.wait_event("full").line
    first.ping().disconnect()
    gate.wait_call()
    second.ping()
    third.secure().ask().start().authenticate().connect().bring_up().ping()


# -- configuration --

def test_check_good(bench):
    config = bench.config({"listener front": bench.listener_keys(),
                           "backend back": bench.backend_keys(bench.backend())})
    done = run("-t", "-c", config)
    assert done.returncode == 0, done.stderr


def test_strict_check(bench):
    """Warnings fail with --strict only, and errors always. The option needs a check."""
    server = bench.backend()
    keys = {"listener front": bench.listener_keys(), "backend back": bench.backend_keys(server)}
    good = bench.config(keys)
    bad = bench.config({**keys, "gate": {"ban-time": "1h"}})
    broken = bench.config({**keys, "gate": {"ban-tiem": "1h"}})
    for config, code, strict in ((good, 0, 0), (bad, 0, 1), (broken, 1, 1)):
        assert run("-t", "-c", config).returncode == code
        done = run("-t", "--strict", "-c", config)
        assert done.returncode == strict, done.stderr
        assert ("configuration is valid" in done.stdout) == (strict == 0)
    done = run("--strict", "-T", "-c", bad)
    assert done.returncode == 1
    assert "warning: ban-time has no effect" in done.stderr and "--strict" in done.stderr
    done = run("--strict", "-c", good)
    assert done.returncode == 2 and "-t" in done.stderr


def test_check_warns_about_machine_and_certificates(bench):
    """Warnings that need no network: addresses and interfaces that the machine does not have, and certificates
    that clients refuse."""
    server = bench.backend()
    config = bench.config({
        "listener front": {**bench.listener_keys(), "listen": ["127.0.0.1:0", "198.51.100.7:443"],
                           "interface": "nosuch0", "host": "nobody.test"},
        "backend back": {**bench.backend_keys(server), "pin-sha256": bench.place.front.sha256}})
    done = run("-t", "-c", config)
    assert done.returncode == 0, done.stderr
    for text in ("listener front: this machine does not have the address of 198.51.100.7:443",
                 "listener front: interface: this machine has no 'nosuch0'",
                 "listener front: host: no certificate contains 'nobody.test'",
                 "backend back: pin-sha256: this is the certificate of [listener front]"):
        assert f"warning: {text}" in done.stderr


def test_printed_config_has_no_new_warning(bench):
    """-T writes every key, also those without effect: with their defaults they are not mistakes."""
    config = bench.config({"listener front": bench.listener_keys(),
                           "backend back": bench.backend_keys(bench.backend())})
    assert run("-t", "--strict", "-c", config).returncode == 0
    config.write_text(run("-T", "-c", config).stdout)
    done = run("-t", "--strict", "-c", config)
    assert (done.returncode, done.stderr) == (0, "")


def test_check_looks_for_the_folder_of_the_log(bench):
    """-t may run as another user than the gate, so it looks for the directory and opens nothing."""
    config = bench.config({"gate": {"log": "/nonexistent/log"},
                           "listener front": bench.listener_keys(),
                           "backend back": bench.backend_keys(bench.backend())})
    done = run("-t", "-c", config)
    line = config.read_text().splitlines().index("log = /nonexistent/log") + 1
    assert (done.returncode, done.stderr) == (
        0, f"{config}:{line}: warning: log: its directory /nonexistent: No such file or directory\n")


def test_check_prints_every_error(bench):
    keys = bench.listener_keys(lissen="127.0.0.1:0", default="perhaps")
    config = bench.config({
        "gate": {"workers": "many", "timeout-answer": "10"},
        "listener front": keys,
        "backend back": {**bench.backend_keys(bench.backend()), "verify": "no", "pin-sha256": "xy"},
        "bakend b": {"server": "127.0.0.1:1"}})
    done = run("-t", "-c", config)
    assert done.returncode == 1
    text = config.read_text().splitlines()
    for line in ("workers = many", "timeout-answer = 10", "lissen = 127.0.0.1:0",
                 "default = perhaps", "verify = no", "pin-sha256 = xy", "[bakend b]"):
        assert re.search(rf":{1 + text.index(line)}: ", done.stderr), (line, done.stderr)
    assert "did you mean" in done.stderr


def test_check_opens_files(bench):
    """The check includes certificates, users files and the files that rules name, and reports all errors."""
    place = bench.place
    loose = place.folder / "loose-users"
    loose.write_text("alice:00\nbob\n")
    loose.chmod(0o600)
    server = bench.backend()
    config = bench.config({
        "gate": {"country-file": "missing.mmdb"},
        "listener one": bench.listener_keys(certificate="missing.pem", allow_file="missing.txt"),
        "listener two": {**bench.listener_keys(certificate="front.crt"), "key": "back.key"},
        "backend back": bench.backend_keys(server, users_file="loose-users")})
    done = run("-t", "-c", config)
    assert done.returncode == 1
    for name in ["missing.pem", "missing.txt", "missing.mmdb", "loose-users:1", "loose-users:2"]:
        assert name in done.stderr
    assert len(done.stderr.splitlines()) >= 6


def test_what_is_hardly_meant(bench):
    """Likely mistakes are reported by -t and at the start, and are no errors."""
    server = bench.backend()
    rules = [("deny", "10.0.0.0/8"), ("allow", "10.1.0.0/16"), ("allow", "any user alice"),
             ("deny", "10.1.2.3 user bob"), ("allow", "any")]
    keys = {**bench.backend_keys(server), "users-file": None}
    sections = {
        "gate": {"ban-points": "50", "ban-file": "/nonexistent/bans"},
        "listener front": [*bench.listener_keys(default=None).items(), *rules],
        "listener site": {**bench.listener_keys(), "fallback": "web",
                          "use-backend": ["routed tenant a", "plain any", "routed tenant b"]},
        "backend back": keys,
        "backend web": {**keys, "server": "127.0.0.1:1", "crypto-binding": None},
        "backend routed": keys,
        "backend plain": {**keys, "crypto-binding": "auto"}}
    config = bench.config(sections)
    text = config.read_text().splitlines()

    def line(words, section):
        return text.index(words, text.index(f"[{section}]")) + 1
    first = line("deny = 10.0.0.0/8", "listener front")
    warnings = [
        f"{line('ban-file = /nonexistent/bans', 'gate')}: warning: ban-file: its directory "
        "/nonexistent: No such file or directory",
        *(f"{line(words, 'listener front')}: warning: listener front: this rule is never reached: "
          f"the rule on line {first} matches all of its addresses"
          for words in ("allow = 10.1.0.0/16", "deny = 10.1.2.3 user bob")),
        f"{line('use-backend = routed tenant b', 'listener site')}: warning: listener site: this "
        f"rule is never reached: the rule on line {line('use-backend = plain any', 'listener site')} "
        "matches all of its addresses",
        *(f"{line('crypto-binding = rewrite', f'backend {name}')}: warning: backend {name}: "
          "crypto-binding = rewrite without users-file or radius: no key for MS-CHAPv2 "
          "and EAP, so their calls are refused" for name in ("back", "routed"))]
    done = run("-t", "-c", config)
    assert done.returncode == 0
    assert done.stderr.splitlines() == [f"{config}:{one}" for one in warnings]
    gate = bench.start(sections)
    assert [event["msg"] for event in gate.events("config")] == [f"{gate.config}:{one}"
                                                                 for one in warnings]
    assert {event.level for event in gate.events("config")} == {"warning"}


def test_check_tells_all_at_once(bench):
    """An invalid line does not hide errors in the files that other lines name."""
    (bench.place.folder / "bad-users").write_text("bob\n")
    (bench.place.folder / "bad-users").chmod(0o600)
    server = bench.backend()
    good = bench.listener_keys(backend="back")
    config = bench.config({
        "gate": {"workers": "many", "country-file": "missing.mmdb"},
        "listener one": {**good, "certificate": "missing.pem", "deny-file": "missing.txt",
                         "fallback": "nowhere"},
        "listener two": {**good, "allow": "any time Mon 08:00-09:00 Mars/Base", "key": "missing.key"},
        "listener four": {**good, "ciphers": "NOTHING"},
        "listener five": {"lissen": "127.0.0.1:0"},
        "backend back": bench.backend_keys(server, users_file="bad-users"),
        "backend other": {"server": "127.0.0.1:1", "ca-file": "missing.ca"},
    })
    done = run("-t", "-c", config)
    assert done.returncode == 1
    for text in ["workers: 'many'", "missing.mmdb", "missing.pem", "missing.txt", "[backend nowhere]",
                 "Mars/Base", "missing.key", "ciphers", "'lissen'", "bad-users:1", "missing.ca",
                 "[listener five] has no `certificate`"]:
        assert text in done.stderr, (text, done.stderr)


def test_open_users_file(bench):
    """Hash-hashes are secrets, so other users may not read them."""
    place = bench.place
    copy = place.folder / "open-users"
    copy.write_text(place.users.read_text())
    copy.chmod(0o644)
    config = bench.config({
        "listener front": bench.listener_keys(),
        "backend back": bench.backend_keys(bench.backend(), users_file="open-users")})
    done = run("-t", "-c", config)
    assert done.returncode == 1 and "open-users" in done.stderr


def test_broken_config_binds_nothing(bench):
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
    config = bench.config({
        "listener front": bench.listener_keys(listen=f"127.0.0.1:{port}", nonsense="1"),
        "backend back": bench.backend_keys(bench.backend())})
    ready = config.with_suffix(".ready")
    done = run("-c", config, "--ready-file", ready)
    assert done.returncode == 1
    assert not ready.exists()


def test_address_in_use(bench):
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
        config = bench.config({
            "listener front": bench.listener_keys(listen=f"127.0.0.1:{port}"),
            "backend back": bench.backend_keys(bench.backend())})
        done = run("-c", config)
    assert done.returncode == 1
    assert str(port) in done.stderr


def test_print_round_trip(bench):
    """The output of -T is a valid configuration, with the same output."""
    config = bench.config({
        "gate": {"workers": 2, "timeout-idle": "90s", "log-level": "debug"},
        "listener front": [*bench.listener_keys(host=["a.example.com", "b.example.com"]).items(),
                           ("allow", "127.0.0.0/8"), ("deny", "192.0.2.1"), ("allow", "::1")],
        "backend back": bench.backend_keys(bench.backend(), sni="x.internal",
                                           binding_cert_hash=bench.place.evil.sha1)})
    first = run("-T", "-c", config)
    assert first.returncode == 0, first.stderr
    again = config.with_name("printed.conf")
    again.write_text(first.stdout)
    second = run("-T", "-c", again)
    assert (second.returncode, second.stdout) == (0, first.stdout)
    for line in ("workers = 2", "timeout-idle = 90s", "allow = 127.0.0.0/8", "timeout-answer = 30s"):
        assert line in first.stdout, line
    assert "hash-hash" not in first.stdout and "PRIVATE" not in first.stdout


def test_printed_config_runs(bench):
    server = bench.backend()
    config = bench.config({"listener front": bench.listener_keys(),
                           "backend back": bench.backend_keys(server)})
    printed = run("-T", "-c", config).stdout
    config.write_text(printed)
    gate = Gate(config).start()
    bench.gates.append(gate)
    bench.client(gate).establish().ping().disconnect()


FATAL_PROVIDER = """
#include <openssl/core.h>
#include <openssl/core_dispatch.h>
#include <stdlib.h>

static const OSSL_DISPATCH nothing[] = {{0, NULL}};

__attribute__((destructor)) static void unload(void)
{
    abort();
}

int OSSL_provider_init(const OSSL_CORE_HANDLE *core, const OSSL_DISPATCH *in,
                       const OSSL_DISPATCH **out, void **context)
{
    (void)core, (void)in;
    *context = malloc(1);
    *out = nothing;
    return atexit(abort) == 0 && *context != NULL;
}
"""
FATAL_CONF = """
openssl_conf = init
[init]
providers = providers
[providers]
default = on
fatal = fatal
[on]
activate = 1
[fatal]
module = {}
activate = 1
"""


@pytest.fixture(scope="module")
def fatal_provider(tmp_path_factory):
    """The environment with a provider of OpenSSL whose exit handlers crash, as that of PKCS#11 does
    with SoftHSM."""
    folder = tmp_path_factory.mktemp("provider")
    (folder / "fatal.c").write_text(FATAL_PROVIDER)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", folder / "fatal.so", folder / "fatal.c"], check=True,
                   timeout=DEADLINE)
    (folder / "openssl.cnf").write_text(FATAL_CONF.format(folder / "fatal.so"))
    return {**os.environ, "OPENSSL_CONF": str(folder / "openssl.cnf")}


def test_exit_handlers_of_a_provider_crash_nothing(bench, fatal_provider):
    server = bench.backend()
    keys = {"listener front": bench.listener_keys(), "backend back": bench.backend_keys(server)}
    # other programs do crash with it
    done = subprocess.run(["openssl", "version"], env=fatal_provider, capture_output=True, timeout=DEADLINE)
    assert done.returncode == -signal.SIGABRT
    config = bench.config(keys)
    for arguments in (["-t", "-c", config], ["-T", "-c", config], ["binding", bench.place.front.cert]):
        done = run(*arguments, env=fatal_provider)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout
    gate = bench.start(keys, env=fatal_provider)
    bench.client(gate).establish().disconnect()
    gate.signal(signal.SIGTERM)
    assert gate.wait_exit() == 0


def test_check_fails_if_its_output_is_lost(bench):
    config = bench.config({"listener front": bench.listener_keys(),
                           "backend back": bench.backend_keys(bench.backend())})
    with open("/dev/full", "w") as full:
        done = subprocess.run([BINARY, "-T", "-c", config], stdout=full, stderr=subprocess.PIPE,
                              timeout=DEADLINE)
    assert done.returncode == 1


@pytest.mark.parametrize("arguments", [[], ["-t"], ["ctl", "status"], ["binding", "rras.cer"]])
def test_machine_without_a_configuration(arguments):
    """A first start reports the missing file and what to do. The empty /etc is that of a new machine."""
    done = subprocess.run(["unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /etc && exec "$@"',
                           "sh", BINARY, *arguments], capture_output=True, text=True, timeout=DEADLINE)
    assert done.returncode == 1
    assert "/etc/sstpgate/sstpgate.conf: cannot be opened: No such file or directory" in done.stderr
    hints = {"ctl": "-s SOCKET", "binding": "no file 'rras.cer'"}
    assert hints.get(arguments[0] if arguments else "", "sstpgate.conf.example") in done.stderr


def test_version_has_the_commit():
    """The commit is in an object of its own, so that a new one rebuilds nothing else."""
    text = run("-v").stdout
    built = r"sstpgate \d+\.\d+\.\d+(\+g[0-9a-f]{7,}(-dirty)?)?\n"
    assert re.fullmatch(built, text)
    assert run("-V").stdout.startswith(text)
    known = (ROOT / ".git").exists() and subprocess.run(
        ["git", "describe", "--always"], cwd=ROOT, capture_output=True, timeout=DEADLINE).returncode == 0
    if known:  # git refuses a repository of another user
        assert re.fullmatch(built.replace("?\\n", "\\n"), text)
    users = [path.name for path in (ROOT / "proxy").rglob("*.[ch]") if "SSTPGATE_VERSION" in path.read_text()]
    assert users == ["version.c"]


def test_library_of_the_ciphers(bench):
    """-V and the log name the library that encrypts."""
    ciphers = re.search(r"^ciphers of records: (.*)$", run("-V").stdout, re.MULTILINE).group(1)
    assert re.fullmatch(r"(ipsec-mb|OpenSSL) \d+\.\d+\S*", ciphers)
    [start] = bench.gate(bench.backend()).events("start")
    assert start["ciphers"] == ciphers
    assert f"sstpgate {start['version']}\n" == run("-v").stdout


@pytest.mark.parametrize("arguments, code", [(["-V"], 0), (["-h"], 0), (["--nonsense"], 2),
                                             (["-c"], 2), (["-c", "/nonexistent/x.conf"], 1)])
def test_options(arguments, code):
    done = run(*arguments)
    assert done.returncode == code, done.stderr
    assert done.stdout or done.stderr


@pytest.mark.parametrize("section", [
    "providers = p\n[p]\nnull = n\n[n]\nactivate = 1\n",
    "providers = p\n[p]\nmissing = n\n[n]\nmodule = /nonexistent.so\nactivate = 1\n",
    "alg_section = a\n[a]\ndefault_properties = fips=yes\n"], ids=["null", "missing", "fips"])
def test_openssl_without_a_usable_provider_is_an_error(tmp_path, section):
    """An openssl.cnf that activates another provider than default removes all algorithms."""
    certificate, conf = pki.make(tmp_path, "basics"), tmp_path / "basics.cnf"
    conf.write_text("openssl_conf = init\n[init]\n" + section)
    config = tmp_path / "basics.conf"
    config.write_text(f"[listener a]\nlisten = 127.0.0.1:0\ncertificate = {certificate.cert}\nkey = {certificate.key}\n"
                      "host = *\n[backend b]\nserver = 127.0.0.1:9\nverify = off\n")
    for words in (["-c", config], ["-t", "-c", config], ["binding", certificate.cert], ["certificates", "-c", config],
                  ["probe", "127.0.0.1:9"], ["dial", "--user", "a", "127.0.0.1:9"], ["setup"]):
        done = subprocess.run([BINARY, *words], input="password\n", capture_output=True, text=True,
                              env={**os.environ, "OPENSSL_CONF": str(conf)}, timeout=DEADLINE)
        assert done.returncode == (2 if words[0] == "certificates" else 1), (words, done)
        assert f"OpenSSL has no SHA1: no provider that has it is active: write activate = 1 in the section of the " \
               f"provider default (or fips) in {conf}\n" in done.stderr, words
        assert "assertion" not in done.stderr
    done = run("-V", env={**os.environ, "OPENSSL_CONF": str(conf)})
    assert done.returncode == 1 and "\nciphers of records: OpenSSL has no SHA1: " in done.stdout
