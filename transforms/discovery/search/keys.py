"""Which keys mix well: neighbours on the Camelot wheel.

Source: the wheel of Mark Davis ("Camelot EasyMix"): a code is an hour, 1 to 12, and a letter, A for minor and B for
major. A fifth up is one hour more.
"""

import re

_TONICS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_GERMAN = {**_TONICS, "B": 10, "H": 11}
_ACCIDENTALS = {"": 0, "#": 1, "♯": 1, "b": -1, "♭": -1, "is": 1, "es": -1, "s": -1}
_KEY = re.compile(r"([A-Ga-g])\s*([#♯b♭]?)\s*-?\s*((?i:major|maj|minor|min)|m|M)?")
_GERMAN_KEY = re.compile(r"([A-H])(is|es|s)?\s*-?\s*(dur|moll)", re.IGNORECASE)
_CODE = re.compile(r"(1[0-2]|0?[1-9])\s*([ABab])")


def camelot_code(text: str) -> str | None:
    """The Camelot code of a key in a usual spelling; None for any other text.

    With `dur` and `moll`, B is a semitone below H, as in German.

    >>> [camelot_code(text) for text in ("A Minor", "Am", "08a", "A♭ major", "F#m", "C", "AM", "unknown")]
    ['8A', '8A', '8A', '4B', '11A', '8B', '11B', None]
    >>> [camelot_code(text) for text in ("h-moll", "B-Dur", "Fis moll", "Es-Dur", "As-Dur")]
    ['10A', '6B', '11A', '5B', '4B']
    """
    text = text.strip()
    if code := _CODE.fullmatch(text):
        return f"{int(code[1])}{code[2].upper()}"
    if key := _GERMAN_KEY.fullmatch(text):
        tonics, minor = _GERMAN, key[3].lower() == "moll"
    elif key := _KEY.fullmatch(text):
        tonics, minor = _TONICS, key[3] == "m" or (key[3] or "").lower() in ("minor", "min")
    else:
        return None
    tonic = tonics[key[1].upper()] + _ACCIDENTALS[(key[2] or "").lower()]
    # C major is 8B, A minor is 8A; seven semitones are one hour.
    hour = (7 * (tonic - (9 if minor else 0)) + 7) % 12 + 1
    return f"{hour}{'A' if minor else 'B'}"


def compatible_codes(code: str) -> tuple[str, ...]:
    """The codes that mix with a code: itself, an hour less and more, and its relative key.

    >>> compatible_codes("12A")
    ('12A', '11A', '1A', '12B')
    """
    hour, letter = int(code[:-1]), code[-1]
    other = "B" if letter == "A" else "A"
    return code, f"{(hour - 2) % 12 + 1}{letter}", f"{hour % 12 + 1}{letter}", f"{hour}{other}"


def wheel_steps(first: str, second: str) -> int:
    """Steps between two codes on the wheel: hours, and one for another letter.

    >>> wheel_steps("12A", "1A"), wheel_steps("8A", "8B"), wheel_steps("2A", "8B")
    (1, 1, 7)
    """
    hours = abs(int(first[:-1]) - int(second[:-1])) % 12
    return min(hours, 12 - hours) + (first[-1] != second[-1])
