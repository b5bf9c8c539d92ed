#include "trainers/pretrain/study.h"

#include <gmock/gmock.h>

#include "core/base/error.h"
#include "core/base/file.h"
#include "tests/errors.h"
#include "tests/folder.h"

namespace strata {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

const char* const kStudy = R"({
  "name": "small", "output": "out", "root": "runs",
  "corpora": {"debian": "manifests"},
  "sweep": [{"anything": 1}],
  "pretrain": {
    "speech": {"train": ["debian"], "dev": ["debian/sid.dev"], "max_seconds": 12},
    "models": {
      "a_second": {"objective": {"type": "hubert"}, "steps": 5,
                   "units": {"source": "model", "model": "first", "tap": "h2", "kmeans": {"starts": 1}}},
      "first": {"objective": {"type": "hubert", "layers": 2}, "units": {"frames": 1000}, "steps": 10,
                "optimizer": {"type": "adam", "learning_rate": 0.002}}
    }
  }
})";

class PretrainStudyTest : public testing::Test {
 protected:
  PretrainStudy read(const std::vector<std::string>& overrides = {}) const {
    return read_pretrain_study(file_, overrides);
  }
  /// The message for the good study with overrides, without the file's name.
  std::string error(const std::vector<std::string>& overrides) const {
    const std::string message = error_of<ConfigError>([&] { read(overrides); });
    EXPECT_THAT(message, StartsWith(file_.string() + " "));
    return message.substr(std::min(message.size(), file_.string().size() + 1));
  }
  void SetUp() override {
    file_ = fresh_folder() / "study.json";
    write_file_atomically(file_, kStudy);
  }
  fs::path file_;
};

TEST_F(PretrainStudyTest, IsReadWithItsDefaults) {
  const PretrainStudy study = read();
  EXPECT_EQ(study.output, file_.parent_path() / "runs/out/pretrain");
  EXPECT_EQ(study.corpora.at("debian").manifests, file_.parent_path() / "runs/manifests");
  EXPECT_THAT(study.speech.held_out, ElementsAre("*/*.test"));
  EXPECT_EQ(study.speech.max_seconds, 12);
  EXPECT_EQ(study.device, "auto");
  EXPECT_EQ(read({"device=cpu"}).device, "cpu");
  ASSERT_EQ(study.models.size(), 2U);
  const PretrainModel& first = study.models[0];
  EXPECT_EQ(first.name, "first") << "the other's units come from it";
  EXPECT_EQ(first.objective["layers"], 2);
  EXPECT_TRUE(first.objective.contains("hidden_size")) << "defaults are filled in";
  EXPECT_EQ(first.optimizer["learning_rate"], 0.002);
  EXPECT_EQ(first.schedule["type"], "linear");
  EXPECT_EQ(first.units.source, "mfcc");
  EXPECT_EQ(first.units.frames, 1000);
  EXPECT_EQ(first.units.kmeans["starts"], 3);
  EXPECT_EQ(study.models[1].units.model, "first");
  EXPECT_EQ(study.models[1].units.kmeans["starts"], 1);
}

TEST_F(PretrainStudyTest, TakesOverrides) {
  EXPECT_EQ(read({"pretrain.models.first.steps=77"}).models[0].steps, 77);
  EXPECT_THAT(read({"pretrain.speech.held_out=debian/x.y,debian/x.z"}).speech.held_out,
              ElementsAre("debian/x.y", "debian/x.z"));
}

TEST_F(PretrainStudyTest, RefusesWrongKeysAndValues) {
  EXPECT_THAT(error({"pretrain.modles=1"}), AllOf(StartsWith("/pretrain/modles: unknown key"), HasSubstr("models")));
  EXPECT_THAT(error({"device=gpu"}), StartsWith("/device: unknown value \"gpu\""));
  EXPECT_THAT(error({"pretrian=1"}), AllOf(StartsWith("/pretrian: unknown key"), HasSubstr("pretrain")));
  EXPECT_THAT(error({"pretrain.speech.trian=1"}),
              AllOf(StartsWith("/pretrain/speech/trian: unknown key"), HasSubstr("train")));
  EXPECT_THAT(error({"pretrain.speech.min_seconds=0"}), StartsWith("/pretrain/speech/min_seconds: 0 is not allowed"));
  EXPECT_THAT(error({"pretrain.speech.min_seconds=20"}),
              StartsWith("/pretrain/speech/max_seconds: 12 is less than min_seconds, 20"));
  EXPECT_THAT(error({"pretrain.speech.train=[]"}), StartsWith("/pretrain/speech/train: lists nothing"));
  EXPECT_THAT(error({"pretrain.models={}"}), StartsWith("/pretrain/models: there is no model"));
  EXPECT_THAT(error({"pretrain.models.first.step=3"}),
              AllOf(StartsWith("/pretrain/models/first/step: unknown key"), HasSubstr("steps")));
  EXPECT_THAT(error({"pretrain.models.first.steps=0"}), StartsWith("/pretrain/models/first/steps: 0 is not allowed"));
  EXPECT_THAT(
      error({"pretrain.models.first.objective.type=huber"}),
      StartsWith("/pretrain/models/first/objective/type: unknown objective \"huber\", did you mean \"hubert\"?"));
  EXPECT_THAT(error({"pretrain.models.first.objective.layer=2"}),
              StartsWith("/pretrain/models/first/objective/layer: unknown key"));
  EXPECT_THAT(error({"pretrain.models.first.optimizer.type=adma"}),
              StartsWith("/pretrain/models/first/optimizer/type: unknown optimizer"));
  EXPECT_THAT(error({"pretrain.models.first.units.kmeans.start=1"}),
              StartsWith("/pretrain/models/first/units/kmeans/start: unknown key"));
  EXPECT_THAT(error({"pretrain.models.first.units.source=mfc"}),
              StartsWith("/pretrain/models/first/units/source: unknown value \"mfc\""));
  EXPECT_THAT(error({"pretrain.models.first.units.tap=h1"}),
              StartsWith("/pretrain/models/first/units/tap: the source \"mfcc\" takes none"));
  EXPECT_THAT(error({"pretrain.models.first.units.source=store"}),
              StartsWith("/pretrain/models/first/units/store: the source \"store\" needs it"));
  EXPECT_THAT(error({"pretrain.models.first.batch_seconds=11"}),
              StartsWith("/pretrain/models/first/batch_seconds: 11 is less than max_seconds"));
}

TEST_F(PretrainStudyTest, RefusesUnitsFromThemselves) {
  EXPECT_THAT(error({"pretrain.models.first.units={\"source\": \"model\", \"model\": \"a_second\", \"tap\": \"h1\"}"}),
              HasSubstr("its units come, over others, from itself"));
}

}  // namespace
}  // namespace strata
