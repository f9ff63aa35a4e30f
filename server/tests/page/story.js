// The page in a real browser: it says what goes on while it goes on, in both languages and themes,
// at the width of a phone, to the keyboard and to screen readers.

const { act, check, judge, look, tell } = require("./browser.js");

const text = (page, selector) => page.locator(selector).innerText();
const whole = (text) => Number(text.replace(/[^0-9]/g, ""));

/** Waits until a text of the page fulfils a condition. */
async function until(page, selector, fulfils, why) {
  let last;
  for (let tries = 0; tries < 200; tries++) {
    last = await page.locator(selector).first().innerText({ timeout: 10_000 });
    if (fulfils(last)) return last;
    await page.waitForTimeout(100);
  }
  throw new Error(`${why}: ${last}`);
}

const verdict = (page, fulfils) => until(page, "#verdict-title", fulfils, "the verdict stays");

async function looks(browser, address) {
  const grounds = new Set();
  for (const [locale, ok, archive] of [["en-GB", "Everything delivered is archived", /1,2\d\d/], ["fr-FR", "Tout ce qui est livré est archivé", /1[\u202f\u00a0]2\d\d/]]) {
    for (const colorScheme of ["light", "dark"]) {
      for (const width of [1280, 360]) {
        const of = `${locale}, ${colorScheme}, ${width} px`;
        const { page, faults, context } = await look(browser, address, { locale, colorScheme, width });
        await verdict(page, (title) => title === ok);
        check((await page.getAttribute("html", "lang")) === locale.slice(0, 2), of);
        const figures = await text(page, "#figures");
        check(archive.test(figures), of, "writes numbers its own way:", figures);
        grounds.add(await page.evaluate(() => getComputedStyle(document.body).backgroundColor));
        await page.locator("summary[data-words=asTable]").click();
        await page.waitForSelector("#table-body tr");
        await judge(page, faults, of);
        await context.close();
      }
    }
  }
  check(grounds.size === 2, "each theme has its own ground:", [...grounds]);
}

async function figuresChange({ page }) {
  const archived = async () => whole(await page.locator("#figures dd").first().innerText());
  const before = await archived();
  await act("deliver", ["CMD-LIVE-1", "CMD-LIVE-2", "CMD-LIVE-3"]);
  await until(page, "#figures dd >> nth=0", (now) => whole(now) === before + 3, "the figures stay");
  await until(page, "#events", (events) => events.includes("CMD-LIVE-3"), "no event is shown");
  await until(page, "#watcher", (watcher) => watcher.includes("Watching"), "nobody watches");
  // Again, on the same page: it goes on by itself.
  await act("deliver", ["CMD-LIVE-4"]);
  await until(page, "#figures dd >> nth=0", (now) => whole(now) === before + 4, "the figures stay");
  check((await page.locator('#orders-plot rect[class="fill-bar"]').count()) > 0, "no bar is drawn");
  check((await page.locator("#latency-plot rect").count()) > 0, "no latency is drawn");
}

async function searchByKeyboard({ page, faults }) {
  await page.reload();
  await page.waitForSelector("#figures dd");
  await page.keyboard.press("Tab");
  check((await page.evaluate(() => document.activeElement.className)) === "skip", "the first stop leads past the head");
  await page.locator("#numero").focus();
  await page.keyboard.type("CMD-LIVE-1");
  await page.keyboard.press("Enter");
  await until(page, "#answer", (answer) => answer.includes("Archived") && answer.includes("exactly the delivered one"), "the order is not told");
  check(page.url().endsWith("#order=CMD-LIVE-1"), page.url());
  await judge(page, faults, "an order that is archived");
  // The address leads there again.
  await page.reload();
  await until(page, "#answer", (answer) => answer.includes("CMD-LIVE-1"), "the address leads nowhere");
  await page.locator("#numero").fill("CMD-NOBODY");
  await page.keyboard.press("Enter");
  await until(page, "#answer", (answer) => answer.includes("Nothing is known of CMD-NOBODY"), "an unknown number is not told");
}

async function chartsByKeyboard({ page }) {
  for (const name of ["orders", "latency"]) {
    const plot = page.locator(`#${name}-plot`);
    await plot.focus();
    const at = async () => Number(await plot.getAttribute("aria-valuenow"));
    const [last, said] = [await at(), await plot.getAttribute("aria-valuetext")];
    check(/[1-9]/.test(said) && said.includes(":"), "a screen reader hears the step:", said);
    await page.keyboard.press("ArrowLeft");
    check((await at()) === last - 1, name, "steps back");
    await page.keyboard.press("Home");
    check((await at()) === 1, name, "goes to the beginning");
    check((await page.locator(`#${name}-readout`).innerText()) === (await plot.getAttribute("aria-valuetext")), "eyes and ears are told the same");
    await page.keyboard.press("End");
    check((await at()) === last, name, "goes to the end");
  }
}

async function whatIsAmiss({ page, faults }) {
  await act("poison");
  await verdict(page, (title) => title === "All but one delivered order are archived");
  check((await page.getAttribute("#verdict", "data-level")) === "warn");
  await until(page, "#quarantine", (text) => text.includes("no usable number"), "the quarantine is not told");
  await act("near", ["CMD-NEAR"]);
  await until(page, "#near", (text) => text.includes("Livrée") && text.includes("CMD-NEAR"), "the near miss is not told");
  await page.locator('#near button[data-order="CMD-NEAR"]').click();
  await until(page, "#answer", (text) => text.includes("only looks delivered") && text.includes("U+004C"), "the near miss is not explained");
  check((await page.locator("#answer pre").innerText()).includes("updateMany"), "the mend stands in one piece");
  await act("pause");
  await verdict(page, (title) => title === "Something is wrong");
  await act("deliver unwatched", ["CMD-WAIT-1", "CMD-WAIT-2"]);
  await verdict(page, (title) => title === "2 delivered orders wait to be archived");
  check((await text(page, "#reasons")).includes("The watcher is paused."), await text(page, "#reasons"));
  check((await page.getAttribute("#verdict", "data-level")) === "bad");
  await judge(page, faults, "what is amiss");
  await page.emulateMedia({ colorScheme: "dark" });
  await judge(page, faults, "what is amiss, in the dark");
  await page.emulateMedia({ colorScheme: "light" });
  await page.setViewportSize({ width: 360, height: 740 });
  await judge(page, faults, "what is amiss, on a phone");
  await page.setViewportSize({ width: 1280, height: 900 });
  await act("resume");
  await verdict(page, (title) => title.startsWith("All but one"));
}

async function languages({ page, faults }) {
  await page.locator('[data-language="fr"]').click();
  await verdict(page, (title) => title === "Toutes les commandes livrées sont archivées, sauf une");
  check((await page.getAttribute("html", "lang")) === "fr");
  check((await text(page, "#watcher")).includes("Surveille"), await text(page, "#watcher"));
  check((await text(page, "#answer")).includes("le statut semble seulement livré"), await text(page, "#answer"));
  await judge(page, faults, "the other language");
  await page.reload();
  await verdict(page, (title) => title.startsWith("Toutes"));
  await page.locator('[data-language="en"]').click();
}

async function restart({ page, faults }) {
  await page.evaluate(() => (window.isTheSame = true));
  await act("stop");
  await until(page, "#link", (text) => text.startsWith("No news from archd since"), "silence is not told");
  await verdict(page, (title) => title === "Not known: archd does not answer");
  check((await page.getAttribute("#verdict", "data-level")) === "unknown");
  await act("start");
  await until(page, "#link", (text) => text === "Live", "the page stays away");
  await act("deliver", ["CMD-AFTER"]);
  await until(page, "#events", (text) => text.includes("CMD-AFTER"), "nothing is heard after a restart");
  check(await page.evaluate(() => window.isTheSame), "it came back without being loaded anew");
  await judge(page, faults, "after a restart");
}

tell(async (browser, address) => {
  await looks(browser, address);
  console.log("looks hold");
  const seen = await look(browser, address);
  for (const part of [figuresChange, searchByKeyboard, chartsByKeyboard, whatIsAmiss, languages, restart]) {
    await part(seen);
    console.log(`${part.name} holds`);
  }
}).then(
  () => process.exit(0),
  (error) => {
    console.log(error.stack);
    process.exit(1);
  },
);
