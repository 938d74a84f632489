// Two experiments: the verdict, flips first, then how far everything moved.

import { get, part } from "../api.js";
import { side, wordDiff } from "../viewer/diff.js";
import { count, duration, money, percent, plural } from "../viewer/format.js";
import { fill, h, s } from "../viewer/dom.js";
import { chip, pageHead, table } from "../ui.js";

export async function show(main, { steps: [before, after] }) {
  fill(main, pageHead("Comparison", { crumbs: [["Experiments", "/experiments"]] }), h("p", { class: "page soft" }, "Comparing"));
  const found = await get(`/experiments/${part(before)}/compare/${part(after)}`);
  const name = (one) => h("a", { href: `/experiments/${one.experiment_id}` }, one.label.length > 20 ? one.label.slice(0, 12) : one.label);
  fill(main, pageHead("Comparison", { crumbs: [["Experiments", "/experiments"]] }), h("div", { class: "page" },
    h("div", {}, h("p", {}, "From ", name(found.before), " to ", name(found.after), `: ${plural(found.cases, "case")} compared, `, h("b", { class: found.broke ? "fail" : "" }, `${count(found.broke)} broke`), ", ", h("b", { class: found.fixed ? "pass" : "" }, `${count(found.fixed)} fixed`), `, ${count(found.cases - found.broke - found.fixed)} as before.`), found.note && h("p", { class: "note" }, found.note)),
    flips(found.flips), deltas(found.deltas), changes(found.changes), refused(found), figures(found)));
}

function flips(found) {
  if (!found.length) return h("section", {}, h("h2", {}, "Flips"), h("p", { class: "soft" }, "No case flipped."));
  return h("section", {}, h("h2", {}, "Flips"), h("div", { class: "stack" }, ...found.map((one) => {
    const pieces = wordDiff(one.before_output, one.after_output), worse = one.after.passed / one.after.scored < one.before.passed / one.before.scored;
    const half = (label, tries, trace, kind) => h("div", {}, h("div", { class: "role" }, h("b", {}, label), ` ${tries.passed} of ${tries.scored} passed `, trace && h("a", { href: `/traces/${trace}` }, "trace")), side(pieces, kind));
    return h("article", { class: "box stack" }, h("div", { class: "flow" }, chip(worse ? "broke" : "fixed", worse ? "fail" : "pass"), h("b", {}, one.case_id), h("span", { class: "soft" }, `${one.prompt} · ${one.model} · ${one.suite}`), ...one.scorers.map((scorer) => chip(scorer)), one.p_value !== null ? h("span", { class: "soft" }, `p ${one.p_value.toFixed(3)}`) : null),
      one.why.length ? h("p", { class: "soft" }, one.why.join("; ")) : null, one.expected_preview && h("p", {}, h("span", { class: "soft" }, "expected "), one.expected_preview),
      h("div", { class: "two" }, half("before", one.before, one.before_trace, "gone"), half("after", one.after, one.after_trace, "new")));
  })));
}

/** The difference on a rail around 0. */
function rail(one) {
  const reach = Math.max(0.1, Math.abs(one.low ?? 0), Math.abs(one.high ?? 0), Math.abs(one.difference ?? 0)), x = (value) => 65 + (value / reach) * 60;
  return s("svg", { class: "interval", viewBox: "0 0 130 14", "aria-hidden": "true" }, s("line", { class: "rail", x1: 2, x2: 128, y1: 7, y2: 7 }), s("line", { class: "rail", x1: 65, x2: 65, y1: 1, y2: 13 }),
    one.low !== null ? s("line", { class: "span", x1: x(one.low), x2: Math.max(x(one.low) + 1, x(one.high)), y1: 7, y2: 7 }) : null, one.difference !== null ? s("circle", { class: "point", cx: x(one.difference), cy: 7, r: 4 }) : null);
}

function deltas(found) {
  if (!found.length) return null;
  const number = (one, value) => (value === null ? "" : one.metric === "pass_rate" ? percent(value) : value.toFixed(3));
  const signed = (one, value) => (value === null ? "" : `${value > 0 ? "+" : ""}${one.metric === "pass_rate" ? `${(value * 100).toFixed(1)} pt` : value.toFixed(3)}`);
  return h("section", {}, h("h2", {}, "How far it moved"), table([["Metric", (one) => one.metric], ["Prompt", (one) => one.prompt], ["Model", (one) => one.model], ["Cases", (one) => count(one.cases) + (one.left_out ? `, ${one.left_out} left out` : ""), { n: true }],
    ["Before", (one) => number(one, one.before), { n: true }], ["After", (one) => number(one, one.after), { n: true }], ["Difference", (one) => h("b", {}, signed(one, one.difference)), { n: true }],
    ["95 % interval", (one) => h("span", { class: "flow" }, rail(one), h("span", { class: "soft" }, one.low === null ? "too few cases" : `${signed(one, one.low)} to ${signed(one, one.high)}`))],
    ["p", (one) => (one.p_value === null ? "" : one.p_value.toPrecision(2)), { n: true }], ["Method", (one) => h("span", { class: "soft" }, one.method)]], found, { caption: "Differences" }));
}

function changes(found) {
  if (!found.length) return null;
  return h("section", {}, h("h2", {}, "What changed"), table([["What", (one) => one.what], ["Of", (one) => one.name], ["Before", (one) => h("span", { class: "mono" }, one.before ?? "")], ["After", (one) => h("span", { class: "mono" }, one.after ?? "")], ["Cases", (one) => (one.cases === null ? "all" : count(one.cases)), { n: true }]], found, { caption: "What changed" }));
}

function refused(found) {
  const rows = [...found.incomparable, ...[found.only_before, found.only_after].filter(Boolean)];
  return rows.length ? h("section", {}, h("h2", {}, "Not compared"), table([["Reason", (one) => one.reason], ["Cases", (one) => count(one.cases), { n: true }], ["Such as", (one) => h("span", { class: "soft" }, one.examples.join(", "))]], rows, { caption: "Not compared" })) : null;
}

function figures(found) {
  const rows = [["Runs", (one) => count(one.runs)], ["Passed", (one) => count(one.passed)], ["Failed", (one) => count(one.failed)], ["Errors", (one) => count(one.error)], ["Cost", (one) => (money(one.cost_usd) || "unknown") + (one.cost_usd !== null && one.unknown_costs ? `, ${one.unknown_costs} unknown` : "")],
    ["Tokens", (one) => (one.input_tokens === null ? "unknown" : `${count(one.input_tokens)} in, ${count(one.output_tokens)} out`)], ["p50", (one) => duration(one.p50_ns) || "unknown"], ["p95", (one) => duration(one.p95_ns) || "unknown"], ["Live, cache, replay", (one) => `${count(one.live)}, ${count(one.cache)}, ${count(one.replay)}`]];
  return h("section", {}, h("h2", {}, "What it took"), table([["", ([name]) => name], ["Before", ([, cell]) => cell(found.before.figures), { n: true }], ["After", ([, cell]) => cell(found.after.figures), { n: true }]], rows, { caption: "What it took" }));
}
