#include "trainers/study/study.h"

#include <gmock/gmock.h>

#include "core/base/error.h"
#include "core/base/file.h"
#include "tests/errors.h"
#include "tests/folder.h"

namespace strata {
namespace {

using testing::ElementsAre;
using testing::StartsWith;

const char* const kStudy = R"({
  "name": "quick", "output": "runs/quick", "store": "features",
  "corpora": {"debian": "manifests/debian", "narrow": {"manifests": "manifests/debian", "effects": [{"type": "band_limit", "rate_hz": 8000}]}},
  "upstreams": {"fbank": {"model": "fbank"}, "large": {"model": "models/large", "dtype": "bfloat16", "compression": "deflate", "taps": ["h0", "h6"],
                 "deltas": 2}},
  "tasks": {"sid": {"type": "sid", "corpus": "debian"}, "lid": {"type": "lid", "corpus": "narrow", "splits": "sid", "head": {"type": "mean_pool_linear"}}},
  "sweep": [{"task": "sid", "upstreams": ["fbank"], "interface": {"type": "weighted_sum"}}]
})";

class StudyTest : public testing::Test {
 protected:
  Study read(const std::vector<std::string>& overrides = {}) const { return read_study(file_, overrides); }
  /// The message for the good study with overrides, without the file's name.
  std::string error(const std::vector<std::string>& overrides) const {
    const std::string message = error_of<ConfigError>([&] { read_study(file_, overrides); });
    EXPECT_THAT(message, StartsWith(file_.string() + " "));
    return message.substr(file_.string().size() + 1);
  }
  /// The message for the good study without one key.
  std::string error_without(const Json::json_pointer& key) const {
    Json study = Json::parse(kStudy);
    Json& parent = study[key.parent_pointer()];
    parent.erase(key.back());
    write_file_atomically(file_, study.dump());
    const std::string message = error({});
    write_file_atomically(file_, kStudy);
    return message;
  }
  void SetUp() override {
    file_ = fresh_folder() / "study.json";
    write_file_atomically(file_, kStudy);
  }

  fs::path file_;
};

TEST_F(StudyTest, IsReadWithItsDefaults) {
  const Study study = read();
  const fs::path root = file_.parent_path();
  EXPECT_EQ(study.name, "quick");
  EXPECT_EQ(study.output, root / "runs/quick");
  EXPECT_EQ(study.store, root / "features");
  EXPECT_EQ(study.corpora.at("debian").manifests, root / "manifests/debian");
  EXPECT_EQ(study.corpora.at("debian").effects, Json::array());
  EXPECT_EQ(study.corpora.at("narrow").effects[0]["rate_hz"], 8000);
  EXPECT_EQ(study.upstreams.at("fbank").dtype, "float32");
  EXPECT_EQ(study.upstreams.at("fbank").options, Json::object());
  EXPECT_EQ(study.upstreams.at("large").dtype, "bfloat16");
  EXPECT_EQ(study.upstreams.at("fbank").compression, "none");
  EXPECT_EQ(study.upstreams.at("large").compression, "deflate");
  EXPECT_THAT(study.upstreams.at("large").taps, ElementsAre("h0", "h6"));
  EXPECT_EQ(study.upstreams.at("large").options, (Json{{"deltas", 2}}));
  EXPECT_TRUE(study.tasks.at("sid").head.is_null());
  EXPECT_EQ(study.tasks.at("lid").corpus, "narrow");
  EXPECT_EQ(study.tasks.at("lid").head, (Json{{"type", "mean_pool_linear"}}));
  EXPECT_EQ(study.tasks.at("lid").options, (Json{{"type", "lid"}, {"splits", "sid"}}));
  EXPECT_EQ(study.sweep.size(), 1u);
  EXPECT_EQ(study.keep, "best");
  EXPECT_EQ(study.ranks_per_trial, 0);
  EXPECT_FALSE(study.allow_missing);
}

TEST_F(StudyTest, TakesPathsFromItsRoot) {
  const Study study = read({"root=/data", "store=/elsewhere/features"});
  EXPECT_EQ(study.output, "/data/runs/quick");
  EXPECT_EQ(study.store, "/elsewhere/features");
  EXPECT_EQ(study.corpora.at("debian").manifests, "/data/manifests/debian");
  EXPECT_EQ(read({"root=below"}).output, file_.parent_path() / "below/runs/quick");
}

TEST_F(StudyTest, IsOverridden) {
  const Study study = read({"keep=all", "ranks_per_trial=2", "allow_missing=true",
                            "sweep.0.optimizer.learning_rate=1e-3,1e-2", "upstreams.fbank.dtype=float16"});
  EXPECT_EQ(study.keep, "all");
  EXPECT_EQ(study.ranks_per_trial, 2);
  EXPECT_TRUE(study.allow_missing);
  EXPECT_EQ(study.upstreams.at("fbank").dtype, "float16");
  EXPECT_EQ(study.sweep[0]["optimizer"]["learning_rate"], (Json{1e-3, 1e-2}));
  EXPECT_EQ(study.source["keep"], "all") << "the record of the study is of what ran";
}

TEST_F(StudyTest, NamesEachMissingKey) {
  for (const char* key : {"/name", "/output", "/store", "/corpora", "/upstreams", "/upstreams/fbank/model",
                          "/tasks/sid/type", "/tasks/sid/corpus", "/corpora/narrow/manifests"}) {
    EXPECT_EQ(error_without(Json::json_pointer(key)), std::string(key) + ": this key is missing");
  }
}

TEST_F(StudyTest, NamesEachUnknownKey) {
  EXPECT_THAT(error({"swep=1"}), StartsWith("/swep: unknown key, did you mean \"sweep\"? a study takes "));
  EXPECT_EQ(error({"corpora.narrow.effect=1"}),
            "/corpora/narrow/effect: unknown key, did you mean \"effects\"? a corpus takes effects, manifests");
  EXPECT_EQ(error({"search.depth=1"}), "/search/depth: unknown key; search takes type");
}

TEST_F(StudyTest, NamesEachWrongValue) {
  EXPECT_EQ(error({"name=3"}), "/name: 3 is not allowed; takes a string");
  EXPECT_EQ(error({"name="}), "/name: must not be empty");
  EXPECT_EQ(error({"corpora=3"}), "/corpora: expected an object, found 3");
  EXPECT_EQ(error({"corpora={}"}), "/corpora: the study has no corpus");
  EXPECT_EQ(error({"upstreams={}"}), "/upstreams: the study has no upstream");
  EXPECT_EQ(error({"corpora.debian=3"}), "/corpora/debian: expected an object, found 3");
  EXPECT_EQ(error({"corpora.narrow.effects=gain"}),
            "/corpora/narrow/effects: takes a list of objects such as {\"type\": \"band_limit\", \"rate_hz\": 8000}");
  EXPECT_EQ(error({"upstreams.fbank.dtype=float61"}),
            "/upstreams/fbank/dtype: unknown value \"float61\", did you mean \"float16\"? known: float32, float16, "
            "bfloat16, int8");
  EXPECT_EQ(error({"upstreams.fbank.compression=zip"}),
            "/upstreams/fbank/compression: unknown value \"zip\"; known: none, deflate, blosc");
  EXPECT_EQ(error({"upstreams.fbank.taps=h0"}),
            "/upstreams/fbank/taps: \"h0\" is not allowed; takes a list of strings");
  EXPECT_EQ(error({"upstreams.fbank=3"}), "/upstreams/fbank: expected an object, found 3");
  EXPECT_EQ(error({"tasks.sid.corpus=debain"}),
            "/tasks/sid/corpus: the study has no corpus \"debain\", did you mean \"debian\"?");
  EXPECT_EQ(error({"sweep={}"}), "/sweep: takes a list of blocks");
  EXPECT_EQ(error({"search.type=gird"}), "/search/type: unknown value \"gird\", did you mean \"grid\"? known: grid");
  EXPECT_EQ(error({"keep=some"}), "/keep: unknown value \"some\", did you mean \"none\"? known: none, best, all");
  EXPECT_EQ(error({"ranks_per_trial=-1"}), "/ranks_per_trial: -1 is not allowed; takes an integer, at least 0");
  EXPECT_EQ(error({"ranks_per_trial=1.5"}), "/ranks_per_trial: 1.5 is not allowed; takes an integer, at least 0");
  EXPECT_EQ(error({"allow_missing=1"}), "/allow_missing: 1 is not allowed; takes true or false");
}

TEST_F(StudyTest, TakesPlainNamesForFolders) {
  const std::string allowed = ": a name may have letters, digits, '_', '-' and '.', and must not start with '.'";
  EXPECT_EQ(error({"corpora.a/b=x"}), "/corpora/a/b" + allowed);
  EXPECT_EQ(error({R"(upstreams={"..": {"model": "fbank"}})"}), "/upstreams/.." + allowed);
  EXPECT_EQ(error({R"(upstreams={"": {"model": "fbank"}})"}), "/upstreams" + allowed);
}

TEST_F(StudyTest, SaysWhatIsNotJson) {
  EXPECT_EQ(error_of<ConfigError>([&] { read_study(file_.parent_path() / "none.json", {}); }),
            (file_.parent_path() / "none.json").string() + ": there is no such file");
  write_file_atomically(file_, "{\"name\": \"quick\",\n \"output\" 3}");
  EXPECT_THAT(error_of<ConfigError>([&] { read(); }), StartsWith(file_.string() + ": not valid JSON at line 2: "));
  write_file_atomically(file_, "[]");
  EXPECT_EQ(error({}), "/: expected an object, found []");
}

}  // namespace
}  // namespace strata
