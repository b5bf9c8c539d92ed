#include <ATen/core/Tensor.h>
#include <gmock/gmock.h>

#include "core/tensor/safetensors.h"
#include "data/store/store.h"
#include "tests/program/program.h"

namespace strata {
namespace {

using testing::HasSubstr;

/// Extracts with these settings of the upstream "untrained" alone; returns the description in the store.
Json extract(const Workplace& place, const Json& upstream, int ranks = 0) {
  Json study = place.read_study();
  study["upstreams"] = {{"untrained", upstream}};
  place.write_study(study);
  const RunResult run = place.run("extract study.json --threads 3 --shard-bytes 30000", ranks);
  EXPECT_EQ(run.code, 0) << run.err;
  return Json::parse(place.read("features/untrained/store.json"));
}

NamedTensors encode(const Workplace& place, const std::string& id, const std::string& arguments) {
  const RunResult run =
      place.run("encode model manifests/audio/" + id + ".wav --output alone.safetensors " + arguments);
  EXPECT_EQ(run.code, 0) << run.err;
  return read_safetensors(place.folder() / "alone.safetensors");
}

// Other utterances are computed before it, after it, and at the same time in other threads and ranks.
TEST(Extract, AnUtteranceAmongOthersIsAsEncodedAlone) {
  const Workplace place(24);
  const Json taps = {"h0", "h2", "conv", "proj"};
  const Json described = extract(place, {{"model", "model"}, {"dtype", "float32"}, {"taps", taps}}, 2);
  EXPECT_EQ(described["receptive_field_samples"], 400);
  const std::vector<std::int64_t> widths = {32, 32, 16, 32};
  for (std::size_t t = 0; t < taps.size(); ++t) {
    EXPECT_EQ(described["taps"][t]["name"], taps[t]);
    EXPECT_EQ(described["taps"][t]["width"], widths[t]);
    EXPECT_EQ(described["taps"][t]["hop_samples"], 320);
    EXPECT_EQ(described["taps"][t]["listed"], t < 2);
  }
  const CorpusFeatures features(FeatureStore::open(place.folder() / "features/untrained"), "tones");
  for (const char* id : {"u000", "u007", "u023"}) {
    const NamedTensors alone = encode(place, id, "--taps h0,h2,conv,proj");
    for (std::size_t t = 0; t < taps.size(); ++t) {
      EXPECT_TRUE(features.read(id, t).equal(alone.at(std::string(id) + "/" + taps[t].get<std::string>()))) << id << t;
    }
  }
  const RunResult run = place.run("inspect features");
  EXPECT_THAT(run.out, HasSubstr("tap conv: width 16, a frame every 320 samples"));
  EXPECT_THAT(run.out, HasSubstr("every frame sees 400 samples"));
}

TEST(Extract, SaysWhichTapsThereAre) {
  const Workplace place(8);
  Json study = place.read_study();
  study["upstreams"] = {{"untrained", {{"model", "model"}, {"taps", {"h3"}}}}};
  place.write_study(study);
  const RunResult run = place.run("extract study.json");
  EXPECT_EQ(run.code, 2);
  EXPECT_THAT(
      run.err,
      HasSubstr("/upstreams/untrained/taps: model has no tap \"h3\"; it has h0, h1, h2, conv, proj, pos, input"));
}

TEST(Extract, RecordsWhatAnotherArithmeticChanges) {
  const Workplace place(8);
  EXPECT_EQ(place.run("untrained wide layers=2 hidden_size=64 heads=4 intermediate_size=128 conv_dim=64").code, 0);
  Json study = place.read_study();
  study["upstreams"] = {{"untrained", {{"model", "wide"}, {"compute", "bfloat16"}}}};
  place.write_study(study);
  const RunResult run = place.run("extract study.json", 2);
  if (run.code == 2) {
    EXPECT_THAT(run.err, HasSubstr("compute \"bfloat16\": this CPU has no instructions for bfloat16"));
    return;
  }
  EXPECT_EQ(run.code, 0) << run.err;
  EXPECT_THAT(run.err, HasSubstr("untrained: bfloat16 changes the features by up to "));
  const Json record = Json::parse(place.read("features/untrained/compute.json"));
  EXPECT_EQ(record["compute"], "bfloat16");
  EXPECT_EQ(record["measured_on"], "u000");
  for (const char* tap : {"h0", "h1", "h2"}) {
    EXPECT_GT(record["change"][tap]["relative_rms"], 1e-4) << tap;
    EXPECT_LT(record["change"][tap]["relative_rms"], 0.02) << tap;
  }
  study["upstreams"]["untrained"].erase("compute");
  place.write_study(study);
  EXPECT_THAT(place.run("extract study.json").err, HasSubstr("the store was made by another upstream under the name"));
}

TEST(Extract, RecordsWhatWindowsChange) {
  const Workplace place(24);
  const Json settings = {{"model", "model"}, {"dtype", "float32"}, {"window_seconds", 0.6}, {"context_seconds", 0.1}};
  extract(place, settings);
  const std::string name = "features/untrained/tones/long-utterances.json";
  const Json record = Json::parse(place.read(name));
  EXPECT_GT(record["utterances"].size(), 5U);
  EXPECT_LT(record["utterances"].size(), 24U);
  EXPECT_EQ(record["measured_on"], record["utterances"][0]);
  EXPECT_GT(record["measured_samples"], 9600);
  for (const char* tap : {"h0", "h1", "h2"}) {
    EXPECT_GT(record["change"][tap]["relative_rms"], 0) << tap;
    EXPECT_LT(record["change"][tap]["relative_rms"], 0.5) << tap;
  }
  EXPECT_THAT(place.run("inspect features").out, HasSubstr("utterances are computed in windows"));
  const std::string id = record["measured_on"];
  const CorpusFeatures features(FeatureStore::open(place.folder() / "features/untrained"), "tones");
  const NamedTensors alone = encode(place, id, "--set window_seconds=0.6 --set context_seconds=0.1");
  EXPECT_TRUE(features.read(id, 2).equal(alone.at(id + "/h2")));
  EXPECT_FALSE(features.read(id, 2).equal(encode(place, id, "").at(id + "/h2")));
}

}  // namespace
}  // namespace strata
