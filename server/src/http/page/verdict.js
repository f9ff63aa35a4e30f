// The verdict: is everything that was delivered archived, and if not, why. Pure.

import * as series from "./series.js";
import { date, length, minute, seconds, whole, words } from "./words.js";

// As archctl status judges them: proto/problems.rs.
const LATE = 30;
const OLD = 2 * 86_400;

const enumeration = (value, prefix) => (value ?? "").replace(prefix, "");
export const watcherState = (watcher) => enumeration(watcher?.state, "WATCHER_STATE_");
export const jobState = (job) => enumeration(job?.state, /^(BATCH|VERIFICATION)_STATE_/);
export const isActive = (job) => ["PENDING", "RUNNING", "CANCELLING"].includes(jobState(job));

/** How many orders have a status that only looks delivered, as of a batch. */
export const nearMisses = (batch) => (batch?.near_misses ?? []).reduce((all, miss) => all + miss.orders, 0) + (batch?.more_near_misses?.orders ?? 0);

/** What there is to say against it: levels and sentences. */
export function reasons({ stats, trouble }) {
  const r = words.reasons;
  const found = [];
  const say = (level, ...text) => found.push({ level, text });
  if (trouble) say("bad", r.away(trouble.text, trouble.since_time && minute(date(trouble.since_time))));
  const denied = (stats.missing_privileges ?? []).filter((it) => it.essential);
  if (denied.length) say("bad", r.denied(`${denied[0].action}, ${denied[0].resource}`, denied.length - 1), denied[0].lost);
  const { watcher, last_batch: batch, last_verification: verification } = stats;
  const state = watcherState(watcher);
  const waiting = watcher?.waiting;
  const everWatched = watcher?.instance;
  if (state === "PAUSED") say("bad", r.paused);
  else if (state === "STOPPED") everWatched ? say("bad", r.stopped) : say("note", r.nobody);
  else if (state === "RETRYING") say("bad", r.retrying, watcher.last_error);
  else if (state === "UNSUPPORTED") say("bad", r.unsupported, watcher.last_error);
  else if (state === "STARTING") say("warn", r.starting);
  if (waiting?.orders > 0) say("bad", r.waiting(whole(waiting.orders), waiting.at_least));
  const lag = seconds(stats.watcher_lag);
  if (lag > LATE && state !== "PAUSED") say("bad", r.lag(length(lag)));
  if (watcher?.open_gaps?.length) say("warn", r.gap);
  const { gone } = series.sum(series.lastDay());
  if (gone > 0) say("bad", r.gone(whole(gone)));
  if (stats.quarantine_size > 0) say("warn", r.quarantine(whole(stats.quarantine_size)));
  if (nearMisses(batch) > 0) say("warn", r.near(whole(nearMisses(batch))));
  if (jobState(batch) === "FAILED") say("bad", r.batchFailed, batch.message);
  if (batch?.stop_reason === "BATCH_STOP_REASON_UNBALANCED") say("bad", r.batchUnbalanced);
  if (verification?.verdict === "VERDICT_NOT_VERIFIED") say("bad", r.notVerified, verification.verdict_text);
  else if (jobState(verification) === "FAILED") say("warn", r.verificationFailed, verification.message);
  else if (verification?.end_time) {
    const age = (date(stats.read_time) - date(verification.end_time)) / 1_000;
    if (age > OLD) say("warn", r.verificationOld(length(age)));
  }
  const unreadable = (stats.unreadable ?? []).filter((it) => !it.newer);
  if (unreadable.length) say("warn", r.unreadable(whole(unreadable.length)));
  const late = series.classes(series.sum(series.lastHour()).latency)[3];
  if (late > 0) say("warn", r.late(whole(late)));
  return found;
}

/** The verdict in one sentence, with its level. */
export function verdict(seen, found) {
  const v = words.verdicts;
  const worst = ["bad", "warn"].find((level) => found.some((it) => it.level === level)) ?? "ok";
  if (seen.trouble) return { level: "bad", title: v.away };
  const { stats } = seen;
  const waiting = stats.watcher?.waiting?.orders ?? 0;
  const kept = stats.quarantine_size;
  if (waiting > 0) return { level: "bad", title: waiting === 1 ? v.waitingOne : v.waiting(whole(waiting)) };
  if (worst === "bad") return { level: "bad", title: v.bad };
  if (kept > 0) return { level: "warn", title: kept === 1 ? v.missingOne : v.missing(whole(kept)) };
  if (worst === "warn") return { level: worst, title: v.warn };
  // Who archives by batches alone knows of no order that was delivered since.
  const nobody = watcherState(stats.watcher) === "STOPPED";
  return { level: "ok", title: nobody ? v.okByBatch : v.ok };
}
