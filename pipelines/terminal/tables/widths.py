"""How many columns of a terminal a text takes, and how it is broken into lines (Unicode Standard Annex 11)."""

import unicodedata
from collections.abc import Iterator

_JOINER = "\u200d"


def char_width(char: str) -> int:
    """Columns of one character: 2 for wide and fullwidth ones, 0 for marks and joiners, else 1.

    Characters of ambiguous width count as narrow, as in terminals with a European language.
    """
    if char.isascii():
        return 1
    if unicodedata.category(char) in ("Mn", "Me", "Cf") or "\u1160" <= char <= "\u11ff":  # Hangul vowels and finals
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def text_width(text: str) -> int:
    """Columns of a text in one line.

    >>> [text_width(text) for text in ("calm", "静かな", "e\\u0301")]
    [4, 6, 1]
    """
    return len(text) if text.isascii() else sum(map(char_width, text))


def padded(text: str, width: int, right: bool) -> str:
    """The text with spaces up to `width` columns, after it or, if `right`, before it."""
    space = " " * max(width - text_width(text), 0)
    return space + text if right else text + space


def wrapped(text: str, width: int) -> list[str]:
    """Lines of at most `width` columns, at least one line. Lines break at spaces, and long words anywhere.

    A character of two columns is not divided: it takes a line of its own if `width` is 1.

    >>> wrapped("calm 0.93, dark 0.51", 10)
    ['calm 0.93,', 'dark 0.51']
    """
    if text_width(text) <= width:
        return [text]
    lines, used = [""], 0
    for word in text.split(" "):
        size = text_width(word)
        if used and used + 1 + size <= width:
            lines[-1] += f" {word}"
            used += 1 + size
            continue
        pieces = [word] if size <= width else list(_pieces(word, width))
        lines[-1:] = [*([lines[-1]] if used else []), *pieces]
        used = text_width(lines[-1])
    return lines


def shortened(text: str, width: int) -> str:
    """At most `width` columns of the text, with `…` at the end."""
    first = next(_pieces(text, width - 1), "")
    return f"{first}…" if text_width(first) < width else "…"


def _pieces(word: str, width: int) -> Iterator[str]:
    """Parts of at most `width` columns. Marks stay with their letter, and joined characters together if they fit."""
    piece, used = "", 0
    for char in word:
        size = char_width(char)
        if piece and size and used + size > width:
            yield piece
            piece, used = "", 0
        piece, used = piece + char, used + size
    if piece:
        yield piece
