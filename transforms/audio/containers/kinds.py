"""The containers that are read: their names, decoders and the endings of their file names."""

import dataclasses
from typing import Literal

Decoder = Literal["soundfile", "av"]


@dataclasses.dataclass(frozen=True)
class AudioKind:
    """A container.

    Attributes:
      name: its name in the ledger.
      decoder: the decoder that is tried first.
      demuxer: ffmpeg's name of the only demuxer that may read it; ffmpeg never guesses.
      suffixes: usual endings of file names, without the dot. By them `import folder` tells a damaged audio file from
        other files; neither it nor decoding recognises a format by a name.
    """

    name: str
    decoder: Decoder
    demuxer: str
    suffixes: tuple[str, ...]


WAV = AudioKind("wav", "soundfile", "wav", ("wav", "wave", "rf64"))
W64 = AudioKind("w64", "soundfile", "w64", ("w64",))
AIFF = AudioKind("aiff", "soundfile", "aiff", ("aiff", "aif", "aifc"))
CAF = AudioKind("caf", "soundfile", "caf", ("caf",))
AU = AudioKind("au", "soundfile", "au", ("au", "snd"))
SVX = AudioKind("8svx", "soundfile", "iff", ("8svx", "iff"))
VOC = AudioKind("voc", "soundfile", "voc", ("voc",))
SPHERE = AudioKind("sphere", "soundfile", "nistsphere", ("sph", "nist"))
FLAC = AudioKind("flac", "soundfile", "flac", ("flac",))
MP3 = AudioKind("mp3", "soundfile", "mp3", ("mp3",))
MP2 = AudioKind("mp2", "av", "mp3", ("mp2",))  # libsndfile only estimates the length of layer 2
VORBIS = AudioKind("vorbis", "soundfile", "ogg", ("ogg", "oga"))
OPUS = AudioKind("opus", "soundfile", "ogg", ("opus",))
OGG_FLAC = AudioKind("ogg-flac", "soundfile", "ogg", ("oga",))
SPEEX = AudioKind("speex", "av", "ogg", ("spx",))
MP4 = AudioKind("mp4", "av", "mov", ("m4a", "m4b", "m4r", "mp4", "3gp"))
ASF = AudioKind("asf", "av", "asf", ("wma", "asf"))
MATROSKA = AudioKind("matroska", "av", "matroska", ("mka", "webm"))
AVI = AudioKind("avi", "av", "avi", ("avi",))
MPEG_PROGRAM = AudioKind("mpeg-program", "av", "mpeg", ("mpg", "mpeg", "vob"))
MPEG_TRANSPORT = AudioKind("mpeg-transport", "av", "mpegts", ("ts", "m2ts", "mts"))
REALMEDIA = AudioKind("realmedia", "av", "rm", ("ra", "rm"))
ADTS = AudioKind("aac", "av", "aac", ("aac",))
LATM = AudioKind("aac-latm", "av", "loas", ("loas", "latm"))
AC3 = AudioKind("ac3", "av", "ac3", ("ac3",))
EAC3 = AudioKind("eac3", "av", "eac3", ("eac3", "ec3"))
DTS = AudioKind("dts", "av", "dts", ("dts",))
DTS_HD = AudioKind("dts-hd", "av", "dtshd", ("dtshd",))
TRUEHD = AudioKind("truehd", "av", "truehd", ("thd",))
MLP = AudioKind("mlp", "av", "mlp", ("mlp",))
SPDIF = AudioKind("spdif", "av", "spdif", ("spdif",))
WAVPACK = AudioKind("wavpack", "av", "wv", ("wv",))
TTA = AudioKind("tta", "av", "tta", ("tta",))
APE = AudioKind("ape", "av", "ape", ("ape",))
TAK = AudioKind("tak", "av", "tak", ("tak",))
SHORTEN = AudioKind("shorten", "av", "shn", ("shn",))
MUSEPACK_7 = AudioKind("musepack-7", "av", "mpc", ("mpc", "mpp"))
MUSEPACK_8 = AudioKind("musepack-8", "av", "mpc8", ("mpc",))
DSF = AudioKind("dsf", "av", "dsf", ("dsf",))
DSDIFF = AudioKind("dsdiff", "av", "iff", ("dff",))
AMR = AudioKind("amr", "av", "amr", ("amr",))
FLV = AudioKind("flv", "av", "flv", ("flv",))

KINDS = (
    *(WAV, W64, AIFF, CAF, AU, SVX, VOC, SPHERE, FLAC, MP3, MP2, VORBIS, OPUS, OGG_FLAC, SPEEX),
    *(MP4, ASF, MATROSKA, AVI, MPEG_PROGRAM, MPEG_TRANSPORT, REALMEDIA, FLV),
    *(ADTS, LATM, AC3, EAC3, DTS, DTS_HD, TRUEHD, MLP, SPDIF),
    *(WAVPACK, TTA, APE, TAK, SHORTEN, MUSEPACK_7, MUSEPACK_8, DSF, DSDIFF, AMR),
)
"""Every container that is read."""


def kind_named(name: str) -> AudioKind:
    """The container of this name."""
    return _BY_NAME[name]


_BY_NAME = {kind.name: kind for kind in KINDS}
