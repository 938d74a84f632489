// Charts as SVG: bars stacked by group, and lines, over days or hours.

import { h, s } from "./viewer/dom.js";

const W = 480, H = 150, LEFT = 46, BOTTOM = 20, TOP = 8;

/** Round steps from 0 to a little above the highest value. */
function ticks(most) {
  if (!(most > 0)) return [0, 1];
  const raw = most / 3, power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10].map((one) => one * power).find((one) => one >= raw);
  const marks = [];
  for (let at = 0; at < most + step * 0.999; at += step) marks.push(at);
  return marks;
}

function frame(title, unit, slots, most, format, label) {
  const marks = ticks(most), top = marks.at(-1);
  const y = (value) => TOP + (H - TOP - BOTTOM) * (1 - value / top);
  const x = (at) => LEFT + ((W - LEFT) / slots.length) * (at + 0.5);
  const svg = s("svg", { viewBox: `0 0 ${W} ${H}`, role: "img", "aria-label": title });
  for (const mark of marks) svg.append(s("line", { class: "grid-line", x1: LEFT, x2: W, y1: y(mark), y2: y(mark) }),
    s("text", { x: LEFT - 6, y: y(mark) + 4, "text-anchor": "end" }, format(mark)));
  const every = Math.max(1, Math.ceil(slots.length / 7));
  slots.forEach((slot, at) => { if ((slots.length - 1 - at) % every === 0) svg.append(s("text", { x: Math.min(W - 16, Math.max(LEFT + 14, x(at))), y: H - 5, "text-anchor": "middle" }, label(slot))); });
  return { svg, x, y };
}

/** `series`: [{name, values}] with a value (or null) for each slot; stacked. */
export function bars(title, { slots, series, format = String, label = String, note = null }) {
  const sums = slots.map((_, at) => series.reduce((sum, one) => sum + (one.values[at] ?? 0), 0));
  const { svg, x, y } = frame(title, "", slots, Math.max(...sums, 0), format, label);
  const width = Math.max(1.5, Math.min(28, ((W - LEFT) / slots.length) * 0.72));
  slots.forEach((slot, at) => {
    let below = 0;
    series.forEach((one, place) => {
      const value = one.values[at] ?? 0;
      if (!value) return;
      const top = y(below + value), bottom = y(below);
      svg.append(s("rect", { class: `tone c${place % 8}`, x: x(at) - width / 2, y: top, width, height: Math.max(0.5, bottom - top), rx: Math.min(2, width / 4) },
        s("title", {}, `${label(slot)}  ${one.name}: ${format(value)}`)));
      below += value;
    });
  });
  return figure(title, svg, series, note);
}

/** `series` as lines; gaps where there is no value. */
export function lines(title, { slots, series, format = String, label = String, note = null, most = null }) {
  const all = series.flatMap((one) => one.values.filter((value) => value !== null && value !== undefined));
  const { svg, x, y } = frame(title, "", slots, most ?? Math.max(...all, 0), format, label);
  series.forEach((one, place) => {
    let path = "", open = false;
    one.values.forEach((value, at) => {
      if (value === null || value === undefined) { open = false; return; }
      path += `${open ? "L" : "M"}${x(at).toFixed(1)} ${y(value).toFixed(1)}`;
      open = true;
      svg.append(s("circle", { class: `tone hot c${place % 8}`, cx: x(at), cy: y(value), r: slots.length > 60 ? 1.5 : 3 }, s("title", {}, `${label(slots[at])}  ${one.name}: ${format(value)}`)));
    });
    svg.append(s("path", { class: `line tone-line c${place % 8}`, d: path }));
  });
  return figure(title, svg, series, note);
}

function figure(title, svg, series, note) {
  return h("figure", { class: "chart" }, h("figcaption", {}, h("b", {}, title), note && h("span", { class: "soft" }, note)), svg,
    series.length > 1 ? h("div", { class: "legend" }, ...series.map((one, place) => h("span", {}, h("i", { class: `tone-box c${place % 8}` }), one.name))) : null);
}
