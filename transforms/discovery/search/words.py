"""Plain words such as "calm piano for a rainy evening" as weighted terms, without any network or service.

The longest run of words that names a tag counts first: display names, ids, aliases and earlier ids, also in singular
and plural. What no tag is called is looked up in `synonyms.yaml`. Every other word is reported.
"""

import dataclasses
import functools
import importlib.resources
import re
from collections.abc import Iterator, Mapping, Sequence

from transforms.discovery.search.vocabulary import DiscoveryError, Term, Vocabulary
from transforms.formats.documents import parse_yaml
from transforms.taxonomy.tag_ids import slug

NAMED, SYNONYM = 1.0, 0.5
"""Weight of a term whose tag has the name, and of one that the table of synonyms leads to."""

_MOST_WORDS = 4
_MOST_TOKENS = 200
_CLAUSE_END = re.compile(r"[,;:!?()\[\]\n、，。；]|\.(?!\w)|\bbut\b", re.IGNORECASE)
_APOSTROPHE = re.compile(r"(?<=n)['’](?=t\b)", re.IGNORECASE)


@dataclasses.dataclass(frozen=True, kw_only=True)
class WordMatch:
    """What some words of a request stand for.

    Attributes:
      words: the words.
      term: the tags.
      weight: -1 to 1.
      rule: `name` or `synonym`.
    """

    words: str
    term: Term
    weight: float
    rule: str


@dataclasses.dataclass(frozen=True)
class Synonyms:
    """The declared table `synonyms.yaml`; all texts are slugs."""

    stop_words: frozenset[str]
    negations: frozenset[str]
    weaker: frozenset[str]
    names: Mapping[str, tuple[str, ...]]


@functools.cache
def declared_synonyms() -> Synonyms:
    """The table of this package."""
    data = importlib.resources.files("transforms.discovery.search").joinpath("synonyms.yaml").read_bytes()
    document = parse_yaml(data)
    stop_words, negations, weaker = (
        frozenset(map(slug, document[name])) for name in ("stop_words", "negations", "weaker")
    )
    names = {slug(words): tuple(map(slug, tags)) for words, tags in document["synonyms"].items()}
    return Synonyms(stop_words, negations, weaker, names)


def read_words(text: str, vocabulary: Vocabulary) -> tuple[list[WordMatch], list[str]]:
    """The terms that a text asks for, and the words that mean nothing here, both in the order of the text.

    A negation lasts until the next tag, but never beyond a comma, another mark that ends a clause, or `but`.

    Raises:
      DiscoveryError: the text has more than 200 words.
    """
    table, clauses = declared_synonyms(), [_tokens(clause) for clause in _CLAUSE_END.split(text)]
    if (count := sum(map(len, clauses))) > _MOST_TOKENS:
        raise DiscoveryError(f"{count} words, at most {_MOST_TOKENS} are read: shorten the text")
    found: list[WordMatch] = []
    unmatched: list[str] = []
    for clause in clauses:
        _read_clause(clause, vocabulary, table, found, unmatched)
    return found, list(dict.fromkeys(unmatched))


def _tokens(text: str) -> list[str]:
    """The words of a text; `don't` is one word, `dont`."""
    return [token for token in slug(_APOSTROPHE.sub("", text)).split("_") if token]


def _read_clause(
    tokens: Sequence[str], vocabulary: Vocabulary, table: Synonyms, found: list[WordMatch], unmatched: list[str]
) -> None:
    """Adds what the words of a clause ask for, and those that mean nothing."""
    sign, factor, place = 1.0, 1.0, 0
    while place < len(tokens):
        match, used = _longest(tokens[place:], vocabulary, table)
        if match is not None:
            found.append(dataclasses.replace(match, weight=sign * factor * match.weight))
            # "no drums or voice": `or` carries the negation on.
            sign = sign if tokens[place + used : place + used + 1] == ["or"] else 1.0
            factor = 1.0
        elif (word := tokens[place]) in table.negations:
            sign = -1.0
        elif word in table.weaker:
            factor = 0.5
        elif word not in table.stop_words:
            unmatched.append(word)
        place += used


def _longest(tokens: Sequence[str], vocabulary: Vocabulary, table: Synonyms) -> tuple[WordMatch | None, int]:
    """The match of the longest beginning of the words, and its number of words; None and 1 if there is none."""
    for count in range(min(_MOST_WORDS, len(tokens)), 0, -1):
        words = tokens[:count]
        # "no" and "in" ask for nothing, even if a tag is called so.
        if count == 1 and words[0] in table.stop_words | table.negations | table.weaker:
            continue
        names, said = list(_spellings("_".join(words))), " ".join(words)
        for name in names:
            if tags := vocabulary.by_name.get(name):
                return WordMatch(words=said, term=vocabulary.term(tags), weight=NAMED, rule="name"), count
        for name in names:
            if tags := tuple(tag for other in table.names.get(name, ()) for tag in vocabulary.by_name.get(other, ())):
                return WordMatch(words=said, term=vocabulary.term(tags), weight=SYNONYM, rule="synonym"), count
    return None, 1


def _spellings(name: str) -> Iterator[str]:
    """A name, its singular, and its plural."""
    yield name
    for ending, instead in (("ies", "y"), ("es", ""), ("s", "")):
        if name.endswith(ending) and len(name) > len(ending) + 2:
            yield name.removesuffix(ending) + instead
    yield f"{name}s"
