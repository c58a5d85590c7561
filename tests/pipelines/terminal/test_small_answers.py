"""Answers that newcomers read wrongly: to empty values, to what does not exist, and if nothing is to be done."""

from types import SimpleNamespace

import pytest

from pipelines.cli import main
from pipelines.jobs.discovery.neighbours import _set_text
from pipelines.jobs.gc import _answer


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["query", "table", ""], "catalog-tagger: SQL: the value is empty: give one, or leave it out\n"),
        (["query", "", "SELECT 1"], "the value is empty: give one\n"),
        (["describe", "nope"], "nope: there is no such folder: name that of a table, a bundle or a dataset\n"),
        (["verify", "nope"], "nope: there is no such folder: name that of a table, a bundle or a dataset\n"),
        (
            ["query", "nope", "SELECT 1"],
            "no snapshot is published here: nope is no table, because it has no table.json",
        ),
    ],
)
def test_what_is_not_there(words, told, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(words) in (1, 2)
    assert told in capsys.readouterr().err


@pytest.mark.parametrize("files", [0, 2])
def test_nothing_to_remove_needs_no_flag(files):
    inventory = SimpleNamespace(retained={1}, retiring=[])
    args = SimpleNamespace(table="table", apply=False)
    text = _answer(args, inventory, {"part files": {"files": files, "bytes": 10 * files}}).text
    assert ("give --apply" in text) is (files > 0)


def test_one_cell_and_what_hubs_are():
    sides = {side: {"skewness": 1.0, "never": 0.25} for side in ("damped", "undamped")}
    text = _set_text({"embedding_id": "em", "tracks": 1, "cells": 1, "hubs": {**sides, "duplicates": 0}})
    assert text.startswith(
        "em: 1 track in 1 cell. Some tracks are in many lists of neighbours (hubs), others in none: "
    )
    assert "25.00% of the tracks are in none (25.00% if hubs were not ranked lower)" in text
