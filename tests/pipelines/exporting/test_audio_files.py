"""Tags in copies of audio files, and in the files themselves with a list that restores them."""

import base64
import hashlib
import io
import json
import stat

import av
import pytest

from pipelines.cli import main
from pipelines.exporting import in_place
from pipelines.exporting.audio_copies import LISTED, FileTally, path_of_copy
from pipelines.exporting.field_names import field_names
from pipelines.terminal.errors import UsageError
from transforms import storage
from transforms.embedded_tags.splices import NotWritable
from transforms.storage import SourceRoots, StorageError


def export(library, *words):
    return main(["export", library.table, *map(str, words), "--catalog-root", str(library.root), "--json"])


def read(path):
    data = path.read_bytes()
    with av.open(io.BytesIO(data)) as container:
        fields = {**container.metadata, **container.streams.audio[0].metadata}
        samples = b"".join(frame.to_ndarray().tobytes() for frame in container.decode(audio=0))
    return {name.upper(): value for name, value in fields.items()}, hashlib.sha256(samples).hexdigest()


def digests(folder):
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_copies_have_the_tags_and_the_same_audio(library, tmp_path, capsys):
    before = digests(library.root)
    assert export(library, "--into-files", tmp_path / "copies", "--field", "genre=GENRE") == 1  # one is missing
    found = json.loads(capsys.readouterr().out)
    assert found["tracks"] == {"written": 5, "not writable": 2, "failed": 1}
    assert "no fields are written into wav files" in found["examples"]["not writable"][0]
    assert "track-0007.flac" in found["examples"]["failed"][0]
    assert digests(library.root) == before
    names = library.names()
    copies = {path.stem: path for path in (tmp_path / "copies" / "audio").iterdir()}
    assert sorted(copies) == [f"track-{i:04d}" for i in range(5)]
    for track, path in copies.items():
        fields, audio = read(path)
        assert audio == read(library.files()[track])[1]
        for category in ("mood", "tempo", "genre", "voice"):
            shown = fields.get("GENRE" if category == "genre" else f"TAGS_{category.upper()}", "")
            assert shown.replace("; ", ";").split(";") == names[track].get(category, [""])


def test_copies_that_exist_stay_unless_forced(library, tmp_path, capsys):
    words = ["--into-files", tmp_path / "copies"]
    for extra, tracks in (
        (["--tag", "mood/*"], {"written": 5, "not writable": 2, "failed": 1}),
        ([], {"exists already": 5, "not writable": 2, "failed": 1}),
        (["--force"], {"written": 5, "not writable": 2, "failed": 1}),
    ):
        assert export(library, *words, *extra) == 1
        assert json.loads(capsys.readouterr().out)["tracks"] == tracks
        fields, _ = read(tmp_path / "copies" / "audio" / "track-0001.flac")
        assert ("TAGS_TEMPO" in fields) == ("--force" in extra)


def test_a_copy_never_replaces_its_source(library, tmp_path, capsys):
    before = digests(library.root)
    link = tmp_path / "link"
    link.symlink_to(library.root)
    for folder in (library.root, link):
        export(library, "--into-files", folder, "--force")
        found = json.loads(capsys.readouterr().out)
        assert "written" not in found["tracks"] and "would replace the file itself" in str(found["examples"])
    assert digests(library.root) == before


def test_in_place_and_back(library, tmp_path, capsys):
    path = library.files()["track-0000"]
    path.chmod(0o640)
    real = path.rename(library.root / "real.mp3")
    path.symlink_to(real)
    before, audio = digests(library.root), {name: read(p)[1] for name, p in list(library.files().items())[:5]}
    assert export(library, "--in-place", tmp_path / "undo") == 1
    found = json.loads(capsys.readouterr().out)
    assert found["tracks"] == {"written": 5, "not writable": 2, "failed": 1}
    changed = {name for name, digest in digests(library.root).items() if before[name] != digest}
    assert changed == {"real.mp3", *(f"audio/track-{i:04d}.flac" for i in range(5))}
    assert path.is_symlink() and stat.S_IMODE(real.stat().st_mode) == 0o640
    for name, wanted in audio.items():
        fields, same = read(library.files()[name])
        assert same == wanted and "TAGS_MOOD" in fields

    assert export(library, "--in-place", tmp_path / "undo") == 2
    assert "this list exists already: give a new folder" in capsys.readouterr().err
    assert export(library, "--in-place", tmp_path / "undo2") == 1
    assert json.loads(capsys.readouterr().out)["tracks"]["as before"] == 5

    with library.files()["track-0001"].open("ab") as out:
        out.write(b"changed")
    root = ["--catalog-root", str(library.root)]
    assert main(["export", library.table, "--restore", str(tmp_path / "undo"), *root, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["tracks"] == {"restored": 4, "changed by others since": 1}
    after = digests(library.root)
    assert {name for name in before if after[name] != before[name]} == {"audio/track-0001.flac"}
    assert main(["export", library.table, "--restore", str(tmp_path / "undo"), *root, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["tracks"] == {"as before": 4, "changed by others since": 1}


def test_what_was_there_is_recorded_before_a_file_changes(library, tmp_path, monkeypatch, capsys):
    """Ended after any number of writes, the list restores every file that was changed."""
    monkeypatch.setattr(in_place, "_GROUP_TRACKS", 2)
    before, real = digests(library.root), storage.write_bytes
    for writes in range(6):
        left = [writes]

        def write(url, data, left=left):
            if not left[0]:
                raise KeyboardInterrupt
            left[0] -= 1
            real(url, data)

        undo = tmp_path / f"undo{writes}"
        with monkeypatch.context() as patched:
            patched.setattr(storage, "write_bytes", write)
            if writes < 5:
                assert export(library, "--in-place", undo) == 130
            else:
                export(library, "--in-place", undo)
        assert sum(a != b for a, b in zip(digests(library.root).values(), before.values(), strict=True)) == writes
        assert main(["export", library.table, "--restore", str(undo), "--catalog-root", str(library.root)]) == 0
        assert digests(library.root) == before


def test_a_list_that_cannot_be_written_changes_nothing(library, tmp_path, monkeypatch, capsys):
    before, real = digests(library.root), storage.create

    def create(url, data):
        if url.endswith(".jsonl"):
            raise StorageError("the disk is full")
        real(url, data)

    monkeypatch.setattr(storage, "create", create)
    assert export(library, "--in-place", tmp_path / "undo") == 1
    assert "the disk is full" in capsys.readouterr().err and digests(library.root) == before


def test_a_file_outside_of_the_roots_is_not_opened(library, tmp_path, capsys):
    (tmp_path / "outside.mp3").write_bytes(library.files()["track-0000"].read_bytes())
    library.files()["track-0000"].unlink()
    (library.root / "audio" / "track-0000.flac").symlink_to(tmp_path / "outside.mp3")
    export(library, "--into-files", tmp_path / "copies")
    assert "outside of the allowed roots" in str(json.loads(capsys.readouterr().out)["examples"]["failed"])
    assert not (tmp_path / "copies" / "audio" / "track-0000.flac").exists()


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("/music/a/b.mp3", "a/b.mp3"),
        ("/music/a/../b.mp3", "b.mp3"),
        ("/other/x.mp3", "x.mp3"),
        ("/music/../etc/passwd", None),
        ("/musical/a.mp3", None),
        ("gs://bucket/a.mp3", None),
    ],
)
def test_places_of_copies(url, path):
    roots = SourceRoots("/music", ("/other/",))
    if path is None:
        with pytest.raises(NotWritable):
            path_of_copy(url, roots)
    else:
        assert path_of_copy(url, roots) == path


def test_names_of_fields():
    assert field_names(["mood", "genre", "mood2/x"], ["mood=mood", "genre=My Genre"]) == {
        "mood": "MOOD", "genre": "MY GENRE", "mood2/x": "TAGS_MOOD2_X"
    }  # fmt: skip
    for category, given in (("mood", "mood"), ("mood", "mood=静"), ("mood", "tempo=X"), ("静", "静=")):
        with pytest.raises(UsageError, match="--field"):
            field_names([category], [given])
    with pytest.raises(UsageError, match="give --field 静=NAME"):
        field_names(["静"], [])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--into-files", "x", "--in-place", "y"], "give exactly one of --into-files, --in-place"),
        (["--into-files", "x", "--output", "y.csv"], "--output does not go with --into-files"),
        (["--wide", "--output", "y.csv", "--field", "mood=MOOD"], "--field does not go with --wide"),
        (["--in-place", "x", "--force"], "--force does not go with --in-place"),
        (["--restore", "nowhere"], "missing --catalog-root"),
        (["--restore", "nowhere", "--catalog-root", "."], "no list is here"),
        (["--into-files", "x"], "missing --catalog-root"),
        (["--rekordbox", "--output", "a.csv", "--catalog-root", "."], "end the name with .xml"),
    ],
)
def test_flags_that_do_not_go_together(library, tmp_path, monkeypatch, capsys, words, message):
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.iterdir())
    assert main(["export", library.table, *words]) == 2
    assert message in capsys.readouterr().err and sorted(tmp_path.iterdir()) == before


DAMAGED_RECORDS = [
    b"{",
    b"[]",
    b"7",
    b"{}",
    b"[" * 100_000,
    b"\xff\xfe",
    b'{"url": 1, "before": "", "after": "", "splices": []}',
    b'{"url": "FILE", "before": "", "after": "", "splices": [[0, 1]]}',
    b'{"url": "FILE", "before": "", "after": "", "splices": [[0, 1, "*"]]}',
    b'{"url": "FILE", "before": "", "after": "", "splices": [[-1, 1, ""]]}',
    b'{"url": "FILE", "before": "", "after": "", "splices": [["a", 1, ""]]}',
    b'{"url": "FILE", "before": "", "after": "SHA", "splices": [[0, 3, ""], [1, 2, ""]]}',
    b'{"url": "FILE", "before": "", "after": "SHA", "splices": [[0, 3, "AAAA"]]}',
    b'{"url": "FILE\\u0000", "before": "", "after": "SHA", "splices": []}',
]


def test_a_damaged_list_restores_nothing_and_names_its_lines(library, tmp_path, capsys):
    file, undo = tmp_path / "file.mp3", tmp_path / "undo"
    file.write_bytes(b"content")
    undo.mkdir()
    (undo / "list.json").write_text("{}")
    sha = hashlib.sha256(b"content").hexdigest().encode()
    lines = [line.replace(b"FILE", str(file).encode()).replace(b"SHA", sha) for line in DAMAGED_RECORDS]
    (undo / "00000001.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    words = ["export", library.table, "--restore", str(undo), "--catalog-root", str(tmp_path), "--json"]
    assert main(words) == 1
    captured = capsys.readouterr()
    assert json.loads(captured.out)["tracks"] == {"failed": len(DAMAGED_RECORDS)}
    assert "Traceback" not in captured.err and file.read_bytes() == b"content"
    assert any(f"{undo}/00000001.jsonl, line" in example for example in json.loads(captured.out)["examples"]["failed"])


def test_a_forged_list_changes_only_audio_beneath_the_roots(library, tmp_path, capsys):
    """Whoever knows what is in a file can write a list that "restores" it to anything."""
    audio, root = library.files()["track-0001"].read_bytes(), library.root
    (tmp_path / "outside.flac").write_bytes(audio)
    (root / "link.flac").symlink_to(tmp_path / "outside.flac")
    (root / "notes.txt").write_bytes(b"content")
    forged = [
        (tmp_path / "outside.flac", audio, audio + b"x", "outside of the allowed roots"),
        (root / "link.flac", audio, audio + b"x", "outside of the allowed roots"),
        (root / ".." / "outside.flac", audio, audio + b"x", "outside of the allowed roots"),
        (root / "notes.txt", b"content", b"other", "no export has changed this file"),
        (library.files()["track-0001"], audio, b"#!/bin/sh\n", "no export has changed this file"),
    ]
    undo, before = tmp_path / "undo", digests(tmp_path)
    undo.mkdir()
    (undo / "list.json").write_text("{}")
    for url, now, then, message in forged:
        sums = {"before": hashlib.sha256(then).hexdigest(), "after": hashlib.sha256(now).hexdigest()}
        splice = [0, len(now), base64.b64encode(then).decode()]
        (undo / "00000001.jsonl").write_text(json.dumps({"url": str(url), "splices": [splice], **sums}) + "\n")
        words = ["export", library.table, "--restore", str(undo), "--catalog-root", str(root), "--json"]
        assert main(words) == 1
        assert message in str(json.loads(capsys.readouterr().out)["examples"]["failed"])
        assert {name: digest for name, digest in digests(tmp_path).items() if name in before} == before


def test_files_that_are_not_named_are_counted():
    tally = FileTally()
    for number in range(LISTED + 4):
        tally.add("not writable", f"{number}.wav")
    tally.add("written", "")
    lines = tally.lines()
    assert lines[:3] == [f"not writable: {LISTED + 4}", "written: 1", "  not writable: 0.wav"]
    assert lines[-1] == "  not writable: and 4 more" and len(lines) == 2 + LISTED + 1
