// Every prompt: what ran, what is in the project's files.

import { get } from "../api.js";
import { ago, count, duration, money, percent } from "../viewer/format.js";
import { fill, h } from "../viewer/dom.js";
import { chip, code, empty, pageHead, table, walker } from "../ui.js";

export async function show(main, { app }) {
  const [{ items, mistakes }, stats] = await Promise.all([get("/prompts"), get("/stats", { by: ["prompt"], source: "all" })]);
  const usage = new Map(stats.rows.map((row) => [row.key.prompt, row]));
  const scores = new Map();
  for (const one of stats.scores) {
    const sum = scores.get(one.key.prompt) ?? [0, 0];
    scores.set(one.key.prompt, [sum[0] + one.passed, sum[1] + one.passed + one.failed]);
  }
  const page = h("div", { class: "page" },
    mistakes.length ? h("div", { class: "problem" }, ...mistakes.map((one) => h("div", {}, one))) : null,
    items.length ? table([
      ["Prompt", (row) => row.name], ["", (row) => h("span", { class: "soft" }, row.description ?? "")],
      ["Labels", (row) => h("span", { class: "flow" }, ...Object.entries(row.recorded?.labels ?? {}).map(([label, version]) => chip(`${label} ${version.slice(0, 8)}`, "accent")))],
      ["Versions", (row) => count(row.recorded?.versions ?? 0), { n: true }], ["Calls", (row) => count(usage.get(row.name)?.traces ?? 0), { n: true }],
      ["Checks passed", (row) => { const [passed, all] = scores.get(row.name) ?? [0, 0]; return all ? percent(passed / all) : ""; }, { n: true }],
      ["p50", (row) => duration(usage.get(row.name)?.p50_ns), { n: true }], ["Cost", (row) => money(usage.get(row.name)?.cost_usd), { n: true }],
      ["Newest", (row) => (row.recorded?.newest_ns ? ago(row.recorded.newest_ns) : "never ran"), { n: true }],
    ], items, { href: (row) => `/prompts/${encodeURIComponent(row.name)}`, caption: "Prompts" })
      : empty("There is no prompt yet.", "Start the server in a project with a folder ", code("prompts"), ", or run a suite: every version that runs is kept."));
  fill(main, pageHead("Prompts"), page);
  app.keys = walker(() => [...page.querySelectorAll("tbody a")]);
}
