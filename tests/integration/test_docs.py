"""What the documentation says is so: keys, paths, rooms, reasons, and the configuration of README."""

import re
import shutil
from pathlib import Path

import pytest

from gate import ROOT, run

README = (ROOT / "README.md").read_text()
ROOMS = dict(re.findall(r"^\| `proxy/(\S+?)/?` \|.*\| (.*?) ?\|$", README, re.M))
SAMPLE = "conf/sstpgate.conf"
HEADER = re.compile(r"\[(\w+)")
KEY = re.compile(r";?([a-z][a-z0-9-]*) = ")


def keys_of(text):
    """{(section, key)}. In the sample ";key = value" shows a key, "; text" is a comment."""
    found, section = set(), None
    for line in text.splitlines():
        if match := HEADER.match(line):
            section = match[1]
        elif match := KEY.match(line):
            found.add((section, match[1]))
    return found


def example():
    """The ten lines of README."""
    blocks = re.findall(r"^```ini\n(.*?)^```", README, re.M | re.S)
    assert len(blocks) == 1
    return blocks[0]


@pytest.fixture(scope="module")
def reference():
    return keys_of(run("--keys").stdout)


def test_sample_has_every_key(reference):
    assert keys_of((ROOT / SAMPLE).read_text()) == reference


@pytest.mark.parametrize("name", ["README.md", "conf/demo.ini", "docker/README.md"])
def test_keys_exist(reference, name):
    text = (ROOT / name).read_text()
    used = {key for _, key in keys_of(re.sub(r"^[ `]+", "", text, flags=re.M))}
    used |= set(re.findall(r"`([a-z0-9-]+) = ", text))
    assert used and used <= {key for _, key in reference}


def test_example_is_valid(tmp_path, place):
    lines = [line for line in example().splitlines() if line]
    assert len(lines) == 10
    config = tmp_path / "sstpgate.conf"
    config.write_text(example())
    shutil.copy(place.front.cert, tmp_path / "vpn.pem")
    shutil.copy(place.front.key, tmp_path / "vpn.key")
    shutil.copy(place.users, tmp_path / "users")
    done = run("-t", "-c", config)
    assert (done.returncode, done.stderr) == (0, "")


def test_sample_is_valid(tmp_path, place):
    shutil.copy(ROOT / SAMPLE, tmp_path)
    shutil.copy(place.front.both, tmp_path / "vpn.pem")
    shutil.copy(place.users, tmp_path / "users")
    done = run("-t", "-c", tmp_path / Path(SAMPLE).name)
    assert (done.returncode, done.stderr) == (0, "")


def test_rooms():
    """The map is the tree, and says what tests/layers.sh holds."""
    tree = {path.name for path in (ROOT / "proxy").iterdir() if path.is_dir()}
    assert set(ROOMS) == tree | {"main.c"}
    table = re.search(r"^rooms='\n(.*?)'", (ROOT / "tests/layers.sh").read_text(), re.M | re.S)[1]
    held = {name: words for name, *words in map(str.split, table.splitlines())}
    assert {name.removesuffix(".c"): words.split() for name, words in ROOMS.items()} == held


@pytest.mark.parametrize("name", ["README.md", "tests/README.md", "tests/interop/README.md",
                                  "docker/README.md", "proxy/PROTOCOL.md", "CHANGELOG.md"])
def test_paths_exist(name):
    """Links, and paths of the tree that stand in backquotes."""
    text = (ROOT / name).read_text()
    here = (ROOT / name).parent
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in link]
    paths = re.findall(r"`((?:proxy|tests|conf|docker|certs)/[\w./-]+)`", text)
    missing = [link for link in links if not (here / link).exists()]
    missing += [path for path in paths if not (ROOT / path).exists()]
    assert not missing


def test_reasons():
    """Each reason that a line `call` may have is explained, and no other (those that are refused at
    once have lines of their own)."""
    source = (ROOT / "proxy/call/reason.c").read_text()
    reasons = set(re.findall(r'\[REASON_\w+\] = \{"([a-z-]+)"', source)) - {"none", "address-denied",
                                                                        "limit"}
    chapter = README.split("## What bad input gets")[1].split("## The log")[0]
    named = set(re.findall(r"`([a-z]+(?:-[a-z]+)+|shutdown)`", chapter)) - {"max-tunnels"}
    assert named == reasons


def test_sections_of_the_protocol():
    """Citations in the sources lead somewhere."""
    sheet = (ROOT / "proxy/PROTOCOL.md").read_text()
    sections = set(re.findall(r"^##+ (\d+(?:\.\d+)?)", sheet, re.M))
    for path in [*ROOT.glob("proxy/*/*.[ch]"), *ROOT.glob("tests/**/*.py")]:
        for cited in re.findall(r"PROTOCOL\.md ((?:\d+(?:\.\d+)?(?:, )?)+)", path.read_text()):
            unknown = set(re.findall(r"\d+(?:\.\d+)?", cited)) - sections
            assert not unknown, f"{path.relative_to(ROOT)}: {unknown}"
