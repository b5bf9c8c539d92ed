#include "trainers/report/tensorboard.h"

#include <gmock/gmock.h>

#include "tests/folder.h"

namespace strata {
namespace {

using testing::ElementsAre;

/// What TensorBoard 2.21's own message classes and checksums wrote for the same values.
constexpr const char* kPeer =
    "1800000000000000a37f4b22090000000000448f401a0d627261696e2e4576656e743a32aba3334533000000000000000ca7"
    "2056090000000000448f402a280a260a05747269616c421308071204120208014209736964206662616e6b4a080a060a0474"
    "657874ed508321d4000000000000005cf98c6a090000000000588f4010ac022ac5010a110a0a747261696e2f6c6f73731500"
    "00a03f0a160a0f747261696e2f677261645f6e6f726d150000003f0a1a0a13747261696e2f6c6561726e696e675f72617465"
    "156f12833a0a130a0c6465762f6163637572616379150000403f0a0f0a086465762f6c6f737315000000400a2a0a23776569"
    "676874732f696e746572666163652e302e6c617965725f776569676874732f30150000803e0a2a0a23776569676874732f69"
    "6e746572666163652e302e6c617965725f776569676874732f31150000403f59ffad50";

std::string hex(const std::string& bytes) {
  std::string text;
  for (const char c : bytes) {
    for (const int digit : {(c >> 4) & 15, c & 15}) text += "0123456789abcdef"[digit];
  }
  return text;
}

const Json kEvaluation = {{"step", 300}, {"train_loss", 1.25}, {"grad_norm", 0.5}, {"learning_rate", 0.001}, {"seconds", 2.5},
                          {"dev", {{"accuracy", 0.75}, {"loss", 2.0}, {"utterances", 7}}},
                          {"weights", {{"interface.0.layer_weights", {0.25, 0.75}}}}};

TEST(Tensorboard, WritesTheBytesOfItsOwnClasses) {
  const fs::path folder = fresh_folder() / "trial";
  TensorboardWriter(folder, "sid fbank", 1000.5).add(kEvaluation);
  ASSERT_EQ(names_in(folder).size(), 1u);
  EXPECT_EQ(hex(read_file(folder / names_in(folder)[0])), kPeer);
}

TEST(Tensorboard, BeginsAnewAndGrowsWithEachEvaluation) {
  const fs::path folder = fresh_folder() / "trial";
  TensorboardWriter(folder, "sid fbank", 1.0).add(kEvaluation);
  TensorboardWriter writer(folder, "sid fbank", 1000.5);
  EXPECT_THAT(names_in(folder), ElementsAre("events.out.tfevents.0000001000.strata"));
  const auto size = [&] { return fs::file_size(folder / "events.out.tfevents.0000001000.strata"); };
  const auto before = size();
  writer.add(kEvaluation);
  EXPECT_EQ(size(), std::string(kPeer).size() / 2);
  EXPECT_LT(before, size());
}

TEST(Tensorboard, LeavesOutWhatIsNoNumber) {
  const fs::path folder = fresh_folder() / "trial";
  Json diverged = kEvaluation;
  diverged["train_loss"] = nullptr;
  TensorboardWriter(folder, "sid fbank", 1000.5).add(diverged);
  const std::string bytes = read_file(folder / names_in(folder)[0]);
  EXPECT_EQ(bytes.find("train/loss"), std::string::npos);
  EXPECT_NE(bytes.find("train/grad_norm"), std::string::npos);
}

}  // namespace
}  // namespace strata
