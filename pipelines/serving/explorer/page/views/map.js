// The map: a sample of the catalog on a canvas, coloured by a category, with zoom, hover and click.

import { address, catalogText, colourOf, columnLabel, count, fill, h, later, percent, plural } from "../dom.js";
import { Points, SIDE } from "./points.js";
import { stamp } from "./pixels.js";

const MOST_DISCS = 4000; // of more points, pixels are set: a path of so many discs takes most of a second

export async function mapView(context, parameters) {
  const category =
    parameters.get("category") ?? (context.categories.includes("genre") ? "genre" : context.categories[0]);
  const found = await context.source.map(category);
  const view = new CatalogMap(context, found);
  return view.root;
}

class CatalogMap {
  constructor(context, found) {
    Object.assign(this, { context, found, hidden: new Set(), zoom: 1, x: 0, y: 0, at: -1, titles: new Map() });
    this.points = new Points(found.x, found.y);
    this.colours = [-1, ...found.tags.keys()];
    const all = Int32Array.from(found.tag.keys());
    this.ofColour = new Map(this.colours.map((place) => [place, all.filter((i) => found.tag[i] === place)]));
    this.canvas = h("canvas", { tabindex: 0, role: "img", "aria-label": this.description(), class: "map" });
    this.tip = h("div", { class: "tip", hidden: true });
    this.legend = h("ul", { class: "legend-list" });
    const choice = h(
      "select",
      { id: "colours", onchange: (event) => (location.hash = address("map", { category: event.target.value })) },
      context.categories.map((name) => h("option", { value: name }, columnLabel(name))),
    );
    choice.value = found.category;
    const buttons = [
      ["+", "Zoom in", () => this.scale(1.6)],
      ["−", "Zoom out", () => this.scale(1 / 1.6)],
      ["⤢", "Show all", () => this.reset()],
    ].map(([text, label, onclick]) =>
      h("button", { type: "button", "aria-label": label, title: label, onclick }, text),
    );
    const shown = found.track_id.length;
    this.root = h(
      "section",
      { class: "map-page" },
      h("div", { class: "map-box" }, this.canvas, this.tip, h("div", { class: "map-buttons" }, buttons)),
      h(
        "aside",
        { class: "panel" },
        h("h1", {}, "Map"),
        h(
          "p",
          { class: "faint" },
          shown < found.tracks
            ? `${count(shown)} of ${plural(found.tracks, "track")}, a uniform sample. `
            : `${plural(shown, "track")}. `,
          "Tracks that sound alike are near each other: the two main directions of their embeddings, ",
          `which have ${percent(found.explained[0] + found.explained[1])} of the variance.`,
        ),
        h("div", { class: "field" }, h("label", { for: "colours" }, "Colours"), choice),
        this.legend,
        h("p", { class: "faint" }, "Drag to move, scroll to zoom, click to open a track. Keys: arrows, + and −."),
      ),
    );
    this.drawLegend();
    this.listen();
  }

  description() {
    const parts = this.found.tags.map(
      (tag, i) => `${this.name(tag)} ${this.found.tag.filter((one) => one === i).length}`,
    );
    return `Map of ${plural(this.found.track_id.length, "track")}: ${parts.join(", ")}`;
  }

  name(tag) {
    return this.context.tagNames.get(tag)?.name ?? tag;
  }

  drawLegend() {
    const sizes = new Map();
    for (const one of this.found.tag) sizes.set(one, (sizes.get(one) ?? 0) + 1);
    const rows = [...this.found.tags.keys(), -1].filter((place) => sizes.get(place));
    fill(
      this.legend,
      rows.map((place) => {
        const toggle = () => {
          this.hidden.has(place) ? this.hidden.delete(place) : this.hidden.add(place);
          this.drawLegend();
          this.paint();
        };
        return h(
          "li",
          {},
          h(
            "button",
            { type: "button", class: "quiet", "aria-pressed": String(!this.hidden.has(place)), onclick: toggle },
            h("span", { class: "dot", style: { background: colourOf(place) } }),
            place < 0 ? "Other" : this.name(this.found.tags[place]),
            h("span", { class: "faint" }, ` ${count(sizes.get(place))}`),
          ),
        );
      }),
    );
  }

  listen() {
    const { canvas } = this;
    const watch = new ResizeObserver(() => this.paint());
    watch.observe(canvas);
    const onTheme = () => this.paint();
    addEventListener("theme", onTheme);
    this.root.addEventListener("leave", () => {
      watch.disconnect();
      removeEventListener("theme", onTheme);
    });
    canvas.addEventListener(
      "wheel",
      (event) => {
        event.preventDefault();
        this.scale(Math.exp(-event.deltaY / 400), event.offsetX, event.offsetY);
      },
      { passive: false },
    );
    let held = null;
    canvas.addEventListener("pointerdown", (event) => {
      held = { x: event.offsetX, y: event.offsetY, moved: 0 };
      canvas.setPointerCapture(event.pointerId);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!held) return this.hover(event.offsetX, event.offsetY);
      const [dx, dy] = [event.offsetX - held.x, event.offsetY - held.y];
      Object.assign(held, { x: event.offsetX, y: event.offsetY, moved: held.moved + Math.abs(dx) + Math.abs(dy) });
      this.move(dx, dy);
    });
    canvas.addEventListener("pointerup", (event) => {
      const wasClick = held && held.moved < 5;
      held = null;
      this.hover(event.offsetX, event.offsetY);
      if (wasClick && this.at >= 0) location.hash = address("track", { id: this.found.track_id[this.at] });
    });
    canvas.addEventListener("pointerleave", () => this.point(-1));
    canvas.addEventListener("keydown", (event) => {
      const keys = { ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] };
      if (keys[event.key]) this.move(...keys[event.key]);
      else if (event.key === "+" || event.key === "=") this.scale(1.4);
      else if (event.key === "-") this.scale(1 / 1.4);
      else if (event.key === "0") this.reset();
      else return;
      event.preventDefault();
    });
  }

  reset() {
    Object.assign(this, { zoom: 1, x: 0, y: 0 });
    this.paint();
  }

  move(dx, dy) {
    this.x += dx;
    this.y += dy;
    this.paint();
  }

  scale(by, atX = this.canvas.clientWidth / 2, atY = this.canvas.clientHeight / 2) {
    const zoom = Math.min(Math.max(this.zoom * by, 0.8), 200);
    const factor = zoom / this.zoom;
    this.x = atX - (atX - this.x) * factor;
    this.y = atY - (atY - this.y) * factor;
    this.zoom = zoom;
    this.paint();
  }

  frame() {
    const [width, height] = [this.canvas.clientWidth, this.canvas.clientHeight];
    const margin = 24;
    return {
      width,
      height,
      sx: ((width - 2 * margin) * this.zoom) / SIDE,
      sy: ((height - 2 * margin) * this.zoom) / SIDE,
      ox: this.x + margin * this.zoom,
      oy: this.y + margin * this.zoom,
    };
  }

  paint() {
    this.pending ??= requestAnimationFrame(() => {
      this.pending = null;
      this.draw();
    });
  }

  draw() {
    const { canvas, found } = this;
    const { width, height, sx, sy, ox, oy } = this.frame();
    if (!width) return;
    const dense = devicePixelRatio || 1;
    const size = Math.min(Math.max((Math.sqrt(60000 / found.x.length) * Math.sqrt(this.zoom)) / 2, 1), 7);
    const style = getComputedStyle(canvas);
    const pen = canvas.getContext("2d");
    const place = JSON.stringify([width, height, dense, sx, sy, ox, oy, [...this.hidden], style.color]);
    if (place === this.drawn && this.picture) pen.putImageData(this.picture, 0, 0);
    else {
      this.drawn = place;
      this.resize(Math.round(width * dense), Math.round(height * dense));
      this.picture = this.drawPoints(pen, style, size, dense);
    }
    if (this.at < 0) return;
    pen.setTransform(dense, 0, 0, dense, 0, 0);
    pen.globalAlpha = 1;
    pen.strokeStyle = style.color;
    pen.lineWidth = 2;
    pen.beginPath();
    pen.arc(found.x[this.at] * sx + ox, found.y[this.at] * sy + oy, size + 4, 0, 7);
    pen.stroke();
  }

  resize(width, height) {
    if (this.canvas.width !== width) this.canvas.width = width;
    if (this.canvas.height !== height) this.canvas.height = height;
  }

  /** Draws the points, those of the tags above the others. Returns the picture if they are so many that it is kept. */
  drawPoints(pen, style, size, dense) {
    const { canvas } = this;
    const { x, y } = this.points;
    const { width, height, sx, sy, ox, oy } = this.frame();
    const [west, east, north, south] = [(-9 - ox) / sx, (width + 9 - ox) / sx, (-9 - oy) / sy, (height + 9 - oy) / sy];
    const near = (i) => x[i] > west && x[i] < east && y[i] > north && y[i] < south;
    const shown = this.colours
      .filter((place) => !this.hidden.has(place))
      .map((place) => ({
        colour: style.getPropertyValue(place < 0 ? "--colour-other" : `--colour-${place % 8}`),
        points: this.ofColour.get(place).filter(near),
      }));
    const alpha = x.length > 20000 ? 0.7 : 0.85;
    pen.setTransform(1, 0, 0, 1, 0, 0);
    pen.clearRect(0, 0, canvas.width, canvas.height);
    if (shown.reduce((sum, { points }) => sum + points.length, 0) > MOST_DISCS) {
      const picture = pen.createImageData(canvas.width, canvas.height);
      const place = { sx: sx * dense, sy: sy * dense, ox: ox * dense, oy: oy * dense };
      for (const { colour, points } of shown) {
        pen.fillStyle = colour;
        stamp(picture, points, x, y, place, size * dense, pen.fillStyle, alpha);
      }
      pen.putImageData(picture, 0, 0);
      return picture;
    }
    pen.setTransform(dense, 0, 0, dense, 0, 0);
    pen.globalAlpha = alpha;
    for (const { colour, points } of shown) {
      pen.fillStyle = colour;
      pen.beginPath();
      for (const i of points) {
        const [atX, atY] = [x[i] * sx + ox, y[i] * sy + oy];
        pen.moveTo(atX + size, atY);
        pen.arc(atX, atY, size, 0, 7);
      }
      pen.fill();
    }
    return null;
  }

  hover(px, py) {
    this.point(
      this.points.nearest(px, py, this.frame(), (one) => !this.hidden.has(this.found.tag[one])),
      px,
      py,
    );
  }

  point(at, px = 0, py = 0) {
    this.canvas.classList.toggle("over", at >= 0);
    this.tip.hidden = at < 0;
    if (at >= 0) {
      const flip = px > this.canvas.clientWidth - 240;
      this.tip.style.setProperty(
        "transform",
        `translate(${px + (flip ? -12 : 12)}px, ${py + 12}px)${flip ? " translateX(-100%)" : ""}`,
      );
    }
    if (at === this.at) return;
    this.at = at;
    this.paint();
    if (at >= 0) this.describe(at);
  }

  describe(at) {
    const id = this.found.track_id[at];
    const place = this.found.tag[at];
    const show = (row) => {
      if (this.at !== at) return;
      fill(
        this.tip,
        h("b", {}, catalogText(row?.title ?? id)),
        row?.artist ? h("span", {}, catalogText(row.artist)) : null,
        place >= 0
          ? h(
              "span",
              {},
              h("span", { class: "dot", style: { background: colourOf(place) } }),
              this.name(this.found.tags[place]),
            )
          : null,
      );
    };
    show(this.titles.get(id));
    if (this.titles.has(id)) return;
    this.fetching ??= later(60, async (wanted, then) => {
      const [row] = await this.context.source.batch([wanted], ["title", "artist"]).catch(() => []);
      if (row) this.titles.set(wanted, row);
      then(row);
    });
    this.fetching(id, show);
  }
}
