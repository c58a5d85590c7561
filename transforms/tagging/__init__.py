"""What one run of `tag` does: outcomes, planning, assembly, files."""
