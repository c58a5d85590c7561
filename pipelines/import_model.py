"""Makes bundles from networks that others trained.

catalog-tagger import-model musicnn --package musicnn-0.1.0-py3-none-any.whl --output models
catalog-tagger import-model onnx --onnx network.onnx --feature-spec spec.json --output models/network
catalog-tagger import-model text --onnx text.onnx --tokenizer tokenizer.json --for-trunk models/network \
    --sequence-length 77 --output models/text
catalog-tagger import-model beats --onnx beats.onnx --licence MIT --output models/beats
catalog-tagger import-model rules --model bundle --rules rules.yaml --output bundle-2
"""

from typing import Any

import click

from pipelines.inputs.flags import answer, answer_flags, combined
from pipelines.terminal.command import Command, CommandGroup

_described = combined(
    click.option(
        "--origin", default="", metavar="TEXT", help="Where the network is from, for manifest and model card."
    ),
    click.option("--licence", default="", metavar="TEXT", help="Licence of its weights, for manifest and model card."),
)


@click.group(cls=CommandGroup)
def command() -> None:
    """One subcommand per kind of network."""


@command.command(cls=Command, help="The music taggers of the Python package musicnn 0.1.0, as two bundles.")
@click.option(
    "--package",
    required=True,
    metavar="WHEEL",
    help="The wheel (`pip download musicnn==0.1.0 --no-deps`), its folder, or the unpacked package.",
)
@click.option("--output", required=True, metavar="FOLDER", help="Folder of the bundles musicnn-mtt and musicnn-msd.")
@answer_flags
def musicnn(**flags: Any) -> int:
    """Reads the package."""
    from pipelines.jobs.import_model import run_musicnn

    return answer(run_musicnn, flags)


@command.command(
    cls=Command, help="An ONNX network from mel patches to embeddings, as a bundle without tags for `train --trunk`."
)
@click.option(
    "--onnx",
    required=True,
    metavar="FILE",
    help="ONNX file with one input float32 [n, frames, mels] (mel patches) and one output [n, dim] (embeddings).",
)
@click.option("--feature-spec", required=True, metavar="JSON", help="How audio becomes the network's input.")
@click.option("--output", required=True, metavar="BUNDLE", help="New folder or gs:// prefix of the bundle.")
@click.option("--name", metavar="NAME", help="Name of the trunk (default: the file's name).")
@_described
@answer_flags
def onnx(**flags: Any) -> int:
    """Reads the network."""
    from pipelines.jobs.import_model import run_onnx

    return answer(run_onnx, flags)


@command.command(
    "text",
    cls=Command,
    help="The text network of a pair, whose audio network is a trunk already: an ONNX network from token ids to a "
    "vector in the space of the trunk's embeddings, with its tokenizer, as a bundle for `search --sounds-like`.",
)
@click.option(
    "--onnx",
    required=True,
    metavar="FILE",
    help="ONNX file with an input of token ids [n, tokens], int64 or int32, perhaps one of their mask, and an output "
    "[n, dim].",
)
@click.option(
    "--tokenizer", required=True, metavar="JSON", help="Its file tokenizer.json, as the library tokenizers writes it."
)
@click.option(
    "--for-trunk",
    required=True,
    metavar="BUNDLE|ID",
    help="The audio network: a bundle with this trunk alone, or the id of the trunk, which `describe` shows.",
)
@click.option("--output", required=True, metavar="BUNDLE", help="New folder or gs:// prefix of the bundle.")
@click.option(
    "--sequence-length",
    required=True,
    type=click.IntRange(2, 100_000),
    metavar="N",
    help="Most tokens of a text, with those that the tokenizer adds; further ones are cut off.",
)
@click.option(
    "--template",
    default="{}",
    show_default=True,
    metavar="TEXT",
    help="What the network reads, with {} in place of the text, such as 'This is a recording of {}.'.",
)
@click.option(
    "--tokens-input", metavar="NAME", help="Name of its input of token ids (default: input_ids, or its only one)."
)
@click.option(
    "--mask-input", metavar="NAME", help="Name of its input of their mask (default: attention_mask, if it is there)."
)
@click.option("--vector-output", metavar="NAME", help="Name of its output (default: its only one).")
@click.option("--name", metavar="NAME", help="Name of the network (default: the file's name).")
@_described
@answer_flags
def text_network(**flags: Any) -> int:
    """Reads the network."""
    from pipelines.jobs.import_model import run_text

    return answer(run_text, flags)


@command.command(
    cls=Command,
    help="An ONNX network that hears beats, as a bundle for `tag --beats`. It maps log-mel frames [n, frames, mels] to "
    "logits of beats and of downbeats [n, frames], and is tried on patterns of drums before it is written.",
)
@click.option("--onnx", required=True, metavar="FILE", help="The ONNX file. It must contain its weights.")
@click.option(
    "--spec",
    metavar="YAML",
    help="How sound becomes the network's input, and the names of its input and outputs (default: as Beat This! was "
    "trained and is usually exported: 128 mel bands at 22,050 Hz, 50 frames a second, chunks of 1,500 frames, "
    "input `spect`, outputs `beat` and `downbeat`).",
)
@click.option("--output", required=True, metavar="BUNDLE", help="New folder or gs:// prefix of the bundle.")
@click.option("--name", metavar="NAME", help="Name of the network (default: the file's name).")
@_described
@click.option("--licence-file", metavar="FILE", help="Text of the licence, which the bundle keeps as LICENSE.txt.")
@answer_flags
def beats(**flags: Any) -> int:
    """Reads the network."""
    from pipelines.jobs.import_model import run_beats

    return answer(run_beats, flags)


@command.command(
    cls=Command,
    help="A bundle with the network and heads of another one, and the rules of a file in place of its own: tags that "
    "follow from tempo, key and other measurements, or from other tags.",
)
@click.option("--model", required=True, metavar="BUNDLE", help="The bundle. It stays as it is.")
@click.option("--rules", required=True, metavar="YAML", help="File with the section `rules` of a taxonomy.")
@click.option("--output", required=True, metavar="BUNDLE", help="New folder or gs:// prefix of the bundle.")
@answer_flags
def rules(**flags: Any) -> int:
    """Reads the rules."""
    from pipelines.jobs.import_model import run_rules

    return answer(run_rules, flags)
