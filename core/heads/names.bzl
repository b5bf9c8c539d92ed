"""The heads: one library, one entry of `:all` and one test each."""

HEADS = [
    "linear_ctc",
    "mean_pool_linear",
    "rnn_ctc",
]
