"""Exchanges: one workflow for each."""
