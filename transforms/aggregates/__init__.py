"""Tags of groups of tracks, artists and albums: exact sums of scores over all buckets."""
