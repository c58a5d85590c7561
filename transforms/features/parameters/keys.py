"""Names of the 24 keys, their Camelot codes, and the MIREX score of an estimate."""

MAJOR_NAMES = ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
MINOR_NAMES = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "G#", "A", "Bb", "B")
KEY_NAMES = tuple(f"{n} major" for n in MAJOR_NAMES) + tuple(f"{n} minor" for n in MINOR_NAMES)
"""Names by number: the tonic's pitch class (C is 0), and 12 more for minor."""


def key_name(tonic: int, mode: str) -> str:
    """The usual spelling of a key: `Bb major`, `F# minor`. `tonic` is a pitch class, `mode` is `major` or `minor`."""
    return KEY_NAMES[tonic % 12 + 12 * (mode == "minor")]


def camelot(key: str) -> str:
    """The key's code on the Camelot wheel: `A minor` is 8A, `C major` is 8B; a fifth up is one step more."""
    number = KEY_NAMES.index(key)
    relative_major = number if number < 12 else (number + 3) % 12
    return f"{(7 * relative_major + 7) % 12 + 1}{'B' if number < 12 else 'A'}"


MIREX_SCORES = {"exact": 1.0, "fifth": 0.5, "relative": 0.3, "parallel": 0.2, "other": 0.0}
"""Relation of two keys -> its MIREX key score."""


def key_relation(truth: str, estimate: str) -> str:
    """How two keys of `KEY_NAMES` are related: a fifth off in one mode, relative, parallel: see `MIREX_SCORES`."""
    a, b = KEY_NAMES.index(truth), KEY_NAMES.index(estimate)
    if a == b:
        return "exact"
    if a // 12 == b // 12:
        return "fifth" if (b - a) % 12 in (5, 7) else "other"
    major, minor = min(a, b), max(a, b) - 12
    return "relative" if (major - minor) % 12 == 3 else "parallel" if major == minor else "other"


def mirex_score(truth: str, estimate: str | None) -> float:
    """MIREX key score: 1 exact, 0.5 a fifth off in one mode, 0.3 relative, 0.2 parallel, else 0."""
    return 0.0 if estimate is None else MIREX_SCORES[key_relation(truth, estimate)]
