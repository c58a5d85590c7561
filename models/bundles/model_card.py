"""The model card of a bundle: what it does, what it was trained on, how well it does it."""

from collections.abc import Mapping
from typing import Any

from models.bundles.tagger_bundle import TagFacts, Tagging
from models.bundles.trunk_bundle import Embedding, TrunkFile
from models.scoring.formatting import show, with_interval
from transforms.taxonomy.hierarchy import Taxonomy


def model_card(embedding: Embedding, tagging: Tagging, metrics: Mapping[str, Any]) -> str:
    """Markdown with Hugging Face front matter.

    Args:
      embedding: what makes embeddings.
      tagging: what makes tags of them.
      metrics: what `metrics.json` holds.
    """
    trunks, tags = embedding.trunks, tagging.tags
    return "\n".join(
        [
            *_front_matter(),
            "# Music tagger",
            "",
            f"Scores {len(tags)} tags ({_categories(tagging.taxonomy)}) from audio: log-mel patches of "
            f"{embedding.spec.patch_s:.1f} s, {_trunk_names(trunks)}, linear heads on the track embedding.",
            "",
            f"Trained on {metrics['tracks']['train']} tracks; tuned on {metrics['tracks']['validation']}; tested on "
            f"{metrics['tracks']['test']} {_by_whom(metrics)}.",
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


def _by_whom(metrics: Mapping[str, Any]) -> str:
    shared = shared_artists(metrics)
    return f"({shared})" if shared else "by artists that training never saw"


def shared_artists(metrics: Mapping[str, Any]) -> str | None:
    """How many artists of test tracks training saw; None: none of them."""
    found = metrics["test_artists"]
    if not found["shared"]:
        return None
    return f"{found['shared']} of {found['all']} artists of test tracks have training or validation tracks too"


def _categories(taxonomy: Taxonomy) -> str:
    return ", ".join(f"{category.name}: {category.kind}" for category in taxonomy.categories)


def _front_matter() -> list[str]:
    return ["---", "library_name: keras", "tags:", "- audio-classification", "- music", "---", ""]


def _trunk_names(trunks: tuple[TrunkFile, ...]) -> str:
    if not trunks:
        return "no trunk but fixed statistics of the mels"
    return ("the trunk " if len(trunks) == 1 else "the trunks ") + " and ".join(f"`{trunk.name}`" for trunk in trunks)


def _trunk_lines(trunks: tuple[TrunkFile, ...]) -> list[str]:
    """Where each trunk is from; the licence's first line stands for it, its text is in the manifest."""
    lines = []
    for trunk in trunks:
        how = "trained on the training tracks that `splits.parquet` names" if trunk.learned else "frozen"
        known = [text for text in (trunk.source, trunk.licence.partition("\n")[0]) if text]
        lines.append(f"- `{trunk.name}`: {how}" + (f" ({', '.join(known)})" if known else ""))
    return [*lines, ""] if lines else []


def comparison(metrics: Mapping[str, Any]) -> list[str]:
    """A table of macro metrics, the tagger's against the baselines', with intervals on the test split."""
    lines = ["| model | split | ROC-AUC | PR-AUC | tags rated |", "|---|---|---|---|---|"]
    intervals = metrics["intervals"]["test"]
    for model, splits in metrics["macro"].items():
        for split, macro in splits.items():
            known = intervals.get(model, {}) if split == "test" else {}
            cells = (with_interval(macro[name], known.get(name)) for name in ("roc_auc", "pr_auc"))
            lines.append(f"| {model} | {split} | {' | '.join(cells)} | {macro['tags']} |")
    return lines


def ranges_note(metrics: Mapping[str, Any]) -> str:
    """What the ranges are, or why there are none."""
    found = metrics["intervals"]
    if any(interval["low"] is not None for model in found["test"].values() for interval in model.values()):
        return f"Ranges hold {found['level']:.0%} of {found['resamples']} resamples of the test split's artists."
    if not found["resamples"]:
        return "The test split is large: `catalog-tagger evaluate` gives ranges over its artists."
    return "The test split has too few artists for ranges."


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
    "Thresholds were chosen on scores as they are published, of tracks that the head behind them had not seen. Figures "
    "on few test tracks say little: `catalog-tagger evaluate` gives each its interval over artists."
)


def _limits(tags: tuple[TagFacts, ...]) -> list[str]:
    default = sum(facts.threshold_rule == "default" for facts in tags)
    absent = [facts.tag for facts in tags if facts.support == 0]
    lines = ["## Limits", "", _CHOSEN, ""]
    if default:
        lines.append(f"Tags that keep the default threshold of 0.5, for want of such tracks: {default}.")
    if absent:
        lines.append(f"No training track carries {', '.join(absent)}: these scores say nothing.")
    return [*lines, ""]
