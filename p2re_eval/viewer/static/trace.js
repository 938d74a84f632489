// <p2re-trace>: one trace to read, in the web app, a notebook or a file on its own.
//
// Its `source` says where things come from; every part is asked for when it is looked at:
//   head() -> trace without spans, with evaluations and span_count     tree() -> columns of spans
//   span(id) -> one span, whole     template() -> prompt template or null     compare(id) -> difference     alike(trace) -> rows of traces to compare with
//   raw() -> JSON text      find(text) -> ids of spans that contain it     save(feedback) -> evaluations
//   link(address) -> href or null.  All but head are optional.

import { asCase, asCurl, asMarkdown, asPython, modelId } from "./copy.js";
import { conversation } from "./chat.js";
import { difference } from "./difference.js";
import { button, fill, h } from "./dom.js";
import { count, duration, money, plural, tokens, verdict, wholeMoment } from "./format.js";
import { evaluationList, feedbackForm } from "./judge.js";
import { STYLE } from "./style.js";
import { templateView } from "./template.js";
import { jsonBlock } from "./text.js";
import { SpanTree } from "./tree.js";

const TABS = { chat: "Conversation", template: "Template", attributes: "Attributes", compare: "Compare", raw: "JSON" };
const COPIES = { Markdown: asMarkdown, curl: asCurl, Python: asPython, "Suite case": asCase };

let sheet = null;

export class TraceViewer extends HTMLElement {
  constructor() {
    super();
    this.attachShadow({ mode: "open" });
    sheet ??= new CSSStyleSheet();
    if (!sheet.cssRules.length) sheet.replaceSync(STYLE);
    this.shadowRoot.adoptedStyleSheets = [sheet];
    this.frame = h("div", { class: "frame" });
    this.shadowRoot.append(this.frame);
    this.tab = "chat";
    this.markdown = false;
    this.spans = new Map();
  }

  /** Show the trace of a source; resolves when the first picture stands. */
  async open(source, { tab = "chat", span = null, other = "" } = {}) {
    this.source = source;
    const spans = source.tree?.();  // asked for at once: most of the wait is the server's
    spans?.catch(() => {});
    this.trace = await source.head();
    this.tab = TABS[tab] ? tab : "chat";
    this.at = null;
    this.otherId = other;
    this.spans.clear();
    this._build();
    if (this.trace.span_count && spans) {
      const columns = await spans;
      this.tree = new SpanTree(columns, (at) => this._choose(at));
      this.treeSpace.replaceWith(this.tree.element);
      this.tree._draw();
      const wanted = span === null ? -1 : columns.ids.indexOf(span);
      if (wanted > 0) this.tree.select(wanted);
    }
  }

  get span() { return this.at === null ? null : this.spans.get(this.at); }

  _build() {
    const { trace } = this;
    this.treeSpace = h("div", { class: "tree" }, h("p", { class: "tree-bar soft" }, "Loading spans"));
    this.panel = h("div", { class: "panel", role: "tabpanel", id: "panel", tabindex: "0" });
    this.tabBar = h("div", { class: "tabs" });
    this.aside = h("aside", { class: "aside", "aria-label": "Evaluations" });
    const detail = h("div", { class: "detail" }, this.tabBar, h("div", { class: "columns" }, this.panel, this.aside));
    fill(this.frame, this._head(),
      h("div", { class: trace.span_count ? "body with-tree" : "body" }, trace.span_count ? this.treeSpace : null, detail));
    this._judgements();
    this._draw();
  }

  _head() {
    const { trace } = this, answer = trace.completion, usage = answer?.usage ?? {};
    const link = (address, text) => {
      const href = this.source.link?.(address) ?? null;
      return href === null ? text : h("a", { href }, text);
    };
    const facts = {
      model: modelId(trace) + (answer?.model && !modelId(trace).endsWith(answer.model) ? ` (${answer.model})` : ""),
      begun: wholeMoment(trace.start_ns),
      took: duration(trace.end_ns && trace.end_ns - trace.start_ns) + (trace.attempts > 1 ? ` in ${trace.attempts} attempts` : ""),
      "first token": answer?.time_to_first_token_ns && duration(answer.time_to_first_token_ns),
      tokens: answer && tokens(usage.input_tokens, usage.output_tokens)
        + (usage.cached_tokens ? `, ${count(usage.cached_tokens)} cached` : "") + (usage.reasoning_tokens ? `, ${count(usage.reasoning_tokens)} reasoning` : ""),
      cost: answer && (money(answer.cost_usd) || "unknown"),
      source: trace.source === "live" ? null : trace.source,
      prompt: trace.prompt?.version && link(`prompt:${trace.prompt.name}@${trace.prompt.version}`, `${trace.prompt.name} ${trace.prompt.version.slice(0, 8)}`),
      case: trace.case_id && `${trace.suite ?? ""} ${trace.case_id}#${trace.repeat}`,
      experiment: trace.experiment_id && link(`experiment:${trace.experiment_id}`, trace.experiment_id.slice(0, 12)),
      session: trace.session_id && link(`session:${trace.session_id}`, trace.session_id),
      tags: trace.tags?.length ? trace.tags.join(", ") : null,
      id: h("span", { class: "mono" }, trace.trace_id),
    };
    return h("header", { class: "head" },
      h("div", { class: "title" },
        h("span", { class: `state ${trace.status}` }, trace.fault ? trace.fault.kind.replaceAll("_", " ") : trace.status.toLowerCase()),
        h("h2", {}, trace.name), this._tools()),
      h("dl", { class: "facts" }, ...Object.entries(facts).filter(([, fact]) => fact)
        .map(([name, fact]) => h("div", {}, h("dt", {}, name), h("dd", {}, fact)))));
  }

  _tools() {
    const menu = h("div", { class: "menu", role: "menu", hidden: true }, ...Object.entries(COPIES).map(([name, made]) =>
      h("button", { type: "button", role: "menuitem", onclick: () => this._copy(name, made(this._shown())) }, name)));
    const opener = button("Copy", () => toggle(menu.hidden), { icon: "copy", "aria-haspopup": "menu", "aria-expanded": "false" });
    const toggle = (open) => {
      menu.hidden = !open;
      opener.setAttribute("aria-expanded", String(open));
      if (open) menu.firstElementChild.focus();
    };
    menu.addEventListener("keydown", (event) => {
      const items = [...menu.children], at = items.indexOf(this.shadowRoot.activeElement);
      if (event.key === "Escape") { toggle(false); opener.focus(); }
      else if (event.key === "ArrowDown") items[(at + 1) % items.length].focus();
      else if (event.key === "ArrowUp") items[(at + items.length - 1) % items.length].focus();
      else return;
      event.preventDefault();
      event.stopPropagation();
    });
    menu.addEventListener("focusout", (event) => { if (!menu.contains(event.relatedTarget) && event.relatedTarget !== opener) toggle(false); });
    this.tools = h("div", { class: "tools" }, h("slot", { name: "tools" }), opener, menu);
    this.closeMenu = () => toggle(false);
    return this.tools;
  }

  /** The trace, or the chosen span in the shape of one. */
  _shown() {
    const { span, trace } = this;
    return span ? { ...trace, name: span.name, status: span.status, prompt: span.prompt, completion: span.completion, fault: null } : trace;
  }

  async _copy(name, text) {
    this.closeMenu();
    try {
      await navigator.clipboard.writeText(text);
      this.toast(`Copied as ${name}`);
    } catch {
      const box = h("textarea", { rows: "12", readonly: true, "aria-label": name, value: text });
      fill(this.panel, h("p", { class: "note soft" }, "The clipboard is closed to this page; copy from here:"), box);
      box.select();
    }
  }

  toast(text) {
    this.note?.remove();
    this.note = h("div", { class: "toast", role: "status" }, text);
    this.frame.append(this.note);
    setTimeout(() => this.note?.remove(), 2500);
  }

  async _choose(at) {
    if (at === 0) this.at = null;
    else {
      const id = this.tree.columns.ids[at];
      if (!this.spans.has(at)) {
        const span = await this.source.span(id);
        this.spans.set(at, span);
      }
      if (this.tree.selected !== at) return;  // another was chosen meanwhile
      this.at = at;
      if (!this.span.prompt && !this.span.completion && this.tab === "chat") this.tab = "attributes";
      else if (this.tab === "attributes" && this.span.prompt) this.tab = "chat";
    }
    if (at === 0 && this.tab === "attributes") this.tab = "chat";
    this._draw();
    this.dispatchEvent(new CustomEvent("p2re-span", { detail: at ? this.tree.columns.ids[at] : null }));
  }

  _tabsHere() {
    const tabs = ["chat"];
    if (!this.at && this.source.template && this.trace.prompt) tabs.push("template");
    if (this.at || Object.keys(this.trace.metadata ?? {}).length) tabs.push("attributes");
    if (!this.at && this.source.compare) tabs.push("compare");
    return [...tabs, "raw"];
  }

  _draw() {
    const here = this._tabsHere();
    if (!here.includes(this.tab)) this.tab = "chat";
    const tabs = here.map((tab) => h("button", { type: "button", role: "tab", id: `tab-${tab}`, "aria-selected": String(tab === this.tab), "aria-controls": "panel",
      tabindex: tab === this.tab ? "0" : "-1", onclick: () => this.show(tab) }, TABS[tab]));
    const list = h("div", { role: "tablist", "aria-label": "Parts of the trace", onkeydown: (event) => this._tabKey(event) }, ...tabs);
    this.findBox ??= h("input", { type: "search", placeholder: "Find in trace", "aria-label": "Find in this trace", oninput: () => this._find(), onkeydown: (event) => this._findKey(event) });
    this.findSaid ??= h("span", { class: "soft", role: "status" });
    const format = h("button", { type: "button", class: "quiet", "aria-pressed": String(this.markdown), onclick: () => { this.markdown = !this.markdown; this._draw(); } }, "Markdown");
    fill(this.tabBar, list, h("div", { class: "find" }, this.tab === "chat" ? format : null, this.findSaid, this.findBox));
    this.panel.setAttribute("aria-labelledby", `tab-${this.tab}`);
    this.panel.classList.toggle("wide", ["template", "compare", "raw", "attributes"].includes(this.tab));
    this.aside.hidden = this.tab !== "chat" || this.at !== null;
    this._fillPanel();
  }

  async _fillPanel() {
    const { tab, panel } = this, shown = this._shown();
    if (tab === "chat") {
      fill(panel, conversation(shown.prompt, shown.completion, shown.fault, { markdown: this.markdown }),
        !shown.prompt && !shown.completion && !shown.fault && h("p", { class: "note soft" }, "Nothing was said to a model in this span."));
    } else if (tab === "template") {
      fill(panel, h("p", { class: "note soft" }, "Loading the template"));
      const template = await this.source.template();
      if (this.tab === tab) fill(panel, templateView(template, this.trace.prompt));
    } else if (tab === "attributes") fill(panel, attributes(this.span ?? this.trace));
    else if (tab === "compare") this._compare();
    else if (tab === "raw") {
      const text = this.span ? JSON.stringify(this.span) : this.source.raw ? await this.source.raw() : JSON.stringify(this.trace);
      if (this.tab === tab) fill(panel, jsonBlock(text));
    }
    this._find();
  }

  show(tab) {
    this.tab = tab;
    this._draw();
    this.shadowRoot.getElementById(`tab-${tab}`).focus();
    this.dispatchEvent(new CustomEvent("p2re-tab", { detail: tab }));
  }

  _tabKey(event) {
    const here = this._tabsHere(), step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    this.show(here[(here.indexOf(this.tab) + step + here.length) % here.length]);
  }

  _judgements() {
    const { trace, source } = this;
    const failed = trace.evaluations.filter((one) => verdict(one).tone === "fail").length;
    fill(this.aside, h("h3", {}, trace.evaluations.length ? `${plural(trace.evaluations.length, "evaluation")}${failed ? `, ${failed} failed` : ""}` : "Evaluations"),
      evaluationList(trace.evaluations),
      source.save && feedbackForm(async (feedback) => {
        trace.evaluations = await source.save(feedback);
        this._judgements();
      }));
  }

  /** Another trace beside this one: facts that differ, and texts word by word. */
  async _compare() {
    const box = h("input", { "aria-label": "Trace to compare with", placeholder: "id of another trace", value: this.otherId ?? "" });
    const out = h("div", {});
    const go = async () => {
      this.otherId = box.value.trim();
      if (!this.otherId) return;
      try {
        fill(out, difference(await this.source.compare(this.otherId), this.source.link));
        this.dispatchEvent(new CustomEvent("p2re-other", { detail: this.otherId }));
      } catch (error) {
        fill(out, h("p", { class: "fail note" }, error.message));
      }
    };
    box.addEventListener("keydown", (event) => { if (event.key === "Enter") go(); });
    fill(this.panel, h("div", { class: "compare-bar" }, box, button("Compare", go),
      h("span", { class: "soft" }, "The other is the one before, this one the one after.")), out);
    if (this.otherId) await go();
    else if (this.source.alike) await this._offer(out, (id) => { box.value = id; return go(); });
  }

  /** What one would compare this trace with: other runs of its case, or of its prompt. */
  async _offer(out, choose) {
    const rows = await this.source.alike(this.trace).catch(() => []);
    if (!rows.length || out.childElementCount) return;
    fill(out, h("h3", {}, this.trace.case_id ? "Other runs of this case" : "Other runs of this prompt"), h("ul", { class: "alike" }, ...rows.map((row) => h("li", {},
      h("button", { type: "button", class: "quiet", onclick: () => choose(row.trace_id) }, h("span", { class: "mono" }, row.trace_id.slice(0, 12)),
        h("span", {}, row.model), h("span", {}, wholeMoment(row.start_ns)), h("span", { class: "preview" }, row.output_preview))))));
  }

  _find() {
    const wanted = this.findBox.value.trim();
    this.hits = wanted ? ranges(this.panel, wanted.toLowerCase()) : [];
    this.hit = -1;
    CSS.highlights?.delete("p2re-hit");
    if (this.hits.length) CSS.highlights?.set("p2re-hit", new Highlight(...this.hits));
    this.findSaid.textContent = wanted ? plural(this.hits.length, "hit") : "";
  }

  async _findKey(event) {
    if (event.key !== "Enter") return;
    if (this.hits.length) {
      this.hit = (this.hit + (event.shiftKey ? this.hits.length - 1 : 1)) % this.hits.length;
      this.hits[this.hit].startContainer.parentElement.scrollIntoView({ block: "center" });
    } else if (this.tree && this.source.find && this.findBox.value.trim()) {
      const ids = new Set(await this.source.find(this.findBox.value.trim()));
      this.tree.find(this.findBox.value, ids);
    }
  }

  focusFind() { this.findBox.focus(); this.findBox.select(); }
}

function ranges(root, wanted) {
  const found = [], walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node && found.length < 2000; node = walker.nextNode()) {
    const text = node.data.toLowerCase();
    for (let at = text.indexOf(wanted); at >= 0; at = text.indexOf(wanted, at + wanted.length)) {
      const range = new Range();
      range.setStart(node, at);
      range.setEnd(node, at + wanted.length);
      found.push(range);
    }
  }
  return found;
}

function attributes(span) {
  const rows = { kind: span.kind, status: span.status, message: span.status_message, took: duration(span.end_ns && span.end_ns - span.start_ns),
    begun: wholeMoment(span.start_ns), ...(span.attributes ?? span.metadata ?? {}) };
  return h("table", {}, h("tbody", {}, ...Object.entries(rows).filter(([, value]) => value !== null && value !== undefined && value !== "")
    .map(([name, value]) => h("tr", {}, h("th", { scope: "row" }, name), h("td", { class: "mono" }, attribute(value))))));
}

function attribute(value) {
  if (typeof value !== "string") return typeof value === "object" ? jsonBlock(JSON.stringify(value)) : String(value);
  return /^\s*[[{]/.test(value) && isJson(value) ? jsonBlock(value) : value;
}

function isJson(text) {
  try { JSON.parse(text); return true; } catch { return false; }
}

if (!customElements.get("p2re-trace")) customElements.define("p2re-trace", TraceViewer);
