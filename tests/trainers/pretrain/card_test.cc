#include "trainers/pretrain/card.h"

#include <gmock/gmock.h>

namespace strata {
namespace {

using testing::HasSubstr;
using testing::Not;

CardFacts facts() {
  CardFacts f;
  f.name = "small_hubert";
  f.model = {{"seed", 4}, {"steps", 100}, {"batch_seconds", 60.0}};
  f.speech = {{"min_seconds", 1.0},
              {"max_seconds", 15.0},
              {"held_out", {"demo/*.test", "dutch/*.test"}},
              {"held_out_speakers", {"demo/lid.test"}},
              {"licence", "CC-BY-SA 3.0"}};
  f.corpora = {"debian_speech"};
  f.train_utterances = 1234;
  f.train_hours = 2.5;
  f.held_out = 77;
  f.parameters = 2000000;
  f.weights_sha256 = std::string(64, 'a');
  f.history = {{{"event", "step"}, {"step", 50}, {"loss", 4.5}, {"accuracy", 0.125}},
               {{"event", "evaluation"}, {"step", 50}, {"dev", {{"loss", 4.25}, {"accuracy", 0.25}}}}};
  f.provenance = {{"command", "strata pretrain study.json"}, {"ranks", 2}};
  return f;
}

Json unit_record(const char* source) {
  return {{"clusters", 100},    {"frames", 5000},  {"source", source},
          {"hop_samples", 320}, {"inertia", 12.5}, {"start_inertias", {12.5, 13.0}},
          {"empty", 0}};
}

TEST(Card, TellsDataCommandSeedCurveAndLicence) {
  const std::string card = model_card(facts());
  for (const char* text :
       {"# small_hubert", "2.50 hours in 1234 utterances of debian_speech", "77 held out", "Seed 4, 100 steps",
        "on 2 ranks", "\n    mpirun -np 2 strata pretrain study.json\n", "Licence of the speech: CC-BY-SA 3.0",
        "| step | train loss | train accuracy % | dev loss | dev accuracy % |\n",
        "| 50 | 4.5000 | 12.5 | 4.2500 | 25.0 |\n"}) {
    EXPECT_THAT(card, HasSubstr(text));
  }
  EXPECT_THAT(card, HasSubstr("SHA-256 of model.safetensors: " + std::string(64, 'a') + "\n"));
  EXPECT_THAT(card, Not(HasSubstr("Units:")));
  CardFacts alone = facts();
  alone.provenance["ranks"] = 1;
  EXPECT_THAT(model_card(alone), HasSubstr("\n    strata pretrain study.json\n"));
}

TEST(Card, SaysWhatWasNeverRead) {
  CardFacts f = facts();
  EXPECT_THAT(
      model_card(f),
      HasSubstr("Held out: the utterances of `demo/*.test`, `dutch/*.test`; and the utterances of `demo/lid.test` "
                "with all others of their speakers. These utterances were never read"));
  f.speech["held_out_speakers"] = Json::array();
  EXPECT_THAT(model_card(f), HasSubstr("Held out: the utterances of `demo/*.test`, `dutch/*.test`. These"));
  f.speech["held_out"] = Json::array();
  EXPECT_THAT(model_card(f), HasSubstr("Nothing was held out."));
}

TEST(Card, WithoutDevTheCurveIsThatOfTraining) {
  CardFacts f = facts();
  f.history.pop_back();
  f.units = unit_record("mfcc");
  EXPECT_THAT(model_card(f), HasSubstr("| 50 | 4.5000 | 12.5 |\n"));
  EXPECT_THAT(model_card(f), HasSubstr("Units: 100 clusters by k-means of 5000 frames of mfcc"));
}

TEST(Card, OfATeacherTheSpreadIsToldAndNoAccuracy) {
  CardFacts f = facts();
  f.history = {{{"event", "step"}, {"step", 50}, {"loss", 4.5}, {"target_spread", 0.5}, {"prediction_spread", 0.25}},
               {{"event", "evaluation"}, {"step", 50}, {"dev", {{"loss", 4.25}, {"target_spread", 0.625}}}}};
  EXPECT_THAT(model_card(f),
              HasSubstr("| step | train loss | train target spread | train prediction spread | dev loss | "
                        "dev target spread |\n"
                        "| ---: | ---: | ---: | ---: | ---: | ---: |\n"
                        "| 50 | 4.5000 | 0.500 | 0.250 | 4.2500 | 0.625 |\n"));
}

TEST(Card, TellsOfTheModelsThatTheUnitsComeFrom) {
  CardFacts f = facts();
  f.units = unit_record("first/h3");
  f.unit_models = {{{"name", "first"},
                    {"model", {{"seed", 7}, {"steps", 30}, {"batch_seconds", 24.0}, {"clip", 5.0}}},
                    {"units", unit_record("mfcc")},
                    {"seconds", 1234.4},
                    {"provenance", {{"ranks", 3}}}}};
  const std::string card = model_card(f);
  for (const char* text : {"## first, which the units come from", "5000 frames of mfcc",
                           "Seed 7, 30 steps of at most 24.0 s of audio, 1234 s on 3 ranks.", "\"clip\": 5.0"}) {
    EXPECT_THAT(card, HasSubstr(text));
  }
}

}  // namespace
}  // namespace strata
