// The charts: hand-made SVG, which the keyboard and a pointer step through.

import { $, el, fill, svg, text } from "./dom.js";
import * as series from "./series.js";
import { compact, length, list, minute, moment, percent, whole, words } from "./words.js";

const HEIGHT = 190;
const LEFT = 44;
const BOTTOM = 22;
const CLASSES = ["half", "two", "thirty", "beyond"];
const ENDS = [0.5, 2, 30];

/** A round number from here on, for the end of an axis. */
function round(number) {
  const power = 10 ** Math.floor(Math.log10(Math.max(number, 1)));
  return Math.max([1, 2, 4, 5, 10].map((times) => times * power).find((end) => end >= number), 4);
}

const within = (at) => (at < ENDS.length ? words.within(length(ENDS[at])) : words.longer);

const CHARTS = {
  orders: {
    parts: (points) => points.map(({ counts }) => [["bar", counts.archived], ["bad", counts.errors]]),
    top: (stacks) => round(Math.max(...stacks.map((stack) => stack.reduce((all, [, count]) => all + count, 0)))),
    label: compact,
    legend: () => [["bar", words.archived], ["bad", words.errors]],
    say: ({ counts }, from, to) => words.readoutOrders(from, to, whole(counts.archived), counts.errors && whole(counts.errors)),
    hasAny: ({ counts }) => counts.archived + counts.errors > 0,
  },
  latency: {
    parts: (points) =>
      points.map(({ latency }) => {
        const measured = series.measured(latency);
        return series.classes(latency).map((count, at) => [CLASSES[at], measured ? count / measured : 0]);
      }),
    top: () => 1,
    label: percent,
    legend: () => CLASSES.map((name, at) => [name, within(at)]),
    say({ latency }, from, to) {
      const measured = series.measured(latency);
      const counts = series.classes(latency).map((count, at) => [count, at]).filter(([count]) => count > 0);
      return words.readoutLatency(from, to, measured && list(counts.map(([count, at]) => `${whole(count)} ${within(at)}`)));
    },
    hasAny: ({ latency }) => series.measured(latency) > 0,
  },
};

/** The step that is pointed at in each chart, by its beginning; none: the latest. */
const pointed = {};

function draw(name) {
  const chart = CHARTS[name];
  const plot = $(`${name}-plot`);
  const points = series.all();
  if (!points.length) return;
  const width = Math.max(plot.clientWidth, 200);
  const height = plot.clientHeight || HEIGHT;
  const stacks = chart.parts(points);
  const top = chart.top(stacks);
  const bottom = height - BOTTOM;
  const at = (share) => bottom - share * (bottom - 8);
  const slot = (width - LEFT) / points.length;
  const x = (index) => LEFT + index * slot;
  const lines = [0, 0.5, 1].map((share) => [
    svg("line", { x1: LEFT, x2: width, y1: at(share), y2: at(share) }),
    svg("text", { x: LEFT - 8, y: at(share) + 4, "text-anchor": "end" }, chart.label(top * share)),
  ]);
  // A mark each few hours, as many as there is room for; whole hours of the reader's own clock.
  const hours = width < 420 ? 6 : 3;
  const marks = points.flatMap(({ start }, index) => {
    const time = new Date(start);
    if (time.getHours() % hours || time.getMinutes()) return [];
    return [svg("text", { x: x(index), y: height - 4, "text-anchor": index > points.length - 4 ? "end" : "middle" }, minute(time))];
  });
  const bars = stacks.flatMap((stack, index) => {
    let base = 0;
    return stack
      .filter(([, count]) => count > 0)
      .map(([kind, count]) => {
        // However few they are, what is there is seen.
        const tall = Math.max(at(base) - at(base + count / top), 1.5);
        const bar = svg("rect", { class: `fill-${kind}`, x: (x(index) + slot * 0.1).toFixed(2), y: (at(base) - tall).toFixed(2), width: Math.max(slot * 0.8, 1).toFixed(2), height: tall.toFixed(2), rx: Math.min(slot * 0.15, 2).toFixed(1) });
        base += count / top;
        return bar;
      });
  });
  const index = pointedAt(name, points);
  const cursor = plot === document.activeElement || pointed[name] ? svg("rect", { class: "cursor", x: x(index), y: 4, width: slot, height: bottom - 4 }) : null;
  const none = points.some(chart.hasAny) ? null : svg("text", { class: "none", x: LEFT + (width - LEFT) / 2, y: bottom / 2 + 8, "text-anchor": "middle" }, words.nothing);
  fill(plot, svg("svg", { viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" }, ...lines.flat(), ...marks, cursor, ...bars, none));
  fill($(`${name}-legend`), ...chart.legend().map(([kind, said]) => el("li", {}, el("i", { class: `fill-${kind}` }), said)));
  const { start } = points[index];
  const said = chart.say(points[index], moment(new Date(start)).replace(/:00$/, ""), minute(new Date(start + series.length())));
  for (const [attribute, value] of [["aria-valuemin", 1], ["aria-valuemax", points.length], ["aria-valuenow", index + 1], ["aria-valuetext", said]]) plot.setAttribute(attribute, value);
  text($(`${name}-readout`), said);
}

function pointedAt(name, points) {
  const index = points.findIndex(({ start }) => start === pointed[name]);
  return index < 0 ? points.length - 1 : index;
}

function point(name, index) {
  const points = series.all();
  if (!points.length) return;
  pointed[name] = points[Math.min(Math.max(index, 0), points.length - 1)].start;
  draw(name);
}

const STEPS = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -4, PageUp: 4, Home: -Infinity, End: Infinity };

/** Lets the keyboard and a pointer step through the charts. */
export function listen() {
  for (const name of Object.keys(CHARTS)) {
    const plot = $(`${name}-plot`);
    plot.addEventListener("keydown", (event) => {
      if (!(event.key in STEPS)) return;
      event.preventDefault();
      point(name, pointedAt(name, series.all()) + STEPS[event.key]);
    });
    plot.addEventListener("pointermove", (event) => {
      const box = plot.getBoundingClientRect();
      const share = (event.clientX - box.left - LEFT) / (box.width - LEFT);
      point(name, Math.floor(share * series.all().length));
    });
    const leave = () => {
      delete pointed[name];
      draw(name);
    };
    plot.addEventListener("pointerleave", leave);
    plot.addEventListener("blur", leave);
    plot.addEventListener("focus", () => draw(name));
  }
  new ResizeObserver(show).observe($("orders-plot"));
  $("table").addEventListener("toggle", table);
}

/** Draws both charts, and the table where it is open. */
export function show() {
  for (const name of Object.keys(CHARTS)) draw(name);
  table();
}

function table() {
  if (!$("table").open) return;
  const heads = [words.hour, words.archived, words.incomplete, words.errors, ...CLASSES.map((_, at) => within(at))];
  fill($("table-head"), el("tr", {}, ...heads.map((head) => el("th", { scope: "col" }, head))));
  const hours = byHour(series.all());
  const rows = [...hours].reverse().map(([start, points]) => {
    const { archived, incomplete, errors, latency } = series.sum(points);
    const cells = [archived, incomplete, errors, ...series.classes(latency)];
    return el("tr", {}, el("th", { scope: "row" }, moment(new Date(start))), ...cells.map((cell) => el("td", {}, whole(cell))));
  });
  fill($("table-body"), ...rows);
}

const hour = ({ start }) => new Date(start).setMinutes(0, 0, 0);

function byHour(points) {
  const hours = new Map();
  for (const it of points) hours.set(hour(it), [...(hours.get(hour(it)) ?? []), it]);
  return hours;
}
