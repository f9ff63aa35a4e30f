// The page: hears from archd what goes on, and shows it until it hears otherwise.

import * as charts from "./charts.js";
import { $, el, fill, said, tag, text } from "./dom.js";
import * as orders from "./order.js";
import * as panels from "./panels.js";
import * as series from "./series.js";
import { reasons, verdict } from "./verdict.js";
import { date, languageNow, moment, second, speak, words } from "./words.js";

/** archd sends something every second, or says why it can't. */
const SILENCE = 6_000;
const AGAIN = 2_000;

const MARKS = { ok: "M14 25l7 7 13-15", warn: "M24 13v14M24 34v.5", bad: "M16 16l16 16M32 16L16 32", unknown: "M19 18a5 5 0 1 1 7 5c-2 1-2 2-2 4M24 34v.5" };
const SIGNS = { ok: "✓", warn: "!", bad: "✗", unknown: "…" };

/** What was last heard. */
let figures = null;
let trouble = null;
let news = { events: [], left_out: 0 };
let heard = null;
let staleSince = null;
let rate = 0;

function connect() {
  const source = new EventSource("/events");
  const on = (name, hear) =>
    source.addEventListener(name, ({ data }) => {
      heard = Date.now();
      staleSince = null;
      hear(JSON.parse(data));
      show();
    });
  on("figures", (next) => {
    // A newer archd has a newer page.
    if (figures && figures.page !== next.page) location.reload();
    rate = speed(figures, next);
    [figures, trouble] = [next, null];
    series.add(next.latest);
  });
  on("series", series.begin);
  on("events", (message) => (news = message));
  on("trouble", (message) => (trouble = message));
  source.addEventListener("error", () => {
    stale();
    // The browser tries again by itself, unless the answer was no stream at all.
    if (source.readyState === EventSource.CLOSED) setTimeout(connect, AGAIN);
  });
}

/** Orders archived a second, between two snapshots. */
function speed(before, after) {
  if (!before) return 0;
  const past = (date(after.stats.read_time) - date(before.stats.read_time)) / 1000;
  const archived = after.stats.lifetime.archived - before.stats.lifetime.archived;
  // Not so far apart that it says nothing of the moment.
  return past > 0 && past < 10 ? Math.max(archived / past, 0) : 0;
}

function stale() {
  staleSince ??= heard ?? Date.now();
  show();
}

function show() {
  link();
  judge();
  panels.events(news);
  if (!figures) return;
  text($("where"), `${figures.stats.database} · ${figures.instance.name}`);
  text($("foot"), words.foot(figures.instance.name, figures.instance.version));
  panels.figures(figures, rate);
  panels.watcher(figures);
  panels.batch(figures);
  panels.verification(figures);
  panels.quarantine(figures);
  panels.near(figures);
  charts.show();
}

function link() {
  document.body.classList.toggle("stale", Boolean(staleSince || trouble));
  const [level, state] = staleSince ? ["bad", words.staleSince(second(staleSince))] : heard ? ["ok", words.live] : ["unknown", words.connecting];
  $("link").dataset.level = level;
  text($("link"), state);
}

function judge() {
  const seen = figures || trouble ? { stats: {}, ...figures, trouble } : null;
  const found = seen ? reasons(seen) : [];
  const judged = seen ? verdict(seen, found) : { level: "unknown", title: words.verdicts.unknown };
  const { level, title } = staleSince ? { level: "unknown", title: words.verdicts.stale } : judged;
  const read = figures && moment(date(figures.stats.read_time));
  $("verdict").dataset.level = level;
  $("verdict-mark").setAttribute("d", MARKS[level]);
  text($("verdict-title"), title);
  text($("verdict-note"), !read ? "" : staleSince || trouble ? words.lastKnown(read) : words.asOf(read));
  fill($("reasons"), ...found.map(reason));
  document.title = `${SIGNS[level]} ${title} – Order Archiver`;
}

function reason({ level, text: [first, ...more] }) {
  const details = more.filter(Boolean).flatMap((detail) => [" ", said(detail, { class: "soft" })]);
  return el("li", {}, tag(level === "note" ? "unknown" : level, words.levels[level]), el("span", {}, first, ...details));
}

function sayAll() {
  for (const element of document.querySelectorAll("[data-words]")) text(element, words[element.dataset.words]);
  for (const button of document.querySelectorAll("[data-language]")) button.setAttribute("aria-pressed", button.dataset.language === languageNow());
  orders.show();
  show();
}

for (const button of document.querySelectorAll("[data-language]")) {
  button.addEventListener("click", () => {
    speak(button.dataset.language);
    sayAll();
  });
}
setInterval(() => {
  if (heard && Date.now() - heard > SILENCE) stale();
}, 1_000);
sayAll();
charts.listen();
orders.listen();
connect();
