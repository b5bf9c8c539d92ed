#include "trainers/extract/changes.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>
#include <gmock/gmock.h>

#include <cmath>
#include <limits>

#include "core/base/error.h"
#include "core/base/file.h"
#include "tests/folder.h"
#include "tests/trainers/extract/fixed_upstream.h"
#include "trainers/extract/long_utterances.h"

namespace strata {
namespace {

using testing::HasSubstr;

const std::vector<PlannedUtterance> kUtterances = {{"u0", 100}, {"u1", 200}};

std::vector<float> silence(const std::string&) { return std::vector<float>(100); }

/// What is logged while `action` is done.
std::string log_of(const std::function<void()>& action) {
  testing::internal::CaptureStderr();
  action();
  return testing::internal::GetCapturedStderr();
}

at::Tensor refuse() { throw DataError("there is not enough memory"); }

TEST(Changes, AreRelativeToTheReference) {
  const FixedUpstream upstream(at::ones({4, 2}));
  const at::Tensor ones = at::ones({4, 2}), zeros = at::zeros({4, 2});
  const auto change = [&](const at::Tensor& reference, const at::Tensor& changed) {
    return change_by_tap(upstream, {1}, {reference}, {changed})["b"]["relative_rms"].get<double>();
  };
  EXPECT_DOUBLE_EQ(change(ones, 1.5 * ones), 0.5);
  EXPECT_EQ(change(zeros, zeros), 0);
  EXPECT_EQ(change(zeros, ones), std::numeric_limits<double>::infinity());
  const at::Tensor nan = at::full({4, 2}, std::numeric_limits<double>::quiet_NaN());
  EXPECT_TRUE(std::isnan(change(ones, nan)));
  EXPECT_TRUE(std::isnan(change(nan, ones)));
}

TEST(Changes, OfAnArithmeticAreMeasuredOnceForTheSameTaps) {
  const fs::path store = fresh_folder(), path = store / "compute.json";
  FixedUpstream upstream(at::ones({4, 2}));
  int measured = 0;
  upstream.exact = [&measured] {
    ++measured;
    return at::ones({4, 2}) * 1.25;
  };
  const auto record = [&](const std::vector<std::size_t>& taps) {
    return log_of([&] { record_compute(store, upstream, taps, kUtterances, silence); });
  };
  EXPECT_EQ(record({0}), "");
  EXPECT_FALSE(fs::exists(path));
  upstream.arithmetic = "bfloat16";
  EXPECT_THAT(record({0}), HasSubstr("bfloat16 changes the features by up to 0.2 of their rms, measured on \"u0\""));
  EXPECT_EQ(record({0}), "");
  EXPECT_EQ(measured, 1);
  record({0, 1});  // a tap more
  EXPECT_EQ(measured, 2);
  EXPECT_TRUE(read_json(path)["change"].contains("b"));
  record({1});
  EXPECT_EQ(measured, 2);
  for (const char* broken : {"", "{", "[]", "{}", R"({"compute": "bfloat16", "change": 3})",
                             R"({"compute": "float16", "change": {"a": 1, "b": 1}})"}) {
    write_file_atomically(path, broken);
    record({0, 1});
    EXPECT_DOUBLE_EQ(read_json(path)["change"]["b"]["relative_rms"].get<double>(), 0.2) << broken;
  }
}

TEST(Changes, ThatAreNotFiniteAreTold) {
  const fs::path store = fresh_folder();
  FixedUpstream upstream(at::full({4, 2}, std::numeric_limits<float>::quiet_NaN()));
  upstream.arithmetic = "float16";
  upstream.exact = [] { return at::ones({4, 2}); };
  EXPECT_THAT(log_of([&] {
                record_compute(store, upstream, {0, 1}, kUtterances, silence);
              }),
              HasSubstr("float16 makes values of a, b on \"u0\" that are not finite"));
  EXPECT_TRUE(read_json(store / "compute.json")["change"]["a"]["relative_rms"].is_null());
}

TEST(Changes, ThatCannotBeMeasuredAreToldAndEndNothing) {
  const fs::path store = fresh_folder();
  FixedUpstream upstream(at::ones({4, 2}));
  upstream.arithmetic = "float16";
  upstream.exact = upstream.whole = refuse;
  EXPECT_THAT(log_of([&] { record_compute(store, upstream, {0}, kUtterances, silence); }),
              HasSubstr("what float16 changes was not measured: there is not enough memory"));
  EXPECT_FALSE(fs::exists(store / "compute.json"));

  upstream.windows = true;
  const fs::path path = store / "long-utterances.json";
  const auto record = [&] {
    return log_of([&] { record_long_utterances(store, upstream, {0}, kUtterances, silence); });
  };
  EXPECT_THAT(record(), HasSubstr("what windows change was not measured: there is not enough memory"));
  EXPECT_EQ(read_json(path), Json({{"utterances", {"u0", "u1"}}, {"not_measured", "there is not enough memory"}}));
  EXPECT_EQ(long_utterances_text(path), "2 utterances are computed in windows: what that changes was not measured");
  EXPECT_EQ(record(), "") << "it takes long to find that out";
}

}  // namespace
}  // namespace strata
