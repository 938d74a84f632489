// The gates of an experiment: as they were decided, and decided again on what is recorded.

import { get, part } from "./api.js";
import { go } from "./app.js";
import { ago } from "./viewer/format.js";
import { button, fill, h } from "./viewer/dom.js";
import { chip, code, table } from "./ui.js";

export function gatesSection(experiment) {
  const now = h("div", { class: "stack" });
  return h("section", { class: "stack" }, h("h2", {}, "Gates"),
    experiment.verdicts.length ? verdicts(experiment.verdicts, "Gates") : h("p", { class: "soft" }, "The suites of this experiment had no gates."),
    h("details", { ontoggle: (event) => { if (event.target.open && !now.childElementCount) form(experiment, now); } }, h("summary", {}, "Decide gates again, or against another baseline"), now));
}

function verdicts(found, caption) {
  return table([["Gate", (one) => h("span", { class: "mono" }, one.gate)],
    ["", (one) => (one.passed === null ? chip("not decided", "warn") : one.passed ? chip("met", "pass") : chip("not met", "fail"))],
    ["Why", (one) => one.explanation], ["Suite", (one) => h("span", { class: "soft" }, one.suite)]], found, { caption });
}

/** Recorded results, gates of one's own: a stricter threshold needs no new run. */
async function form(experiment, place) {
  const { items } = await get("/experiments", { limit: 100 });
  const suites = new Set(experiment.suites);
  const earlier = items.filter((one) => one.started_ns < experiment.started_ns && one.suites.some((suite) => suites.has(suite)));
  const own = [...new Set(experiment.verdicts.map((one) => one.gate))];
  const text = h("textarea", { rows: String(Math.max(2, Math.min(6, own.length))), "aria-label": "Gates, one a line", placeholder: "pass_rate >= 0.9\nno_regression", spellcheck: "false" });
  const baseline = h("select", { "aria-label": "Baseline" }, h("option", { value: "" }, "No baseline"),
    ...earlier.map((one) => h("option", { value: one.experiment_id }, `${one.experiment_id.slice(0, 12)} ${one.name}, ${ago(one.started_ns)}`)));
  const recorded = experiment.settings.baseline;
  if (earlier.some((one) => one.experiment_id === recorded)) baseline.value = recorded;
  const out = h("div", { class: "stack", "aria-live": "polite" });
  const decide = async () => {
    const gates = text.value.split("\n").map((line) => line.trim()).filter(Boolean);
    try {
      const found = await get(`/experiments/${part(experiment.experiment_id)}/gates`, { gate: gates, baseline: baseline.value });
      fill(out, said(found), found.verdicts.length ? verdicts(found.verdicts, "Gates now") : null);
    } catch (error) {
      fill(out, h("p", { class: "fail" }, error.message));
    }
  };
  const compare = h("button", { type: "button", disabled: !baseline.value, onclick: () => go(`/experiments/${part(baseline.value)}/${part(experiment.experiment_id)}`) }, "Compare case by case");
  baseline.addEventListener("change", () => { compare.disabled = !baseline.value; });
  text.addEventListener("keydown", (event) => { if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) decide(); });
  fill(place, h("label", { class: "field" }, h("span", {}, "Gates, one a line; none takes those that the suite files have now"), text),
    h("div", { class: "flow" }, h("label", { class: "flow" }, h("span", { class: "soft" }, "Baseline"), baseline), button("Decide", decide), compare), out);
  text.focus();
}

function said(found) {
  const whose = { given: "These gates", suites: "The gates of the suite files as they are now", experiment: "The gates of the day it ran" }[found.taken_from];
  if (!found.verdicts.length) return h("p", { class: "soft" }, "There are no gates; write one, such as ", code("pass_rate >= 0.9"), ".");
  const red = found.verdicts.filter((one) => one.passed !== true).length;
  return h("p", {}, `${whose}, on the recorded results${found.baseline ? `, against ${found.baseline.label}` : ""}: `, h("b", { class: red ? "fail" : "pass" }, red ? `${red} of ${found.verdicts.length} not met` : "all met"), ".");
}
