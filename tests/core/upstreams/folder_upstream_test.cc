#include "core/upstreams/folder_upstream.h"

#include <ATen/core/Tensor.h>
#include <ATen/ops/ones.h>
#include <c10/util/Exception.h>
#include <gmock/gmock.h>

#include <new>

#include "core/base/error.h"
#include "tests/errors.h"

namespace strata {
namespace {

using testing::HasSubstr;

/// One whose stem does this, and whose only layer is the stem.
FolderUpstream upstream_of(const std::function<at::Tensor(const at::Tensor&)>& stem) {
  FolderUpstream::Model model;
  model.family = "test";
  model.place = "here";
  model.hop = 1;
  model.spec = {{{"h0", 1, 1}, {"conv", 1, 1}}, 1};
  model.layer_list = 1;
  model.bind = [stem](const WeightReader&) -> FolderUpstream::Encoder {
    return {stem, [](const at::Tensor& frames, TapCollector& taps) { taps.offer("h0", frames); }};
  };
  model.frames = [](std::size_t, std::int64_t samples) { return samples; };
  return FolderUpstream(std::move(model));
}

// Whoever computes many utterances, or only measures something on one, goes on without it.
TEST(FolderUpstream, TooLittleMemoryIsAnErrorOfTheUtterance) {
  const auto none = upstream_of([](const at::Tensor&) -> at::Tensor { throw std::bad_alloc(); });
  const auto none_of_torch = upstream_of([](const at::Tensor&) -> at::Tensor {
    TORCH_CHECK(false, "DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes");
  });
  const at::Tensor wave = at::ones({32000});
  for (const FolderUpstream* upstream : {&none, &none_of_torch}) {
    const auto expect_refused = [&](const std::function<void()>& compute) {
      EXPECT_THAT(error_of<DataError>(compute), HasSubstr("there is not enough memory for 2 s of audio"));
    };
    expect_refused([&] { upstream->forward(wave, {0}); });
    expect_refused([&] { upstream->forward_whole(wave, {0}); });
    expect_refused([&] { upstream->forward_exact(wave, {0}); });
  }
}

TEST(FolderUpstream, OtherErrorsOfLibTorchStayThemselves) {
  const auto broken = upstream_of([](const at::Tensor&) -> at::Tensor { TORCH_CHECK(false, "sizes differ"); });
  EXPECT_THROW(broken.forward(at::ones({4}), {0}), c10::Error);
}

}  // namespace
}  // namespace strata
