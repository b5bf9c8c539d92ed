#include <ATen/core/Tensor.h>
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <cstdlib>
#include <filesystem>
#include <sstream>

#include "core/tensor/safetensors.h"
#include "data/store/corpus_features.h"
#include "tests/program/program.h"

namespace strata {
namespace {

using testing::AllOf;
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

// A value that float16 cannot hold must not become infinity in a store.
TEST(Extract, LeavesOutWhatItsTypeCannotHold) {
  const Workplace place(8);
  const auto path = place.folder() / "model/model.safetensors";
  NamedTensors weights = read_safetensors(path);
  for (auto& [name, weight] : weights) {
    weight = weight.clone();
    if (name.ends_with("layers.1.final_layer_norm.weight")) weight *= 1e6;
  }
  write_safetensors(path, weights);
  Json study = place.read_study();
  study["upstreams"] = {{"untrained", {{"model", "model"}, {"dtype", "float16"}}}};
  place.write_study(study);
  const RunResult run = place.run("extract study.json");
  EXPECT_EQ(run.code, 3) << run.err;
  EXPECT_EQ(run.times_in_err("tap h2: its largest value, "), 8) << run.err;
  EXPECT_THAT(run.err, HasSubstr("utterances.jsonl line 1: utterance \"u000\" is left out: tap h2: its largest value, "));
  EXPECT_THAT(run.err, HasSubstr("is beyond the range of float16; store this upstream in bfloat16 or float32"));
  study["upstreams"]["untrained"]["dtype"] = "float32";
  study["store"] = "wider";
  place.write_study(study);
  EXPECT_EQ(place.run("extract study.json").code, 0);
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

/// The study over the upstream "untrained" alone, with these settings, in this store.
void set_up(const Workplace& place, const Json& upstream, const std::string& store, const std::string& output) {
  Json study = place.read_study();
  study["upstreams"] = {{"untrained", upstream}};
  study["store"] = store;
  study["output"] = output;
  study["sweep"] = Json::parse(R"([{ "task": "sid", "upstreams": ["untrained"],
      "interface": [{ "type": "weighted_sum" }, { "type": "single_layer", "layer": 1 }],
      "optimizer": { "type": "adam", "learning_rate": 1e-3 }, "steps": 20, "batch_size": 8, "evaluate_every": 10 }])");
  place.write_study(study);
}

Json with_taps(const Json& taps) {
  Json upstream = {{"model", "model"}, {"dtype", "float16"}};
  if (!taps.is_null()) upstream["taps"] = taps;
  return upstream;
}

void extract_all(const Workplace& place, int ranks) {
  const RunResult run = place.run("extract study.json --threads 2 --shard-bytes 20000", ranks);
  ASSERT_EQ(run.code, 0) << run.err;
}

/// All files of a store but those that tell who made it and who works in it.
std::map<std::string, std::string> files_of(const Workplace& place, const std::string& store) {
  std::map<std::string, std::string> files = place.files(store, "");
  std::erase_if(files, [](const auto& file) {
    return file.first.find("shard-") == file.first.npos && file.first.find("generation-") == file.first.npos;
  });
  return files;
}

/// Trial ids with the metrics of each.
std::map<std::string, Json> sweep(const Workplace& place, const std::string& output) {
  const RunResult run = place.run("sweep study.json");
  EXPECT_EQ(run.code, 0) << run.err;
  std::map<std::string, Json> results;
  for (const auto& [id, event] : place.done_trials(output)) results[id] = event.at("test");
  return results;
}

TEST(Extract, AddsTapsAsAGenerationOfTheirOwn) {
  const Workplace place(24);
  for (const int ranks : {0, 2}) {
    const std::string store = "grown" + std::to_string(ranks);
    set_up(place, with_taps({"conv", "h2"}), store, "none");
    ASSERT_NO_FATAL_FAILURE(extract_all(place, ranks));
    const auto before = place.files(store, ".h5");
    set_up(place, with_taps(nullptr), store, "none");
    EXPECT_THAT(place.run("sweep study.json").err,
                HasSubstr("the store has no tap \"h0\", it has h2, conv; run `strata extract`"));
    ASSERT_NO_FATAL_FAILURE(extract_all(place, ranks));
    const auto after = place.files(store, ".h5");
    EXPECT_GT(after.size(), before.size());
    for (const auto& [name, content] : before) EXPECT_TRUE(after.at(name) == content) << name;
    const Json described = Json::parse(place.read(store + "/untrained/store.json"));
    for (std::size_t t = 0; t < 4; ++t) EXPECT_EQ(described["taps"][t]["name"], Json({"h0", "h1", "h2", "conv"})[t]);
  }
  EXPECT_TRUE(files_of(place, "grown0") == files_of(place, "grown2"));

  // A study that lists less than there is has nothing to do.
  set_up(place, with_taps({"h2"}), "grown0", "none");
  EXPECT_THAT(place.run("extract study.json").out, HasSubstr(": 0 shards written, "));
  EXPECT_EQ(place.run("verify grown0").code, 0);
  const RunResult inspected = place.run("inspect grown0");
  EXPECT_THAT(inspected.out, HasSubstr("corpus tones: 24 utterances in 2 generations of shards"));
  EXPECT_THAT(inspected.out, HasSubstr("generation 0: 24 utterances in "));
  EXPECT_THAT(inspected.out, HasSubstr("taps h0, h1; compression none"));

  // The features are those of a store made at once; so are trials, whatever the study before it wanted.
  set_up(place, with_taps({"h0", "h1", "h2", "conv"}), "once", "none");
  ASSERT_NO_FATAL_FAILURE(extract_all(place, 0));
  const CorpusFeatures grown(FeatureStore::open(place.folder() / "grown0/untrained"), "tones");
  const CorpusFeatures once(FeatureStore::open(place.folder() / "once/untrained"), "tones");
  EXPECT_EQ(grown.size(), 24U);
  for (int u = 0; u < 24; ++u) {
    const std::string id = fmt::format("u{:03}", u);
    for (std::size_t t = 0; t < 4; ++t) EXPECT_TRUE(grown.read(id, t).equal(once.read(id, t))) << id << t;
  }
  for (const Json& taps : {Json(), Json({"h2", "h1"})}) {
    const std::string suffix = std::to_string(taps.size());
    set_up(place, with_taps(taps), "grown0", "of_grown" + suffix);
    const auto of_grown = sweep(place, "of_grown" + suffix);
    set_up(place, with_taps(taps), "alone" + suffix, "of_alone" + suffix);
    ASSERT_NO_FATAL_FAILURE(extract_all(place, 0));
    EXPECT_EQ(sweep(place, "of_alone" + suffix), of_grown);
    EXPECT_EQ(of_grown.size(), 2U);
  }
}

TEST(Extract, OfNewTapsThatWasKilledContinuesToTheSameBytes) {
  const Workplace place(160);
  for (const char* store : {"whole", "killed"}) {
    set_up(place, with_taps({"h1"}), store, "none");
    ASSERT_EQ(place.run("extract study.json --shard-bytes 20000").code, 0);
  }
  set_up(place, with_taps(nullptr), "whole", "none");
  ASSERT_EQ(place.run("extract study.json --shard-bytes 10000").code, 0);
  const auto whole = files_of(place, "whole");
  const std::size_t first = place.files("killed", ".h5").size();
  set_up(place, with_taps(nullptr), "killed", "none");
  int killed = 0;  // a late blow may find the work done
  for (const std::size_t shards : {first + 1, first + 6}) {
    const std::string enough = fmt::format("[ $(find killed -name 'shard-*.h5' | wc -l) -ge {} ]", shards);
    killed += place.run_until("extract study.json --shard-bytes 10000", 2, enough, "kill -9 $(rank 1)").code == 137;
  }
  EXPECT_GT(killed, 0);
  ASSERT_EQ(place.run("extract study.json --shard-bytes 10000", 2).code, 0);
  EXPECT_TRUE(files_of(place, "killed") == whole);
}

/// Everything that reads features reads these.
TEST(Extract, StoresInt8AndCompressed) {
  const Workplace place(24);
  std::map<std::string, std::map<std::string, Json>> results;
  for (const char* dtype : {"int8", "float16"}) {
    for (const char* compression : {"none", "deflate", "blosc"}) {
      const std::string name = std::string(dtype) + "_" + compression;
      set_up(place, {{"model", "model"}, {"dtype", dtype}, {"compression", compression}}, name, "of_" + name);
      ASSERT_NO_FATAL_FAILURE(extract_all(place, compression == std::string("none") ? 0 : 2));
      EXPECT_EQ(place.run("verify " + name).code, 0);
      const std::string inspected = place.run("inspect " + name).out;
      EXPECT_THAT(inspected, HasSubstr(std::string("features of upstream untrained in ") + dtype));
      EXPECT_THAT(inspected, HasSubstr(std::string("; compression ") + compression));
      EXPECT_THAT(place.run("inspect " + name + "/untrained/tones/shard-00000.h5").out,
                  HasSubstr(std::string("compression ") + compression));
      results[name] = sweep(place, "of_" + name);
    }
  }
  // Compression changes neither features nor trials; the type is another upstream.
  EXPECT_EQ(results["int8_deflate"], results["int8_none"]);
  EXPECT_EQ(results["float16_deflate"], results["float16_none"]);
  EXPECT_EQ(results["int8_blosc"], results["int8_none"]);
  EXPECT_EQ(results["float16_blosc"], results["float16_none"]);
  EXPECT_EQ(results["int8_none"].size(), 2U);
  EXPECT_NE(results["int8_none"].begin()->first, results["float16_none"].begin()->first);

  // Predicting from audio rounds as the store did.
  const std::string trial = results["int8_deflate"].begin()->first;
  const RunResult run = place.run("predict of_int8_deflate/trials/" + trial + " manifests");
  ASSERT_EQ(run.code, 0) << run.err;
  std::map<std::string, Json> predicted;
  std::istringstream lines(run.out), written(place.read("of_int8_deflate/trials/" + trial + "/predictions.jsonl"));
  for (std::string line; std::getline(lines, line);)
    predicted[Json::parse(line).at("id")] = Json::parse(line).at("predicted");
  std::size_t compared = 0;
  for (std::string line; std::getline(written, line); ++compared) {
    EXPECT_EQ(predicted.at(Json::parse(line).at("id")), Json::parse(line).at("predicted"));
  }
  EXPECT_GT(compared, 0U);
  const CorpusFeatures features(FeatureStore::open(place.folder() / "int8_deflate/untrained"), "tones");
  const NamedTensors alone = encode(place, "u007", "");
  EXPECT_TRUE(features.read("u007", 1).equal(as_read(alone.at("u007/h1"), hdf5::StoredType::kInt8)));
}

TEST(Extract, StripTakesTapsAway) {
  const Workplace place(24);
  set_up(place, with_taps({"h0", "h1", "conv"}), "features", "output");
  ASSERT_NO_FATAL_FAILURE(extract_all(place, 0));
  RunResult run = place.run("strip features --drop-taps conv,h1");
  EXPECT_EQ(run.code, 0) << run.err;
  EXPECT_THAT(run.out, HasSubstr("would rewrite"));
  EXPECT_THAT(run.out, HasSubstr("nothing was changed; --yes does it"));
  EXPECT_THAT(place.run("inspect features").out, HasSubstr("taps h0, h1, conv"));
  run = place.run("strip features --drop-taps conv,h1 --yes");
  EXPECT_EQ(run.code, 0) << run.err;
  EXPECT_EQ(place.run("verify features").code, 0);
  EXPECT_THAT(place.run("inspect features").out, HasSubstr("taps h0; compression none"));
  EXPECT_EQ(place.run("strip features").code, 2);
  // What was taken away comes back if a study asks for it.
  ASSERT_NO_FATAL_FAILURE(extract_all(place, 2));
  EXPECT_EQ(place.run("verify features").code, 0);
  EXPECT_EQ(place.run("strip features --drop-corpus tones --yes").code, 0);
  EXPECT_EQ(place.run("strip features --drop-corpus tones").code, 2);
}

TEST(Extract, ItsStoreIsCopiedMovedAndLimited) {
  const Workplace place(24);
  set_up(place, with_taps({"h0"}), "features", "output");
  ASSERT_NO_FATAL_FAILURE(extract_all(place, 0));
  const auto shards = place.files("features", ".h5");
  EXPECT_THAT(place.run("copy features elsewhere").out, HasSubstr("nothing was changed; --yes does it"));
  EXPECT_EQ(place.run("copy features elsewhere --yes").code, 0);
  EXPECT_EQ(place.run("verify elsewhere").code, 0);
  EXPECT_EQ(place.files("elsewhere", ".h5"), shards);
  EXPECT_EQ(place.run("copy features elsewhere --corpus nothing --yes").code, 2);
  EXPECT_EQ(place.run("copy elsewhere moved --move --yes").code, 0);
  EXPECT_EQ(place.files("moved", ".h5"), shards);
  EXPECT_TRUE(place.files("elsewhere", ".h5").empty());
  EXPECT_THAT(place.run("strip moved --limit 1TB").out, HasSubstr("it is within the limit"));
  EXPECT_THAT(place.run("strip moved --limit 1KB").out, HasSubstr("tones: would remove"));
  EXPECT_EQ(place.run("strip moved --limit 1KB --yes").code, 0);
  EXPECT_TRUE(place.files("moved", ".h5").empty());
  EXPECT_EQ(place.run("strip moved --limit many").code, 2);
}

// Shards tell themselves how they are stored: what is there stays, what comes is as the study now says.
TEST(Extract, MayChangeItsCompression) {
  const Workplace place(24);
  set_up(place, with_taps({"h1"}), "mixed", "none");
  ASSERT_NO_FATAL_FAILURE(extract_all(place, 0));
  const auto before = place.files("mixed", ".h5");
  Json upstream = with_taps({"h0", "h1"});
  upstream["compression"] = "deflate";
  set_up(place, upstream, "mixed", "of_mixed");
  ASSERT_NO_FATAL_FAILURE(extract_all(place, 0));
  const auto after = place.files("mixed", ".h5");
  for (const auto& [name, content] : before) EXPECT_TRUE(after.at(name) == content) << name;
  EXPECT_EQ(Json::parse(place.read("mixed/untrained/store.json"))["compression"], "deflate");
  EXPECT_EQ(place.run("verify mixed").code, 0);
  const auto of_mixed = sweep(place, "of_mixed");
  set_up(place, with_taps({"h0", "h1"}), "plain", "of_plain");
  ASSERT_NO_FATAL_FAILURE(extract_all(place, 0));
  EXPECT_EQ(sweep(place, "of_plain"), of_mixed);
}

/// Takes the durations out of the manifest, so that only the headers of the audio tell them.
void drop_durations(const Workplace& place) {
  std::istringstream lines(place.read("manifests/utterances.jsonl"));
  std::string without;
  for (std::string line; std::getline(lines, line);) {
    Json utterance = Json::parse(line);
    utterance.erase("duration");
    without += utterance.dump() + "\n";
  }
  place.write("manifests/utterances.jsonl", without);
}

TEST(Extract, SaysHowMuchItWillWriteAndRefusesADiskThatIsTooSmall) {
  const Workplace place;
  const std::string message = "extract: 2 shards to write, about ";
  std::string with_durations;
  for (const bool durations : {true, false}) {
    if (!durations) drop_durations(place);
    const std::string store = durations ? "told" : "read";
    const RunResult run = place.run("extract study.json store=" + store);
    ASSERT_EQ(run.code, 0) << run.err;
    const std::size_t at = run.err.find(message);
    ASSERT_NE(at, run.err.npos) << run.err;
    const std::string told = run.err.substr(at, run.err.find(" MB", at) - at);
    double stored = 0;
    for (const auto& [name, content] : place.files(store, ".h5")) stored += static_cast<double>(content.size()) / 1e6;
    EXPECT_GT(stored, 0.5);
    EXPECT_NEAR(std::atof(told.c_str() + message.size()), stored, 0.05 + 0.1 * stored) << durations;
    if (durations) with_durations = told;
    EXPECT_EQ(told, with_durations);

    const std::string small = store + "_small";
    const std::string disk =
        "export LD_PRELOAD=" + std::filesystem::absolute("tests/program/fault_shim.so").string() +
        " STRATA_SHIM_FREE=200000 STRATA_SHIM_FOLDER=" + (std::filesystem::canonical(place.folder()) / small).string();
    const RunResult refused = place.run("extract study.json store=" + small, 0, disk);
    EXPECT_EQ(refused.code, 1) << refused.err;
    EXPECT_EQ(refused.times_in_err("strata: error: "), 1) << refused.err;
    EXPECT_THAT(refused.err, HasSubstr("strata: error: " + small + ": the features take about "));
    EXPECT_THAT(refused.err, HasSubstr(" MB, only 0.2 MB are free there; make room, "));
    EXPECT_TRUE(place.files(small, ".h5").empty());
    EXPECT_EQ(place.run("extract study.json --ignore-free-space store=" + small, 0, disk).code, 0);
    EXPECT_TRUE(place.files(small, ".h5") == place.files(store, ".h5"));
  }
}

// A refusal leaves nothing that says what the store must be.
TEST(Extract, IsRefusedAndThenStoresLess) {
  const Workplace place(24);
  const std::string disk = "export LD_PRELOAD=" + std::filesystem::absolute("tests/program/fault_shim.so").string() +
                           " STRATA_SHIM_FREE=100000 STRATA_SHIM_FOLDER=" +
                           (std::filesystem::canonical(place.folder()) / "features").string();
  set_up(place, with_taps(nullptr), "features", "none");
  const RunResult refused = place.run("extract study.json", 0, disk);
  EXPECT_EQ(refused.code, 1) << refused.err;
  EXPECT_THAT(refused.err, HasSubstr("make room, store fewer taps or a smaller dtype"));
  Json less = with_taps({"h1"});
  less["dtype"] = "int8";
  set_up(place, less, "features", "none");
  const RunResult run = place.run("extract study.json", 0, disk);
  EXPECT_EQ(run.code, 0) << run.err;
  EXPECT_EQ(Json::parse(place.read("features/untrained/store.json"))["taps"].size(), 1U);
}

TEST(Extract, TriesThoseAgainThatCouldNotBeDecoded) {
  const Workplace place(24);
  set_up(place, with_taps(nullptr), "features", "output");
  const std::string audio = place.read("manifests/audio/u005.wav");
  place.write("manifests/audio/u005.wav", "this is no audio");
  EXPECT_EQ(place.run("extract study.json").code, 3);
  const auto before = place.files("features", ".h5");
  EXPECT_THAT(place.run("sweep study.json").err, HasSubstr("mend them and run `strata extract --retry-failed`"));
  EXPECT_THAT(place.run("extract study.json --retry-failed").out, HasSubstr("1 could not be decoded"));
  place.write("manifests/audio/u005.wav", audio);
  EXPECT_EQ(place.run("extract study.json").code, 3);  // it is not asked to
  const RunResult run = place.run("extract study.json --retry-failed", 2);
  EXPECT_EQ(run.code, 0) << run.err;
  EXPECT_THAT(run.out, HasSubstr("1 shards written, 2 were there; 1 utterances"));
  EXPECT_THAT(place.run("extract study.json --retry-failed").out, HasSubstr("0 shards written, 3 were there"));
  for (const auto& [name, content] : before) EXPECT_TRUE(place.files("features", ".h5").at(name) == content) << name;
  EXPECT_EQ(place.run("verify features").code, 0);
  EXPECT_EQ(place.run("sweep study.json sweep.0.steps=5").code, 0);
}

// As if it had been stopped for so long that another host thought it dead.
TEST(Extract, EndsIfAnotherTookTheStoreOver) {
  const Workplace place(160);
  const std::string action =
      "kill -STOP $run; ls lost/*/tones/shard-*.h5 | wc -l >held; "
      R"(sed -i 's/"host":"[^"]*"/"host":"node7"/' lost/owner.json; kill -CONT $run)";
  const RunResult run = place.run_until("extract study.json --threads 1 --shard-bytes 5000 store=lost", 0,
                                        "ls lost/*/tones/shard-*.h5", action);
  EXPECT_EQ(run.code, 1) << run.err;
  EXPECT_EQ(run.times_in_err("strata: error: "), 1) << run.err;
  EXPECT_THAT(run.err, AllOf(HasSubstr("strata: error: lost: strata extract (process "),
                             HasSubstr(" on node7) took over here, since this job had given no sign of life")));
  // One may have been on its way to the disk.
  EXPECT_LE(place.files("lost", ".h5").size(), std::stoul(place.read("held")) + 1);
  EXPECT_TRUE(std::filesystem::exists(place.folder() / "lost/owner.json"));
}

TEST(Extract, ASecondOneOnALiveStoreIsToldAndHarmsNothing) {
  const Workplace place(160);
  const std::string command = "extract study.json --threads 1 --shard-bytes 5000 store=";
  ASSERT_EQ(place.run(command + "whole").code, 0);
  for (const int ranks : {0, 2}) {
    const std::string store = fmt::format("live{}", ranks);
    // The first one is held, with some of its shards written, until the second has ended.
    const std::string action =
        fmt::format("held={}; kill -STOP $held; $program {}{} >second 2>&1; echo $? >>second; kill -CONT $held",
                    ranks == 0 ? "$run" : "$(rank 0)", command, store);
    const RunResult run = place.run_until(command + store, ranks, "ls " + store + "/*/tones/shard-*.h5", action);
    EXPECT_EQ(run.code, 0) << run.err;
    EXPECT_THAT(place.read("second"), AllOf(HasSubstr("strata: error: " + store + ": strata extract (process "),
                                            HasSubstr("is working here"), HasSubstr("\n1\n")));
    EXPECT_TRUE(files_of(place, store) == files_of(place, "whole")) << ranks;
    EXPECT_EQ(place.files(store, "").size(), place.files("whole", "").size()) << "something else was left behind";
  }
}

TEST(Extract, AsksForThePluginOfItsCompression) {
  const Workplace place(24);
  Json upstream = with_taps({"h1"});
  upstream["compression"] = "blosc";
  set_up(place, upstream, "packed", "of_packed");
  const std::string no_plugin = "mkdir -p nothing; export HDF5_PLUGIN_PATH=$PWD/nothing";
  const RunResult refused = place.run("extract study.json", 0, no_plugin);
  EXPECT_EQ(refused.code, 2);
  EXPECT_THAT(refused.err, HasSubstr("/upstreams/untrained/compression: HDF5 has no filter 32001 (blosc, "));
  EXPECT_THAT(refused.err, HasSubstr("hdf5-filter-plugin-blosc-serial"));
  EXPECT_FALSE(std::filesystem::exists(place.folder() / "packed/untrained"));
  ASSERT_NO_FATAL_FAILURE(extract_all(place, 0));
  // What cannot be read here is not damaged.
  const auto shards = place.files("packed", ".h5");
  const RunResult repaired = place.run("verify packed --repair", 0, no_plugin);
  EXPECT_EQ(repaired.code, 1);
  EXPECT_THAT(repaired.out, HasSubstr("shard-00000.h5: HDF5 has no filter 32001 (blosc, "));
  EXPECT_THAT(repaired.err, HasSubstr("packed: 1 folders could not be looked into"));
  EXPECT_EQ(place.files("packed", ".h5"), shards);
  EXPECT_THAT(place.run("sweep study.json", 0, no_plugin).err, HasSubstr(".h5: HDF5 has no filter 32001 (blosc, "));
  EXPECT_EQ(place.run("verify packed").code, 0);
}

}  // namespace
}  // namespace strata
