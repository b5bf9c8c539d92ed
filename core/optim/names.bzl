"""The optimizers and the schedules: one library, one entry of `:all` and one test each."""

OPTIMIZERS = [
    "adam",
    "adamw",
    "sgd",
]

SCHEDULES = [
    "constant",
    "linear",
]
