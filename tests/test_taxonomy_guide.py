"""The guide on changing a taxonomy is run command by command; `tag` is replaced by the writer of published tables."""

import json
import re
import shlex
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from models.bundles.fake import write_fake_bundle
from models.bundles.tagger_bundle import load_bundle
from pipelines.cli import main
from pipelines.synthesis.catalog import make_tracks
from tests.support.pages import save_files
from tests.support.published import catalog_rows, publish_table
from transforms.features.spec import FeatureSpec
from transforms.taxonomy.hierarchy import Taxonomy

GUIDE = (Path(__file__).parents[1] / "docs" / "guides" / "change-a-taxonomy.md").read_text(encoding="utf-8")
COMMAND = re.compile(r"```(?:console\n\$|bash\n) ?catalog-tagger (.*?)\n(.*?)```", re.DOTALL)
EARLIER = ("energetic", "groovy", "aggressive", "warm", "dreamy", "gloomy")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The guide's files, a labelled catalog, a bundle with the earlier tags, and a table."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    save_files(GUIDE, tmp_path)
    parents = {"groovy": ["mood/energetic"], "aggressive": ["mood/energetic"]}
    tags = [{"id": f"mood/{name}", "parents": parents.get(name, [])} for name in EARLIER]
    before = Taxonomy.from_json({"categories": [{"name": "mood", "kind": "multilabel", "tags": tags}]})
    publish_table("tags", write_fake_bundle("bundle", before, FeatureSpec()), 24)
    rows = catalog_rows(make_tracks(24, 0))
    pq.write_table(rows.select([n for n in rows.column_names if not n.startswith("_")]), "labelled.parquet")
    return tmp_path


def test_the_guide_can_be_followed(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # The command that changes rules has tests of its own: tests/pipelines/test_rules.py.
    found = [(shlex.split(words, comments=True), said) for words, said in COMMAND.findall(GUIDE)]
    commands = [(words, said) for words, said in found if words[0] != "import-model"]
    assert [words[0] for words, _ in commands] == ["taxonomy", "labels", "refit", "tag", "query"]
    for words, said in commands:
        if words[0] == "tag":
            publish_table("tags", load_bundle("bundle-2"), 24)
            continue
        capsys.readouterr()
        assert main([*words, "--quiet"]) == 0, words
        printed = capsys.readouterr().out.splitlines()
        assert all(line in printed for line in said.splitlines()), (words, printed)
    assert main(["diff", "tags", "1", "2", "--json", "--quiet"]) == 0
    rows = {row["tag"]: row for row in json.loads(capsys.readouterr().out)["tags"]}
    assert {row["former_ids"]: tag for tag, row in rows.items() if row["former_ids"]} == {
        "mood/groovy": "mood/funky",
        "mood/warm": "mood/dreamy",
    }
    assert {tag: row["side"] for tag, row in rows.items() if row["side"] != "both"} == {
        **dict.fromkeys(["mood/aggressive", "mood/gloomy"], "before"),
        **dict.fromkeys(["mood/angry", "mood/fierce", "mood/festive"], "after"),
    }
    support = {facts.tag: facts.support for facts in load_bundle("bundle-2").tags}
    assert support["mood/dreamy"] > 0 == support["mood/angry"] == support["mood/festive"]
    assert main(["taxonomy", "diff", "bundle-2", "tags", "--quiet"]) == 0
    assert capsys.readouterr().out in ("no difference\n", "no tag differs: order, aliases, redirects or rules do\n")
