"""The fusions: one library, one entry of `:all` and one test each."""

FUSIONS = [
    "individual_heads",
    "joint_hconv",
    "naive",
    "none",
    "shared_head",
    "structured",
]
