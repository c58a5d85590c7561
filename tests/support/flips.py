"""Flips single bits of files, and compares what commands answer with what they answered before."""

import contextlib
import io
import random
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pipelines.cli import input_errors, main

Reader = Callable[[Path], Any]
"""Reads a folder and returns an answer, or raises one of `input_errors`."""


class Refusal(Exception):
    """A command ended with a failure; the message is what it printed."""


def printed(*words: str) -> str:
    """What a command prints to stdout.

    Raises:
      Refusal: it failed.
    """
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(list(words))
    if code == 0:
        return out.getvalue()
    told = [line for line in (out.getvalue() + err.getvalue()).splitlines() if not line.startswith("snapshot ")]
    raise Refusal("\n".join(told))


def outcome(reader: Reader, folder: Path) -> tuple[bool, Any]:
    """Whether a reader answered, and its answer or the words of its refusal."""
    try:
        return True, reader(folder)
    except (Refusal, *input_errors()) as error:
        return False, str(error)


@contextlib.contextmanager
def flipped(path: Path, bit: int) -> Iterator[None]:
    """Flips one bit of a file."""
    before = path.read_bytes()
    data = bytearray(before)
    data[bit // 8] ^= 1 << bit % 8
    path.write_bytes(data)
    try:
        yield
    finally:
        path.write_bytes(before)


def chosen_bits(folder: Path, count: int, seed: int) -> Iterator[tuple[Path, int]]:
    """Files of a folder with one of their bits. Every file has the same chance, whatever its size."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.stat().st_size)
    rng = random.Random(seed)
    for path in rng.choices(files, k=count):
        yield path, rng.randrange(8 * path.stat().st_size)


def unnoticed(folder: Path, readers: Mapping[str, Reader], count: int, seed: int) -> tuple[list[str], int]:
    """Flips bits, one at a time; returns the faults, and in how many cases a reader refused.

    A fault is another answer than before, or a refusal without the name of the file.
    """
    before = {name: outcome(reader, folder) for name, reader in readers.items()}
    assert {name: words for name, (answered, words) in before.items() if not answered} == {}
    faults, refused = [], 0
    for path, bit in chosen_bits(folder, count, seed):
        place = f"{path.relative_to(folder)}, bit {bit}"
        with flipped(path, bit):
            found = {name: outcome(reader, folder) for name, reader in readers.items()}
        for name, (answered, answer) in found.items():
            if answered and answer != before[name][1]:
                faults.append(f"{place}: {name} answers otherwise")
            elif not answered and path.name not in answer:
                faults.append(f"{place}: {name} names no file: {answer}")
        refused += not all(answered for answered, _ in found.values())
    return faults, refused
