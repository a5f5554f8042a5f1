"""Returns: one workflow for each."""
