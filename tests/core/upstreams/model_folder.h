#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "core/base/file.h"
#include "core/config/json.h"
#include "core/tensor/safetensors.h"
#include "core/upstreams/upstream.h"

namespace strata {

/// A copy of one of the fixtures that a test may change.
class ModelFolder {
 public:
  explicit ModelFolder(const std::string& fixture) {
    static int count = 0;
    path_ = fs::path(testing::TempDir()) / ("model" + std::to_string(count++));
    fs::remove_all(path_);
    fs::create_directories(path_);
    for (const auto& entry : fs::directory_iterator("tests/golden/upstreams/" + fixture)) {
      if (entry.is_regular_file()) fs::copy_file(entry.path(), path_ / entry.path().filename());
    }
  }

  void change_json(const std::string& file, const std::function<void(Json&)>& change) const {
    Json json = read_json(path_ / file);
    change(json);
    write_file_atomically(path_ / file, json.dump());
  }

  void change_weights(const std::function<void(NamedTensors&)>& change) const {
    NamedTensors weights = read_safetensors(path_ / "model.safetensors");
    change(weights);
    write_safetensors(path_ / "model.safetensors", weights);
  }

  std::unique_ptr<Upstream> open(const Json& options = Json::object()) const {
    return open_upstream(path_.string(), {}, FieldReader(options, "study.json", "/upstreams/a"));
  }

  /// A message without this folder's name at its start.
  std::string shorten(const std::string& message) const {
    return message.starts_with(path_.string()) ? message.substr(path_.string().size()) : message;
  }

  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

}  // namespace strata
