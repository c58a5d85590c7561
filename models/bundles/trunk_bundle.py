"""The part of a bundle that makes embeddings: trunks, feature spec and pooling. Every file is checked before use."""

import contextlib
import dataclasses
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

from models.bundles.absent import no_bundle_text
from models.embedding.embedder import BATCH
from models.embedding.pooling import MOMENTS, Pooling
from transforms import storage
from transforms.features.spec import FeatureSpec
from transforms.formats.hashing import json_bytes, sha256_hex, short_id
from transforms.formats.inner_paths import inner_path
from transforms.formats.record_types import check_types
from transforms.formats.sealing import naming, read_record
from transforms.schemas.embedding_parts import EmbeddingPart

BUNDLE_VERSION = 3
READABLE_SCHEMAS = (1, 2, 3)
BUNDLE_FILE = "bundle.json"

TEXT_NETWORK = "text_network"
"""Field of the manifest that only bundles of text networks have."""


class BundleError(ValueError):
    """The bundle cannot be used: it is unfinished, was changed since it was written, or was made for other features."""


class MissingBundle(BundleError):
    """There is no bundle in the place that was named."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrunkFile:
    """One trunk of a bundle.

    Attributes:
      name: its name, for example in the registry.
      digest: SHA-256 of the weights. Equal trunks have equal digests, whenever and in whatever format they were saved.
      patch_dim: length of a patch embedding.
      files: format -> file in the bundle, or folder of files. Formats: `keras`, `saved_model`, `onnx`, and
        `projection` for the numpy projection.
      learned: whether it was trained or fine-tuned on labelled tracks. The bundle's `splits.parquet` lists them.
      source: origin of a ready-made trunk, for people.
      licence: licence of its weights. The first line is the name; the text follows if copies must include it.
      batch: number of patches that go through it at once; shorter batches are padded. Results depend on it, in the last
        bits.
    """

    name: str
    digest: str
    patch_dim: int
    files: Mapping[str, str]
    learned: bool
    source: str = ""
    licence: str = ""
    batch: int = BATCH

    def __post_init__(self) -> None:
        if self.batch < 1:
            raise ValueError(f"trunk {self.name!r}: batch={self.batch} is not positive")

    @classmethod
    def from_json(cls, obj: Mapping[str, Any]) -> Self:
        """The trunk of a manifest of schema 1 (one file, trained with the bundle), 2 (all batches are 32) or 3."""
        if "format" not in obj:
            return cls(**obj)
        kept = {name: obj[name] for name in ("name", "digest", "patch_dim")}
        return cls(**kept, files={obj["format"]: obj["file"]}, learned=obj["format"] == "keras")

    def to_json(self) -> dict[str, Any]:
        """The trunk as a JSON object, as `from_json` reads it. A batch of 32 is left out, as in schema 2."""
        obj = dataclasses.asdict(self)
        return {name: value for name, value in obj.items() if name != "batch" or value != BATCH}

    @property
    def batch_parts(self) -> tuple[str, ...]:
        """What `embedding_id` hashes of the batch: nothing if it is 32, as in bundles without this field."""
        return () if self.batch == BATCH else (f"batch={self.batch}",)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Embedding:
    """How track embeddings are made.

    Attributes:
      spec: how audio becomes patches.
      pooling: how patch embeddings become a track embedding.
      trunks: their patch embeddings are concatenated in this order. Without trunks, the track embedding is the
        statistics only.
    """

    spec: FeatureSpec
    pooling: Pooling
    trunks: tuple[TrunkFile, ...]

    @property
    def feature_id(self) -> str:
        """Hash of the feature spec and of the extractor version."""
        return self.spec.feature_id

    @property
    def embedding_id(self) -> str:
        """Hash of feature spec, trunks and pooling. It is independent of file formats and of the inference engine."""
        named = (part for trunk in self.trunks for part in (trunk.name, trunk.digest, *trunk.batch_parts))
        return short_id("em", self.feature_id, *named, json_bytes(self.pooling.to_json()))

    @property
    def trunk_ids(self) -> tuple[str, ...]:
        """Id of each trunk: a hash of the feature spec and of its weights. Equal ids give equal patch embeddings, but
        for the last bits, which depend on the batch.
        """
        return tuple(short_id("tr", self.feature_id, trunk.digest) for trunk in self.trunks)

    @property
    def schema_version(self) -> int:
        """Version of the bundle's schema: the earliest that can state the batches of the trunks."""
        return BUNDLE_VERSION if any(trunk.batch_parts for trunk in self.trunks) else 2

    @property
    def embedding_dim(self) -> int:
        """Length of a track embedding."""
        return self.pooling.dim(sum(trunk.patch_dim for trunk in self.trunks), self.spec.n_mels)

    @property
    def embedding_parts(self) -> tuple[EmbeddingPart, ...]:
        """Where the values of a track embedding come from, in their order."""
        found: list[EmbeddingPart] = []
        for kind in MOMENTS:
            for trunk in self.trunks:
                start = found[-1].stop if found else 0
                found.append(EmbeddingPart(name=trunk.name, kind=kind, start=start, stop=start + trunk.patch_dim))
        start = found[-1].stop if found else 0
        if start < self.embedding_dim:
            found.append(EmbeddingPart(name="statistics", kind="statistics", start=start, stop=self.embedding_dim))
        return tuple(found)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class TrunkBundle(Embedding):
    """A bundle without tags, or the part of a bundle with tags that makes track embeddings.

    Attributes:
      url: its folder, local or gs://.
      files: name -> SHA-256 of every file.
    """

    url: str
    files: Mapping[str, str]

    def check_feature_id(self, feature_id: str) -> None:
        """Raises BundleError unless the bundle was trained on these features."""
        if feature_id != self.feature_id:
            raise BundleError(
                f"{self.url} was trained on features {self.feature_id}, not {feature_id}: prepare with "
                f"`--trunk {self.url}`, which uses its feature spec, or train on these features"
            )


def load_trunks(url: str) -> TrunkBundle:
    """Reads and checks the embedding part of a bundle with or without tags. Needs no TensorFlow.

    Raises:
      BundleError: there is no bundle; or it is unfinished, was changed, or was made by another version of extractor or
        schema.
    """
    manifest, _ = read_checked(url)
    return trunks_from_manifest(url, manifest)


def trunks_from_manifest(url: str, manifest: Mapping[str, Any]) -> TrunkBundle:
    """The embedding part of a bundle, from its manifest. Its ids are checked.

    Raises:
      BundleError: an id does not match the content of the manifest, a trunk has no file, or a field is missing; or the
        bundle holds another kind of network.
    """
    if (kind := manifest.get("kind")) is not None:
        raise BundleError(f"{url} holds a network of {kind}, not a trunk: give it to `tag --{kind}`")
    if TEXT_NETWORK in manifest:
        raise BundleError(f"{url} holds a text network, which `search --text-model` reads: give a bundle with a trunk")
    with naming(storage.join(url, BUNDLE_FILE), "a bundle's manifest", BundleError):
        trunks = [manifest["trunk"]] if manifest["schema_version"] == 1 else manifest["trunks"]
        bundle = TrunkBundle(
            url=url,
            spec=FeatureSpec.from_json(manifest["feature_spec"]),
            pooling=Pooling.from_json(manifest["pooling"]),
            trunks=tuple(TrunkFile.from_json(trunk) for trunk in trunks),
            files=manifest["files"],
        )
        check_types(bundle)
        ids = {name: manifest[name] for name in ("feature_id", "embedding_id")}
    _check(bundle, ids)
    return bundle


def _check(bundle: TrunkBundle, ids: Mapping[str, str]) -> None:
    if bundle.feature_id != ids["feature_id"]:
        raise BundleError(
            f"{bundle.url} was trained on features {ids['feature_id']}, but this version's extractor makes "
            f"{bundle.feature_id} with the same spec: train again"
        )
    check_id(bundle.url, "embedding_id", ids, bundle.embedding_id)
    for trunk in bundle.trunks:
        for place in trunk.files.values():
            if not files_of(place, bundle.files):
                raise BundleError(f"{bundle.url}: {BUNDLE_FILE} lists no file of the trunk {trunk.name!r} at {place}")


def check_id(url: str, name: str, manifest: Mapping[str, Any], found: str) -> None:
    """Raises BundleError unless the manifest has this id."""
    if manifest[name] != found:
        raise BundleError(f"{url}: {BUNDLE_FILE} was changed: its {name} is {manifest[name]}, found {found}")


def files_of(place: str, files: Mapping[str, str]) -> list[str]:
    """The bundle's files of a trunk's entry: the file of this name, or all files in the folder of this name."""
    return [name for name in files if name == place or name.startswith(f"{place}/")]


@contextlib.contextmanager
def local_copy(url: str, bundle: TrunkBundle) -> Iterator[Path]:
    """A local folder with the bundle's files: the bundle itself if it is local, else a temporary copy."""
    if "://" not in url:
        yield Path(url)
        return
    with tempfile.TemporaryDirectory(prefix="bundle-") as folder:
        for name, sha256 in bundle.files.items():
            target = Path(folder, name)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(read_file(url, name, sha256))
        yield Path(folder)


def read_checked(url: str) -> tuple[dict[str, Any], dict[str, bytes]]:
    """The manifest and all files of a bundle, compared with the SHA-256 in the manifest.

    Raises:
      BundleError: there is no bundle; or it is unfinished, was changed, or has another schema.
    """
    manifest = read_manifest_of(url)
    return manifest, {name: read_file(url, name, sha256) for name, sha256 in manifest["files"].items()}


def read_manifest_of(url: str) -> dict[str, Any]:
    """The manifest of a bundle, its digest and the names of its files checked.

    Raises:
      MissingBundle: there is no bundle. The message says what is there.
      BundleError: it was changed, or has another schema.
    """
    try:
        manifest = read_record(storage.join(url, BUNDLE_FILE), "a bundle's manifest", _checked_names, BundleError)
    except storage.NotFound as error:
        raise MissingBundle(no_bundle_text(url, BUNDLE_FILE)) from error
    if manifest.get("schema_version") not in READABLE_SCHEMAS:
        raise BundleError(
            f"{url}: bundle schema {manifest.get('schema_version')}, but this version reads "
            f"{', '.join(map(str, READABLE_SCHEMAS))}: train again"
        )
    return manifest


def _checked_names(manifest: dict[str, Any]) -> dict[str, Any]:
    """The manifest, if it names no file outside of the bundle."""
    files = manifest["files"]
    for name in files:
        inner_path(name)
        if not isinstance(files[name], str):
            raise TypeError(f"the SHA-256 of {name} is {files[name]!a} instead of a text")
    return manifest


def read_file(url: str, name: str, sha256: str) -> bytes:
    """One file of a bundle.

    Raises:
      BundleError: the file is missing or was changed.
    """
    try:
        data = storage.read_bytes(storage.join(url, name))
    except storage.NotFound as error:
        raise BundleError(f"{url}: {name} is missing") from error
    found = sha256_hex(data)
    if found != sha256:
        raise BundleError(f"{url}: {name} was changed: its SHA-256 is {found}, but the manifest has {sha256}")
    return data
