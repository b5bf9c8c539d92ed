#include "distributed/collectives.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/base/error.h"
#include "distributed/nccl.h"

namespace strata {
namespace {

class MpiCollectives : public Collectives {
 public:
  explicit MpiCollectives(const Communicator& group) : Collectives(at::kCPU), group_(group) {}

 private:
  template <class T>
  void sum_of(const at::Tensor& tensor) {
    group_.all_reduce_sum(std::span(tensor.mutable_data_ptr<T>(), static_cast<std::size_t>(tensor.numel())));
  }

  void sum(const at::Tensor& tensor) override {
    tensor.scalar_type() == at::kFloat ? sum_of<float>(tensor) : sum_of<double>(tensor);
  }

  const Communicator& group_;
};

}  // namespace

std::unique_ptr<Collectives> Collectives::make(const at::Device& device, const Communicator& group) {
  if (device.is_cpu()) return std::make_unique<MpiCollectives>(group);
  return make_nccl_collectives(device, group);
}

void Collectives::all_reduce_sum(const at::Tensor& tensor) {
  const bool real = tensor.scalar_type() == at::kFloat || tensor.scalar_type() == at::kDouble;
  if (!real || tensor.dim() != 1 || !tensor.is_contiguous() || tensor.device() != device_) {
    throw ShapeError(fmt::format("all_reduce on {}: expected a contiguous vector of float32 or float64 there, found {} {} on {}", device_.str(),
                                 toString(tensor.scalar_type()), tensor.sizes().vec(), tensor.device().str()));
  }
  sum(tensor);
}

}  // namespace strata
