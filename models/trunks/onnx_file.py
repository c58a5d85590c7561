"""Finds what an ONNX file takes from other files, without the package `onnx`.

The format is a protocol buffer. A tensor may keep its data in a file that the tensor names, which ONNX Runtime would
open: that file is not part of the bundle, and its name may lead anywhere.
"""

from collections.abc import Iterator

from models.bundles.trunk_bundle import BundleError

_CHILDREN: dict[str, dict[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {13: "external"},
}
"""Message -> number of a field -> message in it, of all messages that can contain a tensor."""

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_DATA_LOCATION = 14
"""Field of a tensor; 0: its data is in the tensor."""
_OPSET_IMPORT = 8
"""Field of a model: a set of operators (1: its name) and its version (2)."""


def check_self_contained(model: bytes, what: str = "trunk") -> None:
    """Raises BundleError if an ONNX file takes data from another file, or is no ONNX file; `what` names it."""
    pending = [("model", memoryview(model))]
    try:
        while pending:
            kind, message = pending.pop()
            if kind == "external":
                raise _refused()
            for number, value in _fields(message):
                if kind == "tensor" and number == _DATA_LOCATION and value != 0:
                    raise _refused()
                child = _CHILDREN[kind].get(number)
                if child is not None and isinstance(value, memoryview):
                    pending.append((child, value))
    except IndexError as error:
        raise BundleError(f"ONNX Runtime cannot run this {what}, which is no ONNX file: {error}") from error


def opset_of(model: bytes) -> int | None:
    """Version of ONNX's own operators that a model asks for; None if it asks for none.

    Raises:
      BundleError: it is no ONNX file.
    """
    try:
        imported = [entry for number, entry in _fields(memoryview(model)) if number == _OPSET_IMPORT]
        sets = [dict(_fields(entry)) for entry in imported if isinstance(entry, memoryview)]
    except IndexError as error:
        raise BundleError(f"this is no ONNX file: {error}") from error
    names_and_versions = [(bytes(one[1]) if isinstance(one.get(1), memoryview) else b"", one.get(2, 0)) for one in sets]
    own = [version for name, version in names_and_versions if name in (b"", b"ai.onnx")]
    return max((version for version in own if isinstance(version, int)), default=None)


def _refused() -> BundleError:
    return BundleError(
        "the network keeps weights in another file, which the bundle would not contain: save it as one file, e.g. "
        "`python -c \"import onnx; onnx.save(onnx.load('network.onnx'), 'one.onnx')\"`"
    )


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Number and value of each field; a number of fixed width is passed over.

    Raises:
      IndexError: the message is no protocol buffer.
    """
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        number, kind = key >> 3, key & 7
        if kind == _VARINT:
            value, at = _varint(message, at)
            yield number, value
            continue
        size, at = (_fixed(kind), at) if kind != _BYTES else _varint(message, at)
        if at + size > len(message):
            raise IndexError(f"field {number} ends behind its message")
        if kind == _BYTES:
            yield number, message[at : at + size]
        at += size


def _fixed(kind: int) -> int:
    """Width of a field of this wire type in bytes."""
    if kind not in (_FIXED64, _FIXED32):
        raise IndexError(f"wire type {kind}")
    return 8 if kind == _FIXED64 else 4


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    number = 0
    for shift in range(0, 70, 7):
        byte = message[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, at
    raise IndexError("a number of more than 10 bytes")
