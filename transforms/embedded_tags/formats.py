"""Which writer a file needs, by its bytes."""

from transforms.audio.containers.kinds import ADTS, FLAC, MP2, MP3, MP4, OGG_FLAC, OPUS, VORBIS
from transforms.audio.containers.metadata_tags import id3_size
from transforms.audio.containers.sniff import sniff
from transforms.audio.errors import TrackError
from transforms.embedded_tags.atoms import mp4_splices
from transforms.embedded_tags.id3 import id3_splices
from transforms.embedded_tags.native_flac import flac_splices
from transforms.embedded_tags.ogg import ogg_splices
from transforms.embedded_tags.splices import FieldValues, NotWritable, Splice, trimmed


def field_splices(data: bytes, fields: FieldValues) -> list[Splice]:
    """The changes that write fields into a file: ID3v2, Vorbis comments or MP4 items.

    Args:
      data: the whole file.
      fields: name in capitals -> values. A field without values is removed. Other metadata stay.

    Raises:
      NotWritable: the file has another format, or is damaged.
    """
    return [
        found
        for found in (trimmed(data, splice) for splice in _splices(data, fields))
        if found.data or found.start < found.end
    ]


def _splices(data: bytes, fields: FieldValues) -> list[Splice]:
    try:
        kind = sniff(data)
    except TrackError as error:
        raise NotWritable(f"its format is not known ({error})") from error
    if kind in (MP3, MP2, ADTS):
        return id3_splices(data, fields)
    begin = id3_size(data)
    if kind == FLAC and data.startswith(b"fLaC", begin):
        return flac_splices(data, begin, fields)
    if kind in (VORBIS, OPUS, OGG_FLAC) and data.startswith(b"OggS", begin):
        return ogg_splices(data, begin, fields)
    if kind == MP4 and data[4:8] == b"ftyp":
        return mp4_splices(data, fields)
    raise NotWritable(f"no fields are written into {kind.name} files")
