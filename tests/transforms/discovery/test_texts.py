"""Words in texts: one plain form, with and without an index."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.discovery.search.texts import TextIndex, has_words, joined_texts, text_words
from transforms.discovery.search.vocabulary import DiscoveryError

TITLES = [
    *("Hell's Bells", "Hell’s Bells", "HELLS BELLS", "Cafe del-Mar", "Café (del) Mar", "AC/DC: Live!", "ACDC"),
    *("Sigur Rós \u2013 Ágætis byrjun", "ΟΔΟΣ", "οδός", "한국 노래", "ﬁne", "Straße", "No. 2, Op. 27", "...", "", None),
]

FOUND = {
    "hells": [0, 1, 2],
    "HELL'S bells": [0, 1, 2],
    "cafe DÉL": [3, 4],
    "ac dc": [5, 6],
    "acdc": [6],
    "ros byrj": [7],
    "οδος": [8, 9],
    "한국": [10],
    "fine": [11],
    "straße": [12],
    "op.27": [13],
    "(2)": [13],
    "e": [0, 1, 2, 3, 4, 5, 11, 12],
    "nothing": [],
}
"""Text -> rows of TITLES that have all its words. `ac` and `dc` are in `ACDC` too."""


@pytest.mark.parametrize("text", FOUND)
def test_words_are_found_whatever_their_case_accents_and_punctuation(text: str) -> None:
    words, texts = text_words(text), pa.array(TITLES)
    assert np.flatnonzero(has_words(texts, words)).tolist() == FOUND[text]
    assert np.flatnonzero(TextIndex.of(texts).mask(words)).tolist() == FOUND[text]


@pytest.mark.parametrize("text", ["", " ", "%", "' ’", "...", "\x00", "\u0301"])
def test_a_text_without_letters_and_digits_is_refused(text: str) -> None:
    with pytest.raises(DiscoveryError, match="no letters or digits"):
        text_words(text)


pieces = st.text(st.sampled_from("abAB12 '’-_.éÉßςΣ한\u0301\u00a0\x00/ﬁ"), max_size=8)


@given(st.lists(st.none() | pieces, max_size=12), pieces)
def test_the_index_finds_what_the_texts_have(texts: list[str | None], text: str) -> None:
    try:
        words = text_words(text)
    except DiscoveryError:
        return
    given_texts = pa.array(texts, pa.string())
    assert TextIndex.of(given_texts).mask(words).tolist() == has_words(given_texts, words).tolist()


def test_an_index_has_a_few_bytes_for_each_word_of_a_row() -> None:
    texts = pa.array([f"the song number {row % 50}" for row in range(1_000)])
    index = TextIndex.of(texts)
    assert (len(index.words), len(index.rows), index.rows.dtype) == (53, 4_000, np.uint16)
    assert index.nbytes < 9_500 and index.mask(["song", "49"]).sum() == 20
    assert TextIndex.of(pa.array(["a"] * 70_000)).rows.dtype == np.uint32


def test_a_row_has_the_words_of_all_its_columns() -> None:
    rows = pa.table({"title": ["One", None, "Three"], "artist": ["Two", "One", None]})
    assert joined_texts(rows).to_pylist() == ["One Two", " One", "Three "]
    assert joined_texts(rows.select(["artist"])).to_pylist() == ["Two", "One", ""]
    assert has_words(joined_texts(rows), ["onetwo"]).sum() == 0
