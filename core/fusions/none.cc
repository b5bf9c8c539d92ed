#include <fmt/format.h>

#include "core/base/error.h"
#include "core/fusions/fusion.h"

namespace strata {
namespace {

/// One upstream: head(interface(x)). Throws ConfigError if there are several.
class NoFusion : public Fusion {
 public:
  NoFusion(const NoOptions&, const FusionInput& input) {
    if (input.widths.size() != 1) {
      throw ConfigError(fmt::format("not applicable: fusion none takes one upstream, found {}", input.widths.size()));
    }
    width_ = input.interface_widths[0];
  }

  std::int64_t head_width(std::size_t) const override { return width_; }

  bool affine_per_frame() const override { return true; }

  at::Tensor forward(const Parameters&, const std::vector<at::Tensor>& features,
                     const FusionParts& parts) const override {
    return parts.head(0, parts.interface(0, features[0]));
  }

 private:
  std::int64_t width_ = 0;
};

STRATA_REGISTER_FUSION("none", NoOptions, NoFusion, "one upstream, nothing to fuse: head(I(x))");

}  // namespace
}  // namespace strata
