// Other systems and how far behind they are.

import { get } from "../api.js";
import { ago, count } from "../viewer/format.js";
import { fill, h } from "../viewer/dom.js";
import { code, empty, pageHead, table } from "../ui.js";

const loud = (number) => h("span", { class: number ? "fail" : "soft" }, count(number));

export async function show(main) {
  const { items } = await get("/sync");
  const page = h("div", { class: "page" });
  const failures = items.flatMap((one) => one.failures.map((why) => `${one.target}: ${why}`));
  fill(page, items.length ? table([
    ["Target", (row) => row.target], ["Last sync", (row) => row.last_sync_ns ? ago(row.last_sync_ns) : "never", { n: true }],
    ["Runs behind", (row) => count(row.runs_behind), { n: true }], ["Evaluations behind", (row) => count(row.evaluations_behind), { n: true }],
    ["On the way", (row) => count(row.on_the_way), { n: true }], ["Synced", (row) => count(row.synced), { n: true }],
    ["Deleted there", (row) => count(row.deleted_there), { n: true }], ["Conflicts", (row) => loud(row.conflicts), { n: true }],
    ["Failed", (row) => loud(row.failed), { n: true }],
  ], items, { caption: "Targets" })
    : empty("Nothing was ever synced.", "Keep a Phoenix server in step with ", code("p2re sync phoenix"), ", or send traces to a collector with ", code("p2re sync otlp"), "."),
  failures.length ? h("ul", { class: "failures" }, failures.map((why) => h("li", {}, why))) : null);
  fill(main, pageHead("Sync"), page);
}
