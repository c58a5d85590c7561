"""The audio of a track, by ranges, if the service was started with a root of the audio.

Only files that the ledger of the snapshot names are read, and only beneath the root, after links are resolved.
"""

import os
import re
from collections.abc import Iterator
from typing import Annotated, BinaryIO

from fastapi import APIRouter, Header, Request
from starlette.responses import Response, StreamingResponse

from pipelines.serving.explorer.details import OwnId
from pipelines.serving.problems import Declined, documented
from pipelines.serving.requests import Leased, service_of
from pipelines.serving.rows import rows_by_id
from pipelines.serving.snapshots import OpenSnapshot
from transforms import storage
from transforms.audio.containers.sniff import HEAD_BYTES, sniff
from transforms.audio.errors import TrackError
from transforms.storage import SourceRoots
from transforms.storage.beneath import open_file

routes = APIRouter(prefix="/v1/explorer", tags=["explorer"])

_PIECE = 256 * 1024
_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})", re.IGNORECASE)
MEDIA_TYPES = {
    "aac": "audio/aac",
    "flac": "audio/flac",
    "mp2": "audio/mpeg",
    "mp3": "audio/mpeg",
    "mp4": "audio/mp4",
    "ogg-flac": "audio/ogg",
    "opus": "audio/ogg",
    "speex": "audio/ogg",
    "vorbis": "audio/ogg",
    "wav": "audio/wav",
}
"""Container, recognised by the first bytes of the file, -> media type. Browsers play no others."""


def audio_url(opened: OpenSnapshot, root: str | None, track_id: str) -> str:
    """The URL of the audio of a tagged track.

    Raises:
      Declined: the service has no root, or there is no such track beneath it.
    """
    if root is None:
        raise Declined("not-offered", "this service was started without --audio-root: it serves no audio")
    row = rows_by_id(opened.reader, "ledger", [track_id]).get(track_id)
    if row is None or row["status"] == "rejected":
        raise Declined("not-found", f"no tagged track {track_id!r} in snapshot {opened.number}")
    return SourceRoots(root).url(row["uri"])


def _open(url: str, root: str) -> BinaryIO:
    try:
        place = storage.RootsCheck(root).beneath(url)
        return storage.open_input(url) if place is None else os.fdopen(open_file(place), "rb")
    except (storage.StorageError, OSError) as error:
        raise Declined("not-found", "the audio of this track is not beneath --audio-root") from error


def _media_type(stream: BinaryIO) -> str:
    try:
        return MEDIA_TYPES[sniff(stream.read(HEAD_BYTES)).name]
    except (TrackError, KeyError) as error:
        raise Declined("not-found", "browsers do not play the format of this file") from error


def range_of(header: str | None, size: int) -> tuple[int, int] | None:
    """First byte and end of a range; None if the whole file is asked for.

    >>> [range_of(text, 1000) for text in ("bytes=0-", "bytes=10-19", "bytes=-5", "bytes=990-2000", "bytes=0-1,5-6")]
    [(0, 1000), (10, 20), (995, 1000), (990, 1000), None]
    >>> range_of("bytes=5-2", 1000) is None
    True

    Raises:
      Declined: it is outside of the file.
    """
    found = _RANGE.fullmatch(header.strip()) if header else None
    if found is None or found.groups() == ("", ""):
        return None  # by RFC 9110, a range that is not understood is ignored
    first, last = found.groups()
    if first and last and int(last) < int(first):
        return None
    if first == "":
        begin, end = max(size - int(last), 0), size
    else:
        begin, end = int(first), min(int(last) + 1, size) if last else size
    if begin >= end:
        raise Declined("bad-range", f"range: the file has {size} bytes", {"Content-Range": f"bytes */{size}"})
    return begin, end


def _pieces(stream: BinaryIO, begin: int, end: int) -> Iterator[bytes]:
    with stream:
        stream.seek(begin)
        while begin < end and (piece := stream.read(min(_PIECE, end - begin))):
            begin += len(piece)
            yield piece


@routes.get(
    "/audio",
    response_class=Response,
    responses={
        200: {"content": {"audio/*": {"schema": {"type": "string", "format": "binary"}}}},
        206: {"description": "The bytes of the range", "content": {"audio/*": {}}},
        **documented(404, 416, 501, 503),
    },
    summary="Audio of a track",
)
def get_audio(
    request: Request,
    opened: Leased,
    id: OwnId,
    range: Annotated[
        str | None, Header(max_length=200, description="One range of bytes.", examples=["bytes=0-65535"])
    ] = None,
    if_range: Annotated[
        str | None, Header(max_length=200, description="The `ETag` of the bytes that the client has.", examples=['"a"'])
    ] = None,
) -> Response:
    """The file of a track, or a range of its bytes, if the service was started with `--audio-root`. With an `If-Range`
    of another answer, it is the whole file.
    """
    root = service_of(request).settings.audio_root
    url = audio_url(opened, root, id)
    assert root is not None
    stream = _open(url, root)
    try:
        kind = _media_type(stream)
        size = stream.seek(0, os.SEEK_END)
        part = range_of(range, size) if if_range in (None, request.state.etag) else None
    except BaseException:
        stream.close()
        raise
    begin, end = part or (0, size)
    headers = {"Accept-Ranges": "bytes", "Content-Length": str(end - begin)}
    if part is not None:
        headers["Content-Range"] = f"bytes {begin}-{end - 1}/{size}"
    status = 200 if part is None else 206
    if request.state.is_head:
        stream.close()
        return Response(None, status, headers, media_type=kind)
    return StreamingResponse(_pieces(stream, begin, end), status, headers, media_type=kind)
