// Charts as SVG: bars by day, lines by day, a list of bars. They know numbers, not what these mean.

import { h, svg } from "./elements.js";

const LEFT = 62;
const BOTTOM = 22;

// How wide a chart may be, in pixels, so that its texts have the size of the page's.
function room() {
  return Math.max(280, Math.min(1240, document.getElementById("view").clientWidth) - 64);
}

// Round numbers that divide a range into about `count` steps.
export function ticks(low, high, count = 5) {
  const rough = (high - low) / count || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((one) => one * power).find((one) => one >= rough);
  const found = [];
  for (let value = Math.ceil(low / step) * step; value <= high + step / 1e6; value += step) {
    found.push(Math.abs(value) < step / 1e6 ? 0 : value);
  }
  return found;
}

function frame(wide, height, low, high, days, format) {
  const top = 8;
  const bottom = height - BOTTOM;
  const y = (value) => bottom - ((value - low) / (high - low || 1)) * (bottom - top);
  const slot = (wide - LEFT) / Math.max(1, days.length);
  const x = (index) => LEFT + slot * (index + 0.5);
  const parts = ticks(low, high).map((value) => svg("g", {},
    svg("line", { x1: LEFT, x2: wide, y1: y(value), y2: y(value), class: value === 0 ? "zero" : "grid" }),
    svg("text", { x: LEFT - 8, y: y(value) + 4, class: "tick", "text-anchor": "end" }, format(value))));
  const every = Math.max(1, Math.ceil(days.length / (wide / 110)));
  days.forEach((day, index) => {
    if (index % every === 0 && x(index) < wide - 30) {
      parts.push(svg("text", { x: x(index), y: height - 5, class: "tick", "text-anchor": "middle" }, day.slice(2)));
    }
  });
  return { wide, height, count: days.length, parts, x, y, slot, top, bottom };
}

// Shapes in their frame, and what lies under the pointer or the arrow keys: `told(index)` is said below the chart.
function inspected(label, place, shapes, told, choose) {
  let index = place.count - 1;
  const note = h("p", { class: "note", "aria-live": "polite" }, told(index));
  const cursor = svg("line", { class: "cursor", y1: place.top, y2: place.bottom, x1: -9, x2: -9 });
  const drawing = svg("svg", {
    viewBox: `0 0 ${place.wide} ${place.height}`, role: "img", tabindex: "0", "aria-label": label,
  }, ...place.parts, ...shapes, cursor);
  const show = (next) => {
    index = Math.min(place.count - 1, Math.max(0, next));
    cursor.setAttribute("x1", place.x(index));
    cursor.setAttribute("x2", place.x(index));
    note.replaceChildren(told(index));
  };
  const at = (event) => {
    const box = drawing.getBoundingClientRect();
    const along = ((event.clientX - box.left) / box.width) * place.wide;
    return Math.floor((along - LEFT) / place.slot);
  };
  drawing.addEventListener("pointermove", (event) => show(at(event)));
  drawing.addEventListener("click", (event) => {
    show(at(event));
    choose?.(index);
  });
  drawing.addEventListener("keydown", (event) => {
    const steps = { ArrowLeft: -1, ArrowRight: 1 };
    if (event.key in steps) {
      event.preventDefault();
      show(index + steps[event.key]);
    } else if (event.key === "Enter") choose?.(index);
  });
  return h("figure", { class: "chart" }, drawing, note);
}

// Two series of bars, one up and one down from zero. series: [{ values, class }], downwards as negatives.
export function barChart({ label, days, series, height = 190, format, told, choose }) {
  const all = series.flatMap((one) => one.values);
  const low = Math.min(0, ...all);
  const high = Math.max(0, ...all);
  const place = frame(room(), height, low, high, days, format);
  const wide = Math.max(1, Math.min(26, place.slot * 0.72));
  const bars = series.map((one) => svg("g", { class: one.class }, one.values.map((value, index) =>
    svg("rect", {
      x: place.x(index) - wide / 2, width: wide,
      y: place.y(Math.max(0, value)), height: Math.abs(place.y(value) - place.y(0)),
    }))));
  return inspected(label, place, bars, told, choose);
}

// Lines by day; null breaks a line. bands: [{ low, high, class }], shaded: indices of days.
export function lineChart({ label, days, lines, bands = [], levels = [], shaded = [], height = 220, format, told }) {
  const known = lines.flatMap((one) => one.values).filter((value) => value !== null);
  const bounds = [...known, ...bands.flatMap((one) => [one.low, one.high]), ...levels.map((one) => one.value)];
  let [low, high] = [Math.min(...bounds), Math.max(...bounds)];
  const margin = (high - low || Math.abs(high) || 1) * 0.06;
  [low, high] = [low - margin, high + margin];
  const place = frame(room(), height, low, high, days, format);
  const shapes = [
    ...shaded.map((index) => svg("rect", {
      class: "shaded", x: place.x(index) - place.slot / 2, width: place.slot,
      y: place.top, height: place.bottom - place.top,
    })),
    ...bands.map((one) => svg("rect", {
      class: one.class, x: LEFT, width: place.wide - LEFT, y: place.y(one.high), height: place.y(one.low) - place.y(one.high),
    })),
    ...levels.map((one) => svg("line", {
      class: one.class, x1: LEFT, x2: place.wide, y1: place.y(one.value), y2: place.y(one.value),
    })),
    ...lines.map((one) => svg("path", { class: `line ${one.class}`, d: path(one.values, place) })),
  ];
  return inspected(label, place, shapes, told);
}

function path(values, place) {
  let pen = "M";
  return values.map((value, index) => {
    if (value === null) {
      pen = "M";
      return "";
    }
    const step = `${pen}${place.x(index).toFixed(1)} ${place.y(value).toFixed(1)}`;
    pen = "L";
    return step;
  }).join("");
}

// A list of bars, by how large they are: [{ name, value, text, href, tone }].
export function barList(label, rows, wide = Math.min(room(), 560)) {
  const most = Math.max(...rows.map((one) => Math.abs(one.value)), 1e-9);
  const step = 26;
  const [first, last] = [Math.max(wide * 0.42, Math.min(170, wide * 0.55)), wide - 64];
  const lines = rows.map((one, number) => {
    const long = (Math.abs(one.value) / most) * (last - first);
    return svg(one.href ? "a" : "g", { href: one.href, class: one.tone ?? "neutral" },
      svg("rect", { class: "row", x: 0, y: number * step, width: wide, height: step }),
      svg("text", { x: 4, y: number * step + 17, class: "label" }, one.name),
      svg("rect", { class: "bar", x: first, y: number * step + 5, width: Math.max(1, long), height: step - 10 }),
      svg("text", { x: wide - 4, y: number * step + 17, class: "label value", "text-anchor": "end" }, one.text));
  });
  return svg("svg", { viewBox: `0 0 ${wide} ${rows.length * step}`, class: "bars", width: wide, role: "group", "aria-label": label },
    svg("line", { x1: first, x2: first, y1: 0, y2: rows.length * step, class: "zero" }), ...lines);
}
