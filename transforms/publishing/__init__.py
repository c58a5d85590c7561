"""Publishing a finished run as a snapshot: gates and receipts, audit, commit, verification."""
