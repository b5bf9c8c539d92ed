#include "trainers/training/trainer.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/zeros.h>
#include <gmock/gmock.h>
#include <signal.h>

#include <set>

#include "core/base/error.h"
#include "core/base/file.h"
#include "core/base/random.h"
#include "core/base/stop.h"
#include "core/tensor/safetensors.h"
#include "data/batches/time_means.h"
#include "tests/data/store/small_store.h"
#include "tests/errors.h"
#include "tests/folder.h"
#include "trainers/training/fitting.h"

namespace strata {
namespace {

using testing::ElementsAre;
using testing::StartsWith;

const std::vector<Tap> kTaps = {{"h0", 4, 320}, {"h1", 4, 320}, {"h2", 4, 320}};
const std::vector<std::string> kSpeakers = {"ann", "bob", "cy"};

/// Three speakers in 10 utterances to train on, 5 to develop on and 2 to test on, so that ranks can outnumber
/// utterances; of 2 to 9 frames, noise about a mean of the speaker.
struct SmallCorpus {
  explicit SmallCorpus(const fs::path& folder) : folder_(folder) {}

  /// For one rank to do.
  void write() const {
    std::vector<ShardUtterance> utterances;
    std::string lines, lists[3];
    for (std::size_t u = 0; u < 17; ++u) {
      const std::string id = "u" + std::to_string(u);
      lines += Json{{"id", id}, {"audio", "none.wav"}, {"speaker", kSpeakers[u % 3]}}.dump() + "\n";
      lists[u < 10 ? 0 : u < 15 ? 1 : 2] += id + "\n";
      utterances.push_back({id, 0, {}});
      for (std::size_t t = 0; t < kTaps.size(); ++t) utterances.back().features.push_back(frames(u, t));
    }
    write_file_atomically(folder_ / "manifests/utterances.jsonl", lines);
    write_file_atomically(folder_ / "manifests/sid.train.txt", lists[0]);
    write_file_atomically(folder_ / "manifests/sid.dev.txt", lists[1]);
    write_file_atomically(folder_ / "manifests/sid.test.txt", lists[2]);
    write_store(folder_ / "noise", kTaps, "small", utterances);
  }

 private:
  static at::Tensor frames(std::size_t utterance, std::size_t tap) {
    at::Tensor values = at::empty({static_cast<std::int64_t>(2 + utterance * 3 % 8), 4}, at::kFloat);
    RandomStream random({utterance, tap});
    for (std::int64_t i = 0; i < values.numel(); ++i) {
      values.mutable_data_ptr<float>()[i] =
          static_cast<float>(random.normal()) + (i % 4 == static_cast<std::int64_t>(utterance % 3) ? 1.0f : 0.0f);
    }
    return values;
  }

  fs::path folder_;
};

Json small_config() {
  return {{"task", {{"type", "sid"}}},
          {"interface", {{"type", "weighted_sum"}}},
          {"fusion", {{"type", "none"}}},
          {"head", {{"type", "mean_pool_linear"}, {"projector_width", 5}}},
          {"optimizer", {{"type", "adam"}, {"learning_rate", 0.01}}},
          {"schedule", {{"type", "constant"}}},
          {"steps", 14},
          {"batch_size", 4},
          {"evaluate_every", 5},
          {"clip", 1.0},
          {"seed", 3}};
}

class TrainerTest : public testing::Test {
 protected:
  TrainerTest()
      : folder_(make_folder()),
        corpus_(Corpus::read(folder_ / "manifests", false)),
        store_(FeatureStore::open(folder_ / "noise")),
        features_(store_, "small"),
        task_(TaskRegistry::make(FieldReader(Json{{"type", "sid"}}, "test"), corpus_)),
        loader_({{&features_, kTaps, {0, 1, 2}}}),
        two_({{&features_, kTaps, {0, 1, 2}}, {&features_, kTaps, {2, 1, 1}}}) {
    data_ = {task_.get(), &loader_, &loader_, {}};
    for (const char* split : {"train", "dev", "test"}) data_.ids[split] = task_->ids(split);
  }
  ~TrainerTest() override {
    request_stop(0);
    world.barrier();  // nobody clears the folder for the next test while a rank is in it
  }

  Trainer trainer(const Trial& trial, const Communicator& group, const std::string& bank) const {
    return Trainer(trial, data_, group, {folder_ / bank, 2});
  }

  static Trial trial(const Json& changes = Json::object()) {
    Trial made{"0123456789abcdef", small_config(), Json()};
    made.config.update(changes);
    return made;
  }

  const Communicator world = Communicator::world();

 private:
  fs::path make_folder() const {
    std::string folder;
    if (world.rank() == 0) {
      folder = fresh_folder();
      SmallCorpus(folder).write();
    }
    return world.broadcast(folder, 0);
  }

  const fs::path folder_;
  const Corpus corpus_;
  const FeatureStore store_;
  const CorpusFeatures features_;
  const std::unique_ptr<Task> task_;
  const FeatureLoader loader_;

 protected:
  const FeatureLoader two_;  // as if of two upstreams
  TrialData data_;
  fs::path bank(const std::string& name) const { return folder_ / name / "checkpoint.safetensors"; }
};

/// What two runs must share: everything but the time they took.
std::vector<Json> without_seconds(std::vector<Json> records) {
  for (Json& record : records) record.erase("seconds");
  return records;
}

double relative_difference(const at::Tensor& a, const at::Tensor& b) {
  return ((a - b).norm() / b.norm()).item<double>();
}

TEST_F(TrainerTest, GivesTheSameOnAnyNumberOfRanks) {
  const Trial one = trial();
  const Communicator single = world.split(world.rank());
  Trainer alone = trainer(one, single, "alone" + std::to_string(world.rank()));
  Trainer shared = trainer(one, world, "shared");
  ASSERT_EQ(alone.run(), TrialEnd::kDone);
  ASSERT_EQ(shared.run(), TrialEnd::kDone);

  ASSERT_EQ(shared.history().size(), 3u);  // after steps 5, 10 and 14
  for (std::size_t i = 0; i < 3; ++i) {
    const Json &got = shared.history()[i], &want = alone.history()[i];
    EXPECT_EQ(got["step"], want["step"]);
    for (const char* key : {"train_loss", "grad_norm", "learning_rate"})
      EXPECT_NEAR(got[key], want[key], 1e-5 * want[key].get<double>()) << key;
    EXPECT_NEAR(got["dev"]["loss"], want["dev"]["loss"], 1e-5 * want["dev"]["loss"].get<double>());
    EXPECT_EQ(got["dev"]["accuracy"], want["dev"]["accuracy"]);
    EXPECT_EQ(got["dev"]["utterances"], 5);
  }
  EXPECT_LT(relative_difference(shared.last_parameters(), alone.last_parameters()), 1e-5);
  EXPECT_LT(relative_difference(shared.best_parameters(), alone.best_parameters()), 1e-5);
  EXPECT_EQ(shared.best()["step"], alone.best()["step"]);
  // It learns, so the equalities above are not those of noughts.
  EXPECT_LT(shared.history()[2]["train_loss"], shared.history()[0]["train_loss"]);
}

/// Notes which utterances were asked for ahead, and which were loaded without.
class WatchedSource : public BatchSource {
 public:
  explicit WatchedSource(const BatchSource& source) : source_(source) {}
  FeatureBatch load(const std::vector<std::string>& ids) const override {
    for (const std::string& id : ids) unasked_ += ahead_.contains(id) ? 0 : 1;
    return source_.load(ids);
  }
  void prefetch(const std::vector<std::string>& ids) const override {
    ahead_.insert(ids.begin(), ids.end());
    source_.prefetch(ids);
  }
  int unasked() const { return unasked_; }

 private:
  const BatchSource& source_;
  mutable std::set<std::string> ahead_;
  mutable int unasked_ = 0;
};

TEST_F(TrainerTest, AsksForAllBatchesAhead) {
  const WatchedSource watched(*data_.loader);
  data_.source = &watched;
  const Trial one = trial();
  Trainer all = trainer(one, world, "ahead");
  ASSERT_EQ(all.run(), TrialEnd::kDone);
  all.evaluate("dev", all.best_parameters());
  EXPECT_EQ(watched.unasked(), 0);
}

TEST_F(TrainerTest, GivesTheSameOnTimeMeans) {
  const Trial one = trial();
  const TimeMeans means(*data_.loader);
  Trainer on_frames = trainer(one, world, "frames");
  data_.source = &means;
  Trainer on_means = trainer(one, world, "means");
  ASSERT_TRUE(on_means.model().uses_time_means_only());
  ASSERT_EQ(on_frames.run(), TrialEnd::kDone);
  ASSERT_EQ(on_means.run(), TrialEnd::kDone);
  for (std::size_t i = 0; i < 3; ++i) {
    const Json &got = on_means.history()[i], &want = on_frames.history()[i];
    EXPECT_NEAR(got["train_loss"], want["train_loss"], 1e-5 * want["train_loss"].get<double>());
    EXPECT_EQ(got["dev"]["accuracy"], want["dev"]["accuracy"]);
  }
  EXPECT_LT(relative_difference(on_means.last_parameters(), on_frames.last_parameters()), 1e-5);
}

TEST_F(TrainerTest, TrainsFusionsOfTwoUpstreams) {
  for (const Json& fusion : std::vector<Json>{{{"type", "naive"}},
                                              {{"type", "structured"}, {"weights", "learned"}},
                                              {{"type", "shared_head"}, {"weights", "learned"}},
                                              {{"type", "individual_heads"}},
                                              {{"type", "joint_hconv"}}}) {
    const std::string type = fusion["type"];
    // Plain descent: Adam makes much of gradients that are nothing but rounding.
    const Trial one = trial({{"fusion", fusion},
                             {"steps", 40},
                             {"evaluate_every", 20},
                             {"optimizer", {{"type", "sgd"}, {"learning_rate", 0.1}}}});
    data_.loader = &two_;
    data_.source = &two_;
    const TimeMeans means(two_);
    const Communicator single = world.split(world.rank());
    Trainer alone = trainer(one, single, type + std::to_string(world.rank()));
    Trainer shared = trainer(one, world, type);
    ASSERT_EQ(alone.run(), TrialEnd::kDone);
    ASSERT_EQ(shared.run(), TrialEnd::kDone);
    EXPECT_LT(relative_difference(shared.last_parameters(), alone.last_parameters()), 1e-4) << type;
    EXPECT_LT(shared.history()[1]["train_loss"], shared.history()[0]["train_loss"]) << type;
    if (type == "joint_hconv") {
      EXPECT_FALSE(shared.model().uses_time_means_only());
      EXPECT_FALSE(shared.history()[0].contains("weights"));
      continue;
    }
    data_.source = &means;
    Trainer on_means = trainer(one, world, type + "_means");
    ASSERT_EQ(on_means.run(), TrialEnd::kDone);
    EXPECT_LT(relative_difference(on_means.last_parameters(), shared.last_parameters()), 1e-4) << type;
    const Json& weights = shared.history()[1]["weights"];
    EXPECT_EQ(weights.contains("fusion.model_weights"), fusion.contains("weights")) << type;
    for (const char* upstream : {"0", "1"}) {
      const std::string kind = type == "naive" ? "fusion." : "interface.";
      EXPECT_EQ(weights.at(kind + upstream + ".layer_weights").size(), 3u) << type;
    }
  }
}

TEST_F(TrainerTest, FitsPrincipalAxesBeforeItTrains) {
  const Trial one = trial({{"interface", {{"type", "pca"}, {"output_dim", 3}}}});
  const Communicator single = world.split(world.rank());
  const Model model = build_model(one, *data_.task, *data_.loader);
  const auto& train = data_.ids.at("train");
  const Parameters alone = fit_interfaces(model, *data_.loader, train, single);
  const Parameters together = fit_interfaces(model, *data_.loader, train, world);
  ASSERT_EQ(together.items().size(), 2u);
  for (const auto& [name, value] : together.items()) {
    EXPECT_LT(relative_difference(value, alone[name]), 1e-5) << name;
  }
  const WatchedSource watched(*data_.loader);
  fit_interfaces(model, watched, train, world);
  EXPECT_EQ(watched.unasked(), 0);
  // Not one frame of padding is in the mean.
  at::Tensor sum = at::zeros({12});
  std::int64_t frames = 0;
  for (const std::string& id : train) {
    const at::Tensor x = data_.loader->load({id}).features[0][0].flatten(1);
    sum += x.sum(0);
    frames += x.size(0);
  }
  EXPECT_LT(relative_difference(together["interface.0.mean"], sum / frames), 1e-5);

  int fits = 0;
  data_.fit = [&] {
    ++fits;
    return fit_interfaces(model, *data_.loader, train, world);
  };
  {
    Trainer part = trainer(one, world, "pca");
    request_stop(SIGTERM);
    ASSERT_EQ(part.run(), TrialEnd::kStopped);
    request_stop(0);
    world.barrier();
  }
  Trainer rest = trainer(one, world, "pca");
  EXPECT_EQ(fits, 1) << "the checkpoint has them";
  ASSERT_EQ(rest.run(), TrialEnd::kDone);
  Trainer straight = trainer(one, world, "straight_pca");
  ASSERT_EQ(straight.run(), TrialEnd::kDone);
  EXPECT_TRUE(at::equal(rest.last_parameters(), straight.last_parameters()));
  const Parameters all = rest.parameters(rest.last_parameters());
  EXPECT_TRUE(at::equal(all["interface.0.components"], together["interface.0.components"]));

  const Model greedy = build_model(trial({{"interface", {{"type", "pca"}, {"output_dim", 12}}}}), *data_.task, *data_.loader);
  EXPECT_EQ(error_of<SharedError>([&] { fit_interfaces(greedy, *data_.loader, {"u0", "u1"}, world); }),
            "pca: 12 axes need more than 7 training frames");
}

TEST_F(TrainerTest, HoldsTheSameParametersOnEveryRank) {
  const Trial one = trial({{"batch_size", 1}});  // a rank without an utterance at every step, if there are several
  Trainer shared = trainer(one, world, "shared");
  ASSERT_EQ(shared.run(), TrialEnd::kDone);
  const at::Tensor mine = shared.last_parameters().contiguous();
  const std::string bytes(static_cast<const char*>(mine.const_data_ptr()), mine.nbytes());
  for (const std::string& other : world.all_gather(bytes)) EXPECT_TRUE(other == bytes);
}

TEST_F(TrainerTest, ContinuesBitForBitAfterAStopAtAnyStep) {
  const Trial one = trial();
  Trainer straight = trainer(one, world, "straight");
  ASSERT_EQ(straight.run(), TrialEnd::kDone);

  // A stop that is asked for before a run lets it make one step: 13 stops, mid-interval and at evaluations.
  for (int step = 1; step < 14; ++step) {
    Trainer part = trainer(one, world, "stopped");
    if (world.rank() == world.size() - 1) request_stop(SIGUSR1);  // one rank is told, all stop
    ASSERT_EQ(part.run(), TrialEnd::kStopped) << step;
    request_stop(0);
    world.barrier();  // rank 0 has saved
  }
  Trainer last = trainer(one, world, "stopped");
  ASSERT_EQ(last.run(), TrialEnd::kDone);
  EXPECT_TRUE(at::equal(last.last_parameters(), straight.last_parameters()));
  EXPECT_TRUE(at::equal(last.best_parameters(), straight.best_parameters()));
  EXPECT_EQ(without_seconds(last.history()), without_seconds(straight.history()));
  EXPECT_EQ(without_seconds({last.best()}), without_seconds({straight.best()}));

  world.barrier();
  Trainer finished = trainer(one, world, "stopped");
  EXPECT_EQ(finished.run(), TrialEnd::kDone);
  EXPECT_EQ(finished.history().size(), 3u);
}

TEST_F(TrainerTest, EndsATrialThatDiverges) {
  const Trial wild = trial({{"optimizer", {{"type", "sgd"}, {"learning_rate", 1e30}}}});
  Trainer shared = trainer(wild, world, "wild");
  EXPECT_EQ(shared.run(), TrialEnd::kDiverged);
  // The gradient of the first step is finite, of no later one.
  ASSERT_EQ(shared.history().size(), 1u);
  EXPECT_EQ(shared.history()[0]["step"], 5);
}

TEST_F(TrainerTest, EndsATrialThatDivergesThoughItWasStopped) {
  const Trial wild = trial({{"optimizer", {{"type", "sgd"}, {"learning_rate", 1e30}}}});
  TrialEnd end = TrialEnd::kStopped;
  int runs = 0;
  for (; end == TrialEnd::kStopped && runs < 20; ++runs) {
    Trainer part = trainer(wild, world, "wild");
    request_stop(SIGTERM);
    end = part.run();
    request_stop(0);
    world.barrier();
  }
  EXPECT_EQ(end, TrialEnd::kDiverged);
  EXPECT_EQ(runs, 10);
}

TEST_F(TrainerTest, CountsEachUtteranceOnce) {
  const Trial one = trial({{"steps", 1}});
  Trainer shared = trainer(one, world, "shared");
  const Communicator single = world.split(world.rank());
  const Trainer alone = trainer(one, single, "alone" + std::to_string(world.rank()));
  std::vector<Json> dev, test;
  const Json on_dev = shared.evaluate("dev", shared.last_parameters(), &dev);
  const Json on_test = shared.evaluate("test", shared.last_parameters(), &test);
  EXPECT_EQ(on_dev["utterances"], 5);
  EXPECT_EQ(on_test["utterances"], 2);
  std::vector<std::string> ids;
  double right = 0;
  for (const Json& line : dev) {
    ids.push_back(line["id"]);
    right += line["predicted"] == line["label"] ? 1 : 0;
  }
  EXPECT_THAT(ids, ElementsAre("u10", "u11", "u12", "u13", "u14"));
  EXPECT_EQ(on_dev["accuracy"], right / 5);
  ASSERT_EQ(test.size(), 2u);
  EXPECT_EQ(test[0]["id"], "u15");
  EXPECT_EQ(test[0]["label"], "ann");
  EXPECT_EQ(test[1]["label"], "bob");

  std::vector<Json> reference;
  EXPECT_NEAR(alone.evaluate("dev", shared.last_parameters(), &reference)["loss"], on_dev["loss"], 1e-9);
  EXPECT_EQ(reference, dev);
}

TEST_F(TrainerTest, LearnsNothingFromTheRestOfTheSweep) {
  // The start depends on the trial's id and seed, the order of batches on seed and task.
  Trial other = trial();
  other.id = "fedcba9876543210";
  const Trial one = trial(), seeded = trial({{"seed", 4}});
  const Trainer a = trainer(one, world, "a"), b = trainer(one, world, "b"), c = trainer(other, world, "c"),
                d = trainer(seeded, world, "d");
  EXPECT_TRUE(at::equal(a.last_parameters(), b.last_parameters()));
  EXPECT_FALSE(at::equal(a.last_parameters(), c.last_parameters()));
  EXPECT_FALSE(at::equal(a.last_parameters(), d.last_parameters()));
}

TEST_F(TrainerTest, RefusesACheckpointThatIsNotItsOwn) {
  const Trial one = trial({{"steps", 1}});
  Trainer(one, data_, world, {bank("x").parent_path(), 2}).run();
  world.barrier();
  Trial other = one;
  other.id = "fedcba9876543210";
  EXPECT_EQ(error_of<DataError>([&] { trainer(other, world, "x"); }),
            bank("x").string() + ": it is a checkpoint of trial \"0123456789abcdef\", not of fedcba9876543210");
  EXPECT_THAT(error_of<DataError>([&] {
                trainer(trial({{"optimizer", {{"type", "sgd"}}}}), world, "x");
              }),
              testing::HasSubstr("exp_avg"));
}

TEST_F(TrainerTest, RefusesABrokenCheckpoint) {
  const Trial one = trial();
  const auto error_with = [&](const NamedTensors& tensors, const std::map<std::string, std::string>& metadata) {
    if (world.rank() == 0) write_safetensors(bank("broken"), tensors, metadata);
    world.barrier();
    std::string message = error_of<DataError>([&] { trainer(one, world, "broken"); });
    world.barrier();
    return message;
  };
  const std::string place = bank("broken").string();
  EXPECT_EQ(error_with({}, {}), place + ": not a valid checkpoint: a part is missing");
  EXPECT_THAT(error_with({}, {{"state", "{"}}), StartsWith(place + ": not a valid checkpoint: "));
  const Json state = {{"trial", one.id},
                      {"step", 1},
                      {"loss_sum", 0},
                      {"loss_count", 0},
                      {"grad_norm", nullptr},
                      {"finite_steps", 0},
                      {"history", Json::array()},
                      {"best", nullptr},
                      {"seconds", 0}};
  EXPECT_EQ(error_with({}, {{"state", state.dump()}}), place + ": not a valid checkpoint: a part is missing");
  EXPECT_EQ(error_with({{"parameters", at::zeros({2})}, {"best", at::zeros({2})}}, {{"state", state.dump()}}),
            place + ": not a valid checkpoint: \"parameters\" has the shape [2], expected [46]");
}

}  // namespace
}  // namespace strata
