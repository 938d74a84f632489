"use strict";
(() => {
  const rows = [...document.querySelectorAll("#list > .result")];
  const form = document.querySelector(".filters");
  const search = document.getElementById("q");
  const shown = document.getElementById("shown");
  const nothing = document.getElementById("nothing");
  const singleKeys = document.getElementById("single-keys");
  const limits = document.getElementById("limits");
  const texts = new Map();
  const MOST_OPENED = 100;

  const textOf = (row) => {
    if (!texts.has(row)) texts.set(row, row.textContent.toLowerCase());
    return texts.get(row);
  };
  const visible = () => rows.filter((row) => !row.hidden);

  function matches(row, outcomes, chosen, words) {
    if (outcomes && !outcomes.has(row.dataset.outcome)) return false;
    for (const [name, value] of chosen) {
      if (name === "tag" ? !JSON.parse(row.dataset.tags).includes(value) : row.dataset[name] !== value) return false;
    }
    return words.every((word) => textOf(row).includes(word));
  }

  function filter() {
    const boxes = [...form.querySelectorAll("[name=outcome]")];
    const outcomes = boxes.every((box) => box.checked) ? null
      : new Set(boxes.filter((box) => box.checked).map((box) => box.value));
    const chosen = [...form.querySelectorAll("select")]
      .filter((select) => select.value)
      .map((select) => [select.dataset.filter, select.value.slice(1)]);
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    for (const row of rows) {
      const hit = matches(row, outcomes, chosen, words);
      if (row.hidden === hit) row.hidden = !hit;
      count += hit;
    }
    shown.textContent = `${count.toLocaleString("en")} of ${rows.length.toLocaleString("en")} shown`;
    nothing.hidden = count > 0;
  }

  let waiting = 0;
  const filterSoon = () => {
    clearTimeout(waiting);
    waiting = setTimeout(filter, rows.length > 500 ? 150 : 0);
  };

  function step(by) {
    const list = visible();
    if (!list.length) return;
    const here = list.findIndex((row) => row.contains(document.activeElement));
    const next = here < 0 ? (by > 0 ? 0 : list.length - 1) : Math.min(Math.max(here + by, 0), list.length - 1);
    const summary = list[next].querySelector("summary");
    summary.focus({ preventScroll: true });
    summary.scrollIntoView({ block: "nearest" });
  }

  function toggleAll() {
    const list = visible().slice(0, MOST_OPENED);
    const open = list.some((row) => !row.open);
    for (const row of list) row.open = open;
  }

  const keys = {
    j: () => step(1),
    k: () => step(-1),
    x: toggleAll,
    "/": () => { search.focus(); search.select(); },
  };

  function pressed(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape" && document.activeElement === search) {
      search.value = "";
      filter();
      search.blur();
      return;
    }
    const typing = event.target.closest("input:not([type=checkbox]), select, textarea");
    if (typing || !singleKeys.checked || !Object.hasOwn(keys, event.key)) return;
    event.preventDefault();
    keys[event.key]();
  }

  function follow() {
    const row = rows.find((one) => `#${one.id}` === location.hash);
    if (!row) return;
    row.open = true;
    if (row.hidden) form.reset();
    row.scrollIntoView();
    row.querySelector("summary").focus({ preventScroll: true });
  }

  let opened = [];
  function beforePrint() {
    const misses = visible().filter((row) => row.dataset.outcome !== "passed").slice(0, MOST_OPENED);
    const flips = [...document.querySelectorAll(".flip")].slice(0, MOST_OPENED);
    opened = [...flips, ...misses].filter((row) => !row.open);
    for (const row of opened) row.open = true;
  }

  form.hidden = false;
  if (limits) document.getElementById("list").before(limits);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", filterSoon);
  form.addEventListener("reset", () => setTimeout(filter, 0));
  document.addEventListener("keydown", pressed);
  addEventListener("hashchange", follow);
  addEventListener("beforeprint", beforePrint);
  addEventListener("afterprint", () => { for (const row of opened) row.open = false; });
  filter();
  follow();
})();
