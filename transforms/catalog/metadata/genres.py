"""Names of genres in all spellings of ID3: codes, codes in brackets, references with a text, and several in a field."""

import re
from collections.abc import Iterable, Iterator

from transforms.taxonomy.tag_ids import shown, slug

_CODES = tuple(
    """Blues;Classic Rock;Country;Dance;Disco;Funk;Grunge;Hip-Hop;Jazz;Metal;New Age;Oldies;Other;Pop;R&B;Rap;Reggae;
Rock;Techno;Industrial;Alternative;Ska;Death Metal;Pranks;Soundtrack;Euro-Techno;Ambient;Trip-Hop;Vocal;Jazz+Funk;
Fusion;Trance;Classical;Instrumental;Acid;House;Game;Sound Clip;Gospel;Noise;AlternRock;Bass;Soul;Punk;Space;
Meditative;Instrumental Pop;Instrumental Rock;Ethnic;Gothic;Darkwave;Techno-Industrial;Electronic;Pop-Folk;Eurodance;
Dream;Southern Rock;Comedy;Cult;Gangsta;Top 40;Christian Rap;Pop/Funk;Jungle;Native American;Cabaret;New Wave;
Psychedelic;Rave;Showtunes;Trailer;Lo-Fi;Tribal;Acid Punk;Acid Jazz;Polka;Retro;Musical;Rock & Roll;Hard Rock;Folk;
Folk-Rock;National Folk;Swing;Fast Fusion;Bebop;Latin;Revival;Celtic;Bluegrass;Avantgarde;Gothic Rock;Progressive Rock;
Psychedelic Rock;Symphonic Rock;Slow Rock;Big Band;Chorus;Easy Listening;Acoustic;Humour;Speech;Chanson;Opera;
Chamber Music;Sonata;Symphony;Booty Bass;Primus;Porn Groove;Satire;Slow Jam;Club;Tango;Samba;Folklore;Ballad;
Power Ballad;Rhythmic Soul;Freestyle;Duet;Punk Rock;Drum Solo;A Cappella;Euro-House;Dance Hall;Goa;Drum & Bass;
Club-House;Hardcore Techno;Terror;Indie;BritPop;Afro-Punk;Polsk Punk;Beat;Christian Gangsta Rap;Heavy Metal;
Black Metal;Crossover;Contemporary Christian;Christian Rock;Merengue;Salsa;Thrash Metal;Anime;Jpop;Synthpop;Abstract;
Art Rock;Baroque;Bhangra;Big Beat;Breakbeat;Chillout;Downtempo;Dub;EBM;Eclectic;Electro;Electroclash;Emo;Experimental;
Garage;Global;IDM;Illbient;Industro-Goth;Jam Band;Krautrock;Leftfield;Lounge;Math Rock;New Romantic;Nu-Breakz;
Post-Punk;Post-Rock;Psytrance;Shoegaze;Space Rock;Trop Rock;World Music;Neoclassical;Audiobook;Audio Theatre;
Neue Deutsche Welle;Podcast;Indie Rock;G-Funk;Dubstep;Garage Rock;Psybient""".replace("\n", "").split(";")
)
"""Genre of each code: those of ID3v1, then Winamp's."""

_NO_GENRE = 255
_REFERENCE = re.compile(r"\((\d{1,3}|RX|CR)\)\s*")
_SEPARATORS = re.compile(r"[;|\0\n；]|\\\\")


def genre_names(texts: Iterable[str]) -> tuple[list[str], list[str]]:
    """The genres that the texts of a file name, without repetitions; and a message for each code without a genre.

    >>> genre_names(["(17)(4)Eurodisco", "RX", "Jazz; Soul"])
    (['Rock', 'Disco', 'Eurodisco', 'Remix', 'Jazz', 'Soul'], [])
    """
    names: dict[str, str] = {}
    faults = []
    for text in texts:
        for part in _SEPARATORS.split(text):
            for word in _words(part.strip()):
                try:
                    if (name := _name(word)) is not None:
                        names.setdefault(slug(name), name)
                except ValueError as e:
                    faults.append(str(e))
    names.pop("", None)
    return list(names.values()), faults


def genre_code(code: int) -> str | None:
    """The genre of a code; None for 255, which means that there is none.

    Raises:
      ValueError: the code has no genre.
    """
    if code == _NO_GENRE:
        return None
    if not 0 <= code < len(_CODES):
        raise ValueError(f"no genre has the code {code}: write its name")
    return _CODES[code]


def _words(text: str) -> Iterator[str]:
    """The references in brackets at the start of a text, without brackets; then the rest of the text."""
    at = 0
    while reference := _REFERENCE.match(text, at):
        yield reference[1]
        at = reference.end()
    rest = text[at:]
    yield rest[1:] if rest.startswith("((") else rest  # a bracket that is part of the name is doubled


def _name(word: str) -> str | None:
    if word.isdecimal():
        if len(word) > 3:
            raise ValueError(f"{shown(word)} is not a genre: write its name")
        return genre_code(int(word))
    return {"RX": "Remix", "CR": "Cover"}.get(word, word or None)
