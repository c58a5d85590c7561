"""Sources, policies and joined catalog rows for tests."""

import numpy as np
import pyarrow as pa

from transforms.fusion.joining import join_bucket
from transforms.fusion.policy import Policy, policy_of
from transforms.fusion.pooling import FusedScores, fuse
from transforms.fusion.source_files import STATEMENTS
from transforms.schemas.catalog import CATALOG
from transforms.taxonomy.hierarchy import Taxonomy

TAXONOMY = Taxonomy.from_json(
    {
        "categories": [
            {"name": "voice", "kind": "binary", "tags": ["voice/vocal", "voice/instrumental"]},
            {"name": "genre", "kind": "multiclass", "tags": ["genre/folk", "genre/rock", "genre/jazz"]},
            {
                "name": "mood",
                "kind": "multilabel",
                "tags": [
                    {"id": "mood/soft"},
                    {"id": "mood/calm", "parents": ["mood/soft"], "aliases": ["mood/peaceful"]},
                    {"id": "mood/sad", "parents": ["mood/soft"]},
                    {"id": "mood/gloomy", "parents": ["mood/sad"]},
                    {"id": "mood/happy"},
                ],
            },
            {"name": "live", "kind": "binary", "tags": ["live/live"]},
        ]
    }
)
TAGS = TAXONOMY.tag_ids

Said = dict[str, dict[str, dict[str, float]]]
"""Source -> track -> tag -> weight."""


def policy(**sources: dict) -> Policy:
    """A policy with these sources; `trust` is 1 if it is not given."""
    return policy_of({"sources": {name: {"trust": 1, **rule} for name, rule in sources.items()}}, TAXONOMY)


def statements(said: Said) -> pa.Table:
    """The rows of sources about tracks, artists or albums."""
    rows = [
        {"key": key, "source": source, "tag": tag, "weight": weight}
        for source, keys in said.items()
        for key, tags in keys.items()
        for tag, weight in tags.items()
    ]
    return pa.Table.from_pylist(rows, STATEMENTS)


def catalog_rows(ids: list[str], tags: dict[str, dict[str, float | None]] | None = None, **columns: list) -> pa.Table:
    """Catalog rows with these ids, which must be sorted, and these tags."""
    found = []
    for place, track in enumerate(ids):
        own = [{"tag": tag, "weight": weight} for tag, weight in sorted((tags or {}).get(track, {}).items())]
        row = {"track_id": track, "uri": f"{track}.wav", "tags": own or None}
        found.append({**row, **{name: values[place] for name, values in columns.items()}})
    return pa.Table.from_pylist(found, CATALOG)


def fused(scores: dict[str, dict[str, float]], said: Said, rules: Policy) -> FusedScores:
    """The scores of tracks, 0.5 where none is given, combined with what sources say about them."""
    ids = sorted(scores)
    values = np.array([[scores[track].get(tag, 0.5) for tag in TAGS] for track in ids])
    of_catalog = said.get("catalog", {})
    further = statements({name: own for name, own in said.items() if name != "catalog"})
    rows = join_bucket(catalog_rows(ids, of_catalog), [further], [], rules, TAXONOMY).rows
    return fuse(values, rows, rules, TAXONOMY)


def score_of(found: FusedScores, tag: str, row: int = 0) -> float:
    """The score of a tag of a track."""
    return float(found.scores[row, TAGS.index(tag)])
