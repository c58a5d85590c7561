"""Texts of titles and artists, and the words that are looked for in them: one plain form for both.

It is that of `search --text`, of `q` of the service and, in JavaScript, of the page of an export: lower case, without
accents and apostrophes, with a space for everything that is neither a letter nor a digit. A word is found anywhere in a
text, also within another word.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from transforms.discovery.search.vocabulary import DiscoveryError
from transforms.formats.arrow import one_array

TEXT_COLUMNS = ("title", "artist")
"""Columns of `tracks` that words are looked for in."""

RowMask = npt.NDArray[np.bool_]


def text_words(text: str) -> list[str]:
    """The different words that a text asks for.

    >>> text_words("Hell's  CAFÉ (AC/DC)")
    ['hells', 'cafe', 'ac', 'dc']

    Raises:
      DiscoveryError: it has no letters or digits.
    """
    words: list[str] = _plain(pa.array([text], pa.string()))[0].as_py().split()
    if not words:
        raise DiscoveryError(f"text {text!r}: it has no letters or digits")
    return list(dict.fromkeys(words))


def joined_texts(rows: pa.Table, columns: Sequence[str] = TEXT_COLUMNS) -> pa.Array:
    """The texts of several columns as one, for each row; those that the rows do not have are left out."""
    empty = pa.scalar("")
    texts = [pc.fill_null(one_array(rows[name]), empty) for name in columns if name in rows.column_names]
    return pc.binary_join_element_wise(*texts, " ")


def has_words(texts: pa.Array, words: Sequence[str]) -> RowMask:
    """Which texts have all words of `text_words`; a null has none."""
    is_ascii = row_mask(pc.string_is_ascii(texts))
    found = np.zeros(len(texts), np.bool_)
    # Words have no punctuation, so it can stay in the texts: it keeps apart what a space would keep apart.
    found[is_ascii] = _matching(_plain_ascii(texts.filter(pa.array(is_ascii))), words)
    found[~is_ascii] = _matching(_plain(texts.filter(pa.array(~is_ascii))), words)
    return found


def row_mask(values: pa.Array | pa.ChunkedArray) -> RowMask:
    """Boolean values of rows; a null is false."""
    found: RowMask = np.asarray(pc.fill_null(values, False).to_numpy(zero_copy_only=False), np.bool_)
    return found


@dataclasses.dataclass(frozen=True, eq=False)
class TextIndex:
    """Which of some rows have which word, for many searches in the same texts.

    A word that is looked for has letters and digits alone. So a text has it if and only if one of the text's own words
    has it: the different words are searched, and then the rows of those that have it.

    Attributes:
      size: number of rows.
      words: the different words of all rows.
      firsts: first entry of each word in `rows`, and the number of entries: int32 [words + 1].
      rows: rows by word, ascending for each: uint16 or uint32.
    """

    size: int
    words: pa.Array
    firsts: npt.NDArray[np.int32]
    rows: npt.NDArray[np.uint16] | npt.NDArray[np.uint32]

    @classmethod
    def of(cls, texts: pa.Array) -> "TextIndex":
        """The index of texts."""
        lists = pc.utf8_split_whitespace(_spaced(texts))
        flat, parents = lists.flatten(), np.asarray(pc.list_parent_indices(lists), np.int64)
        is_word = row_mask(pc.not_equal(flat, ""))
        encoded = flat.filter(pa.array(is_word)).dictionary_encode()
        keys = np.sort(np.asarray(encoded.indices, np.int64) * max(len(texts), 1) + parents[is_word])
        keys = keys[np.diff(keys, prepend=-1) > 0]  # a row counts once for each word
        codes, rows = np.divmod(keys, max(len(texts), 1))
        firsts = np.searchsorted(codes, np.arange(len(encoded.dictionary) + 1)).astype(np.int32)
        return cls(len(texts), encoded.dictionary, firsts, rows.astype(np.min_scalar_type(max(len(texts) - 1, 256))))

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""
        return int(self.words.nbytes + self.firsts.nbytes + self.rows.nbytes)

    def mask(self, words: Sequence[str]) -> RowMask:
        """Which rows have all words of `text_words`: bool [size]."""
        found = np.ones(self.size, np.bool_)
        for word in words:
            own = np.zeros(self.size, np.bool_)
            own[self.rows[self._entries(np.flatnonzero(row_mask(pc.match_substring(self.words, word))))]] = True
            found &= own
        return found

    def _entries(self, places: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """The entries of some of the words."""
        sizes = self.firsts[places + 1] - self.firsts[places]
        ends = np.cumsum(sizes, dtype=np.int64)
        found: npt.NDArray[np.int64] = np.arange(sizes.sum()) + np.repeat(self.firsts[places] - ends + sizes, sizes)
        return found


def _matching(texts: pa.Array, words: Sequence[str]) -> RowMask:
    found = np.ones(len(texts), np.bool_)
    for word in words:
        found &= row_mask(pc.match_substring(texts, word))
    return found


def _spaced(texts: pa.Array) -> pa.Array:
    """Texts in their plain form."""
    is_ascii = pc.fill_null(pc.string_is_ascii(texts), True)
    plain = pc.replace_substring_regex(_plain_ascii(texts), "[^a-z0-9]+", " ")
    return plain if pc.all(is_ascii).as_py() else pc.if_else(is_ascii, plain, _plain(texts))


def _plain(texts: pa.Array) -> pa.Array:
    """Lower case without accents, apostrophes and punctuation. Of Greek letters, a sigma at the end is as any other."""
    apart = pc.replace_substring_regex(pc.utf8_normalize(texts, "NFKD"), r"[\p{Mn}'’]+", "")
    lower = pc.utf8_lower(pc.replace_substring_regex(apart, r"[^\p{L}\p{N}]+", " "))
    return pc.replace_substring(lower, "ς", "σ")


def _plain_ascii(texts: pa.Array) -> pa.Array:
    """Texts that are ASCII as `_plain` has them, but with their other punctuation."""
    return pc.ascii_lower(pc.replace_substring(texts, "'", ""))
