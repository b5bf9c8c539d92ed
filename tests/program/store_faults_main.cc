// The long form of the store's crash tests, for `tools/soak store`: store_faults SEED ROUNDS WORK. A round is a kill, a
// fault and a loss of power, at calls drawn without repetition; faults take turns, so that enough rounds strike each
// fault at each call. WORK/state keeps how many are done, so that the same command goes on there.
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <numeric>

#include "core/base/error.h"
#include "tests/program/store_faults.h"

namespace {

using namespace strata;

/// The round's index out of `count`: each comes once before one comes again.
std::size_t drawn(std::uint64_t seed, std::int64_t round, std::size_t count) {
  const auto time = static_cast<std::size_t>(round) / count;
  std::vector<std::size_t> order(count);
  std::iota(order.begin(), order.end(), std::size_t{0});
  RandomStream random({seed, count, time});
  random.shuffle(order);
  return order[static_cast<std::size_t>(round) % count];
}

void require(const std::string& wrong, const std::string& what) {
  if (!wrong.empty()) throw DataError(what + ": " + wrong);
}

std::string name_of(const FileCall& call) {
  return call.kind + " of " + std::filesystem::path(call.path).filename().string();
}

/// The calls that a fault can strike.
std::vector<std::size_t> fitting_calls(const StoreFaults& faults, const Fault& fault) {
  std::vector<std::size_t> fitting;
  for (std::size_t c = 0; c < faults.calls().size(); ++c) {
    if (fault.fits(faults.calls()[c])) fitting.push_back(c);
  }
  return fitting;
}

/// Pairs of a fault and a call that it fits.
struct Pairs {
  std::int64_t struck = 0, all = 0;
  std::int64_t rounds = 0;  // that strike all
};

Pairs pairs_after(const StoreFaults& faults, std::int64_t rounds) {
  Pairs pairs;
  const std::vector<Fault> kinds = all_faults();
  const auto turns = static_cast<std::int64_t>(kinds.size());
  for (std::int64_t f = 0; f < turns; ++f) {
    const auto calls = static_cast<std::int64_t>(fitting_calls(faults, kinds[static_cast<std::size_t>(f)]).size());
    pairs.struck += std::min(calls, (rounds + turns - 1 - f) / turns);
    pairs.all += calls;
    pairs.rounds = std::max(pairs.rounds, (calls - 1) * turns + f + 1);
  }
  return pairs;
}

void strike(StoreFaults& faults, std::uint64_t seed, std::int64_t round) {
  const auto& calls = faults.calls();
  const std::size_t killed = drawn(seed, round, calls.size());
  require(faults.kill_at(killed),
          fmt::format("round {}, killed at call {}, {}", round, killed, name_of(calls[killed])));

  const std::vector<Fault> all = all_faults();
  const Fault& fault = all[static_cast<std::size_t>(round) % all.size()];
  const std::vector<std::size_t> fitting = fitting_calls(faults, fault);
  const std::size_t failed = fitting[drawn(seed + 1, round / static_cast<std::int64_t>(all.size()), fitting.size())];
  require(faults.fail_at(failed, fault),
          fmt::format("round {}, {} at call {}, {}", round, fault.text(), failed, name_of(calls[failed])));

  const std::size_t lost = drawn(seed + 2, round, calls.size() + 1);
  const auto kept = static_cast<LossyDisk::Kept>(round % 3);
  require(faults.lose_power_after(lost, kept, seed, /*rerun=*/true),
          fmt::format("round {}, power lost after {} calls", round, lost));
}

/// Every prefix of the log, without running the program on what is left.
std::int64_t lose_power_everywhere(StoreFaults& faults, std::uint64_t seed) {
  std::int64_t states = 0;
  for (std::size_t calls = 0; calls <= faults.calls().size(); ++calls) {
    for (const LossyDisk::Kept kept : {LossyDisk::Kept::kNothing, LossyDisk::Kept::kNames, LossyDisk::Kept::kSome,
                                       LossyDisk::Kept::kSome, LossyDisk::Kept::kSome}) {
      require(faults.lose_power_after(calls, kept, seed + static_cast<std::uint64_t>(states), /*rerun=*/false),
              fmt::format("power lost after {} calls", calls));
      ++states;
    }
  }
  return states;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    fmt::print(stderr, "usage: store_faults SEED ROUNDS WORK\n");
    return 2;
  }
  const std::uint64_t seed = std::strtoull(argv[1], nullptr, 10);
  const std::int64_t rounds = std::strtoll(argv[2], nullptr, 10);
  const std::filesystem::path work = std::filesystem::absolute(argv[3]), state = work / "state";
  std::filesystem::create_directories(work);
  try {
    StoreFaults faults;
    const std::int64_t states = lose_power_everywhere(faults, seed);
    std::int64_t done = 0;
    std::ifstream(state) >> done;
    for (; done < rounds; ++done) {
      strike(faults, seed, done);
      std::ofstream(state) << done + 1 << '\n';
    }
    const Pairs pairs = pairs_after(faults, done);
    fmt::print(
        "soak store, seed {}: {} calls that change the store; {} kills, {} faults ({} of {} pairs of a fault and a "
        "call, which {} rounds strike all), {} losses of power, each continued to the same bytes; {} more states after "
        "a loss looked at\n",
        seed, faults.calls().size(), done, done, pairs.struck, pairs.all, pairs.rounds, done, states);
  } catch (const std::exception& e) {
    fmt::print(stderr, "soak store: error: {}\n", e.what());
    return 1;
  }
  return 0;
}
