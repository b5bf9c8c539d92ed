#include "trainers/study/expand.h"

#include <gmock/gmock.h>

#include <set>

#include "core/base/error.h"
#include "core/base/file.h"
#include "tests/errors.h"
#include "tests/folder.h"

namespace strata {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

const char* const kBlock = R"({"task": "sid", "upstreams": ["hubert"], "interface": {"type": "weighted_sum"}})";

StudyFacts small_facts() {
  StudyFacts facts;
  FeatureSpec hubert, fbank;
  for (int layer = 0; layer < 5; ++layer) hubert.taps.push_back({"h" + std::to_string(layer), 16, 320});
  hubert.taps.push_back({"conv", 8, 320, false});
  fbank.taps.push_back({"fbank", 80, 160});
  facts.upstreams["hubert"] = {"f-hubert", hubert, {}};
  facts.upstreams["fbank"] = {"f-fbank", fbank, {}};
  facts.tasks["sid"] = {{{"type", "sid"}}, "debian", {{"type", "mean_pool_linear"}}, 3, HeadOutput::kUtteranceLogits};
  facts.tasks["asr"] = {{{"type", "asr"}}, "debian", {{"type", "linear_ctc"}}, 30, HeadOutput::kFrameLogits};
  return facts;
}

class ExpandTest : public testing::Test {
 protected:
  Study study(const std::vector<std::string>& blocks) const {
    Study made;
    made.file = "study.json";
    for (const std::string& block : blocks) made.sweep.push_back(Json::parse(block));
    return made;
  }
  /// The good block with some keys changed (null: taken away), expanded.
  Expansion expand(const Json& changes = Json::object()) const {
    Study made = study({kBlock});
    made.sweep[0].merge_patch(changes);
    return expand_study(made, facts);
  }
  std::vector<Trial> trials(const Json& changes = Json::object()) const { return expand(changes).trials; }
  std::string id(const Json& changes = Json::object()) const {
    const auto all = trials(changes);
    EXPECT_EQ(all.size(), 1u);
    return all.at(0).id;
  }
  std::string error(const Json& changes) const {
    return error_of<ConfigError>([&] { expand(changes); });
  }
  /// One part of every trial's configuration.
  static std::vector<Json> values(const std::vector<Trial>& trials, const char* pointer) {
    std::vector<Json> all;
    for (const Trial& trial : trials) all.push_back(trial.config.at(Json::json_pointer(pointer)));
    return all;
  }

  StudyFacts facts = small_facts();
};

TEST_F(ExpandTest, FillsInDefaults) {
  const auto all = trials();
  ASSERT_EQ(all.size(), 1u);
  const Json& config = all[0].config;
  EXPECT_EQ(config["semantics"], kTrainingSemantics);
  EXPECT_EQ(config["task"], (Json{{"type", "sid"}}));
  EXPECT_EQ(config["upstreams"],
            (Json::array({{{"fingerprint", "f-hubert"}, {"taps", {"h0", "h1", "h2", "h3", "h4"}}}})));
  EXPECT_EQ(config["interface"], (Json{{"type", "weighted_sum"}, {"normalize", false}, {"taps", Json::array()}}));
  EXPECT_EQ(config["fusion"]["type"], "none");
  EXPECT_EQ(config["head"], (Json{{"type", "mean_pool_linear"}}));
  EXPECT_EQ(config["optimizer"]["type"], "adam");
  EXPECT_EQ(config["optimizer"]["learning_rate"], 1e-3);
  EXPECT_EQ(config["schedule"]["type"], "constant");
  EXPECT_EQ(config["steps"], 2000);
  EXPECT_EQ(config["batch_size"], 32);
  EXPECT_EQ(config["evaluate_every"], 200);
  EXPECT_EQ(config["clip"], 1.0);
  EXPECT_EQ(config["seed"], 0);
  EXPECT_EQ(all[0].names, (Json{{"task", "sid"}, {"upstreams", {"hubert"}}}));
  EXPECT_EQ(all[0].id.size(), 16u);
  EXPECT_EQ(all[0].id.find_first_not_of("0123456789abcdef"), std::string::npos);
}

TEST_F(ExpandTest, TakesAListForAnAxis) {
  const auto all = trials(
      {{"seed", {0, 1, 2}}, {"steps", {10, 20}}, {"optimizer", {{"type", "adam"}, {"learning_rate", {1e-4, 1e-3}}}}});
  ASSERT_EQ(all.size(), 12u);
  EXPECT_THAT(values({all.begin(), all.begin() + 4}, "/seed"), ElementsAre(0, 1, 2, 0));  // the last axis turns fastest
  EXPECT_EQ(all[0].config["optimizer"]["learning_rate"], 1e-4);
  EXPECT_EQ(all[11].config["optimizer"]["learning_rate"], 1e-3);
  std::set<std::string> ids;
  for (const Trial& trial : all) ids.insert(trial.id);
  EXPECT_EQ(ids.size(), 12u);
}

TEST_F(ExpandTest, TakesAListOfComponentsAndListsInThem) {
  const auto all = trials(
      {{"interface",
        {{{"type", "weighted_sum"}, {"normalize", {false, true}}}, {{"type", "single_layer"}, {"layer", {0, 2}}}}}});
  EXPECT_THAT(values(all, "/interface/type"),
              ElementsAre("weighted_sum", "weighted_sum", "single_layer", "single_layer"));
  EXPECT_EQ(all[1].config["interface"]["normalize"], true);
  EXPECT_EQ(all[3].config["interface"]["layer"], 2);
}

TEST_F(ExpandTest, KnowsThatTapsAreAListByNature) {
  EXPECT_THAT(values(trials({{"interface", {{"type", "weighted_sum"}, {"taps", {"h0", "h3"}}}}}), "/interface/taps"),
              ElementsAre(Json{"h0", "h3"}));
  EXPECT_THAT(
      values(trials({{"interface", {{"type", "weighted_sum"}, {"taps", {{"h0", "h3"}, {"h1"}}}}}}), "/interface/taps"),
      ElementsAre(Json{"h0", "h3"}, Json::array({"h1"})));
  const auto both = trials({{"interface", {{"type", {"weighted_sum", "last_layer"}}, {"taps", {"h0", "h3"}}}}});
  EXPECT_THAT(values(both, "/interface/type"), ElementsAre("weighted_sum", "last_layer"));
  EXPECT_THAT(values(both, "/interface/taps"), ElementsAre(Json{"h0", "h3"}, Json{"h0", "h3"}));
}

TEST_F(ExpandTest, TakesAListOfListsForAnAxisOfUpstreams) {
  EXPECT_EQ(trials({{"upstreams", {"hubert"}}}).size(), 1u);
  const auto all = trials({{"upstreams", {Json::array({"hubert"}), Json::array({"fbank"})}}});
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[1].names["upstreams"], Json::array({"fbank"}));
}

TEST_F(ExpandTest, ListsWhatIsNotApplicable) {
  const Expansion out = expand({{"interface", {{{"type", "hconv"}}, {{"type", "weighted_sum"}}}},
                                {"upstreams", {Json::array({"hubert"}), Json::array({"fbank"}), {"hubert", "fbank"}}}});
  EXPECT_EQ(out.trials.size(), 3u);
  ASSERT_EQ(out.not_applicable.size(), 3u);
  EXPECT_EQ(out.not_applicable[0].combination, "\"sid\" [\"fbank\"] {\"type\":\"none\"} {\"type\":\"hconv\"}");
  EXPECT_EQ(out.not_applicable[0].reason, "not applicable: hconv with stride 3 needs at least 3 layers, found 1");
  EXPECT_EQ(out.not_applicable[2].reason, "not applicable: fusion none takes one upstream, found 2");
}

TEST_F(ExpandTest, ListsTapsThatDoNotFitAndHeadsThatDoNotFitTheTask) {
  Expansion out = expand({{"interface",
                           {{{"type", "weighted_sum"}, {"taps", {"h0", "conv"}}},
                            {{"type", "weighted_sum"}, {"taps", {"h9"}}},
                            {{"type", "weighted_sum"}}}}});
  EXPECT_EQ(out.trials.size(), 1u);
  ASSERT_EQ(out.not_applicable.size(), 2u);
  EXPECT_THAT(out.not_applicable[0].reason, HasSubstr("taps h0 and conv have widths 16 and 8"));
  EXPECT_THAT(out.not_applicable[1].reason, HasSubstr("the store has no tap \"h9\""));

  out = expand({{"task", {"sid", "asr"}}, {"head", {{{"type", "linear_ctc"}}, {{"type", "mean_pool_linear"}}}}});
  EXPECT_EQ(out.trials.size(), 2u);
  ASSERT_EQ(out.not_applicable.size(), 2u);
  EXPECT_EQ(out.not_applicable[0].reason, "not applicable: head linear_ctc decides once per frame, the task does not");
  EXPECT_EQ(out.not_applicable[1].reason,
            "not applicable: head mean_pool_linear decides once per utterance, the task does not");
}

TEST_F(ExpandTest, TakesFusionsOfSeveralUpstreams) {
  facts.upstreams["large"] = {"f-large", facts.upstreams["hubert"].spec, {}};
  for (Tap& tap : facts.upstreams["large"].spec.taps) tap.width = 24;
  const Expansion out =
      expand({{"upstreams", {Json::array({"hubert"}), {"hubert", "large"}}},
              {"fusion",
               {{{"type", "none"}},
                {{"type", "structured"}, {"weights", {"fixed", "learned"}}, {"project_to", {0, 8}}},
                {{"type", "individual_heads"}, {"p", {0.25, 0.75}}},
                {{"type", "shared_head"}, {"project_to", 8}, {"p", {{0.25, 0.75}, Json::array()}}}}}});
  // One upstream: none, structured 4, shared_head of equal weights. Two: structured projected 2, individual, shared 2.
  EXPECT_EQ(out.trials.size(), 6u + 5u);
  ASSERT_EQ(out.not_applicable.size(), 2u + 3u);
  EXPECT_EQ(out.not_applicable[0].combination,
            "\"sid\" [\"hubert\"] {\"p\":[0.25,0.75],\"type\":\"individual_heads\"} {\"type\":\"weighted_sum\"}");
  std::set<std::string> reasons;
  for (const NotApplicable& n : out.not_applicable) reasons.insert(n.reason);
  EXPECT_THAT(reasons,
              ElementsAre("not applicable: fusion individual_heads has 2 weights p, [0.25, 0.75], for 1 upstreams",
                          "not applicable: fusion none takes one upstream, found 2",
                          "not applicable: fusion shared_head has 2 weights p, [0.25, 0.75], for 1 upstreams",
                          "not applicable: fusion structured of the widths 16, 24 needs a learned map of each to a "
                          "common width: set project_to"));
  const Json& config = out.trials.back().config;
  EXPECT_EQ(config["fusion"],
            (Json{{"type", "shared_head"}, {"weights", "fixed"}, {"p", Json::array()}, {"project_to", 8}}));
  EXPECT_EQ(config["upstreams"].size(), 2u);
  EXPECT_EQ(config["upstreams"][1]["fingerprint"], "f-large");
}

TEST_F(ExpandTest, MakesOneTrialOfAnInterfaceAxisWhereTheFusionMixesLayers) {
  facts.upstreams["other"] = {"f-other", facts.upstreams["hubert"].spec, {}};
  const Json axis = {{{"type", "weighted_sum"}}, {{"type", "hconv"}}, {{"type", "single_layer"}, {"layer", {0, 9}}}};
  for (const char* fusion : {"naive", "joint_hconv"}) {
    const Json two = {{"upstreams", {"hubert", "other"}}, {"fusion", {{"type", fusion}}}, {"interface", axis}};
    const Expansion out = expand(two);
    ASSERT_EQ(out.trials.size(), 1u) << fusion;
    EXPECT_THAT(out.not_applicable, IsEmpty());
    EXPECT_EQ(out.trials[0].config["interface"], (Json{{"type", "none"}}));
    Json without = two;
    without["interface"] = nullptr;  // taken away
    EXPECT_EQ(id(without), out.trials[0].id);
  }
  // Its own options are axes, and its taps are what is read.
  const auto all = trials({{"upstreams", {"hubert", "other"}},
                           {"fusion", {{"type", "naive"}, {"normalize", {false, true}}, {"taps", {"h1", "h3"}}}}});
  ASSERT_EQ(all.size(), 2u);
  EXPECT_THAT(tap_names(all[0].config), ElementsAre("h1", "h3"));
  EXPECT_FALSE(all[0].config["upstreams"][0].contains("taps"));
  EXPECT_EQ(error({{"upstreams", {"hubert", "other"}}, {"fusion", {{"type", {"naive", "structured"}}}}, {"interface", nullptr}}),
            "study.json /sweep/0/interface: this key is missing");
  EXPECT_THAT(error({{"upstreams", {"hubert", "other"}}, {"fusion", {{"type", "naive"}}}, {"interface", {{"type", "hcnov"}}}}),
              HasSubstr("unknown interface \"hcnov\""));
}

TEST_F(ExpandTest, AlignsFrameRatesAsTheStudySays) {
  facts.upstreams["slow"] = {"f-slow", facts.upstreams["hubert"].spec, {}};
  for (Tap& tap : facts.upstreams["slow"].spec.taps) tap.hop_samples = 640;
  const auto two = [](const Json& alignment) {
    return Json{{"upstreams", {"hubert", "slow"}}, {"fusion", {{"type", "structured"}}}, {"alignment", alignment}};
  };
  const std::string plain = id(two(Json::object()));
  EXPECT_EQ(id(two({{"rate", "finest"}, {"slower", "repeat"}})), plain);
  EXPECT_EQ(id(two({{"rate", "hubert"}})), plain) << "it is the finest";
  const auto all = trials(two({{"rate", {"finest", "slow"}}, {"slower", {"repeat", "linear"}}}));
  ASSERT_EQ(all.size(), 3u) << "at the slow rate nothing is slower";
  EXPECT_FALSE(all[0].config.contains("alignment"));
  EXPECT_EQ(alignment_rule(all[0].config), AlignmentRule());
  EXPECT_EQ(alignment_rule(all[1].config), (AlignmentRule{0, true}));
  EXPECT_EQ(all[2].config["alignment"], (Json{{"hop_samples", 640}, {"slower", "repeat"}}));
  EXPECT_EQ(alignment_rule(all[2].config), (AlignmentRule{640, false}));
  // Where all rates are equal no rule has an effect.
  EXPECT_EQ(id({{"alignment", {{"slower", "linear"}}}}), id());

  const Expansion out = expand({{"upstreams", {Json::array({"hubert"}), Json::array({"slow"})}}, {"alignment", {{"rate", "slow"}}}});
  EXPECT_EQ(out.trials.size(), 1u);
  ASSERT_EQ(out.not_applicable.size(), 1u);
  EXPECT_EQ(out.not_applicable[0].reason,
            "not applicable: alignment to the frame rate of \"slow\", which is not among the upstreams");
  EXPECT_EQ(error(two({{"rate", "slwo"}})),
            "study.json /sweep/0/alignment/rate: the study has no \"slwo\", did you mean \"slow\"? it has fbank, hubert, slow");
  EXPECT_EQ(error(two({{"slower", "drop"}})),
            "study.json /sweep/0/alignment/slower: unknown value \"drop\"; known: linear, repeat");
  EXPECT_EQ(error(two({{"method", "linear"}})),
            "study.json /sweep/0/alignment/method: unknown key; alignment takes rate, slower");
  EXPECT_EQ(error(two(3)), "study.json /sweep/0/alignment: expected an object, found 3");
}

TEST_F(ExpandTest, TakesALayerByName) {
  const Json named = {{"interface", {{"type", "single_layer"}, {"layer", "h3"}}}};
  EXPECT_EQ(id(named), id({{"interface", {{"type", "single_layer"}, {"taps", {"h3"}}}}}));
  const Expansion out = expand({{"interface", {{"type", "single_layer"}, {"layer", {"h3", 0, "h9"}}}}});
  EXPECT_EQ(out.trials.size(), 2u);
  ASSERT_EQ(out.not_applicable.size(), 1u);
  EXPECT_THAT(out.not_applicable[0].reason, HasSubstr("the store has no tap \"h9\""));
}

TEST_F(ExpandTest, KeepsEachTrialOnce) {
  EXPECT_EQ(trials({{"seed", {0, 1, 0}}}).size(), 2u);
  // A default that is written out is the same trial, in another block too.
  const Expansion out = expand_study(
      study(
          {kBlock, kBlock,
           R"({"task": "sid", "upstreams": ["hubert"], "interface": {"type": "weighted_sum", "normalize": false}, "seed": [0, 1]})"}),
      facts);
  EXPECT_EQ(out.trials.size(), 2u);
  EXPECT_THAT(out.not_applicable, IsEmpty());
}

TEST_F(ExpandTest, MakesIdsOfWhatDeterminesTheResult) {
  const std::string id_before = id();
  std::set<std::string> ids = {id_before};
  const std::vector<Json> changes = {{{"interface", {{"normalize", true}}}},
                                     {{"interface", {{"type", "last_layer"}}}},
                                     {{"interface", {{"taps", {"h0", "h1", "h2", "h3", "h4"}}}}},
                                     {{"optimizer", {{"type", "sgd"}}}},
                                     {{"optimizer", {{"type", "adam"}, {"learning_rate", 1e-2}}}},
                                     {{"schedule", {{"type", "linear"}}}},
                                     {{"steps", 2001}},
                                     {{"batch_size", 33}},
                                     {{"evaluate_every", 100}},
                                     {{"clip", 2}},
                                     {{"seed", 1}},
                                     {{"head", {{"type", "mean_pool_linear"}, {"projector_width", 7}}}},
                                     {{"upstreams", {"fbank"}}}};
  for (const Json& change : changes) EXPECT_TRUE(ids.insert(id(change)).second) << change;

  const auto changed = [&](const std::function<void(StudyFacts&)>& change) {
    facts = small_facts();
    change(facts);
    const std::string with = id();
    facts = small_facts();
    return ids.insert(with).second;
  };
  EXPECT_TRUE(changed([](StudyFacts& f) { f.upstreams["hubert"].fingerprint = "other weights"; }));
  EXPECT_TRUE(changed([](StudyFacts& f) { f.upstreams["hubert"].missing["debian"] = "hash of ids"; }));
  EXPECT_TRUE(changed([](StudyFacts& f) { f.upstreams["hubert"].spec.taps[1].listed = false; }))
      << "a layer less is mixed";
  EXPECT_TRUE(changed([](StudyFacts& f) { f.tasks["sid"].identity["hashes"] = "other splits"; }));
  EXPECT_TRUE(changed([](StudyFacts& f) { f.tasks["sid"].head["projector_width"] = 9; }));
  EXPECT_FALSE(changed([](StudyFacts& f) { f.upstreams["hubert"].missing["elsewhere"] = "hash of ids"; }));
}

TEST_F(ExpandTest, MakesIdsWithoutNames) {
  const std::string before = id();
  facts.upstreams["mine"] = facts.upstreams["hubert"];
  facts.tasks["speakers"] = facts.tasks["sid"];
  EXPECT_EQ(id({{"upstreams", {"mine"}}, {"task", "speakers"}}), before);
  // Nor does it count what a store has besides the taps that are read.
  const Json named = {{"interface", {{"taps", {"h0"}}}}};
  const std::string with_taps = id(named);
  facts.upstreams["hubert"].spec.taps.erase(facts.upstreams["hubert"].spec.taps.begin() + 3);
  EXPECT_EQ(id(named), with_taps);
}

TEST_F(ExpandTest, NamesEachWrongKeyAndValue) {
  EXPECT_THAT(
      error({{"interfaces", 3}}),
      StartsWith("study.json /sweep/0/interfaces: unknown key, did you mean \"interface\"? a sweep block takes "));
  EXPECT_EQ(error({{"task", nullptr}}), "study.json /sweep/0/task: this key is missing");
  EXPECT_EQ(error({{"upstreams", nullptr}}), "study.json /sweep/0/upstreams: this key is missing");
  EXPECT_EQ(error({{"interface", nullptr}}), "study.json /sweep/0/interface: this key is missing");
  EXPECT_EQ(error({{"seed", Json::array()}}), "study.json /sweep/0/seed: an axis needs at least one value");
  EXPECT_EQ(error({{"task", "isd"}}),
            "study.json /sweep/0/task: the study has no \"isd\", did you mean \"sid\"? it has asr, sid");
  EXPECT_EQ(error({{"task", 3}}), "study.json /sweep/0/task: 3 is not allowed; takes a name");
  EXPECT_EQ(error({{"upstreams", {"huber"}}}),
            "study.json /sweep/0/upstreams: the study has no \"huber\", did you mean \"hubert\"? it has fbank, hubert");
  EXPECT_EQ(error({{"upstreams", "hubert"}}),
            "study.json /sweep/0/upstreams: \"hubert\" is not allowed; takes a list of names, or a list of such lists");
  EXPECT_EQ(error({{"upstreams", {"hubert", "hubert"}}}), "study.json /sweep/0/upstreams: \"hubert\" is named twice");
  EXPECT_EQ(error({{"upstreams", {3}}}), "study.json /sweep/0/upstreams: 3 is not allowed; takes a name");
  EXPECT_THAT(error({{"interface", {{"type", "wieghted_sum"}}}}),
              StartsWith("study.json /sweep/0/interface/type: unknown interface \"wieghted_sum\", did you mean "
                         "\"weighted_sum\"? known: "));
  EXPECT_EQ(error({{"interface", {{"normalise", true}}}}),
            "study.json /sweep/0/interface/normalise: unknown key, did you mean \"normalize\"? \"weighted_sum\" takes "
            "normalize, taps, type");
  EXPECT_EQ(error({{"interface", 3}}), "study.json /sweep/0/interface: expected an object, found 3");
  EXPECT_EQ(error({{"optimizer", {{"type", "adam"}, {"learning_rate", -1}}}}),
            "study.json /sweep/0/optimizer/learning_rate: -1 is not allowed; takes a number, at least 0");
  EXPECT_EQ(error({{"steps", 0}}), "study.json /sweep/0/steps: 0 is not allowed; takes an integer, at least 1");
  EXPECT_EQ(error({{"batch_size", "many"}}),
            "study.json /sweep/0/batch_size: \"many\" is not allowed; takes an integer, at least 1");
  EXPECT_EQ(error({{"seed", -1}}), "study.json /sweep/0/seed: -1 is not allowed; takes an integer, at least 0");
  EXPECT_EQ(error_of<ConfigError>([&] {
              expand_study(study({kBlock, "3"}), facts);
            }),
            "study.json /sweep/1: expected an object, found 3");
}

TEST_F(ExpandTest, RefusesAStudyWithoutTrials) {
  EXPECT_EQ(error_of<ConfigError>([&] { expand_study(study({}), facts); }),
            "study.json /sweep: the study has no trial");
  EXPECT_EQ(error({{"upstreams", {"hubert", "fbank"}}}),
            "study.json /sweep: the study has no trial; every combination is not applicable, the first because: not "
            "applicable: fusion none takes one upstream, found 2");
}

}  // namespace
}  // namespace strata
