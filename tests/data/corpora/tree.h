#pragma once

#include <functional>
#include <string>

#include "core/base/file.h"
#include "core/config/json.h"

namespace strata {

/// A folder of its own for one test, empty at first.
class Tree {
 public:
  explicit Tree(const std::string& name);
  const fs::path& root() const { return root_; }
  void text(const std::string& file, const std::string& content) const;
  /// A sine at 8 kHz; the ending says the format (.wav, .gsm, .ogg).
  void tone(const std::string& file, double hz, double seconds, double amplitude = 0.5) const;

 private:
  fs::path root_;
};

/// Prepares `source` with the options (JSON text) into `<root>/manifests` and returns manifest.json.
Json prepare(const Tree& tree, const std::string& options, const fs::path& source);

/// What the ConfigError of `prepare` says, or "no ConfigError".
std::string prepare_error(const Tree& tree, const std::string& options, const fs::path& source);

}  // namespace strata
