"""The documents that are generated, and the statements that analysts are told to use."""

import re
from pathlib import Path

import pytest
import yaml

from pipelines.cli import COMMANDS
from pipelines.docs.tables import dictionary
from tests.support.published import fake_bundle, publish_table
from transforms.audio.errors import REASONS
from transforms.schemas.tables import TABLES
from transforms.table.duckdb_views import check_question, connect
from transforms.table.snapshots import read_snapshot
from transforms.taxonomy.hierarchy import Taxonomy

DOCS = Path(__file__).parents[1] / "docs"
QUERIES = {
    match["title"]: match["sql"]
    for match in re.finditer(r"^-- (?P<title>\d+\. .+)\n(?P<sql>[^;]+);", (DOCS / "queries.sql").read_text(), re.M)
}


@pytest.fixture(scope="module")
def connection(tmp_path_factory):
    root = tmp_path_factory.mktemp("tables")
    bundle = fake_bundle(root / "bundle")
    publish_table(root / "table", bundle, 18)
    publish_table(root / "table", bundle, 36, carried={"track-0001"})
    snapshot = read_snapshot(str(root / "table"), 2)
    with connect(str(root / "table"), snapshot, previous=True) as connection:
        yield connection


def test_tables_md_is_what_the_schemas_say():
    assert (DOCS / "reference" / "tables.md").read_text() == "".join(f"{line}\n" for line in dictionary()), "run `make docs`"


def test_every_column_and_reason_has_a_sentence():
    assert all(field.metadata[b"description"] for schema in TABLES.values() for field in schema)
    text = (DOCS / "reference" / "tables.md").read_text()
    assert all(f"| `{reason}` |" in text for reason in REASONS)


def test_the_questions_are_numbered():
    assert [int(title.split(".")[0]) for title in QUERIES] == list(range(1, len(QUERIES) + 1)) and len(QUERIES) >= 10


@pytest.mark.parametrize("title", QUERIES)
def test_each_question_has_an_answer(connection, title):
    check_question(connection, QUERIES[title])
    assert connection.sql(QUERIES[title]).fetchall()


@pytest.mark.parametrize("title", QUERIES)
def test_each_answer_has_one_order(connection, title):
    if "ORDER BY" in QUERIES[title]:
        first, second = (connection.sql(QUERIES[title]).fetchall() for _ in range(2))
        assert first == second


README = (DOCS.parent / "README.md").read_text()


def test_the_readme_s_python_reads_a_table(tmp_path):
    bundle = fake_bundle(tmp_path / "bundle")
    publish_table(tmp_path / "table", bundle, 6)
    publish_table(tmp_path / "table", bundle, 12)
    code = re.search(r"```python\n(.+?)```", README, re.S)[1]
    found: dict = {}
    exec(code.replace("demo/table", str(tmp_path / "table")), found)
    assert found["tags"].num_rows == len(found["frame"]) == 12 * 33
    assert found["lazy"].collect().shape == (12 * 33, len(TABLES["track_tags"]))


def test_the_readme_s_taxonomy_is_valid():
    document = yaml.safe_load(re.search(r"```yaml\n(.+?)```", README, re.S)[1])
    assert Taxonomy.from_json(document).tag_ids == ("mood/soft", "mood/calm")


@pytest.mark.parametrize("name", COMMANDS)
def test_the_readme_lists_every_command(name):
    assert re.search(rf"^\| `{name}[ `]", README, re.M)


@pytest.mark.parametrize("path", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/architecture.md"])
def test_links_lead_somewhere(path):
    document = DOCS.parent / path
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text()):
        assert (document.parent / target).exists(), target
