// A conversation as it was had: each turn shows what no turn before has shown.

import { get, part } from "../api.js";
import { duration, money, moment, plural, tokens } from "../viewer/format.js";
import { message } from "../viewer/chat.js";
import { fill, h } from "../viewer/dom.js";
import { empty, more, pageHead } from "../ui.js";

export async function show(main, { steps: [id] }) {
  const { session, totals } = await get(`/sessions/${part(id)}`);
  const turns = h("ol", { class: "chat" }), end = h("div", {});
  let cursor = null;
  const load = async () => {
    const page = await get(`/sessions/${part(session.session_id)}/turns`, { limit: 50, cursor });
    turns.append(...page.items.map(turn));
    cursor = page.next_cursor;
    fill(end, cursor && more(load));
    return cursor;
  };
  const facts = [session.user, plural(totals.traces, "turn"), tokens(totals.input_tokens, totals.output_tokens) && `${tokens(totals.input_tokens, totals.output_tokens)} tokens`, money(totals.cost_usd), totals.errors && plural(totals.errors, "error")];
  fill(main, pageHead(session.name || session.session_id, { crumbs: [["Sessions", "/sessions"]], end: [h("span", { class: "soft" }, facts.filter(Boolean).join(" · ")), h("a", { class: "button", href: `/traces?${new URLSearchParams({ session: session.session_id })}` }, "Its traces")] }),
    h("div", { class: "page" }, totals.traces ? h("div", {}, turns, end) : empty("This conversation has no turns.")));
  await load();
}

function turn(one) {
  return h("li", { class: "turn" },
    h("div", { class: "turn-head" }, h("a", { href: `/traces/${one.trace_id}` }, `Turn ${one.number}`), ...[one.name, one.model, moment(one.start_ns), duration(one.duration_ns), tokens(one.usage.input_tokens, one.usage.output_tokens), money(one.cost_usd)].filter(Boolean).map((fact) => h("span", {}, fact))),
    h("ol", {}, ...one.messages.map((said) => message(said)), one.answer ? answered(one.answer) : null,
      one.fault ? h("li", { class: "message fault" }, h("div", { class: "role" }, h("b", {}, "error"), " ", one.fault.kind), h("div", { class: "said text" }, one.fault.message)) : null));
}

function answered(answer) {
  const item = message(answer, { title: "answer" });
  item.classList.add("answer");
  return item;
}
