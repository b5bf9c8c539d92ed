#include "distributed/work_server.h"

#include <gmock/gmock.h>

#include <chrono>
#include <set>
#include <thread>

namespace strata {
namespace {

constexpr int kUnits = 500;
constexpr int kThreads = 4;

class WorkServerTest : public testing::Test {
 protected:
  /// Every unit that the threads of this rank get until there are no more.
  static std::vector<int> work(WorkServer& server, int threads) {
    std::vector<int> got;
    std::mutex mutex;
    std::vector<std::thread> running;
    for (int t = 0; t < threads; ++t) {
      running.emplace_back([&] {
        for (;;) {
          const int unit = server.ask({{"next", true}}).at("unit");
          if (unit < 0) return;
          const std::lock_guard lock(mutex);
          got.push_back(unit);
        }
      });
    }
    for (std::thread& thread : running) thread.join();
    return got;
  }

  /// What all ranks together got, on every rank.
  std::multiset<int> gather(const std::vector<int>& mine) const {
    std::multiset<int> all;
    for (const std::string& part : world.all_gather(Json(mine).dump())) {
      for (const int unit : Json::parse(part).get<std::vector<int>>()) all.insert(unit);
    }
    return all;
  }

  static std::multiset<int> every_unit_once() {
    std::multiset<int> units;
    for (int u = 0; u < kUnits; ++u) units.insert(u);
    return units;
  }

  /// Hands out the units in order; notes who asked.
  WorkServer::Answer desk() {
    return [this](const Json&, int from) -> Json {
      EXPECT_FALSE(answering_.exchange(true)) << "two answers at a time";
      asked_.insert(from);
      const int unit = next_ < kUnits ? next_++ : -1;
      answering_ = false;
      return {{"unit", unit}};
    };
  }

  const Communicator world = Communicator::world();
  std::set<int> asked_;

 private:
  int next_ = 0;
  std::atomic<bool> answering_ = false;
};

TEST_F(WorkServerTest, HandsOutEveryUnitOnceToManyThreads) {
  std::vector<int> mine;
  {
    WorkServer server(world, desk());
    mine = work(server, kThreads);
  }
  EXPECT_EQ(gather(mine), every_unit_once());
  if (world.rank() == 0) EXPECT_EQ(asked_.size(), static_cast<std::size_t>(world.size()));
}

TEST_F(WorkServerTest, WaitsForARankThatComesLate) {
  std::vector<int> mine;
  {
    WorkServer server(world, desk());
    if (world.rank() == world.size() - 1) std::this_thread::sleep_for(std::chrono::milliseconds(300));
    mine = work(server, 1);
  }
  EXPECT_EQ(gather(mine), every_unit_once());
  if (world.rank() == 0) EXPECT_TRUE(asked_.contains(world.size() - 1));
}

TEST_F(WorkServerTest, WaitsForARankThatAsksNothing) {
  std::vector<int> mine;
  {
    WorkServer server(world, desk());
    if (world.rank() == 0) mine = work(server, 1);
  }
  EXPECT_EQ(gather(mine), every_unit_once());
}

TEST_F(WorkServerTest, MayServeNobodyAndBeFollowedByAnother) {
  for (int i = 0; i < 20; ++i) WorkServer(world, desk());
  const WorkServer first(world, desk());
  WorkServer second(world, [](const Json& question, int from) -> Json {
    return {{"question", question}, {"from", from}};
  });
  EXPECT_EQ(second.ask("größer"), (Json{{"question", "größer"}, {"from", world.rank()}}));
}

}  // namespace
}  // namespace strata
