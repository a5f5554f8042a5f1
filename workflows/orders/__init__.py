"""The workflow of an order."""
