"""The documents are true: keys, links, paths, rooms, reasons, tests, and every configuration."""

import base64
import importlib.util
import os
import platform
import re
import shutil
import subprocess
import unicodedata
from pathlib import Path

import pytest

from gate import BINARY, ROOT, run
from peers import mschap
from peers.tls import DEADLINE
from test_reload import country_database

README = (ROOT / "README.md").read_text()
GUIDE = (ROOT / "conf/README.md").read_text()
OPERATION = (ROOT / "conf/OPERATION.md").read_text()
TROUBLESHOOTING = (ROOT / "conf/TROUBLESHOOTING.md").read_text()
ROOMS = dict(re.findall(r"^\| `proxy/(\S+?)/?` \|.*\| (.*?) ?\|$",
                        (ROOT / "proxy/README.md").read_text(), re.M))
DOCUMENTS = sorted(str(path.relative_to(ROOT)) for path in ROOT.rglob("*.md")
                   if path.relative_to(ROOT).parts[0] not in ("build", ".git"))
SAMPLE = "conf/sstpgate.conf"
HEADER = re.compile(r";?\[(\w+)")
KEY = re.compile(r";?([a-z][a-z0-9-]*) = ")


def keys_of(text):
    """Returns {(section, key)}. In the sample ";key = value" shows a key, "; text" is a comment."""
    found, section = set(), None
    for line in text.splitlines():
        if match := HEADER.match(line):
            section = match[1]
        elif match := KEY.match(line):
            found.add((section, match[1]))
    return found


def chapter(text, heading):
    """Returns the text below a heading, up to the next heading of the same or a higher level."""
    level = re.search(rf"^(#+) {re.escape(heading)}$", text, re.M)
    return re.split(rf"^#{{1,{len(level[1])}}} ", text[level.end():], flags=re.M)[0]


def sources(pattern):
    """Returns the text of all matching sources, in any room."""
    found = sorted((ROOT / "proxy").glob(pattern))
    assert found, pattern
    return "\n".join(path.read_text() for path in found)


def example():
    """Returns the ten lines of README."""
    blocks = re.findall(r"^```ini\n(.*?)^```", README, re.M | re.S)
    assert len(blocks) == 1
    return blocks[0]


@pytest.fixture(scope="module")
def reference():
    return keys_of(run("--keys").stdout)


def mistakes(text):
    """Returns the output of -t, without the warnings about the machine that runs it."""
    return [line for line in text.splitlines()
            if not re.search("warning: .*(this machine does not have|this machine has no|its directory)", line)]


def test_sample_has_every_key(reference):
    sample = keys_of((ROOT / SAMPLE).read_text())
    assert not reference - sample, f"missing in {SAMPLE}"
    assert not sample - reference, f"only in {SAMPLE}"


@pytest.mark.parametrize("name", ["README.md", "conf/README.md", "conf/OPERATION.md", "conf/demo.ini",
                                  "docker/README.md"])
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
    assert (done.returncode, mistakes(done.stderr)) == (0, [])


def test_sample_is_valid(tmp_path, place):
    shutil.copy(ROOT / SAMPLE, tmp_path)
    shutil.copy(place.front.both, tmp_path / "vpn.pem")
    shutil.copy(place.users, tmp_path / "users")
    done = run("-t", "-c", tmp_path / Path(SAMPLE).name)
    assert (done.returncode, mistakes(done.stderr)) == (0, [])


def test_rooms():
    """The table of proxy/README.md has the directories of proxy/ and the permissions of tests/layers.sh."""
    tree = {path.name for path in (ROOT / "proxy").iterdir() if path.is_dir()}
    assert set(ROOMS) == tree | {"main.c"}
    table = re.search(r"^rooms='\n(.*?)'", (ROOT / "tests/layers.sh").read_text(), re.M | re.S)[1]
    held = {name: words for name, *words in map(str.split, table.splitlines())}
    assert {name.removesuffix(".c"): words.split() for name, words in ROOMS.items()} == held


def anchors_of(text):
    """Returns the anchors of the headings, as GitHub builds them."""
    text = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")
            for heading in re.findall(r"^#+ (.*)$", text, re.M)}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_paths_exist(name):
    """Relative links with their anchors, and files of the tree in backquotes."""
    text = (ROOT / name).read_text()
    here = (ROOT / name).parent
    missing = []
    for link in re.findall(r"\]\(([^)]+)\)", text):
        path, _, anchor = link.partition("#")
        if "://" in link:
            continue
        target = here / path if path else ROOT / name
        if not target.exists() or anchor and anchor not in anchors_of(target.read_text()):
            missing.append(link)
    paths = re.findall(r"`((?:proxy|tests|conf|docker|certs)/[\w./-]+)`", text)
    missing += [path for path in paths if not (ROOT / path).exists()]
    # shorter ones start in the directory of the document, in proxy/ or in tests/
    files = re.findall(r"`(\w[\w-]*(?:/[\w.-]+)+\.(?:c|h|py|sh|md|conf))`", text)
    starts = (ROOT, here, ROOT / "proxy", ROOT / "tests")
    missing += [path for path in files if not path.startswith("build/")
                and not any((start / path).exists() for start in starts)]
    assert not missing


@pytest.mark.parametrize("name", DOCUMENTS)
def test_no_path_of_a_machine(name):
    assert not re.findall(r"(?<![\w.])/(?:home|root|work)/\S*", (ROOT / name).read_text())


def test_readme_is_short():
    """It leads to the other documents; its first rows are those that most readers need."""
    assert len(README.splitlines()) <= 200
    rows = re.findall(r"^\| (.*?) \| (.*) \|$", README.split("| You want to | Read |")[1], re.M)
    assert [want for want, _ in rows[:3]] == ["do what KB 947028 says",
                                               "find out why a call failed",
                                               "run it in a container"]
    assert "**Status: never run against a Windows client or RRAS**" in README
    linked = {link.partition("#")[0] for link in re.findall(r"\]\(([^)]+)\)", README)}
    assert {"conf/README.md", "conf/OPERATION.md", "conf/TROUBLESHOOTING.md", "RECIPES.md",
            "SECURITY.md", "CONTRIBUTING.md", "CHANGELOG.md", "LICENSE", "proxy/README.md",
            "proxy/PROTOCOL.md", "tests/README.md", "tests/bench/README.md",
            "docker/README.md"} <= linked


def guide():
    """Returns the configurations of the guide, with their headings."""
    for part in re.split(r"^##+ ", GUIDE, flags=re.M)[1:]:
        for number, block in enumerate(re.findall(r"^```ini\n(.*?)^```", part, re.M | re.S)):
            yield pytest.param(block, id=f"{part.splitlines()[0]} {number + 1}")


def completed(text, folder):
    """Returns a part of a configuration with the sections and keys that it needs to be valid."""
    text = re.sub(r"/(?:etc|var/lib)/sstpgate/", f"{folder}/", text)
    sections = {}
    for part in re.split(r"^(?=\[)", text, flags=re.M)[1:]:
        header, _, body = part.partition("\n")
        sections[header] = body
    names = re.findall(r"^(?:use-backend|fallback|backend) = (\S+)", text, re.M)
    for header in ("[listener public]", "[backend rras]", *(f"[backend {name}]" for name in names)):
        sections.setdefault(header, "")
    if "country" in text:
        (folder / "country.mmdb").write_bytes(country_database("DE"))
        sections["[gate]"] = "country-file = country.mmdb\n"
    keys = {"listener": {"listen": "127.0.0.1:443", "certificate": "vpn.pem", "backend": "rras"},
            "backend": {"verify": "off", "users-file": "users"}}
    for number, header in enumerate(sections):
        for key, value in {"server": f"10.1.0.{number}", **keys["backend"]}.items() \
                if header.startswith("[backend") else keys.get(header[1:].split()[0], {}).items():
            if not re.search(rf"^{key} = ", sections[header], re.M):
                sections[header] += f"{key} = {value}\n"
    return "".join(f"{header}\n{body}" for header, body in sections.items())


@pytest.mark.parametrize("text", guide())
def test_guide_is_valid(tmp_path, place, text):
    """Without an error. Warnings are allowed: rules of an example may never be reached."""
    shutil.copy(place.front.both, tmp_path / "vpn.pem")
    shutil.copy(place.users, tmp_path / "users")
    shutil.copy(place.ca.cert, tmp_path / "ca.pem")
    (tmp_path / "blocked.txt").write_text("192.0.2.0/24\n")
    for name in ("vpn.secret", "nps.secret", "status-token", "store.secret", "sentinel.secret"):
        (tmp_path / name).touch(mode=0o600)
        (tmp_path / name).write_text("a secret of some length\n")
    config = tmp_path / "sstpgate.conf"
    config.write_text(completed(text, tmp_path))
    done = run("-t", "-c", config)
    assert done.returncode == 0, done.stderr


def test_each_source_has_its_test():
    """A unit test of its own, or a row of tests/README.md that names the one that tests it."""
    rows = re.findall(r"^\| (`.*`) \| (.*) \|$",
                      chapter((ROOT / "tests/README.md").read_text(),
                              "Files without a unit test of their own"), re.M)
    named = {name for files, _ in rows for name in re.findall(r"`([\w.]+)`", files)}
    tests = {path.stem for path in (ROOT / "tests/unit").rglob("test_*.c")}
    tree = {path.name for path in (ROOT / "proxy").rglob("*.c")}
    assert named == {name for name in tree if f"test_{name.removesuffix('.c')}" not in tests}
    for _, where in rows:
        assert all((ROOT / "tests" / path).exists() for path in re.findall(r"`(\w+/\S+)`", where))


# -- manual pages --

def groff(page):
    """Returns the page as text; groff must not warn about it."""
    done = subprocess.run(["groff", "-mandoc", "-ww", "-Tutf8", "-P-cbou"], input=page, text=True,
                          capture_output=True, check=True)
    assert done.stderr == ""
    return done.stdout


def letters_of(text):
    """Returns its letters and digits, which do not depend on line breaks."""
    return re.sub(r"[^a-z0-9]", "", text.lower())


def make_conf_page(folder, keys):
    (folder / "keys").write_text(keys)
    return subprocess.run([ROOT / "conf/man/make-conf-page", folder / "keys",
                           ROOT / "conf/man/sstpgate.conf.5.in"], capture_output=True, text=True)


def test_conf_page_has_every_key(tmp_path, reference):
    """Each in its section, with all that the table says about it."""
    keys = run("--keys").stdout
    done = make_conf_page(tmp_path, keys)
    assert (done.returncode, done.stderr) == (0, "")
    chapter = groff(done.stdout).split("\nKEYS\n")[1].split("\nRULES\n")[0]
    parts = re.split(r"^ +\[(\w+).*\]$", chapter, flags=re.M)
    lines = [(section, indent, key) for section, text in zip(parts[1::2], parts[2::2])
             for indent, key in re.findall(r"^( +)([a-z][a-z0-9-]*) += ", text, re.M)]  # groff fills lines
    least = min(indent for _, indent, _ in lines)  # groff 1.22 has 5 blanks, 1.23 has 7
    assert {(section, key) for section, indent, key in lines if indent == least} == reference
    letters = letters_of(chapter)
    for line in keys.splitlines():
        assert line.startswith("[") or letters_of(line) in letters, line


def test_conf_page_has_every_condition():
    """Every condition of the table of rules; and every key that the page names exists."""
    page = (ROOT / "conf/man/sstpgate.conf.5.in").read_text()
    table = set(re.findall(r'^ +\{"([a-z-]+)", [A-Z_]+, ', sources("policy/rules*.c"), re.M))
    shown = {word.replace("\\-", "-") for word in re.findall(r"^\.It Li ([a-z\\-]+)", page, re.M)}
    assert {"file", "any", "time"} <= table and table == shown
    keys = {key for _, key in keys_of(run("--keys").stdout)} | {"gate", "listener", "backend"}
    spoken = {word.replace("\\-", "-") for line in re.findall(r"^\.(?:Bq )?Ic (.*)$", page, re.M)
              for word in re.findall(r"[a-z][a-z0-9\\-]+", line.split(" Ar ")[0].split(" Li ")[0])}
    assert spoken <= keys


@pytest.mark.parametrize("keys", ["", "[gate]\n", "[gate]\nnonsense\n",
                                  "[other]\na = B\n    Help.\n    default: none\n"])
def test_conf_page_is_whole_or_not_made(tmp_path, keys):
    done = make_conf_page(tmp_path, keys)
    assert done.returncode != 0 and "make-conf-page: " in done.stderr


def test_conf_page_example_is_valid(tmp_path, place):
    page = (ROOT / "conf/man/sstpgate.conf.5.in").read_text()
    example = re.search(r"^\.Bd -literal.*?\n(.*?)^\.Ed", page, re.M | re.S)[1]
    config = tmp_path / "sstpgate.conf"
    config.write_text(example.replace("\\-", "-"))
    shutil.copy(place.front.cert, tmp_path / "vpn.pem")
    shutil.copy(place.front.key, tmp_path / "vpn.key")
    shutil.copy(place.users, tmp_path / "users")
    done = run("-t", "-c", config)
    assert (done.returncode, mistakes(done.stderr)) == (0, [])


RECIPES = (ROOT / "RECIPES.md").read_text()


def recipes():
    """Returns the configurations of RECIPES.md, each with its heading."""
    for chapter in re.split(r"^## ", RECIPES, flags=re.M)[1:]:
        blocks = re.findall(r"^```ini\n(.*?)^```", chapter, re.M | re.S)
        for number, block in enumerate(blocks):
            yield pytest.param(block, id=f"{chapter.splitlines()[0]} {number + 1}")


@pytest.mark.parametrize("text", recipes())
def test_recipe_is_valid(tmp_path, place, text):
    """Without an error and without a warning."""
    files = dict(re.findall(r"^(certificate|key|users-file|secret-file|server-secret-file|shared-password-file|"
                            r"shared-secret-file|ca-file) = (\S+)$", text, re.M))
    secret = tmp_path / "secret"
    secret.touch(mode=0o600)
    secret.write_text("a secret of at least thirty-two bytes\n")
    sources = {"certificate": place.front.cert, "key": place.front.key, "users-file": place.users,
               "ca-file": place.ca.cert}
    for key, name in files.items():
        shutil.copy(sources.get(key, secret), tmp_path / name)
    config = tmp_path / "sstpgate.conf"
    config.write_text(text)
    done = run("-t", "-c", config)
    assert (done.returncode, mistakes(done.stderr)) == (0, [])


def test_recipes_lead_somewhere():
    """Each kind of server that README names has a chapter, and no link is broken."""
    headings = re.findall(r"^## (.*)$", RECIPES, re.M)
    anchors = {re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    assert set(re.findall(r"\]\(#([^)]+)\)", RECIPES)) <= anchors
    assert len(list(recipes())) >= 10
    for path in re.findall(r"\]\(([A-Za-z/]+\.md)", RECIPES):
        assert (ROOT / path).exists()


def script(name):
    """Returns a script of RECIPES.md by the first word of its comment."""
    return next(block for block in re.findall(r"^```sh\n(.*?)^```", RECIPES, re.M | re.S)
                if block.splitlines()[1].startswith(f"# {name}"))


def base64_hash(password):
    return base64.b64encode(mschap.nt_hash(password)).decode()


EXPORTS = {
    "samba-nt-hashes": ("samba-tool", """#!/bin/sh
case "$1 $2 $3" in
"group listmembers vpn") printf '%s\\n' alice 'bob smith' nobody ;;
"user getpassword alice") printf 'dn: CN=alice,DC=x\\nunicodePwd:: ALICE\\n\\nGot password OK\\n' ;;
"user getpassword bob smith") printf 'dn: CN=bob smith,DC=x\\nunicodePwd:: BOB\\n\\nGot password OK\\n' ;;
*) echo "ERROR: no such user" >&2; exit 255 ;;
esac
""", "vpn"),
    "ipa-nt-hashes": ("ldapsearch", """#!/bin/sh
printf 'dn: uid=alice,cn=users\\nuid: alice\\nipaNTHash:: ALICE\\n\\n'
printf 'dn: uid=none,cn=users\\nuid: none\\n\\n'
printf 'dn: uid=b,cn=users\\nipaNTHash:: BOB\\nuid: bob smith\\n\\n'
""", "cn=users"),
}


@pytest.mark.parametrize("name", EXPORTS)
def test_exports_of_nt_hashes(tmp_path, name):
    """The scripts, with programs that print what the real ones do; the users are imported with an end."""
    program, text, argument = EXPORTS[name]
    text = text.replace("ALICE", base64_hash("sesame")).replace("BOB", base64_hash("pässword"))
    for file, content in ((program, text), (name, script(name))):
        (tmp_path / file).write_text(content)
        (tmp_path / file).chmod(0o755)
    export = re.search(r"sstpgate user .*--until .*", script("export-vpn-users"))[0]
    users = tmp_path / "users"
    export = export.replace("/etc/sstpgate/users", str(users)).replace("sstpgate", str(BINARY), 1)
    done = subprocess.run(["sh", "-c", f"{name} {argument} | {export}"], capture_output=True, text=True,
                          timeout=DEADLINE, env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"})
    assert done.returncode == 0 and "2 added" in done.stderr, done.stderr
    lines = [line.rsplit(":", 1) for line in users.read_text().splitlines()]
    assert [line[0] for line in lines] == [f"alice:{mschap.hash_hash('sesame').hex()}",
                                           f"bob smith:{mschap.hash_hash('pässword').hex()}"]
    assert all(re.fullmatch(r"20\d\d-\d\d-\d\d", line[1]) for line in lines)


def test_encrypted_secrets_of_accel_ppp(tmp_path):
    """The line of the recipe, with files of the test."""
    line = re.search(r"^sstpgate .*--encrypted 1 .*$", RECIPES, re.M)[0]
    secrets, users = tmp_path / "chap-secrets", tmp_path / "users"
    secrets.write_text("# client server secret\n"
                       f'"alice" * {mschap.nt_hash("sesame").hex()} 10.0.0.2\n')
    line = line.replace("/etc/ppp/chap-secrets", str(secrets)).replace("/etc/sstpgate/users", str(users))
    line = line.replace("sstpgate", str(BINARY), 1)
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, timeout=DEADLINE)
    assert done.returncode == 0, done.stderr
    assert users.read_text() == f"alice:{mschap.hash_hash('sesame').hex()}\n"


def test_program_page_is_complete():
    """It has all options, sub-commands, and commands of the admin socket."""
    text = groff((ROOT / "conf/man/sstpgate.8").read_text())
    usage = run("-h").stdout
    options = set(re.findall(r"(?<![\w-])--?[a-zA-Z][a-z-]*", usage))
    commands = set(re.findall(r"sstpgate ([a-z]+)", usage))
    admin = set(re.findall(r'\[ADMIN_[A-Z_]+\] =\s+\{"([a-z-]+)"', sources("*/admin*.c")))
    assert {"-c", "--keys"} <= options and {"ctl", "user"} <= commands and "unban" in admin
    # each is at the start of a line, or follows another name of the same thing
    shown = set(re.findall(r"^ +(?:sstpgate )?(-{0,2}[a-zA-Z][a-z-]*)", text, re.M))
    shown |= set(re.findall(r", (--[a-z-]+)", text))
    assert options | commands | admin <= shown


def reasons_of_calls():
    return set(re.findall(r'\[REASON_\w+\]\s*=\s*\{\s*(?:\.\w+\s*=\s*)?"([a-z-]+)"',
                          sources("call/reason.c"))) - {"none"}


@pytest.mark.parametrize("document", [d for d in DOCUMENTS if d != "CHANGELOG.md"])
def test_keys_that_documents_name_exist(document, reference):
    """Checks the keys of limits and timeouts only, because other keys look like ordinary words."""
    text = (ROOT / document).read_text()
    named = set(re.findall(r"`((?:max|timeout)-[a-z-]+)`", text))
    named |= {key.replace("_", "-") for key in re.findall(r'bench\.gate\([^)]*?\{"([a-z_]+)":', text)}
    assert not named - {key for _, key in reference} - reasons_of_calls()


def test_reasons():
    """Each reason that a line `call` may have is explained, and no other (those that are refused at
    once have lines of their own)."""
    reasons = reasons_of_calls() - {"address-denied", "limit"}
    words = set(re.findall(r"`([a-z]+(?:-[a-z]+)*)`", chapter(OPERATION, "What bad input gets")))
    named = {word for word in words if "-" in word or word in reasons} - {"max-tunnels"}
    assert not reasons - named, "missing in OPERATION.md, What bad input gets"
    assert not named - reasons, "in OPERATION.md, What bad input gets, but not a reason"


def test_reasons_have_a_remedy():
    """Each reason is a row of TROUBLESHOOTING.md, with cause and remedy; none is there twice."""
    rows = re.findall(r"^\| (`.*?) \| (.+?) \| (.+?) \|$", chapter(TROUBLESHOOTING, "Reasons"), re.M)
    words = [word for first, _, _ in rows for word in re.findall(r"`([a-z-]+)`", first)]
    assert not reasons_of_calls() - set(words), "missing in TROUBLESHOOTING.md, Reasons"
    assert not set(words) - reasons_of_calls() - {"reason"}, "in TROUBLESHOOTING.md, but not a reason"
    assert len(words) - words.count("reason") == len(reasons_of_calls())


def test_reasons_that_cost_points_are_bad():
    """fail2ban counts the reasons for which the gate itself gives points."""
    paid = set(re.findall(r'"([a-z-]+)"[^\[]*?PAYS\}', sources("call/reason.c")))
    assert "early-data" in paid
    listed = (ROOT / "conf/fail2ban/filter.d/sstpgate.conf").read_text()
    bad = re.search(r"^_bad = (.*(?:\n .*)*)", listed, re.M)[1]
    assert not {reason for reason in paid if not re.search(rf"\b{reason}\b", bad)}, "missing in _bad"


def test_events_are_named():
    """Every event of the log that the sources name is in OPERATION.md."""
    events = set(re.findall(r'LOG_LEVEL_\w+,\s*"([a-z-]+)"', sources("*/*.c")))
    assert {"deny", "binding-mac", "stop"} <= events
    assert events <= set(re.findall(r"`([a-z-]+)`", chapter(OPERATION, "The log"))) | {"call"}


def test_sections_of_the_protocol():
    """The sections that sources cite exist."""
    sheet = (ROOT / "proxy/PROTOCOL.md").read_text()
    sections = set(re.findall(r"^##+ (\d+(?:\.\d+)?)", sheet, re.M))
    for path in [*ROOT.glob("proxy/*/*.[ch]"), *ROOT.glob("tests/**/*.py")]:
        for cited in re.findall(r"PROTOCOL\.md ((?:\d+(?:\.\d+)?(?:, )?)+)", path.read_text()):
            unknown = set(re.findall(r"\d+(?:\.\d+)?", cited)) - sections
            assert not unknown, f"{path.relative_to(ROOT)}: {unknown}"


PROMISES = (ROOT / "SECURITY.md").read_text().split("## Promises and their tests")[1]


@pytest.mark.parametrize("row", re.findall(r"^\| (?!Promise|---)(.*) \|$", PROMISES, re.M),
                         ids=lambda row: row.split(" | ")[0].replace(" ", "-"))
def test_promises(row):
    """Each promise of SECURITY.md names a mechanism, files that exist, and tests that exist."""
    promise, mechanism, files, tests = row.split(" | ")
    named = re.findall(r"`([^`]+)`", tests)
    assert promise and mechanism and named
    for path in re.findall(r"`([^`]+)`", files):
        assert (ROOT / path).is_file(), path
    for test in named:
        path, _, name = test.partition("::")
        source = (ROOT / path).read_text()
        assert not name or re.search(rf"^(def|static void) {name}\(", source, re.M), test


def test_fold_table():
    """The table is the output of its generator, except for characters that are newer than the table."""
    path = ROOT / "proxy/base/fold_table.py"
    spec = importlib.util.spec_from_file_location("fold_table", path)
    generator = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generator)
    text = path.with_suffix(".h").read_text()
    rows = [tuple(int(word, 0) for word in row)
            for row in re.findall(r"\{(0x\w+), (0x\w+), (\d), (-?\d+)\}", text)]
    expand = lambda rows: {code: code + distance for first, last, step, distance in rows
                           for code in range(first, last + 1, step)}
    have, want = expand(rows), expand(generator.ranges())
    assert rows == sorted(rows) and len(have) > 1300
    assert have.items() <= want.items()
    if f"Unicode {unicodedata.unidata_version}." in text:
        assert have == want


# -- the scripts that make a Debian --

@pytest.mark.parametrize("script", [["debian-sources", "trixie"], ["fresh-debian", "target"],
                                    ["install-from-bookworm", "package"]], ids=lambda words: words[0])
def test_sources_are_those_of_the_machine(tmp_path, script):
    """Where apt has none of Debian, the scripts say so instead of naming a mirror."""
    apt = tmp_path / "apt-get"
    apt.write_text("#!/bin/sh\n")
    apt.chmod(0o755)
    done = subprocess.run([ROOT / "tests" / script[0], *script[1:]], capture_output=True, text=True,
                          cwd=tmp_path, env={"PATH": f"{tmp_path}:/usr/sbin:/usr/bin:/sbin:/bin"},
                          timeout=DEADLINE)
    assert done.returncode == 1 and done.stdout == ""
    assert "FAIL: this machine's apt has no suite of Debian 12 or 13" in done.stderr
    assert not (tmp_path / "target").exists()


def test_sources_have_both_releases(tmp_path):
    """A mirror of one release has the other, too."""
    apt = tmp_path / "apt-get"
    apt.write_text("#!/bin/sh\nprintf 'deb http://mirror.test/debian bookworm%s main\\n' '' -updates\n")
    apt.chmod(0o755)
    for release in ("bookworm", "trixie"):
        done = subprocess.run([ROOT / "tests/debian-sources", release], capture_output=True, text=True,
                              env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, timeout=DEADLINE)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.splitlines() == [f"deb http://mirror.test/debian {release} main",
                                            f"deb http://mirror.test/debian {release}-updates main"]


def test_packages_of_debian_are_those_of_deps():
    listed = subprocess.run([ROOT / "tests/deps", "list", "build"], capture_output=True, text=True,
                            check=True, timeout=DEADLINE).stdout.split()
    shown = re.search(r"`apt-get install ([^`]*)`", (ROOT / "conf/OPERATION.md").read_text())[1].split()
    if platform.machine() != "x86_64":
        shown.remove("libipsec-mb-dev")
    assert shown == listed


def test_versions_agree():
    """That of the program, of the package, and of the newest section of the CHANGELOG."""
    found = [re.search(pattern, (ROOT / name).read_text(), re.M)[1] for name, pattern in (
        ("Makefile", r"^VERSION := (\S+)$"), ("debian/changelog", r"^sstpgate \((\S+)\) "),
        ("CHANGELOG.md", r"^## ([0-9.]+) "))]
    assert len(set(found)) == 1, found
