// The long form of the fuzz test, for `tools/soak fuzz`: fuzz SEED ROUNDS WORK. A round is 1000 cases of each campaign;
// WORK/state keeps how many are done, so that the same command goes on there.
#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <cstdlib>
#include <fstream>

#include "tests/core/upstreams/fuzz.h"

int main(int argc, char** argv) {
  using namespace strata;
  if (argc != 4) {
    fmt::print(stderr, "usage: fuzz SEED ROUNDS WORK\n");
    return 2;
  }
  constexpr std::int64_t kCases = 1000;
  const std::uint64_t seed = std::strtoull(argv[1], nullptr, 10);
  const std::int64_t rounds = std::strtoll(argv[2], nullptr, 10);
  const std::filesystem::path work = argv[3], state = work / "state";
  std::filesystem::create_directories(work);
  at::set_num_threads(1);
  try {
    limit_memory(std::int64_t{1} << 30);
    std::int64_t done = 0, accepted = 0, refused = 0;
    std::ifstream(state) >> done >> accepted >> refused;
    for (; done < rounds; ++done) {
      for (const std::string& campaign : fuzz_campaigns()) {
        const FuzzResult result = fuzz(campaign, seed, done * kCases, kCases, work / "model");
        accepted += result.accepted;
        refused += result.refused;
      }
      std::ofstream(state) << done + 1 << ' ' << accepted << ' ' << refused << '\n';
    }
    fmt::print(
        "soak fuzz, seed {}, {} rounds of {} cases of {} campaigns: {} models refused, {} whole after all, nothing "
        "else\n",
        seed, rounds, kCases, fuzz_campaigns().size(), refused, accepted);
  } catch (const std::exception& e) {
    fmt::print(stderr, "soak fuzz: error: {}\n", e.what());
    return 1;
  }
  return 0;
}
