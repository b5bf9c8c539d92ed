// The long form of the store's crash tests, for `tools/soak store`: store_faults SEED STRIKES WORK. Strikes are drawn
// without repetition from all there are: a kill at each call, each fault at each call that it fits, a loss of power
// after each call. WORK/struck keeps which were made and ended well, so that the same command goes on there.
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <fstream>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <thread>

#include "core/base/cores.h"
#include "core/base/error.h"
#include "core/base/hash.h"
#include "core/base/random.h"
#include "tests/program/power_loss.h"
#include "tests/program/store_faults.h"

namespace {

using namespace strata;

struct Strike {
  enum Kind { kKill, kFault, kPowerLoss } kind = kKill;
  std::size_t call = 0;  // which it strikes; kPowerLoss: how many were made
  Fault fault = {};
  LossyDisk::Kept kept = LossyDisk::Kept::kNothing;
};

std::vector<Strike> all_strikes(const std::vector<FileCall>& calls, std::uint64_t seed) {
  std::vector<Strike> strikes;
  RandomStream random({seed});
  for (std::size_t c = 0; c < calls.size(); ++c) strikes.push_back({Strike::kKill, c});
  for (const Fault& fault : all_faults()) {
    for (std::size_t c = 0; c < calls.size(); ++c) {
      if (fault.fits(calls[c])) strikes.push_back({Strike::kFault, c, fault});
    }
  }
  for (std::size_t c = 0; c <= calls.size(); ++c)
    strikes.push_back({Strike::kPowerLoss, c, {}, static_cast<LossyDisk::Kept>(random.below(3))});
  random.shuffle(strikes);
  return strikes;
}

std::string text_of(const Strike& strike, const std::vector<FileCall>& calls) {
  if (strike.kind == Strike::kPowerLoss) return fmt::format("power lost after {} calls", strike.call);
  const FileCall& call = calls[strike.call];
  return fmt::format("{} at call {}, {} of {}", strike.kind == Strike::kKill ? "killed" : strike.fault.text(),
                     strike.call, call.kind, std::filesystem::path(call.path).filename().string());
}

std::string wrong_after(StoreFaults& faults, const Strike& strike, std::uint64_t seed) {
  switch (strike.kind) {
    case Strike::kKill:
      return faults.kill_at(strike.call);
    case Strike::kFault:
      return faults.fail_at(strike.call, strike.fault);
    case Strike::kPowerLoss:
      return faults.lose_power_after(strike.call, strike.kept, seed, /*rerun=*/true);
  }
  throw InternalError("a strike of no kind");
}

/// Every prefix of the log, without running the program on what is left.
std::int64_t lose_power_everywhere(StoreFaults& faults, std::uint64_t seed) {
  std::int64_t states = 0;
  for (std::size_t calls = 0; calls <= faults.calls().size(); ++calls) {
    for (const LossyDisk::Kept kept : {LossyDisk::Kept::kNothing, LossyDisk::Kept::kNames, LossyDisk::Kept::kSome,
                                       LossyDisk::Kept::kSome, LossyDisk::Kept::kSome}) {
      const std::string wrong =
          faults.lose_power_after(calls, kept, seed + static_cast<std::uint64_t>(states), /*rerun=*/false);
      if (!wrong.empty()) throw DataError(fmt::format("power lost after {} calls: {}", calls, wrong));
      ++states;
    }
  }
  return states;
}

/// Which strikes were made, one a line below a first line that says of which list.
class Record {
 public:
  Record(const std::filesystem::path& path, const std::string& head) : path_(path) {
    std::ifstream file(path_);
    std::string line;
    if (std::getline(file, line) && line == head) {
      for (std::size_t strike = 0; file >> strike;) made_.insert(strike);
    } else {  // of another seed or program
      std::ofstream(path_) << head << '\n';
    }
  }

  bool contains(std::size_t strike) const { return made_.contains(strike); }
  void add(std::size_t strike) {
    made_.insert(strike);
    std::ofstream(path_, std::ios::app) << strike << '\n';
  }

 private:
  std::filesystem::path path_;
  std::set<std::size_t> made_;
};

/// Ends at the first that goes wrong; returns what went wrong.
///   workers  one a core, since most of a strike is the start of the program
std::string strike_all(std::vector<std::unique_ptr<StoreFaults>>& workers, const std::vector<Strike>& strikes,
                       std::uint64_t seed, Record& record) {
  std::string wrong;
  std::mutex mutex;
  std::atomic<std::size_t> next = 0;
  std::vector<std::thread> threads;
  for (const auto& worker : workers) {
    threads.emplace_back([&, faults = worker.get()] {
      for (std::size_t s = next++; s < strikes.size(); s = next++) {
        {
          const std::lock_guard lock(mutex);
          if (!wrong.empty()) return;
          if (record.contains(s)) continue;
        }
        std::string found;
        try {
          found = wrong_after(*faults, strikes[s], seed);
        } catch (const std::exception& e) {
          found = e.what();
        }
        const std::lock_guard lock(mutex);
        if (found.empty()) {
          record.add(s);
        } else if (wrong.empty()) {
          wrong = text_of(strikes[s], faults->calls()) + ": " + found;
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  return wrong;
}

/// What tells one list of strikes from another: names of files have the number of the process in them, which is left
/// out.
std::string identity_of(const std::vector<Strike>& strikes, const std::vector<FileCall>& calls) {
  std::string text;
  for (const Strike& strike : strikes) {
    const std::string kind = strike.call < calls.size() ? calls[strike.call].kind : "";
    text += fmt::format("{} {} {} {} {}\n", int{strike.kind}, strike.call, kind, strike.fault.text(),
                        static_cast<int>(strike.kept));
  }
  return sha256(text);
}

void run(std::uint64_t seed, std::size_t count, const std::filesystem::path& work) {
  std::vector<std::unique_ptr<StoreFaults>> workers;
  const auto most = std::min(static_cast<std::size_t>(node_cores()), count);
  while (workers.size() < std::max(most, std::size_t{1})) workers.push_back(std::make_unique<StoreFaults>());
  const std::vector<FileCall>& calls = workers[0]->calls();
  std::vector<Strike> strikes = all_strikes(calls, seed);
  const std::string identity = identity_of(strikes, calls);
  for (const auto& worker : workers) {
    if (identity_of(all_strikes(worker->calls(), seed), worker->calls()) != identity)
      throw InternalError("two undisturbed extractions make different calls");
  }
  const std::int64_t states = lose_power_everywhere(*workers[0], seed);
  const std::size_t all = strikes.size();
  Record record(work / "struck", sha256(identity + sha256_of_file("tools/strata_main")));
  strikes.resize(std::min(count, all));
  std::string wrong = strike_all(workers, strikes, seed, record);
  std::ranges::replace(wrong, '\n', ' ');
  if (!wrong.empty()) throw DataError(wrong);
  std::map<Strike::Kind, int> made;
  for (const Strike& strike : strikes) ++made[strike.kind];
  fmt::print(
      "soak store, seed {}: {} calls that change the store; {} of all {} strikes: {} kills, {} faults, {} losses of "
      "power, each continued to the same bytes; {} more states after a loss looked at\n",
      seed, calls.size(), strikes.size(), all, made[Strike::kKill], made[Strike::kFault], made[Strike::kPowerLoss],
      states);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    fmt::print(stderr, "usage: store_faults SEED STRIKES WORK\n");
    return 2;
  }
  try {
    const std::filesystem::path work = std::filesystem::absolute(argv[3]);
    std::filesystem::create_directories(work);
    run(std::strtoull(argv[1], nullptr, 10), std::strtoull(argv[2], nullptr, 10), work);
  } catch (const std::exception& e) {
    fmt::print(stderr, "soak store: error: {}\n", e.what());
    return 1;
  }
  return 0;
}
