// The quality of the snapshot: metrics by tag, rejects, sources of scores.

import { address, count, fill, h, percent, tile, viewHead } from "../dom.js";

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
  const isMeasured = found.tags.some((row) => row.metrics?.test);
  const unmeasured = isMeasured
    ? null
    : h(
        "p",
        { class: "faint" },
        "This model was imported, or was not tested on held-out tracks: there are no metrics of it. ",
        h("code", {}, "catalog-tagger evaluate"),
        " measures it on labelled tracks.",
      );
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
    viewHead(
      "Quality",
      `Snapshot ${context.start.number}, ${new Date(context.start.created).toLocaleString("en", { dateStyle: "long", timeStyle: "short" })}`,
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
      { class: "columns table-first" },
      h("section", { class: "card" }, h("h2", { class: "label" }, "Tags on held-out tracks"), unmeasured, table),
      h(
        "div",
        { class: "side" },
        h("section", { class: "card" }, h("h2", { class: "label" }, "Rejects by reason"), rejects),
        h("section", { class: "card" }, h("h2", { class: "label" }, "Sources of scores"), sources),
      ),
    ),
  );
}
