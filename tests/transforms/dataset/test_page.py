"""The page of a dataset: the numbers of its manifest, escaped, and nothing from elsewhere."""

import dataclasses
import re

import pytest

from tests.support.outlines import PageOutline
from tests.transforms.dataset.test_manifest import manifest
from transforms.dataset.page import LISTED_ROWS, dataset_page

HOSTILE = "<img src=x onerror=y>"


def test_the_page_has_the_numbers_of_the_manifest() -> None:
    page = dataset_page(manifest())
    text = PageOutline(page).text
    assert "1 TFRecord files with 2 patches" in text
    assert "mood/calm1 of 1" in text and "mood/loud0 of 1" in text
    assert manifest().feature_id in text and manifest().taxonomy_id in text and "train 0.8" in text
    assert dataset_page(manifest()) == page, "equal datasets have equal pages"


@pytest.mark.parametrize("name", ["rejects", "conflicts", "unknown_tags", "none"])
def test_texts_of_a_catalog_are_escaped(name: str) -> None:
    plain, odd = (dataset_page(dataclasses.replace(manifest(), **{name: {text: 3}})) for text in ("x", HOSTILE))
    assert PageOutline(odd).elements == PageOutline(plain).elements and HOSTILE in PageOutline(odd).text
    assert not re.search(r"https?:|@import|url\(|src=\"|href=", plain)


def test_the_page_stays_small() -> None:
    unknown = {f"tag-{number}": 1 for number in range(3 * LISTED_ROWS)}
    page = dataset_page(dataclasses.replace(manifest(), unknown_tags=unknown))
    assert page.count("tag-") == LISTED_ROWS and f"the most frequent {LISTED_ROWS} of {3 * LISTED_ROWS}" in page
