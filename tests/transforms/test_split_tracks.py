"""`prepare` plans no track that is outside of the roots."""

from pathlib import Path

import apache_beam as beam

from tests.transforms.dataset.test_plan import plan, row, table
from transforms import split_tracks
from transforms.formats.arrow import to_ipc
from transforms.storage import SourceRoots


def test_labelled_tracks_outside_of_the_roots_are_problems_of_their_rows(tmp_path: Path) -> None:
    (tmp_path / "link.mp3").symlink_to("/etc/passwd")
    uris = ["1.mp3", "/etc/shadow", "link.mp3", "../x.mp3", "gs://bucket/a.mp3"]
    rows = [row(number, uri=uri) for number, uri in enumerate(uris, 1)]
    rows.append(row(6, uri="/etc/shadow") | {"tags": None})  # without a label: not read
    found = split_tracks.plan_group((0, [to_ipc(table(rows))]), plan(), SourceRoots(str(tmp_path)))
    tagged = [one.value for one in found if isinstance(one, beam.pvalue.TaggedOutput) and one.tag == "problems"]
    assert [(problem.row, problem.column) for problem in tagged] == [(n, "uri") for n in (2, 3, 4, 5)]
    assert "'link.mp3' leads to '/etc/passwd', outside of the allowed roots: give --allow-root /etc" in str(tagged[1])
