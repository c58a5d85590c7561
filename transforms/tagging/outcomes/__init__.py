"""What is known of the tracks of a bucket before they are extracted."""
