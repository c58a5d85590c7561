"""The benchmarks' own arithmetic: rows, table, markers, files. Never a timing."""

import dataclasses
import io
import json
import os
import re
import subprocess
import sys
import time
from types import SimpleNamespace

import numpy as np
import pyarrow.parquet as pq
import pytest
import soundfile

from benchmarks import (
    corpus,
    heavy,
    machine,
    memory,
    pipeline,
    processes,
    projection,
    report,
    run,
    scale,
    serving,
    serving_k6,
)
from benchmarks.report import Row, number, replace_between_markers

MACHINE = {
    "cpu": "Abacus 9",
    "cores": 2,
    "memory_gib": 23.4,
    "os": "Linux",
    "python": "3.12.1",
    "libraries": {"numpy": "2.1"},
}


def row(**fields):
    return Row(**{"benchmark": "pipeline", "name": "Throughput", "value": 93.0, "unit": "%", **fields})


def usage(**fields):
    given = {"wall_s": 1, "cpu_s": 1, "parent_mib": 400, "children_mib": 90, "tree_mib": 490, "output": ""}
    return processes.Usage(**{**given, **fields})


def test_a_row_of_several_measurements_is_their_median_and_range():
    found = Row.of([3.0, 1.0, 2.5], benchmark="b", name="n", unit="s")
    assert (found.value, found.low, found.high, found.samples) == (2.5, 1.0, 3.0, 3)


def test_a_row_of_one_measurement_has_no_range():
    found = Row.of([3.0], benchmark="b", name="n", unit="s")
    assert (found.value, found.low, found.high, found.samples) == (3.0, None, None, 1)


@pytest.mark.parametrize(
    ("value", "target", "at_least", "met"),
    [(1.3, 1.35, False, True), (1.4, 1.35, False, False), (91, 90, True, True), (89, 90, True, False)],
)
def test_a_target_is_a_ceiling_or_a_floor(value, target, at_least, met):
    assert row(value=value, target=target, at_least=at_least).is_met is met


def test_without_a_target_nothing_is_met_or_missed():
    assert row().is_met is None


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_figure_is_finite(value):
    with pytest.raises(ValueError, match="not a finite number"):
        row(value=value)


def test_a_median_lies_in_its_range():
    with pytest.raises(ValueError, match="outside 1 to 2"):
        row(value=3, low=1, high=2)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.0123, "0.0123"), (0.52, "0.52"), (1.347, "1.35"), (42.15, "42.1"), (12345.6, "12,346")],
)
def test_numbers_have_three_digits(value, text):
    assert number(value) == text


def test_the_table_names_value_range_target_machine_and_date():
    text = report.render([row(low=91, high=95, target=90, at_least=True, note="30 s")], MACHINE, "2024-02-29")
    assert "| Throughput (30 s) | 93.0 % | 91.0 to 95.0 | ≥ 90.0 |" in text
    assert text.endswith("Ranges are smallest to largest of the repetitions.")
    assert "2024-02-29: 2 cores (Abacus 9), 23.4 GiB, Linux, Python 3.12.1, numpy 2.1." in text


def test_a_missed_target_is_printed_as_missed():
    assert "≤ 1.35, **missed**" in report.render([row(value=1.5, target=1.35)], MACHINE, "2024-02-29")


def test_the_readme_changes_between_its_markers_only():
    text = f"above\n{report.BEGIN}\nold\n{report.END}\nbelow\n"
    assert replace_between_markers(text, "new") == f"above\n{report.BEGIN}\nnew\n{report.END}\nbelow\n"


def test_replacing_twice_is_replacing_once():
    once = replace_between_markers("# Title\n", "table")
    assert replace_between_markers(once, "table") == once


def test_a_readme_without_markers_gets_a_section():
    text = replace_between_markers("# Title\n", "table")
    assert text == f"# Title\n\n## Performance\n\n{report.BEGIN}\ntable\n{report.END}\n"


@pytest.mark.parametrize("text", [report.BEGIN, report.END, f"{report.END}{report.BEGIN}"])
def test_a_lone_or_turned_marker_is_refused(text):
    with pytest.raises(ValueError, match="in this order, once each"):
        replace_between_markers(text, "table")


def test_results_are_read_as_they_were_written(tmp_path):
    rows = [row(target=90, at_least=True), Row.of([1, 2, 3], benchmark="b", name="n", unit="s", note="x")]
    report.write_results(tmp_path / "results.json", rows, MACHINE, "2024-02-29")
    assert report.read_results(tmp_path / "results.json") == (rows, MACHINE, "2024-02-29")


def test_results_of_another_schema_version_are_refused(tmp_path):
    (tmp_path / "results.json").write_text(json.dumps({"schema_version": 99}))
    with pytest.raises(ValueError, match="schema version 99"):
        report.read_results(tmp_path / "results.json")


def test_the_committed_results_and_the_documents_agree():
    path = run.ROOT / "benchmarks" / "results.json"
    if not path.exists():
        pytest.skip("make bench has not been run")
    rows, measured_on, date = report.read_results(path)
    assert report.render(rows, measured_on, date) in (run.ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
    for document, block in run.documents(rows, measured_on, date).items():
        text = document.read_text(encoding="utf-8")
        assert replace_between_markers(text, block) == text, document
    assert {r.benchmark for r in rows} == set(run.BENCHMARKS)


PARTS = {
    "`tag`, steady state": (24, "tracks/s"),
    "`tag --parameters none`, steady state": (34, "tracks/s"),
    "MP3, 30 s: extraction over bare decode": (1.33, "x"),
    "mp3, 4 min: extraction": (100, "ms"),
    "mp3, 4 min: parameters in all, of extraction": (50, "%"),
    "`compact` by ONNX Runtime": (4000, "patches/s"),
    "Cost of an unchanged track": (0.5, "ms"),
    "Peak memory of `tag`, 20,000 catalog rows: all processes": (929, "MiB"),
    **{f"Published bytes: `{name}`": (100 + place, "bytes/track") for place, name in enumerate(projection.PER_TRACK)},
    projection.TRACKS_ROW: (1_000_000, "tracks"),
    "Stored bytes: part files": (700, "bytes/track"),
    "New head: processor time": (0.3, "ms/track"),
    "New head: bytes written": (1400, "bytes/track"),
    "Night at 1 %: processor time without extraction": (0.4, "ms/track"),
    "Night at 1 %: bytes written": (200, "bytes/track"),
    "`diff` of two snapshots: processor time": (0.036, "ms/track"),
}


def parts():
    return [row(name=name, value=value, unit=unit) for name, (value, unit) in PARTS.items()]


def test_the_summary_says_what_parameters_cost():
    lines = report.summary(parts(), MACHINE, "2024-02-29").splitlines()
    assert len([line for line in lines if line.startswith("| ")]) == 1 + 6
    assert "| 12.0 tracks/s per core |" in lines[2] and "| 17.0 tracks/s per core |" in lines[3]
    assert "| 1.33 times the time |" in lines[4]
    assert lines[-1] == "Measured on 2 cores: 2024-02-29 (Abacus 9)."


def test_the_summary_names_each_date_and_processor_that_it_is_made_of():
    rows = [dataclasses.replace(r, date="2024-03-01", cpu="Abacus 10") if "steady" in r.name else r for r in parts()]
    sentence = "Measured on 2 cores: 2024-03-01 (Abacus 10) and 2024-02-29 (Abacus 9)."
    assert report.summary(rows, MACHINE, "2024-02-29").splitlines()[-1] == sentence
    assert "\nRows with a date: 2024-03-01 (Abacus 10).\n" in report.render(rows, MACHINE, "2024-02-29")


def test_the_projection_is_the_sum_of_its_parts():
    costs = [cost for _, cost in report.track_costs(parts(), MACHINE)]
    assert costs == pytest.approx([100, 50, 16 / 4, 2 * 0.5])
    hours = 35e6 * sum(costs) / 1000 / 3600
    assert f"{hours:,.0f} core-hours" in " ".join(report.projection(parts(), MACHINE).split())
    assert f"| {hours:,.0f} core-hours (projection) |" in report.summary(parts(), MACHINE, "2024-02-29")


def test_storage_and_jobs_of_a_large_catalog():
    text = projection.projections(parts(), MACHINE)
    lines = text.splitlines()
    assert "one table of 1,000,000 tracks" in " ".join(lines)
    assert f"| `tracks` | 100 | {35e6 * 100 / 1e9:.2f} GB |" in lines and "| one snapshot | 615 | 21.5 GB |" in lines
    night = 0.4 + 0.01 * (100 + 50 + 16 / 4)
    assert f"| night with 1 % changed | {night:.2f} | {35e6 * night / 3.6e6:.1f} | 7.00 GB |" in lines
    assert f"| new head for all tracks | 0.3 | {35e6 * 0.3 / 3.6e6:.2f} | 49.0 GB |" in lines
    assert "| `diff` of two snapshots | 0.036 | 0.35 |  |" in lines


def test_rows_measured_later_replace_those_of_their_benchmark(tmp_path, monkeypatch):
    (tmp_path / "benchmarks").mkdir()
    first = [row(), row(benchmark="scale", name="old"), row(benchmark="memory", name="size")]
    report.write_results(tmp_path / "benchmarks" / "results.json", first, MACHINE, "2024-02-29")
    monkeypatch.setattr(run, "ROOT", tmp_path)
    rows, measured_on, date = run.replaced(
        [row(benchmark="memory", name="new", note="30 s")], "2024-03-01", "Abacus 10"
    )
    assert [r.name for r in rows] == ["Throughput", "new", "old"] and (measured_on, date) == (MACHINE, "2024-02-29")
    assert [r.cpu for r in rows] == ["", "Abacus 10", ""]
    assert "| new (30 s; 2024-03-01) | 93.0 % |" in report.render(rows, measured_on, date)
    with pytest.raises(SystemExit):
        run.main(["--replace"])


def test_a_trace_tells_which_files_were_opened(tmp_path):
    (tmp_path / "trace").write_text(
        '1 openat(AT_FDCWD, "/t/data/x.parquet", O_RDONLY) = 3\n2 open("/c/audio/track-0.flac", O_RDONLY) = -1\n+++\n'
    )
    assert scale.opened(tmp_path / "trace") == (1, 2)


def test_a_new_head_a_diff_and_a_night_on_one_table(tmp_path, monkeypatch):
    """The commands are replaced by what they leave: a snapshot of the same tracks."""
    ran = []

    def ran_command(words, root, under=()):
        ran.append(words[0])
        return usage()

    monkeypatch.setattr(scale, "catalog_tagger", ran_command)
    rows = {r.name: r for r in scale.rows(tmp_path, tmp_path, tracks=50)}
    assert ran == ["tag", "diff", "tag"] and rows["`diff` of two snapshots: peak memory"].is_met
    assert rows["Published bytes: `embeddings`"].value > 256 and rows["New head: throughput"].value == 50
    assert rows["Stored bytes: part files"].value > 512


def test_a_summary_needs_every_measurement():
    with pytest.raises(ValueError, match="0 measurements are named 'Cost of an unchanged track'"):
        report.summary([r for r in parts() if r.name != "Cost of an unchanged track"], MACHINE, "2024-02-29")


def test_a_run_rewrites_both_documents(tmp_path, monkeypatch):
    (tmp_path / "docs").mkdir()
    (tmp_path / "benchmarks").mkdir()
    for name in ("README.md", "docs/performance.md"):
        (tmp_path / name).write_text(f"# Title\n{report.BEGIN}\n{report.END}\nend\n")
    monkeypatch.setattr(run, "ROOT", tmp_path)
    run.write(parts(), MACHINE, "2024-02-29")
    assert report.summary(parts(), MACHINE, "2024-02-29") in (tmp_path / "README.md").read_text()
    assert report.render(parts(), MACHINE, "2024-02-29") in (tmp_path / "docs" / "performance.md").read_text()


def test_this_machine_has_a_description():
    found = machine.describe_machine()
    assert found["cores"] == os.cpu_count() and found["memory_gib"] > 0 and found["cpu"]
    assert "numpy" in found["libraries"]


def test_memory_of_this_process_and_of_a_child():
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        while not processes.memory_of(os.getpid())[1]:
            time.sleep(0.01)
        parent, children = processes.memory_of(os.getpid())
        assert child.pid in [process.pid for process in processes.descendants(os.getpid())]
        child.communicate(b"\n")
    assert parent > 10 and 0 < children < parent


def test_a_process_that_has_ended_takes_nothing():
    assert processes.memory_of(2**22 + 1) == (0.0, 0.0)


def test_a_command_that_fails_says_what_it_printed():
    with pytest.raises(RuntimeError, match="unknown command 'tga': did you mean tag"):
        processes.catalog_tagger(["tga"], run.ROOT)


def test_a_command_reports_time_and_memory():
    usage = processes.catalog_tagger(["--help"], run.ROOT)
    assert usage.wall_s > 0 and usage.cpu_s > 0 and "Tag large music catalogs" in usage.output


def test_noises_are_wav_files_of_half_a_second_and_all_different(tmp_path):
    catalog = corpus.noises_catalog(tmp_path / "c", 5)
    files = [catalog.parent / uri for uri in pq.read_table(catalog)["uri"].to_pylist()]
    assert len({file.read_bytes() for file in files}) == 5
    assert {(soundfile.info(file).duration, soundfile.info(file).samplerate) for file in files} == {(0.5, 16_000)}


def test_a_catalog_is_made_once_and_again_when_its_recipe_changes(tmp_path):
    first = corpus.noises_catalog(tmp_path / "c", 2).stat().st_mtime_ns
    assert corpus.noises_catalog(tmp_path / "c", 2).stat().st_mtime_ns == first
    assert pq.read_table(corpus.noises_catalog(tmp_path / "c", 3)).num_rows == 3


def test_the_first_rows_of_a_catalog_are_a_catalog(tmp_path):
    catalog = corpus.noises_catalog(tmp_path / "c", 3)
    smaller = corpus.first_rows(catalog, 2)
    assert smaller.parent == catalog.parent
    assert pq.read_table(smaller)["track_id"].to_pylist() == ["track-000000", "track-000001"]


def test_an_id3_tag_keeps_an_mp3_readable_and_changes_its_bytes():
    from pipelines.jobs.synthesize import encode_audio

    plain = encode_audio(np.zeros((44_100, 2), "f4"), 44_100, "MP3", "MPEG_LAYER_III")
    tagged = corpus._id3("A title") + plain
    assert soundfile.info(io.BytesIO(tagged)).frames == soundfile.info(io.BytesIO(plain)).frames


def test_start_and_slope_of_two_sizes(monkeypatch):
    monkeypatch.setattr(pipeline, "SMALL", 10)
    monkeypatch.setattr(pipeline, "LARGE", 30)
    found = pipeline._line(*(usage(wall_s=8 + 0.1 * count, cpu_s=3 + 0.2 * count) for count in (10, 30)))
    assert found == pytest.approx((8, 0.1, 0.2))


def test_commands_take_turns_on_each_catalog(tmp_path, monkeypatch):
    ran = []

    def run(name):
        ran.append(name)
        return usage(wall_s=len(ran), cpu_s=len(ran))

    monkeypatch.setattr(pipeline, "_bare", lambda *_: run("bare"))
    monkeypatch.setattr(pipeline, "_tag", lambda *given: run(given[-1]))
    monkeypatch.setattr(pipeline.corpus, "write_bundle", lambda folder: folder)
    monkeypatch.setattr(pipeline.corpus, "songs_catalog", lambda folder, count: folder)
    monkeypatch.setattr(pipeline.corpus, "first_rows", lambda catalog, count: catalog)
    pipeline.rows(tmp_path, tmp_path, repetitions=2)
    assert ran == ["bare", "default", "none"] * 2 + ["none", "default", "bare"] * 2


def test_throughput_is_compared_run_by_run():
    bares = [pipeline.Line(1, 0.045, 0.09), pipeline.Line(1, 0.038, 0.07)]
    tags = [pipeline.Line(8, 0.05, 0.09), pipeline.Line(9, 0.04, 0.07)]
    measuring = [pipeline.Line(8, 0.08, 0.16), pipeline.Line(9, 0.08, 0.16)]
    share, cpu, rate, measured_rate, startup = pipeline._report(bares, tags, measuring)
    assert (share.low, share.high) == (pytest.approx(90), pytest.approx(95)) and share.is_met
    assert (cpu.value, startup.value) == (pytest.approx(100), 8.5)
    assert (rate.low, rate.high) == (pytest.approx(20), pytest.approx(25))
    assert rate.name == "`tag --parameters none`, steady state" and measured_rate.value == pytest.approx(12.5)


def test_the_bare_loop_takes_every_track(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(pipeline, "CHUNK", 2)
    monkeypatch.setattr(
        "models.trunks.loading.load_embedder", lambda url: SimpleNamespace(embed=lambda p: seen.append(len(p)))
    )
    catalog = corpus.noises_catalog(tmp_path / "c", 5)
    pipeline.main(str(catalog), "bundle")
    assert sum(seen) == 5


def test_memory_has_a_row_for_each_size_and_kind_of_process():
    found = memory._memory({1000: usage(), 20_000: usage()})
    assert [row.value for row in found] == [400, 90, 490, 400, 90, 490]


def test_networks_are_compared_with_batches_of_32():
    printed = json.dumps({"one": {"batch": 1, "ratios": [1.1, 0.9, 1.3]}, "two": {"batch": 4, "ratios": [0.5]}})
    one, two = heavy._speeds(f"a warning\n{printed}\n")
    assert one.name == "`one` with its batch of 1 against batches of 32" and "batch of 4" in two.name
    assert (one.value, two.value, one.target, one.at_least) == (1.1, 0.5, 1.0, True)


def test_k6_sends_the_kinds_of_requests_that_are_measured():
    script = serving_k6.SCRIPT.read_text("utf-8")
    asked = re.search(r"const ask = \{(.*?)\n\};", script, re.DOTALL)
    assert asked is not None
    named = re.findall(r"^  \"?([a-z ]+)\"?: \(\)", asked[1], re.MULTILINE)
    assert tuple(named) == serving_k6.KINDS and set(serving.SHARES) <= set(named)
    assert sum(serving.SHARES.values()) == 100 and set(serving.kinds_of(10)) <= set(named)


def test_figures_of_k6_have_the_parts_of_each_snapshot():
    values = {"count": 4, "med": 2.04, "p(99)": 9.96, "max": 11.0}
    trends = {"taken": values, "taken{kind:track,snapshot:1}": values, "taken{kind:track,snapshot:2}": {"count": 0}}
    metrics = {name: {"values": one} for name, one in trends.items()}
    metrics |= {"iterations": {"values": {"rate": 3.0}}, "wrong": {"values": {"count": 2}}}
    found = serving_k6.figures_of(metrics, "first\nsecond\n")
    latencies = {"requests": 4, "p50_ms": 2.0, "p99_ms": 10.0, "most_ms": 11.0}
    assert found["parts"] == {"kind:track,snapshot:1": latencies} and found | latencies == found
    assert (found["wrong"], found["first_wrong"], found["per_s"]) == (2, ["first", "second"], 3.0)


def test_a_k6_that_does_not_run_is_named(tmp_path):
    with pytest.raises(RuntimeError, match="ended with 1"):
        serving_k6.run_k6("false", "http://localhost:1", "track", 1, tracks=1, editions={}, shares={}, seconds=1)
