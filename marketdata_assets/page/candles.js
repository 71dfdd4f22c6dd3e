// The price chart: klinecharts with moving averages, volume, MACD, and the marks of single bars.

import { isChinese, t } from "./texts.js";
import { h } from "./elements.js";

const PERIODS = { D: "day", W: "week", M: "month" };
// One sign a mark, in the colour of its kind: [English, 中文, name of the colour].
const SIGNS = {
  ex_date: ["X", "除", "--accent"],
  suspended: ["S", "停", "--quiet"],
  limit_up: ["▲", "涨", "--up"],
  limit_down: ["▼", "跌", "--down"],
  restated: ["R", "修", "--warn"],
  flagged: ["?", "疑", "--warn"],
  held: ["!", "扣", "--bad"],
};
// What a key moves, in pixels, and how much it enlarges.
const STEP = 60;
const ZOOM = 1.25;
const SIGN_SIZE = 13;
const FONT = "system-ui, sans-serif";
// Where numbers beside the bars would cover them, they come with the pointer.
const NARROW = 520;
const TOP = 0.3;
// Half of a day below the bars, in pixels: nearer to an edge it would be cut.
const HALF_A_DAY = 34;

export function candleChart(rows, frequency, code) {
  const element = h("div", {
    class: "candles", role: "group", tabindex: "0", "aria-label": `${t("price")}, ${code}`,
    onkeydown: (event) => {
      const keys = {
        ArrowLeft: () => chart.scrollByDistance(STEP),
        ArrowRight: () => chart.scrollByDistance(-STEP),
        "+": () => chart.setBarSpace(chart.getBarSpace().bar * ZOOM),
        "-": () => chart.setBarSpace(chart.getBarSpace().bar / ZOOM),
      };
      if (chart && event.key in keys) {
        event.preventDefault();
        keys[event.key]();
      }
    },
  });
  const bars = rows.map((one) => ({
    timestamp: Date.parse(`${one.date}T00:00:00+08:00`),
    date: one.date,
    // A source may know closes alone.
    open: one.open ?? one.close, high: one.high ?? one.close, low: one.low ?? one.close, close: one.close,
    volume: one.volume ?? 0, turnover: one.turnover ?? 0,
  }));
  let chart = null;
  let marks = [];
  const digits = Math.min(...bars.map((one) => one.close)) < 10 ? 3 : 2;
  // It measures its element, so it is made when that is on the page.
  const waiting = new ResizeObserver(() => {
    if (!element.clientWidth) return;
    if (chart) chart.resize();
    else {
      chart = made(element, bars, frequency, code, digits);
      mark(marks);
    }
  });
  waiting.observe(element);

  function mark(found) {
    marks = found;
    chart?.overrideIndicator({ name: "MARKS", extendData: marksAt(found, bars) });
  }

  return {
    element,
    mark,
    dispose() {
      waiting.disconnect();
      if (chart) klinecharts.dispose(element);
    },
  };
}

function made(element, bars, frequency, code, digits) {
  registerMarks();
  const chart = klinecharts.init(element, {
    locale: isChinese() ? "zh-CN" : "en-US", timezone: "Asia/Shanghai", styles: styles(element.clientWidth < NARROW),
  });
  chart.setSymbol({ ticker: code, pricePrecision: digits, volumePrecision: 0 });
  chart.setPeriod({ type: PERIODS[frequency] ?? "day", span: 1 });
  chart.overrideXAxis({
    createTicks: ({ bounding, defaultTicks }) =>
      defaultTicks.filter(({ coord }) => coord >= HALF_A_DAY && coord <= bounding.width - HALF_A_DAY),
  });
  chart.setDataLoader({ getBars: ({ callback }) => callback(bars, false) });
  chart.createIndicator({ name: "MA", calcParams: [5, 20, 60], paneId: "candle_pane" }, true);
  chart.createIndicator({ name: "MARKS", paneId: "candle_pane" }, true);
  chart.createIndicator("VOL");
  chart.createIndicator("MACD");
  // Room for the numbers above the bars.
  if (element.clientWidth >= NARROW) chart.overrideYAxis({ gap: { top: TOP, bottom: 0.1 } });
  chart.setOffsetRightDistance(12);
  const room = element.clientWidth - 90;
  chart.setBarSpace(Math.max(2, Math.min(30, room / bars.length)));
  return chart;
}

// The marks by the index of a bar, behind a function, for the chart copies objects: of a day without one, as of a halt, at the bar that follows. They come the newest first.
function marksAt(marks, bars) {
  const found = new Map();
  let index = bars.length - 1;
  for (const one of marks) {
    while (index > 0 && bars[index - 1].date >= one.date) index -= 1;
    if (!found.has(index)) found.set(index, []);
    if (!found.get(index).some((other) => other.kind === one.kind)) found.get(index).push(one);
  }
  return (index) => found.get(index) ?? [];
}

function registerMarks() {
  klinecharts.registerIndicator({
    name: "MARKS",
    shortName: t("marks"),
    series: "price",
    calc: (list) => list.map(() => ({})),
    figures: [],
    createTooltipDataSource: ({ indicator, crosshair }) => {
      const here = indicator.extendData?.(crosshair.dataIndex) ?? [];
      const legends = here.map((one) => ({
        title: { text: "", color: colour("--quiet") },
        value: { text: `${t(one.kind)} ${one.kind === "ex_date" ? "×" : ""}${one.detail}`, color: colour(SIGNS[one.kind][2]) },
      }));
      return { name: "", calcParamsText: "", features: [], legends };
    },
    draw: ({ ctx, chart, indicator, bounding, xAxis }) => {
      if (!indicator.extendData) return true;
      const { from, to } = chart.getVisibleRange();
      ctx.font = `600 ${SIGN_SIZE - 3}px ${FONT}`;
      ctx.textAlign = "center";
      ctx.textBaseline = "middle";
      for (let index = from; index < to; index += 1) {
        indicator.extendData(index).forEach((one, number) => {
          const [english, chinese, name] = SIGNS[one.kind];
          ctx.fillStyle = colour(name);
          const y = bounding.height - SIGN_SIZE / 2 - 2 - number * SIGN_SIZE;
          ctx.fillText(isChinese() ? chinese : english, xAxis.convertToPixel(index), y);
        });
      }
      return true;
    },
  });
}

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function styles(isNarrow) {
  const showRule = isNarrow ? "follow_cross" : "always";
  const [up, down, ink, quiet, line, back] = ["--up", "--down", "--ink", "--quiet", "--line", "--panel"].map(colour);
  const text = { color: quiet, family: FONT, size: 11 };
  const bars = { upColor: up, downColor: down, noChangeColor: quiet };
  const axis = { axisLine: { color: line }, tickLine: { color: line }, tickText: text };
  const cross = { line: { color: quiet }, text: { family: FONT, backgroundColor: ink, borderColor: ink, color: back } };
  return {
    grid: { horizontal: { color: line }, vertical: { show: false } },
    candle: {
      bar: { ...bars, upBorderColor: up, downBorderColor: down, noChangeBorderColor: quiet, upWickColor: up, downWickColor: down, noChangeWickColor: quiet },
      priceMark: { high: { color: quiet, textFamily: FONT }, low: { color: quiet, textFamily: FONT }, last: { ...bars, compareRule: "previous_close", text: { family: FONT } } },
      tooltip: { showRule, title: { show: false }, legend: text },
    },
    indicator: {
      bars: [{ ...bars, style: "fill" }],
      lines: ["--accent", "--warn", "--violet", "--up", "--down"].map((name) => ({ color: colour(name), size: 1 })),
      tooltip: { showRule, title: text, legend: text },
    },
    xAxis: axis,
    yAxis: axis,
    separator: { color: line },
    crosshair: { horizontal: cross, vertical: cross },
  };
}
