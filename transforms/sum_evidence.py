"""SumEvidence: adds up what all buckets show to the gates."""

from collections.abc import Iterable

import apache_beam as beam

from transforms.tagging.evidence import Evidence


class SumEvidence(beam.PTransform[beam.PCollection[Evidence], beam.PCollection[Evidence]]):
    """Takes one `Evidence` per bucket, returns their sum, also if there is no bucket."""

    def expand(self, evidence: beam.PCollection[Evidence]) -> beam.PCollection[Evidence]:
        """Adds up on the workers, so that the last step gets one element."""
        total: beam.PCollection[Evidence] = evidence | "AddEvidence" >> beam.CombineGlobally(add_evidence)
        return total


def add_evidence(found: Iterable[Evidence]) -> Evidence:
    """The sum; no evidence for no bucket."""
    return sum(found, start=Evidence())
