// A prompt: its versions, what they say, how they did, and a place to try it.

import { get, part, put, remove } from "../api.js";
import { setQuery } from "../app.js";
import { bars } from "../chart.js";
import { together, wordDiff } from "../viewer/diff.js";
import { ago, count, duration, money, percent, plural } from "../viewer/format.js";
import { button, fill, h } from "../viewer/dom.js";
import { chip, pageHead, problem, table, toast } from "../ui.js";
import { trial } from "../trial.js";

const TABS = { text: "Text", diff: "Changes", metrics: "Metrics", log: "Git", try: "Try it" };

/** "v3 1a2b3c4d" where git numbers the version, else its digits alone. */
const short = ({ number, version }) => (number ? `v${number} ` : "") + version.slice(0, 8);

export async function show(main, { steps: [name], query, app }) {
  const page = new PromptPage(name, query, app);
  await page.load();
  fill(main, page.element);
}

class PromptPage {
  constructor(name, query, app) {
    Object.assign(this, { name, app, tab: TABS[query.tab] ? query.tab : "text", reference: query.version ?? "", base: query.base ?? "" });
    this.body = h("div", { class: "stack" });
    this.side = h("div", { class: "stack" });
    this.tabs = h("div", { class: "flow", role: "tablist", "aria-label": "Parts of the prompt" });
    this.element = h("div", {}, pageHead(name, { crumbs: [["Prompts", "/prompts"]], end: [h("a", { class: "button", href: `/traces?${new URLSearchParams({ prompt: name })}` }, "Its traces")] }),
      h("div", { class: "page" }, h("div", { class: "split" }, this.side, h("div", { class: "stack" }, this.tabs, this.body))));
  }

  async load() {
    const [versions, list] = await Promise.all([get(`/prompts/${part(this.name)}/versions`, { limit: 200 }), get("/prompts")]);
    this.versions = versions.items;
    this.file = list.items.find((one) => one.name === this.name && one.file) ?? null;
    this.reference ||= this.versions[0]?.version ?? "file";
    await this.draw();
  }

  go(change) {
    Object.assign(this, change);
    setQuery({ version: this.reference, tab: this.tab === "text" ? "" : this.tab, base: this.base });
    return this.draw();
  }

  async draw() {
    this._side();
    const tabs = Object.entries(TABS).filter(([tab]) => tab !== "try" || (this.app.health?.project && !this.app.health.read_only));
    fill(this.tabs, tabs.map(([tab, label]) => h("button", { type: "button", class: "quiet", role: "tab", "aria-selected": String(tab === this.tab), onclick: () => this.go({ tab }) }, label)));
    try {
      await this[`_${this.tab}`]();
    } catch (error) {
      fill(this.body, problem(error));
    }
  }

  _side() {
    const current = (reference) => (this.reference === reference ? "true" : null);
    const known = new Set(this.versions.map((row) => row.version));
    const entries = this.versions.map((row) => {
      const { used, checks_passed: rate } = row;
      return h("li", {}, h("a", { href: this._href(row.version), "aria-current": current(row.version), onclick: (event) => { event.preventDefault(); this.go({ reference: row.version }); } },
        h("span", { class: "flow" }, row.number && h("b", {}, `v${row.number}`), h("span", { class: "mono soft" }, row.version.slice(0, 8)), ...row.labels.map((label) => chip(label, "accent")), this.file?.version === row.version ? chip("file") : null),
        h("span", { class: "soft" }, [ago(row.created_ns), used && `${count(used.traces)} calls`, rate !== null && percent(rate)].filter(Boolean).join(" · "))));
    });
    if (this.file && !known.has(this.file.version))
      entries.unshift(h("li", {}, h("a", { href: this._href("file"), "aria-current": current("file"), onclick: (event) => { event.preventDefault(); this.go({ reference: "file" }); } },
        h("span", { class: "flow" }, h("b", {}, "Working file"), h("span", { class: "mono soft" }, this.file.version.slice(0, 8))), h("span", { class: "soft" }, "never ran"))));
    fill(this.side, h("h2", {}, plural(this.versions.length, "version")), h("ul", { class: "versions" }, ...entries));
  }

  _href(version) { return `/prompts/${part(this.name)}?version=${part(version)}`; }

  async _found(reference = this.reference) { return get(`/prompts/${part(this.name)}/versions/${part(reference)}`); }

  async _text() {
    const { template, row } = await this._found();
    fill(this.body, template.description && h("p", {}, template.description), row && !this.app.health?.read_only ? this._labels(row) : null, facts(template), ...sections(template).map(([title, text]) => section(title, text)));
  }

  _labels(row) {
    const box = h("input", { "aria-label": "New label", placeholder: "production", size: "14" });
    const move = async (label) => { await put(`/prompts/${part(this.name)}/labels/${part(label)}`, { version: row.version }); toast(`${label} is on ${short(row)} now`); await this.load(); };
    return h("div", { class: "flow" }, ...row.labels.map((label) => h("span", { class: "chip accent" }, label, " ", h("button", { type: "button", class: "quiet bare", "aria-label": `Take ${label} away`, title: `Take ${label} away`,
      onclick: async () => { await remove(`/prompts/${part(this.name)}/labels/${part(label)}`); await this.load(); } }, "×"))), box,
    button("Put this label here", async () => { try { if (box.value.trim()) await move(box.value.trim()); } catch (error) { toast(error.message); } }));
  }

  async _diff() {
    const at = this.versions.findIndex((row) => row.version === this.reference);
    const base = this.base || this.versions[at + 1]?.version || this.versions[at < 0 ? 0 : at]?.version || "";
    const choice = h("select", { "aria-label": "Compare with", onchange: (event) => this.go({ base: event.target.value }) }, ...this.versions.map((row) => h("option", { value: row.version }, `${short(row)} ${row.labels.join(" ")}`)));
    choice.value = base;
    if (!base) { fill(this.body, h("p", { class: "soft" }, "There is nothing to compare with yet: one version ran.")); return; }
    const { before, after } = await get(`/prompts/${part(this.name)}/diff`, { before: base, after: this.reference });
    const old = new Map(sections(before)), fresh = new Map(sections(after));
    const titles = [...new Set([...old.keys(), ...fresh.keys()])], changed = titles.filter((title) => old.get(title) !== fresh.get(title));
    fill(this.body, h("label", { class: "field" }, "From", choice), changed.length ? changed.map((title) => h("section", {}, h("h2", {}, title, h("span", { class: "soft" }, !old.has(title) ? " added" : !fresh.has(title) ? " removed" : "")),
      h("div", { class: "box mono" }, together(wordDiff(old.get(title) ?? "", fresh.get(title) ?? ""))))) : h("p", { class: "soft" }, "These two send the same."));
  }

  _metrics() {
    const rows = this.versions.map((row) => ({ row, used: row.used, rate: row.checks_passed })).filter(({ used }) => used);
    if (!rows.length) { fill(this.body, h("p", { class: "soft" }, "No version of this prompt has run yet.")); return; }
    const order = [...rows].reverse(), slots = order.map(({ row }) => row), label = (row) => (row.number ? `v${row.number}` : row.version.slice(0, 8));
    fill(this.body, h("div", { class: "charts" },
      bars("Checks passed", { slots, label, series: [{ name: "passed", values: order.map(({ rate }) => rate) }], format: (value) => percent(value) }),
      bars("Median latency", { slots, label, series: [{ name: "median", values: order.map(({ used }) => used.p50_ns) }], format: duration }),
      bars("Cost a call", { slots, label, series: [{ name: "cost", values: order.map(({ used }) => (used.priced ? used.cost_usd / used.priced : null)) }], format: (value) => money(value) || "$0" }),
      bars("Tokens out a call", { slots, label, series: [{ name: "tokens", values: order.map(({ used }) => (used.output_tokens ?? 0) / used.traces) }], format: (value) => count(Math.round(value * 10) / 10) })),
    table([["Version", ({ row }) => short(row)], ["Calls", ({ used }) => count(used.traces), { n: true }], ["Errors", ({ used }) => h("span", { class: used.errors ? "fail" : "soft" }, count(used.errors)), { n: true }],
      ["Checks passed", ({ rate }) => percent(rate), { n: true }], ["p50", ({ used }) => duration(used.p50_ns), { n: true }], ["p95", ({ used }) => duration(used.p95_ns), { n: true }], ["Cost", ({ used }) => money(used.cost_usd) || "unknown", { n: true }]], rows, { caption: "Metrics by version" }));
  }

  async _log() {
    const { entries, note } = await get(`/prompts/${part(this.name)}/log`);
    const ran = new Set(this.versions.map((row) => row.version));
    fill(this.body, note && h("p", { class: "note" }, note), entries.length ? table([["Version", (one) => h("span", { class: "mono" }, short(one))], ["Ran", (one) => (ran.has(one.version) ? "yes" : "")],
      ["Commit", (one) => h("span", { class: "mono" }, one.commit.slice(0, 8))], ["When", (one) => String(one.date).slice(0, 16).replace("T", " ")], ["Who", (one) => one.author], ["Subject", (one) => one.subject]], entries, { href: (one) => this._href(ran.has(one.version) ? one.version : one.commit), caption: "Git history" }) : null);
  }

  /** The chosen version, wherever it lives: the working file, git, or the database alone. */
  async _try() {
    const { template } = await this._found();
    const version = this.file?.version === template.version ? "" : template.version;
    const where = version && !template.commit ? "This version is in the database alone: it runs as it was recorded." : null;
    fill(this.body, where && h("p", { class: "note" }, where), await trial(this.name, template, version, this.app.health));
  }
}

function facts(template) {
  const { provider, name, ...settings } = template.model;
  const given = Object.entries(settings).filter(([, value]) => value !== null);
  return h("div", { class: "flow" }, provider ? chip(`${provider}/${name}`, "accent") : null, ...given.map(([key, value]) => chip(`${key} ${typeof value === "object" ? JSON.stringify(value) : value}`)),
    template.path ? h("span", { class: "soft mono" }, template.path) : null, template.commit ? h("span", { class: "soft mono" }, template.commit.slice(0, 8)) : null);
}

/** The parts of a prompt that decide what is sent, each as text. */
export function sections(template) {
  const found = template.messages.map((one, at) => [`${at + 1}. ${one.role ?? "history"}`, one.history ? `history: ${one.history}` : typeof one.content === "string" ? one.content : one.content.map((item) => item.text ?? `[image ${item.image}]`).join("\n")]);
  template.examples.forEach((one, at) => found.push([`Example ${at + 1}`, `${JSON.stringify(one.inputs, null, 2)}\n→ ${typeof one.output === "string" ? one.output : JSON.stringify(one.output)}`]));
  if (Object.keys(template.inputs).length) found.push(["Inputs", JSON.stringify(template.inputs, null, 2)]);
  if (template.output_schema) found.push(["Output schema", JSON.stringify(template.output_schema, null, 2)]);
  for (const tool of template.tools) found.push([`Tool ${tool.name}`, JSON.stringify(tool, null, 2)]);
  for (const [path, text] of Object.entries(template.partials)) found.push([`Partial ${path}`, text]);
  const model = Object.fromEntries(Object.entries(template.model).filter(([, value]) => value !== null));
  if (Object.keys(model).length) found.push(["Model", JSON.stringify(model, null, 2)]);
  return found;
}

function section(title, text) {
  return h("section", {}, h("h2", {}, title), h("div", { class: "box text mono" }, text));
}

