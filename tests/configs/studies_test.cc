#include <gtest/gtest.h>

#include <filesystem>

#include "core/config/json.h"
#include "trainers/pretrain/study.h"
#include "trainers/study/study.h"

namespace strata {
namespace {

TEST(Studies, AllAreRead) {
  for (const char* folder : {"configs", "tests/slurm"}) {
    int count = 0;
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
      if (entry.path().extension() != ".json") continue;
      const Json keys = read_json(entry.path());
      EXPECT_TRUE(keys.contains("sweep") || keys.contains("pretrain")) << entry.path();
      if (keys.contains("sweep")) EXPECT_FALSE(read_study(entry.path(), {}).sweep.empty()) << entry.path();
      if (keys.contains("pretrain")) EXPECT_FALSE(read_pretrain_study(entry.path(), {}).models.empty()) << entry.path();
      ++count;
    }
    EXPECT_GT(count, 0) << folder;
  }
}

}  // namespace
}  // namespace strata
