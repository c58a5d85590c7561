"""Music files as users have them: from several encoders, with and without tags, cut and joined without decoding."""

import dataclasses
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path


@dataclasses.dataclass(frozen=True, kw_only=True)
class Origin:
    """How a file came about.

    Attributes:
      name: as the table of figures prints it.
      suffix: of the file's name.
      command: the encoder's, with {source} and {target}; its first word is the tool.
      source: the WAV that is encoded, or the name of the origin that is cut.
      edit: what is done to the bytes afterwards.
    """

    name: str
    suffix: str
    command: str
    source: str = "stereo.wav"
    edit: Callable[[bytes], bytes] = bytes


def _middle(data: bytes) -> bytes:
    """Cut at bytes that begin and end no frame."""
    return data[len(data) // 9 + 13 : -len(data) // 9]


def _twice(data: bytes) -> bytes:
    return data + data


_COPY = "ffmpeg -v error -y -ss 3.3 -i {source} -c copy {target}"
_FFMPEG = "ffmpeg -v error -y -i {source}"

ORIGINS = (
    Origin(name="mp3 of lame -b 128", suffix="mp3", command="lame --quiet -b 128 {source} {target}"),
    Origin(name="mp3 of lame -V 2", suffix="mp3", command="lame --quiet -V 2 {source} {target}"),
    Origin(name="mp3 of lame -b 320", suffix="mp3", command="lame --quiet -b 320 {source} {target}"),
    Origin(name="mp3 of lame -V 2 -t (no length tag)", suffix="mp3", command="lame --quiet -t -V 2 {source} {target}"),
    Origin(
        name="mp3 of ffmpeg -write_xing 0",
        suffix="mp3",
        command=f"{_FFMPEG} -b:a 128k -write_xing 0 {{target}}",
    ),
    Origin(name="mp3 of lame -V 2, ffmpeg -c copy", suffix="mp3", command=_COPY, source="mp3 of lame -V 2"),
    Origin(
        name="mp3 of lame -b 128, cut by dd",
        suffix="mp3",
        command="lame --quiet -b 128 {source} {target}",
        edit=_middle,
    ),
    Origin(
        name="two mp3s of lame -V 2, joined by cat",
        suffix="mp3",
        command="lame --quiet -V 2 {source} {target}",
        edit=_twice,
    ),
    Origin(name="mp3 of shineenc -b 128", suffix="mp3", command="shineenc -q -b 128 {source} {target}"),
    Origin(name="mp3 of lame -b 64, mono", suffix="mp3", command="lame --quiet -b 64 -m m {source} {target}"),
    Origin(
        name="mp3 of lame -b 64, 22.05 kHz",
        suffix="mp3",
        command="lame --quiet -b 64 --resample 22.05 {source} {target}",
    ),
    Origin(name="mp2 of twolame -b 192", suffix="mp2", command="twolame --quiet -b 192 {source} {target}"),
    Origin(name="aac in mp4 of ffmpeg", suffix="m4a", command=f"{_FFMPEG} -c:a aac -b:a 128k {{target}}"),
    Origin(name="aac in mp4 of ffmpeg, ffmpeg -c copy", suffix="m4a", command=_COPY, source="aac in mp4 of ffmpeg"),
    Origin(name="aac without container of ffmpeg", suffix="aac", command=f"{_FFMPEG} -c:a aac -b:a 128k {{target}}"),
    Origin(name="opus of ffmpeg", suffix="opus", command=f"{_FFMPEG} -c:a libopus -b:a 96k {{target}}"),
    Origin(name="opus of ffmpeg, ffmpeg -c copy", suffix="opus", command=_COPY, source="opus of ffmpeg"),
)


def files(folder: Path) -> Iterator[tuple[Origin, Path]]:
    """The file of each origin whose tools are installed. They are made once, from `stereo.wav` in the folder."""
    origins = {origin.name: origin for origin in ORIGINS}
    for origin in ORIGINS:
        makers = [origin, *([origins[origin.source]] if origin.source in origins else [])]
        tools = [shlex.split(maker.command)[0] for maker in makers]
        if absent := [tool for tool in tools if shutil.which(tool) is None]:
            print(f"{origin.name}: left out, because {absent[0]} is not installed", file=sys.stderr)
            continue
        path = _path(folder, origin)
        if not path.exists():
            _make(folder, origin, path)
        yield origin, path


def _path(folder: Path, origin: Origin) -> Path:
    return folder / f"{origin.name.replace(' ', '_')}.{origin.suffix}"


def _make(folder: Path, origin: Origin, path: Path) -> None:
    origins = {other.name: other for other in ORIGINS}
    source = _path(folder, origins[origin.source]) if origin.source in origins else folder / origin.source
    part = path.with_name(f"part.{origin.suffix}")
    words = [word.format(source=source, target=part) for word in shlex.split(origin.command)]
    subprocess.run(words, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    path.write_bytes(origin.edit(part.read_bytes()))
    part.unlink()
