// The frame around the views: which one is shown, the search, the switches, the keys.

import { ask } from "./asking.js";
import { h, loading, trouble } from "./elements.js";
import { applySettings, change } from "./settings.js";
import { t } from "./texts.js";
import { showCoverage } from "./coverage.js";
import { showFund } from "./fund.js";
import { FUNDS, showInstrument } from "./instrument.js";
import { showMarket } from "./market.js";
import { showStatus } from "./status.js";

const VIEWS = {
  instrument: showInstrument,
  fund: showFund,
  market: showMarket,
  coverage: showCoverage,
  status: showStatus,
};

const view = document.getElementById("view");
let shown = new AbortController();

// #/instrument/600000.SH?adjust=qfq
function place() {
  const [path, query] = location.hash.replace(/^#\/?/, "").split("?");
  const [name, code] = path.split("/");
  return {
    name: Object.hasOwn(VIEWS, name) ? name : "instrument",
    // What somebody wrote there by hand may be no code for anything.
    code: new URLSearchParams(`code=${code ?? ""}`).get("code"),
    query: new URLSearchParams(query),
  };
}

async function show() {
  shown.abort();
  shown = new AbortController();
  const { signal } = shown;
  const { name, code, query } = place();
  drawHeader(name);
  // It asks, too: without the token there is none yet.
  if (!document.getElementById("foot").hasChildNodes()) drawFooter();
  document.title = `${code || t(name)} · marketdata`;
  const held = view.contains(document.activeElement) && document.activeElement.id;
  view.replaceChildren(loading());
  try {
    const content = await VIEWS[name]({ code, query, signal, go });
    if (signal.aborted) return;
    view.replaceChildren(content);
    // Whoever steps through something by key goes on where he was.
    if (held) document.getElementById(held)?.focus();
  } catch (error) {
    if (signal.aborted) return;
    if (error.kind === undefined) console.error(error);
    view.replaceChildren(trouble(error, show));
  }
}

// To a view, with what it is asked; the same place is shown anew.
function go(name, code = "", query = {}) {
  const kept = Object.entries(query).filter(([, value]) => value);
  const asked = new URLSearchParams(kept).toString();
  const before = location.hash;
  location.hash = `#/${name}${code && `/${encodeURIComponent(code)}`}${asked && `?${asked}`}`;
  if (location.hash === before) show();
}

function drawHeader(current) {
  const link = (name) => h("a", { href: `#/${name}`, "aria-current": name === current ? "page" : null }, t(name));
  const button = (name, sign) => h("button", {
    type: "button", title: t(name), "aria-label": t(name), "data-setting": name,
    onclick: () => {
      change(name);
      applySettings();
      drawFooter();
      show();
    },
  }, sign);
  document.getElementById("top").replaceChildren(
    h("a", { class: "brand", href: "#/" }, "marketdata"),
    h("nav", {}, Object.keys(VIEWS).map(link), h("a", { href: "docs" }, t("docs"))),
    searchBox(),
    h("div", { class: "switches" },
      button("colours", h("span", { class: "arrows" }, h("i", { class: "up" }, "▲"), h("i", { class: "down" }, "▼"))),
      button("theme", "◐"), button("language", t("language"))));
}

async function drawFooter() {
  try {
    const about = await ask("");
    const isSimulated = about.origin.startsWith("sandbox");
    document.getElementById("foot").replaceChildren(
      h("span", { class: isSimulated ? "simulated" : "" }, isSimulated ? t("simulated") : about.origin),
      h("span", {}, `marketdata-assets ${about.version}`), h("span", { class: "keys" }, t("keys")));
  } catch {
    document.getElementById("foot").replaceChildren();
  }
}

function searchBox() {
  const list = h("ul", { id: "found", role: "listbox", hidden: "" });
  const field = h("input", {
    type: "search", id: "search", placeholder: t("search"), "aria-label": t("search"), autocomplete: "off",
    spellcheck: "false", role: "combobox", "aria-expanded": "false", "aria-controls": "found",
  });
  let asked = 0;
  let listed = 0;
  let index = 0;
  const close = () => {
    list.hidden = true;
    field.setAttribute("aria-expanded", "false");
  };
  const mark = (next) => {
    index = Math.min(list.children.length - 1, Math.max(0, next));
    [...list.children].forEach((one, number) => one.setAttribute("aria-selected", String(number === index)));
  };
  const open = (instruments) => {
    list.replaceChildren(...instruments.map((one) => h("li", {
      role: "option", "data-code": one.code, "data-kind": one.asset_type,
      onpointerdown: (event) => {
        event.preventDefault();
        choose(event.currentTarget);
      },
    }, h("b", {}, one.code), " ", one.name ?? "")));
    if (!instruments.length) list.append(h("li", { class: "quiet" }, t("nothing_found")));
    list.hidden = false;
    field.setAttribute("aria-expanded", "true");
    mark(0);
  };
  const choose = (item) => {
    const code = item?.dataset.code ?? field.value.trim();
    if (!code) return;
    close();
    field.value = "";
    field.blur();
    const isFund = place().name === "fund" && FUNDS.includes(item?.dataset.kind);
    go(isFund ? "fund" : "instrument", code);
  };
  field.addEventListener("input", async () => {
    const number = (asked += 1);
    if (!field.value.trim()) return close();
    try {
      const found = await ask("api/v1/instruments", { q: field.value.trim(), limit: 12 });
      // Answers may overtake each other.
      if (number !== asked || document.activeElement !== field) return;
      open(found.instruments);
      listed = number;
    } catch {
      close();
    }
  });
  field.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown") mark(index + 1);
    else if (event.key === "ArrowUp") mark(index - 1);
    // What is listed may be of less than is written by now.
    else if (event.key === "Enter") choose(list.hidden || listed < asked ? null : list.children[index]);
    else if (event.key === "Escape") {
      close();
      field.blur();
    } else return;
    event.preventDefault();
  });
  field.addEventListener("blur", close);
  return h("div", { class: "search" }, field, list);
}

document.addEventListener("keydown", (event) => {
  const isTyping = /^(INPUT|TEXTAREA|SELECT)$/.test(document.activeElement.tagName);
  if (event.key === "/" && !isTyping && !event.ctrlKey && !event.metaKey) {
    event.preventDefault();
    document.getElementById("search").focus();
  }
});

addEventListener("hashchange", show);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  applySettings();
  show();
});
let width = innerWidth;
let turning;
addEventListener("resize", () => {
  // Charts are drawn for a width; a keyboard that comes up on a phone changes the height alone.
  clearTimeout(turning);
  turning = setTimeout(() => {
    if (innerWidth !== width) show();
    width = innerWidth;
  }, 250);
});
applySettings();
show();
