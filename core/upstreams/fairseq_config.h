#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/config/json.h"
#include "core/upstreams/pickle.h"

namespace strata {

/// The settings of a fairseq model as its checkpoint holds them: a dictionary, an argparse.Namespace or an OmegaConf
/// node, whose objects the reader of the pickle left opaque. Only the keys asked for are looked at.
class FairseqConfig {
 public:
  /// `place` is named in errors, as "model.pt cfg.model".
  FairseqConfig(const pickle::Value& value, std::string place) : value_(&value), place_(std::move(place)) {}

  /// The value of `key`; nullptr if there is none, or if it is None.
  const pickle::Value* find(std::string_view key) const;
  /// The settings under `key`; none if there is no such key.
  std::optional<FairseqConfig> child(std::string_view key) const;

  /// The value of `key` as JSON: a boolean, number, text or flat list of them. Throws DataError if it is not there, or
  /// something else.
  Json require(std::string_view key) const;
  std::string text(std::string_view key, const std::string& otherwise) const;
  bool flag(std::string_view key, bool otherwise) const;

  const std::string& place() const { return place_; }
  [[noreturn]] void fail(std::string_view key, const std::string& message) const;

 private:
  const pickle::Value* value_;
  std::string place_;
};

/// The convolutions that fairseq's `conv_feature_layers` names.
struct ConvLayers {
  std::vector<std::int64_t> dim, kernel, stride;
};

/// Reads a sum of lists of (dim, kernel, stride), each times a number or not: "[(512,10,5)] + [(512,3,2)] * 4". Throws
/// DataError that starts with `place` for any other expression; nothing is evaluated.
ConvLayers read_conv_layers(std::string_view expression, const std::string& place);

}  // namespace strata
