// One trace: the viewer, with the ways on and back.

import { get, part, put, remove } from "../api.js";
import { go, lastList, setQuery } from "../app.js";
import { h, iconButton } from "../viewer/dom.js";
import "../viewer/trace.js";
import { traceSource } from "../source.js";
import { toast } from "../ui.js";

export async function show(main, { steps: [id], query, app }) {
  main.className = "whole";
  const readOnly = app.health?.read_only ?? (await get("/health")).read_only;
  const viewer = document.createElement("p2re-trace");
  const source = traceSource(id, { readOnly });
  main.replaceChildren(viewer);
  await viewer.open(source, { tab: query.tab, span: query.span ?? null, other: query.with ?? "" });
  const { trace } = viewer, at = lastList.ids.indexOf(trace.trace_id);
  document.title = `${trace.name} · p2re`;
  const near = (by) => lastList.ids[at + by] && at >= 0 ? () => go(`/traces/${part(lastList.ids[at + by])}`) : null;
  const tools = h("div", { slot: "tools", class: "flow" },
    iconButton("Back to the list", "left", () => go(lastList.href)),
    at >= 0 ? iconButton("Trace before in the list ([)", "up", near(-1) ?? undefined, { disabled: !near(-1) }) : null,
    at >= 0 ? iconButton("Trace after in the list (])", "down", near(1) ?? undefined, { disabled: !near(1) }) : null,
    iconButton("Save as an HTML file", "save", () => { location.href = `/api/p2re/traces/${part(trace.trace_id)}/export`; }), readOnly ? null : pin(id, trace), readOnly ? null : iconButton("Delete this trace", "trash", () => ask(id)));
  viewer.append(tools);
  main.prepend(h("h1", { class: "hush" }, trace.name));
  const kept = { tab: query.tab === "chat" ? "" : query.tab ?? "", span: query.span ?? "", with: query.with ?? "" };
  viewer.addEventListener("p2re-tab", (event) => setQuery(Object.assign(kept, { tab: event.detail === "chat" ? "" : event.detail, with: "" })));
  viewer.addEventListener("p2re-span", (event) => setQuery(Object.assign(kept, { span: event.detail ?? "" })));
  viewer.addEventListener("p2re-other", (event) => setQuery(Object.assign(kept, { tab: "compare", with: event.detail })));
  app.keys.set("[", () => near(-1)?.());
  app.keys.set("]", () => near(1)?.());
  app.keys.set("f", () => viewer.focusFind());
  app.keys.set("/", () => viewer.focusFind());
  app.keys.set("c", () => { viewer.otherId = lastList.ids[at + 1] ?? ""; viewer.show("compare"); });
  if (viewer.tree) for (const key of ["j", "k", "ArrowDown", "ArrowUp"]) app.keys.set(key, (event) => viewer.tree._key(event));
  return null;
}

function pin(id, trace) {
  const button = iconButton("Keep from retention", "pin", async () => {
    const pinned = button.getAttribute("aria-pressed") !== "true";
    await put(`/traces/${part(id)}/pin`, { pinned });
    button.setAttribute("aria-pressed", String(pinned));
    toast(pinned ? "Pinned: retention leaves it alone" : "No longer pinned");
  }, { "aria-pressed": String(trace.pinned_ns !== null) });
  return button;
}

/** Nothing is deleted by a slip. */
function ask(id) {
  const dialog = h("dialog", { "aria-label": "Delete this trace" }, h("h2", {}, "Delete this trace?"),
    h("p", {}, "Its spans, texts and evaluations leave the database."), h("form", { method: "dialog", class: "flow" },
      h("button", { type: "button", class: "main", onclick: async () => { await remove(`/traces/${part(id)}`); dialog.close(); toast("Deleted"); go(lastList.href); } }, "Delete"),
      h("button", { type: "submit" }, "Keep")));
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}
