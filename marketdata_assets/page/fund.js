// Fund: price beside NAV, the premium and how unusual it is, and the day's largest premiums.

import { ask, nameOf } from "./asking.js";
import { barList, lineChart } from "./charts.js";
import { choice, daysBefore, direction, facts, h, message, number, panel, percent, today } from "./elements.js";
import { isChinese, t } from "./texts.js";

const RANGES = { "6m": 183, "1y": 366, "3y": 1097 };
const SHOWN = 12;

export async function showFund({ code: chosen, query, signal, go }) {
  const market = await ask("api/v1/coverage", { table: "etf_premium", start: daysBefore(today(), 60), end: today() }, signal);
  const stored = market.tables[0].days.filter((one) => one.rows);
  if (!stored.length) return message(t("no_funds"), t("no_funds_hint"));
  const { rows, day } = await newestPremiums(stored.map((one) => one.date), signal);
  const code = chosen || rows[0]?.ts_code;
  const range = query.get("range") ?? "1y";
  const own = code ? await fundOf(code, range, signal, (next) => go("fund", code, { range: next })) : null;
  return h("div", { class: "view fund" }, own, largest(rows, day));
}

// Values come a day after prices, or two: the newest day that has some premiums.
async function newestPremiums(days, signal) {
  for (const day of days.reverse()) {
    const fields = "name,close,unit_nav,premium";
    const { data } = await ask("api/v1/tables/etf_premium/rows", { date: day, fields }, signal);
    const rows = data.filter((one) => one.premium !== null);
    if (rows.length) return { day, rows: rows.sort((one, other) => other.premium - one.premium) };
  }
  return { day: days[0], rows: [] };
}

function largest(rows, day) {
  const title = `${t("premiums_of")}${isChinese() ? "" : " "}${day}`;
  const list = (name, funds) => (funds.length ? panel(name, barList(name, funds.map((one) => ({
    name: `${one.ts_code} ${one.name ?? ""}`, value: one.premium, text: percent(one.premium * 100),
    href: `#/fund/${one.ts_code}`, tone: direction(one.premium),
  })))) : null);
  const [above, below] = [rows.filter((one) => one.premium > 0), rows.filter((one) => one.premium < 0)];
  return h("div", {}, h("h2", { class: "apart" }, title), h("div", { class: "columns" },
    list(t("premiums"), above.slice(0, SHOWN)), list(t("discounts"), below.slice(-SHOWN).reverse())));
}

async function fundOf(code, range, signal, choose) {
  const end = today();
  const start = daysBefore(end, RANGES[range] ?? RANGES["1y"]);
  const found = await ask("api/v1/etf/nav", { code, start, end }, signal);
  const days = found.price.data.map((one) => one.date);
  const title = h("h1", {}, found.code, h("small", {}, await nameOf(found.code, signal)));
  const ranges = choice(t("range"), Object.keys(RANGES), range, choose);
  if (!days.length) {
    const { start: first, end: last } = found.available_range;
    return h("div", {}, title, ranges, message(t("no_rows"), `${t("no_rows_hint")}${first} … ${last}`));
  }
  const by = (list, name) => {
    const known = new Map(list.map((one) => [one.date, one[name]]));
    return days.map((day) => known.get(day) ?? null);
  };
  const [close, nav, premium] = [by(found.price.data, "close"), by(found.nav.data, "nav"), by(found.premium_series, "premium")];
  const waiting = new Map(found.without_premium.map((one) => [one.date, one.reason]));
  const unpublished = days.flatMap((day, index) => (/not published/.test(waiting.get(day) ?? "") ? [index] : []));
  const { mean, std } = found.premium_stats;
  return h("div", {}, title, ranges,
    facts([
      [t("premium_latest"), `${percent(toPercent(found.latest_premium))}${found.premium_date ? ` · ${found.premium_date}` : ""}`],
      [t("mean"), percent(toPercent(mean))],
      [t("band"), std === null ? "–" : `${percent(toPercent(mean - 2 * std))} … ${percent(toPercent(mean + 2 * std))}`],
      [t("available"), `${found.available_range.start} … ${found.available_range.end}`],
      found.missing_sessions?.length ? [t("missing_sessions"), number(found.missing_sessions.length, 0)] : null,
    ]),
    panel("", h("p", { class: "legend" }, h("span", {}, h("i", { class: "stroke price" }), t("price")), h("span", {}, h("i", { class: "stroke nav" }), t("nav")), h("span", {}, h("i", { class: "cell shaded" }), t("not_published"))),
      lineChart({
        label: `${t("price")}, ${t("nav")}`, days, shaded: unpublished,
        lines: [{ values: nav, class: "nav" }, { values: close, class: "price" }],
        format: (value) => number(value, 3),
        told: (index) => `${days[index]} · ${t("price")} ${number(close[index], 3)} · ${nav[index] === null ? reasonOf(waiting.get(days[index])) : `${t("nav")} ${number(nav[index], 4)}`}`,
      })),
    premium.some((one) => one !== null) ? panel("", h("p", { class: "legend" }, h("span", {}, h("i", { class: "stroke premium" }), t("premium")), h("span", {}, h("i", { class: "cell band" }), t("band"))),
      lineChart({
        label: t("premium"), days, shaded: unpublished, height: 180,
        lines: [{ values: premium.map(toPercent), class: "premium" }],
        bands: std === null ? [] : [{ low: toPercent(mean - 2 * std), high: toPercent(mean + 2 * std), class: "band" }],
        levels: [{ value: toPercent(mean), class: "level" }, { value: 0, class: "zero" }],
        format: (value) => `${number(value, 1)}%`,
        told: (index) => `${days[index]} · ${premium[index] === null ? reasonOf(waiting.get(days[index])) : `${t("premium")} ${percent(toPercent(premium[index]))}`}`,
      })) : null);
}

function toPercent(ratio) {
  return ratio === null ? null : ratio * 100;
}

function reasonOf(reason) {
  return /not published/.test(reason ?? "") ? t("not_published") : reason ?? "–";
}
