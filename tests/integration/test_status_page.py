"""The status page that a gate serves, in headless chromium: its data, and its actions. tests/page has the rest."""

import pytest

from peers import mschap
from peers.client import CallFailed
from page.browser import Browser, Page
from test_shared import redis, up  # noqa: F401
from test_shared_tunnels import known, process

TOKEN = "a token of 24 bytes, say"
NAME = '<img src=x onerror="window.pwned = 1">'


@pytest.fixture
def browser():
    browser = Browser()
    yield browser
    browser.close()


def texts(page, selector):
    return page.run(f"[...document.querySelectorAll({selector!r})].map((node) => node.textContent)")


def confirm(page, label):
    page.wait("dialog.open")
    page.run(f"[...dialog.querySelectorAll('button')].find((button) => button.textContent === {label!r}).click()")


def test_the_page_shows_and_acts(bench, browser):
    token = bench.place.folder / "status-token"
    token.touch(mode=0o600)
    token.write_text(TOKEN + "\n")
    gate = bench.gate(bench.backend(), gate={"status": "127.0.0.1:0", "status-token-file": token.name})
    client = bench.client(gate).establish()
    refused = bench.client(gate, user=NAME, password="wrong")
    with pytest.raises(CallFailed):
        refused.establish()
    refused.close()
    gate.wait_call(0)
    page = Page(browser, "http://%s:%d/" % gate.address("status"))
    page.wait("loaded !== null && tunnels.items.length === 1 && failures.items.length === 1")
    assert texts(page, "#tunnels tbody button.link") == ["alice"] and texts(page, "#state") == ["Serving"]
    assert texts(page, "#listeners tbody button") == ["front"] and len(texts(page, "#servers tbody tr")) == 1
    assert NAME in page.run("document.querySelector('#failures').textContent")
    words = texts(page, "#failures tbody td:nth-child(2) span")[0]
    assert len(words.split()) > 3, words
    for section in ("tunnels", "failures", "listeners"):
        page.run(f"document.querySelector('#{section} tbody button').click()")
        shown = page.run("dialog.innerText")
        assert "undefined" not in shown and "NaN" not in shown, shown
        page.run("dialog.close()")
    assert page.problems() == [] and page.run("typeof window.pwned") == "undefined"

    # A wrong token is refused, the right one ends the tunnel, and the log says so.
    page.run("document.querySelector('#tunnels tbody .row').click()")
    page.type("another")
    confirm(page, "End tunnel")
    page.wait("document.getElementById('dialog-error').textContent.includes('refused this: the token is wrong')")
    client.ping()
    page.type(TOKEN)
    confirm(page, "End tunnel")
    client.wait_end()
    page.wait("!dialog.open && !busy && tunnels.items.length === 0")
    gate.wait_log("info end by=status ")

    page.run("document.getElementById('ban').click()")
    page.type("192.0.2.0/24")
    confirm(page, "Ban")
    page.wait("!dialog.open && bans.items.length === 1")
    assert texts(page, "#bans tbody tr > :first-child > :first-child") == ["192.0.2.0/24"]
    page.run("document.querySelector('#bans tbody .row').click()")
    confirm(page, "Unban")
    page.wait("!dialog.open && bans.items.length === 0")
    for action, label, shown in (("servers", "Drain", "Draining"), ("servers", "Resume", "Up")):
        page.run(f"document.querySelector('#{action} tbody .row').click()")
        confirm(page, label)
        page.wait(f"!dialog.open && document.querySelector('#servers .mark').textContent === {shown!r}")
    page.run("document.getElementById('reload').click()")
    confirm(page, "Reload")
    page.wait("!dialog.open")
    assert [text for text in page.problems() if "403" not in text] == []


def test_the_page_of_one_gate_shows_and_ends_tunnels_of_others(bench, redis, browser):
    """A hostile name of a user at another gate is text, and its tunnel ends with a button of this page."""
    token = bench.place.folder / "status-token"
    token.touch(mode=0o600)
    token.write_text(TOKEN + "\n")
    name = "<script>window.pwned = 1</script>"
    users = bench.place.folder / "hostile-users"
    users.touch(mode=0o600)
    users.write_text("".join(f"{user}:{mschap.hash_hash('sesame').hex()}\n" for user in ("alice", name)))
    server = bench.backend(users={"alice": "sesame", name: "sesame"})
    gates = known([up(bench.gate(server, backend={"users_file": users.name}, gate={
        "admin": f"unix:page-{n}.sock", "shared": redis.url, "shared_name": f"gate{n}", "status": "127.0.0.1:0",
        "status-token-file": token.name})) for n in range(2)])
    here = bench.client(gates[0]).establish()
    there = bench.client(gates[1], user=name, password="sesame").establish()
    page = Page(browser, "http://%s:%d/" % gates[0].address("status"))
    page.wait("loaded !== null && tunnels.items.length === 2 && gates.items.length === 2")
    assert sorted(texts(page, "#tunnels tbody button.link")) == sorted(["alice", name])
    assert sorted(texts(page, "#tunnels td.several")) == sorted(process(gate) for gate in gates)
    assert texts(page, "#notices li") == [] and page.run("typeof window.pwned") == "undefined"
    page.run("tunnels.form.elements.search.value = 'script'; tunnels.filter()")
    page.run("document.querySelector('#tunnels tbody .row').click()")
    page.type(TOKEN)
    confirm(page, "End tunnel")
    there.wait_end()
    page.wait("!dialog.open && !busy && tunnels.items.length === 1")
    assert page.run("document.getElementById('say').textContent") == "1 ended at another gate"
    here.ping()
    gates[1].pause()
    try:
        page.run("refresh()")
        page.wait("!busy && tunnels.items.length === 1 && document.querySelector('#notices li') !== null")
        assert "no answer" in texts(page, "#notices li")[0]
    finally:
        gates[1].resume()
    assert page.problems() == []
