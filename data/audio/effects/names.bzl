"""Every effect: its source here, its test in tests/data/audio/effects, its name in the registry."""

EFFECTS = [
    "band_limit",
    "gain",
]
