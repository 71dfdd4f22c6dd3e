// Questions to the API: JSON, the token where there is one, and what went wrong as one kind of error.

const TOKEN = "api-token";

// kind: unreachable, token, refused, requested.
export class Trouble extends Error {
  constructor(kind, text, status = 0) {
    super(text);
    this.kind = kind;
    this.status = status;
  }
}

export function address(path, parameters = {}) {
  const url = new URL(path, document.baseURI);
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== undefined && value !== null && value !== "") url.searchParams.set(name, value);
  }
  return url;
}

export function keepToken(token) {
  sessionStorage.setItem(TOKEN, token.trim());
}

export function hasToken() {
  return Boolean(sessionStorage.getItem(TOKEN));
}

export async function ask(path, parameters, signal) {
  const headers = { Accept: "application/json" };
  if (hasToken()) headers.Authorization = `Bearer ${sessionStorage.getItem(TOKEN)}`;
  let answer;
  try {
    answer = await fetch(address(path, parameters), { headers, signal });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Trouble("unreachable", "");
  }
  let body;
  try {
    body = await answer.json();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Trouble("unreachable", `${answer.status} ${answer.statusText}`, answer.status);
  }
  if (answer.status === 401) throw new Trouble("token", body.error, 401);
  if (answer.status === 202) throw new Trouble("requested", body.message, 202);
  if (!answer.ok) {
    throw new Trouble("refused", [body.error, body.message].filter(Boolean).join(". "), answer.status);
  }
  return body;
}

// The name of a code, empty where none is known.
export async function nameOf(code, signal) {
  const { instruments: [found] } = await ask("api/v1/instruments", { q: code, limit: 1 }, signal);
  return found?.code.toUpperCase() === code.toUpperCase() ? found.name ?? "" : "";
}

// The days from start to end in pieces of a year at most, the newest first, as the API takes them.
export function years(start, end) {
  const parts = [];
  for (let year = Number(end.slice(0, 4)); year >= Number(start.slice(0, 4)); year -= 1) {
    const first = `${year}-01-01`;
    const last = `${year}-12-31`;
    parts.push([first > start ? first : start, last < end ? last : end]);
  }
  return parts;
}
