"""Metrics in the text format of Prometheus (version 0.0.4)."""

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

PREFIX = "catalog_tagger_"


class Metric(NamedTuple):
    """One gauge.

    Attributes:
      name: without the program's prefix.
      help: what it measures, with its unit.
      samples: (labels, value) of each sample.
    """

    name: str
    help: str
    samples: Iterable[tuple[Mapping[str, str], float]]


def exposition(metrics: Iterable[Metric]) -> str:
    """The metrics as text, without the final line end; metrics without samples are left out."""
    lines = []
    for metric in metrics:
        samples = [f"{PREFIX}{metric.name}{_labels(labels)} {_number(value)}" for labels, value in metric.samples]
        if samples:
            lines += [f"# HELP {PREFIX}{metric.name} {metric.help}", f"# TYPE {PREFIX}{metric.name} gauge", *samples]
    return "\n".join(lines)


def _labels(labels: Mapping[str, str]) -> str:
    r"""Labels in braces.

    >>> _labels({"table": 'a"b\\c'})
    '{table="a\\"b\\\\c"}'
    """
    escaped = {name: re.sub(r'(["\\])', r"\\\1", value).replace("\n", r"\n") for name, value in labels.items()}
    return "{" + ",".join(f'{name}="{value}"' for name, value in escaped.items()) + "}" if labels else ""


def _number(value: float) -> str:
    """A number without digits that it does not have.

    >>> _number(3), _number(0.1), _number(1790000000.0)
    ('3', '0.1', '1790000000')
    """
    return str(int(value)) if float(value).is_integer() else repr(float(value))
