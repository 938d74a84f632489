// Two texts, word by word: what only one of them has is marked.

import { h } from "./dom.js";

const WORDS = /\s+|[\p{L}\p{N}_]+|[^\s\p{L}\p{N}_]/gu;
const MOST = 6000;

/** Pieces `[kind, text]` with kind "same", "gone" or "new", in reading order. */
export function wordDiff(before, after) {
  const a = before.match(WORDS) ?? [], b = after.match(WORDS) ?? [];
  let start = 0, enda = a.length, endb = b.length;
  while (start < enda && start < endb && a[start] === b[start]) start += 1;
  while (enda > start && endb > start && a[enda - 1] === b[endb - 1]) { enda -= 1; endb -= 1; }
  const middle = between(a.slice(start, enda), b.slice(start, endb));
  return joined([...a.slice(0, start).map((t) => ["same", t]), ...middle, ...a.slice(enda).map((t) => ["same", t])]);
}

function between(a, b) {
  if (a.length + b.length > MOST || !a.length || !b.length)
    return [...a.map((t) => ["gone", t]), ...b.map((t) => ["new", t])];
  const width = b.length + 1, table = new Uint16Array((a.length + 1) * width);
  for (let i = a.length - 1; i >= 0; i -= 1)
    for (let j = b.length - 1; j >= 0; j -= 1)
      table[i * width + j] = a[i] === b[j] ? table[(i + 1) * width + j + 1] + 1
        : Math.max(table[(i + 1) * width + j], table[i * width + j + 1]);
  const pieces = [];
  let i = 0, j = 0;
  while (i < a.length && j < b.length) {
    if (a[i] === b[j]) { pieces.push(["same", a[i]]); i += 1; j += 1; }
    else if (table[(i + 1) * width + j] >= table[i * width + j + 1]) pieces.push(["gone", a[i++]]);
    else pieces.push(["new", b[j++]]);
  }
  while (i < a.length) pieces.push(["gone", a[i++]]);
  while (j < b.length) pieces.push(["new", b[j++]]);
  return pieces;
}

function joined(pieces) {
  const found = [];
  for (const [kind, text] of pieces) {
    if (found.length && found.at(-1)[0] === kind) found.at(-1)[1] += text;
    else found.push([kind, text]);
  }
  return found;
}

/** One side of a comparison: "gone" shows the text before, "new" the text after. */
export function side(pieces, kind) {
  return h("div", { class: "text" }, ...pieces.filter(([one]) => one === "same" || one === kind)
    .map(([one, text]) => (one === "same" ? text : h(one === "gone" ? "del" : "ins", {}, text))));
}

/** Both in one: removed and added words in place. */
export function together(pieces) {
  return h("div", { class: "text" }, ...pieces.map(([one, text]) => (one === "same" ? text : h(one === "gone" ? "del" : "ins", {}, text))));
}
