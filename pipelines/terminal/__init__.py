"""What a user sees: tables, progress, errors."""
