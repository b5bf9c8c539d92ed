"""The interfaces: one library, one entry of `:all` and one test each."""

INTERFACES = [
    "hconv",
    "last_layer",
    "single_layer",
    "weighted_sum",
]
