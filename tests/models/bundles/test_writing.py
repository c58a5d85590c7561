"""Making room for a bundle that a killed run began."""

import json

from models.bundles.writing import clear_unfinished


def test_only_files_of_the_unfinished_bundle_are_removed(tmp_path):
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "mine.txt").write_text("mine")
    clear_unfinished(str(tmp_path))
    (tmp_path / "heads.npz").write_bytes(b"half")
    (tmp_path / "bundle.unfinished").write_text(json.dumps(["heads.npz", "trunks/not-yet"]))
    clear_unfinished(str(tmp_path))
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["mine.txt"]
