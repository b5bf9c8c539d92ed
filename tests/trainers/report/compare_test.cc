#include "trainers/report/compare.h"

#include <gmock/gmock.h>

#include "core/base/error.h"
#include "tests/errors.h"
#include "tests/folder.h"
#include "tests/trainers/report/small_study.h"

namespace strata {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(SignTest, ByHand) {
  // 8 throws, at most one of a kind: 2 (1 + 8) / 256.
  EXPECT_NEAR(sign_test(1, 7), 18.0 / 256, 1e-12);
  EXPECT_NEAR(sign_test(7, 1), 18.0 / 256, 1e-12);
  EXPECT_EQ(sign_test(3, 3), 1);
  EXPECT_EQ(sign_test(0, 0), 1);
}

/// An output with one finished trial.
fs::path write_output(const fs::path& folder, const SmallTrial& trial, double test, const std::string& predictions) {
  const TrialResult done = trial.done(0.5, test);
  const Json study = {{"name", "small"},
                      {"trials", {{{"id", "t1"}, {"config", done.config}, {"names", done.names}}}},
                      {"not_applicable", Json::array()}};
  write_file_atomically(folder / "study.json", study.dump());
  Json event = done.done;
  event["trial"] = "t1";
  write_file_atomically(folder / "journal.jsonl", event.dump() + "\n");
  write_file_atomically(folder / "trials/t1/trial.json", "{}");
  write_file_atomically(folder / "trials/t1/predictions.jsonl", predictions);
  return folder / "trials/t1";
}

TEST(Compare, Trials) {
  const fs::path folder = fresh_folder();
  const fs::path a = write_output(folder / "a", SmallTrial{.learning_rate = 1e-3}, 0.5,
                                  R"({"id":"u","label":"x","predicted":"x"})"
                                  "\n"
                                  R"({"id":"v","label":"x","predicted":"y"})"
                                  "\n");
  const fs::path b = write_output(folder / "b", SmallTrial{.learning_rate = 1e-2}, 0.75,
                                  R"({"id":"u","label":"x","predicted":"x"})"
                                  "\n"
                                  R"({"id":"v","label":"x","predicted":"x"})"
                                  "\n"
                                  R"({"id":"w","label":"x","predicted":"x"})"
                                  "\n");
  const std::string text = compare_trials(a, b);
  EXPECT_THAT(text, HasSubstr("| config.optimizer.learning_rate | 0.001 | 0.01 |\n"));
  EXPECT_THAT(text, Not(HasSubstr("config.seed")));
  EXPECT_THAT(text, HasSubstr("| test.accuracy | 0.5 | 0.75 | +0.25 |\n"));
  EXPECT_THAT(text, HasSubstr("Of 2 utterances that both tested: 1 right in both, 0 only in A, 1 only in B; sign test p = 1.\n"));
  EXPECT_THAT(compare_trials(a.string() + "/", a), HasSubstr("The settings are the same."));
}

TEST(Compare, WhatIsNoTrial) {
  const fs::path folder = fresh_folder();
  EXPECT_THAT(error_of<ConfigError>([&] { compare_trials(folder, folder); }), HasSubstr("no finished trial; give a folder OUTPUT/trials/<trial id>"));
  const fs::path a = write_output(folder / "a", {}, 0.5, "nothing\n");
  EXPECT_THAT(error_of<DataError>([&] { compare_trials(a, a); }), HasSubstr("predictions.jsonl: not a prediction: nothing"));
}

TEST(Compare, Studies) {
  StudyResults a, b;
  a.name = "first";
  b.name = "second";
  a.trials = {SmallTrial{}.done(0.5, 0.6), SmallTrial{.upstream = "fbank"}.done(0.5, 0.4)};
  b.trials = {SmallTrial{}.done(0.5, 0.7)};
  EXPECT_EQ(compare_studies(a, b),
            "| task | upstream, interface | first | second |\n| --- | --- | ---: | ---: |\n"
            "| sid accuracy % ↑ | hubert, weighted_sum | 60.00 | 70.00 |\n"
            "| sid accuracy % ↑ | fbank, weighted_sum | 40.00 | – |\n");
}

}  // namespace
}  // namespace strata
