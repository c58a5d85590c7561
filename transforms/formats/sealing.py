"""JSON manifests that carry a digest of their own fields, and the one way in which they are read.

A file that this version writes has two further fields: `digest`, and `writer_version`, which makes the digest required.
Files of version 0.1 have neither. The digest finds damage and edits by hand; it is no signature.
"""

import contextlib
import dataclasses
import json
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeVar

from transforms import storage
from transforms.formats.documents import JSON_BYTES, parse_json
from transforms.formats.hashing import digest, json_bytes
from transforms.formats.record_types import check_types

Record = TypeVar("Record")

DIGEST, WRITER = "digest", "writer_version"

SEALING_WRITER = 2
"""Manifests have a digest from this version of their writer on."""


class BrokenSeal(ValueError):
    """A manifest has other fields than its writer gave it. The message continues a sentence on the file."""


class Fields(NamedTuple):
    """The fields of a manifest, and whether it carries a digest."""

    fields: dict[str, Any]
    sealed: bool


def sealed_bytes(fields: dict[str, Any]) -> bytes:
    """The file of a manifest: its fields with their digest, as canonical JSON."""
    own = json.loads(json.dumps({**fields, WRITER: SEALING_WRITER}))
    return json_bytes({**own, DIGEST: fields_digest(own)})


def fields_digest(fields: dict[str, Any]) -> str:
    """SHA-256 of the fields as compact canonical JSON."""
    return digest(json.dumps(fields, sort_keys=True, separators=(",", ":")))


def open_sealed(data: bytes) -> Fields:
    """The fields of a manifest, its digest checked.

    Raises:
      BrokenSeal: its digest is missing although its writer gave it one, or does not match.
      ValueError, TypeError: it is not a JSON object.
    """
    fields = parse_json(data)
    if not isinstance(fields, dict):
        raise TypeError(f"a JSON {type(fields).__name__} instead of an object")
    if DIGEST not in fields and WRITER not in fields:
        return Fields(fields, sealed=False)
    stated, writer = fields.pop(DIGEST, None), fields.get(WRITER)
    if (found := fields_digest(fields)) != stated:
        raise BrokenSeal(
            f"was changed since it was written: its digest is {stated!a}, its fields have {found}; restore it from a "
            "copy, or make it again"
        )
    if not isinstance(writer, int) or writer < SEALING_WRITER:
        raise BrokenSeal(f"was changed since it was written: {WRITER} {writer!a} writes no digest")
    return Fields(fields, sealed=True)


def read_record(
    url: str,
    what: str,
    build: Callable[[dict[str, Any]], Record],
    error: type[ValueError],
    *,
    must_be_sealed: Callable[[], bool] = lambda: False,
) -> Record:
    """Reads a manifest and builds its record.

    Args:
      url: the file.
      what: the kind of file, for messages, with its article.
      build: makes the record from the fields.
      error: class of the exception for a file that cannot be used.
      must_be_sealed: asked for a file without a digest: whether one of its folder must have one.

    Raises:
      storage.StorageError: the file is missing, or the storage fails.
      ValueError: of the class `error`. The file is damaged, or is no such manifest. The message has the url.
    """
    try:
        data = storage.read_bytes(url, max_bytes=JSON_BYTES)
    except storage.TooLarge as too_large:
        raise error(f"{too_large}: not {what}") from too_large
    with naming(url, what, error):
        fields, sealed = open_sealed(data)
        record = build(fields)
        if dataclasses.is_dataclass(record):
            check_types(record)
        if not sealed and must_be_sealed():
            raise BrokenSeal("was changed since it was written: its digest is missing; restore it from a copy")
        return record


@contextlib.contextmanager
def naming(url: str, what: str, error: type[ValueError]) -> Iterator[None]:
    """Names the file in every error that its content causes, in one line."""
    try:
        yield
    except BrokenSeal as broken:
        raise error(f"{url} {broken}") from broken
    except error as known:
        raise error(f"{url}: {_shortened(str(known))}") from known
    except (AttributeError, LookupError, TypeError, ValueError, OverflowError) as other:
        reason = _shortened(" ".join(str(other).split()))
        raise error(f"{url}: not {what} ({type(other).__name__}: {reason})") from other


def _shortened(text: str) -> str:
    return text if len(text) <= 1000 else f"{text[:1000]} ..."
