"""The answers to the documented queries, by loops over rows: no SQL, and no function of the engine that answers them.

An oracle takes the tables as lists of dicts; `previous_...` are those of the snapshot before.
"""

import math
from collections import Counter, defaultdict
from itertools import combinations

import numpy as np


def float32(value):
    """Differences of two columns are float32 in the engine; ties depend on it."""
    return np.float32(value)


def mean(values):
    return sum(map(float, values)) / len(values) if values else None


def rounded(value, digits):
    """Rounds as SQL does, halves away from zero: Python rounds them to even."""
    if value is None:
        return None
    scaled = float(value) * 10**digits
    return math.copysign(math.floor(abs(scaled) + 0.5), scaled) / 10**digits


def by_id(rows):
    return {row["track_id"]: row for row in rows}


def positives(tables, prefix=""):
    return [row for row in tables[f"{prefix}track_tags"] if row["is_positive"]]


def frequent_tags(tables):
    scores = defaultdict(list)
    for row in positives(tables):
        scores[row["tag"]].append(row["score"])
    rows = [(tag, len(found), rounded(mean(found), 3)) for tag, found in scores.items()]
    return sorted(rows, key=lambda row: (-row[1], row[0]))[:20]


def calm_instrumentals(tables):
    tracks, score = by_id(tables["tracks"]), {(r["track_id"], r["tag"]): r["score"] for r in positives(tables)}
    rows = []
    for track_id, track in tracks.items():
        calm, voice = (score.get((track_id, tag)) for tag in ("mood/calm", "voice/instrumental"))
        if calm is not None and voice is not None:
            rows.append((track_id, track["title"], track["artist"], calm, voice))
    return sorted(rows, key=lambda row: (-row[3], row[0]))


def genres_of_decades(tables):
    tracks, counts = by_id(tables["tracks"]), Counter()
    for row in positives(tables):
        if row["category"] == "genre":
            year = tracks[row["track_id"]]["year"]
            counts[None if year is None else year // 10 * 10, row["tag"]] += 1
    totals = Counter()
    for (decade, _), number in counts.items():
        totals[decade] += number
    rows = [(decade, tag, n, rounded(100 * n / totals[decade], 1)) for (decade, tag), n in counts.items()]
    return sorted(rows, key=lambda row: (row[0] is None, row[0] or 0, -row[2], row[1]))


def sound_of_an_artist(tables):
    tracks, own, every = by_id(tables["tracks"]), defaultdict(list), defaultdict(list)
    for row in tables["track_tags"]:
        every[row["tag"]].append(row["score"])
        if tracks[row["track_id"]]["artist_id"] == "artist-001":
            own[row["tag"]].append(row["score"])
    rows = [(tag, rounded(mean(own[tag]), 3), rounded(mean(found), 3)) for tag, found in every.items()]
    return sorted(rows, key=lambda r: (r[1] is None, -(r[1] - r[2]) if r[1] is not None else 0, r[0]))[:10]


def rejects(tables):
    rows = [row for row in tables["ledger"] if row["status"] == "rejected"]
    found = [tuple(row[name] for name in ("reason", "stage", "track_id", "uri", "detail")) for row in rows]
    return sorted(found, key=lambda row: (row[0], row[2]))


def changes_of_status(tables):
    now, before = by_id(tables["ledger"]), by_id(tables["previous_ledger"])
    pairs = [(before.get(i, {}).get("status"), now.get(i, {}).get("status")) for i in now.keys() | before.keys()]
    rows = [(*pair, number) for pair, number in Counter(pairs).items()]
    return sorted(rows, key=lambda r: (-r[2], r[0] is None, r[0] or "", r[1] is None, r[1] or ""))


def gained_and_lost(tables):
    kept = by_id(tables["tracks"]).keys() & by_id(tables["previous_tracks"]).keys()
    taxonomy, earlier = ({row["tag"] for row in tables[f"{prefix}taxonomy"]} for prefix in ("", "previous_"))
    olds = [(old, row["tag"]) for row in tables["taxonomy"] for old in row["other_ids"] or ()]
    times = Counter(old for old, _ in olds)
    renamed = {old: tag for old, tag in olds if times[old] == 1 and old in earlier - taxonomy}
    now = {(row["track_id"], row["tag"]): row for row in tables["track_tags"] if row["track_id"] in kept}
    before = {}
    for row in tables["previous_track_tags"]:
        if row["track_id"] in kept:
            key = row["track_id"], renamed.get(row["tag"], row["tag"])
            other = before.get(key, {"score": -1, "is_positive": False})
            either = row["is_positive"] or other["is_positive"]
            before[key] = {"score": max(row["score"], other["score"]), "is_positive": either}
    rows = []
    for tag in sorted({tag for _, tag in now.keys() | before.keys()}):
        gained = lost = 0
        moves = []
        for track_id in kept:
            new, old = now.get((track_id, tag)), before.get((track_id, tag))
            is_now, was = bool(new and new["is_positive"]), bool(old and old["is_positive"])
            gained, lost = gained + (is_now and not was), lost + (was and not is_now)
            if new and old:
                moves.append(abs(float32(new["score"]) - float32(old["score"])))
        fresh = "renamed" if tag in renamed.values() else "new"
        state = "removed" if tag not in taxonomy else "kept" if tag in earlier else fresh
        rows.append((tag, state, gained, lost, rounded(max(moves), 4) if moves else None))
    return sorted(rows, key=lambda row: (-row[2] - row[3], row[0]))


def co_occurrences(tables):
    tags, single, together = defaultdict(set), Counter(), Counter()
    for row in positives(tables):
        tags[row["track_id"]].add((row["category"], row["tag"]))
        single[row["tag"]] += 1
    for found in tags.values():
        for a, b in combinations(sorted(found), 2):
            if a[0] < b[0]:
                together[a[1], b[1]] += 1
    tracks = len(tables["tracks"])
    rows = [(a, b, n, rounded(n * tracks / (single[a] * single[b]), 2)) for (a, b), n in together.items()]
    return sorted(rows, key=lambda row: (-row[2], -row[3], row[0], row[1]))[:20]


def shares_of_tags(tables):
    annotated, given = defaultdict(set), defaultdict(set)
    parents = {row["tag"]: row["parents"] for row in tables["taxonomy"]}
    for row in tables["track_tags"]:
        if row["expert_weight"] is not None:
            annotated[row["category"]].add(row["track_id"])
        waiting = [row["tag"]] if row["expert_weight"] else []
        while waiting:
            tag = waiting.pop()
            given[tag].add(row["track_id"])
            waiting += parents[tag]
    rows = []
    for tag in tables["taxonomy"]:
        own = [row for row in tables["track_tags"] if row["tag"] == tag["tag"]]
        of = len(annotated[tag["category"]])
        positive = rounded(sum(row["is_positive"] for row in own) / len(tables["tracks"]), 3)
        score = rounded(mean([row["score"] for row in own]), 3)
        share = rounded(len(given[tag["tag"]]) / of, 3) if of else None
        rows.append((tag["tag"], tag["threshold"], positive, score, share))
    return sorted(rows, key=lambda r: (r[4] is None, -abs(r[2] - r[4]) if r[4] is not None else 0, r[0]))


def similar_tracks(tables):
    vectors = {row["track_id"]: np.array(row["embedding"], np.float64) for row in tables["embeddings"]}
    this, rows = vectors["track-0000"], []
    for track in tables["tracks"]:
        if track["track_id"] != "track-0000":
            other = vectors[track["track_id"]]
            cosine = this @ other / math.sqrt((this @ this) * (other @ other))
            rows.append((track["track_id"], track["title"], track["artist"], rounded(float(cosine), 4)))
    return sorted(rows, key=lambda row: (-row[3], row[0]))[:10]


def duplicates(tables):
    tracks, rows = by_id(tables["tracks"]), []
    for row in tables["ledger"]:
        own, other = tracks.get(row["track_id"]), tracks.get(row["duplicate_of"])
        if own and other:
            rows.append((row["track_id"], own["title"], row["duplicate_of"], other["title"]))
    return sorted(rows)


def unsure_tracks(tables):
    limits = {row["tag"]: row["threshold"] for row in tables["taxonomy"] if row["kind"] == "multilabel"}
    tracks, distances = by_id(tables["tracks"]), defaultdict(list)
    for row in tables["track_tags"]:
        if limits.get(row["tag"]) is not None:
            distances[row["track_id"]].append((abs(float32(row["score"]) - float32(limits[row["tag"]])), row["tag"]))
    rows = [
        (i, tracks[i]["title"], rounded(mean([distance for distance, _ in found]), 4), min(found)[1])
        for i, found in distances.items()
    ]
    return sorted(rows, key=lambda row: (row[2], row[0]))[:10]


def one_column_a_tag(tables):
    names = ("voice/vocal", "tempo/fast", "mood/energetic", "mood/calm", "mood/sad")
    scores = {(row["track_id"], row["tag"]): row["score"] for row in tables["track_tags"]}
    tracks = sorted({row["track_id"] for row in tables["track_tags"]})
    return [(i, *(scores.get((i, name)) for name in names)) for i in tracks]


def doubtful_labels(tables):
    rows = [row for row in tables["track_tags"] if row["expert_weight"] is not None]

    def order(row):
        distance = abs(float32(row["expert_weight"]) - float32(row["model_score"]))
        return -distance, row["track_id"], row["tag"]

    columns = ("track_id", "tag", "expert_weight", "model_score")
    return [tuple(row[name] for name in columns) for row in sorted(rows, key=order)[:10]]


def playlist(tables):
    tracks, rows, seen = by_id(tables["tracks"]), [], set()
    energetic = [row for row in tables["track_tags"] if row["tag"] == "mood/energetic"]
    for row in sorted(energetic, key=lambda row: (-row["score"], row["track_id"])):
        track = tracks[row["track_id"]]
        if track["artist_id"] is None or track["artist_id"] not in seen:
            seen.add(track["artist_id"])
            rows.append((row["track_id"], track["artist"], track["title"], row["score"]))
    return rows[:10]


def amount_of_audio(tables):
    tracks, groups = by_id(tables["tracks"]), defaultdict(list)
    for row in tables["ledger"]:
        groups[row["status"]].append(row)
    rows = []
    for status, found in groups.items():
        seconds = [float(tracks[row["track_id"]]["duration_s"]) for row in found if row["track_id"] in tracks]
        sizes = [row["source_bytes"] for row in found if row["source_bytes"] is not None]
        minutes = rounded(sum(seconds) / 60, 1) if seconds else None
        rows.append((status, len(found), minutes, rounded(sum(sizes) / 1e6, 1) if sizes else None))
    return sorted(rows, key=lambda row: -row[1])


def calmest_artists(tables):
    rows = [row for row in tables["artist_tags"] if row["tag"] == "mood/calm" and row["tracks"] >= 2]
    rows.sort(key=lambda row: (-row["mean_score"], row["artist_id"]))
    numbers = ("mean_score", "positive_share", "score_spread")
    return [(row["artist_id"], row["tracks"], *(rounded(row[name], 3) for name in numbers)) for row in rows[:10]]


def tracks_for_a_mix(tables):
    def fits(bpm):
        return bpm is not None and 120 <= bpm <= 128

    names = ("tempo_bpm", "tempo_confidence", "tempo_alternative_bpm", "key_confidence", "camelot")
    rows = [row for row in tables["tracks"] if row.get("key") == "A minor"]
    rows = [row for row in rows if fits(row["tempo_bpm"]) or fits(row["tempo_alternative_bpm"])]
    sure = {row["track_id"]: float32(row["tempo_confidence"] * row["key_confidence"]) for row in rows}
    rows.sort(key=lambda row: (not fits(row["tempo_bpm"]), -sure[row["track_id"]], row["track_id"]))
    return [(row["track_id"], row["title"], *(row[name] for name in names)) for row in rows[:20]]


def missing_artists(tables):
    here = {row["artist_id"] for row in tables["tracks"]}
    ledger, groups = by_id(tables["ledger"]), defaultdict(list)
    for row in tables["previous_tracks"]:
        if row["artist_id"] is not None and row["artist_id"] not in here:
            groups[row["artist_id"]].append(row)
    rows = []
    for artist_id, found in groups.items():
        now = [ledger.get(row["track_id"], {}).get("status") for row in found]
        names = [row["artist"] for row in found if row["artist"] is not None]
        counts = (now.count("rejected"), now.count("deferred"), now.count(None))
        rows.append((artist_id, min(names, default=None), len(found), *counts))
    return sorted(rows, key=lambda row: (-row[2], row[0]))


def sureness_of_categories(tables):
    groups = defaultdict(lambda: defaultdict(list))
    for row in tables["track_tags"]:
        groups[row["category"]][row["track_id"]].append(row)
    rows = []
    for category, tracks in groups.items():
        best = [max(row["score"] for row in found) for found in tracks.values()]
        sure = sum(score >= float32(0.9) for score in best)
        bare = sum(not any(row["is_positive"] for row in found) for found in tracks.values())
        shares = (rounded(sure / len(tracks), 3), rounded(bare / len(tracks), 3))
        rows.append((category, len(tracks), rounded(mean(best), 3), *shares))
    return sorted(rows, key=lambda row: (row[2], row[0]))


def tags_of_countries(tables):
    countries = {row["track_id"]: row["country"] for row in tables["tracks"] if row["country"] is not None}
    totals, rows = Counter(countries.values()), []
    counts = Counter(
        (countries[row["track_id"]], row["tag"]) for row in positives(tables) if row["track_id"] in countries
    )
    for country in sorted(totals):
        own = sorted(((tag, n) for (of, tag), n in counts.items() if of == country), key=lambda one: (-one[1], one[0]))
        rows += [(country, tag, n, rounded(n / totals[country], 3)) for tag, n in own[:3]]
    return rows


def artists_unlike_their_genre(tables):
    genre_of = {
        row["artist_id"]: row["tag"] for row in tables["artist_tags"] if row["category"] == "genre" and row["rank"] == 1
    }
    others = [row for row in tables["artist_tags"] if row["category"] != "genre" and row["artist_id"] in genre_of]
    groups = defaultdict(list)
    for row in others:
        groups[genre_of[row["artist_id"]], row["tag"]].append(row["mean_score"])
    moves = defaultdict(dict)
    for row in others:
        found = groups[genre_of[row["artist_id"]], row["tag"]]
        if len(found) >= 2:
            moves[row["artist_id"]][row["tag"]] = row["mean_score"] - mean(found)
    rows = []
    for artist_id, own in moves.items():
        distance = math.sqrt(mean([move**2 for move in own.values()]))
        _, most = max((rounded(abs(move), 6), tag) for tag, move in own.items())
        rows.append((artist_id, genre_of[artist_id], rounded(distance, 3), most))
    return sorted(rows, key=lambda row: (-row[2], row[0]))[:10]


def weighted_wish(tables):
    weights = {"mood/calm": 0.8, "voice/instrumental": 0.5, "tempo/fast": -1}
    parents = {row["tag"]: row["parents"] for row in tables["taxonomy"]}

    def is_under(tag, broad):
        return tag == broad or any(is_under(parent, broad) for parent in parents[tag])

    totals = {}
    for track_id in by_id(tables["tracks"]):
        own = {row["tag"]: float(row["score"]) for row in tables["track_tags"] if row["track_id"] == track_id}
        totals[track_id] = 0
        for tag, weight in weights.items():
            q = 0.1 + 0.8 * max((score for one, score in own.items() if is_under(one, tag)), default=0)
            totals[track_id] += weight * math.log(q / (1 - q))
    tracks = by_id(tables["tracks"])
    rows = sorted(totals.items(), key=lambda one: (-rounded(one[1], 9), one[0]))[:10]
    return [(i, tracks[i]["title"], tracks[i]["artist"], rounded(score, 4)) for i, score in rows]


ORACLES = {
    1: frequent_tags,
    2: calm_instrumentals,
    3: genres_of_decades,
    4: sound_of_an_artist,
    5: rejects,
    6: changes_of_status,
    7: gained_and_lost,
    8: co_occurrences,
    9: shares_of_tags,
    10: similar_tracks,
    11: duplicates,
    12: unsure_tracks,
    13: one_column_a_tag,
    14: doubtful_labels,
    15: playlist,
    16: amount_of_audio,
    17: calmest_artists,
    18: tracks_for_a_mix,
    19: missing_artists,
    20: sureness_of_categories,
    21: tags_of_countries,
    22: artists_unlike_their_genre,
    23: weighted_wish,
}
"""Number of a documented query -> its oracle."""
