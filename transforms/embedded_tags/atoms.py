"""FieldValues of an MP4 file: items of the list `moov/udta/meta/ilst`, as iTunes writes them (ISO 14496-12, QuickTime).

A field becomes an item `----` with its name, but GENRE has one of its own. If the list grows before the audio, the
offsets of the audio's chunks are shifted.
"""

from collections.abc import Iterator, Sequence

from transforms.audio.containers.mp4 import DEEPEST, Box, boxes, bytes_of, children_start
from transforms.audio.errors import ImplausibleHeader
from transforms.embedded_tags.splices import SEPARATOR, FieldValues, NotWritable, Splice

_GENRE, _OLD_GENRE, _FREE_FORM = b"\xa9gen", b"gnre", b"----"
_MEAN = b"com.apple.iTunes"
_UTF_8 = 1
_HANDLER = bytes(8) + b"mdirappl" + bytes(9)
_OFFSETS = {b"stco": 4, b"co64": 8}
_TO_OFFSETS = (b"trak", b"mdia", b"minf", b"stbl")


def mp4_splices(data: bytes, fields: FieldValues) -> list[Splice]:
    """The changes of an MP4 file.

    Raises:
      NotWritable: it is fragmented or damaged.
    """
    top = list(_atoms(data, 0, len(data)))
    moov = _one(top, b"moov")
    if moov is None or any(atom.name == b"moof" for atom in top) or _one(_children(data, moov), b"mvex"):
        raise NotWritable("it is a fragmented MP4, or has no list of its contents")
    parents, found = _place(data, moov)
    if found is None:
        # Behind the last child: QuickTime may end the list by four zero bytes.
        start = end = max((child.end for child in _children(data, parents[-1])), default=parents[-1].body)
        inserted = _wrapped(_with_items(b"", fields), len(parents)) if any(fields.values()) else b""
    else:
        start, end = found.at, found.end
        inserted = _atom(b"ilst", _with_items(data[found.body : end], fields))
    growth = len(inserted) - (end - start)
    sizes = [_resized(data, parent, growth) for parent in parents]
    return [Splice(start, end, inserted), *sizes, *_shifted(data, moov, end, growth)]


def _atoms(data: bytes, at: int, stop: int) -> Iterator[Box]:
    """The atoms that fill a range; stricter than readers are, because what follows is moved."""
    end = at
    try:
        for atom in boxes(bytes_of(data), at, stop):
            if atom.end > stop:
                break
            yield atom
            end = atom.end
    except ImplausibleHeader as error:
        raise NotWritable(str(error)) from error
    if end + 8 <= stop:
        raise NotWritable(f"its MP4 structure is damaged at byte {end}")


def _one(atoms: list[Box], name: bytes) -> Box | None:
    return next((atom for atom in atoms if atom.name == name), None)


def _children(data: bytes, parent: Box) -> list[Box]:
    return list(_atoms(data, children_start(bytes_of(data), parent), parent.end))


def _place(data: bytes, moov: Box) -> tuple[list[Box], Box | None]:
    """The atoms around the list of items that exist, from the outside, and the list; None if there is none."""
    parents = [moov]
    for name in (b"udta", b"meta"):
        found = _one(_children(data, parents[-1]), name)
        if found is None:
            return parents, None
        parents.append(found)
    return parents, _one(_children(data, parents[-1]), b"ilst")


def _wrapped(items: bytes, depth: int) -> bytes:
    """The list of items with what is missing around it, inside of `depth` atoms that exist."""
    made = _atom(b"ilst", items)
    if depth < 3:
        made = _atom(b"meta", bytes(4) + _atom(b"hdlr", _HANDLER) + made)
    return _atom(b"udta", made) if depth < 2 else made


def _atom(name: bytes, body: bytes) -> bytes:
    return (len(body) + 8).to_bytes(4) + name + body


def _with_items(items: bytes, fields: FieldValues) -> bytes:
    kept = [items[item.at : item.end] for item in _atoms(items, 0, len(items)) if _field(items, item) not in fields]
    return b"".join([*kept, *(_item(field, values) for field, values in fields.items() if values)])


def _field(items: bytes, item: Box) -> str | None:
    """The field that an item has, in capitals; None for items that are none of ours."""
    if item.name in (_GENRE, _OLD_GENRE):
        return "GENRE"
    if item.name != _FREE_FORM:
        return None
    parts = {part.name: items[part.body + 4 : part.end] for part in _atoms(items, item.body, item.end)}
    if parts.get(b"mean") != _MEAN:
        return None
    return parts.get(b"name", b"").decode("utf-8", errors="replace").upper()


def _item(field: str, values: Sequence[str]) -> bytes:
    data = _atom(b"data", _UTF_8.to_bytes(4) + bytes(4) + SEPARATOR.join(values).encode())
    if field == "GENRE":
        return _atom(_GENRE, data)
    return _atom(_FREE_FORM, _atom(b"mean", bytes(4) + _MEAN) + _atom(b"name", bytes(4) + field.encode()) + data)


def _resized(data: bytes, atom: Box, growth: int) -> Splice:
    if int.from_bytes(data[atom.at : atom.at + 4]) == 0:
        raise NotWritable("its last MP4 atom has no size")
    if atom.body - atom.at == 16:
        return Splice(atom.at + 8, atom.at + 16, (atom.end - atom.at + growth).to_bytes(8))
    return Splice(atom.at, atom.at + 4, (atom.end - atom.at + growth).to_bytes(4))


def _shifted(data: bytes, atom: Box, behind: int, growth: int, depth: int = 0) -> Iterator[Splice]:
    """The tables of chunk offsets, with those shifted that point behind a place."""
    if depth > DEEPEST:
        raise NotWritable(f"more than {DEEPEST} of its atoms are within each other")
    for child in _atoms(data, atom.body, atom.end) if growth else ():
        if child.name in _TO_OFFSETS:
            yield from _shifted(data, child, behind, growth, depth + 1)
        elif width := _OFFSETS.get(child.name):
            count = int.from_bytes(data[child.body + 4 : child.body + 8])
            table = child.body + 8
            if table + count * width > child.end:
                raise NotWritable("its table of chunks is damaged")
            places = [int.from_bytes(data[at : at + width]) for at in range(table, table + count * width, width)]
            moved = [place + growth if place >= behind else place for place in places]
            if max(moved, default=0) >= 1 << 8 * width:
                raise NotWritable("its audio would lie beyond 4 GiB, which its table of chunks cannot tell")
            if moved != places:
                yield Splice(table, table + count * width, b"".join(place.to_bytes(width) for place in moved))
