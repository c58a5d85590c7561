"""The blessing of a bundle: a file beside its manifest that records which evaluation the bundle passed.

The bundle itself is not changed: the file is sealed, and names the bundle by the SHA-256 of its manifest.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, Self

from models.bundles.trunk_bundle import BUNDLE_FILE, BundleError
from transforms import storage
from transforms.formats.hashing import sha256_hex
from transforms.formats.sealing import read_record, sealed_bytes

BLESSING_FILE = "blessing.json"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Blessing:
    """What a bundle passed.

    Attributes:
      bundle_sha256: SHA-256 of the bundle's manifest.
      tagger_id: the bundle's tagger.
      labels: label -> text, the labelled set: where its labels are from, its side of the split.
      tracks: number of labelled tracks.
      floors: metric, or category and metric -> `floor` and `value`.
      against: the snapshot that it beat, with both metrics; empty if it was not compared.
      by: who blessed it.
      when: time in ISO format, UTC.
    """

    bundle_sha256: str
    tagger_id: str
    labels: Mapping[str, str]
    tracks: int
    floors: Mapping[str, Mapping[str, float]]
    against: Mapping[str, Any]
    by: str
    when: str

    @classmethod
    def from_json(cls, obj: Mapping[str, Any]) -> Self:
        """The blessing that `write_blessing` wrote; fields of later versions are ignored."""
        return cls(**{field.name: obj[field.name] for field in dataclasses.fields(cls)})


def manifest_sha256(url: str) -> str:
    """SHA-256 of a bundle's manifest, which lists the SHA-256 of every other file."""
    return sha256_hex(storage.read_bytes(storage.join(url, BUNDLE_FILE)))


def write_blessing(url: str, blessing: Blessing) -> None:
    """Writes the blessing of a bundle; replaces an earlier one."""
    storage.write_bytes(storage.join(url, BLESSING_FILE), sealed_bytes(dataclasses.asdict(blessing)))


def read_blessing(url: str) -> Blessing:
    """The blessing of a bundle.

    Raises:
      BundleError: it has none, or that of another bundle; or the file was changed.
    """
    place = storage.join(url, BLESSING_FILE)
    try:
        blessing = read_record(place, "a blessing", Blessing.from_json, BundleError, must_be_sealed=lambda: True)
    except storage.NotFound as error:
        raise BundleError(f"{url} is not blessed: run `catalog-tagger evaluate --bless --model {url}` first") from error
    if (found := manifest_sha256(url)) != blessing.bundle_sha256:
        raise BundleError(
            f"{place} blesses another bundle: its {BUNDLE_FILE} has SHA-256 {blessing.bundle_sha256}, that of {url} "
            f"{found}: run `catalog-tagger evaluate --bless --model {url}`"
        )
    return blessing
