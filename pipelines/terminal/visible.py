"""The door to the terminal: text from data is printed without control characters, and text for people without secrets.

A title or a path may contain escape sequences that change the terminal, or marks that reverse the direction of text.
"""

import re

from transforms.storage import redact

_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 but for tab and line feed, DEL, C1
    "\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069"  # marks of direction, line and paragraph separators
    "\ufeff\ufff9-\ufffb\ud800-\udfff]"  # byte order mark, annotations, lone surrogates
)
_FORMULA = re.compile(r"\s*[=+\-@\uff1d\uff0b\uff0d\uff20]|[\t\r\n]")
_INNER_FORMULA = re.compile(r"(?<=[;\t\r\n])(?=[=+\-@\uff1d\uff0b\uff0d\uff20])")


def printable(text: str) -> str:
    r"""The text with visible escapes for characters that act on a terminal. Tabs and line ends stay.

    >>> printable("calm \x1b]0;owned\x07")
    'calm \\x1b]0;owned\\x07'
    """
    return _UNSAFE.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def for_people(text: str) -> str:
    """Messages and answers as they are printed: printable and without secrets."""
    return printable(redact(text))


_LONGEST_WORD, _LONGEST_LINE = 400, 2_000


def bounded(text: str) -> str:
    """Messages as they are printed: the middle of very long words, such as paths, and of very long lines is left out.

    >>> bounded("a" * 5_000 + ": no such file")[170:230]
    'aaaaaaaaaa...(4641 characters left out)...aaaaaaaaaaaaaaaaaa'
    """
    lines = (_LONG_WORD.sub(lambda found: _shortened(found[0], _LONGEST_WORD), line) for line in text.split("\n"))
    return "\n".join(_shortened(line, _LONGEST_LINE) for line in lines)


_LONG_WORD = re.compile(rf"\S{{{_LONGEST_WORD + 1},}}")


def _shortened(text: str, most: int) -> str:
    if len(text) <= most:
        return text
    kept = (most - len("...(1000000 characters left out)...") - 5) // 2
    return f"{text[:kept]}...({len(text) - 2 * kept} characters left out)...{text[-kept:]}"


def printable_json(document: str) -> str:
    """The same JSON document with escapes for characters that act on a terminal. Its values do not change."""
    return _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", document)


def safe_field(text: str) -> str:
    """A field of a CSV file that no spreadsheet takes for a formula: such text gets an apostrophe.

    >>> [safe_field(text) for text in ("=1+1", "calm", "-")]
    ["'=1+1", 'calm', "'-"]
    """
    escaped = _INNER_FORMULA.sub("'", printable(text))
    return f"'{escaped}" if _FORMULA.match(escaped) else escaped
