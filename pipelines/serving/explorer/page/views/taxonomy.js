// The taxonomy: a tree for each category.

import { address, colourOf, columnLabel, count, fill, h, later, notice, plural, viewHead } from "../dom.js";
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
    viewHead(
      "Tags",
      `${plural(context.start.tags.length, "tag")} in ${plural(context.categories.length, "category", "categories")}. A tag leads to its tracks.`,
      { tools: h("div", { class: "field" }, h("label", { for: "find-tag" }, "Find a tag"), field) },
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
    if (!children.length) return h("li", {}, h("div", { class: "leaf" }, h("span"), line(tag)));
    const list = h("ul", {}, children.map(node));
    const toggle = h("button", {
      type: "button",
      class: "fold",
      "aria-expanded": "true",
      "aria-label": `Narrower tags of ${tag.name}`,
    });
    toggle.addEventListener("click", () => {
      list.hidden = !list.hidden;
      toggle.setAttribute("aria-expanded", String(!list.hidden));
    });
    return h("li", {}, h("div", { class: "leaf" }, toggle, line(tag)), list);
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
