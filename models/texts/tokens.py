"""Texts as token ids, by the library `tokenizers` and a file `tokenizer.json`."""

import json
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from models.bundles.trunk_bundle import BundleError
from transforms.formats.quantities import quantity

MOST_CHARACTERS = 10_000
"""Longest text that is read at all."""

_PADDING = ("[PAD]", "<pad>", "<|pad|>")
"""Tokens that are taken for padding if the file has no section `padding`."""


class TextError(ValueError):
    """A text that cannot become a vector."""


class Tokens(NamedTuple):
    """The tokens of a text.

    Attributes:
      ids: int64 [1, n], with those that the tokenizer adds, and padding.
      mask: 1 for tokens, 0 for padding: int64 [1, n].
      read: tokens of the text in its template that are read.
      cut: further ones, which are not.
      unknown: words that the tokenizer does not know, each once, in the order of the text.
    """

    ids: npt.NDArray[np.int64]
    mask: npt.NDArray[np.int64]
    read: int
    cut: int
    unknown: tuple[str, ...]


class TextTokenizer:
    """The tokenizer of a text network.

    Args:
      data: bytes of a file `tokenizer.json`. Its own sections `truncation` and `padding` are replaced; the token of the
        latter and its side stay.
      length: most tokens of a text, with those that the tokenizer adds.
      template: what is read, with `{}` in place of the text.
      is_padded: whether shorter texts are padded to `length`.

    Raises:
      BundleError: the library is not installed, the file is no tokenizer, no token is for padding although one is
        needed, or the template leaves no room for a text.
    """

    def __init__(self, data: bytes, *, length: int, template: str, is_padded: bool) -> None:
        self._tokenizer, document = _opened(data)
        self._template, self._padding = template, _padding(self._tokenizer, document) if is_padded else None
        self._unknown = _unknown_id(self._tokenizer, document["model"])
        self._length = length
        self._added = self._tokenizer.num_special_tokens_to_add(False)
        if length <= self._added + len(self._ids(template.replace("{}", ""))):
            raise BundleError(
                f"a sequence length of {length} leaves no room for a text in the template {template!r}, with "
                f"{quantity(self._added, 'token')} that the tokenizer adds: give a greater one"
            )
        self._tokenizer.enable_truncation(max_length=length)

    @property
    def vocabulary(self) -> npt.NDArray[np.int64]:
        """All token ids, ascending: int64 [n]."""
        return np.array(sorted(set(self._tokenizer.get_vocab(with_added_tokens=True).values())), np.int64)

    def padded(self, ids: list[int]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Token ids of a text and their mask, as the network takes them: int64 [1, n] each."""
        if self._padding is None:
            return np.array([ids], np.int64), np.ones((1, len(ids)), np.int64)
        token, on_left = self._padding
        found, mask = np.full((1, self._length), token, np.int64), np.zeros((1, self._length), np.int64)
        place = slice(self._length - len(ids), None) if on_left else slice(len(ids))
        found[0, place], mask[0, place] = ids, 1
        return found, mask

    def read(self, text: str) -> Tokens:
        """The tokens of a text in its template.

        Raises:
          TextError: the text is empty, is no Unicode text, has more than `MOST_CHARACTERS`, or no word is known.
        """
        _check(text)
        plain = self._tokenizer.encode(text, add_special_tokens=False)
        unknown = [
            text[slice(*place)]
            for token, place in zip(plain.ids, plain.offsets, strict=True)
            if self._is_unknown(token)
        ]
        if len(unknown) == len(plain.ids):
            raise TextError(f"text {shown_text(text)}: the tokenizer knows none of its words: use others")
        found = self._tokenizer.encode(self._template.replace("{}", text))
        cut = sum(len(piece.ids) - self._added for piece in found.overflowing)
        ids, mask = self.padded(found.ids)
        return Tokens(ids, mask, len(found.ids) - self._added, cut, tuple(dict.fromkeys(unknown)))

    def _is_unknown(self, token: int) -> bool:
        return token == self._unknown

    def _ids(self, text: str) -> list[int]:
        found: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return found


def _check(text: str) -> None:
    if not text.strip():
        raise TextError("the text is empty: say what the music sounds like")
    if len(text) > MOST_CHARACTERS:
        raise TextError(f"the text has {len(text):,} characters, at most {MOST_CHARACTERS:,} are read: shorten it")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise TextError(
            f"text {shown_text(text)}: character {error.start + 1} is no Unicode character: leave it out"
        ) from error


def shown_text(text: str) -> str:
    """The beginning of a text as messages have it, with escapes."""
    return f"{text!a}" if len(text) <= 60 else f"{text[:57]!a}..."


def _opened(data: bytes) -> tuple[Any, dict[str, Any]]:
    """The tokenizer of a file without its limits, and the file's JSON object."""
    try:
        from tokenizers import Tokenizer
    except ImportError as error:
        raise BundleError(
            "texts need the library tokenizers, which is not installed: pip install 'catalog-tagger[text]'"
        ) from error
    try:
        found, document = Tokenizer.from_buffer(data), json.loads(data)
    # The library raises Exception itself.
    except Exception as error:
        reason = " ".join(str(error).split())[:300]
        raise BundleError(f"this is no tokenizer.json of the library tokenizers: {reason}") from error
    found.no_truncation()
    found.no_padding()
    return found, document


def _padding(tokenizer: Any, document: dict[str, Any]) -> tuple[int, bool]:
    """Id of the token for padding, and whether it is put in front of a text."""
    declared = document.get("padding")
    if declared is not None:
        return int(declared["pad_id"]), declared["direction"] == "Left"
    for name in _PADDING:
        if (found := tokenizer.token_to_id(name)) is not None:
            return int(found), False
    raise BundleError(
        "the network takes a fixed number of tokens, but tokenizer.json has no section `padding`, and no token "
        f"{' or '.join(_PADDING)}: save the tokenizer with its padding, or export the network with a free length"
    )


def _unknown_id(tokenizer: Any, model: dict[str, Any]) -> int | None:
    """Id of the token for unknown words; None if every text has tokens."""
    name = model.get("unk_token")
    found = model.get("unk_id") if name is None else tokenizer.token_to_id(name)
    return None if found is None else int(found)
