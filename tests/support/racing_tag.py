"""One of several processes that publish to the same table: the retries of `tag`, around runs without audio."""

import types
from collections.abc import Sequence

from models.bundles.tagger_bundle import load_bundle
from pipelines.jobs.tag import running
from pipelines.terminal.answer import Answer
from tests.support.nightly import tag_nightly

PAUSE_S = 0.25
"""Longest pause before a run is planned again. It is shorter than that of `tag`, as these runs are."""


def catalog_of(who: str, night: int) -> dict[str, str]:
    """The catalog of a process in a night: track id -> source version."""
    return {"shared": "1", f"of-{who}": str(night), f"night-{night}": who, "bad-1": "1"}


def main(words: Sequence[str]) -> int:
    """Publishes some nights, each until it is the next snapshot.

    Args:
      words: the table, the bundle, the name of this process, number of the first night, number of nights.
    """
    root, model, who, first, nights = words
    bundle = load_bundle(model)
    running.LONGEST_PAUSE_S = PAUSE_S
    args = types.SimpleNamespace(publish_deadline=600.0)
    for night in range(int(first), int(first) + int(nights)):

        def once(*_: object, night: int = night) -> Answer:
            tag_nightly(root, catalog_of(who, night), bundle)
            return Answer(text="", document={})

        running._run_once = once
        running._run_until_published(args, None, None)
    return 0
