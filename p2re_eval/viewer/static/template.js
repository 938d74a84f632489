// A prompt's template beside what it became, each variable in a colour of its own.

import { h } from "./dom.js";

const TAG = /\{\{[\s\S]*?\}\}|\{%[\s\S]*?%\}|\{#[\s\S]*?#\}/g;
const HUES = 6;

/** Both sides of every message; `template` may be null when the version is not on record. */
export function templateView(template, prompt) {
  const variables = Object.entries(prompt.variables ?? {});
  const hue = new Map(variables.map(([name], at) => [name, at % HUES]));
  const pairs = paired(template?.messages ?? [], prompt.messages);
  const example = template?.examples?.length ? h("span", { class: "soft" }, "few-shot example") : null;
  return h("div", { class: "templates" },
    legend(variables, hue),
    template === null && h("p", { class: "soft note" }, "The template of this version is not in the database: only what it became is shown."),
    ...pairs.map(([before, after]) => h("div", { class: "pair" },
      h("div", { class: "half" }, h("div", { class: "role" }, h("b", {}, before?.role ?? (before?.history ? "history" : "")), h("span", { class: "soft" }, before ? " template" : "")),
        before ? written(before, hue) : template ? example?.cloneNode(true) : null),
      h("div", { class: "half" }, h("div", { class: "role" }, h("b", {}, after?.role ?? "")), after ? rendered(after, variables, hue) : null))));
}

function legend(variables, hue) {
  if (!variables.length) return h("p", { class: "soft note" }, "No inputs were filled in.");
  return h("dl", { class: "inputs" }, ...variables.map(([name, value]) => h("div", {},
    h("dt", {}, h("span", { class: `mark v${hue.get(name)}` }, name)),
    h("dd", { class: "mono" }, asText(value).slice(0, 400)))));
}

/** Messages side by side: from the front and from the back, as examples and history grow between. */
function paired(before, after) {
  if (before.length === after.length) return after.map((one, at) => [before[at], one]);
  const pairs = after.map((one) => [null, one]);
  let left = 0;
  while (left < before.length && left < after.length && before[left].role === after[left].role && left < before.length - 1) {
    pairs[left][0] = before[left];
    left += 1;
  }
  const last = before.length - 1;
  if (last >= left && after.length) pairs[after.length - 1][0] = before[last];
  for (let at = left; at < last; at += 1) pairs.splice(at, 0, [before[at], null]);
  return pairs;
}

function written(message, hue) {
  if (message.history) return h("div", { class: "text mono" }, `history: ${message.history}`);
  const text = typeof message.content === "string" ? message.content
    : message.content.map((part) => part.text ?? `[image ${part.image}]`).join("\n");
  return h("div", { class: "text mono" }, ...marked(text, hue));
}

function marked(text, hue) {
  const parts = [];
  let last = 0;
  for (const found of text.matchAll(TAG)) {
    parts.push(text.slice(last, found.index));
    const name = [...hue.keys()].find((one) => new RegExp(`(^|[^\\w.])${one.replace(/[^\w]/g, "\\$&")}\\b`).test(found[0]));
    parts.push(h("span", { class: name === undefined ? "mark tag" : `mark v${hue.get(name)}` }, found[0]));
    last = found.index + found[0].length;
  }
  parts.push(text.slice(last));
  return parts;
}

function rendered(message, variables, hue) {
  const text = typeof message.content === "string" ? message.content : message.content.map((part) => part.text ?? "[image]").join("\n");
  const spots = [];
  for (const [name, value] of variables)
    for (const wanted of new Set([asText(value), ...(Array.isArray(value) ? [value.join(", ")] : [])]))
      if (wanted.length > 1) for (let at = text.indexOf(wanted); at >= 0 && spots.length < 500; at = text.indexOf(wanted, at + wanted.length))
        spots.push([at, at + wanted.length, hue.get(name)]);
  spots.sort((a, b) => a[0] - b[0] || b[1] - a[1]);
  const parts = [];
  let last = 0;
  for (const [start, end, colour] of spots) {
    if (start < last) continue;
    parts.push(text.slice(last, start), h("span", { class: `mark v${colour}` }, text.slice(start, end)));
    last = end;
  }
  parts.push(text.slice(last));
  return h("div", { class: "text" }, ...parts);
}

function asText(value) {
  return typeof value === "string" ? value : JSON.stringify(value);
}
