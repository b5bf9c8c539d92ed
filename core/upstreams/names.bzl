"""Upstream families; each is a source of this name here and a test of this name + _test in tests/core/upstreams."""

# Analyses without weights.
SPECTRAL_UPSTREAMS = [
    "fbank",
    "mfcc",
]

# Encoders in Hugging Face's form.
SPEECH_UPSTREAMS = [
    "data2vec_audio",
    "hubert",
    "wav2vec2",
    "wavlm",
]

# Encoders in fairseq's form.
MULTI_RESOLUTION_UPSTREAMS = [
    "mr_hubert",
]

UPSTREAMS = SPECTRAL_UPSTREAMS + SPEECH_UPSTREAMS + MULTI_RESOLUTION_UPSTREAMS
