"""Where the files of a playlist are: complete paths for players, as far as they are known."""

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path

from pipelines.reading.recorded import recorded_fact
from transforms import storage
from transforms.catalog.reader import default_root
from transforms.formats.quantities import quantity
from transforms.table.reader import SnapshotReader


@dataclasses.dataclass(frozen=True)
class AudioPlaces:
    """Where relative uris of the catalog start.

    Attributes:
      root: complete folder or `gs://` prefix; None if it is not known.
      is_given: whether the user named it, so that no file is looked for.
    """

    root: str | None
    is_given: bool

    @classmethod
    def of(cls, snapshot: SnapshotReader, given: str | None) -> "AudioPlaces":
        """The root that is given, or else the one of the run that tagged the table, as its report says."""
        if given is not None:
            return cls(_complete(given), True)
        root, catalog = recorded_fact(snapshot, "catalog_root"), recorded_fact(snapshot, "catalog")
        if root is None and catalog is not None:
            root = default_root(catalog)
        return cls(None if root is None else _complete(root), False)

    def place(self, uri: str) -> str:
        """The complete path or URL of a uri, or the uri itself: of a root that is not given, only files that are there
        now are completed.
        """
        if self.root is None or _is_complete(uri):
            return uri
        found = storage.join(self.root, uri)
        return found if self.is_given or "://" in found or Path(found).exists() else uri

    def notes(self, uris: Sequence[str]) -> Iterator[str]:
        """Sentences on the places of uris, for the user."""
        relative = [uri for uri in uris if not _is_complete(uri)]
        lost = [uri for uri in relative if not _is_complete(self.place(uri))]
        all_tracks = quantity(len(uris), "track")
        if not self.is_given and len(lost) < len(relative):
            yield f"paths start from {self.root}, where the audio was when the table was tagged"
        if lost:
            yield (
                f"players will not find {len(lost)} of {all_tracks}: their paths start from the catalog's "
                "folder, which is not known here: give --catalog-root FOLDER"
            )
        if remote := sum("://" in self.place(uri) for uri in uris):
            verb = "is" if remote == 1 else "are"
            yield f"{remote} of {all_tracks} {verb} in cloud storage, which most players cannot open"


def _is_complete(uri: str) -> bool:
    return "://" in uri or uri.startswith("/")


def _complete(root: str) -> str:
    return root if "://" in root else str(Path(root).absolute())
