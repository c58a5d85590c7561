"""The model card of a bundle: purpose, training data, metrics and limits."""

from collections.abc import Mapping
from typing import Any

from models.bundles.tagger_bundle import TagFacts, Tagging
from models.bundles.trunk_bundle import Embedding, TrunkFile
from models.scoring.formatting import show, with_interval
from transforms.taxonomy.hierarchy import Taxonomy


def origin_lines(source: str, licence: str) -> list[str]:
    """Lines of a card, after an empty one, on where a network is from; none if nothing is known."""
    known = [f"Source: {source}."] * bool(source) + [f"Licence: {licence}."] * bool(licence)
    return ["", *known] if known else []


def model_card(embedding: Embedding, tagging: Tagging, metrics: Mapping[str, Any]) -> str:
    """Markdown with Hugging Face front matter.

    Args:
      embedding: trunks, feature spec and pooling.
      tagging: taxonomy, heads and thresholds.
      metrics: the content of `metrics.json`.
    """
    trunks, tags = embedding.trunks, tagging.tags
    return "\n".join(
        [
            *_front_matter(),
            "# Music tagger",
            "",
            f"This model scores {len(tags)} tags ({_categories(tagging.taxonomy)}) of music from its audio. It uses "
            f"log-mel patches of {embedding.spec.patch_s:.1f} s, {_trunk_names(trunks)}, and linear heads on the track "
            "embedding.",
            "",
            f"It was trained on {metrics['tracks']['train']} tracks, validated on {metrics['tracks']['validation']} "
            f"and tested on {metrics['tracks']['test']}. {_test_artists(metrics)}.",
            "",
            *_trunk_lines(trunks),
            *comparison(metrics),
            "",
            metrics["note"],
            ranges_note(metrics),
            "",
            *_tag_table(tags),
            "",
            *_limits(tags),
        ]
    )


def _test_artists(metrics: Mapping[str, Any]) -> str:
    return shared_artists(metrics) or "No artist of a test track has training or validation tracks"


def shared_artists(metrics: Mapping[str, Any]) -> str | None:
    """A sentence on the artists of test tracks that also have training or validation tracks; None if none has."""
    found = metrics["test_artists"]
    if not found["shared"]:
        return None
    return f"{found['shared']} of {found['all']} artists of test tracks also have training or validation tracks"


def _categories(taxonomy: Taxonomy) -> str:
    return ", ".join(f"{category.name}: {category.kind}" for category in taxonomy.categories)


def _front_matter() -> list[str]:
    return ["---", "library_name: keras", "tags:", "- audio-classification", "- music", "---", ""]


def _trunk_names(trunks: tuple[TrunkFile, ...]) -> str:
    if not trunks:
        return "hand-crafted statistics of the spectrogram instead of a trunk"
    return ("the trunk " if len(trunks) == 1 else "the trunks ") + " and ".join(f"`{trunk.name}`" for trunk in trunks)


def _trunk_lines(trunks: tuple[TrunkFile, ...]) -> list[str]:
    """The origin of each trunk, and the first line of its licence. The manifest has the full text."""
    lines = []
    for trunk in trunks:
        how = "trained on the training tracks in `splits.parquet`" if trunk.learned else "frozen"
        known = [text for text in (trunk.source, trunk.licence.partition("\n")[0]) if text]
        lines.append(f"- `{trunk.name}`: {how}" + (f" ({', '.join(known)})" if known else ""))
    return [*lines, ""] if lines else []


def comparison(metrics: Mapping[str, Any]) -> list[str]:
    """A table of the macro metrics of the tagger and of the baselines. Those of the test split have intervals."""
    lines = ["| model | split | ROC-AUC | PR-AUC | tags rated |", "|---|---|---|---|---|"]
    intervals = metrics["intervals"]["test"]
    for model, splits in metrics["macro"].items():
        for split, macro in splits.items():
            known = intervals.get(model, {}) if split == "test" else {}
            cells = (with_interval(macro[name], known.get(name)) for name in ("roc_auc", "pr_auc"))
            lines.append(f"| {model} | {split} | {' | '.join(cells)} | {macro['tags']} |")
    return lines


def ranges_note(metrics: Mapping[str, Any]) -> str:
    """What the intervals are, or why there are none."""
    found = metrics["intervals"]
    if any(interval["low"] is not None for model in found["test"].values() for interval in model.values()):
        return (
            f"Brackets are {found['level']:.0%} confidence intervals: bootstrap over the artists of the test split, "
            f"{found['resamples']} resamples."
        )
    if not found["resamples"]:
        return "Confidence intervals were not computed, because the test split is large: run `catalog-tagger evaluate`."
    return "The test split has too few artists for confidence intervals."


def _tag_table(tags: tuple[TagFacts, ...]) -> list[str]:
    lines = [
        "| tag | training tracks | test tracks | ROC-AUC | PR-AUC | F1 | calibration error | threshold | chosen by |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for facts in tags:
        test = facts.metrics["test"]
        lines.append(
            f"| {facts.tag} | {facts.support} | {test['support']} | {show(test['roc_auc'])} | {show(test['pr_auc'])} "
            f"| {show(test['f1'])} | {show(test['ece'])} | {facts.threshold:.4f} | {facts.threshold_rule} |"
        )
    return lines


_CHOSEN = (
    "Thresholds were chosen on the published scores of held-out tracks. Metrics of a tag with few test tracks are "
    "uncertain: `catalog-tagger evaluate` computes a confidence interval for each (bootstrap over artists)."
)


def _limits(tags: tuple[TagFacts, ...]) -> list[str]:
    default = sum(facts.threshold_rule == "default" for facts in tags)
    absent = [facts.tag for facts in tags if facts.support == 0]
    lines = ["## Limits", "", _CHOSEN, ""]
    if default:
        lines.append(f"Tags with the default threshold of 0.5, because they have too few held-out tracks: {default}.")
    if absent:
        lines.append(f"No training track carries {', '.join(absent)}: do not use these scores.")
    return [*lines, ""]
