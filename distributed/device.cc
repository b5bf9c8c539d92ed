#include "distributed/device.h"

#include <ATen/Context.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <dlfcn.h>
#include <fmt/format.h>
#include <mpi.h>

namespace strata {

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
  const auto count = at::hasCUDA() ? at::detail::getCUDAHooks().deviceCount() : 0;
  return count > 0 ? fmt::format("{} seen", static_cast<int>(count)) : "none seen";
}

}  // namespace strata
