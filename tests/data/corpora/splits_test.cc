#include "data/corpora/splits.h"

#include <gmock/gmock.h>

#include <map>
#include <set>

#include "core/base/error.h"

namespace strata {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

CorpusDraft draft_of(int speakers, int each) {
  CorpusDraft draft;
  draft.name = "d";
  for (int i = 0; i < speakers * each; ++i) {
    Utterance u;
    u.id = "u" + std::to_string(i);
    u.place = "list line " + std::to_string(i + 1);
    u.fields["speaker"] = "s" + std::to_string(i % speakers);
    draft.utterances.push_back(std::move(u));
  }
  return draft;
}

std::string error_of(CorpusDraft draft, const SplitOptions& options) {
  try {
    assign_splits(draft, options);
  } catch (const ConfigError& e) {
    return e.what();
  }
  return "no ConfigError";
}

TEST(Splits, ByRatioKeepsSpeakersTogetherAndIsStable) {
  SplitOptions options;
  options.tasks = {"asr", "er"};
  options.split_by = "speaker";
  CorpusDraft draft = draft_of(200, 5);
  assign_splits(draft, options);
  EXPECT_EQ(draft.splits.size(), 6u);
  EXPECT_EQ(draft.splits["asr.test"], draft.splits["er.test"]);
  EXPECT_NEAR(static_cast<double>(draft.splits["asr.train"].size()), 800, 80);
  EXPECT_NEAR(static_cast<double>(draft.splits["asr.dev"].size()), 100, 60);
  std::map<std::string, std::set<std::string>> splits_of_speaker;
  for (const auto& [split, ids] : draft.splits) {
    if (!split.starts_with("asr.")) continue;
    for (const std::string& id : ids)
      splits_of_speaker["s" + std::to_string(std::stoi(id.substr(1)) % 200)].insert(split);
  }
  EXPECT_EQ(splits_of_speaker.size(), 200u);
  for (const auto& [speaker, splits] : splits_of_speaker) EXPECT_EQ(splits.size(), 1u) << speaker;

  // A hundred more speakers do not move those that were there.
  CorpusDraft more = draft_of(300, 5);
  for (Utterance& u : more.utterances) u.fields["speaker"] = "s" + std::to_string(std::stoi(u.id.substr(1)) % 300);
  assign_splits(more, options);
  for (const std::string& id : draft.splits["asr.test"]) {
    const int speaker = std::stoi(id.substr(1)) % 200;
    EXPECT_THAT(more.splits["asr.test"], testing::Contains("u" + std::to_string(speaker)));
  }
}

TEST(Splits, ByColumnAndByPart) {
  SplitOptions options;
  options.tasks = {"sid"};
  CorpusDraft draft = draft_of(1, 3);
  for (const auto& [i, part] : std::map<int, const char*>{{0, "train"}, {1, "valid"}, {2, "test"}}) {
    draft.utterances[static_cast<std::size_t>(i)].fields["part"] = part;
    draft.utterances[static_cast<std::size_t>(i)].fields["fold"] = i == 1 ? "fold2.train" : "fold1.train";
  }
  assign_splits(draft, options);
  EXPECT_EQ(draft.splits.size(), 3u);
  EXPECT_THAT(draft.splits["sid.dev"], ElementsAre("u1"));
  draft.splits.clear();
  options.split_column = "fold";
  assign_splits(draft, options);
  EXPECT_THAT(draft.splits["sid.fold1.train"], ElementsAre("u0", "u2"));
  EXPECT_THAT(draft.splits["sid.fold2.train"], ElementsAre("u1"));
}

TEST(Splits, NoTasksNoSplits) {
  CorpusDraft draft = draft_of(2, 2);
  assign_splits(draft, {});
  EXPECT_TRUE(draft.splits.empty());
}

TEST(Splits, ErrorsSayWhatToDo) {
  SplitOptions options;
  options.tasks = {"sid"};
  options.split_column = "set";
  EXPECT_EQ(error_of(draft_of(2, 2), options),
            "list line 1: utterance \"u0\" has no \"set\", which split_column asks for");
  CorpusDraft draft = draft_of(1, 1);
  draft.utterances[0].fields["set"] = "a/b";
  EXPECT_EQ(error_of(draft, options), "list line 1: \"a/b\" cannot name a split");
  options.split_column = "";
  options.split_by = "speaker";
  EXPECT_THAT(error_of(draft_of(1, 9), options), HasSubstr("too few for ratios, use split_column"));
  options.ratios = {0.5, 0.2};
  EXPECT_THAT(error_of(draft_of(2, 2), options), HasSubstr("ratios: [0.5,0.2] is not allowed; takes three shares"));
  options.ratios = {0.5, 0.2, 0.2};
  EXPECT_THAT(error_of(draft_of(2, 2), options), HasSubstr("that sum to 1"));
}

}  // namespace
}  // namespace strata
