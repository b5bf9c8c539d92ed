#include "distributed/collectives.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <gmock/gmock.h>

#include "core/base/error.h"
#include "distributed/device.h"
#include "tests/errors.h"

namespace strata {
namespace {

using testing::HasSubstr;

class CollectivesTest : public testing::Test {
 protected:
  const Communicator world = Communicator::world();
};

TEST_F(CollectivesTest, SumOnTheCpuOverAllRanks) {
  const auto collectives = Collectives::make(at::kCPU, world);
  for (const at::ScalarType type : {at::kFloat, at::kDouble}) {
    const at::Tensor tensor = at::arange(5, type) + world.rank();
    collectives->all_reduce_sum(tensor);
    const double ranks = world.size();
    const at::Tensor expected = at::arange(5, type) * ranks + ranks * (ranks - 1) / 2;
    EXPECT_TRUE(tensor.equal(expected)) << tensor;
  }
}

TEST_F(CollectivesTest, SumOfAGroupAlone) {
  const Communicator group = world.split(world.rank() % 2);
  const at::Tensor tensor = at::full({3}, world.rank(), at::kFloat);
  Collectives::make(at::kCPU, group)->all_reduce_sum(tensor);
  float expected = 0;
  for (int r = world.rank() % 2; r < world.size(); r += 2) expected += static_cast<float>(r);
  EXPECT_TRUE(tensor.equal(at::full({3}, expected))) << tensor;
}

TEST_F(CollectivesTest, RefuseOtherTensors) {
  const auto collectives = Collectives::make(at::kCPU, world);
  const auto sum_of = [&](const at::Tensor& tensor) { return error_of<ShapeError>([&] { collectives->all_reduce_sum(tensor); }); };
  EXPECT_THAT(sum_of(at::empty({2, 3}, at::kFloat)), HasSubstr("expected a contiguous vector of float32 or float64 there, found Float [2, 3] on cpu"));
  EXPECT_THAT(sum_of(at::empty({3}, at::kLong)), HasSubstr("found Long [3]"));
  EXPECT_THAT(sum_of(at::empty({3}, at::TensorOptions(at::kFloat).device(at::kMeta))), HasSubstr("on meta"));
}

TEST_F(CollectivesTest, DeviceFollowsTheMachineAndTheLocalRank) {
  EXPECT_TRUE(choose_device("cpu", world).is_cpu());
  if (gpu_text() == "none seen") {
    EXPECT_TRUE(choose_device("auto", world).is_cpu());
    EXPECT_THAT(error_of<ConfigError>([&] { choose_device("cuda", world); }), HasSubstr("no GPU is seen on this machine"));
  } else {
    EXPECT_EQ(choose_device("cuda", world).index(), world.local_rank());
  }
}

}  // namespace
}  // namespace strata
