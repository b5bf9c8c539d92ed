#include "data/store/json_seal.h"

#include <gtest/gtest.h>

#include "core/base/error.h"
#include "tests/errors.h"

namespace strata {
namespace {

const Json kSaid = {{"name", "h0"}, {"width", 768}, {"gain", 0.1}, {"ids", {"a", "\u00e9"}}};

TEST(JsonSeal, IsTakenOutAgain) {
  for (const int indent : {-1, 1, 4}) {  // how it is laid out does not matter
    Json json = Json::parse(sealed(kSaid, indent));
    EXPECT_EQ(json.size(), kSaid.size() + 1);
    EXPECT_TRUE(unseal(json, "store.json"));
    EXPECT_EQ(json, kSaid);
  }
  EXPECT_EQ(sealed(kSaid).back(), '\n');
}

TEST(JsonSeal, MayBeAbsent) {
  for (Json json : {kSaid, Json::array({"checksum"}), Json(3)}) {
    const Json before = json;
    EXPECT_FALSE(unseal(json, "store.json"));
    EXPECT_EQ(json, before);
  }
}

TEST(JsonSeal, IsBrokenByAnyChange) {
  const std::string message =
      "a/store.json: what it says does not have its checksum: it is damaged, or was changed by hand; put a copy of it "
      "back, or remove a and extract anew";
  const Json whole = Json::parse(sealed(kSaid));
  const Json changes = {{"width", 769}, {"gain", 0.2}, {"more", 1}, {"checksum", 3}};
  for (const auto& [key, value] : changes.items()) {
    Json json = whole;
    json[key] = value;
    EXPECT_EQ(error_of<DataError>([&] { unseal(json, "a/store.json"); }), message) << key;
  }
  Json less = whole;
  less.erase("ids");
  EXPECT_EQ(error_of<DataError>([&] { unseal(less, "a/store.json"); }), message);
}

}  // namespace
}  // namespace strata
