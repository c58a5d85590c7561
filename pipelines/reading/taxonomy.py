"""What one version of a taxonomy changes of another one, and how many tracks of a table are concerned.

catalog-tagger taxonomy diff table taxonomy.yaml --table table
"""

from collections.abc import Iterator, Mapping
from typing import Any

from models.bundles.tagger_bundle import load_bundle
from pipelines.inputs.flags import Arguments
from pipelines.inputs.kinds import kind_of
from pipelines.terminal.answer import Answer
from pipelines.terminal.errors import UsageError
from pipelines.terminal.printing import table_text
from transforms.comparison.tag_holders import TagHolders, count_holders
from transforms.dataset.manifest import read_manifest
from transforms.table.reader import SnapshotReader, open_snapshot
from transforms.taxonomy.hierarchy import Taxonomy, load_taxonomy
from transforms.taxonomy.published_tags import taxonomy_of_rows
from transforms.taxonomy.versions import TaxonomyChanges, compare_taxonomies
from transforms.telemetry.phases import passing

_Row = dict[str, Any]


def run(args: Arguments, beam_args: list[str]) -> Answer:
    """Compares the versions, and counts the tracks of `--table`."""
    snapshot = None if args.table is None else _snapshot(args.table)
    changes = compare_taxonomies(_taxonomy(args.before), _taxonomy(args.after))
    affected = changes.affected()
    counts = None if snapshot is None else _holders(snapshot, affected)
    rows = list(_rows(changes, counts))
    document = {"before": args.before, "after": args.after, **changes.to_json(), "sentences": changes.sentences()}
    lines = [*changes.sentences(), *([table_text(list(rows[0]), [list(r.values()) for r in rows])] if rows else [])]
    if snapshot is not None and counts is not None:
        tagged = snapshot.manifest.run.counts["tagged"] + snapshot.manifest.run.counts["carried"]
        tracks = {"tagged": tagged, "concerned": counts.tracks, "by_tag": dict(counts.by_tag)}
        document["table"] = {"table": args.table, "snapshot": snapshot.manifest.number, "tracks": tracks}
        lines.append(
            f"{counts.tracks} of {tagged} tagged tracks in snapshot {snapshot.manifest.number} of {args.table} have a "
            "tag that changes"
        )
    return Answer(text="\n".join(lines), document=document, rows=rows)


def _taxonomy(place: str) -> Taxonomy:
    """The taxonomy of a file, bundle, dataset, or table (with `@` and a number: of that snapshot)."""
    kind = kind_of(place)
    if kind == "bundle":
        return load_bundle(place).taxonomy
    if kind == "dataset":
        return read_manifest(place).taxonomy
    if kind == "table" or _numbered(place) is not None:
        return taxonomy_of_rows(_snapshot(place).scan("taxonomy").to_pylist(), rules=True)
    return load_taxonomy(place)


def _numbered(place: str) -> tuple[str, int] | None:
    """The table and the number of `TABLE@3`; None for another text, or if there is no table."""
    root, _, number = place.rpartition("@")
    return (root, int(number)) if number.isdecimal() and root and kind_of(root) == "table" else None


def _snapshot(place: str) -> SnapshotReader:
    if kind_of(place) == "table":
        return open_snapshot(place)
    if (found := _numbered(place)) is None:
        raise UsageError(f"--table {place}: this is no table: give its folder, or TABLE@3 for snapshot 3")
    return open_snapshot(*found)


def _holders(snapshot: SnapshotReader, tags: Mapping[str, str]) -> TagHolders:
    """The tracks of a snapshot that have the tags. Without tags, nothing is read."""
    if not tags:
        return TagHolders.none()
    parts = passing(count_holders(snapshot, tags), "counting tracks", unit="buckets", total=snapshot.buckets)
    return sum(parts, TagHolders.none())


def _rows(changes: TaxonomyChanges, counts: TagHolders | None) -> Iterator[_Row]:
    """One row per tag that changes; if a table is given, with its number of tracks, the most first."""
    fates = changes.fates
    now = {**fates.pairs, **{old: ", ".join(new) for old, new in fates.split.items()}}
    new = {tag: old for old, tag in fates.renamed.items()}
    moved = {new.get(tag, tag): tag for tag in changes.moved}
    affected = sorted(changes.affected().items(), key=lambda item: (-counts.by_tag[item[0]] if counts else 0, item[0]))
    for tag, change in affected:
        row = {"change": change, "tag": tag, "now": now.get(tag) or moved.get(tag)}
        yield row if counts is None else {**row, "tracks": counts.by_tag[tag]}
    for tag in sorted(changes.added):
        row = {"change": "added", "tag": None, "now": tag}
        yield row if counts is None else {**row, "tracks": None}
