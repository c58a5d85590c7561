// One track of a list, with the reasons for its place.

import { address, catalogText, colourOf, columnValue, duration, h, signed } from "../dom.js";

/** One track of a list. `most`: the greatest contribution of the list, for the bars of the reasons. */
export function trackRow(context, row, most = 0) {
  const { player, playlist, tagNames, categories } = context;
  const tempo = row.tempo_bpm ?? row.bpm ?? null;
  const facts = [
    row.year,
    duration(row.duration_s),
    tempo === null ? null : columnValue("tempo_bpm", tempo),
    row.key,
  ];
  const shown = row.why?.length ? 5 : 7;
  const tags = (row.top_tags ?? []).slice(0, shown).map(({ tag, score }) =>
    h(
      "span",
      {
        class: "pill plain",
        title: `${tag} ${score.toFixed(2)}`,
        style: { "--tint": colourOf(categories.indexOf(tag.split("/")[0])) },
      },
      tagNames.get(tag)?.name ?? tag,
    ),
  );
  return h(
    "article",
    { class: "track", "data-row": true },
    player.button(row),
    h(
      "div",
      { class: "names" },
      h("h2", {}, h("a", { href: address("track", { id: row.track_id }) }, catalogText(row.title ?? row.track_id))),
      h(
        "p",
        { class: "faint" },
        row.artist_id
          ? h("a", { href: address("artist", { id: row.artist_id }) }, catalogText(row.artist ?? row.artist_id))
          : row.artist && catalogText(row.artist),
        row.artist || row.artist_id ? " · " : "",
        facts.filter((fact) => fact !== null && fact !== undefined).join(" · "),
      ),
      h("p", { class: "cloud" }, tags),
    ),
    row.why?.length ? reasons(context, row, most) : null,
    playlist.button(row),
  );
}

function reasons(context, row, most) {
  const parts = row.why.slice(0, 4).map((part) => {
    const share = `${(50 * Math.abs(part.value)) / (most || 1)}%`;
    const bar = h("span", { class: part.value < 0 ? "bar-less" : "bar-more", style: { width: share } });
    return h(
      "li",
      { title: `weight ${part.weight} × log-odds of ${part.score}` },
      h(
        "span",
        { class: "what" },
        context.tagNames.get(part.tag)?.name ?? part.tag,
        " ",
        h("span", { class: "faint" }, part.score.toFixed(2)),
      ),
      h("span", { class: "axis", "aria-hidden": "true" }, bar),
      h("span", { class: "number" }, signed(part.value, 1)),
    );
  });
  return h(
    "div",
    { class: "why" },
    h(
      "p",
      { class: "number total", title: "Sum of the weighted log-odds" },
      h("span", { class: "unseen" }, "Relevance "),
      signed(row.relevance, 1),
    ),
    h("ul", { "aria-label": "Why it is here" }, parts),
  );
}
