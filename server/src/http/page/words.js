// The page's words in both languages, and how each writes numbers, moments and lengths of time.

const EN = {
  colon: ": ",
  skip: "Skip to the verdict",
  figures: "Figures",
  search: "Where is an order?",
  numero: "Order number",
  look: "Look up",
  looking: "Looking…",
  ordersChart: "Archived orders, by quarter of an hour",
  latencyChart: "From delivered to archived",
  asTable: "The last 24 hours as a table",
  tableCaption: "Orders by the hour, the latest first",
  watcher: "Watcher",
  batch: "Latest batch",
  verification: "Latest verification",
  quarantine: "Quarantine",
  nearMisses: "Only looks delivered",
  events: "Live",
  archivedHour: "archived in the last hour",
  archivedDay: "archived in 24 h",
  inArchive: "in the archive",
  lag: "behind the database",
  latency: "99 % archived within, last hour",
  inQuarantine: "in quarantine",
  perSecond: (n) => `${n} a second at the moment`,
  errorsDay: (n) => `${n} new in 24 h`,
  incompleteDay: (n) => `${n} with fields missing`,
  longerThan: (t) => `over ${t}`,
  noLatency: "none measured",
  archived: "Archived",
  errors: "To quarantine",
  within: (t) => `within ${t}`,
  longer: "longer",
  nothing: "Nothing in the last 24 hours.",
  hour: "Hour",
  incomplete: "Fields missing",
  readoutOrders: (from, to, n, e) => `${from} – ${to}: ${n} archived${e ? `, ${e} to quarantine` : ""}`,
  readoutLatency: (from, to, parts) => `${from} – ${to}: ${parts || "none measured"}`,
  live: "Live",
  connecting: "Connecting…",
  staleSince: (t) => `No news from archd since ${t}; trying again`,
  since: (t) => `since ${t}`,
  ago: (t) => `${t} ago`,
  verdicts: {
    unknown: "Not known yet",
    stale: "Not known: archd does not answer",
    away: "Not known: the database does not answer",
    ok: "Everything delivered is archived",
    okByBatch: "Batches archive what is delivered; nothing is amiss",
    waiting: (n) => `${n} delivered orders wait to be archived`,
    waitingOne: "1 delivered order waits to be archived",
    missing: (n) => `All but ${n} delivered orders are archived`,
    missingOne: "All but one delivered order are archived",
    warn: "Delivered orders are archived, and something needs a look",
    bad: "Something is wrong",
  },
  asOf: (t) => `As of ${t}, by the database's clock.`,
  lastKnown: (t) => `What follows is from ${t}.`,
  levels: { bad: "Alarm", warn: "Look", note: "Note" },
  reasons: {
    away: (text, t) => `The database cannot be read${t ? ` since ${t}` : ""}: ${text}`,
    denied: (what, more) => `The database user lacks a privilege (${what})${more ? `, and ${more} more` : ""}.`,
    nobody: "Nobody watches: orders are archived by batches only.",
    paused: "The watcher is paused.",
    stopped: "No instance watches any more.",
    retrying: "The watcher tries again after a fault.",
    unsupported: "The watcher cannot work on this database.",
    starting: "The watcher starts.",
    waiting: (n, more) => `${more ? "At least " : ""}${n} delivered orders wait until somebody watches again.`,
    lag: (t) => `The watcher is ${t} behind.`,
    gap: "The watcher missed a part of the history; a batch makes up for it.",
    quarantine: (n) => `${n} in quarantine: delivered, and cannot be archived as they are.`,
    near: (n) => `${n} with a status that only looks delivered.`,
    batchFailed: "The latest batch failed.",
    batchUnbalanced: "The books of the latest batch do not balance.",
    notVerified: "The latest verification found differences.",
    verificationFailed: "The latest verification came to no verdict.",
    verificationOld: (t) => `The latest verification is ${t} old.`,
    gone: (n) => `${n} deleted in the last 24 h before they could be archived.`,
    unreadable: (n) => `${n} of archd's own documents cannot be read; figures may be missing.`,
    late: (n) => `${n} took longer than 30 s in the last hour.`,
  },
  watcherStates: { STARTING: "Starting", CATCHING_UP: "Catching up", WATCHING: "Watching", PAUSED: "Paused", RETRYING: "Trying again", UNSUPPORTED: "Impossible here", STOPPED: "Nobody watches" },
  jobStates: { PENDING: "Waiting to begin", RUNNING: "Running", CANCELLING: "Stopping", SUCCEEDED: "Succeeded", FAILED: "Failed", CANCELLED: "Stopped" },
  verdictWords: { VERIFIED: "Verified", NOT_VERIFIED: "Not verified" },
  by: "Instance",
  position: "Archived up to",
  lastOrder: "Last order",
  waitingOrders: "Waiting",
  atLeast: (n) => `at least ${n}`,
  askedBy: "Last asked by",
  lastError: "Latest fault",
  gaps: "Open gaps",
  nextBatch: "Next batch",
  noSchedule: "none is scheduled here",
  progress: "Progress",
  ofTotal: (n, total) => `${n} of about ${total}`,
  speed: "Speed",
  aSecond: (n) => `${n} a second`,
  throttle: "Held back",
  counts: "Orders",
  countsBatch: (found, archived, duplicates, errors) => `${found} met: ${archived} archived, ${duplicates} were already, ${errors} to quarantine`,
  countsVerification: (verified, delivered) => `${verified} of ${delivered} delivered orders verified`,
  began: "Began",
  ended: "Ended",
  took: (t) => `took ${t}`,
  warnings: "Warnings",
  ledger: "In the ledger as",
  noBatch: "There was none.",
  noVerification: "There was none.",
  differences: { missing: "missing", altered: "altered", doubled: "doubled", damaged: "damaged" },
  quarantineEmpty: "Empty: every delivered order could be archived.",
  quarantineMore: (n) => `and ${n} more: archctl quarantine list`,
  reasonsOfQuarantine: { NO_USABLE_NUMBER: "no usable number", NUMBER_CONFLICT: "number taken", TOO_LARGE: "too large", REFUSED: "refused by the database" },
  noNumber: "no number",
  tries: (n, t) => `${n === 1 ? "tried once" : `tried ${n} times`}, last ${t}`,
  nearEmpty: "None, as of the latest batch.",
  nearUnknown: "No batch has looked yet.",
  nearOrders: (n) => (n === 1 ? "1 order" : `${n} orders`),
  nearMore: (n) => `and ${n} other statuses: archctl stats --near-misses`,
  eventsEmpty: "Nothing has happened since this page was opened.",
  leftOut: (n) => `… and ${n} more, faster than anybody reads`,
  kinds: {
    ARCHIVED: "archived", INCOMPLETE: "archived, fields missing", CONFLICT: "to quarantine, number taken", QUARANTINED: "to quarantine",
    BATCH_STARTED: "A batch began", BATCH_PROGRESS: "Batch", BATCH_FINISHED: "A batch ended",
    WATCHER_STATE: "Watcher", GAP_OPENED: "The watcher found a gap", GAP_CLOSED: "The gap is closed", GONE: "deleted before they could be read",
    WATCHER_ASKED: "The watcher was asked", WATCHER_PARTITION: "Partition of the watch", RELEASED: "left quarantine",
    VERIFICATION_STARTED: "A verification began", VERIFICATION_PROGRESS: "Verification", VERIFICATION_FINISHED: "A verification ended",
  },
  askedPause: "to pause", askedResume: "to go on",
  met: (n) => `${n} orders met`,
  unknownOrder: (n) => `Nothing is known of ${n}: it is neither live, archived nor in quarantine.`,
  cannotLook: "It could not be looked up",
  conclusions: {
    ARCHIVED_TWICE: "Archived twice", SEVERAL_ORDERS: "Several orders have this number", OTHER_NUMBER: "Archived under another number",
    NO_LONGER_DELIVERED: "Archived, and no longer delivered", DIFFERENT: "Archived, and not the same as the live order",
    ARCHIVED_IN_PART: "Archived in part, by an older program", DAMAGED: "Archived, and its notes are at fault", OTHER_ID: "Archived under another _id",
    ARCHIVED: "Archived", ARCHIVED_ALONE: "Archived; the live order is gone", QUARANTINED: "In quarantine", NUMBER_TAKEN: "Not archived: the number is taken",
    NOT_ARCHIVED: "Delivered, and not archived yet", NEAR_MISS: "Not archived: the status only looks delivered", NOT_DELIVERED: "Not delivered yet", GONE: "Gone: only records are left",
  },
  status: "Status",
  noStatus: "none",
  isDelivered: "exactly the delivered one",
  notDelivered: (d) => `not “${d}”`,
  difference: "Difference",
  liveOrder: "Live order",
  noLive: "none",
  ordered: (t) => `ordered ${t}`,
  inTheArchive: "Archive",
  notInArchive: "not archived",
  archivedAt: (t, by) => `${t}${by ? `, by ${by}` : ""}`,
  missingFields: (f) => `without ${f}`,
  differing: (f) => `differs in ${f}`,
  passage: { PASSED: "has passed it by", AHEAD: "has not got there yet" },
  toDo: "To do",
  nothingToDo: "nothing",
  replaced: "Replaced by a repair",
  acknowledged: "Acknowledged",
  foot: (name, version) => `archd ${version} on ${name}. This page only reads; archctl also acts.`,
  units: { d: "d", h: "h", min: "min", s: "s", ms: "ms" },
};

const FR = {
  colon: " : ",
  skip: "Aller au verdict",
  figures: "Chiffres",
  search: "Où est une commande ?",
  numero: "Numéro de commande",
  look: "Chercher",
  looking: "Recherche…",
  ordersChart: "Commandes archivées, par quart d’heure",
  latencyChart: "De la livraison à l’archivage",
  asTable: "Les dernières 24 heures en tableau",
  tableCaption: "Commandes par heure, les plus récentes d’abord",
  watcher: "Surveillance",
  batch: "Dernier lot",
  verification: "Dernière vérification",
  quarantine: "Quarantaine",
  nearMisses: "Semble seulement livrée",
  events: "En direct",
  archivedHour: "archivées en une heure",
  archivedDay: "archivées en 24 h",
  inArchive: "dans l’archive",
  lag: "de retard sur la base",
  latency: "pour archiver 99 %, dernière heure",
  inQuarantine: "en quarantaine",
  perSecond: (n) => `${n} par seconde en ce moment`,
  errorsDay: (n) => `${n} de plus en 24 h`,
  incompleteDay: (n) => `${n} avec des champs absents`,
  longerThan: (t) => `plus de ${t}`,
  noLatency: "aucune mesure",
  archived: "Archivées",
  errors: "En quarantaine",
  within: (t) => `en ${t} au plus`,
  longer: "plus longtemps",
  nothing: "Rien ces dernières 24 heures.",
  hour: "Heure",
  incomplete: "Champs absents",
  readoutOrders: (from, to, n, e) => `${from} – ${to} : ${n} archivées${e ? `, ${e} en quarantaine` : ""}`,
  readoutLatency: (from, to, parts) => `${from} – ${to} : ${parts || "aucune mesure"}`,
  live: "En direct",
  connecting: "Connexion…",
  staleSince: (t) => `Sans nouvelles d’archd depuis ${t} ; nouvel essai en cours`,
  since: (t) => `depuis ${t}`,
  ago: (t) => `il y a ${t}`,
  verdicts: {
    unknown: "Pas encore connu",
    stale: "Inconnu : archd ne répond pas",
    away: "Inconnu : la base de données ne répond pas",
    ok: "Tout ce qui est livré est archivé",
    okByBatch: "Les lots archivent ce qui est livré ; rien à signaler",
    waiting: (n) => `${n} commandes livrées attendent d’être archivées`,
    waitingOne: "1 commande livrée attend d’être archivée",
    missing: (n) => `Toutes les commandes livrées sont archivées, sauf ${n}`,
    missingOne: "Toutes les commandes livrées sont archivées, sauf une",
    warn: "Les commandes livrées sont archivées, mais un point est à regarder",
    bad: "Quelque chose ne va pas",
  },
  asOf: (t) => `À ${t}, selon l’horloge de la base.`,
  lastKnown: (t) => `Ce qui suit date de ${t}.`,
  levels: { bad: "Alarme", warn: "À voir", note: "Note" },
  reasons: {
    away: (text, t) => `La base ne peut pas être lue${t ? ` depuis ${t}` : ""} : ${text}`,
    denied: (what, more) => `Il manque un privilège à l’utilisateur de la base (${what})${more ? `, et ${more} de plus` : ""}.`,
    nobody: "Personne ne surveille : seuls les lots archivent.",
    paused: "La surveillance est en pause.",
    stopped: "Plus aucune instance ne surveille.",
    retrying: "La surveillance reprend après une panne.",
    unsupported: "La surveillance est impossible sur cette base.",
    starting: "La surveillance démarre.",
    waiting: (n, more) => `${more ? "Au moins " : ""}${n} commandes livrées attendent que la surveillance reprenne.`,
    lag: (t) => `La surveillance a ${t} de retard.`,
    gap: "La surveillance a manqué une partie de l’historique ; un lot la rattrape.",
    quarantine: (n) => `${n} en quarantaine : livrées, mais impossibles à archiver telles quelles.`,
    near: (n) => `${n} dont le statut semble seulement livré.`,
    batchFailed: "Le dernier lot a échoué.",
    batchUnbalanced: "Les comptes du dernier lot ne sont pas justes.",
    notVerified: "La dernière vérification a trouvé des écarts.",
    verificationFailed: "La dernière vérification n’a rendu aucun verdict.",
    verificationOld: (t) => `La dernière vérification date d’il y a ${t}.`,
    gone: (n) => `${n} supprimées ces dernières 24 h avant d’avoir pu être archivées.`,
    unreadable: (n) => `${n} documents d’archd sont illisibles ; des chiffres peuvent manquer.`,
    late: (n) => `${n} ont mis plus de 30 s pendant la dernière heure.`,
  },
  watcherStates: { STARTING: "Démarre", CATCHING_UP: "Rattrape", WATCHING: "Surveille", PAUSED: "En pause", RETRYING: "Nouvel essai", UNSUPPORTED: "Impossible ici", STOPPED: "Personne ne surveille" },
  jobStates: { PENDING: "En attente", RUNNING: "En cours", CANCELLING: "S’arrête", SUCCEEDED: "Réussi", FAILED: "Échoué", CANCELLED: "Arrêté" },
  verdictWords: { VERIFIED: "Vérifié", NOT_VERIFIED: "Non vérifié" },
  by: "Instance",
  position: "Archivé jusqu’à",
  lastOrder: "Dernière commande",
  waitingOrders: "En attente",
  atLeast: (n) => `au moins ${n}`,
  askedBy: "Dernière demande",
  lastError: "Dernière panne",
  gaps: "Lacunes ouvertes",
  nextBatch: "Prochain lot",
  noSchedule: "aucun n’est prévu ici",
  progress: "Avancement",
  ofTotal: (n, total) => `${n} sur environ ${total}`,
  speed: "Vitesse",
  aSecond: (n) => `${n} par seconde`,
  throttle: "Ralenti",
  counts: "Commandes",
  countsBatch: (found, archived, duplicates, errors) => `${found} vues : ${archived} archivées, ${duplicates} l’étaient déjà, ${errors} en quarantaine`,
  countsVerification: (verified, delivered) => `${verified} commandes livrées vérifiées sur ${delivered}`,
  began: "Début",
  ended: "Fin",
  took: (t) => `durée ${t}`,
  warnings: "Avertissements",
  ledger: "Au registre sous",
  noBatch: "Il n’y en a pas eu.",
  noVerification: "Il n’y en a pas eu.",
  differences: { missing: "manquantes", altered: "modifiées", doubled: "en double", damaged: "abîmées" },
  quarantineEmpty: "Vide : toutes les commandes livrées ont pu être archivées.",
  quarantineMore: (n) => `et ${n} de plus : archctl quarantine list`,
  reasonsOfQuarantine: { NO_USABLE_NUMBER: "sans numéro utilisable", NUMBER_CONFLICT: "numéro déjà pris", TOO_LARGE: "trop grande", REFUSED: "refusée par la base" },
  noNumber: "sans numéro",
  tries: (n, t) => `${n === 1 ? "essayée une fois" : `essayée ${n} fois`}, la dernière ${t}`,
  nearEmpty: "Aucune, selon le dernier lot.",
  nearUnknown: "Aucun lot n’a encore regardé.",
  nearOrders: (n) => (n === 1 ? "1 commande" : `${n} commandes`),
  nearMore: (n) => `et ${n} autres statuts : archctl stats --near-misses`,
  eventsEmpty: "Rien ne s’est passé depuis l’ouverture de cette page.",
  leftOut: (n) => `… et ${n} de plus, trop vite pour être lues`,
  kinds: {
    ARCHIVED: "archivée", INCOMPLETE: "archivée, champs absents", CONFLICT: "en quarantaine, numéro pris", QUARANTINED: "en quarantaine",
    BATCH_STARTED: "Un lot commence", BATCH_PROGRESS: "Lot", BATCH_FINISHED: "Un lot est fini",
    WATCHER_STATE: "Surveillance", GAP_OPENED: "La surveillance a une lacune", GAP_CLOSED: "La lacune est comblée", GONE: "supprimées avant d’avoir pu être lues",
    WATCHER_ASKED: "Demande à la surveillance", WATCHER_PARTITION: "Partition de la surveillance", RELEASED: "sortie de quarantaine",
    VERIFICATION_STARTED: "Une vérification commence", VERIFICATION_PROGRESS: "Vérification", VERIFICATION_FINISHED: "Une vérification est finie",
  },
  askedPause: "pause", askedResume: "reprise",
  met: (n) => `${n} commandes vues`,
  unknownOrder: (n) => `Rien n’est connu de ${n} : ni commande, ni archive, ni quarantaine.`,
  cannotLook: "La recherche n’a pas abouti",
  conclusions: {
    ARCHIVED_TWICE: "Archivée deux fois", SEVERAL_ORDERS: "Plusieurs commandes ont ce numéro", OTHER_NUMBER: "Archivée sous un autre numéro",
    NO_LONGER_DELIVERED: "Archivée, et n’est plus livrée", DIFFERENT: "Archivée, mais différente de la commande",
    ARCHIVED_IN_PART: "Archivée en partie, par un ancien programme", DAMAGED: "Archivée, mais ses notes sont fautives", OTHER_ID: "Archivée sous un autre _id",
    ARCHIVED: "Archivée", ARCHIVED_ALONE: "Archivée ; la commande n’existe plus", QUARANTINED: "En quarantaine", NUMBER_TAKEN: "Non archivée : le numéro est pris",
    NOT_ARCHIVED: "Livrée, pas encore archivée", NEAR_MISS: "Non archivée : le statut semble seulement livré", NOT_DELIVERED: "Pas encore livrée", GONE: "Disparue : il n’en reste que des traces",
  },
  status: "Statut",
  noStatus: "aucun",
  isDelivered: "exactement celui d’une commande livrée",
  notDelivered: (d) => `n’est pas « ${d} »`,
  difference: "Différence",
  liveOrder: "Commande",
  noLive: "aucune",
  ordered: (t) => `passée le ${t}`,
  inTheArchive: "Archive",
  notInArchive: "non archivée",
  archivedAt: (t, by) => `${t}${by ? `, par ${by}` : ""}`,
  missingFields: (f) => `sans ${f}`,
  differing: (f) => `diffère par ${f}`,
  passage: { PASSED: "est passée devant", AHEAD: "n’y est pas encore" },
  toDo: "À faire",
  nothingToDo: "rien",
  replaced: "Remplacée par une réparation",
  acknowledged: "Acceptée",
  foot: (name, version) => `archd ${version} sur ${name}. Cette page ne fait que lire ; archctl agit aussi.`,
  units: { d: "j", h: "h", min: "min", s: "s", ms: "ms" },
};

const LANGUAGES = { en: EN, fr: FR };
const KEPT = "language";

const kept = () => {
  try {
    return localStorage.getItem(KEPT);
  } catch {
    return null; // Where a browser keeps nothing, its own language counts.
  }
};

const wanted = [kept(), ...(navigator.languages ?? [navigator.language])];
const known = wanted.map((tag) => tag?.slice(0, 2).toLowerCase()).find((tag) => tag in LANGUAGES);

let language = known ?? "en";
export let words = LANGUAGES[language];
let formats;

const prepare = () => {
  // A browser set to French of Canada, say, writes numbers as there.
  const locale = wanted.find((tag) => tag?.toLowerCase().startsWith(`${language}-`)) ?? { en: "en-GB", fr: "fr-FR" }[language];
  const date = (options) => new Intl.DateTimeFormat(locale, options);
  formats = {
    whole: new Intl.NumberFormat(locale, { maximumFractionDigits: 0 }),
    tenths: new Intl.NumberFormat(locale, { maximumFractionDigits: 1 }),
    // Only Americans write a million with a capital, and only so it is no metre.
    compact: new Intl.NumberFormat(language === "en" ? "en-US" : locale, { notation: "compact", maximumFractionDigits: 2 }),
    percent: new Intl.NumberFormat(locale, { style: "percent", maximumFractionDigits: 0 }),
    minute: date({ hour: "2-digit", minute: "2-digit" }),
    second: date({ hour: "2-digit", minute: "2-digit", second: "2-digit" }),
    moment: date({ day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" }),
    list: new Intl.ListFormat(locale),
  };
  document.documentElement.lang = language;
};
prepare();

export const languageNow = () => language;

export function speak(tag) {
  language = tag;
  words = LANGUAGES[tag];
  try {
    localStorage.setItem(KEPT, tag);
  } catch {
    // It is spoken until the page is left.
  }
  prepare();
}

export const whole = (number) => formats.whole.format(number ?? 0);
export const tenths = (number) => formats.tenths.format(number ?? 0);
export const compact = (number) => (Math.abs(number) < 10_000 ? whole(number) : formats.compact.format(number));
export const percent = (share) => formats.percent.format(share);
export const list = (texts) => formats.list.format(texts);

export const date = (text) => (text ? new Date(text) : null);
export const minute = (moment) => formats.minute.format(moment);
export const second = (moment) => formats.second.format(moment);

/** A moment: by the clock if it is of the last hours, else with its day. */
export function moment(moment) {
  if (!moment) return "–";
  const hours = Math.abs(Date.now() - moment) / 3_600_000;
  return hours < 12 ? second(moment) : formats.moment.format(moment);
}

/** The seconds of a length of time such as `3.5s`. */
export const seconds = (text) => (text ? Number.parseFloat(text) : null);

/** A length of time in its two largest units at most. */
export function length(seconds) {
  const u = words.units;
  if (seconds === 0) return `0 ${u.s}`;
  if (seconds < 1) return `${whole(seconds * 1000)} ${u.ms}`;
  if (seconds < 10) return `${tenths(seconds)} ${u.s}`;
  const whole_ = Math.round(seconds);
  if (whole_ < 60) return `${whole_} ${u.s}`;
  const parts = [[Math.floor(whole_ / 86_400), u.d], [Math.floor(whole_ / 3_600) % 24, u.h], [Math.floor(whole_ / 60) % 60, u.min], [whole_ % 60, u.s]];
  const first = parts.findIndex(([count]) => count > 0);
  return parts.slice(first, first + 2).filter(([count]) => count > 0).map(([count, unit]) => `${count} ${unit}`).join(" ");
}

/** The word for a value of an enumeration; the value itself where there is none. */
export const word = (table, value, prefix) => {
  const name = (value ?? "").replace(prefix, "");
  return table[name] ?? name.toLowerCase().replaceAll("_", " ");
};
