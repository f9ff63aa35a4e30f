// What the stories share: a browser, what is asked of the one who tells the story to happen to the
// server, and what every look at the page has to fulfil.

const fs = require("node:fs");
const readline = require("node:readline");
const { chromium } = require("playwright-core");

const AXE = fs.readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

const lines = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();

/** Has something happen to the server, and waits until it has. */
async function act(deed, what = []) {
  console.log(JSON.stringify({ act: deed, what }));
  const { value } = await lines.next();
  return JSON.parse(value);
}

function check(holds, ...why) {
  if (!holds) throw new Error(why.map((it) => (typeof it === "string" ? it : JSON.stringify(it, null, 1))).join(" "));
}

/** Opens the page as a reader of this language, theme and width, and notes whatever goes wrong. */
async function look(browser, address, { locale = "en-GB", colorScheme = "light", width = 1280, height = 900, path = "/", ...more } = {}) {
  const context = await browser.newContext({ locale, colorScheme, viewport: { width, height }, timezoneId: "Europe/Paris", reducedMotion: "reduce", ...more });
  const page = await context.newPage();
  const faults = [];
  page.on("pageerror", (error) => faults.push(`error: ${error.stack}`));
  page.on("console", (message) => {
    // That the server is away for a while is part of the story.
    if (message.type() === "error" && !/Failed to load resource|ERR_/.test(message.text())) faults.push(message.text());
  });
  page.on("request", (request) => {
    if (new URL(request.url()).host !== new URL(address).host) faults.push(`asked elsewhere: ${request.url()}`);
  });
  await page.goto(address + path);
  await page.waitForSelector('#link[data-level="ok"]');
  await page.waitForSelector("#figures dd");
  return { page, faults, context };
}

/** What no look at the page may show: faults of accessibility, words that are missing, and more than
 *  fits the width. */
async function judge(page, faults, of) {
  await page.evaluate(AXE);
  const rules = { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] };
  const { violations } = await page.evaluate((rules) => axe.run(document, rules), rules);
  const shown = violations.map(({ id, help, nodes }) => ({ id, help, nodes: nodes.map(({ html, failureSummary }) => [html.slice(0, 200), failureSummary]) }));
  check(shown.length === 0, of, "has faults of accessibility:", shown);
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  check(wide <= 0, of, `is ${wide} px wider than its window`);
  const text = await page.evaluate(() => document.body.innerText);
  const odd = text.match(/undefined|null|NaN|\[object|Invalid Date/);
  check(!odd, of, "shows", odd && text.slice(Math.max(odd.index - 60, 0), odd.index + 40));
  check(faults.length === 0, of, faults);
}

/** Tells a story in a browser of its own. */
async function tell(story) {
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"] });
  try {
    await story(browser, process.env.PAGE);
  } finally {
    await browser.close();
  }
}

module.exports = { act, check, judge, look, tell };
