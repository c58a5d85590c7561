// One track, one artist.

import { address, catalogText, columnLabel, columnValue, count, duration, fill, h, icon, notice, percent, plural, viewHead } from "../dom.js";
import { tagCards } from "./bars.js";
import { trackRow } from "./results.js";
import { soundLines } from "./sound.js";

const SOURCES = {
  model: "by the model",
  expert: "by annotators",
  fused: "by model and annotators",
  rule: "by a rule",
  imported: "imported",
};

const facts = (rows) =>
  h(
    "dl",
    { class: "facts" },
    rows.filter(Boolean).map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]),
  );

function similarCard(rows, remark = null) {
  if (!rows.length) return null;
  const line = (row) => [
    h(
      "span",
      {},
      h("a", { href: address("track", { id: row.track_id }) }, catalogText(row.title ?? row.track_id)),
      h("span", { class: "faint" }, " ", catalogText(row.artist ?? "")),
    ),
    h("span", { class: "number" }, row.similarity.toFixed(2)),
  ];
  const items = rows.map((row) => h("li", { "data-row": true, class: "row spread" }, line(row)));
  return h(
    "section",
    { class: "card" },
    h("h2", { class: "label" }, "Similar tracks"),
    h("ol", { class: "plain" }, items),
    remark ? h("p", { class: "faint" }, remark) : null,
  );
}

/** Asks for similar tracks after the page is there: a catalog without an index takes a while. */
async function showSimilar(context, id, box) {
  try {
    fill(box, similarCard(await context.source.similar(id)));
  } catch (error) {
    if (error.status !== 404) fill(box, h("p", { class: "faint" }, `No similar tracks: ${error.detail ?? error}`));
  }
}

export async function trackView(context, parameters) {
  const id = parameters.get("id") ?? "";
  const found = await context.source.track(id);
  const { track, outcome } = found;
  const hidden = new Set([
    "track_id",
    "artist_id",
    "album_id",
    "title",
    "artist",
    "top_tags",
    "tagger_id",
    ...(found.parameters ?? []),
  ]);
  const words = track ? Object.keys(track).filter((name) => !hidden.has(name) && track[name] !== null) : [];
  const sources = new Map();
  for (const row of found.tags) sources.set(row.source, (sources.get(row.source) ?? 0) + 1);
  const annotated = found.tags.filter((row) => row.expert_weight !== null && row.expert_weight !== undefined).length;
  const play =
    track && context.player.isOffered
      ? h(
          "button",
          { type: "button", class: "strong", onclick: () => context.player.play(track) },
          icon("play"),
          "Play",
        )
      : null;
  const line = [
    track?.artist_id
      ? h("a", { href: address("artist", { id: track.artist_id }) }, catalogText(track.artist ?? track.artist_id))
      : catalogText(track?.artist ?? ""),
    track?.year ? ` · ${track.year}` : "",
    track ? ` · ${duration(track.duration_s)}` : "",
  ];
  const tools = h("div", { class: "row" }, play, track ? context.playlist.button(track) : null);
  const head = viewHead(catalogText(track?.title ?? id), line, { over: "Track", tools });
  const rejected =
    outcome.status === "rejected"
      ? h(
          "div",
          { class: "warn", role: "note" },
          h("b", {}, `Rejected: ${outcome.reason}`),
          outcome.detail ? ` – ${outcome.detail}` : "",
          ` (at the stage ${outcome.stage}). It has no tags.`,
        )
      : null;
  const neighbours = h("div", { "data-similar": true });
  if (found.neighbours)
    fill(neighbours, similarCard(found.neighbours, "Tracks that are like many others come later."));
  else if (found.similar)
    fill(neighbours, similarCard(found.similar, context.start.left_out ? "Of the tracks of this export alone." : null));
  else if (track && context.source.isExport)
    fill(neighbours, h("p", { class: "faint" }, "No similar tracks: this export has too many tracks to compare."));
  else if (track && context.source.similar) showSimilar(context, id, neighbours);
  const origin = h(
    "section",
    { class: "card" },
    h("h2", { class: "label" }, "Where this is from"),
    facts([
      ...[...sources].map(([source, tags]) => ["Scores", `${plural(tags, "score")} ${SOURCES[source] ?? source}`]),
      annotated ? ["Annotations", plural(annotated, "tag")] : null,
      ["Outcome", outcome.status],
      outcome.duplicate_of
        ? ["Same bytes as", h("a", { href: address("track", { id: outcome.duplicate_of }) }, outcome.duplicate_of)]
        : null,
      outcome.source_bytes ? ["File", `${count(outcome.source_bytes)} bytes`] : null,
      outcome.decoded_fraction !== null ? ["Decoded", percent(outcome.decoded_fraction)] : null,
      ...[
        ["sha-256", outcome.source_sha256],
        ["Tagger", outcome.tagger_id],
        ["Embedding", outcome.embedding_id],
        ["Features", outcome.feature_id],
        ["Run", outcome.run_id],
      ].map(([name, value]) => (value ? [name, h("code", {}, value)] : null)),
    ]),
  );
  const sound = track
    ? h(
        "section",
        { class: "card" },
        h("h2", { class: "label" }, "Sound"),
        facts(soundLines(track, found.parameters)),
      )
    : null;
  const catalog = words.length
    ? h(
        "section",
        { class: "card" },
        h("h2", { class: "label" }, "Catalog"),
        facts([["Id", h("code", {}, id)], ...words.map((name) => [columnLabel(name), columnValue(name, track[name])])]),
      )
    : null;
  const legend = found.tags.length
    ? h(
        "p",
        { class: "faint legend" },
        h("span", { class: "key threshold" }),
        " threshold ",
        h("span", { class: "key expert" }),
        " annotated weight",
      )
    : null;
  return h(
    "article",
    { class: "page" },
    head,
    rejected,
    h(
      "div",
      { class: "columns" },
      h("div", {}, legend, h("div", { class: "cards" }, tagCards(context, found.tags))),
      h("div", { class: "side" }, neighbours, sound, catalog, origin),
    ),
  );
}

export async function artistView(context, parameters) {
  const found = await context.source.artist(parameters.get("id") ?? "");
  const years =
    found.first_year === null
      ? ""
      : found.first_year === found.last_year
        ? ` · ${found.first_year}`
        : ` · ${found.first_year} – ${found.last_year}`;
  const albums = new Map();
  for (const row of found.of_tracks) albums.set(row.album_id, [...(albums.get(row.album_id) ?? []), row]);
  const search = h("a", { class: "button", href: address("search", { artist_id: found.id }) }, "Search these tracks");
  const head = viewHead(catalogText(found.name ?? found.id), `${plural(found.tracks, "track")}${years}`, {
    over: "Artist",
    tools: search,
  });
  const lists = [...albums].map(([album, rows]) =>
    h(
      "section",
      {},
      h(
        "h2",
        { class: "label" },
        album ? catalogText(album) : "Without an album",
        h("span", { class: "faint" }, ` ${plural(rows.length, "track")}`),
      ),
      h(
        "div",
        { class: "results" },
        rows.map((row) => trackRow(context, row)),
      ),
    ),
  );
  const more =
    found.tracks > found.of_tracks.length
      ? h("p", { class: "faint" }, `${count(found.tracks - found.of_tracks.length)} more tracks: search them.`)
      : null;
  const tags = found.tags.length
    ? h("div", { class: "cards single" }, tagCards(context, found.tags, true))
    : notice("No tags of artists", "This snapshot has no table of them.");
  return h(
    "article",
    { class: "page" },
    head,
    h("div", { class: "columns even" }, h("div", {}, lists, more), h("div", {}, tags)),
  );
}
