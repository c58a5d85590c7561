// What changed since the snapshot before.

import { address, count, h, notice, signed, tile, viewHead } from "../dom.js";

export async function changesView(context) {
  if (context.start.parent === null)
    return notice("This is the first snapshot", "There is nothing before it to compare with.");
  const found = await context.source.changes();
  const { before, after, tracks } = found;
  const changed = found.tags
    .filter((row) => row.gained || row.lost || row.side !== "both")
    .sort((a, b) => b.gained + b.lost - a.gained - a.lost);
  const most = Math.max(...changed.map((row) => Math.max(row.gained, row.lost)), 1);
  const ids = Object.keys(before.ids).filter((name) => before.ids[name] !== after.ids[name]);
  const bars = changed
    .slice(0, 40)
    .map((row) =>
      h(
        "tr",
        {},
        h(
          "th",
          { scope: "row" },
          h("a", { href: address("search", { tag: row.tag }) }, context.tagNames.get(row.tag)?.name ?? row.tag),
          h("span", { class: "faint" }, ` ${row.category}`),
        ),
        h("td", { class: "number" }, count(row.positives_before)),
        h("td", { class: "number" }, count(row.positives_after)),
        h(
          "td",
          {},
          h(
            "span",
            { class: "axis", "aria-hidden": "true" },
            h("span", { class: "bar-less", style: { width: `${(50 * row.lost) / most}%` } }),
            h("span", { class: "bar-more", style: { width: `${(50 * row.gained) / most}%` } }),
          ),
        ),
        h("td", { class: "number" }, `${signed(row.gained, 0)} / −${row.lost}`),
      ),
    );
  const table = changed.length
    ? h(
        "div",
        { class: "scroll", tabindex: 0, role: "region", "aria-label": "Changed tags" },
        h(
          "table",
          {},
          h(
            "thead",
            {},
            h(
              "tr",
              {},
              ["Tag", "Before", "After", "Lost and gained", ""].map((text) =>
                h("th", { scope: "col" }, text || h("span", { class: "unseen" }, "Numbers")),
              ),
            ),
          ),
          h("tbody", {}, bars),
        ),
      )
    : h("p", {}, "No track of both snapshots gained or lost a tag.");
  const names = [
    ["added", "added"],
    ["removed", "removed"],
    ["changed", "changed"],
    ["unchanged", "unchanged"],
    ["retagged", "tagged by another model"],
  ];
  const equal =
    before.content_hash === after.content_hash
      ? h("p", { class: "good" }, "Both snapshots have the same content.")
      : null;
  const outcomes = found.outcomes.filter((row) => row.before !== row.after).slice(0, 12);
  return h(
    "section",
    { class: "page" },
    viewHead("What changed", [
      `From snapshot ${before.snapshot} to snapshot ${after.snapshot}`,
      ids.length ? `, with another ${ids.map((name) => name.replace("_id", "")).join(" and ")}` : ", by the same model",
    ]),
    equal,
    h(
      "div",
      { class: "tiles" },
      names.map(([name, label]) => tile(count(tracks[name] ?? 0), `tracks ${label}`)),
    ),
    h(
      "div",
      { class: "columns" },
      h("section", { class: "card" }, h("h2", { class: "label" }, "Tags"), table),
      h(
        "div",
        { class: "side" },
        h(
          "section",
          { class: "card" },
          h("h2", { class: "label" }, "Outcomes"),
          outcomes.length
            ? h(
                "ul",
                { class: "plain" },
                outcomes.map((row) =>
                  h(
                    "li",
                    {},
                    `${row.before ?? "new"} → ${row.after ?? "gone"}`,
                    h("span", { class: "number" }, ` ${count(row.tracks)}`),
                  ),
                ),
              )
            : h("p", {}, "No track has another outcome."),
        ),
      ),
    ),
  );
}
