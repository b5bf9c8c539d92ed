"""Upstream families; each is a source of this name here and a test of this name + _test in tests/core/upstreams."""

UPSTREAMS = [
    "fbank",
    "mfcc",
]

# Libraries that families are made of.
UPSTREAM_DEPS = {
    "fbank": [":spectral"],
    "mfcc": [":spectral"],
}
