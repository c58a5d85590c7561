// A field that finds tags by name, id and earlier letters: a combobox with a list.

import { colourOf, fill, h } from "../dom.js";

const SHOWN = 12;
let fields = 0;

/** The tags that fit a text best: names that begin with it first. */
export function matchingTags(tags, text) {
  const plain = (value) => value.toLowerCase().normalize("NFD").replace(/\p{M}/gu, "");
  const wanted = plain(text.trim());
  const rank = (tag) => {
    const name = plain(tag.name);
    return name.startsWith(wanted) ? 0 : name.includes(wanted) ? 1 : plain(tag.tag).includes(wanted) ? 2 : 3;
  };
  return tags
    .map((tag) => [rank(tag), tag])
    .filter(([order]) => order < 3)
    .sort((a, b) => a[0] - b[0] || (b[1].support ?? 0) - (a[1].support ?? 0))
    .map(([, tag]) => tag)
    .slice(0, SHOWN);
}

export function tagField(context, label, chosen) {
  const id = `tag-field-${fields++}`;
  const input = h("input", {
    type: "text",
    id,
    role: "combobox",
    placeholder: "Calm, piano, jazz …",
    autocomplete: "off",
    "aria-expanded": "false",
    "aria-controls": `${id}-list`,
    "aria-autocomplete": "list",
  });
  const list = h("ul", { id: `${id}-list`, role: "listbox", "aria-label": label, class: "options", hidden: true });
  let at = -1;
  const close = () => {
    list.hidden = true;
    at = -1;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
  };
  const take = (tag) => {
    input.value = "";
    close();
    chosen(tag);
  };
  const draw = () => {
    const found = matchingTags(context.start.tags, input.value);
    fill(
      list,
      found.map((tag, i) =>
        h(
          "li",
          {
            role: "option",
            id: `${id}-${i}`,
            "aria-selected": String(i === at),
            onmousedown: (event) => {
              event.preventDefault();
              take(tag.tag);
            },
          },
          h("span", { class: "dot", style: { background: colourOf(context.categories.indexOf(tag.category)) } }),
          tag.name,
          h("span", { class: "faint" }, tag.category),
        ),
      ),
    );
    list.hidden = !found.length;
    input.setAttribute("aria-expanded", String(!list.hidden));
    if (at >= 0) {
      input.setAttribute("aria-activedescendant", `${id}-${at}`);
      list.children[at]?.scrollIntoView({ block: "nearest" });
    }
    return found;
  };
  input.addEventListener("input", () => {
    at = -1;
    draw();
  });
  input.addEventListener("focus", draw);
  input.addEventListener("blur", close);
  input.addEventListener("keydown", (event) => {
    const found = matchingTags(context.start.tags, input.value);
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      at = (at + (event.key === "ArrowDown" ? 1 : -1) + found.length) % Math.max(found.length, 1);
      draw();
    } else if (event.key === "Enter" && found.length) {
      event.preventDefault();
      take(found[Math.max(at, 0)].tag);
    } else if (event.key === "Escape") close();
  });
  return h("div", { class: "field combo" }, h("label", { for: id }, label), input, list);
}
