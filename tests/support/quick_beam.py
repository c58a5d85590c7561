"""Beam without the work that it does again and again.

Building one pipeline, Beam makes some 300 views of its options, each with an argument parser of its own, and inspects
every method of every `DoFn` several times. Both took a quarter of the time of a small job in the tests. Here the
results are kept: they depend on the flags and on the functions alone.
"""

import copy
import inspect
import weakref
from collections.abc import Callable
from typing import Any

import pytest


def keep_what_beam_finds(patch: pytest.MonkeyPatch) -> None:
    """Lets Beam parse the same flags, and inspect the same function, once in this process."""
    from apache_beam.options.pipeline_options import PipelineOptions
    from apache_beam.transforms import core

    patch.setattr(PipelineOptions, "view_as", _kept_views(PipelineOptions))
    patch.setattr(core, "get_signature", _kept_signatures(core.get_signature))


def _kept_views(options: Any) -> Callable[[Any, Any], Any]:
    view_as, parsed = options.view_as, {}

    def kept(self: Any, cls: Any) -> Any:
        if self._flags is None or cls.__init__ is not options.__init__:
            return view_as(self, cls)
        key = cls, tuple(self._flags)
        if key not in parsed:
            parsed[key] = copy.deepcopy(cls(self._flags)._visible_options)
        view, values = object.__new__(cls), copy.deepcopy(parsed[key])
        vars(view).update(_flags=self._flags, _visible_options=values, _all_options=self._all_options)
        for name in view._visible_option_list():
            self._all_options.setdefault(name, getattr(values, name))
        return view

    return kept


def _kept_signatures(get_signature: Callable[[Any], inspect.Signature]) -> Callable[[Any], inspect.Signature]:
    free, bound = weakref.WeakKeyDictionary(), weakref.WeakKeyDictionary()

    def kept(function: Any) -> inspect.Signature:
        inner, found = (function.__func__, bound) if inspect.ismethod(function) else (function, free)
        if not inspect.isfunction(inner):
            return get_signature(function)
        if inner not in found:
            found[inner] = get_signature(function)
        return found[inner]

    return kept
