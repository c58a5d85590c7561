"""Every example of `docs/reference/catalog.md` is read, and gives what the page says."""

import re
from pathlib import Path

import pyarrow as pa
import pytest

from transforms.catalog import limits
from transforms.catalog.reader import list_shards, read_shard
from transforms.dataset.example import layout
from transforms.formats.documents import DOCUMENT_LEVELS, YAML_BYTES, YAML_NODES
from transforms.formats.parquet_structure import SCHEMA_LEVELS
from transforms.formats.row_sizes import LIST_ITEM_BYTES
from transforms.schemas.rule_columns import RULE_COLUMNS
from transforms.taxonomy.hierarchy import load_taxonomy
from transforms.taxonomy.tag_ids import TAG_CHARS
from transforms.taxonomy.targets import encode_targets

REFERENCE = Path(__file__).parents[1] / "docs" / "reference"
PAGE = (REFERENCE / "catalog.md").read_text(encoding="utf-8")
DATASET_PAGE = (REFERENCE / "dataset.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"<!-- (file|output): (\S+) -->\n```\w*\n(.*?)```", re.DOTALL)
FILES = {name: text for kind, name, text in BLOCK.findall(PAGE) if kind == "file"}
OUTPUTS = {name: text for kind, name, text in BLOCK.findall(PAGE) if kind == "output"}


@pytest.fixture
def page(tmp_path, monkeypatch):
    """A folder with the page's files."""
    for name, text in FILES.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def read(url):
    (shard,) = list_shards(url)
    parts = list(read_shard(shard))
    return pa.Table.from_batches([batch for batch, _ in parts]), [str(p) for _, found in parts for p in found]


def test_both_catalogs_hold_the_same_rows(page):
    (first, problems), (second, others) = read("catalog.csv"), read("catalog.jsonl")
    assert problems == others == []
    assert first.drop_columns("_file").equals(second.drop_columns("_file"))
    assert first["track_id"].to_pylist() == ["007", "008", "009"] and first["bpm"].to_pylist() == ["120", None, None]


def test_the_problems_are_those_of_the_page(page):
    assert read("broken.csv")[1] == OUTPUTS["broken.csv"].splitlines()


def test_the_limits_are_those_of_the_page():
    _, _, table = PAGE.partition("### Limits")
    table = table.partition("### Counts")[0]
    named = {name: value for name, value in vars(limits).items() if name[0].isalpha() and isinstance(value, int)}
    named |= {"TAG_CHARS": TAG_CHARS, "DOCUMENT_LEVELS": DOCUMENT_LEVELS, "SCHEMA_LEVELS": SCHEMA_LEVELS}
    for name, value in named.items():
        text = f"{value >> 20} MiB" if name.endswith("_BYTES") or name == "DECODED_FREE" else f"{value:,}"
        assert text in table, name
    assert LIST_ITEM_BYTES == 32 and YAML_BYTES == 16 << 20 and YAML_NODES == 500_000


def test_the_catalogs_tags_fit_the_taxonomy(page):
    taxonomy = load_taxonomy("taxonomy.yaml")
    tags = read("catalog.csv")[0]["tags"].to_pylist()
    first, second = (encode_targets([(t["tag"], t["weight"]) for t in found], taxonomy) for found in tags[:2])
    assert first.unknown == second.unknown == ()
    assert [round(float(x), 3) for x in first.targets] == [0.7, 0.7, 1, 0, 0, 1, 0]
    assert second.targets.tolist() == [1, 1, 0, 1, 0, 0, 0] and second.mask.tolist() == [1] * 5 + [0] * 2


def test_the_layout_is_that_of_the_page():
    shapes = {"patches_shape": " [3]", "patch_start_s": " [patches]", "targets": " [tags]", "mask": " [tags]"}
    for name, feature in layout(1).items():
        assert f"| `{name}` | {feature.kind}{shapes.get(name, '')} | {feature.sentence} |" in DATASET_PAGE


def test_the_rules_of_the_page_are_a_taxonomy_and_name_every_column(page):
    found = load_taxonomy("rules.yaml")
    assert [category.name for category in found.rules] == ["tempo", "metre", "mode", "vocals"]
    _, _, section = PAGE.partition("- Columns of rules are")
    listed = re.findall(r"`(\w+)`", section.partition("\n- ")[0].replace("(the second word of\n  `key`)", ""))
    assert sorted(listed) == sorted(RULE_COLUMNS)


def test_voice_language_era_and_explicit_content_are_learned_from_labels(tmp_path):
    guide = (REFERENCE.parent / "guides" / "what-tracks-sound-like.md").read_text(encoding="utf-8")
    ((text,),) = [[text for _, name, text in BLOCK.findall(guide) if name == "further.yaml"]]
    (tmp_path / "further.yaml").write_text(text, encoding="utf-8")
    taxonomy = load_taxonomy(str(tmp_path / "further.yaml"))
    tags = [(tag, None) for tag in ("instrument/choir", "language/french", "era/1980s", "explicit/clean")]
    found = encode_targets(tags, taxonomy)
    carried = {tag for tag, target in zip(taxonomy.tag_ids, found.targets, strict=True) if target}
    assert carried == {"voice/vocal", "language/french", "era/1980s", "explicit/clean"}
    assert found.mask.all() and not found.conflicts
    two = encode_targets([("language/french", None), ("language/english", None)], taxonomy)
    assert two.conflicts == ("language",)
