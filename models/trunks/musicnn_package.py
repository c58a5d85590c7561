"""Reads checkpoints, tag names and licence from the Python package `musicnn`, without running its code."""

import ast
import dataclasses
import re
import zipfile
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path, PurePosixPath

from transforms.taxonomy.categories import Category, Tag
from transforms.taxonomy.hierarchy import Taxonomy
from transforms.taxonomy.rules import RuleCategory, RuleTag
from transforms.taxonomy.tag_ids import slug

DATASETS = {"mtt": "MagnaTagATune", "msd": "Million Song Dataset"}
"""Short name of a training set, as in the package's model names -> full name."""

CATEGORIES = {
    "genre": (
        "classical classic techno electronic rock ambient indian opera pop new_age dance country metal alternative "
        "indie alternative_rock jazz chillout classic_rock soul indie_rock electronica folk punk blues hard_rock "
        "experimental hip_hop easy_listening funk electro heavy_metal progressive_rock rnb indie_pop house"
    ),
    "instrument": "guitar strings drums piano violin synth harpsichord flute sitar solo harp cello acoustic",
    "voice": (
        "vocal female male singing vocals no_vocals woman male_vocal no_vocal man choir voice male_voice female_vocal "
        "no_voice female_voice choral female_vocalists male_vocalists female_vocalist instrumental"
    ),
    "mood": "loud quiet soft weird beautiful mellow chill party sexy catchy sad happy",
    "tempo": "slow fast beat beats",
    "era": "60s 70s 80s 90s 00s oldies",
}
"""Category -> slugs of its tags in the package."""

SPEAKS_FOR = {
    "vocals/present": (
        "vocal female male singing vocals woman male_vocal man choir voice male_voice female_vocal female_voice choral "
        "female_vocalists male_vocalists female_vocalist opera"
    ),
    "vocals/absent": "no_vocals no_vocal no_voice instrumental",
}
"""Tag of the rules that bundles get -> slugs of the package's tags that speak for it, and against the other one."""

LEAST_VOCALS_SCORE = 0.05
"""Lowest of the best scores among `SPEAKS_FOR` with which a track has an answer."""


class PackageError(ValueError):
    """The input is not the package, or not a supported version of it."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class TensorFlowCheckpoint:
    """One trained network of the package.

    Attributes:
      dataset: a key of `DATASETS`.
      files: `index` and `data-00000-of-00001` of the TensorFlow checkpoint -> bytes.
      labels: the package's tag names in the order of the network's outputs.
      licence: text of the package's licence.
    """

    dataset: str
    files: dict[str, bytes]
    labels: tuple[str, ...]
    licence: str


def read_package(place: Path) -> list[TensorFlowCheckpoint]:
    """Reads the MusiCNN checkpoints from a wheel, an unpacked or installed wheel, or a checkout.

    Raises:
      PackageError: there is no such package, or it differs from version 0.1.0.
    """
    files = _files(place)
    configuration = files.get("musicnn/configuration.py")
    licence = next((files[name] for name in sorted(files) if re.fullmatch(r".*LICENSE[^/]*", name)), None)
    if configuration is None or licence is None:
        missing = "musicnn/configuration.py" if configuration is None else "the package's licence (LICENSE*)"
        raise PackageError(f"{place}: {missing} is missing: give the wheel of musicnn 0.1.0, or its unpacked folder")
    labels = _labels(configuration.read_bytes().decode())
    return [
        TensorFlowCheckpoint(
            dataset=name,
            files=_checkpoint(files, name, place),
            labels=labels[name],
            licence=licence.read_bytes().decode(),
        )
        for name in DATASETS
    ]


def _files(place: Path) -> dict[str, zipfile.Path | Path]:
    """Path relative to the package's parent folder -> file, for the folders that are needed."""
    if place.is_dir() and len(wheels := sorted(place.glob("musicnn-*.whl"))) == 1:
        place = wheels[0]
    if place.suffix == ".whl" and place.is_file():
        try:
            archive = zipfile.ZipFile(place)
        except zipfile.BadZipFile as error:
            raise PackageError(f"{place} is not a wheel: {error}") from error
        return {name: zipfile.Path(archive, name) for name in archive.namelist() if not name.endswith("/")}
    if not place.is_dir():
        raise PackageError(f"{place}: no such wheel or folder")
    root = place.parent if (place / "configuration.py").exists() else place
    return dict(_walk(root))


def _walk(root: Path) -> Iterator[tuple[str, Path]]:
    """Yields only the files of the package, because the root may be a whole `site-packages`."""
    for pattern in (
        "LICENSE*",
        "musicnn-*.dist-info/LICENSE*",
        "musicnn-*.dist-info/licenses/LICENSE*",
        "musicnn/**/*",
    ):
        for path in sorted(root.glob(pattern)):
            if path.is_file():
                yield str(PurePosixPath(path.relative_to(root))), path


def _labels(source: str) -> dict[str, tuple[str, ...]]:
    """The two label lists in the package's configuration, parsed as literals."""
    found = {}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and isinstance(node.value, ast.List):
            found[node.targets[0].id] = tuple(ast.literal_eval(node.value))
    try:
        return {name: found[f"{name.upper()}_LABELS"] for name in DATASETS}
    except KeyError as error:
        raise PackageError(f"musicnn/configuration.py has no {error}") from error


def _checkpoint(files: dict[str, zipfile.Path | Path], dataset: str, place: Path) -> dict[str, bytes]:
    folder = f"musicnn/{dataset.upper()}_musicnn"
    parts = {}
    for part in ("index", "data-00000-of-00001"):
        if f"{folder}/.{part}" not in files:
            raise PackageError(f"{place}: {folder}/.{part} is missing")
        parts[part] = files[f"{folder}/.{part}"].read_bytes()
    return parts


def taxonomy_of(labels: tuple[str, ...]) -> tuple[Taxonomy, list[int]]:
    """The taxonomy of the tags, with multilabel categories only, and the network output of each of its columns.

    Raises:
      PackageError: a tag is in no category.
    """
    outputs = {slug(label): index for index, label in enumerate(labels)}
    homes = {name: category for category, names in CATEGORIES.items() for name in names.split()}
    if unknown := [label for label in labels if slug(label) not in homes]:
        raise PackageError(f"tags {', '.join(map(repr, unknown))} are not in musicnn 0.1.0")
    chosen = {c: [name for name in outputs if homes[name] == c] for c in CATEGORIES}
    categories = [
        Category(
            name=category,
            kind="multilabel",
            tags=tuple(Tag(id=f"{category}/{name}", name=labels[outputs[name]]) for name in names),
        )
        for category, names in chosen.items()
        if names
    ]
    return Taxonomy(categories=tuple(categories), rules=vocals_of(homes, outputs)), [
        outputs[name] for names in chosen.values() for name in names
    ]


def vocals_of(homes: Mapping[str, str], outputs: Collection[str]) -> tuple[RuleCategory, ...]:
    """Whether a track has vocals, by the tags of a network; nothing if it has no tags for and against it.

    The scores are compared with each other, because none is calibrated.

    Args:
      homes: slug of a tag -> its category.
      outputs: slugs of the tags of the network.
    """
    yes, no = (
        tuple(f"{homes[name]}/{name}" for name in names.split() if name in outputs) for names in SPEAKS_FOR.values()
    )
    if not yes or not no:
        return ()
    sides = zip(SPEAKS_FOR, ("Vocals", "No vocals"), ((yes, no), (no, yes)), strict=True)
    tags = tuple(RuleTag(id=tag, name=name, any_of=own, none_of=other) for tag, name, (own, other) in sides)
    return (RuleCategory(name="vocals", kind="binary", min_confidence=LEAST_VOCALS_SCORE, tags=tags),)
