"""The cause of a failed job: one line, cut out of what Beam raises; the rest is kept where the user is told."""

import pytest

from pipelines.launch.job_failure import Cause, job_failed
from transforms import storage

WORKER = """Traceback (most recent call last):
  File "apache_beam/runners/common.py", line 1512, in apache_beam.runners.common.DoFnRunner.process
    x = y
transforms.storage.errors.StorageError: t/a.parquet: damaged

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "apache_beam/runners/common.py", line 1719, in process
  File "transforms/formats/parquet.py", line 102, in open_parquet
    raise error
"""
STAGE = " [while running 'PlanBuckets/PlanBucket/FlatMap(_plan)']"


@pytest.mark.parametrize(
    ("last", "kind", "message"),
    [
        ("transforms.storage.errors.StorageError: t/a.parquet: damaged", "StorageError", "t/a.parquet: damaged"),
        ("a.b.TaxonomyError: two lines:\nfirst\nsecond", "TaxonomyError", "two lines:\nfirst\nsecond"),
        ("KeyError: 'x'", "KeyError", "'x'"),
        ("AssertionError", "", "AssertionError"),
    ],
)
def test_the_cause_is_found(last, kind, message):
    for stages in (STAGE, f"{STAGE} [while running 'Other/Step']"):
        cause = Cause.of(RuntimeError(WORKER + last + stages))
        assert (cause.kind, cause.message, cause.stage) == (kind, message, "PlanBuckets")


def test_other_texts_are_their_last_line():
    text = "failed\nPipeline x failed in state FAILED: java.lang.Exception: no slots"
    assert Cause.of(RuntimeError(text)).message == "Pipeline x failed in state FAILED: java.lang.Exception: no slots"
    assert Cause.of(RuntimeError()).message == "RuntimeError"


def test_an_input_to_correct_is_not_tried_again():
    text = str(job_failed(RuntimeError(f"{WORKER}x.CatalogError: bad row{STAGE}")))
    assert text == "the job failed: bad row (in PlanBuckets)\nFinished chunks are kept."


@pytest.mark.parametrize("line", ["transforms.storage.errors.Unavailable: gs://b: 503", "ValueError: shapes"])
def test_everything_else_is_tried_again_and_keeps_its_traceback(line, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    text = str(job_failed(RuntimeError(f"{WORKER}{line}{STAGE}")))
    (log,) = tmp_path.glob("catalog-tagger-*.log")
    assert "run it again to resume" in text and str(log) in text and len(text.splitlines()) == 2
    assert WORKER.splitlines()[-1] in log.read_text() and log.stat().st_mode & 0o777 == 0o600


def test_a_storage_error_of_the_launcher_is_its_own_cause():
    cause = Cause.of(storage.PermissionDenied("gs://b: no access"))
    assert (cause.kind, cause.message, cause.stage) == ("PermissionDenied", "gs://b: no access", "")
