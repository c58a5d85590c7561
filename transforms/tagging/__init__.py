"""The steps of one run of `tag`: outcomes, planning, assembly, files."""
