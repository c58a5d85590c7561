// The sign-in, and the list of keys.

import { fill, h, iconButton } from "./dom.js";

/** A form for the id and secret of a client. The secret is sent once, and kept nowhere in the page. */
export function signInView(context, signedIn) {
  const problem = h("p", { class: "problem", role: "alert" });
  const client = h("input", { id: "client", name: "client", autocomplete: "username", required: true, maxlength: 256 });
  const secret = h("input", {
    id: "secret",
    name: "secret",
    type: "password",
    autocomplete: "current-password",
    required: true,
    maxlength: 256,
  });
  const button = h("button", { class: "strong" }, "Sign in");
  const onsubmit = async (event) => {
    event.preventDefault();
    button.disabled = true;
    try {
      await context.source.signIn(client.value, secret.value);
      form.reset();
      await signedIn();
    } catch (error) {
      problem.textContent = error.detail ?? String(error);
      button.disabled = false;
      secret.focus();
    }
  };
  const form = h(
    "form",
    { class: "card sign-in", onsubmit, method: "post" },
    h("h1", {}, "Sign in"),
    h("p", { class: "faint" }, "This catalog is open to clients of the service."),
    h("label", { for: "client" }, "Client id"),
    client,
    h("label", { for: "secret" }, "Client secret"),
    secret,
    problem,
    button,
  );
  return form;
}

const KEYS = [
  ["/", "search for words"],
  ["j, k", "next and previous track"],
  ["Enter", "open the track"],
  ["p", "play the track"],
  ["a", "add the track to the playlist"],
  ["Alt + ↑, ↓", "move a track of the playlist"],
  ["arrows, +, −", "move and zoom the map"],
  ["?", "this list"],
];

export function keysDialog() {
  const found =
    document.getElementById("keys") ??
    document.body.appendChild(h("dialog", { id: "keys", "aria-labelledby": "keys-title" }));
  const rows = KEYS.map(([key, text]) => [h("dt", {}, h("kbd", {}, key)), h("dd", {}, text)]);
  return fill(
    found,
    h(
      "div",
      { class: "row spread" },
      h("h2", { id: "keys-title" }, "Keys"),
      iconButton("close", "Close", () => found.close()),
    ),
    h("dl", { class: "facts" }, rows),
  );
}
