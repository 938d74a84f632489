// An A/B experiment on live traffic: each variant against the control, honest about peeking.

import { get, part, post } from "../api.js";
import { ago, count, percent } from "../viewer/format.js";
import { button, fill, h, s } from "../viewer/dom.js";
import { chip, interval, pageHead, table, toast } from "../ui.js";

const WORDS = { better: ["better", "pass"], worse: ["worse", "fail"], "not yet": ["not decided yet", ""], "too few": ["too few", "warn"] };

export async function show(main, { steps: [name], app }) {
  const draw = async () => {
    const found = await get(`/experiments/online/${part(name)}`), { experiment, variants } = found;
    const control = experiment.variants[0].name, judged = variants.reduce((sum, one) => sum + one.judged, 0), running = experiment.status === "RUNNING";
    const facts = [running ? `running, begun ${ago(experiment.started_ns)}` : `stopped ${ago(experiment.ended_ns)}`, `outcome ${experiment.outcome}`, `smallest effect worth knowing ${experiment.effect}`, `confidence ${experiment.confidence}`];
    fill(main, pageHead(experiment.name, { crumbs: [["Experiments", "/experiments"]], end: [running ? chip("running", "RUNNING") : chip(experiment.winner ? `everybody gets ${experiment.winner}` : `everybody gets ${control}`)] }),
      h("div", { class: "page" }, h("p", { class: "soft" }, facts.join(" · ")), experiment.description && h("p", {}, experiment.description),
        found.mismatch ? h("p", { class: "problem" }, `The units are not split as the weights say (p ${found.ratio_p.toPrecision(2)}): something drops or repeats some of them, and no comparison here can be believed.`) : null,
        variantTable(found, control), needed(found, judged), running && !app.health?.read_only ? endings(experiment, variants, draw) : null));
  };
  await draw();
}

function variantTable({ experiment, variants }, control) {
  const share = variants.every((one) => one.rate === null || (one.rate >= 0 && one.rate <= 1));
  const value = (number) => (number === null ? "" : share ? percent(number) : number.toPrecision(4));
  const signed = (number) => (number === null ? "" : `${number > 0 ? "+" : ""}${share ? `${(number * 100).toFixed(1)} pt` : number.toPrecision(3)}`);
  const range = (one) => `${(one.difference_low * 100).toFixed(1)} to ${signed(one.difference_high)}`;
  const about = new Map(experiment.variants.map((one) => [one.name, [one.prompt, one.model, `weight ${one.weight}`].filter(Boolean).join(" · ")]));
  return h("section", {}, h("h2", {}, "Variants"), table([["Variant", (one) => [one.variant, one.variant === control ? h("span", { class: "soft" }, " control") : null]], ["What", (one) => h("span", { class: "soft" }, about.get(one.variant))], ["Verdict", (one) => (one.verdict ? chip(...WORDS[one.verdict]) : "")],
    ["Units", (one) => count(one.assigned), { n: true }], ["Judged", (one) => count(one.judged), { n: true }], [share ? "Rate" : "Mean", (one) => h("b", {}, value(one.rate)), { n: true }],
    ["Interval", (one) => (one.low === null ? "" : h("span", { class: "flow" }, share ? interval(one.low, one.rate, one.high) : null, h("span", { class: "soft" }, share ? `${(one.low * 100).toFixed(1)} to ${value(one.high)}` : `${value(one.low)} to ${value(one.high)}`)))],
    ["Against the control", (one) => (one.difference === null ? "" : h("span", { class: "flow" }, rail(one), h("span", { class: "over" }, h("b", {}, signed(one.difference)), h("span", { class: "soft" }, `${share ? range(one) : `${signed(one.difference_low)} to ${signed(one.difference_high)}`}`))))]], variants, { caption: "Variants" }),
  h("p", { class: "soft" }, "The intervals against the control hold however often one looks: stopping early is safe."));
}

function rail(one) {
  const reach = Math.max(0.01, Math.abs(one.difference_low), Math.abs(one.difference_high)), x = (value) => 65 + (value / reach) * 60;
  return s("svg", { class: "interval", viewBox: "0 0 130 14", "aria-hidden": "true" }, s("line", { class: "rail", x1: 2, x2: 128, y1: 7, y2: 7 }), s("line", { class: "rail", x1: 65, x2: 65, y1: 1, y2: 13 }),
    s("line", { class: "span", x1: x(one.difference_low), x2: x(one.difference_high), y1: 7, y2: 7 }), s("circle", { class: "point", cx: x(one.difference), cy: 7, r: 4 }));
}

function needed(found, judged) {
  if (found.needed === null) return null;
  const least = Math.min(...found.variants.map((one) => one.judged));
  return h("p", { class: "soft" }, `An effect of ${found.experiment.effect} needs about ${count(found.needed)} judged units a variant; the smallest has ${count(least)} of ${count(judged)}.`);
}

function endings(experiment, variants, draw) {
  const choice = h("select", { "aria-label": "Winner" }, ...experiment.variants.map((one) => h("option", { value: one.name }, one.name)));
  const best = variants.filter((one) => one.verdict === "better").sort((a, b) => b.rate - a.rate)[0];
  if (best) choice.value = best.variant;
  const act = (path, body, said) => async () => {
    try { await post(`/experiments/online/${part(experiment.name)}/${path}`, body()); toast(said); await draw(); } catch (error) { toast(error.message); }
  };
  return h("section", {}, h("h2", {}, "End it"), h("div", { class: "flow" }, h("label", { class: "flow" }, "Everybody gets", choice), button("Stop", act("stop", () => ({ winner: choice.value }), "Stopped")),
    button("Stop and move production there", act("promote", () => ({ winner: choice.value }), "Promoted"))));
}
