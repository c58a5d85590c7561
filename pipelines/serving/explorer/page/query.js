// A search as an object and as an address: the same names as the parameters of the service.

const LISTS = ["weigh", "tag", "without", "range"];

/** The search of an address. */
export function readQuery(parameters) {
  const query = {
    q: parameters.get("q") ?? "",
    artist_id: parameters.get("artist_id") ?? "",
    sort: parameters.get("sort") ?? "",
  };
  for (const name of LISTS) query[name] = parameters.getAll(name);
  return query;
}

/** The chosen tags: {tag, mode, weight}, mode `weigh`, `tag` (must) or `without` (must not). */
export function chosenTags(query) {
  const weighed = query.weigh.map((text) => {
    const [, tag, weight] = text.match(/^(.*?)(?::(-?[\d.]+))?$/);
    return { tag, mode: "weigh", weight: weight === undefined ? 1 : Number(weight) };
  });
  const hard = ["tag", "without"].flatMap((mode) => query[mode].map((tag) => ({ tag, mode, weight: 1 })));
  return [...weighed, ...hard];
}

/** The query with other chosen tags. */
export function withTags(query, chosen) {
  const of = (mode) => chosen.filter((one) => one.mode === mode);
  return {
    ...query,
    weigh: of("weigh").map((one) => `${one.tag}:${one.weight}`),
    tag: of("tag").map((one) => one.tag),
    without: of("without").map((one) => one.tag),
  };
}

/** Column -> [low, high]; null: open. */
export function ranges(query) {
  const pairs = query.range.map((text) => {
    const at = text.indexOf(":");
    return [
      text.slice(0, at),
      text
        .slice(at + 1)
        .split("..")
        .map((end) => (end === "" ? null : Number(end))),
    ];
  });
  return new Map(pairs);
}

/** The query with the range of a column; both ends open: without it. */
export function withRange(query, column, low, high) {
  const others = query.range.filter((text) => !text.startsWith(`${column}:`));
  const own = low === null && high === null ? [] : [`${column}:${low ?? ""}..${high ?? ""}`];
  return { ...query, range: [...others, ...own] };
}
