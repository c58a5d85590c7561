// The playlist: kept in this browser, ordered by dragging or by keys, exported as a file.

import { address, announce, catalogText, count, duration, fill, h, icon, iconButton, notice, plural } from "../dom.js";

const KEY = "explorer-playlist";
const KEPT = ["track_id", "title", "artist", "artist_id", "duration_s", "year"];

const cell = (value) => {
  const text = value === null || value === undefined ? "" : String(value);
  const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text; // a spreadsheet would calculate it
  return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
};
const line = (text) => String(text ?? "").replace(/[\r\n]+/g, " ");

const FORMS = {
  M3U8: {
    type: "audio/x-mpegurl",
    text: ({ name, tracks }, context) => {
      const place = (track) =>
        context.start.audio && !context.source.isExport
          ? new URL(context.source.audioAddress(track.track_id), location.href).href
          : line(track.track_id);
      const rows = tracks.flatMap((track) => [
        `#EXTINF:${Math.round(track.duration_s ?? -1)},${line([track.artist, track.title ?? track.track_id].filter(Boolean).join(" - "))}`,
        place(track),
      ]);
      return ["#EXTM3U", `#PLAYLIST:${line(name)}`, ...rows, ""].join("\n");
    },
  },
  CSV: {
    type: "text/csv",
    text: ({ tracks }) =>
      [KEPT.join(","), ...tracks.map((track) => KEPT.map((key) => cell(track[key])).join(","))].join("\r\n") + "\r\n",
  },
  JSON: {
    type: "application/json",
    text: ({ name, tracks }, context) =>
      `${JSON.stringify({ name, snapshot: context.start.number, content_hash: context.start.content_hash, tracks }, null, 2)}\n`,
  },
};

function kept() {
  try {
    const found = JSON.parse(localStorage.getItem(KEY));
    return { name: String(found.name), tracks: found.tracks.filter((track) => typeof track.track_id === "string") };
  } catch {
    return { name: "My playlist", tracks: [] };
  }
}

export class Playlist {
  constructor() {
    Object.assign(this, kept());
    this.onchange = () => {};
  }

  save() {
    try {
      localStorage.setItem(KEY, JSON.stringify({ name: this.name, tracks: this.tracks }));
    } catch {
      announce("The playlist could not be kept in this browser");
    }
    this.onchange();
  }

  has(id) {
    return this.tracks.some((track) => track.track_id === id);
  }

  /** A button that adds a track to the playlist, or takes it out. */
  button(row) {
    const name = row.title ?? row.track_id;
    const node = iconButton(
      "add",
      "",
      () => {
        const has = this.has(row.track_id);
        this.tracks = has
          ? this.tracks.filter((track) => track.track_id !== row.track_id)
          : [...this.tracks, Object.fromEntries(KEPT.map((key) => [key, row[key] ?? null]))];
        this.save();
        draw();
        announce(`${name} was ${has ? "removed from" : "added to"} the playlist`);
      },
      { "data-key": "a" },
    );
    const draw = () => {
      const has = this.has(row.track_id);
      fill(node, icon(has ? "check" : "add"));
      node.setAttribute("aria-pressed", String(has));
      const label = has ? `Remove ${name} from the playlist` : `Add ${name} to the playlist`;
      node.setAttribute("aria-label", label);
      node.title = label;
    };
    draw();
    return node;
  }

  move(from, to) {
    if (to < 0 || to >= this.tracks.length || from === to) return false;
    const [track] = this.tracks.splice(from, 1);
    this.tracks.splice(to, 0, track);
    this.save();
    announce(`${track.title ?? track.track_id}: place ${to + 1} of ${this.tracks.length}`);
    return true;
  }

  view(context) {
    const root = h("section", { class: "page narrow" });
    const draw = (focus = -1) => {
      const seconds = this.tracks.reduce((sum, track) => sum + (track.duration_s ?? 0), 0);
      const name = h("input", {
        id: "playlist-name",
        value: this.name,
        maxlength: 120,
        class: "title",
        oninput: (event) => {
          this.name = event.target.value;
          this.save();
        },
      });
      const rows = this.tracks.map((track, i) => this.row(context, track, i, draw));
      const forms = Object.keys(FORMS).map((form) =>
        h("button", { type: "button", onclick: () => this.download(form, context) }, form),
      );
      fill(
        root,
        h("h1", { class: "unseen" }, "Playlist"),
        h("label", { for: "playlist-name", class: "unseen" }, "Name of the playlist"),
        name,
        h(
          "div",
          { class: "row spread" },
          h("p", { class: "faint" }, `${plural(this.tracks.length, "track")} · ${duration(seconds)}`),
          this.tracks.length
            ? h(
                "div",
                { class: "row", role: "group", "aria-label": "Export" },
                h("span", { class: "faint" }, "Export"),
                forms,
                h(
                  "button",
                  {
                    type: "button",
                    class: "quiet",
                    onclick: () => {
                      this.tracks = [];
                      this.save();
                      draw();
                    },
                  },
                  "Clear",
                ),
              )
            : null,
        ),
        rows.length
          ? h("ol", { class: "order", "aria-label": "Tracks of the playlist" }, rows)
          : notice(
              "The playlist is empty",
              "Add tracks with the plus of a search, of an artist or of a track. It stays in this browser.",
              h("a", { class: "button strong", href: "#/search" }, "Search"),
            ),
      );
      root.querySelectorAll(".order > li")[focus]?.focus();
    };
    draw();
    return root;
  }

  row(context, track, i, draw) {
    const go = (to) => this.move(i, to) && draw(to);
    const onkeydown = (event) => {
      const by = { ArrowUp: -1, ArrowDown: 1 }[event.key];
      if (!by || !event.altKey) return;
      event.preventDefault();
      go(i + by);
    };
    const ondragstart = (event) => {
      event.dataTransfer.setData("application/x-place", String(i));
      event.dataTransfer.effectAllowed = "move";
      event.currentTarget.classList.add("held");
    };
    const isOwn = (event) => event.dataTransfer.types.includes("application/x-place");
    const drop = (event) => {
      event.preventDefault();
      const from = Number(event.dataTransfer.getData("application/x-place"));
      if (this.move(from, i)) draw(i);
      else draw();
    };
    const name = track.title ?? track.track_id;
    return h(
      "li",
      {
        tabindex: 0,
        draggable: true,
        "data-row": true,
        "aria-label": `${i + 1}. ${name}`,
        onkeydown,
        ondragstart,
        ondragover: (event) => {
          if (isOwn(event)) {
            event.preventDefault();
            event.currentTarget.classList.add("target");
          }
        },
        ondragleave: (event) => event.currentTarget.classList.remove("target"),
        ondragend: () => draw(),
        ondrop: drop,
      },
      h("span", { class: "number faint" }, count(i + 1)),
      context.player.button(track),
      h(
        "div",
        { class: "names" },
        h("a", { href: address("track", { id: track.track_id }) }, catalogText(name)),
        h(
          "p",
          { class: "faint" },
          [track.artist && catalogText(track.artist), track.year, duration(track.duration_s)]
            .filter(Boolean)
            .map((part, n) => [n ? " · " : "", part]),
        ),
      ),
      iconButton("up", `Move ${name} up`, () => go(i - 1), { disabled: i === 0 }),
      iconButton("down", `Move ${name} down`, () => go(i + 1), { disabled: i === this.tracks.length - 1 }),
      iconButton("close", `Remove ${name}`, () => {
        this.tracks.splice(i, 1);
        this.save();
        draw(Math.min(i, this.tracks.length - 1));
      }),
    );
  }

  download(form, context) {
    const { type, text } = FORMS[form];
    const url = URL.createObjectURL(new Blob([text(this, context)], { type }));
    const file = this.name.replace(/[^\p{L}\p{N} _-]+/gu, " ").trim() || "playlist";
    h("a", { href: url, download: `${file}.${form.toLowerCase()}` }).click();
    setTimeout(() => URL.revokeObjectURL(url), 10_000);
    announce(`${form} with ${plural(this.tracks.length, "track")}`);
  }
}
