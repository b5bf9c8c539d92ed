#include <gmock/gmock.h>

#include <map>
#include <set>

#include "core/base/error.h"
#include "data/manifest/manifest.h"
#include "tests/data/corpora/tree.h"

namespace strata {
namespace {

using testing::HasSubstr;
using testing::UnorderedElementsAre;

/// Packages in small: five asterisk voices of four people, and a game with two parts in Dutch.
class DebianSpeechTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    tree_ = new Tree("debian");
    add_voice("en_US_f_Allison", ".gsm", 70, 300);
    add_voice("es_MX_f_Allison", ".gsm", 80, 310);
    add_voice("es", ".gsm", 75, 320);
    add_voice("fr_CA_f_June", ".gsm", 80, 330);
    add_voice("fr", ".gsm", 65, 340);
    add_voice("it_IT_m_Carlo", ".gsm", 20, 350);  // too few
    const std::string allison = kSounds + "en_US_f_Allison/";
    tree_->tone(allison + "digits/1.wav", 300, 0.5);  // there as .gsm too
    tree_->tone(allison + "silence/1.gsm", 300, 0.5);
    tree_->tone(allison + "beep.gsm", 300, 0.5);
    tree_->tone(allison + "short.gsm", 300, 0.2);
    tree_->tone(allison + "quiet.gsm", 300, 0.5, 0.0);
    tree_->text(allison + "empty.gsm", "");
    add_game();
  }
  static void TearDownTestSuite() { delete tree_; }

  static void add_voice(const std::string& folder, const std::string& ending, int prompts, double hz) {
    for (int i = 0; i < prompts; ++i) {
      const std::string prompt = i < 10 ? "digits/" + std::to_string(i) : "vm-prompt" + std::to_string(i);
      tree_->tone(kSounds + folder + "/" + prompt + ending, hz + 7 * i, 0.5);
    }
  }

  /// 14 levels with ten lines each; "Ja." is said in each, once a digit is.
  static void add_game() {
    for (int level = 0; level < 14; ++level) {
      const std::string name = level == 0 ? "share/border" : "level" + std::to_string(level);
      std::string lua;
      for (int i = 0; i < 10; ++i) {
        const std::string id = "line" + std::to_string(level) + "-" + std::to_string(i);
        const std::string text = i == 0   ? "Ja."
                                 : i == 1 ? "Dat is 10!"
                                          : "Wat is dit, " + std::string(1, 'a' + level) + std::string(i, 'x') + "?";
        lua += "dialogId(\"" + id + "\", \"" + (i % 2 == 0 ? "font_small" : "font_big") + "\", \"English\")\n";
        lua += "dialogStr(\"" + text + "\")\n\n";
        tree_->tone(kGame + "sound/" + name + "/nl/" + id + ".ogg", 400 + 9 * (level * 10 + i), 0.5);
      }
      tree_->tone(kGame + "sound/" + name + "/nl/splash.ogg", 2000, 0.5);
      tree_->text(kGame + "script/" + (level == 0 ? "share/border_dialogs_nl.lua" : name + "/dialogs_nl.lua"), lua);
    }
  }

  static std::vector<const Utterance*> members(const Corpus& corpus, const std::string& task,
                                               const std::string& split) {
    std::vector<const Utterance*> all;
    for (const std::size_t i : corpus.split(task, split).utterances) all.push_back(&corpus.utterances()[i]);
    return all;
  }

  static std::set<std::string> values(const std::vector<const Utterance*>& utterances, const char* field) {
    std::set<std::string> all;
    for (const Utterance* u : utterances) {
      if (u->fields.contains(field)) all.insert(u->fields[field].get<std::string>());
    }
    return all;
  }

  static bool disjoint(const std::set<std::string>& a, const std::set<std::string>& b) {
    return std::none_of(a.begin(), a.end(), [&](const std::string& x) { return b.contains(x); });
  }

  static inline const std::string kSounds = "source/usr/share/asterisk/sounds/";
  static inline const std::string kGame = "source/usr/share/games/fillets-ng/";
  static inline Tree* tree_ = nullptr;
};

TEST_F(DebianSpeechTest, SplitsMeanSomething) {
  const Json record = prepare(*tree_, R"({"type": "debian_speech"})", tree_->root() / "source");
  const Corpus corpus = Corpus::read(tree_->root() / "manifests");
  EXPECT_EQ(corpus.utterances().size(), 70u + 80 + 75 + 80 + 65 + 20 + 140);
  EXPECT_EQ(record["notes"]["skipped"].dump(), R"({"no_speech":16,"silent":1,"too_short":1,"unreadable":1})");

  const auto sid_train = members(corpus, "sid", "train"), sid_dev = members(corpus, "sid", "dev"),
             sid_test = members(corpus, "sid", "test");
  EXPECT_EQ(sid_train.size() + sid_dev.size() + sid_test.size(), corpus.utterances().size() - 20);
  EXPECT_THAT(values(sid_train, "speaker"),
              UnorderedElementsAre("allison", "armelle", "fillets-nl-big", "fillets-nl-small", "jimenez", "june"));
  for (const char* field : {"prompt", "text"}) {
    EXPECT_TRUE(disjoint(values(sid_train, field), values(sid_dev, field))) << field;
    EXPECT_TRUE(disjoint(values(sid_train, field), values(sid_test, field))) << field;
    EXPECT_TRUE(disjoint(values(sid_dev, field), values(sid_test, field))) << field;
  }

  const auto lid_train = members(corpus, "lid", "train"), lid_dev = members(corpus, "lid", "dev"),
             lid_test = members(corpus, "lid", "test");
  EXPECT_THAT(values(lid_train, "language"), UnorderedElementsAre("es", "fr", "nl"));
  EXPECT_THAT(values(lid_test, "language"), UnorderedElementsAre("es", "fr", "nl"));
  EXPECT_THAT(values(lid_train, "speaker"), UnorderedElementsAre("allison", "june", "fillets-nl-small"));
  EXPECT_THAT(values(lid_test, "speaker"), UnorderedElementsAre("jimenez", "armelle", "fillets-nl-big"));
  EXPECT_TRUE(disjoint(values(lid_train, "prompt"), values(lid_test, "prompt")));
  EXPECT_TRUE(disjoint(values(lid_train, "prompt"), values(lid_dev, "prompt")));
  EXPECT_EQ(record["notes"]["lid"]["dropped"], Json({"en"}));

  const auto asr_train = members(corpus, "asr", "train"), asr_test = members(corpus, "asr", "test");
  EXPECT_TRUE(disjoint(values(asr_train, "text"), values(asr_test, "text")));
  EXPECT_EQ(record["notes"]["asr"]["left_out_with_digits"], 14);
  require_field(corpus, corpus.split("asr", "train"), "text", "task asr");
}

TEST_F(DebianSpeechTest, PhonesOnRequest) {
  const Json record = prepare(*tree_, R"({"type": "debian_speech", "phones": true})", tree_->root() / "source");
  const Corpus corpus = Corpus::read(tree_->root() / "manifests");
  for (const char* split : {"train", "dev", "test"}) {
    EXPECT_EQ(corpus.split("pr", split).utterances, corpus.split("asr", split).utterances);
    require_field(corpus, corpus.split("pr", split), "phones", "task pr");
  }
  const Utterance& line = corpus.utterances()[*corpus.find("fillets.nl.share.border.line0-2")];
  EXPECT_THAT(line.fields["phones"].get<std::string>(), testing::StartsWith("\u028B \u0251 t"));
  EXPECT_FALSE(corpus.utterances()[*corpus.find("en_US_f_Allison.digits.1")].fields.contains("phones"));
}

TEST_F(DebianSpeechTest, UtterancesSayWhatIsKnown) {
  prepare(*tree_, R"({"type": "debian_speech"})", tree_->root() / "source");
  const Corpus corpus = Corpus::read(tree_->root() / "manifests");
  const Utterance& digit = corpus.utterances()[*corpus.find("en_US_f_Allison.digits.1")];
  EXPECT_EQ(digit.audio.extension(), ".gsm");
  EXPECT_EQ(digit.fields.dump(),
            R"({"language":"en","prompt":"asterisk/digits/1","source":"asterisk","speaker":"allison"})");
  EXPECT_DOUBLE_EQ(*digit.duration, 0.5);
  const Utterance& line = corpus.utterances()[*corpus.find("fillets.nl.share.border.line0-2")];
  EXPECT_EQ(line.fields["text"], "wat is dit axx");
  EXPECT_EQ(line.fields["raw_text"], "Wat is dit, axx?");
  EXPECT_EQ(line.fields["speaker"], "fillets-nl-small");
}

TEST_F(DebianSpeechTest, TheSameFilesGiveTheSameBytes) {
  const fs::path manifests = tree_->root() / "manifests";
  prepare(*tree_, R"({"type": "debian_speech"})", tree_->root() / "source");
  std::map<std::string, std::string> first;
  for (const auto& entry : fs::directory_iterator(manifests)) first[entry.path().filename()] = read_file(entry.path());
  EXPECT_EQ(first.size(), 1u + 9 + 1);
  prepare(*tree_, R"({"type": "debian_speech"})", tree_->root() / "source");
  for (const auto& [file, content] : first) EXPECT_EQ(read_file(manifests / file), content) << file;
}

TEST_F(DebianSpeechTest, PerVoiceLimits) {
  const Json record =
      prepare(*tree_, R"({"type": "debian_speech", "quick": false, "per_voice": 62})", tree_->root() / "source");
  const Corpus corpus = Corpus::read(tree_->root() / "manifests");
  EXPECT_EQ(corpus.utterances().size(), 62u * 6 + 20);
  EXPECT_EQ(record["notes"]["sid"]["speakers"]["allison"], 62);
  for (const Utterance& u : corpus.utterances()) {
    if (u.id == "en_US_f_Allison.digits.1") EXPECT_EQ(u.audio.extension(), ".gsm") << "all voices by the same codec";
  }
}

TEST_F(DebianSpeechTest, OneLanguageHasTheAsrSplitsOfAll) {
  prepare(*tree_, R"({"type": "debian_speech"})", tree_->root() / "source");
  const std::string all = read_file(tree_->root() / "manifests/asr.test.txt");
  const Json record = prepare(*tree_, R"({"type": "debian_speech", "languages": ["nl"]})", tree_->root() / "source");
  const Corpus corpus = Corpus::read(tree_->root() / "manifests");
  EXPECT_EQ(corpus.utterances().size(), 140u);
  EXPECT_EQ(record["notes"]["skipped"]["other_language"], 393);
  EXPECT_EQ(read_file(tree_->root() / "manifests/asr.test.txt"), all);
}

TEST_F(DebianSpeechTest, NamesThePackagesWhereSidIsNotPossible) {
  EXPECT_THAT(
      prepare_error(*tree_, R"({"type": "debian_speech"})", tree_->root() / "manifests"),
      HasSubstr("fewer than two voices with 60 utterances are unpacked here; unpack at least two of the packages "
                "asterisk-core-sounds-{en,es,fr,it,ru}-gsm (or -wav)"));
  EXPECT_THAT(
      prepare_error(*tree_, R"({"type": "debian_speech", "languages": ["nl", "nll"]})", tree_->root() / "source"),
      HasSubstr("/languages: no recording is in \"nll\"; there are en, es, fr, it, nl"));
  EXPECT_THAT(prepare_error(*tree_, R"({"type": "debian_speech", "languages": ["es", "fr"], "phones": true})",
                            tree_->root() / "source"),
              HasSubstr("no asr splits in \"nl\""));
  EXPECT_THAT(prepare_error(*tree_, R"({"type": "debian_speech", "asr_language": "xx"})", tree_->root() / "source"),
              HasSubstr("strata prepare /asr_language: unknown value \"xx\""));
}

TEST_F(DebianSpeechTest, TuxpaintStampsHaveTextAndLanguage) {
  const Tree stamps("tuxpaint");
  const std::string folder = "source/usr/share/tuxpaint/stamps/";
  for (int i = 0; i < 61; ++i) {
    const std::string stamp = "animals/cat" + std::to_string(i);
    stamps.tone(folder + stamp + "_desc_fr.ogg", 400 + 9 * i, 0.5);
    stamps.tone(folder + stamp + "_desc.ogg", 410 + 9 * i, 0.5);
    stamps.tone(folder + stamp + ".ogg", 420 + 9 * i, 0.5);
    stamps.text(folder + stamp + ".txt", "A cat " + std::string(i, 'b') + ".\nde.utf8=Eine Katze.\nfr.utf8=Un chat " +
                                             std::string(i, 'a') + ".\n");
  }
  prepare(stamps, R"({"type": "debian_speech", "quick": false})", stamps.root() / "source");
  const Corpus corpus = Corpus::read(stamps.root() / "manifests");
  EXPECT_EQ(corpus.utterances().size(), 122u);
  EXPECT_EQ(corpus.utterances()[*corpus.find("tuxpaint.en.animals.cat0")].fields["text"], "a cat");
  const Utterance& french = corpus.utterances()[*corpus.find("tuxpaint.fr.animals.cat1")];
  EXPECT_EQ(french.fields["raw_text"], "Un chat a.");
  EXPECT_EQ(french.fields["prompt"], "tuxpaint/animals/cat1");
}

}  // namespace
}  // namespace strata
