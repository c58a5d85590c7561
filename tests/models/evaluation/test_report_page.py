"""The report: whole, self-contained, the same bytes again, and still of a readable size with many tags."""

import dataclasses
import re

import numpy as np
import pytest

from models.evaluation.examined import ExaminedTracks
from models.evaluation.report.page import Subject, page
from models.evaluation.report.plots import curve, ranked_tags
from models.evaluation.summary import Resampling, evaluate
from models.scoring.heads import Group, Layout
from tests.models.evaluation.test_summary import LAYOUT, TAGS, examined
from tests.support.outlines import PageOutline

HISTORY = {"best_epoch": 1, "epochs": [{"epoch": n, "loss": 1 / (n + 1), "val_pr_auc": n / 4} for n in range(3)]}


def write(tracks: ExaminedTracks, layout=LAYOUT, tags=TAGS, history=HISTORY) -> str:
    thresholds = dict.fromkeys(tags, (0.5, "best_f1"))
    facts = {"tagger": "tg-1"}
    subject = Subject(title="A <title>", facts=facts, thresholds=thresholds, history=history)
    return page(subject, tracks, evaluate(tracks, layout, tags, Resampling(resamples=20)), tags)


@pytest.fixture(scope="module")
def bare() -> str:
    """The page of many tags, one model and no network."""
    return write(*many(60), history=None)


@pytest.fixture(scope="module")
def text():
    return write(examined())


@pytest.fixture(scope="module")
def outline(text):
    return PageOutline(text)


def test_every_element_is_closed(outline):
    assert outline.open == []


def test_nothing_is_loaded_and_nothing_runs(outline, text):
    tags = {tag for tag, _, _ in outline.attributes}
    assert not tags & {"script", "link", "img", "iframe", "object"}
    loads = [value for _, name, value in outline.attributes if name in {"src", "href", "xlink:href"}]
    assert all(value.startswith("#") for value in loads)
    assert "@import" not in text and not re.search(r"url\((?!#)", text)


def test_ids_are_unique_and_all_references_resolve(outline):
    ids = [value for _, name, value in outline.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    used = {value[1:] for _, name, value in outline.attributes if name.endswith("href")}
    used |= {found for _, _, value in outline.attributes for found in re.findall(r"url\(#([^)]+)\)", value)}
    assert used <= set(ids)


def test_every_plot_says_what_it_shows(outline):
    plots = [value for tag, name, value in outline.attributes if (tag, name) == ("svg", "aria-label")]
    assert len(plots) == 7 and all(plots)
    assert any("Confusion matrix of genre" in label for label in plots)


def test_equal_numbers_make_equal_bytes(text):
    assert write(examined()) == text


def test_no_colour_stands_in_for_another(text):
    assert not re.search(r"#01020[345]", text)


def test_text_is_escaped(text):
    assert "<title>A &lt;title&gt;</title>" in text


def test_names_of_tags_are_neither_markup_nor_formulas():
    """matplotlib reads text between dollar signs as a formula, and fails if it is none."""
    odd = ['a/<img src=x onerror="1">', r"a/$\badmath{$", 'a/"onmouseover=x', "a/&lt;b", "a/$x_1$"]
    names = [odd[i] if i < len(odd) else tag for i, tag in enumerate(TAGS)]
    text = write(examined(), tags=names)
    assert not [found for found in PageOutline(text).attributes if found[0] == "img" or found[1].startswith("on")]
    assert r"a/$\badmath{$" in text


def test_without_a_network_there_are_no_training_curves(bare):
    assert "<h2>Training</h2>" not in bare


def test_thin_curves_are_named_where_there_are_some(text, bare):
    assert "Thin line: constant." in text and "Thin line:" not in bare


def many(tags: int) -> tuple[ExaminedTracks, Layout, list[str]]:
    rng = np.random.default_rng(0)
    targets = (rng.random((60, tags)) < 0.3).astype(np.float32)
    scores = {"tagger": np.round(rng.random(targets.shape), 4)}
    tracks = dataclasses.replace(
        examined(60),
        targets=targets,
        mask=np.ones_like(targets),
        scores=scores,
        positives={"tagger": scores["tagger"] > 0.5},
    )
    group = Group(name="mood", kind="multilabel", columns=tuple(range(tags)))
    return tracks, Layout(groups=(group,), edges=(), size=tags), [f"mood/tag-{n}" for n in range(tags)]


def test_many_tags_make_a_long_table_and_no_more_plots(bare):
    assert bare.count("mood/tag-") > 60 and len(bare) < 600_000
    assert len(re.findall(r'id="roc-axes_\d+"', bare)) == 24


def test_panels_are_the_best_and_the_worst():
    values = {column: column / 10 for column in range(10)} | {10: None}
    assert ranked_tags(values, most=4) == [9, 8, 1, 0]
    assert ranked_tags(values, most=10) == list(range(9, -1, -1))


@pytest.mark.parametrize("kind", ["roc", "pr"])
def test_thinned_curves_keep_their_ends(kind):
    rng = np.random.default_rng(0)
    x, y = curve(rng.random(5000) < 0.4, rng.random(5000), kind)
    assert len(x) <= 150 and x[0] == 0 and x[-1] == 1
    assert y[-1] == pytest.approx(1 if kind == "roc" else 0.4, abs=0.02)
