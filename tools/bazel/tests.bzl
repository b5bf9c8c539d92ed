"""Tests of three kinds: plain, under mpirun, and (tagged) on a GPU."""

def strata_test(name, deps = [], size = "small", data = [], env = {}, **kwargs):
    """A GoogleTest program `name`.cc; it runs in the checkout, one intra-op thread unless it says otherwise."""
    native.cc_test(
        name = name,
        srcs = [name + ".cc"],
        deps = deps + ["@gtest", "//tests:main"],
        size = size,
        data = data,
        env = dict({"OMP_NUM_THREADS": "1"}, **env),
        **kwargs
    )
