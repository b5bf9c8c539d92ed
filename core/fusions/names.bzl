"""The fusions: one library, one entry of `:all` and one test each."""

FUSIONS = [
    "none",
]
