"""`tag --fusion`: nights with sources that change, the same rows on every engine, gates, answers and faults."""

import json
from pathlib import Path

import pyarrow.compute as pc
import pytest

from models.bundles.fake import write_fake_bundle
from pipelines.cli import main
from pipelines.inputs.fusion import open_fusion
from pipelines.jobs.tag import running
from pipelines.reading.describe import describe
from tests.support.simulated import SimulatedTable
from tests.support.tiny import SPEC, TAXONOMY
from tests.support.world import World, ledger, tag, tag_code
from transforms.schemas.fusion import FUSED_COLUMNS, FUSION_ID
from transforms.schemas.tables import LEDGER, TRACK_TAGS
from transforms.table.layout import report_paths
from transforms.table.reader import open_snapshot

TAG = TAXONOMY.tag_ids[-1]
CATALOG = {f"t{i}": "1" for i in range(7)}


class Nights:
    """A table whose sources change from night to night, without audio."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.table = folder, SimulatedTable(folder)
        self.model = str(folder / "bundle")
        self.bundle = write_fake_bundle(self.model, TAXONOMY, SPEC)
        self.extracted: list[str] = []

    def night(self, said: dict[str, float] | None, trust: float = 0.8):
        """One planned run; returns its manifest. `said` is what the editors say about the tag of each track."""
        fusion = None
        if said is not None:
            lines = ["track_id,tag,weight", *(f"{track},{TAG},{weight}" for track, weight in said.items())]
            (self.folder / "editors.csv").write_text("\n".join(lines))
            (self.folder / "fusion.yaml").write_text(f"sources: {{editors: {{mode: blend, trust: {trust}}}}}")
            fusion = open_fusion(str(self.folder / "fusion.yaml"), [f"editors={self.folder}/editors.csv"], TAXONOMY)
        stages = self.table.stages(CATALOG, self.model, fusion=fusion)
        planned = self.table.plan(stages).forecast
        self.extracted = []
        run = self.table.run(stages, lambda source: self.extracted.append(source.track_id))
        assert run is not None and run.plan["causes"] == dict(planned.causes) | run.plan["causes"]
        assert {name: n for name, n in run.plan["causes"].items() if n} == {
            n: c for n, c in planned.causes.items() if c
        }
        return run

    def scores(self) -> dict[str, dict[str, float]]:
        rows = open_snapshot(self.table.root).scan("track_tags", ["track_id", "tag", "score"]).to_pylist()
        found: dict[str, dict[str, float]] = {}
        for row in rows:
            found.setdefault(row["track_id"], {})[row["tag"]] = row["score"]
        return found


def causes(run) -> dict[str, int]:
    return {name: n for name, n in run.plan["causes"].items() if n}


def test_only_the_tracks_are_stale_of_which_sources_say_something_else(tmp_path: Path) -> None:
    nights = Nights(tmp_path)
    plain = nights.night(None)
    own = nights.scores()
    assert causes(plain) == {"new": 7} and len(nights.extracted) == 7 and plain.fusion == {}
    fused = nights.night({"t0": 1, "t1": 0})
    scores = nights.scores()
    assert causes(fused) == {"fusion": 2, "unchanged": 5} and not nights.extracted
    assert {track for track in CATALOG if scores[track] != own[track]} == {"t0", "t1"}
    assert scores["t0"][TAG] > own["t0"][TAG] and scores["t1"][TAG] < own["t1"][TAG]
    same = nights.night({"t1": 0, "t0": 1})
    assert causes(same) == {"unchanged": 7} and same.content_hash == fused.content_hash
    changed = nights.night({"t0": 1, "t1": 0.25, "t2": 1})
    assert causes(changed) == {"fusion": 2, "unchanged": 5} and not nights.extracted
    assert {track for track in CATALOG if nights.scores()[track] != scores[track]} == {"t1", "t2"}
    assert causes(nights.night({"t0": 1, "t1": 0.25, "t2": 1}, trust=0.9)) == {"fusion": 3, "unchanged": 4}
    without = nights.night(None)
    assert causes(without) == {"fusion": 3, "unchanged": 4} and nights.scores() == own
    assert without.content_hash == plain.content_hash, "tables without sources have the columns that they had"


def test_the_same_content_as_local_run_and_as_graph(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [row for row in world.rows().to_pylist() if row["uri"].startswith("audio/track")]
    artist, track = rows[0]["artist_id"], rows[0]["track_id"]
    (tmp_path / "artists.tsv").write_text(f"artist_id\ttag\n{artist}\tmood/dark\nnobody\tmood/dark\n")
    (tmp_path / "editors.csv").write_text(
        f"track_id,tag,weight\n{track},instrument/bells,0.9\n{track},mood/none,1\n{track},mood/dark,2\nnobody,mood/sad,1\n"
    )
    (tmp_path / "fusion.yaml").write_text(
        "sources:\n  editors: {mode: override, trust: 1}\n  artists: {mode: blend, trust: 0.8}\n"
        "  catalog: {mode: fill, trust: 0.9, absent: negative, absent_trust: 0.2}\n"
    )
    flags = ["--fusion", str(tmp_path / "fusion.yaml"), "--buckets", "3"]
    for name in ("editors.csv", "artists.tsv"):
        flags += ["--source", f"{name.partition('.')[0]}={tmp_path / name}"]
    local, graph = tmp_path / "local", tmp_path / "graph"
    assert tag_code(world, local, *flags) == 3
    assert "gate source_rows (value 0.75, limit 0.05)" in (said := capsys.readouterr().err)
    assert "editors: 4 rows, 1 unknown_tag, 1 unknown_id, 1 invalid" in said
    assert f"    unknown_tag: {tmp_path}/editors.csv, row 2 (line 3): track_id {track!r}, tag 'mood/none'" in said
    assert f"    invalid: {tmp_path}/editors.csv, row 3 (line 4): " in said and "track_id nobody" in said
    assert not list((local / "work").rglob("*.parquet")) and not list(local.glob("runs/*")), "nothing was extracted"
    assert tag_code(world, local, *flags, "--plan", "--quiet") == 3
    assert capsys.readouterr().err.startswith("catalog-tagger: nothing was tagged: gate source_rows (value 0.75, ")
    one = tag(world, local, *flags, "--gate", "source_rows=1").run
    page = (local / report_paths(one.run_id)[0]).read_text()
    assert "mood/none" in page and "track_id nobody" in page, "the report shows the rows"
    manifest = next((local / "runs").glob("*.json")).read_text()
    assert "nobody" not in manifest and "mood/none" not in manifest, "the manifest names no track"
    assert tag_code(world, local, "--buckets", "3", "--quiet") == 2, "sources that are left out are missed"
    assert "no --fusion: " in (said := capsys.readouterr().err) and "(editors, artists, catalog)" in said
    monkeypatch.setattr(running, "is_local", lambda options: False)
    assert tag_code(world, graph, *flags, "--quiet") == 3, "half of the rows are wrong whatever the catalog is"
    assert "editors: 4 rows, 1 unknown_tag, 1 invalid, for example" in capsys.readouterr().err
    assert not (graph / "work").exists()
    two = tag(world, graph, *flags, "--gate", "source_rows=1").run
    assert (one.content_hash, one.run_id, one.fusion) == (two.content_hash, two.run_id, two.fusion)
    _check_rows(local, track, artist, rows)
    assert main(["verify", str(local)]) == 0
    shown = describe(str(local))["snapshots"][-1]["fusion"]
    assert [source["name"] for source in shown["sources"]] == ["editors", "artists", "catalog"]
    assert shown["sources"][0]["table"] == str(tmp_path / "editors.csv")
    counts = {source["name"]: (source["rows"], source["used"]) for source in shown["sources"]}
    assert counts["editors"] == (4, 1) and counts["artists"] == (2, 1)
    assert counts["catalog"] == (n := sum(len(row["tags"] or ()) for row in world.rows().to_pylist()), n)
    capsys.readouterr()
    assert main(["describe", str(local)]) == 0
    assert "tags of the catalog" in capsys.readouterr().out


def _check_rows(table: Path, track: str, artist: str, rows: list[dict]) -> None:
    snapshot = open_snapshot(str(table))
    assert snapshot.schema("track_tags").names == [*TRACK_TAGS.names, "experts"]
    assert snapshot.schema("ledger").names == [*LEDGER.names, FUSION_ID]
    tags = snapshot.scan("track_tags", track_ids=[track]).to_pylist()
    own = {row["tag"]: row for row in tags}
    assert (own["instrument/bells"]["score"], own["instrument/bells"]["source"]) == (pytest.approx(0.9), "expert")
    assert own["instrument/bells"]["experts"][0] == {"source": "editors", "weight": pytest.approx(0.9)}
    dark = {
        row["track_id"]: row["experts"]
        for row in snapshot.scan("track_tags", ["track_id", "tag", "experts"]).to_pylist()
        if row["tag"] == "mood/dark"
    }
    reached = {i for i, said in dark.items() if any(entry["source"] == "artists" for entry in said or ())}
    theirs = {row["track_id"] for row in rows if row["artist_id"] == artist}
    assert reached == theirs & dark.keys() and reached
    ids = {row["track_id"]: row[FUSION_ID] for row in snapshot.scan("ledger").to_pylist()}
    assert all((ids[i] is None) == (row["status"] == "rejected") for i, row in ledger(table, snapshot.manifest).items())
    assert pc.all(pc.is_valid(snapshot.scan("track_tags")["model_score"])).as_py()


@pytest.mark.parametrize(
    ("flags", "code", "message"),
    [
        (["--source", "x=x.csv"], 2, "--source needs --fusion"),
        (["--fusion", "F", "--source", "x"], 2, "--source x: give NAME=TABLE"),
        (
            ["--fusion", "F", "--source", "catalog=x.csv"],
            2,
            "--source catalog=x.csv: catalog are the tags of --catalog",
        ),
        (["--fusion", "F", "--source", "x=S", "--source", "x=S"], 2, "--source x: given twice"),
        (["--fusion", "F"], 2, "source x has no table: give --source x=TABLE"),
        (["--fusion", "F", "--source", "x=S", "--source", "y=S"], 2, "--source y: F has no such source: it has x"),
        (["--fusion", "missing.yaml", "--source", "x=S"], 1, "--fusion missing.yaml: "),
        (["--fusion", "BAD", "--source", "x=S"], 1, "--fusion BAD: source x: no trust"),
        (["--fusion", "F", "--source", "x=missing.csv"], 1, "missing.csv: no such file"),
    ],
)
def test_faults_are_named_before_anything_is_done(
    world: World, tmp_path: Path, monkeypatch, capsys, flags: list[str], code: int, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("F").write_text("sources: {x: {mode: blend, trust: 1}}")
    Path("BAD").write_text("sources: {x: {mode: blend}}")
    Path("S").mkdir()
    Path("S", "s.csv").write_text("track_id,tag\na,mood/sad\n")
    assert tag_code(world, tmp_path / "table", *flags) == code
    assert message in capsys.readouterr().err
    assert not (tmp_path / "table").exists()


def test_the_plan_counts_tracks_that_are_stale_by_sources(world: World, tmp_path: Path, capsys) -> None:
    (tmp_path / "f.yaml").write_text("sources: {catalog: {mode: blend, trust: 0.8}}")
    capsys.readouterr()
    assert tag_code(world, tmp_path / "table", "--plan", "--json", "--fusion", str(tmp_path / "f.yaml")) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["tracks"]["stale"]["fusion"] == 0 and found["tracks"]["new"] == world.rows().num_rows
    assert not (tmp_path / "table").exists()


def test_columns_of_fused_runs_are_described() -> None:
    for fields in FUSED_COLUMNS.values():
        assert all(b"--fusion" in field.metadata[b"description"] and field.nullable for field in fields)
