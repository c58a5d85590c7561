"""`docs/decisions/README.md` lists the records, and every record has the same head."""

from pathlib import Path

import pytest

from pipelines.docs.decisions import DecisionRecord, decision_index, decision_records

FOLDER = Path(__file__).parents[3] / "docs" / "decisions"
HEAD = "# 7. Title\n\n- Status: accepted\n- Date: 2024-02-29\n- Room: audio\n- Summary: One\n  line.\n\nText\n"


def test_the_index_is_what_the_records_say() -> None:
    assert (FOLDER / "README.md").read_text(encoding="utf-8") == decision_index(FOLDER), "run `make docs`"


def test_records_are_numbered_without_a_gap() -> None:
    found = decision_records(FOLDER)
    assert [record.number for record in found] == list(range(1, len(found) + 1)) and len(found) >= 33
    assert len(list(FOLDER.glob("*.md"))) == len(found) + 1


def test_every_record_is_in_the_index_once() -> None:
    text = decision_index(FOLDER)
    assert all(text.count(f"]({record.file})") == 1 for record in decision_records(FOLDER))


def test_a_head_is_read(tmp_path: Path) -> None:
    path = tmp_path / "0007-title.md"
    path.write_text(HEAD, encoding="utf-8")
    assert DecisionRecord.read(path) == DecisionRecord(
        file=path.name,
        number=7,
        title="Title",
        status="accepted",
        date="2024-02-29",
        room="audio",
        summary="One line.",
    )


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("# 7. Title", "# 0007: Title", "begin with"),
        ("- Status: accepted\n", "", "begin with"),
        ("# 7.", "# 8.", "differs from the number in the file name"),
        ("Room: audio", "Room: cellar", "room 'cellar' is not one of audio, dataset"),
    ],
)
def test_another_head_is_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = tmp_path / "0007-title.md"
    path.write_text(HEAD.replace(old, new), encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        DecisionRecord.read(path)
