"""Every corpus that `strata prepare` knows: its source here, its test in tests/data/corpora, its name in the registry."""

_OWN_DATA = [
    ":delimited",
    ":splits",
    "//data/manifest:json_lines",
]

# What each needs besides :corpus.
CORPORA = {
    "debian_speech": [
        ":debian_recordings",
        ":debian_splits",
        ":phones",
        ":text",
        "//core/base:random",
    ],
    "kaldi": _OWN_DATA,
    "lhotse": _OWN_DATA,
    "table": _OWN_DATA,
}
