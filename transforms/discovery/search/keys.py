"""Which keys mix well: neighbours on the Camelot wheel.

Source: the wheel of Mark Davis ("Camelot EasyMix"): a code is an hour, 1 to 12, and a letter, A for minor and B for
major. A fifth up is one hour more.
"""

from transforms.features.parameters.key_spellings import parse_key
from transforms.features.parameters.keys import camelot


def camelot_code(text: str) -> str | None:
    """The Camelot code of a key that a table states, see `parse_key`; None for any other text.

    >>> [camelot_code(text) for text in ("A Minor", "Am", "08a", "A♭ major", "F#m", "c", "AM", "unknown")]
    ['8A', '8A', '8A', '4B', '11A', '5A', '11B', None]
    """
    return _code(parse_key(text))


def wanted_code(text: str) -> str | None:
    """The Camelot code of a key that a person asks for; None for any other text.

    A small letter alone is major, too: people type `c` and mean C.

    >>> [wanted_code(text) for text in ("c", "f#", "c moll", "unknown")]
    ['8B', '2B', '5A', None]
    """
    return _code(parse_key(text, small="major"))


def _code(key: str | None) -> str | None:
    return None if key is None else camelot(key)


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
