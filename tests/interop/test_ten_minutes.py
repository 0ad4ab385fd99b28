"""README's chapter "Ten minutes", word by word: tests/ten-minutes, with the scripted server and with SoftEther; Pebble
issues the certificates."""

import re
import subprocess

import pytest

import lab


@pytest.mark.parametrize("server", ["strict", "softether"])
def test_chapter_leads_to_a_gate_that_renews(server):
    lab.require("unshare setpriv ip make systemd-sysusers systemd-tmpfiles lego pebble")
    done = subprocess.run([lab.ROOT / "tests/ten-minutes", server], capture_output=True, text=True, timeout=lab.DEADLINE)
    assert done.returncode == 0, done.stdout + done.stderr
    chapter = (lab.ROOT / "README.md").read_text().split("\n## Ten minutes\n")[1].split("\n## ")[0]
    for line in re.search(r"^```sh\n(.*?)^```", chapter, re.M | re.S)[1].splitlines()[1:]:
        assert f"# {line}\n" in done.stdout
    assert "binding verified" in done.stdout
    assert re.search(r"renewed under a live tunnel: [1-9]\d* pings, and none was lost", done.stdout)
    minutes = float(re.search(rf"^{server}: ([\d.]+) minutes", done.stdout, re.M)[1])
    assert minutes < 10
