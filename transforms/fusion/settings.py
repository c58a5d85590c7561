"""The sources of a run, and what the run records about them."""

import dataclasses
import functools
import json
from collections.abc import Mapping
from typing import Any

from transforms import storage
from transforms.formats.hashing import digest
from transforms.fusion.policy import CATALOG_SOURCE, Policy
from transforms.fusion.source_files import SUBJECT_KEYS, SourceShard
from transforms.fusion.tally import RowTally
from transforms.taxonomy.hierarchy import Taxonomy


@dataclasses.dataclass(frozen=True, kw_only=True)
class Fusion:
    """Everything that is needed to combine sources with a model; pickled with the graph.

    Attributes:
      policy: the rules.
      taxonomy: the tags of the run.
      tables: name of each source but `catalog` -> its URL.
      shards: the parts of their files.
    """

    policy: Policy
    taxonomy: Taxonomy
    tables: Mapping[str, str]
    shards: tuple[SourceShard, ...]

    @functools.cached_property
    def group_keys(self) -> tuple[str, ...]:
        """`artist_id` and `album_id`, as far as sources are about them."""
        return tuple(key for key in SUBJECT_KEYS[1:] if any(shard.key == key for shard in self.shards))

    def record(self, tally: RowTally) -> dict[str, Any]:
        """What a run records, see `Run.fusion`. It names no track, so that a takedown leaves no id behind."""
        keys = {shard.source: shard.key for shard in self.shards}
        sources = []
        for name in self.policy.names:
            counts = tally.of_source(name)
            del counts["examples"]
            table = None if name == CATALOG_SOURCE else storage.redact(self.tables[name])
            sources.append({"name": name, "table": table, "key": keys.get(name, SUBJECT_KEYS[0]), **counts})
        return {
            "policy_id": self.policy.policy_id,
            "policy": self.policy.to_json(),
            "tracks": tally.tracks,
            "sources": sources,
        }

    def record_digest(self, tally: RowTally) -> str:
        """Digest of `record` without the places of the tables."""
        record = self.record(tally)
        plain = [{name: value for name, value in source.items() if name != "table"} for source in record["sources"]]
        return digest(json.dumps({**record, "sources": plain}, sort_keys=True))


def lost_examples(tally: RowTally, policy: Policy) -> dict[str, dict[str, list[str]]]:
    """Source -> outcome -> the first lost rows, for the report of the run."""
    found = {name: tally.of_source(name)["examples"] for name in policy.names}
    return {name: examples for name, examples in found.items() if examples}
