"""The tasks there are: each has its own .cc here and its own test under tests/trainers/tasks."""

TASKS = [
    "asr",
    "lid",
    "pr",
    "sid",
]
