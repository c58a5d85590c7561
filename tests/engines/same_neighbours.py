"""What any engine must find: the neighbours of a plain loop, to the bit."""

import shutil
from pathlib import Path

from pipelines.cli import main
from tests.support.embedded import Catalog, publish_embedded
from tests.support.neighbours import publish_table_neighbours
from transforms.discovery.index import model

GROUP_TRACKS = 100


def check_same_neighbours(monkeypatch, folder: Path, *flags: str) -> None:
    """Finds neighbours on the engine that the flags name, and again after a change; compares all files."""
    monkeypatch.setattr(model, "GROUP_TRACKS", GROUP_TRACKS)
    own, other, catalog = folder / "engine", folder / "loop", Catalog(9)
    catalog.add(320)
    for _ in range(2):
        publish_embedded(own, catalog.tracks)
        shutil.rmtree(other, ignore_errors=True)
        shutil.copytree(own, other)
        command = ["--quiet", "neighbours", str(own), "--neighbours=4", "--probes=6", *flags]
        assert main(command) == 0
        record = publish_table_neighbours(str(other), 4, 6).run.neighbours["sets"][0]
        assert _files(own) == _files(other) and len([name for name in _files(own) if "neighbours" in name]) >= 3
        assert len([name for name in _files(own) if name.endswith(".candidates")]) >= 3
        catalog.add(3)
        catalog.remove(2)
    assert record["kept"] and record["work"]["tracks_compared"] < 40


def _files(root: Path) -> dict[str, bytes]:
    files = (path for part in ("data", "index") for path in (root / part).rglob("*") if path.is_file())
    return {str(path.relative_to(root)): path.read_bytes() for path in files}
