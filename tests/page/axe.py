"""axe-core, the accessibility checker, from the developer tools of chromium.

Lighthouse, which chromium contains, includes the whole of axe-core as text. So the test needs no package of
npm, no network and no copy in this repository (580 kB, MPL-2.0), and the checker is as new as Debian's chromium.
AXE=FILE uses another one, such as axe.min.js of the npm package axe-core."""

import os
from pathlib import Path

# A small file of the same origin: as a page, the bundle itself takes seconds to draw.
SMALL = "devtools://devtools/bundled/entrypoints/shell/shell.js"
BUNDLE = "devtools://devtools/bundled/third_party/lighthouse/lighthouse-dt-bundle.js"
# The text is a template literal without substitutions, which ends at the next backquote that is not escaped.
EXTRACT = f"fetch({BUNDLE!r})" r""".then((answer) => answer.text()).then((text) => {
    const start = text.indexOf("`/*! axe v");
    let end = start + 1;
    while (start >= 0 && text[end] !== "`") end += text[end] === "\\" ? 2 : 1;
    return start < 0 ? "" : text.slice(start, end + 1);
})"""
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
RUN = f"axe.run(document, {{runOnly: {RULES}}})" """.then((result) => ({
    violations: result.violations.map((v) => `${v.id}: ${v.help}: ${v.nodes.map((n) => n.html).slice(0, 3).join(" ")}`),
    passes: result.passes.map((p) => p.id),
    unsure: result.incomplete.map((i) => `${i.id}: ${i.nodes.map((n) => n.html).slice(0, 3).join(" ")}`)}))"""


def load(open_page):
    """Returns the source of axe-core. `open_page` opens an address in a new page."""
    if "AXE" in os.environ:
        return Path(os.environ["AXE"]).read_text()
    page = open_page(SMALL)
    literal = page.run(EXTRACT)
    assert literal, "this chromium has no axe-core: AXE=FILE names a copy (npm pack axe-core, package/axe.min.js)"
    source = page.run(literal)
    page.close()
    return source


def check(page, source):
    """Returns the result of axe-core for what the page shows: violations, passes and what it cannot decide."""
    if page.run("typeof axe") == "undefined":
        page.run(source + "\n;undefined")
    return page.run(RUN)
