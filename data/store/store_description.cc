#include "data/store/store_description.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/base/error.h"
#include "core/base/file.h"
#include "data/store/json_seal.h"

namespace strata {
namespace {

constexpr int kFormat = 3;  // 1: generations do not name their taps; 2: store.json and generations have no checksum
constexpr std::int64_t kMostOfATap = 1 << 24;  // width, samples between frames: so that no product of theirs overflows

Json to_json(const std::vector<Tap>& taps) {
  Json list = Json::array();
  for (const Tap& tap : taps)
    list.push_back(
        {{"name", tap.name}, {"width", tap.width}, {"hop_samples", tap.hop_samples}, {"listed", tap.listed}});
  return list;
}

Json to_json(const StoreDescription& d) {
  Json json = {{"format", kFormat},
               {"upstream", d.upstream},
               {"fingerprint", d.fingerprint},
               {"dtype", hdf5::name_of(d.type)},
               {"compression", hdf5::name_of(d.compression)},
               {"sample_rate_hz", kSampleRateHz},
               {"taps", to_json(d.spec.taps)},
               {"receptive_field_samples", d.spec.receptive_field_samples},
               {"provenance", d.provenance}};
  if (!d.available.empty()) json["upstream_taps"] = to_json(d.available);
  if (!d.first_taps.empty()) json["first_taps"] = d.first_taps;
  return json;
}

std::vector<Tap> taps_from_json(const Json& json, const fs::path& path) {
  std::vector<Tap> taps;
  for (const Json& tap : json) {
    taps.push_back({tap.at("name"), tap.at("width"), tap.at("hop_samples"), tap.at("listed")});
    const Tap& last = taps.back();
    if (last.width < 1 || last.width > kMostOfATap || last.hop_samples < 1 || last.hop_samples > kMostOfATap)
      throw DataError(fmt::format("{}: not a valid store.json: tap {} has no width or no frame rate", path.string(),
                                  shown(last.name)));
  }
  return taps;
}

/// What a name in store.json or a plan means, if it is among those this program knows.
template <class Of>
auto known(const std::vector<std::string>& names, const Json& name, const fs::path& path, Of&& of) {
  if (!std::ranges::count(names, name.get<std::string>()))
    throw ConfigError(fmt::format("{}: the store holds {}, which this Strata cannot read", path.string(), shown(name)));
  return of(name);
}

StoreDescription from_json(const Json& json, bool is_sealed, const fs::path& path) {
  try {
    const int format = json.at("format");
    if (format < 1 || format > kFormat) {
      throw ConfigError(fmt::format(
          "{}: the store has format {}, this Strata reads formats 1 to {}; extract it anew into another folder",
          path.string(), format, kFormat));
    }
    if (format > 2 && !is_sealed) fail_seal(path);
    StoreDescription d;
    d.upstream = json.at("upstream");
    d.fingerprint = json.at("fingerprint");
    d.type = known(hdf5::stored_type_names(), json.at("dtype"), path, hdf5::stored_type);
    if (format > 1) d.compression = known(hdf5::compression_names(), json.at("compression"), path, hdf5::compression);
    d.spec.taps = taps_from_json(json.at("taps"), path);
    d.spec.receptive_field_samples = json.at("receptive_field_samples");
    if (d.spec.taps.empty()) throw DataError(fmt::format("{}: not a valid store.json: it has no taps", path.string()));
    d.provenance = json.at("provenance");
    d.available = taps_from_json(json.value("upstream_taps", Json::array()), path);
    d.first_taps = json.value("first_taps", d.first_taps);
    return d;
  } catch (const Json::exception& e) {
    throw DataError(fmt::format("{}: not a valid store.json: {}", path.string(), e.what()));
  }
}

}  // namespace

StoreDescription read_description(const fs::path& path) {
  const std::string text = read_file(path);
  const bool is_sealed = check_seal(text, path);  // first: what else is wrong with a damaged file is misleading
  return from_json(parse_json(text, path.string()), is_sealed, path);
}

void write_description(const StoreDescription& description, const fs::path& path) {
  const std::string text = sealed(to_json(description), 1);
  if (!fs::exists(path) || read_file(path) != text) write_file_atomically(path, text);
}

hdf5::Compression compression_from_json(const Json& name, const fs::path& path) {
  return known(hdf5::compression_names(), name, path, hdf5::compression);
}

const Tap* find_tap(const std::vector<Tap>& taps, const std::string& name) {
  const auto found = std::ranges::find(taps, name, &Tap::name);
  return found == taps.end() ? nullptr : &*found;
}

std::vector<std::string> names_of(const std::vector<Tap>& taps) {
  std::vector<std::string> names;
  for (const Tap& tap : taps) names.push_back(tap.name);
  return names;
}

}  // namespace strata
