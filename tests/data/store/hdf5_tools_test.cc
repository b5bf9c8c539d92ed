#include <gmock/gmock.h>
#include <stdio.h>

#include <filesystem>
#include <string>
#include <vector>

#include "data/store/shard.h"
#include "tests/data/store/small_store.h"
#include "tests/folder.h"

namespace strata {
namespace {

using hdf5::Compression;
using hdf5::StoredType;
using testing::AllOf;
using testing::HasSubstr;

/// What a shell command prints; it must succeed.
std::string output_of(const std::string& command) {
  std::string text;
  FILE* pipe = ::popen((command + " 2>&1").c_str(), "r");
  if (pipe == nullptr) {
    ADD_FAILURE() << "cannot run " << command;
    return text;
  }
  char buffer[4096];
  for (std::size_t n = ::fread(buffer, 1, sizeof buffer, pipe); n > 0; n = ::fread(buffer, 1, sizeof buffer, pipe)) {
    text.append(buffer, n);
  }
  EXPECT_EQ(::pclose(pipe), 0) << command << ": " << text;
  return text;
}

// The commands that the README gives.
TEST(Hdf5Tools, ConvertBFloat16) {
  const std::vector<Tap> taps = {{"h4", 4, 320}};
  for (const Compression compression : {Compression::kNone, Compression::kDeflate}) {
    const std::string path = (fresh_folder() / "shard-00000.h5").string();
    write_shard(path, taps, StoredType::kBFloat16, {utterance("a", taps, {3}, StoredType::kBFloat16)}, {}, compression);
    EXPECT_THAT(output_of("h5ls -r " + path),
                AllOf(HasSubstr("/utterances/id "), HasSubstr("/taps/h4/frames "), HasSubstr(" Dataset {3, 4}\n")));
    EXPECT_THAT(output_of("h5dump -d /taps/h4/frames -s 2,0 -c 1,4 " + path),
                AllOf(HasSubstr("16-bit little-endian floating-point"), HasSubstr("(2,0): 2, 2.25, 2.5, 2.75\n")));
  }
}

}  // namespace
}  // namespace strata
