"""The outside world: payment providers, carriers, mail and portals, with the stand-ins that we run ourselves."""
