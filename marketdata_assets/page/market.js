// Market: how many shares rose, fell and closed at a limit, what was turned over, and a day's movers.

import { ask } from "./asking.js";
import { barChart } from "./charts.js";
import { daysBefore, fill, h, large, message, number, panel, percent, direction, table, today } from "./elements.js";
import { isChinese, t } from "./texts.js";

export async function showMarket({ signal }) {
  const end = today();
  let { days, unreadable } = await ask("api/v1/market", { start: daysBefore(end, 180), end }, signal);
  if (!days.length) return message(t("no_data"), t("no_data_hint"));
  days = days.slice(-90);
  const last = days.at(-1);
  const movers = h("div");
  const choose = (index) => fill(movers, signal, async () => {
    const day = days[index].date;
    return moversOf(day, (await ask("api/v1/market", { date: day }, signal)).movers);
  });
  await choose(days.length - 1);
  const dates = days.map((one) => one.date);
  const unit = isChinese() ? 1e8 : 1e9;
  const values = (name, sign = 1) => days.map((one) => sign * one[name]);
  const pair = (label, up, down) => panel(label, barChart({
    label, days: dates, choose,
    series: [{ values: values(up), class: "up" }, { values: values(down, -1), class: "down" }],
    format: (value) => number(Math.abs(value), 0),
    told: (index) => told(days[index], [up, down]),
  }));
  return h("div", { class: "view market" },
    h("h1", {}, t("market"), h("small", {}, last.date)),
    h("div", { class: "tiles" },
      tile(t("up"), number(last.up, 0), "up"), tile(t("down"), number(last.down, 0), "down"),
      tile(t("flat"), number(last.flat, 0)), tile(t("limit_up"), number(last.limit_up, 0), "up"),
      tile(t("limit_down"), number(last.limit_down, 0), "down"), tile(t("turnover_in_yuan"), large(last.turnover))),
    unreadable.length ? h("p", { class: "warn" }, `${t("unreadable")}${unreadable.join(", ")}`) : null,
    pair(t("breadth"), "up", "down"),
    pair(t("limits"), "limit_up", "limit_down"),
    panel(t("turnover_by_day"), barChart({
      label: t("turnover_by_day"), days: dates, choose,
      series: [{ values: days.map((one) => one.turnover / unit), class: "neutral" }],
      format: (value) => number(value, 0),
      told: (index) => `${days[index].date} · ${t("turnover_in_yuan")} ${large(days[index].turnover)}`,
    })),
    movers);
}

function told(day, names) {
  return h("span", {}, `${day.date} · `, names.map((name) =>
    h("span", {}, `${t(name)} ${number(day[name], 0)} · `)), `${t("number_of_shares")} ${number(day.shares, 0)}`);
}

function tile(name, value, tone = "") {
  return h("div", { class: "tile" }, h("span", {}, name), h("b", { class: tone }, value));
}

function moversOf(day, movers) {
  const columns = [
    [t("code"), (row) => h("a", { href: `#/instrument/${row.code}` }, row.code)],
    [t("name"), (row) => row.name ?? ""],
    [t("close"), (row) => number(row.close), true],
    [t("change"), (row) => h("span", { class: direction(row.quote_rate) }, percent(row.quote_rate)), true],
    [t("turnover_in_yuan"), (row) => large(row.turnover), true],
  ];
  const list = (name, rows) => panel(t(name), table(columns, rows));
  return h("div", {}, h("h2", { class: "apart" }, `${t("movers")}${isChinese() ? "" : " "}${day}`),
    h("div", { class: "columns" }, list("gainers", movers.up), list("losers", movers.down),
      list("most_traded", movers.turnover)));
}
