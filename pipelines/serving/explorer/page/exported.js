// The source of an export: the files of a folder. Searches run in the browser, by the rules of the service.

import { chosenTags, ranges } from "./query.js";
import { SourceError } from "./source.js";

const PAGE = 25;
const DIGITS = 1e9; // a relevance is rounded as the service rounds it, so that equal ones are equal here too
const SHOWN_TAGS = 60;

/** Lower case without accents, apostrophes and punctuation, as `transforms/discovery/search/texts.py` has it. */
const plain = (text) =>
  text
    .normalize("NFKD")
    .replace(/[\p{Mn}'’]+/gu, "")
    .replace(/[^\p{L}\p{N}]+/gu, " ")
    .toLowerCase()
    .replaceAll("ς", "σ");

/** The words that are looked for. */
function textWords(text) {
  const words = plain(text).split(" ").filter(Boolean);
  if (text.trim() && !words.length)
    throw new SourceError(400, "The request is not valid", `text '${text}': it has no letters or digits`);
  return words;
}

export async function openExport(folder) {
  const read = async (name) => {
    const answer = await fetch(`${folder}/${name}`).catch(() => null);
    if (!answer?.ok)
      throw new SourceError(
        answer?.status ?? 0,
        "A file of the export is missing",
        `${folder}/${name} cannot be read: export again, or open the folder through a web server.`,
      );
    const found = await answer.json();
    if (found.problem) throw new SourceError(404, "The export does not have this", found.problem);
    return found;
  };
  const [start, catalog] = await Promise.all([read("start.json"), read("catalog.json")]);
  return new Exported(read, start, catalog);
}

/** Log-odds of a score with a doubt, as `transforms/discovery/search/scores.py` has them. */
function logOdds(score, doubt) {
  const q = doubt + (1 - 2 * doubt) * score;
  return Math.log(q) - Math.log1p(-q);
}

class Exported {
  constructor(read, start, catalog) {
    Object.assign(this, {
      isExport: true,
      read,
      known: start,
      rows: catalog.tracks,
      scores: catalog.scores,
      artists: catalog.artists,
      audioAddress: () => "",
    });
    this.column = new Map(catalog.tags.map((tag, i) => [tag, i]));
    this.place = new Map(this.rows.map((row, i) => [row.track_id, i]));
    this.parents = new Map(start.tags.map((tag) => [tag.tag, tag.parents]));
    this.positive = this.rows.map((row) => this.withBroader(row.top_tags.map((one) => one.tag)));
    this.words = this.rows.map((row) => plain(`${row.title ?? ""} ${row.artist ?? ""}`));
  }

  async start() {
    return this.known;
  }

  /** The tags and all broader ones: a track with a narrower tag has the broader ones too. */
  withBroader(tags) {
    const found = new Set(tags);
    for (const tag of found) for (const parent of this.parents.get(tag) ?? []) found.add(parent);
    return found;
  }

  narrower(tag) {
    const found = new Set([tag]);
    for (let size = 0; size !== found.size;) {
      size = found.size;
      for (const one of this.known.tags) if (one.parents.some((parent) => found.has(parent))) found.add(one.tag);
    }
    return [...found];
  }

  /** Score of a tag or of its narrower tags, 0 to 1. */
  score(track, tags) {
    return Math.max(...tags.map((tag) => (this.scores[track][this.column.get(tag)] ?? 0) / 10000));
  }

  fits(query, without = null) {
    const words = textWords(query.q ?? "");
    const limits = [...ranges(query)].filter(([name]) => name !== without);
    return (row, i) =>
      words.every((word) => this.words[i].includes(word)) &&
      (!query.artist_id || row.artist_id === query.artist_id) &&
      query.tag.every((tag) => this.positive[i].has(tag)) &&
      !query.without.some((tag) => this.positive[i].has(tag)) &&
      limits.every(
        ([name, [low, high]]) =>
          row[name] !== null &&
          row[name] !== undefined &&
          (low === null || row[name] >= low) &&
          (high === null || row[name] <= high),
      );
  }

  async search(query, cursor) {
    const weights = chosenTags(query)
      .filter((one) => one.mode === "weigh")
      .map((one) => ({ ...one, tags: this.narrower(one.tag) }));
    const fits = this.fits(query);
    const found = this.rows.filter(fits).map((row) => this.hit(row, weights));
    const name = query.sort.replace(/^-/, "");
    const key = name || (weights.length ? "relevance" : "track_id");
    const descending = query.sort ? query.sort.startsWith("-") : weights.length > 0;
    const compare = (a, b) => (a < b ? -1 : a > b ? 1 : 0);
    const isNone = (row) => row[key] === null || row[key] === undefined;
    found.sort(
      (a, b) =>
        isNone(a) - isNone(b) || compare(a[key], b[key]) * (descending ? -1 : 1) || compare(a.track_id, b.track_id),
    );
    const begin = Number(cursor ?? 0);
    const next = begin + PAGE < found.length ? String(begin + PAGE) : null;
    return { data: found.slice(begin, begin + PAGE), next };
  }

  hit(row, weights) {
    const why = weights.map(({ tag, weight, tags }) => {
      const score = this.score(this.place.get(row.track_id), tags);
      return { tag, weight, score, value: weight * logOdds(score, this.known.doubt) };
    });
    const relevance = Math.round(why.reduce((sum, one) => sum + one.value, 0) * DIGITS) / DIGITS;
    why.sort((a, b) => Math.abs(b.value) - Math.abs(a.value));
    return { ...row, why, relevance: weights.length ? relevance : null };
  }

  async facets(query) {
    const columns = {};
    for (const name of this.known.facets) {
      const { start, step, number, is_integer } = this.known.bins[name];
      const counts = new Array(number).fill(0);
      let missing = 0;
      const fits = this.fits(query, name);
      this.rows.forEach((row, i) => {
        if (!fits(row, i)) return;
        const value = row[name];
        if (value === null || value === undefined) missing++;
        else counts[Math.min(Math.max(Math.floor((value - start) / step + 1e-9), 0), number - 1)]++;
      });
      columns[name] = { start, step, counts, missing, is_integer };
    }
    const found = this.rows.filter(this.fits(query));
    const tags = new Map();
    for (const row of found)
      for (const tag of this.positive[this.place.get(row.track_id)]) tags.set(tag, (tags.get(tag) ?? 0) + 1);
    const most = [...tags].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1)).slice(0, SHOWN_TAGS);
    return { total: found.length, columns, tags: Object.fromEntries(most) };
  }

  async track(id) {
    if (!this.place.has(id))
      throw new SourceError(404, "Not in this export", `${id} is rejected, or was left out of the export.`);
    return this.read(`tracks/${this.place.get(id)}.json`);
  }

  async artist(id) {
    const place = this.artists.indexOf(id);
    if (place < 0) throw new SourceError(404, "Not in this export", `The artist ${id} was left out of the export.`);
    return this.read(`artists/${place}.json`);
  }

  async map(category) {
    return this.read(`maps/${this.known.categories.indexOf(category)}.json`);
  }

  quality() {
    return this.read("quality.json");
  }

  changes() {
    return this.read("changes.json");
  }

  async batch(ids) {
    return ids.filter((id) => this.place.has(id)).map((id) => this.rows[this.place.get(id)]);
  }
}
