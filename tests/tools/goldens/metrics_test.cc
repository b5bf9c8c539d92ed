#include <gmock/gmock.h>

#include "core/base/file.h"
#include "core/config/json.h"
#include "tests/tools/goldens/perturbed.h"

namespace strata {
namespace {

const std::filesystem::path kFolder = "tests/golden/metrics";

TEST(MetricGoldens, AllPass) { expect_all_pass(check_metrics(kFolder), 238); }

/// Changes each expected value of a case; returns how many.
int perturb(Json& golden_case) {
  const std::vector<std::string> inputs = {"note",   "hyp",    "ref",  "hyp_tokens",      "ref_tokens",
                                           "logits", "labels", "task", "predicted_slots", "label_slots",
                                           "scores"};
  int changed = 0;
  for (auto& item : golden_case.items()) {
    Json& value = item.value();
    const bool input = std::find(inputs.begin(), inputs.end(), item.key()) != inputs.end() ||
                       (item.key() == "ids" && !golden_case.contains("scores"));
    const bool undefined = value.is_string() && value.get<std::string>().ends_with("Error");
    if (input || undefined) continue;
    if (value.is_number())
      value = value.get<double>() + 2.5e-9;
    else if (value.is_string())
      value = value.get<std::string>() + "x";
    else
      value.push_back(7);
    ++changed;
  }
  return changed;
}

TEST(MetricGoldens, EveryExpectedValueThatIsChangedFails) {
  const std::filesystem::path copy = copy_of(kFolder);
  std::size_t changed = 0;
  for (const char* metric : {"accuracy", "error_rates", "asr_error_rates", "ctc_greedy"}) {
    const std::filesystem::path path = copy / (std::string(metric) + ".json");
    Json file = read_json(path);
    for (Json& golden_case : file["cases"]) changed += perturb(golden_case);
    write_file_atomically(path, file.dump());
  }
  EXPECT_EQ(failing(check_metrics(copy)).size(), changed);
}

TEST(MetricGoldens, WhatIsNotKnownFailsWithItsReason) {
  const std::filesystem::path copy = copy_of(kFolder);
  write_file_atomically(copy / "bleu.json", "{}");
  Json file = read_json(copy / "accuracy.json");
  file["cases"][0]["top5"] = 1.0;
  write_file_atomically(copy / "accuracy.json", file.dump());
  EXPECT_THAT(failing(check_metrics(copy)),
              testing::UnorderedElementsAre("metrics/bleu.json", "metrics/accuracy 0 top5"));
}

TEST(MetricGoldens, AFolderWithoutFixturesFails) {
  EXPECT_FALSE(failing(check_metrics("tests/golden/nothing")).empty());
}

}  // namespace
}  // namespace strata
