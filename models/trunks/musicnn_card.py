"""The model card of an imported MusiCNN bundle."""

from models.trunks.musicnn_package import DATASETS
from transforms.taxonomy.hierarchy import Taxonomy

SOURCE = "Python package musicnn 0.1.0, https://github.com/jordipons/musicnn"

_CITATION = """```
@inproceedings{pons2019musicnn,
  title={musicnn: Pre-trained convolutional neural networks for music audio tagging},
  author={Pons, Jordi and Serra, Xavier},
  booktitle={Late-breaking/demo session, International Society for Music Information Retrieval Conference (ISMIR)},
  year={2019}
}
```"""


def musicnn_card(dataset: str, taxonomy: Taxonomy) -> str:
    """Markdown with Hugging Face front matter."""
    tags = [f"| {category.name} | {', '.join(tag.name for tag in category.tags)} |" for category in taxonomy.categories]
    return "\n".join(
        [
            *("---", "library_name: keras", "license: isc", "tags:", "- audio-classification", "- music", "---", ""),
            f"# MusiCNN, trained on {DATASETS[dataset]}",
            "",
            f"Scores {len(taxonomy.tags)} tags from audio: log-mel patches of 3.0 s, a convolutional network with tall "
            "and long filters, its output layer as heads on the track embedding.",
            "",
            f"The weights are the published ones: {SOURCE}, ISC licence (`LICENSE.musicnn.txt`), by Jordi Pons, Music "
            "Technology Group, Universitat Pompeu Fabra. The network was re-built and given those weights; nothing was "
            "trained here.",
            "",
            "| category | tags |",
            "|---|---|",
            *tags,
            "",
            "## Limits",
            "",
            f"The scores were learned on {DATASETS[dataset]} and are not calibrated to your music: compare tracks by "
            "them rather than read them as probabilities. All thresholds are the default 0.2; with a few hundred "
            "labelled tracks of your own, `catalog-tagger train --trunk` puts calibrated heads on this trunk.",
            "",
            f"The network has seen the labels of {DATASETS[dataset]}: figures on its tracks, of these heads or of new "
            "ones, are not of unseen music.",
            "",
            "The package averages the scores of a track's patches; here the output layer sees the mean of their "
            "embeddings. The patches are float16 after the logarithm; the package's own float16, before it, overflows "
            "for loud music and gives other tags there.",
            "",
            "## Citation",
            "",
            _CITATION,
            "",
        ]
    )
