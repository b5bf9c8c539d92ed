#include <gmock/gmock.h>

#include "core/base/error.h"
#include "tests/core/upstreams/model_folder.h"
#include "tests/errors.h"

namespace strata {
namespace {

using testing::HasSubstr;

FieldReader no_options() { return FieldReader(Json::object(), "study.json", "/upstreams/a"); }

TEST(OpenUpstream, FindsAFolderFromTheRoot) {
  const auto upstream = open_upstream("hubert-posbn", {"tests/golden/upstreams", ""}, no_options());
  EXPECT_EQ(upstream->default_taps().size(), 2);
}

TEST(OpenUpstream, FindsTheSnapshotOfTheHuggingFaceCacheThatMainNames) {
  const fs::path hub = fs::path(testing::TempDir()) / "hub";
  const fs::path repository = hub / "models--someone--small";
  fs::create_directories(repository / "refs");
  fs::create_directories(repository / "snapshots");
  write_file_atomically(repository / "refs" / "main", "0123abc");
  fs::remove_all(repository / "snapshots" / "0123abc");
  fs::copy("tests/golden/upstreams/hubert-posbn", repository / "snapshots" / "0123abc", fs::copy_options::recursive);
  EXPECT_EQ(open_upstream("someone/small", {".", hub}, no_options())->default_taps().size(), 2);
}

TEST(OpenUpstream, SaysHowToFetchAModelThatIsNotThere) {
  EXPECT_EQ(error_of<ConfigError>([] {
              open_upstream("facebook/hubert-base-ls960", {"/nowhere", "/cache/hub"}, no_options());
            }),
            "model \"facebook/hubert-base-ls960\": there is no folder /nowhere/facebook/hubert-base-ls960 and no such "
            "model in the "
            "Hugging Face cache /cache/hub; fetch it with: huggingface-cli download facebook/hubert-base-ls960");
}

TEST(OpenUpstream, NamesWhatItKnows) {
  EXPECT_THAT(error_of<ConfigError>([] {
                open_upstream("fbanc", {"/nowhere", ""}, no_options());
              }),
              HasSubstr("there is no folder /nowhere/fbanc and no such upstream, did you mean \"fbank\"? known: "
                        "data2vec-audio, fbank"));
  EXPECT_THAT(error_of<ConfigError>([] {
                open_upstream("hubert", {"/nowhere", ""}, no_options());
              }),
              HasSubstr("upstream \"hubert\" is a family of models: name a folder"));
  EXPECT_THAT(error_of<ConfigError>([] {
                open_upstream("upstreams", {"tests/golden", ""}, no_options());
              }),
              HasSubstr("tests/golden/upstreams: the folder has no config.json"));
}

TEST(OpenUpstream, RefusesOptionsOfNoFamily) {
  EXPECT_EQ(error_of<ConfigError>([] {
              open_upstream("hubert-posbn", {"tests/golden/upstreams", ""},
                            FieldReader({{"wave_norm", "always"}}, "study.json", "/upstreams/a"));
            }),
            "study.json /upstreams/a/wave_norm: unknown value \"always\"; known: model, none, huggingface, fairseq");
}

TEST(HubCacheFolder, FollowsTheEnvironment) {
  std::map<std::string, std::string> environment = {{"HOME", "/h"}};
  const auto folder = [&] {
    return hub_cache_folder(
        [&](const char* name) { return environment.contains(name) ? environment[name].c_str() : nullptr; });
  };
  EXPECT_EQ(folder(), "/h/.cache/huggingface/hub");
  environment["XDG_CACHE_HOME"] = "/x";
  EXPECT_EQ(folder(), "/x/huggingface/hub");
  environment["HF_HOME"] = "/f";
  EXPECT_EQ(folder(), "/f/hub");
  environment["HF_HUB_CACHE"] = "/c";
  EXPECT_EQ(folder(), "/c");
  environment.clear();
  EXPECT_EQ(folder(), "");
}

}  // namespace
}  // namespace strata
