"""The documents that are generated, and the pages."""

import functools
import re
from pathlib import Path

import pytest
import yaml

from pipelines.cli import COMMANDS
from pipelines.docs.tables import dictionary
from tests.support.published import fake_bundle, publish_table
from transforms.audio.errors import REASONS
from transforms.schemas.tables import TABLES
from transforms.taxonomy.hierarchy import Taxonomy

DOCS = Path(__file__).parents[1] / "docs"


def test_tables_md_is_what_the_schemas_say():
    assert (DOCS / "reference" / "tables.md").read_text() == "".join(f"{line}\n" for line in dictionary()), (
        "run `make docs`"
    )


def test_every_reason_has_a_row():
    text = (DOCS / "reference" / "tables.md").read_text()
    assert all(f"| `{reason}` |" in text for reason in REASONS)


def test_every_promise_names_a_test_that_exists():
    text = (DOCS / "reference" / "threats.md").read_text()
    rows = [line for line in text.splitlines() if line.startswith("| ") and "---" not in line and "promise" not in line]
    for row in rows:
        named = re.findall(r"`([\w/]+\.py)`", row.split(" | ")[2])
        assert named and all((DOCS.parent / name).is_file() for name in named), row


ROOT = DOCS.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
GUIDES = DOCS / "guides"
PAGES = sorted(path.relative_to(ROOT).as_posix() for path in (*ROOT.glob("*.md"), *DOCS.rglob("*.md")))
PAGES += ["deploy/README.md"]


def prose(page: str) -> str:
    """The page without code blocks."""
    return re.sub(r"^```.*?^```", "", (ROOT / page).read_text(encoding="utf-8"), flags=re.M | re.S)


def test_the_readme_s_python_reads_a_table(tmp_path):
    publish_two(tmp_path / "table")
    code = re.search(r"```python\n(.+?)```", README, re.S)[1]
    found: dict = {}
    exec(code.replace('"tags"', repr(str(tmp_path / "table")), 1), found)
    assert len(found["frame"]) == 12 * 33


def test_the_guide_s_python_reads_a_table(tmp_path):
    publish_two(tmp_path / "table")
    guide = (GUIDES / "query-the-tables.md").read_text(encoding="utf-8")
    code = re.search(r"```python\n(.+?)```", guide, re.S)[1]
    found: dict = {}
    exec(code.replace("demo/table", str(tmp_path / "table")), found)
    assert found["tags"].num_rows == len(found["frame"]) == 12 * 33
    assert found["lazy"].collect().shape == (12 * 33, len(TABLES["track_tags"]))


def test_the_python_api_page_runs(tmp_path):
    publish_two(tmp_path / "table")
    code = re.search(r"```python\n(.+?)```", (GUIDES / "python-api.md").read_text(encoding="utf-8"), re.S)[1]
    found: dict = {}
    exec(code.replace("demo/table", str(tmp_path / "table")), found)
    assert len(found["frame"]) == 12 and len(found["new"]) == 6
    assert found["tags"].num_rows == 2 * 33 and found["total"] != 0


def test_the_python_of_finding_music_runs(tmp_path):
    publish_two(tmp_path / "table")
    code = re.findall(r"```python\n(.+?)```", (GUIDES / "python-api.md").read_text(encoding="utf-8"), re.S)[1]
    found: dict = {}
    exec(code.replace("demo/table", str(tmp_path / "table")), found)
    assert len(found["answer"].hits) > 3 and len(found["playlist"].tracks) == 5
    assert found["seeds"][0] not in {track.track_id for track in found["playlist"].tracks}


def publish_two(table: Path) -> None:
    """Two snapshots: 6 tracks, then 12."""
    bundle = fake_bundle(table.parent / "bundle")
    publish_table(table, bundle, 6)
    publish_table(table, bundle, 12)


def test_the_guide_s_taxonomy_is_valid():
    guide = (GUIDES / "train-on-your-labels.md").read_text(encoding="utf-8")
    document = yaml.safe_load(re.search(r"```yaml\n(.+?)```", guide, re.S)[1])
    assert Taxonomy.from_json(document).tag_ids == ("mood/soft", "mood/calm")


@pytest.mark.parametrize("name", COMMANDS)
def test_the_index_lists_every_command(name):
    assert re.search(rf"^\| `{name}[ `]", (DOCS / "index.md").read_text(encoding="utf-8"), re.M)


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    for target, anchor in re.findall(r"\]\(([^)#:]*)(?:#([^)]*))?\)", prose(page)):
        path = (ROOT / page).parent / target if target else ROOT / page
        assert path.exists(), target
        assert not anchor or anchor in anchors(path), f"{target}#{anchor}"


def anchors(path: Path) -> set[str]:
    """The anchors that a public host makes of a page's headings."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES)
def test_every_page_can_be_reached_from_the_readme(page):
    assert page in reachable("README.md")


@functools.cache
def reachable(start: str) -> set[str]:
    """Pages that links lead to from `start`, itself included."""
    found, waiting = {start}, [start]
    while waiting:
        page = waiting.pop()
        for target in re.findall(r"\]\(([^)#:]+\.md)", prose(page)):
            path = ((ROOT / page).parent / target).resolve().relative_to(ROOT).as_posix()
            if path not in found:
                found.add(path)
                waiting.append(path)
    return found


@pytest.mark.parametrize("page", PAGES)
def test_lines_are_wrapped_at_100_columns(page):
    lines = re.sub(r"\]\([^)]*\)", "]()", prose(page)).splitlines()
    assert [line for line in lines if len(line) > 100 and not line.startswith("|")] == []


@pytest.mark.parametrize("page", PAGES)
def test_files_that_a_page_names_exist(page):
    folders = "benchmarks|deploy|docs|models|pipelines|tests|transforms"
    named = re.findall(rf"`((?:{folders})/[\w./-]+)`", prose(page))
    missing = [name for name in named if not (ROOT / name).exists() and page != "CHANGELOG.md"]
    assert missing == []


@pytest.mark.parametrize("page", PAGES)
def test_no_page_points_outside_of_the_repository(page):
    assert "../shared" not in (ROOT / page).read_text(encoding="utf-8")


def test_the_reference_and_the_index_of_decisions_are_generated():
    recipe = (ROOT / "Makefile").read_text(encoding="utf-8")
    reference = [f"docs/reference/{name}.md" for name in ("tables", "commands", "counters")]
    for page in (*reference, "docs/decisions/README.md"):
        assert f"> {page}\n" in recipe and "Generated " in (ROOT / page).read_text(encoding="utf-8")
