"""FieldValues of a FLAC file: one metadata block before the frames (RFC 9639)."""

from collections.abc import Iterator
from typing import NamedTuple

from transforms.embedded_tags.comments import new_comments, with_comments
from transforms.embedded_tags.splices import FieldValues, NotWritable, Splice

_COMMENTS = 4
_LAST = 0x80
_MOST_BYTES = (1 << 24) - 1


class _Block(NamedTuple):
    at: int
    end: int
    kind: int
    is_last: bool


def flac_splices(data: bytes, at: int, fields: FieldValues) -> list[Splice]:
    """The changes of a FLAC stream that begins at `at`.

    Raises:
      NotWritable: its metadata are damaged or would be too long.
    """
    blocks = list(_blocks(data, at + 4))
    found = [block for block in blocks if block.kind == _COMMENTS]
    if found:
        block = found[0]
        body = with_comments(data[block.at + 4 : block.end], fields)
        return [Splice(block.at, block.end, _block(body, is_last=block.is_last))]
    first = blocks[0]
    new = _block(new_comments(fields), is_last=first.is_last)
    mark = [Splice(first.at, first.at + 1, bytes([first.kind]))] if first.is_last else []
    return [*mark, Splice(first.end, first.end, new)]


def _blocks(data: bytes, at: int) -> Iterator[_Block]:
    is_last = False
    while not is_last:
        end = at + 4 + int.from_bytes(data[at + 1 : at + 4])
        if end > len(data):
            raise NotWritable("its FLAC metadata are damaged")
        is_last = bool(data[at] & _LAST)
        yield _Block(at, end, data[at] & ~_LAST, is_last)
        at = end


def _block(body: bytes, *, is_last: bool) -> bytes:
    if len(body) > _MOST_BYTES:
        raise NotWritable(f"its fields would have {len(body)} bytes, a FLAC has at most {_MOST_BYTES}")
    return bytes([_COMMENTS | (_LAST if is_last else 0)]) + len(body).to_bytes(3) + body
