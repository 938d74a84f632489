// Elements without markup: text stays text, whatever it says.

const SVG = "http://www.w3.org/2000/svg";

/** An element. `on...` properties listen, `style` is an object, null and false leave out. */
export function h(tag, properties, ...children) {
  return made(document.createElement(tag), properties, children);
}

/** The same for SVG. */
export function s(tag, properties, ...children) {
  return made(document.createElementNS(SVG, tag), properties, children);
}

function made(element, properties, children) {
  for (const [name, value] of Object.entries(properties ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "style") for (const [key, one] of Object.entries(value)) element.style.setProperty(key, one);
    else if (name === "value" || name === "checked" || name === "selected") element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

const ICONS = {
  traces: "M2 4h9M2 8h12M2 12h7", sessions: "M3 3h10v7H7l-4 3z", prompts: "M4 2h6l3 3v9H4zM6 8h4M6 11h4",
  experiments: "M6 2v4L2.5 13h11L10 6V2M5 2h6", evaluations: "M2.5 8.5l3 3 8-8M2 14h12",
  stats: "M3 13V8M8 13V3M13 13V6", sync: "M3 8a5 5 0 0 1 9-3M12 2v3H9M13 8a5 5 0 0 1-9 3M4 14v-3h3", search: "M7 2.5a4.5 4.5 0 1 0 0 9 4.5 4.5 0 0 0 0-9zM10.5 10.5L14 14",
  copy: "M5 5V2h9v9h-3M2 5h9v9H2z", compare: "M5 2v12M11 2v12M2 6l3-3 3 3M8 10l3 3 3-3", close: "M3 3l10 10M13 3L3 13",
  down: "M4 6l4 4 4-4", right: "M6 4l4 4-4 4", left: "M10 4L6 8l4 4", pin: "M5 2h6l-1 5 2 2H4l2-2zM8 9v5", trash: "M3 4h10M6 4V2h4v2M4.5 4l.5 10h6l.5-10",
  sun: "M8 5a3 3 0 1 0 0 6 3 3 0 0 0 0-6zM8 1v1.5M8 13.5V15M1 8h1.5M13.5 8H15M3 3l1 1M12 12l1 1M3 13l1-1M12 4l1-1",
  moon: "M13 9.5A5.5 5.5 0 0 1 6.5 3 5.5 5.5 0 1 0 13 9.5z", columns: "M2 3h12v10H2zM6 3v10M10 3v10", play: "M4 2.5l9 5.5-9 5.5z",
  up: "M4 10l4-4 4 4", save: "M8 2v8M5 7l3 3 3-3M3 13.5h10", help: "M8 1.5a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13zM6 6.3a2 2 0 1 1 2.9 1.8c-.6.3-.9.7-.9 1.4M8 11.7h.01", more: "M3 8h.01M8 8h.01M13 8h.01", external: "M6 3H3v10h10v-3M9 2h5v5M14 2L7 9", live: "M8 6.5a1.5 1.5 0 1 0 0 3 1.5 1.5 0 0 0 0-3M4.5 4.5a5 5 0 0 0 0 7M11.5 4.5a5 5 0 0 1 0 7",
};

/** A 16 px line icon; it is decoration, the control beside it has the name. */
export function icon(name) {
  return s("svg", { class: "icon", viewBox: "0 0 16 16", "aria-hidden": "true", focusable: "false" },
    s("path", { d: ICONS[name] ?? ICONS.more }));
}

/** A button that says what it does, with an icon or without. */
export function button(label, onclick, { icon: name, quiet = false, ...more } = {}) {
  return h("button", { type: "button", class: quiet ? "quiet" : null, onclick, ...more }, name && icon(name), label);
}

/** A button that shows only its icon. */
export function iconButton(label, name, onclick, more = {}) {
  return h("button", { type: "button", class: "quiet bare", "aria-label": label, title: label, onclick, ...more }, icon(name));
}

/** Put `children` in the place of everything inside `element`. */
export function fill(element, ...children) {
  element.replaceChildren(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}
