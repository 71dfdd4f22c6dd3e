// Coverage: a table's sessions by year, coloured by the ledger, and what is known of one day.

import { ask, years } from "./asking.js";
import { daysBefore, facts, fill, h, message, number, panel, svg, table, today, trouble } from "./elements.js";
import { isChinese, t } from "./texts.js";

const STATES = ["stored", "flagged", "held", "unexplained", "damaged", "refused", "missing"];
// Of how many sessions a table's button has the worst state, and days that have as many in any season.
const SUMMED_UP = 20;
const DAYS_SUMMED_UP = 60;
const MOST_SESSIONS = 250;
const LEFT = 40;
const HIGH = 13;
const NARROWEST = 3.6;

export async function showCoverage({ code: chosen, query, signal, go }) {
  const end = today();
  const newest = await ask("api/v1/coverage", { start: daysBefore(end, DAYS_SUMMED_UP), end }, signal);
  if (!newest.first_day) return message(t("no_data"), t("no_data_hint"));
  const names = newest.tables.map((one) => one.name);
  const name = chosen || (names.includes("daily_prices") ? "daily_prices" : names[0]);
  const detail = h("div", { class: "detail" }, h("p", { class: "quiet" }, t("pick_day")));
  const show = (date) => fill(detail, signal, async () =>
    detailOf((await ask("api/v1/coverage", { table: name, date }, signal)).day));
  const map = heatMap(name, show);
  const described = newest.tables.find((one) => one.name === name);
  const page = h("div", { class: "view coverage" },
    h("h1", {}, t("coverage"), h("small", {}, isChinese() ? described?.doc_zh : described?.doc)),
    h("div", { class: "tables", role: "group", "aria-label": t("table") }, newest.tables.map((one) => summary(one, one.name === name, go))),
    panel(`${name} · ${t("year_session")}`, legend(), map.element),
    panel("", detail));
  // The map is as wide as its place, so it has to be on the page.
  requestAnimationFrame(fillMap);
  if (query.get("date")) show(query.get("date"));
  return page;

  // A year at a time: the newest ones are there at once.
  async function fillMap() {
    for (const [start, last] of years(newest.first_day, end)) {
      try {
        const found = await ask("api/v1/coverage", { table: name, start, end: last }, signal);
        if (signal.aborted) return;
        map.add(start.slice(0, 4), found.tables[0].days);
      } catch (error) {
        if (!signal.aborted) map.element.append(trouble(error, () => go("coverage", name)));
        return;
      }
    }
  }
}

function worst(days) {
  return days.reduce((found, day) => (STATES.indexOf(day.state) > STATES.indexOf(found) ? day.state : found), "stored");
}

function summary(one, isChosen, go) {
  const state = worst(one.days.slice(-SUMMED_UP));
  return h("button", {
    type: "button", "aria-pressed": String(isChosen), onclick: () => go("coverage", one.name),
    title: `${isChinese() ? one.doc_zh : one.doc} · ${t(`state_${state}`)}`,
  }, h("i", { class: `cell ${state}` }), one.name);
}

function legend() {
  return h("p", { class: "legend" }, STATES.map((state) =>
    h("span", {}, h("i", { class: `cell ${state}` }), t(`state_${state}`))));
}

// The map, a year longer with every `add`; arrows move in it, Enter opens a day.
function heatMap(name, show) {
  const note = h("p", { class: "note", "aria-live": "polite" });
  const drawing = svg("svg", { class: "heat", tabindex: "0", role: "group", "aria-label": `${name}, ${t("year_session")}` });
  const box = h("div", { class: "scrolls" }, drawing);
  const element = h("div", {}, box, note);
  const rows = [];
  let [row, column] = [0, 0];
  let chosen = null;
  drawing.addEventListener("keydown", (event) => {
    const steps = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
    if (event.key in steps) {
      event.preventDefault();
      mark(row + steps[event.key][0], column + steps[event.key][1]);
    } else if (event.key === "Enter" && rows.length) show(rows[row][column].date);
  });
  const add = (year, days) => {
    // On its first days no session of a year is over.
    if (!rows.length && !days.length) return;
    const number = rows.push(days) - 1;
    const cell = Math.max(NARROWEST, (element.clientWidth - LEFT) / MOST_SESSIONS);
    const [wide, high] = [LEFT + MOST_SESSIONS * cell, rows.length * (HIGH + 4) + 2];
    drawing.setAttribute("viewBox", `0 0 ${wide} ${high}`);
    drawing.setAttribute("width", wide);
    drawing.setAttribute("height", high);
    drawing.append(svg("g", { transform: `translate(0 ${number * (HIGH + 4) + 1})` },
      svg("text", { x: LEFT - 8, y: HIGH - 3, class: "tick", "text-anchor": "end" }, year),
      days.map((day, index) => svg("rect", {
        class: `cell ${day.state}`, x: LEFT + index * cell, y: 0, width: cell - 0.8, height: HIGH, "data-date": day.date,
        onpointerenter: () => tell(day),
        onclick: () => {
          mark(number, index);
          show(day.date);
        },
      }))));
    // The newest year comes first, with its last day chosen.
    if (number === 0) {
      mark(0, days.length - 1);
      box.scrollLeft = LEFT + (column - 40) * cell;
    }
  };
  const tell = (day) => {
    const counts = [
      day.rows !== null && `${number(day.rows, 0)} ${t("rows")}`,
      ...["unexplained", "held", "flagged"].map((one) => day[one] && `${t(one === "unexplained" ? "state_unexplained" : one)} ${day[one]}`),
    ].filter(Boolean);
    note.textContent = [day.date, t(`state_${day.state}`), ...counts].join(" · ");
  };
  const mark = (nextRow, nextColumn) => {
    const next = Math.min(rows.length - 1, Math.max(0, nextRow));
    const days = rows[next];
    if (!days?.length) return;
    row = next;
    column = Math.min(days.length - 1, Math.max(0, nextColumn));
    chosen?.classList.remove("chosen");
    chosen = box.querySelector(`[data-date="${days[column].date}"]`);
    chosen?.classList.add("chosen");
    tell(days[column]);
  };
  return { element, add };
}

function detailOf(day) {
  const reasons = Object.entries(day.reasons).map(([name, count]) => `${name} ${number(count, 0)}`).join(" · ");
  return h("div", {},
    h("h2", {}, `${day.table} · ${day.date} · `, h("i", { class: `cell ${day.state}` }), ` ${t(`state_${day.state}`)}`),
    facts([
      [t("rows"), number(day.rows, 0)],
      [t("lacking"), `${number(day.lacking, 0)}${reasons && ` (${reasons})`}`],
      [t("state_unexplained"), number(day.unexplained, 0)],
      [t("held"), number(day.held, 0)],
      [t("flagged"), number(day.flagged, 0)],
    ]),
    h("div", { class: "columns" },
      h("div", {}, h("h3", {}, t("ledger")), day.ledger.length ? table([
        [t("code"), (one) => one.code], [t("reason"), (one) => one.reason],
      ], day.ledger) : h("p", { class: "quiet" }, t("nothing"))),
      h("div", {}, h("h3", {}, t("findings")), day.findings.length ? table([
        [t("outcome"), (one) => one.outcome], [t("code"), (one) => one.code], [t("check"), (one) => one.check],
        [t("since"), (one) => one.since], [t("seen"), (one) => one.seen],
      ], day.findings) : h("p", { class: "quiet" }, t("nothing")))));
}
