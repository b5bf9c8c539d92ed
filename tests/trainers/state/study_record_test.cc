#include "trainers/state/study_record.h"

#include <gmock/gmock.h>

#include "core/base/error.h"
#include "core/base/file.h"
#include "tests/errors.h"
#include "tests/folder.h"
#include "trainers/state/journal.h"

namespace strata {
namespace {

using testing::StartsWith;

TEST(StudyState, IsWhatReplayingTheJournalGives) {
  const fs::path output = fresh_folder();
  EXPECT_TRUE(replay_state(output).done.empty());
  Journal journal(output / "journal.jsonl");
  const auto event = [&](const char* kind, const char* trial, const Json& more = Json::object()) {
    Json e = {{"event", kind}, {"trial", trial}};
    e.update(more);
    journal.append(e);
  };
  journal.append({{"event", "sweep_started"}});
  event("trial_started", "a");
  event("trial_started", "b");
  event("trial_started", "c");
  event("trial_started", "d");
  event("trial_done", "a", {{"test", 1}});
  event("trial_failed", "b", {{"reason", "diverged"}});
  event("trial_failed", "c", {{"reason", "the disk"}});
  event("trial_started", "c");  // tried again
  event("trial_done", "c", {{"test", 3}});
  event("trial_done", "a", {{"test", 2}});  // the last counts
  const StudyState state = replay_state(output);
  EXPECT_EQ(state.done.size(), 2u);
  EXPECT_EQ(state.done.at("a")["test"], 2);
  EXPECT_EQ(state.done.at("c")["test"], 3);
  EXPECT_EQ(state.failed, (std::map<std::string, std::string>{{"b", "diverged"}}));
  ASSERT_EQ(state.started.size(), 1u);
  EXPECT_GT(state.started.at("d"), 1e9);
}

TEST(StudyState, NamesAnEventItCannotRead) {
  const fs::path output = fresh_folder();
  for (const char* line : {R"({"event":"trial_done","trial":5})", R"({"event":3,"trial":"a"})",
                           R"({"event":"trial_failed","trial":"a"})"}) {
    write_file_atomically(output / "journal.jsonl", std::string(line) + "\n");
    EXPECT_THAT(error_of<DataError>([&] { replay_state(output); }),
                StartsWith((output / "journal.jsonl").string() + ": {"))
        << line;
  }
}

Study study_in(const fs::path& output, const std::string& name) {
  Study study;
  study.name = name;
  study.output = output;
  study.source = {{"name", name}};
  return study;
}

TEST(StudyRecord, RefusesTheOutputOfAnotherStudy) {
  const fs::path output = fresh_folder();
  const Study quick = study_in(output, "quick");
  check_study_record(quick);
  Expansion expansion;
  expansion.trials.push_back({"0123", {{"seed", 0}}, {{"task", "sid"}}});
  expansion.not_applicable.push_back({"hconv on fbank", "one layer"});
  write_study_record(quick, StudyFacts(), expansion, {{"host", "here"}});
  check_study_record(quick);
  EXPECT_EQ(error_of<ConfigError>([&] { check_study_record(study_in(output, "slow")); }),
            output.string() + ": this output belongs to the study \"quick\", not to \"slow\"; choose another output");

  const Json record = read_json(output / "study.json");
  EXPECT_EQ(record["study"], quick.source);
  EXPECT_EQ(record["provenance"]["host"], "here");
  EXPECT_EQ(record["trials"], Json::array({{{"id", "0123"}, {"config", {{"seed", 0}}}, {"names", {{"task", "sid"}}}}}));
  EXPECT_EQ(record["not_applicable"][0]["reason"], "one layer");
}

TEST(StudyRecord, FollowsAStudyThatChanged) {
  const fs::path output = fresh_folder();
  Study study = study_in(output, "quick");
  write_study_record(study, StudyFacts(), Expansion(), Json());
  study.source["keep"] = "all";
  check_study_record(study);
  write_study_record(study, StudyFacts(), Expansion(), Json());
  EXPECT_EQ(read_json(output / "study.json")["study"]["keep"], "all");
}

TEST(StudyRecord, NamesARecordItCannotRead) {
  const fs::path output = fresh_folder();
  for (const char* content : {"[]", "{}", "{\"name\": 3}"}) {
    write_file_atomically(output / "study.json", content);
    EXPECT_EQ(error_of<DataError>([&] { check_study_record(study_in(output, "quick")); }),
              (output / "study.json").string() + ": not a valid record of a study")
        << content;
  }
}

TEST(StudyRecord, DescribesATrial) {
  Trial trial;
  trial.names = {{"task", "sid"}, {"upstreams", {"hubert", "fbank"}}};
  trial.config = {{"interface", {{"type", "hconv"}, {"kernel_size", 3}, {"normalize", false}, {"taps", Json::array()}}},
                  {"fusion", {{"type", "none"}}},
                  {"optimizer", {{"type", "adam"}, {"learning_rate", 0.001}}},
                  {"seed", 2}};
  EXPECT_EQ(describe_trial(trial),
            "sid | hubert+fbank | hconv kernel_size=3 | none | adam learning_rate=0.001 | seed 2");
}

}  // namespace
}  // namespace strata
