// Judges held against people: how far they agree, which way they do not, and on which traces.

import { get, part } from "../api.js";
import { count, percent, plural, score } from "../viewer/format.js";
import { fill, h } from "../viewer/dom.js";
import { chip, code, empty, interval, table } from "../ui.js";

const SHOWN = 50;

export async function agreement(page, state, app, redraw) {
  const field = (name, label, placeholder) => h("label", { class: "field" }, label,
    h("input", { "aria-label": label, value: state[name], placeholder, size: "28", onchange: (event) => { state[name] = event.target.value.trim(); redraw(); } }));
  const [{ judges }, { pairs }] = await Promise.all([
    get("/evaluations/agreement/judges", { name: state.judge, people: state.people }),
    get("/evaluations/agreement", { name: state.people || "feedback" })]);
  fill(page, h("div", { class: "flow" }, field("judge", "Judge", "every judge"), field("people", "What people call their word", "judge's name, else feedback")),
    h("section", {}, h("h2", {}, "Judges against people"), judges.length ? h("div", { class: "stack" }, ...judges.map(judge))
      : empty(state.judge ? `Nobody judged a trace that '${state.judge}' judged.` : "No person has judged a trace that a judge judged.",
        "Label some traces of a suite that has an ", code("llm_judge"), ", by keyboard under Label or with ", code("p2re feedback give"), ".")),
    h("section", {}, h("h2", {}, "People among themselves"), pairs.length ? table([["First", (one) => one.first], ["Second", (one) => one.second], ["Traces both judged", (one) => count(one.traces), { n: true }], ["Agree", (one) => percent(one.share), { n: true }],
      ["Cohen's kappa", (one) => (one.kappa === null ? "not defined" : one.kappa.toFixed(2)), { n: true }]], pairs, { caption: "Agreement of people" })
      : h("p", { class: "soft" }, `No two people labelled '${state.people || "feedback"}' of the same trace.`)));
}

function judge(one) {
  const { figures, confusion } = one;
  const title = h("div", { class: "flow" }, h("h3", {}, one.name), h("span", { class: "mono soft" }, `${one.scorer} ${one.scorer_version.slice(0, 8)}`), h("span", { class: "soft" }, `against people's '${one.people}'`));
  if (!figures) return h("article", { class: "box stack" }, title, h("p", { class: "soft" }, `No trace has a verdict of both${one.left_out ? `; ${plural(one.left_out, "trace")} without one` : ""}.`));
  const { rate, low, high, n } = figures.agreement;
  const bounds = (share) => (share ? `of ${count(share.n)}: ${Math.round(share.low * 100)} to ${Math.round(share.high * 100)} %` : "none");
  return h("article", { class: "box stack" }, title,
    h("dl", { class: "tiles" },
      tile("Agree", percent(rate), h("span", { class: "flow" }, interval(low, rate, high), `${Math.round(low * 100)} to ${Math.round(high * 100)} %`)),
      tile("Cohen's kappa", figures.kappa === null ? "not defined" : figures.kappa.toFixed(2), figures.kappa === null ? "all verdicts are alike" : figures.kappa_low === null ? "no interval: no disagreement" : `${figures.kappa_low.toFixed(2)} to ${figures.kappa_high.toFixed(2)}`),
      tile("Traces both judged", count(n), one.left_out ? `${count(one.left_out)} more without a verdict of both` : null),
      tile("Passes what people pass", percent(figures.true_positive_rate?.rate) || "none", bounds(figures.true_positive_rate)),
      tile("Fails what people fail", percent(figures.true_negative_rate?.rate) || "none", bounds(figures.true_negative_rate))),
    h("div", { class: "scroll" }, h("table", { class: "confusion" }, h("caption", { class: "hush" }, `${one.name} against people`),
      h("thead", {}, h("tr", {}, h("td", {}), h("th", { scope: "col", class: "n" }, "people pass"), h("th", { scope: "col", class: "n" }, "people fail"))),
      h("tbody", {}, h("tr", {}, h("th", { scope: "row" }, "judge passes"), cell(confusion.both_pass, true), cell(confusion.only_judge, false)),
        h("tr", {}, h("th", { scope: "row" }, "judge fails"), cell(confusion.only_people, false), cell(confusion.both_fail, true))))),
    n < 30 ? h("p", { class: "note" }, `${plural(n, "trace")} say little: the intervals are wide. Label some more before this judge decides a gate.`) : null,
    disagreements(one));
}

function tile(name, value, more) {
  return h("div", { class: "tile" }, h("dt", {}, name), h("dd", {}, value), more && h("dd", { class: "soft" }, more));
}

function cell(number, same) {
  return h("td", { class: `n ${same || !number ? "" : "fail"}` }, number ? h("b", {}, count(number)) : "0");
}

function disagreements({ disagreements: found, confusion }) {
  const all = confusion.only_judge + confusion.only_people;
  if (!all) return h("p", { class: "soft" }, "They disagree on no trace.");
  const word = (passes) => chip(passes ? "passes" : "fails", passes ? "pass" : "fail");
  const said = (verdict, who, why) => h("div", {}, verdict, " ", h("span", { class: "soft" }, who), why && h("div", { class: "soft" }, why.slice(0, 300)));
  return h("details", { open: all <= 20 }, h("summary", {}, `${plural(all, "trace")} where they disagree`), table([
    ["Answer", (one) => h("span", { class: "clamp" }, one.output_preview || one.trace_id.slice(0, 12))], ["Input", (one) => h("span", { class: "soft clamp" }, one.input_preview)],
    ["Judge", (one) => said(word(one.judge_passes), score(one.judge_value), one.judge_why)],
    ["People", (one) => said(word(!one.judge_passes), one.people.join(", "), one.people_why)],
  ], found.slice(0, SHOWN), { href: (one) => `/traces/${part(one.trace_id)}`, caption: "Where they disagree" }),
  all > SHOWN ? h("p", { class: "soft" }, `The newest ${SHOWN} are shown; p2re feedback judges --limit ${all} lists more.`) : null);
}
