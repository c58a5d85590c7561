"""From the flags of a command to a request, and what commands have in common that answer with tracks."""

import contextlib
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from pipelines.inputs.flags import Arguments
from pipelines.inputs.table import chosen_snapshot
from pipelines.terminal.errors import UsageError
from transforms.discovery.search.engine import FilterCount
from transforms.discovery.search.request import SearchRequest, ValueRange, named_value, weight_of
from transforms.discovery.search.vocabulary import DiscoveryError
from transforms.discovery.search.words import WordMatch
from transforms.table.mixture import mixture_text
from transforms.table.reader import SnapshotReader

_log = logging.getLogger(__name__)

AnswerRow = dict[str, Any]


@contextlib.contextmanager
def refusals() -> Iterator[None]:
    """Turns a request that cannot be answered into wrong usage.

    Raises:
      UsageError: the block raised a DiscoveryError.
    """
    try:
        yield
    except DiscoveryError as error:
        raise UsageError(str(error)) from error


def opened(args: Arguments) -> SnapshotReader:
    """The snapshot that the flags select; says if it is mixed."""
    snapshot = chosen_snapshot(args)
    if (mixed := mixture_text(snapshot.manifest.run)) is not None:
        _log.warning("snapshot %d has %s", snapshot.manifest.number, mixed)
    return snapshot


def request_of(args: Arguments, limit: int) -> SearchRequest:
    """The request of the flags `weights_flag` and `condition_flags`.

    Raises:
      DiscoveryError: a value cannot be read.
    """
    ranges = named_once("--range", map(named_value, args.ranges))
    only = named_once("--only", map(named_value, args.only))
    return SearchRequest(
        weights=named_once("--tag", map(weight_of, args.tags)),
        words=getattr(args, "words", None),
        must=tuple(args.must),
        must_not=tuple(args.must_not),
        ranges={name: ValueRange.of(span) for name, span in ranges.items()},
        only={name: _values(text) for name, text in only.items()},
        where=args.where,
        text=args.text,
        key=args.key_compatible,
        limit=limit,
    )


def _values(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def named_once(flag: str, pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """The pairs as a mapping.

    Raises:
      DiscoveryError: a name is given twice.
    """
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise DiscoveryError(f"{flag} {name}: it is given twice: leave one of them out")
        found[name] = value
    return found


TITLES = ("title", "artist", "album_id", "year", "duration_s")
"""Columns of `tracks` that answers show, if the table has them."""


def titles_of(
    snapshot: SnapshotReader, track_ids: Sequence[str], columns: Sequence[str] = ("title", "artist")
) -> dict[str, AnswerRow]:
    """Track id -> its values of some columns of `tracks`; null for columns that the table does not have."""
    have = [name for name in columns if name in snapshot.schema("tracks").names]
    found: dict[str, AnswerRow] = {}
    if track_ids:
        for row in snapshot.scan("tracks", list(dict.fromkeys(["track_id", *have])), track_ids=track_ids).to_pylist():
            found[row["track_id"]] = {name: row.get(name) for name in columns}
    return found


def filter_rows(filters: Sequence[FilterCount]) -> list[AnswerRow]:
    """The conditions for a document."""
    return [{"filter": one.label, "alone": one.alone, "left": one.left} for one in filters]


def word_rows(matches: Sequence[WordMatch]) -> list[AnswerRow]:
    """What the words stand for, for a document."""
    return [{"words": m.words, "tags": m.term.label.split("|"), "weight": m.weight, "rule": m.rule} for m in matches]


def word_lines(matches: Sequence[WordMatch], unmatched: Sequence[str]) -> list[str]:
    """What the words stand for, as sentences."""
    told = [f"{m.words} = {m.term.label.replace('|', ' or ')} ({m.weight:+g}, {m.rule})" for m in matches]
    lines = [f"words: {'; '.join(told)}"] if told else []
    if unmatched:
        lines.append(f"words that no tag and no synonym has: {', '.join(unmatched)}")
    return lines


def shown_columns(row: Mapping[str, Any], names: Sequence[str]) -> list[Any]:
    """The values of a row for a table."""
    return [row[name] for name in names]
