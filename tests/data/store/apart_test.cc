#include "data/store/apart.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <functional>
#include <new>
#include <string>

#include "core/base/error.h"
#include "core/base/file.h"
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

// Nothing is known of a file that could not be looked into.
TEST(Apart, TellsBadFilesFromThoseItCouldNotLookInto) {
  const auto error = [](const std::function<void()>& action, int seconds = 600) {
    return error_of<FileError>([&] {
      apart(
          "a.h5",
          [&] {
            action();
            return std::string();
          },
          seconds);
    });
  };
  EXPECT_EQ(error([] { throw FileError("a.h5: cannot open: Permission denied"); }),
            "a.h5: cannot open: Permission denied");
  EXPECT_EQ(error([] { throw ConfigError("a.h5: there is no plugin"); }), "a.h5: there is no plugin");
  EXPECT_EQ(error([] { throw std::bad_alloc(); }), "a.h5: std::bad_alloc");
  const std::string died = "a.h5: the process that looked into it died (";
  EXPECT_EQ(error([] { ::raise(SIGKILL); }), died + "Killed)");  // as where memory runs out
  EXPECT_EQ(error([] { ::raise(SIGBUS); }), died + "Bus error)");
  EXPECT_EQ(error(
                [] {
                  for (;;) ::getppid();
                },
                /*seconds=*/1),
            died + "CPU time limit exceeded): it took more than 1 s of processor time");
  rlimit old{};
  ::getrlimit(RLIMIT_NOFILE, &old);
  const rlimit none{0, old.rlim_max};
  ::setrlimit(RLIMIT_NOFILE, &none);
  const std::string no_pipe = error([] {});
  ::setrlimit(RLIMIT_NOFILE, &old);
  EXPECT_EQ(no_pipe, "a.h5: cannot make a pipe: Too many open files");
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
}

}  // namespace
}  // namespace strata
