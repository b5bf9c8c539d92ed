#include "data/store/blosc.h"

#include <gmock/gmock.h>
#include <hdf5.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "core/base/error.h"
#include "core/base/random.h"
#include "data/store/hdf5.h"
#include "data/store/shard.h"
#include "tests/data/store/small_store.h"
#include "tests/errors.h"
#include "tests/folder.h"

namespace strata {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

/// As long as it lives HDF5 neither has the filter nor loads it.
class WithoutPlugin {
 public:
  WithoutPlugin() {
    H5Zunregister(hdf5::kBloscFilter);
    H5PLget_loading_state(&before_);
    H5PLset_loading_state(0);
  }
  ~WithoutPlugin() { H5PLset_loading_state(before_); }

 private:
  unsigned before_ = 0;
};

/// Every second byte is random, or all are.
std::vector<char> some_bytes(std::size_t count, bool all = false) {
  RandomStream random({1, 3});
  std::vector<char> bytes(count);
  for (std::size_t i = 0; i < count; ++i) bytes[i] = static_cast<char>(all || i % 2 != 0 ? random.below(256) : 60);
  return bytes;
}

// tools/lib.sh installs the plugin: where it lacks, this fails and names it, as do all tests of shards of this kind.
TEST(Blosc, IsThere) { require_blosc("the tests"); }

TEST(Blosc, GivesBackAnyElements) {
  for (const bool all : {false, true}) {
    const std::vector<char> values = some_bytes(4000, all);
    for (const std::int64_t bytes : {1, 2, 4}) {
      const std::string stored = blosc_chunk(values, bytes);
      EXPECT_EQ(stored.size() < values.size(), !all) << bytes;
      EXPECT_LE(stored.size(), values.size() + 16) << bytes;
      for (const auto& [first, count] :
           {std::pair<std::int64_t, std::int64_t>{0, 4000 / bytes}, {17, 1}, {999, 1}, {3, 700}}) {
        std::vector<char> out(static_cast<std::size_t>(count * bytes));
        unblosc_chunk(stored, bytes, 4000 / bytes, first, out);
        EXPECT_TRUE(std::equal(out.begin(), out.end(), values.begin() + first * bytes)) << bytes << " " << first;
      }
    }
  }
}

// HDF5 looks at a chunk of more than 1 MiB in another way.
TEST(Blosc, GivesBackALargeChunk) {
  const std::vector<char> values = some_bytes(3 << 20);
  const std::string stored = blosc_chunk(values, 2);
  std::vector<char> out(values.size());
  unblosc_chunk(stored, 2, static_cast<std::int64_t>(values.size() / 2), 0, out);
  EXPECT_EQ(out, values);
}

TEST(Blosc, RefusesOneOfAnotherLength) {
  const std::string stored = blosc_chunk(some_bytes(4000), 2), size = std::to_string(stored.size());
  std::vector<char> out(2);
  const auto error = [&](const std::string& bytes, std::int64_t elements) {
    return error_of<DataError>([&] { unblosc_chunk(bytes, 2, elements, 0, out); });
  };
  EXPECT_EQ(error(stored, 1999), "a chunk of " + size + " bytes does not inflate to 3998 bytes");
  EXPECT_EQ(error(stored, 2001), "a chunk of " + size + " bytes does not inflate to 4002 bytes");
  EXPECT_EQ(error(stored + "x", 2000),
            "a chunk of " + std::to_string(stored.size() + 1) + " bytes does not inflate to 4000 bytes");
  for (const std::size_t length : {stored.size() - 1, std::size_t{16}, std::size_t{15}, std::size_t{1}, std::size_t{0}})
    EXPECT_NE(error(stored.substr(0, length), 2000), "") << length;
}

// The checksums of a shard find what changes; here it is enough that nothing else happens.
TEST(Blosc, ChangedBytesDoNoHarm) {
  RandomStream random({1, 4});
  const std::vector<char> values = some_bytes(4000);
  const std::string stored = blosc_chunk(values, 4);
  std::size_t refused = 0;
  for (int round = 0; round < 500; ++round) {
    std::string changed = stored;
    const std::size_t end = round % 2 == 0 ? 40 : stored.size();  // the headers of Blosc and zstd, or all
    for (std::size_t n = 1 + random.below(4); n > 0; --n)
      changed[random.below(end)] = static_cast<char>(random.below(256));
    std::vector<char> out(values.size());
    try {
      unblosc_chunk(changed, 4, 1000, 0, out);
    } catch (const DataError&) {
      ++refused;
    }
  }
  EXPECT_GT(refused, 100u);
}

TEST(Blosc, InflatesNothingThatGrowsBeyondItsMost) {
  const std::vector<char> zeros(1 << 20);
  EXPECT_LT(zeros.size(), blosc_chunk(zeros, 1).size() * kMaxBloscInflation);
}

TEST(Blosc, IsAskedForWhereItLacks) {
  const fs::path path = fresh_folder() / "shard-00000.h5";
  const std::vector<Tap> taps = {{"h0", 4, 320}};
  const auto type = hdf5::StoredType::kFloat32;
  write_shard(path, taps, type, {utterance("a", taps, {5})}, {}, hdf5::Compression::kBlosc);
  {
    const WithoutPlugin without;
    EXPECT_THAT(error_of<ConfigError>([] { require_blosc("study.json /upstreams/a/compression"); }),
                AllOf(StartsWith("study.json /upstreams/a/compression: HDF5 has no filter 32001 (blosc, with its codec "
                                 "zstd) in "),
                      HasSubstr("hdf5-filter-plugin-blosc-serial"), HasSubstr("HDF5_PLUGIN_PATH")));
    EXPECT_THAT(error_of<ConfigError>([&] { ShardReader(path, taps, type); }),
                StartsWith(path.string() + ": HDF5 has no filter 32001 (blosc, "));
  }
  EXPECT_THAT(ShardReader(path, taps, type).verify(), IsEmpty());
}

}  // namespace
}  // namespace strata
