#include "distributed/device.h"

#include <ATen/Context.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <dlfcn.h>
#include <fmt/format.h>
#include <mpi.h>

#include <cstdlib>

#include "core/base/error.h"

namespace strata {
namespace {

int count_gpus() { return at::hasCUDA() ? static_cast<int>(at::detail::getCUDAHooks().deviceCount()) : 0; }

}  // namespace

c10::Device choose_device(const std::string& wish, const Communicator& world) {
  const int gpus = wish == "cpu" ? 0 : count_gpus();
  if (gpus == 0) {
    if (wish == "cuda") throw ConfigError("\"device\": \"cuda\" is asked for, but no GPU is seen on this machine");
    return c10::kCPU;
  }
  if (world.local_size() > gpus) {
    throw ConfigError(fmt::format("this machine has {} GPUs and {} ranks, and each rank needs a GPU of its own; start {} ranks a machine, or take \"device\": \"cpu\"",
                                  gpus, world.local_size(), gpus));
  }
  make_gpus_repeatable();
  return c10::Device(c10::kCUDA, static_cast<c10::DeviceIndex>(world.local_rank()));
}

void make_gpus_repeatable() {
  ::setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8", /*overwrite=*/0);  // cuBLAS repeats its results only with a fixed workspace
  at::globalContext().setDeterministicAlgorithms(true, /*warn_only=*/false);
  at::globalContext().setAllowTF32CuDNN(false);
}

std::string cuda_version() {
  if (!at::detail::getCUDAHooks().hasCUDART()) return "none";
  const long version = at::detail::getCUDAHooks().versionCUDART();
  return fmt::format("{}.{}", version / 1000, version % 1000 / 10);
}

std::string nccl_version() {
  // libtorch_cuda links NCCL; asking the loaded library needs no header of it, so a build without CUDA compiles too.
  using GetVersion = int (*)(int*);
  const auto get = reinterpret_cast<GetVersion>(::dlsym(RTLD_DEFAULT, "ncclGetVersion"));
  int version = 0;
  if (get == nullptr || get(&version) != 0) return "none";
  return fmt::format("{}.{}.{}", version / 10000, version % 10000 / 100, version % 100);
}

std::string mpi_version() {
  char text[MPI_MAX_LIBRARY_VERSION_STRING];
  int length = 0;
  MPI_Get_library_version(text, &length);
  const std::string all(text, static_cast<std::size_t>(length));
  return all.substr(0, all.find(','));
}

std::string gpu_text() {
  const int count = count_gpus();
  return count > 0 ? fmt::format("{} seen", count) : "none seen";
}

}  // namespace strata
