// On machines with a GPU for each rank: bazel test //tests/distributed:nccl_test_1 (and _2).
#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <gmock/gmock.h>

#include "distributed/collectives.h"
#include "distributed/device.h"

namespace strata {
namespace {

TEST(Nccl, SumsOverAllRanksAndRepeatsBitForBit) {
  const Communicator world = Communicator::world();
  const c10::Device device = choose_device("cuda", world);
  const auto collectives = Collectives::make(device, world);
  for (const at::ScalarType type : {at::kFloat, at::kDouble}) {
    const at::Tensor values = at::arange(100000, type).div(7).add(world.rank()).to(device);
    const at::Tensor first = values.clone(), second = values.clone(), on_cpu = values.cpu();
    collectives->all_reduce_sum(first);
    collectives->all_reduce_sum(second);
    Collectives::make(at::kCPU, world)->all_reduce_sum(on_cpu);
    EXPECT_TRUE(first.equal(second));
    EXPECT_TRUE(first.cpu().allclose(on_cpu, 1e-6, 0));
  }
}

}  // namespace
}  // namespace strata
