#include "core/fusions/probability.h"

#include <fmt/format.h>

#include "core/base/error.h"

namespace strata {

void require_distribution(const std::string& fusion, HeadOutput output) {
  switch (output) {  // no default: the compiler asks for a case for each new kind
    case HeadOutput::kUtteranceLogits:
    case HeadOutput::kFrameLogits:
      return;
  }
  throw ConfigError(
      fmt::format("not applicable: fusion {} mixes probabilities, and this head gives no distribution", fusion));
}

}  // namespace strata
