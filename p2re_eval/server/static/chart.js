// Charts as SVG: bars stacked by group, and lines, over days or hours.

import { h, s } from "./viewer/dom.js";

const BOTTOM = 20, TOP = 8, LETTER = 6.4, LABEL = 64;

/** Round steps from 0 to a little above the highest value. */
function ticks(most) {
  if (!(most > 0)) return [0, 1];
  const raw = most / 3, power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10].map((one) => one * power).find((one) => one >= raw);
  const marks = [];
  for (let at = 0; at < most + step * 0.999; at += step) marks.push(at);
  return marks;
}

/** The axes on a canvas of `W` pixels, and where on it a slot and a value are. */
function frame(W, title, { slots, format, label }, most) {
  const H = W > 620 ? 210 : 150, marks = ticks(most), top = marks.at(-1), left = 12 + LETTER * Math.max(...marks.map((mark) => format(mark).length));
  const y = (value) => TOP + (H - TOP - BOTTOM) * (1 - value / top), step = (W - left) / slots.length;
  const x = (at) => left + step * (at + 0.5);
  const svg = s("svg", { viewBox: `0 0 ${W} ${H}`, role: "img", "aria-label": title });
  for (const mark of marks) svg.append(s("line", { class: "grid-line", x1: left, x2: W, y1: y(mark), y2: y(mark) }),
    s("text", { x: left - 6, y: y(mark) + 4, "text-anchor": "end" }, mark === 0 && !format(0).includes("%") ? format(0).replace(/ .*/, "") : format(mark)));
  const every = Math.max(1, Math.ceil(LABEL / step));
  slots.forEach((slot, at) => { if ((slots.length - 1 - at) % every === 0) svg.append(s("text", { x: Math.min(W - 20, Math.max(left + 14, x(at))), y: H - 5, "text-anchor": "middle" }, label(slot))); });
  return { svg, x, y, step };
}

/** `series`: [{name, values}] with a value (or null) for each slot; stacked. */
export function bars(title, { slots, series, format = String, label = String, note = null }) {
  const sums = slots.map((_, at) => series.reduce((sum, one) => sum + (one.values[at] ?? 0), 0));
  return figure(title, series, note, (W) => {
    const { svg, x, y, step } = frame(W, title, { slots, format, label }, Math.max(...sums, 0)), width = Math.max(1.5, Math.min(36, step * 0.72));
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
    return svg;
  });
}

/** `series` as lines; gaps where there is no value. */
export function lines(title, { slots, series, format = String, label = String, note = null, most = null }) {
  const all = series.flatMap((one) => one.values.filter((value) => value !== null && value !== undefined));
  return figure(title, series, note, (W) => {
    const { svg, x, y } = frame(W, title, { slots, format, label }, most ?? Math.max(...all, 0));
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
    return svg;
  });
}

/** Drawn as wide as there is room, and again when that changes: letters keep their size. */
function figure(title, series, note, draw) {
  let drawn = 480;
  const place = h("div", {}, draw(drawn));
  new ResizeObserver(([{ contentRect: { width } }]) => {
    if (width < 80 || Math.abs(width - drawn) < 4) return;
    drawn = width;
    place.replaceChildren(draw(drawn));
  }).observe(place);
  return h("figure", { class: "chart" }, h("figcaption", {}, h("b", {}, title), note && h("span", { class: "soft" }, note)), place,
    series.length > 1 ? h("div", { class: "legend" }, ...series.map((one, at) => h("span", {}, h("i", { class: `tone-box c${at % 8}` }), one.name))) : null);
}
