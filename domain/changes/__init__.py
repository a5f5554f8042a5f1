"""Changes of an order after it was placed."""
