"""Command lines of version 0.1 whose spelling has changed, and their new spelling."""

import shlex
from collections.abc import Sequence

_MODELS = {"musicnn": "musicnn", "trunk": "onnx"}
"""Source for which `import` made bundles -> its name under `import-model`."""


def new_spelling(words: Sequence[str]) -> str | None:
    """The whole new command line, without the program's name; None if the spelling is current.

    >>> new_spelling(["train", "--heads-only", "--table=tags", "--output", "my bundle"])
    "refit --table=tags --output 'my bundle'"
    >>> new_spelling(["train", "--submit", "vertex", "--gpus=2"])
    'submit train --to vertex --gpus=2'
    >>> new_spelling(["import", "trunk", "--onnx", "a.onnx"])
    'import-model onnx --onnx a.onnx'
    >>> new_spelling(["--log-level", "info", "import", "musicnn"])
    '--log-level info import-model musicnn'
    """
    start = _command_at(words)
    command, rest = words[start : start + 1], words[start + 1 :]
    new = _train(rest) if command == ["train"] else _import(rest) if command == ["import"] else None
    return None if new is None else shlex.join([*words[:start], *new])


def _command_at(words: Sequence[str]) -> int:
    """Position of the command's name, after the flags of the program."""
    start = 0
    while start < len(words) and words[start].startswith("-"):
        start += 2 if words[start] in ("--log-level", "--log-format") else 1
    return start


def _train(words: Sequence[str]) -> list[str] | None:
    command = "refit" if "--heads-only" in words else "train"
    rest = [word for word in words if word != "--heads-only"]
    place, rest = _taken(rest, "--submit")
    if place is not None:
        return ["submit", command, "--to", place, *rest]
    return [command, *rest] if command == "refit" else None


def _taken(words: list[str], flag: str) -> tuple[str | None, list[str]]:
    """The value of a flag, and the words without the flag."""
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
