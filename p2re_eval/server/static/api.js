// The API as the pages use it: problems become errors that can be read.

const BASE = "/api/p2re";

export class ApiError extends Error {
  constructor(status, problem) {
    super(problem?.detail ?? `the server answered ${status}`);
    this.status = status;
  }
}

export function address(path, query = {}) {
  const found = new URLSearchParams();
  for (const [name, value] of Object.entries(query))
    for (const one of Array.isArray(value) ? value : [value]) if (one !== null && one !== undefined && one !== "") found.append(name, one);
  const text = found.toString();
  return BASE + path + (text ? `?${text}` : "");
}

async function ask(method, path, { query, body, signal } = {}) {
  let response;
  try {
    response = await fetch(address(path, query), {
      method, signal, headers: body === undefined ? {} : { "Content-Type": "application/json" },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("the server does not answer; is `p2re serve` still running?");
  }
  if (!response.ok) throw new ApiError(response.status, await response.json().catch(() => null));
  return response;
}

export const get = async (path, query, signal) => (await ask("GET", path, { query, signal })).json();
export const text = async (path, query) => (await ask("GET", path, { query })).text();
export const post = async (path, body) => (await ask("POST", path, { body })).json();
export const put = async (path, body) => (await ask("PUT", path, { body })).json();
export const remove = async (path) => ask("DELETE", path);
export const part = (value) => encodeURIComponent(value);
