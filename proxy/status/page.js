"use strict";

// The status page: reads the objects of api/v1/ every few seconds and changes what differs. Each text of
// the gate becomes a text node or an attribute, never markup. The token of an administrator is kept in
// this variable only: no storage has it, and it ends with the page. A reload of the page is never needed.
let token = null;

const PERIOD = 5000; // ms between two refreshes
const SHARE = 20; // a refresh that takes t is followed by a pause of at least SHARE * t
const LONGEST = 60000; // ms, of such a pause
const TIMEOUT = 8000; // ms; the gate itself answers 503 after five seconds
const MOST = 10000; // rows that are asked for
const RENEW = 14; // days left on a certificate from which on it is a warning

const $ = (id) => document.getElementById(id);

// ---- texts ----

const INVISIBLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Co}\p{Cn}]/gu;

// Returns a key that orders texts without case, and numbers in them by value. Much faster than a collator.
const natural = (text) =>
  text
    .normalize("NFKD")
    .toLowerCase()
    .replace(/\d+/g, (digits) => digits.padStart(12, "0"));
const byName = (a, b) => compare(natural(a), natural(b), 1);

// Returns a text of the network with its controls, directions and invisible characters spelled out.
function visible(text) {
  return String(text).replace(INVISIBLE, (c) => `\\u{${c.codePointAt(0).toString(16)}}`);
}

// Returns a text for the middle of a sentence, whose direction it cannot change.
const quoted = (text) => `\u2068${visible(text)}\u2069`;

const known = (value) => value !== null && value !== undefined && value !== "";
const textOf = (value) => (known(value) ? visible(value) : "–");
const count = (n) => (known(n) ? n.toLocaleString("en") : "–");
const plural = (n, one, many) => `${count(n)} ${n === 1 ? one : many}`;

// Returns a number with three digits and a unit: 1.23 MB, 45.6 MB, 789 MB.
function scaled(n, units) {
  if (!known(n)) return "–";
  let unit = 0;
  while (n >= 999.5 && unit < units.length - 1) {
    n /= 1000;
    unit++;
  }
  const digits = unit === 0 || n >= 99.95 ? 0 : n >= 9.995 ? 1 : 2;
  return `${n.toFixed(digits)}\u00a0${units[unit]}`;
}

const bytes = (n) => scaled(n, ["B", "kB", "MB", "GB", "TB", "PB"]);
const rate = (n) => scaled(known(n) ? n * 8 : n, ["bit/s", "kbit/s", "Mbit/s", "Gbit/s", "Tbit/s"]);
const seconds = (s) =>
  !known(s) ? "–" : s < 1 ? `${Math.round(s * 1000)} ms` : `${Number(s.toFixed(s < 10 ? 2 : 0))} s`;

// Returns a duration in its two largest units: 3 d 4 h.
function duration(s) {
  if (!known(s)) return "–";
  const parts = [
    [86400, "d"],
    [3600, "h"],
    [60, "min"],
    [1, "s"],
  ];
  const first = parts.findIndex(([size]) => s >= size);
  if (first < 0) return "0 s";
  const [size, unit] = parts[first];
  const text = `${Math.floor(s / size)}\u00a0${unit}`;
  const rest = parts[first + 1];
  const second = rest ? Math.floor((s % size) / rest[0]) : 0;
  return second ? `${text} ${second}\u00a0${rest[1]}` : text;
}

const two = (n) => String(n).padStart(2, "0");
const clock = (t) => `${two(t.getHours())}:${two(t.getMinutes())}:${two(t.getSeconds())}`;
const day = (t) => `${t.getFullYear()}-${two(t.getMonth() + 1)}-${two(t.getDate())}`;

// Returns a time of the API in local time, with its day unless that is today.
function moment(text) {
  const t = new Date(text);
  if (!known(text) || Number.isNaN(t.getTime())) return textOf(text);
  return day(t) === day(new Date()) ? clock(t) : `${day(t)} ${clock(t)}`;
}

// ---- nodes ----

function make(tag, attributes, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (typeof value === "function") node.addEventListener(name, value);
    else if (value !== null && value !== undefined && value !== false)
      node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children);
  return node;
}

function draw(tag, attributes) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  return node;
}

function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function setClass(node, name) {
  if (node.className !== name) node.className = name;
}

function setAttribute(node, name, value) {
  if (node.getAttribute(name) !== value) node.setAttribute(name, value);
}

// A node that is hidden already would count as changed.
function setHidden(node, hidden) {
  if (node.hidden !== hidden) node.hidden = hidden;
}

// Makes `nodes` the children of `parent`. A child that has the focus is not moved, so that it keeps it.
function arrange(parent, nodes) {
  const wanted = new Set(nodes);
  for (const child of [...parent.childNodes]) if (!wanted.has(child)) child.remove();
  let next = parent.firstChild;
  for (const node of nodes) {
    while (next && next !== node && node.contains(document.activeElement)) {
      const other = next;
      next = next.nextSibling;
      parent.append(other);
    }
    if (next === node) next = next.nextSibling;
    else parent.insertBefore(node, next);
  }
}

// Makes a description list of pairs of a name and a text.
const factList = (pairs) => pairs.flatMap(([name, text]) => [make("dt", {}, name), make("dd", {}, text)]);

// ---- tables ----

// A column: `name`; `text` of an item; `value` to sort by, if it is not the text; `kind`, a class of the
// cell; `level`, the class that hides it where there is little room; `tone` ok|warn|bad; `sub`, a second
// line; `narrow`, another that is shown where there is little room; `open`, what a click on it does. A
// column with `run` has a button that does it, and `act` returns its label or null.

class Row {
  constructor(table) {
    this.table = table;
    this.cells = table.columns.map((column, i) => this.cell(column, i === 0));
    this.node = make("tr", {}, ...this.cells.map((cell) => cell.node));
  }

  cell(column, first) {
    const node = make(first ? "th" : "td", { scope: first && "row", class: column.kind });
    if (column.level) node.classList.add(column.level);
    const click = () => (column.run ?? column.open)(this.item);
    const main = column.run
      ? make("button", { type: "button", class: "row", click })
      : column.open
        ? make("button", { type: "button", class: "link cut", click })
        : make("span");
    node.append(main);
    return { node, main };
  }

  update(item) {
    this.item = item;
    this.table.columns.forEach((column, i) => {
      if (column.run) this.updateButton(column, this.cells[i], item);
      else this.updateCell(column, this.cells[i], item);
    });
  }

  updateButton(column, { main }, item) {
    const label = column.act(item);
    setHidden(main, !label);
    if (!label) return;
    setText(main, label);
    setAttribute(main, "aria-label", `${label} ${this.table.nameOf(item)}`);
  }

  updateCell(column, cell, item) {
    const text = column.text(item);
    const cut = !column.kind && !column.open;
    setText(cell.main, text);
    if (cut || column.open) setAttribute(cell.main, "title", text);
    if (!column.open) setClass(cell.main, column.tone ? `mark ${column.tone(item)}` : cut ? "cut" : "");
    for (const line of ["sub", "narrow"]) {
      const text = column[line]?.(item) ?? "";
      if (text && !cell[line]) cell.node.append((cell[line] = make("div", { class: `sub ${line}` })));
      if (cell[line]) setText(cell[line], text);
    }
  }
}

class Table {
  // `options`: key(item), nameOf(item), size of a page, empty text, sort: [name of a column, 1 | -1].
  constructor(id, label, columns, options) {
    Object.assign(this, options, { columns, items: [], total: 0, rows: new Map(), page: 0, terms: [] });
    this.section = $(id);
    this.count = this.section.querySelector(".count");
    this.form = this.section.querySelector("form");
    const [name, direction] = options.sort;
    this.column = columns.find((column) => column.name === name);
    this.direction = direction;
    this.build(label);
    this.form?.addEventListener("input", () => this.filter());
    this.form?.addEventListener("submit", (event) => event.preventDefault());
  }

  build(label) {
    this.heads = this.columns.map((column) => this.head(column));
    this.body = make("tbody");
    this.none = make("p", { class: "none" });
    this.table = make("table", { "aria-label": label }, make("thead", {}, make("tr", {}, ...this.heads)), this.body);
    this.box = make("div", { class: "box" }, this.table, this.none);
    this.range = make("span");
    this.back = make("button", { type: "button", click: () => this.turn(-1) }, "Previous");
    this.forth = make("button", { type: "button", click: () => this.turn(1) }, "Next");
    this.pager = make(
      "div",
      { class: "pager", role: "group", "aria-label": `Pages of ${label}`, hidden: true },
      this.range,
      this.back,
      this.forth,
    );
    this.section.append(this.box, this.pager);
  }

  head(column) {
    const node = make("th", { scope: "col", class: column.kind });
    if (column.level) node.classList.add(column.level);
    if (column.run) node.append(make("span", { class: "unseen" }, column.name));
    else node.append(make("button", { type: "button", click: () => this.sortBy(column) }, column.name));
    return node;
  }

  sortBy(column) {
    this.direction = this.column === column ? -this.direction : 1;
    this.column = column;
    this.page = 0;
    this.render();
  }

  turn(pages) {
    const page = this.page + pages;
    if (page < 0 || page * this.size >= this.shown.length) return;
    this.page = page;
    this.render();
  }

  filter() {
    this.page = 0;
    this.render();
    hint(`${count(this.shown.length)} shown`);
  }

  update(list) {
    this.items = list.items;
    this.total = list.total;
    this.render();
  }

  // Returns the items that the search and the lists above the table select.
  selected() {
    const field = (name) => this.form?.elements[name]?.value ?? "";
    const terms = field("search").toLowerCase().split(/\s+/).filter(known);
    const listener = field("listener");
    const server = field("server");
    this.narrowed = terms.length > 0 || listener !== "" || server !== "";
    return this.narrowed
      ? this.items.filter(
          (item) =>
            (listener === "" || item.listener === listener) &&
            (server === "" || serverOf(item) === server) &&
            hasTerms(item, terms),
        )
      : this.items;
  }

  sorted(items) {
    const value = this.column.value ?? this.column.text;
    const sortable = (item) => (typeof value(item) === "string" ? natural(value(item)) : value(item));
    const all = items.map((item) => ({ item, value: sortable(item), key: natural(this.key(item)) }));
    all.sort((a, b) => compare(a.value, b.value, this.direction) || compare(a.key, b.key, 1));
    return all.map((entry) => entry.item);
  }

  render() {
    this.shown = this.sorted(this.selected());
    const last = Math.max(0, Math.ceil(this.shown.length / this.size) - 1);
    this.page = Math.min(this.page, last);
    const from = this.page * this.size;
    this.renderRows(this.shown.slice(from, from + this.size));
    this.heads.forEach((head, i) => this.renderHead(head, this.columns[i]));
    this.renderCounts(from, last);
  }

  renderRows(items) {
    const active = document.activeElement;
    const rows = new Map();
    for (const item of items) {
      const key = this.key(item);
      const row = this.rows.get(key) ?? new Row(this);
      row.update(item);
      rows.set(key, row);
    }
    arrange(
      this.body,
      [...rows.values()].map((row) => row.node),
    );
    this.rows = rows;
    // A row that has left takes its focus with it: the next Tab continues in this section.
    if (active !== document.activeElement) this.section.focus({ preventScroll: true });
  }

  renderHead(head, column) {
    if (column === this.column) setAttribute(head, "aria-sort", this.direction > 0 ? "ascending" : "descending");
    else head.removeAttribute("aria-sort");
  }

  renderCounts(from, last) {
    const shown = this.shown.length;
    const of = this.narrowed ? `${count(shown)} of ${count(this.items.length)}` : count(this.items.length);
    setText(
      this.count,
      this.total > this.items.length ? `${of} (of ${count(this.total)} the first ${count(MOST)})` : of,
    );
    setText(this.none, this.narrowed ? "Nothing matches." : this.empty);
    setHidden(this.none, shown > 0);
    setHidden(this.table, shown === 0);
    setHidden(this.pager, last === 0);
    setText(this.range, `${count(from + 1)}–${count(Math.min(from + this.size, shown))} of ${count(shown)}`);
    setAttribute(this.back, "aria-disabled", String(this.page === 0));
    setAttribute(this.forth, "aria-disabled", String(this.page === last));
  }
}

// Orders two values, unknown ones last in both directions.
function compare(a, b, direction) {
  if (a === b) return 0;
  if (!known(a)) return 1;
  if (!known(b)) return -1;
  return (a < b ? -1 : 1) * direction;
}

function hasTerms(item, terms) {
  if (terms.length === 0) return true;
  const text = Object.values(item)
    .filter((value) => typeof value === "string")
    .join("\n")
    .toLowerCase();
  return terms.every((term) => text.includes(term));
}

function setOptions(select, names) {
  const wanted = ["", ...names];
  if ([...select.options].map((option) => option.value).join("\n") === wanted.join("\n")) return;
  const value = select.value;
  select.replaceChildren(
    ...wanted.map((name) => make("option", { value: name }, name === "" ? "All" : visible(name))),
  );
  select.value = wanted.includes(value) ? value : "";
}

// Returns the ID of a tunnel for the gate that serves the page.
const idOf = (t) => (known(t.gate) ? `${t.gate}/${t.id}` : t.id);
const serverOf = (item) => (known(item.server) ? `${item.backend}/${item.server}` : item.backend);

// ---- the tables of the page ----

function certificateTone({ certificate_days: days }) {
  return !known(days) || days >= RENEW ? "ok" : days < 3 ? "bad" : "warn";
}

function daysLeft(days) {
  if (!known(days)) return "unknown";
  if (days < 0) return `expired ${plural(-days, "day", "days")} ago`;
  if (days === 0) return "expires today: renew";
  return days < RENEW ? `${plural(days, "day", "days")} left: renew` : `${count(days)} days`;
}

const STATES = {
  up: ["Up", "ok"],
  down: ["Down", "bad"],
  drain: ["Draining", "warn"],
  serving: ["Serving", "ok"],
  draining: ["Draining", "warn"],
  stopping: ["Stopping", "bad"],
};
const stateOf = (state) => STATES[state] ?? [textOf(state), "warn"];

const listeners = new Table(
  "listeners",
  "Listeners",
  [
    {
      name: "Listener",
      text: (l) => textOf(l.name),
      open: openListener,
      sub: (l) => (l.mode === "dry-run" ? "dry run: rules are not enforced" : ""),
    },
    { name: "Addresses", kind: "text", level: "p2", text: (l) => l.addresses.map(visible).join(", ") },
    { name: "Backend", level: "p3", text: (l) => textOf(l.backend) },
    { name: "Tunnels", kind: "number", text: (l) => count(l.tunnels), value: (l) => l.tunnels },
    { name: "Calls", kind: "number", level: "p2", text: (l) => count(l.calls), value: (l) => l.calls },
    {
      name: "Certificate",
      kind: "short",
      tone: certificateTone,
      value: (l) => l.certificate_days,
      text: (l) => daysLeft(l.certificate_days),
    },
  ],
  { key: (l) => l.name, nameOf: (l) => visible(l.name), size: 25, sort: ["Listener", 1], empty: "No listener." },
);

const servers = new Table(
  "servers",
  "Servers",
  [
    { name: "Server", text: (s) => textOf(serverOf(s)), sub: (s) => (s.backup ? "backup" : "") },
    {
      name: "State",
      kind: "text",
      tone: (s) => stateOf(s.state)[1],
      text: (s) => stateOf(s.state)[0],
      sub: (s) =>
        [known(s.since) ? `for ${duration(s.since)}` : "", known(s.cause) ? visible(s.cause) : ""]
          .filter(known)
          .join(": "),
    },
    {
      name: "Tunnels",
      kind: "number",
      value: (s) => s.tunnels,
      text: (s) => count(s.tunnels) + (known(s.max_tunnels) ? ` of ${count(s.max_tunnels)}` : ""),
    },
    { name: "Weight", kind: "number", level: "p2", text: (s) => count(s.weight), value: (s) => s.weight },
    {
      name: "Check",
      kind: "number",
      level: "p2",
      text: (s) => seconds(s.check_seconds),
      value: (s) => s.check_seconds,
    },
    { name: "Action", kind: "act", run: askServer, act: (s) => (s.state === "drain" ? "Resume" : "Drain") },
  ],
  { key: serverOf, nameOf: (s) => visible(serverOf(s)), size: 25, sort: ["Server", 1], empty: "No server." },
);

// The gates that share a store with this one.
const gates = new Table(
  "gates",
  "Gates",
  [
    { name: "Gate", text: (g) => textOf(g.gate), sub: (g) => (g.mine ? "this gate" : "") },
    { name: "State", kind: "short", tone: (g) => stateOf(g.state)[1], text: (g) => stateOf(g.state)[0] },
    { name: "Tunnels", kind: "number", text: (g) => count(g.tunnels), value: (g) => g.tunnels },
    { name: "Version", level: "p2", text: (g) => textOf(g.version) },
    { name: "Since", kind: "short", level: "p2", text: (g) => moment(g.started), value: (g) => g.started },
  ],
  { key: (g) => g.gate, nameOf: (g) => visible(g.gate), size: 25, sort: ["Gate", 1], empty: "No gate is known." },
);

const tunnels = new Table(
  "tunnels",
  "Tunnels",
  [
    { name: "User", text: (t) => textOf(t.user), open: openTunnel, narrow: (t) => textOf(t.client) },
    { name: "Client", level: "p2", text: (t) => textOf(t.client) },
    { name: "Assigned", level: "p3", text: (t) => textOf(t.assigned) },
    { name: "Listener", level: "p2", text: (t) => textOf(t.listener) },
    { name: "Server", level: "p2", text: (t) => textOf(serverOf(t)) },
    { name: "Gate", kind: "text p2 several", text: (t) => textOf(t.gate) },
    { name: "Connected", kind: "number", text: (t) => duration(t.duration), value: (t) => t.duration },
    { name: "Down", kind: "number", level: "p2", text: (t) => bytes(t.down_bytes), value: (t) => t.down_bytes },
    { name: "Up", kind: "number", level: "p2", text: (t) => bytes(t.up_bytes), value: (t) => t.up_bytes },
    { name: "Down rate", kind: "number", text: (t) => rate(t.down_rate), value: (t) => t.down_rate },
    { name: "Up rate", kind: "number", level: "p3", text: (t) => rate(t.up_rate), value: (t) => t.up_rate },
    { name: "Method", level: "p5", text: (t) => textOf(t.method) },
    { name: "Binding", level: "p4", text: (t) => textOf(t.binding) },
    { name: "TLS", kind: "short", level: "p5", text: (t) => textOf(t.tls) },
    { name: "Action", kind: "act p2", run: askEnd, act: () => "End" },
  ],
  {
    key: idOf,
    nameOf: (t) => `${textOf(t.user)} (${visible(idOf(t))})`,
    size: 25,
    sort: ["Connected", 1],
    empty: "No tunnel is up.",
  },
);

const failures = new Table(
  "failures",
  "Failures",
  [
    { name: "Time", kind: "short", text: (f) => moment(f.time), value: (f) => f.time, open: openFailure },
    {
      name: "Reason",
      kind: "text",
      text: (f) => textOf(f.words ?? f.reason),
      sub: (f) => (known(f.remedy) ? visible(f.remedy) : ""),
      narrow: (f) => [f.client, f.user].filter(known).map(visible).join(", "),
    },
    {
      name: "Client",
      level: "p2",
      text: (f) => textOf(f.client),
      sub: (f) => (known(f.user) ? visible(f.user) : ""),
    },
    { name: "Listener", level: "p2", text: (f) => textOf(f.listener) },
    { name: "Server", level: "p3", text: (f) => textOf(serverOf(f)) },
    { name: "Stage", kind: "short", level: "p2", text: (f) => textOf(f.stage) },
    { name: "Outcome", kind: "short", level: "p3", text: (f) => textOf(f.outcome) },
  ],
  {
    key: (f) => `${f.time} ${f.id}`,
    nameOf: (f) => visible(f.id),
    size: 10,
    sort: ["Time", -1],
    empty: "No call was refused or has failed.",
  },
);

const bans = new Table(
  "bans",
  "Bans",
  [
    { name: "Banned", text: (b) => textOf(b.net ?? b.user), sub: (b) => (known(b.user) ? "user" : "") },
    { name: "Time left", kind: "number", text: (b) => duration(b.left), value: (b) => b.left },
    { name: "Cause", kind: "text", text: (b) => textOf(b.cause) },
    { name: "Action", kind: "act", run: askUnban, act: () => "Unban" },
  ],
  {
    key: (b) => `${b.net} ${b.user}`,
    nameOf: (b) => visible(b.net ?? b.user),
    size: 25,
    sort: ["Time left", -1],
    empty: "Nobody is banned.",
  },
);

// ---- charts ----

const WIDE = 359; // units of a chart, one for each step after the first
const HIGH = 100;

// Returns the next of 1, 2, 5, 10, 20, ... that is not less.
function ceiling(n) {
  const power = 10 ** Math.floor(Math.log10(n));
  return power * [1, 2, 5, 10].find((digit) => digit * power >= n * 0.9999);
}

class Chart {
  // `series`: from the history to values, null where there is none; the second is drawn as a broken line.
  constructor(title, { series, names, format, least, bars }) {
    Object.assign(this, { title, series, names, format, least, bars });
    this.now = make("span", { class: "now" });
    this.svg = draw("svg", { viewBox: `0 0 ${WIDE} ${HIGH}`, preserveAspectRatio: "none", role: "img" });
    this.area = draw("path", { class: "area" });
    this.paths = series.map((_, i) => draw("path", { class: bars ? "bars" : i ? "other" : "first" }));
    this.cursor = draw("line", { class: "cursor", y1: 0, y2: HIGH, visibility: "hidden" });
    this.svg.append(
      draw("line", { x1: 0, x2: WIDE, y1: 0, y2: 0 }),
      draw("line", { x1: 0, x2: WIDE, y1: HIGH, y2: HIGH }),
      this.area,
      ...this.paths,
      this.cursor,
    );
    this.highest = make("div", { class: "top", "aria-hidden": "true" });
    this.start = make("span");
    this.note = make("span");
    this.node = make(
      "figure",
      {},
      make("figcaption", {}, make("span", { class: "name" }, title), this.now),
      this.highest,
      make(
        "div",
        { class: "plot", pointermove: (event) => this.point(event), pointerleave: () => this.leave() },
        this.svg,
      ),
      make("div", { class: "axis", "aria-hidden": "true" }, this.start, this.note, make("span", {}, "now")),
    );
  }

  update(history) {
    this.history = history;
    this.values = this.series.map((values) => values(history));
    const all = this.values.flat().filter(known);
    this.scale = ceiling(Math.max(this.least, ...all));
    this.values.forEach((values, i) =>
      setAttribute(this.paths[i], "d", this.bars ? this.columns(values) : this.line(values)),
    );
    setAttribute(this.area, "d", this.bars || this.series.length > 1 ? "" : this.under(this.values[0]));
    setText(this.highest, this.format(this.scale));
    setText(this.start, `−${Math.round((history.step * history.tunnels.length) / 60)} min`);
    setText(this.now, this.values.map((values, i) => this.named(i, this.latest(values))).join("\u2002"));
    setAttribute(this.svg, "aria-label", this.words());
  }

  named(i, value) {
    const text = known(value) ? this.format(value) : "none";
    return this.names ? `${this.names[i]} ${text}` : text;
  }

  latest(values) {
    return this.bars ? values.at(-1) : values.findLast(known);
  }

  // The values are of the last steps: the last one is at the right.
  x(i, length) {
    return WIDE - (length - 1 - i) * (this.bars ? this.bars : 1);
  }

  y(value) {
    return (HIGH * (1 - value / this.scale)).toFixed(2);
  }

  // A value alone between unknown ones becomes a dot, because of the round ends of a line.
  line(values) {
    return values
      .map((value, i) =>
        !known(value) ? "" : `${known(values[i - 1]) ? "L" : "M"}${this.x(i, values.length)} ${this.y(value)}h0`,
      )
      .join("");
  }

  under(values) {
    if (!values.every(known) || values.length < 2) return "";
    const line = values.map((value, i) => `L${this.x(i, values.length)} ${this.y(value)}`).join("");
    return `M${this.x(0, values.length)} ${HIGH}${line}V${HIGH}Z`;
  }

  columns(values) {
    return values
      .map((value, i) =>
        value
          ? `M${this.x(i, values.length) - this.bars + 1} ${HIGH}V${this.y(value)}h${this.bars - 1}V${HIGH}Z`
          : "",
      )
      .join("");
  }

  // Returns the chart in words: the value now, the limits and a few in between.
  words() {
    const parts = this.values.map((values, i) => {
      const there = values.filter(known);
      const name = this.names ? `${this.names[i].slice(2)}: ` : "";
      if (there.length === 0) return `${name}no value`;
      const low = there.reduce((a, b) => Math.min(a, b));
      const high = there.reduce((a, b) => Math.max(a, b));
      const now = this.latest(values) ?? there.at(-1);
      return `${name}now ${this.format(now)}, lowest ${this.format(low)}, highest ${this.format(high)}`;
    });
    return `${this.title} in the last hour. ${parts.join(". ")}.`;
  }

  // Shows the value under the pointer.
  point(event) {
    if (!this.values) return;
    const { left, width } = this.svg.getBoundingClientRect();
    const length = this.values[0].length;
    const steps = Math.round(((1 - (event.clientX - left) / width) * WIDE) / (this.bars || 1));
    const i = length - 1 - steps;
    if (i < 0 || i >= length) return this.leave();
    const time = new Date(
      new Date(this.history.time).getTime() - steps * (this.bars || 1) * this.history.step * 1000,
    );
    setText(
      this.note,
      `${clock(time).slice(0, 5)}  ${this.values.map((values, n) => this.named(n, values[i])).join(", ")}`,
    );
    setAttribute(this.cursor, "x1", String(this.x(i, length)));
    setAttribute(this.cursor, "x2", String(this.x(i, length)));
    setAttribute(this.cursor, "visibility", "visible");
  }

  leave() {
    setText(this.note, "");
    setAttribute(this.cursor, "visibility", "hidden");
  }
}

// Returns the sums of each `size` values, the last of which ends with the last value.
function sums(values, size) {
  const result = [];
  for (let end = values.length; end > 0; end -= size)
    result.unshift(values.slice(Math.max(0, end - size), end).reduce((a, b) => a + b, 0));
  return result;
}

const perSecond = (name) => (history) => history[name].map((n) => n / history.step);

const charts = [
  new Chart("Tunnels", { series: [(h) => h.tunnels], format: count, least: 1 }),
  new Chart("Throughput", {
    series: [perSecond("down_bytes"), perSecond("up_bytes")],
    names: ["─ down", "┄ up"],
    format: rate,
    least: 125,
  }),
  new Chart("Failures in a minute", { series: [(h) => sums(h.failures, 6)], format: count, least: 1, bars: 6 }),
  new Chart("Time to a tunnel", { series: [(h) => h.tunnel_seconds], format: seconds, least: 0.1 }),
];
document.querySelector(".charts").append(...charts.map((chart) => chart.node));

// ---- the head of the page ----

const facts = new Map();

function showFacts(pairs) {
  for (const [name, text] of pairs) {
    if (!facts.has(name)) {
      const node = make("dd");
      facts.set(name, node);
      $("facts").append(make("div", {}, make("dt", {}, name), node));
    }
    setText(facts.get(name), text);
  }
}

function showStatus(status) {
  const [word, tone] = stateOf(status.state);
  setText($("state"), word);
  setClass($("state"), `mark ${tone}`);
  showFacts([
    ["Tunnels", count(status.tunnels)],
    ["Calls", `${count(status.calls)} of ${count(status.calls_max)}`],
    ["Uptime", duration(status.uptime)],
    ["Version", textOf(status.version)],
    ["Workers", count(status.workers)],
    ["Process", textOf(status.pid)],
    ["Sandbox", textOf(status.sandbox)],
  ]);
  title = `${plural(status.tunnels, "tunnel", "tunnels")}, ${word.toLowerCase()}`;
}

// Returns a sentence for each thing that an administrator should know or do.
function noticesOf({ status, listeners: l, servers: s, tunnels: t }) {
  const list = [];
  if (status.state !== "serving")
    list.push(`The gate is ${stateOf(status.state)[0].toLowerCase()}: it refuses new calls.`);
  if (status.reload && !status.reload.ok)
    list.push(
      `The reload of ${moment(status.reload.time)} failed, and the old configuration is in force: ` +
        visible(status.reload.cause),
    );
  if (status.configuration_outdated)
    list.push("The configuration file has changed since it was loaded. Reload it to apply the change.");
  for (const stale of status.stale_files ?? [])
    list.push(
      `${visible(stale.file)} could not be read again, and its old content is in force: ${visible(stale.reason)}`,
    );
  for (const item of l.items.filter((item) => certificateTone(item) !== "ok"))
    list.push(`The certificate of the listener ${quoted(item.name)}: ${daysLeft(item.certificate_days)}.`);
  for (const item of s.items.filter((item) => item.state === "down"))
    list.push(`The server ${quoted(serverOf(item))} is down${known(item.cause) ? `: ${visible(item.cause)}` : ""}.`);
  for (const { gate, cause } of t.missing ?? [])
    list.push(
      known(gate)
        ? `The list has not all tunnels of the gate ${quoted(gate)}: ${visible(cause)}.`
        : `The list has only the tunnels of this gate: ${visible(cause)}.`,
    );
  if (status.old_tunnels > 0)
    list.push(`${plural(status.old_tunnels, "call is", "calls are")} left in the processes before the upgrade.`);
  if (status.dropped_log_lines > 0)
    list.push(`${plural(status.dropped_log_lines, "line", "lines")} of the log could not be written.`);
  return list;
}

function showNotices(list) {
  const parent = $("notices").querySelector("ul");
  while (parent.children.length > list.length) parent.lastChild.remove();
  while (parent.children.length < list.length) parent.append(make("li"));
  list.forEach((text, i) => setText(parent.children[i], text));
  setHidden($("notices"), list.length === 0);
}

function showActions(status) {
  document.body.classList.toggle("writable", status.writable === true);
  setHidden($("actions"), status.writable !== true);
  setHidden($("ban"), status.writable !== true);
  setHidden($("drain"), status.state !== "serving");
  setHidden($("resume"), status.state !== "draining");
  setHidden($("forget"), token === null);
}

function showFilters({ listeners: l, servers: s }) {
  const names = l.items.map((item) => item.name).sort(byName);
  setOptions(tunnels.form.elements.listener, names);
  setOptions(failures.form.elements.listener, names);
  setOptions(tunnels.form.elements.server, s.items.map(serverOf).sort(byName));
}

// ---- dialogs ----

const dialog = $("dialog");
let submit = null; // what the form of the dialog does
let origin = null; // the section of the button that opened the dialog

function openDialog(title, body, buttons, run) {
  if (!dialog.open) origin = document.activeElement?.closest("section");
  setText($("dialog-title"), title);
  setText($("dialog-error"), "");
  $("dialog-body").replaceChildren(...body);
  $("dialog-buttons").replaceChildren(...buttons);
  submit = run;
  if (!dialog.open) dialog.showModal();
  dialog.scrollTop = 0;
}

const button = (label, click, kind) =>
  make("button", { type: click ? "button" : "submit", class: kind, click: click ?? undefined }, label);
const closer = (label) => button(label, () => dialog.close());

dialog.addEventListener("submit", (event) => {
  event.preventDefault();
  submit?.();
});
dialog.addEventListener("close", () => {
  if (dialog.open) return; // it was opened again before this event
  $("dialog-body").replaceChildren();
  submit = null;
  if (document.activeElement === document.body) origin?.focus();
});

// Shows all fields of an item.
function openFacts(title, pairs, actions = [], more = []) {
  const buttons = document.body.classList.contains("writable") ? actions : [];
  openDialog(
    title,
    [make("dl", { class: "facts" }, ...factList(pairs)), ...more],
    [...buttons, closer("Close")],
    () => dialog.close(),
  );
  $("dialog-title").tabIndex = -1;
  $("dialog-title").focus();
}

const utc = (text) => (known(text) ? `${textOf(text)}` : "–");
const hostOf = (client) =>
  String(client)
    .replace(/:\d+$/, "")
    .replace(/^\[(.*)\]$/, "$1");

function openTunnel(t) {
  openFacts(
    `Tunnel ${visible(t.id)}`,
    [
      ...(known(t.gate) ? [["Gate", textOf(t.gate)]] : []),
      ["User", textOf(t.user)],
      ["Client", textOf(t.client)],
      ["Assigned address", textOf(t.assigned)],
      ["Listener", textOf(t.listener)],
      ["Server", textOf(serverOf(t))],
      ["Start", utc(t.start)],
      ["Connected", duration(t.duration)],
      ["Down", `${bytes(t.down_bytes)}, ${plural(t.down_packets, "packet", "packets")}, ${rate(t.down_rate)}`],
      ["Up", `${bytes(t.up_bytes)}, ${plural(t.up_packets, "packet", "packets")}, ${rate(t.up_rate)}`],
      ["Method", textOf(t.method)],
      ["Binding", textOf(t.binding)],
      ["Hash", textOf(t.hash)],
      ["Key", textOf(t.key)],
      ["TLS", `${textOf(t.tls)}, ${textOf(t.cipher)}`],
      ["Host", textOf(t.host)],
      ["Server name (SNI)", textOf(t.sni)],
    ],
    [button("End…", () => askEnd(t), "harm"), ...banButtons(t)],
  );
}

function banButtons({ client, user }) {
  const list = [];
  if (known(client)) list.push(button("Ban address…", () => askBan(hostOf(client), "")));
  if (known(user)) list.push(button("Ban user…", () => askBan("", user)));
  return list;
}

function openFailure(f) {
  openFacts(
    `Call ${visible(f.id)}`,
    [
      ["Time", utc(f.time)],
      ["Reason", textOf(f.words)],
      ["Remedy", textOf(f.remedy)],
      ["In the log", textOf(f.reason)],
      ["Detail", textOf(f.detail)],
      ["Outcome", textOf(f.outcome)],
      ["Stage", textOf(f.stage)],
      ["Client", textOf(f.client)],
      ["User", textOf(f.user)],
      ["Listener", textOf(f.listener)],
      ["Server", textOf(serverOf(f))],
      ["Host", textOf(f.host)],
      ["Server name (SNI)", textOf(f.sni)],
    ],
    banButtons(f),
  );
}

function openListener(l) {
  const own = latest.certificates.items.filter((c) => c.listener === l.name);
  openFacts(
    `Listener ${visible(l.name)}`,
    [
      ["Addresses", l.addresses.map(visible).join(", ")],
      ["Backend", textOf(l.backend)],
      ["Tunnels", count(l.tunnels)],
      ["Calls", count(l.calls)],
      ["Rules", l.mode === "dry-run" ? "dry run: not enforced" : "enforced"],
      ["Certificate", `${daysLeft(l.certificate_days)}, until ${utc(l.certificate_expires)}`],
    ],
    [],
    own.flatMap((c) => [
      make("h3", {}, `Certificate ${visible(c.file)}`),
      make(
        "dl",
        { class: "facts" },
        ...factList([
          ["Subject", textOf(c.subject)],
          ["Names", (c.names ?? []).map(visible).join(", ") || "–"],
          ["Issuer", textOf(c.issuer)],
          ["Serial", textOf(c.serial)],
          ["Valid", `${utc(c.not_before)} to ${utc(c.not_after)}`],
          ["Key", textOf(c.key)],
          ["OCSP staple", textOf(c.staple)],
          ["SHA-256", textOf(c.leaf_sha256)],
        ]),
      ),
    ]),
  );
}

// ---- actions ----

function field(name, label, type, value) {
  const input = make("input", { name, type, value, autocomplete: "off", spellcheck: "false" });
  return make("label", {}, label, input);
}

// Asks before an action. `inputs` are fields whose values become parameters. Without a token, the dialog
// has a field for it, too.
function ask({ title: heading, text, label, path, params = {}, inputs = [], harm = true }) {
  const fields = [...inputs];
  if (token === null) fields.push(field("token", "Token (the content of status-token-file)", "password", ""));
  const go = button(label, null, harm ? "harm" : "go");
  const again = () => ask({ title: heading, text, label, path, params, inputs, harm });
  openDialog(heading, [make("p", {}, text), ...fields], [closer("Cancel"), go], () => send(path, params, again));
  (dialog.querySelector("input") ?? dialog.querySelector("button")).focus();
}

let sending = false;

async function send(path, params, again) {
  if (sending) return;
  const values = new URLSearchParams(params);
  for (const input of dialog.querySelectorAll("input")) {
    if (input.name === "token") token = input.value.trim();
    else if (input.value.trim() !== "") values.set(input.name, input.value.trim());
  }
  sending = true;
  const result = await post(path, values);
  sending = false;
  if (result.refused) {
    token = null;
    again();
  }
  if (result.ok) dialog.close();
  if (result.ok) setText($("say"), result.text);
  else setText($("dialog-error"), result.text);
  if (latest) showActions(latest.status);
  if (result.ok) refresh();
}

async function post(path, body) {
  try {
    const answer = await fetch(`api/v1/${path}`, {
      method: "POST",
      body,
      cache: "no-store",
      credentials: "omit",
      redirect: "error",
      headers: { Authorization: `Bearer ${token}` },
      signal: AbortSignal.timeout(TIMEOUT),
    });
    const result = await answer.json().catch(() => ({}));
    const text = visible(result.text ?? result.error ?? `HTTP ${answer.status}`);
    if (answer.status === 403 || answer.status === 401)
      return { refused: true, text: `The gate refused this: ${text}. A wrong token counts towards a ban.` };
    return { ok: answer.ok && result.ok === true, text };
  } catch (error) {
    if (error instanceof TypeError && /[^\x20-\x7e]/.test(token))
      return { refused: true, text: "A token consists of printable ASCII characters." };
    return { ok: false, text: "The gate does not answer. Whether it did this is unknown." };
  }
}

function askEnd(t) {
  ask({
    title: `End the tunnel of ${quoted(known(t.user) ? t.user : t.client)}?`,
    label: "End tunnel",
    path: "end",
    params: { id: idOf(t) },
    text: `Tunnel ${visible(idOf(t))} from ${quoted(t.client)}. The client gets a Disconnect; it may dial again.`,
  });
}

function askBan(address, user) {
  const who = known(user)
    ? field("user", "User", "text", user)
    : field("address", "Address or network", "text", address);
  const inputs =
    known(user) || known(address)
      ? [who, field("time", "Time", "text", "1h")]
      : [who, field("user", "or user", "text", ""), field("time", "Time", "text", "1h")];
  ask({
    title: "Ban",
    label: "Ban",
    path: "ban",
    inputs,
    text: "Tunnels from there, or of the user, end. New calls are refused until the time is over.",
  });
}

function askUnban(b) {
  ask({
    title: `Unban ${quoted(b.net ?? b.user)}?`,
    label: "Unban",
    path: "unban",
    params: known(b.net) ? { address: b.net } : { user: b.user },
    harm: false,
    text: "Calls are accepted again at once.",
  });
}

function askServer(s) {
  const name = serverOf(s);
  if (s.state === "drain")
    ask({
      title: `Resume ${quoted(name)}?`,
      label: "Resume",
      path: "resume",
      params: { server: name },
      harm: false,
      text: "The server gets new calls again.",
    });
  else
    ask({
      title: `Drain ${quoted(name)}?`,
      label: "Drain",
      path: "drain",
      params: { server: name },
      text:
        `The server gets no new calls. Its ${plural(s.tunnels, "tunnel stays", "tunnels stay")} up; ` +
        "with drain-time, tunnels end over that time.",
    });
}

$("drain").addEventListener("click", () =>
  ask({
    title: "Drain the gate?",
    label: "Drain",
    path: "drain",
    text: "The gate refuses new calls, and exits when its last call has ended, or after drain-time. Resume cancels this.",
  }),
);
$("resume").addEventListener("click", () =>
  ask({
    title: "Resume the gate?",
    label: "Resume",
    path: "resume",
    harm: false,
    text: "The gate accepts calls again.",
  }),
);
$("reload").addEventListener("click", () =>
  ask({
    title: "Reload the configuration?",
    label: "Reload",
    path: "reload",
    harm: false,
    text: "The gate reads its configuration again. If that has an error, the old one stays in force.",
  }),
);
$("ban").addEventListener("click", () => askBan("", ""));
$("forget").addEventListener("click", () => {
  token = null;
  setHidden($("forget"), true);
  setText($("say"), "The token is forgotten.");
  $("reload").focus();
});

// ---- refresh ----

let latest = null; // the objects that are shown
let loaded = null; // when they were loaded
let failed = null; // when the gate stopped to answer
let title = "";
let paused = false;
let busy = false;
let timer = 0;

const KINDS = ["status", "listeners", "servers", "certificates", "tunnels", "failures", "bans"];

// Announces a text to screen readers only.
const hint = (text) => setText($("hint"), text);

async function loadOne(kind, query) {
  const answer = await fetch(`api/v1/${kind}${query}`, { cache: "no-store", signal: AbortSignal.timeout(TIMEOUT) });
  if (!answer.ok) throw new Error(`${kind}: HTTP ${answer.status}`);
  return await answer.json();
}

// Loads the objects one after the other, over one connection. `waited`: ms of it for other gates, which is
// no work of this one.
async function load() {
  const result = { waited: 0 };
  for (const kind of KINDS) {
    const all = kind === "tunnels" && result.status.shared;
    const start = performance.now();
    result[kind] = await loadOne(kind, kind === "status" ? "" : `?limit=${MOST}${all ? "&gates=all" : ""}`);
    if (all) result.waited = performance.now() - start;
  }
  if (result.status.shared) result.gates = await loadOne("gates", `?limit=${MOST}`);
  return result;
}

function show(data) {
  latest = data;
  showStatus(data.status);
  showActions(data.status);
  showFilters(data);
  showNotices(noticesOf(data));
  for (const chart of charts) chart.update(data.status.history);
  listeners.update(data.listeners);
  servers.update(data.servers);
  document.body.classList.toggle("shared", data.gates !== undefined);
  if (data.gates) gates.update(data.gates);
  tunnels.update(data.tunnels);
  failures.update(data.failures);
  bans.update(data.bans);
}

function showFresh() {
  const from = loaded ? `the data is from ${clock(loaded)}` : "there is no data yet";
  if (failed) setText($("fresh"), `No answer since ${clock(failed)}: ${from}`);
  else if (loaded) setText($("fresh"), `${paused ? "Paused" : "Updated"} ${clock(loaded)}`);
  document.body.classList.toggle("stale", failed !== null);
  document.title = `${failed ? "no answer" : title} · sstpgate`;
}

function setFailed(time) {
  if (!failed && time) hint("The gate does not answer. The data is old.");
  if (failed && !time) hint("The gate answers again.");
  failed = time;
}

async function refresh() {
  clearTimeout(timer);
  if (busy || paused || document.hidden) return;
  busy = true;
  const start = performance.now();
  let waited = 0;
  try {
    const data = await load();
    waited = data.waited;
    show(data);
    loaded = new Date();
    setFailed(null);
  } catch (error) {
    setFailed(failed ?? new Date());
    setAttribute($("fresh"), "title", String(error));
  }
  busy = false;
  showFresh();
  const pause = failed ? PERIOD : Math.min(LONGEST, Math.max(PERIOD, SHARE * (performance.now() - start - waited)));
  if (!paused && !document.hidden) timer = setTimeout(refresh, pause);
}

$("pause").addEventListener("click", () => {
  paused = !paused;
  setAttribute($("pause"), "aria-pressed", String(paused));
  showFresh();
  refresh();
});
document.addEventListener("visibilitychange", refresh);

const offset = -new Date().getTimezoneOffset();
const zone = `${offset < 0 ? "−" : "+"}${two(Math.floor(Math.abs(offset) / 60))}:${two(Math.abs(offset) % 60)}`;
setText($("zone"), `Times are local (UTC${zone}); those in the details, as in the log, are UTC.`);
refresh();
