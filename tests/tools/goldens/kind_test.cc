#include "tools/goldens/kind.h"

#include <gtest/gtest.h>

#include "tests/folder.h"

namespace strata {
namespace {

namespace fs = std::filesystem;

const std::set<std::string> kKnown = {"heads", "upstreams"};
const fs::path kUpstreams = "tests/golden/upstreams";

TEST(GoldenKind, IsTheNameOfTheFolderWhereThatIsOne) {
  EXPECT_EQ(golden_kind(kUpstreams, kKnown), "upstreams");
  EXPECT_EQ(golden_kind(kUpstreams / "", kKnown), "upstreams");
  const fs::path heads = fresh_folder() / "heads";
  fs::create_directories(heads);
  EXPECT_EQ(golden_kind(heads, kKnown), "heads");
  EXPECT_EQ(golden_kind(heads.parent_path(), kKnown), "") << "a tree of kinds";
}

TEST(GoldenKind, AModelIsKnownByWhatIsInIt) {
  EXPECT_EQ(golden_kind(kUpstreams / "hubert-group", kKnown), "upstreams");
  const fs::path folder = fresh_folder();
  fs::create_directories(folder / "renamed");
  EXPECT_EQ(golden_kind(folder, kKnown), "");
  fs::copy(kUpstreams / "hubert-posbn", folder / "renamed" / "heads2", fs::copy_options::recursive);
  EXPECT_EQ(golden_kind(folder / "renamed" / "heads2", kKnown), "upstreams");
  EXPECT_EQ(golden_kind(folder / "renamed", kKnown), "upstreams");
  EXPECT_EQ(golden_kind(folder, kKnown), "") << "a tree of kinds";
  fs::remove(folder / "renamed" / "heads2" / "expected.safetensors");
  EXPECT_EQ(golden_kind(folder / "renamed", kKnown), "");
}

}  // namespace
}  // namespace strata
