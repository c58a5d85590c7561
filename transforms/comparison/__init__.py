"""What differs between two snapshots: tracks, tags and scores, bucket by bucket."""
