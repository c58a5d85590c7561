"""The files of an evaluation: a Parquet table, a JSON document and an HTML page."""

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from models.bundles import split_record as split_file
from models.bundles.tagger_bundle import Bundle
from models.bundles.trunk_bundle import read_file
from models.evaluation.examined import ExaminedTracks
from models.evaluation.report.page import Subject, page
from models.evaluation.resampling import LEVEL, MIN_GROUPS
from models.evaluation.summary import Evaluation, Resampling
from models.fitting import baselines
from transforms.formats.documents import parse_json
from transforms.formats.hashing import json_bytes
from transforms.formats.parquet import parquet_bytes
from transforms.schemas.reports import TAG_METRICS

HISTORY = "history.json"


def subject_of(
    bundle: Bundle, source: Mapping[str, str], split: str, resampling: Resampling, notes: Sequence[str] = ()
) -> Subject:
    """The description of an evaluation of a bundle on one split.

    Args:
      bundle: the bundle.
      source: label -> text, the origin of labels and scores.
      split: the side of the tracks.
      resampling: settings of the confidence intervals.
      notes: sentences that are needed to interpret the metrics.
    """
    return Subject(
        title=f"Evaluation on the {split} split",
        facts={
            "tagger": bundle.tagger_id,
            "embedding": bundle.embedding_id,
            "features": bundle.feature_id,
            "taxonomy": bundle.taxonomy.taxonomy_id,
            **source,
            "split": split,
            "resamples": f"{resampling.resamples} of artists, seed {resampling.seed}",
        },
        thresholds={facts.tag: (facts.threshold, facts.threshold_rule) for facts in bundle.tags},
        history=_history(bundle),
        notes=(*notes, *why_no_baselines(bundle)),
    )


def why_no_baselines(bundle: Bundle) -> tuple[str, ...]:
    """The reason why a bundle has no baselines; empty if it has."""
    if baselines.BASELINES_FILE in bundle.files:
        return ()
    if split_file.SPLIT_FILE in bundle.files:
        how = "its heads were fitted on the embeddings of a table, and baselines need spectrograms"
    else:
        how = "it was not trained on a dataset by `train`"
    return (
        f"The bundle has no baselines to compare with, because {how}. `train --dataset` makes bundles with baselines.",
    )


def _history(bundle: Bundle) -> dict[str, Any] | None:
    if HISTORY not in bundle.files:
        return None
    found: dict[str, Any] = parse_json(read_file(bundle.url, HISTORY, bundle.files[HISTORY]))
    return found


def evaluation_files(
    subject: Subject, examined: ExaminedTracks, evaluation: Evaluation, tag_ids: Sequence[str]
) -> dict[str, bytes]:
    """Name -> bytes. The JSON document is last, so that it exists only if the others do."""
    document = {
        "facts": dict(subject.facts),
        "notes": list(subject.notes),
        "tracks": evaluation.tracks,
        "artists": len(set(examined.groups)),
        "intervals": {"level": LEVEL, "least_artists": MIN_GROUPS},
        "averages": evaluation.averages,
        "differences": evaluation.differences,
        "confusions": evaluation.confusions,
        "reliability": evaluation.reliability,
    }
    return {
        "tags.parquet": parquet_bytes(pa.Table.from_pylist(evaluation.rows, schema=TAG_METRICS)),
        "report.html": page(subject, examined, evaluation, tag_ids).encode(),
        "evaluation.json": json_bytes(document),
    }
