"""Names of files: local paths and URLs as the user wrote them. Names are never normalised."""


def is_absolute(url: str) -> bool:
    """Whether the URL is complete: `scheme://...` or a path from the root."""
    return "://" in url or url.startswith("/")


def join(base: str, *parts: str) -> str:
    """Joins `base/part/...`. An absolute part replaces everything before it. Names are never normalised.

    >>> join("gs://bucket/catalog/", "audio/one track.mp3")
    'gs://bucket/catalog/audio/one track.mp3'
    >>> join("gs://bucket/catalog", "/data/one.mp3")
    '/data/one.mp3'
    """
    joined = base
    for part in parts:
        if is_absolute(part) or not joined:
            joined = part
        elif part:
            joined = f"{joined.removesuffix('/')}/{part}"
    return joined
