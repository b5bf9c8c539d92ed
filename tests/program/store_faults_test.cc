#include "tests/program/store_faults.h"

#include <gtest/gtest.h>

namespace strata {
namespace {

using Kept = LossyDisk::Kept;

// Short forms of `tools/soak store`, which strikes at every call.
class StoreFaultsTest : public testing::Test {
 protected:
  static void SetUpTestSuite() { faults_ = std::make_unique<StoreFaults>(); }
  static void TearDownTestSuite() { faults_.reset(); }

  /// The calls of a kind on files whose name ends so.
  static std::vector<std::size_t> calls(const std::string& kind, const std::string& ending) {
    std::vector<std::size_t> found;
    for (std::size_t c = 0; c < faults_->calls().size(); ++c) {
      const FileCall& call = faults_->calls()[c];
      if (call.kind == kind && call.path.ends_with(ending)) found.push_back(c);
    }
    return found;
  }

  inline static std::unique_ptr<StoreFaults> faults_;
};

TEST_F(StoreFaultsTest, AnExtractionSurvivesKills) {
  for (const std::size_t call : {calls("write", ".h5.part").at(1), calls("rename", ".h5.part").at(2)}) {
    EXPECT_EQ(faults_->kill_at(call), "") << call;
  }
}

TEST_F(StoreFaultsTest, AFaultIsOneErrorAndTheNextRunContinues) {
  EXPECT_EQ(faults_->fail_at(calls("write", ".h5.part").at(1), {"ENOSPC", true}), "");
  EXPECT_EQ(faults_->fail_at(calls("sync", "/tones").at(3), {"EIO", false}), "");
  EXPECT_EQ(faults_->fail_at(calls("write", ".h5.part").at(0), {"short", true}), "");
}

// As NFS tells of a quota: what was written is known to be lost when the file is closed.
TEST_F(StoreFaultsTest, AFaultAtACloseIsAnError) {
  EXPECT_EQ(faults_->fail_at(calls("close", ".h5.part").at(2), {"EDQUOT", false}), "");
  EXPECT_EQ(faults_->fail_at(calls("close", "generation-000.json.part").at(1), {"ENOSPC", true}), "");
}

TEST_F(StoreFaultsTest, WhatPowerLossLeavesIsWhole) {
  for (std::size_t calls = 0; calls <= faults_->calls().size(); ++calls) {
    for (const Kept kept : {Kept::kNothing, Kept::kNames, Kept::kSome}) {
      EXPECT_EQ(faults_->lose_power_after(calls, kept, 1, /*rerun=*/false), "") << calls;
    }
  }
  EXPECT_EQ(faults_->lose_power_after(faults_->calls().size() / 2, Kept::kSome, 1, /*rerun=*/true), "");
}

}  // namespace
}  // namespace strata
