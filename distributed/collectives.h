#pragma once

#include <ATen/core/Tensor.h>

#include <memory>

#include "distributed/mpi.h"

namespace strata {

/// Sums of tensors over the ranks of a group. Two backends, chosen by where the tensors live: MPI on the CPU, NCCL between
/// GPUs. Not thread-safe: the ranks of a group must issue the same operations in the same order.
class Collectives {
 public:
  /// The backend for tensors on `device`. NCCL is told who belongs together over `group`. Collective. Throws CommError, or
  /// ConfigError if GPUs are asked for and this build's LibTorch came without NCCL.
  static std::unique_ptr<Collectives> make(const at::Device& device, const Communicator& group);
  virtual ~Collectives() = default;

  /// Element-wise sum over all ranks, in place; when it returns the sum is there. In a fixed order for a given group, so
  /// results repeat bit for bit.
  ///   tensor  [N] contiguous, float32 or float64, on the backend's device, equal N on all ranks
  /// Throws CommError (rank, operation, elements, the library's text) or ShapeError for another tensor.
  void all_reduce_sum(const at::Tensor& tensor);

 protected:
  explicit Collectives(const at::Device& device) : device_(device) {}
  const at::Device& device() const { return device_; }

 private:
  virtual void sum(const at::Tensor& tensor) = 0;

  const at::Device device_;
};

}  // namespace strata
