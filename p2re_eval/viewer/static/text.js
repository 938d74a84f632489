// Texts of people and models: shown as they are, folded when long, coloured when they are JSON.

import { h } from "./dom.js";

const LONG = 12000;

/** A text block. JSON is coloured and indented, the rest keeps its line breaks. */
export function textBlock(text, { mono = false, markdown = false } = {}) {
  const json = looksLikeJson(text);
  if (json !== null) return jsonBlock(json);
  if (text.length > LONG) return folded(text, mono);
  if (markdown) return h("div", { class: "text" }, ...markdownNodes(text));
  return h("div", { class: mono ? "text mono" : "text" }, text);
}

function folded(text, mono) {
  const shown = h("div", { class: mono ? "text mono" : "text" }, text.slice(0, LONG));
  const rest = text.length - LONG;
  const more = h("button", { type: "button", class: "quiet more", onclick: () => {
    shown.textContent = text;
    more.remove();
  } }, `Show ${rest.toLocaleString("en")} more characters`);
  return h("div", {}, shown, more);
}

/** The text when it is a JSON object or array, else null. */
export function looksLikeJson(text) {
  const first = text.trimStart()[0];
  if ((first !== "{" && first !== "[") || text.length > 400000) return null;
  try {
    JSON.parse(text);
    return text;
  } catch {
    return null;
  }
}

const TOKEN = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null|[{}[\],:]/g;

/** JSON text, indented and coloured; numbers stay digit for digit as they were written. */
export function jsonBlock(text) {
  const block = h("pre", { class: "text mono json", tabindex: "0", role: "group", "aria-label": "JSON" });
  const found = text.match(TOKEN) ?? [];
  const flat = text.length < 96;
  let depth = 0, line = "";
  const flush = () => { if (line) block.append(line); line = ""; };
  const newline = () => { line += flat ? (line.at(-1) === "," ? " " : "") : "\n" + "  ".repeat(depth); };
  found.forEach((token, at) => {
    const next = found[at + 1];
    if (token === "{" || token === "[") {
      line += token;
      if (next !== "}" && next !== "]") { depth += 1; newline(); }
    } else if (token === "}" || token === "]") {
      if (found[at - 1] !== "{" && found[at - 1] !== "[") { depth = Math.max(0, depth - 1); newline(); }
      line += token;
    } else if (token === ",") { line += ","; newline(); }
    else if (token === ":") line += ": ";
    else {
      flush();
      const kind = token[0] !== '"' ? "j-number" : next === ":" ? "j-key" : "j-string";
      block.append(h("span", { class: kind }, kind === "j-string" ? unescaped(token) : token));
    }
  });
  flush();
  return block;
}

/** Line breaks inside a JSON string are shown as such: prompts are full of them. */
function unescaped(token) {
  return token.includes("\\n") && token.length > 60 ? token.replaceAll("\\n", "\n") : token;
}

const FENCE = /^```(\w*)\s*$/;

/** A little Markdown: headings, lists, code and emphasis. Links and images stay text. */
export function markdownNodes(text) {
  const nodes = [], lines = text.split("\n");
  let paragraph = [];
  const flush = () => {
    if (paragraph.length) nodes.push(h("p", {}, ...inline(paragraph.join("\n"))));
    paragraph = [];
  };
  for (let at = 0; at < lines.length; at += 1) {
    const line = lines[at], heading = /^(#{1,4})\s+(.*)/.exec(line), item = /^(\s*)([-*]|\d+[.)])\s+(.*)/.exec(line);
    if (FENCE.test(line)) {
      flush();
      let end = at + 1;
      while (end < lines.length && !FENCE.test(lines[end])) end += 1;
      nodes.push(h("pre", { class: "code", tabindex: "0", role: "group", "aria-label": "code" }, lines.slice(at + 1, end).join("\n")));
      at = end;
    } else if (heading) {
      flush();
      nodes.push(h("p", { class: "heading" }, ...inline(heading[2])));
    } else if (item) {
      flush();
      nodes.push(h("div", { class: "item", style: { "margin-inline-start": `${item[1].length * 0.5}em` } },
        h("span", { class: "bullet" }, /\d/.test(item[2]) ? item[2] : "•"), h("span", {}, ...inline(item[3]))));
    } else if (!line.trim()) flush();
    else paragraph.push(line);
  }
  flush();
  return nodes;
}

function inline(text) {
  const parts = [];
  let last = 0;
  for (const found of text.matchAll(/`([^`\n]+)`|\*\*([^*\n]+)\*\*/g)) {
    parts.push(text.slice(last, found.index));
    parts.push(found[1] !== undefined ? h("code", {}, found[1]) : h("strong", {}, found[2]));
    last = found.index + found[0].length;
  }
  parts.push(text.slice(last));
  return parts;
}
