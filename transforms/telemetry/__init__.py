"""What a run counts and measures: every counter declared once, processor time, and sums of both."""
