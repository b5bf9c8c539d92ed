#include <gmock/gmock.h>

#include <filesystem>
#include <sstream>

#include "tests/program/program.h"

namespace strata {
namespace {

using testing::HasSubstr;

std::map<std::string, Json> lines_by_id(const std::string& text) {
  std::map<std::string, Json> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) {
    const Json json = Json::parse(line);
    lines[json.at("id")] = json;
  }
  return lines;
}

void expect_done(const RunResult& run) { ASSERT_EQ(run.code, 0) << run.err; }

/// Predicting from audio gives, for every utterance of the test split, what the sweep wrote down from stored features.
TEST(Apply, PredictsFromAudioWhatTheSweepPredicted) {
  const Workplace place;
  ASSERT_NO_FATAL_FAILURE(expect_done(place.run("extract study.json")));
  ASSERT_NO_FATAL_FAILURE(expect_done(place.run("sweep study.json")));
  std::size_t compared = 0;
  for (const auto& [trial, event] : place.done_trials("output")) {
    const RunResult run = place.run("predict output/trials/" + trial + " manifests");
    ASSERT_EQ(run.code, 0) << run.err;
    const auto predicted = lines_by_id(run.out);
    EXPECT_EQ(predicted.size(), 48U);
    for (const auto& [id, line] : lines_by_id(place.read("output/trials/" + trial + "/predictions.jsonl"))) {
      EXPECT_EQ(predicted.at(id).at("predicted"), line.at("predicted")) << trial << " " << id;
      compared += 1;
    }
  }
  EXPECT_EQ(compared, 8U * 12);
}

TEST(Apply, FindsTheModelsOfATrialThatWasMoved) {
  const Workplace place;
  ASSERT_NO_FATAL_FAILURE(expect_done(place.run("extract study.json")));
  ASSERT_NO_FATAL_FAILURE(expect_done(place.run("sweep study.json 'sweep.0.upstreams=[[\"untrained\"]]' sweep.0.optimizer.learning_rate=1e-3")));
  const std::string trial = place.done_trials("output").begin()->first;
  std::filesystem::rename(place.folder() / "model", place.folder() / "moved");
  std::filesystem::rename(place.folder() / "output/trials" / trial, place.folder() / "alone");
  EXPECT_EQ(place.run("predict alone manifests/audio/u000.wav").code, 2);
  RunResult run = place.run("predict alone manifests/audio/u000.wav --model untrained=moved");
  EXPECT_EQ(run.code, 0) << run.err;
  EXPECT_THAT(run.out, HasSubstr("\"id\":\"manifests/audio/u000.wav\",\"predicted\":\"s"));
  run = place.run("predict alone manifests/audio/u000.wav --model untrained=fbank");
  EXPECT_EQ(run.code, 2);
  EXPECT_THAT(run.err, HasSubstr("fbank is not the upstream \"untrained\" that the trial was trained on"));
  place.write("broken.wav", "no audio");
  run = place.run("predict alone broken.wav manifests/audio/u000.wav --model untrained=moved");
  EXPECT_EQ(run.code, 3);
  EXPECT_EQ(lines_by_id(run.out).size(), 1U);
}

TEST(Apply, StatusAndReportOfSeveralOutputs) {
  const Workplace place;
  ASSERT_NO_FATAL_FAILURE(expect_done(place.run("extract study.json")));
  ASSERT_NO_FATAL_FAILURE(expect_done(place.run("sweep study.json output=one 'sweep.0.upstreams=[[\"fbank\"]]'")));
  ASSERT_NO_FATAL_FAILURE(expect_done(place.run("sweep study.json output=two 'sweep.0.upstreams=[[\"untrained\"]]'")));
  RunResult run = place.run("status one");
  EXPECT_EQ(run.code, 0) << run.err;
  EXPECT_THAT(run.out, HasSubstr("tones: 4 trials: 4 done, 0 interrupted, 0 waiting, 0 failed\n"));
  EXPECT_THAT(run.out, HasSubstr("all is done"));
  run = place.run("report one two --output both --format csv");
  EXPECT_EQ(run.code, 0) << run.err;
  EXPECT_THAT(run.out, HasSubstr("\nfbank,single_layer (layer=-1),sid,accuracy,"));
  EXPECT_THAT(run.out, HasSubstr("\nuntrained,weighted_sum,sid,accuracy,"));
  EXPECT_THAT(place.read("both/report.html"), HasSubstr("8 of 8 trials are done."));
  EXPECT_THAT(place.read("both/layer_weights_sid.svg"), HasSubstr(">h2</text>"));
}

}  // namespace
}  // namespace strata
