"""A published table of known composition: embeddings that hold the true tags with noise, and heads that read them."""

from unittest import mock

import numpy as np
import pyarrow as pa

from models.bundles import fake
from models.scoring.heads import Heads
from pipelines.synthesis.catalog import make_tracks, taxonomy, true_tags
from tests.support import published
from tests.support.published import publish_table
from transforms.features.parameters.keys import KEY_NAMES
from transforms.table.reader import open_snapshot
from transforms.taxonomy.hierarchy import Taxonomy

TAXONOMY = Taxonomy.from_json(taxonomy())
PATCH_DIM = 20
"""Twice this is the length of an embedding, which is more than there are tags."""


def true_vectors(count):
    """Track id -> whether each tag of the taxonomy is true."""
    found = {}
    for track in make_tracks(count, 0):
        own = np.zeros(len(TAXONOMY.tags), bool)
        for tags in true_tags(track.artist.genre, track.song).values():
            for tag in tags:
                own[list(TAXONOMY.implied(tag))] = True
        found[track.track_id] = own
    return found


def genres_of(count):
    """Track id -> its true genre, as a tag."""
    return {track.track_id: f"genre/{track.artist.genre}" for track in make_tracks(count, 0)}


def composed_table(folder, tracks=150, noise=0.35, gain=4.0):
    """The newest snapshot of a new table. Its tracks have the columns bpm, key and energy, and many durations."""
    dim, tags = 2 * PATCH_DIM, len(TAXONOMY.tags)
    basis = np.linalg.qr(np.random.default_rng(7).normal(size=(dim, dim)))[0][:tags]
    heads = Heads(
        mean=np.zeros(dim),
        scale=np.ones(dim),
        weights=gain * basis.T,
        bias=np.zeros(tags),
        slope=np.ones(tags),
        offset=np.zeros(tags),
    )
    truth = true_vectors(tracks)
    plain_rows, plain_outcomes = published.catalog_rows, published.outcomes_of

    def rows_of(made):
        rows = plain_rows(made)
        rngs = [np.random.default_rng([*track.encode(), 1]) for track in rows["track_id"].to_pylist()]
        keys = [str(rng.choice(KEY_NAMES)) if rng.random() < 0.9 else None for rng in rngs]
        energies = [float(rng.random()) if rng.random() < 0.9 else None for rng in rngs]
        return rows.append_column("key", pa.array(keys)).append_column("energy", pa.array(energies, pa.float64()))

    def outcomes(rows, dim, carried):
        found = plain_outcomes(rows, dim, carried).to_pylist()
        for row in found:
            if row["embedding"] is not None:
                rng = np.random.default_rng([*row["track_id"].encode(), 2])
                own = (2.0 * truth[row["track_id"]] - 1) @ basis + rng.normal(0, noise, dim)
                row["embedding"] = own.astype(np.float16).astype(np.float32).tolist()
                row["duration_s"] = float(rng.integers(60, 400))
        return pa.Table.from_pylist(found, published.OUTCOME)

    with (
        mock.patch.object(fake, "_fake_heads", lambda *_: heads),
        mock.patch.object(published, "catalog_rows", rows_of),
        mock.patch.object(published, "outcomes_of", outcomes),
    ):
        bundle = fake.write_fake_bundle(str(folder / "bundle"), TAXONOMY, published.FeatureSpec(), patch_dim=PATCH_DIM)
        publish_table(folder / "table", bundle, tracks)
    return open_snapshot(str(folder / "table"))
