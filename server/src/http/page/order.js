// The search: where an order stands, why, and what to do.

import { $, el, facts, fill, said, tag } from "./dom.js";
import { date, moment, word, words } from "./words.js";

const LEVELS = { ARCHIVED: "ok", ARCHIVED_ALONE: "ok", NOT_DELIVERED: "unknown", NOT_ARCHIVED: "warn", NEAR_MISS: "warn", NO_LONGER_DELIVERED: "warn", ARCHIVED_IN_PART: "warn", OTHER_ID: "warn", GONE: "unknown" };

/** What was last found, so that it can be said again in another language. */
let found = null;
let asked = 0;

const note = (words, lang) => el("p", { class: "quiet", lang }, words);

export async function look(numero) {
  const turn = ++asked;
  $("numero").value = numero;
  found = { wait: true };
  show();
  const next = await ask(numero);
  // Somebody may have asked for another one since.
  if (turn !== asked) return;
  found = { numero, ...next };
  show();
}

async function ask(numero) {
  try {
    const answer = await fetch(`/orders/${encodeURIComponent(numero)}`, { headers: { accept: "application/json" } });
    if (answer.status === 404) return { unknown: true };
    return answer.ok ? { answer: await answer.json() } : { failure: await answer.text() };
  } catch {
    return { failure: "archd does not answer" };
  }
}

function live(it, answer) {
  const status = it.status_escaped || it.status_type;
  const shown = it.status_type === "missing" ? words.noStatus : el("code", {}, status);
  const what = it.delivered ? `, ${words.isDelivered}` : `, ${words.notDelivered(answer.delivered_status)}`;
  const passage = word(words.passage, it.watcher, "WATCHER_PASSAGE_");
  return [
    [words.liveOrder, el("code", {}, it.order_id_json), it.date_commande ? `, ${words.ordered(moment(date(it.date_commande)))}` : ""],
    [words.status, shown, what],
    !it.delivered && it.status_code_points && ["", el("code", {}, it.status_code_points)],
    it.difference && [words.difference, said(it.difference)],
    answer.orders.length > 1 && ["", said(it.summary)],
    it.watcher in { WATCHER_PASSAGE_PASSED: 1, WATCHER_PASSAGE_AHEAD: 1 } && [words.watcher, passage],
  ];
}

const archived = (it) => [
  [words.inTheArchive, words.archivedAt(moment(date(it.date_archivage)), it.archived_by), it.missing_fields.length ? `, ${words.missingFields(it.missing_fields.join(", "))}` : ""],
  it.differing_fields.length && ["", words.differing(it.differing_fields.join(", "))],
  it.detail && ["", said(it.detail)],
];

function card(answer) {
  const conclusion = answer.conclusion.replace("ORDER_CONCLUSION_", "");
  const mends = [...new Set(answer.orders.map((it) => it.mend).filter(Boolean))];
  // The command stands below, in one piece, so that it can be copied.
  const step = (text) => mends.reduce((text, mend) => text.replace(mend, "the command below"), text);
  return el(
    "article",
    {},
    el("h3", {}, el("span", { class: "mono" }, answer.numero_commande), tag(LEVELS[conclusion] ?? "bad", word(words.conclusions, conclusion))),
    el("p", { class: "message", lang: "en" }, answer.summary),
    facts(
      ...(answer.orders.length ? answer.orders.flatMap((it) => live(it, answer)) : [[words.liveOrder, words.noLive]]),
      ...(answer.archived.length ? answer.archived.flatMap(archived) : [[words.inTheArchive, words.notInArchive]]),
      ...answer.quarantined.map((it) => [words.quarantine, `${word(words.reasonsOfQuarantine, it.reason, "QUARANTINE_REASON_")}: `, said(it.detail)]),
      ...answer.replaced.map((it) => [words.replaced, `${moment(date(it.time))}, ${it.by}: `, said(it.reason)]),
      ...answer.acknowledgements.map((it) => [words.acknowledged, `${moment(date(it.time))}, ${it.by}: `, said(it.reason)]),
      [words.nextBatch, answer.next_batch_time ? moment(date(answer.next_batch_time)) : words.noSchedule],
      [words.toDo, ...(answer.advice.length ? answer.advice.map((text) => el("p", { class: "step", lang: "en" }, step(text))) : [words.nothingToDo])],
    ),
    ...mends.map((mend) => el("pre", { tabindex: 0, role: "region", "aria-label": "mongosh" }, mend)),
  );
}

export function show() {
  if (!found) return;
  const { wait, unknown, failure, answer, numero } = found;
  if (wait) fill($("answer"), note(words.looking));
  else if (unknown) fill($("answer"), note(words.unknownOrder(numero)));
  else if (failure) fill($("answer"), el("p", { class: "message" }, `${words.cannotLook}: `, said(failure)));
  else fill($("answer"), card(answer));
}

const wantedByAddress = () => {
  const [, numero] = location.hash.match(/^#order=(.+)$/) ?? [];
  try {
    return numero && decodeURIComponent(numero);
  } catch {
    return null;
  }
};

/** Looks up what the form, a number on the page or the address asks for. */
export function listen() {
  const followAddress = () => wantedByAddress() && look(wantedByAddress());
  const want = (numero) => {
    const hash = `#order=${encodeURIComponent(numero)}`;
    if (location.hash === hash) look(numero);
    else location.hash = hash;
  };
  $("search").addEventListener("submit", (event) => {
    event.preventDefault();
    const numero = $("numero").value.trim();
    if (numero) want(numero);
  });
  document.addEventListener("click", (event) => {
    const numero = event.target.closest?.("[data-order]")?.dataset.order;
    if (!numero) return;
    want(numero);
    $("numero").focus();
    $("search").scrollIntoView({ block: "center" });
  });
  addEventListener("hashchange", followAddress);
  followAddress();
}
