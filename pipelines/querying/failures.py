"""Errors of a query in one line with an exit code. Only tables of the snapshot are suggested for an unknown one."""

import contextlib
import difflib
import re
from collections.abc import Callable, Iterator, Sequence

import pyarrow as pa

from pipelines.terminal.errors import FAILED, USAGE, CommandFailed
from transforms.storage import StorageError
from transforms.table.duckdb_views import NotReadOnly

_NO_TABLE = re.compile(r"Table with name (?P<name>.+?) does not exist!.*", re.DOTALL)


@contextlib.contextmanager
def named_failures(known_tables: Callable[[], Sequence[str]] = lambda: ()) -> Iterator[None]:
    """Turns the errors of a query into one line with an exit code.

    Args:
      known_tables: names of the tables that a query can name, for the hint about one that does not exist.

    Raises:
      CommandFailed: DuckDB, Arrow or the storage failed in the block.
    """
    try:
        import duckdb  # an optional dependency: the other commands work without it
    except ModuleNotFoundError as error:
        raise CommandFailed(f"{error.name} is not installed: pip install 'catalog-tagger[query]'") from error
    try:
        yield
    except NotReadOnly as error:
        raise CommandFailed(str(error), USAGE) from error
    except duckdb.CatalogException as error:
        raise CommandFailed(_unknown_name(one_line(error), known_tables), USAGE) from error
    except duckdb.ProgrammingError as error:
        raise CommandFailed(one_line(error), USAGE) from error
    except duckdb.OutOfMemoryException as error:
        raise CommandFailed(_out_of_memory(error), FAILED) from error
    except (duckdb.Error, pa.ArrowException, OSError, StorageError) as error:
        # Arrow hands on DuckDB's errors as OSErrors, without their types.
        text = _out_of_memory(error) if str(error).startswith("Out of Memory") else one_line(error)
        raise CommandFailed(text, FAILED) from error


def _unknown_name(text: str, known_tables: Callable[[], Sequence[str]]) -> str:
    """DuckDB's message about a name; it would suggest its own tables, such as pg_settings, for an unknown one."""
    found = _NO_TABLE.search(text)
    if found is None:
        return text
    near = difflib.get_close_matches(found["name"].lower(), known_tables(), n=1)
    hint = f'did you mean "{near[0]}"?' if near else "SHOW TABLES lists the tables"
    return f"Table with name {found['name']} does not exist: {hint}"


def one_line(error: Exception) -> str:
    """DuckDB's message in one line, without the marked excerpt of the SQL and without a traceback of the storage."""
    text = str(error).split("\n\nLINE ")[0]
    if text.startswith("Traceback"):
        text = text.strip().splitlines()[-1]
    return re.sub(r"\s+", " ", text).strip()


def _out_of_memory(error: Exception) -> str:
    """The first sentence of DuckDB's message, which goes on with settings that are locked here."""
    first = re.sub(r"\s+", " ", str(error).split("\n")[0]).strip()
    return f"{first}: raise --memory-limit, let TMPDIR name a disk with more space, or ask for less"
