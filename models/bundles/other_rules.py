"""Writes a bundle again with other rules in its taxonomy. Network, heads and thresholds stay as they are."""

import dataclasses

from models.bundles.tagger_bundle import HEADS, Bundle, Tagging, load_bundle
from models.bundles.trunk_bundle import Embedding, read_checked
from models.bundles.writing import write_bundle
from transforms.taxonomy.hierarchy import load_rules


def write_with_rules(model: str, rules: str, url: str) -> Bundle:
    """Writes a bundle with the rules of a file.

    Args:
      model: the bundle.
      rules: a file that `load_rules` reads.
      url: empty folder, local or gs://.

    Raises:
      BundleError: there is no bundle, or the folder contains anything else.
      TaxonomyError: the file cannot be read, or has faults.
    """
    bundle = load_bundle(model)
    taxonomy = load_rules(rules, bundle.taxonomy)
    manifest, files = read_checked(model)
    fields = (field.name for field in dataclasses.fields(Embedding))
    return write_bundle(
        url,
        Embedding(**{name: getattr(bundle, name) for name in fields}),
        Tagging(taxonomy=taxonomy, heads=bundle.heads, tags=bundle.tags),
        {name: data for name, data in files.items() if name != HEADS},
        manifest["input_statistics"],
    )
