"""JSON and YAML of any origin: few levels, few values, short messages."""

import json
from pathlib import Path

import pytest

from tests.support.bounded import run_bounded
from transforms.formats.documents import DOCUMENT_LEVELS, YAML_NODES, DocumentError, parse_json, parse_yaml


def bomb(levels: int) -> bytes:
    """Each line is nine times the line before: 336 bytes for nine levels."""
    lines = ["a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]"]
    for i in range(1, levels):
        lines.append(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]")
    return "\n".join(lines).encode()


@pytest.mark.parametrize("opening", ["[", '{"a":'])
@pytest.mark.parametrize("levels", [DOCUMENT_LEVELS + 1, 900, 200_000])
def test_deep_json_is_refused(opening: str, levels: int) -> None:
    text = opening * levels + "1" + ("]" if opening == "[" else "}") * levels
    for form in (text, text.encode()):
        with pytest.raises(DocumentError, match="more than 32 levels"):
            parse_json(form)


def test_json_of_the_most_levels_is_read() -> None:
    text = "[" * DOCUMENT_LEVELS + "]" * DOCUMENT_LEVELS
    assert json.dumps(parse_json(text)) == text
    assert parse_json(b'{"a": [[1], {"b": "[[[{{{"}], "c": NaN}', nan_is_null=True)["c"] is None


@pytest.mark.parametrize("levels", [6, 7, 9, 30])
def test_aliases_count_as_what_they_stand_for(levels: int) -> None:
    with pytest.raises(DocumentError, match=f"more than {YAML_NODES} values") as caught:
        parse_yaml(bomb(levels))
    assert len(str(caught.value)) < 600


def test_a_few_aliases_are_read() -> None:
    assert parse_yaml(b"a: &a [x, y]\nb: *a\nc: {<<: {d: 1}}") == {"a": ["x", "y"], "b": ["x", "y"], "c": {"d": 1}}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"a: &a [*a]", "an alias of what contains it"),
        (b"a: &a {b: *a}", "an alias of what contains it"),
        (b"[" * 40 + b"]" * 40, "more than 32 levels"),
        (b"[" * 5000, "more than 32 levels"),
        (b"- " * 5000 + b"a", "more than 32 levels"),
        (b"a: 1\na: 2", "key 'a' is repeated"),
        (b"a: 2024-13-99", "month must be in"),
        (b"k" * 3000 + b": [", "mapping values are not allowed"),
        (b"? [a, b]\n: 1\n? {c: d}\n: 2", "unhashable key"),
    ],
)
def test_yaml_that_is_refused_in_one_short_line(text: bytes, words: str) -> None:
    with pytest.raises(DocumentError, match=words) as caught:
        parse_yaml(text)
    assert len(str(caught.value)) <= 500 and "\n" not in str(caught.value)


def test_a_taxonomy_of_aliases_costs_no_memory_and_no_long_message(tmp_path: Path) -> None:
    code = """
from transforms.taxonomy.hierarchy import TaxonomyError, load_taxonomy
for name in sys.argv[1:]:
    try:
        load_taxonomy(name)
    except TaxonomyError as error:
        print(len(str(error)))
"""
    names = []
    for levels in (1, 3, 5, 7, 9, 12):  # five levels are few enough to be parsed
        path = tmp_path / f"{levels}.yaml"
        path.write_bytes(b"categories:\n- " + bomb(levels).replace(b"\n", b"\n  "))
        names.append(str(path))
    lengths = run_bounded(code, *names, megabytes=400, imports="import yaml, transforms.taxonomy.hierarchy").split()
    assert len(lengths) == len(names) and all(int(length) < 8000 for length in lengths), lengths


@pytest.mark.parametrize("tag", ["bool", "int", "float", "timestamp", "binary", "omap", "pairs", "set"])
def test_a_yaml_tag_that_does_not_fit_its_value_is_refused(tag: str) -> None:
    with pytest.raises(DocumentError):
        parse_yaml(f"categories: !!{tag} x".encode())
