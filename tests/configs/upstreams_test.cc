#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/randn.h>
#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <sstream>
#include <string>
#include <vector>

#include "core/base/file.h"
#include "core/base/hash.h"
#include "core/config/fields.h"
#include "core/config/json.h"
#include "core/tensor/feature_spec.h"
#include "core/upstreams/upstream.h"

namespace strata {
namespace {

using testing::ContainsRegex;
using testing::HasSubstr;
using testing::UnorderedElementsAre;

constexpr std::uintmax_t kMostOfAFile = 8'000'000, kMostOfAll = 25'000'000;

std::vector<fs::path> embedded() {
  std::vector<fs::path> all;
  for (const auto& entry : fs::directory_iterator("configs/upstreams")) {
    if (entry.is_directory()) all.push_back(entry.path());
  }
  return all;
}

std::vector<std::string> cells(const std::string& line) {
  std::vector<std::string> cells;
  std::istringstream stream(line.substr(1));
  for (std::string cell; std::getline(stream, cell, '|');) {
    const std::size_t first = cell.find_first_not_of(' '), last = cell.find_last_not_of(' ');
    if (first != std::string::npos) cells.push_back(cell.substr(first, last - first + 1));
  }
  return cells;
}

/// A column of the card's table of losses.
std::vector<double> column(const std::string& card, const std::string& title) {
  std::vector<double> numbers;
  std::size_t place = std::string::npos;
  std::istringstream lines(card);
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("| ")) continue;
    const std::vector<std::string> row = cells(line);
    if (row.front() == "step")
      place = static_cast<std::size_t>(std::find(row.begin(), row.end(), title) - row.begin());
    else if (!row.front().starts_with("-") && place < row.size())
      numbers.push_back(std::stod(row[place]));
  }
  return numbers;
}

/// What the targets' own mean as the prediction would lose, at least, per frame of `width` squares over sqrt(width):
/// the mean square of the columns' spreads is no less than the square of their mean.
double loss_of_the_mean(double spread, double width) { return std::sqrt(width) * spread * spread; }

TEST(EmbeddedUpstreams, AreThree) {
  std::vector<std::string> names;
  for (const fs::path& folder : embedded()) names.push_back(folder.filename().string());
  EXPECT_THAT(names, UnorderedElementsAre("hubert", "data2vec", "mrhubert"));
}

TEST(EmbeddedUpstreams, OpenAndGiveFiniteLayersThatDiffer) {
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
    for (const char* told : {"Licence of the speech: CC-BY-SA", "GPL-2 ("})
      EXPECT_THAT(card, HasSubstr(told)) << folder;
    for (const char* told :
         {"[1-9][0-9]*[.][0-9]+ hours in [1-9][0-9]+ utterances", "[1-9][0-9]+ held out", "Seed [0-9]+, ",
          "[1-9][0-9]* s on [1-9][0-9]* ranks", "\n    (mpirun -np [0-9]+ )?strata pretrain "})
      EXPECT_THAT(card, ContainsRegex(told)) << folder;
    const std::string checksum = "SHA-256 of model.safetensors: ";
    if (card.find(checksum) != std::string::npos)
      EXPECT_THAT(card, HasSubstr(checksum + sha256_of_file(folder / "model.safetensors"))) << folder;
  }
  EXPECT_LE(all, kMostOfAll);
}

// A loss against units falls. One against a teacher that moves need not: what shows there that something was learnt is
// that the targets still differ from frame to frame, and that the predictions are nearer than their mean.
TEST(EmbeddedUpstreams, HaveLearnt) {
  for (const fs::path& folder : embedded()) {
    const std::string card = read_file(folder / "CARD.md");
    const std::vector<double> losses = column(card, "train loss"), spreads = column(card, "dev target spread");
    ASSERT_GE(losses.size(), 5u) << folder;
    if (card.find("\"type\": \"data2vec\"") == std::string::npos) {
      EXPECT_LT(losses.back(), 0.9 * losses.front()) << folder;
      continue;
    }
    ASSERT_EQ(spreads.size(), losses.size()) << folder;
    EXPECT_GT(spreads.back(), 0.1) << folder;
    EXPECT_THAT(card, HasSubstr("\"loss_beta\": 0.0")) << folder << ": another loss has another least";
    const auto width = read_json(folder / "config.json").at("hidden_size").get<double>();
    EXPECT_LT(column(card, "dev loss").back(), 0.95 * loss_of_the_mean(spreads.back(), width)) << folder;
  }
}

}  // namespace
}  // namespace strata
