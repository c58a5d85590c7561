"""Files and sources of a catalog that are outside of the roots that may be read."""

from collections.abc import Collection, Iterable

import pyarrow as pa
import pyarrow.compute as pc

from transforms.catalog.problems import CatalogError, Problem
from transforms.schemas.catalog import FILE, ROW
from transforms.storage import SourceRoots
from transforms.taxonomy.tag_ids import shown


def refused_sources(rows: pa.Table, track_ids: Collection[str], roots: SourceRoots) -> list[Problem]:
    """Lists a problem for every track that is to be read but may not be, with the flag that would permit it.

    Looks at names and links only; nothing is opened.

    Args:
      rows: catalog rows.
      track_ids: the tracks that are to be read. Others cost nothing.
      roots: where sources may be.
    """
    if not track_ids:
        return []
    ids = pa.array(track_ids, rows.schema.field("track_id").type)
    planned = rows.filter(pc.is_in(rows["track_id"], value_set=ids))
    check = roots.check()
    problems = []
    for row in planned.select(["uri", FILE, ROW]).to_pylist():
        url = roots.url(row["uri"])
        if (refused := check.refusal(url)) is not None:
            way = "is" if refused.place == url else f"leads to {shown(refused.place)},"
            message = f"{shown(row['uri'])} {way} outside of the allowed roots: {refused.remedy}"
            problems.append(Problem(file=row[FILE], row=row[ROW], column="uri", message=message))
    return problems


def check_links(names: Iterable[str], folder: str) -> None:
    """Refuses links out of a catalog's folder, whose files may come from someone else.

    Raises:
      CatalogError: all such links.
    """
    check = SourceRoots(folder).check()
    refused = [(name, found.place) for name in names if (found := check.refusal(name)) is not None]
    if refused:
        message = "leads to {}, outside of the catalog's folder: give this file itself as --catalog"
        raise CatalogError([Problem(file=n, row=None, column=None, message=message.format(to)) for n, to in refused])
