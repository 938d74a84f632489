// Passes over suites, the newest first.

import { get, part } from "../api.js";
import { go } from "../app.js";
import { ago, count, duration } from "../viewer/format.js";
import { fill, h } from "../viewer/dom.js";
import { chip, code, empty, more, pageHead, share, table, walker } from "../ui.js";

export async function show(main, { app }) {
  const page = h("div", { class: "page" }), outcomes = new Map(), chosen = [];
  let rows = [], cursor = null;
  const compare = h("button", { type: "button", disabled: true, title: "Choose two experiments in the list", onclick: () => go(`/experiments/${part(chosen[0])}/${part(chosen[1])}`) }, "Compare the two chosen");
  const choose = (id, on) => {
    const at = chosen.indexOf(id);
    if (on && at < 0) chosen.push(id);
    if (!on && at >= 0) chosen.splice(at, 1);
    chosen.sort((a, b) => rows.findIndex((row) => row.experiment_id === b) - rows.findIndex((row) => row.experiment_id === a));
    compare.disabled = chosen.length !== 2;
  };
  const load = async () => {
    const found = await get("/experiments", { limit: 50, cursor });
    rows = [...rows, ...found.items];
    cursor = found.next_cursor;
    await Promise.all(found.items.map(async (one) => outcomes.set(one.experiment_id, (await get(`/experiments/${part(one.experiment_id)}`)).outcomes)));
    draw();
    return cursor;
  };
  const { items: live } = await get("/experiments/online");
  const online = live.length ? h("section", {}, h("h2", {}, "On live traffic"), table([["Experiment", (one) => one.name], ["Status", (one) => (one.status === "RUNNING" ? chip("running", "RUNNING") : chip(one.winner ? `stopped: ${one.winner}` : "stopped"))],
    ["Variants", (one) => one.variants.map((each) => each.name).join(", ")], ["Outcome", (one) => one.outcome], ["Begun", (one) => ago(one.started_ns), { n: true }]], live, { href: (one) => `/online/${part(one.name)}`, caption: "A/B experiments" })) : null;
  const draw = () => fill(page, online, h("section", {}, online && rows.length ? h("h2", {}, "Of suites") : null, rows.length ? table([
    ["Experiment", (row) => [row.name, h("span", { class: "mono soft" }, ` ${row.experiment_id.slice(0, 12)}`)]], ["Compare", (row) => h("input", { type: "checkbox", "aria-label": `Choose ${row.name} of ${ago(row.started_ns)} to compare`, checked: chosen.includes(row.experiment_id), onchange: (event) => choose(row.experiment_id, event.target.checked) })],
    ["Outcome", (row) => share(outcomes.get(row.experiment_id) ?? {})], ["Passed", (row) => passed(outcomes.get(row.experiment_id) ?? {}), { n: true }],
    ["Gates", (row) => gates(row.verdicts)], ["Suites", (row) => h("span", { class: "soft" }, row.suites.map((one) => one.replace(/^suites\//, "")).join(", "))],
    ["Revision", (row) => h("span", { class: "mono soft" }, row.revision ? row.revision.commit.slice(0, 8) + (row.revision.dirty ? "+" : "") : "")],
    ["Took", (row) => (row.ended_ns ? duration(row.ended_ns - row.started_ns) : row.status.toLowerCase()), { n: true }], ["Begun", (row) => ago(row.started_ns), { n: true }],
  ], rows, { href: (row) => `/experiments/${row.experiment_id}`, caption: "Experiments" })
    : empty("No experiment was recorded yet.", "Each ", code("pytest --p2re"), " is one.")), cursor && more(load));
  fill(main, pageHead("Experiments", { end: [compare] }), page);
  app.keys = walker(() => [...page.querySelectorAll("tbody a")]);
  await load();
}

export function passed(outcomes) {
  const all = Object.values(outcomes).reduce((sum, one) => sum + one, 0);
  return all ? `${count(outcomes.passed ?? 0)} of ${count(all)}` : "";
}

export function gates(verdicts) {
  if (!verdicts.length) return h("span", { class: "soft" }, "none");
  const red = verdicts.filter((one) => one.passed !== true).length;
  return red ? chip(`${red} of ${verdicts.length} not met`, "fail") : chip(`${verdicts.length} met`, "pass");
}
