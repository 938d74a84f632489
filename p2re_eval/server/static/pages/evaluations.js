// Judgements: a queue to label by keyboard, the newest ones, and how far people and judges agree.

import { get, part, post } from "../api.js";
import { setQuery } from "../app.js";
import { agreement } from "./agreement.js";
import { conversation } from "../viewer/chat.js";
import { ago, count, plural, score, verdict } from "../viewer/format.js";
import { fill, h } from "../viewer/dom.js";
import { chip, empty, more, pageHead, problem, table } from "../ui.js";

const TABS = { queue: "Label", list: "Newest", agreement: "Agreement" };

export async function show(main, { query, app }) {
  const state = { tab: TABS[query.tab] ? query.tab : app.health?.read_only ? "list" : "queue", name: query.name ?? localStorage.getItem("p2re.label") ?? "feedback", prompt: query.prompt ?? "", kind: query.kind ?? "", judge: query.judge ?? "", people: query.people ?? "" };
  const page = h("div", { class: "page" }), tabs = h("div", { class: "flow", role: "tablist", "aria-label": "Views" });
  const draw = async () => {
    setQuery(state);
    app.keys = new Map();
    fill(tabs, Object.entries(TABS).filter(([tab]) => tab !== "queue" || !app.health?.read_only).map(([tab, label]) => h("button", { type: "button", class: "quiet", role: "tab", "aria-selected": String(tab === state.tab), onclick: () => { state.tab = tab; draw(); } }, label)));
    try {
      await { queue, list, agreement }[state.tab](page, state, app, draw);
    } catch (error) {
      fill(page, problem(error));
    }
  };
  fill(main, pageHead("Evaluations", { end: [tabs] }), page);
  await draw();
}

/** One trace at a time; a key judges it and brings the next. */
async function queue(page, state, app, redraw) {
  const annotator = h("input", { "aria-label": "Your name", value: localStorage.getItem("p2re.annotator") ?? "me", onchange: (event) => { localStorage.setItem("p2re.annotator", event.target.value.trim() || "me"); redraw(); } });
  const name = h("input", { "aria-label": "What you label", value: state.name, onchange: (event) => { state.name = event.target.value.trim() || "feedback"; localStorage.setItem("p2re.label", state.name); redraw(); } });
  const { facets } = await get("/traces/facets");
  const prompts = h("select", { "aria-label": "Prompt", onchange: (event) => { state.prompt = event.target.value; redraw(); } }, h("option", { value: "" }, "Every prompt"), ...facets.prompt.map((one) => h("option", { value: one.value }, one.value)));
  prompts.value = state.prompt;
  const who = annotator.value.trim() || "me", place = h("div", { class: "stack" }), said = h("p", { class: "soft", role: "status" });
  const waiting = [], done = [], seen = new Set(), judged = new Set();
  let cursor = null, ended = false, now = null;
  for (let next = null, first = true; first || (next && judged.size < 20000); first = false) {
    const found = await get("/evaluations", { kind: "HUMAN", name: state.name, annotator: who, limit: 500, cursor: next });
    for (const one of found.items) judged.add(one.trace_id);
    next = found.next_cursor;
  }
  const note = h("textarea", { rows: "3", "aria-label": "Note" });
  const fetchMore = async () => {
    while (!waiting.length && !ended) {
      const found = await get("/traces", { prompt: state.prompt, status: "OK", limit: 50, cursor });
      cursor = found.next_cursor;
      ended = !cursor;
      for (const { row } of found.items) if (!judged.has(row.trace_id) && !seen.has(row.trace_id)) { seen.add(row.trace_id); waiting.push(row.trace_id); }
    }
  };
  const next = async () => {
    await fetchMore();
    now = waiting.shift() ?? null;
    note.value = "";
    said.textContent = `${count(done.length)} labelled now, ${count(judged.size)} by ${who} in all`;
    if (now === null) { fill(place, empty("Everything here has been labelled.", "Choose another prompt, or another name for what you label.")); return; }
    const { trace } = await get(`/traces/${part(now)}`);
    fill(place, h("p", { class: "flow" }, h("a", { href: `/traces/${now}` }, trace.name), h("span", { class: "soft" }, `${trace.prompt?.model?.provider ?? ""}/${trace.prompt?.model?.name ?? ""} · ${ago(trace.start_ns)}`)), ...inShort(trace));
  };
  const judge = async (passed) => {
    if (now === null) return;
    const id = now;
    now = null;
    try {
      await post("/evaluations/feedback", { trace_id: id, annotator: who, name: state.name, passed, note: note.value || null });
    } catch (error) { said.textContent = error.message; now = id; return; }
    done.push(id);
    judged.add(id);
    await next();
  };
  const skip = async () => { await next(); };
  const undo = async () => { const back = done.pop(); if (back) { if (now) waiting.unshift(now); judged.delete(back); waiting.unshift(back); await next(); } };
  const key = (label, one, act) => h("button", { type: "button", onclick: act }, h("span", {}, label), h("kbd", {}, one));
  fill(page, h("div", { class: "queue" }, place, h("aside", { class: "stack", "aria-label": "Your judgement" }, h("div", { class: "keys" }, key("Good", "1", () => judge(true)), key("Bad", "2", () => judge(false)), key("Skip", "s", skip), key(["Back", h("span", { class: "long" }, " to the last")], "u", undo)),
    h("label", { class: "field" }, "Note (n)", note), said, h("label", { class: "field" }, "Your name", annotator), h("label", { class: "field" }, "What you label", name), h("label", { class: "field" }, "Prompt", prompts))));
  for (const [one, act] of [["1", () => judge(true)], ["2", () => judge(false)], ["s", skip], ["u", undo], ["n", () => note.focus()]]) app.keys.set(one, () => { act(); });
  await next();
}

/** What was asked last and answered; whatever came before is a click away. */
function inShort({ prompt, completion, fault }) {
  const messages = prompt?.messages ?? [], last = messages.findLastIndex((one) => one.role === "user"), from = last > 2 ? last : 0, earlier = messages.slice(0, from);
  return [earlier.length ? h("details", {}, h("summary", {}, plural(earlier.length, "earlier message")), conversation({ messages: earlier }, null, null)) : null,
    conversation({ messages: messages.slice(from) }, completion, fault)];
}

/** What an outcome of live traffic is filed under: an experiment and a unit, no trace. */
const UNIT = /^unit:([^:]*):(.*)$/s;

function judged({ trace_id: id }) {
  const unit = UNIT.exec(id);
  return unit ? `/online/${part(unit[1])}` : `/traces/${part(id)}`;
}

async function list(page, state, app, redraw) {
  const kinds = h("select", { "aria-label": "Kind", onchange: (event) => { state.kind = event.target.value; redraw(); } }, ...[["", "Every kind"], ["CODE", "Code"], ["LLM", "Judges"], ["HUMAN", "People"]].map(([value, text]) => h("option", { value }, text)));
  kinds.value = state.kind;
  let rows = [], cursor = null;
  const place = h("div", {});
  const load = async () => {
    const found = await get("/evaluations", { kind: state.kind, limit: 100, cursor });
    rows = [...rows, ...found.items];
    cursor = found.next_cursor;
    fill(place, rows.length ? table([["Evaluation", (one) => one.name], ["", (one) => { const { word, tone } = verdict(one); return chip(word, tone === "soft" ? "" : tone); }], ["Value", (one) => score(one.score?.value), { n: true }],
      ["By", (one) => (one.kind === "HUMAN" ? one.identifier : one.kind === "LLM" ? "judge" : one.scorer)], ["Why", (one) => h("span", { class: "soft" }, (one.score?.explanation ?? one.fault?.message ?? UNIT.exec(one.trace_id)?.[2] ?? "").slice(0, 200))], ["When", (one) => ago(one.created_ns), { n: true }]],
    rows, { href: judged, caption: "Evaluations" }) : empty("Nothing was judged yet."), cursor && more(load));
    return cursor;
  };
  fill(page, h("div", { class: "flow" }, kinds), place);
  await load();
}
