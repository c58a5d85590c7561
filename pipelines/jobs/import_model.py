"""Makes bundles from networks that others trained: MusiCNN's package, ONNX networks on mel patches, texts or beats."""

import dataclasses
from pathlib import Path

from models.beats.bundle import MOST_NETWORK_BYTES, spec_of_document, write_beat_bundle
from models.beats.network import Ends
from models.bundles.other_rules import write_with_rules
from models.bundles.tagger_bundle import Bundle
from models.bundles.trunk_bundle import BundleError
from models.bundles.writing import clear_unfinished
from models.texts.importing import find_trunk, import_text_network
from models.trunks.musicnn_package import PackageError, read_package
from models.trunks.onnx_import import write_onnx_bundle
from models.trunks.quiet_start import start_tensorflow
from pipelines.inputs.feature_spec import read_feature_spec
from pipelines.inputs.flags import Arguments
from pipelines.inputs.kinds import check_writes
from pipelines.terminal.answer import Answer
from pipelines.terminal.errors import CommandFailed
from transforms import storage
from transforms.features.rhythm.beat_input import BeatInput
from transforms.formats.documents import YAML_BYTES, parse_yaml
from transforms.formats.quantities import quantity
from transforms.taxonomy.hierarchy import TaxonomyError
from transforms.telemetry.phases import passing, phase


def run_musicnn(args: Arguments, beam_args: list[str]) -> Answer:
    """Writes one bundle per data set that the package's networks were trained on."""
    check_writes("--output", args.output)
    try:
        checkpoints = {
            storage.join(args.output, f"musicnn-{one.dataset}"): one for one in read_package(Path(args.package))
        }
        for url in checkpoints:
            clear_unfinished(url)
        # TensorFlow takes seconds to import, so all checks come first.
        with phase("starting TensorFlow"):
            start_tensorflow()
        from models.trunks.musicnn import write_musicnn_bundle

        networks = passing(checkpoints.items(), "converting networks", unit="bundles", total=len(checkpoints))
        bundles = {url: write_musicnn_bundle(url, checkpoint) for url, checkpoint in networks}
    except PackageError as error:
        raise CommandFailed(str(error)) from error
    rows = [_row(url, bundle) for url, bundle in bundles.items()]
    lines = [
        f"bundle {row['bundle']}: {quantity(int(row['tags']), 'tag')}, {row['tagger_id']}, {row['embedding_id']}"
        for row in rows
    ]
    return Answer(text="\n".join(lines), document={"bundles": rows}, rows=rows)


def _row(url: str, bundle: Bundle) -> dict[str, str | int]:
    ids = {"tagger_id": bundle.tagger_id, "embedding_id": bundle.embedding_id, "feature_id": bundle.feature_id}
    return {"bundle": url, "tags": len(bundle.tags), **ids}


def run_onnx(args: Arguments, beam_args: list[str]) -> Answer:
    """Writes a bundle that contains a network and no tags."""
    check_writes("--output", args.output, "bundle")
    clear_unfinished(args.output)
    spec = read_feature_spec(args.feature_spec)
    try:
        data = _read_given("--onnx", args.onnx)
        texts = {"name": args.name or Path(args.onnx).stem, "source": args.origin, "licence": args.licence}
        bundle = write_onnx_bundle(args.output, data, spec, **texts)
    except BundleError as error:
        raise CommandFailed(f"{args.onnx}: {error}") from error
    (trunk,), (trunk_id,) = bundle.trunks, bundle.trunk_ids
    return Answer(
        text=f"bundle {args.output}: trunk {trunk.name}, {trunk.patch_dim} values per patch, {trunk_id}, "
        f"{bundle.embedding_id}",
        document={
            "bundle": args.output,
            "trunk": trunk.name,
            "trunk_id": trunk_id,
            "patch_dim": trunk.patch_dim,
            "embedding_id": bundle.embedding_id,
            "feature_id": bundle.feature_id,
        },
    )


_MOST_LICENCE_BYTES = 1 << 20


def run_beats(args: Arguments, beam_args: list[str]) -> Answer:
    """Writes a bundle with a network of beats."""
    check_writes("--output", args.output, "bundle")
    clear_unfinished(args.output)
    given, ends = _declared_beats(args.spec)
    onnx = _read_given("--onnx", args.onnx, MOST_NETWORK_BYTES)
    text = None if args.licence_file is None else _read_given("--licence-file", args.licence_file, _MOST_LICENCE_BYTES)
    texts = {"name": args.name or Path(args.onnx).stem, "source": args.origin, "licence": args.licence}
    try:
        with phase("trying the network"):
            bundle = write_beat_bundle(args.output, onnx, given, ends, licence_text=text, **texts)
    except BundleError as error:
        raise CommandFailed(f"{args.onnx}: {error}") from error
    trial = bundle.trial
    right = (
        f"it hears the tempo of {trial.right_tempi} and the metre of {trial.right_metres} of {trial.patterns} patterns"
    )
    noise = ", and a beat in white noise" if trial.hears_noise else ""
    return Answer(
        text=f"bundle {args.output}: network {bundle.name}, {bundle.beats_id}; {right} of drums{noise}",
        document={
            "bundle": args.output,
            "network": bundle.name,
            "beats_id": bundle.beats_id,
            "opset": bundle.opset,
            "trial": dataclasses.asdict(trial),
        },
    )


def run_text(args: Arguments, beam_args: list[str]) -> Answer:
    """Writes a bundle that contains a text network and its tokenizer."""
    check_writes("--output", args.output, "bundle")
    clear_unfinished(args.output)
    trunk = find_trunk(args.for_trunk)
    onnx, tokenizer = (_read_given(f"--{name}", getattr(args, name)) for name in ("onnx", "tokenizer"))
    texts = {"name": args.name or Path(args.onnx).stem, "source": args.origin, "licence": args.licence}
    names = {"tokens_input": args.tokens_input, "mask_input": args.mask_input, "output": args.vector_output}
    declared = {"length": args.sequence_length, "template": args.template}
    try:
        bundle = import_text_network(args.output, onnx, tokenizer, trunk=trunk, **declared, **names, **texts)
    except BundleError as error:
        raise CommandFailed(f"{args.onnx}: {error}") from error
    network = bundle.network
    lines = [
        f"bundle {args.output}: text network {network.name}, {network.dim} values for a text of at most "
        f"{network.length} tokens, {network.text_id} for trunk {network.trunk_id}"
    ]
    if trunk[1] is None:
        lines.append("the id of a trunk says nothing about its size, which `search` compares")
    facts = ("name", "dim", "length", "is_padded", "template", "tokens_input", "mask_input", "output", "trunk_id")
    return Answer(
        text="\n".join(lines),
        document={
            "bundle": args.output,
            "text_id": network.text_id,
            **{name: getattr(network, name) for name in facts},
        },
    )


def _declared_beats(spec: str | None) -> tuple[BeatInput, Ends]:
    """What a network takes: the file's declaration, or the defaults.

    Raises:
      CommandFailed: the file does not exist, or is no declaration.
    """
    if spec is None:
        return BeatInput(), Ends()
    try:
        return spec_of_document(parse_yaml(_read_given("--spec", spec, YAML_BYTES)))
    except (ValueError, TypeError) as error:
        raise CommandFailed(f"--spec={spec}: {error}") from error


def _read_given(flag: str, url: str, most: int | None = None) -> bytes:
    """A file that a flag names, of at most so many bytes.

    Raises:
      CommandFailed: there is none, or it is too large.
    """
    try:
        return storage.read_bytes(url, max_bytes=most)
    except storage.NotFound as error:
        raise CommandFailed(f"{flag}={url}: no such file") from error
    except storage.TooLarge as error:
        raise CommandFailed(f"{flag}={url}: {error}: at most {most} bytes are read") from error


def run_rules(args: Arguments, beam_args: list[str]) -> Answer:
    """Writes a bundle with the network and heads of another one, and the rules of a file."""
    check_writes("--output", args.output, "bundle")
    clear_unfinished(args.output)
    try:
        bundle = write_with_rules(args.model, args.rules, args.output)
    except (BundleError, TaxonomyError) as error:
        raise CommandFailed(str(error)) from error
    found = [f"{category.name} ({quantity(len(category.tags), 'tag')})" for category in bundle.taxonomy.rules]
    return Answer(
        text=f"bundle {args.output}: rules of {', '.join(found) or 'no category'}, {bundle.tagger_id}, "
        f"{bundle.embedding_id}",
        document={
            **_row(args.output, bundle),
            "taxonomy_id": bundle.taxonomy.taxonomy_id,
            "rules": {category.name: [tag.id for tag in category.tags] for category in bundle.taxonomy.rules},
        },
    )
