"""The tests keep what Beam parses and inspects: it is what Beam would find again."""

import inspect

import pytest
from apache_beam.options import pipeline_options
from apache_beam.options.pipeline_options import DebugOptions, DirectOptions, PipelineOptions
from apache_beam.transforms import core
from apache_beam.typehints.decorators import get_signature

from tests.support.quick_beam import keep_what_beam_finds

FLAGS = ["--runner=DirectRunner", "--direct_num_workers=2", "--experiments=a", "--unknown=1"]


@pytest.fixture
def nothing_kept(monkeypatch):
    """Kept results, none of which is from another test."""
    monkeypatch.setattr(core, "get_signature", get_signature)
    keep_what_beam_finds(monkeypatch)


@pytest.mark.usefixtures("nothing_kept")
def test_views_are_those_that_beam_makes():
    for cls in PipelineOptions.__subclasses__():
        if cls.__module__ == pipeline_options.__name__ and cls.__init__ is PipelineOptions.__init__:
            for _ in range(2):
                view = PipelineOptions(FLAGS).view_as(cls)
                assert type(view) is cls and vars(view._visible_options) == vars(cls(FLAGS)._visible_options)


@pytest.mark.usefixtures("nothing_kept")
def test_views_share_what_one_of_them_changes_and_others_do_not():
    options = PipelineOptions(FLAGS)
    options.view_as(DebugOptions).experiments.append("b")
    options.view_as(DirectOptions).direct_num_workers = 3
    assert options.view_as(DebugOptions).experiments == ["a", "b"]
    assert options.view_as(DirectOptions).direct_num_workers == 3
    another = PipelineOptions(FLAGS)
    assert another.view_as(DebugOptions).experiments == ["a"]
    assert another.view_as(DirectOptions).direct_num_workers == 2
    assert PipelineOptions(["--direct_num_workers=5"]).view_as(DirectOptions).direct_num_workers == 5


@pytest.mark.usefixtures("nothing_kept")
def test_a_bound_method_and_its_function_have_their_own_signatures():
    class Adds:
        def add(self, one: int, two: int = 2) -> int:
            return one + two

    for function in (Adds().add, Adds.add, Adds().add, len, Adds):
        assert core.get_signature(function).parameters == inspect.signature(function).parameters
