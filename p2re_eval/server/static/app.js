// The frame around the pages: where you are is the address, and only the address.

import { get } from "./api.js";
import { fill, h, icon, iconButton } from "./viewer/dom.js";
import { showHelp } from "./help.js";
import { problem } from "./ui.js";

const SECTIONS = [
  ["traces", "Traces"], ["sessions", "Sessions"], ["prompts", "Prompts"],
  ["experiments", "Experiments"], ["evaluations", "Evaluations"], ["stats", "Stats"], ["sync", "Sync"],
];
const PAGES = {
  "traces": "traces", "traces/*": "trace", "sessions": "sessions", "sessions/*": "session", "prompts": "prompts", "prompts/*": "prompt",
  "experiments": "experiments", "experiments/*": "experiment", "experiments/*/*": "comparison", "online/*": "online", "evaluations": "evaluations", "stats": "stats", "sync": "sync", "open": "artifact", "open/*": "artifact",
};

export const app = { health: null, leave: null, keys: new Map() };
/** The ids of the list of traces that was last looked at, for going from trace to trace. */
export const lastList = { ids: [], href: "/traces" };
const main = h("main", { id: "main", tabindex: "-1" });
const nav = h("nav", { "aria-label": "Sections" });

/** Go to an address of the app. */
export function go(href, { replace = false } = {}) {
  history[replace ? "replaceState" : "pushState"](null, "", href);
  return route();
}

/** Change the query of the address where we are, without a new page. */
export function setQuery(query) {
  const found = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) if (value !== "" && value !== null && value !== undefined) found.set(name, value);
  const text = found.toString();
  history.replaceState(null, "", location.pathname + (text ? `?${text}` : ""));
}

let turn = 0;
let early = null;  // keys that were pressed before their page was there

async function route() {
  turn += 1;
  const mine = turn;
  const steps = location.pathname.split("/").filter(Boolean).map(decodeURIComponent);
  if (!steps.length) return go("/traces", { replace: true });
  const shape = steps.map((step, at) => (at === 0 ? step : "*")).join("/");
  const page = PAGES[shape];
  app.leave?.();
  app.leave = null;
  app.keys = new Map();
  early = [];
  const back = steps[0] === "traces" ? lastList.href : `/${steps[0] === "online" ? "experiments" : steps[0]}`;
  if (steps.length > 1) app.keys.set("Escape", () => go(back));
  for (const link of nav.children) link.toggleAttribute("aria-current", link.dataset.section === (steps[0] === "online" ? "experiments" : steps[0]));
  for (const link of nav.querySelectorAll("[aria-current]")) link.setAttribute("aria-current", "page");
  main.className = "";
  try {
    if (!page) throw new Error(`there is no page ${location.pathname}`);
    const { show } = await import(`./pages/${page}.js`);
    if (mine !== turn) return undefined;
    const place = h("div", { class: "hush" });
    fill(main, place);
    const query = Object.fromEntries(new URLSearchParams(location.search));
    const leave = await show(main, { steps: steps.slice(1), query, app });
    if (mine !== turn) { leave?.(); return undefined; }
    app.leave = leave ?? null;
    catchUp();
  } catch (error) {
    if (mine === turn && error.name !== "AbortError") fill(main, problem(error));
  }
  return undefined;
}

/** What was typed while the page was on its way, in the order of typing. */
function catchUp() {
  const typed = early ?? [];
  early = null;
  for (const event of typed) app.keys.get(event.key)?.(event);
}

function frame() {
  fill(nav, SECTIONS.map(([id, label]) => h("a", { href: `/${id}`, "data-section": id, title: label, "aria-label": label }, icon(id), h("span", {}, label))));
  const theme = iconButton("Light or dark", "moon", () => {
    const dark = getComputedStyle(document.documentElement).colorScheme === "dark" || (!document.documentElement.dataset.theme && matchMedia("(prefers-color-scheme: dark)").matches);
    setTheme(dark ? "light" : "dark");
  });
  const database = h("div", { class: "db" });
  const side = h("header", { class: "side" },
    h("a", { class: "brand", href: "/traces", "aria-label": "p2re" }, h("img", { src: "/static/icon.svg", alt: "" }), h("span", {}, "p2re")),
    nav, h("div", { class: "end" }, database, h("div", { class: "row" }, theme, iconButton("Open an address", "external", () => go("/open")), iconButton("Keyboard", "help", showHelp))));
  document.getElementById("app").append(side, main);
  get("/health").then((health) => {
    app.health = health;
    database.textContent = health.database + (health.read_only ? ", read only" : "");
  }).catch(() => { database.textContent = "no connection"; });
}

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  localStorage.setItem("p2re.theme", theme);
}

function followLinks(event) {
  const link = event.composedPath().find((one) => one instanceof HTMLAnchorElement);
  if (!link || event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey || link.target) return;
  if (link.origin !== location.origin || link.pathname.startsWith("/api/") || link.getAttribute("href").startsWith("#")) return;
  event.preventDefault();
  go(link.pathname + link.search).then(() => { if (link.closest?.("nav")) main.focus({ preventScroll: true }); });
}

let waiting = null;

function press(event) {
  if (event.metaKey || event.ctrlKey || event.altKey || event.defaultPrevented) return;
  const target = event.composedPath()[0];
  const writing = /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName ?? "");
  if (writing) {
    if (event.key === "Escape") target.blur();
    return;
  }
  if (waiting) {
    const section = SECTIONS.find(([id]) => ({ t: "traces", s: "sessions", p: "prompts", e: "experiments", v: "evaluations", a: "stats", y: "sync" })[event.key] === id);
    clearTimeout(waiting);
    waiting = null;
    if (section) { event.preventDefault(); go(`/${section[0]}`); }
    return;
  }
  if (event.key === "g") { waiting = setTimeout(() => { waiting = null; }, 1200); return; }
  if (event.key === "?") { event.preventDefault(); showHelp(); return; }
  if (document.querySelector("dialog[open]")) return;
  const act = app.keys.get(event.key);
  if (act && act(event) !== false) event.preventDefault();  // false: there is nothing to act on
  else if (early && early.length < 20) early.push(event);
}

const kept = localStorage.getItem("p2re.theme");
if (kept) document.documentElement.dataset.theme = kept;
frame();
addEventListener("popstate", route);
document.addEventListener("click", followLinks);
document.addEventListener("keydown", press);
route();
