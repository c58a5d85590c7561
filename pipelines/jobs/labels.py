"""Reports on a catalog's labels, and makes a taxonomy without the tags that are too rare.

catalog-tagger labels --catalog catalog.parquet --taxonomy taxonomy.yaml --output labels --min-artists 50
catalog-tagger prepare --catalog catalog.parquet --taxonomy labels/taxonomy.yaml ...
"""

from typing import Any

from pipelines.inputs.catalog import (
    check_at_least_one,
    check_split_column,
    fail_on_problems,
    open_catalog,
    split_ratios,
)
from pipelines.inputs.flags import Arguments
from pipelines.inputs.kinds import check_writes
from pipelines.inputs.labelled_tracks import redirected_lines
from pipelines.terminal.answer import Answer
from pipelines.terminal.errors import CommandFailed
from pipelines.terminal.visible import printable
from transforms import storage
from transforms.formats.hashing import json_bytes
from transforms.formats.parquet import parquet_bytes
from transforms.formats.quantities import quantity
from transforms.splits.by_artist import split_of
from transforms.splits.report import artists_of, label_table, overview, to_markdown
from transforms.splits.survey import CatalogLabels, read_labels
from transforms.taxonomy.hierarchy import Taxonomy, load_taxonomy
from transforms.taxonomy.pruning import PrunedTaxonomy, without_rare


def run(args: Arguments, beam_args: list[str]) -> Answer:
    """Reads the catalog once and writes the report."""
    check_at_least_one(min_artists=args.min_artists)
    check_writes("--output", args.output)
    ratios, taxonomy = split_ratios(args), load_taxonomy(args.taxonomy)
    shards, _ = open_catalog(args.catalog)
    check_split_column(args.split_column, shards[0])
    catalog = read_labels(shards, taxonomy, lambda row: split_of(row, ratios, args.split_column))
    fail_on_problems(catalog.problems, "reported")
    if not catalog.known.any():
        raise CommandFailed(f"{args.catalog}: no track has a tag of the taxonomy")
    reduced = _reduced(args, catalog, taxonomy)
    found = _write(args, catalog, taxonomy, reduced)
    advice = [] if reduced is None else [f"prepare and split with --taxonomy {args.output}/taxonomy.yaml"]
    return Answer(text="\n".join([summary(found), *advice]), document=found)


def _reduced(args: Arguments, catalog: CatalogLabels, taxonomy: Taxonomy) -> PrunedTaxonomy | None:
    if args.min_artists is None:
        return None
    artists = dict(zip(taxonomy.tag_ids, artists_of(catalog, len(taxonomy.tags)).tolist(), strict=True))
    try:
        return without_rare(taxonomy, artists, args.min_artists)
    except ValueError as error:
        raise CommandFailed(str(error)) from error


def _write(
    args: Arguments, catalog: CatalogLabels, taxonomy: Taxonomy, reduced: PrunedTaxonomy | None
) -> dict[str, Any]:
    reasons = reduced.reasons if reduced else {}
    found = {
        **overview(catalog, taxonomy),
        "split": f"column {args.split_column}" if args.split_column else f"hash of the artist, {args.split_ratios}",
        "taxonomy_id": taxonomy.taxonomy_id,
        "min_artists": args.min_artists,
        "dropped": reasons,
    }
    table = label_table(catalog, taxonomy, reasons)
    files = {
        "labels.parquet": parquet_bytes(table),
        "conflicts.parquet": parquet_bytes(catalog.conflicts),
        "labels.json": json_bytes(found),
        "labels.md": printable(to_markdown(found, table, catalog.conflicts)).encode(),
        **({"taxonomy.yaml": reduced.taxonomy.to_yaml().encode()} if reduced else {}),
    }
    for name, data in files.items():
        storage.write_bytes(storage.join(args.output, name), data)
    return found


def summary(found: dict[str, Any]) -> str:
    """Summary of the report, as text of a few lines."""
    lines = [
        f"{quantity(found['tracks'], 'track')} of {quantity(found['artists'], 'artist')}, "
        f"{found['labelled']} with labels"
    ]
    for name, category in found["categories"].items():
        conflicts = f", {category['conflicts']} conflicts" if category["conflicts"] else ""
        lines.append(
            f"{name}: {quantity(category['tags'], 'tag')}, known for {quantity(category['known'], 'track')}{conflicts}"
        )
    if found["dropped"]:
        lines.append(
            f"{quantity(len(found['dropped']), 'tag')} dropped, "
            f"with fewer than {quantity(found['min_artists'], 'artist')}"
        )
    if found["unknown_tags"]:
        lines.append(f"{quantity(len(found['unknown_tags']), 'tag')} not in the taxonomy")
    lines += redirected_lines(found["redirected_tags"])
    return "\n".join(lines)
