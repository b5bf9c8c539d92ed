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

def strata_mpi_test(name, ranks, deps = [], size = "small", **kwargs):
    """`name`.cc run under mpirun, once for each number in `ranks`: tests `name`_1, `name`_2, ...

    A rank that fails fails the test; a test that finds another number of ranks than it was asked for fails too.
    """
    native.cc_binary(
        name = name + "_program",
        testonly = True,
        srcs = [name + ".cc"],
        deps = deps + ["@gtest", "//tests:mpi_main"],
    )
    for r in ranks:
        native.sh_test(
            name = "%s_%d" % (name, r),
            srcs = ["//tests:run_under_mpi.sh"],
            args = [str(r), "$(location :%s_program)" % name],
            data = [":%s_program" % name],
            size = size,
            **kwargs
        )
