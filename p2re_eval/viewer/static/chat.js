// A conversation: who said what, which tools were asked for and what they gave.

import { h } from "./dom.js";
import { jsonBlock, looksLikeJson, textBlock } from "./text.js";

/** The messages of a prompt and the answer to it. */
export function conversation(prompt, completion, fault, { markdown = false } = {}) {
  const results = new Map();
  const messages = prompt?.messages ?? [];
  for (const one of messages) if (one.role === "tool" && one.tool_call_id) results.set(one.tool_call_id, one);
  const list = h("ol", { class: "chat" });
  for (const one of messages) list.append(message(one, { markdown }));
  if (completion) list.append(answer(completion, { markdown }));
  if (fault) list.append(faulted(fault));
  return list;
}

/** One message: role, name, content, tool calls. */
export function message(one, { markdown = false, title = one.role, extra = [] } = {}) {
  const name = one.name ?? (one.role === "tool" && one.tool_call_id ? one.tool_call_id : "");
  return h("li", { class: `message ${one.role}` },
    h("div", { class: "role" }, h("b", {}, title), name && h("span", { class: "soft" }, " ", name)),
    h("div", { class: "said" }, ...extra, ...content(one.content, markdown), ...(one.tool_calls ?? []).map(toolCall)));
}

function content(value, markdown) {
  if (typeof value === "string") return value ? [textBlock(value, { markdown })] : [];
  return value.map((part) => (part.type === "image" ? image(part) : textBlock(part.text, { markdown })));
}

/** Only what is inside the trace is shown; an address elsewhere would tell it who looks. */
export function image(part) {
  if (/^data:image\/(png|jpeg|gif|webp);base64,/.test(part.url))
    return h("img", { src: part.url, alt: "image in the message", loading: "lazy" });
  const known = /^https?:/.test(part.url);
  return h("p", { class: "image soft" }, "image (not loaded): ",
    known ? h("a", { href: part.url, rel: "noreferrer noopener", target: "_blank" }, part.url) : part.url.slice(0, 80));
}

export function toolCall(call) {
  const json = looksLikeJson(call.arguments ?? "");
  return h("div", { class: "call" },
    h("div", { class: "call-name" }, h("b", {}, call.name), h("span", { class: "soft" }, " ", call.id ?? "")),
    json !== null ? jsonBlock(json) : h("div", { class: "text mono" }, call.arguments ?? ""));
}

function answer(completion, { markdown }) {
  const extra = [];
  if (completion.reasoning)
    extra.push(h("details", { class: "reasoning" },
      h("summary", {}, `Reasoning, ${completion.reasoning.length.toLocaleString("en")} characters`),
      textBlock(completion.reasoning, { markdown })));
  if (completion.refusal) extra.push(h("p", { class: "warn" }, "refused: ", completion.refusal));
  const empty = !completion.text && !completion.tool_calls.length && !completion.refusal;
  if (empty) extra.push(h("p", { class: "soft" }, "an empty answer"));
  if (completion.finish_reason && completion.finish_reason !== "stop" && completion.finish_reason !== "tool_calls")
    extra.push(h("p", { class: "warn" }, `ended by ${completion.raw_finish_reason ?? completion.finish_reason}`));
  const said = { role: "assistant", content: completion.text, tool_calls: completion.tool_calls };
  const item = message(said, { markdown, title: "answer", extra });
  item.classList.add("answer");
  return item;
}

function faulted(fault) {
  return h("li", { class: "message fault" },
    h("div", { class: "role" }, h("b", {}, "error"), h("span", { class: "soft" }, " ", fault.kind)),
    h("div", { class: "said" }, h("div", { class: "text" }, fault.message),
      fault.partial && h("details", {}, h("summary", {}, "What had arrived"), textBlock(fault.partial))));
}
