"""Settings, Temporal plugin, codec, telemetry and the wiring of each process."""
