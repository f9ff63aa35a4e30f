// Makes the pictures of the page that the documents show.

const path = require("node:path");
const { act, look, tell } = require("./browser.js");

const PICTURES = [
  ["page-light.png", { locale: "en-GB", colorScheme: "light", width: 1280 }],
  ["page-dark-fr.png", { locale: "fr-FR", colorScheme: "dark", width: 1280 }],
  ["page-phone.png", { locale: "en-GB", colorScheme: "light", width: 390, deviceScaleFactor: 2 }, true],
];

tell(async (browser, address) => {
  let next = 4_702;
  for (const [name, how, isPhone] of PICTURES) {
    const { page, context } = await look(browser, address, { ...how, path: "/#order=CMD-2026-004699" });
    await page.waitForSelector("#answer article");
    for (let orders = 0; orders < 8; orders++) await act("deliver", [`CMD-2026-00${next++}`]);
    await page.waitForFunction(() => document.querySelectorAll("#events li time").length === 8);
    await page.evaluate(() => scrollTo(0, 0));
    const file = path.join(process.env.PICTURES, name);
    await page.screenshot(isPhone ? { path: file, clip: { x: 0, y: 0, width: how.width, height: 1500 }, fullPage: true } : { path: file, fullPage: true });
    await context.close();
  }
}).then(
  () => process.exit(0),
  (error) => {
    console.log(error.stack);
    process.exit(1);
  },
);
