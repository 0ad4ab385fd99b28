"""conf/fail2ban/filter.d/sstpgate.conf with its test log and with the log of a gate. A few lines here imitate
fail2ban; where fail2ban itself is installed, it must agree."""

import configparser
import json
import re
import shutil
import subprocess

import pytest

from gate import ROOT
from test_address import refused
from test_limits import misbehave

FILTER = ROOT / "conf/fail2ban/filter.d/sstpgate.conf"
LOG = ROOT / "tests/fail2ban/sstpgate.log"
MODES = ["normal", "aggressive"]
DATE = r"(?:\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z?|[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d)"
ADDRESS = r"(?P<host>[0-9.]+|[0-9a-f:]+)"


def cases():
    """Returns tuples (line, host found or None, mode needed or None)."""
    found, expected = [], None
    for line in LOG.read_text().splitlines():
        if line.startswith("# failJSON: "):
            expected = json.loads(line.removeprefix("# failJSON: "))
        elif line and not line.startswith("#"):
            assert expected["match"] == ("host" in expected)
            found.append((line, expected.get("host"), expected.get("mode")))
            expected = None
    return found


def hosts_for(mode):
    return [host for _, host, needs in cases() if host and needs in (None, mode)]


def find_hosts(lines, mode):
    """Imitates fail2ban: removes the date, lets prefregex select the text, and applies failregex to it."""
    config = configparser.ConfigParser()
    config.read(FILTER)
    definition = config["Definition"]
    assert definition["failregex"] == "<mdre-<mode>>"
    prefix = re.compile(re.sub(r"<(/?)F-CONTENT>", lambda m: ")" if m[1] else "(?P<content>",
                                definition["prefregex"]))
    expressions = [re.compile(expression.replace("<ADDR>", ADDRESS))
                   for expression in definition[f"mdre-{mode}"].split("\n") if expression]
    found = []
    for line in lines:
        rest = prefix.search(re.sub("^" + DATE, "", line))
        matches = [m for e in expressions if rest and (m := e.search(rest["content"]))]
        found += [m["host"] for m in matches[:1]]
    return found


@pytest.mark.parametrize("mode", MODES)
def test_log(mode):
    assert find_hosts([line for line, _, _ in cases()], mode) == hosts_for(mode)


if shutil.which("fail2ban-regex"):
    @pytest.mark.parametrize("mode", MODES)
    def test_log_with_fail2ban(mode, tmp_path):
        log = tmp_path / "log"
        log.write_text("".join(line + "\n" for line, _, _ in cases()))
        done = subprocess.run(["fail2ban-regex", "-o", "ip", log, f"{FILTER}[mode={mode}]"],
                              capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert done.stdout.split() == hosts_for(mode)


def test_a_gate(bench):
    """The filter matches the lines that this program logs."""
    gate = bench.gate(bench.backend(), gate={"ban_points": 5}, listener={"default": "allow"},
                      rules=[("deny", "127.0.6.0/24")])
    refused(bench, gate, bind="127.0.6.5")
    gate.wait_event("deny")
    misbehave(bench, gate, bind="127.0.0.5")
    assert sorted(find_hosts(gate.text().splitlines(), "normal")) == \
        ["127.0.0.5", "127.0.0.5", "127.0.6.5"]
