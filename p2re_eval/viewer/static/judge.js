// What was said about a trace, and a place to say something oneself.

import { fill, h } from "./dom.js";
import { score, verdict } from "./format.js";

/** Evaluations with their reasons, worst first. */
export function evaluationList(evaluations) {
  if (!evaluations.length) return h("p", { class: "soft" }, "Nothing was said about this trace yet.");
  const weight = { fail: 0, warn: 1, soft: 2, pass: 3 };
  const sorted = [...evaluations].sort((a, b) => weight[verdict(a).tone] - weight[verdict(b).tone]);
  return h("ul", {}, ...sorted.map(evaluation));
}

function evaluation(one) {
  const { word, tone } = verdict(one);
  const value = one.score?.value;
  const why = one.score?.explanation ?? one.fault?.message;
  const by = one.kind === "HUMAN" ? one.score?.metadata?.annotator ?? one.identifier : one.kind === "LLM" ? "judge" : "";
  return h("li", { class: "evaluation" },
    h("div", { class: "line" }, h("b", { class: tone }, word), h("span", {}, one.name),
      value !== null && value !== undefined && h("span", { class: "soft" }, score(value)), by && h("span", { class: "tag" }, by)),
    why && h("div", { class: "why" }, why));
}

/** Good or bad, with a note; `save({name, passed, note, annotator})` resolves when it is on disk. */
export function feedbackForm(save, { name = "feedback" } = {}) {
  let passed = null;
  const thumbs = ["Good", "Bad"].map((label, at) => h("button", { type: "button", "aria-pressed": "false", onclick: () => choose(at === 0) }, label));
  const note = h("textarea", { rows: "2", name: "note" });
  const said = h("span", { class: "soft", role: "status" });
  const send = h("button", { type: "button", disabled: true, onclick: () => submit() }, "Save feedback");
  const choose = (good) => {
    passed = passed === good ? null : good;
    thumbs.forEach((thumb, at) => thumb.setAttribute("aria-pressed", String(passed !== null && passed === (at === 0))));
    send.disabled = passed === null;
  };
  const submit = async () => {
    send.disabled = true;
    try {
      await save({ name, passed, note: note.value });
      fill(said, "Saved.");
      note.value = "";
    } catch (error) {
      fill(said, error.message);
      send.disabled = false;
    }
  };
  return h("div", { class: "feedback" }, h("h3", {}, "Your feedback"), h("div", { class: "thumbs" }, ...thumbs),
    h("label", {}, "Note", note), h("div", { class: "line" }, send, " ", said));
}

