"""Claims: one workflow for each."""
