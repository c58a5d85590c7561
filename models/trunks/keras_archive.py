"""Checks a `.keras` file before Keras opens it.

Such a file is a zip archive with the network as JSON, whose classes and functions Keras imports by name, and weights as
HDF5, which can point at other files. Only what the networks of this program consist of is let through.
"""

import io
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from models.bundles.trunk_bundle import BundleError
from transforms.formats.documents import parse_json

_CONFIG, _WEIGHTS = "config.json", "model.weights.h5"
_MEMBERS = {"metadata.json", _CONFIG, _WEIGHTS}

_LAYERS = (
    "Activation Add Average AveragePooling1D AveragePooling2D BatchNormalization Concatenate Conv1D Conv2D Dense "
    "DepthwiseConv1D DepthwiseConv2D Dropout ELU Flatten GlobalAveragePooling1D GlobalAveragePooling2D "
    "GlobalMaxPooling1D GlobalMaxPooling2D InputLayer LayerNormalization LeakyReLU Maximum MaxPooling1D MaxPooling2D "
    "Multiply Normalization Permute ReLU Reshape SeparableConv1D SeparableConv2D Softmax SpatialDropout1D "
    "SpatialDropout2D Subtract UnitNormalization UpSampling1D UpSampling2D ZeroPadding1D ZeroPadding2D"
)
_INITIALIZERS = (
    "Constant GlorotNormal GlorotUniform HeNormal HeUniform LecunNormal LecunUniform Ones RandomNormal RandomUniform "
    "TruncatedNormal VarianceScaling Zeros"
)
_CLASSES = {
    "keras.layers": frozenset(_LAYERS.split()),
    "keras.initializers": frozenset(_INITIALIZERS.split()),
    "keras.regularizers": frozenset(["L1", "L2", "L1L2"]),
    "keras": frozenset(["DTypePolicy"]),
    "keras.src.models.functional": frozenset(["Functional"]),
    "builtins": frozenset(["__tuple__", "slice"]),
    None: frozenset(["__tensor__", "__keras_tensor__", "__numpy__", "__tuple__"]),
}
"""Module -> the classes that a network may name."""

_DAMAGE = (OSError, ValueError, LookupError, TypeError, RuntimeError, EOFError, zipfile.BadZipFile, zlib.error)
"""What reading a damaged archive raises."""

_DEEPEST = 12
"""Levels of groups of weights."""


def check_archive(path: Path) -> None:
    """Checks the members, the classes and the weights of a file.

    Raises:
      BundleError: it contains something else than networks of this program do. The message is one line.
    """
    if path.suffix != ".keras":  # Keras goes by the ending, and other formats let a file run code
        raise BundleError(f"{path}: a Keras network must be in a file whose name ends in .keras")
    try:
        config, weights = _members(path.read_bytes())
        for fields in _objects(parse_json(config)):
            _check_class(fields)
        _check_weights(weights)
    except (
        OSError,
        ValueError,
        LookupError,
        TypeError,
        RuntimeError,
        NotImplementedError,
        zipfile.BadZipFile,
    ) as error:
        raise BundleError(f"{path}: not a Keras network that can be loaded: {' '.join(str(error).split())}") from error


def _members(data: bytes) -> tuple[bytes, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = archive.infolist()
        if strangers := [one.filename for one in members if one.filename not in _MEMBERS]:
            raise ValueError(f"its archive contains {strangers[0][:60]!a}")
        if {one.filename for one in members} != _MEMBERS or len(members) != len(_MEMBERS):
            raise ValueError(f"its archive does not contain {', '.join(sorted(_MEMBERS))} once each")
        if too_large := [one.filename for one in members if one.file_size > len(data)]:
            raise ValueError(f"its {too_large[0]} claims more bytes than the file has")
        return archive.read(_CONFIG), archive.read(_WEIGHTS)


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    """All JSON objects in a value, at any depth."""
    pending = [value]
    while pending:
        one = pending.pop()
        if isinstance(one, dict):
            yield one
        if isinstance(one, dict | list):
            pending += one.values() if isinstance(one, dict) else one


def _check_class(fields: dict[str, Any]) -> None:
    if "class_name" not in fields:
        return
    module, name, registered = fields.get("module"), fields["class_name"], fields.get("registered_name")
    known = _CLASSES.get(module) if isinstance(module, str | None) else None
    if not isinstance(name, str) or known is None or name not in known or registered not in (None, name):
        raise ValueError(f"it names {str(module)[:60]!a}.{str(name)[:60]!a}, which no network of this program contains")


def _check_weights(data: bytes) -> None:
    import h5py

    with h5py.File(io.BytesIO(data), "r") as file:
        pending, values = [(file, 0)], 0
        while pending:
            group, level = pending.pop()
            if level > _DEEPEST:
                raise ValueError(f"its weights have more than {_DEEPEST} levels")
            for name in group:
                if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                    raise ValueError(f"its weights {name[:60]!a} are a link")
                one = group[name]
                if isinstance(one, h5py.Group):
                    pending.append((one, level + 1))
                    continue
                values += _bytes_of(one, name)
                if values > len(data):
                    raise ValueError("its weights claim more bytes than the file has")


def _bytes_of(weights: Any, name: str) -> int:
    """Bytes of an array of weights, which must be in the file as they are."""
    if weights.dtype.kind not in "fiub" or weights.chunks or weights.external or weights.is_virtual:
        raise ValueError(f"its weights {name[:60]!a} are no plain numbers in this file")
    return int(weights.size) * int(weights.dtype.itemsize)
