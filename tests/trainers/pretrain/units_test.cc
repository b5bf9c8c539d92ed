#include "trainers/pretrain/units.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "core/base/error.h"
#include "core/base/file.h"
#include "tests/data/store/small_store.h"
#include "tests/errors.h"
#include "tests/folder.h"
#include "tests/trainers/pretrain/voices.h"

namespace strata {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::vector<std::int64_t> values(const at::Tensor& tensor) {
  const at::Tensor whole = tensor.contiguous();
  return {whole.const_data_ptr<std::int64_t>(), whole.const_data_ptr<std::int64_t>() + whole.numel()};
}

/// Frames of HuBERT's stem.
std::int64_t stem_count(std::int64_t samples) { return samples < 400 ? 0 : (samples - 400) / 320 + 1; }

UnitRequest request(std::int64_t clusters) {
  UnitRequest wanted;
  wanted.clusters = clusters;
  wanted.count = stem_count;
  return wanted;
}

/// A folder that all ranks share: that of rank 0.
fs::path shared_folder(const Communicator& world) {
  return world.broadcast(world.rank() == 0 ? fresh_folder().string() : "", 0);
}

TEST(UnitRate, MfccsAreTakenEverySecondSlowLayersRepeated) {
  const at::Tensor frames = at::arange(7, at::kLong).view({7, 1});
  EXPECT_THAT(values(at_unit_rate(frames, 160, 320, 10)), ElementsAre(0, 2, 4, 6));
  EXPECT_THAT(values(at_unit_rate(frames, 160, 320, 3)), ElementsAre(0, 2, 4));
  EXPECT_THAT(values(at_unit_rate(frames, 320, 320, 6)), ElementsAre(0, 1, 2, 3, 4, 5));
  EXPECT_THAT(values(at_unit_rate(frames, 640, 320, 5)), ElementsAre(0, 0, 1, 1, 2));
  EXPECT_THROW(at_unit_rate(frames, 480, 320, 5), ConfigError);
}

TEST(UnitRate, MfccsGiveAsManyUnitsAsTheStemHasFrames) {
  const UnitSource mfcc = mfcc_source();
  EXPECT_EQ(mfcc.width, 39);
  for (std::int64_t samples = 400; samples < 1400; samples += 7) {
    EXPECT_EQ(at_unit_rate(at::arange(1 + (samples - 400) / 160, at::kLong), mfcc.hop_samples, 320, 1000).size(0),
              stem_count(samples))
        << samples;
  }
}

TEST(Units, NormalizedFramesForgetLevelAndSpread) {
  const at::Tensor frames = at::arange(12, at::kFloat).view({4, 3}) * 2 + 5;
  const at::Tensor normalized = normalized_over_time(frames, true);
  const double edge = 1.5 / std::sqrt(1.25);  // 0, 1, 2, 3 have mean 1.5 and variance 1.25
  for (const std::int64_t d : {0, 1, 2}) {
    EXPECT_FLOAT_EQ(normalized[0][d].item<float>(), -edge);
    EXPECT_FLOAT_EQ(normalized[3][d].item<float>(), edge);
  }
  EXPECT_LT((normalized_over_time(frames * 7 - 100, true) - normalized).abs().max().item<float>(), 1e-6);
  const at::Tensor centred = normalized_over_time(frames, false);
  EXPECT_EQ(centred[0][0].item<float>(), -9);
  EXPECT_EQ(centred[3][2].item<float>(), 9);
  EXPECT_EQ(normalized_over_time(at::full({1, 3}, 4.0F), true).abs().max().item<float>(), 0) << "nothing changes";
}

TEST(Units, NormalizedUnitsDoNotDependOnTheScaleOfASource) {
  const Communicator world = Communicator::world();
  const Communicator alone = world.split(world.rank());
  const fs::path shared = shared_folder(world), folder = shared / std::to_string(world.rank());
  const Voices voices(
      shared, 6, [&] { world.barrier(); }, world.rank() == 0);
  std::vector<std::size_t> train(6);
  std::iota(train.begin(), train.end(), std::size_t{0});
  const UnitSource mfcc = mfcc_source();
  UnitSource louder = mfcc;
  louder.frames = [&](const Speech& speech, std::size_t u) {
    return mfcc.frames(speech, u) * (1 << (u % 3)) + 64.0 * static_cast<double>(u);
  };
  for (const std::string kind : {"none", "mean_variance"}) {
    UnitRequest wanted = request(4);
    wanted.options.normalize = kind;
    const auto plain = Units::make(folder / kind, voices.speech(), train, mfcc, wanted, alone, false);
    const auto scaled = Units::make(folder / (kind + "_scaled"), voices.speech(), train, louder, wanted, alone, false);
    std::int64_t equal = 0, all = 0, commonest = 0;  // the frames of each utterance's commonest unit
    for (const std::size_t u : train) {
      const auto a = values(plain->of(voices.speech().key(u))), b = values(scaled->of(voices.speech().key(u)));
      for (std::size_t t = 0; t < a.size(); ++t) equal += a[t] == b[t] ? 1 : 0;
      all += static_cast<std::int64_t>(a.size());
      std::int64_t most = 0;
      for (const auto unit : b) most = std::max<std::int64_t>(most, std::count(b.begin(), b.end(), unit));
      commonest += most;
    }
    if (kind == "mean_variance") {
      EXPECT_GT(equal, all * 99 / 100);
      EXPECT_LT(commonest, all * 8 / 10);
    } else {
      EXPECT_GT(commonest, all * 9 / 10) << "the levels tell the utterances apart";
    }
  }
}

TEST(Units, AreMadeOnceAndTheSameAtAnyNumberOfRanks) {
  const Communicator world = Communicator::world();
  const Communicator alone = world.split(world.rank());
  const fs::path folder = shared_folder(world);
  const Voices voices(
      folder, 12, [&] { world.barrier(); }, world.rank() == 0);
  std::vector<std::size_t> train(10);
  std::iota(train.begin(), train.end(), std::size_t{0});
  const fs::path own = folder / ("alone" + std::to_string(world.rank()));

  const auto units = Units::make(folder / "units", voices.speech(), train, mfcc_source(), request(8), world, false);
  const auto by_itself = Units::make(own, voices.speech(), train, mfcc_source(), request(8), alone, false);
  ASSERT_TRUE(units && by_itself);
  for (const char* name : {"units.h5", "centroids.safetensors", "units.json"})
    EXPECT_TRUE(read_file(folder / "units" / name) == read_file(own / name)) << name;
  std::set<std::int64_t> seen;
  for (std::size_t u = 0; u < voices.speech().size(); ++u) {
    const auto labels = values(units->of(voices.speech().key(u)));
    EXPECT_EQ(static_cast<std::int64_t>(labels.size()), stem_count(voices.speech().samples(u)));
    seen.insert(labels.begin(), labels.end());
  }
  EXPECT_GE(*seen.begin(), 0);
  EXPECT_EQ(*seen.rbegin(), 7);
  EXPECT_GT(units->record()["inertia"].get<double>(), 0);
  EXPECT_THAT(error_of<DataError>([&] { units->of("melodies/nobody"); }), HasSubstr("no units of \"melodies/nobody\""));

  // The second time nothing is computed: a source without frames is not asked.
  UnitSource silent = mfcc_source();
  silent.frames = [](const Speech&, std::size_t) -> at::Tensor { throw InternalError("asked"); };
  const auto again = Units::make(folder / "units", voices.speech(), train, silent, request(8), world, false);
  EXPECT_TRUE(at::equal(again->of("melodies/m003"), units->of("melodies/m003")));
}

TEST(Units, LabelIsTheNearestCentroid) {
  const Communicator world = Communicator::world();
  const fs::path folder = shared_folder(world);
  const Voices voices(
      folder, 3, [&] { world.barrier(); }, world.rank() == 0);
  UnitSource lines;  // frame t of utterance u is 10 u + (t odd)
  lines.description = "lines";
  lines.hop_samples = 320;
  lines.width = 1;
  lines.frames = [](const Speech& speech, std::size_t u) {
    const at::Tensor t = at::arange(stem_count(speech.samples(u)), at::kFloat);
    return (10.0 * static_cast<double>(u) + t.remainder(2)).view({-1, 1});
  };
  const auto units = Units::make(folder / "units", voices.speech(), {0, 1, 2}, lines, request(6), world, false);
  std::set<std::int64_t> labels;
  for (std::size_t u = 0; u < 3; ++u) {
    const auto own = values(units->of(voices.speech().key(u)));
    for (std::size_t t = 2; t < own.size(); ++t) EXPECT_EQ(own[t], own[t - 2]);
    labels.insert(own.begin(), own.end());
  }
  EXPECT_EQ(labels.size(), 6U);
  EXPECT_NEAR(units->record()["inertia"].get<double>(), 0, 1e-5);
}

TEST(Units, CanComeFromAFeatureStore) {
  const Communicator world = Communicator::world();
  const fs::path folder = shared_folder(world);
  const Voices voices(
      folder, 3, [&] { world.barrier(); }, world.rank() == 0);
  const std::vector<Tap> taps = {{"h0", 3, 320}, {"h1", 2, 640}};
  if (world.rank() == 0) {
    std::vector<ShardUtterance> utterances;
    for (int u = 0; u < 3; ++u) {
      const std::int64_t frames = stem_count(voices.speech().samples(static_cast<std::size_t>(u)));
      utterances.push_back(
          utterance("m00" + std::to_string(u), taps, {frames, frames / 2}, hdf5::StoredType::kFloat16));
    }
    write_store(folder / "store", taps, "melodies", utterances, hdf5::StoredType::kFloat16);
  }
  world.barrier();
  const UnitSource source = store_source(folder / "store", "h1", voices.speech(), "a test");
  EXPECT_EQ(source.width, 2);
  EXPECT_EQ(source.hop_samples, 640);
  EXPECT_EQ(source.frames(voices.speech(), 1).scalar_type(), at::kFloat);
  const auto units = Units::make(folder / "units", voices.speech(), {0, 1, 2}, source, request(4), world, false);
  ASSERT_TRUE(units);
  const auto labels = values(units->of("melodies/m002"));
  EXPECT_EQ(static_cast<std::int64_t>(labels.size()), stem_count(voices.speech().samples(2)) / 2 * 2)
      << "each frame twice";
  EXPECT_EQ(labels[0], labels[1]);
  EXPECT_NE(store_source(folder / "store", "h0", voices.speech(), "a test").fingerprint, source.fingerprint);
  EXPECT_THAT(error_of<ConfigError>([&] { store_source(folder / "store", "h7", voices.speech(), "a test"); }),
              HasSubstr("it has h0, h1"));
}

TEST(Units, DamageAndWrongTapsAreNamed) {
  const Communicator world = Communicator::world();
  const fs::path folder = shared_folder(world);
  const Voices voices(
      folder, 4, [&] { world.barrier(); }, world.rank() == 0);
  ASSERT_TRUE(Units::make(folder / "units", voices.speech(), {0, 1}, mfcc_source(), request(3), world, false));
  world.barrier();
  if (world.rank() == 0) write_file_atomically(folder / "units/units.h5", "no HDF5");
  world.barrier();
  EXPECT_THAT(error_of<DataError>([&] {
                Units::make(folder / "units", voices.speech(), {0, 1}, mfcc_source(), request(3), world, false);
              }),
              HasSubstr("does not have the checksum"));
  const std::shared_ptr<const Upstream> fbank = open_upstream("fbank", {}, FieldReader(Json::object(), "a test"));
  EXPECT_THAT(error_of<ConfigError>([&] { model_source(fbank, "h1", "fbank", "study.json /units/tap"); }),
              HasSubstr("study.json /units/tap: there is no tap \"h1\"; it has fbank"));
}

}  // namespace
}  // namespace strata
