// What a track sounds like, as people say it: values that belong together are one line.

import { columnLabel, columnValue, h, percent } from "../dom.js";

const has = (value) => value !== null && value !== undefined;

/** The key and its code on the Camelot wheel: A minor (8A). Null without a key. */
export const keyText = (track) =>
  has(track.key) ? `${track.key}${has(track.camelot) ? ` (${track.camelot})` : ""}` : null;

/** Names of columns that make a line, its label, the value, and what is known of it besides. */
const LINES = [
  [
    ["tempo_bpm", "tempo_confidence", "tempo_alternative_bpm", "tempo_alternative_weight"],
    "Tempo",
    (track) => columnValue("tempo_bpm", track.tempo_bpm),
    (track) => [
      sure(track.tempo_confidence),
      has(track.tempo_alternative_bpm) ? `or ${columnValue("tempo_bpm", track.tempo_alternative_bpm)}` : null,
    ],
  ],
  [
    ["key", "camelot", "key_confidence", "key_second"],
    "Key",
    keyText,
    (track) => [sure(track.key_confidence), has(track.key_second) ? `or ${track.key_second}` : null],
  ],
  [
    ["beats_per_bar", "beat_unit", "metre_confidence"],
    "Metre",
    (track) => `${track.beats_per_bar}/${track.beat_unit}`,
    (track) => [sure(track.metre_confidence)],
  ],
  [
    ["loudness_lufs", "loudness_of"],
    "Loudness",
    (track) => columnValue("loudness_lufs", track.loudness_lufs),
    (track) => [track.loudness_of === "excerpt" ? "of an excerpt" : null],
  ],
];

/** Further columns that come before the others. */
const FIRST = ["energy", "danceability"];

const sure = (confidence) => (has(confidence) ? `${Math.round(100 * confidence)} % sure` : null);

/** Pairs of label and value for all parameters of a track, those that belong together first. */
export function soundLines(track, parameters) {
  const joined = LINES.filter(([names]) => names.every((name) => parameters.includes(name)));
  const taken = new Set(joined.flatMap(([names]) => names));
  const lines = joined.map(([names, label, text, besides]) => {
    if (!has(track[names[0]])) return [label, "–"];
    const more = besides(track).filter(has).join(", ");
    return [label, [text(track), more ? h("span", { class: "faint besides" }, more) : null]];
  });
  const rest = parameters.filter((name) => !taken.has(name));
  const others = [...FIRST.filter((name) => rest.includes(name)), ...rest.filter((name) => !FIRST.includes(name))];
  return [...lines, ...others.map((name) => [columnLabel(name), columnValue(name, track[name])])];
}
