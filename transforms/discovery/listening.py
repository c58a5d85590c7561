"""The profile of a listening history: what its tracks have more or less of than the catalog.

The value of a tag is the mean of its calibrated scores over the history, weighted by plays, minus its mean over the
catalog, divided by its deviation over the tracks of the catalog. Intervals are 95 % bootstrap intervals over artists
(over tracks, if the catalog names fewer than two), with a fixed seed. Valence and arousal are sums of the values of
moods, weighted by the axes of `listening.yaml` and divided by the sum of the absolute weights. The sentences are those
of the same file. A profile describes recordings, not a person.
"""

import dataclasses
import functools
import importlib.resources
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from transforms.catalog.delimited.small_table import SmallTable, read_small_table
from transforms.discovery.playlists.pool import artist_columns, artist_keys
from transforms.discovery.search.scores import ScoreReader
from transforms.discovery.search.vocabulary import DiscoveryError, Term, vocabulary_of
from transforms.formats.documents import parse_yaml
from transforms.formats.quantities import quantity
from transforms.table.reader import TRACK_ID, SnapshotReader

LEAST_KNOWN_TRACKS = 5
"""Fewest known tracks of a history."""

_RESAMPLES, _SEED = 1_000, 20
_MOST_ROWS = 1_000_000

_Floats = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class ProfileValue:
    """A value in standard deviations of the catalog's tracks, with the ends of its 95 % interval."""

    value: float
    low: float
    high: float


@dataclasses.dataclass(frozen=True)
class Descriptor:
    """A tag of a profile.

    Attributes:
      share: share of the plays whose track has the tag, 0 to 1.
      catalog_share: share of the catalog's tracks that have it.
    """

    tag: str
    name: str
    estimate: ProfileValue
    share: float
    catalog_share: float


@dataclasses.dataclass(frozen=True)
class Profile:
    """A profile.

    Attributes:
      moods: the highest value first.
      styles: the largest share of plays first.
      valence, arousal: None if the taxonomy has no mood that an axis names.
      tracks, plays: those of the history that the snapshot has.
      unknown: ids that it does not have, sorted.
    """

    moods: tuple[Descriptor, ...]
    styles: tuple[Descriptor, ...]
    valence: ProfileValue | None
    arousal: ProfileValue | None
    sentences: tuple[str, ...]
    tracks: int
    plays: float
    unknown: tuple[str, ...]


def read_history(name: str, data: bytes) -> dict[str, float]:
    """Track id -> plays, from CSV with a column `track_id` and, if there is one, `plays`. Repeated ids are added.

    Raises:
      DiscoveryError: the file has no such column, is not UTF-8, or a number of plays is none.
    """
    try:
        return _plays(name, read_small_table(name, data))
    except DiscoveryError:
        raise
    except ValueError as error:
        raise DiscoveryError(f"{name}: {error}") from error


def _plays(name: str, table: SmallTable) -> dict[str, float]:
    if TRACK_ID not in table.names:
        raise DiscoveryError(f"{name}: no column track_id: add a header, such as track_id,plays")
    found: dict[str, float] = {}
    for number, row in table.rows:
        track, plays = row[TRACK_ID], row.get("plays")
        if not track:
            continue
        try:
            count = float(plays) if plays else 1.0
        except ValueError:
            count = math.nan
        if not (math.isfinite(count) and count >= 0):
            raise DiscoveryError(f"{name}, row {number}: plays {plays!r} is no number from 0")
        found[track] = found.get(track, 0.0) + count
        if number > _MOST_ROWS:
            raise DiscoveryError(f"{name}: more than {_MOST_ROWS} rows: add up the plays of each track")
    return {track: count for track, count in found.items() if count > 0}


def listening_profile(
    snapshot: SnapshotReader,
    history: Mapping[str, float],
    moods: Sequence[str] | None = None,
    styles: Sequence[str] | None = None,
) -> Profile:
    """The profile of a history: track id -> plays, above 0.

    Args:
      moods, styles: categories of tags; by default those whose name has `mood`, and `genre` or `style`.

    Raises:
      DiscoveryError: the snapshot has too few of the tracks, or no such category.
      StorageError: a file is missing or damaged.
    """
    vocabulary = vocabulary_of(snapshot)
    names = [category.name for category in vocabulary.taxonomy.categories]
    chosen = [_categories(names, moods, ("mood",), "moods"), _categories(names, styles, ("genre", "style"), "styles")]
    tags = [tag for tag in vocabulary.taxonomy.tag_ids if tag.partition("/")[0] in {*chosen[0], *chosen[1]}]
    rows = snapshot.scan("tracks", [TRACK_ID, *artist_columns(snapshot)], track_ids=list(history)).sort_by(TRACK_ID)
    ids = rows[TRACK_ID].to_pylist()
    if len(ids) < LEAST_KNOWN_TRACKS:
        raise DiscoveryError(
            f"snapshot {snapshot.manifest.number} has {len(ids)} of the {quantity(len(history), 'track')}: a profile "
            f"needs at least {LEAST_KNOWN_TRACKS}"
        )
    found = ScoreReader(snapshot, [Term(tag, (tag,)) for tag in tags]).read(ids, None)
    mean, deviation, shares = catalog_moments(snapshot, tags)
    plays = np.array([history[track] for track in ids])
    drawn = resampled_weights(plays, artist_keys(rows))
    scale = np.where(deviation > 1e-6, deviation, np.inf)
    values = ((drawn @ found.scores) / drawn.sum(axis=1, keepdims=True) - mean) / scale
    own_shares = plays @ found.positive / plays.sum()
    all_ = [
        Descriptor(tag, vocabulary.display_names[tag], _estimate(values[:, i]), float(own_shares[i]), float(shares[i]))
        for i, tag in enumerate(tags)
    ]
    mood_list = sorted(_of(all_, chosen[0]), key=lambda one: (-one.estimate.value, one.tag))
    style_list = sorted(_of(all_, chosen[1]), key=lambda one: (-one.share, -one.estimate.value, one.tag))
    axes = [_axis(values, tags, chosen[0], axis) for axis in (0, 1)]
    return Profile(
        moods=tuple(mood_list),
        styles=tuple(style_list),
        valence=axes[0],
        arousal=axes[1],
        sentences=tuple(_sentences(mood_list, style_list, axes)),
        tracks=len(ids),
        plays=float(plays.sum()),
        unknown=tuple(sorted(set(history) - set(ids))),
    )


def catalog_moments(snapshot: SnapshotReader, tags: Sequence[str]) -> tuple[_Floats, _Floats, _Floats]:
    """Mean and deviation of each tag's score over all tracks, and the share of tracks that have it: float64 [tags].

    A score that is not published counts as `min_score`.
    """
    known = pa.array(tags, pa.string())
    least = float(snapshot.manifest.run.options.get("min_score") or 0.0)
    sums = np.zeros((4, len(tags)))
    count = 0
    for bucket in range(snapshot.buckets):
        count += snapshot.scan("tracks", [TRACK_ID], bucket=bucket).num_rows
        for batch in snapshot.batches("track_tags", ["tag", "score", "is_positive"], bucket=bucket):
            own = batch.filter(pc.is_in(batch["tag"], value_set=known))
            place = np.asarray(pc.index_in(own["tag"], value_set=known).to_numpy(zero_copy_only=False), np.int64)
            score = own["score"].to_numpy(zero_copy_only=False).astype(np.float64)
            positive = own["is_positive"].to_numpy(zero_copy_only=False)
            for row, weights in enumerate((None, score, np.square(score), positive)):
                sums[row] += np.bincount(place, weights, len(tags))
    missing = count - sums[0]
    mean = (sums[1] + missing * least) / max(count, 1)
    squares = (sums[2] + missing * least**2) / max(count, 1)
    return mean, np.sqrt(np.maximum(squares - np.square(mean), 0)), sums[3] / max(count, 1)


def resampled_weights(plays: _Floats, artists: Sequence[str]) -> _Floats:
    """Weights of the tracks: in row 0 the plays, in the others those of bootstrap samples: float64 [1001, tracks]."""
    units = artists if len(set(artists)) > 1 else list(map(str, range(len(plays))))
    names, of = np.unique(units, return_inverse=True)
    rng = np.random.default_rng(_SEED)
    counts = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), _RESAMPLES)
    return np.vstack([plays, counts[:, of] * plays])


def _estimate(values: _Floats) -> ProfileValue:
    """From the value of the history and those of the samples."""
    low, high = np.quantile(values[1:], [0.025, 0.975])
    return ProfileValue(*(round(float(one), 4) for one in (values[0], low, high)))


def _categories(names: Sequence[str], given: Sequence[str] | None, parts: Sequence[str], what: str) -> list[str]:
    if given:
        for name in given:
            if name not in names:
                raise DiscoveryError(f"category {name}: the snapshot has none of this name, but {', '.join(names)}")
        return list(given)
    found = [name for name in names if any(part in name.lower() for part in parts)]
    if not found:
        raise DiscoveryError(f"no category has {' or '.join(parts)} in its name: give --{what} CATEGORY")
    return found


def _of(descriptors: Sequence[Descriptor], categories: Sequence[str]) -> list[Descriptor]:
    return [one for one in descriptors if one.tag.partition("/")[0] in categories]


@functools.cache
def declared_profiles() -> Mapping[str, Any]:
    """The axes and sentences of this package."""
    data = importlib.resources.files("transforms.discovery").joinpath("listening.yaml").read_bytes()
    document: Mapping[str, Any] = parse_yaml(data)
    return document


def _axis(values: _Floats, tags: Sequence[str], categories: Sequence[str], axis: int) -> ProfileValue | None:
    declared = declared_profiles()["axes"]
    weights = np.zeros(len(tags))
    for place, tag in enumerate(tags):
        category, _, slug = tag.partition("/")
        if category in categories and slug in declared:
            weights[place] = declared[slug][axis]
    total = np.abs(weights).sum()
    return _estimate(values @ weights / total) if total > 0 else None


def _sentences(
    moods: Sequence[Descriptor], styles: Sequence[Descriptor], axes: Sequence[ProfileValue | None]
) -> list[str]:
    """One sentence of each group whose conditions are met."""
    clear = [one.name for one in moods if one.estimate.low > 0][:3]
    frequent = [one.name for one in styles if one.share > 0][:2]
    listed = {"moods": clear, "styles": frequent, "note": []}
    measured = {"valence": axes[0], "arousal": axes[1]}
    found = []
    for group, rows in declared_profiles()["sentences"].items():
        if group in measured and measured[group] is None:
            continue
        names, estimate = listed.get(group, []), measured.get(group)
        row = next((row for row in rows if _is_met(row, names, estimate)), None)
        if row is not None:
            found.append(row["text"].format(**dict(zip(("first", "second", "third"), names, strict=False))))
    return found


def _is_met(row: Mapping[str, Any], names: Sequence[str], estimate: ProfileValue | None) -> bool:
    if len(names) < row.get("needs", 0):
        return False
    if estimate is None:
        return True
    least, most = (float(row.get(name, end)) for name, end in (("least", -math.inf), ("most", math.inf)))
    return estimate.low >= least and estimate.high <= most
