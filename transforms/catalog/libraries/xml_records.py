"""Reads the records of an XML file of any origin in bounded memory, without entities and external files."""

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from typing import NoReturn
from xml.parsers import expat

from transforms import storage
from transforms.catalog.limits import ROW_BYTES
from transforms.formats.documents import DOCUMENT_LEVELS
from transforms.taxonomy.tag_ids import shown

_BLOCK = 1 << 16
"""Bytes that are read at a time."""
_MOST_NODES = 20_000
"""Most elements of a record."""
_NODE_BYTES = 64
"""What an element or an attribute adds to the size of its record, beside its text."""


@dataclasses.dataclass(kw_only=True, slots=True)
class XmlElement:
    """An element with everything in it.

    Attributes:
      name: its name.
      attributes: name -> value.
      line: number of the line on which it begins, from 1.
      children: the elements in it.
      text: the text directly in it.
    """

    name: str
    attributes: dict[str, str]
    line: int
    children: "list[XmlElement]" = dataclasses.field(default_factory=list)
    text: str = ""

    def child(self, name: str) -> "XmlElement | None":
        """The first child of this name."""
        return next((child for child in self.children if child.name == name), None)

    def attribute_of(self, child: str, name: str) -> str:
        """An attribute of the first child of this name; empty if there is none."""
        found = self.child(child)
        return "" if found is None else found.attributes.get(name, "")


def xml_records(url: str, path: Sequence[str], what: str) -> Iterator[XmlElement]:
    """Yields every element at one place of a document, in order.

    Args:
      url: URL of the file.
      path: names of the elements from the outermost one to the records.
      what: name of the kind of file, for messages.

    Raises:
      ValueError: the file is no XML or another kind of it, declares entities, or exceeds a limit.
    """
    reader = _RecordReader(tuple(path), what)
    with storage.open_input(url) as stream:
        try:
            while block := stream.read(_BLOCK):
                yield from reader.feed(block)
            yield from reader.feed(b"", last=True)
        except expat.ExpatError as e:
            reason = expat.errors.messages.get(e.code, str(e))
            raise ValueError(f"{url}, line {e.lineno}: this is not whole XML ({reason}): export the file again") from e
        except (ValueError, LookupError) as e:  # an encoding that is unknown is a LookupError
            raise ValueError(f"{url}: {e}") from e


class _RecordReader:
    """Collects the records of a document that is given in blocks."""

    def __init__(self, path: tuple[str, ...], what: str) -> None:
        self._path, self._what = path, what
        self._open: list[str] = []
        self._record: list[XmlElement] = []
        self._size = self._nodes = self._fed = self._seen = 0
        self._done: list[XmlElement] = []
        self._parser = parser = expat.ParserCreate()
        parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_NEVER)
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.EntityDeclHandler = self._refuse_entities
        parser.UnparsedEntityDeclHandler = self._refuse_entities
        parser.ExternalEntityRefHandler = self._refuse_entities
        parser.CommentHandler = parser.ProcessingInstructionHandler = self._see
        with contextlib.suppress(AttributeError):  # since expat 2.6: a long token is not parsed again with each block
            parser.SetReparseDeferralEnabled(True)

    def feed(self, block: bytes, *, last: bool = False) -> list[XmlElement]:
        """Reads a block; returns the records that end in it."""
        self._fed += len(block)
        self._done = []
        self._parser.Parse(block, last)
        if self._fed - self._seen > ROW_BYTES + _BLOCK:
            raise ValueError(f"a tag or comment has more than {ROW_BYTES} bytes: is this {self._what}?")
        return self._done

    def _see(self, *_: str) -> None:
        self._seen = self._fed

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._see()
        if not self._open and name != self._path[0]:
            raise ValueError(f"this is not {self._what}: its outermost element is {shown(name)}, not {self._path[0]!r}")
        self._open.append(name)
        if len(self._open) > DOCUMENT_LEVELS:
            raise ValueError(f"line {self._parser.CurrentLineNumber}: more than {DOCUMENT_LEVELS} levels of elements")
        if self._record or tuple(self._open) == self._path:
            self._grow(sum(len(n) + len(v) + _NODE_BYTES for n, v in attributes.items()) + _NODE_BYTES, nodes=1)
            element = XmlElement(name=name, attributes=attributes, line=self._parser.CurrentLineNumber)
            if self._record:
                self._record[-1].children.append(element)
            self._record.append(element)

    def _end(self, _: str) -> None:
        self._see()
        self._open.pop()
        if self._record:
            element = self._record.pop()
            if not self._record:
                self._done.append(element)
                self._size = self._nodes = 0

    def _text(self, text: str) -> None:
        self._see()
        if self._record and text:
            self._grow(len(text), nodes=0)
            self._record[-1].text += text

    def _grow(self, size: int, *, nodes: int) -> None:
        self._size += size
        self._nodes += nodes
        if self._size > ROW_BYTES or self._nodes > _MOST_NODES:
            line = self._parser.CurrentLineNumber
            raise ValueError(f"line {line}: a track has more than {ROW_BYTES} bytes or {_MOST_NODES} elements")

    def _refuse_entities(self, *_: object) -> NoReturn:
        raise ValueError(
            f"line {self._parser.CurrentLineNumber}: it declares entities, which no {self._what} needs and which are "
            "not read: export the file again"
        )
