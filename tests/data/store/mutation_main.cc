// The long form of the mutation test, for `tools/soak mutate`: mutation SEED ROUNDS WORK. A round is 100 cases of each
// campaign; WORK/state keeps how many are done, so that the same command goes on there.
#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <cstdlib>
#include <fstream>

#include "tests/data/store/mutation.h"

int main(int argc, char** argv) {
  using namespace strata;
  if (argc != 4) {
    fmt::print(stderr, "usage: mutation SEED ROUNDS WORK\n");
    return 2;
  }
  constexpr std::int64_t kCases = 100;
  const std::uint64_t seed = std::strtoull(argv[1], nullptr, 10);
  const std::int64_t rounds = std::strtoll(argv[2], nullptr, 10);
  const std::filesystem::path work = argv[3], state = work / "state";
  std::filesystem::create_directories(work);
  at::set_num_threads(1);
  try {
    std::int64_t done = 0;
    MutationResult all;
    std::ifstream(state) >> done >> all.refused >> all.damaged >> all.whole >> all.died;
    for (; done < rounds; ++done) {
      for (const std::string& campaign : mutation_campaigns()) {
        const MutationResult result = mutate_stores(campaign, seed, done * kCases, kCases, work);
        all.refused += result.refused;
        all.damaged += result.damaged;
        all.whole += result.whole;
        all.died += result.died;
      }
      std::ofstream(state) << done + 1 << ' ' << all.refused << ' ' << all.damaged << ' ' << all.whole << ' '
                           << all.died << '\n';
    }
    fmt::print(
        "soak mutate, seed {}, {} rounds of {} cases of {} campaigns: {} stores refused, {} whose checksums tell, {} "
        "with the frames that were written, {} hostile ones that HDF5 died of, nothing else\n",
        seed, rounds, kCases, mutation_campaigns().size(), all.refused, all.damaged, all.whole, all.died);
  } catch (const std::exception& e) {
    fmt::print(stderr, "soak mutate: error: {}\n", e.what());
    return 1;
  }
  return 0;
}
