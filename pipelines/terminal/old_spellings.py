"""Command lines of version 0.1 that are spelled differently now, and how they are spelled today."""

import shlex
from collections.abc import Sequence

_MODELS = {"musicnn": "musicnn", "trunk": "onnx"}
"""Sources that `import` made bundles from -> their names under `import-model`."""


def new_spelling(words: Sequence[str]) -> str | None:
    """The whole new command line, without the program's name; None if the spelling is current.

    >>> new_spelling(["train", "--heads-only", "--table=tags", "--output", "my bundle"])
    "refit --table=tags --output 'my bundle'"
    >>> new_spelling(["train", "--submit", "vertex", "--gpus=2"])
    'submit train --to vertex --gpus=2'
    >>> new_spelling(["import", "trunk", "--onnx", "a.onnx"])
    'import-model onnx --onnx a.onnx'
    """
    new = _train(words[1:]) if words[:1] == ["train"] else _import(words[1:]) if words[:1] == ["import"] else None
    return None if new is None else shlex.join(new)


def _train(words: Sequence[str]) -> list[str] | None:
    command = "refit" if "--heads-only" in words else "train"
    rest = [word for word in words if word != "--heads-only"]
    place, rest = _taken(rest, "--submit")
    if place is not None:
        return ["submit", command, "--to", place, *rest]
    return [command, *rest] if command == "refit" else None


def _taken(words: list[str], flag: str) -> tuple[str | None, list[str]]:
    """The value of a flag, and the words without it."""
    for number, word in enumerate(words):
        if word == flag and number + 1 < len(words):
            return words[number + 1], words[:number] + words[number + 2 :]
        if word.startswith(f"{flag}="):
            return word.partition("=")[2], words[:number] + words[number + 1 :]
    return None, words


def _import(words: Sequence[str]) -> list[str] | None:
    if not words or words[0] not in _MODELS:
        return None
    return ["import-model", _MODELS[words[0]], *words[1:]]
