// One experiment: its gates, then cases x variants as a matrix.

import { get, part } from "../api.js";
import { setQuery } from "../app.js";
import { count, duration, money, percent, wholeMoment } from "../viewer/format.js";
import { fill, h } from "../viewer/dom.js";
import { gatesSection } from "../gates.js";
import { chip, empty, interval, more, pageHead, share, table, wilson } from "../ui.js";

const TONES = { passed: "pass", failed: "fail", error: "warn", unscored: "warn", not_run: "" };

export async function show(main, { steps: [id], query, app }) {
  const { experiment, outcomes } = await get(`/experiments/${part(id)}`);
  const state = { outcome: query.outcome ?? "", suite: query.suite ?? "", q: query.q ?? "" };
  const results = [], matrix = h("div", { class: "stack" }), groups = h("div", {}), end = h("div", {});
  let cursor = null;
  const load = async () => {
    const page = await get(`/experiments/${part(experiment.experiment_id)}/results`, { limit: 500, cursor });
    results.push(...page.items);
    cursor = page.next_cursor;
    fill(groups, variants(results));
    draw();
    return cursor;
  };
  const draw = () => {
    fill(matrix, filters(state, results, (change) => { Object.assign(state, change); setQuery(state); draw(); }), cases(results, state));
    fill(end, cursor && more(load));
  };
  const facts = [experiment.experiment_id.slice(0, 12), experiment.status.toLowerCase(), wholeMoment(experiment.started_ns), experiment.ended_ns && duration(experiment.ended_ns - experiment.started_ns),
    experiment.revision && `${experiment.revision.branch ?? ""} ${experiment.revision.commit.slice(0, 8)}${experiment.revision.dirty ? " with changes" : ""}`];
  fill(main, pageHead(experiment.name, { crumbs: [["Experiments", "/experiments"]], end: [share(outcomes), h("a", { class: "button", href: `/traces?${new URLSearchParams({ experiment: experiment.experiment_id })}` }, "Its traces")] }),
    h("div", { class: "page" }, h("p", { class: "soft" }, facts.filter(Boolean).join(" · ")), gatesSection(experiment), groups, h("section", {}, h("h2", {}, "Cases"), matrix, end)));
  app.keys.set("/", () => matrix.querySelector("input[type=search]")?.focus());
  await load();
}

/** Per suite, prompt and model: rate with its interval, what it took. Repeats count within their case. */
function variants(results) {
  const found = new Map();
  for (const one of results) {
    const key = [one.suite, one.prompt, one.model].join("\n"), row = found.get(key) ?? { suite: one.suite, prompt: one.prompt, model: one.model, version: one.prompt_version, cases: new Map(), errors: 0, costs: [], unknown: 0, times: [] };
    const tries = row.cases.get(one.case_id) ?? [0, 0];
    if (one.outcome === "passed" || one.outcome === "failed") row.cases.set(one.case_id, [tries[0] + (one.outcome === "passed"), tries[1] + 1]);
    else row.errors += 1;
    if (one.cost_usd !== null) row.costs.push(one.cost_usd); else if (one.trace_id) row.unknown += 1;
    if (one.duration_ns !== null) row.times.push(one.duration_ns);
    found.set(key, row);
  }
  const rows = [...found.values()];
  for (const row of rows) {
    const shares = [...row.cases.values()].map(([passed, all]) => passed / all);
    row.n = shares.length;
    row.wilson = wilson(shares.reduce((sum, one) => sum + one, 0), shares.length);
    row.times.sort((a, b) => a - b);
  }
  const at = (row, share) => duration(row.times[Math.min(row.times.length - 1, Math.floor(share * row.times.length))]);
  return h("section", {}, h("h2", {}, "Variants"), table([
    ["Prompt", (row) => [row.prompt, h("span", { class: "mono soft" }, ` ${(row.version ?? "").slice(0, 7)}`)]], ["Model", (row) => row.model], ["Pass rate", (row) => (row.wilson ? h("b", {}, percent(row.wilson[1])) : "not scored"), { n: true }],
    ["95 % interval", (row) => (row.wilson ? h("span", { class: "flow" }, interval(...row.wilson), h("span", { class: "soft" }, `${(row.wilson[0] * 100).toFixed(0)} to ${(row.wilson[2] * 100).toFixed(0)}`)) : "")],
    ["Cases", (row) => count(row.n), { n: true }], ["Errors", (row) => h("span", { class: row.errors ? "warn" : "soft" }, count(row.errors)), { n: true }],
    ["p50", (row) => at(row, 0.5), { n: true }], ["p95", (row) => at(row, 0.95), { n: true }],
    ["Cost", (row) => (row.costs.length ? money(row.costs.reduce((sum, one) => sum + one, 0)) : "unknown") + (row.costs.length && row.unknown ? `, ${row.unknown} unknown` : ""), { n: true }], ["Suite", (row) => h("span", { class: "soft" }, row.suite)],
  ], rows, { caption: "Variants" }));
}

function filters(state, results, change) {
  const counts = new Map();
  for (const one of results) counts.set(one.outcome, (counts.get(one.outcome) ?? 0) + 1);
  const suites = [...new Set(results.map((one) => one.suite))];
  const suite = h("select", { "aria-label": "Suite", onchange: (event) => change({ suite: event.target.value }) }, h("option", { value: "" }, "Every suite"), ...suites.map((one) => h("option", { value: one }, one)));
  suite.value = state.suite;
  return h("div", { class: "flow" }, ...Object.keys(TONES).filter((name) => counts.get(name)).map((name) => h("button", { type: "button", "aria-pressed": String(state.outcome === name), onclick: () => change({ outcome: state.outcome === name ? "" : name }) }, `${name.replace("_", " ")} ${count(counts.get(name))}`)),
    suites.length > 1 ? suite : null, h("input", { type: "search", "aria-label": "Find cases", placeholder: "Find cases", value: state.q, onchange: (event) => change({ q: event.target.value }) }));
}

const MOST_ROWS = 1500;

function cases(results, state) {
  const rows = new Map(), columns = new Map();
  for (const one of results) {
    const key = `${one.suite}\n${one.case_id}`, variant = `${one.prompt}\n${one.model}`;
    columns.set(`${one.suite}\n${variant}`, variant);
    const row = rows.get(key) ?? { suite: one.suite, id: one.case_id, input: one.inputs_preview, expected: one.expected_preview, cells: new Map() };
    row.cells.set(variant, [...(row.cells.get(variant) ?? []), one]);
    rows.set(key, row);
  }
  const wanted = state.q.toLowerCase();
  const kept = [...rows.values()].filter((row) => (!state.suite || row.suite === state.suite)
    && (!state.outcome || [...row.cells.values()].flat().some((one) => one.outcome === state.outcome))
    && (!wanted || [row.id, row.input, row.expected, ...[...row.cells.values()].flat().map((one) => one.output_preview)].some((text) => text.toLowerCase().includes(wanted))));
  if (!kept.length) return empty("No case matches.");
  const suites = [...new Set(kept.map((row) => row.suite))];
  return h("div", { class: "stack" }, ...suites.map((suite) => {
    const here = kept.filter((row) => row.suite === suite), variants = [...columns].filter(([key]) => key.startsWith(`${suite}\n`)).map(([, variant]) => variant);
    const grid = table([["Case", (row) => row.id], ["Inputs", (row) => h("div", { class: "clip cell", title: row.input }, row.input)],
      ["Expected", (row) => h("div", { class: "clip cell", title: row.expected }, row.expected)],
      ...variants.map((variant) => [variant.replace("\n", " · "), (row) => cell(row.cells.get(variant) ?? [])])], here.slice(0, MOST_ROWS), { caption: suite });
    grid.querySelector("table").className = "matrix";
    return h("section", {}, suites.length > 1 ? h("h2", {}, suite) : null, grid, here.length > MOST_ROWS ? h("p", { class: "soft" }, `${count(here.length - MOST_ROWS)} more cases match; narrow the list to see them.`) : null);
  }));
}

function cell(tries) {
  return h("div", {}, ...tries.map((one) => h(one.trace_id ? "a" : "span", { class: "cell", href: one.trace_id ? `/traces/${one.trace_id}` : null, title: why(one) },
    chip(one.outcome.replace("_", " "), TONES[one.outcome]), h("span", { class: "clip" }, one.fault ? one.fault.message : one.output_preview))));
}

function why(one) {
  const failed = one.evaluations.filter((each) => each.fault || each.score?.passed === false);
  return failed.map((each) => `${each.name}: ${each.fault?.message ?? each.score.explanation ?? "failed"}`).join("\n") || one.output_preview;
}
