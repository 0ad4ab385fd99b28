"""Which code protects the TLS records of a call, as the log, `ctl` and the metrics report it, and the key that
decides it. That the records themselves are right is shown by every other test, which runs with both."""

import json

import pytest

from gate import run
from test_metrics import scrape
from test_reload import Setting

GCM = "ECDHE-ECDSA-AES128-GCM-SHA256"
CHACHA = "ECDHE-ECDSA-CHACHA20-POLY1305"
CBC = "ECDHE-ECDSA-AES128-SHA256"
CCM = "ECDHE-ECDSA-AES128-CCM"

PATHS = [("1.3", None, "gate"), ("1.2", GCM, "gate"), ("1.2", CHACHA, "gate"), ("1.2", CBC, "openssl"),
         ("1.2", CCM, "openssl"), ("1.1", None, "openssl")]
OLD = {"tls-min": "1.0", "ciphers": "ALL:@SECLEVEL=0"}


@pytest.mark.parametrize("version, ciphers, path", PATHS)
def test_path_of_a_client(bench, version, ciphers, path):
    gate = bench.gate(bench.backend(load="echo"), gate={"tls-records": "auto"},
                      listener={**OLD, "ciphers": ciphers or OLD["ciphers"]})
    client = bench.client(gate, tls_max=version, tls_min=version, ciphers=ciphers).establish().bulk(100_000)
    client.disconnect()
    assert gate.wait_event("up")["client-records"] == path
    call = gate.wait_call()
    assert (call["client-records"], call["server-records"]) == (path, "gate")


@pytest.mark.parametrize("version, ciphers, path", [path for path in PATHS if path[1] != CCM])  # Python's servers have none
def test_path_to_a_server(bench, version, ciphers, path):
    server = bench.backend(load="echo", tls_max=version, tls_min=version)
    gate = bench.gate(server, gate={"tls-records": "auto"}, backend={**OLD, "ciphers": ciphers or OLD["ciphers"]})
    bench.client(gate).establish().bulk(100_000).disconnect()
    call = gate.wait_call()
    assert (call["client-records"], call["server-records"]) == ("gate", path)


def test_without_tls(bench):
    server = bench.backend(plain=True, leaf=bench.place.front.der)
    gate = bench.gate(server, backend={"crypto-binding": "passthrough"})
    bench.client(gate).establish().disconnect()
    assert "server-records" not in gate.wait_call().fields


def test_a_reload_applies_to_new_calls(bench, tmp_path):
    """Tunnels keep the code with which they began."""
    server = bench.backend(load="echo")
    socket = tmp_path / "admin.sock"
    it = Setting(bench, server, gate={"admin": f"unix:{socket}", "tls-records": "auto"})
    gate = it.gate
    old = bench.client(gate).establish().bulk(100_000)
    it.keys["gate"]["tls-records"] = "openssl"
    assert it.reload()
    new = bench.client(gate).establish().bulk(100_000)
    old.bulk(100_000)
    rows = json.loads(run("ctl", "-s", str(socket), "tunnels", "--json").stdout)["items"]
    assert [(row["client_records"], row["server_records"]) for row in rows] == \
        [("gate", "gate"), ("openssl", "openssl")]  # the oldest first
    status = run("ctl", "-s", str(socket), "status").stdout
    assert "tls-records: openssl, ciphers of " in status
    assert "(0 connections stayed with OpenSSL)" in status  # counts only those that `auto` leaves with OpenSSL
    old.disconnect()
    new.disconnect()


def test_metric_and_status(bench, tmp_path):
    socket = tmp_path / "admin.sock"
    gate = bench.gate(bench.backend(), gate={"admin": f"unix:{socket}", "status": "127.0.0.1:0", "tls-records": "auto"},
                      listener={"ciphers": f"{GCM}:{CBC}"})
    bench.client(gate).establish().disconnect()
    bench.client(gate, tls_max="1.2", ciphers=CBC).establish().disconnect()
    m = scrape(gate)
    assert {(side, path): m("sstpgate_tls_records_total", side=side, path=path)
            for side in ("client", "server") for path in ("gate", "openssl")} == \
        {("client", "gate"): 1, ("client", "openssl"): 1, ("server", "gate"): 2, ("server", "openssl"): 0}
    status = run("ctl", "-s", str(socket), "status").stdout
    assert "tls-records: auto, ciphers of " in status and "(1 connections stayed with OpenSSL)" in status
    facts = json.loads(run("ctl", "-s", str(socket), "status", "--json").stdout)
    assert (facts["tls_records"], facts["tls_records_kept"]) == ("auto", 1)
