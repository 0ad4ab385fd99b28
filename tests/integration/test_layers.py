"""tests/layers.sh detects each kind of violation: it checks copies of the tree that contain one."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def tree(tmp_path):
    shutil.copytree(ROOT / "proxy", tmp_path / "proxy")
    return tmp_path


def layers(tree):
    done = subprocess.run([ROOT / "tests/layers.sh", tree], capture_output=True, text=True, timeout=60)
    assert done.stderr == ""
    return done.returncode, done.stdout.splitlines()


def include(tree, file, header):
    """Adds the include after the first one, which is the file's own header."""
    path = tree / "proxy" / file
    lines = path.read_text().splitlines(keepends=True)
    first = next(i for i, line in enumerate(lines) if line.startswith("#include"))
    lines.insert(first + 1, f'#include {header}\n')
    path.write_text("".join(lines))


def test_the_tree_is_as_it_should_be(tree):
    assert layers(tree) == (0, ["layers: ok"])


@pytest.mark.parametrize("file", ["net/worker.c", "net/worker.h"])
def test_a_circle_of_files(tree, file):
    """stream.c uses the worker: a worker that uses a stream, in its header or not, closes a circle."""
    include(tree, file, '"net/stream.h"')
    code, said = layers(tree)
    assert code == 1 and said
    assert all(line.startswith("proxy/net: a circle of files: ") for line in said)
    paths = [line.rpartition(": ")[2].split(" -> ") for line in said]
    for path in paths:
        assert path[0] == path[-1] and len(path) > 2
        assert all((tree / "proxy" / name).is_file() for name in path)
    assert any({"net/stream.c", "net/worker.c"} <= set(path) for path in paths)


def test_a_room_that_is_too_large(tree):
    (tree / "proxy/site/site.h").open("a").write("/* */\n" * 20000)
    code, said = layers(tree)
    assert code == 1 and len(said) == 1
    assert said[0].startswith("proxy/site: ") and said[0].endswith(" lines of proxy/, more than 15 %")


def test_includes_that_are_not_allowed(tree):
    wrong = {
        "call/call.c": ("<uv.h>", "call does not include <uv.h>"),
        "net/dial.c": ('"call/call.h"', 'net does not include "call/call.h"'),
        "net/stream.c": ('"dial.h"', '"dial.h": included without its room'),
        "wire/ppp.c": ("<stdio.h>", "wire does not include <stdio.h>"),
        "wire/sstp.c": ('"base/log.h"', 'wire does not include "base/log.h"'),
    }
    for file, (header, _) in wrong.items():
        include(tree, file, header)
    code, said = layers(tree)
    assert code == 1
    assert [re.sub(r":\d+: ", ": ", line) for line in said] == \
        [f"proxy/{file}: {message}" for file, (_, message) in wrong.items()]


def test_the_own_header_comes_first(tree):
    path = tree / "proxy/net/dial.c"
    path.write_text('#include "net/worker.h"\n' + path.read_text())
    code, said = layers(tree)
    assert code == 1
    assert said == ['proxy/net/dial.c:1: the first include of a .c must be its own header, "net/dial.h"']


def test_functions_that_must_not_be_called(tree):
    (tree / "proxy/net/dial.c").open("a").write("""
    /* sprintf(out, text); */
    puts("sprintf(out)");
    snprintf(out, n, text);
    sprintf(out, text);
""")
    code, said = layers(tree)
    assert code == 1 and len(said) == 1
    assert said[0].endswith(": sprintf(): use snprintf, which takes the size")


def test_a_room_that_is_not_in_the_table(tree):
    (tree / "proxy/attic").mkdir()
    (tree / "proxy/attic/old.h").write_text("\n")
    code, said = layers(tree)
    assert code == 1
    assert said == ["proxy/attic/old.h:1: the room attic is not in the table of tests/layers.sh"]
