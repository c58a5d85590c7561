"""Keys as other programs and people write them."""

import re

from transforms.features.parameters.keys import KEY_NAMES, camelot, key_name

_TONICS = {"c": 0, "d": 2, "e": 4, "f": 5, "g": 7, "a": 9, "b": 11, "h": 11}
_SHIFTS = {"": 0, "b": -1, "♭": -1, "flat": -1, "es": -1, "s": -1, "#": 1, "♯": 1, "sharp": 1, "is": 1}
_MINOR = {"m", "min", "minor", "moll", "aeolian", "mi"}
_MAJOR = {"", "maj", "major", "dur", "ionian", "ma"}
_NAMED = re.compile(r"([a-h])[ -]?(♭|♯|#|b|flat|sharp|es|is|s)?[ :_-]*([a-z]*)")
_WHEEL = re.compile(r"0?([1-9]|1[0-2])([abmd])")
_BETWEEN = re.compile(r"\s*[/|,;()]\s*|\s+-\s+")
_BY_CAMELOT = {camelot(key): key for key in KEY_NAMES}


def parse_key(text: str) -> str | None:
    """The key that a text means, as one of `KEY_NAMES`; None if it means none.

    Understood are `Am`, `A minor`, `A moll`, `Amin`, `A♭`, `Ab major`, `F sharp minor`, German names with `is` and
    `es`, the Camelot wheel (`8A`, `08B`) and Open Key (`1m`, `1d`). A capital without a mode is major, a small letter
    alone is minor. `B` is the note below C, as in English. Several spellings of one key may follow each other, as in
    `8A - Am` or `F#/Gb minor`; of different keys, none is meant.

    >>> [parse_key(text) for text in ("8A", "1m", "Abm", "F♯", "e", "8A - Am", "o")]
    ['A minor', 'A minor', 'G# minor', 'F# major', 'E minor', 'A minor', None]
    """
    parts = [part for part in _BETWEEN.split(text) if part]
    if len(parts) < 2:
        return _one_spelling(text)
    mode = parts[-1].split()[-1]  # may belong to all parts
    keys = {_one_spelling(part) for part in parts}
    same_mode = {_one_spelling(f"{part} {mode}") for part in parts[:-1]} | {_one_spelling(parts[-1])}
    return next((found.pop() for found in (keys, same_mode) if len(found) == 1), None)


def _one_spelling(text: str) -> str | None:
    clean = " ".join(text.removesuffix(".").split())
    lower = clean.lower()
    if wheel := _WHEEL.fullmatch(lower.replace(" ", "")):
        return _of_wheel(int(wheel[1]), wheel[2])
    if not (named := _NAMED.fullmatch(lower)):
        return None
    letter, sign, mode = named[1], named[2] or "", named[3]
    if mode not in _MINOR | _MAJOR:
        return None
    is_minor = mode in _MINOR or (not mode and clean[0].islower() and clean != "h")
    is_minor = is_minor and not (mode in ("m", "ma") and clean.rstrip().endswith("M"))
    return key_name(_TONICS[letter] + _SHIFTS[sign], "minor" if is_minor else "major")


def _of_wheel(number: int, letter: str) -> str:
    """A key of the Camelot wheel (a: minor, b: major) or of Open Key (m: minor, d: major), which begins at C with 1."""
    if letter in "md":
        number, letter = (number + 6) % 12 + 1, "a" if letter == "m" else "b"
    return _BY_CAMELOT[f"{number}{letter.upper()}"]
