// Conversations, the newest first.

import { get } from "../api.js";
import { ago, count, money, tokens } from "../viewer/format.js";
import { fill, h } from "../viewer/dom.js";
import { code, empty, more, pageHead, table, walker } from "../ui.js";

export async function show(main, { query, app }) {
  const page = h("div", { class: "page" });
  let rows = [], cursor = null;
  const load = async () => {
    const found = await get("/sessions", { limit: 100, cursor, user: query.user });
    rows = [...rows, ...found.items];
    cursor = found.next_cursor;
    draw();
    return cursor;
  };
  const draw = () => fill(page, rows.length ? table([
    ["Session", (row) => row.name || row.session_id], ["Begins", (row) => h("span", { class: "soft" }, row.first_input ?? "")], ["User", (row) => row.user ?? ""],
    ["Turns", (row) => count(row.traces), { n: true }], ["Errors", (row) => h("span", { class: row.errors ? "fail" : "soft" }, count(row.errors)), { n: true }],
    ["Tokens", (row) => tokens(row.input_tokens, row.output_tokens), { n: true }], ["Cost", (row) => money(row.cost_usd) + (row.unpriced ? ` (${row.unpriced} unknown)` : ""), { n: true }],
    ["Last", (row) => ago(row.last_ns ?? row.started_ns), { n: true }],
  ], rows, { href: (row) => `/sessions/${encodeURIComponent(row.session_id)}`, caption: "Sessions" })
    : empty("No conversation was recorded yet.", "Traces with a session id show up here: ", code('with p2re.session("chat-42"):'), " in a test, or ", code("session.id"), " on a span."),
  cursor && more(load));
  fill(main, pageHead("Sessions"), page);
  app.keys = walker(() => [...page.querySelectorAll("tbody a")]);
  await load();
}
