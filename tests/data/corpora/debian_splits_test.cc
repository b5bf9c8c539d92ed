#include "data/corpora/debian_splits.h"

#include <gmock/gmock.h>

#include "core/base/file.h"

namespace strata {
namespace {

using testing::ElementsAre;

DebianRecording recording(const std::string& id, const std::string& speaker, const std::string& language,
                          const std::string& prompt, const std::string& text, const std::string& bytes) {
  DebianRecording r;
  r.id = id;
  r.speaker = speaker;
  r.language = language;
  r.prompt = prompt;
  r.text = text;
  r.audio = fs::path(testing::TempDir()) / "debian_splits" / id;
  write_file_atomically(r.audio, bytes);
  return r;
}

TEST(TextDraws, PromptsTranscriptsAndEqualBytesTie) {
  const std::vector<double> draws = text_draws({
      recording("0", "a", "nl", "p0", "Ja!", "0"),
      recording("1", "b", "cs", "p0", "Ano", "1"),  // prompt of 0
      recording("2", "a", "nl", "p2", "ja", "2"),   // transcript of 0
      recording("3", "a", "en", "p3", "", "2"),     // bytes of 2
      recording("4", "a", "cs", "p4", "Ja", "4"),   // the same word in another language is another text
      recording("5", "a", "nl", "p5", "nee", "5"),
  });
  EXPECT_EQ(draws[0], draws[1]);
  EXPECT_EQ(draws[0], draws[2]);
  EXPECT_EQ(draws[0], draws[3]);
  EXPECT_NE(draws[0], draws[4]);
  EXPECT_NE(draws[0], draws[5]);
  EXPECT_NE(draws[4], draws[5]);
}

TEST(TextDraws, DoNotHangOnTheOrder) {
  const DebianRecording a = recording("0", "a", "nl", "p0", "Ja", "0"), b = recording("1", "a", "nl", "p1", "ja", "1");
  EXPECT_EQ(text_draws({a, b}), text_draws({b, a}));
}

TEST(Sid, FollowsTheDraws) {
  std::vector<DebianRecording> recordings;
  std::vector<double> draws;
  for (int i = 0; i < 120; ++i) {
    DebianRecording r;
    r.id = std::to_string(i);
    r.speaker = i % 2 == 0 ? "ann" : "ben";
    recordings.push_back(r);
    draws.push_back(i == 0 ? 0.69 : i == 1 ? 0.7 : i == 2 ? 0.84 : i == 3 ? 0.86 : 0.1);
  }
  Splits splits;
  Json notes;
  add_sid(recordings, draws, splits, notes);
  EXPECT_EQ(splits["sid.train"].size(), 117u);
  EXPECT_THAT(splits["sid.dev"], ElementsAre("1", "2"));
  EXPECT_THAT(splits["sid.test"], ElementsAre("3"));
  EXPECT_EQ(notes["sid"]["speakers"]["ben"], 60);

  splits.clear();
  recordings.pop_back();  // ben has 59 left: one voice is no task
  draws.pop_back();
  add_sid(recordings, draws, splits, notes);
  EXPECT_TRUE(splits.empty());
}

}  // namespace
}  // namespace strata
