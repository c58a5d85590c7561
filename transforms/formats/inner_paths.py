"""The one check of paths that stand in manifests: of data files, shards, files of a bundle, runs."""

FORBIDDEN = frozenset("\\:*?[]{}")
"""Characters of other systems' paths, of URL schemes, and of patterns, which engines expand."""

MOST_PATH_BYTES = 1024
"""Longest name of an object on `gs://`."""


def inner_path(path: object) -> str:
    """Returns a relative path that stays in its folder and that every engine takes literally.

    Raises:
      ValueError: it is absolute, has an empty part, `.` or `..`, a URL scheme, a backslash, a character of patterns, or
        a character that is not printable (NUL, control characters, lone surrogates); or it is no text.

    >>> inner_path("data/run=run-1/tracks-0123.parquet")
    'data/run=run-1/tracks-0123.parquet'
    """
    if not isinstance(path, str):
        raise ValueError(f"path {path!r} is no text")
    wrong = sorted({char for char in path if char in FORBIDDEN or not char.isprintable()})
    if wrong:
        raise _refused(path, f"it has {wrong[0]!a}")
    if bad := [part for part in path.split("/") if part in ("", ".", "..")]:
        raise _refused(path, f"it has the part {bad[0]!r}" if path else "it is empty")
    if len(path.encode()) > MOST_PATH_BYTES:
        raise _refused(path, f"it has more than {MOST_PATH_BYTES} bytes")
    return path


def _refused(path: str, reason: str) -> ValueError:
    return ValueError(f"path {path[:200]!a} leads out of its folder or is no plain name ({reason})")
