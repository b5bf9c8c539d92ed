#include "distributed/mpi.h"

#include <gmock/gmock.h>

#include <chrono>
#include <ctime>
#include <thread>

#include "core/base/error.h"
#include "tests/errors.h"

namespace strata {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class Ranks : public testing::Test {
 protected:
  const Communicator world = Communicator::world();
  const int rank = world.rank();
  const int size = world.size();
};

TEST_F(Ranks, AddUp) {
  std::vector<float> floats = {1, static_cast<float>(rank), 0.5f};
  std::vector<double> doubles = {1e-300, static_cast<double>(rank) * 1e15};
  world.all_reduce_sum(std::span(floats));
  world.all_reduce_sum(std::span(doubles));
  const int ranks = size * (size - 1) / 2;  // 0 + 1 + ..
  EXPECT_THAT(floats, ElementsAre(size, ranks, 0.5f * static_cast<float>(size)));
  EXPECT_THAT(doubles, ElementsAre(testing::DoubleNear(1e-300 * size, 1e-315), ranks * 1e15));
  world.all_reduce_sum(std::span<float>());
}

TEST_F(Ranks, AddUpMoreThanAPacketAndRepeatBitForBit) {
  std::vector<float> first(300001), again;
  for (std::size_t i = 0; i < first.size(); ++i)
    first[i] = 1.0f / static_cast<float>(i + 1 + static_cast<std::size_t>(rank));
  again = first;
  world.all_reduce_sum(std::span(first));
  world.all_reduce_sum(std::span(again));
  EXPECT_EQ(first, again);
  float last = 0;
  for (int r = 0; r < size; ++r) last += 1.0f / static_cast<float>(300001 + r);
  EXPECT_FLOAT_EQ(first.back(), last);
}

TEST_F(Ranks, FindTheLargest) {
  std::vector<std::int64_t> values = {rank, -rank, std::int64_t{1} << 60};
  world.all_reduce_max(std::span(values));
  EXPECT_THAT(values, ElementsAre(size - 1, 0, std::int64_t{1} << 60));
}

TEST_F(Ranks, HearWhatOneSays) {
  const std::string long_text(100000, 'x');
  for (int root = 0; root < size; ++root) {
    EXPECT_EQ(world.broadcast(rank == root ? "from " + std::to_string(root) : "mine", root),
              "from " + std::to_string(root));
    EXPECT_EQ(world.broadcast(rank == root ? long_text : "", root), long_text);
    EXPECT_EQ(world.broadcast(rank == root ? "" : "mine", root), "");
  }
}

TEST_F(Ranks, HearWhatEachSays) {
  std::string mine(static_cast<std::size_t>(rank), 'r');
  mine += std::string("\0z", 2);
  const auto all = world.all_gather(mine);
  ASSERT_EQ(all.size(), static_cast<std::size_t>(size));
  for (int r = 0; r < size; ++r)
    EXPECT_EQ(all[static_cast<std::size_t>(r)], std::string(static_cast<std::size_t>(r), 'r') + std::string("\0z", 2));
}

TEST_F(Ranks, SplitIntoGroups) {
  const Communicator alone = world.split(rank);
  EXPECT_EQ(alone.size(), 1);
  EXPECT_EQ(alone.rank(), 0);
  EXPECT_THAT(alone.all_gather("me"), ElementsAre("me"));

  const Communicator parity = world.split(rank % 2);
  EXPECT_EQ(parity.rank(), rank / 2);
  EXPECT_EQ(parity.size(), (size + 1 - rank % 2) / 2);
  std::vector<double> sum = {static_cast<double>(rank)};
  parity.all_reduce_sum(std::span(sum));
  EXPECT_EQ(sum[0], rank % 2 == 1 ? 1 : size == 3 ? 2 : 0);
}

TEST_F(Ranks, KnowTheirMachine) {
  EXPECT_EQ(world.local_size(), size);
  EXPECT_EQ(world.local_rank(), rank);
}

TEST_F(Ranks, WaitForTheLastAsleep) {
  using Clock = std::chrono::steady_clock;
  world.barrier();
  const auto start = Clock::now();
  const std::clock_t cpu = std::clock();
  if (rank == size - 1) std::this_thread::sleep_for(std::chrono::milliseconds(500));
  world.barrier();
  EXPECT_GE(Clock::now() - start, std::chrono::milliseconds(490));
  EXPECT_LT(static_cast<double>(std::clock() - cpu) / CLOCKS_PER_SEC, 0.25);
}

TEST_F(Ranks, SendAndReceive) {
  for (int to = 1; to < size; ++to) {
    if (rank == 0) world.send(to, 7, "for " + std::to_string(to));
    if (rank != to) continue;
    int from = -1;
    std::string text;
    EXPECT_TRUE(world.receive(7, &from, &text, [] { return false; }));
    EXPECT_EQ(from, 0);
    EXPECT_EQ(text, "for " + std::to_string(to));
  }
  int from = -1, asked = 0;
  std::string text;
  EXPECT_FALSE(world.receive(8, &from, &text, [&] { return ++asked == 3; }));
}

TEST_F(Ranks, SayWhatMpiRefused) {
  const std::string message = error_of<CommError>([&] { world.send(99, 7, "nobody"); });
  EXPECT_THAT(message, HasSubstr("rank " + std::to_string(rank) + " of " + std::to_string(size) +
                                 ": send failed: MPI_ERR_RANK"));
}

TEST_F(Ranks, GoOnTogetherIfAllIsWell) {
  int calls = 0;
  together(world, [&] { calls += 1; });
  EXPECT_EQ(calls, 1);
}

TEST_F(Ranks, EndTogetherIfOneFails) {
  for (int failing = 0; failing < size; ++failing) {
    try {
      together(world, [&] {
        if (rank == failing)
          throw ConfigError("study.json: wrong on rank " + std::to_string(failing) + "\nsecond line");
      });
      FAIL() << "nothing was thrown";
    } catch (const SharedError& e) {
      EXPECT_EQ(std::string(e.what()), "study.json: wrong on rank " + std::to_string(failing) + "\nsecond line");
      EXPECT_EQ(e.exit_code(), kExitUsage);
    }
  }
}

TEST_F(Ranks, ReportTheLowestOfSeveralFailures) {
  try {
    together(world, [&] {
      if (rank == 0 && size > 1) return;
      throw Error("rank " + std::to_string(rank), 40 + rank);
    });
    FAIL() << "nothing was thrown";
  } catch (const SharedError& e) {
    const int lowest = size > 1 ? 1 : 0;
    EXPECT_EQ(std::string(e.what()), "rank " + std::to_string(lowest));
    EXPECT_EQ(e.exit_code(), 40 + lowest);
  }
}

}  // namespace
}  // namespace strata
