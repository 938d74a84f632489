// The keys, in one place.

import { h } from "./viewer/dom.js";

const KEYS = [
  ["g then t s p e v a y", "Traces, Sessions, Prompts, Experiments, Evaluations, Stats, Sync"],
  ["j k", "down and up a list or a tree"], ["Enter", "open"], ["/", "search"], ["f", "find in the trace"],
  ["[ ]", "the trace before and after in the list"], ["l", "live list on and off"], ["c", "compare with the trace before"],
  ["1 2 s u n", "when labelling: good, bad, skip, back to the last, note"],
  ["Escape", "leave a field, go back"], ["?", "this help"],
];

/** A dialog with every key. */
export function showHelp() {
  const dialog = h("dialog", { "aria-labelledby": "help-title" }, h("h2", { id: "help-title" }, "Keyboard"),
    h("dl", {}, ...KEYS.flatMap(([key, what]) => [h("dt", {}, ...key.split(" ").map((one) => (one === "then" ? " then " : h("kbd", {}, one)))), h("dd", {}, what)])),
    h("form", { method: "dialog", class: "flow" }, h("button", { type: "submit" }, "Close")));
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}
