// The search box: words or an expression, with what may come next.

import { fill, h, icon } from "./viewer/dom.js";

let FIELDS = { 'eval("")': "a score by name" };

/** Which fields there are, from the server: it alone knows the language. */
export function learnFields(fields) {
  FIELDS = { ...fields, 'eval("")': "a score by name" };
}

const OPERATORS = ["==", "!=", ">", "<", ">=", "<=", "~"];

/** `onsearch(text)` hears of Enter; `values` (by field) feed the completion. */
export function searchBox(text, onsearch) {
  const input = h("input", { type: "search", value: text, placeholder: "Search words, or write an expression", "aria-label": "Search traces",
    role: "combobox", "aria-expanded": "false", "aria-controls": "suggestions", "aria-autocomplete": "list", autocomplete: "off", spellcheck: "false" });
  const list = h("ul", { class: "suggest", id: "suggestions", role: "listbox", "aria-label": "Completions", hidden: true });
  const box = { input, element: h("form", { class: "search", role: "search", onsubmit: (event) => { event.preventDefault(); close(); onsearch(input.value.trim()); } }, icon("search"), input, list), values: {} };
  let options = [], at = -1;
  const close = () => { list.hidden = true; at = -1; input.setAttribute("aria-expanded", "false"); input.removeAttribute("aria-activedescendant"); };
  const take = (option) => {
    const before = input.value.slice(0, input.selectionStart), after = input.value.slice(input.selectionStart);
    const kept = before.slice(0, before.length - option.typed.length);
    input.value = kept + option.text + after;
    const caret = (kept + option.text).length - (option.text.endsWith('("")') ? 2 : 0);
    input.setSelectionRange(caret, caret);
    close();
    if (!option.last) suggest();
  };
  const suggest = () => {
    options = completions(input.value.slice(0, input.selectionStart), box.values);
    if (!options.length) return close();
    at = -1;
    list.hidden = false;
    input.setAttribute("aria-expanded", "true");
    fill(list, options.map((option, place) => h("li", { role: "option", id: `option-${place}`, "aria-selected": "false", onmousedown: (event) => { event.preventDefault(); take(option); } }, option.shown ?? option.text, option.hint && h("span", {}, option.hint))));
    return undefined;
  };
  const mark = (next) => {
    at = (next + options.length) % options.length;
    [...list.children].forEach((one, place) => one.setAttribute("aria-selected", String(place === at)));
    list.children[at].scrollIntoView({ block: "nearest" });
    input.setAttribute("aria-activedescendant", `option-${at}`);
  };
  input.addEventListener("input", () => { if (input.value) suggest(); else { close(); onsearch(""); } });
  input.addEventListener("focus", () => { if (!input.value) suggest(); });
  input.addEventListener("blur", close);
  input.addEventListener("keydown", (event) => {
    if (list.hidden) { if (event.key === "ArrowDown") { suggest(); event.preventDefault(); } return; }
    if (event.key === "ArrowDown") mark(at + 1);
    else if (event.key === "ArrowUp") mark(at - 1);
    else if ((event.key === "Enter" || event.key === "Tab") && at >= 0) take(options[at]);
    else if (event.key === "Escape") close();
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  return box;
}

/** What may stand where the caret is, from the text before it. */
export function completions(before, values) {
  const value = /(\w+)\s*(==|!=)\s*("?)([^"\s]*)$/.exec(before);
  if (value && values[value[1]]) {
    return values[value[1]].filter((one) => one.value.toLowerCase().includes(value[4].toLowerCase())).slice(0, 12)
      .map((one) => ({ text: `"${one.value}" `, typed: value[3] + value[4], shown: one.value, hint: String(one.count), last: true }));
  }
  const operator = /(?:^|\s)(\w+)\s+$/.exec(before);
  if (operator && FIELDS[operator[1]]) return OPERATORS.map((one) => ({ text: `${one} `, typed: "", shown: one }));
  const word = /(?:^|\s|\()(\w*)$/.exec(before);
  if (!word || (before && !word[1] && !/\b(and|or|not)\s$/.test(before))) return before.trim() ? [] : fields("");
  return fields(word[1]);
}

function fields(typed) {
  return Object.entries(FIELDS).filter(([name]) => name.startsWith(typed)).map(([name, hint]) => ({ text: name.endsWith('("")') ? name : `${name} `, typed, shown: name, hint }));
}
