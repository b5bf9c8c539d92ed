#include "data/speech/length_batches.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <set>

#include "core/base/error.h"
#include "tests/errors.h"

namespace strata {
namespace {

using testing::ElementsAre;

std::vector<std::int64_t> some_lengths(std::size_t count) {
  RandomStream random({7});
  std::vector<std::int64_t> lengths(count);
  for (std::int64_t& length : lengths) length = 10 + static_cast<std::int64_t>(random.below(90));
  return lengths;
}

std::int64_t sum(const std::vector<std::int64_t>& batch, const std::vector<std::int64_t>& lengths) {
  std::int64_t total = 0;
  for (const std::int64_t u : batch) total += lengths[static_cast<std::size_t>(u)];
  return total;
}

TEST(LengthBatches, EachEpochHasEveryUtteranceOnceAndNoBatchIsTooLong) {
  const auto lengths = some_lengths(500);
  LengthBatches batches(lengths, 300, 1);
  for (std::int64_t epoch = 0, step = 0; epoch < 3; ++epoch) {
    std::multiset<std::int64_t> seen;
    for (; batches.batch(step), batches.epoch() == epoch; ++step) {
      const auto& batch = batches.batch(step);
      EXPECT_LE(sum(batch, lengths), 300);
      seen.insert(batch.begin(), batch.end());
    }
    EXPECT_EQ(seen.size(), 500U);
    EXPECT_EQ(std::set(seen.begin(), seen.end()).size(), 500U);
  }
}

TEST(LengthBatches, BatchesHaveOneLengthAndAreFull) {
  const auto lengths = some_lengths(2000);
  LengthBatches batches(lengths, 1000, 1);
  std::int64_t narrow = 0, full = 0, count = 0;
  for (std::int64_t step = 0; batches.batch(step), batches.epoch() == 0; ++step, ++count) {
    const auto& batch = batches.batch(step);
    std::vector<std::int64_t> own;
    for (const std::int64_t u : batch) own.push_back(lengths[static_cast<std::size_t>(u)]);
    narrow += *std::max_element(own.begin(), own.end()) - *std::min_element(own.begin(), own.end()) <= 15 ? 1 : 0;
    full += sum(batch, lengths) > 900 ? 1 : 0;
  }
  EXPECT_GT(narrow, count * 9 / 10);
  EXPECT_GT(full, count * 8 / 10);
}

TEST(LengthBatches, FollowFromSeedAndStepAlone) {
  const auto lengths = some_lengths(200);
  LengthBatches straight(lengths, 300, 5), jumping(lengths, 300, 5), other(lengths, 300, 6);
  std::vector<std::vector<std::int64_t>> all;
  for (std::int64_t step = 0; step < 150; ++step) all.push_back(straight.batch(step));
  int different = 0;
  for (const std::int64_t step : {149, 3, 77, 76, 0, 149}) {
    EXPECT_EQ(jumping.batch(step), all[static_cast<std::size_t>(step)]);
    different += other.batch(step) != all[static_cast<std::size_t>(step)] ? 1 : 0;
  }
  EXPECT_EQ(different, 6);
}

TEST(LengthBatches, OneThatIsTooLongIsABatchOfItsOwn) {
  LengthBatches batches({50, 400, 60}, 120, 0);
  std::vector<std::vector<std::int64_t>> epoch = {batches.batch(0), batches.batch(1)};
  std::sort(epoch.begin(), epoch.end(), [](const auto& a, const auto& b) { return a.size() < b.size(); });
  EXPECT_THAT(epoch, ElementsAre(ElementsAre(1), ElementsAre(0, 2)));
  batches.batch(2);
  EXPECT_EQ(batches.epoch(), 1);
  EXPECT_THROW(LengthBatches({}, 10, 0), InternalError);
}

TEST(BalancedSlice, GivesEachUtteranceToOneRank) {
  const std::vector<std::int64_t> lengths = {7, 10, 3, 9, 1};
  const std::vector<std::int64_t> batch = {0, 1, 2, 3, 4};
  // 10 -> 0, 9 -> 1, 7 -> 1 (9 < 10), 3 -> 0, 1 -> 0.
  EXPECT_THAT(balanced_slice(batch, lengths, 0, 2), ElementsAre(1, 2, 4));
  EXPECT_THAT(balanced_slice(batch, lengths, 1, 2), ElementsAre(0, 3));
  EXPECT_EQ(balanced_slice(batch, lengths, 0, 1), batch);
  EXPECT_TRUE(balanced_slice(batch, lengths, 6, 7).empty()) << "more ranks than utterances";
}

TEST(RandomCrop, StartsAtAFrame) {
  RandomStream random({1});
  const Crop all = random_crop(100, 100, 32, random);
  EXPECT_EQ(all.first, 0);
  EXPECT_EQ(all.length, 100);
  std::set<std::int64_t> firsts;
  for (int i = 0; i < 200; ++i) {
    const Crop crop = random_crop(165, 100, 32, random);
    EXPECT_EQ(crop.length, 100);
    firsts.insert(crop.first);
  }
  EXPECT_THAT(firsts, ElementsAre(0, 32, 64));
}

}  // namespace
}  // namespace strata
