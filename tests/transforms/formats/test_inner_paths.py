"""Which paths a manifest may name."""

import posixpath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.formats.inner_paths import inner_path

HOSTILE = [
    "",
    "/etc/shadow",
    "//host/share",
    "..",
    "../outside",
    "data/../../outside",
    "data/..",
    ".",
    "./data",
    "data/./file",
    "data//file",
    "data/",
    "gs://other/file",
    "file:///etc/shadow",
    "file:/etc/shadow",
    "s3://other/file",
    "http://169.254.169.254/",
    "C:/windows",
    "data\\file",
    "..\\outside",
    "data/a\0b",
    "data/a\nb",
    "data/a\x1b[31mb",
    "data/a\x7fb",
    "data/a\u202eb",
    "data/a\u2028b",
    "data/\udc80",
    "data/*.parquet",
    "data/?.parquet",
    "data/[a].parquet",
    "data/{a,b}.parquet",
    "x" * 2000,
    None,
    7,
    ["data"],
    {"data": 1},
]
"""Values that no manifest may have for a path."""


@pytest.mark.parametrize("path", HOSTILE, ids=ascii)
def test_hostile_paths_are_refused_in_one_line(path):
    with pytest.raises(ValueError, match=r"^path ") as refused:
        inner_path(path)
    assert str(refused.value).isprintable() and len(str(refused.value)) < 500


@pytest.mark.parametrize(
    "path",
    ["data/run=run-0a/bucket=0001/tracks-00ff.parquet", "variables/variables.data-00000-of-00001", "Größe (1).md"],
)
def test_plain_paths_are_kept(path):
    assert inner_path(path) == path


@given(st.text(alphabet=st.sampled_from("ab./\\:*\0\n .=-é\u200e"), max_size=12))
def test_what_is_kept_stays_inside(path):
    try:
        kept = inner_path(path)
    except ValueError:
        return
    assert kept == path == posixpath.normpath(path)
    assert posixpath.join("/root", path).startswith("/root/") and not path.startswith("..")
