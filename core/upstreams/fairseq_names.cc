#include "core/upstreams/fairseq_names.h"

#include <utility>
#include <vector>

namespace strata {
namespace {

using Replacements = std::vector<std::pair<std::string, std::string>>;

std::string replaced(std::string name, const Replacements& replacements) {
  for (const auto& [from, to] : replacements) {
    const std::size_t at = name.find(from);
    if (at != std::string::npos) name.replace(at, from.size(), to);
  }
  return name;
}

}  // namespace

WeightReader::Spelling fairseq_spelling(bool layer_stem, bool weight_g) {
  const Replacements stem = {{".conv.", ".0."}, {".layer_norm.", layer_stem ? ".2.1." : ".2."}};
  const Replacements projection = {{"feature_projection.layer_norm.", "layer_norm."},
                                   {"feature_projection.projection.", "post_extract_proj."}};
  const Replacements layer = {{".attention.", ".self_attn."},
                              {".layer_norm.", ".self_attn_layer_norm."},
                              {".feed_forward.intermediate_dense.", ".fc1."},
                              {".feed_forward.output_dense.", ".fc2."}};
  const Replacements blocks = {{".pos_conv_embed.layers.", ".pos_conv."}, {".conv.", ".0."}};
  Replacements position = {{".pos_conv_embed.conv.", ".pos_conv.0."}};
  if (weight_g) {
    position.emplace_back("parametrizations.weight.original0", "weight_g");
    position.emplace_back("parametrizations.weight.original1", "weight_v");
  }
  return [=](const std::string& name) {
    if (name.starts_with("feature_extractor.")) return replaced(name, stem);
    if (name.starts_with("feature_projection.")) return replaced(name, projection);
    if (name.find(".pos_conv_embed.layers.") != std::string::npos) return replaced(name, blocks);
    return replaced(name, name.find(".layers.") != std::string::npos ? layer : position);
  };
}

}  // namespace strata
