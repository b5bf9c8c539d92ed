#include "data/batches/feature_loader.h"

#include <ATen/core/Tensor.h>
#include <gmock/gmock.h>

#include "core/base/error.h"
#include "data/batches/time_means.h"
#include "tests/core/testing.h"
#include "tests/data/store/small_store.h"
#include "tests/errors.h"
#include "tests/folder.h"

namespace strata {
namespace {

using testing::ElementsAre;

/// Taps of 20 ms, 20 ms, 40 ms and of another width.
const std::vector<Tap> kTaps = {{"h0", 2, 320}, {"h1", 2, 320}, {"slow", 2, 640}, {"wide", 3, 320, false}};

ShardUtterance utterance_of(const std::string& id, const std::vector<std::int64_t>& frames) {
  return utterance(id, kTaps, frames);
}

class FeatureLoaderTest : public testing::Test {
 protected:
  FeatureLoaderTest()
      : store_(write_store(
            fresh_folder() / "model", kTaps, "c",
            {utterance_of("a", {5, 5, 2, 5}), utterance_of("b", {2, 2, 1, 2}), utterance_of("none", {1, 1, 0, 1})})),
        features_(store_, "c") {}

  LoaderSource source(std::vector<std::size_t> chosen) const { return {&features_, kTaps, std::move(chosen)}; }

 private:
  const FeatureStore store_;

 protected:
  const CorpusFeatures features_;
};

TEST_F(FeatureLoaderTest, PadsWithZeros) {
  const FeatureBatch batch = FeatureLoader({source({0, 1})}).load({"b", "a"});
  ASSERT_EQ(batch.features.size(), 1u);
  const at::Tensor& x = batch.features[0];
  EXPECT_EQ(x.sizes(), (std::vector<std::int64_t>{2, 5, 2, 2}));
  EXPECT_EQ(x.scalar_type(), at::kFloat);
  expect_close(batch.lengths, integers({2, 5}));
  for (std::int64_t layer = 0; layer < 2; ++layer) {
    expect_close(x[0].narrow(0, 0, 2).select(1, layer), grid(2, 2));
    expect_close(x[1].select(1, layer), grid(5, 2));
  }
  EXPECT_EQ(x[0].narrow(0, 2, 3).abs().sum().item<float>(), 0);
}

TEST(FeatureLoader, KeepsTheStoredTypeWhereItOnlyCopies) {
  const auto half = hdf5::StoredType::kFloat16;
  const FeatureStore store = write_store(fresh_folder() / "half", kTaps, "c", {utterance("a", kTaps, {5, 5, 2, 5}, half)}, half);
  const CorpusFeatures features(store, "c");
  const LoaderSource source{&features, kTaps, {0, 2}};
  const at::Tensor repeated = FeatureLoader({source}).load({"a"}).features[0];
  EXPECT_EQ(repeated.scalar_type(), at::kHalf);
  const at::Tensor interpolated = FeatureLoader({source}, {0, /*interpolate=*/true}).load({"a"}).features[0];
  EXPECT_EQ(interpolated.scalar_type(), at::kFloat);
  expect_close(interpolated.select(2, 0), repeated.select(2, 0).to(at::kFloat));
}

TEST(FeatureLoader, ReadsEveryTypeIntoTheBatch) {
  const auto folder = fresh_folder();
  for (const std::string& name : hdf5::stored_type_names()) {
    const auto type = hdf5::stored_type(name);
    const FeatureStore store = write_store(
        folder / name, kTaps, "c",
        {utterance("a", kTaps, {5, 4, 3, 5}, type), utterance("b", kTaps, {2, 3, 1, 2}, type)}, type);
    const CorpusFeatures features(store, "c");
    const at::Tensor x = FeatureLoader({{&features, kTaps, {0, 1}}}).load({"b", "a"}).features[0];
    EXPECT_EQ(x.scalar_type(), features.dtype());
    EXPECT_EQ(x.sizes(), (std::vector<std::int64_t>{2, 4, 2, 2}));
    for (std::int64_t layer = 0; layer < 2; ++layer) {
      const auto tap = static_cast<std::size_t>(layer);
      EXPECT_TRUE(x[0].narrow(0, 0, 2).select(1, layer).equal(features.read("b", tap).narrow(0, 0, 2))) << name;
      EXPECT_TRUE(x[1].select(1, layer).equal(features.read("a", tap).narrow(0, 0, 4))) << name;
    }
    EXPECT_EQ(x[0].narrow(0, 2, 2).abs().sum().item<float>(), 0) << name;
    // Beside a tap that is averaged, the other is converted on the way.
    const at::Tensor averaged = FeatureLoader({{&features, kTaps, {0, 2}}}, {640, false}).load({"a"}).features[0];
    EXPECT_EQ(averaged.scalar_type(), at::kFloat);
    EXPECT_TRUE(averaged[0].select(1, 1).equal(features.read("a", 2).to(at::kFloat))) << name;
  }
}

TEST_F(FeatureLoaderTest, RepeatsSlowTapsAndCutsToTheShortest) {
  const FeatureLoader loader({source({2, 0})});
  EXPECT_EQ(loader.frames("a"), 4);  // 2 slow frames are 4; h0 has 5
  const FeatureBatch batch = loader.load({"a"});
  expect_close(batch.lengths, integers({4}));
  expect_close(batch.features[0][0].select(1, 0), tensor({0, 0.25, 0, 0.25, 1, 1.25, 1, 1.25}, {4, 2}));
  expect_close(batch.features[0][0].select(1, 1), grid(4, 2));
}

TEST_F(FeatureLoaderTest, KeepsASlowTapAloneAtItsOwnRate) {
  const FeatureLoader loader({source({2})});
  EXPECT_EQ(loader.frames("a"), 2);
  expect_close(loader.load({"a"}).features[0][0].select(1, 0), grid(2, 2));
}

TEST_F(FeatureLoaderTest, AlignsUpstreams) {
  const FeatureBatch batch = FeatureLoader({source({2}), source({3})}).load({"a", "b"});
  ASSERT_EQ(batch.features.size(), 2u);
  EXPECT_EQ(batch.features[0].sizes(), (std::vector<std::int64_t>{2, 4, 1, 2}));
  EXPECT_EQ(batch.features[1].sizes(), (std::vector<std::int64_t>{2, 4, 1, 3}));
  expect_close(batch.lengths, integers({4, 2}));
  expect_close(batch.features[0][1].narrow(0, 0, 2).select(1, 0), tensor({0, 0.25, 0, 0.25}, {2, 2}));
}

TEST_F(FeatureLoaderTest, AlignsByTheRuleThatIsGiven) {
  const FeatureLoader slow({source({2}), source({3})}, {640, false});
  EXPECT_EQ(slow.frames("a"), 2);  // of 3 groups and 2 slow frames
  FeatureBatch batch = slow.load({"a"});
  expect_close(batch.features[0][0].select(1, 0), grid(2, 2));
  expect_close(batch.features[1][0].select(1, 0), tensor({0.5, 0.75, 1, 2.5, 2.75, 3}, {2, 3}));
  batch = FeatureLoader({source({2}), source({3})}, {0, true}).load({"a"});
  expect_close(batch.features[0][0].select(1, 0), tensor({0, 0.25, 0.25, 0.5, 0.75, 1, 1, 1.25}, {4, 2}));
}

TEST_F(FeatureLoaderTest, RefusesWhatDoesNotAlign) {
  EXPECT_EQ(
      error_of<ConfigError>([&] {
        FeatureLoader({source({0, 3})});
      }),
      "taps h0 and wide have widths 2 and 3: an interface reads layers of one width; name the taps it is to read");
  std::vector<Tap> odd = kTaps;
  odd[1].hop_samples = 480;
  EXPECT_EQ(
      error_of<ConfigError>([&] {
        FeatureLoader({{&features_, odd, {0, 1}}});
      }),
      "tap h1 has a frame every 480 samples, all are to have one every 320: the ratio must be a whole number");
}

TEST_F(FeatureLoaderTest, RefusesUtterancesWithoutFrames) {
  const FeatureLoader loader({source({0, 2})});
  EXPECT_EQ(error_of<DataError>([&] { loader.load({"a", "none"}); }), "utterance \"none\" has no frames to train on");
  EXPECT_THAT(error_of<DataError>([&] { loader.load({"c"}); }),
              testing::EndsWith("model/c: no features of utterance \"c\""));
}

TEST_F(FeatureLoaderTest, ChoosesTaps) {
  EXPECT_THAT(choose_taps(kTaps, {}), ElementsAre(0, 1, 2));
  EXPECT_THAT(choose_taps(kTaps, {"wide", "h0"}), ElementsAre(3, 0));
  EXPECT_EQ(error_of<ConfigError>([] { choose_taps(kTaps, {"h7"}); }),
            "the store has no tap \"h7\"; it has h0 to wide");
  EXPECT_EQ(error_of<ConfigError>([] { choose_taps({kTaps[3]}, {}); }),
            "none of the stored taps is in the layer list of the model: name the taps that the interface is to read");
}

TEST_F(FeatureLoaderTest, HasTimeMeansOfAlignedFrames) {
  const TimeMeans means(FeatureLoader({source({2, 0}), source({3})}));
  for (int again = 0; again < 2; ++again) {
    const FeatureBatch batch = means.load({"b", "a"});
    expect_close(batch.lengths, integers({1, 1}));
    EXPECT_EQ(batch.features[1].sizes(), (std::vector<std::int64_t>{2, 1, 1, 3}));
    // "a": slow frames 0 0 1 1, fast ones 0 1 2 3; "b": 0 0 and 0 1.
    expect_close(batch.features[0].squeeze(1), tensor({0, 0.25, 0.5, 0.75, 0.5, 0.75, 1.5, 1.75}, {2, 2, 2}));
  }
}

}  // namespace
}  // namespace strata
