"""EasyPost, which speaks for many carriers (API v2)."""
