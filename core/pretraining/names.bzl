"""Objectives of pre-training; each is a source of this name here and a test of this name + _test."""

OBJECTIVES = [
    "data2vec",
    "hubert",
    "mrhubert",
]
