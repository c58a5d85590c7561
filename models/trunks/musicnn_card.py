"""The model card of an imported MusiCNN bundle."""

from models.trunks.musicnn_package import DATASETS, LEAST_VOCALS_SCORE
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
            f"This model scores {len(taxonomy.tags)} tags of music from its audio. It uses log-mel patches of 3.0 s "
            "and a convolutional network with filters tall in frequency or long in time. The output layer of the "
            "network is used as heads on the track embedding.",
            "",
            f"The weights are the published ones: {SOURCE}, ISC licence (`LICENSE.musicnn.txt`), by Jordi Pons, Music "
            "Technology Group, Universitat Pompeu Fabra. The network was rebuilt in Keras 3 with these weights. It was "
            "not trained further.",
            "",
            "| category | tags |",
            "|---|---|",
            *tags,
            "",
            "By rule, `vocals/present` and `vocals/absent` compare the best score for vocals with the best one against "
            f"them. A track has no answer if both are below {LEAST_VOCALS_SCORE}.",
            "",
            "## Limits",
            "",
            f"The network was trained on {DATASETS[dataset]}, and its scores are not calibrated for your music. Use "
            "them to compare tracks, not as probabilities. All thresholds are the default 0.2. With a few hundred "
            "labelled tracks, `catalog-tagger train --trunk` fits calibrated heads on this trunk.",
            "",
            f"The network has seen the labels of {DATASETS[dataset]}. Do not report metrics on those tracks, neither "
            "of these heads nor of new ones.",
            "",
            "The package averages the scores of a track's patches. Here, the output layer scores the mean embedding of "
            "the patches. Patches are converted to float16 after the logarithm. The package converts to float16 before "
            "it, which overflows for loud music and gives other tags there.",
            "",
            "## Citation",
            "",
            _CITATION,
            "",
        ]
    )
