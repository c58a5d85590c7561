// Elements, texts and numbers. Texts reach the page as text nodes only, never as markup.

const SVG = "http://www.w3.org/2000/svg";
const SHAPES = new Set(["svg", "rect", "path", "circle", "line", "g", "text", "title"]);

/** An element. Names that begin with `on` are listeners; `style` is an object; null and false are left out. */
export function h(tag, given = {}, ...children) {
  const isSvg = SHAPES.has(tag) && !(tag === "title");
  const node = isSvg ? document.createElementNS(SVG, tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(given ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "style") for (const [key, text] of Object.entries(value)) node.style.setProperty(key, text);
    else if (name === "value" && !isSvg) node.value = value;
    else if (["checked", "disabled", "hidden", "open", "draggable"].includes(name)) node[name] = value;
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat(3).filter((one) => one !== null && one !== undefined && one !== false));
  return node;
}

/** Replaces what an element contains. */
export function fill(node, ...children) {
  node.replaceChildren(...children.flat(3).filter((one) => one !== null && one !== undefined && one !== false));
  return node;
}

/** Says something to a screen reader. */
export function announce(text) {
  document.getElementById("announcer").textContent = text;
}

export function later(wait, action) {
  let timer = 0;
  return (...given) => {
    clearTimeout(timer);
    timer = setTimeout(() => action(...given), wait);
  };
}

const COUNT = new Intl.NumberFormat("en");
const SHORT = new Intl.NumberFormat("en", { maximumSignificantDigits: 4, useGrouping: false });

export const count = (value) => COUNT.format(value);
export const plural = (value, one, many = `${one}s`) => `${count(value)} ${value === 1 ? one : many}`;
export const percent = (value) => (value === null || value === undefined ? "–" : `${(100 * value).toFixed(1)} %`);
export const signed = (value, digits = 2) => `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(digits)}`;

/** Seconds as 3:25 or 1:02:07. */
export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  const whole = Math.round(seconds);
  const parts = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const texts = parts.map((part) => String(part).padStart(2, "0"));
  return parts[0] ? `${parts[0]}:${texts[1]}:${texts[2]}` : `${parts[1]}:${texts[2]}`;
}

const LABELS = {
  bpm: "Tempo in the catalog",
  duration_s: "Length",
  tempo_bpm: "Tempo",
  loudness_lufs: "Loudness",
  loudness_range_lu: "Loudness range",
  true_peak_dbtp: "True peak",
  tuning_cents: "Tuning",
  onset_rate_hz: "Onsets",
  silence_ratio: "Silence",
  leading_silence_s: "Silence at the start",
  trailing_silence_s: "Silence at the end",
  clipped_ratio: "Clipped",
};

/** A column's name for people: `duration_s` is Length. */
export function columnLabel(name) {
  return LABELS[name] ?? name.replaceAll("_", " ").replace(/^./, (letter) => letter.toUpperCase());
}

const UNITS = [
  ["_db", " dB"],
  ["_dbtp", " dBTP"],
  ["_rate_hz", " a second"],
  ["_hz", " Hz"],
  ["_lufs", " LUFS"],
  ["_lu", " LU"],
  ["_cents", " cents"],
  ["_s", " s"],
];

/** A value of a column, with its unit where the name tells it. */
export function columnValue(name, value) {
  if (value === null || value === undefined) return "–";
  if (typeof value === "object")
    return Array.isArray(value) ? value.map((one) => columnValue("", one)).join(", ") : JSON.stringify(value);
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (typeof value !== "number") return String(value);
  if (name === "duration_s") return duration(value);
  if (name === "year") return String(value);
  if (name.endsWith("bpm")) return `${Math.round(value)} bpm`;
  if (name.endsWith("_ratio")) return percent(value);
  if (name === "sample_rate") return `${count(value)} Hz`;
  const unit = UNITS.find(([end]) => name.endsWith(end))?.[1] ?? "";
  return (Number.isInteger(value) ? COUNT : SHORT).format(value).replace("-", "−") + unit;
}

/** A text of the catalog. It has its own direction, so that it does not turn what stands beside it. */
export const catalogText = (text) => h("bdi", {}, text);

/** A link to a view with its parameters. */
export function address(view, given = {}) {
  const parts = new URLSearchParams();
  for (const [name, value] of Object.entries(given)) for (const one of [value].flat()) if (one) parts.append(name, one);
  const text = parts.toString();
  return `#/${view}${text ? `?${text}` : ""}`;
}

const ICONS = {
  play: "M8 5v14l11-7z",
  add: "M11 5h2v6h6v2h-6v6h-2v-6H5v-2h6z",
  check: "M9.5 16.2 5.3 12l-1.4 1.4 5.6 5.6L20.6 7.9l-1.4-1.4z",
  close: "M18.3 7.1 16.9 5.7 12 10.6 7.1 5.7 5.7 7.1 10.6 12l-4.9 4.9 1.4 1.4 4.9-4.9 4.9 4.9 1.4-1.4-4.9-4.9z",
  up: "M12 7l-7 7 1.4 1.4L12 9.8l5.6 5.6L19 14z",
  down: "M12 17l7-7-1.4-1.4L12 14.2 6.4 8.6 5 10z",
  list: "M4 6h12v2H4zm0 5h12v2H4zm0 5h8v2H4zm14-3.5v7l-1-.1a2.3 2.3 0 1 1 1-2V9h4v2h-4z",
  theme: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zm0 2a7 7 0 0 1 0 14z",
};

export function icon(name) {
  return h(
    "svg",
    { viewBox: "0 0 24 24", class: "icon", "aria-hidden": "true" },
    h("path", { d: ICONS[name], fill: "currentColor" }),
  );
}

/** A button with an icon alone; its label is for screen readers and as a tooltip. */
export function iconButton(name, label, onclick, given = {}) {
  return h(
    "button",
    { type: "button", class: "round", "aria-label": label, title: label, onclick, ...given },
    icon(name),
  );
}

/** Colour of a category or of the n-th tag of a map: one of eight that style sheets define. */
export const colourOf = (place) => (place < 0 ? "var(--colour-other)" : `var(--colour-${place % 8})`);

/** The head of a view: its title, what it is, a line below it, and what can be done on the right. */
export const viewHead = (title, line, { over = null, tools = null } = {}) =>
  h(
    "header",
    { class: "head" },
    h("div", {}, over ? h("p", { class: "over" }, over) : null, h("h1", {}, title), h("p", { class: "faint" }, line)),
    tools,
  );

/** A state instead of content: empty, failed. */
export function notice(title, text, ...actions) {
  return h(
    "section",
    { class: "notice" },
    h("h2", {}, title),
    text ? h("p", {}, text) : null,
    actions.length ? h("p", { class: "row" }, actions) : null,
  );
}

/** A number with what it counts. */
export const tile = (value, label) =>
  h("div", { class: "tile" }, h("b", {}, value), h("span", { class: "faint" }, label));
