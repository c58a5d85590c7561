"""Reads a feature spec for a command."""

from pipelines.terminal.errors import CommandFailed
from transforms import storage
from transforms.features.spec import FeatureSpec
from transforms.formats.documents import parse_json

_MOST_BYTES = 1 << 20


def read_feature_spec(url: str) -> FeatureSpec:
    """The feature spec in a JSON file.

    Raises:
      CommandFailed: the file does not exist or is not a feature spec.
    """
    try:
        return FeatureSpec.from_json(parse_json(storage.read_bytes(url, max_bytes=_MOST_BYTES)))
    except (ValueError, TypeError, storage.NotFound, storage.TooLarge) as e:
        raise CommandFailed(f"{url}: not a feature spec: {e}") from e
