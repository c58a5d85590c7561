"""Answers of Beam's that never change, computed once in a process.

While Beam builds and runs a graph, it parses the same options some 600 times, each time with a new parser, inspects
the signatures of the same methods some 10,000 times, and looks 300 times for state among all methods of a DoFn. On a
dozen tracks that is half of what a `tag` costs.
"""

import functools
import types
import weakref
from argparse import Namespace
from collections.abc import Callable
from typing import Any

from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.transforms import core, userstate

Arguments = tuple[list[str], list[Any]]
Specs = tuple[set[Any], set[Any]]


@functools.cache
def install() -> None:
    """Remembers views of options, arguments of methods and state of DoFns, for the rest of the process."""
    PipelineOptions.view_as = _remembered_view(PipelineOptions.view_as)
    core.get_function_args_defaults = _remembered_arguments(core.get_function_args_defaults)
    userstate.get_dofn_specs = _remembered_specs(userstate.get_dofn_specs)


def _remembered_view(view_as: Callable[..., PipelineOptions]) -> Callable[..., PipelineOptions]:
    """Parses options only where the view would add one to those that all views share."""
    parsed: dict[tuple, Namespace] = {}

    def view(self: PipelineOptions, cls: type[PipelineOptions]) -> PipelineOptions:
        key = (cls, None if self._flags is None else tuple(self._flags))
        if key not in parsed or not vars(parsed[key]).keys() <= self._all_options.keys():
            made = view_as(self, cls)
            parsed[key] = made._visible_options
            return made
        made = cls.__new__(cls)
        vars(made).update(_flags=self._flags, _visible_options=parsed[key], _all_options=self._all_options)
        return made

    return view


def _remembered_arguments(arguments_of: Callable[[Any], Arguments]) -> Callable[[Any], Arguments]:
    """Inspects a method once for all of its objects."""
    inspected: weakref.WeakKeyDictionary[Callable, Arguments] = weakref.WeakKeyDictionary()

    def arguments(function: Any) -> Arguments:
        if not isinstance(function, types.MethodType) or not isinstance(function.__func__, types.FunctionType):
            return arguments_of(function)
        if function.__func__ not in inspected:
            inspected[function.__func__] = arguments_of(function)
        names, defaults = inspected[function.__func__]
        return list(names), list(defaults)

    return arguments


def _remembered_specs(specs_of: Callable[[Any], Specs]) -> Callable[[Any], Specs]:
    """Looks through the methods of a class once; an object differs from its class only in the function it wraps."""
    found: dict[type, Specs] = {}

    def specs(dofn: Any) -> Specs:
        _, defaults = core.get_function_arguments(dofn, "process")
        if any(isinstance(default, core._DoFnParam) for default in defaults):
            return specs_of(dofn)
        if type(dofn) not in found:
            found[type(dofn)] = specs_of(dofn)
        states, timers = found[type(dofn)]
        return set(states), set(timers)

    return specs
