"""Opens what `--fusion` and `--source` name."""

from collections.abc import Sequence

from pipelines.terminal.errors import CommandFailed, UsageError
from transforms.fusion.policy import CATALOG_SOURCE, PolicyError, load_policy
from transforms.fusion.settings import Fusion
from transforms.fusion.source_files import list_source
from transforms.taxonomy.hierarchy import Taxonomy


def source_places(given: Sequence[str]) -> dict[str, str]:
    """Name -> table, of the values of `--source`.

    Raises:
      UsageError: a value is not NAME=TABLE, or a name is given twice or is `catalog`.
    """
    places: dict[str, str] = {}
    for value in given:
        name, equals, table = value.partition("=")
        if not (name and equals and table):
            raise UsageError(f"--source {value}: give NAME=TABLE, for example editors=editors.parquet")
        if name == CATALOG_SOURCE:
            raise UsageError(f"--source {value}: {CATALOG_SOURCE} are the tags of --catalog: choose another name")
        if name in places:
            raise UsageError(f"--source {name}: given twice: choose another name for one of the tables")
        places[name] = table
    return places


def open_fusion(policy: str | None, given: Sequence[str], taxonomy: Taxonomy) -> Fusion | None:
    """The sources of a run; None if there are none.

    Args:
      policy: the file of `--fusion`.
      given: values of `--source`.
      taxonomy: the tags of the run.

    Raises:
      UsageError: the file declares other sources than are given.
      CommandFailed: the file has faults.
      CatalogError: the table of a source cannot be read, or lacks columns.
    """
    places = source_places(given)
    if policy is None:
        if places:
            raise UsageError("--source needs --fusion: give the file that says how far each source is trusted")
        return None
    try:
        found = load_policy(policy, taxonomy)
    except PolicyError as error:
        raise CommandFailed(f"--fusion {error}") from error
    declared = set(found.names) - {CATALOG_SOURCE}
    if missing := sorted(declared - set(places)):
        raise UsageError(f"--fusion {policy}: source {missing[0]} has no table: give --source {missing[0]}=TABLE")
    if strange := sorted(set(places) - declared):
        known = ", ".join(found.names)
        raise UsageError(f"--source {strange[0]}: {policy} has no such source: it has {known}")
    shards = tuple(shard for name in found.names if name in places for shard in list_source(name, places[name]))
    return Fusion(policy=found, taxonomy=taxonomy, tables=places, shards=shards)
