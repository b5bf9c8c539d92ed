#pragma once

#include <string>

namespace strata {

/// The CUDA that LibTorch was built with, or "none". The program is the same with and without a GPU.
std::string cuda_version();

/// The NCCL that is loaded with LibTorch, or "none".
std::string nccl_version();

/// "Open MPI v4.1.4".
std::string mpi_version();

/// "2 seen" or "none seen".
std::string gpu_text();

}  // namespace strata
