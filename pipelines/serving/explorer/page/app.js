// The frame of the page: views by the address, header, keys, sign-in.

import { address, announce, fill, h, icon, iconButton, notice } from "./dom.js";
import { openSource } from "./source.js";
import { Player } from "./player.js";
import { Playlist } from "./views/playlist.js";
import { searchView } from "./views/search.js";
import { artistView, trackView } from "./views/details.js";
import { mapView } from "./views/map.js";
import { changesView } from "./views/changes.js";
import { qualityView } from "./views/quality.js";
import { tagsView } from "./views/taxonomy.js";
import { keysDialog, signInView } from "./dialogs.js";

const VIEWS = {
  search: searchView,
  track: trackView,
  artist: artistView,
  map: mapView,
  tags: tagsView,
  quality: qualityView,
  changes: changesView,
};
const NAMED = { search: "Search", map: "Map", tags: "Tags", quality: "Quality", changes: "Changes" };

const main = document.getElementById("main");
const context = {
  source: null,
  start: null,
  player: null,
  playlist: new Playlist(),
  tagNames: new Map(),
  categories: [],
  query: "",
};
let leave = () => {};

function place() {
  const [path, text] = location.hash.replace(/^#\/?/, "").split("?");
  return { view: path || "search", parameters: new URLSearchParams(text ?? "") };
}

async function show() {
  leave();
  leave = () => {};
  const { view, parameters } = place();
  if (view === "search") context.query = location.hash;
  drawHeader(view);
  const isLate = setTimeout(() => fill(main, h("p", { class: "waiting", role: "status" }, "Loading …")), 150);
  let isCurrent = true;
  leave = () => (isCurrent = false);
  try {
    if (view === "playlist") fill(main, context.playlist.view(context));
    else {
      const shown = await (VIEWS[view] ?? lostView)(context, parameters);
      if (!isCurrent) return;
      fill(main, shown);
      leave = () => {
        isCurrent = false;
        shown.dispatchEvent(new Event("leave"));
      };
      shown.dispatchEvent(new Event("shown"));
    }
    const title = main.querySelector("h1")?.textContent ?? "Catalog explorer";
    document.title = title === "Catalog explorer" ? title : `${title} · Catalog explorer`;
    announce(title);
    if (view !== "search") scrollTo(0, 0);
  } catch (error) {
    if (isCurrent) fill(main, failed(error));
  } finally {
    clearTimeout(isLate);
  }
}

async function lostView() {
  return notice(
    "There is no such page",
    "The address names no view.",
    h("a", { class: "button", href: "#/search" }, "Search"),
  );
}

function failed(error) {
  if (error.status === 401 && !context.source.isExport) return signInView(context, begin);
  const again = h("button", { type: "button", onclick: show }, "Try again");
  if (error.status === undefined) console.error(error);
  return notice(
    error.title ?? "The page failed",
    error.detail ?? String(error),
    again,
    h("a", { class: "button", href: "#/search" }, "Search"),
  );
}
context.failed = failed;

function drawHeader(view) {
  const links = Object.entries(NAMED).map(([name, label]) =>
    h(
      "a",
      {
        href: name === "search" && view !== "search" ? context.query || "#/search" : `#/${name}`,
        "aria-current": name === view ? "page" : null,
      },
      label,
    ),
  );
  fill(document.getElementById("views"), links);
  const size = context.playlist.tracks.length;
  const list = h(
    "a",
    { class: "button quiet", href: "#/playlist", "aria-current": view === "playlist" ? "page" : null },
    icon("list"),
    h("span", { class: "wide" }, "Playlist"),
    h("span", { class: "badge", "aria-label": `${size} tracks` }, String(size)),
  );
  const theme = iconButton("theme", "Switch between light and dark", switchTheme);
  const out = context.client
    ? h(
        "button",
        { type: "button", class: "quiet", title: `Signed in as ${context.client}`, onclick: signOut },
        "Sign out",
      )
    : null;
  fill(document.getElementById("tools"), list, theme, out);
}

function switchTheme() {
  const dark =
    (document.documentElement.dataset.theme ??
      (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  document.documentElement.dataset.theme = dark ? "light" : "dark";
  localStorage.setItem("explorer-theme", document.documentElement.dataset.theme);
  dispatchEvent(new Event("theme"));
}

async function signOut() {
  await context.source.signOut();
  location.hash = "#/search";
  location.reload();
}

const KEYS = {
  "/": () => document.querySelector("[data-key='search']"),
  j: () => step(1),
  k: () => step(-1),
};

function step(by) {
  const rows = [...document.querySelectorAll("[data-row]")];
  const at = rows.findIndex((row) => row.contains(document.activeElement));
  return rows[Math.min(Math.max(at + by, 0), rows.length - 1)]?.querySelector("a");
}

addEventListener("keydown", (event) => {
  const isText = event.target.closest("input:not([type='range']), textarea, select, dialog");
  if (isText || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "?") return keysDialog().showModal();
  if (event.key === "p" || event.key === "a") {
    event.target.closest("[data-row]")?.querySelector(`[data-key='${event.key}']`)?.click();
    return;
  }
  const target = KEYS[event.key]?.();
  if (target) {
    event.preventDefault();
    target.focus();
  }
});

async function begin() {
  try {
    context.source ??= await openSource();
    const session = context.source.session ? await context.source.session() : { client_id: null, needed: false };
    context.client = session.client_id;
    if (session.needed && !session.client_id) {
      fill(document.getElementById("views"));
      fill(document.getElementById("tools"));
      fill(main, signInView(context, begin));
      return;
    }
    context.start = await context.source.start();
  } catch (error) {
    drawHeader("");
    fill(main, context.source ? failed(error) : notice("The page has no data", String(error)));
    return;
  }
  context.tagNames = new Map(context.start.tags.map((tag) => [tag.tag, tag]));
  context.categories = [...new Set(context.start.tags.map((tag) => tag.category))];
  context.player = new Player(context);
  context.playlist.onchange = () => drawHeader(place().view);
  addEventListener("hashchange", show);
  if (!location.hash) history.replaceState(null, "", address("search"));
  await show();
}

const theme = localStorage.getItem("explorer-theme");
if (theme) document.documentElement.dataset.theme = theme;
begin();
