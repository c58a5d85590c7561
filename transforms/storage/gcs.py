"""Objects on Google Cloud Storage. Create-only writes require generation 0."""

import base64
import functools
import hashlib
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from google.api_core import exceptions as api

from transforms.storage.errors import AlreadyExists, FileInfo, NotFound, StorageError, TooLarge, Unavailable
from transforms.storage.gcs_client import CAUGHT, TIMEOUT_S, call, client
from transforms.storage.range_reader import RangeReader

MAX_NAME_BYTES = 1024
PAGE_OBJECTS = 1000
UPLOAD_CHUNK_BYTES = 8 << 20


def _split(url: str) -> tuple[str, str]:
    """(bucket, object name or folder) of a gs:// URL. The name is not changed."""
    bucket, _, name = url.removeprefix("gs://").partition("/")
    if not bucket:
        raise NotFound(f"{url!r}: names no bucket; write gs://BUCKET/NAME")
    try:
        url.encode()
    except UnicodeEncodeError as e:
        raise NotFound(f"{url!r}: no object can have this name, which is not UTF-8") from e
    return bucket, name


def _blob(url: str) -> Any:
    """A handle on the object. Makes no request."""
    bucket, name = _split(url)
    if not name or "\n" in name or "\r" in name or len(name.encode()) > MAX_NAME_BYTES:
        raise NotFound(
            f"{url!r}: no object can have this name (1 to {MAX_NAME_BYTES} bytes of UTF-8 without line breaks)"
        )
    return client().bucket(bucket).blob(name)


def _current(url: str) -> Any:
    """A handle on the object with its size and generation."""
    blob = _blob(url)
    blob.reload(timeout=TIMEOUT_S, retry=None)
    return blob


class _Bounded(io.BytesIO):
    """Receives a download's bytes and ends the download if there are too many."""

    def __init__(self, url: str, max_bytes: int) -> None:
        super().__init__()
        self._url, self._max_bytes = url, max_bytes

    def write(self, data: Any) -> int:
        if self.tell() + len(data) > self._max_bytes:
            raise TooLarge(f"{self._url}: more than {self._max_bytes} bytes")
        return super().write(data)


def read_bytes(url: str, max_bytes: int | None) -> bytes:
    """See `storage.read_bytes`."""

    def fetch() -> bytes:
        # A stream that stops early instead of a range: the checksum is verified only for whole objects.
        sink = io.BytesIO() if max_bytes is None else _Bounded(url, max_bytes)
        _blob(url).download_to_file(sink, timeout=TIMEOUT_S, retry=None)
        return sink.getvalue()

    return call(url, fetch)


def read_range(url: str, start: int, end: int) -> bytes:
    """See `storage.read_range`."""
    return _fetched(url, _blob(url), start, end)


def _fetched(url: str, blob: Any, start: int, end: int) -> bytes:
    """The bytes of a range, which has no checksum of its own."""
    get = functools.partial(blob.download_as_bytes, start=start, end=end - 1, timeout=TIMEOUT_S)
    data = call(url, lambda: bytes(get(retry=None, checksum=None)))
    if len(data) != end - start:
        raise Unavailable(f"{url}: {len(data)} bytes came instead of {end - start}")
    return data


def open_input(url: str) -> BinaryIO:
    """See `storage.open_input`."""
    current = call(url, lambda: _current(url))
    # Bound to the current generation: bytes of an object that is replaced meanwhile must not be mixed.
    blob = current.bucket.blob(current.name, generation=current.generation)
    fetch = functools.partial(_fetched, url, blob)
    return io.BufferedReader(RangeReader(fetch, int(current.size)), buffer_size=64 << 10)


def create(url: str, data: bytes) -> None:
    """See `storage.create`."""
    _create(url, lambda blob: _send(blob, data, if_generation_match=0), lambda: io.BytesIO(data))


def write_bytes(url: str, data: bytes) -> None:
    """See `storage.write_bytes`."""
    call(url, lambda: _send(_blob(url), data, if_generation_match=None))


def _send(blob: Any, data: bytes, if_generation_match: int | None) -> None:
    blob.upload_from_string(
        data,
        content_type="application/octet-stream",
        if_generation_match=if_generation_match,
        timeout=TIMEOUT_S,
        retry=None,
    )


def upload(local_path: Path, url: str, replace: bool = False) -> None:
    """See `storage.upload`."""
    generation = None if replace else 0

    def send(blob: Any) -> None:
        blob.chunk_size = UPLOAD_CHUNK_BYTES
        blob.upload_from_filename(
            local_path, "application/octet-stream", if_generation_match=generation, timeout=TIMEOUT_S, retry=None
        )

    if replace:
        call(url, lambda: send(_blob(url)))
    else:
        _create(url, send, lambda: local_path.open("rb"))


def _create(url: str, send: Callable[[Any], None], source: Callable[[], io.BytesIO | io.BufferedReader]) -> None:
    """Create-only write. After an attempt whose answer was lost, this process may itself have taken the name."""
    answer_lost = False

    def attempt() -> None:
        nonlocal answer_lost
        try:
            send(_blob(url))
        except api.PreconditionFailed:
            if not (answer_lost and _holds(url, source)):
                raise AlreadyExists(f"{url}: exists already") from None
        except CAUGHT:
            answer_lost = True
            raise

    call(url, attempt)


def _holds(url: str, source: Callable[[], io.BytesIO | io.BufferedReader]) -> bool:
    """Whether the object already has the bytes to be written."""
    blob = _blob(url)
    blob.reload(timeout=TIMEOUT_S, retry=None)
    with source() as stream:
        digest = hashlib.file_digest(stream, functools.partial(hashlib.md5, usedforsecurity=False)).digest()
        same_size = stream.seek(0, io.SEEK_END) == blob.size
    return bool(same_size and blob.md5_hash == base64.b64encode(digest).decode())


def list_files(url: str) -> Iterator[FileInfo]:
    """See `storage.list_files`."""
    return _listed(url, delimiter=None)


def list_folder(url: str) -> Iterator[FileInfo]:
    """See `storage.list_folder`."""
    return _listed(url, delimiter="/")


def _listed(url: str, delimiter: str | None) -> Iterator[FileInfo]:
    bucket, folder = _split(url)
    prefix = folder.removesuffix("/") + "/" if folder else ""
    token: str | None = None
    while True:
        before = token
        blobs, token = call(url, functools.partial(_page, bucket, prefix, delimiter, before))
        if token is not None and token == before:
            raise StorageError(f"{url}: the listing does not end: its next page is the same again")
        for blob in blobs:
            # Consoles make empty objects named `folder/` to show a folder.
            if not blob.name.endswith("/"):
                yield FileInfo(
                    url=f"gs://{bucket}/{blob.name}",
                    size=int(blob.size),
                    version=str(blob.generation),
                    crc32c=base64.b64decode(blob.crc32c or "").hex(),
                    modified=blob.updated.timestamp() if blob.updated else None,
                )
        if token is None:
            return


def _page(bucket: str, prefix: str, delimiter: str | None, token: str | None) -> tuple[list[Any], str | None]:
    """One page of a listing, and the token of the next page."""
    iterator = client().list_blobs(
        bucket,
        prefix=prefix,
        delimiter=delimiter,
        page_token=token,
        page_size=PAGE_OBJECTS,
        fields="items(name,size,generation,crc32c,updated),nextPageToken",
        timeout=TIMEOUT_S,
        retry=None,
    )
    page = next(iterator.pages, ())
    return list(page), iterator.next_page_token


def list_folders(url: str) -> Iterator[str]:
    """See `storage.list_folders`."""
    bucket, folder = _split(url)
    prefix = folder.removesuffix("/") + "/" if folder else ""
    token: str | None = None
    while True:
        names, token = call(url, functools.partial(_page_of_folders, bucket, prefix, token))
        yield from (name.removeprefix(prefix).removesuffix("/") for name in names)
        if token is None:
            return


def _page_of_folders(bucket: str, prefix: str, token: str | None) -> tuple[list[str], str | None]:
    iterator = client().list_blobs(
        bucket,
        prefix=prefix,
        delimiter="/",
        page_token=token,
        page_size=PAGE_OBJECTS,
        fields="prefixes,nextPageToken",
        timeout=TIMEOUT_S,
        retry=None,
    )
    next(iterator.pages, ())
    return sorted(iterator.prefixes), iterator.next_page_token


def exists(url: str) -> bool:
    """See `storage.exists`."""
    return call(url, lambda: bool(_blob(url).exists(timeout=TIMEOUT_S, retry=None)))


def delete(url: str) -> None:
    """See `storage.delete`."""
    try:
        call(url, lambda: _blob(url).delete(timeout=TIMEOUT_S, retry=None))
    except NotFound:
        return


def list_unfinished(url: str) -> Iterator[FileInfo]:
    """See `storage.list_unfinished`. An object appears whole or not at all."""
    _split(url)
    return iter(())


def delete_empty_folder(url: str) -> None:
    """See `storage.delete_empty_folder`. Folders are only parts of the names of objects."""
    _split(url)
