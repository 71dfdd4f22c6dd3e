// Prices of one code: the chart with its marks, what is stored of it, and the lines that fetch the same.

import { address, ask, hasToken, nameOf, years } from "./asking.js";
import { candleChart } from "./candles.js";
import { choice, copyable, daysBefore, direction, facts, h, large, message, moment, number, panel, percent, table, today, trouble } from "./elements.js";
import { t } from "./texts.js";

const USUAL = { adjust: "none", frequency: "D", range: "1y", as_of: "" };
const RANGES = { "6m": 183, "1y": 366, "3y": 1097, all: null };
export const FUNDS = ["china_etf", "closed_fund", "reit"];
const BY_DAY = ["daily_prices", "etf_premium"];
const FIRST_DAY = "2005-01-04";

export async function showInstrument({ code: chosen, query, signal, go }) {
  const code = chosen || (await anyCode(signal));
  if (!code) return message(t("no_data"), t("no_data_hint"));
  const shown = Object.fromEntries(Object.entries(USUAL).map(([name, usual]) => [name, query.get(name) ?? usual]));
  const change = (name, value) => go("instrument", code, { ...unusual(shown), [name]: value });
  const title = h("h1", {}, code, h("small", {}, await nameOf(code, signal)));
  const { tools, slide } = toolbar(shown, change);
  slide(known.get(code) ?? []);
  const question = questionOf(code, shown);
  let found;
  try {
    found = await ask("api/v1/ohlcv", { ...question, wait: 5 }, signal);
  } catch (error) {
    if (signal.aborted) throw error;
    return h("div", { class: "view" }, title, tools, trouble(error, () => dispatchEvent(new Event("hashchange"))));
  }
  // A fund may have a value on a day without a bar.
  const bars = found.data.filter((one) => one.close !== null);
  if (!bars.length) {
    const { start, end } = found.available_range;
    return h("div", { class: "view" }, title, tools, message(t("no_rows"), `${t("no_rows_hint")}${start} … ${end}`));
  }
  const chart = candleChart(bars, shown.frequency, code);
  const marks = h("div", {}, h("p", { class: "quiet" }, t("loading")));
  signal.addEventListener("abort", () => chart.dispose());
  drawMarks();
  drawSlider();
  return h("div", { class: "view instrument" },
    h("div", { class: "main" }, title, tools, headline(bars, found), chart.element),
    h("aside", {},
      panel(t("fetch"), copyable("curl", curlOf(question)), copyable("Python", pythonOf(code, question))),
      panel(t("marks"), marks),
      panel("", about(found), FUNDS.includes(found.asset_type)
        ? h("p", {}, h("a", { href: `#/fund/${found.code}` }, t("premium"))) : null)));

  // Without a slider a day can still be written.
  async function drawSlider() {
    if (known.has(code) || !BY_DAY.includes(found.source)) return;
    try {
      known.set(code, await knownDays(found.source, signal));
      slide(known.get(code));
    } catch (error) {
      if (!signal.aborted) console.error(error);
    }
  }

  // Afterwards: prices are there at once. A year at a time, the newest first.
  async function drawMarks() {
    const all = [];
    try {
      for (const [start, end] of years(found.date_range.start, found.date_range.end)) {
        all.push(...(await ask("api/v1/marks", { code, start, end }, signal)).marks);
        all.sort((one, other) => other.date.localeCompare(one.date));
        chart.mark(all);
        marks.replaceChildren(markList(all));
      }
    } catch (error) {
      if (!signal.aborted) marks.replaceChildren(trouble(error, drawMarks));
    }
  }
}

async function anyCode(signal) {
  const { instruments } = await ask("api/v1/instruments", { q: "", limit: 50 }, signal);
  return (instruments.find((one) => one.asset_type === "a_share" && one.stored_in) ?? instruments.find((one) => one.stored_in))?.code;
}

// What an address has to say.
function unusual(shown) {
  return Object.fromEntries(Object.entries(shown).filter(([name, value]) => value !== USUAL[name]));
}

function questionOf(code, shown) {
  const end = shown.as_of || today();
  const days = RANGES[shown.range];
  return {
    code,
    start: days ? daysBefore(end, days) : FIRST_DAY,
    end,
    adjust: shown.adjust === "none" ? "" : shown.adjust,
    frequency: shown.frequency === "D" ? "" : shown.frequency,
    as_of: shown.as_of && `${shown.as_of}T23:59:59+08:00`,
  };
}

// The days of the past year on which something of a code's table was stored, up to yesterday, by code: the slider's steps.
const known = new Map();

async function knownDays(table, signal) {
  const end = today();
  const { tables } = await ask("api/v1/coverage", { table, start: daysBefore(end, 365), end }, signal);
  const stored = tables[0].days.filter((day) => day.stored_at).map((day) => moment(day.stored_at).slice(0, 10));
  return [...new Set(stored)].filter((day) => day < end).sort();
}

// `slide` takes the days that a slider steps through, the last step of which is now.
function toolbar(shown, change) {
  const day = h("input", {
    type: "date", value: shown.as_of, max: daysBefore(today(), 1), "aria-label": t("as_of"), title: t("as_of_help"),
    onchange: (event) => change("as_of", event.target.value),
  });
  const slider = h("input", { type: "range", id: "as-of", min: 0, hidden: "", "aria-label": t("as_of"), title: t("as_of_help") });
  const slide = (days) => {
    const at = days.findLastIndex((one) => one <= shown.as_of);
    const told = () => slider.setAttribute("aria-valuetext", days[slider.value] ?? t("now"));
    let waiting;
    slider.hidden = !days.length;
    slider.max = days.length;
    slider.value = shown.as_of ? Math.max(at, 0) : days.length;
    told();
    slider.oninput = () => {
      day.value = days[slider.value] ?? "";
      told();
    };
    // Whoever steps through by key stops somewhere.
    slider.onchange = () => {
      clearTimeout(waiting);
      waiting = setTimeout(() => change("as_of", day.value), 300);
    };
  };
  const tools = h("div", { class: "tools" },
    choice(t("adjusting"), ["none", "qfq", "hfq"], shown.adjust, (one) => change("adjust", one)),
    choice(t("frequency"), ["D", "W", "M"], shown.frequency, (one) => change("frequency", one)),
    choice(t("range"), Object.keys(RANGES), shown.range, (one) => change("range", one)),
    h("div", { class: "as-of" }, h("span", {}, t("as_of")), slider, day,
      h("button", { type: "button", disabled: shown.as_of ? null : "", onclick: () => change("as_of", "") }, t("now"))));
  return { tools, slide };
}

function headline(bars, { currency, volume_unit: unit }) {
  const last = bars.at(-1);
  const before = bars.at(-2);
  const rate = before ? (last.close / before.close - 1) * 100 : null;
  return h("p", { class: "headline" },
    h("b", { class: direction(rate) }, number(last.close, last.close < 10 ? 3 : 2)),
    h("span", { class: direction(rate) }, percent(rate)),
    h("span", {}, `${last.date} · ${currency}`),
    h("span", {}, `${t("volume")} ${large(last.volume)}${unit ? ` ${t(unit)}` : ""}`),
    h("span", {}, `${t("turnover")} ${large(last.turnover)}`));
}

function about(found) {
  return facts([
    [t("source"), found.source],
    [t("stored_at"), moment(found.stored_at)],
    [t("available"), `${found.available_range.start} … ${found.available_range.end}`],
    found.unfinished ? [t("unfinished"), found.unfinished] : null,
    found.stale ? [t("stale"), h("span", { class: "warn" }, found.stale)] : null,
    found.missing_sessions?.length ? [t("missing_sessions"), h("span", { class: "warn" }, number(found.missing_sessions.length, 0))] : null,
  ]);
}

function markList(marks) {
  if (!marks.length) return h("p", { class: "quiet" }, t("no_marks"));
  return table([
    ["", (one) => one.date],
    ["", (one) => h("span", { class: `mark ${one.kind}` }, t(one.kind))],
    ["", (one) => (one.kind === "ex_date" ? `${t("factor")} ${one.detail}` : one.detail)],
  ], marks);
}

function curlOf(question) {
  const token = hasToken() ? ` -H "Authorization: Bearer $API_TOKEN"` : "";
  return `curl${token} \\\n  "${address("api/v1/ohlcv", question)}"`;
}

function pythonOf(code, question) {
  const base = address("").href.replace(/\/$/, "");
  const more = ["adjust", "frequency", "as_of"].filter((name) => question[name]).map((name) => `,\n    ${name}="${question[name]}"`);
  const token = hasToken() ? `, token="…"` : "";
  return `from marketdata_assets.client import connect\n\nmd = connect("${base}"${token})\nmd.get_price("${code}", "${question.start}", "${question.end}"${more.join("")})`;
}
