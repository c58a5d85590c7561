"""The list of reasons only grows: ledgers of last year must still be read."""

import json
from pathlib import Path
from typing import get_args

import pytest

from transforms.audio.errors import DUE_AGAIN, REASONS, Stage, TrackError

GOLDEN = json.loads(Path(__file__).with_name("golden_reasons.json").read_text())


@pytest.mark.parametrize("reason", GOLDEN)
def test_no_reason_is_ever_taken_back(reason):
    error = REASONS[reason]
    assert [error.stage, error.due_again] == GOLDEN[reason]


def test_a_new_reason_is_appended_to_the_golden_file():
    assert sorted(REASONS) == sorted(GOLDEN)


@pytest.mark.parametrize("error", REASONS.values(), ids=REASONS)
def test_every_reason_is_complete(error):
    assert error.stage in get_args(Stage) and error.due_again == (error.reason in DUE_AGAIN)
    assert error.sentence.endswith(".") and error.sentence[0].isupper()
    assert error.reason == "".join(
        "_" + c.lower() if c.isupper() else c for c in error.__name__.removeprefix("Source")
    ).lstrip("_")


def test_every_subclass_is_listed():
    assert set(REASONS.values()) == set(TrackError.__subclasses__())


def test_the_detail_is_what_was_found():
    assert REASONS["too_short"]("0.1 s").detail == "0.1 s"
