"""Hashes used as ids. They are stable across machines, runs and Python versions."""

import hashlib
import json
from collections.abc import Iterable
from typing import BinaryIO

_PIECE = 1 << 20


def digest(*parts: str | bytes) -> str:
    """SHA-256 of the parts, each preceded by its length, as 64 hex digits."""
    sha = hashlib.sha256()
    for part in parts:
        raw = part.encode() if isinstance(part, str) else part
        sha.update(len(raw).to_bytes(8, "little"))
        sha.update(raw)
    return sha.hexdigest()


def short_id(prefix: str, *parts: str | bytes) -> str:
    """An id such as `run-0123456789abcdef`: a prefix and 16 hex digits of the parts' digest."""
    return f"{prefix}-{digest(*parts)[:16]}"


def json_bytes(obj: object) -> bytes:
    """Canonical JSON: sorted keys, two-space indent, one newline at the end."""
    return (json.dumps(obj, sort_keys=True, indent=2, ensure_ascii=False) + "\n").encode()


def bucket_of(track_id: str, buckets: int) -> int:
    """The bucket of a track: `hash(track_id) % buckets`, from SHA-256 of the id."""
    return int.from_bytes(hashlib.sha256(track_id.encode()).digest()[:8], "big") % buckets


def combine(digests: Iterable[str]) -> str:
    """One digest of several digests that does not depend on their order."""
    return digest(*sorted(digests))


def sha256_hex(data: bytes) -> str:
    """SHA-256 of a file's bytes, as `sha256sum` prints it."""
    return hashlib.sha256(data).hexdigest()


def stream_sha256(stream: BinaryIO) -> str:
    """SHA-256 of the rest of a stream, which is read in pieces of 1 MiB."""
    sha = hashlib.sha256()
    while piece := stream.read(_PIECE):
        sha.update(piece)
    return sha.hexdigest()
