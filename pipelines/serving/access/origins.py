"""Which page a browser sends a request from."""

from urllib.parse import urlsplit


def is_own_origin(origin: str | None, host: str | None) -> bool:
    """Whether the headers `Origin` and `Host` name the same host and port. Browsers send no other form of an origin.

    >>> [is_own_origin(text, "localhost:80") for text in ("http://localhost:80", "http://localhost", "null", "http://[")]
    [True, False, False, False]
    """
    try:
        place = urlsplit(origin or "").netloc
    except ValueError:
        return False
    return bool(place) and place == host
