#pragma once

#include <c10/core/Device.h>

#include <string>

#include "distributed/mpi.h"

namespace strata {

/// Where this rank computes. Its GPU is the one of its local rank.
///   wish  "auto" (a GPU if this machine shows one, else the CPU), "cpu" or "cuda"
/// Makes computing on the GPU repeatable, bit for bit, and full float32. Throws ConfigError if a GPU is asked for and none is
/// seen, or if this machine has more ranks than GPUs: NCCL takes one rank a GPU.
c10::Device choose_device(const std::string& wish, const Communicator& world);

/// What choose_device does for that, of the process, before anything is computed on a GPU.
void make_gpus_repeatable();

/// The CUDA that LibTorch was built with, or "none". The program is the same with and without a GPU.
std::string cuda_version();

/// The NCCL that is loaded with LibTorch, or "none".
std::string nccl_version();

/// "Open MPI v4.1.4".
std::string mpi_version();

/// "2 seen" or "none seen".
std::string gpu_text();

}  // namespace strata
