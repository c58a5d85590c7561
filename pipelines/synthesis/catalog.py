"""A synthetic catalog from a seed: artists, recipes of songs, and the tags that rules derive from each recipe."""

import dataclasses
from collections.abc import Iterable
from typing import Any

import numpy as np

from pipelines.synthesis.song import Mode, Song, Timbre

TRACKS_PER_ARTIST = 3

TEMPI = {"slow": (60, 78), "medium": (92, 112), "fast": (138, 165)}
"""Range of beats per minute of each `tempo` tag. No song has a tempo in between, so the tags are unambiguous."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Genre:
    """Instruments and tempi of a genre.

    Attributes:
      core: instruments in every song.
      extra: instrument, including `voice` -> probability to be in a song.
      tempi: the tempo tags that occur.
    """

    core: tuple[str, ...]
    extra: dict[str, float]
    tempi: tuple[str, ...]


GENRES = {
    "folk": Genre(core=("guitar",), extra={"voice": 0.6, "flute": 0.5, "bass": 0.3}, tempi=("slow", "medium", "fast")),
    "techno": Genre(core=("drums", "bass"), extra={"voice": 0.3, "bells": 0.5, "organ": 0.3}, tempi=("medium", "fast")),
    "ambient": Genre(core=("bells",), extra={"voice": 0.3, "flute": 0.5, "organ": 0.4}, tempi=("slow", "medium")),
    "gospel": Genre(core=("organ",), extra={"voice": 0.8, "drums": 0.4, "bass": 0.4}, tempi=("slow", "medium", "fast")),
    "funk": Genre(core=("drums", "bass", "guitar"), extra={"voice": 0.5, "organ": 0.3}, tempi=("medium", "fast")),
}

INSTRUMENTS = ("bass", "bells", "drums", "flute", "guitar", "organ")

MOODS: dict[str, tuple[str, ...]] = {
    "energetic": (),
    "soft": (),
    "dark": (),
    "happy": ("energetic",),
    "tense": ("energetic",),
    "calm": ("soft",),
    "sad": ("soft",),
    "euphoric": ("happy",),
    "groovy": ("happy",),
    "aggressive": ("tense",),
    "ominous": ("tense", "dark"),
    "dreamy": ("calm",),
    "warm": ("calm",),
    "wistful": ("sad",),
    "gloomy": ("sad", "dark"),
}
"""Mood -> broader moods, on three levels; two moods have two parents."""

_MOOD_RULE = {
    ("energetic", "major", True): "euphoric",
    ("energetic", "major", False): "groovy",
    ("energetic", "minor", True): "aggressive",
    ("energetic", "minor", False): "ominous",
    ("soft", "major", True): "dreamy",
    ("soft", "major", False): "warm",
    ("soft", "minor", True): "wistful",
    ("soft", "minor", False): "gloomy",
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Artist:
    """A synthetic artist: key, name, genre, country, language and timbre."""

    artist_id: str
    name: str
    genre: str
    country: str
    language: str
    timbre: Timbre


@dataclasses.dataclass(frozen=True, kw_only=True)
class SyntheticTrack:
    """A song with its metadata in the catalog. `tags` are the annotated tags, which may lack some of the true ones."""

    track_id: str
    title: str
    album_id: str
    year: int
    artist: Artist
    song: Song
    tags: tuple[str, ...]


def mood_of(tempo: str, mode: str, bright: bool, drums: bool) -> str:
    """The most specific mood. Fast songs, and medium ones with drums, are energetic; the rest is mode and treble."""
    energy = "energetic" if tempo == "fast" or (tempo == "medium" and drums) else "soft"
    return _MOOD_RULE[energy, mode, bright]


def tempo_of(bpm: float) -> str:
    """The `tempo` tag of a song.

    Raises:
      ValueError: the tempo is in no range.
    """
    for name, (low, high) in TEMPI.items():
        if low <= bpm <= high:
            return name
    raise ValueError(f"bpm={bpm} is in none of {TEMPI}")


def true_tags(genre: str, song: Song) -> dict[str, list[str]]:
    """Category -> tags, derived only from the recipe; parents of a mood are implied and not listed."""
    tempo, drums = tempo_of(song.bpm), "drums" in song.levels
    return {
        "voice": ["voice/vocal" if "voice" in song.levels else "voice/instrumental"],
        "genre": [f"genre/{genre}"],
        "instrument": [f"instrument/{name}" for name in INSTRUMENTS if name in song.levels],
        "tempo": [f"tempo/{tempo}"],
        "mode": [f"mode/{song.mode}"],
        "mood": [f"mood/{mood_of(tempo, song.mode, song.bright, drums)}"],
    }


def taxonomy() -> dict[str, Any]:
    """The taxonomy of the synthetic catalog, as a document for YAML."""

    def tags(category: str, slugs: Iterable[str]) -> list[dict[str, Any]]:
        return [{"id": f"{category}/{slug}", "name": slug.capitalize()} for slug in slugs]

    moods = [
        {
            "id": f"mood/{slug}",
            "name": slug.capitalize(),
            **({"parents": [f"mood/{parent}" for parent in parents]} if parents else {}),
            **({"aliases": ["mood/peaceful"]} if slug == "calm" else {}),
        }
        for slug, parents in MOODS.items()
    ]
    return {
        "categories": [
            {"name": "voice", "kind": "binary", "tags": tags("voice", ["vocal", "instrumental"])},
            {"name": "genre", "kind": "multiclass", "tags": tags("genre", GENRES)},
            {"name": "instrument", "kind": "multilabel", "tags": tags("instrument", INSTRUMENTS)},
            {"name": "tempo", "kind": "multiclass", "tags": tags("tempo", TEMPI)},
            {"name": "mode", "kind": "multiclass", "tags": tags("mode", ["major", "minor"])},
            {"name": "mood", "kind": "multilabel", "tags": moods},
        ]
    }


def make_artists(count: int, seed: int) -> list[Artist]:
    """Makes `count` artists with the genres in turn. Artist n does not depend on `count`."""
    return [_make_artist(number, seed) for number in range(count)]


def _make_artist(number: int, seed: int) -> Artist:
    rng = np.random.default_rng([seed, 1, number])
    place = [("SE", "sv"), ("BR", "pt"), ("JP", "ja"), ("ML", "fr"), ("US", "en")][int(rng.integers(5))]
    name = f"The {rng.choice(_ADJECTIVES)} {rng.choice(_NOUNS)}"
    timbre = Timbre(
        tilt=float(rng.uniform(0.8, 1.4)),
        detune=float(2 ** (rng.uniform(-15, 15) / 1200)),
        swing=float(rng.uniform(0, 0.3)),
        reverb_s=float(rng.uniform(0.2, 1.2)),
        width=float(rng.uniform(0, 0.8)),
        noise=float(10 ** rng.uniform(-4, -2.5)),
    )
    genre = list(GENRES)[number % len(GENRES)]
    return Artist(
        artist_id=f"artist-{number:03d}", name=name, genre=genre, country=place[0], language=place[1], timbre=timbre
    )


def make_tracks(count: int, seed: int) -> list[SyntheticTrack]:
    """Makes `count` tracks, three per artist. Track n does not depend on `count`."""
    artists = make_artists(-(-count // TRACKS_PER_ARTIST), seed)
    return [_make_track(number, artists[number // TRACKS_PER_ARTIST], seed) for number in range(count)]


def _make_track(number: int, artist: Artist, seed: int) -> SyntheticTrack:
    rng = np.random.default_rng([seed, 2, number])
    song = _make_song(rng, artist, (seed, 3, number))
    return SyntheticTrack(
        track_id=f"track-{number:04d}",
        title=f"{rng.choice(_ADJECTIVES)} {rng.choice(_NOUNS)}",
        album_id=f"album-{number // TRACKS_PER_ARTIST:03d}-{number % 2}",
        year=int(rng.integers(1996, 2026)),
        artist=artist,
        song=song,
        tags=_annotated(rng, artist.genre, song),
    )


def _make_song(rng: np.random.Generator, artist: Artist, seed: tuple[int, ...]) -> Song:
    genre = GENRES[artist.genre]
    names = [*genre.core, *(name for name, chance in genre.extra.items() if rng.random() < chance)]
    low, high = TEMPI[str(rng.choice(genre.tempi))]
    mode: Mode = "major" if rng.random() < 0.5 else "minor"
    return Song(
        bpm=float(rng.integers(low, high + 1)),
        mode=mode,
        tonic=int(rng.choice([57, 60])),
        levels={name: round(float(rng.uniform(0.5, 1.0)), 2) for name in names},
        bright=bool(rng.random() < 0.5),
        timbre=artist.timbre,
        seed=seed,
    )


def _annotated(rng: np.random.Generator, genre: str, song: Song) -> tuple[str, ...]:
    """The annotated tags: usually all, sometimes none or without some categories, sometimes with weights."""
    known = true_tags(genre, song)
    fate = rng.random()
    if fate < 0.05:
        return ()
    if fate < 0.2:
        for category in rng.choice(sorted(known), 2, replace=False):
            del known[str(category)]
    elif fate < 0.35:
        # The weight of an instrument is its level in the mix.
        known["instrument"] = [f"{tag}:{song.levels[tag.split('/')[1]]}" for tag in known["instrument"]]
    return tuple(tag for tags in known.values() for tag in tags)


_ADJECTIVES = (
    "Amber",
    "Broken",
    "Distant",
    "Electric",
    "Frozen",
    "Golden",
    "Hidden",
    "Late",
    "Paper",
    "Silent",
    "Wild",
)
_NOUNS = ("Animals", "Bridges", "Circles", "Engines", "Gardens", "Lanterns", "Mirrors", "Oceans", "Rivers", "Windows")
