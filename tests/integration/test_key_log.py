"""The file of `key-log`: it has the keys of all connections, only its owner may read it, and the gate reports it while
it is set."""

import json
import os
import signal

import pytest

from gate import eventually, run
from test_reload import Setting


def keys(path):
    """Returns the lines of a key log."""
    return {line for line in path.read_text().splitlines() if not line.startswith("#")}


@pytest.fixture
def file(bench, tmp_path):
    tmp_path.chmod(0o755)
    return tmp_path / "keys"


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_keys_of_both_sides(bench, file, version):
    """The peers log the keys of the same connections: that of the client, that to the server, and those of health
    checks."""
    server = bench.backend()
    server.context.keylog_filename = str(file.with_suffix(".server"))
    gate = bench.gate(server, gate={"key-log": file}, listener={"tls_max": version},
                      backend={"tls_max": version, "check": "http", "check-interval": "1h"})
    client = bench.client(gate, keylog=str(file.with_suffix(".client"))).establish().ping()
    assert client.wire.version == f"TLSv{version}"
    of_client, of_server = keys(file.with_suffix(".client")), keys(file.with_suffix(".server"))
    name = "CLIENT_RANDOM" if version == "1.2" else "CLIENT_TRAFFIC_SECRET_0"
    assert sum(line.startswith(f"{name} ") for line in of_client) == 1
    eventually(lambda: sum(line.startswith(f"{name} ") for line in keys(file.with_suffix(".server"))) == 2,
               "no health check")
    eventually(lambda: of_client | keys(file.with_suffix(".server")) == keys(file), file.read_text)
    assert file.stat().st_mode & 0o7777 == 0o600
    client.disconnect()


def test_without_the_key_no_keys_are_written(bench, file):
    gate = bench.gate(bench.backend())
    bench.client(gate).establish().disconnect()
    assert not file.exists()
    assert "key-log" not in gate.text()


def test_key_log_is_reported_while_it_is_set(bench, file):
    server = bench.backend()
    it = Setting(bench, server, gate={"admin": f"unix:{file}.sock"})
    client = bench.client(it.gate).establish().ping()
    status = lambda *more: run("ctl", "-s", f"{file}.sock", "status", *more).stdout
    assert "key-log" not in status()
    assert json.loads(status("--json"))["key_log"] is None
    (file.parent / "new").mkdir()
    it.keys["gate"]["key-log"] = file.parent / "new/keys"
    assert not it.reload()  # the sandbox does not permit this directory
    assert any("key-log: the running gate may not write" in line for line in it.said)

    it = Setting(bench, server, gate={"admin": f"unix:{file}.sock2", "key-log": file})
    status = lambda *more: run("ctl", "-s", f"{file}.sock2", "status", *more).stdout
    warning = rf"config .*: warning: key-log: {file} gets the keys of all TLS connections"
    it.gate.wait_log(warning)
    assert f"key-log: {file} (gets the keys of all TLS connections)\n" in status()
    assert json.loads(status("--json"))["key_log"] == str(file)
    before = len(it.gate.lines)
    assert it.reload()
    assert any("gets the keys" in line for line in it.gate.lines[before:])
    # off: connections since then are not in the file
    it.keys["gate"]["key-log"] = None
    assert it.reload()
    assert "key-log" not in status()
    size = file.stat().st_size
    bench.client(it.gate).establish().disconnect()
    assert file.stat().st_size == size
    # and on again, in the directory that the sandbox permits
    it.keys["gate"]["key-log"] = file
    assert it.reload()
    bench.client(it.gate).establish().disconnect()
    assert file.stat().st_size > size
    client.disconnect()


def make_shared(file):
    file.touch()
    file.chmod(0o640)


def make_readable(file):
    file.touch()
    file.chmod(0o604)


def make_link(file):
    (file.parent / "target").touch(mode=0o600)
    file.symlink_to("target")


def make_foreign(file):
    file.touch(mode=0o600)
    os.chown(file, 4711, 4711)


BAD = {make_shared: "accessible to other users", make_readable: "accessible to other users",
       make_link: "a symbolic link", os.mkfifo: "not a regular file", os.mkdir: "directory",
       make_foreign: "belongs to another user"}


@pytest.mark.parametrize("make", BAD)
def test_bad_file(bench, file, make):
    """Refused at the start, by -t (which cannot compare the owner with the gate's user), and by a reload."""
    make(file)
    server = bench.backend()
    sections = {"gate": {"workers": 1, "key-log": file},
                "listener front": bench.listener_keys(), "backend back": bench.backend_keys(server)}
    path = bench.config(sections)
    expected = f"{path}:3: key-log: {file}: "
    done = run("-c", path)
    assert done.returncode == 1
    assert expected in done.stderr and BAD[make] in done.stderr.lower()
    done = run("-t", "-c", path)
    if make is make_foreign:
        assert "another user" not in done.stderr
    else:
        assert done.returncode == 1 and expected in done.stderr
    good = file.with_name("good")
    it = Setting(bench, server, gate={"key-log": good})
    it.keys["gate"]["key-log"] = file
    assert not it.reload()
    assert any(f"key-log: {file}: " in line for line in it.said)
    before = good.stat().st_size
    bench.client(it.gate).establish().disconnect()
    assert good.stat().st_size > before  # nothing was changed
    if make in (make_shared, make_readable):
        file.chmod(0o600)
        assert it.reload()
        assert file.stat().st_size == 0
        bench.client(it.gate).establish().disconnect()
        assert file.stat().st_size > 0


def test_rotation(bench, file):
    gate = bench.gate(bench.backend(), gate={"key-log": file})
    bench.client(gate).establish().disconnect()
    old = file.with_suffix(".1")
    file.rename(old)
    known = keys(old)
    gate.signal(signal.SIGUSR1)
    eventually(file.exists, "no new file")
    bench.client(gate).establish().disconnect()
    assert keys(old) == known
    assert keys(file) and not keys(file) & known
    assert file.stat().st_mode & 0o7777 == 0o600
