// Any address, opened: what it is, what belongs to it.

import { get } from "../api.js";
import { go } from "../app.js";
import { jsonBlock } from "../viewer/text.js";
import { button, fill, h } from "../viewer/dom.js";
import { addressLink } from "../source.js";
import { pageHead, problem } from "../ui.js";

export async function show(main, { steps }) {
  const wanted = steps.join("/");
  const box = h("input", { value: wanted, "aria-label": "Address", placeholder: "trace:018f2c, prompt:route@production, experiment:latest", size: "44" });
  const open = () => { if (box.value.trim()) go(`/open/${encodeURIComponent(box.value.trim())}`); };
  box.addEventListener("keydown", (event) => { if (event.key === "Enter") open(); });
  const page = h("div", { class: "page" });
  fill(main, pageHead("Open an address"), h("div", { class: "bar" }, box, button("Open", open)), page);
  if (!wanted) { box.focus(); fill(page, h("p", { class: "soft" }, "Everything recorded has one address: trace:ID, prompt:NAME@VERSION, evaluation:ID, experiment:ID, session:ID. The beginning of an id is enough.")); return; }
  try {
    const found = await get(`/artifacts/${encodeURIComponent(wanted)}`);
    const itsPage = found.kind === "evaluation" ? null : addressLink(found.address);
    fill(page, h("div", { class: "flow" }, h("b", { class: "mono" }, found.address), itsPage ? h("a", { class: "button", href: itsPage }, "Open its page") : null),
      found.links.length ? h("section", {}, h("h2", {}, "Belongs to it"), h("ul", { class: "flow" }, ...found.links.map((one) => h("li", {}, h("a", { class: "mono", href: `/open/${encodeURIComponent(one)}` }, one))))) : null,
      h("section", {}, h("h2", {}, "Content"), h("div", { class: "box" }, jsonBlock(JSON.stringify(found.artifact)))));
  } catch (error) {
    fill(page, problem(error));
  }
}
