"""Stand-ins for the vendors: real HTTP servers with books on disk, and dials that make them misbehave."""
