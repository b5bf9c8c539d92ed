#include "tools/commands/session.h"

#include <H5public.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <torch/headeronly/version.h>
#include <unistd.h>

#include <cstdlib>

#include "core/upstreams/upstream.h"
#include "distributed/device.h"

namespace strata {
namespace {

constexpr const char* kVersion = "0.1.0";

std::string hdf5_version() {
  unsigned major = 0, minor = 0, release = 0;
  H5get_libversion(&major, &minor, &release);
  return fmt::format("{}.{}.{}", major, minor, release);
}

}  // namespace

Session::Session(int argc, char** argv) : arguments_(argv, argv + argc) {}

ModelSearch Session::model_search() const {
  return {".", hub_cache_folder([](const char* name) -> const char* { return std::getenv(name); })};
}

std::string Session::command_text() const {
  std::vector<std::string> words = arguments_;
  if (!words.empty()) words.front() = "strata";
  return fmt::format("{}", fmt::join(words, " "));
}

Json Session::provenance() const {
  char host[256] = {};
  ::gethostname(host, sizeof host - 1);
  return {{"strata", kVersion},         {"torch", TORCH_VERSION},
          {"mpi", mpi_version()},       {"hdf5", hdf5_version()},
          {"host", host},               {"command", command_text()},
          {"ranks", world_ == nullptr ? 1 : world_->size()}};
}

std::string version_text() {
  return fmt::format("strata {}\nLibTorch {}\nCUDA {}\nNCCL {}\nMPI {}\nHDF5 {}\nGPU {}", kVersion, TORCH_VERSION, cuda_version(), nccl_version(),
                     mpi_version(), hdf5_version(), gpu_text());
}

}  // namespace strata
