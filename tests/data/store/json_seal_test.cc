#include "data/store/json_seal.h"

#include <gtest/gtest.h>

#include "core/base/error.h"
#include "tests/errors.h"

namespace strata {
namespace {

const Json kSaid = {{"name", "h0"}, {"width", 768}, {"gain", 0.1}, {"ids", {"a", "\u00e9"}}};
const char* const kMessage =
    "a/store.json: what it says does not have its checksum: it is damaged, or was changed by hand; put a copy of it "
    "back, or remove a and extract anew";

TEST(JsonSeal, IsAMemberOfTheObject) {
  for (const int indent : {-1, 1, 4}) {
    const std::string text = sealed(kSaid, indent);
    EXPECT_TRUE(check_seal(text, "store.json"));
    EXPECT_EQ(text.back(), '\n');
    Json json = Json::parse(text);
    EXPECT_EQ(sealed(json, indent), text);
    EXPECT_EQ(json.erase("checksum"), 1u);
    EXPECT_EQ(json, kSaid);
  }
}

TEST(JsonSeal, MayBeAbsent) {
  for (const char* text : {"", "{}", "[\"checksum\"]", "{\"width\": 768}", "{ \"checksum\": \"0\", \"width\": 768}"})
    EXPECT_FALSE(check_seal(text, "store.json")) << text;
}

TEST(JsonSeal, IsBrokenByAnyChangeBehindItsName) {
  const std::string whole = sealed(kSaid);
  for (std::size_t at = 0; at < whole.size(); ++at) {
    std::string changed = whole;
    changed[at] = static_cast<char>(changed[at] ^ 1);
    if (at < std::string("{\"checksum\":\"").size()) {
      EXPECT_FALSE(check_seal(changed, "a/store.json")) << changed;
    } else {
      EXPECT_EQ(error_of<DataError>([&] { check_seal(changed, "a/store.json"); }), kMessage) << changed;
    }
  }
  for (std::size_t bytes = 13; bytes < whole.size(); ++bytes) {
    EXPECT_EQ(error_of<DataError>([&] { check_seal(whole.substr(0, bytes), "a/store.json"); }), kMessage) << bytes;
  }
}

}  // namespace
}  // namespace strata
