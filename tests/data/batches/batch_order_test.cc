#include "data/batches/batch_order.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <numeric>

#include "core/base/error.h"

namespace strata {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using Indices = std::vector<std::int64_t>;

Indices sorted(Indices indices) {
  std::sort(indices.begin(), indices.end());
  return indices;
}

Indices epoch(BatchOrder& order, std::int64_t number) {
  Indices all;
  for (std::int64_t b = 0; b < order.batches_per_epoch(); ++b) {
    const Indices batch = order.batch(number * order.batches_per_epoch() + b);
    all.insert(all.end(), batch.begin(), batch.end());
  }
  return all;
}

Indices up_to(std::int64_t count) {
  Indices all(static_cast<std::size_t>(count));
  std::iota(all.begin(), all.end(), 0);
  return all;
}

TEST(BatchOrder, ShowsEachUtteranceOnceAnEpoch) {
  for (const std::int64_t batch_size : {1, 3, 5, 10, 11, 100}) {
    BatchOrder order(10, batch_size, 0, "sid");
    for (std::int64_t e = 0; e < 3; ++e) EXPECT_EQ(sorted(epoch(order, e)), up_to(10)) << batch_size;
  }
}

TEST(BatchOrder, MakesTheLastBatchOfAnEpochWhatIsLeft) {
  BatchOrder order(10, 4, 0, "sid");
  EXPECT_EQ(order.batches_per_epoch(), 3);
  EXPECT_EQ(order.batch(0).size(), 4u);
  EXPECT_EQ(order.batch(2).size(), 2u);
  EXPECT_EQ(order.batch(3).size(), 4u);  // of the next epoch

  BatchOrder exact(8, 4, 0, "sid");
  EXPECT_EQ(exact.batches_per_epoch(), 2);
  EXPECT_EQ(exact.batch(1).size(), 4u);

  BatchOrder small(3, 32, 0, "sid");
  EXPECT_EQ(small.batches_per_epoch(), 1);
  EXPECT_EQ(small.batch(7).size(), 3u);
}

TEST(BatchOrder, IsAFunctionOfTheStep) {
  BatchOrder forwards(10, 4, 5, "sid"), jumping(10, 4, 5, "sid");
  std::vector<Indices> batches;
  for (std::int64_t step = 0; step < 12; ++step) batches.push_back(forwards.batch(step));
  for (const std::int64_t step : {11, 0, 7, 3, 3, 10, 1})
    EXPECT_EQ(jumping.batch(step), batches[static_cast<std::size_t>(step)]) << step;
}

TEST(BatchOrder, DependsOnSeedTaskAndEpoch) {
  BatchOrder order(100, 10, 0, "sid"), seeded(100, 10, 1, "sid"), other(100, 10, 0, "lid");
  const Indices first = epoch(order, 0);
  EXPECT_NE(first, epoch(order, 1));
  EXPECT_NE(first, epoch(seeded, 0));
  EXPECT_NE(first, epoch(other, 0));
  EXPECT_NE(first, up_to(100));
}

/// The order that all results so far were trained in: a change would change every trial.
TEST(BatchOrder, StaysAsItIs) { EXPECT_THAT(BatchOrder(6, 6, 0, "sid").batch(0), ElementsAre(2, 0, 4, 1, 3, 5)); }

TEST(BatchOrder, RefusesNothing) {
  EXPECT_THROW(BatchOrder(0, 4, 0, "sid"), InternalError);
  EXPECT_THROW(BatchOrder(4, 0, 0, "sid"), InternalError);
}

TEST(Slice, GivesEachUtteranceToOneRank) {
  const Indices batch = {7, 3, 9, 1, 5};
  EXPECT_EQ(slice(batch, 0, 1), batch);
  EXPECT_THAT(slice(batch, 0, 2), ElementsAre(7, 9, 5));
  EXPECT_THAT(slice(batch, 1, 2), ElementsAre(3, 1));
  for (int ranks = 1; ranks <= 8; ++ranks) {
    Indices all;
    for (int rank = 0; rank < ranks; ++rank) {
      const Indices part = slice(batch, rank, ranks);
      EXPECT_LE(part.size(), (batch.size() + static_cast<std::size_t>(ranks) - 1) / static_cast<std::size_t>(ranks));
      EXPECT_GE(part.size(), batch.size() / static_cast<std::size_t>(ranks));
      all.insert(all.end(), part.begin(), part.end());
    }
    EXPECT_EQ(sorted(all), sorted(batch)) << ranks;
  }
  EXPECT_THAT(slice(batch, 5, 8), IsEmpty());
}

}  // namespace
}  // namespace strata
