#include "data/store/chunk.h"

#include <gmock/gmock.h>

#include <numeric>
#include <vector>

#include "core/base/error.h"
#include "core/base/random.h"
#include "tests/errors.h"

namespace strata {
namespace {

std::vector<char> some_bytes(std::size_t count) {
  RandomStream random({1, 2});
  std::vector<char> bytes(count);
  for (std::size_t i = 0; i < count; ++i) bytes[i] = static_cast<char>(i % 2 == 0 ? 60 : 256 * random.uniform());
  return bytes;
}

TEST(Chunk, GivesBackAnyElements) {
  const std::vector<char> values = some_bytes(4000);
  for (const std::int64_t bytes : {1, 2, 4}) {
    const std::string stored = deflate_chunk(values, bytes);
    EXPECT_LT(stored.size(), values.size());
    for (const auto [first, count] :
         {std::pair<std::int64_t, std::int64_t>{0, 4000 / bytes}, {17, 1}, {999, 1}, {5, 0}, {3, 700}}) {
      std::vector<char> out(static_cast<std::size_t>(count * bytes));
      inflate_chunk(stored, bytes, 4000 / bytes, first, out);
      EXPECT_TRUE(std::equal(out.begin(), out.end(), values.begin() + first * bytes)) << bytes << " " << first;
    }
  }
}

TEST(Chunk, RefusesOneOfAnotherLength) {
  const std::vector<char> values = some_bytes(4000);
  const std::string stored = deflate_chunk(values, 2);
  std::vector<char> out(2);
  const auto error = [&](const std::string& bytes, std::int64_t elements) {
    return error_of<DataError>([&] { inflate_chunk(bytes, 2, elements, 0, out); });
  };
  const std::string size = std::to_string(stored.size());
  EXPECT_EQ(error(stored, 1999), "a chunk of " + size + " bytes does not inflate to 3998 bytes");
  EXPECT_EQ(error(stored, 2001), "a chunk of " + size + " bytes does not inflate to 4002 bytes");
  EXPECT_EQ(error(stored + "x", 2000),
            "a chunk of " + std::to_string(stored.size() + 1) + " bytes does not inflate to 4000 bytes");
  EXPECT_NE(error(stored.substr(0, stored.size() - 1), 2000), "");
  EXPECT_NE(error("", 2000), "");
}

// Deflate ends a stream with up to seven bits that mean nothing; all others are under its own checksum.
TEST(Chunk, AChangedBitIsFoundOrMeansNothing) {
  const std::vector<char> values = some_bytes(600);
  const std::string stored = deflate_chunk(values, 4);
  int meaningless = 0;
  for (std::size_t bit = 0; bit < 8 * stored.size(); ++bit) {
    std::string changed = stored;
    changed[bit / 8] = static_cast<char>(changed[bit / 8] ^ (1 << bit % 8));
    std::vector<char> out(values.size());
    try {
      inflate_chunk(changed, 4, 150, 0, out);
      EXPECT_EQ(out, values) << bit;
      ++meaningless;
    } catch (const DataError&) {
    }
  }
  EXPECT_LE(meaningless, 7);
}

TEST(Chunk, InflatesNothingThatGrowsBeyondItsMost) {
  const std::vector<char> zeros(1 << 20);
  const std::string stored = deflate_chunk(zeros, 1);
  EXPECT_LT(zeros.size(), stored.size() * kMaxInflation);
}

}  // namespace
}  // namespace strata
