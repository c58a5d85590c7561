"""What a tagger is worth: metrics, intervals, report."""
