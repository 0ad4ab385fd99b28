"""The status page in headless chromium, with a status listener of Python: what it shows, whether it can be used,
and what it costs. `integration/test_status_page.py` opens the page of the program."""

import re
from pathlib import Path

import pytest

import axe as checker
from server import FILES, TOKEN, Data

PICTURES = Path(__file__).resolve().parents[2] / "build/page"
SCHEMES = pytest.mark.parametrize("scheme", ["light", "dark"])
WIDTHS = pytest.mark.parametrize("width", [1440, 390])

# Names that a client can send, and their text on the page.
HOSTILE = {
    "<script>window.pwned = 1</script>": "<script>window.pwned = 1</script>",
    '"><img src=x onerror="window.pwned = 1">': '"><img src=x onerror="window.pwned = 1">',
    "'><svg onload=window.pwned=1>": "'><svg onload=window.pwned=1>",
    "javascript:window.pwned=1//": "javascript:window.pwned=1//",
    "&lt;b&gt;": "&lt;b&gt;",
    "${window.pwned = 1}": "${window.pwned = 1}",
    "__proto__": "__proto__",
    "admin\u202egpj.exe": "admin\\u{202e}gpj.exe",
    "\u2067\u2066isolates": "\\u{2067}\\u{2066}isolates",
    "nul\0 and \x1b[31m": "nul\\u{0} and \\u{1b}[31m",
    "lines\u2028and\u2029more\r\n": "lines\\u{2028}and\\u{2029}more\\u{d}\\u{a}",
    "zero\u200bwidth\ufeff": "zero\\u{200b}width\\u{feff}",
    "lone\ud800surrogate": "lone\\u{d800}surrogate",
    "tag\U000e0041": "tag\\u{e0041}",
    "😀 müller 北京": "😀 müller 北京",
    "שלום עולם": "שלום עולם",
    "W" * 256: "W" * 256,
    "é" * 256: "é" * 256,
    "Z͑ͫ̓ͪ̂ͫ̽͏̴̙̤̞͉͚̯̞̠͍A̴̵̜̰͔ͫ͗͢": None,
}


def force(page):
    """Refreshes the page now."""
    page.wait("!busy")
    page.run("refresh()")


def click(page, label, within="document"):
    page.run(f"""{{
        const node = [...{within}.querySelectorAll("button")]
            .find((b) => b.textContent === {label!r} && b.getClientRects().length);
        node.focus();
        node.click();
    }}""")


def texts(page, selector):
    return page.run(f"[...document.querySelectorAll({selector!r})].map((n) => n.textContent)")


def first_column(page, section):
    return texts(page, f"#{section} tbody tr > :first-child > :first-child")


def visible_text(page):
    return page.run("document.body.innerText").replace("\u00a0", " ")


# ---- look ----

@SCHEMES
@WIDTHS
def test_look(show, scheme, width):
    """Both colour schemes on a phone and a desktop: nothing is wider than the window, and the browser reports no error
    and no violation of the policy. The pictures are in build/page."""
    page, _ = show(width=width, scheme=scheme)
    PICTURES.mkdir(parents=True, exist_ok=True)
    page.picture(PICTURES / f"{scheme}-{width}.png")
    assert page.run("document.documentElement.scrollWidth") == width
    wide = page.run("[...document.querySelectorAll('.box')].filter((b) => b.scrollWidth > b.clientWidth).length")
    assert wide == 0
    dark = page.run("getComputedStyle(document.body).backgroundColor") == "rgb(18, 21, 24)"
    assert dark == (scheme == "dark")
    assert page.problems() == []


@SCHEMES
@WIDTHS
def test_accessible(show, axe, scheme, width):
    """axe-core finds nothing: the page, a dialog of facts, a question, and a page whose gate is gone."""
    page, server = show(width=width, scheme=scheme)

    def check(view):
        result = checker.check(page, axe)
        assert result["violations"] == [], view
        assert "color-contrast" in result["passes"], view

    check("page")
    if (scheme, width) not in (("light", 1440), ("dark", 390)):
        return
    page.run("document.querySelector('#tunnels tbody button').click()")
    check("facts of a tunnel")
    page.run("document.querySelector('#dialog-buttons button').click()")
    check("question")
    page.run("dialog.close()")
    server.broken = True
    force(page)
    check("stale")


def test_nothing_moves(show):
    """There is no animation, so prefers-reduced-motion is obeyed without a rule."""
    page, _ = show()
    click(page, "Drain")
    assert page.run("document.getAnimations().length") == 0
    assert not re.search(r"animation|transition|smooth|@keyframes", (FILES / "page.css").read_text())


def test_what_is_shown(show):
    data = Data()
    data.status["configuration_outdated"] = True
    data.status["reload"] = {"time": data.status["started"], "ok": False, "cause": "line 3: unknown key"}
    data.status["stale_files"] = [{"file": "/etc/sstpgate/users", "reason": "mode 0644"}]
    data.status["dropped_log_lines"], data.status["old_tunnels"] = 2, 1
    page, server = show(data)
    text = visible_text(page)
    for part in ("Serving", "0.2.0", "6 d 4 h", "192 of 20,000", "landlock, seccomp", "9 days left: renew", "63 days",
                 "dry run: rules are not enforced", "connection refused", "for 21 min: connection refused",
                 "The VPN server refused the user's name or password.", "Check the password and the dial-in permission",
                 "198.51.100.0/24", "mallory", "The configuration file has changed", "line 3: unknown key", "mode 0644",
                 "2 lines of the log could not be written", "1 call is left in the processes before the upgrade",
                 "The server \u2068rras/10.20.0.13:443\u2069 is down"):
        assert part in text, part
    data.status["state"] = "draining"
    server.data.listeners[0]["certificate_days"] = -3
    force(page)
    text = visible_text(page)
    assert "Draining" in text and "expired 3 days ago" in text and "refuses new calls" in text
    assert page.run("document.title") == "186 tunnels, draining · sstpgate"


def test_values_are_never_invented(show):
    """An unknown value is a dash, in each column that may be unknown, and not a word of JavaScript."""
    data = Data(3)
    for items, keep in ((data.tunnels, {"id"}), (data.failures, {"id", "time"}),
                        (data.servers, {"backend", "server", "state"}),
                        (data.listeners, {"name", "addresses"}), (data.bans, {"net", "user"})):
        for item in items:
            item.update({key: None for key in item if key not in keep})
    history = data.status["history"]
    history.update({key: [] for key, value in history.items() if isinstance(value, list)})
    data.status["reload"] = data.status["sandbox"] = None
    page, _ = show(data)
    for button in ("#tunnels", "#failures", "#listeners"):
        page.run(f"document.querySelector('{button} tbody button').click()")
        text = visible_text(page)
        assert not re.search(r"null|undefined|NaN|Infinity|\[object", text), text
        page.run("dialog.close()")
    assert page.problems() == []


def test_charts_have_words(show):
    data = Data()
    history = data.status["history"]
    history["tunnels"] = [100] * 100 + [40] + [120] * 258 + [110]
    history["down_bytes"], history["up_bytes"] = [1250000] * 360, [125000] * 359 + [250000]
    history["failures"] = [0] * 354 + [1, 0, 2, 0, 0, 1]
    history["tunnel_seconds"] = [None] * 358 + [0.25, None]
    page, _ = show(data)
    labels = page.run("[...document.querySelectorAll('svg')].map((n) => n.getAttribute('aria-label'))")
    labels = [text.replace("\u00a0", " ") for text in labels]
    assert labels == ["Tunnels in the last hour. now 110, lowest 40, highest 120.",
                      "Throughput in the last hour. down: now 1.00 Mbit/s, lowest 1.00 Mbit/s, highest 1.00 Mbit/s. "
                      "up: now 200 kbit/s, lowest 100 kbit/s, highest 200 kbit/s.",
                      "Failures in a minute in the last hour. now 4, lowest 0, highest 4.",
                      "Time to a tunnel in the last hour. now 250 ms, lowest 250 ms, highest 250 ms."]
    # the last value is at the right, the first one at the left, and a scale of 200 holds 120
    line = page.run("document.querySelector('svg path.first').getAttribute('d')")
    assert line.startswith("M0 50.00") and line.endswith("L359 45.00h0"), line
    page.run("""{
        const box = document.querySelector("svg").getBoundingClientRect();
        const clientX = box.left + box.width * 100 / 359;
        document.querySelector(".plot").dispatchEvent(new PointerEvent("pointermove", {clientX}));
    }""")
    assert texts(page, "figure .axis span:nth-child(2)")[0].endswith("  40")


# ---- hostile values ----

@WIDTHS
def test_hostile_names(show, width):
    """A name of the network is text wherever it is shown, keeps its place, and its invisible characters are
    spelled out."""
    data = Data(len(HOSTILE))
    for i, name in enumerate(HOSTILE):
        for item in (data.tunnels[i], data.failures[i]):
            item.update({key: name for key in ("user", "host", "sni", "client", "detail", "cipher", "method", "reason",
                                               "words", "remedy")})
        data.tunnels[i]["listener"] = data.tunnels[i]["assigned"] = data.tunnels[i]["backend"] = name
    names = list(HOSTILE)
    for i, item in enumerate(data.listeners):
        item["name"], item["backend"], item["addresses"] = names[i], names[i], [names[i]]
    for item in data.certificates:
        item.update(listener=names[0], subject=names[1], names=names, file=names[7])
    data.servers[2].update(backend=names[0], server=names[1], cause=names[7], check=names[2])
    data.bans = [{"net": None, "user": name, "left": 5.0, "cause": "manual"} for name in HOSTILE]
    data.status.update(version=names[1], sandbox=names[7], stale_files=[{"file": names[0], "reason": names[1]}],
                       reload={"time": names[0], "ok": False, "cause": names[16]})
    page, _ = show(data, width=width)
    elements = page.run("document.querySelectorAll('script, img, iframe, object, embed, link, style, base').length")
    assert elements == 3  # the icon, the style and the script of the page itself
    users = first_column(page, "tunnels")
    assert [text for text in HOSTILE.values() if text is not None and text not in users] == []
    for row in range(len(HOSTILE)):
        page.run(f"document.querySelectorAll('#tunnels tbody tr')[{row}].querySelector('button').click()")
        assert page.run("dialog.scrollWidth <= dialog.clientWidth"), row
        page.run("askEnd(latest.tunnels.items[%d]); dialog.close()" % row)
    page.run("document.querySelector('#listeners tbody button').click()")
    page.run("dialog.close(); document.querySelector('#failures tbody button').click()")
    page.run("dialog.close()")
    assert page.run("document.documentElement.scrollWidth") == width
    assert page.run("Math.max(...[...document.querySelectorAll('#tunnels tbody tr')].map((r) => r.offsetHeight))") < 90
    page.run("document.querySelector('#tunnels [name=search]').value = '<SCRIPT>'; tunnels.filter()")
    assert first_column(page, "tunnels") == [names[0]]
    page.run("document.querySelector('#tunnels [name=search]').value = ''")
    page.run("tunnels.form.elements.listener.value = latest.listeners.items[1].name; tunnels.filter()")
    assert first_column(page, "tunnels") == [names[1]]
    assert page.run("typeof window.pwned") == "undefined"
    assert page.problems() == []


def test_policy_holds(show):
    """Markup in a script is an error, and neither inline code nor another origin is allowed."""
    page, _ = show()
    assert page.run("try { document.body.innerHTML = '<b>'; 'set' } catch (error) { error.name }") == "TypeError"
    page.run("document.head.append(make('style', {}, 'body { display: none }'))")
    assert page.run("getComputedStyle(document.body).display") == "block"
    assert page.run("fetch('http://localhost:9/').then(() => 'sent', (error) => error.name)") == "TypeError"
    problems = page.problems()
    assert len([text for text in problems if "Content Security Policy" in text]) >= 2, problems


# ---- several gates ----

def test_one_gate_shows_no_gates(show):
    page, server = show()
    assert page.run("[...document.querySelectorAll('.several')].every((node) => node.getClientRects().length === 0)")
    assert "gates" not in server.asked


@WIDTHS
def test_the_tunnels_of_all_gates(show, axe, width):
    data = Data(12).share()
    page, server = show(data, width=width)
    assert first_column(page, "gates") == ["gate-a.0badcafe", "gate-b.12345678", "gate-c.deadbeef"]
    assert texts(page, "#gates tbody .mark") == ["Serving", "Serving", "Draining"]
    assert page.run("tunnels.items.length") == 12 and page.run("document.documentElement.scrollWidth") == width
    shown = page.run("document.querySelector('#tunnels td.several').getClientRects().length > 0")
    assert shown == (width == 1440)
    page.run("tunnels.form.elements.search.value = 'gate-b'; tunnels.filter()")
    assert set(texts(page, "#tunnels td.several")) == {"gate-b.12345678"}
    assert checker.check(page, axe)["violations"] == []
    page.run("document.querySelector('#tunnels tbody button').click()")
    assert "gate-b.12345678" in page.run("dialog.innerText")
    page.run("dialog.close()")
    assert "The list has" not in visible_text(page)
    data.missing = [{"gate": "gate-c.deadbeef", "cause": "no answer"}]
    force(page)
    page.wait("!busy")
    assert "not all tunnels of the gate ⁨gate-c.deadbeef⁩: no answer." in visible_text(page)
    data.missing = [{"gate": None, "cause": "the store is down"}]
    force(page)
    page.wait("!busy")
    assert "The list has only the tunnels of this gate: the store is down." in visible_text(page)
    assert page.problems() == []


def test_a_tunnel_of_another_gate_is_ended(show):
    data = Data(3).share()
    for item in data.tunnels:
        item["id"] = "0-1"                       # of each gate
    page, server = show(data)
    assert page.run("tunnels.rows.size") == 3
    page.run("tunnels.form.elements.search.value = 'gate-c'; tunnels.filter()")
    page.run("document.querySelector('#tunnels tbody .row').click()")
    page.type(TOKEN)
    click(page, "End tunnel", "dialog")
    page.wait("!dialog.open && !busy && tunnels.items.length === 2")
    assert server.posts == [("end", {"id": "gate-c.deadbeef/0-1"})]


def test_hostile_names_of_other_gates(show):
    names = list(HOSTILE)[:8]
    data = Data(8).share(names)
    for item, name in zip(data.gates, names):
        item.update(version=name, state=name, started=name)
    data.missing = [{"gate": name, "cause": name} for name in names]
    page, _ = show(data)
    assert sorted(first_column(page, "gates")) == sorted(HOSTILE[name] for name in names)
    for row in range(8):
        page.run(f"document.querySelectorAll('#tunnels tbody tr')[{row}].querySelector('button').click(); dialog.close()")
    assert page.run("document.querySelectorAll('script, img, iframe, svg[onload]').length") == 1
    assert page.run("typeof window.pwned") == "undefined" and page.problems() == []


# ---- use ----

def test_5000_tunnels(show):
    """Each action on 5000 tunnels, with the layout and the paint after it, keeps the page fluent, and so does a
    refresh. The unit is the CPU time of the main thread, because the machine may do other things, too."""
    page, _ = show(Data(5000))
    assert page.run("document.querySelectorAll('#tunnels tbody tr').length") == 25
    page.run("window.filled = (name, value) => { tunnels.form.elements[name].value = value; tunnels.filter(); }")
    cost = lambda script: min(page.cost(script) for _ in range(3))  # noqa: E731
    columns = len(texts(page, "#tunnels thead button"))
    times = {f"sort {i}": cost(f"document.querySelectorAll('#tunnels thead button')[{i}].click()")
             for i in range(columns)}
    times["search"] = max(cost("filled('search', 'alice')"), cost("filled('search', '')"))
    times["filter"] = max(cost("filled('listener', 'public')"), cost("filled('listener', '')"))
    times["page"] = cost("tunnels.turn(1)")
    times["refresh"] = cost("load().then(show)")
    print("ms of the main thread:", {name: round(value) for name, value in times.items()})
    assert max(value for name, value in times.items() if name != "refresh") < 100, times
    assert times["refresh"] < 400, times  # 3 MB of JSON
    page.run("filled('search', 'alice 10.99.0.')")
    assert 0 < len(first_column(page, "tunnels")) < 25
    assert "of 5,000" in texts(page, "#tunnels .count")[0]


def test_sort_filter_and_pages(show):
    page, server = show(Data(60))
    items = server.data.tunnels

    def ids():
        return page.run("tunnels.shown.slice(tunnels.page * 25, tunnels.page * 25 + 25).map((t) => t.id)")

    assert ids() == [t["id"] for t in sorted(items, key=lambda t: t["duration"])][:25]
    sort = {"Down": "down_bytes", "Up": "up_bytes", "Connected": "duration"}
    for label, name in sort.items():
        click(page, label, "tunnels.table")
        if label != "Connected":
            assert ids() == [t["id"] for t in sorted(items, key=lambda t: t[name])][:25], label
        click(page, label, "tunnels.table")
        assert ids() == [t["id"] for t in sorted(items, key=lambda t: -t[name])][:25], label
    click(page, "Assigned", "tunnels.table")  # by number, not by letter
    assert texts(page, "#tunnels tbody tr:nth-child(-n+12) td:nth-child(3)") == [f"10.99.0.{i}" for i in range(2, 14)]
    assert texts(page, "#tunnels [aria-sort=ascending]") == ["Assigned"]
    click(page, "Next", "tunnels.section")
    click(page, "Next", "tunnels.section")
    assert len(ids()) == 10 and texts(page, "#tunnels .pager span") == ["51–60 of 60"]
    click(page, "Next", "tunnels.section")
    assert len(ids()) == 10 and page.run("document.activeElement.textContent") == "Next"
    page.run("document.querySelector('#tunnels [name=search]').focus()")
    page.type("BOB")
    assert set(first_column(page, "tunnels")) == {"bob", "bob1", "bob2"}
    assert texts(page, "#tunnels .count") == ["3 of 60"] and texts(page, "#hint") == ["3 shown"]
    page.type(" nothing")
    assert "Nothing matches." in visible_text(page)


def test_refresh_keeps_what_the_user_has(show):
    """Focus, order, page, search, selection and scroll position survive a refresh that changes every row's place."""
    page, server = show(Data(200))
    click(page, "User", "tunnels.table")
    click(page, "Next", "tunnels.section")
    page.run("scrollTo(0, 700)")
    page.run("document.querySelectorAll('#tunnels tbody tr')[10].querySelector('button').focus({preventScroll: true})")
    name = page.run("document.activeElement.textContent")
    page.run("window.kept = document.activeElement; window.top0 = scrollY; getSelection().selectAllChildren(kept)")
    server.data.tunnels = list(reversed(server.data.tunnels))
    for item in server.data.tunnels:
        item["down_bytes"] += 1000000
    server.data.tunnels = [t for t in server.data.tunnels if t["user"] not in first_column(page, "tunnels")[3:6]]
    force(page)
    assert page.run("document.activeElement === kept && kept.isConnected") and page.run("kept.textContent") == name
    assert page.run("scrollY === top0") and page.run("getSelection().toString()") == name
    assert texts(page, "#tunnels [aria-sort]") == ["User"] and page.run("tunnels.page") == 1
    assert page.run("document.querySelector('#tunnels tbody tr').querySelectorAll('td').length") > 5
    # A row with the focus moves: it is the others that are moved around it.
    click(page, "Connected", "tunnels.table")
    page.run("tunnels.turn(-1); window.kept = document.querySelector('#tunnels tbody button'); kept.focus()")
    for order in (-1, 1):
        page.run(f"tunnels.direction = {order}; tunnels.items = tunnels.items.slice(0, 20); tunnels.render()")
        if page.run("kept.isConnected"):
            assert page.run("document.activeElement === kept")
        assert first_column(page, "tunnels") == page.run("tunnels.shown.map((t) => t.user)")
    # The focus of a row that has ended goes to its section, not to the top of the page.
    page.run("document.querySelector('#tunnels tbody button').focus()")
    server.data.tunnels = []
    force(page)
    assert page.run("document.activeElement.id") == "tunnels"


def test_unchanged_rows_are_not_touched(show):
    """A refresh without a change changes no node of the tables: nothing flickers."""
    page, _ = show()
    page.run("""window.changes = [];
        new MutationObserver((list) => changes.push(...list.map((m) => m.target.nodeName)))
            .observe(document.querySelector("main"),
                {subtree: true, childList: true, characterData: true, attributes: true});""")
    force(page)
    assert page.run("changes") == []


def test_refreshes_itself_unless_hidden_or_paused(show):
    page, server = show(Data(2))
    count = server.asked["status"]
    server.data.status["tunnels"] = 77
    page.wait("latest.status.tunnels === 77", 90)  # a slow machine is asked less often
    assert server.asked["status"] > count
    page.wait("!busy")
    page.run("Object.defineProperty(document, 'hidden', {value: true, configurable: true})")
    page.run("document.dispatchEvent(new Event('visibilitychange'))")
    count = server.asked["status"]
    page.run("refresh()")
    assert server.asked["status"] == count
    page.run("delete document.hidden; document.dispatchEvent(new Event('visibilitychange'))")
    page.wait("!busy")
    assert server.asked["status"] > count
    click(page, "Pause")
    count = server.asked["status"]
    page.run("refresh()")
    assert server.asked["status"] == count and "Paused" in visible_text(page)
    click(page, "Pause")
    page.wait("!busy && !paused")
    assert server.asked["status"] > count


def test_gate_gone(show):
    """Old data is marked as such, in words, and the mark leaves when the gate answers."""
    page, server = show()
    server.broken = True
    force(page)
    assert "No answer since" in visible_text(page) and page.run("document.body.classList.contains('stale')")
    assert texts(page, "#hint") == ["The gate does not answer. The data is old."]
    assert page.run("document.title").startswith("no answer") and len(first_column(page, "tunnels")) == 25
    server.broken = False
    force(page)
    assert "No answer" not in visible_text(page) and not page.run("document.body.classList.contains('stale')")
    server.close()
    server.socket.close()
    page.run("window.real = fetch; window.fetch = () => Promise.reject(new TypeError('Failed to fetch')); refresh()")
    page.wait("document.body.classList.contains('stale')")


# ---- actions ----

def test_keyboard_alone_ends_a_tunnel(show):
    page, server = show(Data(40))
    ended = page.run("tunnels.shown[1]")
    page.press("Tab")
    assert page.run("document.activeElement.className") == "skip"
    page.press("Enter")
    assert page.run("document.activeElement.id") == "tunnels"
    page.tab_to(f"node.getAttribute('aria-label') === 'End {ended['user']} ({ended['id']})'", 60)
    page.press("Enter")
    assert page.run("dialog.open && document.activeElement.name") == "token"
    assert ended["user"] in page.run("document.getElementById('dialog-title').textContent")
    page.press("Escape")
    assert page.run("!dialog.open && document.activeElement.textContent") == "End"
    assert server.posts == []
    page.press("Enter")
    page.type(TOKEN)
    page.press("Tab")
    assert page.run("document.activeElement.textContent") == "Cancel"
    page.press("Tab", "Enter")
    page.wait("!dialog.open && !busy")
    assert server.posts == [("end", {"id": ended["id"]})]
    assert texts(page, "#say") == ["1 ended"]
    page.wait(f"!tunnels.items.some((t) => t.id === '{ended['id']}')")
    assert page.run("document.activeElement.id") == "tunnels"
    # The token is known now: the next question has no field, and its first button cancels.
    page.run("document.querySelector('#tunnels tbody .row').click()")
    assert page.run("document.activeElement.textContent") == "Cancel"
    assert page.run("dialog.querySelectorAll('input').length") == 0


def test_focus_is_visible(show):
    page, _ = show(Data(3))
    seen = 0
    for _ in range(30):
        page.press("Tab")
        if page.run("document.activeElement === document.body"):
            break
        style = page.run("getComputedStyle(document.activeElement).outlineStyle")
        assert style != "none", page.run("document.activeElement.outerHTML")
        seen += 1
    assert seen > 15


def test_wrong_token(show):
    page, server = show()
    first = page.run("askEnd(latest.tunnels.items[0]); latest.tunnels.items[0].id")
    page.type("wrong")
    page.press("Enter")
    page.wait("document.getElementById('dialog-error').textContent !== ''")
    assert "refused this: the token is wrong" in visible_text(page)
    assert page.run("dialog.open && token === null && document.activeElement.name === 'token'")
    assert page.run("document.activeElement.value") == ""
    page.type("wrong\u2713")
    page.press("Enter")
    page.wait("document.getElementById('dialog-error').textContent.includes('ASCII')")
    assert server.posts == [] and server.refused == [("end", "Bearer wrong")]
    page.type(TOKEN)
    page.press("Enter")
    page.wait("!dialog.open")
    assert server.posts == [("end", {"id": first})]


def test_token_is_kept_in_memory_only(show):
    page, server = show()
    page.run("askUnban(latest.bans.items[0])")
    page.type(TOKEN)
    page.press("Enter")
    page.wait("!dialog.open")
    assert page.run("localStorage.length + sessionStorage.length") == 0 and page.run("document.cookie") == ""
    assert TOKEN not in page.run("document.documentElement.outerHTML")
    page.wait("[...document.querySelectorAll('input')].every((i) => !i.value)")
    click(page, "Forget token")
    assert page.run("token === null && document.getElementById('forget').hidden")
    page.open(server.url)
    assert page.run("token") is None


def test_each_action(show):
    """Each action asks first, and sends what the API expects."""
    page, server = show()
    page.run(f"token = {TOKEN!r}")
    actions = [
        ("reload.click()", "Reload", ("reload", {})),
        ("drain.click()", "Drain", ("drain", {})),
        ("askServer(latest.servers.items[0])", "Drain", ("drain", {"server": "rras/10.20.0.11:443"})),
        ("askServer({...latest.servers.items[0], state: 'drain'})", "Resume",
         ("resume", {"server": "rras/10.20.0.11:443"})),
        ("askUnban({net: '198.51.100.0/24', user: null})", "Unban", ("unban", {"address": "198.51.100.0/24"})),
        ("askUnban({net: null, user: 'a&b=c'})", "Unban", ("unban", {"user": "a&b=c"})),
        ("askBan(hostOf('[2001:db8::1]:4711'), '')", "Ban", ("ban", {"address": "2001:db8::1", "time": "1h"})),
        ("askBan('', 'CORP\\\\frank')", "Ban", ("ban", {"user": "CORP\\frank", "time": "1h"})),
    ]
    for script, label, sent in actions:
        page.run(re.sub(r"^(reload|drain)\.", r"document.getElementById('\1').", script))
        assert page.run("dialog.open") and len(server.posts) == actions.index((script, label, sent))
        click(page, label, "dialog")
        page.wait("!dialog.open")
        assert server.posts[-1] == sent
    server.data.status["state"] = "draining"
    force(page)
    click(page, "Resume", "document.querySelector('header')")
    click(page, "Resume", "dialog")
    page.wait("!dialog.open")
    assert server.posts[-1] == ("resume", {})
    click(page, "Ban…")
    page.type("nonsense")
    click(page, "Ban", "dialog")
    page.wait("document.getElementById('dialog-error').textContent !== ''")
    assert "'nonsense' is no address" in visible_text(page) and page.run("dialog.open")


def test_read_only(show):
    """Without a token file, nothing on the page can act."""
    data = Data()
    data.writable = False
    page, _ = show(data)
    page.run("document.querySelector('#tunnels tbody button').click()")
    labels = page.run("""[...document.querySelectorAll("button")].filter((b) => b.getClientRects().length)
        .map((b) => b.textContent)""")
    assert {"Close", "Pause"} <= set(labels)
    assert not {"End", "End…", "Ban…", "Ban address…", "Ban user…", "Unban", "Drain", "Resume",
                "Reload configuration", "Forget token"} & set(labels)


def test_another_origin_cannot_act(show, serve, open_page):
    """A page of another origin reads nothing, sends no token, and cannot show the page in a frame to have it
    clicked."""
    page, server = show()
    other = serve()
    foreign = open_page(other.url)
    foreign.wait("loaded !== null")
    foreign.call("Page.setBypassCSP", enabled=True)  # the policy of an attacker's own page allows everything
    foreign.open(other.url + "?again")
    target = server.url
    for options in ("{}", "{headers: {Authorization: 'Bearer x'}}", "{mode: 'no-cors'}", "{credentials: 'include'}"):
        send = f"fetch({target + 'api/v1/drain'!r}, {{method: 'POST', body: new URLSearchParams(), ...{options}}})"
        result = foreign.run(f"{send}.then((a) => a.type === 'opaque' ? a.type : a.text(), (error) => error.name)")
        assert result in ("TypeError", "opaque")
    result = foreign.run(f"fetch({target + 'api/v1/tunnels'!r}).then((a) => a.text(), (error) => error.name)")
    assert result == "TypeError"
    foreign.run(f"""new Promise((done) => {{
        const frame = document.createElement("iframe");
        frame.onload = done;
        frame.src = {target!r};
        document.body.append(frame);
    }})""")
    assert any("frame-ancestors" in text for text in foreign.problems()), foreign.problems()
    assert server.posts == [] and {token for _, token in server.refused} <= {None}
