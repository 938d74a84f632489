// Try a prompt: fill its inputs, pick models, see the answers side by side.

import { get, part, post } from "./api.js";
import { asCase } from "./viewer/copy.js";
import { message } from "./viewer/chat.js";
import { duration, money, tokens } from "./viewer/format.js";
import { button, fill, h } from "./viewer/dom.js";
import { toast } from "./ui.js";

export async function trial(name, template, version, health) {
  const { models } = await get("/prompts/models");
  const own = template.model.provider ? `${template.model.provider}/${template.model.name}` : null;
  const fields = new Map(Object.entries(template.inputs).map(([input, schema]) => [input, field(input, schema)]));
  const boxes = models.map((model) => h("input", { type: "checkbox", value: model, checked: model === own || models.length === 1 }));
  const said = h("span", { class: "soft", role: "status" }), out = h("div", { class: "two" });
  const inputs = () => Object.fromEntries([...fields].map(([input, one]) => [input, one.value()]).filter(([, value]) => value !== undefined));
  const run = async (act) => {
    said.className = "soft";
    said.textContent = "Working";
    try {
      await act();
      said.textContent = "";
    } catch (error) {
      said.className = "fail";
      said.textContent = error.message;
    }
  };
  const preview = () => run(async () => {
    const rendered = await post(`/prompts/${part(name)}/render`, { inputs: inputs(), version });
    fill(out, h("div", { class: "box" }, h("h2", {}, "What would be sent"), h("ol", {}, ...rendered.messages.map((one) => message(one)))));
  });
  const ask = () => run(async () => {
    const chosen = boxes.filter((box) => box.checked).map((box) => box.value);
    if (!chosen.length) throw new Error("choose a model; those that a prompt or a suite of this project names are here");
    const { trace_ids: ids } = await post(`/prompts/${part(name)}/try`, { inputs: inputs(), version, models: chosen });
    const traces = await Promise.all(ids.map((id) => get(`/traces/${id}`)));
    fill(out, ...traces.map(({ trace }) => answered(name, trace, inputs(), health)));
  });
  return h("div", { class: "stack", onkeydown: (event) => { if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) ask(); } }, ...[...fields.values()].map((one) => one.element),
    models.length ? h("fieldset", { class: "box flow" }, h("legend", { class: "soft" }, "Models"), ...models.map((model, at) => h("label", { class: "flow" }, boxes[at], model))) : h("p", { class: "note" }, "No prompt or suite of this project names a model."),
    h("div", { class: "flow" }, h("button", { type: "button", class: "main", title: "Ctrl+Enter", onclick: ask }, "Run"), button("Show what would be sent", preview), said), out);
}

function field(name, schema) {
  const text = schema.type === "string" || schema.type === undefined;
  const start = schema.default === undefined ? "" : typeof schema.default === "string" ? schema.default : JSON.stringify(schema.default);
  const box = h("textarea", { rows: text ? "3" : "2", name, value: start, placeholder: text ? "" : "JSON" });
  const value = () => {
    if (box.value === "" && (schema.default !== undefined || schema.required === false)) return undefined;
    if (schema.type === "string") return box.value;
    try { return JSON.parse(box.value); } catch { return box.value; }
  };
  return { value, element: h("label", { class: "field" }, h("span", {}, h("b", {}, name), schema.description ? ` ${schema.description}` : ""), box) };
}

function answered(prompt, trace, inputs, health) {
  const answer = trace.completion, text = answer ? answer.text || answer.refusal || "" : trace.fault?.message ?? "";
  const save = async () => {
    try {
      const { file } = await post("/suites/cases", { prompt, inputs, expected: answer?.text ?? null });
      toast(`Saved to ${file}`);
    } catch (error) {
      toast(error.message);
    }
  };
  const copy = async () => { await navigator.clipboard.writeText(asCase(trace)); toast("Copied as suite case"); };
  return h("div", { class: "box stack" }, h("div", { class: "flow" }, h("b", {}, `${trace.prompt.model.provider}/${trace.prompt.model.name}`), h("span", { class: "soft" }, [duration(trace.end_ns - trace.start_ns), answer && tokens(answer.usage.input_tokens, answer.usage.output_tokens), answer && (money(answer.cost_usd) || "cost unknown")].filter(Boolean).join(" · "))),
    h("div", { class: answer ? "text" : "text fail" }, text), h("div", { class: "flow" }, h("a", { class: "button", href: `/traces/${trace.trace_id}` }, "Open trace"), button("Copy as case", copy), health?.write_files ? button("Save as case", save) : null));
}
