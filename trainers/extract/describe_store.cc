#include "trainers/extract/describe_store.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "core/base/error.h"
#include "core/base/hash.h"

namespace strata {

StoreDescription describe_store(const std::string& name, const UpstreamEntry& entry, const Upstream& upstream,
                                const std::string& study_file) {
  StoreDescription description;
  description.upstream = name;
  description.type = hdf5::stored_type(entry.dtype);
  description.spec.receptive_field_samples = upstream.spec().receptive_field_samples;
  description.compression = hdf5::compression(entry.compression);
  const std::vector<std::string> defaults = upstream.default_taps();
  const std::vector<std::string>& wanted = entry.taps.empty() ? defaults : entry.taps;
  const auto among = [](const std::vector<std::string>& names, const std::string& tap) {
    return std::find(names.begin(), names.end(), tap) != names.end();
  };
  std::vector<std::string> known;
  for (Tap tap : upstream.spec().taps) {
    known.push_back(tap.name);
    tap.listed = among(defaults, tap.name);
    description.available.push_back(tap);
    if (among(wanted, tap.name)) description.spec.taps.push_back(tap);
  }
  for (const std::string& tap : wanted) {
    if (among(known, tap)) continue;
    throw ConfigError(fmt::format("{} /upstreams/{}/taps: {} has no tap \"{}\"; it has {}", study_file, name,
                                  entry.model, tap, fmt::join(known, ", ")));
  }
  const Json identity = {{"upstream", upstream.fingerprint()}, {"dtype", entry.dtype}, {"compute", upstream.compute()}};
  description.fingerprint = sha256(identity.dump());
  return description;
}

}  // namespace strata
