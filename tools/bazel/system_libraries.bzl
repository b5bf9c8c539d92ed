"""Libraries of the machine as Bazel repositories.

A repository links to the library's include folders and says how to link it; `@name//:name` is its one target.
"""

_BUILD = """package(default_visibility = ["//visibility:public"])

cc_library(
    name = "{name}",
    hdrs = glob({patterns}, allow_empty = True),
    defines = {defines},
    includes = {includes},
    linkopts = {linkopts},
)
"""

def _write(ctx, includes, linkopts, parts = None, defines = []):
    """Links each folder of `includes` (only its subfolders `parts`, if given) and writes the BUILD file."""
    names = []
    for i, folder in enumerate(includes):
        names.append("include%d" % i)
        if not parts:
            ctx.symlink(folder, names[-1])
        for part in parts or []:
            ctx.symlink("%s/%s" % (folder, part), "%s/%s" % (names[-1], part))
    ctx.file("BUILD", _BUILD.format(
        name = ctx.name,
        patterns = repr([n + "/**" for n in names]),
        includes = repr(names),
        linkopts = repr(linkopts),
        defines = repr(defines),
    ))

def _pkg_config_impl(ctx):
    result = ctx.execute(["pkg-config", "--cflags", "--libs", ctx.attr.module])
    if result.return_code != 0:
        fail("pkg-config does not know %s; run tools/setup. It said: %s" % (ctx.attr.module, result.stderr))
    flags = [f for f in result.stdout.replace("\n", " ").split(" ") if f]
    includes = [f[2:] for f in flags if f.startswith("-I") and f != "-I/usr/include"]
    linkopts = [f for f in flags if f.startswith("-L") or f.startswith("-l") or f == "-pthread"]
    _write(ctx, includes, linkopts, defines = ctx.attr.defines)

pkg_config_library = repository_rule(
    doc = "A library that pkg-config knows under the name `module`.",
    implementation = _pkg_config_impl,
    attrs = {
        "defines": attr.string_list(),
        "module": attr.string(mandatory = True),
    },
    configure = True,
)

# Folders beside torch's in which pip puts the CUDA libraries that a build with CUDA needs when it is linked and run.
_NVIDIA = [
    "cu13/lib",
    "cudnn/lib",
    "cusparselt/lib",
    "nccl/lib",
    "nvshmem/lib",
]

def _torch_impl(ctx):
    folder = ctx.os.environ.get("STRATA_TORCH", "")
    if not folder:
        fail("STRATA_TORCH is not set: build with tools/build, which finds torch")
    includes = [folder + "/include"]

    # libtorch.so exports parts of an old libstdc++ that it was linked with (std::filesystem::remove_all crashes there);
    # the machine's must be found first.
    linkopts = ["-L%s/lib" % folder, "-Wl,-rpath,%s/lib" % folder, "-Wl,--no-as-needed", "-lstdc++", "-lc10", "-ltorch", "-ltorch_cpu"]
    nvidia = ctx.path(folder + "/../nvidia")
    if ctx.path(folder + "/lib/libtorch_cuda.so").exists:
        linkopts += ["-lc10_cuda", "-ltorch_cuda"]
        for part in _NVIDIA:
            if ctx.path("%s/%s" % (nvidia, part)).exists:
                linkopts += ["-Wl,-rpath,%s/%s" % (nvidia, part), "-Wl,-rpath-link,%s/%s" % (nvidia, part)]
    linkopts.append("-Wl,--as-needed")

    # Not all of include/: torch's wheel carries headers of other libraries too, and its fmt would hide the machine's.
    _write(ctx, includes, linkopts, parts = ["ATen", "c10", "torch"])

torch_library = repository_rule(
    doc = "LibTorch in the folder that the environment variable STRATA_TORCH names; with CUDA where it was built so.",
    implementation = _torch_impl,
    environ = ["STRATA_TORCH"],
    configure = True,
)

def _nccl_impl(ctx):
    # Empty where torch came without CUDA: nccl.cc then says so when a GPU is asked for.
    nvidia = ctx.path(ctx.os.environ.get("STRATA_TORCH", "") + "/../nvidia")
    if ctx.path("%s/nccl/include/nccl.h" % nvidia).exists and ctx.path("%s/cu13/include/cuda_runtime_api.h" % nvidia).exists:
        linkopts = []
        for part, library in [("nccl", "libnccl.so.2"), ("cu13", "libcudart.so.13")]:
            linkopts += ["-L%s/%s/lib" % (nvidia, part), "-Wl,-rpath,%s/%s/lib" % (nvidia, part), "-l:" + library]
        _write(ctx, ["%s/nccl/include" % nvidia, "%s/cu13/include" % nvidia], linkopts, defines = ["STRATA_NCCL"])
    else:
        _write(ctx, [], [])

nccl_library = repository_rule(
    doc = "NCCL and the CUDA headers from pip's packages beside the torch that STRATA_TORCH names, where they are.",
    implementation = _nccl_impl,
    environ = ["STRATA_TORCH"],
    configure = True,
)
