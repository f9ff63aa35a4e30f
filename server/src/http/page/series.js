// The last 24 hours step by step: keeps the points, and adds them up.

/** Where the counts of a latency histogram end, in seconds; the last has no end. */
export const EDGES = [0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, Infinity];
const DAY = 86_400_000;

let step = 900_000;
const points = new Map();

const point = ({ start_time, counts, latency }) => ({ start: Date.parse(start_time), counts, latency: latency.counts });

/** Takes all points. */
export function begin(message) {
  step = message.step_seconds * 1000;
  points.clear();
  add(message.points);
}

/** Takes points in the place of those that begin when they do. */
export function add(some) {
  for (const it of some.map(point)) points.set(it.start, it);
  const last = Math.max(...points.keys());
  for (const start of points.keys()) if (start <= last - DAY - step) points.delete(start);
}

export const length = () => step;

/** All points, oldest first. */
export const all = () => [...points.values()].sort((a, b) => a.start - b.start);

export const empty = () => ({ archived: 0, incomplete: 0, errors: 0, gone: 0, latency: EDGES.map(() => 0) });

/** What points come to. */
export function sum(some) {
  const total = empty();
  for (const { counts, latency } of some) {
    total.archived += counts.archived;
    total.incomplete += counts.incomplete;
    total.errors += counts.errors;
    total.gone += counts.gone;
    latency.forEach((count, at) => (total.latency[at] += count));
  }
  return total;
}

/** The points of the last day. */
export const lastDay = () => all().slice(-Math.round(DAY / step));

/** The points of the last hour: four whole quarters, and the one under way. */
export const lastHour = () => all().slice(-Math.round(3_600_000 / step) - 1);

export const measured = (latency) => latency.reduce((all, count) => all + count, 0);

/** Within which of the edges this share of orders was archived; null where none was measured. */
export function quantile(latency, share) {
  const wanted = measured(latency) * share;
  let passed = 0;
  if (wanted === 0) return null;
  return EDGES.find((_, at) => (passed += latency[at]) >= wanted);
}

/** Orders archived within half a second, 2 s and 30 s, and later: four counts, each beyond the one
 *  before. */
export const classes = (latency) => [[0, 3], [3, 5], [5, 8], [8, 10]].map(([from, to]) => measured(latency.slice(from, to)));
