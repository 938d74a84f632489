// Two traces side by side: what was set, spent and said, with what only one of them has marked.

import { h } from "./dom.js";
import { count, duration, money, score, wholeMoment } from "./format.js";

const NAMES = { model_answered: "answered by", prompt_version: "version", duration_ns: "took", time_to_first_token_ns: "first token", cost_usd: "cost",
  finish_reason: "ended by", input_tokens: "tokens in", output_tokens: "tokens out", cached_tokens: "tokens cached", reasoning_tokens: "tokens reasoning" };

/** What the server's difference says; `link(address)` gives a page or null. */
export function difference(found, link) {
  const head = (one) => {
    const href = link?.(`trace:${one.trace_id}`) ?? null, text = one.trace_id.slice(0, 12);
    return h("th", { scope: "col" }, href ? h("a", { href }, text) : text, h("span", { class: "soft" }, ` ${wholeMoment(one.start_ns)}`));
  };
  const rows = [...found.facts, ...found.settings, ...found.inputs.map((one) => ({ ...one, input: true }))];
  const odd = rows.filter((one) => !one.same), alike = rows.filter((one) => one.same);
  const versus = (body) => h("table", { class: "versus" }, h("thead", {}, h("tr", {}, h("td", {}, ""), head(found.before), head(found.after), h("th", { scope: "col" }, "change"))), h("tbody", {}, ...body));
  return h("div", {}, versus(odd.map(row)),
    alike.length ? h("details", { class: "unchanged" }, h("summary", {}, `${alike.length} values are the same`), versus(alike.map(row))) : null,
    found.evaluations.length ? [h("h3", {}, "Evaluations"), versus(found.evaluations.map(scores))] : null,
    h("h3", {}, "Messages"), ...found.messages.map(pair), pair(found.answer));
}

function row(one) {
  const tone = one.same ? "soft" : "";
  return h("tr", {}, h("th", { scope: "row" }, one.input ? `input ${one.name}` : NAMES[one.name] ?? one.name.replaceAll("_", " ")),
    h("td", { class: tone }, value(one.name, one.before)), h("td", { class: tone }, value(one.name, one.after)), h("td", {}, one.same ? "" : change(one)));
}

function value(name, one) {
  if (one === null) return "none";
  if (name.endsWith("_ns")) return duration(one);
  if (name === "cost_usd") return money(one);
  if (name === "prompt_version") return h("span", { class: "mono" }, one.slice(0, 8));
  if (typeof one === "object") return h("span", { class: "mono" }, clipped(JSON.stringify(one)));
  return typeof one === "number" && name.endsWith("tokens") ? count(one) : clipped(String(one));
}

function clipped(text) {
  return text.length > 600 ? `${text.slice(0, 600)}…` : text;
}

function change({ name, before, difference: moved }) {
  if (moved === null) return h("b", {}, "differs");
  const shown = value(name, Math.abs(moved)), share = before ? ` ${Math.abs((moved / before) * 100).toFixed(0)} %` : "";
  return h("b", {}, moved > 0 ? "+" : "−", shown, h("span", { class: "soft" }, share));
}

function scores(one) {
  const said = (found) => {
    if (!found) return h("td", { class: "soft" }, "not judged");
    const word = found.label ?? (found.passed === null ? "" : found.passed ? "passed" : "failed");
    return h("td", {}, h("b", { class: found.passed === null ? "" : found.passed ? "pass" : "fail" }, word), " ", h("span", { class: "soft" }, score(found.value)));
  };
  return h("tr", {}, h("th", { scope: "row" }, one.name, one.by && ` by ${one.by}`), said(one.before), said(one.after), h("td", {}, one.flipped ? h("b", {}, "flipped") : ""));
}

function pair(one) {
  if (one.presence === "same") return unchanged(one);
  return h("div", { class: "pair" }, half(one.before_role, one.presence === "only before" ? "only here" : "", one.before, "del"), half(one.after_role, one.presence === "only after" ? "only here" : "", one.after, "ins"));
}

/** Said once; a long one is folded, for it is not what one looks for here. */
function unchanged(one) {
  const text = one.before.map((piece) => piece.text).join("");
  return h("details", { class: "unchanged", open: text.length < 160 }, h("summary", {}, h("b", {}, one.before_role), " the same in both"), h("div", { class: "text" }, text));
}

function half(role, note, pieces, mark) {
  if (role === null) return h("div", { class: "half soft" }, "not there");
  return h("div", { class: "half" }, h("div", { class: "role" }, h("b", {}, role), note && ` ${note}`),
    h("div", { class: "text" }, ...pieces.map((piece) => (piece.changed ? h(mark, {}, piece.text) : piece.text))));
}
