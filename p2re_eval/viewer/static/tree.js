// The spans of a trace as a tree beside a waterfall. Only the rows on screen exist.

import { fill, h, icon } from "./dom.js";
import { count, duration } from "./format.js";

const ROW = 28;
const SPARE = 8;

export class SpanTree {
  /** `columns` is what the server's tree gives; `onselect(index)` hears of every choice. */
  constructor(columns, onselect) {
    this.columns = columns;
    this.onselect = onselect;
    this.size = columns.ids.length;
    this.closed = new Set();
    this.shown = new Map();
    this.selected = 0;
    this.wanted = "";
    this._link();
    this._flatten();
    this._build();
  }

  _link() {
    const { parents } = this.columns;
    this.children = Array.from({ length: this.size }, () => null);
    this.depth = new Uint16Array(this.size);
    for (let at = 1; at < this.size; at += 1) (this.children[parents[at]] ??= []).push(at);
  }

  /** The rows that can be seen: depth first, below open spans, or those that match a search. */
  _flatten() {
    const rows = [], stack = [0], wanted = this.wanted.toLowerCase();
    this.depth[0] = 0;
    while (stack.length) {
      const at = stack.pop();
      if (!wanted || this._matches(at, wanted)) rows.push(at);
      const below = this.children[at];
      if (!below || (!wanted && this.closed.has(at))) continue;
      for (let i = below.length - 1; i >= 0; i -= 1) {
        this.depth[below[i]] = this.depth[at] + 1;
        stack.push(below[i]);
      }
    }
    this.rows = rows;
  }

  _matches(at, wanted) {
    return this.name(at).toLowerCase().includes(wanted) || this.kind(at).toLowerCase() === wanted || this.found?.has(this.columns.ids[at]);
  }

  name(at) { return this.columns.names[this.columns.name[at]]; }
  kind(at) { return this.columns.kinds[this.columns.kind[at]]; }
  status(at) { return this.columns.statuses[this.columns.status[at]]; }

  _build() {
    this.space = h("div", { class: "rows", role: "tree", "aria-label": "Spans", tabindex: "0", "aria-activedescendant": "span-0" });
    this.scroller = h("div", { class: "tree-scroll" }, this.space);
    this.said = h("span", { class: "soft" });
    const search = h("input", { type: "search", placeholder: "Find spans", "aria-label": "Find spans by name or kind",
      oninput: (event) => this.find(event.target.value) });
    const bar = h("div", { class: "tree-bar" }, search, this.said,
      h("button", { type: "button", class: "quiet", onclick: () => this._fold() }, "Fold"),
      h("button", { type: "button", class: "quiet", onclick: () => this._unfold() }, "Unfold"));
    this.element = h("div", { class: "tree" }, bar, this._axis(), this.scroller);
    this.scroller.addEventListener("scroll", () => this._draw({ keep: true }), { passive: true });
    this.space.addEventListener("keydown", (event) => this._key(event));
    this.space.addEventListener("click", (event) => this._click(event));
    new ResizeObserver(() => this._draw({ keep: true })).observe(this.scroller);
    this._say();
  }

  _axis() {
    const whole = this.columns.duration[0] ?? 0;
    const marks = [0, 0.25, 0.5, 0.75].map((share) =>
      h("span", { style: { left: `${share * 100}%` } }, share ? duration(whole * share * 1e3) : "0"));
    return h("div", { class: "axis", "aria-hidden": "true" }, h("div", { class: "axis-marks" }, ...marks));
  }

  /** Show only spans whose name, kind or id (in `ids`) matches. */
  find(text, ids = null) {
    this.wanted = text.trim();
    this.found = ids;
    this._flatten();
    this.scroller.scrollTop = 0;
    this._say();
    this._draw();
  }

  _say() {
    const all = `${count(this.size)} spans`;
    this.said.textContent = this.wanted ? `${count(this.rows.length)} of ${all}` : all;
  }

  _fold() {
    for (let at = 1; at < this.size; at += 1) if (this.children[at]) this.closed.add(at);
    this._refresh();
  }

  _unfold() {
    this.closed.clear();
    this._refresh();
  }

  _refresh() {
    this._flatten();
    this._draw();
  }

  /** The rows on screen; `keep` those that are there already, as a scroll changes none of them. */
  _draw({ keep = false } = {}) {
    const top = this.scroller.scrollTop, height = this.scroller.clientHeight || 400;
    const first = Math.max(0, Math.floor(top / ROW) - SPARE);
    const last = Math.min(this.rows.length, Math.ceil((top + height) / ROW) + SPARE);
    this.space.style.height = `${this.rows.length * ROW}px`;
    if (!keep) { this.shown.clear(); fill(this.space); }
    for (const [place, row] of this.shown) if (place < first || place >= last) { row.remove(); this.shown.delete(place); }
    const next = this.space.firstElementChild, from = Math.min(...this.shown.keys());
    for (let place = first; place < last; place += 1) {
      if (this.shown.has(place)) continue;
      const row = this._row(this.rows[place], place);
      this.space.insertBefore(row, place < from ? next : null);  // in the order in which they are read
      this.shown.set(place, row);
    }
  }

  _row(at, place) {
    const { columns } = this;
    const whole = Math.max(1, columns.duration[0] ?? 1);
    const took = columns.duration[at], begun = columns.start[at];
    const left = Math.min(99.5, Math.max(0, (begun / whole) * 100));
    const width = Math.min(100 - left, Math.max(0.4, ((took ?? 0) / whole) * 100));
    const end = left + width;
    const open = this.children[at] ? !this.closed.has(at) : null;
    const failed = this.status(at) === "ERROR";
    return h("div", {
      class: "row" + (at === this.selected ? " selected" : "") + (failed ? " failed" : ""), role: "treeitem", id: `span-${at}`,
      "data-at": at, "aria-level": this.depth[at] + 1, "aria-selected": String(at === this.selected),
      "aria-expanded": open === null ? null : String(open), style: { transform: `translateY(${place * ROW}px)` },
      "aria-label": `${this.kind(at)} ${this.name(at)}${failed ? ", failed" : ""} ${took === null ? "" : duration(took * 1e3)}`,
    },
      h("span", { class: "label", style: { "padding-inline-start": `${Math.min(this.depth[at], 24) * 14}px` } },
        h("span", { class: open === null ? "twist none" : open ? "twist open" : "twist" }, open === null ? null : icon("right")),
        h("span", { class: `kind k-${this.kind(at)}` }), h("span", { class: "span-name" }, this.name(at))),
      h("span", { class: "bar-space" },
        h("span", { class: `bar k-${this.kind(at)}`, style: { left: `${left}%`, width: `${width}%` } }),
        h("span", { class: end < 82 ? "took" : left > 22 ? "took before" : "took inside", style: end < 82 ? { left: `${end}%` } : left > 22 ? { right: `${100 - left}%` } : { right: `${100 - end}%` } },
          took === null ? "running" : duration(took * 1e3))));
  }

  _click(event) {
    const row = event.target.closest(".row");
    if (!row) return;
    const at = Number(row.dataset.at);
    if (event.target.closest(".twist:not(.none)")) this._toggle(at);
    else this.select(at);
  }

  _toggle(at) {
    if (!this.closed.delete(at)) this.closed.add(at);
    this._refresh();
  }

  /** Choose a span and bring it into view. */
  select(at, { quiet = false } = {}) {
    this.selected = at;
    const place = this.rows.indexOf(at);
    const top = place * ROW, height = this.scroller.clientHeight;
    if (top < this.scroller.scrollTop) this.scroller.scrollTop = top;
    else if (top + ROW > this.scroller.scrollTop + height) this.scroller.scrollTop = top + ROW - height;
    this.space.setAttribute("aria-activedescendant", `span-${at}`);
    this._draw();
    if (!quiet) this.onselect(at);
  }

  _key(event) {
    const place = this.rows.indexOf(this.selected), at = this.selected;
    const page = Math.floor(this.scroller.clientHeight / ROW);
    const moves = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -this.size, End: this.size, j: 1, k: -1 };
    if (event.key in moves) {
      const next = Math.min(this.rows.length - 1, Math.max(0, place + moves[event.key]));
      this.select(this.rows[next]);
    } else if (event.key === "ArrowRight" && this.children[at]) {
      if (this.closed.has(at)) this._toggle(at);
      else this.select(this.children[at][0]);
    } else if (event.key === "ArrowLeft") {
      if (this.children[at] && !this.closed.has(at)) this._toggle(at);
      else if (at) this.select(this.columns.parents[at]);
    } else return;
    event.preventDefault();
    event.stopPropagation();
  }
}
