"""The feature spec that a command is given: a JSON file, or that of a bundle."""

import json

from pipelines.terminal.errors import CommandFailed
from transforms import storage
from transforms.features.spec import FeatureSpec


def read_feature_spec(url: str) -> FeatureSpec:
    """The feature spec in a JSON file.

    Raises:
      CommandFailed: there is none.
    """

    try:
        return FeatureSpec.from_json(json.loads(storage.read_bytes(url)))
    except (ValueError, TypeError, storage.NotFound) as e:
        raise CommandFailed(f"{url}: not a feature spec: {e}") from e
