// Tags as bars, by category.

import { address, colourOf, columnLabel, h, percent, plural } from "../dom.js";

const SHOWN = 5;

/** A tag as a bar: its score, the threshold, what annotators gave. */
function tagBar(context, row, colour) {
  const { tag } = row;
  const known = context.tagNames.get(tag);
  const score = row.score ?? row.mean_score;
  const isPositive = row.is_positive ?? row.positive_share >= 0.5;
  const said = [`score ${score.toFixed(2)}`];
  if (known?.threshold) said.push(`positive from ${known.threshold.toFixed(2)}`);
  if (row.expert_weight !== null && row.expert_weight !== undefined)
    said.push(`annotated with ${row.expert_weight.toFixed(2)}`);
  if (row.model_score !== null && row.model_score !== undefined && row.model_score !== row.score)
    said.push(`model ${row.model_score.toFixed(2)}`);
  if (row.positive_share !== undefined)
    said.push(
      `positive in ${percent(row.positive_share)} of ${plural(row.tracks, "track")}`,
      `spread ${row.score_spread.toFixed(2)}`,
    );
  const mark = (kind, at) => h("span", { class: kind, style: { left: `${100 * at}%` } });
  return h(
    "li",
    { class: isPositive ? "tag-bar" : "tag-bar weak", title: said.join(" · ") },
    h("a", { href: address("search", { tag }), class: "what" }, row.name ?? known?.name ?? tag),
    h(
      "span",
      { class: "track-bar", "aria-hidden": "true" },
      h("span", { class: "filled", style: { width: `${100 * score}%`, background: colour } }),
      known?.threshold ? mark("threshold", known.threshold) : null,
      row.expert_weight !== null && row.expert_weight !== undefined ? mark("expert", row.expert_weight) : null,
    ),
    h("span", { class: "number" }, score.toFixed(2)),
    h("span", { class: "unseen" }, said.slice(1).join(", ")),
  );
}

/** A card with bars for each category. `isGroup`: the rows are means over the tracks of a group. */
export function tagCards(context, rows, isGroup = false) {
  const by = new Map();
  for (const row of rows) by.set(row.category, [...(by.get(row.category) ?? []), row]);
  return [...by].map(([category, own]) => {
    const colour = colourOf(context.categories.indexOf(category));
    own.sort((a, b) => (b.score ?? b.mean_score) - (a.score ?? a.mean_score));
    const strong = own.filter((row, i) => (isGroup ? i < SHOWN : row.is_positive || i < 3));
    const rest = own.slice(strong.length);
    return h(
      "section",
      { class: "card" },
      h("h2", { class: "label" }, h("span", { class: "dot", style: { background: colour } }), columnLabel(category)),
      h(
        "ul",
        { class: "bars" },
        strong.map((row) => tagBar(context, row, colour)),
      ),
      rest.length
        ? h(
            "details",
            {},
            h("summary", {}, `${plural(rest.length, "more tag")}`),
            h(
              "ul",
              { class: "bars" },
              rest.map((row) => tagBar(context, row, colour)),
            ),
          )
        : null,
    );
  });
}
