#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/randn.h>
#include <gmock/gmock.h>

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <sstream>
#include <string>
#include <vector>

#include "core/base/file.h"
#include "core/config/fields.h"
#include "core/config/json.h"
#include "core/tensor/feature_spec.h"
#include "core/upstreams/upstream.h"

namespace strata {
namespace {

using testing::ContainsRegex;
using testing::HasSubstr;

constexpr std::uintmax_t kMostOfAFile = 8'000'000, kMostOfAll = 25'000'000;

std::vector<fs::path> embedded() {
  std::vector<fs::path> all;
  for (const auto& entry : fs::directory_iterator("configs/upstreams")) {
    if (entry.is_directory()) all.push_back(entry.path());
  }
  return all;
}

/// The second column of the card's table of losses.
std::vector<double> training_losses(const std::string& card) {
  std::vector<double> losses;
  std::istringstream lines(card);
  for (std::string line; std::getline(lines, line);) {
    long step = 0;
    double loss = 0;
    if (std::sscanf(line.c_str(), "| %ld | %lf |", &step, &loss) == 2) losses.push_back(loss);
  }
  return losses;
}

TEST(EmbeddedUpstreams, OpenAndGiveFiniteLayersThatDiffer) {
  ASSERT_FALSE(embedded().empty());
  for (const fs::path& folder : embedded()) {
    const auto upstream = open_upstream(folder.string(), {}, FieldReader(Json::object(), "test"));
    std::vector<std::size_t> taps;
    for (std::size_t tap = 0; tap < upstream->default_taps().size(); ++tap) taps.push_back(tap);
    const auto states = upstream->forward(at::randn({kSampleRateHz}) * 0.1, taps);
    ASSERT_GE(states.size(), 5u) << folder;
    for (std::size_t i = 0; i < states.size(); ++i) {
      EXPECT_TRUE(states[i].isfinite().all().item<bool>()) << folder << i;
      EXPECT_GT(states[i].std(0).mean().item<double>(), 1e-3) << folder << i << ": frames are alike";
      if (i > 0 && states[i].sizes() == states[i - 1].sizes())
        EXPECT_GT((states[i] - states[i - 1]).abs().max().item<double>(), 1e-3) << folder << i;
    }
  }
}

TEST(EmbeddedUpstreams, AreSmallAndSayWhereTheyAreFrom) {
  std::uintmax_t all = 0;
  for (const fs::path& folder : embedded()) {
    for (const auto& file : fs::directory_iterator(folder)) {
      EXPECT_LE(file.file_size(), kMostOfAFile) << file.path();
      all += file.file_size();
    }
    const std::string card = read_file(folder / "CARD.md");
    for (const char* told : {"Licence of the speech: CC-BY-SA", "GPL-2 (", "\n    strata pretrain "})
      EXPECT_THAT(card, HasSubstr(told)) << folder;
    for (const char* told : {"[1-9][0-9]*[.][0-9]+ hours in [1-9][0-9]+ utterances", "[1-9][0-9]+ held out",
                             "Seed [0-9]+, ", "[1-9][0-9]* s on [1-9][0-9]* ranks"})
      EXPECT_THAT(card, ContainsRegex(told)) << folder;
    const std::vector<double> losses = training_losses(card);
    ASSERT_GE(losses.size(), 5u) << folder;
    EXPECT_LT(losses.back(), 0.9 * losses.front()) << folder;
  }
  EXPECT_LE(all, kMostOfAll);
}

}  // namespace
}  // namespace strata
