"""Which tracks are one recording, or one title of one artist in another version.

Tracks that sound the same are found by `transforms.discovery.index.duplicates`.
"""

import re
import unicodedata
from collections.abc import Mapping
from typing import Any

_VERSIONS = (
    r"live|remaster(?:ed)?|mono|stereo|demo|edit|mix|version|acoustic|instrumental|radio|extended|single|album|bonus|"
    r"take|session|unplugged|deluxe|explicit|clean|remix"
)
_IN_BRACKETS = re.compile(rf"[(\[][^)\]]*\b(?:{_VERSIONS})\b[^)\]]*[)\]]|\s-\s.*\b(?:{_VERSIONS})\b.*$", re.IGNORECASE)


def plain_title(title: str) -> str:
    """A title without what names its version, in lower case and without punctuation.

    >>> plain_title("Golden Rivers (2011 Remaster)"), plain_title("Golden Rivers - Live in Oslo")
    ('golden rivers', 'golden rivers')
    """
    text = unicodedata.normalize("NFKC", _IN_BRACKETS.sub(" ", title)).casefold()
    return " ".join(re.findall(r"\w+", text)) or title.casefold().strip()


def recording_keys(facts: Mapping[str, Any]) -> set[str]:
    """Keys of a track; tracks that share one are versions of one another.

    Args:
      facts: `track_id`, `duplicate_of`, `title` and the key of the artist, `by`; values may be null.
    """
    found = {f"bytes {facts.get('duplicate_of') or facts['track_id']}"}
    if facts.get("title"):
        found.add(f"title {facts['by']} {plain_title(facts['title'])}")
    return found
