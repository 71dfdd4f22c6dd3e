// Small pieces of a page: elements, numbers and days as people read them, what is the matter.

import { keepToken } from "./asking.js";
import { isChinese, t } from "./texts.js";

const SVG = "http://www.w3.org/2000/svg";

function filled(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value !== undefined && value !== null && value !== false) node.setAttribute(name, value);
  }
  node.append(...children.flat().filter((one) => one !== null && one !== undefined && one !== false));
  return node;
}

export function h(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

export function svg(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

function locale() {
  return isChinese() ? "zh-CN" : "en-GB";
}

export function number(value, digits = 2) {
  if (value === null || value === undefined) return "–";
  return value.toLocaleString(locale(), { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

// 1.23 bn, 12.3 亿.
export function large(value, digits = 2) {
  if (value === null || value === undefined) return "–";
  const steps = isChinese() ? [[1e12, "万亿"], [1e8, "亿"], [1e4, "万"]] : [[1e12, " tn"], [1e9, " bn"], [1e6, " m"], [1e3, " k"]];
  const [size, unit] = steps.find(([least]) => Math.abs(value) >= least) ?? [1, ""];
  return `${number(value / size, size === 1 ? 0 : digits)}${unit}`;
}

export function percent(value, digits = 2) {
  if (value === null || value === undefined) return "–";
  return `${value > 0 ? "+" : ""}${number(value, digits)}%`;
}

export function bytes(value) {
  const unit = ["B", "kB", "MB", "GB", "TB"];
  let step = 0;
  while (value >= 1000 && step < unit.length - 1) {
    value /= 1000;
    step += 1;
  }
  return `${number(value, step && value < 100 ? 1 : 0)} ${unit[step]}`;
}

// A moment as Shanghai reads it.
export function moment(text) {
  if (!text) return t("never");
  const parts = new Intl.DateTimeFormat("sv-SE", {
    timeZone: "Asia/Shanghai", dateStyle: "short", timeStyle: "short",
  });
  return parts.format(new Date(text));
}

export function today() {
  return new Intl.DateTimeFormat("sv-SE", { timeZone: "Asia/Shanghai" }).format(new Date());
}

export function daysBefore(day, count) {
  const found = new Date(`${day}T00:00:00Z`);
  found.setUTCDate(found.getUTCDate() - count);
  return found.toISOString().slice(0, 10);
}

export function direction(value) {
  return value > 0 ? "up" : value < 0 ? "down" : "";
}

// columns: [heading, row => content, is it a number]
export function table(columns, rows) {
  return h("div", { class: "scrolls", tabindex: "0" },
    h("table", {},
      h("thead", {}, h("tr", {}, columns.map(([name, , numeric]) =>
        h("th", { class: numeric ? "number" : null, scope: "col" }, name)))),
      h("tbody", {}, rows.map((row) => h("tr", {}, columns.map(([, content, numeric]) =>
        h("td", { class: numeric ? "number" : null }, content(row))))))));
}

export function facts(pairs) {
  return h("dl", { class: "facts" }, pairs.filter(Boolean).map(([name, value]) =>
    h("div", {}, h("dt", {}, name), h("dd", {}, value))));
}

export function panel(title, ...content) {
  return h("section", { class: "panel" }, title && h("h2", {}, title), ...content);
}

export function loading() {
  return h("p", { class: "quiet", role: "status" }, t("loading"));
}

export function message(title, hint, ...more) {
  return h("div", { class: "message", role: "alert" }, h("h2", {}, title), hint && h("p", {}, hint), ...more);
}

// What is the matter, and what to do about it; `again` does it once more.
export function trouble(error, again) {
  const retry = h("button", { type: "button", onclick: again }, t("again"));
  if (error.kind === "unreachable") return message(t("unreachable"), t("unreachable_hint"), error.message, retry);
  if (error.kind === "requested") return message(t("requested"), t("requested_hint"), retry);
  if (error.kind === "token") return message(t("token_needed"), t("token_hint"), tokenForm(again));
  return message(t("refused"), error.message, retry);
}

// Fills a place with what `make` brings, or with what is the matter; of two at once the last one counts.
export async function fill(place, signal, make) {
  const mine = loading();
  place.replaceChildren(mine);
  const put = (content) => {
    if (!signal.aborted && place.contains(mine)) place.replaceChildren(content);
  };
  try {
    put(await make());
  } catch (error) {
    put(trouble(error, () => fill(place, signal, make)));
  }
}

function tokenForm(again) {
  const field = h("input", { type: "password", name: "token", autocomplete: "off", "aria-label": t("token") });
  const use = (event) => {
    event.preventDefault();
    keepToken(field.value);
    again();
  };
  return h("form", { onsubmit: use }, field, h("button", { type: "submit" }, t("enter")));
}

// A row of buttons of which one is pressed.
export function choice(label, names, current, choose) {
  return h("div", { class: "choice", role: "group", "aria-label": label }, names.map((name) =>
    h("button", {
      type: "button", "aria-pressed": String(name === current), "data-choice": name, onclick: () => choose(name),
    }, t(name))));
}

// A piece of code under its name, and a button that copies it.
export function copyable(name, text) {
  const button = h("button", {
    type: "button",
    class: "copy",
    onclick: async () => {
      await copy(text);
      button.textContent = t("copied");
    },
  }, t("copy"));
  return h("div", { class: "code" }, h("p", {}, name, button), h("pre", { tabindex: "0" }, text));
}

async function copy(text) {
  // Only pages of this machine, or over TLS, have a clipboard.
  if (navigator.clipboard) {
    await navigator.clipboard.writeText(text);
    return;
  }
  const field = h("textarea", {}, text);
  document.body.append(field);
  field.select();
  document.execCommand("copy");
  field.remove();
}
