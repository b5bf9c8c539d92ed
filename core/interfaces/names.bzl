"""The interfaces: one library, one entry of `:all` and one test each."""

INTERFACES = [
    "cls_pooling",
    "concat",
    "grouped_weighted_sum",
    "hconv",
    "last_layer",
    "mean_layers",
    "pca",
    "single_layer",
    "weighted_sum",
]
