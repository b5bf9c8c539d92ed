#include "core/tensor/safetensors.h"

#include <ATen/core/Tensor.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <gmock/gmock.h>

#include "core/base/file.h"
#include "tests/core/testing.h"
#include "tests/folder.h"

namespace strata {
namespace {

using testing::HasSubstr;

/// The bytes of a file with this header, of the length it says or has, and `data` after it.
std::string file_of(const std::string& header, const std::string& data = "", std::uint64_t length = ~std::uint64_t{0}) {
  if (length == ~std::uint64_t{0}) length = header.size();
  return std::string(reinterpret_cast<const char*>(&length), sizeof length) + header + data;
}

TEST(Safetensors, ComeBackAsWritten) {
  const fs::path path = fresh_folder() / "deep/model.safetensors";
  NamedTensors written = {{"matrix", random_tensor({3, 4}, 1)},
                          {"scalar", at::tensor(2.5f)},
                          {"empty", at::zeros({0, 7})},
                          {"transposed", random_tensor({3, 4}, 2).t()},
                          {"odd", at::ones({3}, at::kByte)}};
  for (const at::ScalarType type : {at::kDouble, at::kFloat, at::kHalf, at::kBFloat16, at::kLong, at::kInt, at::kShort,
                                    at::kChar, at::kByte, at::kBool}) {
    written[std::string("of type ") + toString(type)] = tensor({0, 1, 100, 7, 1}, {5}).to(type);
  }
  write_safetensors(path, written, {{"format", "pt"}, {"größe", "1\n2"}});
  std::map<std::string, std::string> metadata;
  const NamedTensors read = read_safetensors(path, &metadata);
  EXPECT_EQ(metadata, (std::map<std::string, std::string>{{"format", "pt"}, {"größe", "1\n2"}}));
  ASSERT_EQ(read.size(), written.size());
  for (const auto& [name, tensor] : written) {
    EXPECT_EQ(read.at(name).scalar_type(), tensor.scalar_type()) << name;
    EXPECT_TRUE(at::equal(read.at(name), tensor)) << name;
  }
}

TEST(Safetensors, HaveEqualBytesForEqualContent) {
  const fs::path folder = fresh_folder();
  for (const char* name : {"a", "b"})
    write_safetensors(folder / name, {{"x", at::ones({2})}, {"y", at::zeros({3})}}, {{"k", "v"}});
  EXPECT_EQ(read_file(folder / "a"), read_file(folder / "b"));
}

TEST(Safetensors, OutliveTheirFile) {
  const fs::path path = fresh_folder() / "x";
  write_safetensors(path, {{"x", at::arange(1000, at::kDouble)}});
  at::Tensor x = read_safetensors(path).at("x");
  fs::remove(path);
  EXPECT_EQ(x.sum().item<double>(), 999 * 500);
}

TEST(Safetensors, SayWhatIsWrong) {
  const fs::path path = fresh_folder() / "x.safetensors";
  const auto error = [&](const std::string& content) {
    write_file_atomically(path, content);
    const std::string message = error_of<DataError>([&] { read_safetensors(path); });
    EXPECT_THAT(message, testing::StartsWith(path.string() + ": not a valid safetensors file: "));
    return message;
  };
  EXPECT_THAT(error(""), HasSubstr("it has only 0 bytes"));
  EXPECT_THAT(error("1234567"), HasSubstr("it has only 7 bytes"));
  const std::string pointer = "version https://git-lfs.github.com/spec/v1\n";
  EXPECT_THAT(error(pointer), HasSubstr("is it cut off, or a Git LFS pointer?"));
  for (const std::uint64_t length :
       {std::uint64_t{3}, std::uint64_t{100'000'001}, std::uint64_t{1} << 63, ~std::uint64_t{0} - 1}) {
    EXPECT_THAT(error(file_of("{}", "", length)),
                HasSubstr("its header of " + std::to_string(length) + " bytes does not fit into 10 bytes"))
        << length;
  }
  EXPECT_THAT(error(file_of("{]")), HasSubstr("its header is not a JSON object"));
  EXPECT_THAT(error(file_of("[]")), HasSubstr("its header is not a JSON object"));
}

TEST(Safetensors, RefuseTensorsThatAreNotInTheFile) {
  const fs::path path = fresh_folder() / "x.safetensors";
  const auto error = [&](const std::string& entry) {
    write_file_atomically(path, file_of("{\"x\": " + entry + "}", std::string(16, '\0')));
    return error_of<DataError>([&] { read_safetensors(path); });
  };
  for (const char* offsets : {"[0, 17]", "[8, 4]", "[16, 32]", "[0, 12]", "[-16, 0]", "[0]", "[0, 16, 16]",
                              "[18446744073709551600, 18446744073709551616]", "[18446744073709551608, 8]"}) {
    EXPECT_THAT(error(std::string(R"({"dtype": "F32", "shape": [4], "data_offsets": )") + offsets + "}"),
                HasSubstr("tensor x: bytes "))
        << offsets;
  }
  for (const char* shape : {"[-4]", "[4611686018427387904, 4]", "[9223372036854775807]",
                            "[0, 4611686018427387904, 4611686018427387904]", "[-2, -2]", "\"4\""}) {
    EXPECT_THAT(error(std::string(R"({"dtype": "F32", "data_offsets": [0, 16], "shape": )") + shape + "}"),
                HasSubstr("tensor x: impossible shape "))
        << shape;
  }
  EXPECT_THAT(error(R"({"dtype": "F8_E4M3", "shape": [16], "data_offsets": [0, 16]})"),
              HasSubstr("tensor x: unsupported dtype F8_E4M3"));
  for (const char* entry :
       {"3", "{}", R"({"dtype": 3, "shape": [4], "data_offsets": [0, 16]})",
        R"({"dtype": "F32", "shape": [4]})"}) {
    EXPECT_THAT(error(entry), HasSubstr("tensor x: [json.exception")) << entry;
  }
}

TEST(Safetensors, RefuseOverlaps) {
  const fs::path path = fresh_folder() / "x.safetensors";
  const auto entry = [](int from, int to) {
    return Json{{"dtype", "U8"}, {"shape", {to - from}}, {"data_offsets", {from, to}}};
  };
  write_file_atomically(path, file_of(Json{{"a", entry(0, 9)}, {"b", entry(8, 16)}}.dump(), std::string(16, '\0')));
  EXPECT_EQ(error_of<DataError>([&] { read_safetensors(path); }),
            path.string() + ": not a valid safetensors file: tensors a and b overlap");
  write_file_atomically(
      path, file_of(Json{{"a", entry(0, 8)}, {"b", entry(8, 16)}, {"c", entry(8, 8)}}.dump(), std::string(16, '\0')));
  EXPECT_EQ(read_safetensors(path).size(), 3u);
}

TEST(Safetensors, AreRefusedIfCutOffAnywhere) {
  const fs::path path = fresh_folder() / "x.safetensors";
  write_safetensors(path, {{"x", at::ones({5})}});
  const std::string whole = read_file(path);
  for (std::size_t length = 0; length < whole.size(); ++length) {
    write_file_atomically(path, whole.substr(0, length));
    EXPECT_THROW(read_safetensors(path), DataError) << length;
  }
}

}  // namespace
}  // namespace strata
