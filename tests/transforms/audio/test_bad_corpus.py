"""Broken and odd files, where they are at hand: each ends in features or in a reason that is right for it."""

import csv
import tarfile
from pathlib import Path

import pytest

from tests.support.synth import SPEC
from transforms.audio.errors import TrackError
from transforms.audio.limits import Limits
from transforms.extraction.sandbox import Sandbox

ARCHIVE = Path(__file__).parents[4] / "shared" / "data" / "bad.tar.gz"
DEV = Path(__file__).parents[4] / "shared" / "data" / "dev"

DEVIATIONS = {
    "odd_valid/silence_1.wav": "silent: it decodes, but tags of digital silence would be noise",
    "bomb/silence_1h_44k_stereo.flac": "silent: it decodes in bounded memory, and is digital silence",
}
"""Files that are readable and rejected all the same, on purpose."""

RIGHT_REASONS = {
    "empty": {"empty", "unknown_format"},
    "garbage": {"unknown_format", "format_not_allowed"},
    "truncated": {"truncated", "decode_error", "implausible_header"},
    "wav_header": {"implausible_header", "no_frames", "too_short"},
    "odd_but_valid": {"silent"},
    "bomb": {"silent"},
    "mp3": {"decode_error", "implausible_header"},
    "ogg": {"truncated", "decode_error"},
    "flac": {"decode_error", "implausible_header", "truncated"},
    "no_audio": {"no_audio"},
    "wav_odd": {"unsupported_rate", "unsupported_codec", "too_short", "implausible_header", "no_frames"},
    "flac_faulty": {"decode_error", "implausible_header", "no_frames", "unsupported_codec", "truncated"},
    "mp3_vectors": {"unknown_format", "too_short", "truncated", "decode_error", "implausible_header", "no_frames"},
}
"""Reasons that a reject of each category of the manifest may have."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    if not ARCHIVE.exists():
        pytest.skip(f"no {ARCHIVE.name} beside the repository")
    root = tmp_path_factory.mktemp("bad")
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(root, filter="data")
    return root / "bad"


@pytest.fixture(scope="module")
def outcomes(folder):
    """(manifest row, reason or None) of every file."""
    rows = list(csv.DictReader((folder / "manifest.csv").open(encoding="utf-8")))
    with Sandbox(SPEC, Limits(), children=2) as sandbox:
        futures = [sandbox.submit((folder / row["path"]).read_bytes()) for row in rows]
        errors = [future.exception() for future in futures]
    assert all(error is None or isinstance(error, TrackError) for error in errors)
    return [(row, error.reason if error else None) for row, error in zip(rows, errors, strict=True)]


def test_every_file_ends_as_the_manifest_expects(outcomes):
    decodes = {"decodes": True, "generated": True, "reject": False}
    wrong = {
        row["path"]: reason or "features"
        for row, reason in outcomes
        if row["expect"] in decodes and decodes[row["expect"]] != (reason is None) and row["path"] not in DEVIATIONS
    }
    assert wrong == {}


def test_every_reject_has_a_reason_that_is_right_for_it(outcomes):
    wrong = {
        row["path"]: reason
        for row, reason in outcomes
        if reason is not None and reason not in RIGHT_REASONS.get(row["category"], set())
    }
    assert wrong == {}


def test_deviations_are_real(outcomes):
    assert {row["path"]: reason for row, reason in outcomes if row["path"] in DEVIATIONS} == dict.fromkeys(
        DEVIATIONS, "silent"
    )


def test_nothing_ends_as_unknown_or_crash(outcomes):
    assert not {"unknown", "crash", "timeout", "memory_limit", "resource_limit"} & {reason for _, reason in outcomes}


@pytest.mark.long
def test_every_real_recording_is_whole_or_too_short():
    if not DEV.exists():
        pytest.skip("no real recordings beside the repository")
    rows = list(csv.DictReader((DEV / "manifest.csv").open(encoding="utf-8")))
    with Sandbox(SPEC, Limits(), children=2) as sandbox:
        futures = {row["path"]: sandbox.submit((DEV / row["path"]).read_bytes()) for row in rows}
        errors = {path: future.exception() for path, future in futures.items()}
    short = {row["path"] for row in rows if float(row["duration_s"]) < SPEC.min_duration_s}
    assert {path for path, error in errors.items() if error is not None} == short
    assert {errors[path].reason for path in short} == {"too_short"}
    damage = {path: future.result().facts.damage for path, future in futures.items() if path not in short}
    assert {path: what for path, what in damage.items() if what} == {}
