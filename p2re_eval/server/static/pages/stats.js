// What it cost, how fast it was, how good it was: over time, by model or prompt.

import { get } from "../api.js";
import { setQuery } from "../app.js";
import { bars, lines } from "../chart.js";
import { count, duration, money, percent } from "../viewer/format.js";
import { fill, h } from "../viewer/dom.js";
import { code, empty, pageHead, problem, table } from "../ui.js";

const WINDOWS = { "24h": ["Last day", 86400], "7d": ["Last week", 7 * 86400], "30d": ["Last month", 30 * 86400], "90d": ["Last 90 days", 90 * 86400], all: ["All time", null] };
const BY = { model: "Model", prompt: "Prompt", version: "Version", status: "Status", source: "Source" };
const MOST = 7;

export async function show(main, { query }) {
  const state = { window: WINDOWS[query.window] ? query.window : "7d", by: BY[query.by] ? query.by : "model", source: query.source === "all" ? "all" : "live", model: query.model ?? "", prompt: query.prompt ?? "" };
  const page = h("div", { class: "page" });
  const select = (name, label, options) => {
    const box = h("select", { "aria-label": label, onchange: (event) => { state[name] = event.target.value; setQuery(state); draw(); } }, ...options.map(([value, text]) => h("option", { value }, text)));
    box.value = state[name];
    return box;
  };
  const draw = async () => {
    try {
      await statistics(page, state);
    } catch (error) {
      fill(page, problem(error));
    }
  };
  const narrowed = ["model", "prompt"].filter((name) => state[name]).map((name) => h("span", { class: "chip accent" }, state[name]));
  fill(main, pageHead("Stats", { end: [...narrowed, select("by", "Group by", Object.entries(BY).map(([value, text]) => [value, `By ${text.toLowerCase()}`])),
    select("window", "Time", Object.entries(WINDOWS).map(([value, [text]]) => [value, text])), select("source", "Source", [["live", "Live calls"], ["all", "With cache and replay"]])] }), page);
  await draw();
}

async function statistics(page, state) {
  const seconds = WINDOWS[state.window][1], slot = seconds !== null && seconds <= 8 * 86400 && state.window === "24h" ? "hour" : "day";
  const since = seconds === null ? "" : String(BigInt(Math.floor(Date.now() / 1000) - seconds) * 1000000000n);
  const asked = { since_ns: since, source: state.source, model: state.model, prompt: state.prompt };
  const [groups, over, time] = await Promise.all([get("/stats", { ...asked, by: [state.by] }), get("/stats", { ...asked, by: [slot, state.by] }), get("/stats", { ...asked, by: [slot] })]);
  const total = groups.total;
  if (!total.traces) { fill(page, empty("Nothing was counted in this time.", "Choose a longer window, or run a suite with ", code("pytest --p2re"), ".")); return; }
  fill(page, tiles(total), charts(over, time, state, slot), groupTable(groups, state), scoreTable(groups, state));
}

function tiles(total) {
  const unknown = total.traces - total.priced;
  const tile = (name, value, more) => h("div", { class: "tile" }, h("dt", {}, name), h("dd", {}, value), more && h("dd", { class: "soft" }, more));
  return h("dl", { class: "tiles" }, tile("Calls", count(total.traces)), tile("Errors", count(total.errors), percent(total.errors / total.traces)),
    tile("Cost", money(total.cost_usd) || "unknown", unknown ? `unknown for ${count(unknown)}` : null),
    tile("Tokens in", count(total.input_tokens ?? 0), total.cached_tokens ? `${count(total.cached_tokens)} cached` : null), tile("Tokens out", count(total.output_tokens ?? 0)),
    tile("Median latency", duration(total.p50_ns) || "none"), tile("95th percentile", duration(total.p95_ns) || "none"));
}

/** Every slot between the first and the last, so that a quiet day is seen as one. */
function slotsOf(rows, slot) {
  const key = (row) => String(row.key[slot]);
  const seen = [...new Set(rows.map(key))].sort(), step = slot === "hour" ? 3600e3 : 86400e3;
  if (!seen.length) return [];
  const stamp = (text) => (/^\d{12,}$/.test(text) ? Number(text) / 1e6 : Date.parse(text.length <= 10 ? `${text}T00:00Z` : text.endsWith("Z") ? text : `${text.replace(" ", "T")}Z`));
  const byStamp = new Map(seen.map((text) => [stamp(text), text]));
  const slots = [];
  for (let at = stamp(seen[0]); at <= stamp(seen.at(-1)) && slots.length < 400; at += step) slots.push({ at, key: byStamp.get(at) ?? null });
  return slots;
}

function charts(over, time, state, slot) {
  const slots = slotsOf(time.rows, slot);
  const label = (one) => new Date(one.at).toLocaleString("en-GB", slot === "hour" ? { hour: "2-digit", minute: "2-digit", timeZone: "UTC" } : { day: "numeric", month: "short", timeZone: "UTC" });
  const at = new Map(slots.map((one, place) => [one.key, place]));
  const blank = () => Array.from({ length: slots.length }, () => null);
  const names = new Map();
  for (const row of over.rows) names.set(row.key[state.by], (names.get(row.key[state.by]) ?? 0) + row.traces);
  const biggest = [...names.entries()].sort((a, b) => b[1] - a[1]).map(([name]) => name).slice(0, MOST);
  const grouped = (value) => {
    const found = new Map([...biggest, ...(names.size > MOST ? ["others"] : [])].map((name) => [name, blank()]));
    for (const row of over.rows) {
      const values = found.get(biggest.includes(row.key[state.by]) ? row.key[state.by] : "others"), place = at.get(String(row.key[slot]));
      if (place !== undefined && value(row) !== null) values[place] = (values[place] ?? 0) + value(row);
    }
    return [...found].map(([name, values]) => ({ name: shown(name, state.by), values }));
  };
  const whole = (value) => { const values = blank(); for (const row of time.rows) { const place = at.get(String(row.key[slot])); if (place !== undefined) values[place] = value(row); } return values; };
  const scores = new Map();
  for (const one of time.scores) {
    const values = scores.get(one.name) ?? blank(), decided = one.passed + one.failed, place = at.get(String(one.key[slot]));
    if (place !== undefined) values[place] = decided ? one.passed / decided : one.mean;
    scores.set(one.name, values);
  }
  const common = { slots, label };
  return h("div", { class: "charts" },
    bars("Calls", { ...common, series: grouped((row) => row.traces), format: count }),
    bars("Cost", { ...common, series: grouped((row) => row.cost_usd), format: (value) => money(value) || "$0", note: "known costs only" }),
    bars("Tokens", { ...common, series: [{ name: "in", values: whole((row) => row.input_tokens) }, { name: "out", values: whole((row) => row.output_tokens) }], format: count }),
    lines("Latency", { ...common, series: [{ name: "median", values: whole((row) => row.p50_ns) }, { name: "95th percentile", values: whole((row) => row.p95_ns) }], format: duration }),
    lines("Error rate", { ...common, series: [{ name: "errors", values: whole((row) => row.errors / row.traces) }], format: (value) => percent(value) }),
    scores.size ? lines("Scores", { ...common, series: [...scores].slice(0, 8).map(([name, values]) => ({ name, values })), format: (value) => percent(value), most: 1, note: "pass rate, else mean" }) : null);
}

function shown(name, by) {
  return by === "version" ? String(name).slice(0, 10) || "none" : String(name);
}

function groupTable(groups, state) {
  const link = (row) => (state.by === "model" || state.by === "prompt" ? `/traces?${new URLSearchParams({ [state.by]: row.key[state.by] })}` : null);
  return h("section", {}, h("h2", {}, BY[state.by]), table([
    [BY[state.by], (row) => shown(row.key[state.by], state.by)], ["Calls", (row) => count(row.traces), { n: true }], ["Errors", (row) => h("span", { class: row.errors ? "fail" : "soft" }, count(row.errors)), { n: true }],
    ["Tokens in", (row) => count(row.input_tokens), { n: true }], ["Tokens out", (row) => count(row.output_tokens), { n: true }],
    ["Cost", (row) => money(row.cost_usd) || "unknown", { n: true }], ["Cost unknown", (row) => (row.traces > row.priced ? count(row.traces - row.priced) : ""), { n: true }],
    ["p50", (row) => duration(row.p50_ns), { n: true }], ["p95", (row) => duration(row.p95_ns), { n: true }], ["p99", (row) => duration(row.p99_ns), { n: true }],
  ], groups.rows, { href: link, caption: `By ${state.by}` }));
}

function scoreTable(groups, state) {
  if (!groups.scores.length) return null;
  return h("section", {}, h("h2", {}, "Scores"), table([
    ["Evaluation", (row) => row.name], [BY[state.by], (row) => shown(row.key[state.by], state.by)], ["Kind", (row) => row.kind.toLowerCase()], ["Evaluations", (row) => count(row.evaluations), { n: true }],
    ["Passed", (row) => (row.passed + row.failed ? percent(row.passed / (row.passed + row.failed)) : ""), { n: true }], ["Mean", (row) => (row.mean === null ? "" : row.mean.toFixed(3)), { n: true }],
    ["Broke", (row) => h("span", { class: row.faults ? "warn" : "soft" }, count(row.faults)), { n: true }],
  ], groups.scores, { caption: "Scores" }));
}
