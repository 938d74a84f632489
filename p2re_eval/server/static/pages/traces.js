// The list of traces: filters and search in the address, new ones as they end.

import { address, get } from "../api.js";
import { lastList, setQuery } from "../app.js";
import { count, duration, moment, money, tokens, wholeMoment } from "../viewer/format.js";
import { button, fill, h, icon } from "../viewer/dom.js";
import { code, empty, pageHead, problem, walker } from "../ui.js";
import { learnFields, searchBox } from "../search.js";

const PAGE = 100;
const TIMES = { "": "Any time", "1h": "Last hour", "24h": "Last day", "7d": "Last week", "30d": "Last month" };
const SECONDS = { h: 3600, d: 86400 };

/** Columns by name: title, width, cell, whether it is there unless chosen otherwise. */
const COLUMNS = {
  name: ["Trace", "minmax(112px, 1fr)", (row) => h("span", { class: "status" }, h("i", { class: `dot ${row.status}`, role: "img", "aria-label": row.status.toLowerCase() }), h("span", { class: "clip" }, row.name)), true],
  input: ["Input", "minmax(130px, 1.8fr)", (row) => row.input_preview, true],
  output: ["Output", "minmax(130px, 1.8fr)", (row) => h("span", { class: row.status === "ERROR" ? "fail" : "" }, row.output_preview), true],
  scores: ["Scores", "64px", (row, scores) => scoreMarks(scores), true],
  model: ["Model", "minmax(120px, 0.9fr)", (row) => h("span", { title: row.model }, row.model), true],
  took: ["Took", "72px", (row) => duration(row.end_ns && row.end_ns - row.start_ns), true, "n"],
  tokens: ["Tokens", "96px", (row) => tokens(row.input_tokens, row.output_tokens), true, "n"],
  cost: ["Cost", "84px", (row) => money(row.cost_usd), true, "n"],
  begun: ["Begun", "104px", (row) => h("time", { title: wholeMoment(row.start_ns) }, moment(row.start_ns)), true, "n"],
  suite: ["Suite", "minmax(100px, 0.8fr)", (row) => row.suite ?? "", false],
  case: ["Case", "minmax(90px, 0.7fr)", (row) => row.case_id ?? "", false],
  session: ["Session", "minmax(90px, 0.6fr)", (row) => row.session_id ?? "", false],
  tags: ["Tags", "minmax(90px, 0.6fr)", (row) => row.tags.join(", "), false],
  version: ["Version", "90px", (row) => (row.prompt_version ?? "").slice(0, 8), false],
  source: ["Source", "64px", (row) => row.source, false],
};
const LEAD = 8;
const WIDE = new Set(["input", "output"]);

/** Where a search found its words, marked, in the place of the beginning of the text. */
function snippet(name, snippets) {
  const found = snippets.find((one) => one.part === { input: "prompt", output: "response" }[name]);
  if (!found) return null;
  const parts = [], text = [...found.text], piece = (start, end) => text.slice(start, end).join("");  // marks count characters, not UTF-16 units
  let last = Math.max(0, (found.marks[0]?.[0] ?? 0) - LEAD);  // a narrow column shows the words, not what comes before them
  if (last) parts.push("…");
  for (const [start, end] of found.marks) {
    parts.push(piece(last, start), h("mark", {}, piece(start, end)));
    last = end;
  }
  return [...parts, piece(last)];
}

export function chosenColumns() {
  const kept = localStorage.getItem("p2re.columns")?.split(",").filter((name) => COLUMNS[name]);
  return kept?.length ? kept : Object.keys(COLUMNS).filter((name) => COLUMNS[name][3]);
}

export function scoreMarks(scores) {
  const tone = (one) => (one.broke ? "warn" : one.passed === null ? "soft" : one.passed ? "pass" : "fail");
  const said = scores.map((one) => `${one.name} ${one.broke ? "broke" : one.passed === null ? one.label ?? one.value : one.passed ? "passed" : "failed"}`).join(", ");
  return scores.length ? h("span", { class: "scores", role: "img", "aria-label": said, title: said }, ...scores.slice(0, 7).map((one) => h("i", { class: tone(one) }))) : null;
}

export async function show(main, { query, app }) {
  const state = { q: query.q ?? "", status: query.status ?? "", model: query.model ?? "", prompt: query.prompt ?? "", suite: query.suite ?? "", time: query.time ?? "",
    experiment: query.experiment ?? "", session: query.session ?? "" };
  const page = new TraceList(main, state, app);
  await page.start();
  return () => page.stop();
}

class TraceList {
  constructor(main, state, app) {
    Object.assign(this, { main, state, app, items: [], cursor: null, stream: null, loading: false });
    this.columns = chosenColumns();
    this.grid = h("div", { class: "grid" });
    this.foot = h("p", { class: "foot", role: "status" });
    this.scroller = h("div", { class: "list", tabindex: "-1" }, this.grid, this.foot);
    this.scroller.addEventListener("scroll", () => this._near(), { passive: true });
    this.bar = h("div", { class: "bar" });
    this.live = button("Live", () => this.setLive(!this.isLive), { icon: "live", "aria-pressed": "false" });
    main.className = "whole";
    fill(main, pageHead("Traces", { end: [this.live, this._columnMenu()] }), this.bar, this.scroller);
  }

  async start() {
    this.search = searchBox(this.state.q, (q) => this.set({ q }));
    const { keys } = this.app;
    for (const [key, act] of walker(() => [...this.grid.querySelectorAll("a.tr")])) keys.set(key, act);
    keys.set("/", () => { this.search.input.focus(); this.search.input.select(); });
    keys.set("l", () => this.setLive(!this.isLive));
    this._bar({});
    get("/traces/facets").then(({ facets, fields }) => { this._bar(facets); learnFields(fields); this.search.values = facets; }).catch(() => {});
    this.seen = () => this.refresh();
    document.addEventListener("visibilitychange", this.seen);
    await this.setLive(localStorage.getItem("p2re.live") !== "off");
  }

  stop() {
    this.over = true;
    document.removeEventListener("visibilitychange", this.seen);
    this.stream?.close();
    this.wait?.abort();
  }

  set(change) {
    Object.assign(this.state, change);
    setQuery(this.state);
    this._bar(this.facets);
    return this.reload();
  }

  query() {
    const { time, ...rest } = this.state;
    const found = /^(\d+)([hd])$/.exec(time);
    const since = found ? String(BigInt(Math.floor(Date.now() / 1000) - found[1] * SECONDS[found[2]]) * 1000000000n) : "";
    return { ...rest, since_ns: since };
  }

  async reload() {
    this.wait?.abort();
    this.wait = new AbortController();
    this.items = [];
    this.cursor = null;
    try {
      const page = await get("/traces", { ...this.query(), limit: PAGE }, this.wait.signal);
      this._head();
      this._add(page);
      if (!page.items.length) this._nothing();
    } catch (error) {
      if (error.name !== "AbortError") fill(this.grid, problem(error));
    }
  }

  async _near() {
    if (this.loading || !this.cursor || this.scroller.scrollTop + this.scroller.clientHeight < this.scroller.scrollHeight - 900) return;
    this.loading = true;
    try {
      this._add(await get("/traces", { ...this.query(), limit: PAGE, cursor: this.cursor }, this.wait.signal));
    } catch (error) {
      if (error.name !== "AbortError") this.foot.textContent = error.message;
    }
    this.loading = false;
    this._near();
  }

  _add(page) {
    this.items.push(...page.items);
    this.cursor = page.next_cursor;
    this.grid.append(...page.items.map((item) => this._row(item)));
    this._say(page.note);
  }

  _say(note) {
    const known = count(this.items.length);
    this.foot.textContent = this.items.length ? `${known} shown${this.cursor ? ", more below" : ""}${note ? `. ${note}` : ""}` : note ?? "";
    lastList.ids = this.items.map((item) => item.row.trace_id);
    lastList.href = location.pathname + location.search;
  }

  _nothing() {
    const filtered = Object.values(this.state).some(Boolean);
    this.grid.append(filtered ? empty("No trace matches.", "Widen the search or ", h("button", { type: "button", onclick: () => this.clear() }, "clear the filters"), ".")
      : empty("Nothing was recorded yet.", "Run a suite with ", code("pytest --p2re"), ", or let a program send its spans to ", code(`${location.origin}/v1/traces`), "."));
  }

  clear() {
    this.search.input.value = "";
    return this.set({ q: "", status: "", model: "", prompt: "", suite: "", time: "", experiment: "", session: "" });
  }

  _head() {
    this.grid.style.setProperty("--columns", this.columns.map((name) => COLUMNS[name][1]).join(" "));
    fill(this.grid, h("div", { class: "tr th", "aria-hidden": "true" }, ...this.columns.map((name) => h("span", { class: COLUMNS[name][4] ?? null }, COLUMNS[name][0]))));
  }

  _row({ row, scores, snippets = [] }) {
    return h("a", { class: "tr", href: `/traces/${row.trace_id}`, "data-id": row.trace_id }, ...this.columns.map((name) =>
      h("span", { class: `clip ${COLUMNS[name][4] ?? ""} ${WIDE.has(name) ? "wide" : ""}`, "data-column": name }, snippet(name, snippets) ?? COLUMNS[name][2](row, scores))));
  }

  /** The list as it is now, and new traces on top as they end; nothing ends between the two. */
  async refresh() {
    this.stream?.close();
    this.stream = null;
    const live = this.isLive && !document.hidden;  // a tab nobody sees keeps no connection: a browser has six
    const after = live ? (await get("/health")).newest : null;
    await this.reload();
    if (!live || this.over) return;
    this.stream = new EventSource(address("/stream", { after }));
    this.stream.addEventListener("trace", (event) => this._arrived(JSON.parse(event.data)));
  }

  setLive(on) {
    this.live.setAttribute("aria-pressed", String(on));
    localStorage.setItem("p2re.live", on ? "on" : "off");
    return this.refresh();
  }

  get isLive() { return this.live.getAttribute("aria-pressed") === "true"; }

  _arrived(item) {
    const { row } = item, { q, time, ...exact } = this.state;
    const keys = { status: "status", model: "model", prompt: "prompt", suite: "suite", experiment: "experiment_id", session: "session_id" };
    if (Object.entries(exact).some(([name, wanted]) => wanted && row[keys[name]] !== wanted)) return;
    if (q) { clearTimeout(this.later); this.later = setTimeout(() => { if (this.scroller.scrollTop < 40) this.reload(); }, 700); return; }
    const here = this.grid.querySelector(`[data-id="${row.trace_id}"]`), drawn = this._row(item);
    if (here) { here.replaceWith(drawn); return; }
    if (this.items.some((one) => one.row.id > row.id)) return;  // it began before what is shown on top
    this.items.unshift(item);
    drawn.classList.add("fresh");
    this.grid.querySelector(".empty")?.remove();
    this.grid.firstElementChild.after(drawn);
    this._say();
  }

  _bar(facets) {
    this.facets = facets;
    const choice = (name, label, values) => {
      const select = h("select", { "aria-label": label, class: this.state[name] ? "set" : null, onchange: (event) => this.set({ [name]: event.target.value }) },
        h("option", { value: "" }, label), ...values.map(([value, text]) => h("option", { value, selected: value === this.state[name] }, text)));
      select.value = this.state[name];
      return select;
    };
    const of = (name) => {
      const values = (facets[name] ?? []).map((one) => [one.value, `${one.value}  ${count(one.count)}`]);
      if (this.state[name] && !values.some(([value]) => value === this.state[name])) values.unshift([this.state[name], this.state[name]]);
      return values;
    };
    const narrowed = [["experiment", "Experiment"], ["session", "Session"]].filter(([name]) => this.state[name])
      .map(([name, label]) => h("button", { type: "button", "aria-pressed": "true", title: "Take this filter away", onclick: () => this.set({ [name]: "" }) }, `${label} ${this.state[name].slice(0, 12)}`, icon("close")));
    const filtered = Object.values(this.state).some(Boolean);
    fill(this.bar, this.search.element, choice("status", "Status", of("status")), choice("prompt", "Prompt", of("prompt")), choice("model", "Model", of("model")),
      choice("suite", "Suite", of("suite")), choice("time", "Any time", Object.entries(TIMES).filter(([value]) => value)), ...narrowed,
      filtered && h("button", { type: "button", class: "quiet", onclick: () => this.clear() }, "Clear"));
  }

  _columnMenu() {
    const toggle = (name, on) => {
      this.columns = Object.keys(COLUMNS).filter((one) => (one === name ? on : this.columns.includes(one)));
      localStorage.setItem("p2re.columns", this.columns.join(","));
      this._head();
      this.grid.append(...this.items.map((item) => this._row(item)));
    };
    return h("details", { class: "menu" }, h("summary", {}, icon("columns"), "Columns"),
      h("div", {}, ...Object.entries(COLUMNS).map(([name, [title]]) => h("label", {},
        h("input", { type: "checkbox", checked: this.columns.includes(name), disabled: name === "name", onchange: (event) => toggle(name, event.target.checked) }), title))));
  }
}

