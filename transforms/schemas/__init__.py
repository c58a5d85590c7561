"""Every column of every file, each with a sentence that describes it."""
