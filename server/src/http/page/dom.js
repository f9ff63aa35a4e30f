// Small ways to make and fill elements. Text is only ever set as text, never as markup.

const SVG = "http://www.w3.org/2000/svg";

export const $ = (id) => document.getElementById(id);

const filled = (element, attributes, children) => {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value == null) continue;
    element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child != null && child !== false));
  return element;
};

export const el = (name, attributes = {}, ...children) => filled(document.createElement(name), attributes, children);
export const svg = (name, attributes = {}, ...children) => filled(document.createElementNS(SVG, name), attributes, children);

/** Puts children in the place of those that are there, unless they look the same: what has the
 *  focus, or is selected, is not lost by a figure that did not change. */
export function fill(element, ...children) {
  const made = el("div", {}, ...children);
  if (made.innerHTML === element.innerHTML) return;
  const focused = element.contains(document.activeElement) ? document.activeElement.dataset.key : null;
  element.replaceChildren(...made.childNodes);
  if (focused) [...element.querySelectorAll("[data-key]")].find((it) => it.dataset.key === focused)?.focus();
}

export const text = (element, said) => {
  if (element.textContent !== said) element.textContent = said;
};

/** Text that the server says in English, whatever the page's language. */
export const said = (words, attributes = {}) => el("span", { lang: "en", ...attributes }, words);

/** Names and what they are; those without anything are left out. */
export const facts = (...rows) =>
  el("dl", { class: "facts" }, ...rows.filter((row) => row && row[1] != null && row[1] !== "").flatMap(([name, ...what]) => [el("dt", {}, name), el("dd", {}, ...what)]));

export const tag = (level, words) => el("span", { class: "tag", "data-level": level }, words);

/** A number that can be looked up. */
export const order = (numero, key) => el("button", { type: "button", class: "order", "data-order": numero, "data-key": `${key}/${numero}` }, numero);
