// Chips of chosen tags.

import { h, iconButton, later, signed } from "../dom.js";

const MODES = [
  ["weigh", "Weight"],
  ["tag", "Must"],
  ["without", "Must not"],
];

/** A chosen tag: how it counts, and its weight. `update` gets other values of it, `remove` takes it away. */
export function tagChip(one, name, update, remove) {
  const modes = MODES.map(([mode, label]) =>
    h("button", { type: "button", "aria-pressed": String(one.mode === mode), onclick: () => update({ mode }) }, label),
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
    { class: `chip ${one.mode}`, "data-tag": one.tag },
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
