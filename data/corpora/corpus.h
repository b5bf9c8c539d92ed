#pragma once

#include <filesystem>
#include <string>

#include "core/config/registry.h"
#include "data/manifest/writer.h"

namespace strata {

/// Makes the manifests of a corpus from its files as published. One variant per corpus or layout; its options are those
/// of `strata prepare <name>`.
class CorpusPreparer {
 public:
  static constexpr const char* kKind = "corpus";
  virtual ~CorpusPreparer() = default;

  /// Reads and checks `source`; the same files give the same draft. Throws ConfigError with file and line.
  virtual CorpusDraft prepare(const std::filesystem::path& source) const = 0;
};

using CorpusRegistry = Registry<CorpusPreparer>;

#define STRATA_REGISTER_CORPUS(name, Options, Class, summary) \
  [[maybe_unused]] static const bool registered_##Class =     \
      ::strata::CorpusRegistry::add_variant<Options, Class>(name, summary)

/// Prepares the corpus that `options` names ({"type": "table", ...}) and writes it to `output`. Returns manifest.json:
/// counts and hours, and `notes` with what was skipped. `place` is named in errors about options ("strata prepare").
/// Throws ConfigError if there is no `source`, or what the variant finds wrong in it.
Json prepare_corpus(const Json& options, const std::filesystem::path& source, const std::filesystem::path& output,
                    const std::string& place);

}  // namespace strata
