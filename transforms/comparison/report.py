"""The result of a comparison as one JSON object, and as a text to read."""

import dataclasses
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from transforms.comparison.buckets import Pair
from transforms.comparison.track_changes import CHANGES, RETAGGED, TOUCHED, TrackCounts
from transforms.formats.quantities import quantity
from transforms.table.mixture import mixture_text
from transforms.table.neighbours import neighbours_text
from transforms.table.reader import SnapshotReader

LISTED_TAGS = 20
"""Number of tags that the text lists."""

SUMMED = ("positives_before", "positives_after", "kept", "gained", "lost", "entered", "left")


def document(pair: Pair, counts: TrackCounts, tags: pa.Table) -> dict[str, Any]:
    """The comparison as one JSON object.

    Args:
      pair: the snapshots.
      counts: sums over all buckets.
      tags: the table `DIFF_TAGS`.
    """
    rows = tags.to_pylist()
    before, after = ({(f.name, str(f.type)) for f in side.schema("tracks")} for side in pair)
    names = ("before", "after", "added", "removed", "changed", "unchanged", *CHANGES, RETAGGED, TOUCHED)
    return {
        "table": pair.after.root,
        "before": _side(pair.before),
        "after": _side(pair.after),
        "tracks": {name: counts.changes[name] for name in names},
        "outcomes": [
            {"before": old, "after": new, "tracks": count}
            for (old, new), count in sorted(counts.outcomes.items(), key=lambda item: (-item[1], str(item[0])))
        ],
        "columns_added": sorted(name for name, _ in after - before),
        "columns_removed": sorted(name for name, _ in before - after),
        "categories": category_sums(rows),
        "tags": rows,
    }


def _side(snapshot: SnapshotReader) -> dict[str, Any]:
    manifest = snapshot.manifest
    published = bool(manifest.created)  # a run over a sample has no snapshot
    return {
        "snapshot": manifest.number if published else None,
        "created": manifest.created if published else None,
        "content_hash": manifest.run.content_hash,
        "ids": dataclasses.asdict(manifest.run.ids),
        "options": manifest.run.options,
        "mixture": mixture_text(manifest.run),
        "neighbours": neighbours_text(manifest.run),
    }


def category_sums(tags: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Sums per category, and its churn: gained and lost, divided by kept, gained and lost; None if there are none."""
    sums: dict[str, dict[str, Any]] = defaultdict(lambda: dict.fromkeys(SUMMED, 0))
    for row in tags:
        for name in SUMMED:
            sums[row["category"]][name] += row[name]
    return {name: {**found, "churn": churn(found)} for name, found in sorted(sums.items())}


def churn(counts: Mapping[str, int]) -> float | None:
    """Share of the positives of either snapshot that only one of them has; None if there are none."""
    moved = counts["gained"] + counts["lost"]
    return moved / (moved + counts["kept"]) if moved + counts["kept"] else None


_TRACK_ROWS = """A changed track differs in at least one way: `source` (other bytes in the audio file),
`outcome` (another status or reason), `metadata` (its uri, or other values in `tracks`), `tags` (tags
gained or lost), `scores` (the score of a tag that both have). `retagged`: tracks that both snapshots
tagged, with different taggers; their tags and scores may be the same. `touched`: tracks whose file has
another version, such as another time, and the same bytes; that alone is no change."""


def to_text(found: Mapping[str, Any]) -> str:
    """The comparison in Markdown: snapshots, tracks, categories, and the tracks and tags that changed most."""
    parts = [
        _title(found),
        "\n".join(_facts(found)),
        "## Tracks",
        _table(("tracks", "number"), [(name, number) for name, number in found["tracks"].items()]),
        _TRACK_ROWS,
        "## Outcomes",
        _table(("before", "after", "tracks"), [tuple(row.values()) for row in found["outcomes"]]),
        "## Categories",
        _table(
            ("category", "before", "after", *SUMMED[2:], "churn"),
            [(name, *row.values()) for name, row in found["categories"].items()],
        ),
        *_tracks(found),
        "## Tags that changed most",
        _most_changed(found["tags"]),
    ]
    return "\n\n".join(parts) + "\n"


def _title(found: Mapping[str, Any]) -> str:
    before, after = (found[name]["snapshot"] for name in ("before", "after"))
    return f"# Snapshots {before} and {after}" if after is not None else f"# Snapshot {before} and a sample"


def _origin(side: Mapping[str, Any], tracks: int) -> str:
    if side["snapshot"] is None:
        return f"sample of {quantity(tracks, 'track')}, not published"
    return f"snapshot {side['snapshot']}, {side['created']}"


def _facts(found: Mapping[str, Any]) -> list[str]:
    before, after = found["before"], found["after"]
    lines = [f"- {name}: {_origin(side, found['tracks'][name])}" for name, side in _named(found)]
    lines += [f"- {name}: {side['neighbours']}" for name, side in _named(found) if side["neighbours"] is not None]
    if before["content_hash"] == after["content_hash"]:
        return [*lines, "- content: equal"]
    changed = [name for name, value in before["ids"].items() if after["ids"][name] != value]
    changed += ["options"] if before["options"] != after["options"] else []
    lines += [f"- {name}: {side['mixture']}" for name, side in _named(found) if side["mixture"] is not None]
    lines.append(f"- ids and options that differ: {', '.join(changed) or 'none'}")
    for way in ("added", "removed"):
        if columns := found[f"columns_{way}"]:
            lines.append(f"- columns of `tracks` {way}: {', '.join(columns)}")
    former = [(row["former_ids"].replace("|", " and "), row["tag"]) for row in found["tags"] if row["former_ids"]]
    renamed = [f"{old} is now {tag}" for old, tag in former]
    if renamed:
        hidden = len(renamed) - LISTED_TAGS
        rest = f", and {hidden} more" if hidden > 0 else ""
        lines.append(f"- tags with another id: {', '.join(renamed[:LISTED_TAGS])}{rest}")
    return lines


def _named(found: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    return [(name, found[name]) for name in ("before", "after")]


def _tracks(found: Mapping[str, Any]) -> list[str]:
    """The tracks that changed most, and where all of them are; nothing if they were not looked for, or none changed."""
    rows = [
        (
            row["track_id"],
            row["change"],
            ", ".join(row["differs"]) or None,
            ", ".join(row["gained"]) or None,
            ", ".join(row["lost"]) or None,
            row["max_distance"],
        )
        for row in found.get("changed_tracks", ())
    ]
    if not rows:
        return []
    hidden = sum(found["tracks"][name] for name in ("added", "removed", "changed")) - len(rows)
    rest = f"{quantity(hidden, 'more track')} left out. " if hidden else ""
    head = ("track", "change", "differs in", "gained", "lost", "max_distance")
    where = "`diff` with `--output FOLDER` writes all of them into `tracks.parquet`."
    return ["## Tracks that changed most", _table(head, rows), f"{rest}{where}"]


def _most_changed(tags: Sequence[Mapping[str, Any]]) -> str:
    changed = [row for row in tags if row["gained"] or row["lost"] or row["shifted"] or row["side"] != "both"]
    if not changed:
        return "none"
    changed.sort(key=lambda row: (-row["gained"] - row["lost"], -(row["mean_distance"] or 0), row["tag"]))
    counts = ("positives_before", "positives_after", "gained", "lost")
    names = ("tag", "side", *counts, "mean_shift", "mean_distance", "stability_index")
    text = _table(
        tuple(name.replace("positives_", "") for name in names),
        [tuple(row[name] for name in names) for row in changed[:LISTED_TAGS]],
    )
    hidden = len(changed) - LISTED_TAGS
    return text + (f"\n\n{hidden} more changed tags are left out." if hidden > 0 else "")


def _table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A table in Markdown whose columns are aligned, so that it can be read on a terminal, too."""
    lines = [list(head), *([_cell(value) for value in row] for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    right = [i > 0 and any(isinstance(row[i], int | float) for row in rows) for i in range(len(head))]
    rule = ["-" * (width - 1) + (":" if end else "-") for width, end in zip(widths, right, strict=True)]
    lines.insert(1, rule)
    return "\n".join(
        "| " + " | ".join(c.rjust(w) if r else c.ljust(w) for c, w, r in zip(line, widths, right, strict=True)) + " |"
        for line in lines
    )


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4f}"
    if isinstance(value, int):
        return f"{value:,}"
    return "-" if value is None else str(value).replace("|", "\\|").replace("\n", " ")
