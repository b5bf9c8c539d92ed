#include "trainers/report/results.h"

#include <gmock/gmock.h>

#include "core/base/error.h"
#include "core/base/file.h"
#include "tests/errors.h"
#include "tests/folder.h"

namespace strata {
namespace {

using testing::StartsWith;

/// Four trials of which one is done, one failed, one runs and one waits.
fs::path write_output() {
  const fs::path output = fresh_folder();
  Json record = {{"name", "quick"},
                 {"study", Json::object()},
                 {"trials", Json::array()},
                 {"not_applicable", Json::array({{{"combination", "c"}, {"reason", "r"}}})}};
  for (const char* id : {"a", "b", "c", "d"}) {
    record["trials"].push_back({{"id", id},
                                {"names", {{"task", "sid"}, {"upstreams", {"hubert", "fbank"}}}},
                                {"config",
                                 {{"semantics", 1},
                                  {"task", {{"x", 1}}},
                                  {"seed", 0},
                                  {"interface", {{"type", "single_layer"}, {"taps", {"h0", "h\"1"}}}}}}});
  }
  write_file_atomically(output / "study.json", record.dump());
  write_file_atomically(
      output / "journal.jsonl",
      "{\"event\":\"trial_started\",\"trial\":\"a\",\"time\":1}\n{\"event\":\"trial_started\",\"trial\":\"b\",\"time\":"
      "1}\n{\"event\":\"trial_started\",\"trial\":\"c\",\"time\":1}\n"
      "{\"event\":\"trial_failed\",\"trial\":\"b\",\"reason\":\"diverged\",\"time\":2}\n"
      "{\"event\":\"trial_done\",\"trial\":\"a\",\"time\":3,\"best\":{\"step\":20,\"dev\":{\"accuracy\":0.5}},\"test\":"
      "{\"accuracy\":0.25,\"loss\":1.5},\"parameters\":7,\"seconds\":0.5}\n");
  return output;
}

TEST(Results, KnowHowFarEachTrialIs) {
  const StudyResults results = load_results(write_output());
  EXPECT_EQ(results.name, "quick");
  ASSERT_EQ(results.trials.size(), 4u);
  EXPECT_EQ(results.trials[0].status, "done");
  EXPECT_EQ(results.trials[0].done["test"]["accuracy"], 0.25);
  EXPECT_EQ(results.trials[1].status, "failed");
  EXPECT_EQ(results.trials[1].reason, "diverged");
  EXPECT_EQ(results.trials[2].status, "running");
  EXPECT_EQ(results.trials[3].status, "waiting");
  EXPECT_EQ(results.trials[3].task(), "sid");
  EXPECT_EQ(results.trials[3].upstreams(), "hubert+fbank");
  ASSERT_EQ(results.not_applicable.size(), 1u);
}

TEST(Results, MakeACsvWhoseCellsAreQuotedWhereTheyMustBe) {
  EXPECT_EQ(results_csv(load_results(write_output())),
            "trial,status,task,upstreams,interface.taps,interface.type,seed,best_step,dev.accuracy,parameters,seconds,"
            "test.accuracy,test.loss\n"
            "a,done,sid,hubert+fbank,\"[\"\"h0\"\",\"\"h\\\"\"1\"\"]\",single_layer,0,20,0.5,7,0.5,0.25,1.5\n"
            "b,failed,sid,hubert+fbank,\"[\"\"h0\"\",\"\"h\\\"\"1\"\"]\",single_layer,0,,,,,,\n"
            "c,running,sid,hubert+fbank,\"[\"\"h0\"\",\"\"h\\\"\"1\"\"]\",single_layer,0,,,,,,\n"
            "d,waiting,sid,hubert+fbank,\"[\"\"h0\"\",\"\"h\\\"\"1\"\"]\",single_layer,0,,,,,,\n");
}

TEST(Results, QuoteTextWithCommasAndLineEnds) {
  StudyResults results;
  results.trials.push_back({"a",
                            "waiting",
                            {{"x", "one, \"two\""}, {"y", "one\ntwo"}, {"z", "one\rtwo"}},
                            {{"task", "a,b"}, {"upstreams", {"u"}}},
                            Json(),
                            ""});
  EXPECT_EQ(results_csv(results),
            "trial,status,task,upstreams,x,y,z\na,waiting,\"a,b\",u,\"one, \"\"two\"\"\",\"one\ntwo\",\"one\rtwo\"\n");
}

TEST(Results, SayWhatTheyCannotRead) {
  const fs::path output = fresh_folder();
  EXPECT_EQ(error_of<ConfigError>([&] { load_results(output); }),
            output.string() + ": there is no study.json here: this is no output of `strata sweep`");
  write_file_atomically(output / "study.json", "{\"name\": \"quick\", \"trials\": [{\"id\": 3}]}");
  EXPECT_THAT(error_of<DataError>([&] { load_results(output); }),
              StartsWith((output / "study.json").string() + ": not a valid record of a study: "));
}

}  // namespace
}  // namespace strata
