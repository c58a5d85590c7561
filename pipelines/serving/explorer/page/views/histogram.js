// A histogram of a column with a slider for each end of the range.

import { columnLabel, columnValue, count, fill, h, later } from "../dom.js";

const HEIGHT = 44;

export class Histogram {
  constructor(name, changed) {
    Object.assign(this, { name, changed: later(120, changed) });
    this.plot = h("svg", { class: "histogram", preserveAspectRatio: "none", "aria-hidden": "true" });
    this.text = h("span", { class: "number" });
    this.chosen = [null, null];
    this.low = this.slider("lowest", () => {
      if (Number(this.low.value) > Number(this.high.value)) this.low.value = this.high.value;
      this.chosen = [this.range()[0], this.chosen[1]];
    });
    this.high = this.slider("highest", () => {
      if (Number(this.high.value) < Number(this.low.value)) this.high.value = this.low.value;
      this.chosen = [this.chosen[0], this.range()[1]];
    });
    this.root = h(
      "fieldset",
      { class: "field range" },
      h("legend", {}, columnLabel(name)),
      this.text,
      h("div", { class: "plot" }, this.plot, this.low, this.high),
    );
  }

  /** `choose` keeps the order of the sliders, and takes over the end that was moved. */
  slider(end, choose) {
    const node = h("input", { type: "range", min: 0, step: 1, "aria-label": `${columnLabel(this.name)}, ${end}` });
    node.addEventListener("input", () => {
      choose();
      this.paint();
      this.changed(...this.chosen);
    });
    return node;
  }

  /** The range of the sliders: an end at the edge is open, because the outermost bins hold all values beyond them. */
  range() {
    const { start, step, counts, is_integer } = this.facet;
    const [from, to] = [Number(this.low.value), Number(this.high.value)];
    const edge = (place) => Number((start + place * step).toPrecision(10));
    const low = from === 0 ? null : edge(from);
    const high = to === counts.length ? null : is_integer ? edge(to) - 1 : edge(to);
    return [low, high];
  }

  draw(facet, [low, high]) {
    this.facet = facet;
    const bins = facet.counts.length;
    this.chosen = [low, high];
    const place = (value) => (value - facet.start) / facet.step;
    for (const node of [this.low, this.high]) node.max = bins;
    if (document.activeElement !== this.low) this.low.value = low === null ? 0 : Math.floor(place(low) + 1e-6);
    if (document.activeElement !== this.high)
      this.high.value = high === null ? bins : Math.ceil(place(facet.is_integer ? high + 1 : high) - 1e-6);
    this.root.hidden = bins < 2;
    this.paint();
  }

  paint() {
    const { counts } = this.facet;
    const most = Math.max(...counts, 1);
    const [from, to] = [Number(this.low.value), Number(this.high.value)];
    this.plot.setAttribute("viewBox", `0 0 ${counts.length} ${HEIGHT}`);
    fill(
      this.plot,
      counts.map((tracks, i) => {
        const height = tracks ? Math.max((HEIGHT * tracks) / most, 1.5) : 0;
        return h("rect", {
          x: i + 0.06,
          y: HEIGHT - height,
          width: 0.88,
          height,
          class: i >= from && i < Math.max(to, from + 1) ? "in" : "out",
        });
      }),
    );
    const [low, high] = this.chosen;
    const show = (value) => columnValue(this.name, value);
    const text =
      low === null && high === null
        ? "any"
        : low === null
          ? `up to ${show(high)}`
          : high === null
            ? `${show(low)} or more`
            : `${show(low)} – ${show(high)}`;
    this.text.textContent = text;
    for (const node of [this.low, this.high])
      node.setAttribute("aria-valuetext", `${text}, ${count(counts.reduce((sum, one) => sum + one, 0))} tracks`);
  }
}
