#include "data/store/apart.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <string>

#include "core/base/error.h"
#include "tests/errors.h"

namespace strata {
namespace {

TEST(Apart, GivesWhatTheWorkGives) {
  const std::string text(1 << 20, 'x');
  EXPECT_EQ(apart("a.h5", [&] { return text; }), text);
  EXPECT_EQ(apart("a.h5", [] { return ""; }), "");
}

TEST(Apart, PassesErrorsOn) {
  EXPECT_EQ(error_of<DataError>([] { apart("a.h5", []() -> std::string { throw DataError("a.h5: it is broken"); }); }),
            "a.h5: it is broken");
}

TEST(Apart, SurvivesWhatDies) {
  const std::string end =
      "): the file is damaged, or made to harm; `strata verify --repair` removes it, `strata extract` fills the hole";
  EXPECT_EQ(error_of<DataError>([] {
              apart("a.h5", [] {
                ::raise(SIGSEGV);
                return std::string();
              });
            }),
            "a.h5: the process that looked into it died (Segmentation fault" + end);
  EXPECT_EQ(error_of<DataError>([] {
              apart(
                  "a.h5",
                  []() -> std::string {
                    for (;;) ::getppid();
                  },
                  /*seconds=*/1);
            }).substr(0, 45),
            "a.h5: the process that looked into it died (C");
}

}  // namespace
}  // namespace strata
