"""The page of a dataset says what it is. It is made of the manifest alone: equal datasets have equal pages."""

import dataclasses
from collections.abc import Iterator, Mapping

from transforms import storage
from transforms.dataset.manifest import DatasetManifest
from transforms.reports.markup import Html, element
from transforms.reports.page import html_page
from transforms.reports.parts import fact_list, folded, html_table, tile_row

DATASET_PAGE = "dataset.html"

LISTED_ROWS = 2_000
"""Most rows of a table; tags are in the order of the taxonomy."""

_SPLITS = ("train", "validation", "test")


def write_dataset_page(dataset: str, manifest: DatasetManifest) -> None:
    """Writes the page beside the manifest."""
    storage.write_bytes(storage.join(dataset, DATASET_PAGE), dataset_page(manifest).encode())


def dataset_page(manifest: DatasetManifest) -> str:
    """The page."""
    return html_page("Dataset", _body(manifest))


def _body(manifest: DatasetManifest) -> Iterator[Html]:
    yield element("header", element("h1", "Dataset"), element("p", _sentence(manifest), class_="soft"))
    counts = manifest.counts
    yield tile_row(
        [
            (f"{counts['catalog']:,}", "tracks in the catalog", ""),
            (f"{counts['examples']:,}", "examples", "labelled tracks with features"),
            (f"{counts['rejected']:,}", "rejected", "their audio cannot be used"),
            (f"{counts['none']:,}", "left out", _listed(manifest.none)),
        ]
    )
    yield element("h2", "Splits")
    yield _splits(manifest)
    yield element("h2", "Tags")
    yield element("p", "Examples that carry a tag, of those whose category is known.", class_="soft")
    yield folded("Every tag", _tags(manifest), opened=True)
    problems = (
        ("Rejected tracks", "reason", "tracks", manifest.rejects),
        ("Contradictory annotations", "category", "examples", manifest.conflicts),
        ("Annotations that the taxonomy does not have", "tag", "examples", manifest.unknown_tags),
        ("Earlier ids, counted for the tags that replace them", "earlier id", "examples", manifest.redirected_tags),
    )
    for title, name, unit, found in problems:
        if found:
            yield element("h2", title)
            yield _counted(title, name, unit, found)
    yield element("h2", "What it was made with")
    yield fact_list(_facts(manifest))


def _sentence(manifest: DatasetManifest) -> str:
    size = sum(shard.bytes for shard in manifest.shards)
    patches = sum(shard.patches for shard in manifest.shards)
    return f"{len(manifest.shards):,} TFRecord files with {patches:,} patches, {size / 1e6:,.1f} MB."


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items()) if count)


def _splits(manifest: DatasetManifest) -> Html:
    rows = []
    for split in (name for name in _SPLITS if name in manifest.splits):
        shards = manifest.shards_of(split)
        patches, size = sum(shard.patches for shard in shards), sum(shard.bytes for shard in shards)
        rows.append([split, f"{manifest.splits[split]:,}", f"{len(shards):,}", f"{patches:,}", f"{size:,}"])
    shared = manifest.groups.get("shared")
    told = "" if shared is None else f"; {shared:,} of {manifest.groups['all']:,} artists are in several splits"
    return html_table(["split", "examples", "files", "patches", "bytes"], rows, f"Sides of the split{told}")


def _tags(manifest: DatasetManifest) -> Html:
    splits = [name for name in _SPLITS if name in manifest.tag_positive]
    ids = [tag.id for tag in manifest.taxonomy.tags]
    rows = [
        [tag, *(f"{manifest.tag_positive[split][i]:,} of {manifest.tag_known[split][i]:,}" for split in splits)]
        for i, tag in enumerate(ids[:LISTED_ROWS])
    ]
    rest = "" if len(ids) <= LISTED_ROWS else f", the first {LISTED_ROWS} of {len(ids)}"
    return html_table(["tag", *splits], rows, f"Examples per tag{rest}")


def _counted(title: str, name: str, unit: str, found: Mapping[str, int]) -> Html:
    order = sorted(found.items(), key=lambda item: (-item[1], item[0]))
    rest = "" if len(order) <= LISTED_ROWS else f", the most frequent {LISTED_ROWS} of {len(order)}"
    rows = [[text, f"{count:,}"] for text, count in order[:LISTED_ROWS]]
    return html_table([name, unit], rows, f"{title}{rest}")


def _facts(manifest: DatasetManifest) -> dict[str, object]:
    ratios = dataclasses.asdict(manifest.split_ratios)
    split = ", ".join(f"{name} {share:g}" for name, share in ratios.items())
    return {
        "catalog": manifest.catalog_digest,
        "features": manifest.feature_id,
        "taxonomy": manifest.taxonomy_id,
        "split": manifest.split_column or f"hash of the artist: {split}",
        **{name.replace("_", " "): value for name, value in manifest.feature_spec.to_json().items()},
    }
