// Where the page's data is from: the service, or the files of an export.

import { openExport } from "./exported.js";

/** An answer that is an error. `detail` is for people. */
export class SourceError extends Error {
  constructor(status, title, detail) {
    super(detail);
    Object.assign(this, { status, title, detail });
  }
}

async function ask(path, given = {}, options = {}) {
  const parts = new URLSearchParams();
  for (const [name, value] of Object.entries(given)) {
    for (const one of [value].flat()) if (one !== null && one !== undefined && one !== "") parts.append(name, one);
  }
  const text = parts.toString();
  let answer;
  try {
    answer = await fetch(`v1/${path}${text ? `?${text}` : ""}`, { credentials: "same-origin", ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new SourceError(0, "No connection", "The service does not answer. It may have been stopped.");
  }
  const document = await answer.json().catch(() => ({}));
  if (answer.ok) return document;
  throw new SourceError(
    answer.status,
    document.title ?? `Status ${answer.status}`,
    document.detail ?? "The service gave no reason.",
  );
}

const service = {
  isExport: false,
  start: async () => (await ask("explorer")).data,
  search: (query, cursor, signal) => ask("explorer/tracks", { ...query, limit: 25, cursor }, { signal }),
  facets: async ({ q, artist_id, range, tag, without }, signal) =>
    (await ask("explorer/facets", { q, artist_id, range, tag, without }, { signal })).data,
  track: async (id) => (await ask("explorer/track", { id })).data,
  similar: async (id) => (await ask(`tracks/${encodeURIComponent(id)}/similar`, { limit: 8 })).data,
  artist: async (id) => (await ask("explorer/artist", { id })).data,
  map: async (category, points = 100000) => (await ask("explorer/map", { category, points })).data,
  quality: async () => (await ask("explorer/quality")).data,
  changes: async () => (await ask("explorer/changes")).data,
  batch: async (ids, fields) => {
    const body = JSON.stringify({ track_ids: ids, fields });
    return (await ask("tracks/batch", {}, { method: "POST", body, headers: { "Content-Type": "application/json" } }))
      .data;
  },
  audioAddress: (id) => `v1/explorer/audio?id=${encodeURIComponent(id)}`,
  session: () => ask("explorer/session"),
  signIn: (client_id, client_secret) =>
    ask(
      "explorer/session",
      {},
      {
        method: "POST",
        body: JSON.stringify({ client_id, client_secret }),
        headers: { "Content-Type": "application/json" },
      },
    ),
  signOut: () => ask("explorer/session", {}, { method: "DELETE" }),
};

/** The source that the page was made for. */
export async function openSource() {
  const folder = document.querySelector('meta[name="explorer-data"]').content;
  return folder ? openExport(folder) : service;
}
