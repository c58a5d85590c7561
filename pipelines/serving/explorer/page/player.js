// The audio player at the bottom of the page, if the service reaches the audio.

import { address, announce, catalogText, fill, h, iconButton } from "./dom.js";

export class Player {
  constructor(context) {
    this.context = context;
    this.isOffered = Boolean(context.start.audio);
    this.box = document.getElementById("player");
    this.audio = h("audio", { controls: true, preload: "none", "aria-label": "Audio player" });
    this.audio.addEventListener("error", () => this.audio.src && this.fail());
  }

  /** A button that plays a track; null if no audio is reachable. */
  button(track) {
    if (!this.isOffered) return null;
    return iconButton("play", `Play ${track.title ?? track.track_id}`, () => this.play(track), { "data-key": "p" });
  }

  play(track) {
    const name = [track.title ?? track.track_id, track.artist].filter(Boolean).join(" · ");
    this.message = h("span", { class: "faint", role: "alert" });
    const title = h("a", { href: address("track", { id: track.track_id }) }, catalogText(name));
    fill(
      this.box,
      h("div", { class: "now" }, title, this.message),
      this.audio,
      iconButton("close", "Close the player", () => this.close()),
    );
    this.box.hidden = false;
    this.audio.src = this.context.source.audioAddress(track.track_id);
    this.audio.play().catch(() => {});
    announce(`Playing ${name}`);
  }

  fail() {
    this.message.textContent = " cannot be played: the file is not there, or the browser does not know its format";
  }

  close() {
    this.audio.pause();
    this.audio.removeAttribute("src");
    this.box.hidden = true;
  }
}
