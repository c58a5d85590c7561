// The taxonomy, the quality of the snapshot, and what changed.

import { address, colourOf, columnLabel, count, fill, h, later, notice, percent, plural, signed } from "./dom.js";
import { matchingTags } from "./tags.js";

export async function tagsView(context) {
  const tree = h("div", { class: "cards" });
  const draw = (text = "") => {
    const wanted = text.trim() ? new Set(matchingTags(context.start.tags, text).map((tag) => tag.tag)) : null;
    fill(
      tree,
      context.categories.map((category) => categoryTree(context, category, wanted)),
    );
    if (!tree.children.length) fill(tree, notice("No tag has this name", "Names, ids and categories are searched."));
  };
  draw();
  const field = h("input", {
    type: "search",
    id: "find-tag",
    placeholder: "Name or id",
    oninput: later(120, (event) => draw(event.target.value)),
    "data-key": "search",
  });
  return h(
    "section",
    { class: "page" },
    h(
      "header",
      { class: "head" },
      h(
        "div",
        {},
        h("h1", {}, "Tags"),
        h(
          "p",
          { class: "faint" },
          `${plural(context.start.tags.length, "tag")} in ${plural(context.categories.length, "category", "categories")}. A tag leads to its tracks.`,
        ),
      ),
      h("div", { class: "field" }, h("label", { for: "find-tag" }, "Find a tag"), field),
    ),
    tree,
  );
}

function categoryTree(context, category, wanted) {
  const own = context.start.tags.filter((tag) => tag.category === category);
  const names = new Set(own.map((tag) => tag.tag));
  const below = (parent) => own.filter((tag) => tag.parents.includes(parent));
  const isShown = (tag) => !wanted || wanted.has(tag.tag) || below(tag.tag).some(isShown);
  const tops = own.filter((tag) => !tag.parents.some((parent) => names.has(parent)) && isShown(tag));
  if (!tops.length) return null;
  const most = Math.max(...own.map((tag) => tag.support ?? 0), 1);
  const line = (tag) => [
    h("a", { href: address("search", { tag: tag.tag }), title: tag.tag }, tag.name),
    h(
      "span",
      { class: "support", "aria-hidden": "true" },
      h("span", {
        style: {
          width: `${(100 * (tag.support ?? 0)) / most}%`,
          background: colourOf(context.categories.indexOf(category)),
        },
      }),
    ),
    h(
      "span",
      { class: "number faint", title: "Labelled training tracks" },
      tag.support === null ? "–" : count(tag.support),
    ),
  ];
  const node = (tag) => {
    const children = below(tag.tag).filter(isShown);
    return children.length
      ? h(
          "li",
          {},
          h("details", { open: true }, h("summary", { class: "leaf" }, line(tag)), h("ul", {}, children.map(node))),
        )
      : h("li", { class: "leaf" }, line(tag));
  };
  return h(
    "section",
    { class: "card tree" },
    h(
      "h2",
      { class: "label" },
      h("span", { class: "dot", style: { background: colourOf(context.categories.indexOf(category)) } }),
      columnLabel(category),
      h("span", { class: "faint" }, ` ${own[0].kind}`),
    ),
    h("ul", {}, tops.map(node)),
  );
}

const tile = (value, label) => h("div", { class: "tile" }, h("b", {}, value), h("span", { class: "faint" }, label));

const MEASURES = [
  [
    "support",
    "Training",
    (row) => row.support,
    (value) => (value === null ? "–" : count(value)),
    "Labelled training tracks that carry the tag",
  ],
  [
    "pr_auc",
    "Average precision",
    (row) => row.metrics?.test?.pr_auc,
    percent,
    "Area under the precision-recall curve on the test side",
  ],
  ["f1", "F1", (row) => row.metrics?.test?.f1, percent, "At the threshold, on the test side"],
  [
    "ece",
    "Calibration",
    (row) => row.metrics?.test?.ece,
    percent,
    "Expected calibration error on the test side: smaller is better",
  ],
  [
    "threshold",
    "Threshold",
    (row) => row.threshold,
    (value) => (value === null || value === undefined ? "highest" : value.toFixed(2)),
    "Lowest score at which the tag is positive",
  ],
];

export async function qualityView(context) {
  const found = await context.source.quality();
  const { counts } = found;
  const order = { by: "pr_auc", descending: true };
  const table = h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Metrics by tag" });
  const draw = () => {
    const measure = MEASURES.find(([key]) => key === order.by);
    const value = (row) => measure?.[2](row) ?? null;
    const rows = [...found.tags].sort(
      (a, b) =>
        (value(a) === null) - (value(b) === null) ||
        (order.descending ? value(b) - value(a) : value(a) - value(b)) ||
        a.tag.localeCompare(b.tag),
    );
    const head = MEASURES.map(([key, label, , , title]) =>
      h(
        "th",
        { scope: "col", "aria-sort": order.by === key ? (order.descending ? "descending" : "ascending") : "none" },
        h(
          "button",
          {
            type: "button",
            class: "quiet",
            title,
            onclick: () => {
              Object.assign(order, { descending: order.by === key ? !order.descending : true, by: key });
              draw();
            },
          },
          label,
          order.by === key ? (order.descending ? " ↓" : " ↑") : "",
        ),
      ),
    );
    const cells = (row) =>
      MEASURES.map(([key, , get, show]) => {
        const own = get(row) ?? null;
        const isShare = own !== null && ["pr_auc", "f1", "ece"].includes(key);
        return h(
          "td",
          { class: "number" },
          isShare
            ? h(
                "span",
                { class: key === "ece" ? "meter bad" : "meter", "aria-hidden": "true" },
                h("span", { style: { width: `${100 * Math.min(own, 1)}%` } }),
              )
            : null,
          h("span", { class: "value" }, show(own)),
        );
      });
    fill(
      table,
      h(
        "table",
        {},
        h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Tag"), head)),
        h(
          "tbody",
          {},
          rows.map((row) =>
            h(
              "tr",
              {},
              h(
                "th",
                { scope: "row" },
                h("a", { href: address("search", { tag: row.tag }) }, row.name),
                h("span", { class: "faint" }, ` ${row.category}`),
              ),
              cells(row),
            ),
          ),
        ),
      ),
    );
  };
  draw();
  const tagged = (counts.tagged ?? 0) + (counts.carried ?? 0);
  const total = found.rejects.reduce((sum, row) => sum + row.tracks, 0);
  const most = Math.max(...found.rejects.map((row) => row.tracks), 1);
  const rejects = total
    ? h(
        "ul",
        { class: "bars" },
        found.rejects.map((row) =>
          h(
            "li",
            { class: "tag-bar" },
            h("span", { class: "what", title: row.stage }, row.reason.replaceAll("_", " ")),
            h(
              "span",
              { class: "track-bar", "aria-hidden": "true" },
              h("span", { class: "filled bad", style: { width: `${(100 * row.tracks) / most}%` } }),
            ),
            h("span", { class: "number" }, count(row.tracks)),
            h(
              "span",
              { class: "examples faint" },
              row.examples.slice(0, 2).map((id, i) => [i ? ", " : "", h("a", { href: address("track", { id }) }, id)]),
            ),
          ),
        ),
      )
    : h("p", {}, "Every track of the catalog has tags.");
  const sources = h(
    "ul",
    { class: "plain" },
    found.sources.map((row) =>
      h(
        "li",
        {},
        `${count(row.scores)} scores by ${row.source}`,
        row.annotated ? h("span", { class: "faint" }, `, ${count(row.annotated)} of them annotated`) : null,
      ),
    ),
  );
  return h(
    "section",
    { class: "page" },
    h(
      "header",
      { class: "head" },
      h(
        "div",
        {},
        h("h1", {}, "Quality"),
        h(
          "p",
          { class: "faint" },
          `Snapshot ${context.start.number}, ${new Date(context.start.created).toLocaleString("en", { dateStyle: "long", timeStyle: "short" })}`,
        ),
      ),
    ),
    h(
      "div",
      { class: "tiles" },
      tile(count(counts.catalog ?? tagged + total), "in the catalog"),
      tile(count(tagged), "tagged"),
      tile(count(total), "rejected"),
      tile(percent(total / Math.max(counts.catalog ?? tagged + total, 1)), "of the catalog rejected"),
      tile(count(found.tags.length), "tags"),
    ),
    h(
      "div",
      { class: "columns" },
      h("section", { class: "card" }, h("h2", { class: "label" }, "Tags on held-out tracks"), table),
      h(
        "div",
        { class: "side" },
        h("section", { class: "card" }, h("h2", { class: "label" }, "Rejects by reason"), rejects),
        h("section", { class: "card" }, h("h2", { class: "label" }, "Sources of scores"), sources),
      ),
    ),
  );
}

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
    h(
      "header",
      { class: "head" },
      h(
        "div",
        {},
        h("h1", {}, "What changed"),
        h(
          "p",
          { class: "faint" },
          `From snapshot ${before.snapshot} to snapshot ${after.snapshot}`,
          ids.length
            ? `, with another ${ids.map((name) => name.replace("_id", "")).join(" and ")}`
            : ", by the same model",
        ),
      ),
    ),
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
