// Parts that the pages share.

import { h, s } from "./viewer/dom.js";

export function pageHead(title, { crumbs = [], end = [] } = {}) {
  document.title = `${title} · p2re`;
  return h("header", { class: "page-head" },
    crumbs.length ? h("p", { class: "crumbs" }, ...crumbs.flatMap(([text, href]) => [h("a", { href }, text), h("i", { "aria-hidden": "true" }, "/")])) : null,
    h("h1", {}, title), end.length ? h("div", { class: "end" }, ...end) : null);
}

export function problem(error) {
  return h("p", { class: "problem", role: "alert" }, error.message);
}

export function empty(title, ...more) {
  return h("div", { class: "empty" }, h("b", {}, title), ...more);
}

export function code(text) {
  return h("code", {}, text);
}

/** A table from columns `[title, row => cell, {n: right aligned}]`; `href(row)` makes rows links.
 * On a narrow screen each row is a card; the roles keep it a table for those who hear it. */
export function table(columns, rows, { href = null, caption = null, current = null } = {}) {
  const body = rows.map((row) => {
    const target = href?.(row) ?? null;
    return h("tr", { role: "row", class: [target && "link", current?.(row) && "current"].filter(Boolean).join(" ") || null,
      onclick: target && ((event) => { if (!event.target.closest("a,button,input,label,select") && !String(getSelection())) event.currentTarget.querySelector("a")?.click(); }) },
      ...columns.map(([, cell, options = {}], at) => {
        const value = cell(row);
        const inside = at === 0 && target ? h("a", { href: target }, value) : value;
        const says = { class: options.n ? "n" : null, "data-label": at ? columns[at][0] || null : null };
        return at === 0 ? h("th", { scope: "row", role: "rowheader", ...says }, inside) : h("td", { role: "cell", ...says }, inside);
      }));
  });
  return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption ?? "Table" }, h("table", { class: "cards", role: "table" },
    caption ? h("caption", { class: "hush" }, caption) : null,
    h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, ...columns.map(([title, , options = {}]) => (title ? h("th", { scope: "col", role: "columnheader", class: options.n ? "n" : null }, title) : h("td", { role: "cell" }))))),
    h("tbody", { role: "rowgroup" }, ...body)));
}

export function chip(text, tone = "") {
  return h("span", { class: `chip ${tone}` }, text);
}

/** A rate with its interval on a rail from 0 to 1. */
export function interval(low, point, high) {
  const x = (share) => 2 + share * 126;
  return s("svg", { class: "interval", viewBox: "0 0 130 14", role: "img", "aria-label": `${(point * 100).toFixed(1)} %, from ${(low * 100).toFixed(0)} to ${(high * 100).toFixed(0)}` },
    s("line", { class: "rail", x1: 2, x2: 128, y1: 7, y2: 7 }), s("line", { class: "span", x1: x(low), x2: Math.max(x(low) + 1, x(high)), y1: 7, y2: 7 }),
    s("circle", { class: "point", cx: x(point), cy: 7, r: 4 }));
}

/** Wilson's 95 % interval of a share. */
export function wilson(passed, n) {
  if (!n) return null;
  const z = 1.959964, p = passed / n, d = 1 + (z * z) / n;
  const middle = (p + (z * z) / (2 * n)) / d, half = (z / d) * Math.sqrt((p * (1 - p)) / n + (z * z) / (4 * n * n));
  return [Math.max(0, middle - half), p, Math.min(1, middle + half)];
}

/** Parts of a whole as a small bar: passed, failed, the rest. */
export function share(outcomes) {
  const all = Object.values(outcomes).reduce((sum, one) => sum + one, 0);
  const tone = { passed: "", failed: "fail" };
  return h("span", { class: "share", role: "img", "aria-label": Object.entries(outcomes).map(([name, one]) => `${one} ${name}`).join(", ") },
    ...["passed", "failed", "error", "unscored", "not_run"].filter((name) => outcomes[name])
      .map((name) => h("i", { class: tone[name] ?? "warn", style: { width: `${(outcomes[name] / all) * 100}%` } })));
}

export function toast(text) {
  const note = h("div", { class: "toast", role: "status" }, text);
  document.body.append(note);
  setTimeout(() => note.remove(), 2600);
}

/** A button that asks for the next page and adds it; gone at the end. */
export function more(load) {
  const said = h("span", { class: "soft" });
  const button = h("button", { type: "button", onclick: async () => {
    button.disabled = true;
    try {
      if (!(await load())) button.remove();
    } catch (error) {
      said.textContent = error.message;
    }
    button.disabled = false;
  } }, "Show more");
  return h("p", { class: "foot" }, button, " ", said);
}

/** Rows of a list that arrow keys and j, k walk along. */
export function walker(rows) {
  const step = (by) => () => {
    const all = rows();
    if (!all.length) return false;
    const at = all.indexOf(document.activeElement.closest("a"));
    const next = all[Math.min(all.length - 1, Math.max(0, at + by))] ?? all[0];
    next?.focus();
    next?.scrollIntoView({ block: "nearest" });
    return true;
  };
  return new Map([["j", step(1)], ["k", step(-1)], ["ArrowDown", step(1)], ["ArrowUp", step(-1)]]);
}
