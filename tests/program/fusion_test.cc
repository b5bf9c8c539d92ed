#include <gmock/gmock.h>

#include <cmath>
#include <map>
#include <sstream>

#include "tests/program/program.h"

namespace strata {
namespace {

using testing::HasSubstr;

std::vector<Json> lines_of(const std::string& text) {
  std::vector<Json> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(Json::parse(line));
  return lines;
}

/// Two upstreams of 10 and 20 ms and of unequal width, and two of the same depth.
Json fusion_study(const Workplace& place) {
  Json study = place.read_study();
  study["upstreams"]["again"] = {{"model", "model"}, {"dtype", "bfloat16"}};
  const Json common = {{"task", "sid"}, {"optimizer", {{"type", "adam"}, {"learning_rate", 1e-2}}}, {"steps", 20},
                       {"batch_size", 8}, {"evaluate_every", 10}};
  Json unequal = common, equal = common;
  unequal["upstreams"] = Json::array({Json::array({"fbank", "untrained"})});
  unequal["alignment"] = {{"rate", {"finest", "untrained"}}};
  unequal["interface"] = {{{"type", "weighted_sum"}}, {{"type", "last_layer"}}};
  unequal["fusion"] = {{{"type", "naive"}, {"project_to", 8}},
                       {{"type", "structured"}, {"project_to", {0, 8}}, {"weights", "learned"}},
                       {{"type", "shared_head"}, {"project_to", 8}},
                       {{"type", "individual_heads"}, {"p", {0.25, 0.75}}},
                       {{"type", "joint_hconv"}}};
  equal["upstreams"] = Json::array({Json::array({"untrained", "again"})});
  equal["interface"] = {{{"type", "pca"}, {"output_dim", 4}}, {{"type", "hconv"}}};
  equal["fusion"] = {{{"type", "joint_hconv"}}, {{"type", "structured"}}};
  study["sweep"] = {unequal, equal};
  return study;
}

TEST(Fusion, TrainsEveryCombinationThatFits) {
  const Workplace place;
  place.write_study(fusion_study(place));
  ASSERT_EQ(place.run("extract study.json").code, 0);
  RunResult run = place.run("sweep study.json --dry-run");
  ASSERT_EQ(run.code, 0) << run.err;
  // naive 2 (one for both interfaces), structured, shared_head and individual_heads 4 each; joint_hconv 1, structured 2.
  EXPECT_THAT(run.out, HasSubstr("17 trials: 0 done, 0 failed earlier, 17 to train"));
  EXPECT_THAT(run.out, HasSubstr("needs a learned map of each to a common width: set project_to"));
  EXPECT_THAT(run.out, HasSubstr("not applicable: hconv with stride 3 needs at least 3 layers, found 1"));
  EXPECT_THAT(run.out, HasSubstr("parameters (interface 4, fusion "));

  run = place.run("sweep study.json", 2);
  ASSERT_EQ(run.code, 0) << run.err;
  // The models: those of the unequal pair are trained at two frame rates each.
  EXPECT_EQ(run.times_in_err(" parameters (interface "), 7 + 3) << run.err;
  EXPECT_EQ(run.times_in_err(" and 1 more trials: "), 7) << run.err;
  ASSERT_EQ(place.run("sweep study.json output=plain rewrites=false").code, 0);
  const auto plain = place.done_trials("plain");
  const auto done = place.done_trials("output");
  ASSERT_EQ(done.size(), 17U);
  std::map<std::string, int> alignments;
  for (const auto& [trial, event] : done) {
    const Json record = Json::parse(place.read("output/trials/" + trial + "/trial.json"));
    const std::string fusion = record["config"]["fusion"]["type"];
    alignments[record["alignment"]] += 1;
    EXPECT_NEAR(event["test"]["loss"], plain.at(trial)["test"]["loss"], 1e-3 * plain.at(trial)["test"]["loss"].get<double>()) << fusion;
    EXPECT_EQ(record["parameters"], record["parameters_by_part"]["interface"].get<int>() + record["parameters_by_part"]["fusion"].get<int>() +
                                        record["parameters_by_part"]["head"].get<int>());
    const Json weights = lines_of(place.read("output/trials/" + trial + "/metrics.jsonl")).back().value("weights", Json::object());
    EXPECT_EQ(weights.contains("fusion.model_weights"), record["config"]["fusion"].value("weights", "") == "learned") << fusion;
    if (fusion == "naive") EXPECT_EQ(weights["fusion.1.layer_weights"].size(), 3U);
    EXPECT_EQ(record.contains("fusion"), fusion == "joint_hconv");

    // From audio, upstreams included, it decides as it did from stored features.
    run = place.run("predict output/trials/" + trial + " manifests/audio/u004.wav manifests/audio/u020.wav");
    ASSERT_EQ(run.code, 0) << run.err;
    std::map<std::string, std::string> expected;
    for (const Json& line : lines_of(place.read("output/trials/" + trial + "/predictions.jsonl"))) {
      expected["manifests/audio/" + line["id"].get<std::string>() + ".wav"] = line["predicted"];
    }
    for (const Json& line : lines_of(run.out)) EXPECT_EQ(line["predicted"], expected.at(line["id"])) << fusion;
  }
  EXPECT_THAT(alignments, testing::UnorderedElementsAre(
                              std::pair("a frame every 160 samples, slower taps repeated, cut to the shortest", 7),
                              std::pair("a frame every 320 samples, faster taps averaged, cut to the shortest", 7),
                              std::pair("a frame every 320 samples, cut to the shortest", 3)));
  run = place.run("report output");
  EXPECT_EQ(run.code, 0) << run.err;
  EXPECT_THAT(run.out, HasSubstr("| fbank+untrained | none \\| naive (project_to=8) "));
}

TEST(Fusion, RecognisesSpeechWithTwoUpstreams) {
  const Workplace place;
  Json study = place.read_study();
  study["tasks"] = {{"asr", {{"type", "asr"}, {"corpus", "tones"}}}};
  study["sweep"] = Json::array({{{"task", "asr"}, {"upstreams", {"fbank", "untrained"}}, {"interface", {{"type", "weighted_sum"}}},
                                 {"fusion", {{{"type", "shared_head"}, {"project_to", 8}, {"weights", "learned"}}, {{"type", "individual_heads"}}}},
                                 {"steps", 10}, {"batch_size", 8}, {"evaluate_every", 10}}});
  place.write_study(study);
  ASSERT_EQ(place.run("extract study.json").code, 0);
  const RunResult run = place.run("sweep study.json", 2);
  ASSERT_EQ(run.code, 0) << run.err;
  const auto done = place.done_trials("output");
  ASSERT_EQ(done.size(), 2U);
  for (const auto& [trial, event] : done) EXPECT_TRUE(std::isfinite(event["test"]["loss"].get<double>()));
}

TEST(Fusion, ListsExplainEachKind) {
  const Workplace place;
  RunResult run = place.run("list fusions");
  EXPECT_EQ(run.code, 0) << run.err;
  for (const char* text : {"eq. 1", "eq. 2", "eq. 3", "eq. 4", "arXiv:2511.08389", "project_to", "learned"}) {
    EXPECT_THAT(run.out, HasSubstr(text));
  }
  run = place.run("list interfaces");
  EXPECT_EQ(run.code, 0) << run.err;
  for (const char* text : {"arXiv:2406.12209", "y[t] = sum_l softmax(w)_l x[t, l]", "pca", "output_dim"}) {
    EXPECT_THAT(run.out, HasSubstr(text));
  }
}

}  // namespace
}  // namespace strata
