#include "data/corpora/corpus.h"

#include <fmt/format.h>

#include "core/base/error.h"

namespace strata {

Json prepare_corpus(const Json& options, const std::filesystem::path& source, const std::filesystem::path& output,
                    const std::string& place) {
  const auto preparer = CorpusRegistry::make(FieldReader(options, place));
  if (!std::filesystem::exists(source)) {
    throw ConfigError(fmt::format("{}: the source {} is not there", place, source.string()));
  }
  return write_corpus(preparer->prepare(source), output);
}

}  // namespace strata
