"""Assigns tracks to sides of the split by a hash of the artist, so that no track moves when the catalog grows."""

import dataclasses
import hashlib
import unicodedata
from collections.abc import Iterable
from typing import Any, Literal, Self

Split = Literal["train", "validation", "test"]

SPLITS: tuple[Split, ...] = ("train", "validation", "test")

NONE = "none"
"""Side of a track that is in no split, for example because its bytes are on two sides."""

_NO_ARTIST = {"", "various", "various artists", "va", "v.a.", "unknown", "unknown artist", "[unknown]", "n/a", "none"}
"""Normalised names that do not name an artist: a group of them could put half a catalog on one side."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class SplitRatios:
    """Shares of the artists on each side. The three shares add up to 1."""

    train: float = 0.8
    validation: float = 0.1
    test: float = 0.1

    def __post_init__(self) -> None:
        shares = (self.train, self.validation, self.test)
        if not (all(0 <= share <= 1 for share in shares) and abs(sum(shares) - 1) <= 1e-9):  # false for NaN
            raise ValueError(
                f"split ratios {self.train}, {self.validation}, {self.test}: give three shares from 0 that add up to 1"
            )

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parses ratios such as `0.8,0.1,0.1` (train, validation, test). Raises ValueError."""
        parts = text.split(",")
        if len(parts) != len(SPLITS):
            raise ValueError(f"split ratios {text!r}: give train,validation,test, e.g. 0.8,0.1,0.1")
        return cls(train=float(parts[0]), validation=float(parts[1]), test=float(parts[2]))

    def to_json(self) -> dict[str, float]:
        """The ratios as a JSON object."""
        return dataclasses.asdict(self)


def group_key(*, track_id: str, artist_id: str | None, artist: str | None, album_id: str | None) -> str:
    """Key of the group that a split keeps together: the track's artist, else its album, else the track alone."""
    if artist_id:
        return f"artist_id:{artist_id}"
    name = normalised_name(artist or "")
    if name not in _NO_ARTIST:
        return f"artist:{name}"
    return f"album_id:{album_id}" if album_id else f"track_id:{track_id}"


def group_of(row: dict[str, Any]) -> str:
    """The `group_key` of a catalog row."""
    return group_key(**{name: row[name] for name in ("track_id", "artist_id", "artist", "album_id")})


def normalised_name(name: str) -> str:
    """A name without differences in Unicode compatibility forms, case and white space."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def assign(key: str, ratios: SplitRatios) -> Split:
    """The side of a group. It depends only on the key and the ratios."""
    position = int.from_bytes(hashlib.sha256(f"split:{key}".encode()).digest()[:8], "big") / 2**64
    if position < ratios.test:
        return "test"
    return "validation" if position < ratios.test + ratios.validation else "train"


def split_of(row: dict[str, Any], ratios: SplitRatios, column: str | None = None) -> str:
    """The side of a catalog row.

    Args:
      row: a row with the catalog's columns.
      ratios: shares of the sides.
      column: further column with the official split. Its values replace the hash.

    Raises:
      ValueError: the column's value is not the name of a side.
    """
    if column is None:
        return assign(group_of(row), ratios)
    named = {"valid": "validation", "val": "validation", "dev": "validation", "training": "train"}
    value = str(row[column] or NONE).strip().lower()
    side = named.get(value, value)
    if side not in (*SPLITS, NONE):
        raise ValueError(f"split {row[column]!r}: write {', '.join(SPLITS)} or {NONE}")
    return side


def tied_sides(entries: Iterable[tuple[str, str]]) -> set[str]:
    """Digests of audio that is on more than one side, from (digest of the bytes, side) of all tracks."""
    sides: dict[str, str] = {}
    return {digest for digest, side in entries if sides.setdefault(digest, side) != side}
