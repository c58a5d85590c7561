"""`catalog-tagger` with a decoder that swallows poison pills.

python -m tests.support.poisoned_tag tag ...
"""

import atexit
import dataclasses
import functools
import sys

from pipelines.cli import main
from transforms.audio.limits import Limits
from transforms.extraction import chunk_extractor as extraction
from transforms.extraction.sandbox import Sandbox
from transforms.features.spec import FeatureSpec

WALL_S = 5.0


@functools.cache
def poisoned_sandbox(spec: FeatureSpec, limits: Limits, children: int, parameters=None) -> Sandbox:
    """In place of `shared_sandbox`: one a process, with another decoder and little patience."""
    limits = dataclasses.replace(limits, wall_s=WALL_S)
    sandbox = Sandbox(spec, limits, children, extractor="tests.support.poison:extract", parameters=parameters)
    atexit.register(sandbox.close)
    return sandbox


if __name__ == "__main__":
    extraction.shared_sandbox = poisoned_sandbox
    sys.exit(main())
