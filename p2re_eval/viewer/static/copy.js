// A trace as something to paste: Markdown, curl, Python, a case of a suite.

/** For an issue or a chat. */
export function asMarkdown(trace) {
  const lines = [`## ${trace.name}`, "", `\`${modelId(trace)}\` · ${trace.status} · trace \`${trace.trace_id}\``];
  for (const one of trace.prompt?.messages ?? []) lines.push("", `**${one.role}**`, "", quoted(textOf(one)), ...calls(one.tool_calls));
  if (trace.completion) lines.push("", "**answer**", "", quoted(trace.completion.text || trace.completion.refusal || ""), ...calls(trace.completion.tool_calls));
  if (trace.fault) lines.push("", `**error** (${trace.fault.kind})`, "", quoted(trace.fault.message));
  for (const one of trace.evaluations ?? [])
    lines.push("", `- ${one.name}: ${one.score ? one.score.label ?? one.score.value ?? one.score.passed : "error"}${one.score?.explanation ? `, ${one.score.explanation.replaceAll("\n", " ")}` : ""}`);
  return lines.join("\n") + "\n";
}

function quoted(text) {
  const longest = Math.max(2, ...[...text.matchAll(/`+/g)].map((run) => run[0].length));
  const fence = "`".repeat(longest + 1);
  return `${fence}\n${text}\n${fence}`;
}

function calls(found) {
  return (found ?? []).map((call) => `\n- calls \`${call.name}(${call.arguments})\``);
}

/** For a shell: the same request to any server that speaks the chat completions form. */
export function asCurl(trace) {
  const base = trace.prompt?.model?.base_url ?? "https://api.openai.com/v1";
  return [
    `curl ${shell(`${base.replace(/\/$/, "")}/chat/completions`)} \\`,
    `  -H "Authorization: Bearer $OPENAI_API_KEY" \\`,
    `  -H 'Content-Type: application/json' \\`,
    `  -d ${shell(JSON.stringify(request(trace), null, 2))}`,
  ].join("\n") + "\n";
}

/** For a Python file: the same request by the SDK whose form most servers speak. */
export function asPython(trace) {
  const base = trace.prompt?.model?.base_url;
  return [
    "from openai import OpenAI", "",
    `client = OpenAI(${base ? `base_url=${python(base)}` : ""})`,
    "answer = client.chat.completions.create(",
    ...Object.entries(request(trace)).map(([name, value]) => `    ${name}=${python(value)},`),
    ")", "print(answer.choices[0].message.content)",
  ].join("\n") + "\n";
}

/** For the `cases:` of a suite: these inputs, and the answer as what is expected. */
export function asCase(trace) {
  const lines = [`- id: ${yaml(trace.case_id ?? `trace-${trace.trace_id.slice(0, 12)}`)}`];
  lines.push(`  inputs: ${JSON.stringify(trace.prompt?.variables ?? {})}`);
  if (trace.completion?.text) lines.push(`  expected: ${JSON.stringify(trace.completion.text)}`);
  lines.push(`  metadata: {trace: ${yaml(trace.trace_id)}}`);
  return lines.join("\n") + "\n";
}

function request(trace) {
  const { model = {}, messages = [], tools = [], output_schema: schema } = trace.prompt ?? {};
  const body = { model: model.name, messages: messages.map(sent) };
  for (const name of ["temperature", "top_p", "max_tokens", "seed", "stop"]) if (model[name] !== null && model[name] !== undefined) body[name] = model[name];
  if (tools.length) body.tools = tools.map((tool) => ({ type: "function", function: { name: tool.name, description: tool.description ?? "", parameters: tool.parameters } }));
  if (schema) body.response_format = { type: "json_schema", json_schema: { name: "answer", schema } };
  return body;
}

function sent(one) {
  const message = { role: one.role, content: typeof one.content === "string" ? one.content
    : one.content.map((part) => (part.type === "image" ? { type: "image_url", image_url: { url: part.url } } : { type: "text", text: part.text })) };
  if (one.tool_calls?.length) message.tool_calls = one.tool_calls.map((call) => ({ id: call.id, type: "function", function: { name: call.name, arguments: call.arguments } }));
  if (one.tool_call_id) message.tool_call_id = one.tool_call_id;
  return message;
}

export function textOf(message) {
  return typeof message.content === "string" ? message.content : message.content.map((part) => part.text ?? "[image]").join("\n");
}

export function modelId(trace) {
  const model = trace.prompt?.model ?? {};
  return [model.provider, model.name].filter(Boolean).join("/");
}

function shell(text) {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

/** JSON as Python writes it. */
function python(value) {
  if (value === null) return "None";
  if (value === true) return "True";
  if (value === false) return "False";
  if (Array.isArray(value)) return `[${value.map(python).join(", ")}]`;
  if (typeof value === "object") return `{${Object.entries(value).map(([k, v]) => `${JSON.stringify(k)}: ${python(v)}`).join(", ")}}`;
  return JSON.stringify(value);
}

function yaml(text) {
  return /^[A-Za-z][\w-]*$/.test(text) && !/^(true|false|null|yes|no|on|off)$/i.test(text) ? text : JSON.stringify(text);
}
