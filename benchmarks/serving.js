// Load on `catalog-tagger serve` by k6, for `python -m benchmarks.serving --k6 PATH`, which sets the environment:
// URL, KIND, CLIENTS, SECONDS or REQUESTS, TRACKS, SHARES (kind -> percentage), SUMMARY (file of the result), and
// EDITIONS: number of a snapshot -> its content hash and how the titles of all its tracks begin.
// Each answer must be 200, name one of these snapshots with its hash, and have titles of that snapshot alone.

import http from "k6/http";
import { Counter, Trend } from "k6/metrics";

const { URL, KIND, SUMMARY } = __ENV;
const shares = Object.entries(JSON.parse(__ENV.SHARES));
const editions = JSON.parse(__ENV.EDITIONS);
const clients = Number(__ENV.CLIENTS);
const kinds = KIND === "mixed" ? shares.map(([kind]) => kind) : [KIND];
const numbers = Object.keys(editions);

const taken = new Trend("taken", true);
const wrong = new Counter("wrong");
const parts = kinds.flatMap((kind) => numbers.map((number) => `taken{kind:${kind},snapshot:${number}}`));

export const options = {
  scenarios: {
    load: __ENV.REQUESTS
      ? { executor: "shared-iterations", vus: clients, iterations: Number(__ENV.REQUESTS), maxDuration: "6h" }
      : { executor: "constant-vus", vus: clients, duration: `${__ENV.SECONDS}s`, gracefulStop: "60s" },
  },
  summaryTrendStats: ["count", "med", "p(99)", "max"],
  thresholds: Object.fromEntries(parts.map((name) => [name, ["max>=0"]])), // so that the summary has these parts
};

const below = (most) => Math.floor(Math.random() * most);
const track = () => `${URL}/v1/tracks/track-${String(below(Number(__ENV.TRACKS))).padStart(8, "0")}`;
const weight = () => ((below(100) + 1) / 100) * (Math.random() < 0.5 ? -1 : 1); // with 0 alone, nothing is ranked
const post = (path, body) =>
  http.post(`${URL}${path}`, JSON.stringify(body), { headers: { "Content-Type": "application/json" } });

const ask = {
  track: () => http.get(track()),
  "tags of a track": () => http.get(`${track()}/tags`),
  similar: () => http.get(`${track()}/similar?limit=20`),
  "weighted search": () =>
    post("/v1/search", { weights: { "mood/calm": weight(), "genre/funk": weight() }, limit: 20 }),
  "search by text": () => http.get(`${URL}/v1/tracks?q=${below(10000)}&limit=20`),
  "search by a word of all": () => http.get(`${URL}/v1/tracks?q=of+${below(10)}&limit=20`),
  "weighted search by text": () =>
    post("/v1/search", { weights: { "mood/calm": weight() }, text: String(below(10000)), limit: 20 }),
};

function chosen() {
  let left = Math.random() * 100;
  return (shares.find(([, share]) => (left -= share) < 0) ?? shares[0])[0];
}

/** What is wrong with an answer; "" if nothing is. */
function fault(kind, answer) {
  if (answer.status !== 200) return `${answer.status}`;
  const { snapshot, data } = answer.json();
  const edition = editions[snapshot.number];
  if (!edition || edition.content_hash !== snapshot.content_hash) return `snapshot ${JSON.stringify(snapshot)}`;
  const rows = Array.isArray(data) ? data : [data];
  const titles = rows.map((row) => row.title).filter((title) => title !== undefined);
  if (!rows.length || (kind !== "tags of a track" && !titles.length)) return "nothing";
  const other = titles.find((title) => !title.startsWith(`${edition.title} of `));
  return other === undefined ? "" : `snapshot ${snapshot.number} with ${other}`;
}

export default function () {
  const kind = KIND === "mixed" ? chosen() : KIND;
  const answer = ask[kind]();
  const found = fault(kind, answer);
  if (found) {
    wrong.add(1);
    console.error(`${answer.url}: ${found}: ${String(answer.body).slice(0, 200)}`);
  }
  const number = answer.status === 200 ? answer.json("snapshot.number") : "none";
  taken.add(answer.timings.duration, { kind, snapshot: String(number) });
}

export function handleSummary(data) {
  return { [SUMMARY]: JSON.stringify(data.metrics) };
}
