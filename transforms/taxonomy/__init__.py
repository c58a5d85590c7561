"""Categories, tags, their hierarchy and training targets."""
