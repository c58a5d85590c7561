"""Keys as other programs and people write them."""

import re
import unicodedata
from typing import Literal

from transforms.features.parameters.keys import KEY_NAMES, camelot, key_name

_TONICS = {"c": 0, "d": 2, "e": 4, "f": 5, "g": 7, "a": 9, "b": 11, "h": 11}
_SUNG_TONICS = {"do": 0, "ut": 0, "re": 2, "mi": 4, "fa": 5, "sol": 7, "la": 9, "si": 11}
_FLATS = ("b", "♭", "flat", "es", "s", "bemol", "bemolle", "bem", "bem.")
_SHARPS = ("#", "♯", "sharp", "is", "diese", "dieze", "diesis", "sostenido", "sustenido")
_SHIFTS = {"": 0, **dict.fromkeys(_FLATS, -1), **dict.fromkeys(_SHARPS, 1)}
_GERMAN = ("dur", "moll", "mol")
_MINOR = {"m", "min", "minor", "moll", "mol", "aeolian", "mi", "mineur", "minore", "menor"}
_MAJOR = {"", "maj", "major", "dur", "ionian", "ma", "majeur", "maggiore", "magg", "mayor", "maior"}
_NAMED = re.compile(r"([a-h])[ -]?(♭|♯|#|b|flat|sharp|es|is|(?<=[ae])s)?[ :_-]*([a-z]*)")
_SUNG = re.compile(
    r"(do|ut|re|mi|fa|sol|la|si)[ -]?(♭|♯|#|bemolle|bemol|bem\.?|b|die[sz]e|diesis|s[ou]stenido)?[ :_-]*([a-z]*)"
)
_ACCENTS = str.maketrans("áàéèóò", "aaeeoo")
_WHEEL = re.compile(r"0?([1-9]|1[0-2])([abmd])")
_DASHES = re.compile("[\u2010-\u2015\u2212]")
_INVISIBLE = re.compile("[\u200b-\u200f\u2060\ufe0e\ufe0f\ufeff]")
_BEFORE = re.compile(r"^(?:(?:in|en|em) |key(?: of |: ?))", re.IGNORECASE)
_BETWEEN = re.compile(r"\s*[/|,;()\[\]]\s*|\s+-\s+")
_BESIDE_CODE = re.compile(r"(?<=\d[abmd])[ -](?=[a-h])|(?<=[a-z#♯♭])[ -](?=\d{1,2}[abmd]$)", re.IGNORECASE)
_BY_CAMELOT = {camelot(key): key for key in KEY_NAMES}


def parse_key(text: str, *, small: Literal["minor", "major"] = "minor") -> str | None:
    """The key that a text means, as one of `KEY_NAMES`; None if it means none.

    Understood are `Am`, `A minor`, `A moll`, `Amin`, `A♭`, `Ab major`, `F sharp minor`, German names with `is` and
    `es`, French, Italian, Spanish and Portuguese names (`La mineur`, `Si bemolle maggiore`), the Camelot wheel (`8A`,
    `08B`) and Open Key (`1m`, `1d`), also after `in` and `key of`. A capital without a mode is major. `B` is the note
    below C, as in English, and with `dur` and `moll` the one below H, as in German. Several spellings of one key may
    follow each other, as in `8A - Am` or `F#/Gb minor`; of different keys, none is meant.

    Args:
      text: the spelling. Accents may be composed or not, and dashes and spaces are of any kind.
      small: mode of a small letter without a mode, such as `e`.

    >>> [parse_key(text) for text in ("8A", "1m", "Abm", "F♯", "e", "8A - Am", "o")]
    ['A minor', 'A minor', 'G# minor', 'F# major', 'E minor', 'A minor', None]
    >>> [parse_key(text) for text in ("B major", "B-Dur", "h-moll", "Sol dièse mineur")]
    ['B major', 'Bb major', 'B minor', 'G# minor']
    """
    clean = _INVISIBLE.sub("", _DASHES.sub("-", unicodedata.normalize("NFKC", text)))
    clean = _BEFORE.sub("", " ".join(clean.split()))
    if (whole := _one_spelling(clean, small)) is not None:
        return whole
    if not (parts := [part for part in _BETWEEN.split(_BESIDE_CODE.sub("/", clean)) if part]):
        return None
    mode = parts[-1].split()[-1]  # may belong to all parts
    last = _one_spelling(parts[-1], small)
    keys = {last, *(_one_spelling(part, small) for part in parts[:-1])}
    same_mode = {last, *(_one_spelling(f"{part} {mode}", small) for part in parts[:-1])}
    return next((found.pop() for found in (keys, same_mode) if len(found) == 1), None)


def _one_spelling(text: str, small: str) -> str | None:
    clean = text.removesuffix(".")
    lower = clean.lower()
    if wheel := _WHEEL.fullmatch(lower.replace(" ", "")):
        return _of_wheel(int(wheel[1]), wheel[2])
    sung, named = _SUNG.fullmatch(lower.translate(_ACCENTS)), _NAMED.fullmatch(lower)
    if not (found := sung or named) or found[3] not in _MINOR | _MAJOR:
        return None
    name, sign, mode = found[1], found[2] or "", found[3]
    tonic = _SUNG_TONICS[name] if sung else _TONICS[name]
    if name == "b" and not sign and mode in _GERMAN:
        tonic -= 1
    is_small = small == "minor" and not mode and not sung and clean[0].islower()
    is_minor = (mode in _MINOR or is_small) and not (mode in ("m", "ma") and clean.endswith("M"))
    return key_name(tonic + _SHIFTS[sign], "minor" if is_minor else "major")


def _of_wheel(number: int, letter: str) -> str:
    """A key of the Camelot wheel (a: minor, b: major) or of Open Key (m: minor, d: major), which begins at C with 1."""
    if letter in "md":
        number, letter = (number + 6) % 12 + 1, "a" if letter == "m" else "b"
    return _BY_CAMELOT[f"{number}{letter.upper()}"]
