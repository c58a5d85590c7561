"""KeepElements: writes the elements of a collection to scratch space, for the process that launched a local job."""

import pickle
import uuid
from collections.abc import Iterator
from typing import Any

import apache_beam as beam

from transforms.storage.scratch import Scratch


class KeepElements(beam.PTransform[beam.PCollection[Any], beam.PCollection[None]]):
    """Writes all elements under a name in scratch space, which the workers must share. `kept_elements` reads them."""

    def __init__(self, scratch: Scratch, name: str) -> None:
        super().__init__()
        self._scratch, self._name = scratch, name

    def expand(self, elements: beam.PCollection[Any]) -> beam.PCollection[None]:
        """Writes each element to a file of its own, so that several workers can write."""
        kept: beam.PCollection[None] = elements | "KeepElement" >> beam.Map(_keep, self._scratch, self._name)
        return kept


def _keep(element: Any, scratch: Scratch, name: str) -> None:
    scratch.append(f"{name}/{uuid.uuid4().hex}", pickle.dumps(element, protocol=pickle.HIGHEST_PROTOCOL))


def kept_elements(scratch: Scratch, name: str) -> Iterator[Any]:
    """Yields the elements that were kept under a name, in any order, and removes each."""
    for place in scratch.names(name):
        for record in scratch.records(place):
            yield pickle.loads(record)
        scratch.remove(place)
