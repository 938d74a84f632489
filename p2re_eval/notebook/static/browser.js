// The record in a notebook's cell: filters, a page of traces, and the one that was chosen.

import { button, fill, h } from "./dom.js";
import { duration, money, moment, plural, tokens, wholeMoment } from "./format.js";

const FILTERS = { status: "Any status", prompt: "Any prompt", model: "Any model" };

class Browser {
  constructor(model, element) {
    Object.assign(this, { model, element, query: model.get("query"), filters: {}, cursors: [null], waiting: new Map(), asked: 0 });
    model.on("msg:custom", (said) => this._answered(said));
    this._build();
    this.show(model.get("first"));
  }

  /** What Python says to this; rejects with its sentence. */
  ask(what, given = {}) {
    this.asked += 1;
    const id = this.asked;
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject });
      this.model.send({ id, what, ...given });
    });
  }

  _answered({ id, value, error }) {
    const one = this.waiting.get(id);
    this.waiting.delete(id);
    if (error === undefined) one?.resolve(value);
    else one?.reject(new Error(error));
  }

  _build() {
    const facets = this.model.get("facets");
    this.box = h("input", { type: "search", "aria-label": "Search traces", value: this.query, spellcheck: "false",
      placeholder: 'words, or an expression: status == ERROR and latency > 2s',
      onkeydown: (event) => { event.stopPropagation(); if (event.key === "Enter") this.search(); } });
    this.selects = Object.entries(FILTERS).map(([name, label]) => h("select", { "aria-label": label, onchange: (event) => this.filter(name, event.target.value) },
      h("option", { value: "" }, label), ...(facets[name] ?? []).map((one) => h("option", { value: one.value }, `${one.value} (${one.count})`))));
    this.fault = h("pre", { class: "p2re-fault", role: "alert", hidden: true });
    this.body = h("tbody", {});
    this.said = h("span", { class: "p2re-soft", role: "status" });
    this.newer = button("Newer", () => this.turn(-1), { icon: "left" });
    this.older = button("Older", () => this.turn(1), { icon: "right" });
    this.viewer = h("div", { class: "p2re-viewer", hidden: true });
    fill(this.element,
      h("div", { class: "p2re-bar" }, this.box, ...this.selects, button("Search", () => this.search(), { icon: "search" })),
      this.fault,
      h("table", {}, h("thead", {}, h("tr", {}, ...["Trace", "Input", "Output", "Model", "Took", "Tokens", "Cost", "Begun"].map((one) => h("th", { scope: "col" }, one)))), this.body),
      h("div", { class: "p2re-foot" }, this.newer, this.older, this.said),
      this.viewer);
    this.body.addEventListener("keydown", (event) => this._key(event));
  }

  search() {
    return this.load(this.box.value.trim(), [null]);
  }

  filter(name, value) {
    this.filters[name] = value || null;
    return this.search();
  }

  turn(by) {
    return this.load(this.query, by > 0 ? [...this.cursors, this.next] : this.cursors.slice(0, -1));
  }

  /** A search with a mistake leaves everything as it was. */
  async load(query, cursors) {
    try {
      const page = await this.ask("page", { query, filters: this.filters, cursor: cursors.at(-1) });
      Object.assign(this, { query, cursors });
      this.show(page);
    } catch (error) {
      this.fault.hidden = false;
      this.fault.textContent = error.message;
    }
  }

  show(page) {
    this.fault.hidden = true;
    this.next = page.next_cursor;
    this.newer.disabled = this.cursors.length < 2;
    this.older.disabled = this.next === null;
    fill(this.body, ...page.items.map((item) => this._row(item)));
    const place = this.cursors.length > 1 ? `page ${this.cursors.length}` : "the newest";
    this.said.textContent = page.items.length ? `${plural(page.items.length, "trace")}, ${place}${page.note ? `. ${page.note}` : ""}` : page.note || "No trace matches.";
  }

  _row({ row, scores }) {
    const failed = row.status === "ERROR";
    return h("tr", { tabindex: "0", "data-id": row.trace_id, "aria-label": `open the trace ${row.name}`, onclick: (event) => this.open(event.currentTarget) },
      h("td", {}, h("i", { class: `p2re-dot ${row.status}`, role: "img", "aria-label": row.status.toLowerCase() }), h("b", {}, row.name), marks(scores)),
      h("td", { class: "p2re-clip" }, row.input_preview), h("td", { class: failed ? "p2re-clip p2re-bad" : "p2re-clip" }, row.output_preview),
      h("td", { class: "p2re-soft" }, row.model), h("td", { class: "n" }, duration(row.end_ns && row.end_ns - row.start_ns)),
      h("td", { class: "n" }, tokens(row.input_tokens, row.output_tokens)), h("td", { class: "n" }, money(row.cost_usd)),
      h("td", { class: "n" }, h("time", { title: wholeMoment(row.start_ns) }, moment(row.start_ns))));
  }

  _key(event) {
    const row = event.target.closest("tr"), to = { ArrowDown: "nextElementSibling", ArrowUp: "previousElementSibling" }[event.key];
    if (event.key === "Enter") this.open(row);
    else if (to) row[to]?.focus();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  async open(row) {
    for (const one of this.body.children) one.removeAttribute("aria-current");
    row.setAttribute("aria-current", "true");
    const id = row.dataset.id, shown = document.createElement("p2re-trace");
    shown.append(h("button", { slot: "tools", type: "button", class: "p2re-close", onclick: () => { this.viewer.hidden = true; row.focus(); } }, "Close"));
    fill(this.viewer, shown);
    this.viewer.hidden = false;
    await shown.open({
      head: () => this.ask("head", { trace: id }), compare: (other) => this.ask("compare", { trace: id, other }), tree: () => this.ask("tree", { trace: id }), raw: () => this.ask("raw", { trace: id }),
      span: (span) => this.ask("span", { trace: id, span }), find: (text) => this.ask("find", { trace: id, text }), template: () => this.ask("template", { trace: id }),
      save: (feedback) => this.ask("save", { trace: id, feedback }),
    });
  }
}

function marks(scores) {
  const tone = (one) => (one.broke ? "warn" : one.passed === null ? "soft" : one.passed ? "pass" : "fail");
  const said = scores.map((one) => `${one.name} ${one.broke ? "broke" : one.passed === null ? one.label ?? one.value : one.passed ? "passed" : "failed"}`).join(", ");
  return scores.length ? h("span", { class: "p2re-marks", role: "img", "aria-label": said, title: said }, ...scores.slice(0, 7).map((one) => h("i", { class: tone(one) }))) : null;
}

export default {
  render({ model, el }) {
    el.classList.add("p2re-browser");
    const shown = new Browser(model, el);
    el.addEventListener("keydown", (event) => event.stopPropagation());  // the notebook's own keys are not meant
    return () => shown.waiting.clear();
  },
};
