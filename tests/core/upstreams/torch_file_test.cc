#include "core/upstreams/torch_file.h"

#include <ATen/core/Tensor.h>
#include <ATen/ops/tensor.h>
#include <gmock/gmock.h>

#include <fstream>
#include <random>

#include "core/base/error.h"
#include "core/base/file.h"
#include "tests/errors.h"

namespace strata {
namespace {

using testing::HasSubstr;

const fs::path kVariants = "tests/golden/upstreams/wav2vec2-group/variants";

fs::path write(const std::string& content) {
  const fs::path path = fs::path(testing::TempDir()) / "changed.bin";
  std::ofstream(path, std::ios::binary) << content;  // no flush to disk: it is written a thousand times
  return path;
}

template <class Number>
void append(std::string& to, Number value) {
  to.append(reinterpret_cast<const char*>(&value), sizeof value);
}

/// An archive of stored members, as simple as zip allows.
std::string zip_of(const std::vector<std::pair<std::string, std::string>>& members, std::uint16_t method = 0) {
  std::string data, directory;
  for (const auto& [name, content] : members) {
    const auto offset = static_cast<std::uint32_t>(data.size()), size = static_cast<std::uint32_t>(content.size());
    const auto name_bytes = static_cast<std::uint16_t>(name.size());
    append(data, std::uint32_t{0x04034b50});
    data += std::string(14, '\0');
    append(data, size), append(data, size), append(data, name_bytes), append(data, std::uint16_t{0});
    data += name + content;
    append(directory, std::uint32_t{0x02014b50});
    directory += std::string(6, '\0');
    append(directory, method);
    directory += std::string(8, '\0');
    append(directory, size), append(directory, size), append(directory, name_bytes);
    directory += std::string(12, '\0');
    append(directory, offset);
    directory += name;
  }
  std::string end;
  append(end, std::uint32_t{0x06054b50}), append(end, std::uint32_t{0});
  for (int i = 0; i < 2; ++i) append(end, static_cast<std::uint16_t>(members.size()));
  append(end, static_cast<std::uint32_t>(directory.size())), append(end, static_cast<std::uint32_t>(data.size()));
  return data + directory + end + std::string(2, '\0');
}

/// A pickle of {"w": a tensor with this size, stride (2 axes) and offset over a storage of 6 floats}.
std::string pickle_of(int offset, int rows, int columns, int row_stride,
                      const std::string& function = "_rebuild_tensor_v2") {
  const auto small = [](int value) { return std::string("K") + static_cast<char>(value); };
  const auto text = [](const std::string& value) {
    return std::string("\x8c") + static_cast<char>(value.size()) + value;
  };
  return "\x80\x02}" + text("w") + "ctorch._utils\n" + function + "\n((" + text("storage") + "ctorch\nFloatStorage\n" +
         text("0") + text("cpu") + small(6) + "tQ" + small(offset) + small(rows) + small(columns) + "\x86" +
         small(row_stride) + small(1) + "\x86" + "\x89" + "}tRs.";
}

std::string archive(const std::string& pickle, const std::string& storage = std::string(24, '\0')) {
  return zip_of({{"m/data.pkl", pickle}, {"m/data/0", storage}});
}

std::string refusal(const std::string& content) {
  const fs::path path = write(content);
  return error_of<DataError>([&] { read_torch_file(path); });
}

TEST(TorchFile, ReadsAStridedView) {
  std::string storage;
  for (const float value : {0.0F, 1.0F, 2.0F, 3.0F, 4.0F, 5.0F}) append(storage, value);
  const NamedTensors tensors = read_torch_file(write(archive(pickle_of(1, 2, 2, 3), storage)));
  ASSERT_EQ(tensors.size(), 1);
  EXPECT_TRUE(tensors.at("w").equal(at::tensor({1.0F, 2.0F, 4.0F, 5.0F}).view({2, 2})));
}

TEST(TorchFile, ReadsWhatTorchSaved) {
  const NamedTensors tensors = read_torch_file(kVariants / "for-ctc-bin" / "pytorch_model.bin");
  const NamedTensors same = read_safetensors("tests/golden/upstreams/wav2vec2-group/model.safetensors");
  for (const auto& [name, tensor] : same) EXPECT_TRUE(tensors.at("wav2vec2." + name).equal(tensor)) << name;
  EXPECT_TRUE(tensors.contains("lm_head.weight"));
}

TEST(TorchFile, RefusesEverythingThatIsNoTensor) {
  EXPECT_THAT(refusal(archive("\x80\x02"
                              "cposix\nsystem\n\x8c\x02ls\x85R.")),
              HasSubstr("cannot be read as weights: its pickle wants to call posix.system, which is refused"));
  EXPECT_THAT(refusal(archive(pickle_of(0, 2, 2, 2, "_rebuild_sparse_tensor"))),
              HasSubstr("wants to call torch._utils._rebuild_sparse_tensor"));
  EXPECT_THAT(refusal(archive("\x80\x02}\x8c\x01wK\x01s.")), HasSubstr("entry w is no tensor"));
  EXPECT_THAT(refusal(archive("\x80\x02].")), HasSubstr("it holds no dictionary of tensors"));
  EXPECT_THAT(refusal(archive("\x80\x02"
                              "i.")),
              HasSubstr("opcode 0x69 at byte 2 is not one that is read"));
}

TEST(TorchFile, RefusesNestingOfAnyDepth) {
  EXPECT_THAT(refusal(archive("\x80\x02)" + std::string(3'000'000, '\x85') + ".")),
              HasSubstr("it holds no dictionary"));
  EXPECT_THAT(refusal(archive("\x80\x02}q\x01\x8c\x01wh\x01s.")), HasSubstr("entry w is no tensor"))
      << "a dictionary in itself";
}

TEST(TorchFile, RefusesTensorsThatLeaveTheirStorage) {
  EXPECT_THAT(refusal(archive(pickle_of(1, 2, 3, 3))),
              HasSubstr("a tensor of size [2, 3] and stride [3, 1] at 1 does not fit its storage of 6 elements"));
  EXPECT_THAT(refusal(archive(pickle_of(0, 2, 3, 3), std::string(23, '\0'))),
              HasSubstr("storage 0 has 23 bytes, fewer than its 6 elements"));
  EXPECT_THAT(refusal(zip_of({{"m/data.pkl", pickle_of(0, 2, 3, 3)}})), HasSubstr("storage 0 is missing"));
}

// A few bytes that would otherwise become any amount of memory.
TEST(TorchFile, RefusesToMakeMoreThanIsThere) {
  EXPECT_THAT(refusal(archive(pickle_of(0, 120, 120, 0))),
              HasSubstr("a tensor of size [120, 120] and stride [0, 1] at 0 does not fit its storage of 6 elements"));
  const std::string one = pickle_of(0, 50, 30, 30);
  std::string item = one.substr(3, one.size() - 5);    // without its start and "s."
  item.replace(item.find("K\x06tQ"), 2, "M\xdc\x05");  // of a storage of 1500
  std::string many = "\x80\x02}(";
  for (int i = 0; i < 40; ++i) many += std::string("\x8c\x01") + static_cast<char>('a' + i) + item.substr(3);
  EXPECT_THAT(refusal(archive(many + "u.", std::string(6000, '\0'))),
              HasSubstr("more than the file has: they overlap"));
  std::string recalled = "\x80\x02X" + std::string("\x40\x42\x0f\0", 4) + std::string(1'000'000, 'x') + "q\x01";
  for (int i = 0; i < 300'000; ++i) recalled += "h\x01";  // a megabyte each, were it copied
  EXPECT_THAT(refusal(archive(recalled + ".")), HasSubstr("it holds no dictionary of tensors"));
}

TEST(TorchFile, RefusesOtherFiles) {
  EXPECT_THAT(refusal("\x80\x02\x8a\x0al\xfc\x9c"),
              HasSubstr("it is neither a zip archive nor what torch before 1.6 wrote"));
  EXPECT_THAT(refusal(zip_of({{"a", "b"}})), HasSubstr("it has no member data.pkl"));
  EXPECT_THAT(refusal(zip_of({{"m/data.pkl", "x"}}, 8)), HasSubstr("member m/data.pkl is compressed"));
  EXPECT_THAT(refusal(zip_of({{"a", "b"}, {"a", "b"}})), HasSubstr("member a is there twice"));
}

// Whatever happens to the bytes, the answer is tensors or a DataError, never a crash.
TEST(TorchFile, SurvivesDamage) {
  const std::string whole = read_file(kVariants / "old-bin" / "pytorch_model.bin");
  std::mt19937 random(1);
  int refused = 0;
  for (int i = 0; i < 1000; ++i) {
    std::string damaged = i % 10 == 0 ? whole.substr(0, random() % whole.size()) : whole;
    // Structure is at both ends: the pickle comes first, the directory last.
    for (int k = 0; k < 1 + i % 3 && !damaged.empty(); ++k) {
      const std::size_t from_end = random() % std::min<std::size_t>(damaged.size(), 9000);
      damaged[random() % 2 ? from_end : damaged.size() - 1 - from_end] = static_cast<char>(random());
    }
    const fs::path path = write(damaged);
    try {
      for (const auto& [name, tensor] : read_torch_file(path)) tensor.to(at::kDouble).sum();
    } catch (const DataError&) {
      ++refused;
    }
  }
  EXPECT_GT(refused, 250);
}

}  // namespace
}  // namespace strata
