#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <fmt/format.h>

#include "core/base/error.h"
#include "core/interfaces/interface.h"

namespace strata {
namespace {

struct ClsPoolingOptions : InterfaceOptions {
  std::int64_t heads = 8;
  std::int64_t feedforward = 2048;
  std::int64_t blocks = 1;

  void fields(Fields& f) {
    InterfaceOptions::fields(f);
    f.number("heads", heads, "attention heads; must divide the upstream's width", at_least(1));
    f.number("feedforward", feedforward, "width between a block's two affine maps", at_least(1));
    f.number("blocks", blocks, "transformer encoder blocks", at_least(1));
  }
};

/// Per frame, [cls, x_0 + e_0, .., x_(L-1) + e_(L-1)] through post-norm transformer encoder blocks (ReLU, no dropout,
/// layer norm with eps 1e-5); the output at CLS, H = D (restated: no public code).
///   cls, layer_embedding                     [D], [L, D]
///   block.<i>.attention.in.{weight, bias}    [3D, D], [3D]: rows q, k, v
///   block.<i>.attention.out.{weight, bias}   [D, D], [D]
///   block.<i>.norm1.*, norm2.*               [D]
///   block.<i>.linear1.{weight, bias}         [F, D], [F]; linear2 back
/// Throws ConfigError if `heads` does not divide the width.
class ClsPooling : public Interface {
 public:
  ClsPooling(const ClsPoolingOptions& options, InterfaceInput input)
      : Interface(input, options.normalize), options_(options) {
    if (input.width % options.heads != 0) {
      throw ConfigError(
          fmt::format("not applicable: cls_pooling with {} heads needs a width that they divide, found {}",
                      options.heads, input.width));
    }
  }

  std::int64_t output_width() const override { return input().width; }
  bool affine_per_frame() const override { return false; }

  std::vector<ParameterSpec> parameters() const override {
    const std::int64_t width = input().width;
    std::vector<ParameterSpec> specs = {{"cls", {width}, Init::kUniformFanIn, width},
                                        {"layer_embedding", {input().layers, width}, Init::kUniformFanIn, width}};
    const auto affine = [&](const std::string& name, std::int64_t in, std::int64_t out) {
      specs.push_back({name + ".weight", {out, in}, Init::kUniformFanIn, in});
      specs.push_back({name + ".bias", {out}, Init::kUniformFanIn, in});
    };
    const auto norm = [&](const std::string& name) {
      specs.push_back({name + ".weight", {width}, Init::kOne});
      specs.push_back({name + ".bias", {width}, Init::kZero});
    };
    for (std::int64_t i = 0; i < options_.blocks; ++i) {
      const std::string block = fmt::format("block.{}.", i);
      affine(block + "attention.in", width, 3 * width);
      affine(block + "attention.out", width, width);
      norm(block + "norm1");
      affine(block + "linear1", width, options_.feedforward);
      affine(block + "linear2", options_.feedforward, width);
      norm(block + "norm2");
    }
    return specs;
  }

 protected:
  at::Tensor apply(const Parameters& parameters, const at::Tensor& features) const override {
    const std::int64_t frames = features.size(0) * features.size(1), width = input().width;
    const at::Tensor layers = features.reshape({frames, input().layers, width}) + parameters["layer_embedding"];
    at::Tensor x = at::cat({parameters["cls"].expand({frames, 1, width}), layers}, 1);
    for (std::int64_t i = 0; i < options_.blocks; ++i) {
      // Nobody reads the layers' positions after the last block: only CLS asks there.
      const bool last = i + 1 == options_.blocks;
      x = block(parameters.scope(fmt::format("block.{}", i)), x, last ? 1 : x.size(1));
    }
    return x.view({features.size(0), features.size(1), width});
  }

 private:
  /// One post-norm block at the first `queries` positions.
  ///   x        [N, S, D]
  ///   returns  [N, queries, D]
  at::Tensor block(const Parameters& p, const at::Tensor& x, std::int64_t queries) const {
    const at::Tensor asked = x.narrow(1, 0, queries);
    const at::Tensor attended = norm(p, "norm1", asked + attention(p, asked, x));
    return norm(p, "norm2", attended + affine(p, "linear2", at::relu(affine(p, "linear1", attended))));
  }

  at::Tensor attention(const Parameters& p, const at::Tensor& asked, const at::Tensor& x) const {
    const std::int64_t width = input().width;
    const at::Tensor &weight = p["attention.in.weight"], &bias = p["attention.in.bias"];
    const at::Tensor q = at::linear(asked, weight.narrow(0, 0, width), bias.narrow(0, 0, width));
    const at::Tensor kv = at::linear(x, weight.narrow(0, width, 2 * width), bias.narrow(0, width, 2 * width));
    const auto heads = [&](const at::Tensor& t) {
      return t.reshape({t.size(0), t.size(1), options_.heads, width / options_.heads}).transpose(1, 2);
    };
    const at::Tensor mixed =
        at::scaled_dot_product_attention(heads(q), heads(kv.narrow(2, 0, width)), heads(kv.narrow(2, width, width)));
    return affine(p, "attention.out", mixed.transpose(1, 2).reshape({asked.size(0), asked.size(1), width}));
  }

  static at::Tensor affine(const Parameters& p, const std::string& name, const at::Tensor& x) {
    return at::linear(x, p[name + ".weight"], p[name + ".bias"]);
  }

  at::Tensor norm(const Parameters& p, const std::string& name, const at::Tensor& x) const {
    return at::layer_norm(x, {input().width}, p[name + ".weight"], p[name + ".bias"], 1e-5);
  }

  ClsPoolingOptions options_;
};

STRATA_REGISTER_INTERFACE("cls_pooling", ClsPoolingOptions, ClsPooling,
                          "[cls, x[t, 0] + e_0, ..] through a transformer, read at cls (after arXiv:2406.12209, "
                          "restated)");

}  // namespace
}  // namespace strata
