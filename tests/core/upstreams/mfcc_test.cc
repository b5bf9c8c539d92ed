#include <gmock/gmock.h>

#include "core/base/error.h"
#include "core/upstreams/upstream.h"
#include "tests/errors.h"

namespace strata {
namespace {

std::unique_ptr<Upstream> open(const Json& options) {
  return open_upstream("mfcc", {}, FieldReader(options, "study.json", "/upstreams/a"));
}

TEST(Mfcc, DescribesItsTap) {
  EXPECT_EQ(open(Json::object())->spec(), (FeatureSpec{{{"mfcc", 13, 160}}, 400}));
  EXPECT_EQ(open({{"num_ceps", 20}, {"deltas", true}})->spec().taps[0].width, 60);
}

TEST(Mfcc, RefusesMoreCepstraThanBins) {
  EXPECT_EQ(error_of<ConfigError>([] {
              open({{"num_ceps", 24}});
            }),
            "upstream \"mfcc\": num_ceps 24 is more than num_mel_bins 23");
}

}  // namespace
}  // namespace strata
