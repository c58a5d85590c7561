"""Every column of every file, each with the sentence that documents it."""
