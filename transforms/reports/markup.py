"""HTML as text that is known to be escaped. All other text is escaped where it is put into a page."""

import html
import re

_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters, also those that change the direction of text, and halves of surrogate pairs."""


class Html(str):
    """Markup that this program made. Strings of this class are not escaped again."""

    __slots__ = ()


def escaped(value: object) -> Html:
    """The value as HTML: markup stays as it is; all other text is escaped, and its control characters are named.

    >>> escaped("<b>"), escaped(Html("<b>")), escaped("a\\u202eb")
    ('&lt;b&gt;', '<b>', 'a\\\\u202eb')
    """
    if isinstance(value, Html):
        return value
    return Html(html.escape(_CONTROLS.sub(lambda found: f"\\u{ord(found[0]):04x}", str(value))))


def html_joined(*parts: object) -> Html:
    """The parts, one after the other, each as `escaped` returns it."""
    return Html("".join(escaped(part) for part in parts))


def element(name: str, *content: object, **attributes: object) -> Html:
    """An element with its content; an attribute that is named `class_` is `class`.

    >>> element("a", "x < y", class_="soft")
    '<a class="soft">x &lt; y</a>'
    """
    given = "".join(f' {key.rstrip("_").replace("_", "-")}="{escaped(str(v))}"' for key, v in attributes.items())
    return Html(f"<{name}{given}>{html_joined(*content)}</{name}>")
