"""Removes secrets from texts for people: messages, logs, receipts, manifests, details of rejects.

Values of columns are data and stay as they are, `uri` among them: it is the key by which a track is found again.
"""

import re

HIDDEN = "***"
"""Replacement of a secret."""

_SECRET = (
    r"x(?:-|%2d)(?:goog|amz)(?:[\w-]|%2d)+"  # the parameters of signed URLs on Google Cloud and AWS
    r"|(?:[\w.-]*[._-])?(?:sig|signature|token|secret|password|passwd|passphrase|pwd|credentials?)"
    r"|[\w-]*(?:access|api|secret|private|account|shared|signing|session)[_-]?(?:key|token)(?:[_-]?id)?"
    r"|googleaccessid|awsaccesskeyid|key-pair-id"
)
_VALUE = r"[^\s&]+?(?=['\"]?[:;,.)\]}>]*(?:[\s&]|$))"
_START = r"((?i://|\b[a-z][a-z\d+.-]{1,40}:/(?!/)))"
"""What comes before the user in a URL. A URL that was taken for a path has lost a slash. No scheme is longer."""
_RULES = (
    # Up to the last @ of the word, because users write passwords with / and @ as they are.
    (rf"{_START}[^\s:/?#<>@]*:(?!\d+(?:[/?#\s'\"]|$))[^\s<>]{{0,1000}}@", rf"\1{HIDDEN}@"),
    # A user without a password is a secret too: many services take a token for the user's name.
    (rf"{_START}[^\s/?#<>]{{0,1000}}@", rf"\1{HIDDEN}@"),
    (r"(?i)(%2f%2f)(?:(?!%2f)[^\s&/?#]){0,1000}%40", rf"\1{HIDDEN}%40"),
    # Outside of a URL, only before what looks like a host.
    (
        r"(?<![^\s'\"(=,<])[\w.%+-]+:[^\s/<>@]{1,1000}@(?=[\w-]+(?:\.[\w-]+)+|[\w-]+/|localhost\b|[\w.-]+:\d)",
        f"{HIDDEN}@",
    ),
    (rf"(?i)(?<![\w.-])({_SECRET})(=|%3d){_VALUE}", rf"\1\2{HIDDEN}"),
    (rf"(?i)(['\"](?:{_SECRET})['\"]\s?:\s?['\"])[^'\"]+", rf"\1{HIDDEN}"),
    (rf"(?i)([?&;](?:key|auth|code|policy|st|se|sp|sr|sv|skoid|sktid)=){_VALUE}", rf"\1{HIDDEN}"),
    (r"(?i)\b(authorization['\"]?\s?[:=]\s?['\"]?(?:[\w-]+ )?)[^\s'\"]+", rf"\1{HIDDEN}"),
    (r"(?i)\b(bearer\s)(?=\S*[\d._-])[\w.~+/=-]{8,}", rf"\1{HIDDEN}"),
)
_COMPILED = tuple((re.compile(pattern), replacement) for pattern, replacement in _RULES)


def redact(text: str) -> str:
    """The text without user names and passwords in URLs, and without the values of secret parameters.

    >>> redact("https://anna:secret@host/a.mp3?X-Goog-Signature=0aff&X-Goog-Expires=60: no such file")
    'https://***@host/a.mp3?X-Goog-Signature=***&X-Goog-Expires=***: no such file'
    """
    for pattern, replacement in _COMPILED:
        text = pattern.sub(replacement, text)
    return text
