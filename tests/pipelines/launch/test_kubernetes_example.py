"""The manifest that `deploy/` shows is the one that the program makes."""

from pathlib import Path

from pipelines.launch.gpu_job import GpuJob
from pipelines.launch.kubernetes import KubernetesPlace, manifests, to_yaml

EXAMPLE = Path(__file__).parents[3] / "deploy" / "kubernetes" / "train-job.yaml"


def example() -> str:
    """Two machines with a GPU each, and a volume."""
    job = GpuJob(
        name="train-moods",
        image="registry/catalog-tagger:0.1.0-gpu",
        words=("train", "--dataset=/data/dataset", "--output=/data/bundles/moods"),
        folder="/data/bundles/moods.job",
        machines=2,
        service_account="trainer",
    )
    return to_yaml(manifests(job, KubernetesPlace(namespace="music", claim="music-data", mount="/data")))


def test_the_example_is_what_the_program_makes() -> None:
    assert EXAMPLE.read_text(encoding="utf-8") == example()
