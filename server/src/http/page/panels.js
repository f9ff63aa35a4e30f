// What goes on, part by part: watcher, batch, verification, quarantine, near misses and events.

import { $, el, facts, fill, order, said, svg, tag } from "./dom.js";
import * as series from "./series.js";
import { isActive, jobState, nearMisses, watcherState } from "./verdict.js";
import { compact, date, length, moment, second, seconds, tenths, whole, word, words } from "./words.js";

const LATE = 30;

const WATCHER_LEVELS = { WATCHING: "ok", CATCHING_UP: "warn", STARTING: "warn", PAUSED: "bad", RETRYING: "bad", UNSUPPORTED: "bad", STOPPED: "unknown" };
const JOB_LEVELS = { SUCCEEDED: "ok", FAILED: "bad", CANCELLED: "warn" };

const figure = (value, name, more, level) =>
  el("div", { "data-level": level }, el("dt", {}, name), el("dd", {}, value), more && el("dd", { class: "more" }, more));

/** The figures in large type. `rate` is how many orders a second are archived right now. */
export function figures({ stats }, rate) {
  const hour = series.sum(series.lastHour());
  const day = series.sum(series.lastDay());
  const lag = seconds(stats.watcher_lag);
  const edge = series.quantile(hour.latency, 0.99);
  const within = edge == null ? "–" : edge === Infinity ? words.longerThan(length(60)) : length(edge);
  fill(
    $("figures"),
    figure(whole(hour.archived), words.archivedHour, rate > 0 && words.perSecond(tenths(rate))),
    figure(whole(day.archived), words.archivedDay, day.incomplete > 0 && words.incompleteDay(whole(day.incomplete))),
    figure(compact(stats.archive_size), words.inArchive, stats.archive_size >= 10_000 && whole(stats.archive_size)),
    figure(lag == null ? "–" : length(lag), words.lag, null, lag > LATE ? "bad" : null),
    figure(within, words.latency, edge == null && words.noLatency, edge > LATE ? "bad" : edge > 2 ? "warn" : null),
    figure(whole(stats.quarantine_size), words.inQuarantine, day.errors > 0 && words.errorsDay(whole(day.errors)), stats.quarantine_size > 0 ? "warn" : null),
  );
}

const state = (level, said, ...more) => el("p", { class: "state" }, tag(level, said), ...more);
const since = (time) => time && el("span", { class: "soft" }, words.since(moment(date(time))));
const ends = (job) => (job.end_time ? `${moment(date(job.end_time))}, ${words.took(length(seconds(job.duration) ?? 0))}` : null);

export function watcher({ stats }) {
  const it = stats.watcher ?? {};
  const now = watcherState(it);
  const waiting = it.waiting && (it.waiting.unknown ? said(it.waiting.unknown) : it.waiting.at_least ? words.atLeast(whole(it.waiting.orders)) : whole(it.waiting.orders));
  const asked = it.asked_by && `${it.asked_by.pause ? words.askedPause : words.askedResume}, ${moment(date(it.asked_by.time))}${it.asked_by.peer ? `, ${it.asked_by.peer}` : ""}`;
  const fault = it.last_error && [it.last_error_time && `${moment(date(it.last_error_time))} `, said(it.last_error)];
  fill(
    $("watcher"),
    state(WATCHER_LEVELS[now] ?? "unknown", word(words.watcherStates, now), since(it.state_since_time)),
    facts(
      [words.by, it.instance],
      [words.position, it.position_time && moment(date(it.position_time))],
      [words.lastOrder, it.last_event_time && moment(date(it.last_event_time))],
      waiting && [words.waitingOrders, waiting],
      it.open_gaps?.length && [words.gaps, whole(it.open_gaps.length)],
      asked && [words.askedBy, asked],
      fault && [words.lastError, ...fault],
      [words.nextBatch, stats.next_batch_time ? moment(date(stats.next_batch_time)) : words.noSchedule],
    ),
  );
}

/** How far a job is, as a bar, while it runs. */
function progress(done, total) {
  if (!total) return null;
  const share = Math.min(done / total, 1);
  const at = { role: "progressbar", "aria-label": words.progress, "aria-valuemin": 0, "aria-valuemax": 100, "aria-valuenow": Math.round(share * 100) };
  return el("div", { class: "bar", ...at }, svg("svg", { viewBox: "0 0 100 1", preserveAspectRatio: "none", "aria-hidden": "true" }, svg("rect", { class: "fill-bar", width: share * 100, height: 1 })));
}

const pace = (job) => [
  job.orders_per_second > 0 && [words.speed, words.aSecond(compact(Math.round(job.orders_per_second)))],
  job.throttle && [words.throttle, said(job.throttle)],
];

export function batch({ stats: { last_batch: it } }) {
  if (!it) return fill($("batch"), el("p", { class: "quiet" }, words.noBatch));
  const now = jobState(it);
  const c = it.counts ?? {};
  const active = isActive(it);
  fill(
    $("batch"),
    state(JOB_LEVELS[now] ?? "unknown", word(words.jobStates, now), since(active ? it.start_time : null)),
    active && progress(c.found, it.estimated_total),
    facts(
      active && it.estimated_total > 0 && [words.progress, words.ofTotal(whole(c.found), whole(it.estimated_total))],
      [words.counts, words.countsBatch(whole(c.found), whole(c.archived), whole(c.duplicates), whole(c.errors))],
      ...(active ? pace(it) : []),
      [words.by, it.instance],
      !active && [words.ended, ends(it)],
    ),
    it.warnings?.length > 0 && el("details", { "data-key": "warnings" }, el("summary", { "data-key": "warnings/summary" }, `${words.warnings} (${whole(it.warnings.length)})`), ...it.warnings.map((warning) => el("p", { class: "message", lang: "en" }, warning))),
    it.message && el("p", { class: "message", lang: "en" }, it.message),
  );
}

export function verification({ stats, running_verification: running }) {
  const it = running ?? stats.last_verification;
  if (!it) return fill($("verification"), el("p", { class: "quiet" }, words.noVerification));
  const active = isActive(it);
  const c = it.counts ?? {};
  const verdict = (it.verdict ?? "").replace("VERDICT_", "");
  const [level, name] = { VERIFIED: ["ok", words.verdictWords.VERIFIED], NOT_VERIFIED: ["bad", words.verdictWords.NOT_VERIFIED] }[verdict] ?? [JOB_LEVELS[jobState(it)] === "bad" ? "bad" : "unknown", word(words.jobStates, jobState(it))];
  const found = Object.entries(words.differences).filter(([key]) => c[key] > 0).map(([key, name]) => `${whole(c[key])} ${name}`);
  fill(
    $("verification"),
    state(level, name, since(active ? it.start_time : null)),
    active && progress(c.delivered, it.estimated_total),
    facts(
      active && it.estimated_total > 0 && [words.progress, words.ofTotal(whole(c.delivered), whole(it.estimated_total))],
      [words.counts, words.countsVerification(whole(c.verified), whole(c.delivered))],
      found.length && ["", found.join(", ")],
      ...(active ? pace(it) : []),
      [words.by, it.instance],
      !active && [words.ended, ends(it)],
      it.ledger_hash && [words.ledger, el("code", {}, `${it.ledger_hash.slice(0, 16)}…`)],
    ),
    it.message && el("p", { class: "message", lang: "en" }, it.message),
  );
}

export function quarantine({ stats, quarantined }) {
  const entries = quarantined.map((entry) =>
    el(
      "div",
      { class: "entry" },
      el(
        "div",
        { class: "head" },
        entry.numero_commande ? order(entry.numero_commande, "quarantine") : el("span", { class: "mono" }, `_id ${entry.order_id_json}`),
        tag("warn", word(words.reasonsOfQuarantine, entry.reason, "QUARANTINE_REASON_")),
      ),
      el("p", { lang: "en" }, entry.detail),
      el("p", {}, words.tries(entry.attempts, moment(date(entry.last_seen_time)))),
    ),
  );
  const more = stats.quarantine_size - entries.length;
  fill($("quarantine"), ...(entries.length ? entries : [el("p", { class: "quiet" }, words.quarantineEmpty)]), more > 0 && entries.length > 0 && el("p", { class: "quiet" }, words.quarantineMore(whole(more))));
}

export function near({ stats: { last_batch: it } }) {
  if (!it || nearMisses(it) === 0) return fill($("near"), el("p", { class: "quiet" }, it ? words.nearEmpty : words.nearUnknown));
  const misses = it.near_misses.map((miss) =>
    el(
      "div",
      { class: "entry" },
      el("div", { class: "head" }, el("code", {}, miss.status_escaped || miss.status_json), tag("warn", words.nearOrders(miss.orders))),
      miss.difference && el("p", { lang: "en" }, miss.difference),
      el("p", {}, ...miss.examples.flatMap((numero, at) => [at ? ", " : "", order(numero, "near")])),
    ),
  );
  const more = it.more_near_misses?.statuses ?? 0;
  fill($("near"), ...misses, more > 0 && el("p", { class: "quiet" }, words.nearMore(whole(more))));
}

const EVENT_LEVELS = { ARCHIVED: "ok", INCOMPLETE: "warn", CONFLICT: "bad", QUARANTINED: "bad", GONE: "bad", GAP_OPENED: "warn", GAP_CLOSED: "ok", RELEASED: "ok" };

function story(event, kind) {
  const name = word(words.kinds, kind);
  if (event.order) return [order(event.order.numero_commande, "event"), ` ${name}`, event.order.missing_fields.length ? ` (${event.order.missing_fields.join(", ")})` : ""];
  if (event.quarantine) {
    const { numero_commande: numero, order_id_json: id } = event.quarantine;
    return [numero ? order(numero, "event") : id ? el("code", {}, id) : words.noNumber, ` ${name}`];
  }
  if (event.batch) return [`${name}${words.colon}${word(words.jobStates, jobState(event.batch)).toLowerCase()}, ${words.met(whole(event.batch.counts?.found))}`];
  if (event.verification) return [`${name}${words.colon}${word(words.jobStates, jobState(event.verification)).toLowerCase()}, ${words.met(whole(event.verification.counts?.delivered))}`];
  if (event.watcher && kind === "WATCHER_ASKED") return [`${name}${words.colon}${event.watcher.asked_by?.pause ? words.askedPause : words.askedResume}`];
  if (event.watcher) return [`${name}${words.colon}${word(words.watcherStates, watcherState(event.watcher)).toLowerCase()}`];
  if (event.watch_partition) return [`${name} ${event.watch_partition.index}${words.colon}${word(words.watcherStates, watcherState(event.watch_partition)).toLowerCase()}`];
  if (event.gone) return [`${whole(event.gone.orders)} ${name}`];
  return [name];
}

/** What happened, the latest first. */
export function events({ events, left_out: leftOut }) {
  const lines = [...events].reverse().map((event) => {
    const kind = event.kind.replace("EVENT_KIND_", "");
    const bad = event.verification?.verdict === "VERDICT_NOT_VERIFIED" || event.batch?.state === "BATCH_STATE_FAILED" || ["PAUSED", "RETRYING"].includes(watcherState(event.watcher));
    const time = date(event.time);
    return el("li", {}, el("time", { datetime: event.time }, time ? second(time) : "–"), el("i", { "data-level": bad ? "bad" : EVENT_LEVELS[kind] ?? "unknown", "aria-hidden": "true" }), el("span", {}, ...story(event, kind)));
  });
  const empty = el("li", { class: "quiet" }, words.eventsEmpty);
  fill($("events"), ...(lines.length ? lines : [empty]), leftOut > 0 && el("li", { class: "quiet" }, words.leftOut(whole(leftOut))));
}
