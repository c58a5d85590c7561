"""Bundles of networks of beats: the ONNX file, what it takes, its licence, and a model card."""

import dataclasses
import functools
import json
import os
import threading
from collections.abc import Mapping
from typing import Any

from models.beats.network import BeatNetwork, Ends
from models.bundles.model_card import origin_lines
from models.bundles.trunk_bundle import BUNDLE_FILE, BundleError, read_checked
from models.bundles.writing import write_files
from models.trunks.onnx_file import check_self_contained, opset_of
from models.trunks.onnx_trial import tried
from transforms import storage
from transforms.features.rhythm.beat_input import BeatInput, BeatSpec, beats_id_of
from transforms.formats.hashing import sha256_hex
from transforms.formats.record_types import check_types
from transforms.formats.sealing import naming

NETWORK_FILE, CARD_FILE, LICENCE_FILE = "beats.onnx", "MODEL_CARD.md", "LICENSE.txt"
KIND = "beats"
BEATS_SCHEMA = 3
MOST_NETWORK_BYTES = 512 << 20
LOWEST_OPSET = 7
"""Earlier operators broadcast in another way."""

_CHILD, _WORK = "models.beats.trial_child", "in which some patterns of drums should go through it"
_SPEC_FIELDS = ("input", "beat", "downbeat")


@dataclasses.dataclass(frozen=True, kw_only=True)
class BeatTrial:
    """What running a network has shown.

    Attributes:
      batch: chunks that go through it at once.
      patterns: patterns of drums that it was tried on.
      right_tempi: those whose tempo it hears, or half or twice that.
      right_metres: those whose metre it hears.
      hears_noise: whether it hears a beat in white noise.
    """

    batch: int
    patterns: int
    right_tempi: int
    right_metres: int
    hears_noise: bool


@dataclasses.dataclass(frozen=True, kw_only=True)
class BeatBundle:
    """A bundle with a network of beats.

    Attributes:
      url: its folder, local or gs://.
      name: name of the network.
      digest: SHA-256 of the ONNX file.
      opset: version of ONNX's operators that the file asks for.
      given: what the network takes.
      ends: names of its input and outputs.
      trial: what running it has shown.
      source: origin of the network, for people.
      licence: licence of its weights; the first line is the name.
    """

    url: str
    name: str
    digest: str
    opset: int
    given: BeatInput
    ends: Ends
    trial: BeatTrial
    source: str = ""
    licence: str = ""

    @property
    def beats_id(self) -> str:
        """Hash of the network, of what it takes, and of the decoder's version."""
        return beats_id_of(self.digest, self.trial.batch, self.ends, self.given)

    @property
    def spec(self) -> BeatSpec:
        """What a run's `ParametersSpec` has of it."""
        return BeatSpec(beats_id=self.beats_id, input=self.given)

    def fields(self) -> dict[str, Any]:
        """The manifest's fields."""
        texts = {name: getattr(self, name) for name in ("name", "digest", "opset", "source", "licence")}
        network = {**texts, "input": self.given.to_json(), "ends": self.ends._asdict()}
        trial = dataclasses.asdict(self.trial)
        return {
            "schema_version": BEATS_SCHEMA,
            "kind": KIND,
            KIND: {**network, "trial": trial},
            "beats_id": self.beats_id,
        }


def spec_of_document(document: Any) -> tuple[BeatInput, Ends]:
    """The declaration in a user's file: fields of `BeatInput`, and the names `input`, `beat` and `downbeat`.

    Raises:
      ValueError: it is no object, a field is unknown, or a value is not allowed. The message names it.
    """
    if not isinstance(document, Mapping):
        raise ValueError(f"a {type(document).__name__} instead of fields with values")
    names = {name: document[name] for name in _SPEC_FIELDS if name in document}
    for name, value in names.items():
        if not isinstance(value, str) or not 1 <= len(value) <= 200:
            raise ValueError(f"{name}={value!r:.60}: the name of an input or output is needed")
    ends = Ends(**names)
    if ends.beat == ends.downbeat:
        raise ValueError(f"beat={ends.beat!r:.60}: the output of downbeats has the same name")
    return BeatInput.from_json({name: value for name, value in document.items() if name not in names}), ends


def write_beat_bundle(
    url: str,
    onnx: bytes,
    given: BeatInput,
    ends: Ends,
    *,
    name: str,
    source: str = "",
    licence: str = "",
    licence_text: bytes | None = None,
) -> BeatBundle:
    """Tries a network in a child process, and writes a bundle with it.

    Args:
      url: empty folder, local or gs://.
      onnx: bytes of the file.
      given: what the network takes.
      ends: names of its input and outputs.
      name: name of the network.
      source: origin of the network, for people.
      licence: licence of its weights.
      licence_text: text of the licence, which copies may have to include.

    Raises:
      BundleError: ONNX Runtime cannot run it, it is no network of beats of this declaration, it hears none of the
        patterns that it is tried on, or the folder is not empty.
    """
    opset = _checked_opset(onnx)
    check_self_contained(onnx, "network of beats")
    answer = tried(_CHILD, json.dumps({"input": given.to_json(), "ends": list(ends)}), onnx, _WORK)
    bundle = BeatBundle(
        url=url,
        name=name,
        digest=sha256_hex(onnx),
        opset=opset,
        given=given,
        ends=ends,
        trial=BeatTrial(**answer),
        source=source,
        licence=licence,
    )
    files = {NETWORK_FILE: onnx, CARD_FILE: beat_card(bundle).encode()}
    if licence_text is not None:
        files[LICENCE_FILE] = licence_text
    write_files(url, bundle.fields(), files)
    return read_beat_bundle(url)


def _checked_opset(onnx: bytes) -> int:
    if len(onnx) > MOST_NETWORK_BYTES:
        raise BundleError(f"the file has {len(onnx)} bytes: at most {MOST_NETWORK_BYTES} are read")
    opset = opset_of(onnx)
    if opset is None or opset < LOWEST_OPSET:
        raise BundleError(f"the network asks for opset {opset}: export it with opset {LOWEST_OPSET} or a later one")
    return opset


def read_beat_bundle(url: str) -> BeatBundle:
    """Reads and checks a bundle of a network of beats. Needs no ONNX Runtime.

    Raises:
      BundleError: there is no bundle, or it holds something else; it was changed; or its id is that of another version
        of the decoder.
    """
    bundle, _ = _read(url)
    return bundle


def _read(url: str) -> tuple[BeatBundle, bytes]:
    manifest, contents = read_checked(url)
    if manifest.get("kind") != KIND:
        raise BundleError(f"{url} holds no network of beats: give the output of `catalog-tagger import-model beats`")
    with naming(storage.join(url, BUNDLE_FILE), "a bundle's manifest", BundleError):
        facts = dict(manifest[KIND])
        bundle = BeatBundle(
            url=url,
            given=BeatInput.from_json(facts.pop("input")),
            ends=Ends(**facts.pop("ends")),
            trial=BeatTrial(**facts.pop("trial")),
            **facts,
        )
        check_types(bundle)
        stated, onnx = manifest["beats_id"], contents[NETWORK_FILE]
    if (found := sha256_hex(onnx)) != bundle.digest:
        raise BundleError(f"{url}: {NETWORK_FILE} has SHA-256 {found}, but the network is {bundle.digest}")
    if stated != bundle.beats_id:
        raise BundleError(
            f"{url} has beats_id {stated}, but this version makes {bundle.beats_id} of the same network: import it "
            "again"
        )
    return bundle, onnx


_lock = threading.Lock()


def load_beat_network(url: str, beats_id: str, *, parallel: int = 1) -> BeatNetwork:
    """The network of a bundle, loaded once per process. Every file is checked first.

    Args:
      url: folder of the bundle, local or gs://.
      beats_id: id that the bundle had when the run was planned.
      parallel: batches that are computed at the same time; 0: one per core.

    Raises:
      BundleError: a file is missing or was changed, the id is another one, or ONNX Runtime cannot run the network.
    """
    with _lock:
        return _load(url, beats_id, parallel or os.cpu_count() or 1)


@functools.lru_cache(maxsize=2)
def _load(url: str, beats_id: str, parallel: int) -> BeatNetwork:
    bundle, onnx = _read(url)
    if bundle.beats_id != beats_id:
        raise BundleError(
            f"{url} has beats_id {bundle.beats_id}, but the run was planned with {beats_id}: run it again"
        )
    check_self_contained(onnx, "network of beats")
    return BeatNetwork(onnx, bundle.given, bundle.ends, bundle.trial.batch, parallel=parallel)


def beat_card(bundle: BeatBundle) -> str:
    """The model card: Markdown with Hugging Face front matter."""
    given, trial = bundle.given, bundle.trial
    noise = "It also hears a beat in white noise." if trial.hears_noise else "It hears no beat in white noise."
    return "\n".join(
        [
            *("---", "library_name: onnx", "tags:", "- beat-tracking", "- music", "---", ""),
            f"# The network of beats `{bundle.name}`",
            "",
            f"This network maps {given.n_mels} mel bands from {given.fmin:g} to {given.fmax:g} Hz, {given.frames_hz:g} "
            "times a second, to logits of beats and downbeats. `catalog-tagger tag --beats` makes tempo and metre of "
            "them. `bundle.json` declares its input.",
            *origin_lines(bundle.source, bundle.licence),
            "",
            "## Trial",
            "",
            f"Of {trial.patterns} patterns of drums in 4/4, it hears the tempo of {trial.right_tempi} (or half or "
            f"twice that), and the metre of {trial.right_metres}. {noise} The patterns are easier than music: the "
            "trial shows that the declared input fits the network, not how good it is.",
            "",
            "## Confidence",
            "",
            f"`tempo_confidence` is the evidence for the tempo after a scaling of {given.tempo_scaling}, and "
            f"`metre_confidence` that for the metre after {given.metre_scaling}. The scalings are declared, not "
            "fitted to this network at import.",
            "",
        ]
    )
