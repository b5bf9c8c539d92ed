#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/file.h"
#include "core/base/nearest.h"
#include "core/upstreams/model_source.h"
#include "core/upstreams/upstream.h"

namespace strata {
namespace {

// The first line of a small file without its line end; "" if it cannot be read.
std::string first_line(const fs::path& path) {
  std::error_code ignored;
  if (!fs::is_regular_file(path, ignored)) return "";
  const std::string text = read_file(path);
  return text.substr(0, text.find_first_of("\r\n"));
}

bool is_hub_name(const std::string& model) {
  const std::size_t slash = model.find('/');
  return slash != std::string::npos && slash != 0 && slash + 1 < model.size() &&
         model.find('/', slash + 1) == std::string::npos && model[0] != '.';
}

// The snapshot of `user/name` that refs/main names, or "".
fs::path find_snapshot(const std::string& model, const fs::path& hub_cache) {
  if (hub_cache.empty() || !is_hub_name(model)) return "";
  const std::size_t slash = model.find('/');
  const fs::path repository = hub_cache / ("models--" + model.substr(0, slash) + "--" + model.substr(slash + 1));
  const std::string revision = first_line(repository / "refs" / "main");
  if (revision.empty() || revision.find('/') != std::string::npos) return "";
  const fs::path snapshot = repository / "snapshots" / revision;
  std::error_code ignored;
  return fs::is_regular_file(snapshot / "config.json", ignored) ? snapshot : "";
}

[[noreturn]] void fail_not_found(const std::string& model, const ModelSearch& search, const fs::path& folder) {
  std::error_code ignored;
  if (fs::is_directory(folder, ignored)) {
    throw ConfigError(fmt::format("{}: the folder has no config.json, so it is not a model", folder.string()));
  }
  if (is_hub_name(model)) {
    throw ConfigError(
        fmt::format("model \"{}\": there is no folder {} and no such model in the Hugging Face cache {}; fetch it "
                    "with: huggingface-cli download {}",
                    model, folder.string(), search.hub_cache.empty() ? "(none)" : search.hub_cache.string(), model));
  }
  const std::vector<std::string> names = UpstreamRegistry::names();
  std::string known;
  for (const std::string& name : names) known += (known.empty() ? "" : ", ") + name;
  const std::string hint = did_you_mean(model, names);
  throw ConfigError(fmt::format("model \"{}\": there is no folder {} and no such upstream{} known: {}", model,
                                folder.string(), hint.empty() ? ";" : hint, known));
}

// The entries of the registry take the variant's name as the key `type`, which a study writes as `model`.
FieldReader with_type(FieldReader options, const std::string& type) {
  Json object = Json::object();
  for (const std::string& key : options.keys()) object[key] = options.require(key);
  object["type"] = type;
  return FieldReader(std::move(object), options.file(), options.path());
}

// A folder, or a checkpoint of fairseq.
std::unique_ptr<Upstream> open_model(const fs::path& path, c10::Device device, FieldReader options) {
  std::error_code ignored;
  const fs::path place = fs::is_directory(path, ignored) ? path / "config.json" : path;
  FieldReader config(read_model_config(path), place.string());
  std::string family;
  config.require("model_type");
  config.text("model_type", family, "");
  UpstreamRegistry::find(config, "model_type", printable(family));
  return UpstreamRegistry::make(with_type(std::move(options), family), {path, device});
}

}  // namespace

fs::path hub_cache_folder(const std::function<const char*(const char*)>& variable) {
  const auto value = [&](const char* name) {
    const char* found = variable(name);
    return fs::path(found ? found : "");
  };
  if (const fs::path p = value("HF_HUB_CACHE"); !p.empty()) return p;
  if (const fs::path p = value("HF_HOME"); !p.empty()) return p / "hub";
  if (const fs::path p = value("XDG_CACHE_HOME"); !p.empty()) return p / "huggingface" / "hub";
  if (const fs::path p = value("HOME"); !p.empty()) return p / ".cache" / "huggingface" / "hub";
  return "";
}

std::unique_ptr<Upstream> open_upstream(const std::string& model, const ModelSearch& search, FieldReader options) {
  const fs::path folder = search.root / model;
  std::error_code ignored;
  if (!model.empty() && (fs::is_regular_file(folder / "config.json", ignored) || fs::is_regular_file(folder, ignored)))
    return open_model(folder, search.device, std::move(options));
  const fs::path snapshot = find_snapshot(model, search.hub_cache);
  if (!snapshot.empty()) return open_model(snapshot, search.device, std::move(options));
  if (!UpstreamRegistry::contains(model)) fail_not_found(model, search, folder);
  return UpstreamRegistry::make(with_type(std::move(options), model), {});
}

}  // namespace strata
