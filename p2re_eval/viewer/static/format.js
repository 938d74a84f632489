// Quantities as people read them; unknown is never shown as 0.

export function duration(ns) {
  if (ns === null || ns === undefined) return "";
  const ms = ns / 1e6;
  if (ms < 0.01) return `${Math.round(ns)} ns`;
  if (ms < 1) return `${(ns / 1e3).toFixed(0)} µs`;
  if (ms < 1000) return `${ms < 10 ? ms.toFixed(1) : ms.toFixed(0)} ms`;
  const seconds = ms / 1000;
  if (seconds < 60) return `${seconds.toFixed(seconds < 10 ? 2 : 1)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
}

export function money(usd) {
  if (usd === null || usd === undefined) return "";
  if (usd === 0) return "$0";
  if (usd >= 100) return `$${usd.toLocaleString("en", { maximumFractionDigits: 0 })}`;
  if (usd >= 0.01) return `$${usd.toFixed(2)}`;
  return `$${Number(usd.toPrecision(2)).toFixed(8).replace(/0+$/, "")}`;
}

export function count(number) {
  if (number === null || number === undefined) return "";
  if (Math.abs(number) < 10000) return number.toLocaleString("en");
  return new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 }).format(number);
}

export function plural(number, noun) {
  return `${Number(number).toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;
}

export function percent(share) {
  return share === null || share === undefined ? "" : `${(share * 100).toFixed(share === 1 || share === 0 ? 0 : 1)} %`;
}

export function score(value) {
  return value === null || value === undefined ? "" : String(Number(value.toFixed(3)));
}

const DAY = new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric" });
const WHOLE = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

/** Today: the time; earlier: the day and the time. */
export function moment(ns) {
  const date = new Date(ns / 1e6);
  const time = date.toLocaleTimeString("en-GB");
  return date.toDateString() === new Date().toDateString() ? time : `${DAY.format(date)} ${time.slice(0, 5)}`;
}

export function wholeMoment(ns) {
  return WHOLE.format(new Date(ns / 1e6));
}

export function ago(ns) {
  const seconds = Math.max(0, (Date.now() - ns / 1e6) / 1000);
  if (seconds < 60) return "just now";
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ago`;
  return `${Math.floor(seconds / 86400)} d ago`;
}

export function tokens(into, out) {
  if (into === null && out === null) return "";
  return `${into === null ? "?" : count(into)} → ${out === null ? "?" : count(out)}`;
}

export function shortId(id) {
  return id.length > 16 ? id.slice(0, 8) + "…" + id.slice(-4) : id;
}

/** The word for how a score came out. */
export function verdict(evaluation) {
  if (!evaluation.score) return { word: "error", tone: "warn" };
  const { passed, label } = evaluation.score;
  if (passed === null) return { word: label ?? "scored", tone: "soft" };
  return { word: label ?? (passed ? "passed" : "failed"), tone: passed ? "pass" : "fail" };
}
