// Where the viewer gets a trace from when it stands in the web app.

import { get, part, post, text } from "./api.js";

export function traceSource(id, { readOnly = false } = {}) {
  const head = async (one) => {
    const { trace, ...more } = await get(`/traces/${part(one)}`);
    return { ...trace, ...more };
  };
  const path = `/traces/${part(id)}`;
  return {
    head: () => head(id),
    tree: () => get(`${path}/tree`),
    span: (span) => get(`${path}/spans/${part(span)}`),
    compare: (other) => get("/traces/compare", { a: other, b: id }),
    alike: async (trace) => {
      const quoted = (text) => JSON.stringify(text);
      const q = trace.case_id ? `case == ${quoted(trace.case_id)} and prompt == ${quoted(trace.prompt.name)}` : "";
      const { items } = await get("/traces", { q, prompt: q ? "" : trace.prompt?.name, limit: 13 });
      return items.map((item) => item.row).filter((row) => row.trace_id !== trace.trace_id).slice(0, 12);
    },
    raw: () => text(path),
    find: async (q) => (await get(`${path}/find`, { q })).ids,
    template: async function template() {
      const { prompt } = await this.head();
      if (!prompt?.version) return null;
      try {
        return (await get(`/prompts/${part(prompt.name)}/versions/${part(prompt.version)}`)).template;
      } catch (error) {
        if (error.status === 404 || error.status === 409) return null;
        throw error;
      }
    },
    save: readOnly ? undefined : async (feedback) => {
      const name = localStorage.getItem("p2re.annotator") ?? "me";
      await post("/evaluations/feedback", { trace_id: id, annotator: name, name: feedback.name, passed: feedback.passed, note: feedback.note || null });
      return (await head(id)).evaluations;
    },
    link: addressLink,
  };
}

/** The page that shows an address. */
export function addressLink(address) {
  const at = address.indexOf(":"), kind = address.slice(0, at), rest = address.slice(at + 1);
  if (kind === "prompt") {
    const [name, version] = rest.split("@");
    return `/prompts/${part(name)}${version ? `?version=${part(version)}` : ""}`;
  }
  return { trace: "/traces/", experiment: "/experiments/", session: "/sessions/" }[kind] ? `/${kind}s/${part(rest)}` : `/open/${part(address)}`;
}
