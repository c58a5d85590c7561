"""Checks every file of a bundle and reports every problem, not only the first one."""

from collections.abc import Iterator

from models.beats.bundle import KIND, NETWORK_FILE, read_beat_bundle
from models.bundles.tagger_bundle import HEADS, load_bundle
from models.bundles.text_bundle import load_text_bundle
from models.bundles.trunk_bundle import TEXT_NETWORK, BundleError, load_trunks, read_file, read_manifest_of
from models.trunks.loading import check_onnx
from models.trunks.onnx_file import check_self_contained
from transforms import storage


def bundle_problems(url: str) -> Iterator[str]:
    """Yields one sentence per problem: files that are missing or changed, ids, heads, and ONNX files.

    Raises:
      BundleError: there is no bundle, or its manifest cannot be read.
    """
    manifest = read_manifest_of(url)
    files = manifest["files"]
    contents = {}
    for name, sha256 in files.items():
        try:
            contents[name] = read_file(url, name, sha256)
        except (BundleError, storage.StorageError) as error:
            yield str(error)
    if len(contents) < len(files):
        return
    try:
        if manifest.get("kind") == KIND:
            read_beat_bundle(url)
            check_self_contained(contents[NETWORK_FILE], "network of beats")
            return
        if TEXT_NETWORK in manifest:
            check_self_contained(load_text_bundle(url).onnx, "text network")
            return
        bundle = load_bundle(url) if HEADS in files else load_trunks(url)
        for trunk in bundle.trunks:
            if "onnx" in trunk.files:
                check_onnx(contents[trunk.files["onnx"]], trunk, url)
    except BundleError as error:
        yield str(error)
