#include <ATen/core/Tensor.h>
#include <gmock/gmock.h>

#include "core/base/error.h"
#include "tests/core/upstreams/model_folder.h"
#include "tests/errors.h"

namespace strata {
namespace {

TEST(Data2VecAudio, RefusesAStackOfAnotherDepthOrKernel) {
  ModelFolder deeper("data2vec-audio");
  deeper.change_json("config.json", [](Json& config) { config["num_conv_pos_embeddings"] = 6; });
  EXPECT_EQ(deeper.shorten(error_of<ConfigError>([&] { deeper.open(); })),
            ": weight encoder.pos_conv_embed.layers.5.conv.weight: it is missing; expected [32, 2, 19]");
  ModelFolder wider("data2vec-audio");
  wider.change_json("config.json", [](Json& config) { config["conv_pos_kernel_size"] = 21; });
  EXPECT_EQ(wider.shorten(error_of<ConfigError>([&] { wider.open(); })),
            ": weight encoder.pos_conv_embed.layers.0.conv.weight: expected [32, 2, 21] floating point, found [32, 2, "
            "19] Float");
}

}  // namespace
}  // namespace strata
