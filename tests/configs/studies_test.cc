#include <gtest/gtest.h>

#include <filesystem>

#include "trainers/study/study.h"

namespace strata {
namespace {

TEST(Studies, AllAreRead) {
  int count = 0;
  for (const auto& entry : std::filesystem::directory_iterator("configs")) {
    if (entry.path().extension() != ".json") continue;
    const Study study = read_study(entry.path(), {});
    EXPECT_FALSE(study.sweep.empty()) << entry.path();
    ++count;
  }
  EXPECT_GT(count, 0);
}

}  // namespace
}  // namespace strata
