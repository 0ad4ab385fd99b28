"""Rules about addresses decide before any cryptography (conf/OPERATION.md, bad input)."""

import pytest

from peers.client import CallFailed


def refused(bench, gate, **knobs):
    """Asserts that the connection is reset before the client has received a byte."""
    try:
        client = bench.client(gate, **knobs).open()
    except CallFailed as failure:  # so early that connect() failed
        assert "reset" in str(failure)
        return
    assert client.wire.wait_end() == "reset"
    assert client.wire.records == 0


def admitted(bench, gate, **knobs):
    bench.client(gate, **knobs).establish("request").close()


RULES = [("allow", "127.0.0.2"), ("deny", "127.0.1.66"), ("allow", "127.0.1.0/24"),
         ("deny", "127.0.0.0/8")]


def line_of(gate, rule):
    lines = gate.config.read_text().splitlines()
    return str(1 + lines.index("%s = %s" % rule))


def test_rules_in_order(bench):
    server = bench.backend()
    gate = bench.gate(server, rules=RULES)
    admitted(bench, gate, bind="127.0.0.2")
    admitted(bench, gate, bind="127.0.1.65")
    for count, (source, rule) in enumerate([("127.0.1.66", 2), ("127.0.0.3", 4),
                                            ("127.0.2.1", 4)]):
        refused(bench, gate, bind=source)
        event = gate.wait_event("deny", count)
        assert event["listener"] == "front"
        assert event["client"].startswith(source)
        assert event["rule"] == str(rule)
        assert event["line"] == line_of(gate, RULES[rule - 1])
    assert len(server.calls) == 2


@pytest.mark.parametrize("default", ["allow", "deny"])
def test_default(bench, default):
    server = bench.backend()
    gate = bench.gate(server, listener={"default": default},
                      rules=[("deny" if default == "allow" else "allow", "127.9.0.0/16")])
    good, bad = ("127.0.0.1", "127.9.1.1") if default == "allow" else ("127.9.1.1", "127.0.0.1")
    admitted(bench, gate, bind=good)
    refused(bench, gate, bind=bad)
    assert gate.wait_event("deny")["rule"] == ("1" if default == "allow" else "default")


def test_unsaid_default_is_deny_once_there_are_rules(bench):
    gate = bench.gate(bench.backend(), listener={"default": None}, rules=[("allow", "127.0.0.9")])
    admitted(bench, gate, bind="127.0.0.9")
    refused(bench, gate, bind="127.0.0.8")


def test_ipv6(bench):
    server = bench.backend()
    gate = bench.gate(server, listener={"listen": ["[::1]:0", "127.0.0.1:0"], "default": "deny"},
                      rules=[("allow", "::/64")])
    admitted(bench, gate, number=0)
    refused(bench, gate, number=1)
    gate = bench.gate(server, listener={"listen": "[::1]:0"}, rules=[("deny", "::1")])
    refused(bench, gate)


def test_refused_while_talking(bench):
    """A client that sends its ClientHello at once receives no more than others."""
    gate = bench.gate(bench.backend(), listener={"default": "deny"})
    with pytest.raises(CallFailed) as failure:
        bench.client(gate).open().secure()
    assert failure.value.end in ("reset", None)


def test_file_of_networks(bench, tmp_path):
    """The log has the line in the file, and the number of the rule."""
    networks = tmp_path / "partners.txt"
    networks.write_text("# who they are\n127.0.3.0/24\n\n127.0.4.1\t# one\n")
    gate = bench.gate(bench.backend(), rules=[("deny", f"file {networks}"), ("allow", "any")])
    admitted(bench, gate, bind="127.0.4.2")
    for count, (source, line) in enumerate([("127.0.3.77", "2"), ("127.0.4.1", "4")]):
        refused(bench, gate, bind=source)
        event = gate.wait_event("deny", count)
        assert (event["rule"], event["file"], event["line"]) == ("1", str(networks), line)
    gate = bench.gate(bench.backend(), listener={"default": None}, rules=[("allow-file", networks)])
    admitted(bench, gate, bind="127.0.3.1")
    refused(bench, gate, bind="127.0.4.2")
    event = gate.wait_event("deny")
    assert event["rule"] == "default" and "file" not in event.fields


def test_hours(bench):
    """One window is always open, the other never."""
    gate = bench.gate(bench.backend(), listener={"default": "deny"}, rules=[
        ("deny", "127.0.0.2 time Mon-Sun 00:00-24:00 local"),
        ("allow", "127.0.0.1 time Mon-Wed,Thu-Sun 12:00-11:59 Europe/Berlin"),
        ("allow", "127.0.0.1 time Mon-Sun 11:59-12:00 Europe/Berlin")])
    admitted(bench, gate, bind="127.0.0.1")
    refused(bench, gate, bind="127.0.0.2")
    assert gate.wait_event("deny")["rule"] == "1"


def test_file_of_networks_that_changes(bench, tmp_path):
    """The gate reads the file again by itself. An error is reported with its line, and the old networks stay in
    force."""
    networks = tmp_path / "blocked.txt"
    networks.write_text("127.0.5.1\n")
    gate = bench.gate(bench.backend(), rules=[("deny-file", networks)])
    refused(bench, gate, bind="127.0.5.1")
    networks.write_text("127.0.5.2\nnonsense\n")
    gate.wait(lambda: f"{networks}:2: not an address" in gate.text(), "the problem")
    refused(bench, gate, bind="127.0.5.1")
    networks.write_text("127.0.5.2\n")
    gate.wait(lambda: "its new content is in force" in gate.text(), "the new content")
    admitted(bench, gate, bind="127.0.5.1")
    refused(bench, gate, bind="127.0.5.2")
