// The search: words, tags with weights, ranges with histograms, results with reasons.

import { address, announce, columnLabel, count, fill, h, iconButton, later, notice, plural } from "../dom.js";
import { tagChip } from "./chips.js";
import { Histogram } from "./histogram.js";
import { chosenTags, ranges, readQuery, withRange, withTags } from "../query.js";
import { trackRow } from "./results.js";
import { tagField } from "./tags.js";

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
      chosen.map((one) =>
        tagChip(
          one,
          this.name(one.tag),
          (...given) => this.update(chosen, one, ...given),
          () => this.drop(one.tag),
        ),
      ),
    );
  }

  /** Other values of a chosen tag. The chip is drawn again, and the key that was pressed keeps the focus. */
  update(chosen, one, values, redraw = true) {
    Object.assign(one, values);
    this.change(withTags(this.query, chosen));
    if (!redraw) return;
    this.drawChips();
    const own = [...this.chips.children].find((chip) => chip.dataset.tag === one.tag);
    own?.querySelector("[aria-pressed='true']")?.focus();
  }

  set(values) {
    this.change({ ...this.query, ...values });
    this.drawChips();
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
    if (this.context.start.tracks === 0) return notice("No tracks", "This snapshot has no tagged track.");
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
