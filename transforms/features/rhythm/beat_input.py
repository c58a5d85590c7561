"""How sound becomes the input of a beat-tracking network, and how its output is read."""

import dataclasses
import hashlib
import json
from typing import Any, Literal, Self, get_args

DECODER_VERSION = 1
"""Increased if `beats.decode` or `beat_mels` gives other values."""

MelScale = Literal["slaney", "htk"]
MelNorm = Literal["none", "slaney"]

SPARED_S = 2.0
"""An excerpt that is longer than whole chunks by at most this is cropped to them: the rest would cost a chunk more."""

_WHOLE = {
    "sample_rate": (8_000, 48_000),
    "n_fft": (64, 8_192),
    "hop_length": (16, 8_192),
    "n_mels": (8, 512),
    "power": (1, 2),
    "chunk_frames": (100, 6_000),
    "border_frames": (0, 500),
}
_REAL = {"fmin": (0, 24_000), "fmax": (0, 24_000), "log_multiplier": (1e-6, 1e9), "log_offset": (1e-10, 1.0)}
_SCALINGS = ("tempo_scaling", "metre_scaling")


@dataclasses.dataclass(frozen=True, kw_only=True)
class BeatInput:
    """What a network takes, and how sure its answers are. The defaults fit the exports of Beat This!.

    The input is `log(log_offset + log_multiplier * mel)` of frames that are centred on every hop. Logits are taken as
    those of probabilities: 0 is one half.

    Attributes:
      sample_rate: rate that the mono excerpt is resampled to, Hz.
      n_fft: samples of one Hann window (periodic) and of its Fourier transform.
      hop_length: samples between two frames.
      n_mels: mel bands.
      fmin: lowest frequency of the mel bank, Hz.
      fmax: highest frequency of the mel bank, Hz; at most half the sample rate.
      mel_scale: `slaney` (linear below 1 kHz) or `htk`.
      mel_norm: `none`: the triangles have height 1; `slaney`: they have equal areas.
      power: 1: mel of the magnitude of the spectrum; 2: of its square.
      log_multiplier: factor of the mel values. A transform that is divided by the root of the window's length, and then
        multiplied by 1,000, is 1000 / sqrt(1024) = 31.25.
      log_offset: 1 for log(1 + x); a small number for log(x).
      chunk_frames: frames that the network takes at once.
      border_frames: frames at both ends of a chunk whose output is not used, because the network lacks their
        surroundings. Beyond the excerpt they are 0.
      tempo_scaling: slope and shift of `network.calibrated`, from the evidence for the tempo to the probability that it
        is right. The default fits a network without training, on rendered pieces (decision 68): a better one is right
        more often than it says.
      metre_scaling: the same for the metre. The default is that of the tempo, and not fitted.
    """

    sample_rate: int = 22_050
    n_fft: int = 1_024
    hop_length: int = 441
    n_mels: int = 128
    fmin: float = 30.0
    fmax: float = 11_000.0
    mel_scale: MelScale = "slaney"
    mel_norm: MelNorm = "none"
    power: int = 1
    log_multiplier: float = 31.25
    log_offset: float = 1.0
    chunk_frames: int = 1_500
    border_frames: int = 6
    tempo_scaling: tuple[float, float] = (0.5, 0.0)
    metre_scaling: tuple[float, float] = (0.5, 0.0)

    def __post_init__(self) -> None:
        for name, (low, high) in _WHOLE.items():
            value = getattr(self, name)
            if type(value) is not int or not low <= value <= high:
                raise ValueError(f"{name}={value!r:.60}: a whole number from {low} to {high} is needed")
        for name, (least, most) in _REAL.items():
            value = getattr(self, name)
            if type(value) not in (int, float) or not least <= value <= most:
                raise ValueError(f"{name}={value!r:.60}: a number from {least:g} to {most:g} is needed")
        for name, kind in (("mel_scale", MelScale), ("mel_norm", MelNorm)):
            if getattr(self, name) not in get_args(kind):
                raise ValueError(f"{name}={getattr(self, name)!r:.60}: choose {' or '.join(get_args(kind))}")
        for name in _SCALINGS:
            values = getattr(self, name)
            if len(values) != 2 or not all(type(value) in (int, float) and abs(value) <= 100 for value in values):
                raise ValueError(f"{name}={values!r:.60}: a slope and a shift from -100 to 100 are needed")
        self._check_together()

    def _check_together(self) -> None:
        if not self.fmin < self.fmax <= self.sample_rate / 2:
            raise ValueError(
                f"fmin={self.fmin:g}, fmax={self.fmax:g}: fmin must be below fmax, and fmax at most half the sample "
                f"rate of {self.sample_rate}"
            )
        if not 20 <= self.frames_hz <= 200:
            raise ValueError(
                f"hop_length={self.hop_length}: {self.frames_hz:.3g} frames a second at {self.sample_rate} Hz: 20 to "
                "200 are needed"
            )
        if self.chunk_frames <= 4 * self.border_frames:
            raise ValueError(
                f"border_frames={self.border_frames}: at most a quarter of chunk_frames={self.chunk_frames} is allowed"
            )

    @property
    def frames_hz(self) -> float:
        """Frames a second."""
        return self.sample_rate / self.hop_length

    @property
    def kept_frames(self) -> int:
        """Frames of a chunk whose output is used."""
        return self.chunk_frames - 2 * self.border_frames

    def wanted_frames(self, frames: int) -> int:
        """How many of the frames of an excerpt the network gets: all, or whole chunks, see `SPARED_S`."""
        chunks, rest = divmod(frames, self.kept_frames)
        return frames - rest if chunks and rest <= SPARED_S * self.frames_hz else frames

    def most_frames(self, excerpt_s: float) -> int:
        """Most frames of an excerpt of this length."""
        return self.wanted_frames(2 + int(excerpt_s * self.frames_hz))

    def to_json(self) -> dict[str, Any]:
        """The spec as a JSON object."""
        return {**dataclasses.asdict(self), **{name: list(getattr(self, name)) for name in _SCALINGS}}

    @classmethod
    def from_json(cls, obj: dict[str, Any]) -> Self:
        """Reads what `to_json` wrote, or a document of a user. Missing fields have the defaults.

        Raises:
          ValueError: a field is unknown, or a value is not allowed. The message names it.
        """
        names = {field.name for field in dataclasses.fields(cls)}
        if unknown := sorted(set(map(str, obj)) - names):
            raise ValueError(f"{unknown[0]!r:.60} is no field: choose from {', '.join(sorted(names))}")
        for name in _SCALINGS:
            if name in obj and not isinstance(obj[name], list | tuple):
                raise ValueError(f"{name}={obj[name]!r:.60}: a slope and a shift from -100 to 100 are needed")
        return cls(**{name: _one_spelling(name, value) for name, value in obj.items()})


def _one_spelling(name: str, value: Any) -> Any:
    """A value so that equal ones have equal ids: 30 is 30.0 where a real number is meant."""
    if name in _SCALINGS:
        return tuple(float(one) if type(one) is int else one for one in value)
    return float(value) if name in _REAL and type(value) is int else value


@dataclasses.dataclass(frozen=True, kw_only=True)
class BeatSpec:
    """The network of a run: its id, and what it takes.

    Attributes:
      beats_id: see `beats_id_of`.
      input: how sound becomes its input.
    """

    beats_id: str
    input: BeatInput = dataclasses.field(default_factory=BeatInput)

    def to_json(self) -> dict[str, Any]:
        """The spec as a JSON object."""
        return {"beats_id": self.beats_id, "input": self.input.to_json()}

    @classmethod
    def from_json(cls, obj: dict[str, Any]) -> Self:
        """Reads what `to_json` wrote.

        Raises:
          ValueError: a value is not allowed.
        """
        return cls(beats_id=str(obj["beats_id"]), input=BeatInput.from_json(obj["input"]))


def beats_id_of(digest: str, batch: int, names: tuple[str, ...], given: BeatInput) -> str:
    """Hash of a network (SHA-256 of its file), its batch, its input and outputs, and of the decoder's version."""
    facts = {"network": digest, "batch": batch, "names": names, "input": given.to_json(), "decoder": DECODER_VERSION}
    return "be-" + hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]
