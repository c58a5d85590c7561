// The search: words, tags with weights, ranges with histograms, results with reasons.

import {
  address,
  announce,
  colourOf,
  columnLabel,
  columnValue,
  count,
  duration,
  fill,
  h,
  iconButton,
  later,
  notice,
  plural,
  signed,
} from "./dom.js";
import { Histogram } from "./histogram.js";
import { chosenTags, ranges, readQuery, withRange, withTags } from "./query.js";
import { tagField } from "./tags.js";

const MODES = [
  ["weigh", "Weight"],
  ["tag", "Must"],
  ["without", "Must not"],
];

export async function searchView(context, parameters) {
  const view = new Search(context, readQuery(parameters));
  return view.root;
}

class Search {
  constructor(context, query) {
    Object.assign(this, { context, query });
    this.results = h("div", { class: "results" });
    this.heading = h("h1", { class: "found" }, "Search");
    this.sort = h("div", { class: "row" });
    this.chips = h("div", { class: "chips" });
    this.popular = h("div", { class: "cloud" });
    this.histograms = new Map(
      context.start.facets.map((name) => [
        name,
        new Histogram(name, (low, high) => this.change(withRange(this.query, name, low, high))),
      ]),
    );
    const words = h("input", {
      type: "search",
      id: "words",
      placeholder: "Title or artist",
      value: query.q,
      "data-key": "search",
      autocomplete: "off",
      maxlength: 200,
    });
    this.words = words;
    words.addEventListener(
      "input",
      later(250, () => this.change({ ...this.query, q: words.value.trim() })),
    );
    const picker = tagField(context, "Add a tag", (tag) => this.add(tag, "weigh"));
    const panel = h(
      "aside",
      { class: "panel", "aria-label": "Filters" },
      h("div", { class: "field" }, h("label", { for: "words" }, "Words"), words),
      picker,
      this.chips,
      [...this.histograms.values()].map((one) => one.root),
      h("div", { class: "field" }, h("h2", { class: "label" }, "Tags of these tracks"), this.popular),
    );
    const filters = h(
      "details",
      { class: "filters", open: matchMedia("(min-width: 56rem)").matches },
      h("summary", {}, "Filters"),
      panel,
    );
    this.root = h(
      "div",
      { class: "search" },
      filters,
      h(
        "section",
        { class: "list", "aria-label": "Results" },
        h("div", { class: "row spread" }, this.heading, this.sort),
        this.results,
        context.start.left_out
          ? h(
              "p",
              { class: "faint" },
              `This page is an export: ${plural(context.start.left_out, "track")} of the snapshot are not in it.`,
            )
          : null,
      ),
    );
    this.root.addEventListener("leave", () => this.asking?.abort());
    this.drawChips();
    this.drawSort();
    this.ask();
  }

  change(query) {
    this.query = query;
    const shown = address("search", query);
    history.replaceState(null, "", shown);
    this.context.query = shown;
    this.drawSort();
    this.ask();
  }

  add(tag, mode) {
    const chosen = chosenTags(this.query).filter((one) => one.tag !== tag);
    this.change(withTags(this.query, [...chosen, { tag, mode, weight: 1 }]));
    this.drawChips();
    announce(`${this.name(tag)} was added`);
  }

  name(tag) {
    return this.context.tagNames.get(tag)?.name ?? tag;
  }

  drawChips() {
    const chosen = chosenTags(this.query);
    const artist = this.query.artist_id
      ? h(
          "div",
          { class: "chip" },
          h(
            "div",
            { class: "row spread" },
            h("span", {}, "Artist ", h("b", {}, this.query.artist_id)),
            iconButton("close", "Remove the artist", () => this.set({ artist_id: "" })),
          ),
        )
      : null;
    fill(
      this.chips,
      artist,
      chosen.map((one) => this.chip(one, chosen)),
    );
  }

  set(values) {
    this.change({ ...this.query, ...values });
    this.drawChips();
  }

  chip(one, chosen) {
    const update = (values, redraw = true) => {
      Object.assign(one, values);
      this.change(withTags(this.query, chosen));
      if (redraw) this.drawChips();
    };
    const remove = () => {
      this.change(
        withTags(
          this.query,
          chosen.filter((other) => other !== one),
        ),
      );
      this.drawChips();
    };
    const name = this.name(one.tag);
    const modes = MODES.map(([mode, label]) =>
      h(
        "button",
        { type: "button", "aria-pressed": String(one.mode === mode), onclick: () => update({ mode }) },
        label,
      ),
    );
    const value = h("output", { class: "number" }, signed(one.weight, 1));
    const slider = h("input", {
      type: "range",
      min: -1,
      max: 1,
      step: 0.1,
      value: one.weight,
      "aria-label": `Weight of ${name}`,
    });
    slider.addEventListener("input", () => (value.textContent = signed(Number(slider.value), 1)));
    slider.addEventListener(
      "input",
      later(150, () => update({ weight: Number(slider.value) }, false)),
    );
    return h(
      "div",
      { class: `chip ${one.mode}` },
      h(
        "div",
        { class: "row spread" },
        h("span", {}, h("b", {}, name), " ", h("span", { class: "faint" }, one.tag.split("/")[0])),
        iconButton("close", `Remove ${name}`, remove),
      ),
      h("div", { class: "segments", role: "group", "aria-label": `How ${name} counts` }, modes),
      one.mode === "weigh" ? h("div", { class: "row weight" }, slider, value) : null,
    );
  }

  drawSort() {
    const weighed = this.query.weigh.length > 0;
    const columns = this.context.start.columns.filter(
      (one) => /int|float|double|string/.test(one.type) && !/list|_id$/.test(one.name + one.type),
    );
    const options = [
      ["", weighed ? "Relevance" : "Id"],
      ...columns.flatMap(({ name }) => [
        [name, `${columnLabel(name)} ↑`],
        [`-${name}`, `${columnLabel(name)} ↓`],
      ]),
    ];
    const chosen = h(
      "select",
      { id: "sort", onchange: (event) => this.change({ ...this.query, sort: event.target.value }) },
      options.map(([value, label]) => h("option", { value }, label)),
    );
    chosen.value = this.query.sort;
    fill(this.sort, h("label", { for: "sort", class: "faint" }, "Order"), chosen);
  }

  async ask() {
    this.asking?.abort();
    this.asking = new AbortController();
    const { signal } = this.asking;
    const slow = setTimeout(() => this.root.classList.add("slow"), 250);
    try {
      const { source } = this.context;
      const [page, facets] = await Promise.all([
        source.search(this.query, null, signal),
        source.facets(this.query, signal),
      ]);
      if (signal.aborted) return;
      this.total = facets.total;
      this.drawFacets(facets);
      fill(
        this.heading,
        plural(facets.total, "track"),
        facets.total < this.context.start.tracks
          ? h("span", { class: "faint" }, ` of ${count(this.context.start.tracks)}`)
          : null,
      );
      announce(`${plural(facets.total, "track")} found`);
      fill(this.results, page.data.length ? null : this.nothing());
      this.more(page);
    } catch (error) {
      if (error.name !== "AbortError") fill(this.results, this.context.failed(error));
    } finally {
      clearTimeout(slow);
      if (!signal.aborted) this.root.classList.remove("slow");
    }
  }

  nothing() {
    const clear = h(
      "button",
      { type: "button", class: "strong", onclick: () => (location.hash = "#/search") },
      "Remove all filters",
    );
    const hints = [
      ...chosenTags(this.query)
        .filter((one) => one.mode !== "weigh")
        .map((one) =>
          h(
            "button",
            { type: "button", onclick: () => this.drop(one.tag) },
            `Without “${one.mode === "tag" ? "must" : "must not"} ${this.name(one.tag)}”`,
          ),
        ),
      this.query.q
        ? h(
            "button",
            {
              type: "button",
              onclick: () => {
                this.words.value = "";
                this.change({ ...this.query, q: "" });
              },
            },
            `Without the words “${this.query.q}”`,
          )
        : null,
      ...[...ranges(this.query).keys()].map((name) =>
        h(
          "button",
          { type: "button", onclick: () => this.change(withRange(this.query, name, null, null)) },
          `Any ${columnLabel(name).toLowerCase()}`,
        ),
      ),
    ];
    return notice("No track fits", "All conditions together leave no track. Take one of them away:", hints, clear);
  }

  drop(tag) {
    this.change(
      withTags(
        this.query,
        chosenTags(this.query).filter((one) => one.tag !== tag),
      ),
    );
    this.drawChips();
  }

  drawFacets(facets) {
    const chosen = ranges(this.query);
    for (const [name, one] of this.histograms) one.draw(facets.columns[name], chosen.get(name) ?? [null, null]);
    const taken = new Set(chosenTags(this.query).map((one) => one.tag));
    const shown = Object.entries(facets.tags)
      .filter(([tag]) => !taken.has(tag))
      .slice(0, 18);
    fill(
      this.popular,
      shown.map(([tag, tracks]) =>
        h(
          "button",
          { type: "button", class: "pill", title: `Only tracks with ${tag}`, onclick: () => this.add(tag, "tag") },
          this.name(tag),
          h("span", { class: "faint" }, ` ${count(tracks)}`),
        ),
      ),
    );
  }

  more(page) {
    const most = Math.max(...page.data.flatMap((row) => row.why.map((part) => Math.abs(part.value))), 0);
    this.most = Math.max(this.most ?? 0, most);
    const rows = page.data.map((row) => trackRow(this.context, row, this.most));
    this.results.append(...rows);
    if (!page.next) return;
    const button = h("button", { type: "button", class: "more" }, "More tracks");
    button.addEventListener("click", async () => {
      button.disabled = true;
      try {
        const { signal } = this.asking;
        const found = await this.context.source.search(this.query, page.next, signal);
        button.remove();
        const first = this.results.children.length;
        this.more(found);
        this.results.children[first]?.querySelector("a")?.focus();
      } catch (error) {
        if (error.name !== "AbortError") button.replaceWith(this.context.failed(error));
      }
    });
    this.results.append(button);
  }
}

/** One track of a list. `most`: the greatest contribution of the list, for the bars of the reasons. */
export function trackRow(context, row, most = 0) {
  const { player, playlist, tagNames, categories } = context;
  const facts = [
    row.year,
    duration(row.duration_s),
    ...context.start.facets
      .filter((name) => !["year", "duration_s"].includes(name) && row[name] !== null && row[name] !== undefined)
      .slice(0, 2)
      .map((name) => columnValue(name, row[name])),
  ];
  const shown = row.why?.length ? 5 : 7;
  const tags = (row.top_tags ?? [])
    .slice(0, shown)
    .map(({ tag, score }) =>
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
      h("h2", {}, h("a", { href: address("track", { id: row.track_id }) }, row.title ?? row.track_id)),
      h(
        "p",
        { class: "faint" },
        row.artist_id
          ? h("a", { href: address("artist", { id: row.artist_id }) }, row.artist ?? row.artist_id)
          : row.artist,
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
