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
  f.speech = {{"min_seconds", 1.0}, {"max_seconds", 15.0}, {"licence", "CC-BY-SA 3.0"}};
  f.corpora = {"debian_speech"};
  f.train_utterances = 1234;
  f.train_hours = 2.5;
  f.held_out = 77;
  f.parameters = 2000000;
  f.history = {{{"event", "step"}, {"step", 50}, {"loss", 4.5}, {"accuracy", 0.125}},
               {{"event", "evaluation"}, {"step", 50}, {"dev", {{"loss", 4.25}, {"accuracy", 0.25}}}}};
  f.provenance = {{"command", "strata pretrain study.json"}, {"ranks", 2}};
  return f;
}

TEST(Card, TellsDataCommandSeedCurveAndLicence) {
  const std::string card = model_card(facts());
  for (const char* text : {"# small_hubert", "2.50 hours in 1234 utterances of debian_speech", "77 held out",
                           "Seed 4, 100 steps", "on 2 ranks", "    strata pretrain study.json",
                           "Licence of the speech: CC-BY-SA 3.0", "| 50 | 4.5000 | 12.5 | 4.2500 | 25.0 |"}) {
    EXPECT_THAT(card, HasSubstr(text));
  }
  EXPECT_THAT(card, Not(HasSubstr("Units:")));
}

TEST(Card, WithoutDevTheCurveIsThatOfTraining) {
  CardFacts f = facts();
  f.history.pop_back();
  f.units = {{"clusters", 100},    {"frames", 5000},  {"source", "mfcc"},
             {"hop_samples", 320}, {"inertia", 12.5}, {"start_inertias", {12.5, 13.0}},
             {"empty", 0}};
  EXPECT_THAT(model_card(f), HasSubstr("| 50 | 4.5000 | 12.5 | – | – |"));
  EXPECT_THAT(model_card(f), HasSubstr("Units: 100 clusters by k-means of 5000 frames of mfcc"));
}

}  // namespace
}  // namespace strata
